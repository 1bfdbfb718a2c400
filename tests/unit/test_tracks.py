"""Which file is which track: what is unchanged, moved, changed, swapped, doubled or gone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from batch.library.files import AudioFile
from batch.library.identity import FileContent, FileToRead, TrackIdentities
from batch.library.tracks import TRACKS, Track

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
TUESDAY = MONDAY + timedelta(days=1)
ROOT = "/music"


def sha(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def files(content_by_name: Mapping[str, str]) -> list[AudioFile]:
    """Files by {name: content}; another content has another time of change."""
    return [AudioFile(f"{ROOT}/{name}", 100, int(sha(content)[:8], 16)) for name, content in content_by_name.items()]


class Visit:
    """One extraction of a library: new and changed files are read and get their tracks."""

    def __init__(
        self,
        tracks: Iterable[Track],
        content_by_name: Mapping[str, str],
        now: datetime,
        other_libraries: Mapping[str, str] | None = None,
    ) -> None:
        tracks = list(tracks)
        pairs = [(track_id, digest) for digest, track_id in (other_libraries or {}).items()]
        identities = TrackIdentities(ROOT, tracks, files(content_by_name), pairs)
        waiting = [each.file for each in identities.files_to_read({track.track_id for track in tracks}, {})]
        self.read = [file.path.removeprefix(f"{ROOT}/") for file in waiting]
        contents = [content_by_name[name] for name in self.read]
        shas = [content if len(content) == 64 else sha(content) for content in contents]
        read = [
            FileContent(file, digest, 1.0, {"title": content})
            for file, digest, content in zip(waiting, shas, contents, strict=True)
        ]
        self.taken = identities.assign(read, now)
        self.lost = identities.remove_missing_files(now)
        after = {track.track_id: track for track in tracks}
        after |= {track.track_id: track for _, track in self.taken}
        after |= {track.track_id: track for track in self.lost}
        self.tracks = list(after.values())
        self.ids = {
            file.path.removeprefix(f"{ROOT}/"): track.track_id
            for track in identities.present_tracks
            for file in track.files
        }


def test_a_new_file_is_a_track_named_by_its_content() -> None:
    visit = Visit([], {"a.mp3": "one"}, MONDAY)
    assert visit.ids == {"a.mp3": sha("one")[:16]}
    assert (visit.tracks[0].title, visit.tracks[0].found_at, visit.tracks[0].gone_at) == ("one", MONDAY, None)


def test_an_unchanged_file_is_not_read_again() -> None:
    first = Visit([], {"a.mp3": "one", "b.mp3": "two"}, MONDAY)
    again = Visit(first.tracks, {"a.mp3": "one", "b.mp3": "two"}, TUESDAY)
    assert (again.read, again.taken, again.lost) == ([], [], [])
    assert again.ids == first.ids


def test_a_track_without_current_features_is_read_again() -> None:
    first = Visit([], {"a.mp3": "one"}, MONDAY)
    existing = files({"a.mp3": "one"})
    unread = TrackIdentities(ROOT, first.tracks, existing).files_to_read(set(), {})
    assert unread == [FileToRead(existing[0], sha("one"))]  # its hash is known


def test_a_file_whose_times_were_set_back_is_read_again() -> None:
    """A retag that keeps size and time of change: the file system's own time tells."""
    (before,) = files({"a.mp3": "one"})
    track = Track("1", ROOT, "One", sha("one"), (replace(before, ctime_ns=5),), MONDAY)
    for ctime_ns, expected in ((5, []), (6, [FileToRead(replace(before, ctime_ns=6))])):
        identities = TrackIdentities(ROOT, [track], [replace(before, ctime_ns=ctime_ns)])
        assert identities.files_to_read({"1"}, {}) == expected


def test_tables_and_stores_without_that_time_go_by_size_and_time_of_change() -> None:
    (file,) = files({"a.mp3": "one"})
    for before, after in ((None, 6), (6, None), (None, None)):
        track = Track("1", ROOT, "One", sha("one"), (replace(file, ctime_ns=before),), MONDAY)
        identities = TrackIdentities(ROOT, [track], [replace(file, ctime_ns=after)])
        assert identities.files_to_read({"1"}, {}) == [] and identities.remove_missing_files(TUESDAY) == []


