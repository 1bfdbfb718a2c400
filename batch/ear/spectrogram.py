"""The network's input: patches of a log mel spectrogram, as musicnn 0.1.0 computes it with librosa.

Mono at 16,000 Hz, frames of 512 samples every 256, 96 mel bands of the power spectrum, in float16 for a moment (as in training),
log10(1 + 10,000 x). librosa is imported when first used.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from batch.ear.graph import N_BANDS, PATCH_FRAMES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EAR_RATE = 16_000
FRAME_SAMPLES = 512
FRAME_STEP = 256
PATCH_SAMPLES = (PATCH_FRAMES - 1) * FRAME_STEP + FRAME_SAMPLES
"""Samples that the frames of a patch cover, half a frame before the first one's middle and half a frame behind the last one's."""
PATCH_S = PATCH_SAMPLES / EAR_RATE


def log_mel(samples: NDArray[np.float32], *, is_centred: bool = True) -> NDArray[np.float32]:
    """The spectrogram of a signal [shape=(frames, 96)].

    samples : float32 [shape=(n,)], mono at 16,000 Hz
    is_centred : whether the first frame's middle is the first sample (zeros stand before it), else its beginning
    """
    import librosa
    import numpy as np

    spectrum = librosa.stft(samples, n_fft=FRAME_SAMPLES, hop_length=FRAME_STEP, center=is_centred)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    # float16 ends at 65,504, which only samples far beyond full scale reach
    mel = np.minimum(_mel_bands() @ power, np.finfo(np.float16).max).astype(np.float16).astype(np.float32)
    return np.log10(10_000 * mel.T + 1)


def patch(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The network's input [shape=(187, 96)] for the first PATCH_SAMPLES of a signal; a shorter one is repeated frame by frame."""
    import numpy as np

    if len(samples) >= PATCH_SAMPLES:
        return log_mel(samples[:PATCH_SAMPLES], is_centred=False)
    return np.resize(log_mel(samples), (PATCH_FRAMES, N_BANDS))


@lru_cache
def _mel_bands() -> Any:
    """librosa's 96 mel filters [shape=(96, 257)], sparse."""
    import librosa
    import scipy.sparse

    return scipy.sparse.csr_array(librosa.filters.mel(sr=EAR_RATE, n_fft=FRAME_SAMPLES, n_mels=N_BANDS))
