"""How many files are read between two commits, by the cores and by how long the files take."""

from __future__ import annotations

import pytest

from batch.library.chunks import FEWEST_FILES, MOST_FILES, ChunkSize

FIVE_MINUTES = 300.0


@pytest.mark.parametrize(("cores", "files"), [(1, 1000), (2, 2000), (16, 16_000), (200, MOST_FILES)])
def test_the_first_chunk_follows_the_cores(cores: int, files: int) -> None:
    assert ChunkSize(cores, FIVE_MINUTES).files == files


def test_further_chunks_take_as_long_as_wanted() -> None:
    chunk = ChunkSize(2, FIVE_MINUTES)
    chunk.has_read(2000, 200.0)
    assert chunk.files == 3000
    chunk.has_read(3000, 600.0)
    assert chunk.files == 1500


def test_a_chunk_that_was_quick_doubles_the_next_at_most() -> None:
    chunk = ChunkSize(2, FIVE_MINUTES)
    sizes = []
    for _ in range(7):
        chunk.has_read(chunk.files, 0.0)  # files that were only hashed
        sizes.append(chunk.files)
    assert sizes == [4000, 8000, 16_000, 32_000, MOST_FILES, MOST_FILES, MOST_FILES]


def test_slow_files_are_committed_in_small_chunks() -> None:
    chunk = ChunkSize(2, FIVE_MINUTES)
    chunk.has_read(2000, 20_000.0)
    assert chunk.files == FEWEST_FILES
    chunk.has_read(3, 0.1)  # the last files of a chunk say little
    assert chunk.files == 2 * FEWEST_FILES


def test_hundred_cores_commit_every_few_minutes_rather_than_every_few_seconds() -> None:
    """A million files at five a second and core."""
    chunk, files, commits = ChunkSize(100, FIVE_MINUTES), 0, 0
    while files < 1_000_000:
        size = chunk.files
        chunk.has_read(size, size / 500)
        files, commits = files + size, commits + 1
    assert commits == 20
