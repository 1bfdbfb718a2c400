"""Audio in, 189 numbers out: what a track sounds like, whatever library it is from.

The features are FMA's (Defferrard et al., "FMA: A Dataset for Music Analysis", ISMIR 2017): seven statistics over time of
20 MFCCs and of 7 spectral contrasts, from mono audio at 22,050 Hz with librosa's default frames. librosa is imported when
first used: importing this module costs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any

from batch.audio.decoding import Recording, UnreadableAudio, recording

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["UnreadableAudio", "clip", "extractor_version", "features", "summary", "track"]

SAMPLE_RATE = 22_050
N_MFCC = 20
N_CONTRAST = 7
STATISTICS = ("mean", "std", "skew", "kurtosis", "median", "min", "max")
N_FEATURES = (N_MFCC + N_CONTRAST) * len(STATISTICS)
EXTRACTOR_VERSION = "mfcc20-contrast7/1"
"""Changes whenever the same file would give other numbers; vectors of different versions are never mixed in one index."""

MIDDLE_S = 30.0
"""Seconds around the middle of a longer track that stand for it, unless the settings say otherwise."""
SHORTEST_S = 1.0
SILENCE = 1e-4
"""Peak to peak below which there is nothing to hear (-80 dBFS)."""

AT_ONCE_S = 60
"""Seconds of which a spectrum is made at once."""
N_FFT = 2048
HOP = 512
N_MELS = 128
TOP_DB = 80.0
SPILL = 32 << 20
"""Bytes of a mel spectrogram that stay in memory; a longer one waits in a temporary file."""


def extractor_version(middle_s: float | None = MIDDLE_S) -> str:
    """What `extractor_version` says in each row for features of the middle `middle_s` seconds, or (None) of whole tracks."""
    if middle_s == MIDDLE_S:
        return EXTRACTOR_VERSION
    return EXTRACTOR_VERSION + ("+whole" if middle_s is None else f"+{middle_s:g}s")


def track(path: str | os.PathLike[str], middle_s: float | None = MIDDLE_S) -> tuple[NDArray[np.float32], float]:
    """The features of a file, and the length of the whole file in seconds.

    middle_s : seconds around the middle of a longer file, of which only these are decoded; None for all of it, by blocks
    Returns float32 [shape=(189,)] and seconds. Raises UnreadableAudio.
    """
    with recording(Path(path), middle_s) as file:
        return _features_of(_resampled(file)), file.duration_s


def clip(path: str | os.PathLike[str], middle_s: float | None = MIDDLE_S) -> tuple[NDArray[np.float32], float]:
    """The part of a file that is analysed, and the length of the whole file in seconds.

    middle_s : as for `track`
    Returns float32 [shape=(n,)], mono at 22,050 Hz, and seconds. Raises UnreadableAudio.
    """
    import numpy as np

    with recording(Path(path), middle_s) as file:
        return np.concatenate(list(_resampled(file))), file.duration_s


def features(y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Timbre of a clip: seven statistics over time of each MFCC, then of each spectral contrast.

    y : float32 [shape=(n,)], mono at 22,050 Hz, in [-1, 1]
    Returns float32 [shape=(189,)]: mean, std, skew, kurtosis, median, min, max, each over the 20 MFCCs,
    then each over the 7 contrasts.
    """
    return _features_of([y])


