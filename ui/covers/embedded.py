"""Pictures inside of audio files: ID3, MP4, FLAC, Vorbis comments, APEv2."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

FRONT_COVER = 3
"""The picture type of ID3 and FLAC."""
MAX_PICTURE_BYTES = 20 << 20
"""A larger picture is passed over."""
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip")
_APE_NAMES = ("cover art (front)", "cover art (media)", "cover art (other)")

Picture = tuple[int, bytes]
"""(type as in ID3, content)"""


def embedded_pictures(file: BinaryIO) -> list[bytes]:
    """The pictures of an audio file, front covers first. What cannot be read counts as none."""
    pictures: list[Picture] = []
    for read in _readers(file.read(12)):
        file.seek(0)
        try:
            pictures += read(file)
        except Exception:  # noqa: BLE001, S112 - mutagen raises any exception on damaged files
            continue
    usable = [picture for picture in pictures if 0 < len(picture[1]) <= MAX_PICTURE_BYTES]
    return [content for _, content in sorted(usable, key=lambda picture: picture[0] != FRONT_COVER)]


def _readers(head: bytes) -> tuple[Callable[[BinaryIO], Iterable[Picture]], ...]:
    if head[:4] == b"fLaC":
        return (_flac,)
    if head[4:8] in _MP4_BOXES:
        return (_mp4,)
    if head[:4] == b"OggS":
        return (_ogg,)
    if head[:4] in (b"RIFF", b"FORM"):
        return (_chunks,)
    return _id3, _flac, _ape  # ID3 may stand before FLAC


def _id3(file: BinaryIO) -> Iterator[Picture]:
    from mutagen.id3 import ID3

    return _frames(ID3(file, load_v1=False))


def _chunks(file: BinaryIO) -> Iterator[Picture]:
    from mutagen.aiff import AIFF
    from mutagen.wave import WAVE

    kind: Any = AIFF if file.read(4) == b"FORM" else WAVE
    file.seek(0)
    return _frames(kind(file).tags or {})


def _frames(tags: Any) -> Iterator[Picture]:
    return ((int(frame.type), frame.data) for frame in tags.values() if frame.FrameID == "APIC")


def _mp4(file: BinaryIO) -> Iterator[Picture]:
    from mutagen.mp4 import MP4

    tags: Any = MP4(file).tags
    return ((FRONT_COVER, bytes(cover)) for cover in (tags or {}).get("covr", ()))


def _flac(file: BinaryIO) -> list[Picture]:
    from mutagen.flac import FLAC

    flac = FLAC(file)
    return [*((picture.type, picture.data) for picture in flac.pictures), *_in_comments(flac.tags)]


def _ogg(file: BinaryIO) -> list[Picture]:
    from mutagen import File
    from mutagen.oggflac import OggFLAC
    from mutagen.oggopus import OggOpus
    from mutagen.oggspeex import OggSpeex
    from mutagen.oggtheora import OggTheora
    from mutagen.oggvorbis import OggVorbis

    ogg: Any = File(file, options=[OggVorbis, OggOpus, OggFLAC, OggSpeex, OggTheora])
    return [] if ogg is None else _in_comments(ogg.tags)


def _in_comments(tags: Any) -> list[Picture]:
    """The pictures in Vorbis comments: whole blocks, and the covers that old taggers wrote."""
    from mutagen.flac import Picture as Block

    pictures = []
    for name, text in tags or ():
        if name.lower() not in ("metadata_block_picture", "coverart") or len(text) > 2 * MAX_PICTURE_BYTES:
            continue
        try:
            content = base64.b64decode(text)
            block = Block(content) if name.lower() == "metadata_block_picture" else None
        except Exception:  # noqa: BLE001, S112 - of one damaged picture
            continue
        pictures.append((FRONT_COVER, content) if block is None else (block.type, block.data))
    return pictures


def _ape(file: BinaryIO) -> list[Picture]:
    from mutagen.apev2 import APEv2

    items = {name.lower(): value for name, value in APEv2(file).items()}
    contents = (bytes(items[name].value).partition(b"\0")[2] for name in _APE_NAMES if name in items)
    return [(FRONT_COVER, content) for content in contents]
