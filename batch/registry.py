"""Model versions on disk: a folder each; the file `latest` names the one that counts.

models/<version>/manifest.json   what it was trained on, with what, and how good it is
models/<version>/index/          the arrays of batch.index.lsh (batch.index.storage)
models/<version>/similar, map    Parquet, one row a track
models/<version>/genre.npz, genre_posterior   the genre networks as numbers, Parquet; only with genres to learn from
models/<version>/mllib/          scaler, pca, lsh, genre/…: MLlib's own format
models/<version>/sweep.parquet, sweep.png, genre_tuning   of `train --tune`
models/<version>/index/added/    written later: tracks that came and went since (batch.index.segments)
models/<version>/report/         written later: the report card (batch.evaluate)
models/latest                    the version's name; moves last

What a training wrote is never changed afterwards; only the two folders that are written later come to it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch.index.lsh import Index
from batch.index.storage import ModelUnusable as ModelUnusable

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 2
_LOCK = ".lock"
_LEFT_S = 86_400.0
_KINDS: dict[str, type] = {
    "tracks": int,
    "dimensions": int,
    "genres": list,
    "left_out": list,
    "parameters": dict,
    "metrics": dict,
}
"""What those of a manifest's values must be that are there; `Model.value` tells where one that is needed is not."""
READABLE = (1, 2)
"""2: the space may have a learned metric, keys have 32 bits, genres are an ensemble. An index of format 1 still answers."""


class ModelNotFound(FileNotFoundError):
    """No model version is there to be used."""


