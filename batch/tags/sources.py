"""The tags that a file has, best first, each as {name: texts}.

Names are those of Vorbis comments in small letters, whatever the format calls them. A tag that cannot be read counts as none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

from batch.audio.containers import container, id3_size
from batch.tags.ape import ape_items
from batch.tags.chunks import LONGEST_TAG_CHUNK, id3_and_info
from batch.tags.text import UnicodeText, decoded

Tags = dict[str, list[str]]
"""Texts by name; those of fields that are Unicode by their standard are of class UnicodeText."""

_ID3_FRAMES = {
    "TIT2": "title",
    "TPE1": "artist",
    "TPE2": "albumartist",
    "TALB": "album",
    "TCON": "genre",
    "TCOM": "composer",
    "TRCK": "tracknumber",
    "TPOS": "discnumber",
    "TDRC": "date",
    "TDRL": "releasedate",
    "TDOR": "originaldate",
    "WCOP": "license",
    "TCOP": "copyright",
    "TCMP": "compilation",
}
_MP4_ATOMS = {
    "\xa9nam": "title",
    "\xa9ART": "artist",
    "aART": "albumartist",
    "\xa9alb": "album",
    "\xa9gen": "genre",
    "\xa9wrt": "composer",
    "trkn": "tracknumber",
    "disk": "discnumber",
    "\xa9day": "date",
    "cprt": "copyright",
    "cpil": "compilation",
}
_OTHER_NAMES = {
    "album artist": "albumartist",
    "album_artist": "albumartist",
    "track": "tracknumber",
    "disc": "discnumber",
    "disk": "discnumber",
    "part of a compilation": "compilation",
    "originalyear": "originaldate",
    "record date": "date",
    "musicbrainz track id": "musicbrainz_trackid",
    "musicbrainz album id": "musicbrainz_albumid",
    "musicbrainz artist id": "musicbrainz_artistid",
}
"""Names of comments, APEv2 items and ID3's own fields, where they are other ones."""
_MUSICBRAINZ_OWNER = "http://musicbrainz.org"
"""Of the ID3 frame UFID that holds the recording's id."""
_NAMING = frozenset({"title", "artist", "artists", "album", "albumartist"})


def tag_sources(path: Path) -> list[Tags]:
    """The file's tags, best first.  Raises OSError where it cannot be opened."""
    kind = container(path)
    if kind == "mp4":
        return _read(path, _mp4)
    if kind == "ogg":
        return _read(path, _ogg)
    if kind in ("wav", "aiff"):
        return _read(path, _riff_id3, _riff_info, _id3)
    own = [_flac] if kind == "flac" else []
    sources = _read(path, *own, _id3, _second_id3, _ape)
    is_named = any(name in _NAMING for tags in sources for name in tags)
    return sources if is_named else [*sources, *_read(path, _id3v1)]  # it cuts names


def _read(path: Path, *readers: Callable[[Path], Tags]) -> list[Tags]:
    """The tags that the readers find."""
    sources = []
    for reader in readers:
        try:
            tags = reader(path)
        except Exception:  # noqa: BLE001 - mutagen raises any exception on damaged headers
            continue
        if tags:
            sources.append(tags)
    return sources


def _flac(path: Path) -> Tags:
    tags: Any = _lossless_readers()[0](path).tags
    return _comments(tags or [])


def _ogg(path: Path) -> Tags:
    from mutagen import File

    file = File(path, options=_lossless_readers()[1:])
    return _comments(file.tags if file is not None and file.tags is not None else [])


@lru_cache
def _lossless_readers() -> list[Any]:
    """mutagen's readers of FLAC and of each kind of Ogg, whose texts keep bytes that are not UTF-8, as lone surrogates."""
    from mutagen.flac import FLAC, VCFLACDict
    from mutagen.oggflac import OggFLAC
    from mutagen.oggopus import OggOpus
    from mutagen.oggspeex import OggSpeex
    from mutagen.oggtheora import OggTheora
    from mutagen.oggvorbis import OggVorbis

    def lossless(comments: Any, framing: bool) -> Any:
        def load(self: Any, fileobj: Any, errors: str = "surrogateescape", framing: bool = framing) -> Any:
            return comments.load(self, fileobj, errors, framing)

        return type(comments.__name__, (comments,), {"load": load})

    own_comments = lossless(VCFLACDict, framing=False)
    blocks = [own_comments if block is VCFLACDict else block for block in FLAC.METADATA_BLOCKS]
    ogg: list[Any] = [OggVorbis, OggOpus, OggFLAC, OggSpeex, OggTheora]
    return [
        type("FLAC", (FLAC,), {"METADATA_BLOCKS": blocks}),
        *(type(kind.__name__, (kind,), {"_Tags": lossless(kind._Tags, framing=True)}) for kind in ogg),
    ]


