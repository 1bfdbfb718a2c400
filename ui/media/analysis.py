"""What a track sounds like, as numbers and pictures, made in a process of its own.

Decoding and librosa would stop every other request for their time in this one, and a file that brings a decoder down, or that
it hangs on, takes only that process with it.
"""

from __future__ import annotations

import functools
import io
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

from batch.audio.worker import Isolated, Lost, NotStarted
from batch.library.object_store import Copies, is_remote

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PEAKS = 240
KEPT = 300
"""Answers kept in memory; the pictures of a track have some 60 kB."""
CLIPS = 4
"""Clips that may wait to be listened to."""
PATIENCE_S = 60.0
MEMORY = 1 << 30
"""Bytes that a sound may take, with librosa, which is loaded for the first that needs it."""
WAIT_S = 120.0
"""So long a request waits for what others have asked before, and its own turn."""
BUSY = "Other sounds are being listened to. Try again in a moment."
PICTURES = ("waveform", "mel", "mfcc")
PICTURE_WIDTH = 900
HEAT = ((0, (8, 6, 24)), (64, (79, 18, 104)), (128, (182, 54, 91)), (192, (251, 136, 60)), (255, (252, 246, 190)))
"""Colours from quiet to loud: dark to light, so that they can be told apart without hues."""


class AudioUnreadable(ValueError):
    """The sound cannot be had or decoded; the message says why."""


class AnalyzerBusy(RuntimeError):
    """So much waits already that this would take too long."""


class AudioAnalyzer:
    """Asks the other process, once for the same thing, and remembers the answer. A track is a path or a URI."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._lock = threading.Lock()
        self._patience_s = patience_s
        self._process = Isolated("ui.media.analysis:heard", headroom=MEMORY)
        self._line = ThreadPoolExecutor(1, thread_name_prefix="sound")
        self._room = threading.BoundedSemaphore(CLIPS)
        self._known: OrderedDict[tuple[str, str], Future[Any]] = OrderedDict()

    def peaks(self, track: str) -> list[int]:
        """Loudness along a file, PEAKS numbers from 0 to 100. Raises AudioUnreadable or AnalyzerBusy."""
        return self._asked("peaks", track)

    def picture(self, track: str, which: str) -> bytes:
        """A PNG: the waveform, mel spectrogram or MFCCs of the part of the file that is analysed. Raises AudioUnreadable or AnalyzerBusy."""
        found: bytes = self._asked("pictures", track)[which]
        return found

    def vector(self, clip: bytes) -> list[float]:
        """Features of a clip (the content of an audio file), as extract gives them. Raises AudioUnreadable or AnalyzerBusy."""
        if not self._room.acquire(blocking=False):
            raise AnalyzerBusy(BUSY)
        try:
            return self._answer(self._submitted("vector", clip))
        finally:
            self._room.release()

    def close(self) -> None:
        """Whatever is being listened to is left."""
        self._line.shutdown(wait=False, cancel_futures=True)
        self._process.close()

    def _submitted(self, what: str, given: str | bytes) -> Future[Any]:
        return self._line.submit(self._process, what, given, limit_s=self._patience_s)

    def _asked(self, what: str, track: str) -> Any:
        key = (what, track if is_remote(track) else f"{track}:{os.stat(track).st_mtime_ns}")
        with self._lock:
            known = self._known.get(key)
            if known is None:
                known = self._known[key] = self._submitted(what, track)
            self._known.move_to_end(key)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        try:
            return self._answer(known)
        except AnalyzerBusy:
            raise
        except Exception:
            with self._lock:
                self._known.pop(key, None)
            raise

    def _answer(self, future: Future[Any]) -> Any:
        try:
            return future.result(WAIT_S)
        except TimeoutError as error:
            raise AnalyzerBusy(BUSY) from error
        except MemoryError as error:
            raise AudioUnreadable("takes more memory than a sound is given") from error
        except CancelledError as error:
            raise AudioUnreadable("was not listened to: the player is ending") from error
        except (Lost, NotStarted) as error:
            raise AudioUnreadable(f"was not listened to: {error}") from error


def heard(what: str, given: str | bytes) -> Any:
    """What the other process is asked: the `peaks` or `pictures` of a track, the `vector` of a clip. Raises AudioUnreadable."""
    hearing: dict[str, Callable[[Any], Any]] = {"peaks": _peaks, "pictures": _pictures, "vector": _vector}
    return hearing[what](given)


def _here(track: str) -> Path:
    """A file on this machine with a track's sound. Raises AudioUnreadable."""
    try:
        return _copies().of(track)
    except OSError as error:
        raise AudioUnreadable(f"cannot be fetched: {(str(error).splitlines() or [''])[0][:200]}") from error


