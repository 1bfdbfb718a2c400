"""The search index made of what is published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from batch.library.labels import spelling_key
from batch.words.tag_percentiles import read_words
from batch.words.vocabulary import WORDS
from ui.search.entries import Entry, named_entries
from ui.search.index import COLUMN_BY_WORD, SEARCHED_FIELDS, SearchIndex
from ui.search.term_index import term_index
from ui.search.terms import folded, terms_of
from ui.search.vocabulary import vocabulary

LIST_FIELDS = ("artists", "genre_tags")
"""Each of several artists and genres of a track."""
INDEXED_FIELDS = (*SEARCHED_FIELDS, *LIST_FIELDS, "album_artist", "map", "tags")
"""Fields of a track's document that the index is made of."""
ALBUM_FIELDS = ("title", "artist", "tracks", "year")
ARTIST_FIELDS = ("name", "tracks")

Document = Mapping[str, Any]


def build_index(
    documents: Iterable[Document], albums: Iterable[Document] = (), artists: Iterable[Document] = ()
) -> SearchIndex:
    """The index of documents of `tracks`, `albums` and `artists`; only INDEXED_FIELDS, ALBUM_FIELDS, ARTIST_FIELDS and `_id` are
    read."""
    entries = [(folded(text_of(each, "title")), str(each["_id"]), each) for each in documents]
    entries.sort(key=lambda entry: entry[:2])
    tracks_by_artist, genres = _RowsByName(), _RowsByName()
    genre_codes = np.full(len(entries), -1, dtype=np.int32)
    map_positions = np.full((len(entries), 2), np.nan, dtype=np.float32)
    word_percentiles = np.zeros((len(entries), len(WORDS)), dtype=np.uint8)
    for row, (_, _, document) in enumerate(entries):
        artist_names, genre_names = _names(document, "artist", "artists"), _names(document, "genre", "genre_tags")
        for name in artist_names:
            tracks_by_artist.add(folded(name), name, row)
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
    terms = term_index((terms_of(title), _other_terms(document)) for title, _, document in entries)
    return SearchIndex(
        ids=[track_id for _, track_id, _ in entries],
        row_by_id={track_id: row for row, (_, track_id, _) in enumerate(entries)},
        titles=[title for title, _, _ in entries],
        rows_by_artist=tracks_by_artist.rows_by_key,
        artist_names=sorted(tracks_by_artist.rows_by_key),
        artist_spellings=dict(zip(tracks_by_artist.code_by_key, tracks_by_artist.commonest_spellings(), strict=True)),
        rows_by_genre=genres.rows_by_key,
        code_by_genre=genres.code_by_key,
        genre_codes=genre_codes,
        genre_names=genres.commonest_spellings(),
        terms=terms,
        vocabulary=vocabulary(terms),
        map_positions=map_positions,
        word_percentiles=word_percentiles,
        albums=named_entries(_album(each) for each in albums),
        artists=named_entries(_artist(each) for each in artists),
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


def _other_terms(document: Document) -> list[str]:
    """The terms of a track besides those of its title."""
    others = [text_of(document, field) for field in ("album", "composer", "album_artist")]
    names = (*_names(document, "artist", "artists"), *_names(document, "genre", "genre_tags"), *others)
    return [term for text in names for term in terms_of(text)]


def _album(document: Document) -> Entry:
    title, artist = text_of(document, "title") or "Untitled album", text_of(document, "artist")
    year = document.get("year")
    year = int(year) if isinstance(year, (int, float)) and year else None
    return Entry(str(document["_id"]), title, artist, _size(document), year)


def _artist(document: Document) -> Entry:
    return Entry(str(document["_id"]), text_of(document, "name") or "Unknown artist", size=_size(document))


def _size(document: Document) -> int:
    """Number of tracks."""
    tracks = document.get("tracks")
    return int(tracks) if isinstance(tracks, (int, float)) and tracks > 0 else 0


def text_of(document: Document, field: str) -> str:
    """The text in a field of `tracks`, which any program may have written; "" where there is none."""
    text = document.get(field)
    return text if isinstance(text, str) else ""
