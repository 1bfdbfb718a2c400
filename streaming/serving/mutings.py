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
from pymongo.errors import OperationFailure

from batch.index.lsh import Rows
from batch.library.labels import artists_in, spelling_key
from batch.tags.file_tags import ARTIST_SEPARATOR
from batch.words.vocabulary import tag_key
from conf.settings import Mongo
from streaming.events import MAX_TARGET_LENGTH, TAG_KIND
from streaming.ranking.neighbour_cache import CachedIndex, sorted_unique
from streaming.serving.clients import database_of

if TYPE_CHECKING:
    from pymongo.database import Database

FIELDS_BY_KIND = {"artist": ("artist", "artists"), "genre": ("genre", "genre_tags")}
"""Fields of MongoDB's tracks that name a track's artists and genres: a text, or a list of several."""
CACHED_TARGETS = 1000
MOST_CACHED_ROWS = 8_000_000
"""32 MB a process."""
TOO_MANY_DISTINCT_CODE = 17217
"""MongoDB's error for distinct values of more than 16 MB."""
TARGET_CACHE_S = 60.0
"""The tracks of a muted artist or genre, and the genres, are looked up again after this long."""


def muted_rows(targets: Sequence[str], mongo: Mongo, index: CachedIndex) -> Rows:
    """Rows of the tracks of muted artists, genres and words, sorted.  targets : "artist:NAME", "genre:NAME", "tag:NAME" """
    return muted_rows_by_targets([targets], mongo, index)[tuple(targets)]


def muted_rows_by_targets(
    targets_of_listeners: Iterable[Sequence[str]], mongo: Mongo, index: CachedIndex
) -> dict[tuple[str, ...], Rows]:
    """{a listener's targets: `muted_rows`}, by one query for each field of MongoDB's tracks for all listeners together."""
    distinct = {tuple(targets) for targets in targets_of_listeners}
    names_by_targets = {
        targets: [f"{kind}:{name}" for kind, _, name in _parted(targets) if kind != TAG_KIND] for targets in distinct
    }
    names = {name for names in names_by_targets.values() for name in names}
    rows_by_name = _muted_tracks(index, mongo).rows_by_target(names) if names else {}
    return {
        targets: sorted_unique(
            np.concatenate(
                [
                    np.empty(0, dtype=np.int64),
                    *(rows_by_name[name] for name in names_by_targets[targets]),
                    *(index.rows_with(tag_key(name)) for kind, _, name in _parted(targets) if kind == TAG_KIND),
                ]
            )
        )
        for targets in distinct
    }


def _parted(targets: Sequence[str]) -> list[tuple[str, str, str]]:
    return [target.partition(":") for target in targets]