def summary(frames: NDArray[np.floating]) -> NDArray[np.float64]:
    """Seven statistics of each row over time, by scipy's defaults (population deviation and skew, Fisher's kurtosis).

    frames : [shape=(k, t)]
    Returns float64 [shape=(7 * k,)]: all means, then all deviations, and so on; a row that never changes has
    deviation, skew and kurtosis 0.
    """
    import numpy as np

    rows = max(1, (1 << 20) // frames.shape[1])  # a day of frames in float64 would not be small
    parts = [_statistics(frames[i : i + rows]) for i in range(0, len(frames), rows)]
    return np.concatenate(parts, axis=1).ravel()


def warm_up() -> None:
    """Compiles and loads what the first clip would otherwise wait for."""
    import numpy as np

    features(np.sin(np.arange(SAMPLE_RATE, dtype=np.float32) * 0.1))


def _resampled(file: Recording) -> Iterator[NDArray[np.float32]]:
    """The file's blocks at 22,050 Hz. Raises UnreadableAudio at the first sample that is no number, or at the end where
    there was too little to hear."""
    import numpy as np
    import soxr

    resampler = soxr.ResampleStream(file.rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
    heard, lowest, highest = 0, np.inf, -np.inf
    for block in file.blocks:
        if not np.isfinite(block).all():
            raise UnreadableAudio("not finite", "the file holds NaN or infinite samples")
        heard, lowest, highest = heard + len(block), min(lowest, block.min()), max(highest, block.max())
        yield block if file.rate == SAMPLE_RATE else resampler.resample_chunk(np.ascontiguousarray(block))
    if heard / file.rate < SHORTEST_S:
        raise UnreadableAudio("too short", f"{heard / file.rate:.2f} s, expected at least {SHORTEST_S:g} s")
    if highest - lowest < SILENCE:
        raise UnreadableAudio("silent", f"the part that is read never moves by more than {SILENCE:g} of full scale")
    if file.rate != SAMPLE_RATE:
        yield resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)


def _features_of(blocks: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """`features` of a signal that comes in blocks, in memory that hardly grows with its length.

    Decibels are cut 80 below the loudest of the whole signal, so mel bands, peaks and valleys wait until all is heard.
    """
    import librosa
    import numpy as np

    loudest, frames, peaks, valleys = -np.inf, 0, [], []
    with SpooledTemporaryFile(max_size=SPILL) as waiting:
        for magnitude in _spectra(blocks):
            mel = librosa.power_to_db(_mel_bands() @ np.square(magnitude), top_db=None)
            loudest = max(loudest, float(mel.max()))
            waiting.write(np.ascontiguousarray(mel.T).data)
            frames += mel.shape[1]
            peak, valley = _peaks_and_valleys(magnitude)
            peaks.append(peak)
            valleys.append(valley)
        contrast = summary(_decibels(peaks) - _decibels(valleys))
        waiting.seek(0)
        cepstra, at = np.empty((N_MFCC, frames), dtype=np.float32), 0
        while stored := waiting.read(4096 * N_MELS * 4):
            decibels = np.maximum(np.frombuffer(stored, dtype=np.float32).reshape(-1, N_MELS).T, loudest - TOP_DB)
            part = librosa.feature.mfcc(S=decibels, n_mfcc=N_MFCC)
            cepstra[:, at : at + part.shape[1]] = part
            at += part.shape[1]
    return np.concatenate([summary(cepstra), contrast]).astype(np.float32)


def _spectra(blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """Magnitudes [shape=(1025, t)] of the frames of a signal: together those of librosa.stft, whose frames are centred.

    One spectrum serves both kinds of features: contrast reads the magnitude, MFCC its square.
    """
    import librosa
    import numpy as np

    edge = np.zeros(N_FFT // 2, dtype=np.float32)
    at_once = AT_ONCE_S * SAMPLE_RATE
    held: list[NDArray[np.float32]] = []
    total, is_long = 0, False
    for block in blocks:
        for start in range(0, len(block), at_once):
            held.append(block[start : start + at_once])
            total += len(held[-1])
            if total > at_once:
                magnitude, rest = _spectrum(np.concatenate(held if is_long else [edge, *held]))
                held, total, is_long = [rest], len(rest), True
                yield magnitude
    if is_long:
        yield _spectrum(np.concatenate([*held, edge]))[0]
    else:
        yield np.abs(librosa.stft(np.concatenate(held), n_fft=N_FFT, hop_length=HOP))


def _spectrum(signal: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Magnitudes of all whole frames of a signal, and what is left for the next frame."""
    import librosa
    import numpy as np

    frames = 1 + (len(signal) - N_FFT) // HOP
    whole = signal[: (frames - 1) * HOP + N_FFT]
    return np.abs(librosa.stft(whole, n_fft=N_FFT, hop_length=HOP, center=False)), signal[frames * HOP :]


def _peaks_and_valleys(magnitude: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean of the loudest and of the softest bins of each octave band in each frame: two of [shape=(7, t)]."""
    import numpy as np

    frames = magnitude.T
    peaks, valleys = np.empty((2, N_CONTRAST, len(frames)), dtype=np.float32)
    for band, (start, stop, few) in enumerate(_octaves()):
        bins = frames[:, start:stop]
        if few == 1:
            peaks[band], valleys[band] = bins.max(axis=1), bins.min(axis=1)
        else:
            ordered = np.sort(bins, axis=1)  # numpy sorts whole rows of float32 faster than it partitions them
            peaks[band], valleys[band] = ordered[:, -few:].mean(axis=1), ordered[:, :few].mean(axis=1)
    return peaks, valleys


def _decibels(parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The parts, which are given up, in one piece and in decibels."""
    import librosa
    import numpy as np

    whole = np.concatenate(parts, axis=1)
    parts.clear()
    return np.asarray(librosa.power_to_db(whole, top_db=TOP_DB))


@lru_cache
def _octaves() -> tuple[tuple[int, int, int], ...]:
    """(first bin, bin after the last, bins that count as loudest or softest) of each band, as librosa cuts them.

    Six octaves from 200 Hz, and what lies below (Jiang et al., "Music type classification by spectral contrast feature",
    ICME 2002): a band begins with the bin under its lower edge and, but for the highest, leaves its last bin to the next;
    one in fifty of its bins counts.
    """
    import librosa
    import numpy as np

    hertz = librosa.fft_frequencies(sr=SAMPLE_RATE, n_fft=N_FFT)
    edges = [0.0, *(200.0 * 2**octave for octave in range(N_CONTRAST))]
    bands = []
    for band in range(N_CONTRAST):
        inside = np.flatnonzero((hertz >= edges[band]) & (hertz <= edges[band + 1]))
        is_highest = band == N_CONTRAST - 1
        start = int(inside[0]) - (band > 0)
        stop = len(hertz) if is_highest else int(inside[-1]) + 1
        few = max(1, round(0.02 * (stop - start)))
        bands.append((start, stop if is_highest else stop - 1, few))
    return tuple(bands)


@lru_cache
def _mel_bands() -> Any:
    """librosa's 128 mel filters [shape=(128, 1025)]; sparse, since all but one in fifty of their weights are zero."""
    import librosa
    import scipy.sparse

    return scipy.sparse.csr_array(librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS))


def _statistics(frames: NDArray[np.floating]) -> NDArray[np.float64]:
    """[shape=(k, t)] to [shape=(7, k)]."""
    import numpy as np

    x = np.asarray(frames, dtype=np.float64)
    mean = x.mean(axis=1)
    centred = x - mean[:, None]
    squared = centred * centred
    variance = squared.mean(axis=1)
    # scipy calls a row constant when its deviation drowns in rounding
    varies = variance > (np.finfo(np.float32).eps * np.abs(mean)) ** 2
    safe = np.where(varies, variance, 1.0)
    skew = np.where(varies, (squared * centred).mean(axis=1) / safe**1.5, 0.0)
    kurtosis = np.where(varies, (squared * squared).mean(axis=1) / safe**2 - 3.0, 0.0)
    deviation = np.where(varies, np.sqrt(variance), 0.0)
    return np.stack([mean, deviation, skew, kurtosis, np.median(x, axis=1), x.min(axis=1), x.max(axis=1)])
