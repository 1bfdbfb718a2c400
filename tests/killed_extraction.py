"""An extraction in a process group of its own, killed at a given moment, and the tables that it left."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

PROJECT = Path(__file__).resolve().parents[1]
TABLES = ("tracks", "features", "rejected_tracks")
FILES_PER_COMMIT = 4
"""So that a small library has many moments between two commits."""
JOB = f"""
import sys
from batch import extract
from batch.library import chunks
assert chunks.MOST_FILES > {FILES_PER_COMMIT}
chunks.MOST_FILES = {FILES_PER_COMMIT}
sys.exit(extract.main(sys.argv[1:]))
"""


def extraction(library: Path, home: Path) -> subprocess.Popen[str]:
    """The job, with few files a commit, in a Spark of its own."""
    script = home.with_suffix(".py")
    script.write_text(JOB)
    return subprocess.Popen(
        [str(PROJECT / "spark-submit.sh"), str(script), "--library", str(library)],
        env={**os.environ, "OVERTONE_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def killed_after(commits: int, name: str, library: Path, home: Path) -> bool:
    """Starts the job and kills it with all its processes once `name` has that many commits; False if it ended before."""
    job = extraction(library, home)
    log = home / "lake" / name / "_delta_log"
    deadline = time.monotonic() + 120
    while job.poll() is None and time.monotonic() < deadline:
        if len(list(log.glob("*.json"))) >= commits:
            os.killpg(job.pid, signal.SIGKILL)
            job.communicate()
            return True
        time.sleep(0.005)
    assert job.poll() is not None, "the job neither committed nor ended"
    job.communicate()
    return False


def run_to_the_end(library: Path, home: Path) -> str:
    job = extraction(library, home)
    said, _ = job.communicate(timeout=180)
    assert job.returncode == 0, said
    return said


def tables(home: Path) -> dict[str, list[dict[str, Any]]]:
    """All rows, without the times at which they were found."""
    found = {}
    for name in TABLES:
        rows = DeltaTable(str(home / "lake" / name)).to_pyarrow_table().to_pylist()
        times = ("found_at", "rejected_at")
        plain = [{column: value for column, value in row.items() if column not in times} for row in rows]
        found[name] = sorted(plain, key=lambda row: (row.get("track_id") or "", row.get("path") or ""))
    return found
