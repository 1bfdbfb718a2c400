"""A made library for `bench/player.py`: documents of MongoDB as large as those of `publish`, albums, artists, and some covers.

Titles and names are drawn from a fixed seed, features are random: they serve to measure time, never quality.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

from batch.discography import collections
from batch.discography.albums import TrackEntry, album_documents, album_ids
from batch.discography.artists import artist_documents, artist_ids
from batch.discography.names import sort_key

SYLLABLES = [a + b for a in "bdfklmnrstv" for b in "aeio"]
WORDS = 30_000
ALBUM_TRACKS = 12
ARTIST_TRACKS = 36
ALBUMS_WITH_PICTURE = 300
"""The latest albums have folders with a `cover.jpg`; the others get drawn covers."""
PICTURE_SIZE_PX = 1200
TONE_S = 20
GENRES = 16
FIRST_ADDED = datetime(2025, 1, 1, tzinfo=UTC)
LIST_ITEMS = 30
CHUNK_TRACKS = 2000


@dataclass(frozen=True)
class MadeLibrary:
    """ids : of the tracks, in order;  words : those that titles and names are made of"""

    ids: list[str]
    words: list[str]

    def new_list(self, db: Any, listener: str, generation: int) -> None:
        """Writes a list of recommendations as the stream does."""
        draw = random.Random(f"{listener} {generation}")
        items = [
            {
                "track_id": track_id,
                "rank": rank,
                "score": 1 / rank,
                "because": draw.sample(self.ids, 3),
                "reason": "made",
            }
            for rank, track_id in enumerate(draw.sample(self.ids, LIST_ITEMS), start=1)
        ]
        header = {
            "generation": generation,
            "generated_at": datetime.now(UTC),
            "model_version": "made",
            "events_applied": 1,
        }
        db.recommendations.replace_one({"_id": listener}, {"items": items, **header}, upsert=True)


def made_library(db: Any, folder: Path, count: int) -> MadeLibrary:
    """The library of so many tracks, published unless it is there."""
    draw = random.Random(1)
    words = ["".join(draw.choice(SYLLABLES) for _ in range(draw.randint(1, 4))) for _ in range(WORDS)]
    library = MadeLibrary([f"{number:016x}" for number in range(count)], words)
    if db.tracks.estimated_document_count() == count and db.albums.estimated_document_count():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    noise = (0.1 * np.random.default_rng(0).standard_normal(TONE_S * 22_050)).astype("float32")
    soundfile.write(folder / "tone.ogg", noise, 22_050)
    for name in ("tracks", "albums", "artists"):
        db[name].drop()
    entries = list(_entries(library, folder))
    album_by_track = album_ids(entries)
    for start in range(0, count, CHUNK_TRACKS):
        db.tracks.insert_many(_documents(entries[start : start + CHUNK_TRACKS], album_by_track, start), ordered=False)
    albums = album_documents(entries, album_by_track)
    collections.write(db, albums, artist_documents(entries, albums))
    collections.ensure_indexes(db)
    return library


def _entries(library: MadeLibrary, folder: Path) -> Iterator[TrackEntry]:
    """The tracks, in albums of ALBUM_TRACKS, each by one artist."""
    starts = range(0, len(library.ids), ALBUM_TRACKS)
    for album, start in enumerate(starts):
        draw = random.Random(start)
        artist = _phrase(random.Random(-1 - album * ALBUM_TRACKS // ARTIST_TRACKS), library.words, 2)
        title, year = f"{_phrase(draw, library.words, 3)} {album}", draw.randrange(1950, 2026)
        has_picture = album >= len(starts) - ALBUMS_WITH_PICTURE
        path = _album_with_picture(folder, album) if has_picture else folder / "tone.ogg"
        for number, track_id in enumerate(library.ids[start : start + ALBUM_TRACKS], start=1):
            yield TrackEntry(
                track_id=track_id,
                title=_phrase(draw, library.words, 4),
                artist=artist,
                album=title,
                track_number=number,
                year=year,
                duration_s=float(TONE_S),
                path=str(path),
                genre=f"Genre {draw.randrange(GENRES)}",
                found_at=FIRST_ADDED + timedelta(minutes=album),
                sha256=track_id,
            )


def _album_with_picture(folder: Path, album: int) -> Path:
    """A file in a folder of the album's own, beside a picture as large as those of shops."""
    place = folder / f"album {album}"
    tone = place / "tone.ogg"
    if not place.exists():
        place.mkdir()
        tone.symlink_to(folder / "tone.ogg")
        pixels = np.random.default_rng(album).integers(0, 255, (PICTURE_SIZE_PX // 8, PICTURE_SIZE_PX // 8, 3), "uint8")
        Image.fromarray(pixels).resize((PICTURE_SIZE_PX, PICTURE_SIZE_PX)).save(place / "cover.jpg")
    return tone


def _documents(entries: list[TrackEntry], album_by_track: dict[str, str], seed: int) -> Iterator[dict[str, Any]]:
    draw, rng = random.Random(seed), np.random.default_rng(seed)
    ids = [entry.track_id for entry in entries]
    for entry in entries:
        yield {
            "_id": entry.track_id,
            "title": entry.title,
            "artist": entry.artist,
            "album": entry.album,
            "album_id": album_by_track[entry.track_id],
            "artist_ids": artist_ids(entry),
            "sort_title": sort_key(entry.title),
            "sort_artist": sort_key(entry.artist),
            "sort_album": sort_key(entry.album),
            "track_number": entry.track_number,
            "year": entry.year,
            "genre": entry.genre,
            "licence": "CC BY 4.0",
            "duration_s": entry.duration_s,
            "path": entry.path,
            "added_at": entry.found_at,
            "features": rng.standard_normal(189).tolist(),
            "similar": [{"track_id": draw.choice(ids), "score": 0.5} for _ in range(50)],
            "map": rng.uniform(-1, 1, 2).tolist(),
        }


def _phrase(draw: random.Random, words: list[str], max_words: int) -> str:
    return " ".join(draw.choice(words) for _ in range(draw.randint(1, max_words))).title()
