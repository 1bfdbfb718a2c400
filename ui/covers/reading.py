"""What runs in a process of its own, the only one where untrusted files reach mutagen and Pillow: pictures out of files."""

from __future__ import annotations

from contextlib import suppress
from io import BufferedReader
from typing import Any, BinaryIO, cast

from batch.library.object_store import is_remote, open_store
from ui.covers.embedded import MAX_PICTURE_BYTES, embedded_pictures
from ui.covers.thumbnails import UnusablePicture, thumbnail

READ_AHEAD_BYTES = 256 << 10
"""Of an object in a store: each read is a request."""


def made(task: str, source: Any, side: int) -> bytes | None:
    """Entry point of the process: a thumbnail; None where there is no usable picture.

    task : "embedded" and "file" read the audio file or picture at `source`, a path or URI; "resize" takes a picture's content
    Raises OSError where the file cannot be read.
    """
    if task == "resize":
        contents = [source]
    else:
        with _opened(source) as file:
            contents = embedded_pictures(file) if task == "embedded" else [file.read(MAX_PICTURE_BYTES + 1)]
    for content in contents:
        if len(content) <= MAX_PICTURE_BYTES:
            with suppress(UnusablePicture):
                return thumbnail(content, side)
    return None


def warm_up(root: str) -> None:
    """Loads what the first picture needs, so that its memory does not count.  root : the library's folder or URI; "": any"""
    import mutagen  # noqa: F401
    from PIL import Image

    if not root or is_remote(root):
        import pyarrow.fs  # noqa: F401
    Image.preinit()
    with suppress(UnusablePicture):
        thumbnail(b"", 1)


def _opened(location: str) -> BinaryIO:
    if not is_remote(location):
        return open(location, "rb")
    store, name = open_store(location)
    return cast(BinaryIO, BufferedReader(store.open_input_file(name), READ_AHEAD_BYTES))
