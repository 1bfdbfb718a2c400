"""Audio that a browser cannot play, or that is to be smaller, as MP3 made on the way, with byte ranges.

Child processes with limits of time and memory decode and encode a piece at a time, when the browser reads it; a file that crashes
or hangs a decoder costs its own piece. Pieces are cached, since browsers ask for the same range again.
"""

from __future__ import annotations

import asyncio
import os
import threading
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any

from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from batch.audio.worker import Worker, WorkerNotStarted, WorkerTerminated
from batch.library.object_store import is_remote
from ui.auth.places import Client
from ui.auth.shares import Shares, ShareTaken
from ui.media.mp3 import PIECE_FRAMES, AudioUndecodable, frame_bytes
from ui.media.streaming import byte_range, range_headers, unsatisfiable
from ui.responses import Refused

WORKERS = 2
MAX_WAITING = 16
"""Pieces that wait or are made: some five seconds of work."""
MAX_WAITING_OF_PLACE, MAX_WAITING_OF_LISTENER = 12, 6
MAX_RESPONSES = 256
"""Responses on their way. A browser has up to four: it reads the track that plays and the next one, in two windows."""
MAX_RESPONSES_OF_PLACE, MAX_RESPONSES_OF_LISTENER = 64, 12
MAX_CACHED_PIECES = 300
"""A piece takes up to 230 kB."""
LENGTH_TIMEOUT_S = 30.0
"""Includes the copy of a remote file."""
PIECE_TIMEOUT_S = 30.0
MEMORY_BYTES = 512 << 20
PLAYABLE_KBPS = 192
SMALLER_KBPS = 128
LOSSLESS_SUFFIXES = (".flac", ".wav", ".aif", ".aiff")
SUFFIXES_BY_KIND = {
    "aac": (".aac",),
    "aiff": (".aif", ".aiff"),
    "flac": (".flac",),
    "m4a": (".m4a", ".m4b"),
    "mp3": (".mp3",),
    "ogg": (".ogg", ".oga"),
    "opus": (".opus",),
    "wav": (".wav",),
}
"""The kinds of files that a page may say it cannot play."""
MEDIA_TYPE = "audio/mpeg"


def kbps_of(location: str, without: str, is_smaller: bool, is_mp3: bool) -> int | None:
    """The bit rate at which a file is to be encoded; None: it is sent as it is.

    without : kinds of SUFFIXES_BY_KIND that the browser cannot play, separated by commas
    is_smaller : lossless files are encoded;  is_mp3 : every file is
    """
    suffix = PurePosixPath(location).suffix.lower()
    unplayable = [suffix for kind in without.split(",") for suffix in SUFFIXES_BY_KIND.get(kind, ())]
    if is_smaller and suffix in LOSSLESS_SUFFIXES:
        return SMALLER_KBPS
    return PLAYABLE_KBPS if is_mp3 or suffix in unplayable else None