@functools.cache
def _copies() -> Copies:
    """Of the other process: the waveform and the pictures of a track in a store take one fetching."""
    return Copies()


def _peaks(path: str) -> list[int]:
    import numpy as np

    from batch.audio.decoding import UnreadableAudio, recording

    power, count = np.zeros(PEAKS), np.zeros(PEAKS)
    try:
        with recording(_here(path), None) as file:
            seen, length = 0, max(1.0, file.duration_s * file.rate)
            for block in file.blocks:
                places = np.minimum((PEAKS * (seen + np.arange(len(block))) / length).astype(int), PEAKS - 1)
                power += np.bincount(places, np.square(block, dtype=np.float64), PEAKS)
                count += np.bincount(places, minlength=PEAKS)
                seen += len(block)
    except (UnreadableAudio, OSError) as error:
        raise AudioUnreadable(f"cannot be decoded: {error}") from error
    loud = np.sqrt(power / np.maximum(count, 1))
    return [round(float(value)) for value in 100 * loud / max(float(loud.max()), 1e-9)]


def _pictures(path: str) -> dict[str, bytes]:
    import librosa
    import numpy as np

    from batch.audio import features

    y = _clip(_here(path))
    mel = librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=features.SAMPLE_RATE), ref=np.max)
    mfcc = librosa.feature.mfcc(S=mel, n_mfcc=features.N_MFCC)
    spread = mfcc.std(axis=1, keepdims=True)
    each = (mfcc - mfcc.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1.0)
    return {
        "waveform": _png(_drawn(y)),
        "mel": _png(_coloured(mel, -80.0, 0.0, height=192)),
        "mfcc": _png(_coloured(each, -2.5, 2.5, height=200)),
    }


def _vector(clip: bytes) -> list[float]:
    from batch.audio import features
    from batch.audio.decoding import UnreadableAudio

    # A name of ours: what the sender calls the file is never used.
    with NamedTemporaryFile(suffix=".clip") as file:
        file.write(clip)
        file.flush()
        try:
            return [float(value) for value in features.track(file.name)[0]]
        except UnreadableAudio as error:
            raise AudioUnreadable(str(error)) from error


def _clip(path: Path) -> NDArray[np.float32]:
    from batch.audio import features
    from batch.audio.decoding import UnreadableAudio

    try:
        return features.clip(path)[0]
    except UnreadableAudio as error:
        raise AudioUnreadable(str(error)) from error
    except OSError as error:
        raise AudioUnreadable(f"cannot be read: {error.strerror or error}") from error


def _drawn(y: NDArray[np.float32], height: int = 120) -> NDArray[np.uint8]:
    """The waveform as an RGBA picture, transparent around it."""
    import numpy as np

    parts = np.array_split(y, PICTURE_WIDTH)
    reach = np.array([np.abs(part).max() if len(part) else 0.0 for part in parts])
    reach = reach / max(float(reach.max()), 1e-9)
    distance = np.abs(np.arange(height) - (height - 1) / 2)[:, None] / (height / 2)
    picture = np.zeros((height, len(reach), 4), dtype=np.uint8)
    picture[distance <= np.maximum(reach, 0.02)] = (236, 98, 58, 255)
    return picture


def _coloured(values: NDArray[np.floating], low: float, high: float, height: int) -> NDArray[np.uint8]:
    """A matrix as an RGB picture, first row at the bottom, values from low to high in the colours of HEAT."""
    import numpy as np

    columns = np.linspace(0, values.shape[1] - 1, PICTURE_WIDTH).astype(int)
    rows = np.linspace(values.shape[0] - 1, 0, height).astype(int)
    share = np.clip((values[np.ix_(rows, columns)] - low) / (high - low), 0, 1) * 255
    at, colours = [level for level, _ in HEAT], np.array([colour for _, colour in HEAT], dtype=float)
    return np.stack([np.interp(share, at, colours[:, channel]) for channel in range(3)], axis=-1).astype(np.uint8)


def _png(picture: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG", optimize=True)
    return out.getvalue()
