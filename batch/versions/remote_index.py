"""The index of a model version in an object store, copied once to each node and memory-mapped from there.

cache_folder()/files/<sha256>  contents, each once
cache_folder()/indexes/<key>/  an index as `batch.index.storage` has it: hard links to the contents, and the segments in `added/`

A version's files never change, so what is there under its checksum is right; the segments that were appended since are objects
with names of their own, listed at each use. The indexes used longest ago are removed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from batch.index.segments import SEGMENTS_FOLDER
from batch.index.storage import IndexUnreadable
from batch.storage import objects
from batch.storage.locations import child

KEPT_INDEXES = 3
"""Indexes whose copies a node keeps: the one in use, the one before, and one that is in the making."""
ABANDONED_UPDATE_S = 86_400.0
"""Age at which the folder of an update is removed: its process was killed."""
_UPDATE_PREFIX = ".update-"


class CacheUnusable(OSError):
    """This node cannot keep a copy of the model."""


@dataclass(frozen=True)
class FileSum:
    """A file of an index: its name, its content's SHA-256 in hex digits, its bytes."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class RemoteIndex:
    """An index in an object store; travels to the workers.

    location : URI of its folder
    files : what the training wrote there
    """

    location: str
    files: tuple[FileSum, ...]

    def local_folder(self, state: str | None = None) -> Path:
        """The folder of this node's copy, with the segments that the store has now.

        state : `Index.state` that is to be read; None: the latest
        Raises IndexUnreadable where a file is missing or has another content, OSError where the store does not answer.
        """
        folder = self._trained_folder()
        if state is None or (state and not (folder / SEGMENTS_FOLDER / state).exists()):
            self._fetch_segments(folder)
        return folder

    def state(self) -> str:
        """`Index.state` of the index in the store: one listing."""
        return max(self._stored_segments(), default="")

    @contextmanager
    def updating(self) -> Iterator[Path]:
        """A folder with the index, to append to and remove from; what was written there goes to the store at the end.

        It is apart from the copy that this node reads: readers make the segments of that one those of the store, and would remove
        one that is not there yet.
        """
        copy = self.local_folder()
        with tempfile.TemporaryDirectory(prefix=_UPDATE_PREFIX, dir=copy.parent) as own:
            folder = Path(own)
            with _locked(copy):
                _link_files(copy, folder)
                _link_files(copy / SEGMENTS_FOLDER, folder / SEGMENTS_FOLDER)
            yield folder
            local_names, stored_names = set(_segment_names(folder)), set(self._stored_segments())
            for name in sorted(local_names - stored_names):
                objects.upload(folder / SEGMENTS_FOLDER / name, child(self._segments_location, name))
            for name in sorted(stored_names - local_names):  # compacted into one that is there now
                objects.remove(child(self._segments_location, name))

    def _trained_folder(self) -> Path:
        root = _own_cache_folder()
        key = hashlib.sha256("\n".join([self.location, *(file.sha256 for file in self.files)]).encode()).hexdigest()
        folder = root / "indexes" / key[:32]
        if folder.is_dir():
            os.utime(folder)
            return folder
        with _cache_in_use(root), _locked(root):
            (root / "files").mkdir(exist_ok=True)
            (root / "indexes").mkdir(exist_ok=True)
            if not folder.is_dir():
                part = root / "indexes" / f".{key[:32]}.part"
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir()
                for file in self.files:
                    os.link(self._content(file, root), part / file.name)
                (part / SEGMENTS_FOLDER).mkdir()
                os.replace(part, folder)
                _remove_unused(root)
        return folder

    def _content(self, file: FileSum, root: Path) -> Path:
        """The local content of a file, fetched where it is not here yet."""
        content = root / "files" / file.sha256
        if content.is_file() and content.stat().st_size == file.size:
            return content
        location = child(self.location, file.name)
        try:
            objects.download(location, content)
        except FileNotFoundError as error:
            raise IndexUnreadable(f"no index in {self.location}: {file.name} is missing; train again") from error
        if (actual := checksum(content)) != file.sha256:
            content.unlink()
            raise IndexUnreadable(
                f"{location} is not what the model's manifest names: checksum {actual[:12]} …, expected "
                f"{file.sha256[:12]} …; train again with batch/train.py"
            )
        return content

    def _fetch_segments(self, folder: Path) -> None:
        """Makes the copy's segments those that the store has."""
        with _cache_in_use(cache_folder()), _locked(folder):
            stored_names = self._stored_segments()
            for name in stored_names:
                if not (folder / SEGMENTS_FOLDER / name).exists():
                    with suppress(FileNotFoundError):  # compacted since the listing
                        objects.download(child(self._segments_location, name), folder / SEGMENTS_FOLDER / name)
            for name in set(_segment_names(folder)) - set(stored_names):
                (folder / SEGMENTS_FOLDER / name).unlink(missing_ok=True)

    @property
    def _segments_location(self) -> str:
        return child(self.location, SEGMENTS_FOLDER)

    def _stored_segments(self) -> list[str]:
        return [name for name in objects.names(self._segments_location) if name.endswith(".npz")]


