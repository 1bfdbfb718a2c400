"""Unpack a zip archive: each file completely or not at all, none twice, none outside its folder."""

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

from batch.atomic import replacing
from batch.fma.meter import Meter, size_text

READ_BYTES = 1 << 20
"""Bytes that are read, hashed and written at once."""
NAMES_IN_MESSAGE = 5


class DamagedArchive(ValueError):
    """The archive cannot be read."""


class UnsafeArchive(ValueError):
    """A name in the archive lies outside its folder."""


class WrongContent(ValueError):
    """Files do not have the SHA-1 of the archive's own list `checksums`; all others are unpacked."""


class DiskTooSmall(OSError):
    """The disk does not have enough free space."""


class _WrongChecksum(Exception):
    """The content of one file does not have its SHA-1."""


def require_free_space(folder: Path, needed: int, purpose: str) -> None:
    """Raises DiskTooSmall where `folder`'s disk has fewer than `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DiskTooSmall(
            f"{purpose} needs {size_text(needed)} on the disk of {folder}, {size_text(free)} are free; "
            f"free {size_text(needed - free)} there, or name a folder on another disk with --to"
        )


def unpack(archive: Path, to: Path, top: str) -> dict[str, int]:
    """Unpacks an archive; returns each file's size in bytes by its name in the archive.

    to : the folder to unpack into
    top : the archive's only top-level folder; SHA-1s in its own file `<top>/checksums` are compared with the unpacked files

    Files that exist with the right size, CRC and SHA-1 are left as they are, all others are replaced in one step: a run that was
    ended at any moment can be repeated. Raises UnsafeArchive and DiskTooSmall before anything is written, DamagedArchive, and
    WrongContent at the end.
    """
    try:
        with zipfile.ZipFile(archive) as source:
            return _Unpacking(source, archive.name, to, top).run()
    except zipfile.BadZipFile as error:
        raise DamagedArchive(f"{archive} is not a complete zip archive ({error})") from error


def checksums(content: bytes, top: str) -> Mapping[str, str]:
    """SHA-1 by name in the archive, from lines as sha1sum writes them.  top : folder that the listed names are relative to"""
    sha1_by_name = {}
    for line in content.decode("utf-8", errors="replace").splitlines():
        if match := re.fullmatch(r"([0-9a-fA-F]{40}) [ *]?(?:\./)?(.+)", line.strip()):
            name = match.group(2)
            sha1_by_name[name if name.startswith(f"{top}/") else f"{top}/{name}"] = match.group(1).lower()
    return sha1_by_name


def sha1_of(file: Path, on_read: Callable[[int], None] = lambda count: None) -> str:
    """A file's SHA-1 as 40 hex digits.  on_read : is called with the bytes of each block"""
    sha1 = hashlib.sha1(usedforsecurity=False)
    with open(file, "rb", buffering=0) as content:
        while block := content.read(READ_BYTES):
            sha1.update(block)
            on_read(len(block))
    return sha1.hexdigest()


class _Unpacking:
    def __init__(self, source: zipfile.ZipFile, archive_name: str, to: Path, top: str) -> None:
        self._source, self._archive_name, self._to = source, archive_name, to
        self._members = _members(source, top)
        self._is_stopped, self._open_lock = Event(), Lock()
        listed = self._members.get(f"{top}/checksums")
        self._sha1_by_name = checksums(b"".join(self._blocks(listed)), top) if listed else {}

    def run(self) -> dict[str, int]:
        sizes = {name: member.file_size for name, member in self._members.items()}
        missing_bytes = sum(size for name, size in sizes.items() if _file_size(self._to / name) != size)
        label = f"unpacking {self._archive_name}"
        require_free_space(self._to, missing_bytes, label)
        wrong = []
        # bz2 and hashlib release the GIL, so threads use all cores.
        with ThreadPoolExecutor(os.cpu_count()) as pool, Meter(label, sum(sizes.values())) as meter:
            try:
                name_by_future = {pool.submit(self._unpack, name): name for name in sizes}
                for future in as_completed(name_by_future):
                    name = name_by_future[future]
                    if not future.result():
                        wrong.append(name)
                    meter.add(sizes[name])
            except BaseException:
                self._is_stopped.set()
                pool.shutdown(cancel_futures=True)
                raise
        if wrong:
            names = ", ".join(sorted(wrong)[:NAMES_IN_MESSAGE]) + (" …" if len(wrong) > NAMES_IN_MESSAGE else "")
            raise WrongContent(
                f"{len(wrong):,} of {len(sizes):,} files in {self._archive_name} are not what its list of checksums says "
                f"and were left out: {names}; all others are in {self._to}"
            )
        return sizes

    def _unpack(self, name: str) -> bool:
        """Writes one file unless it exists; False where the archive's content does not have the listed SHA-1."""
        member, target, expected_sha1 = self._members[name], self._to / name, self._sha1_by_name.get(name)
        if _is_unpacked(target, member, expected_sha1):
            return True
        target.parent.mkdir(parents=True, exist_ok=True)
        sha1 = hashlib.sha1(usedforsecurity=False)
        try:
            with replacing(target) as part, open(part, "wb") as file:
                for block in self._blocks(member):
                    sha1.update(block)
                    file.write(block)
                if expected_sha1 is not None and sha1.hexdigest() != expected_sha1:
                    raise _WrongChecksum
        except _WrongChecksum:
            return False
        return True

    def _blocks(self, member: zipfile.ZipInfo) -> Iterator[bytes]:
        """A member's content; its CRC is checked at the end. Raises DamagedArchive."""
        try:
            with self._open_lock:  # ZipFile counts its open members without a lock
                content = self._source.open(member)
            try:
                while block := content.read(READ_BYTES):
                    if self._is_stopped.is_set():
                        raise InterruptedError("stopped")
                    yield block
            finally:
                with self._open_lock:
                    content.close()
        except InterruptedError:
            raise
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, RuntimeError) as error:
            raise DamagedArchive(
                f"{self._archive_name} is damaged at {member.filename} ({error or type(error).__name__})"
            ) from error


def _members(source: zipfile.ZipFile, top: str) -> dict[str, zipfile.ZipInfo]:
    """The archive's files by name. Raises UnsafeArchive."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in source.infolist():
        name = member.filename
        parts = name.removesuffix("/").split("/")
        is_inside = parts[0] == top and not {"", ".", ".."} & set(parts) and "\\" not in name
        if not is_inside or stat.S_ISLNK(member.external_attr >> 16):
            raise UnsafeArchive(
                f"the archive holds {name!r}, which is not a plain file below {top}/; nothing was unpacked"
            )
        if name in members:
            raise UnsafeArchive(f"the archive holds {name!r} twice; nothing was unpacked")
        if not member.is_dir():
            members[name] = member
    return members


def _is_unpacked(target: Path, member: zipfile.ZipInfo, expected_sha1: str | None) -> bool:
    if _file_size(target) != member.file_size:
        return False
    crc, sha1 = 0, hashlib.sha1(usedforsecurity=False)
    with open(target, "rb", buffering=0) as content:
        while block := content.read(READ_BYTES):
            crc = zlib.crc32(block, crc)
            sha1.update(block)
    return crc == member.CRC and expected_sha1 in (None, sha1.hexdigest())


def _file_size(path: Path) -> int:
    """Bytes of a plain file; -1 where there is none."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return -1
    return status.st_size if stat.S_ISREG(status.st_mode) else -1