@dataclass(frozen=True)
class Model:
    """A version that is complete."""

    version: str
    folder: Path
    manifest: dict[str, Any]

    @property
    def index(self) -> Index:
        """The index, mapped into memory; opened once a process."""
        return _open_index(self.folder)

    def has(self, name: str) -> bool:
        """Whether the version holds that; versions of an earlier format lack some."""
        return (self.folder / name).exists()

    def parquet(self, name: str) -> str:
        return uri(self.folder / name)

    def value(self, name: str) -> Any:
        """Of the manifest. Raises ModelUnusable where it lacks that."""
        if name not in self.manifest:
            raise ModelUnusable(f"{self.folder / 'manifest.json'} lacks {name!r}; train again with batch/train.py")
        return self.manifest[name]

    def batches(self, name: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The rows of a Parquet part, read without Spark. Raises ModelUnusable where it is missing or damaged."""
        import pyarrow.parquet as pq

        try:
            for file in _files(self.folder / name):
                stored = pq.ParquetFile(file)
                if missing := set(columns) - set(stored.schema_arrow.names):
                    raise KeyError(f"it lacks {', '.join(sorted(missing))}")
                yield from stored.iter_batches(columns=list(columns))
        except (OSError, ValueError, KeyError) as error:  # pyarrow's own errors are among these
            raise _damaged(self, name, error) from error

    def check(self) -> None:
        """Opens the index, and looks into the other parts that a training writes. Raises ModelUnusable for the first bad one."""
        import pyarrow.parquet as pq

        Index.open(self.folder / "index")
        tracks, later = self.value("tracks"), ["map"] if self.manifest["format"] > 1 else []
        for name in ["similar", *later, *(["genre_posterior"] if self.value("genres") else [])]:
            try:
                rows = sum(pq.read_metadata(file).num_rows for file in _files(self.folder / name))
                if rows != tracks:
                    raise ValueError(f"it has {rows} rows, expected {tracks}")
            except (OSError, ValueError) as error:
                raise _damaged(self, name, error) from error


def _files(part: Path) -> list[Path]:
    """A Parquet part's files. Raises FileNotFoundError where there is none."""
    found = sorted(part.glob("*.parquet"))
    if not found:
        raise FileNotFoundError("it is not there")
    return found


def _damaged(model: Model, name: str, error: Exception) -> ModelUnusable:
    return ModelUnusable(
        f"{name!r} of model {model.version} in {model.folder} cannot be read: {error}; train again with batch/train.py"
    )


def uri(path: Path) -> str:
    """The path as Hadoop reads it. Not as_uri(): an escaped blank would be another folder for it."""
    return f"file://{path.absolute()}"


@contextmanager
def new_version(root: str, now: datetime) -> Iterator[tuple[str, Path]]:
    """(version, folder to fill). On success it becomes the version and `latest` moves to it; on an error nothing stays."""
    base = Path(root)
    base.mkdir(parents=True, exist_ok=True)
    for stale in base.glob(".*.part"):
        _remove_if_left(stale)
    version = now.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    part = base / f".{version}.part"
    part.mkdir()
    try:
        with _held(part):
            yield version, part
        (part / _LOCK).unlink()
        os.replace(part, base / version)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    make_latest(root, version)


@contextmanager
def _held(part: Path) -> Iterator[None]:
    """While a training fills its folder it holds a lock in it, which goes with the process however that ends."""
    with (part / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove_if_left(part: Path) -> None:
    """Clears what an ended training left; one that another process is filling stays, and so does one without a lock until it
    is a day old: its training may have just begun."""
    try:
        with (part / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(part, ignore_errors=True)
    except BlockingIOError:
        return
    except OSError:
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > _LEFT_S:
                shutil.rmtree(part, ignore_errors=True)


def make_latest(root: str, version: str) -> None:
    part = Path(root) / ".latest.new"
    part.write_text(version + "\n")
    os.replace(part, Path(root) / "latest")


def write_manifest(folder: Path, values: dict[str, Any]) -> None:
    (folder / "manifest.json").write_text(json.dumps({"format": FORMAT, **values}, indent=2, ensure_ascii=False) + "\n")


def latest(root: str) -> Model:
    """The version that counts. Raises ModelNotFound or ModelUnusable."""
    file = Path(root) / "latest"
    try:
        version = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelNotFound(f"no model in {root}; run ./spark-submit.sh batch/train.py first") from error
    return load(root, version)


def load(root: str, version: str) -> Model:
    """A version by its name. Raises ModelNotFound or ModelUnusable."""
    folder = Path(root) / version
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
    except OSError as error:
        raise ModelNotFound(f"no model version {version!r} in {root}; run ./spark-submit.sh batch/train.py") from error
    except ValueError as error:
        raise ModelUnusable(f"{folder / 'manifest.json'} is damaged: {error}; train again") from error
    if not isinstance(manifest, dict):
        raise ModelUnusable(
            f"{folder / 'manifest.json'} holds {type(manifest).__name__}, expected an object; train again"
        )
    if manifest.get("format") not in READABLE:
        readable = " or ".join(str(one) for one in READABLE)
        raise ModelUnusable(f"{folder} has format {manifest.get('format')!r}, expected {readable}; train again")
    for name, kind in _KINDS.items():
        if name in manifest and (not isinstance(manifest[name], kind) or isinstance(manifest[name], bool)):
            raise ModelUnusable(
                f"{name!r} in {folder / 'manifest.json'} is {type(manifest[name]).__name__}; train again"
            )
    return Model(version, folder, manifest)


def versions(root: str) -> list[str]:
    """All complete versions, oldest first."""
    return sorted(path.parent.name for path in Path(root).glob("[0-9]*/manifest.json"))


def readable(root: str) -> Iterator[Model]:
    """All versions whose manifest can be read, newest first."""
    for version in reversed(versions(root)):
        try:
            yield load(root, version)
        except (ModelNotFound, ModelUnusable):
            continue


def trained_on(root: str, fingerprint: str) -> Model | None:
    """The newest version that was trained on exactly these features."""
    return next((model for model in readable(root) if model.manifest.get("fingerprint") == fingerprint), None)


def whole(root: str, fingerprint: str) -> Model | None:
    """The newest version that was trained on exactly these features and has all its parts; a damaged one is passed over."""
    for model in readable(root):
        if model.manifest.get("fingerprint") == fingerprint:
            with suppress(ModelUnusable):
                model.check()
                return model
    return None


@lru_cache(maxsize=2)
def _open_index(folder: Path) -> Index:
    return Index.open(folder / "index")
