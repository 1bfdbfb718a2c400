"""Model versions on disk: one folder each; the file `latest` names the version in use.

models/<version>/manifest.json   training data, parameters and scores
models/<version>/index/          arrays of the LSH index (batch.index.storage), percentiles of words (batch.words.tag_percentiles)
models/<version>/similar, map    Parquet, one row a track
models/<version>/genre.npz, genre_posterior   weights of the genre networks, Parquet; only where tracks have genres
models/<version>/mllib/          scaler, pca, lsh, genre/…: MLlib's own format
models/<version>/sweep.parquet, sweep.png, genre_tuning   of `train --tune`
models/<version>/index/added/    written later: segments of appended and removed tracks (batch.index.segments)
models/<version>/report/         written later: the report card (batch.evaluate)
models/latest                    the version's name; replaced last

What a training wrote is never changed; only the two folders that are written later are added.
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

from batch.atomic import write_text
from batch.index.lsh import Index
from batch.index.storage import UNREADABLE
from batch.index.storage import ModelUnusable as ModelUnusable
from batch.words.tag_percentiles import Calibration

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 3
"""Format of the versions written.

2 : learned metric in the projection, hash keys of 32 bits, genres from an ensemble
3 : blocks of the features in the projection
"""
READABLE_FORMATS = (1, 2, 3)
ABANDONED_AFTER_S = 86_400.0
"""Age at which an unfinished version without a lock is removed."""
EXCERPT_CHARACTERS = 40
"""Length to which a value quoted in a message is cut."""
_LOCK = ".lock"
_MANIFEST_TYPES: dict[str, type] = {
    "tracks": int,
    "dimensions": int,
    "genres": list,
    "left_out": list,
    "parameters": dict,
    "metrics": dict,
}
"""Types of the manifest's values, each of which may be missing; `Model.value` raises where a needed one is."""
_TYPE_NAMES = {int: "an integer", list: "an array", dict: "an object"}


class ModelNotFound(FileNotFoundError):
    """There is no model version, or not the one asked for."""


