"""All audio files of a library, whether it is a folder or in an object store."""

from __future__ import annotations

from batch.library.files import AudioFile, UnusablePath, library_name, library_root, scan
from batch.library.object_store import remote_files


def library_files(folder: str) -> tuple[str, list[AudioFile], list[UnusablePath]]:
    """(library name, audio files, paths that could not be used) of a folder or URI. Raises LibraryNotFound, EmptyLibrary."""
    name = library_name(folder)
    if "://" in name:
        return name, remote_files(name), []
    return name, *scan(library_root(name))
