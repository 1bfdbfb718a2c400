"""Five hundred spoiled tags of every kind: whatever is left of them is read, and nothing escapes as an exception."""

from __future__ import annotations

import struct
import sys
import unicodedata
from io import BytesIO
from pathlib import Path

import mutagen
import numpy as np
from mutagen.apev2 import APEv2
from mutagen.id3 import APIC, COMM, ID3, TALB, TCON, TDRC, TIT2, TPE1, TPOS, TRCK, TXXX

from batch.library.extraction import read_file
from batch.library.tracks import FILE_TAGS
from batch.tags.file_tags import FileTags, file_tags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from mutated_files import spoiled, whole_file  # noqa: E402

FILES = 500
TAG_BYTES = 6000
"""Of the beginning and of the end of a file: where its tags are."""
TEXTS = ("title", "artist", "album", "genre", "composer", "licence", "album_artist")


def id3(version: int, encoding: int) -> bytes:
    tag, content = ID3(), BytesIO()
    for frame in (TIT2, TPE1, TALB):
        tag.add(frame(encoding=encoding, text=["Ein Lied ü", "Zwei"]))
    tag.add(TCON(encoding=encoding, text="(17)(4)Disco"))
    tag.add(TRCK(encoding=0, text="3/12"))
    tag.add(TPOS(encoding=0, text="1/2"))
    tag.add(TDRC(encoding=0, text="20050103"))
    tag.add(TXXX(encoding=encoding, desc="ARTISTS", text=["Ada", "Bo"]))
    tag.add(COMM(encoding=encoding, lang="eng", desc="", text="x" * 300))
    tag.add(APIC(encoding=encoding, mime="image/png", type=3, desc="cover", data=bytes(range(256)) * 4))
    tag.save(content, v2_version=version, v1=0)
    return content.getvalue()


def id3v1() -> bytes:
    return b"TAG" + b"Ein Lied \xfc".ljust(30, b"\0") + b"Ana".ljust(30) + bytes(30) + b"1998" + bytes(29) + b"\x03\x11"


def info() -> bytes:
    texts = b"".join(name + struct.pack("<I", 6) + b"Wiese\0" for name in (b"INAM", b"IART", b"IPRD", b"IGNR"))
    return b"LIST" + struct.pack("<I", 4 + len(texts)) + b"INFO" + texts


def tagged_files(folder: Path) -> list[bytes]:
    """Small files, each with tags of another kind."""
    mp3 = whole_file(folder / "a.mp3", 1).read_bytes()
    flac = whole_file(folder / "a.flac", 1).read_bytes()
    wav = whole_file(folder / "a.wav", 1).read_bytes()
    aiff = whole_file(folder / "a.aiff", 1).read_bytes()
    aac = whole_file(folder / "a.aac", 1).read_bytes()
    chunk = id3(3, 1)
    contents = [id3(3, 1) + mp3, id3(4, 3) + mp3 + id3v1(), mp3 + id3v1(), id3(3, 0) + flac, id3(4, 3) + aac]
    contents += [wav + info() + b"id3 " + struct.pack("<I", len(chunk)) + chunk, wav + info()]
    contents += [aiff + b"ID3 " + struct.pack(">I", len(chunk)) + chunk]
    path = folder / "ape.mp3"
    path.write_bytes(mp3)
    ape = APEv2()
    ape["Title"], ape["Artist"], ape["Track"] = "Ein Lied", ["Ada", "Bo"], "3/9"
    ape.save(path)
    contents.append(path.read_bytes() + id3v1())
    for name in ("b.flac", "b.ogg", "b.opus", "b.m4a"):
        path = whole_file(folder / name, 2)
        file = mutagen.File(path)
        if name == "b.m4a":
            file["\xa9nam"], file["\xa9ART"], file["trkn"], file["covr"] = (
                "Ein Lied",
                ["Ada", "Bo"],
                [(3, 12)],
                [b"\x89PNG" * 99],
            )
        else:
            file["TITLE"], file["ARTIST"], file["DATE"], file["LYRICS"] = "Ein Lied", ["Ada", "Bo"], "2005", "la " * 999
        file.save()
        contents.append(path.read_bytes())
    return contents


def with_spoiled_tags(content: bytes, random: np.random.Generator) -> bytes:
    if len(content) < 2 * TAG_BYTES:
        return spoiled(content, random)
    if random.random() < 0.5:
        return spoiled(content[:TAG_BYTES], random) + content[TAG_BYTES:]
    return content[:-TAG_BYTES] + spoiled(content[-TAG_BYTES:], random)


def assert_sound(tags: FileTags) -> None:
    texts = [value for name in TEXTS if (value := getattr(tags, name)) is not None]
    for text in (*texts, *(tags.artists or ()), *(tags.genre_tags or ())):
        assert 0 < len(text) <= 1000 and not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text)
        assert text == unicodedata.normalize("NFC", text)
    assert tags.year is None or 1500 <= tags.year < 2100
    assert all(number is None or 0 < number < 10_000 for number in (tags.track_number, tags.disc_number))


def test_five_hundred_spoiled_tags_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    random = np.random.default_rng(15)
    contents = tagged_files(tmp_path)
    read_with_title = 0
    for number in range(FILES):
        path = tmp_path / "spoiled" / f"{number}.mp3"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(with_spoiled_tags(contents[number % len(contents)], random))
        tags = file_tags(path, tmp_path)
        assert_sound(tags)
        read_with_title += tags.title != path.stem
    assert read_with_title > FILES / 3  # a spoiled place rarely costs all of them


def test_whole_tags_are_all_read(tmp_path: Path) -> None:
    for number, content in enumerate(tagged_files(tmp_path)):
        path = tmp_path / f"{number} whole.mp3"
        path.write_bytes(content)
        columns = read_file("parts", str(path), str(tmp_path))
        assert set(columns) == set(FILE_TAGS.names) and columns["title"] != path.stem, number
