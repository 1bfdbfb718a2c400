"""code_archive.py PROJECT: prints the path of a zip of our packages, which spark-submit.sh sends along with a job.

It lies in .venv/code, or in the temporary folder where that cannot be written, under the checksum of its content: a job that runs
for weeks needs it whenever an executor starts. Runs by itself, without our packages.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("batch", "conf", "streaming", "ui")
KEPT_S = 7 * 86_400.0
"""A zip of other code is kept so long after its last use, and while a process of this machine names it."""


def code_archive(project: Path, folder: Path) -> Path:
    """The zip of the packages in a folder, made where it is not there yet. Raises OSError.

    folder : of zips of any code; those that nobody uses any more are removed when a new one is made
    """
    files = [file for package in PACKAGES for file in sorted((project / package).rglob("*"))]
    contents = {str(file.relative_to(project)): file.read_bytes() for file in files if _is_code(file)}
    digest = hashlib.sha256()
    for name, content in contents.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    archive = folder / f"overtone-{digest.hexdigest()[:32]}.zip"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if archive.exists():
        os.utime(archive)
        return archive
    _remove_unused(folder)
    part = folder / f".{archive.name}.{os.getpid()}.part"
    try:
        with zipfile.ZipFile(part, "w") as zipped:
            for name, content in contents.items():
                zipped.writestr(zipfile.ZipInfo(name), content)
        part.replace(archive)
    finally:
        part.unlink(missing_ok=True)
    return archive


def _is_code(file: Path) -> bool:
    return file.is_file() and file.suffix != ".pyc"


def _remove_unused(folder: Path) -> None:
    for archive in folder.glob("overtone-*.zip"):
        is_old = time.time() - archive.stat().st_mtime > KEPT_S
        if is_old and not any(archive.name in command for command in _commands()):
            archive.unlink(missing_ok=True)


def _commands() -> Iterator[str]:
    """The command lines of this machine's processes."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield file.read_text(errors="replace")
        except OSError:
            continue


def main(project: Path) -> None:
    try:
        archive = code_archive(project, project / ".venv" / "code")
    except OSError:  # another user's, or read only
        archive = code_archive(project, Path(tempfile.mkdtemp(prefix="overtone-code-")))
    print(archive)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
