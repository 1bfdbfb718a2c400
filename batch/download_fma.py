"""Job: FMA's archives onto the disk, whole and verified.

    .venv/bin/python -m batch.download_fma --subset small|medium|large|full|metadata [--to DIR]
    spark-submit.sh batch/download_fma.py --subset small|medium|large|full|metadata [--to DIR]

Downloads fma_SUBSET.zip, holds it against its published SHA-1, and unpacks it to DIR/fma_SUBSET. It may be ended at any
moment: the same command goes on from there, and does nothing when all is there. In DIR are, besides the folder:

fma_small.zip.part       what there is of an unfinished download; .part.json has its size and ETag
fma_small.zip            the archive, with the published SHA-1 as fma_small.zip.sha1 says; needed no more once it is unpacked
fma_small.zip.bad        an archive with another SHA-1
fma_small.unpacked       what was unpacked, written when all of it was

Exits 0 when all is there, 2 when an argument is wrong, 1 when it could not be done, 130 when it was interrupted.

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

from batch.fma.archive import DamagedArchive, make_sure_of_room, sha1_of, unpack
from batch.fma.download import PAUSES_S, download, forget
from batch.fma.meter import Meter, size

BASE_URL = "https://os.unil.cloud.switch.ch/fma/"


class WrongArchive(ValueError):
    """The archive's SHA-1 is not the published one."""


@dataclass(frozen=True)
class Published:
    """What is known of an archive beforehand.

    sha1 : of the whole zip
    growth : about how many bytes come out for each that goes in, for the disk; the zip itself tells exactly
    """

    sha1: str
    growth: float = 1.05


PUBLISHED: Mapping[str, Published] = {
    "small": Published("ade154f733639d52e35e32f5593efe5be76c6d70"),
    "medium": Published("c67b69ea232021025fca9231fc1c7c1a063ab50b"),
    "large": Published("497109f4dd721066b5ce5e5f250ec604dc78939e"),
    "full": Published("0f0ace23fbe9ba30ecb7e95f763e435ea802b8ab"),
    "metadata": Published("f0df49ffe5f2a6008d7dc83c6915b31835dfe733", growth=4.5),
}


