"""Spectra of a signal: magnitudes, and the mel and octave bands that they are summed up in.

Frames of 2,048 samples every 512 at 22,050 Hz, librosa's default. librosa is imported when first used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE_RATE = 22_050
STFT_BLOCK_S = 60
"""Seconds of audio whose spectrum is computed at once."""
N_FFT = 2048
HOP = 512
N_MELS = 128
N_CONTRAST = 7
"""Octave bands of the spectral contrast."""


def spectra(blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """The magnitude spectrogram of a signal in parts [shape=(1025, t)]; together they equal librosa.stft with centred frames.

    One spectrogram serves both kinds of features: contrast reads the magnitude, MFCC its square.
    """
    import librosa
    import numpy as np

    padding = np.zeros(N_FFT // 2, dtype=np.float32)
    limit = STFT_BLOCK_S * SAMPLE_RATE
    pending: list[NDArray[np.float32]] = []
    length, is_long = 0, False
    for block in blocks:
        for start in range(0, len(block), limit):
            pending.append(block[start : start + limit])
            length += len(pending[-1])
            if length > limit:
                magnitude, rest = _spectrum(np.concatenate(pending if is_long else [padding, *pending]))
                pending, length, is_long = [rest], len(rest), True
                yield magnitude
    if is_long:
        yield _spectrum(np.concatenate([*pending, padding]))[0]
    else:
        yield np.abs(librosa.stft(np.concatenate(pending), n_fft=N_FFT, hop_length=HOP))


def _spectrum(signal: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Magnitudes of all whole frames of a signal, and the samples from which the next frame starts."""
    import librosa
    import numpy as np

    frames = 1 + (len(signal) - N_FFT) // HOP
    whole = signal[: (frames - 1) * HOP + N_FFT]
    return np.abs(librosa.stft(whole, n_fft=N_FFT, hop_length=HOP, center=False)), signal[frames * HOP :]


def peaks_and_valleys(magnitude: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean magnitude of the loudest and of the softest bins of each octave band: two float32 [shape=(7, t)]."""
    import numpy as np

    frames = magnitude.T
    peaks, valleys = np.empty((2, N_CONTRAST, len(frames)), dtype=np.float32)
    for band, (start, stop, quantile_bins) in enumerate(octave_bands()):
        bins = frames[:, start:stop]
        if quantile_bins == 1:
            peaks[band], valleys[band] = bins.max(axis=1), bins.min(axis=1)
        else:
            ordered = np.sort(bins, axis=1)  # numpy sorts whole rows of float32 faster than it partitions them
            peaks[band] = ordered[:, -quantile_bins:].mean(axis=1)
            valleys[band] = ordered[:, :quantile_bins].mean(axis=1)
    return peaks, valleys


@lru_cache
def octave_bands() -> tuple[tuple[int, int, int], ...]:
    """(first bin, bin after the last, bins averaged as peak or valley) of each band, as in librosa.feature.spectral_contrast.

    Six octaves from 200 Hz, and the band below (Jiang et al., "Music type classification by spectral contrast feature", ICME
    2002). A band begins with the bin under its lower edge; all but the highest leave their last bin to the next one. The peak
    and the valley are means over 2 % of the bins.
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
        quantile_bins = max(1, round(0.02 * (stop - start)))
        bands.append((start, stop if is_highest else stop - 1, quantile_bins))
    return tuple(bands)


@lru_cache
def mel_bands() -> Any:
    """librosa's 128 mel filters [shape=(128, 1025)], sparse: 98 % of the weights are zero."""
    import librosa
    import scipy.sparse

    return scipy.sparse.csr_array(librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS))
