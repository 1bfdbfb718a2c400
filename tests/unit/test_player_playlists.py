"""M3U files of any origin, and which tracks their lines mean."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ui.playlists.m3u import M3uLine, NotM3u, read_m3u, write_m3u
from ui.playlists.matching import match_lines
from ui.search.building import build_index

PATHS = {
    "t1": "/music/Brahms/Op 117/01 Intermezzo.mp3",
    "t2": "/music/Brahms/Op 118/01 Intermezzo.mp3",
    "t3": "/music/Björk/Post/03 Hyperballad.flac",
    "t4": "file:///music/A%20B/Song.ogg",
    "t5": "s3://bucket/x/only.mp3",
}
INDEX = build_index(
    [
        {"_id": "t1", "title": "Intermezzo in E flat", "artist": "Brahms"},
        {"_id": "t2", "title": "Intermezzo in A minor", "artist": "Brahms"},
        {"_id": "t3", "title": "Hyperballad", "artist": "Björk"},
        {"_id": "t4", "title": "Song - Part 2", "artist": "A - B"},
        {"_id": "t5", "title": "Only", "artist": ""},
    ]
)


@contextmanager
def seconds_of_work(limit_s: float) -> Iterator[None]:
    """Fails where the work takes more of the processor's time."""
    began_at = time.process_time()
    yield
    assert time.process_time() - began_at < limit_s


def matched(*lines: str) -> tuple[list[str], list[int]]:
    """(track ids, numbers of the lines that were not found) of a file with these lines."""
    matches = match_lines(read_m3u("\n".join(lines).encode()).lines, PATHS.items(), INDEX)
    return matches.track_ids, [line.number for line in matches.unmatched]


@pytest.mark.parametrize(
    ("line", "track_id"),
    [
        ("/music/Brahms/Op 117/01 Intermezzo.mp3", "t1"),
        ("Brahms/Op 118/01 Intermezzo.mp3", "t2"),
        ("../Op 118/01 Intermezzo.mp3", "t2"),
        ("D:\\Musik\\Brahms\\Op 117\\01 Intermezzo.mp3", "t1"),
        ("BJÖRK/post/03 hyperballad.FLAC", "t3"),
        ("Bjo\u0308rk/Post/03 Hyperballad.flac", "t3"),  # as macOS writes it
        ("file:///elsewhere/A%20B/Song.ogg", "t4"),
        ("only.mp3", "t5"),
        ("01 Intermezzo.mp3", None),  # two have this name
        ("/nowhere/else/only.mp3", None),  # another folder
        ("http://radio.example/stream", None),
    ],
)
def test_a_line_means_the_track_at_its_path(line: str, track_id: str | None) -> None:
    assert matched(line) == (([track_id], []) if track_id else ([], [1]))


def test_what_no_path_finds_is_found_by_artist_and_title() -> None:
    assert matched("#EXTM3U", "#EXTINF:215,Bjork - hyperballad", "/gone/x.mp3") == (["t3"], [])
    assert matched("#EXTINF:-1,A - B - Song - Part 2", "x.mp3") == (["t4"], []), "wherever artist and title are parted"
    assert matched("Brahms - Intermezzo in A minor.mp3") == (["t2"], []), "the name of the file"
    assert matched("#EXTINF:3,Nobody - Hyperballad", "y.mp3", "#EXTINF:3,", "z.mp3") == ([], [2, 4])


def test_each_track_comes_once_in_the_order_of_the_file() -> None:
    lines = ["only.mp3", "", "# a comment", "gone.mp3", "/music/Brahms/Op 117/01 Intermezzo.mp3", "only.mp3"]
    assert matched(*lines) == (["t5", "t1"], [4])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_of_any_encoding_are_read(encoding: str) -> None:
    m3u = read_m3u(
        "#EXTM3U\r\n#PLAYLIST:Abend ♪\r\n#EXTINF:12.5 tvg-id=1,Björk - Hyperballad\r\nä.mp3\r\n".encode(encoding)
    )
    assert m3u.name == "Abend ♪" and m3u.lines == [M3uLine(4, "ä.mp3", "Björk - Hyperballad")]
    assert read_m3u("#EXTINF:1,Möwe - Ä\nö.mp3".encode("cp1252")).lines == [M3uLine(2, "ö.mp3", "Möwe - Ä")]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "names no tracks"),
        (b"#EXTM3U\n#EXTINF:1,x\n", "names no tracks"),
        (b"ID3\x04\x00\x00\x01\xff\xfb", "not text"),
        (b"a.mp3\n" * 400_001, "400,001 lines"),
        (b"a.mp3\n" * 20_001, "20,001 tracks"),
    ],
)
def test_what_is_no_playlist_is_refused_with_the_reason(content: bytes, problem: str) -> None:
    with pytest.raises(NotM3u, match=problem):
        read_m3u(content)


def test_twenty_thousand_lines_are_matched() -> None:
    lines = [f"#EXTINF:1,Band - Nothing {number}\nfolder/{number}.mp3" for number in range(19_999)]
    ids, unmatched = matched(*lines, "Brahms/Op 118/01 Intermezzo.mp3")
    assert ids == ["t2"] and len(unmatched) == 19_999


@pytest.mark.parametrize(
    "line",
    [
        "#EXTINF:" + "1" * 4_000_000,
        "#EXTINF:1," + "a - " * 1_000_000,
        "a - " * 1_000_000 + ".mp3",
    ],
)
def test_a_line_made_to_take_long_takes_no_longer(line: str) -> None:
    with seconds_of_work(5):
        assert matched(line, "only.mp3")[0] == ["t5"]


def test_lines_that_many_tracks_might_be_take_no_longer() -> None:
    paths = [(f"t{number}", f"/music/{number}/01.mp3") for number in range(5_000)]
    index = build_index({"_id": track_id, "title": "", "artist": "a"} for track_id, _ in paths)
    lines = [M3uLine(number, f"x{number}/01.mp3", "b - ") for number in range(20_000)]
    with seconds_of_work(10):
        assert match_lines(lines, paths, index).track_ids == []


def test_what_is_written_is_read_again() -> None:
    written = write_m3u("Two\nlines", [("Björk - Hyper\nballad", 215.4, "Björk/3.flac"), ("Only", None, "x/only.mp3")])
    m3u = read_m3u(written.encode())
    assert m3u.name == "Two lines"
    assert m3u.lines == [M3uLine(4, "Björk/3.flac", "Björk - Hyper ballad"), M3uLine(6, "x/only.mp3", "Only")]
    assert "#EXTINF:215," in written and "#EXTINF:-1,Only" in written
