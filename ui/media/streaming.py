"""A track's sound on its way to the browser: a file of this machine, or one in a store, read in pieces. Both answer ranges."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from fastapi.responses import FileResponse, Response, StreamingResponse

from batch.library.object_store import is_remote, store_of
from ui.auth.session import Refused

PIECE = 256 * 1024
TYPES = {
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
"""A file of the library may hold anything; opened as a page, nothing in it runs."""
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


def sound_of(place: str, asked: str | None, method: str) -> Response:
    """place : a path or URI;  asked : the header Range. Raises Refused where a store does not have it or does not answer."""
    media_type = TYPES.get(PurePosixPath(place).suffix.lower(), "application/octet-stream")
    if not is_remote(place):
        return FileResponse(place, media_type=media_type, headers=HEADERS)
    try:
        store, name = store_of(place)
        file = store.open_input_file(name)
        size = file.size()
    except FileNotFoundError as error:  # or no store of its kind
        raise Refused(404, "The track's file is not in its store any more.") from error
    except (OSError, ValueError) as error:
        raise Refused(503, "The store of the track's file does not answer.") from error
    wanted = piece(asked, size)
    if wanted is None:
        file.close()
        return Response(status_code=416, headers=HEADERS | {"Content-Range": f"bytes */{size}"})
    first, end, status = wanted
    headers = HEADERS | {"Content-Length": str(end - first)}
    if status == 206:
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
    if method == "HEAD":
        file.close()
        return Response(status_code=status, media_type=media_type, headers=headers)
    return StreamingResponse(_pieces(file, first, end), status, headers, media_type)


def piece(asked: str | None, size: int) -> tuple[int, int, int] | None:
    """The bytes [first, end) of a file that a Range header asks for, and the answer's status; None where it has none of them.

    Where the header is none, or none that we understand, everything.
    """
    met = _RANGE.fullmatch((asked or "").strip())
    first, last = met.groups() if met else ("", "")
    if not first and not last:
        return 0, size, 200
    if not first:
        return (max(0, size - int(last)), size, 206) if int(last) and size else None
    if int(first) >= size or (last and int(last) < int(first)):
        return None
    return int(first), min(size, int(last) + 1) if last else size, 206


def _pieces(file: Any, at: int, end: int) -> Iterator[bytes]:
    with file:
        file.seek(at)
        while at < end and (read := file.read(min(PIECE, end - at))):
            at += len(read)
            yield read
