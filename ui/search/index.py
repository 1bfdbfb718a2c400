"""The library in memory: tracks by the words of their tags, by artist and genre, and on the map; albums and artists by name.

Rows are in the order of titles, so "the title begins with …" is a range of rows. The index has to follow what is published
(`live_index.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch.library.labels import spelling_key
from batch.words.vocabulary import WORDS
from ui.search.entries import TIERS, NamedEntries
from ui.search.ranked import NOTHING, Ranked
from ui.search.term_index import NO_MATCH, TermIndex, TypedTerm, prefix_range
from ui.search.terms import MAX_QUERY_LENGTH, folded, query_terms
from ui.search.vocabulary import Vocabulary

SEARCHED_FIELDS = ("title", "artist", "album", "genre", "composer")
COLUMN_BY_WORD = {word.name: column for column, word in enumerate(WORDS)}

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
    terms : tracks by the terms in their tags;  vocabulary : these terms
    map_positions : float32 [shape=(n, 2)], NaN where a track has no position
    word_percentiles : uint8 [shape=(n, words)], by COLUMN_BY_WORD: how high a track stands in the library for the words that are
        said of it, 0 for others
    albums, artists : by name
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
    terms: TermIndex
    vocabulary: Vocabulary
    map_positions: NDArray[np.float32]
    word_percentiles: NDArray[np.uint8]
    albums: NamedEntries
    artists: NamedEntries

    def __len__(self) -> int:
        return len(self.ids)

    def search(self, text: str, limit: int) -> list[str]:
        """Ids of the tracks in which every typed term begins a word, best first; where there are none, of those with words that
        are a typing error away.
        """
        return [self.ids[row] for row in self.search_forgiving(text).page(0, limit)]

    def search_forgiving(self, text: str) -> Ranked:
        """The tracks of `search`, all of them."""
        typed = [TypedTerm(term) for term in query_terms(text)]
        exact = self.ranked(typed, folded(text[:MAX_QUERY_LENGTH]))
        if len(exact):
            return exact
        close = [self.vocabulary.typed(term) for term, _ in typed]
        return self.ranked(close, " ".join(self.vocabulary.corrected(term) for term in close))

    def ranked(self, typed: Sequence[TypedTerm], text: str) -> Ranked:
        """The tracks in which every typed term begins a word: the fewest edits first, then titles that begin with the text, then
        artists that do, then tracks with all terms in the title; by title.

        text : folded
        """
        if not typed or not len(self):
            return NOTHING
        edits, has_all_in_title = self.terms.matching(typed)
        rows = np.flatnonzero(edits != NO_MATCH)
        tier = np.where(has_all_in_title, 2, 3)
        first_artist, last_artist = prefix_range(self.artist_names, text)
        for name in self.artist_names[first_artist:last_artist]:
            tier[self.rows_by_artist[name]] = 1
        first_title, last_title = prefix_range(self.titles, text)
        tier[first_title:last_title] = 0
        return Ranked(rows, (edits[rows].astype(np.int64) * TIERS + tier[rows]) * len(self) + rows)

    def matching(self, text: str) -> NDArray[np.bool_]:
        """Whether every typed term begins a word of a track [shape=(n,)]."""
        return self.terms.matching([TypedTerm(term) for term in query_terms(text)])[0] != NO_MATCH

    def by_artist(self, name: str) -> list[str]:
        """Ids of an artist's tracks, by title."""
        return [self.ids[row] for row in self.rows_by_artist.get(folded(name), ())]

    def artist_name(self, name: str) -> str:
        """The commonest spelling of an artist's name; the name itself where no track has it."""
        return self.artist_spellings.get(folded(name), name)

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
