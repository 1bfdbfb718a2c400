"""Runs analyses of audio in a child process: waveform peaks, pictures and features.

Decoding and librosa would hold up every other request of this process, and a file that crashes a decoder, or makes it hang, ends
only the child.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from batch.audio.worker import Worker, WorkerNotStarted, WorkerTerminated
from batch.library.object_store import LocalCopy, is_remote
from ui.auth.places import Client
from ui.auth.shares import Shares

if TYPE_CHECKING:
    from batch.ear.network import Ear

PEAK_COUNT = 240
MAX_CACHED_RESULTS = 300
"""A track's pictures take some 60 kB."""
MAX_WAITING_CLIPS = 4
MAX_CLIPS_OF_PLACE = 3
MAX_WAITING_TRACKS = 12
"""Analyses of tracks that wait or run: some ten seconds of work. Pages ask again for more."""
MAX_TRACKS_OF_PLACE, MAX_TRACKS_OF_LISTENER = 9, 6
FAILURE_CACHE_S = 600.0
REMOTE_FAILURE_CACHE_S = 30.0
"""A store that did not answer may answer soon."""
ANALYSIS_TIMEOUT_S = 60.0
ANALYSIS_MEMORY_BYTES = 1 << 30
"""Includes librosa, which is loaded for the first analysis that needs it."""
REQUEST_TIMEOUT_S = 120.0
"""Covers the analyses that wait before this one, and the analysis itself."""
BUSY_MESSAGE = "Other audio is being analysed. Try again in a moment."
PICTURES = ("waveform", "mel", "mfcc")
CLIP_PROBLEMS = {"silent": "is silent", "too short": "is too short", "not audio": "is not audio that can be read"}
"""By the reason of `UnreadableAudio`."""


class AudioUnreadable(ValueError):
    """The audio cannot be fetched, decoded or analysed. The message is a predicate: "cannot be decoded: …"."""


class AnalyzerBusy(RuntimeError):
    """Too many analyses wait already."""


class AnalysisPending(RuntimeError):
    """The analysis waits or runs, and its result will be there later."""