class MutedTracks:
    """The tracks of artists and genres in one index, cached for TARGET_CACHE_S.

    The cache has one entry for all spellings of a genre, and MOST_CACHED_ROWS in all, whatever listeners mute.
    """

    def __init__(self, index: CachedIndex, mongo: Mongo) -> None:
        self._index = index.index
        self._mongo = mongo
        self._artist_rows = _ArtistRows(index)
        self._rows_by_target: OrderedDict[str, tuple[float, NDArray[np.int32]]] = OrderedDict()
        """(when looked up, rows) by "artist:NAME" and "genre:KEY", the earliest first"""
        self._genres: tuple[float, dict[str, list[str]]] | None = None
        """(when looked up, spellings by `spelling_key`)"""

    def rows_by_target(self, targets: Iterable[str]) -> dict[str, NDArray[np.int32]]:
        """{target: rows of its tracks, sorted}"""
        now = time.monotonic()
        while self._rows_by_target and now - next(iter(self._rows_by_target.values()))[0] >= TARGET_CACHE_S:
            self._rows_by_target.popitem(last=False)
        key_by_target = {target: _cache_key(target) for target in targets}
        keys = list(dict.fromkeys(key_by_target.values()))
        rows_by_key = {key: self._rows_by_target[key][1] for key in keys if key in self._rows_by_target}
        if missing := [key for key in keys if key not in rows_by_key]:
            found_rows = self._look_up(missing, now)
            rows_by_key |= found_rows
            self._rows_by_target |= {key: (now, rows) for key, rows in found_rows.items()}
            cached_rows = sum(len(rows) for _, rows in self._rows_by_target.values())
            while len(self._rows_by_target) > CACHED_TARGETS or cached_rows > MOST_CACHED_ROWS:
                cached_rows -= len(self._rows_by_target.popitem(last=False)[1][1])
        return {target: rows_by_key[key] for target, key in key_by_target.items()}

    def _look_up(self, keys: Sequence[str], now: float) -> dict[str, NDArray[np.int32]]:
        """{key: rows}, by one query for each field of MongoDB's tracks."""
        database = database_of(self._mongo)
        keys_by_name: dict[str, dict[str, list[str]]] = {kind: defaultdict(list) for kind in FIELDS_BY_KIND}
        parts_by_key: dict[str, list[Rows]] = {key: [] for key in keys}
        for key in keys:
            kind, _, name = key.partition(":")
            if kind == "artist":
                parts_by_key[key].append(self._artist_rows.of(name))
                keys_by_name[kind][name].append(key)
            elif kind == "genre":
                for spelling in self._spellings_of_genre(name, database, now):
                    keys_by_name[kind][spelling].append(key)
        for kind, keys_of_kind in keys_by_name.items():
            for field in FIELDS_BY_KIND[kind] if keys_of_kind else ():
                ids_by_key: dict[str, list[str]] = defaultdict(list)
                for document in database.tracks.find({field: {"$in": sorted(keys_of_kind)}}, {field: 1}):
                    for name in _names(document.get(field)):
                        for key in keys_of_kind.get(name, ()):
                            ids_by_key[key].append(document["_id"])
                for key, ids in ids_by_key.items():
                    rows = self._index.rows_of(ids)
                    parts_by_key[key].append(rows[rows >= 0])
        return {
            key: np.unique(np.concatenate([np.empty(0, dtype=np.int64), *parts])).astype(np.int32)
            for key, parts in parts_by_key.items()
        }

    def _spellings_of_genre(self, key: str, database: Database[dict[str, Any]], now: float) -> list[str]:
        """The genres of MongoDB's tracks with a `spelling_key`."""
        if self._genres is None or now - self._genres[0] >= TARGET_CACHE_S:
            spellings: dict[str, set[str]] = defaultdict(set)
            for field in FIELDS_BY_KIND["genre"]:
                for genre in _distinct(field, database):
                    for name in _names(genre):
                        spellings[spelling_key(name)].add(name)
            self._genres = (now, {each: sorted(names) for each, names in spellings.items()})
        return self._genres[1].get(key, [])


def _cache_key(target: str) -> str:
    """What targets have in common that are looked up alike: "genre:KEY" for all spellings of a genre, else the target."""
    kind, _, name = target.partition(":")
    return f"{kind}:{spelling_key(name)}" if kind == "genre" else target


def _names(value: Any) -> list[str]:
    """The texts of a field that a track may have: one, or a list of some; names longer than a target can be are left out."""
    values = value if isinstance(value, list) else [value]
    return [name for name in values if isinstance(name, str) and len(name) <= MAX_TARGET_LENGTH]


def _distinct(field: str, database: Database[dict[str, Any]]) -> list[Any]:
    """The distinct values of a field of MongoDB's tracks; of an array, its elements."""
    try:
        return database.tracks.distinct(field)
    except OperationFailure as error:
        if error.code != TOO_MANY_DISTINCT_CODE:
            raise
    pipeline: list[dict[str, Any]] = [{"$unwind": f"${field}"}, {"$group": {"_id": f"${field}"}}]
    return [document["_id"] for document in database.tracks.aggregate(pipeline)]


class _ArtistRows:
    """Rows by artist in an index."""

    def __init__(self, index: CachedIndex) -> None:
        self._codes_by_key: dict[str, list[int]] = defaultdict(list)
        for code, name in enumerate(index.index.artist_names.tolist()):
            several = artists_in(name)
            for each in {ARTIST_SEPARATOR.join(several), *several}:
                if len(each) <= MAX_TARGET_LENGTH:
                    self._codes_by_key[spelling_key(each)].append(code)
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
