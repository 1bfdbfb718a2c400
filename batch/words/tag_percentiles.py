"""How high each track stands in its library for each word: percentiles of the network's probabilities. No Spark.

A tag's probability says little by itself: the likeliest of all tracks for "happy" have 0.01. Its percentile within the library
says whom the word fits best there. A word that the network finds unlikely (`Word.unlikely_below`) is said of no track, so that a
library without metal has no metal in it.

Beside the index of a model: tags.npy     uint8 [shape=(n, words)], percentiles 0 to 100
                             tag_names.npy      the words' names, by column
                             tag_quantiles.npy  float32 [shape=(101, words)], of the probabilities, for tracks added later
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch.words.vocabulary import WORD_BY_NAME, WORDS

SAID_PERCENTILE = 85
"""A word is said of the tracks that stand above so many percent of the library for it."""
MOST_WORDS = 10
"""Words said of a track at most, the highest percentiles first."""
POINTS = 101
NAMES_FILE = "tag_names.npy"
QUANTILES_FILE = "tag_quantiles.npy"
PERCENTILES_FILE = "tags.npy"

Percentiles = NDArray[np.uint8]
Probabilities = NDArray[np.floating]


@dataclass(frozen=True)
class Calibration:
    """The distribution of each word's probability in a library.

    names : of the words, by column
    quantiles : float32 [shape=(POINTS, words)]
    """

    names: tuple[str, ...]
    quantiles: NDArray[np.float32]

    @classmethod
    def of(cls, probabilities: Probabilities, tag_names: Sequence[str]) -> Calibration:
        """The calibration of a library.

        probabilities : of the network's tags [shape=(n, tags)]
        tag_names : the tags, by column
        """
        summed = word_probabilities(probabilities, tag_names, [word.name for word in WORDS])
        quantiles = np.quantile(summed, np.linspace(0, 1, POINTS), axis=0).astype(np.float32)
        return cls(tuple(word.name for word in WORDS), quantiles)

    def percentiles(self, probabilities: Probabilities, tag_names: Sequence[str]) -> Percentiles:
        """Share of the library's tracks in percent that are less likely to be called so, 0 where the word is unlikely
        [shape=(n, words)]."""
        summed = word_probabilities(probabilities, tag_names, self.names).astype(np.float32)
        percentiles = np.zeros(summed.shape, dtype=np.int64)
        for column, quantiles in enumerate(self.quantiles.T):
            values = summed[:, column]
            below = np.searchsorted(quantiles, values, side="left")
            is_quantile = quantiles[np.minimum(below, POINTS - 1)] == values
            percentiles[:, column] = np.maximum(0, below - ~is_quantile)
        unlikely_below = np.array([WORD_BY_NAME[name].unlikely_below for name in self.names], dtype=np.float32)
        return np.where(summed < unlikely_below, 0, percentiles).astype(np.uint8)

    def save(self, folder: Path, percentiles: Percentiles | None = None) -> None:
        """Writes names and quantiles.  folder : of the index;  percentiles : of its tracks, by row; None: they are there"""
        if percentiles is not None:
            np.save(folder / PERCENTILES_FILE, percentiles)
        np.save(folder / NAMES_FILE, np.array(self.names, dtype=np.str_))
        np.save(folder / QUANTILES_FILE, self.quantiles)

    @classmethod
    def open(cls, folder: Path) -> Calibration | None:
        """The calibration beside an index; None where the model has none. Raises ValueError where it is damaged."""
        if not (folder / QUANTILES_FILE).exists():
            return None
        names = np.load(folder / NAMES_FILE, allow_pickle=False)
        quantiles = np.load(folder / QUANTILES_FILE, allow_pickle=False)
        if quantiles.shape != (POINTS, len(names)):
            raise ValueError(f"{QUANTILES_FILE} has shape {quantiles.shape}, expected {(POINTS, len(names))}")
        is_known = np.array([str(name) in WORD_BY_NAME for name in names], dtype=bool)
        return cls(tuple(names[is_known].tolist()), quantiles[:, is_known])


def calibrated(probabilities: Probabilities, tag_names: Sequence[str]) -> Calibration | None:
    """The calibration of a library by its tracks, or a sample of them; None where none was heard.

    probabilities : of the network's tags, rows of 0 where a track has none [shape=(n, tags)]
    tag_names : the tags, by column
    """
    is_heard = probabilities.any(axis=1)
    return Calibration.of(probabilities[is_heard], tag_names) if is_heard.any() else None


def defaults() -> list[list[Any]]:
    """What percentiles are made with, as JSON has it: another vocabulary means another training."""
    return [[word.name, *word.tags, word.unlikely_below] for word in WORDS]


def said(percentiles: Percentiles) -> NDArray[np.bool_]:
    """Which words are said of each track: at most MOST_WORDS from SAID_PERCENTILE on [shape=(n, words)]."""
    is_high = percentiles >= SAID_PERCENTILE
    crowded = np.flatnonzero(is_high.sum(axis=1) > MOST_WORDS)
    if len(crowded):
        order = np.argsort(-percentiles[crowded].astype(np.int16), axis=1, kind="stable")
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(order.shape[1])[None, :], axis=1)
        is_high[crowded] &= rank < MOST_WORDS
    return is_high


def said_words(percentiles: Percentiles, names: Sequence[str]) -> list[list[dict[str, Any]]]:
    """The words said of each track as `{tag, percentile}`, the highest percentile first.

    percentiles : [shape=(n, words)];  names : by column
    """
    listed = []
    for values, is_said in zip(percentiles, said(percentiles), strict=True):
        columns = sorted(np.flatnonzero(is_said).tolist(), key=lambda column: (-int(values[column]), column))
        listed.append([{"tag": names[column], "percentile": int(values[column])} for column in columns])
    return listed


def read_words(stored: Any) -> dict[str, int]:
    """{word's name: percentile} in a stored list of `{tag, percentile}`; what cannot be understood is left out."""
    percentile_by_name: dict[str, int] = {}
    for each in stored if isinstance(stored, (list, tuple)) else ():
        name, percentile = (each.get("tag"), each.get("percentile")) if isinstance(each, Mapping) else (None, None)
        is_number = isinstance(percentile, (int, float)) and not isinstance(percentile, bool)
        if isinstance(name, str) and is_number and 0 <= float(percentile or 0) <= 100:
            percentile_by_name[name] = int(percentile or 0)
    return percentile_by_name


def rows_of_words(words_by_track: Sequence[Mapping[str, int]], names: Sequence[str]) -> Percentiles:
    """The percentiles of tracks by column, 0 for words that are not said [shape=(tracks, words)].

    words_by_track : as `read_words` returns them;  names : by column
    """
    return np.array([[words.get(str(name), 0) for name in names] for words in words_by_track], dtype=np.uint8).reshape(
        len(words_by_track), len(names)
    )


def word_probabilities(
    probabilities: Probabilities, tag_names: Sequence[str], names: Sequence[str]
) -> NDArray[np.float64]:
    """The probabilities of each word's tags, added [shape=(n, words)]. Raises ValueError where a tag is missing."""
    column_by_tag = {tag.casefold(): column for column, tag in enumerate(tag_names)}
    values = np.asarray(probabilities, dtype=np.float64).reshape(-1, len(tag_names))
    columns = []
    for name in names:
        tags = WORD_BY_NAME[name].tags
        if missing := [tag for tag in tags if tag not in column_by_tag]:
            raise ValueError(f"the network has no tag {missing[0]!r}; it has {', '.join(tag_names)}")
        columns.append(values[:, [column_by_tag[tag] for tag in tags]].sum(axis=1))
    return np.stack(columns, axis=1)