class AudioAnalyzer:
    """Runs analyses in a child process, one at a time; deduplicates and caches them. A track is a path or a URI.

    Its coroutines hold no thread while an analysis waits or runs. Failures are cached as results are: a file that takes a minute
    to fail is not tried again by every page.
    """

    def __init__(self, timeout_s: float = ANALYSIS_TIMEOUT_S) -> None:
        self._lock = threading.RLock()
        self._timeout_s = timeout_s
        self._worker = Worker("ui.media.analysis:analyze", memory=ANALYSIS_MEMORY_BYTES)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="analysis")
        self._clip_shares = Shares("searches by sound", MAX_WAITING_CLIPS, MAX_CLIPS_OF_PLACE, MAX_CLIPS_OF_PLACE)
        self._track_shares = Shares(
            "pictures of sound", MAX_WAITING_TRACKS, MAX_TRACKS_OF_PLACE, MAX_TRACKS_OF_LISTENER
        )
        self._futures: OrderedDict[tuple[str, str], Future[Any]] = OrderedDict()
        self._failed_at: dict[tuple[str, str], float] = {}

    async def peaks(self, track: str, wait_s: float = REQUEST_TIMEOUT_S, client: Client | None = None) -> list[int]:
        """Loudness along a track: PEAK_COUNT numbers from 0 to 100.

        client : who asks, whose share is limited;  None: the player itself
        Raises AudioUnreadable, AnalyzerBusy, ShareTaken, or AnalysisPending where they are not there within `wait_s`.
        """
        peaks: list[int] = await self._result(await asyncio.to_thread(self._cached, "peaks", track, client), wait_s)
        return peaks

    async def picture(
        self, track: str, kind: str, wait_s: float = REQUEST_TIMEOUT_S, client: Client | None = None
    ) -> bytes:
        """A PNG of the analysed part of a track. kind : one of PICTURES;  client : as of `peaks`. Raises as `peaks` does."""
        pictures = await self._result(await asyncio.to_thread(self._cached, "pictures", track, client), wait_s)
        png: bytes = pictures[kind]
        return png

    async def features(self, clip: bytes, client: Client, with_embedding: bool = False) -> list[float]:
        """The features of a clip (the content of an audio file), as extract computes them.

        client : who asks, whose share is limited
        with_embedding : the trained ear's embedding stands behind the vector
        Raises AudioUnreadable, AnalyzerBusy or ShareTaken.
        """
        with self._clip_shares.held(client):
            future = self._submit("features and embedding" if with_embedding else "features", clip)
            try:
                features: list[float] = await self._result(future, REQUEST_TIMEOUT_S)
            except AnalysisPending as error:
                raise AnalyzerBusy(BUSY_MESSAGE) from error
            return features

    def close(self) -> None:
        """Ends the child process; waiting analyses fail with AudioUnreadable."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._worker.close()

    def _submit(self, analysis: str, audio: str | bytes) -> Future[Any]:
        return self._executor.submit(self._worker, analysis, audio, limit_s=self._timeout_s)

    def _cached(self, analysis: str, track: str, client: Client | None) -> Future[Any]:
        """The analysis of a track, begun if it is not there yet. Raises AnalyzerBusy, AudioUnreadable, ShareTaken."""
        try:
            version = track if is_remote(track) else f"{track}:{os.stat(track).st_mtime_ns}"
        except OSError as error:
            raise AudioUnreadable(f"cannot be read: {error.strerror or error}") from error
        key = (analysis, version)
        with self._lock:
            retry_s = REMOTE_FAILURE_CACHE_S if is_remote(track) else FAILURE_CACHE_S
            if time.monotonic() - self._failed_at.get(key, float("inf")) > retry_s:
                self._forget(key)
            future = self._futures.get(key)
            if future is None:
                if sum(not other.done() for other in self._futures.values()) >= MAX_WAITING_TRACKS:
                    raise AnalyzerBusy(BUSY_MESSAGE)
                if client is not None:
                    self._track_shares.take(client)
                future = self._futures[key] = self._submit(analysis, track)
                future.add_done_callback(functools.partial(self._note_failure, key))
                if client is not None:
                    future.add_done_callback(lambda _: self._track_shares.give_back(client))
            self._futures.move_to_end(key)
            while len(self._futures) > MAX_CACHED_RESULTS:
                self._forget(next(iter(self._futures)))
        return future

    def _note_failure(self, key: tuple[str, str], future: Future[Any]) -> None:
        with self._lock:
            if future.cancelled() or isinstance(future.exception(), WorkerNotStarted):
                self._forget(key)  # not the file's fault
            elif future.exception() is not None:
                self._failed_at[key] = time.monotonic()

    def _forget(self, key: tuple[str, str]) -> None:
        self._futures.pop(key, None)
        self._failed_at.pop(key, None)

    async def _result(self, future: Future[Any], wait_s: float) -> Any:
        ended = asyncio.wrap_future(future)
        ended.add_done_callback(lambda future: future.cancelled() or future.exception())  # or asyncio logs it
        await asyncio.wait([ended], timeout=wait_s)
        if not future.done():
            raise AnalysisPending
        try:
            return future.result()
        except MemoryError as error:
            raise AudioUnreadable("needs too much memory to be analysed") from error
        except CancelledError as error:
            raise AudioUnreadable("was not analysed: the player is shutting down") from error
        except (WorkerTerminated, WorkerNotStarted) as error:
            raise AudioUnreadable(f"was not analysed: {error}") from error


def analyze(analysis: str, audio: str | bytes) -> Any:
    """The child process's entry point: the `peaks` or `pictures` of a track, the `features` of a clip, or these `and embedding`.

    Raises AudioUnreadable.
    """
    analyses: dict[str, Callable[[Any], Any]] = {
        "peaks": _peaks,
        "pictures": _pictures,
        "features": _features,
        "features and embedding": lambda clip: _features(clip, with_embedding=True),
    }
    return analyses[analysis](audio)


def _local_file(track: str) -> Path:
    """A file on this machine with a track's audio. Raises AudioUnreadable."""
    try:
        return _local_copy().fetch(track)
    except OSError as error:
        raise AudioUnreadable(f"cannot be fetched: {(str(error).splitlines() or [''])[0][:200]}") from error


