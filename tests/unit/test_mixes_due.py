"""When named lists are due: by a visit or by their age, in the listener's own time, however events are batched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from conf.settings import Taste, settings
from streaming.events import Event
from streaming.profile.profile import Profile
from streaming.serving.mixes import DueMixes, with_mixes_at

TASTE: Taste = settings().taste
SUNDAY = datetime(2026, 11, 22, 12, tzinfo=UTC)
Actions = list[tuple[str, float]]


def after(profile: Profile, actions: Actions, hours: float = 6.0) -> tuple[Profile, DueMixes | None]:
    """The profile, and what is due, after a micro-batch of (action, hours after Sunday's noon)."""
    due: DueMixes | None = None
    for offset, (action, at) in enumerate(actions, profile.events_applied):
        track = None if action in ("visit", "shown") else f"t{offset}"
        tracks = ("x",) if action == "shown" else ()
        event = Event("ana", track, action, SUNDAY + timedelta(hours=at), f"e{offset}", tracks=tracks)
        counted = profile.after(event, "", "source", offset, TASTE)
        profile, due = with_mixes_at(profile, counted, event, hours, due)
    return profile, due


def hours_of(profile: Profile) -> float:
    return (profile.mixes_at - SUNDAY.timestamp()) / 3600


@pytest.mark.parametrize(
    ("actions", "made_at"),
    [
        ([("play", 0)], 0),
        ([("play", 0), ("like", 5.9)], 0),
        ([("play", 0), ("like", 6)], 6),
        ([("play", 0), ("like", 6), ("skip", 11)], 6),
        ([("play", 0), ("visit", 0.5), ("skip", 6.2)], 0.5),
        ([("play", 0), ("shown", 9)], 0),
        ([("play", 7), ("visit", 1)], 7),  # late: they are as of 7 already
    ],
)
def test_they_are_due_by_age_and_by_a_visit(actions: Actions, made_at: float) -> None:
    profile, due = after(Profile("ana"), actions)
    assert due is not None and hours_of(profile) == hours_of(due.profile) == made_at


def test_nothing_is_due_where_the_age_is_zero_or_an_event_was_counted_before() -> None:
    profile, due = after(Profile("ana"), [("play", 0), ("visit", 7)], hours=0)
    assert due is None and profile.mixes_at == 0
    profile, _ = after(Profile("ana"), [("play", 0)])
    again = Event("ana", None, "visit", SUNDAY + timedelta(hours=9), "e0")
    assert with_mixes_at(profile, profile.after(again, "", "source", 7, TASTE), again, 6.0)[1] is None


def test_the_times_do_not_depend_on_micro_batches() -> None:
    actions: Actions = [("play", 0), ("like", 3), ("visit", 8), ("shown", 9), ("like", 15), ("visit", 20), ("play", 21)]
    whole, due = after(Profile("ana"), actions)
    assert due is not None and due.profile is due.of_week[-1]
    assert [hours_of(each) for each in due.of_week] == [15, 20], "Monday began at 12"
    for size in (1, 2, 3):
        profile, made = Profile("ana"), [due]
        for start in range(0, len(actions), size):
            profile, due_in_batch = after(profile, actions[start : start + size])
            made += [due_in_batch] if due_in_batch else []
        assert profile.mixes_at == whole.mixes_at
        assert made[-1].profile == due.profile, "and they are made of the same"
