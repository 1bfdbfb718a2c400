"""Search as one types, over the whole library, without asking the database: a sorted dictionary of words in memory.

Every word of a track points to its row; the words that begin with what was typed lie next to each other, so their rows are
one slice of an array. Rows are in the order of titles: "the title begins with …" is a range. For 100,000 tracks a search
takes about a millisecond and the dictionary some 40 MB; the price is that it has to follow what is published (`LiveSearchIndex`).
"""

from __future__ import annotations

import logging
import re
import threading
import time
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)

SEARCHED = ("title", "artist", "album", "genre", "composer")
MAX_WORDS = 8
MAX_QUERY = 200
BEYOND = "\U0010ffff"
"""Sorts behind every word with the same beginning."""
CHECK_S = 3.0
REREAD_S = 60.0
_WORD = re.compile(r"[^\W_]+")

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Shelf:
    """The tracks of a library, in the order of their titles, and the words that lead to them.

    ids : row to track id, and row_of back;  titles : folded, row by row
    artists, genres : names, folded, each with the rows that have it;  artist_names : the same names, sorted
    genre_codes : int32 [shape=(n,)], into genre_names, -1 for none
    words : sorted;  starts : [shape=(len(words) + 1,)], where the places of a word begin
    places : int32, 2 * row, plus 1 where the word stands in the title
    places_on_map : float32 [shape=(n, 2)], NaN where a track has no place
    """

    ids: list[str]
    row_of: dict[str, int]
    titles: list[str]
    artists: dict[str, list[int]]
    artist_names: list[str]
    genres: dict[str, list[int]]
    genre_codes: NDArray[np.int32]
    genre_names: list[str]
    words: list[str]
    starts: NDArray[np.int64]
    places: NDArray[np.int32]
    places_on_map: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)

    def found(self, text: str, limit: int) -> list[str]:
        """Ids of the tracks in which every typed word begins a word, best first: titles that begin with the text, then
        artists that do, then tracks with all words in the title.
        """
        return self.counted(text, limit)[0]

    def counted(self, text: str, limit: int) -> tuple[list[str], int]:
        """What `found` gives, and how many there are without the limit."""
        words = typed(text)
        if not words or not len(self):
            return [], 0
        anywhere = np.ones(len(self), dtype=bool)
        in_title = np.ones(len(self), dtype=bool)
        for word in words:
            first, last = bisect_left(self.words, word), bisect_right(self.words, word + BEYOND)
            places = self.places[self.starts[first] : self.starts[last]]
            has, titled = np.zeros(len(self), dtype=bool), np.zeros(len(self), dtype=bool)
            has[places >> 1] = True
            titled[places[(places & 1) == 1] >> 1] = True
            anywhere &= has
            in_title &= titled
        rows = np.flatnonzero(anywhere)
        beginning = _plain(" ".join(text[:MAX_QUERY].split()))
        first, last = bisect_left(self.titles, beginning), bisect_right(self.titles, beginning + BEYOND)
        by_artist = np.zeros(len(self), dtype=bool)
        for name in self.artist_names[
            bisect_left(self.artist_names, beginning) : bisect_right(self.artist_names, beginning + BEYOND)
        ]:
            by_artist[self.artists[name]] = True
        class_ = np.where(in_title[rows], 2, 3)
        class_[by_artist[rows]] = 1
        class_[(rows >= first) & (rows < last)] = 0
        rank = class_ * len(self) + rows
        best = np.argpartition(rank, limit)[:limit] if len(rank) > limit else np.arange(len(rank))
        return [self.ids[row] for row in rows[best[np.argsort(rank[best])]]], len(rows)

    def by_artist(self, name: str) -> list[str]:
        """Ids of an artist's tracks, by title."""
        return [self.ids[row] for row in self.artists.get(_plain(name), ())]

    def of_genre(self, name: str) -> list[str]:
        """Ids of a genre's tracks, by title."""
        return [self.ids[row] for row in self.genres.get(_plain(name), ())]

    def genre_sizes(self) -> list[tuple[str, int]]:
        """The genres with the number of their tracks, largest first."""
        sizes = np.bincount(self.genre_codes[self.genre_codes >= 0], minlength=len(self.genre_names))
        named = zip(self.genre_names, (int(size) for size in sizes), strict=True)
        return sorted(named, key=lambda genre: (-genre[1], genre[0]))


