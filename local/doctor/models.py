"""The latest model version: complete, of a readable format, undamaged, and of the features that the lake has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from batch import registry
from batch.audio.features import split_version
from batch.storage import objects
from batch.storage.locations import child, is_remote, without_password
from batch.versions.new_version import INDEX_FOLDER
from batch.versions.remote_index import checksum
from conf.settings import Settings
from local.doctor.findings import Finding, first_line
from local.doctor.locations import unusable
from streaming.profile.skip_rates import unreadable_errors
from streaming.sink.commits import open_table

TRAIN = "run ./spark-submit.sh batch/train.py"


def models(settings: Settings) -> Iterator[Finding]:
    root = settings.models.root
    if unusable(root):
        return  # the check of storage says so
    try:
        model = registry.latest(root)
    except registry.ModelNotFound as error:
        versions = _versions(root)
        yield Finding(
            "no model is in use",
            first_line(error).partition("; ")[0],
            f"{TRAIN}, which uses one of {', '.join(versions)} again where it fits" if versions else TRAIN,
        )
        return
    except registry.ModelUnusable as error:
        what, _, _ = first_line(error).partition("; ")
        yield Finding("the latest model cannot be used", what, TRAIN)
        return
    yield from _extractor(model, settings)
    damaged = list(_files(model))
    yield from damaged
    if not damaged:  # the same damage would be told twice
        try:
            model.check()
        except registry.ModelUnusable as error:
            yield Finding(f"model {model.version} is damaged", first_line(error).partition("; ")[0], TRAIN)
        except (OSError, ValueError, KeyError) as error:
            yield Finding(f"model {model.version} cannot be read", first_line(error), "see whether models.root answers")


def _versions(root: str) -> list[str]:
    try:
        return registry.versions(root)[-3:]
    except OSError:
        return []


def _files(model: registry.Model) -> Iterator[Finding]:
    """A finding for each file of the index that is not as its training left it; those in a store are checked when copied."""
    if is_remote(model.location):
        return
    folder = Path(model.location) / INDEX_FOLDER
    for entry in model.manifest.get("index_files") or ():
        file = folder / str(entry["name"])
        if not file.is_file():
            yield Finding(f"model {model.version} lacks {INDEX_FOLDER}/{file.name}", "its manifest names it", TRAIN)
        elif file.stat().st_size != entry["size"] or checksum(file) != entry["sha256"]:
            yield Finding(
                f"{INDEX_FOLDER}/{file.name} of model {model.version} has changed",
                "its checksum is not that of the manifest",
                f"{TRAIN}, or restore it from a backup",
            )


def _extractor(model: registry.Model, settings: Settings) -> Iterator[Finding]:
    """A finding where the lake has features by another extractor than those that the model was trained on."""
    trained_on = model.manifest.get("extractor_version")
    location = settings.lake.table("features")
    if unusable(settings.lake.root):
        return
    try:
        table = open_table(location)
        if table is None or not trained_on:
            return
        column = table.to_pyarrow_dataset().to_table(columns=["extractor_version"])["extractor_version"]
    except unreadable_errors():
        return  # the check of tables says so
    stored = {split_version(str(version))[0] for version in column.unique().to_pylist() if version}
    wanted = split_version(str(trained_on))[0]
    if stored and wanted not in stored:
        yield Finding(
            f"model {model.version} was trained on features of {wanted}",
            f"{without_password(location)} has those of {', '.join(sorted(stored))}: new tracks do not fit into its index",
            TRAIN,
        )
    elif stored - {wanted}:
        yield Finding(
            f"the lake has features of {len(stored)} extractor versions",
            ", ".join(sorted(stored)),
            "run ./spark-submit.sh batch/extract.py for each library, then train and publish",
        )


def unfinished(settings: Settings) -> Iterator[Finding]:
    """A note for each folder of a training that did not end; the next training removes those that nobody fills."""
    root = settings.models.root
    for name in () if unusable(root) else objects.names(root, folders=True):
        is_part = name.startswith(".") and name.endswith(".part")
        if is_part or (
            is_remote(root) and name[:1].isdigit() and not objects.exists(child(child(root, name), "manifest.json"))
        ):
            yield Finding(
                f"{without_password(child(root, name))} is an unfinished model",
                "a training runs, or was killed",
                "the next training removes it where it was killed",
                False,
            )