def _comments(pairs: Iterable[tuple[str, str]]) -> Tags:
    """The texts of Vorbis comments; those that are not UTF-8, against their standard, are read as Latin-1."""
    tags: Tags = {}
    for name, text in pairs:
        tags.setdefault(_name(name), []).append(decoded(text.encode("utf-8", "surrogateescape")))
    return tags


def _mp4(path: Path) -> Tags:
    from mutagen.mp4 import MP4

    tags: Tags = {}
    atoms: Any = MP4(path).tags
    for atom, values in (atoms or {}).items():
        name = _MP4_ATOMS.get(atom) or _name(atom.rpartition(":")[2])
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, tuple):  # number and total
                value = "/".join(str(number) for number in value if number) if value[0] else ""
            text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
            tags.setdefault(name, []).append(UnicodeText(text))
    return tags


def _id3(path: Path) -> Tags:
    from mutagen.id3 import ID3

    return _texts(ID3(path, load_v1=False).values())


def _second_id3(path: Path) -> Tags:
    """Of the tag that follows the first one: a tagger that does not know another's version puts its own before it."""
    from mutagen.id3 import ID3

    with open(path, "rb") as file:
        if not (first_bytes := id3_size(file.read(10))):
            return {}
        file.seek(first_bytes)
        head = file.read(10)
        if not (second_bytes := id3_size(head)):
            return {}
        content = head + file.read(min(second_bytes, LONGEST_TAG_CHUNK) - len(head))
    return _texts(ID3(BytesIO(content)).values())


def _id3v1(path: Path) -> Tags:
    from mutagen.id3 import ParseID3v1

    with open(path, "rb") as file:
        file.seek(-128, 2)
        frames = ParseID3v1(file.read(128)) or {}
    tags = _texts(frames.values())
    is_filled_in = any(text.strip() for name in _NAMING for text in tags.get(name, ()))
    return tags if is_filled_in else {}  # its genre is the one that the tagger leaves there, such as 0, Blues


def _ape(path: Path) -> Tags:
    tags: Tags = {}
    for name, text in ape_items(path):
        tags.setdefault(_name(name), []).append(text)
    return tags


def _riff_id3(path: Path) -> Tags:
    from mutagen.id3 import ID3

    content = id3_and_info(path)[0]
    return _texts(ID3(BytesIO(content)).values()) if content else {}


def _riff_info(path: Path) -> Tags:
    return id3_and_info(path)[1]


def _texts(frames: Iterable[Any]) -> Tags:
    """The texts of ID3 frames."""
    tags: Tags = {}
    for frame in frames:
        if frame.FrameID == "UFID" and frame.owner == _MUSICBRAINZ_OWNER:
            tags.setdefault("musicbrainz_trackid", []).append(frame.data.decode("ascii", "replace"))
        elif frame.FrameID == "RVA2" and frame.desc.lower() in ("track", "album"):
            tags.setdefault(f"replaygain_{frame.desc.lower()}_gain", []).append(f"{frame.gain:.4f} dB")
        name = _ID3_FRAMES.get(frame.FrameID)
        if name is None and frame.FrameID == "TXXX":
            name = _name(frame.desc)
        if name is None:
            continue
        texts = frame.genres if frame.FrameID == "TCON" else getattr(frame, "text", None) or [getattr(frame, "url", "")]
        kind = str if getattr(frame, "encoding", 0) == 0 else UnicodeText
        tags.setdefault(name, []).extend(kind(text) for text in texts)
    return tags


def _name(name: str) -> str:
    name = name.strip().lower()
    return _OTHER_NAMES.get(name, name)
