"""Job: download FMA's archives, verify and unpack them. It starts no Spark.

    .venv/bin/python -m batch.download_fma --subset small|medium|large|full|metadata [--to DIR]
    spark-submit.sh batch/download_fma.py --subset small|medium|large|full|metadata [--to DIR]

Downloads fma_SUBSET.zip, compares its SHA-1 with the published one, and unpacks it to DIR/fma_SUBSET. A run that was ended at any
moment continues when it is repeated; a complete one does nothing. DIR also holds:

fma_small.zip.part       the received part of a download; .part.json has its size and ETag
fma_small.zip            the archive, not needed once it is unpacked; fma_small.zip.sha1 says that it was verified
fma_small.zip.bad        an archive with another SHA-1
fma_small.unpacked       the list of unpacked files, written at the end

Exits with 0 when all files are there, 2 for a wrong argument, 1 when it failed, 130 when it was interrupted.

Source: Defferrard et al., "FMA: A Dataset for Music Analysis", ISMIR 2017. The audio is under the licence that each
artist chose, the metadata under CC BY 4.0. The zips are packed with bzip2, which old versions of unzip cannot read.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from batch import job
from batch.atomic import write_text
from batch.fma.archive import DamagedArchive, require_free_space, sha1_of, unpack
from batch.fma.download import PAUSES_S, download, forget_validators
from batch.fma.meter import Meter, size_text

BASE_URL = "https://os.unil.cloud.switch.ch/fma/"


class WrongArchive(ValueError):
    """The archive's SHA-1 is not the published one."""


@dataclass(frozen=True)
class PublishedArchive:
    """What is known of an archive before its download.

    sha1 : of the zip, as published
    unpacked_ratio : estimated unpacked bytes per byte of the zip, for the free space that is required
    """

    sha1: str
    unpacked_ratio: float = 1.05


ARCHIVES: Mapping[str, PublishedArchive] = {
    "small": PublishedArchive("ade154f733639d52e35e32f5593efe5be76c6d70"),
    "medium": PublishedArchive("c67b69ea232021025fca9231fc1c7c1a063ab50b"),
    "large": PublishedArchive("497109f4dd721066b5ce5e5f250ec604dc78939e"),
    "full": PublishedArchive("0f0ace23fbe9ba30ecb7e95f763e435ea802b8ab"),
    "metadata": PublishedArchive("f0df49ffe5f2a6008d7dc83c6915b31835dfe733", unpacked_ratio=4.5),
}


def main(
    arguments: Sequence[str] | None = None,
    archives: Mapping[str, PublishedArchive] = ARCHIVES,
    pauses_s: Sequence[float] = PAUSES_S,
) -> int:
    def work(_: object, options: argparse.Namespace) -> str:
        if urlsplit(options.base_url).scheme not in ("http", "https"):
            raise job.WrongArgument(f"--base-url is {options.base_url}, expected http://… or https://…")
        to = Path(options.to).expanduser()
        subset = Subset(f"fma_{options.subset}", to, options.base_url, archives[options.subset], pauses_s)
        sizes = subset.download_and_unpack(options.remove_archive)
        return f"{subset.name}: {len(sizes):,} files, {size_text(sum(sizes.values()))}, in {subset.folder}"

    try:
        return job.run(
            "batch/download_fma.py",
            "Download, verify and unpack one of FMA's archives; run again, it goes on from where it was.",
            work,
            arguments,
            add_arguments=_add_arguments,
        )
    except KeyboardInterrupt:
        return job.failed("download_fma", "interrupted; the same command goes on from here", 130)


