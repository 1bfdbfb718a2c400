"""Matches of a search, of which the best can be taken without sorting all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Ranked:
    """Rows of an index with their ranks.

    rows : int64 [shape=(n,)];  ranks : int64 [shape=(n,)], lower is better, all different
    """

    rows: NDArray[np.int64]
    ranks: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def page(self, offset: int, limit: int) -> list[int]:
        """The rows from a place in the order of the ranks on."""
        end = offset + limit
        best = np.argpartition(self.ranks, end)[:end] if len(self) > end else np.arange(len(self))
        return [int(row) for row in self.rows[best[np.argsort(self.ranks[best])]][offset:end]]


NOTHING = Ranked(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
