"""Timbre features of a track: 189 numbers from its audio.

Seven statistics over time of 20 MFCCs and of 7 spectral contrasts, from mono audio at 22,050 Hz with librosa's default frames:
a part of the features of Defferrard et al., "FMA: A Dataset for Music Analysis", ISMIR 2017. librosa is imported when first
used, so that importing this module takes no time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING

from batch.audio.decoding import Recording, UnreadableAudio, audible
from batch.audio.spectra import N_CONTRAST, N_MELS, SAMPLE_RATE, mel_bands, peaks_and_valleys, spectra
from batch.ear.excerpts import SPAN_S, Excerpts
from batch.ear.network import Ear, Heard, NoAnswer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "SAMPLE_RATE",
    "TrackFeatures",
    "UnreadableAudio",
    "clip",
    "extractor_version",
    "features",
    "summary",
    "track",
]

N_MFCC = 20
STATISTICS = ("mean", "std", "skew", "kurtosis", "median", "min", "max")
N_FEATURES = (N_MFCC + N_CONTRAST) * len(STATISTICS)
EXTRACTOR_VERSION = "mfcc20-contrast7/1"
"""To be changed whenever the same file would give other numbers; one index never mixes vectors of different versions."""

MIDDLE_S = 30.0
"""Default of the setting library.middle_s: seconds around the middle of a longer track that are analysed."""
SHORTEST_S = 1.0
SILENCE_PEAK_TO_PEAK = 1e-4
"""Amplitude range below which a clip counts as silent (-80 dBFS)."""

TOP_DB = 80.0
MEL_BYTES_IN_MEMORY = 32 << 20
"""Bytes of a mel spectrogram that stay in memory; a larger one is written to a temporary file."""
MEL_FRAMES_PER_READ = 4096


@dataclass(frozen=True)
class TrackFeatures:
    """What one pass over a file gives.

    vector : float32 [shape=(189,)]
    duration_s : length of the whole file in seconds
    embedding, tags : of the trained ear, float32 [shape=(200,)] and [shape=(50,)]; None without one
    ear_problem : why an ear that was asked for gave nothing; else ""
    """

    vector: NDArray[np.float32]
    duration_s: float
    embedding: NDArray[np.float32] | None = None
    tags: NDArray[np.float32] | None = None
    ear_problem: str = ""


def extractor_version(middle_s: float | None = MIDDLE_S, ear: str = "") -> str:
    """The value of the column `extractor_version` for features of the middle `middle_s` seconds; None: of whole tracks.

    ear : the trained ear's version; "": none
    """
    part = "" if middle_s == MIDDLE_S else "+whole" if middle_s is None else f"+{middle_s:g}s"
    return EXTRACTOR_VERSION + part + (f"+{ear}" if ear else "")


def split_version(version: str) -> tuple[str, str]:
    """(the part of an extractor version that says how the vector was made, the trained ear's version or "")"""
    vector, plus, ear = version.rpartition("+")
    return (vector, ear) if plus and "/" in ear else (version, "")


def track(path: str | os.PathLike[str], middle_s: float | None = MIDDLE_S, ear: Ear | None = None) -> TrackFeatures:
    """The features of a file, from one pass over it.

    middle_s : seconds around the file's middle that are decoded; None: all of it, in blocks
    ear : the trained ear, which hears excerpts of that part and around it; None: the vector alone
    Raises UnreadableAudio.
    """
    if ear is None:
        return TrackFeatures(*audible(Path(path), middle_s, lambda file: _features_of(_resampled(file))))

    def both(file: Recording) -> tuple[NDArray[np.float32], Excerpts]:
        excerpts = _excerpts(file, middle_s)
        vector = _features_of(_collected(_resampled(file), excerpts))
        _add_outside(excerpts, file)
        return vector, excerpts

    (vector, excerpts), duration_s = audible(Path(path), middle_s, both)
    try:
        answer = ear.heard(excerpts.patches())
    except NoAnswer as error:
        return TrackFeatures(vector, duration_s, ear_problem=str(error))
    return TrackFeatures(vector, duration_s, answer.embedding, answer.tags)


def heard(path: str | os.PathLike[str], middle_s: float | None, ear: Ear) -> Heard:
    """What the trained ear hears in a file, as `track` has it, without the vector. Raises UnreadableAudio, NoAnswer."""

    def excerpts_alone(file: Recording) -> Excerpts:
        excerpts = _excerpts(file, middle_s)
        for _ in _collected(_resampled(file), excerpts):
            pass
        _add_outside(excerpts, file)
        return excerpts

    return ear.heard(audible(Path(path), middle_s, excerpts_alone)[0].patches())


def _excerpts(file: Recording, middle_s: float | None) -> Excerpts:
    """The excerpts to be heard: of the SPAN_S around the middle of the part that is read, where its decoder reads others."""
    part_s = file.duration_s if middle_s is None else min(file.duration_s, middle_s)
    span_s = min(file.duration_s, max(part_s, SPAN_S)) if file.other_part else part_s
    start_s = min(max(0.0, file.start_s + (part_s - span_s) / 2), file.duration_s - span_s)
    before_s = max(0.0, file.start_s - start_s)
    return Excerpts(SAMPLE_RATE, int(part_s * SAMPLE_RATE), before_s, max(0.0, span_s - part_s - before_s))


def _add_outside(excerpts: Excerpts, file: Recording) -> None:
    """Reads the excerpts outside the part that has been read."""
    if file.other_part is not None:
        excerpts.add_outside(file.other_part, file.rate, file.start_s)


def _collected(blocks: Iterable[NDArray[np.float32]], excerpts: Excerpts) -> Iterator[NDArray[np.float32]]:
    """The blocks, which `excerpts` gets as well."""
    for block in blocks:
        excerpts.add(block)
        yield block


def clip(path: str | os.PathLike[str], middle_s: float | None = MIDDLE_S) -> tuple[NDArray[np.float32], float]:
    """The part of a file that is analysed, and the length of the whole file in seconds.

    middle_s : as for `track`
    Returns float32 [shape=(n,)], mono at 22,050 Hz, and seconds. Raises UnreadableAudio.
    """
    import numpy as np

    return audible(Path(path), middle_s, lambda file: np.concatenate(list(_resampled(file))))


def features(y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Seven statistics over time of each MFCC, then of each spectral contrast.

    y : float32 [shape=(n,)], mono at 22,050 Hz, in [-1, 1]
    Returns float32 [shape=(189,)]: mean, std, skew, kurtosis, median, min, max, each over the 20 MFCCs,
    then each over the 7 contrasts.
    """
    return _features_of([y])


def summary(frames: NDArray[np.floating]) -> NDArray[np.float64]:
    """Seven statistics of each row over time, as scipy.stats defines them (population deviation and skew, Fisher's kurtosis).

    frames : [shape=(k, t)]
    Returns float64 [shape=(7 * k,)]: all means, then all deviations, and so on in the order of STATISTICS; deviation, skew and
    kurtosis of a constant row are 0.
    """
    import numpy as np

    rows = max(1, (1 << 20) // frames.shape[1])  # bounds the float64 copies for long tracks
    parts = [_statistics(frames[i : i + rows]) for i in range(0, len(frames), rows)]
    return np.concatenate(parts, axis=1).ravel()


def warm_up() -> None:
    """Imports librosa and compiles its numba functions, which the first clip would otherwise wait for."""
    import numpy as np

    features(np.sin(np.arange(SAMPLE_RATE, dtype=np.float32) * 0.1))


def _resampled(file: Recording) -> Iterator[NDArray[np.float32]]:
    """The file's blocks at 22,050 Hz. Raises UnreadableAudio at a sample that is not finite, and at the end where the audio
    was too short or silent."""
    import numpy as np
    import soxr

    resampler = soxr.ResampleStream(file.rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
    samples, lowest, highest = 0, np.inf, -np.inf
    for block in file.blocks:
        if not np.isfinite(block).all():
            raise UnreadableAudio("not finite", "the file holds NaN or infinite samples")
        samples, lowest, highest = samples + len(block), min(lowest, block.min()), max(highest, block.max())
        yield block if file.rate == SAMPLE_RATE else resampler.resample_chunk(np.ascontiguousarray(block))
    if samples / file.rate < SHORTEST_S:
        raise UnreadableAudio("too short", f"{samples / file.rate:.2f} s, expected at least {SHORTEST_S:g} s")
    if highest - lowest < SILENCE_PEAK_TO_PEAK:
        limit = f"{SILENCE_PEAK_TO_PEAK:g} of full scale"
        raise UnreadableAudio("silent", f"the part that is read never moves by more than {limit}")
    if file.rate != SAMPLE_RATE:
        yield resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)


def _features_of(blocks: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """`features` of a signal given in blocks, in almost constant memory.

    Decibels are clipped TOP_DB below the maximum of the whole signal, so the mel spectrogram, peaks and valleys are collected
    first and clipped at the end.
    """
    import librosa
    import numpy as np

    max_db, frames, peaks, valleys = -np.inf, 0, [], []
    with SpooledTemporaryFile(max_size=MEL_BYTES_IN_MEMORY) as spool:
        for magnitude in spectra(blocks):
            mel = librosa.power_to_db(mel_bands() @ np.square(magnitude), top_db=None)
            max_db = max(max_db, float(mel.max()))
            spool.write(np.ascontiguousarray(mel.T).data)
            frames += mel.shape[1]
            peak, valley = peaks_and_valleys(magnitude)
            peaks.append(peak)
            valleys.append(valley)
        contrast = summary(_decibels(peaks) - _decibels(valleys))
        spool.seek(0)
        mfcc, start = np.empty((N_MFCC, frames), dtype=np.float32), 0
        while content := spool.read(MEL_FRAMES_PER_READ * N_MELS * 4):
            decibels = np.maximum(np.frombuffer(content, dtype=np.float32).reshape(-1, N_MELS).T, max_db - TOP_DB)
            part = librosa.feature.mfcc(S=decibels, n_mfcc=N_MFCC)
            mfcc[:, start : start + part.shape[1]] = part
            start += part.shape[1]
    return np.concatenate([summary(mfcc), contrast]).astype(np.float32)


def _decibels(parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The parts joined, in decibels. Empties the list, to free the memory early."""
    import librosa
    import numpy as np

    whole = np.concatenate(parts, axis=1)
    parts.clear()
    return np.asarray(librosa.power_to_db(whole, top_db=TOP_DB))


def _statistics(frames: NDArray[np.floating]) -> NDArray[np.float64]:
    """[shape=(k, t)] to [shape=(7, k)].

    Own code, since one pass shares the centred values: 1.0 ms for 20 rows of 1,292 frames, with scipy.stats 3.9 ms.
    """
    import numpy as np

    x = np.asarray(frames, dtype=np.float64)
    mean = x.mean(axis=1)
    centred = x - mean[:, None]
    squared = centred * centred
    variance = squared.mean(axis=1)
    # scipy's rule: a row is constant where its deviation is below the rounding error
    varies = variance > (np.finfo(np.float32).eps * np.abs(mean)) ** 2
    safe = np.where(varies, variance, 1.0)
    skew = np.where(varies, (squared * centred).mean(axis=1) / safe**1.5, 0.0)
    kurtosis = np.where(varies, (squared * squared).mean(axis=1) / safe**2 - 3.0, 0.0)
    deviation = np.where(varies, np.sqrt(variance), 0.0)
    return np.stack([mean, deviation, skew, kurtosis, np.median(x, axis=1), x.min(axis=1), x.max(axis=1)])
