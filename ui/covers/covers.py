"""The covers of albums and tracks: from the cache on disk, else found and made by a process of its own.

Untrusted pictures and tags end at most that process, which is started again.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from batch.audio.worker import Worker, WorkerNotStarted, WorkerTerminated
from ui.auth.places import Client
from ui.auth.shares import Shares
from ui.covers.candidates import Candidates, Hint, candidates, pictures_in_store
from ui.covers.store import ThumbnailStore
from ui.data.library import Library
from ui.data.mongo import LibraryUnavailable

log = logging.getLogger(__name__)

SIZES = (64, 160, 320, 640)
"""Pixels of the longer side."""
LARGEST = SIZES[-1]
PICTURE_TIMEOUT_S = 10.0
PICTURE_MEMORY_BYTES = 512 << 20
"""A picture of MAX_PIXELS with transparency takes 200 MB, and as much again while it is converted."""
COVER_WAIT_S = 4.0
"""An answer waits for a cover no longer."""
MAX_WAITING_COVERS = 48
MAX_COVERS_OF_PLACE, MAX_COVERS_OF_LISTENER = 36, 24
FOUND_FOR_S = 60.0
"""Where an album's picture may be is looked up so often at most."""
MAX_FOUND = 20_000
REMOTE_NONE_FOR_S = 86_400.0
"""A folder of a store is listed again after so long, where it had no picture."""


class CoverPending(RuntimeError):
    """The cover is not there yet."""


class Covers:
    """Covers of the library.

    folder : of the cache
    hint_of_album : where to look for an album's picture. May raise LibraryUnavailable
    root : folder or URI that the music lies below; "": anywhere
    """

    def __init__(self, library: Library, hint_of_album: Callable[[str], Hint], folder: Path, root: str = "") -> None:
        self._library, self._hint_of_album = library, hint_of_album
        self._store = ThumbnailStore(folder)
        self._worker = Worker(
            "ui.covers.reading:made", "ui.covers.reading:warm_up", PICTURE_MEMORY_BYTES, warm_up_arguments=[root]
        )
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="covers")
        self._lock = threading.RLock()  # a future that is done at once calls `_forget` within `_submit`
        self._making: dict[str, Future[bytes | None]] = {}
        self._shares = Shares("covers", MAX_WAITING_COVERS, MAX_COVERS_OF_PLACE, MAX_COVERS_OF_LISTENER)
        self._found: dict[tuple[str, str], tuple[float, Candidates]] = {}

    def album(self, album_id: str) -> Candidates:
        """Where the picture of an album may be. Raises LibraryUnavailable."""
        return self._candidates(("album", album_id), lambda: self._hint_of_album(album_id))

    def track(self, track_id: str) -> Candidates:
        """Where the picture of a track without an album may be: in its own file. Raises LibraryUnavailable."""
        return self._candidates(("track", track_id), lambda: Hint((track_id,)))

    async def picture(self, places: Candidates, size: int, client: Client) -> bytes | None:
        """A JPEG; None where the music has no usable picture.

        size : one of SIZES
        client : who asks, whose share of what waits is limited
        Raises CoverPending where it takes longer than COVER_WAIT_S or a store does not answer, ShareTaken where too much waits.
        """
        picture, is_settled = await asyncio.to_thread(self._stored, places, size)
        if is_settled:
            return picture
        future = self._submit(places, size, client)
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), COVER_WAIT_S)
        except (TimeoutError, CancelledError, OSError, ValueError, WorkerNotStarted, WorkerTerminated) as error:
            raise CoverPending(str(error)) from error

    def close(self) -> None:
        """Ends the process; what waits is given up."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._worker.close()

    def _candidates(self, key: tuple[str, str], hint: Callable[[], Hint]) -> Candidates:
        found_at, places = self._found.get(key, (float("-inf"), None))
        if places is None or time.monotonic() - found_at > FOUND_FOR_S:
            try:
                current = hint()
                audio = [self._library.audio(track_id) for track_id in current.track_ids]
            except LibraryUnavailable:
                if places is None:
                    raise
                return places
            places = candidates(current, [location for location in audio if location])
            if len(self._found) >= MAX_FOUND:
                self._found.clear()
            self._found[key] = (time.monotonic(), places)
        return places

    def _stored(self, places: Candidates, size: int) -> tuple[bytes | None, bool]:
        """(picture, whether it is known)"""
        picture = self._store.get(places.state, size)
        if picture is not None:
            return picture, True
        has_none = self._store.has_none(places.state, REMOTE_NONE_FOR_S if places.is_remote else float("inf"))
        return None, has_none or not (places.audio or places.pictures or places.remote_folders)

    def _submit(self, places: Candidates, size: int, client: Client) -> Future[bytes | None]:
        key = f"{places.state} {size}"
        with self._lock:
            future = self._making.get(key)
            if future is None:
                self._shares.take(client)
                future = self._making[key] = self._executor.submit(self._made, places, size)
                future.add_done_callback(lambda _: self._forget(key, client))
        return future

    def _forget(self, key: str, client: Client) -> None:
        self._shares.give_back(client)
        with self._lock:
            self._making.pop(key, None)

    def _made(self, places: Candidates, size: int) -> bytes | None:
        """Raises OSError where a store does not answer."""
        largest = self._store.get(places.state, LARGEST)
        if largest is None:
            if self._stored(places, LARGEST)[1]:  # found to have none by the request before
                return None
            largest = self._read(places)
            if largest is None:
                self._store.put_none(places.state)
                return None
            self._store.put(places.state, LARGEST, largest)
        if size == LARGEST:
            return largest
        small = self._worker("resize", largest, size, limit_s=PICTURE_TIMEOUT_S)
        self._store.put(places.state, size, small)
        return bytes(small)

    def _read(self, places: Candidates) -> bytes | None:
        """The largest thumbnail of the first usable picture. Raises OSError, the last one, where a place could not be read."""
        failure: OSError | ValueError | None = None
        for task, location in self._sources(places):
            picture: Any = None
            try:
                picture = self._worker(task, location, LARGEST, limit_s=PICTURE_TIMEOUT_S)
            except WorkerTerminated as error:
                if error.reason == "closed":
                    raise
                log.warning("no cover from %s: %s", location, error)
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                failure = error
            except MemoryError:
                log.warning("no cover from %s: it takes too much memory", location)
            if picture is not None:
                return bytes(picture)
        if failure is not None and places.is_remote:
            raise failure
        return None

    def _sources(self, places: Candidates) -> list[tuple[str, str]]:
        """(task, location) in which a picture may be, best first."""
        sources = [("embedded", location) for location in places.audio]
        sources += [("file", path) for path in places.pictures]
        for folder in places.remote_folders:
            with suppress(FileNotFoundError):
                sources += [("file", picture) for picture in pictures_in_store(folder)]
        return sources


def nearest_size(size: int) -> int:
    """The smallest of SIZES that is not smaller; the largest for more."""
    return next((known for known in SIZES if known >= size), LARGEST)
