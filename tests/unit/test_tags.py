"""Tags of every format, and names where there are none."""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath

import mutagen
import pytest
from mutagen.id3 import ID3, TALB, TCOM, TCON, TDRC, TIT2, TPE1, TRCK, WCOP, WOAR

from batch.tags.file_tags import FileTags, file_tags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from mutated_files import whole_file  # noqa: E402

EXPECTED = FileTags(
    title="Food",
    artist="AWOL",
    album="A Way Of Life",
    genre="Hip-Hop",
    composer="Nobody",
    track_number=3,
    year=2008,
    licence="https://creativecommons.org/licenses/by/4.0/",
    artists=("AWOL",),
    genre_tags=("Hip-Hop",),
)
FRAMES = [
    TIT2(text="Food"),
    TPE1(text="AWOL"),
    TALB(text="A Way Of Life"),
    TCON(text="(7)"),
    TCOM(text="Nobody"),
    TRCK(text="3/12"),
    TDRC(text="2008-11-26"),
    WCOP(url="https://creativecommons.org/licenses/by/4.0/"),
    WOAR(url="https://example.org/awol"),
]


@pytest.mark.parametrize("suffix", ["mp3", "wav", "aiff", "aac"])
def test_id3_is_read_wherever_it_is(suffix: str, tmp_path: Path) -> None:
    path = whole_file(tmp_path / f"a.{suffix}", 1)
    if suffix == "aac":
        id3 = ID3()
    else:
        file = mutagen.File(path)
        file.add_tags()
        id3 = file.tags
    for frame in FRAMES:
        id3.add(frame)
    id3.save(path)
    assert file_tags(path, tmp_path) == EXPECTED


@pytest.mark.parametrize("suffix", ["flac", "ogg", "opus"])
def test_comments_are_read(suffix: str, tmp_path: Path) -> None:
    path = whole_file(tmp_path / f"a.{suffix}", 1)
    file = mutagen.File(path)
    file["TITLE"], file["ARTIST"], file["ALBUM"], file["GENRE"] = "Food", "AWOL", "A Way Of Life", "Hip-Hop"
    file["COMPOSER"], file["TRACKNUMBER"], file["DATE"], file["LICENSE"] = (
        "Nobody",
        "03",
        "26.11.2008",
        EXPECTED.licence,
    )
    file.save()
    assert file_tags(path, tmp_path) == EXPECTED


def test_an_mp4_has_atoms(tmp_path: Path) -> None:
    path = whole_file(tmp_path / "a.m4a", 1)
    file = mutagen.File(path)
    file["\xa9nam"], file["\xa9ART"], file["\xa9alb"], file["\xa9gen"] = "Food", "AWOL", "A Way Of Life", "Hip-Hop"
    file["trkn"], file["\xa9day"], file["cprt"] = [(3, 12)], "2008", "CC BY"
    file.save()
    tags = file_tags(path, tmp_path)
    assert (tags.title, tags.artist, tags.album, tags.genre) == ("Food", "AWOL", "A Way Of Life", "Hip-Hop")
    assert (tags.track_number, tags.year, tags.licence) == (3, 2008, "CC BY")


def test_without_tags_the_names_tell(tmp_path: Path) -> None:
    root = PurePosixPath("/music")
    file = whole_file(tmp_path / "a.flac", 1)
    assert file_tags(root / "Ana" / "First\nalbum" / "01 Song.flac", root, file) == FileTags(
        "01 Song", "Ana", "First album", artists=("Ana",)
    )
    assert file_tags(root / "Ana" / "Song.flac", root, file) == FileTags("Song", "Ana", artists=("Ana",))
    assert file_tags(root / "Song.flac", root, file) == FileTags("Song")
    assert file_tags(root / "\n.flac", root, file) == FileTags("Untitled")


def test_spoiled_tags_are_no_tags(tmp_path: Path) -> None:
    path = tmp_path / "Song.mp3"
    path.write_bytes(b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + b"TIT2\xff\xff\xff\xff" * 20)
    assert file_tags(path, tmp_path) == FileTags("Song")
