"""Small objects and files at a location, a local path or a URI. A reader sees an object as it was before or whole.

The exception is one in a store that is replaced, by one of another length, while it is read: Arrow asks for the length first.
`read_json` notices that. Contents are never compressed by their name, as Arrow would those of "x.gz".
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from batch.atomic import replacing, write_text
from batch.storage.locations import StorageUnusable, is_remote, local_path, open_store, without_password

COPY_CHUNK_BYTES = 1 << 20
JSON_ATTEMPTS = 5
JSON_PAUSE_S = 0.05


def read_text(location: str) -> str:
    """The UTF-8 text of an object. Raises OSError, FileNotFoundError where there is none, or UnicodeDecodeError."""
    if not is_remote(location):
        return local_path(location).read_text(encoding="utf-8")
    store, path = open_store(location)
    with store.open_input_stream(path, compression=None) as content:
        return str(content.read(), "utf-8")


def read_json(location: str) -> Any:
    """The value of a JSON object. Raises OSError, FileNotFoundError where there is none, or ValueError where it is not JSON."""
    for _ in range(JSON_ATTEMPTS - 1):
        try:
            return json.loads(read_text(location))
        except ValueError:
            time.sleep(JSON_PAUSE_S)
    return json.loads(read_text(location))


def replace_text(location: str, text: str) -> None:
    """Replaces an object's content by UTF-8 text in one step. Raises OSError."""
    if not is_remote(location):
        local_path(location).parent.mkdir(parents=True, exist_ok=True)
        write_text(local_path(location), text)
        return
    store, path = open_store(location)
    with store.open_output_stream(path, compression=None) as out:  # a single put: it is there whole, or not at all
        out.write(text.encode())


def exists(location: str) -> bool:
    """Whether there is an object or a folder."""
    from pyarrow import fs

    if not is_remote(location):
        return local_path(location).exists()
    store, path = open_store(location)
    return bool(store.get_file_info(path).type != fs.FileType.NotFound)


def names(folder: str, folders: bool = False) -> list[str]:
    """Names of the objects right below a folder, or of the folders there, sorted; none where it does not exist."""
    from pyarrow import fs

    wanted = fs.FileType.Directory if folders else fs.FileType.File
    store, path = open_store(folder)
    entries = store.get_file_info(fs.FileSelector(path, allow_not_found=True))
    return sorted(entry.base_name for entry in entries if entry.type == wanted)


def sizes(folder: str) -> dict[str, int]:
    """{name relative to the folder: bytes} of all objects below a folder; none where it does not exist."""
    from pyarrow import fs

    store, path = open_store(folder)
    entries = store.get_file_info(fs.FileSelector(path, allow_not_found=True, recursive=True))
    return {entry.path[len(path) :].lstrip("/"): entry.size for entry in entries if entry.type == fs.FileType.File}


def upload(file: Path, location: str) -> None:
    """Copies a local file to a location; after an error there is none. Raises OSError."""
    with file.open("rb") as content, writing(location) as out:
        shutil.copyfileobj(content, out, COPY_CHUNK_BYTES)


@contextmanager
def reading(location: str) -> Iterator[Any]:
    """An object's content as a binary stream. Raises OSError, FileNotFoundError where there is none."""
    store, path = open_store(location)
    with store.open_input_stream(path, compression=None) as content:
        yield content


@contextmanager
def writing(location: str) -> Iterator[Any]:
    """A binary stream that becomes the object's content when the block ends; after an error there is none. Raises OSError."""
    if not is_remote(location):
        local_path(location).parent.mkdir(parents=True, exist_ok=True)
        with replacing(local_path(location)) as part, part.open("wb") as out:
            yield out
        return
    store, path = open_store(location)
    out = store.open_output_stream(path, compression=None)
    try:
        yield out
    except BaseException:
        _abandon(out, location)
        raise
    out.close()


def _abandon(out: Any, location: str) -> None:
    """Ends a stream whose content is not whole, and removes what it left: closing one completes its upload."""
    try:
        out.close()
    finally:
        remove(location)


def download(location: str, file: Path) -> None:
    """Copies an object to a local file, whose folder exists. Raises OSError."""
    store, path = open_store(location)
    with replacing(file) as part, store.open_input_stream(path, compression=None) as content, part.open("wb") as out:
        shutil.copyfileobj(content, out, COPY_CHUNK_BYTES)


def remove(location: str) -> None:
    """Removes an object; one that is not there is no fault. Raises OSError."""
    if not is_remote(location):
        local_path(location).unlink(missing_ok=True)
        return
    store, path = open_store(location)
    try:
        store.delete_file(path)
    except FileNotFoundError:
        pass


def remove_folder(location: str) -> None:
    """Removes a folder with all that is in it; one that is not there is no fault. Raises OSError."""
    if not is_remote(location):
        shutil.rmtree(local_path(location), ignore_errors=True)
        return
    store, path = open_store(location)
    if "/" not in path:
        raise StorageUnusable(f"{without_password(location)} is a whole bucket, which is not removed")
    try:
        store.delete_dir(path)
    except FileNotFoundError:
        pass
