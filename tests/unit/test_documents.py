"""Documents of MongoDB: today's are read by any later version, and a later version's are read after a rollback."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bson
import pytest
from bson import json_util

from conf.settings import settings
from streaming.documents import (
    DERIVED_PROFILE_FIELDS,
    LIST_VERSION,
    PROFILE_VERSION,
    StoredList,
    deleted_at_from,
    deletion_fields,
    feed_fields,
    list_document,
    opinion_document,
    opinion_from,
    profile_document,
    profile_from,
    refusal_fields,
    resume_token_from,
    stored_list_from,
)
from streaming.events import Event
from streaming.profile.profile import Muting, Opinion, Profile, opinion_weights

DATA = Path(__file__).parents[1] / "data"
NOON = datetime(2026, 11, 23, 12, 0, 0, 250_000, tzinfo=UTC)
TASTE = settings().taste.model_copy(
    update={
        "complete": 0.8,
        "skip": -0.6,
        "half_life_days": 30.0,
        "session_half_life_minutes": 30.0,
        "remembered_tracks": 300,
    }
)


@pytest.fixture
def first_version() -> dict[str, Any]:
    """A profile as it was written before documents had a version."""
    document: dict[str, Any] = json_util.loads(
        (DATA / "profile-v1.json").read_text(encoding="utf-8"), json_options=json_util.JSONOptions(tz_aware=True)
    )
    return document


def stored(document: dict[str, Any]) -> dict[str, Any]:
    """The document as MongoDB gives it back."""
    return bson.decode(bson.encode(document), bson.CodecOptions(tz_aware=True))


def later(profile: Profile) -> Profile:
    """The profile after four more events, of which one was sent before."""
    events = [
        Event("ana", "folk00", "complete", NOON + timedelta(minutes=30), "later-1"),
        Event("ana", "folk01", "like", NOON + timedelta(minutes=31), "event-3"),
        Event("ana", None, "unmute", NOON + timedelta(minutes=32), "later-2", target="genre:Metal"),
        Event("ana", "new00", "skip", NOON + timedelta(minutes=33), "later-3", 20_000, 200_000),
    ]
    for offset, event in enumerate(events, start=100):
        profile = profile.after(event, "The new00", "dQw4.cluster/topic-id/0", offset, TASTE)
    return profile


def test_a_profile_without_a_version_is_read_whole(first_version: dict[str, Any]) -> None:
    profile = profile_from(first_version)
    assert (profile.user_id, profile.generation, profile.events_applied) == ("ana", 7, 16)
    assert [opinion.track_id for opinion in profile.opinions] == [
        *("folk00", "jazz03", "folk01", "techno07", "jazz04", "folk02", "jazz05", "metal02")
    ]
    assert profile.opinions[0] == Opinion("folk00", "The folk00", 1795435440.25, 0.9823444977116434, 0.9999871643530029)
    assert [(o.track_id, o.verdict) for o in profile.opinions if o.verdict] == [
        ("folk01", "like"),
        ("jazz04", "dislike"),
    ]
    assert [(o.track_id, o.wish) for o in profile.opinions if o.wish] == [("techno07", "more"), ("metal02", "less")]
    assert profile.muted == ["genre:Metal"]
    assert profile.mutings[0] == Muting("artist:Zoë Å", False, 1795435740.25)
    assert (profile.adventure, profile.adventure_at, profile.latest_at) == (0.8, 1795436100.25, 1795436460.25)
    assert profile.offsets == {"dQw4.cluster/topic-id/0": 14, "dQw4.cluster/topic-id/1": 15}
    assert profile.recent_events == tuple(f"event-{number}" for number in range(16))
    assert profile.other_fields == {}


def test_it_continues_to_count(first_version: dict[str, Any]) -> None:
    """The expected values are those of the version that wrote it."""
    before = profile_from(first_version)
    read_again = Event("ana", "folk00", "play", NOON, "event-0")
    assert before.after(read_again, "The folk00", "dQw4.cluster/topic-id/0", 14, TASTE) is before
    profile = later(before)
    assert (profile.events_applied, profile.offsets["dQw4.cluster/topic-id/0"]) == (19, 103)
    assert profile.muted == [] and len(profile.mutings) == 2
    assert profile.opinions[-2:] == (
        Opinion("folk00", "The folk00", 1795437000.25, 1.3387299918778504, 1.7995700847964358),
        Opinion("new00", "The new00", 1795437180.25, -0.54, -0.54),
    )
    assert [o for o in profile.opinions if o.track_id != "folk00"][:-1] == [
        o for o in before.opinions if o.track_id != "folk00"
    ]


def test_it_is_written_with_all_its_fields_and_a_version(first_version: dict[str, Any]) -> None:
    written = stored(profile_document(profile_from(first_version)))
    assert written.pop("version") == PROFILE_VERSION
    assert written.pop("updated_at") > first_version.pop("updated_at")
    derived = set(DERIVED_PROFILE_FIELDS) - {"muted"}
    assert written == {name: value for name, value in first_version.items() if name not in derived}


def test_unknown_fields_are_written_back(first_version: dict[str, Any]) -> None:
    first_version |= {"version": 3, "moods": {"morning": [0.1, 0.2]}}
    first_version["opinions"][0] |= {"plays": 4, "heard_share": 0.75}
    first_version["mutings"][1] |= {"until": NOON}
    written = stored(profile_document(later(profile_from(first_version))))
    assert written["moods"] == {"morning": [0.1, 0.2]}
    assert written["version"] == PROFILE_VERSION, "that of the code that wrote it last"
    opinion_by_track = {opinion["track_id"]: opinion for opinion in written["opinions"]}
    assert opinion_by_track["folk00"].items() >= {"plays": 4, "heard_share": 0.75}.items()
    assert opinion_by_track["folk00"]["session"] == 1.3387299918778504
    assert "plays" not in opinion_by_track["new00"]
    muting_by_target = {muting["target"]: muting for muting in written["mutings"]}
    assert muting_by_target["genre:Metal"] == {
        "target": "genre:Metal",
        "muted": False,
        "at": 1795437120.25,
        "until": NOON,
    }
    assert profile_from(written) == later(profile_from(first_version))


def test_a_later_version_is_read_as_far_as_its_fields_allow() -> None:
    document = {
        "_id": "ana",
        "version": 9,
        "opinions": [
            {"track_id": "a", "title": "A", "at": 5.0, "verdict": "adores", "verdict_at": 6.0, "embedding": [1.0]},
            {"track_id": "b", "wish": "more", "wish_at": 7.0},
            {"album_id": "of a kind that this version does not know"},
        ],
        "mutings": [{"target": "genre:Folk", "muted": True, "at": 5.0, "strength": 0.5}, {"album": "x"}],
        "events_applied": 12,
    }
    profile = profile_from(document)
    assert [(o.track_id, o.touched_at) for o in profile.opinions] == [("a", 6.0), ("b", 7.0)]
    assert profile.muted == ["genre:Folk"]
    assert (profile.generation, profile.adventure, profile.offsets, profile.recent_events) == (0, 0.5, {}, ())
    weights, _ = opinion_weights(profile.opinions, 7.0, TASTE)
    assert weights.tolist() == [0.0, TASTE.more]
    event = Event("ana", "a", "like", NOON, "e1")
    assert profile.after(event, "A", "cluster/topic/0", 0, TASTE).events_applied == 13


def test_missing_fields_have_defaults() -> None:
    assert profile_from({"_id": "ana"}) == Profile("ana")
    assert opinion_from({"track_id": "a"}) == Opinion("a")
    assert stored_list_from({}) == stored_list_from({"_id": "ana", "version": 4}) == StoredList()
    assert resume_token_from(None) is resume_token_from({"_id": "cluster/topic"}) is None
    assert deleted_at_from(None) is deleted_at_from({"_id": "ana"}) is deleted_at_from({"deleted_at": "today"}) is None


def test_what_the_version_before_cannot_read_is_not_written() -> None:
    """It reads opinions by `Opinion(**opinion)`: an opinion without unknown fields must have no more than its nine."""
    assert opinion_document(Opinion("a", "A", 5.0)) == {
        "track_id": "a",
        "title": "A",
        "at": 5.0,
        "session": 0.0,
        "lasting": 0.0,
        "verdict": "",
        "verdict_at": 0.0,
        "wish": "",
        "wish_at": 0.0,
    }


def test_lists_deletions_refusals_and_feeds_have_a_version() -> None:
    profile = Profile("ana", generation=4, events_applied=9)
    items = [{"track_id": "a", "rank": 1}, {"track_id": "b", "rank": 2}]
    document = stored(list_document(profile, items, "m1", NOON))
    assert document == {
        "_id": "ana",
        "version": LIST_VERSION,
        "items": items,
        "generation": 4,
        "generated_at": NOON,
        "model_version": "m1",
        "events_applied": 9,
    }
    assert stored_list_from(document | {"version": 7, "shelf": "new"}) == StoredList(4, 9, ("a", "b"))
    assert deleted_at_from(stored(deletion_fields(NOON)) | {"by": "operator"}) == NOON
    assert stored(refusal_fields(NOON)) == {"version": 1, "at": NOON}
    assert resume_token_from(stored(feed_fields({"_data": "82"}, 5.0)) | {"shard": 2}) == {"_data": "82"}
