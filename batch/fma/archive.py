"""A zip archive onto the disk: each file whole or not at all, none twice, none outside its folder."""

from __future__ import annotations

import hashlib
import lzma
import os
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Event, Lock

from batch.fma.meter import Meter, size

BLOCK = 1 << 20


class DamagedArchive(ValueError):
    """The archive cannot be read."""


class UnsafeArchive(ValueError):
    """A name in the archive leads elsewhere than into its own folder."""


class WrongContent(ValueError):
    """Files that are not what the archive's own `checksums` says; all others are unpacked."""


class NoRoom(OSError):
    """The disk has not enough free space."""


def make_sure_of_room(folder: Path, needed: int, what: str) -> None:
    """Raises NoRoom where `folder`'s disk has fewer than `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise NoRoom(
            f"{what} needs {size(needed)} on the disk of {folder}, {size(free)} are free; "
            f"free {size(needed - free)} there, or name a folder on another disk with --to"
        )


def unpack(archive: Path, to: Path, top: str) -> dict[str, int]:
    """Unpacks the files of `archive`, all of them below its folder `top`, into the folder `to`.

    A file that is there already with the right size, CRC and checksum is left alone, every other one is written beside its
    place and then put there: an unpacking that was ended at any moment goes on from there. The SHA-1s of the archive's
    own file `<top>/checksums` are held against what is unpacked.

    Returns each file's size in bytes by its name in the archive. Raises DamagedArchive, UnsafeArchive before anything is
    written, NoRoom likewise, WrongContent at the end.
    """
    try:
        with zipfile.ZipFile(archive) as source:
            return _Unpacking(source, archive.name, to, top).run()
    except zipfile.BadZipFile as error:
        raise DamagedArchive(f"{archive} is no whole zip archive ({error})") from error


class _Unpacking:
    def __init__(self, source: zipfile.ZipFile, name: str, to: Path, top: str) -> None:
        self._source, self._name, self._to = source, name, to
        self._files = _files(source, top)
        self._stopped, self._opening = Event(), Lock()
        listed = self._files.get(f"{top}/checksums")
        self._sha1s = checksums(b"".join(self._blocks(listed)), top) if listed else {}

    def run(self) -> dict[str, int]:
        sizes = {name: file.file_size for name, file in self._files.items()}
        missing = sum(length for name, length in sizes.items() if _length(self._to / name) != length)
        make_sure_of_room(self._to, missing, f"unpacking {self._name}")
        wrong = []
        # bz2 and hashlib let other threads run meanwhile, so threads use all processors.
        with ThreadPoolExecutor(os.cpu_count()) as pool, Meter(f"unpacking {self._name}", sum(sizes.values())) as meter:
            try:
                waiting = {pool.submit(self._put, name): name for name in sizes}
                for done in as_completed(waiting):
                    if not done.result():
                        wrong.append(waiting[done])
                    meter.add(sizes[waiting[done]])
            except BaseException:
                self._stopped.set()
                pool.shutdown(cancel_futures=True)
                raise
        if wrong:
            shown = ", ".join(sorted(wrong)[:5]) + (" …" if len(wrong) > 5 else "")
            raise WrongContent(
                f"{len(wrong):,} of {len(sizes):,} files in {self._name} are not what its list of checksums says and were "
                f"left out: {shown}; all others are in {self._to}"
            )
        return sizes

    def _put(self, name: str) -> bool:
        """Brings one file to its place; False where the archive's content is not what its list says."""
        file, place, sha1 = self._files[name], self._to / name, self._sha1s.get(name)
        if _is_there(place, file, sha1):
            return True
        place.parent.mkdir(parents=True, exist_ok=True)
        beside = place.with_name(f".{place.name}.part")  # hidden: no library takes it for a track
        found = hashlib.sha1(usedforsecurity=False)
        try:
            with open(beside, "wb") as target:
                for block in self._blocks(file):
                    found.update(block)
                    target.write(block)
            if sha1 is not None and found.hexdigest() != sha1:
                return False
            os.replace(beside, place)
        finally:
            beside.unlink(missing_ok=True)
        return True

    def _blocks(self, file: zipfile.ZipInfo) -> Iterator[bytes]:
        """A file's content. Raises DamagedArchive; its CRC is checked at the end."""
        try:
            with self._opening:  # ZipFile counts its open members without a lock
                member = self._source.open(file)
            try:
                while block := member.read(BLOCK):
                    if self._stopped.is_set():
                        raise InterruptedError("stopped")
                    yield block
            finally:
                with self._opening:
                    member.close()
        except InterruptedError:
            raise
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, RuntimeError) as error:
            raise DamagedArchive(
                f"{self._name} is damaged at {file.filename} ({error or type(error).__name__})"
            ) from error


def checksums(content: bytes, top: str) -> Mapping[str, str]:
    """SHA-1 by name in the archive, from lines as sha1sum writes them, with names that count from the folder `top`."""
    found = {}
    for line in content.decode("utf-8", errors="replace").splitlines():
        if match := re.fullmatch(r"([0-9a-fA-F]{40}) [ *]?(?:\./)?(.+)", line.strip()):
            name = match.group(2)
            found[name if name.startswith(f"{top}/") else f"{top}/{name}"] = match.group(1).lower()
    return found


def sha1_of(file: Path, done: Callable[[int], None] = lambda count: None) -> str:
    """A file's SHA-1 as 40 hex digits; `done` is told the bytes of each block."""
    found = hashlib.sha1(usedforsecurity=False)
    with open(file, "rb", buffering=0) as content:
        while block := content.read(BLOCK):
            found.update(block)
            done(len(block))
    return found.hexdigest()


def _files(source: zipfile.ZipFile, top: str) -> dict[str, zipfile.ZipInfo]:
    """The archive's files by name. Raises UnsafeArchive."""
    found: dict[str, zipfile.ZipInfo] = {}
    for file in source.infolist():
        name = file.filename
        parts = name.removesuffix("/").split("/")
        is_inside = parts[0] == top and not {"", ".", ".."} & set(parts) and "\\" not in name
        if not is_inside or stat.S_ISLNK(file.external_attr >> 16):
            raise UnsafeArchive(
                f"the archive holds {name!r}, which is no plain file below {top}/; nothing was unpacked"
            )
        if name in found:
            raise UnsafeArchive(f"the archive holds {name!r} twice; nothing was unpacked")
        if not file.is_dir():
            found[name] = file
    return found


def _is_there(place: Path, file: zipfile.ZipInfo, sha1: str | None) -> bool:
    if _length(place) != file.file_size:
        return False
    crc, found = 0, hashlib.sha1(usedforsecurity=False)
    with open(place, "rb", buffering=0) as content:
        while block := content.read(BLOCK):
            crc = zlib.crc32(block, crc)
            found.update(block)
    return crc == file.CRC and sha1 in (None, found.hexdigest())


def _length(file: Path) -> int:
    """Bytes of a plain file; -1 where there is none."""
    try:
        said = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return -1
    return said.st_size if stat.S_ISREG(said.st_mode) else -1
