"""Audio in, 189 numbers out: what a track sounds like, whatever library it is from.

The features are FMA's (Defferrard et al., "FMA: A Dataset for Music Analysis", ISMIR 2017): seven statistics over time of
20 MFCCs and of 7 spectral contrasts, from mono audio at 22,050 Hz with librosa's default frames. librosa and the decoder
are imported when first used: importing this module costs nothing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE_RATE = 22_050
N_MFCC = 20
N_CONTRAST = 7
STATISTICS = ("mean", "std", "skew", "kurtosis", "median", "min", "max")
N_FEATURES = (N_MFCC + N_CONTRAST) * len(STATISTICS)
EXTRACTOR_VERSION = "mfcc20-contrast7/1"
"""Changes whenever the same file would give other numbers; vectors of different versions are never mixed in one index."""

MIDDLE_S = 30.0
SHORTEST_S = 1.0
SILENCE = 1e-4
"""Peak below which there is nothing to hear (-80 dBFS)."""
DECODE_LIMIT_S = 24 * 3600.0


class UnreadableAudio(ValueError):
    """The file is not audio that can be used. `reason` is one of a few fixed words, the message has the details."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def features(y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Timbre of a clip: seven statistics over time of each MFCC, then of each spectral contrast.

    y : float32 [shape=(n,)], mono at 22,050 Hz, in [-1, 1]
    Returns float32 [shape=(189,)]: mean, std, skew, kurtosis, median, min, max, each over the 20 MFCCs,
    then each over the 7 contrasts.
    """
    import librosa
    import numpy as np

    magnitude = np.abs(librosa.stft(y))  # one spectrum serves both: contrast reads magnitude, MFCC its square
    mel = librosa.feature.melspectrogram(S=np.square(magnitude), sr=SAMPLE_RATE)
    mfcc = librosa.feature.mfcc(S=librosa.power_to_db(mel), n_mfcc=N_MFCC)
    contrast = librosa.feature.spectral_contrast(S=magnitude, sr=SAMPLE_RATE)
    return np.concatenate([summary(mfcc), summary(contrast)]).astype(np.float32)


def summary(frames: NDArray[np.floating]) -> NDArray[np.float64]:
    """Seven statistics of each row over time, by scipy's defaults (population deviation and skew, Fisher's kurtosis).

    frames : [shape=(k, t)]
    Returns float64 [shape=(7 * k,)]: all means, then all deviations, and so on; a row that never changes has
    deviation, skew and kurtosis 0.
    """
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
    return np.concatenate([mean, deviation, skew, kurtosis, np.median(x, axis=1), x.min(axis=1), x.max(axis=1)])


def clip(path: str | os.PathLike[str], middle_s: float | None = MIDDLE_S) -> tuple[NDArray[np.float32], float]:
    """The part of a file that is analysed, and the length of the whole file in seconds.

    middle_s : seconds around the middle of a longer file, of which only these are decoded; None for all of it
    Returns float32 [shape=(n,)], mono at 22,050 Hz, and seconds. Raises UnreadableAudio.
    """
    import numpy as np
    import soxr

    samples, rate, duration_s = _decoded(Path(path), middle_s)
    if not np.isfinite(samples).all():
        raise UnreadableAudio("not finite", "the file holds NaN or infinite samples")
    # a mean over channels as a product with equal weights is many times faster than mean(axis=1)
    channels = samples.shape[1]
    mono = samples[:, 0] if channels == 1 else samples @ np.full(channels, 1.0 / channels, dtype=np.float32)
    if len(mono) / rate < SHORTEST_S:
        raise UnreadableAudio("too short", f"{len(mono) / rate:.2f} s, expected at least {SHORTEST_S:g} s")
    if float(np.ptp(mono)) < SILENCE:
        raise UnreadableAudio("silent", f"the signal never moves by more than {SILENCE:g} of full scale")
    y = soxr.resample(mono, rate, SAMPLE_RATE, quality="HQ") if rate != SAMPLE_RATE else mono
    return np.ascontiguousarray(y, dtype=np.float32), duration_s


def _decoded(path: Path, middle_s: float | None) -> tuple[NDArray[np.float32], int, float]:
    """Samples [shape=(n, channels)] of the analysed part, their rate in Hz, and the whole file's length in seconds."""
    import soundfile

    if path.stat().st_size == 0:
        raise UnreadableAudio("empty", "the file has no bytes")
    try:
        with soundfile.SoundFile(os.fspath(path)) as file:
            rate, length = file.samplerate, file.frames
            if length <= 0:
                raise UnreadableAudio("no samples", "the header promises audio, but there is none")
            if length / rate > DECODE_LIMIT_S:
                raise UnreadableAudio("too long", f"{length / rate / 3600:.0f} h declared, at most 24 h are read")
            wanted = length if middle_s is None else min(length, int(middle_s * rate))
            if wanted < length:
                file.seek((length - wanted) // 2)
            samples = file.read(wanted, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        detail = "no decoder recognises the content" if error.code in (1, 2) else str(error.error_string)
        raise UnreadableAudio("not audio", detail) from error
    except (RuntimeError, MemoryError) as error:
        raise UnreadableAudio("not audio", f"the decoder failed: {error}") from error
    if len(samples) == 0:
        raise UnreadableAudio("no samples", "the header promises audio, but none could be decoded")
    return samples, rate, length / rate


def warm_up() -> None:
    """Compiles and loads what the first clip would otherwise wait for."""
    import numpy as np

    features(np.sin(np.arange(SAMPLE_RATE, dtype=np.float32) * 0.1))
