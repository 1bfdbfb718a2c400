"""Tracks by words for their sound, from the search index: word search, moods, the words that colour the map."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batch.words.vocabulary import GENRE, MOOD, WORD_BY_NAME, WORDS, Word, listed, word_of, words_in
from ui.search.index import COLUMN_BY_WORD, SearchIndex
from ui.search.terms import MAX_QUERY_LENGTH

MAX_LISTED_WORDS = 6
MAX_LISTED_GENRES = 2
MAP_WORDS = (
    *("rock", "pop", "electronic", "jazz", "metal", "folk", "hip-hop", "soul", "blues", "country", "ambient", "punk"),
    *("funk", "dance", "experimental", "mellow", "happy", "sad", "party"),
)
"""Words that colour the map: kinds of music that are told apart, and moods. Of both it has fewer than the map has colours."""


@dataclass(frozen=True)
class WordQuery:
    """What a query says of the sound.

    words : the words that it names
    rest : its other terms, which search names
    """

    words: tuple[Word, ...]
    rest: str

    @property
    def labels(self) -> str:
        return ", ".join(word.label for word in self.words)

    @property
    def is_of_sound_alone(self) -> bool:
        """Whether it names words only, and not only genres, which are names, too."""
        return not self.rest and any(word.kind != GENRE for word in self.words)


def word_query(text: str) -> WordQuery:
    words, rest = words_in(text[:MAX_QUERY_LENGTH])
    return WordQuery(tuple(words), rest)


def ids_with(index: SearchIndex, query: WordQuery) -> list[str]:
    """Ids of the tracks of which all words of the query are said and in which the rest is found; those that stand highest for all
    of them together first."""
    if not query.words:
        return []
    percentiles = index.word_percentiles[:, [COLUMN_BY_WORD[word.name] for word in query.words]]
    is_said = (percentiles > 0).all(axis=1)
    if query.rest:
        is_said &= index.matching(query.rest)
    rows = np.flatnonzero(is_said)
    heights = percentiles[rows].sum(axis=1, dtype=np.int64)
    return [index.ids[row] for row in rows[np.argsort(-heights, kind="stable")]]


def ids_with_word(index: SearchIndex, name: str) -> list[str]:
    """Ids of the tracks of which a word is said, those that stand highest first; none for a name that is no word's."""
    word = word_of(name)
    return [] if word is None else ids_with(index, WordQuery((word,), ""))


def mood_sizes(index: SearchIndex, fewest: int) -> dict[str, int]:
    """The number of tracks of each mood that has at least so many, in the order of the vocabulary."""
    sizes = (index.word_percentiles > 0).sum(axis=0)
    size_by_mood = {word.name: int(sizes[COLUMN_BY_WORD[word.name]]) for word in WORDS if word.kind == MOOD}
    return {mood: size for mood, size in size_by_mood.items() if size >= fewest}


def words_heard(index: SearchIndex, track_ids: Collection[str]) -> dict[str, int]:
    """Of how many of these tracks each word is said."""
    rows = [index.row_by_id[track_id] for track_id in track_ids if track_id in index.row_by_id]
    counts = (index.word_percentiles[rows] > 0).sum(axis=0)
    return {word.name: int(counts[COLUMN_BY_WORD[word.name]]) for word in WORDS}


def listed_words(percentile_by_name: dict[str, int]) -> list[Word]:
    """The words to list of a track, by kind: the MAX_LISTED_WORDS highest, at most MAX_LISTED_GENRES of them genres."""
    highest = sorted(
        (name for name in percentile_by_name if name in WORD_BY_NAME), key=lambda name: -percentile_by_name[name]
    )
    genres = [name for name in highest if WORD_BY_NAME[name].kind == GENRE]
    chosen = [name for name in highest if name not in genres[MAX_LISTED_GENRES:]][:MAX_LISTED_WORDS]
    return [WORD_BY_NAME[name] for name in listed(chosen)]


def map_words(index: SearchIndex) -> tuple[NDArray[np.int64], Sequence[str]]:
    """(for each track the word of MAP_WORDS for which it stands highest, -1 for none [shape=(n,)]; the words' labels)."""
    percentiles = index.word_percentiles[:, [COLUMN_BY_WORD[name] for name in MAP_WORDS]]
    codes = np.where(percentiles.any(axis=1), percentiles.argmax(axis=1), -1) if len(index) else np.empty(0, np.int64)
    return codes, [WORD_BY_NAME[name].label for name in MAP_WORDS]
