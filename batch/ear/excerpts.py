"""The excerpts of a track that the trained ear hears: a few of 3 s, spread over the part that is read.

They are collected while the signal passes in blocks, so that whole tracks of hours need no more memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from batch.ear import spectrogram

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_EXCERPTS = 4
MARGIN_SAMPLES = 1024
"""Samples before and behind an excerpt that the resampler's filter needs."""
SILENCE_PEAK_TO_PEAK = 1e-4
"""Amplitude range below which an excerpt is silent (-80 dBFS)."""


@dataclass
class _Excerpt:
    """The samples of the signal from `start` to `stop`, as far as they have passed; `lead` of them stand before the patch."""

    start: int
    stop: int
    lead: int
    parts: list[NDArray[np.float32]] = field(default_factory=list)


class Excerpts:
    """Collects the excerpts of a signal.

    rate : its samples a second
    expected_samples : its length; where it ends earlier, an excerpt behind its end is left out
    """

    def __init__(self, rate: int, expected_samples: int) -> None:
        self._rate = rate
        length = ceil(spectrogram.PATCH_SAMPLES * rate / spectrogram.EAR_RATE)
        count = min(MOST_EXCERPTS, max(1, ceil(expected_samples / length)))
        last_start = max(0, expected_samples - length)
        starts = [last_start * number // max(1, count - 1) for number in range(count)]
        leads = [min(start, MARGIN_SAMPLES) for start in starts]
        self._excerpts = [
            _Excerpt(start - lead, start + length + MARGIN_SAMPLES, lead)
            for start, lead in zip(starts, leads, strict=True)
        ]
        self._position = 0

    def add(self, block: NDArray[np.float32]) -> None:
        """The signal's next samples [shape=(n,)]."""
        begin, end = self._position, self._position + len(block)
        for excerpt in self._excerpts:
            if excerpt.start < end and excerpt.stop > begin:
                excerpt.parts.append(block[max(0, excerpt.start - begin) : excerpt.stop - begin].copy())
        self._position = end

    def patches(self) -> NDArray[np.float32]:
        """The excerpts as the network's input [shape=(n, 187, 96)], without silent ones where others sound.

        A signal shorter than a patch fills one by being repeated.
        """
        import numpy as np

        signals = [self._at_network_rate(excerpt) for excerpt in self._excerpts if excerpt.parts]
        whole = [signal for signal in signals if len(signal) == spectrogram.PATCH_SAMPLES] or signals[:1]
        sounding = [signal for signal in whole if np.ptp(signal) >= SILENCE_PEAK_TO_PEAK] or whole
        return np.stack([spectrogram.patch(signal) for signal in sounding])

    def _at_network_rate(self, excerpt: _Excerpt) -> NDArray[np.float32]:
        """At most PATCH_SAMPLES samples at 16,000 Hz, fewer where the signal has ended."""
        import numpy as np
        import soxr

        samples = np.concatenate(excerpt.parts)
        if self._rate != spectrogram.EAR_RATE:
            samples = soxr.resample(samples, self._rate, spectrogram.EAR_RATE, quality="HQ")
        first = round(excerpt.lead * spectrogram.EAR_RATE / self._rate)
        return np.asarray(samples[first : first + spectrogram.PATCH_SAMPLES])
