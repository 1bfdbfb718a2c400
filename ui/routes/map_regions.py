"""Names on the map: where the tracks of a genre, a word for the sound or an artist lie close together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

GRID = 14
"""Cells of the map's side that are counted."""
FEWEST_REGION_TRACKS = 3
LEAST_SHARE = 0.2
"""A region has at least so many of a name's tracks; of names that are all over the map none is shown."""
MAX_GENRE_REGIONS = 40
MAX_ARTIST_REGIONS = 400


class Region(NamedTuple):
    """A name and its middle on the map, in the units of the points. size : number of its tracks there"""

    name: str
    x: float
    y: float
    size: int


def region(name: str, points: NDArray[np.float32], units: float) -> Region | None:
    """Where most of a name's tracks lie together; None where they do not.

    points : [shape=(n, 2)], from 0 to `units`
    """
    if len(points) < FEWEST_REGION_TRACKS:
        return None
    cells = np.clip((points / units * GRID).astype(int), 0, GRID - 1)
    counts = np.zeros((GRID + 2, GRID + 2), dtype=int)
    np.add.at(counts, (cells[:, 0] + 1, cells[:, 1] + 1), 1)
    around = sum(counts[1 + dx : GRID + 1 + dx, 1 + dy : GRID + 1 + dy] for dx in (-1, 0, 1) for dy in (-1, 0, 1))
    peak = np.array(np.unravel_index(int(np.argmax(around)), (GRID, GRID)))
    inside = points[(np.abs(cells - peak) <= 1).all(axis=1)]
    if len(inside) < max(FEWEST_REGION_TRACKS, LEAST_SHARE * len(points)):
        return None
    middle = inside.mean(axis=0)
    return Region(name, float(middle[0]), float(middle[1]), len(inside))


def regions(
    rows_by_name: Mapping[str, Iterable[int]], places: NDArray[np.float32], units: float, most: int
) -> list[Region]:
    """The regions of the names that have one, the largest first.

    places : of all rows [shape=(n, 2)], NaN for those without
    """
    found = []
    for name, rows in rows_by_name.items():
        points = places[list(rows)]
        points = points[~np.isnan(points).any(axis=1)]
        if (named := region(name, points, units)) is not None:
            found.append(named)
    return sorted(found, key=lambda each: (-each.size, each.name))[:most]
