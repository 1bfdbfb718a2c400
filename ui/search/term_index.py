"""An inverted index: entries by the beginnings of their terms.

Terms with the same beginning are neighbours, so the postings of all of them are one slice of an array.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LAST_SUFFIX = "\U0010ffff"
"""Appended to a prefix, sorts after every term with that prefix."""
NO_MATCH = 255
"""In place of a number of edits."""


class TypedTerm(NamedTuple):
    """A term of a query.

    text : folded; the beginning of a term
    close : terms that count in its place, each with 1 or 2 edits
    """

    text: str
    close: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class TermIndex:
    """Entries by their terms. A row is an entry's position.

    terms : sorted
    posting_offsets : int64 [shape=(len(terms) + 1,)], where the postings of each term begin
    postings : int32, 2 * row, plus 1 where the term stands in the entry's title or name
    size : number of entries
    """

    terms: list[str]
    posting_offsets: NDArray[np.int64]
    postings: NDArray[np.int32]
    size: int

    def matching(self, typed: Sequence[TypedTerm]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """(edits that lead from the typed terms to terms of each entry, NO_MATCH where it has none for one of them; whether its
        title has all of them); all [shape=(n,)].
        """
        edits = np.zeros(self.size, dtype=np.uint8)
        has_all_in_title = np.ones(self.size, dtype=bool)
        for term in typed:
            edits_of_term = np.full(self.size, NO_MATCH, dtype=np.uint8)
            has_in_title = np.zeros(self.size, dtype=bool)
            for count, postings in self._postings_by_edits(term):
                edits_of_term[postings >> 1] = count
                has_in_title[postings[(postings & 1) == 1] >> 1] = True
            is_match = (edits != NO_MATCH) & (edits_of_term != NO_MATCH)
            edits = np.where(is_match, edits + np.minimum(edits_of_term, 2), NO_MATCH).astype(np.uint8)
            has_all_in_title &= has_in_title
        return edits, has_all_in_title

    def _postings_by_edits(self, term: TypedTerm) -> Iterator[tuple[int, NDArray[np.int32]]]:
        """(number of edits, postings of the terms that are so far away), most edits first."""
        for count in (2, 1):
            if close := [other for other, edits in term.close if edits == count]:
                yield count, self._postings_of(close)
        first, last = prefix_range(self.terms, term.text)
        yield 0, self.postings[self.posting_offsets[first] : self.posting_offsets[last]]

    def _postings_of(self, terms: Sequence[str]) -> NDArray[np.int32]:
        codes = (bisect_left(self.terms, term) for term in terms)
        there = [code for code, term in zip(codes, terms, strict=True) if self.terms[code : code + 1] == [term]]
        slices = [self.postings[self.posting_offsets[code] : self.posting_offsets[code + 1]] for code in there]
        return np.concatenate(slices) if slices else np.empty(0, dtype=np.int32)


def term_index(entries: Iterable[tuple[Iterable[str], Iterable[str]]]) -> TermIndex:
    """The index of entries, each (terms of its title or name, other terms)."""
    postings_by_term: dict[str, list[int]] = {}
    size = 0
    for row, (title_terms, other_terms) in enumerate(entries):
        in_title = set(title_terms)
        for term in in_title:
            postings_by_term.setdefault(term, []).append(2 * row + 1)
        for term in set(other_terms) - in_title:
            postings_by_term.setdefault(term, []).append(2 * row)
        size = row + 1
    terms = sorted(postings_by_term)
    sizes = np.fromiter((len(postings_by_term[term]) for term in terms), dtype=np.int64, count=len(terms))
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    postings = (posting for term in terms for posting in postings_by_term[term])
    return TermIndex(terms, offsets, np.fromiter(postings, dtype=np.int32, count=int(offsets[-1])), size)


def prefix_range(names: Sequence[str], prefix: str) -> tuple[int, int]:
    """The range [first, last) of the sorted names that begin with the prefix."""
    return bisect_left(names, prefix), bisect_right(names, prefix + LAST_SUFFIX)
