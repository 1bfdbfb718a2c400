"""Documents of MongoDB: today's are read by any later version, and a later version's are read after a rollback."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bson
import numpy as np
import pytest
from bson import json_util

from batch.mongo import LIST_VERSION, NEW_LISTENERS
from batch.publish import new_listeners_document
from conf.settings import settings
from streaming.documents import (
    MIXES_VERSION,
    Deletion,
    StoredList,
    StoredMixes,
    deleted_at_from,
    deletion_fields,
    deletion_from,
    feed_fields,
    list_document,
    mixes_document,
    refusal_fields,
    resume_token_from,
    stored_list_from,
    stored_mixes_from,
)
from streaming.events import Event
from streaming.profile.documents import (
    PROFILE_VERSION,
    ProfileUnreadable,
    counted_event,
    profile_document,
    profile_from,
    whole_profile_from,
)
from streaming.profile.profile import Muting, Profile, hashed
from streaming.profile.track_table import TrackTable

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


def test_a_profile_of_version_1_is_read_whole(first_version: dict[str, Any]) -> None:
    profile = profile_from(first_version)
    assert (profile.user_id, profile.generation, profile.events_applied) == ("ana", 7, 16)
    assert profile.evidence.ids == ("folk00", "jazz03", "folk01", "techno07", "jazz05")
    assert profile.evidence.values[0].tolist() == [1795435440.25, 0.9823444977116434, 0.9999871643530029, 0.0, 0.0]
    assert profile.heard.ids == profile.evidence.ids and profile.plays == 5
    verdicts = {track_id: profile.verdict(track_id) for track_id in profile.verdicts.ids}
    assert {track_id: verdict for track_id, verdict in verdicts.items() if verdict} == {
        "folk01": "like",
        "jazz04": "dislike",
    }
    wishes = {track_id: profile.wish(track_id) for track_id in profile.verdicts.ids}
    assert {track_id: wish for track_id, wish in wishes.items() if wish} == {"techno07": "more", "metal02": "less"}
    assert profile.titles["folk00"] == "The folk00"
    assert profile.muted == ["genre:Metal"]
    assert profile.mutings[0] == Muting("artist:Zoë Å", False, 1795435740.25)
    assert (profile.adventure, profile.adventure_at, profile.latest_at) == (0.8, 1795436100.25, 1795436460.25)
    assert profile.offsets == {"dQw4.cluster/topic-id/0": 14, "dQw4.cluster/topic-id/1": 15}
    assert profile.recent_events == tuple(hashed(f"event-{number}") for number in range(16))
    assert profile.other_fields == {}


def test_it_continues_to_count(first_version: dict[str, Any]) -> None:
    before = profile_from(first_version)
    read_again = Event("ana", "folk00", "play", NOON, "event-0")
    assert before.after(read_again, "The folk00", "dQw4.cluster/topic-id/0", 14, TASTE) is before
    profile = later(before)
    assert (profile.events_applied, profile.offsets["dQw4.cluster/topic-id/0"]) == (19, 103)
    assert profile.muted == [] and len(profile.mutings) == 2
    assert profile.evidence.row("folk00")[0] == 1795437000.25  # type: ignore[index]
    assert profile.evidence.row("new00")[:3].tolist() == pytest.approx([1795437180.25, -0.54, -0.54])  # type: ignore[index]
    assert profile.disliked == ["jazz04"]


def test_it_is_written_as_version_3_and_comes_back(first_version: dict[str, Any]) -> None:
    profile = later(profile_from(first_version))
    written = stored(profile_document(profile))
    assert written["version"] == PROFILE_VERSION == 3 and not {"opinions", "recent_events"} & written.keys()
    back = profile_from(written)
    assert back.evidence.ids == profile.evidence.ids
    assert back.evidence.values == pytest.approx(profile.evidence.values, abs=1e-6)
    assert (back.verdicts, back.titles, back.recent_events) == (profile.verdicts, profile.titles, profile.recent_events)
    assert (back.plays, back.last_track, back.session_at) == (profile.plays, profile.last_track, profile.session_at)
    assert stored(profile_document(back)) | {"updated_at": 0} == written | {"updated_at": 0}


def test_both_versions_tell_which_events_they_have_counted(first_version: dict[str, Any]) -> None:
    written = stored(profile_document(profile_from(first_version)))
    for document in (first_version, written):
        assert counted_event(document, "event-3") and not counted_event(document, "event-99")
    for damaged in ({}, {"event_ids": "event-3"}, {"event_ids": 7}, {"recent_events": 7}):
        assert not counted_event(damaged, "event-3")


def test_unknown_fields_are_written_back() -> None:
    written = stored(profile_document(later(Profile("ana")))) | {"version": 4, "moods": {"morning": [0.1, 0.2]}}
    written["mutings"] = [{"target": "genre:Metal", "muted": True, "at": 5.0, "until": NOON}]
    written["tag_wishes"] = [{"target": "tag:mellow", "wish": "more", "at": 5.0, "until": NOON}]
    again = stored(profile_document(profile_from(written)))
    assert again["moods"] == {"morning": [0.1, 0.2]} and again["mutings"] == written["mutings"]
    assert again["tag_wishes"] == written["tag_wishes"]
    assert again["version"] == PROFILE_VERSION, "that of the code that wrote it last"


def test_a_later_version_is_read_as_far_as_its_fields_allow() -> None:
    written = stored(profile_document(later(Profile("ana"))))
    written["evidence"] |= {"moods": b"????"}
    written["verdicts"] = {"ids": "a\nb", "verdict": b"\x01"}
    profile = profile_from(written | {"version": 9})
    assert profile.evidence.ids == ("folk00", "new00")
    assert len(profile.verdicts) == 0, "columns that do not fit each other"
    assert profile_from(written | {"verdicts": {"ids": "a", "verdict": b"\x01"}}).verdict("a") == "like"
    with pytest.raises(
        ProfileUnreadable, match=r"verdicts\.verdict has 1 bytes, 2 tracks need 2; the document has version 9"
    ):
        whole_profile_from(written | {"version": 9})  # the stream would write it back without them
    written["verdicts"] = {"ids": "a", "verdict": b"\x01", "mood": b"??"}
    assert whole_profile_from(written | {"version": 9}) == profile_from(written)
    event = Event("ana", "a", "like", NOON, "e1")
    assert profile.after(event, "A", "cluster/topic/0", 0, TASTE).events_applied == profile.events_applied + 1


def test_missing_fields_have_defaults() -> None:
    assert profile_from({"_id": "ana"}) == Profile("ana")
    assert stored_list_from({}) == stored_list_from({"_id": "ana", "version": 4}) == StoredList()
    assert resume_token_from(None) is resume_token_from({"_id": "cluster/topic"}) is None
    assert deleted_at_from(None) is deleted_at_from({"_id": "ana"}) is deleted_at_from({"deleted_at": "today"}) is None


def test_a_past_of_ten_thousand_tracks_stays_small() -> None:
    heard = TrackTable.of([f"{number:016x}" for number in range(10_000)], [np.arange(10_000) + 1.7e9])
    document = profile_document(replace(Profile("ana"), heard=heard, recent_events=tuple([b"12345678"] * 500)))
    assert len(bson.encode(document)) < 220_000
    assert profile_from(stored(document)).heard == heard


def test_lists_mixes_deletions_refusals_and_feeds_have_a_version() -> None:
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
    mixes = stored(mixes_document(replace(profile, mixes_at=NOON.timestamp() + 0.0009), items, "m1", "2026-W48", ["a"]))
    assert mixes == {
        "_id": "ana",
        "version": MIXES_VERSION,
        "lists": items,
        "generated_at": NOON,
        "model_version": "m1",
        "events_applied": 9,
        "week": "2026-W48",
        "discovered": ["a"],
    }
    assert stored_mixes_from(mixes | {"version": 7, "shelf": "new"}) == StoredMixes(9, "2026-W48", ("a",))
    assert stored_mixes_from({"_id": "ana"}) == StoredMixes()
    assert deleted_at_from(stored(deletion_fields(NOON)) | {"by": "operator"}) == NOON
    ends = {"cluster/topic/1": 9, "cluster/topic/0": 4}
    deletion = stored(deletion_fields(NOON, ends))
    assert deletion_from(deletion | {"by": "operator", "version": 7}) == Deletion(NOON, ends)
    assert deletion_from(deletion | {"version": 2}) == Deletion(NOON), "its ends are of an earlier deletion"
    assert stored(refusal_fields(NOON)) == {"version": 1, "at": NOON}
    assert resume_token_from(stored(feed_fields({"_data": "82"}, 5.0)) | {"shard": 2}) == {"_data": "82"}


@pytest.mark.parametrize(
    "late", [timedelta(minutes=-5), timedelta(0), timedelta(minutes=5)], ids=["late", "same", "early"]
)
def test_a_deletion_covers_what_kafka_had_then_whatever_the_clocks_say(late: timedelta) -> None:
    """The broker's clock is behind, equal or ahead of the player's."""
    deletion = Deletion(NOON, {"cluster/topic/0": 4})
    assert [deletion.covers("cluster/topic", 0, offset, NOON + late) for offset in (0, 3, 4, 5)] == [
        True,
        True,
        False,
        False,
    ]


def test_a_deletion_covers_by_time_where_it_does_not_know_the_partition() -> None:
    deletion = Deletion(NOON, {"cluster/topic/0": 4})
    times = [NOON, NOON + timedelta(milliseconds=1)]
    assert [deletion.covers("cluster/topic", 1, 0, at) for at in times] == [True, False]
    assert [deletion.covers("cluster/other", 0, 9, at) for at in times] == [True, False]


@pytest.fixture
def stream_documents() -> dict[str, dict[str, Any]]:
    """A document of each collection as version 1 was written; the list for new listeners is of before it had a version."""
    documents: dict[str, dict[str, Any]] = json_util.loads(
        (DATA / "stream-documents-v1.json").read_text(encoding="utf-8"),
        json_options=json_util.JSONOptions(tz_aware=True),
    )
    return documents


def test_lists_of_version_1_are_read(stream_documents: dict[str, dict[str, Any]]) -> None:
    lists = stream_documents["recommendations"], stream_documents["list for new listeners"]
    assert [stored_list_from(each) for each in lists] == [
        StoredList(7, 16, ("folk04", "jazz07")),
        StoredList(2, 0, ("folk04",)),
    ]
    assert stored_mixes_from(stream_documents["mixes"]) == StoredMixes(16, "2026-W48", ("jazz07",))


def test_what_version_1_noted_is_read(stream_documents: dict[str, dict[str, Any]]) -> None:
    deletion, refusal, feed = (stream_documents[name] for name in ("deletions", "refusals", "feeds"))
    deleted_at, refused_at = datetime(2026, 11, 22, 8, tzinfo=UTC), refusal["at"]
    assert deleted_at_from(deletion) == deleted_at
    assert resume_token_from(feed) == {"_data": "8265"}
    assert {"_id": "bo", **deletion_fields(deleted_at)} == deletion | {"version": 3, "ends": []}
    assert deletion_from(deletion) == Deletion(deleted_at, is_noted=False)
    assert refusal | refusal_fields(refused_at) == refusal
    assert feed | feed_fields({"_data": "8265"}, 1795435440.25) == feed


def test_the_same_lists_make_the_documents_of_version_1(stream_documents: dict[str, dict[str, Any]]) -> None:
    recommendations, mixes = stream_documents["recommendations"], stream_documents["mixes"]
    made_at = recommendations["generated_at"]
    profile = Profile("ana", generation=7, events_applied=16, mixes_at=made_at.timestamp())
    assert stored(list_document(profile, recommendations["items"], "20261120T200000Z", made_at)) == stored(
        recommendations
    )
    document = mixes_document(profile, mixes["lists"], "20261120T200000Z", "2026-W48", ["jazz07"])
    assert stored(document) == stored(mixes)


def test_the_list_for_new_listeners_has_the_fields_of_every_list(stream_documents: dict[str, dict[str, Any]]) -> None:
    items = [{"track_id": "a", "rank": 1}]
    first = new_listeners_document(items, "m1", None)
    own = list_document(Profile("ana"), items, "m1", NOON)
    assert first.keys() == own.keys() == stream_documents["recommendations"].keys()
    assert (first["_id"], first["version"], first["generation"]) == (NEW_LISTENERS, LIST_VERSION, 1)
    assert new_listeners_document(items, "m1", first) == first
    changed = new_listeners_document(items, "m2", first)
    assert (changed["generation"], changed["model_version"]) == (2, "m2")


def test_an_unchanged_list_of_before_versions_gets_one(stream_documents: dict[str, dict[str, Any]]) -> None:
    before = stream_documents["list for new listeners"]
    assert "version" not in before
    again = new_listeners_document(before["items"], before["model_version"], before)
    assert again == before | {"version": LIST_VERSION}, "the same list, made when it was made"