@dataclass(frozen=True)
class Model:
    """A complete version."""

    version: str
    folder: Path
    manifest: dict[str, Any]

    @property
    def index(self) -> Index:
        """The index, memory-mapped; opened once a process. Raises IndexUnreadable."""
        return _open_index(self.folder)

    def has(self, name: str) -> bool:
        """Whether the version has that file or folder; versions of an earlier format lack some."""
        return (self.folder / name).exists()

    def parquet(self, name: str) -> str:
        """The URI of a Parquet part, for Spark."""
        return uri(self.folder / name)

    def value(self, name: str) -> Any:
        """A value of the manifest. Raises ModelUnusable where it is missing."""
        if name not in self.manifest:
            raise ModelUnusable(f"{self.folder / 'manifest.json'} lacks {name!r}; train again with batch/train.py")
        return self.manifest[name]

    def batches(self, name: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The rows of a Parquet part, read without Spark. Raises ModelUnusable where it is missing or damaged."""
        import pyarrow.parquet as pq

        try:
            for file in _parquet_files(self.folder / name):
                parquet = pq.ParquetFile(file)
                if missing := set(columns) - set(parquet.schema_arrow.names):
                    raise KeyError(f"it lacks {', '.join(sorted(missing))}")
                yield from parquet.iter_batches(columns=list(columns))
        except (OSError, ValueError, KeyError) as error:  # pyarrow's own errors are subclasses of these
            raise _damaged(self, name, error) from error

    def check(self) -> None:
        """Opens the index and its words, and reads the row counts of the Parquet parts.

        Raises ModelUnusable for the first damaged part.
        """
        import pyarrow.parquet as pq

        Index.open(self.folder / "index")
        try:
            Calibration.open(self.folder / "index")
        except UNREADABLE as error:
            raise _damaged(self, "words", error) from error
        tracks = self.value("tracks")
        since_format_2 = ["map"] if self.manifest["format"] > 1 else []
        with_genres = ["genre_posterior"] if self.value("genres") else []
        for name in ["similar", *since_format_2, *with_genres]:
            try:
                rows = sum(pq.read_metadata(file).num_rows for file in _parquet_files(self.folder / name))
                if rows != tracks:
                    raise ValueError(f"it has {rows} rows, expected {tracks}")
            except (OSError, ValueError) as error:
                raise _damaged(self, name, error) from error


def _parquet_files(part: Path) -> list[Path]:
    """A Parquet part's files. Raises FileNotFoundError where there is none."""
    files = sorted(part.glob("*.parquet"))
    if not files:
        raise FileNotFoundError("it is missing")
    return files


def _damaged(model: Model, name: str, error: Exception) -> ModelUnusable:
    return ModelUnusable(
        f"{name!r} of model {model.version} in {model.folder} cannot be read: {error}; train again with batch/train.py"
    )


def uri(path: Path) -> str:
    """The path as a Hadoop URI. Not `as_uri()`: Hadoop takes an escaped blank literally."""
    return f"file://{path.absolute()}"


@contextmanager
def new_version(root: str, now: datetime) -> Iterator[tuple[str, Path]]:
    """(version, folder to fill). On success the folder becomes the version and the latest; on an error it is removed."""
    base = Path(root)
    base.mkdir(parents=True, exist_ok=True)
    for unfinished in base.glob(".[0-9]*.part"):
        _remove_if_abandoned(unfinished)
    version = now.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    part = base / f".{version}.part"
    part.mkdir()
    try:
        with _training_lock(part):
            yield version, part
        (part / _LOCK).unlink()
        os.replace(part, base / version)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    make_latest(root, version)


@contextmanager
def _training_lock(part: Path) -> Iterator[None]:
    """Locks an unfinished version; the operating system releases the lock when the process ends in any way."""
    with (part / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove_if_abandoned(part: Path) -> None:
    """Removes an unfinished version whose training has ended.

    One that is locked stays, and so does one without a lock file until ABANDONED_AFTER_S: its training may have just begun.
    """
    try:
        with (part / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(part, ignore_errors=True)
    except BlockingIOError:
        return
    except OSError:
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > ABANDONED_AFTER_S:
                shutil.rmtree(part, ignore_errors=True)


def make_latest(root: str, version: str) -> None:
    """Makes a version the one in use."""
    write_text(Path(root) / "latest", version + "\n")


def write_manifest(folder: Path, values: dict[str, Any]) -> None:
    """Writes manifest.json with the values and the format."""
    content = json.dumps({"format": FORMAT, **values}, indent=2, ensure_ascii=False) + "\n"
    write_text(folder / "manifest.json", content)


def latest(root: str) -> Model:
    """The version in use. Raises ModelNotFound or ModelUnusable."""
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
            f"{folder / 'manifest.json'}: expected a JSON object, got {_excerpt(manifest)}; train again"
        )
    if manifest.get("format") not in READABLE_FORMATS:
        expected = " or ".join(str(number) for number in READABLE_FORMATS)
        raise ModelUnusable(f"{folder} has format {manifest.get('format')!r}, expected {expected}; train again")
    for name, expected_type in _MANIFEST_TYPES.items():
        if name in manifest and (not isinstance(manifest[name], expected_type) or isinstance(manifest[name], bool)):
            raise ModelUnusable(
                f"{name!r} in {folder / 'manifest.json'}: expected {_TYPE_NAMES[expected_type]}, got "
                f"{_excerpt(manifest[name])}; train again"
            )
    return Model(version, folder, manifest)


def _excerpt(value: Any) -> str:
    """The beginning of a JSON value, for messages."""
    text = json.dumps(value)
    return text if len(text) <= EXCERPT_CHARACTERS else f"{text[:EXCERPT_CHARACTERS]} …"


def versions(root: str) -> list[str]:
    """All complete versions, oldest first."""
    return sorted(path.parent.name for path in Path(root).glob("[0-9]*/manifest.json"))


def readable(root: str) -> Iterator[Model]:
    """All versions with a readable manifest, newest first."""
    for version in reversed(versions(root)):
        try:
            yield load(root, version)
        except (ModelNotFound, ModelUnusable):
            continue


def trained_on(root: str, fingerprint: str) -> Model | None:
    """The newest version that was trained on exactly these features."""
    return next((model for model in readable(root) if model.manifest.get("fingerprint") == fingerprint), None)


def intact(root: str, fingerprint: str) -> Model | None:
    """The newest version that was trained on exactly these features and has all its parts undamaged."""
    for model in readable(root):
        if model.manifest.get("fingerprint") == fingerprint:
            with suppress(ModelUnusable):
                model.check()
                return model
    return None


@lru_cache(maxsize=2)
def _open_index(folder: Path) -> Index:
    return Index.open(folder / "index")