def typed(text: str) -> list[str]:
    """The words of what was typed, as the dictionary has them. Signs part words; no sign has a meaning of its own."""
    return _WORD.findall(unicodedata.normalize("NFC", text[:MAX_QUERY]).casefold())[:MAX_WORDS]


def shelf(documents: Iterable[Document]) -> Shelf:
    """The shelf of these documents of `tracks`; other fields than SEARCHED, `_id` and `map` are not looked at."""
    read = [(_plain(str(each.get("title") or "")), str(each["_id"]), each) for each in documents]
    read.sort(key=lambda entry: entry[:2])
    index: dict[str, list[int]] = {}
    artists: dict[str, list[int]] = {}
    genres: dict[str, list[int]] = {}
    names: dict[str, int] = {}
    codes = np.full(len(read), -1, dtype=np.int32)
    on_map = np.full((len(read), 2), np.nan, dtype=np.float32)
    for row, (_, _, document) in enumerate(read):
        title = set(_words(str(document.get("title") or "")))
        rest = {word for name in SEARCHED[1:] if (text := document.get(name)) for word in _words(str(text))}
        for word in title:
            index.setdefault(word, []).append(2 * row + 1)
        for word in rest - title:
            index.setdefault(word, []).append(2 * row)
        if artist := document.get("artist"):
            artists.setdefault(_plain(str(artist)), []).append(row)
        if genre := document.get("genre"):
            genres.setdefault(_plain(str(genre)), []).append(row)
            codes[row] = names.setdefault(str(genre), len(names))
        place = document.get("map")
        if isinstance(place, (list, tuple)) and len(place) == 2 and all(isinstance(x, (int, float)) for x in place):
            on_map[row] = place
    words = sorted(index)
    sizes = np.fromiter((len(index[word]) for word in words), dtype=np.int64, count=len(words))
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    places = np.fromiter((place for word in words for place in index[word]), dtype=np.int32, count=int(starts[-1]))
    return Shelf(
        ids=[track_id for _, track_id, _ in read],
        row_of={track_id: row for row, (_, track_id, _) in enumerate(read)},
        titles=[title for title, _, _ in read],
        artists=artists,
        artist_names=sorted(artists),
        genres=genres,
        genre_codes=codes,
        genre_names=list(names),
        words=words,
        starts=starts,
        places=places,
        places_on_map=on_map,
    )


class LiveSearchIndex:
    """The shelf as it is now: read once, and again in the background when the library has changed.

    read : reads a shelf;  mark : anything that differs once the library has changed, None where that cannot be told, and
    then the shelf is read again every minute. Both may raise; the first shelf's error goes to the caller.
    """

    def __init__(self, read: Callable[[], Shelf], mark: Callable[[], Hashable]) -> None:
        self._read, self._mark = read, mark
        self._shelf: Shelf | None = None
        self._seen: Hashable = None
        self._read_at = self._checked_at = float("-inf")
        self._reading = threading.Lock()

    def now(self) -> Shelf:
        if self._shelf is None:
            with self._reading:
                if self._shelf is None:
                    self._reread()
        elif time.monotonic() - self._checked_at > CHECK_S and self._reading.acquire(blocking=False):
            self._checked_at = time.monotonic()
            threading.Thread(target=self._check, name="shelf", daemon=True).start()
        assert self._shelf is not None
        return self._shelf

    def _reread(self) -> None:
        mark = self._mark()  # before reading: what changes meanwhile is read again
        self._shelf, self._seen, self._read_at = self._read(), mark, time.monotonic()
        self._checked_at = self._read_at

    def _check(self) -> None:
        try:
            mark = self._mark()
            if mark != self._seen or (mark is None and time.monotonic() - self._read_at > REREAD_S):
                self._reread()
        except ConnectionError as error:
            log.debug("the shelf stays as it was: %s", error)
        finally:
            self._reading.release()


def _words(text: str) -> list[str]:
    """Words of a track, folded; one with accents is there without them too, so both ways of typing find it."""
    folded = unicodedata.normalize("NFC", text).casefold()
    words = _WORD.findall(folded)
    return words if folded.isascii() else words + [bare for word in words if (bare := _bare(word)) != word]


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFC", text).casefold()
    return folded if folded.isascii() else _bare(folded)


def _bare(text: str) -> str:
    """Without accents."""
    parts = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(part for part in parts if not unicodedata.combining(part)))
