"""A track's audio over HTTP, with ranges: a local file, or an object in a store, read in chunks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from fastapi.responses import FileResponse, Response, StreamingResponse

from batch.library.object_store import is_remote, open_store
from ui.responses import Refused

CHUNK_BYTES = 256 * 1024
MEDIA_TYPES = {
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".flac": "audio/flac",
    ".wav": "audio/wav",
    ".aif": "audio/aiff",
    ".aiff": "audio/aiff",
    ".m4a": "audio/mp4",
    ".m4b": "audio/mp4",
    ".aac": "audio/aac",
}
HEADERS = {
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, max-age=3600",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
}
"""A file of the library can contain anything: opened as a page, it must not run scripts."""
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
_IMPOSSIBLE_POSITION = re.compile(r"\d{20}", re.ASCII)
"""No file has so many bytes that a position in it takes 20 digits; Python refuses to read a number of more than 4,300."""


def audio_response(location: str, range_header: str | None, method: str) -> Response:
    """The response to a request for a track's audio. location : path or URI;  method : GET or HEAD

    Raises Refused where a store does not have the object or does not answer.
    """
    media_type = MEDIA_TYPES.get(PurePosixPath(location).suffix.lower(), "application/octet-stream")
    if not is_remote(location):
        if _IMPOSSIBLE_POSITION.search(range_header or ""):
            return unsatisfiable(os.stat(location).st_size)
        return FileResponse(location, media_type=media_type, headers=HEADERS)
    try:
        store, name = open_store(location)
        file = store.open_input_file(name)
        size = file.size()
    except FileNotFoundError as error:  # also: no store of this kind
        raise Refused(404, "The track's file is no longer in its store.") from error
    except (OSError, ValueError) as error:
        raise Refused(503, "The store of the track's file is unavailable.") from error
    requested = byte_range(range_header, size)
    if requested is None:
        file.close()
        return unsatisfiable(size)
    first, end, status = requested
    headers = range_headers(first, end, size, status)
    if method == "HEAD":
        file.close()
        return Response(status_code=status, media_type=media_type, headers=headers)
    return StreamingResponse(_chunks(file, first, end), status, headers, media_type)


def unsatisfiable(size: int) -> Response:
    """The response to a request for bytes that do not exist."""
    return Response(status_code=416, headers=HEADERS | {"Content-Range": f"bytes */{size}"})


def range_headers(first: int, end: int, size: int, status: int) -> dict[str, str]:
    """The headers of a response with the bytes [first, end) of `size`. status : 206 for a part"""
    headers = HEADERS | {"Content-Length": str(end - first)}
    return headers | {"Content-Range": f"bytes {first}-{end - 1}/{size}"} if status == 206 else headers


def byte_range(range_header: str | None, size: int) -> tuple[int, int, int] | None:
    """(first byte, end, HTTP status) of the bytes [first, end) that a Range header asks for; None where none of them exist.

    Without a header, or with one that is not understood (as of several ranges), the whole file.
    """
    if _IMPOSSIBLE_POSITION.search(range_header or ""):
        return None
    match = _RANGE.fullmatch((range_header or "").strip())
    first, last = match.groups() if match else ("", "")
    if not first and not last:
        return 0, size, 200
    if not first:
        return (max(0, size - int(last)), size, 206) if int(last) and size else None
    if int(first) >= size or (last and int(last) < int(first)):
        return None
    return int(first), min(size, int(last) + 1) if last else size, 206


def _chunks(file: Any, position: int, end: int) -> Iterator[bytes]:
    with file:
        file.seek(position)
        while position < end and (chunk := file.read(min(CHUNK_BYTES, end - position))):
            position += len(chunk)
            yield chunk
