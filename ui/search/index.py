"""Prefix search over the whole library in memory: an inverted index with sorted terms.

Terms with the same prefix are neighbours, so their postings are one slice of an array. Rows are in the order of titles, so
"the title begins with …" is a range of rows. For 100,000 tracks a search takes about a millisecond and the index some 40 MB;
in return it has to follow what is published (`live_index.py`).
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch.library.labels import spelling_key
from batch.words.tag_percentiles import read_words
from batch.words.vocabulary import WORDS

SEARCHED_FIELDS = ("title", "artist", "album", "genre", "composer")
LIST_FIELDS = ("artists", "genre_tags")
"""Each of several artists and genres of a track."""
INDEXED_FIELDS = (*SEARCHED_FIELDS, *LIST_FIELDS, "album_artist", "map", "tags")
"""Fields of a track's document that the index is made of."""
COLUMN_BY_WORD = {word.name: column for column, word in enumerate(WORDS)}
MAX_QUERY_TERMS = 8
MAX_QUERY_LENGTH = 200
LAST_SUFFIX = "\U0010ffff"
"""Appended to a prefix, sorts after every term with that prefix."""
_TERM = re.compile(r"[^\W_]+")

Document = Mapping[str, Any]


@dataclass(frozen=True)
class SearchIndex:
    """The tracks of a library in the order of their titles, with the terms that lead to them. A row is a track's position.

    ids : track id of each row;  row_by_id : the inverse
    titles : folded title of each row
    rows_by_artist : rows of each folded name, of several artists each;  artist_names : the folded names, sorted
    artist_spellings : the commonest spelling of each folded name
    rows_by_genre : rows of each name, without case, blanks and diacritics; of several genres each
    code_by_genre : index into genre_names of each such name
    genre_codes : of each track's first genre, int32 [shape=(n,)], -1 for none
    genre_names : the commonest spelling of each genre
    terms : sorted
    posting_offsets : int64 [shape=(len(terms) + 1,)], where the postings of each term begin
    postings : int32, 2 * row, plus 1 where the term stands in the title
    map_positions : float32 [shape=(n, 2)], NaN where a track has no position
    word_percentiles : uint8 [shape=(n, words)], by COLUMN_BY_WORD: how high a track stands in the library for the words that are
        said of it, 0 for others
    """

    ids: list[str]
    row_by_id: dict[str, int]
    titles: list[str]
    rows_by_artist: dict[str, list[int]]
    artist_names: list[str]
    artist_spellings: dict[str, str]
    rows_by_genre: dict[str, list[int]]
    code_by_genre: dict[str, int]
    genre_codes: NDArray[np.int32]
    genre_names: list[str]
    terms: list[str]
    posting_offsets: NDArray[np.int64]
    postings: NDArray[np.int32]
    map_positions: NDArray[np.float32]
    word_percentiles: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.ids)

    def search(self, text: str, limit: int) -> list[str]:
        """Ids of the tracks in which every typed term begins a word, best first: titles that begin with the text, then
        artists that do, then tracks with all terms in the title.
        """
        return self.search_counted(text, limit)[0]

    def search_counted(self, text: str, limit: int) -> tuple[list[str], int]:
        """The result of `search`, and the number of matches without the limit."""
        if not query_terms(text) or not len(self):
            return [], 0
        has_all, has_all_in_title = self.matching(text)
        rows = np.flatnonzero(has_all)
        prefix = _folded(" ".join(text[:MAX_QUERY_LENGTH].split()))
        first_artist, last_artist = _prefix_range(self.artist_names, prefix)
        artist_begins = np.zeros(len(self), dtype=bool)
        for name in self.artist_names[first_artist:last_artist]:
            artist_begins[self.rows_by_artist[name]] = True
        first_title, last_title = _prefix_range(self.titles, prefix)
        tier = np.where(has_all_in_title[rows], 2, 3)
        tier[artist_begins[rows]] = 1
        tier[(rows >= first_title) & (rows < last_title)] = 0
        rank = tier * len(self) + rows
        best = np.argpartition(rank, limit)[:limit] if len(rank) > limit else np.arange(len(rank))
        return [self.ids[row] for row in rows[best[np.argsort(rank[best])]]], len(rows)

    def matching(self, text: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(whether every typed term begins a word of a track, whether all of them do of its title); all [shape=(n,)]."""
        has_all = np.ones(len(self), dtype=bool)
        has_all_in_title = np.ones(len(self), dtype=bool)
        for term in query_terms(text):
            first, last = _prefix_range(self.terms, term)
            postings = self.postings[self.posting_offsets[first] : self.posting_offsets[last]]
            has_term, has_term_in_title = np.zeros(len(self), dtype=bool), np.zeros(len(self), dtype=bool)
            has_term[postings >> 1] = True
            has_term_in_title[postings[(postings & 1) == 1] >> 1] = True
            has_all &= has_term
            has_all_in_title &= has_term_in_title
        return has_all, has_all_in_title

    def by_artist(self, name: str) -> list[str]:
        """Ids of an artist's tracks, by title."""
        return [self.ids[row] for row in self.rows_by_artist.get(_folded(name), ())]

    def artist_name(self, name: str) -> str:
        """The commonest spelling of an artist's name; the name itself where no track has it."""
        return self.artist_spellings.get(_folded(name), name)

    def by_genre(self, name: str) -> list[str]:
        """Ids of a genre's tracks, by title."""
        return [self.ids[row] for row in self.rows_by_genre.get(spelling_key(name), ())]

    def genre_name(self, name: str) -> str:
        """The commonest spelling of a genre; the name itself where no track has it."""
        code = self.code_by_genre.get(spelling_key(name))
        return name if code is None else self.genre_names[code]

    def genre_sizes(self) -> list[tuple[str, int]]:
        """Each genre with its number of tracks, largest first."""
        sizes = [(self.genre_names[code], len(self.rows_by_genre[name])) for name, code in self.code_by_genre.items()]
        return sorted(sizes, key=lambda genre: (-genre[1], genre[0]))


def query_terms(text: str) -> list[str]:
    """The first MAX_QUERY_TERMS terms of a query, folded. Punctuation separates terms; there are no operators."""
    return _TERM.findall(unicodedata.normalize("NFC", text[:MAX_QUERY_LENGTH]).casefold())[:MAX_QUERY_TERMS]


def build_index(documents: Iterable[Document]) -> SearchIndex:
    """The index of these documents of `tracks`; only INDEXED_FIELDS and `_id` are read."""
    entries = [(_folded(text_of(each, "title")), str(each["_id"]), each) for each in documents]
    entries.sort(key=lambda entry: entry[:2])
    postings_by_term: dict[str, list[int]] = {}
    artists, genres = _RowsByName(), _RowsByName()
    genre_codes = np.full(len(entries), -1, dtype=np.int32)
    map_positions = np.full((len(entries), 2), np.nan, dtype=np.float32)
    word_percentiles = np.zeros((len(entries), len(WORDS)), dtype=np.uint8)
    for row, (_, _, document) in enumerate(entries):
        title_terms = set(_terms(text_of(document, "title")))
        artist_names, genre_names = _names(document, "artist", "artists"), _names(document, "genre", "genre_tags")
        others = [text_of(document, name) for name in ("album", "composer", "album_artist")]
        other_terms = {term for text in (*artist_names, *genre_names, *others) for term in _terms(text)}
        for term in title_terms:
            postings_by_term.setdefault(term, []).append(2 * row + 1)
        for term in other_terms - title_terms:
            postings_by_term.setdefault(term, []).append(2 * row)
        for name in artist_names:
            artists.add(_folded(name), name, row)
        for name in genre_names:
            genres.add(spelling_key(name), name, row)
        if genre_names:
            genre_codes[row] = genres.code_by_key[spelling_key(genre_names[0])]
        position = document.get("map")
        if (
            isinstance(position, (list, tuple))
            and len(position) == 2
            and all(isinstance(x, (int, float)) for x in position)
        ):
            map_positions[row] = position
        for name, percentile in read_words(document.get("tags")).items():
            if (column := COLUMN_BY_WORD.get(name)) is not None:
                word_percentiles[row, column] = percentile
    terms = sorted(postings_by_term)
    sizes = np.fromiter((len(postings_by_term[term]) for term in terms), dtype=np.int64, count=len(terms))
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    postings = (posting for term in terms for posting in postings_by_term[term])
    return SearchIndex(
        ids=[track_id for _, track_id, _ in entries],
        row_by_id={track_id: row for row, (_, track_id, _) in enumerate(entries)},
        titles=[title for title, _, _ in entries],
        rows_by_artist=artists.rows_by_key,
        artist_names=sorted(artists.rows_by_key),
        artist_spellings=dict(zip(artists.code_by_key, artists.commonest_spellings(), strict=True)),
        rows_by_genre=genres.rows_by_key,
        code_by_genre=genres.code_by_key,
        genre_codes=genre_codes,
        genre_names=genres.commonest_spellings(),
        terms=terms,
        posting_offsets=offsets,
        postings=np.fromiter(postings, dtype=np.int32, count=int(offsets[-1])),
        map_positions=map_positions,
        word_percentiles=word_percentiles,
    )


class _RowsByName:
    """Rows of names that are the same under a key, and how they are spelled."""

    def __init__(self) -> None:
        self.rows_by_key: dict[str, list[int]] = {}
        self.code_by_key: dict[str, int] = {}
        self._spellings: list[Counter[str]] = []

    def add(self, key: str, name: str, row: int) -> None:
        """Adds a row, unless it is there under another spelling of the same key."""
        rows = self.rows_by_key.setdefault(key, [])
        code = self.code_by_key.setdefault(key, len(self._spellings))
        if code == len(self._spellings):
            self._spellings.append(Counter())
        self._spellings[code][name] += 1
        if not rows or rows[-1] != row:
            rows.append(row)

    def commonest_spellings(self) -> list[str]:
        """By code."""
        return [min(counts, key=lambda name: (-counts[name], name)) for counts in self._spellings]


def _names(document: Document, field: str, list_field: str) -> list[str]:
    """The name that is shown, then each of several."""
    several = document.get(list_field)
    names = [document.get(field), *(several if isinstance(several, (list, tuple)) else ())]
    return list(dict.fromkeys(name for name in names if isinstance(name, str) and name))


def text_of(document: Document, field: str) -> str:
    """The text in a field of `tracks`, which any program may have written; "" where there is none."""
    text = document.get(field)
    return text if isinstance(text, str) else ""


def _prefix_range(names: Sequence[str], prefix: str) -> tuple[int, int]:
    """The range [first, last) of the sorted names that begin with the prefix."""
    return bisect_left(names, prefix), bisect_right(names, prefix + LAST_SUFFIX)


def _terms(text: str) -> list[str]:
    """Folded terms of a track's field; a term with accents also stands without them, so both ways of typing match it."""
    folded = unicodedata.normalize("NFC", text).casefold()
    terms = _TERM.findall(folded)
    return terms if folded.isascii() else terms + [bare for term in terms if (bare := _without_accents(term)) != term]


def _folded(text: str) -> str:
    """Case-folded, without accents."""
    folded = unicodedata.normalize("NFC", text).casefold()
    return folded if folded.isascii() else _without_accents(folded)


def _without_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(letter for letter in decomposed if not unicodedata.combining(letter)))
