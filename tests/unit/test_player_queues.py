"""A listener's queue as a document: what is written today is read tomorrow, and what cannot be read is left out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from ui.data.library import Track
from ui.playback.loudness import read_loudness
from ui.playback.queue_document import (
    MAX_ITEMS,
    MAX_LIST_TRACKS,
    PlaybackSettings,
    PlayContext,
    QueuedTrack,
    StoredQueue,
    joined,
    queue_fields,
    read_queue,
    read_settings,
    settings_fields,
)
from ui.playback.routes import SentQueue
from ui.playback.track_json import track_json

NINE = datetime(2026, 11, 23, 9, 0, 0, 250_000, tzinfo=UTC)
QUEUE = StoredQueue(
    current=QueuedTrack("folk01", "album", "", 12_000),
    items=(QueuedTrack("jazz03", "search"),),
    played=(QueuedTrack("jazz01", "for-you", "m7"),),
    context=PlayContext("album", "0123456789abcdef", "Hours", "#/album/0123456789abcdef", "album"),
    list_ahead=("folk02", "folk03"),
    list_played=("folk01",),
    order=("folk01", "folk02", "folk03"),
    seed=5,
    repeat="all",
    revision=7,
    device="phone",
    saved_at=NINE,
)


@pytest.fixture
def stored(player_documents: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return player_documents["queues"]


def test_a_document_of_version_1_is_read_and_written_as_it_was(stored: dict[str, Any]) -> None:
    assert read_queue(stored) == QUEUE
    assert read_settings(stored) == PlaybackSettings("album", 4, True)
    written = queue_fields(QUEUE, NINE) | settings_fields(read_settings(stored))
    assert written | {"_id": "ana", "revision": 7} == stored


def test_a_change_of_the_queue_keeps_the_settings_and_fields_of_a_later_version(stored: dict[str, Any]) -> None:
    assert not {"settings", "revision", "_id"} & set(queue_fields(QUEUE, NINE))
    later = stored | {"version": 9, "lyrics": True, "current": stored["current"] | {"speed": 2}}
    assert read_queue(later) == QUEUE


def test_missing_fields_have_defaults_and_unreadable_ones_are_left_out() -> None:
    assert read_queue({"_id": "ana"}) == StoredQueue()
    assert read_settings({"_id": "ana"}) == PlaybackSettings("track", 0, False)
    odd = {
        "current": {"source": "album"},
        "items": [7, None, {"track_id": 8}, {"track_id": "a", "source": 3}, {"track_id": "b\x00"}],
        "context": {"title": "of no kind"},
        "list_ahead": ["c", 9, None],
        "order": "abc",
        "shuffle": "yes",
        "seed": True,
        "repeat": "twice",
        "revision": "7",
    }
    assert read_queue(odd) == StoredQueue(items=(QueuedTrack("a"),), list_ahead=("c",))
    assert read_settings({"settings": {"replay_gain": "loud", "crossfade_s": 99}}) == PlaybackSettings("track", 12)


def test_a_document_holds_no_more_than_its_limits() -> None:
    ids = tuple(f"t{number}" for number in range(3000))
    fields = queue_fields(replace(QUEUE, items=tuple(map(QueuedTrack, ids)), list_ahead=ids, order=ids), NINE)
    assert (len(fields["items"]), len(fields["list_ahead"]), len(fields["order"])) == (
        MAX_ITEMS,
        MAX_LIST_TRACKS,
        MAX_LIST_TRACKS,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"revision": -1},
        {"items": [{"id": "a\x00"}]},
        {"items": [{"id": "a"}] * (MAX_ITEMS + 1)},
        {"list_ahead": ["a"] * (MAX_LIST_TRACKS + 1)},
        {"context": {"kind": "album", "address": "javascript:alert(1)"}},
        {"context": {"kind": "album", "address": "https://example.org/"}},
        {"repeat": "twice"},
        {"unknown": 1},
    ],
)
def test_what_pages_may_not_send_is_refused(change: dict[str, Any]) -> None:
    valid = {"revision": 0, "listener": "ana", "items": [{"id": "a"}]}
    assert SentQueue.model_validate(valid).items[0].id == "a"
    with pytest.raises(ValidationError):
        SentQueue.model_validate(valid | change)


def test_a_track_is_what_the_scripts_read_from_its_card() -> None:
    track = Track("a", "Ein Lied", "Ana", genre="Folk", duration_s=1.5, licence="CC BY 4.0")
    assert track_json(track, "album", "m7") == {
        "id": "a",
        "title": "Ein Lied",
        "artist": "Ana",
        "licence": "CC BY 4.0",
        "licenceUrl": "https://creativecommons.org/licenses/by/4.0/",
        "artistToMute": "Ana",
        "genreToMute": "Folk",
        "durationMs": 1500,
        "source": "album",
        "modelVersion": "m7",
    }
    assert track_json(Track("b"), "")["title"] == "Untitled"


def test_replay_gain_is_read_from_a_track() -> None:
    document = {"track_gain_db": -6.5, "track_peak": 0.9, "album_gain_db": float("nan"), "album_peak": "1"}
    assert read_loudness(document) == {"trackGainDb": -6.5, "trackPeak": 0.9, "albumGainDb": None, "albumPeak": None}
    assert set(read_loudness({}).values()) == {None}


def test_of_a_guests_queue_and_the_listeners_own_one_is_made_and_made_again_it_stays() -> None:
    a, b, c = (QueuedTrack(track_id, "search") for track_id in "abc")
    guest = StoredQueue(current=QueuedTrack("x", position_ms=9000), items=(a, b), revision=3)
    own = StoredQueue(
        items=(c, QueuedTrack("b")),
        current=c,
        context=PlayContext("mix"),
        list_ahead=("d",),
        shuffle=True,
        revision=7,
    )
    both = joined(guest, own)
    assert both == replace(own, items=(a, b, c), current=guest.current), "the listener's own list goes on"
    assert joined(guest, both) == both
    with_list = replace(guest, context=PlayContext("album"), list_ahead=("y",), list_played=("x",), order=("x", "y"))
    assert joined(with_list, own) == replace(
        both, context=PlayContext("album"), list_ahead=("y",), list_played=("x",), order=("x", "y")
    )
    assert joined(StoredQueue(), own) == own
    full = StoredQueue(items=tuple(QueuedTrack(str(number)) for number in range(MAX_ITEMS)))
    assert len(joined(full, own).items) == MAX_ITEMS