@functools.cache
def _local_copy() -> LocalCopy:
    """The child process's copy of the last remote track: its waveform and its pictures need one download."""
    return LocalCopy()


def _peaks(track: str) -> list[int]:
    from batch.audio.decoding import Recording, UnreadableAudio, audible

    def rms(file: Recording) -> NDArray[np.float64]:
        power, count = np.zeros(PEAK_COUNT), np.zeros(PEAK_COUNT)
        position, length = 0, max(1.0, file.duration_s * file.rate)
        for block in file.blocks:
            bins = np.minimum((PEAK_COUNT * (position + np.arange(len(block))) / length).astype(int), PEAK_COUNT - 1)
            power += np.bincount(bins, np.square(block, dtype=np.float64), PEAK_COUNT)
            count += np.bincount(bins, minlength=PEAK_COUNT)
            position += len(block)
        return np.asarray(np.sqrt(power / np.maximum(count, 1)))

    try:
        heights, _ = audible(_local_file(track), None, rms)
    except (UnreadableAudio, OSError) as error:
        raise AudioUnreadable(f"cannot be decoded: {error}") from error
    return [round(float(value)) for value in 100 * heights / max(float(heights.max()), 1e-9)]


def _pictures(track: str) -> dict[str, bytes]:
    import librosa

    from batch.audio import features
    from ui.media.pictures import heatmap, png, waveform

    y = _clip(_local_file(track))
    mel = librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=features.SAMPLE_RATE), ref=np.max)
    mfcc = librosa.feature.mfcc(S=mel, n_mfcc=features.N_MFCC)
    deviation = mfcc.std(axis=1, keepdims=True)
    standardised = (mfcc - mfcc.mean(axis=1, keepdims=True)) / np.where(deviation > 0, deviation, 1.0)
    return {
        "waveform": png(waveform(y)),
        "mel": png(heatmap(mel, -80.0, 0.0, height=192)),
        "mfcc": png(heatmap(standardised, -2.5, 2.5, height=200)),
    }


def _features(clip: bytes, with_embedding: bool = False) -> list[float]:
    from batch.audio import features
    from batch.audio.decoding import UnreadableAudio

    ear = _ear() if with_embedding else None
    # The sender's file name is never used.
    with NamedTemporaryFile(suffix=".clip") as file:
        file.write(clip)
        file.flush()
        try:
            clip_features = features.track(file.name, ear=ear)
        except UnreadableAudio as error:
            raise AudioUnreadable(CLIP_PROBLEMS.get(error.reason, f"cannot be decoded: {error.detail}")) from error
    if ear is None:
        return clip_features.vector.tolist()
    if clip_features.embedding is None:
        raise AudioUnreadable(f"cannot be compared with the library: {clip_features.ear_problem}")
    return [*clip_features.vector.tolist(), *clip_features.embedding.tolist()]


def _ear() -> Ear:
    """The trained ear, loaded once. Raises AudioUnreadable where this machine has none."""
    from batch.ear import network

    graph, problem = network.usable_graph("musicnn")
    if graph is None:
        raise AudioUnreadable(f"cannot be compared with the library: its trained ear is missing here ({problem})")
    return network.loaded(graph)


def _clip(path: Path) -> NDArray[np.float32]:
    from batch.audio import features
    from batch.audio.decoding import UnreadableAudio

    try:
        return features.clip(path)[0]
    except UnreadableAudio as error:
        raise AudioUnreadable(str(error)) from error
    except OSError as error:
        raise AudioUnreadable(f"cannot be read: {error.strerror or error}") from error
