"""All audio files of a library, whether it is a folder or lies in an object store."""

from __future__ import annotations

from batch.library.files import AudioFile, Unusable, library_name, library_root, scan
from batch.library.object_store import listing


def scanned(folder: str) -> tuple[str, list[AudioFile], list[Unusable]]:
    """(name, files, what could not be looked at) of a library: a folder, or a URI.

    Raises LibraryNotFound and EmptyLibrary, before any Spark is there.
    """
    name = library_name(folder)
    if "://" in name:
        return name, listing(name), []
    return name, *scan(library_root(name))