class Transcoder:
    """Makes MP3 of the files of tracks, WORKERS pieces at once. A track is a path or a URI."""

    def __init__(self) -> None:
        self._workers = [Worker("ui.media.mp3:encode", memory=MEMORY_BYTES) for _ in range(WORKERS)]
        # A track's pieces are made by the same child, which keeps the copy of a remote file.
        self._executors = [ThreadPoolExecutor(1, thread_name_prefix="transcode") for _ in range(WORKERS)]
        self._futures: OrderedDict[tuple[Any, ...], Future[Any]] = OrderedDict()
        self._lock = threading.RLock()
        self._pieces = Shares("tracks to convert", MAX_WAITING, MAX_WAITING_OF_PLACE, MAX_WAITING_OF_LISTENER)
        self._responses = Shares("converted tracks", MAX_RESPONSES, MAX_RESPONSES_OF_PLACE, MAX_RESPONSES_OF_LISTENER)

    async def response(self, track: str, kbps: int, range_header: str | None, method: str, client: Client) -> Response:
        """The response to a request for a track's audio as MP3.

        method : GET or HEAD
        client : who asks, whose share of what waits is limited
        Raises Refused where it cannot be decoded or read, ShareTaken where too much waits.
        """
        size = frame_bytes(kbps) * int(await self._result("length", client, track))
        requested = byte_range(range_header, size)
        if requested is None:
            return unsatisfiable(size)
        first, end, status = requested
        headers = range_headers(first, end, size, status)
        if method == "HEAD":
            return Response(status_code=status, media_type=MEDIA_TYPE, headers=headers)
        # Errors come before any header.
        await self._result("piece", client, track, kbps, first // (frame_bytes(kbps) * PIECE_FRAMES))
        chunks = self._chunks(client, track, kbps, first, end)
        return _SharedResponse(self._responses, client, chunks, status, headers)

    def close(self) -> None:
        """Ends the child processes."""
        for executor, worker in zip(self._executors, self._workers, strict=True):
            executor.shutdown(wait=False, cancel_futures=True)
            worker.close()

    async def _chunks(self, client: Client, track: str, kbps: int, position: int, end: int) -> AsyncIterator[bytes]:
        """The bytes [position, end): each piece is made when the one before it was read."""
        piece_bytes = frame_bytes(kbps) * PIECE_FRAMES
        while position < end:
            number, offset = divmod(position, piece_bytes)
            piece: bytes = await self._result("piece", client, track, kbps, number, is_waiting_allowed=True)
            chunk = piece[offset : offset + end - position]
            position += len(chunk)
            yield chunk

    async def _result(
        self, request: str, client: Client, track: str, *arguments: int, is_waiting_allowed: bool = False
    ) -> Any:
        try:
            while True:
                try:
                    future = await asyncio.to_thread(self._submit, request, client, track, arguments)
                    return await asyncio.shield(asyncio.wrap_future(future))
                except ShareTaken:
                    if not is_waiting_allowed:
                        raise
                await asyncio.sleep(0.2)
        except (AudioUndecodable, WorkerTerminated, MemoryError) as error:
            raise Refused(422, f"The track cannot be converted: {error}") from error
        except (WorkerNotStarted, OSError) as error:
            raise Refused(503, "The track cannot be read right now.", {"Retry-After": "5"}) from error

    def _submit(self, request: str, client: Client, track: str, arguments: tuple[int, ...]) -> Future[Any]:
        """The request's result, begun if it is not there yet. Raises ShareTaken, OSError."""
        version = "" if is_remote(track) else str(os.stat(track).st_mtime_ns)
        key = (request, track, version, *arguments)
        with self._lock:
            future = self._futures.get(key)
            if future is None:
                self._pieces.take(client)
                place = zlib.crc32(track.encode(errors="surrogateescape")) % WORKERS
                limit_s = LENGTH_TIMEOUT_S if request == "length" else PIECE_TIMEOUT_S
                call = self._executors[place].submit
                future = self._futures[key] = call(self._workers[place], request, track, *arguments, limit_s=limit_s)
                future.add_done_callback(lambda _: self._pieces.give_back(client))
                future.add_done_callback(lambda done: self._forget_temporary(key, done))
            self._futures.move_to_end(key)
            while len(self._futures) > MAX_CACHED_PIECES:
                self._futures.popitem(last=False)
        return future

    def _forget_temporary(self, key: tuple[Any, ...], future: Future[Any]) -> None:
        """Failures that are not the file's fault are not cached."""
        if future.cancelled() or isinstance(future.exception(), (WorkerNotStarted, OSError)):
            with self._lock:
                self._futures.pop(key, None)


class _SharedResponse(StreamingResponse):
    """A response that counts among those of its client until it has ended: sent, broken off or failed. Raises ShareTaken."""

    def __init__(
        self, shares: Shares, client: Client, chunks: AsyncIterator[bytes], status: int, headers: dict[str, str]
    ) -> None:
        shares.take(client)
        self._shares, self._client = shares, client
        super().__init__(chunks, status, headers, MEDIA_TYPE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._shares.give_back(self._client)