def main(
    arguments: Sequence[str] | None = None,
    published: Mapping[str, Published] = PUBLISHED,
    pauses_s: Sequence[float] = PAUSES_S,
) -> int:
    given = _parser().parse_args(arguments)
    if urlsplit(given.base_url).scheme not in ("http", "https"):
        print(f"download_fma: --base-url is {given.base_url}, expected http://… or https://…", file=sys.stderr)
        return 2
    subset = Subset(
        f"fma_{given.subset}", Path(given.to).expanduser(), given.base_url, published[given.subset], pauses_s
    )
    try:
        files = subset.take(given.remove_archive)
    except KeyboardInterrupt:
        print("download_fma: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(f"download_fma: {error}", file=sys.stderr)
        return 1
    print(f"{subset.name}: {len(files):,} files, {size(sum(files.values()))}, in {subset.folder}", flush=True)
    return 0


@dataclass(frozen=True)
class Subset:
    """One of FMA's archives on its way from the address to a folder."""

    name: str
    to: Path
    base_url: str
    published: Published
    pauses_s: Sequence[float] = PAUSES_S

    @property
    def folder(self) -> Path:
        return self.to / self.name

    def take(self, remove_archive: bool = False) -> Mapping[str, int]:
        """Each unpacked file's size in bytes by its name in the archive, when all of them are there.

        Raises WrongArchive, and what download and unpack raise.
        """
        self.to.mkdir(parents=True, exist_ok=True)
        with self._alone():
            files = self._unpacked()
            if files is None:
                if not self._is_verified():
                    self._fetch()
                files = self._unpack()
            if remove_archive:
                self._beside(".zip").unlink(missing_ok=True)
                self._beside(".zip.sha1").unlink(missing_ok=True)
        return files

    def _fetch(self) -> None:
        """The archive at its place, verified."""
        archive, part = self._beside(".zip"), self._beside(".zip.part")
        if not archive.exists():
            url = f"{self.base_url.rstrip('/')}/{archive.name}"
            there = f", going on at {size(part.stat().st_size)}" if part.exists() else ""
            print(f"{self.name}: from {url}{there}", flush=True)
            download(url, part, self._make_sure_of_room, self.pauses_s)
        self._verify(archive if archive.exists() else part)
        if not archive.exists():
            os.replace(part, archive)
            forget(part)
        _write(self._beside(".zip.sha1"), f"{self.published.sha1}  {archive.name}\n")

    def _verify(self, file: Path) -> None:
        with Meter(f"SHA-1 of {file.name}", file.stat().st_size) as meter:
            found = sha1_of(file, meter.add)
        if found == self.published.sha1:
            return
        bad = self._beside(".zip.bad")
        os.replace(file, bad)
        forget(self._beside(".zip.part"))
        raise WrongArchive(
            f"{file.name} has the SHA-1 {found}, published is {self.published.sha1}: it is damaged or another file. "
            f"It was set aside as {bad}; the same command downloads it anew"
        )

    def _unpack(self) -> Mapping[str, int]:
        try:
            files = unpack(self._beside(".zip"), self.to, self.name)
        except DamagedArchive as error:
            self._beside(".zip.sha1").unlink()  # so that it is verified anew
            raise DamagedArchive(
                f"{error}, though its SHA-1 was right; is the disk sound? The same command verifies it anew"
            ) from error
        _write(self._beside(".unpacked"), json.dumps({"sha1": self.published.sha1, "files": files}))
        return files

    def _unpacked(self) -> Mapping[str, int] | None:
        """What an earlier run unpacked, if all of it is still there in its size."""
        try:
            done = json.loads(self._beside(".unpacked").read_text())
            files: dict[str, int] = done["files"] if done["sha1"] == self.published.sha1 else {}
            return (
                files
                if files and all((self.to / name).stat().st_size == length for name, length in files.items())
                else None
            )
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            return None

    def _is_verified(self) -> bool:
        """Whether the archive is there and has not changed since it was verified."""
        archive, record = self._beside(".zip"), self._beside(".zip.sha1")
        if not archive.exists() or not record.exists():
            return False
        return (
            record.read_text().split()[:1] == [self.published.sha1]
            and record.stat().st_mtime_ns >= archive.stat().st_mtime_ns
        )

    def _make_sure_of_room(self, rest: int) -> None:
        """For the rest of the archive and about what it unpacks to, less what is unpacked."""
        part = self._beside(".zip.part")
        whole = rest + (part.stat().st_size if part.exists() else 0)
        there = sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())
        unpacked = max(0, round(whole * self.published.growth) - there)
        make_sure_of_room(self.to, rest + unpacked, f"{self.name} (archive and what it unpacks to)")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two runs at once would write into the same part."""
        with open(self.to / f".{self.name}.lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ValueError(f"another run works on {self.folder}; wait until it has ended") from error
            yield

    def _beside(self, suffix: str) -> Path:
        return self.to / f"{self.name}{suffix}"


def _write(file: Path, text: str) -> None:
    """The file whole or not at all."""
    new = file.with_name(f"{file.name}.new")
    new.write_text(text)
    os.replace(new, file)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="batch/download_fma.py",
        description="Download, verify and unpack one of FMA's archives; run again, it goes on from where it was.",
        epilog="Archives: metadata 342 MiB, small 7.2 GiB, medium 22 GiB, large 93 GiB, full 879 GiB. What audio unpacks to "
        "takes about the same again, metadata four times as much.",
    )
    parser.add_argument("--subset", required=True, choices=list(PUBLISHED), help="which archive")
    parser.add_argument("--to", metavar="DIR", default="fma", help="the folder for archive and files; default: ./fma")
    parser.add_argument(
        "--base-url", metavar="URL", default=BASE_URL, help="where the archives lie; default: %(default)s"
    )
    parser.add_argument("--remove-archive", action="store_true", help="delete the zip once all is unpacked")
    return parser


if __name__ == "__main__":
    sys.exit(main())
