"""Stored events once more: the same profile as the fast lane's, with the skip rates of their time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conf.settings import settings
from streaming import replay
from streaming.profile.profile import LASTING, Profile
from streaming.profile.skip_rates import PastFactors
from streaming.serving.context import ServingContext

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NO_RATES = PastFactors([])


@pytest.fixture(autouse=True)
def _no_titles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "database_of", lambda _: None)
    monkeypatch.setattr(replay, "title_by_track_id", lambda track_ids, _: dict.fromkeys(track_ids, "A title"))


def rows(*events: tuple[str, str | None, datetime], **more: Any) -> pd.DataFrame:
    """events : (action, track, occurred and received at), as Spark hands them over"""
    return pd.DataFrame(
        [
            {
                **{"topic_id": "cluster/topic", "partition": 0, "offset": offset, "event_id": f"e{offset}"},
                **{"user_id": "ana", "track_id": track_id, "action": action, "position_ms": 0, "duration_ms": 1000},
                **{
                    "occurred_at": pd.Timestamp(at).tz_localize(None),
                    "received_at": pd.Timestamp(at).tz_localize(None),
                },
                **{"target": None, "tracks": None},
                **more,
            }
            for offset, (action, track_id, at) in enumerate(events)
        ]
    )


def replayed(events: pd.DataFrame, factors: PastFactors = NO_RATES) -> Profile:
    chosen = settings()
    context = ServingContext(chosen.mongo, chosen.kafka, chosen.taste, 30, "", "m1", Path("none"))
    return replay.profile_after(events, context, factors)


def lasting(profile: Profile, track_id: str) -> float:
    row = profile.evidence.row(track_id)
    assert row is not None
    return float(row[LASTING])


def test_a_skip_has_the_factor_of_its_time() -> None:
    events = rows(("skip", "a", NOON), ("skip", "b", NOON + 2 * DAY), ("skip", "c", NOON + 2 * DAY))
    since = PastFactors([(NOON + DAY, {"a": 0.5, "b": 0.5})])
    profile = replayed(events, since)
    assert lasting(profile, "a") == lasting(profile, "c") == pytest.approx(settings().taste.skip)
    assert lasting(profile, "b") == pytest.approx(0.5 * settings().taste.skip)


def test_what_was_shown_and_visits_are_passed_on() -> None:
    events = rows(("shown", None, NOON), ("visit", None, NOON + DAY))
    events.at[0, "tracks"] = np.array(["a", "b"], dtype=object)
    profile = replayed(events)
    assert profile.shown.ids == ("a", "b") and profile.visited_at == (NOON + DAY).timestamp()
    assert profile.events_applied == 2


def test_a_clock_that_was_ahead_is_pulled_back() -> None:
    events = rows(("play", "a", NOON + 365 * DAY), ("play", "b", NOON))
    events.loc[0, "offset"], events.loc[1, "offset"] = 0, 1
    events["received_at"] = pd.to_datetime([NOON + 365 * DAY, NOON + 366 * DAY]).tz_localize(None)
    assert replayed(events).latest_at == (NOON + 365 * DAY).timestamp()
    events["received_at"] = [pd.Timestamp(NOON).tz_localize(None)] * 2
    assert replayed(events).latest_at == NOON.timestamp()


def test_events_are_applied_by_offset_where_the_producers_clocks_disagree() -> None:
    """In a topic with the producers' times a later offset may be dated earlier."""
    events = rows(
        ("like", "a", NOON), ("skip", "b", NOON - DAY), ("dislike", "a", NOON + DAY), ("play", "c", NOON - DAY)
    )
    profile = replayed(events.sample(frac=1, random_state=3))
    assert profile.events_applied == 4 and profile.offsets == {"cluster/topic/0": 3}
    assert profile.last_track == "c", "the last offset"


def test_events_of_several_partitions_come_by_their_arrival_and_each_by_offset() -> None:
    events = rows(
        ("play", "a", NOON), ("play", "b", NOON + DAY), ("play", "c", NOON - DAY), ("play", "d", NOON + DAY / 2)
    )
    events["partition"], events["offset"] = [0, 0, 0, 1], [5, 6, 7, 2]
    assert replay.in_counted_order(events.iloc[::-1])["track_id"].tolist() == ["a", "d", "b", "c"]


@pytest.mark.parametrize(("since", "until"), [("2026-11-24", "2026-11-01"), ("2026-11-24", "2026-11-24T00:00:00Z")])
def test_times_in_the_wrong_order_are_a_wrong_argument_even_without_a_model(
    since: str, until: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OVERTONE_HOME", str(tmp_path))
    assert replay.main(["--from", since, "--to", until]) == 2
    assert capsys.readouterr().err == (
        f"replay: --from {since} is not before --to {until}; give the earlier time first\n"
    )
