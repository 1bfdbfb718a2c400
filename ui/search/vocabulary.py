"""Terms that are a typing error away from one that nothing begins with. A term is compared with those of about its length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import OSA

from ui.search.term_index import TermIndex, TypedTerm, prefix_range

FEWEST_LETTERS = 3
"""Shorter terms are taken as they are typed."""
FEWEST_LETTERS_OF_A_BEGINNING = 5
"""Shorter terms are compared with whole terms only: many terms begin with something like them."""
FEWEST_LETTERS_FOR_TWO_EDITS = 8
MAX_CLOSE_TERMS = 60


@dataclass(frozen=True)
class Vocabulary:
    """The terms of an index, for comparison.

    terms : sorted;  sizes : int64, entries of each
    codes_by_length, terms_by_length : positions of the terms of each length, and these terms
    """

    terms: list[str]
    sizes: NDArray[np.int64]
    codes_by_length: dict[int, NDArray[np.int64]]
    terms_by_length: dict[int, list[str]]

    def typed(self, text: str) -> TypedTerm:
        """A typed term with the terms that are close to it: the nearest MAX_CLOSE_TERMS, of several the commonest."""
        return TypedTerm(text, tuple((self.terms[code], edits) for code, edits in self._close(text)[:MAX_CLOSE_TERMS]))

    def corrected(self, term: TypedTerm) -> str:
        """The term that is likeliest to be meant: itself, where one begins so, else the closest one."""
        first, last = prefix_range(self.terms, term.text)
        return term.text if first < last or not term.close else term.close[0][0]

    def _close(self, text: str) -> list[tuple[int, int]]:
        """(position of a term, edits that lead to it or to its beginning), the nearest first; whole terms before beginnings."""
        if len(text) < FEWEST_LETTERS:
            return []
        most = 2 if len(text) >= FEWEST_LETTERS_FOR_TWO_EDITS else 1
        close: dict[int, tuple[int, bool]] = {}
        if (
            len(text) >= FEWEST_LETTERS_OF_A_BEGINNING
        ):  # with the right first letter, or it would be all of the vocabulary
            first, last = prefix_range(self.terms, text[0])
            for length in (len(text), len(text) + 1):
                beginnings = [term[:length] for term in self.terms[first:last]]
                close |= {first + code: (edits, True) for code, edits in _within(text, beginnings, 1)}
        for length in range(len(text) - most, len(text) + most + 1):
            within = _within(text, self.terms_by_length.get(length, ()), most)
            close |= {int(self.codes_by_length[length][place]): (edits, False) for place, edits in within}
        nearest = sorted(close, key=lambda code: (*close[code], -self.sizes[code], code))
        return [(code, max(1, close[code][0])) for code in nearest]


def vocabulary(index: TermIndex) -> Vocabulary:
    """The terms of an index."""
    lengths = np.fromiter(map(len, index.terms), dtype=np.int64, count=len(index.terms))
    codes = {int(length): np.flatnonzero(lengths == length) for length in np.unique(lengths)}
    terms = {length: [index.terms[code] for code in codes[length]] for length in codes}
    return Vocabulary(index.terms, np.diff(index.posting_offsets), codes, terms)


def _within(text: str, others: Sequence[str], most: int) -> list[tuple[int, int]]:
    """(position, edits) of those of `others` that at most so many insertions, deletions, substitutions and swaps of neighbours
    lead to."""
    if not others:
        return []
    edits = process.cdist([text], others, scorer=OSA.distance, score_cutoff=most, dtype=np.uint8)[0]
    return [(int(place), int(edits[place])) for place in np.flatnonzero(edits <= most)]
