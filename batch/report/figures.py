"""The report card's pictures, as PNG in base64: they travel inside the page."""

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

BEFORE, AFTER, REST = "#c44e52", "#2a7f62", "#9aa5b1"
NAMED = 20
"""Genres with a colour of their own on the map."""


def recall(quality: dict[str, Any]) -> str:
    figure, axes = _figure(5, 3.2)
    at = [one["k"] for one in quality["at"]]
    axes.bar([f"@{k}" for k in at], [one["recall"] for one in quality["at"]], color=AFTER, width=0.5)
    for place, one in enumerate(quality["at"]):
        axes.text(place, one["recall"] + 0.01, f"{one['recall']:.3f}", ha="center", fontsize=9)
    axes.axhline(0.95, color=BEFORE, lw=1, ls="--")
    axes.set_ylim(0, 1.1)
    axes.set_ylabel("recall against exact search")
    return _png(figure)


def precision(measured: dict[str, Any]) -> str:
    figure, axes = _figure(7, 3.2)
    ways = measured["ways"][::-1]
    places = np.arange(len(ways))
    for shift, name, colour, label in (
        (0.2, "precision", REST, "all neighbours"),
        (-0.2, "artist_filtered", AFTER, "without the same artist and album"),
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
    figure, axes = _figure(7, 3.2)
    for name, colour in (("before", BEFORE), ("after", AFTER)):
        counts = np.array(measured[f"histogram_{name}"], dtype=float)
        shares = counts / max(1.0, counts.sum())
        axes.step(np.arange(len(counts)), shares, where="mid", color=colour, label=measured[name]["way"])
    axes.set_xlabel(f"lists of {measured['k']} in which a track stands")
    axes.set_ylabel("share of the tracks")
    axes.legend(fontsize=8)
    return _png(figure)


def confusion(genres: list[str], counts: NDArray[np.int64]) -> str:
    size = min(11.0, 3 + 0.32 * len(genres))
    figure, axes = _figure(size + 1, size)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    genres = [literal(genre) for genre in genres]
    shown = axes.imshow(shares, cmap="Greens", vmin=0, vmax=1)
    figure.colorbar(shown, ax=axes, shrink=0.7, label="share of the true genre")
    axes.set_xticks(range(len(genres)), genres, rotation=60, ha="right", fontsize=8)
    axes.set_yticks(range(len(genres)), genres, fontsize=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for row, column in zip(*np.nonzero(counts), strict=True):
        dark = shares[row, column] > 0.5
        axes.text(
            column, row, str(counts[row, column]), ha="center", va="center", fontsize=7, color="w" if dark else "k"
        )
    return _png(figure)


def plane(places: NDArray[np.float32], genre: Labels, genres: list[str]) -> str:
    """The map, the commonest genres in colour."""
    import matplotlib

    figure, axes = _figure(8.5, 6.5)
    size = float(np.clip(3000 / max(1, len(places)), 2.5, 22))
    colours = matplotlib.colormaps["tab20"]
    common = (
        [int(g) for g in np.argsort(-np.bincount(genre[genre >= 0], minlength=len(genres)))[:NAMED]]
        if len(genres)
        else []
    )
    rest = ~np.isin(genre, common)
    colour, alpha = (REST, 0.5) if common else (AFTER, 0.9)  # the rest of a map in colours, or all there is
    axes.scatter(places[rest, 0], places[rest, 1], s=size, color=colour, alpha=alpha, linewidths=0)
    for at, one in enumerate(sorted(common, key=lambda g: genres[g])):
        some = genre == one
        axes.scatter(
            places[some, 0], places[some, 1], s=size, color=colours(at % 20), label=literal(genres[one]), linewidths=0
        )
    if common:
        figure.legend(loc="outside right upper", fontsize=8, markerscale=max(1.0, 4 / size))
    axes.set_xlim(-1.05, 1.05)
    axes.set_ylim(-1.05, 1.05)
    axes.set_xticks([])
    axes.set_yticks([])
    return _png(figure)


def literal(name: str) -> str:
    """A name as matplotlib shows it unchanged: no formula between dollars, and not hidden for a leading underscore."""
    return (" " if name.startswith("_") else "") + name.replace("$", r"\$")


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _png(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return base64.b64encode(buffer.getvalue()).decode()