IndexPlace = Path | RemoteIndex
"""Where an index lies: a folder that all nodes see, or an object store."""


def local_folder(index: IndexPlace, state: str | None = None) -> Path:
    """A folder on this node with the index; see `RemoteIndex.local_folder`."""
    return index.local_folder(state) if isinstance(index, RemoteIndex) else index


@contextmanager
def updating(index: IndexPlace) -> Iterator[Path]:
    """A folder on this node with the index, in which `batch.growth` may write; see `RemoteIndex.updating`."""
    if isinstance(index, RemoteIndex):
        with index.updating() as folder:
            yield folder
    else:
        yield index


def uploaded(folder: Path, location: str, before: RemoteIndex | None = None) -> RemoteIndex:
    """The index in a store, its files copied there from a local folder.  before : what of it has been copied already"""
    files = file_sums(folder)
    for file in files:
        if before is None or file not in before.files:
            objects.upload(folder / file.name, child(location, file.name))
    return RemoteIndex(location, tuple(files))


def file_sums(folder: Path) -> list[FileSum]:
    """The files of an index as its training wrote them; none where there is no index."""
    files = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    return [FileSum(path.name, checksum(path), path.stat().st_size) for path in files if not path.name.startswith(".")]


def checksum(file: Path) -> str:
    """SHA-256 of a file's content in hex digits."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def cache_folder() -> Path:
    """Where this node keeps its copies: a folder of this user among its temporary files (TMPDIR)."""
    return Path(tempfile.gettempdir()) / f"overtone-models-{os.getuid()}"


def _own_cache_folder() -> Path:
    """The cache folder, made where it is missing. Raises CacheUnusable."""
    root = cache_folder()
    with _cache_in_use(root):
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if root.is_symlink() or root.stat().st_uid != os.getuid():  # whose files would be taken for the model's
            raise CacheUnusable(f"{root} is not this user's own: remove it, or set TMPDIR to another folder")
    return root


@contextmanager
def _cache_in_use(root: Path) -> Iterator[None]:
    """Raises CacheUnusable where the disk fails; errors of a store have no number and stay what they are."""
    try:
        yield
    except OSError as error:
        if error.errno is None or isinstance(error, FileNotFoundError):
            raise
        raise CacheUnusable(
            f"{root} cannot keep a copy of the model: {error.strerror}; make room there, or set TMPDIR to another folder"
        ) from error


def _link_files(source: Path, target: Path) -> None:
    """Hard links to the files of a folder, in one that is made where it is missing."""
    target.mkdir(exist_ok=True)
    for file in source.iterdir():
        if file.is_file() and not file.name.startswith("."):
            os.link(file, target / file.name)


def _segment_names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / SEGMENTS_FOLDER).glob("[0-9]*.npz"))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Waits until no other process of this node fetches into the folder."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove_unused(root: Path) -> None:
    """Removes all but the indexes used last, and the contents that none of these has. Maps of removed files stay valid."""
    folders = sorted((root / "indexes").glob("[0-9a-f]*"), key=lambda folder: -folder.stat().st_mtime)
    updates = (root / "indexes").glob(f"{_UPDATE_PREFIX}*")
    abandoned = [folder for folder in updates if time.time() - folder.stat().st_mtime > ABANDONED_UPDATE_S]
    for folder in (*folders[KEPT_INDEXES:], *abandoned):
        shutil.rmtree(folder, ignore_errors=True)
    for content in (root / "files").iterdir():
        if content.stat().st_nlink == 1 and not content.name.startswith("."):
            content.unlink()