def test_a_newer_reader_of_tags_reads_files_again_whose_content_is_known() -> None:
    (file,) = files({"a.mp3": "one"})
    track = Track("1", ROOT, "One", sha("one"), (file,), MONDAY, tag_reader=1)
    identities = TrackIdentities(ROOT, [track], [file])
    assert identities.files_to_read({"1"}, {}, tag_reader=1) == []
    assert identities.files_to_read({"1"}, {}, tag_reader=2) == [FileToRead(file, sha("one"))]
    parts = {"1": frozenset({"vector"})}
    assert identities.parts_by_content(parts) == {sha("one"): frozenset({"vector"})}
    (assigned,) = identities.assign([FileContent(file, sha("one"), None, {"title": "Une", "tag_reader": 2})], TUESDAY)
    assert assigned[1] == replace(track, title="Une", tag_reader=2)


def test_a_refused_file_gets_no_second_try_until_it_changes() -> None:
    before, after = files({"a.mp3": "text"}), files({"a.mp3": "other text"})
    refused = {before[0].path: before[0]}
    assert TrackIdentities(ROOT, [], before).files_to_read(set(), refused) == []
    assert TrackIdentities(ROOT, [], after).files_to_read(set(), refused) == [FileToRead(after[0])]


def test_a_moved_file_keeps_its_id() -> None:
    first = Visit([], {"a.mp3": "one"}, MONDAY)
    moved = Visit(first.tracks, {"new/a.mp3": "one"}, TUESDAY)
    assert moved.ids == {"new/a.mp3": first.ids["a.mp3"]}
    assert [track.found_at for track in moved.tracks] == [MONDAY]
    assert moved.lost == []


def test_a_changed_file_keeps_its_id() -> None:
    first = Visit([], {"a.mp3": "one"}, MONDAY)
    changed = Visit(first.tracks, {"a.mp3": "one, retagged"}, TUESDAY)
    assert changed.ids == first.ids
    assert [(track.title, track.sha256, track.found_at) for track in changed.tracks] == [
        ("one, retagged", sha("one, retagged"), MONDAY)
    ]


def test_swapped_files_swap_their_ids() -> None:
    first = Visit([], {"a.mp3": "one", "b.mp3": "two"}, MONDAY)
    swapped = Visit(first.tracks, {"a.mp3": "two", "b.mp3": "one"}, TUESDAY)
    assert swapped.ids == {"a.mp3": first.ids["b.mp3"], "b.mp3": first.ids["a.mp3"]}
    assert swapped.lost == []


def test_content_that_moved_keeps_its_id_and_what_took_its_place_gets_a_new_one() -> None:
    first = Visit([], {"a.mp3": "one"}, MONDAY)
    later = Visit(first.tracks, {"a.mp3": "two", "z.mp3": "one"}, TUESDAY)
    assert later.ids == {"z.mp3": first.ids["a.mp3"], "a.mp3": sha("two")[:16]}
    assert later.read == ["z.mp3", "a.mp3"]


def test_equal_files_are_one_track_with_two_paths() -> None:
    visit = Visit([], {"b.mp3": "one", "a.mp3": "one"}, MONDAY)
    assert len(visit.tracks) == 1
    row = visit.tracks[0].row()
    assert (row["path"], row["other_paths"]) == ("/music/a.mp3", ["/music/b.mp3"])


def test_a_track_that_loses_one_of_two_files_stays() -> None:
    first = Visit([], {"a.mp3": "one", "b.mp3": "one"}, MONDAY)
    later = Visit(first.tracks, {"b.mp3": "one"}, TUESDAY)
    assert later.ids == {"b.mp3": first.ids["a.mp3"]}
    assert [(track.path, track.gone_at) for track in later.lost] == [("/music/b.mp3", None)]


def test_a_changed_copy_is_a_track_of_its_own() -> None:
    first = Visit([], {"a.mp3": "one", "b.mp3": "one"}, MONDAY)
    later = Visit(first.tracks, {"a.mp3": "one", "b.mp3": "other"}, TUESDAY)
    assert later.ids == {"a.mp3": first.ids["a.mp3"], "b.mp3": sha("other")[:16]}


