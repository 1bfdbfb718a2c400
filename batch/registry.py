"""Model versions, below a local root or in an object store: one folder each; the file `latest` names the version in use.

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

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch.index.lsh import Index
from batch.index.storage import UNREADABLE
from batch.index.storage import ModelUnusable as ModelUnusable
from batch.storage import objects
from batch.storage.locations import child, hadoop_uri, is_remote
from batch.storage.parquet import parquet_files
from batch.versions.new_version import INDEX_FOLDER, MANIFEST_FILE
from batch.versions.new_version import NewVersion as NewVersion
from batch.versions.new_version import new_version as in_the_making
from batch.versions.remote_index import FileSum, IndexPlace, RemoteIndex, local_folder
from batch.words.tag_percentiles import Calibration

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 3
"""Format of the versions written.

2 : learned metric in the projection, hash keys of 32 bits, genres from an ensemble
3 : blocks of the features in the projection
"""
READABLE_FORMATS = (1, 2, 3)
EXCERPT_CHARACTERS = 40
"""Length to which a value quoted in a message is cut."""
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
    """A complete version.  location : its folder, a path or a URI"""

    version: str
    location: str
    manifest: dict[str, Any]

    @property
    def folder(self) -> Path:
        """The folder of a version below a local root."""
        return Path(self.location)

    @property
    def index_place(self) -> IndexPlace:
        """Where the index lies; travels to workers. Raises ModelUnusable where its files are not known."""
        if not is_remote(self.location):
            return self.folder / INDEX_FOLDER
        try:
            files = tuple(
                FileSum(str(each["name"]), each["sha256"], each["size"]) for each in self.value("index_files")
            )
        except (TypeError, KeyError) as error:
            raise ModelUnusable(f"'index_files' in the manifest of {self.location} is damaged; train again") from error
        return RemoteIndex(child(self.location, INDEX_FOLDER), files)

    @property
    def index_state(self) -> str:
        """`Index.state` of the index: changes with every track that is appended or removed. One listing."""
        place = self.index_place
        return place.state() if isinstance(place, RemoteIndex) else Index.state(place)

    @property
    def index(self) -> Index:
        """The index, memory-mapped; opened once a process. Raises IndexUnreadable."""
        return _open_index(self.index_place)

    def part(self, name: str) -> str:
        """The location of a file or folder of the version."""
        return child(self.location, name)

    def has(self, name: str) -> bool:
        """Whether the version has that file or folder; versions of an earlier format lack some."""
        return objects.exists(self.part(name))

    def parquet(self, name: str) -> str:
        """The URI of a Parquet part, for Spark."""
        return hadoop_uri(self.part(name))

    def value(self, name: str) -> Any:
        """A value of the manifest. Raises ModelUnusable where it is missing."""
        if name not in self.manifest:
            raise ModelUnusable(f"{self.part(MANIFEST_FILE)} lacks {name!r}; train again with batch/train.py")
        return self.manifest[name]

    def batches(self, name: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The rows of a Parquet part, read without Spark. Raises ModelUnusable where it is missing or damaged."""
        try:
            for parquet in parquet_files(self.part(name)):
                if missing := set(columns) - set(parquet.schema_arrow.names):
                    raise KeyError(f"it lacks {', '.join(sorted(missing))}")
                yield from parquet.iter_batches(columns=list(columns))
        except (OSError, ValueError, KeyError) as error:  # pyarrow's own errors are subclasses of these
            raise _damaged(self, name, error) from error

    def check(self) -> None:
        """Opens the index and its words, and reads the row counts of the Parquet parts.

        Raises ModelUnusable for the first damaged part.
        """
        folder = local_folder(self.index_place)
        Index.open(folder)
        try:
            Calibration.open(folder)
        except UNREADABLE as error:
            raise _damaged(self, "words", error) from error
        tracks = self.value("tracks")
        since_format_2 = ["map"] if self.manifest["format"] > 1 else []
        with_genres = ["genre_posterior"] if self.value("genres") else []
        for name in ["similar", *since_format_2, *with_genres]:
            try:
                rows = sum(parquet.metadata.num_rows for parquet in parquet_files(self.part(name)))
                if rows != tracks:
                    raise ValueError(f"it has {rows} rows, expected {tracks}")
            except (OSError, ValueError) as error:
                raise _damaged(self, name, error) from error


def _damaged(model: Model, name: str, error: Exception) -> ModelUnusable:
    return ModelUnusable(
        f"{name!r} of model {model.version} in {model.location} cannot be read: {error}; train again with batch/train.py"
    )


@contextmanager
def new_version(root: str, now: datetime) -> Iterator[NewVersion]:
    """A version to fill, which is the latest afterwards; on an error it is removed."""
    with in_the_making(root, now) as new:
        yield new
    make_latest(root, new.version)


def make_latest(root: str, version: str) -> None:
    """Makes a version the one in use."""
    objects.replace_text(child(root, "latest"), version + "\n")


def write_manifest(folder: Path | str, values: dict[str, Any]) -> None:
    """Writes manifest.json with the values and the format.  folder : or its URI"""
    content = json.dumps({"format": FORMAT, **values}, indent=2, ensure_ascii=False) + "\n"
    objects.replace_text(child(str(folder), MANIFEST_FILE), content)


def latest(root: str) -> Model:
    """The version in use. Raises ModelNotFound or ModelUnusable."""
    try:
        version = objects.read_text(child(root, "latest")).strip()
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError) as error:
        raise ModelNotFound(f"no model in {root}; run ./spark-submit.sh batch/train.py first") from error
    return load(root, version)


def load(root: str, version: str) -> Model:
    """A version by its name. Raises ModelNotFound or ModelUnusable."""
    location = child(root, version)
    manifest_location = child(location, MANIFEST_FILE)
    try:
        manifest = objects.read_json(manifest_location)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelNotFound(f"no model version {version!r} in {root}; run ./spark-submit.sh batch/train.py") from error
    except ValueError as error:
        raise ModelUnusable(f"{manifest_location} is damaged: {error}; train again") from error
    if not isinstance(manifest, dict):
        raise ModelUnusable(f"{manifest_location}: expected a JSON object, got {_excerpt(manifest)}; train again")
    if manifest.get("format") not in READABLE_FORMATS:
        expected = " or ".join(str(number) for number in READABLE_FORMATS)
        raise ModelUnusable(f"{location} has format {manifest.get('format')!r}, expected {expected}; train again")
    for name, expected_type in _MANIFEST_TYPES.items():
        if name in manifest and (not isinstance(manifest[name], expected_type) or isinstance(manifest[name], bool)):
            raise ModelUnusable(
                f"{name!r} in {manifest_location}: expected {_TYPE_NAMES[expected_type]}, got "
                f"{_excerpt(manifest[name])}; train again"
            )
    return Model(version, location, manifest)


def _excerpt(value: Any) -> str:
    """The beginning of a JSON value, for messages."""
    text = json.dumps(value)
    return text if len(text) <= EXCERPT_CHARACTERS else f"{text[:EXCERPT_CHARACTERS]} …"


def versions(root: str) -> list[str]:
    """All complete versions, oldest first."""
    names = [name for name in objects.names(root, folders=True) if name[0].isdigit()]
    return [name for name in names if objects.exists(child(child(root, name), MANIFEST_FILE))]


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
def _open_index(place: IndexPlace) -> Index:
    return Index.open(local_folder(place))