@dataclass(frozen=True)
class Subset:
    """One of FMA's archives and its folder."""

    name: str
    to: Path
    base_url: str
    archive: PublishedArchive
    pauses_s: Sequence[float] = PAUSES_S

    @property
    def folder(self) -> Path:
        return self.to / self.name

    def download_and_unpack(self, remove_archive: bool = False) -> Mapping[str, int]:
        """Size in bytes of each unpacked file by its name in the archive. Does only what earlier runs have not done.

        Raises WrongArchive, and what `download` and `unpack` raise.
        """
        self.to.mkdir(parents=True, exist_ok=True)
        with self._locked():
            sizes = self._unpacked_sizes()
            if sizes is None:
                if not self._is_verified():
                    self._download()
                sizes = self._unpack()
            if remove_archive:
                self._file(".zip").unlink(missing_ok=True)
                self._file(".zip.sha1").unlink(missing_ok=True)
        return sizes

    def _download(self) -> None:
        """Downloads and verifies the archive; an archive that another program downloaded is only verified."""
        archive, part = self._file(".zip"), self._file(".zip.part")
        if not archive.exists():
            url = f"{self.base_url.rstrip('/')}/{archive.name}"
            position = f", going on at {size_text(part.stat().st_size)}" if part.exists() else ""
            print(f"{self.name}: from {url}{position}", flush=True)
            download(url, part, self._require_space, self.pauses_s)
        self._verify(archive if archive.exists() else part)
        if not archive.exists():
            os.replace(part, archive)
            forget_validators(part)
        write_text(self._file(".zip.sha1"), f"{self.archive.sha1}  {archive.name}\n")

    def _verify(self, file: Path) -> None:
        with Meter(f"SHA-1 of {file.name}", file.stat().st_size) as meter:
            sha1 = sha1_of(file, meter.add)
        if sha1 == self.archive.sha1:
            return
        bad = self._file(".zip.bad")
        os.replace(file, bad)
        forget_validators(self._file(".zip.part"))
        raise WrongArchive(
            f"{file.name} has the SHA-1 {sha1}, published is {self.archive.sha1}: it is damaged or another file. "
            f"It was set aside as {bad}; the same command downloads it again"
        )

    def _unpack(self) -> Mapping[str, int]:
        try:
            sizes = unpack(self._file(".zip"), self.to, self.name)
        except DamagedArchive as error:
            self._file(".zip.sha1").unlink()  # so that the next run verifies it again
            raise DamagedArchive(
                f"{error}, though its SHA-1 was right; is the disk sound? The same command verifies it again"
            ) from error
        write_text(self._file(".unpacked"), json.dumps({"sha1": self.archive.sha1, "files": sizes}))
        return sizes

    def _unpacked_sizes(self) -> Mapping[str, int] | None:
        """The list that an earlier run wrote; None where there is none or a file is missing or has another size."""
        try:
            record = json.loads(self._file(".unpacked").read_text())
            sizes: dict[str, int] = record["files"] if record["sha1"] == self.archive.sha1 else {}
            is_complete = sizes and all((self.to / name).stat().st_size == size for name, size in sizes.items())
            return sizes if is_complete else None
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            return None

    def _is_verified(self) -> bool:
        """Whether the archive exists and has not changed since it was verified."""
        archive, record = self._file(".zip"), self._file(".zip.sha1")
        if not archive.exists() or not record.exists():
            return False
        return (
            record.read_text().split()[:1] == [self.archive.sha1]
            and record.stat().st_mtime_ns >= archive.stat().st_mtime_ns
        )

    def _require_space(self, remaining: int) -> None:
        """Checks for space for the rest of the archive and, estimated, for what is not unpacked yet. Raises DiskTooSmall."""
        part = self._file(".zip.part")
        total = remaining + (part.stat().st_size if part.exists() else 0)
        unpacked = sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())
        not_unpacked = max(0, round(total * self.archive.unpacked_ratio) - unpacked)
        require_free_space(self.to, remaining + not_unpacked, f"{self.name} (archive and what it unpacks to)")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Raises ValueError where another run holds the lock: two would write into the same part."""
        with open(self.to / f".{self.name}.lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ValueError(f"another run works on {self.folder}; wait until it has ended") from error
            yield

    def _file(self, suffix: str) -> Path:
        return self.to / f"{self.name}{suffix}"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Archives: metadata 342 MiB, small 7.2 GiB, medium 22 GiB, large 93 GiB, full 879 GiB. What audio unpacks to "
        "takes about the same again, metadata four times as much."
    )
    parser.add_argument("--subset", required=True, choices=list(ARCHIVES), help="which archive")
    parser.add_argument("--to", metavar="DIR", default="fma", help="the folder for archive and files; default: ./fma")
    parser.add_argument(
        "--base-url", metavar="URL", default=BASE_URL, help="where the archives are; default: %(default)s"
    )
    parser.add_argument("--remove-archive", action="store_true", help="delete the zip once all is unpacked")


if __name__ == "__main__":
    sys.exit(main())
