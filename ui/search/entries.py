"""Albums, artists and playlists by the beginnings of the words in their names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ui.search.ranked import NOTHING, Ranked
from ui.search.term_index import NO_MATCH, TermIndex, TypedTerm, prefix_range, term_index
from ui.search.terms import folded, terms_of

TIERS = 4


class Entry(NamedTuple):
    """What search shows.

    entry_id : of an album, artist or playlist
    by : an album's artist, under which it is found, too
    size : number of tracks
    year : of an album
    """

    entry_id: str
    name: str
    by: str = ""
    size: int = 0
    year: int | None = None


@dataclass(frozen=True)
class NamedEntries:
    """Entries in the order of their folded names. A row is an entry's position.

    names : folded;  sizes : int64 [shape=(n,)]
    """

    entries: list[Entry]
    names: list[str]
    sizes: NDArray[np.int64]
    terms: TermIndex

    def __len__(self) -> int:
        return len(self.entries)

    def search(self, typed: Sequence[TypedTerm], text: str) -> Ranked:
        """The entries in which every typed term begins a word: the fewest edits first, then names that equal the text, that begin
        with it, that have all terms; of these the largest.

        text : folded
        """
        if not typed or not self.entries:
            return NOTHING
        edits, has_all_in_name = self.terms.matching(typed)
        rows = np.flatnonzero(edits != NO_MATCH)
        tier = np.where(has_all_in_name, 2, 3)
        first, last = prefix_range(self.names, text)
        tier[first:last] = 1
        tier[first : first + sum(1 for name in self.names[first:last] if name == text)] = 0
        largest = int(self.sizes.max())
        rank = (edits[rows].astype(np.int64) * TIERS + tier[rows]) * (largest + 1) + largest - self.sizes[rows]
        return Ranked(rows, rank * len(self) + rows)

    def tier(self, row: int, text: str) -> int:
        """How an entry's name meets a folded text: 0 equals it, 1 begins with it, 2 neither."""
        return text_tier(self.names[row], text)


def named_entries(entries: Iterable[Entry]) -> NamedEntries:
    """The index of these entries."""
    named = sorted(((folded(entry.name), entry) for entry in entries), key=lambda pair: (pair[0], pair[1].entry_id))
    return NamedEntries(
        entries=[entry for _, entry in named],
        names=[name for name, _ in named],
        sizes=np.array([entry.size for _, entry in named], dtype=np.int64),
        terms=term_index((terms_of(entry.name), terms_of(entry.by)) for _, entry in named),
    )


def text_tier(name: str, text: str) -> int:
    """How a folded name meets a folded text: 0 equals it, 1 begins with it, 2 neither."""
    return 0 if name == text else 1 if name.startswith(text) else 2
