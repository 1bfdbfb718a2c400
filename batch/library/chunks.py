"""How many files are read between two commits: as many as keep short what an interrupted run has to read again."""

from __future__ import annotations

FIRST_FILES_PER_CORE = 1000
"""Some three minutes of clips of 30 s, before it is known how long the files take."""
FEWEST_FILES = 100
MOST_FILES = 50_000
"""Whose rows, without vectors, the driver holds at once: some 100 MB."""
MOST_GROWTH = 2.0
"""From one chunk to the next: the next files may take longer than those before, as new ones after some that were only hashed."""


class ChunkSize:
    """The number of files of the next chunk, so that reading it takes about as long as wanted, on however many cores.

    cores : that read at once
    seconds : of reading between two commits
    """

    def __init__(self, cores: int, seconds: float) -> None:
        self._seconds = seconds
        self.files = min(MOST_FILES, FIRST_FILES_PER_CORE * cores)

    def has_read(self, files: int, seconds: float) -> None:
        """Takes into account how long a chunk took to read."""
        wanted = files * self._seconds / max(seconds, 1e-3)
        most = min(MOST_FILES, int(MOST_GROWTH * max(files, FEWEST_FILES)))
        self.files = max(1, min(most, max(FEWEST_FILES, round(wanted))))
