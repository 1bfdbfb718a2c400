"""What a guest did as events of the listener whose name they choose."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from streaming.events import Event
from streaming.profile.profile import Muting, Profile, TagWish
from ui.data.steering import steering_key, steering_of_profile, steering_update
from ui.reactions.hand_over import events_of

NINE = datetime(2026, 11, 26, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("action", "track_id", "target", "key"),
    [
        ("mute", None, "artist:Bach", "mute artist:Bach"),
        ("unmute", None, "artist:Bach", "mute artist:Bach"),
        ("more", None, "tag:mellow", "wish tag:mellow"),
        ("neutral", None, "tag:mellow", "wish tag:mellow"),
        ("adventure", None, "0.80", "adventure"),
        ("more", "t1", None, None),
        ("play", "t1", None, None),
        ("visit", None, None, None),
    ],
)
def test_what_an_event_steers(action: str, track_id: str | None, target: str | None, key: str | None) -> None:
    event = Event("ana", track_id, action, NINE, target=target)
    assert steering_key(event) == key
    if key is not None:
        fields = {"user_id": "ana", "action": action, "target": target, "steered_at": NINE, "version": 1}
        assert steering_update(event) == {"$set": fields}


def test_a_profile_says_how_lists_are_steered() -> None:
    at = NINE.timestamp()
    profile = Profile(
        "guest-1",
        mutings=(Muting("artist:Bach", True, at), Muting("genre:Polka", False, at)),
        tag_wishes=(TagWish("tag:mellow", "more", at), TagWish("tag:sad", "", at)),
        adventure=0.8,
        adventure_at=at,
    )
    steering = {
        key: (each["action"], each["target"], each["steered_at"]) for key, each in steering_of_profile(profile).items()
    }
    assert steering == {
        "mute artist:Bach": ("mute", "artist:Bach", NINE),
        "mute genre:Polka": ("unmute", "genre:Polka", NINE),
        "wish tag:mellow": ("more", "tag:mellow", NINE),
        "wish tag:sad": ("neutral", "tag:sad", NINE),
        "adventure": ("adventure", "0.80", NINE),
    }
    assert steering_of_profile(Profile("guest-1")) == {}, "a slider that was never moved says nothing"


@pytest.mark.parametrize(
    ("document", "events"),
    [
        (
            {"_id": {"user": "g", "track": "t"}, "at": NINE, "action": "skip", "verdict": "like", "verdict_at": NINE},
            [("play", "t", None), ("skip", "t", None), ("like", "t", None)],
        ),
        (
            {"_id": {"user": "g", "track": "t"}, "verdict": "", "verdict_at": NINE, "wish": "less", "wish_at": NINE},
            [("less", "t", None)],
        ),
        (
            {
                "_id": {"user": "g", "steering": "mute artist:Bach"},
                "action": "mute",
                "target": "artist:Bach",
                "steered_at": NINE,
            },
            [("mute", None, "artist:Bach")],
        ),
        ({"_id": {"user": "g", "steering": "odd"}, "action": 7, "steered_at": NINE}, []),
        ({"_id": {"user": "g", "track": "t"}}, []),
    ],
)
def test_a_guests_document_as_events(
    document: dict[str, Any], events: list[tuple[str, str | None, str | None]]
) -> None:
    first, again = (list(events_of(document, "ana")) for _ in range(2))
    assert [(event.action, event.track_id, event.target) for event in first] == events
    assert first == again, "with the same ids, by which they count once"
    assert all(event.user_id == "ana" and event.occurred_at == NINE for event in first)
