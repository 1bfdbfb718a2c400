"""The report card's figures: each function draws one and returns it as PNG in base64, to be embedded in the page."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from batch.library.labels import Labels

RED = "#c44e52"
GREEN = "#2a7f62"
GREY = "#9aa5b1"
COLOURED_GENRES = 20
"""Genres with a colour of their own on the map."""
TARGET_RECALL = 0.95
"""Where the recall's dashed line is drawn."""


def recall(quality: dict[str, Any]) -> str:
    """Recall@k as bars.  quality : `measures.index_quality`"""
    figure, axes = _figure(5, 3.2)
    recalls = [at_k["recall"] for at_k in quality["at"]]
    axes.bar([f"@{at_k['k']}" for at_k in quality["at"]], recalls, color=GREEN, width=0.5)
    for place, value in enumerate(recalls):
        axes.text(place, value + 0.01, f"{value:.3f}", ha="center", fontsize=9)
    axes.axhline(TARGET_RECALL, color=RED, lw=1, ls="--")
    axes.set_ylim(0, 1.1)
    axes.set_ylabel("recall against exact search")
    return _png(figure)


def precision(measured: dict[str, Any]) -> str:
    """Precision@10 of each way to choose a list.  measured : `measures.genre_precision`"""
    figure, axes = _figure(7, 3.2)
    ways = measured["ways"][::-1]
    places = np.arange(len(ways))
    for shift, name, colour, label in (
        (0.2, "precision", GREY, "all neighbours"),
        (-0.2, "artist_filtered", GREEN, "artist filter: without the same artist or album"),
    ):
        values = [way[name] for way in ways]
        axes.barh(places + shift, values, height=0.38, color=colour, label=label)
        for place, value in zip(places, values, strict=True):
            axes.text(value + 0.01, place + shift, f"{value:.2f}", va="center", fontsize=8)
    axes.set_yticks(places, [way["way"] for way in ways])
    axes.set_xlim(0, 1.12)
    axes.set_xlabel("precision@10 by genre")
    axes.legend(fontsize=8, loc="lower right")
    return _png(figure)


def hubness(measured: dict[str, Any]) -> str:
    """Distribution of the k-occurrence before and after.  measured : `measures.hubness`"""
    figure, axes = _figure(7, 3.2)
    for name, colour in (("before", RED), ("after", GREEN)):
        counts = np.array(measured[f"histogram_{name}"], dtype=float)
        shares = counts / max(1.0, counts.sum())
        axes.step(np.arange(len(counts)), shares, where="mid", color=colour, label=measured[name]["way"])
    axes.set_xlabel(f"{measured['k']}-occurrence: lists of {measured['k']} that contain a track")
    axes.set_ylabel("share of the tracks")
    axes.legend(fontsize=8)
    return _png(figure)


def confusion(genres: list[str], counts: NDArray[np.int64]) -> str:
    """Confusion matrix.  genres : names by code;  counts : true genre by row [shape=(genres, genres)]"""
    size = min(11.0, 3 + 0.32 * len(genres))
    figure, axes = _figure(size + 1, size)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    names = [literal(genre) for genre in genres]
    image = axes.imshow(shares, cmap="Greens", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, shrink=0.7, label="share of the true genre")
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "w" if shares[row, column] > 0.5 else "k"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=7, color=colour)
    return _png(figure)


def plane(positions: NDArray[np.float32], genre: Labels, genres: list[str]) -> str:
    """The map, the most frequent genres in colour.

    positions : -1 to 1 [shape=(n, 2)];  genre : of each track;  genres : names by code
    """
    import matplotlib

    figure, axes = _figure(8.5, 6.5)
    size = float(np.clip(3000 / max(1, len(positions)), 2.5, 22))
    colours = matplotlib.colormaps["tab20"]
    coloured: list[int] = []
    if genres:
        counts = np.bincount(genre[genre >= 0], minlength=len(genres))
        coloured = np.argsort(-counts)[:COLOURED_GENRES].tolist()
    is_other = ~np.isin(genre, coloured)
    colour, alpha = (GREY, 0.5) if coloured else (GREEN, 0.9)
    axes.scatter(positions[is_other, 0], positions[is_other, 1], s=size, color=colour, alpha=alpha, linewidths=0)
    for number, code in enumerate(sorted(coloured, key=lambda code: genres[code])):
        x, y = positions[genre == code].T
        axes.scatter(x, y, s=size, color=colours(number % 20), label=literal(genres[code]), linewidths=0)
    if coloured:
        figure.legend(loc="outside right upper", fontsize=8, markerscale=max(1.0, 4 / size))
    axes.set_xlim(-1.05, 1.05)
    axes.set_ylim(-1.05, 1.05)
    axes.set_xticks([])
    axes.set_yticks([])
    return _png(figure)


def literal(name: str) -> str:
    """The name escaped for matplotlib: "$" starts a formula, and a leading underscore hides a legend entry."""
    return (" " if name.startswith("_") else "") + name.replace("$", r"\$")


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    """width, height : in inches"""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _png(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return base64.b64encode(buffer.getvalue()).decode()
