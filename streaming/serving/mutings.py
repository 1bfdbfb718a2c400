"""Rows of muted artists, genres and words, whatever the spelling of their names in case, blanks and diacritics.

The index has the artists' names as of the training, MongoDB those of now and the genres. So an artist's tracks are those of the
index whose artist is spelled alike, and those of MongoDB whose artist is spelled the same; a genre's are those of MongoDB whose
genre is spelled alike. The tracks of a word ("tag:mellow") are those of which the index says it.
"""

from __future__ import annotations

import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from batch.index.lsh import Rows
from batch.library.labels import spelling_key
from batch.words.vocabulary import tag_key
from conf.settings import Mongo
from streaming.events import TAG_KIND
from streaming.ranking.neighbour_cache import CachedIndex, sorted_unique
from streaming.serving.clients import database_of

if TYPE_CHECKING:
    from pymongo.database import Database

CACHED_TARGETS = 1000
TARGET_CACHE_S = 60.0
"""The tracks of a muted artist or genre, and the genres, are looked up again after this long."""


def muted_rows(targets: Sequence[str], mongo: Mongo, index: CachedIndex) -> Rows:
    """Rows of the tracks of muted artists, genres and words, sorted.  targets : "artist:NAME", "genre:NAME", "tag:NAME" """
    by_word = [index.rows_with(tag_key(name)) for kind, _, name in _parted(targets) if kind == TAG_KIND]
    names = [f"{kind}:{name}" for kind, _, name in _parted(targets) if kind != TAG_KIND]
    by_name = _muted_tracks(index, mongo).rows(names) if names else np.empty(0, dtype=np.int64)
    return sorted_unique(np.concatenate([by_name, *by_word]))


def _parted(targets: Sequence[str]) -> list[tuple[str, str, str]]:
    return [target.partition(":") for target in targets]


class MutedTracks:
    """The tracks of artists and genres in one index, cached for TARGET_CACHE_S."""

    def __init__(self, index: CachedIndex, mongo: Mongo) -> None:
        self._index = index.index
        self._mongo = mongo
        self._artist_rows = _ArtistRows(index)
        self._rows_by_target: OrderedDict[str, tuple[float, NDArray[np.int32]]] = OrderedDict()
        """(when looked up, rows), the earliest first"""
        self._genres: tuple[float, dict[str, list[str]]] | None = None
        """(when looked up, spellings by `spelling_key`)"""

    def rows(self, targets: Iterable[str]) -> Rows:
        """Rows of the tracks of the targets, sorted, each once."""
        now = time.monotonic()
        rows_by_target = {
            target: self._rows_by_target[target][1]
            for target in targets
            if target in self._rows_by_target and now - self._rows_by_target[target][0] < TARGET_CACHE_S
        }
        missing = [target for target in targets if target not in rows_by_target]
        if missing:
            rows_by_target |= self._look_up(missing, now)
            for target in missing:
                self._rows_by_target[target] = (now, rows_by_target[target])
                self._rows_by_target.move_to_end(target)
            while len(self._rows_by_target) > CACHED_TARGETS:
                self._rows_by_target.popitem(last=False)
        return np.unique(np.concatenate([np.empty(0, dtype=np.int64), *rows_by_target.values()]))

    def _look_up(self, targets: Sequence[str], now: float) -> dict[str, NDArray[np.int32]]:
        """{target: rows}, by one query for artists and one for genres."""
        database = database_of(self._mongo)
        targets_by_name: dict[str, dict[str, list[str]]] = {"artist": defaultdict(list), "genre": defaultdict(list)}
        rows_by_target: dict[str, Rows] = {}
        for target in targets:
            kind, _, name = target.partition(":")
            rows_by_target[target] = self._artist_rows.of(name) if kind == "artist" else np.empty(0, dtype=np.int64)
            alike = self._spellings_of_genre(name, database, now) if kind == "genre" else []
            for spelling in {name, *alike}:
                targets_by_name[kind][spelling].append(target)
        for kind, targets_of_kind in targets_by_name.items():
            ids_by_target: dict[str, list[str]] = defaultdict(list)
            if targets_of_kind:
                for document in database.tracks.find({kind: {"$in": sorted(targets_of_kind)}}, {kind: 1}):
                    for target in targets_of_kind[document[kind]]:
                        ids_by_target[target].append(document["_id"])
            for target, ids in ids_by_target.items():
                rows = self._index.rows_of(ids)
                rows_by_target[target] = np.union1d(rows_by_target[target], rows[rows >= 0])
        return {target: rows.astype(np.int32) for target, rows in rows_by_target.items()}

    def _spellings_of_genre(self, name: str, database: Database[dict[str, Any]], now: float) -> list[str]:
        """The genres of MongoDB's tracks that are spelled alike."""
        if self._genres is None or now - self._genres[0] >= TARGET_CACHE_S:
            spellings: dict[str, list[str]] = defaultdict(list)
            for genre in database.tracks.distinct("genre"):
                if isinstance(genre, str):
                    spellings[spelling_key(genre)].append(genre)
            self._genres = (now, dict(spellings))
        return self._genres[1].get(spelling_key(name), [])


class _ArtistRows:
    """Rows by artist in an index."""

    def __init__(self, index: CachedIndex) -> None:
        self._codes_by_key: dict[str, list[int]] = defaultdict(list)
        for code, name in enumerate(index.index.artist_names.tolist()):
            self._codes_by_key[spelling_key(name)].append(code)
        self._rows = index.present
        codes = index.artists(self._rows)
        self._order = np.argsort(codes, kind="stable")
        self._codes = codes[self._order]

    def of(self, name: str) -> Rows:
        """Rows of the artists whose names are spelled alike, without tombstoned ones."""
        parts = [np.empty(0, dtype=np.int64)]
        for code in self._codes_by_key.get(spelling_key(name), ()):
            first, last = np.searchsorted(self._codes, code, "left"), np.searchsorted(self._codes, code, "right")
            parts.append(self._rows[self._order[first:last]])
        return np.sort(np.concatenate(parts))


@lru_cache(maxsize=1)
def _muted_tracks(index: CachedIndex, mongo: Mongo) -> MutedTracks:
    return MutedTracks(index, mongo)
