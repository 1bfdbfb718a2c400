"""How long micro-batches wait for a checkpoint in an object store, a part of the latency of each list; printed once a query."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

from batch.storage.locations import is_remote, without_password

MEASURED_BATCHES = 5
CHECKPOINT_PHASES = ("walCommit", "commitOffsets")
"""Spark's names of the phases of a micro-batch that write to the checkpoint."""


class CheckpointLatency:
    """Notes the first micro-batches of each query.

    checkpoints : where they are; a local folder is not noted
    """

    def __init__(self, checkpoints: str) -> None:
        self._checkpoints = checkpoints
        self._writing_ms: dict[str, list[int]] = {}

    def progressed(self, query: str, durations_ms: Mapping[str, int]) -> None:
        """Adds a micro-batch, and prints a line with the last one of MEASURED_BATCHES.  durations_ms : by Spark's phase"""
        if not is_remote(self._checkpoints) or not all(phase in durations_ms for phase in CHECKPOINT_PHASES):
            return
        of_query = self._writing_ms.setdefault(query, [])
        if len(of_query) == MEASURED_BATCHES:
            return
        of_query.append(sum(durations_ms[phase] for phase in CHECKPOINT_PHASES))
        if len(of_query) == MEASURED_BATCHES:
            print(
                f"{query}: a micro-batch writes for {statistics.median(of_query) / 1000:.2f} s to its checkpoint in "
                f"{without_password(self._checkpoints)} (median of {MEASURED_BATCHES}); a file system takes less "
                "(stream.checkpoints)",
                flush=True,
            )