def test_a_track_without_files_is_gone_and_comes_back_as_it_was() -> None:
    first = Visit([], {"a.mp3": "one", "b.mp3": "two"}, MONDAY)
    without = Visit(first.tracks, {"b.mp3": "two"}, TUESDAY)
    assert [(track.title, track.gone_at) for track in without.lost] == [("one", TUESDAY)]
    assert Visit(without.tracks, {"b.mp3": "two"}, TUESDAY).lost == []
    back = Visit(without.tracks, {"a.mp3": "one", "b.mp3": "two"}, TUESDAY)
    assert back.ids == first.ids
    assert {track.found_at for track in back.tracks} == {MONDAY}
    assert {track.gone_at for track in back.tracks} == {None}


def test_contents_that_begin_alike_get_different_ids() -> None:
    first, second = "0123456789abcdef" + "1" * 48, "0123456789abcdef" + "2" * 48
    visit = Visit([], {"a.mp3": first, "b.mp3": second}, MONDAY)
    assert visit.ids == {"a.mp3": first[:16], "b.mp3": second[1:17]}


def test_an_id_that_a_changed_file_kept_is_not_given_again() -> None:
    first = Visit([], {"a.mp3": "one"}, MONDAY)
    changed = Visit(first.tracks, {"a.mp3": "two"}, TUESDAY)
    both = Visit(changed.tracks, {"a.mp3": "two", "b.mp3": "one"}, TUESDAY)
    assert both.ids == {"a.mp3": sha("one")[:16], "b.mp3": sha("one")[1:17]}


def test_content_that_another_library_knows_has_the_same_id_here() -> None:
    visit = Visit([], {"a.mp3": "one"}, MONDAY, {sha("one"): "their-id"})
    assert visit.ids == {"a.mp3": "their-id"}


def test_an_id_that_another_library_uses_does_not_pass_to_other_content() -> None:
    first = Visit([], {"a.mp3": "one"}, MONDAY, {sha("one"): "shared"})
    changed = Visit(first.tracks, {"a.mp3": "two"}, TUESDAY, {sha("one"): "shared"})
    assert changed.ids == {"a.mp3": sha("two")[:16]}
    assert [(track.track_id, track.gone_at) for track in changed.lost] == [("shared", TUESDAY)]


def test_a_track_comes_back_from_its_row() -> None:
    track = Visit([], {"a.mp3": "one", "b.mp3": "one"}, MONDAY).tracks[0]
    assert list(track.row()) == TRACKS.names
    assert Track.from_row(track.row()) == track


def test_a_row_of_an_older_table_is_a_track() -> None:
    track = Visit([], {"a.mp3": "one"}, MONDAY).tracks[0]
    row = track.row()
    loudness = ("track_gain_db", "track_peak", "album_gain_db", "album_peak")
    musicbrainz = ("musicbrainz_recording_id", "musicbrainz_release_id", "musicbrainz_artist_ids")
    earlier = ("artists", "genre_tags", "album_artist", "disc_number", "compilation", "tag_reader")
    for name in (*loudness, *musicbrainz, *earlier):
        del row[name]
    for file in row["files"]:
        del file["ctime_ns"]
    assert Track.from_row(row) == track


def test_what_is_out_of_reach_is_not_gone() -> None:
    first = Visit([], {"disk/a.mp3": "one", "disk/b.mp3": "two", "c.mp3": "three"}, MONDAY)
    identities = TrackIdentities(ROOT, first.tracks, files({"c.mp3": "three"}))
    assert identities.remove_missing_files(TUESDAY, [f"{ROOT}/disk"]) == []
    changed = identities.remove_missing_files(TUESDAY, [f"{ROOT}/disk/a.mp3"])
    assert [(track.title, track.gone_at) for track in changed] == [("two", TUESDAY)]


def test_an_id_from_elsewhere_is_taken_though_its_content_is_unknown() -> None:
    file = AudioFile("/fma/000/000002.mp3", 1, 1)
    for other_libraries, expected in (([], "2"), ([("2", None)], sha("one")[:16])):
        identities = TrackIdentities("/fma", [], [file], other_libraries)
        [(_, track)] = identities.assign([FileContent(file, sha("one"), 1.0, {"title": "one"}, "2")], MONDAY)
        assert track.track_id == expected
