"""Lake, models, checkpoints, library and home: whether each can be listed and written, and how much space is free."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from batch.storage import locations, objects
from batch.storage.locations import StorageUnusable, child, is_remote, local_path, without_password
from batch.versions.remote_index import cache_folder
from conf.settings import Settings
from local.doctor.findings import Finding, first_line
from local.home import FREE_BYTES

SCARCE_SHARE = 0.05
MIB = 2**20


def storage(settings: Settings) -> Iterator[Finding]:
    """Findings of each location that jobs write to, of the library, and of the temporary folder."""
    written = {"home": str(settings.home), **settings.written_locations}
    for name, location in written.items():
        if problem := unusable(location):
            shown = without_password(location)
            yield Finding(
                f"{name} = {shown} cannot be used", problem, "see docs/cluster.md for endpoint and credentials"
            )
        elif is_remote(location):
            yield from _remote(name, location)
        else:
            yield from _folder(name, local_path(location))
    if settings.library.root:
        yield from _library(settings.library.root)
    yield from _space({"the temporary folder": Path(tempfile.gettempdir()), **_local(written)})
    if is_remote(settings.models.root) and (problem := _write_problem(cache_folder().parent)):
        yield Finding(
            f"{cache_folder().parent} cannot be written", problem, "set TMPDIR: nodes keep copies of the model there"
        )


def unusable(location: str) -> str:
    """Why a URI cannot be listed, or is misspelt; "" where it can be used.

    What looks into a store asks this first, since all that it could say of one that is away would be wrong.
    """
    try:
        locations.check(location)
    except StorageUnusable as error:
        _, _, reason = str(error).partition(": ")  # the location is named beside it
        return first_line(StorageUnusable(reason or error))
    return ""


def _local(written: dict[str, str]) -> dict[str, Path]:
    return {name: local_path(each) for name, each in written.items() if not is_remote(each) and not unusable(each)}


def _remote(name: str, location: str) -> Iterator[Finding]:
    trial = child(location, f"_doctor-{uuid.uuid4().hex}")
    try:
        objects.replace_text(trial, "x")
        objects.remove(trial)
    except OSError as error:
        yield Finding(
            f"{name} = {without_password(location)} cannot be written",
            first_line(error),
            "give the credentials the right to write",
        )


def _folder(name: str, folder: Path) -> Iterator[Finding]:
    existing = _nearest_existing(folder)
    if not existing.is_dir():
        yield Finding(f"{name} = {folder}", f"{existing} is no folder", "move it away, or choose another folder")
        return
    if folder.exists():
        try:
            os.listdir(folder)
        except OSError as error:
            yield Finding(
                f"{name} = {folder} cannot be listed", error.strerror or str(error), f"chown or chmod {folder}"
            )
            return
    if problem := _write_problem(existing):
        yield Finding(
            f"{name} = {folder} cannot be written", problem, f"chown or chmod {existing}, or choose another folder"
        )


def _library(root: str) -> Iterator[Finding]:
    if problem := unusable(root):
        yield Finding(f"library.root = {without_password(root)} cannot be used", problem, "see docs/cluster.md")
    if problem or is_remote(root):
        return
    folder = local_path(root)
    try:
        entries = os.listdir(folder)
    except OSError as error:
        yield Finding(
            f"library.root = {folder} cannot be listed",
            error.strerror or str(error),
            "mount it, or set OVERTONE_LIBRARY__ROOT; tracks of a folder that is away stay as they are",
        )
        return
    if not entries:
        yield Finding(
            f"library.root = {folder} is empty", "nothing can be played", "mount it, or set OVERTONE_LIBRARY__ROOT"
        )


def _space(folders: dict[str, Path]) -> Iterator[Finding]:
    """A finding for each file system that is full or nearly full."""
    names_by_device: dict[int, list[str]] = {}
    place_by_device: dict[int, Path] = {}
    for name, folder in folders.items():
        place = _nearest_existing(folder)
        try:
            device = place.stat().st_dev
        except OSError:
            continue
        names_by_device.setdefault(device, []).append(name)
        place_by_device.setdefault(device, place)
    for device, place in place_by_device.items():
        names = ", ".join(names_by_device[device])
        usage, nodes = shutil.disk_usage(place), os.statvfs(place)
        if not usage.total:
            continue  # not on a disk
        shown = f"{usage.free / MIB:,.0f} MiB are free at {place} ({names})"
        if usage.free < FREE_BYTES:
            yield Finding(shown, "a commit that does not fit fails", "make room, or choose another place")
        elif usage.free < SCARCE_SHARE * usage.total:
            yield Finding(shown, f"less than {SCARCE_SHARE:.0%} of the disk", "make room before it is full", False)
        if nodes.f_files and not nodes.f_favail:
            yield Finding(
                f"no file can be made at {place} ({names})", "the file system has no inodes left", "remove files"
            )


def _nearest_existing(folder: Path) -> Path:
    """The folder, or the first of those above it that is there."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return place


def _write_problem(folder: Path) -> str:
    """Why no file can be made in the folder; "" where one can."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as trial:
            trial.write(b"x")
            trial.flush()
    except OSError as error:
        return error.strerror or str(error)
    return ""
