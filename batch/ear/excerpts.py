"""The excerpts of a track that the trained ear hears: ten of 3 s, spread over its middle.

Those within the part that is read for the vector are collected while that passes in blocks, so that whole tracks of hours need no
more memory; the others are read by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from batch.ear import spectrogram

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_EXCERPTS = 10
SPAN_S = 90.0
"""Seconds around the middle of a longer track over which excerpts are spread, where the part that is read is shorter."""
MARGIN_SAMPLES = 1024
"""Samples before and behind an excerpt that the resampler's filter needs."""
SILENCE_PEAK_TO_PEAK = 1e-4
"""Amplitude range below which an excerpt is silent (-80 dBFS)."""

OtherPart = Callable[[float, float], "NDArray[np.float32]"]
"""(seconds from the file's beginning, length in seconds) → mono samples at the file's rate, fewer or none where they cannot be
decoded."""


@dataclass
class _Excerpt:
    """The samples of the signal from `start` to `stop`, as far as they have passed; `lead` of them stand before the patch."""

    start: int
    stop: int
    lead: int
    parts: list[NDArray[np.float32]] = field(default_factory=list)


class Excerpts:
    """Collects the excerpts of a signal, which is a part of a file.

    rate : its samples a second
    expected_samples : its length; where it ends earlier, an excerpt behind its end is left out
    before_s, behind_s : seconds of the file before and behind the signal over which the excerpts are spread, too; those that are
        not within the signal come by `add_outside`
    """

    def __init__(self, rate: int, expected_samples: int, before_s: float = 0.0, behind_s: float = 0.0) -> None:
        self._rate = rate
        length = ceil(spectrogram.PATCH_SAMPLES * rate / spectrogram.EAR_RATE)
        before = int(before_s * rate)
        span = before + expected_samples + int(behind_s * rate)
        count = min(MOST_EXCERPTS, max(1, ceil(span / length)))
        last_start = max(0, span - length)
        starts = [last_start * number // max(1, count - 1) - before for number in range(count)]
        self._within: list[_Excerpt] = []
        self._outside_starts: list[int] = []
        for start in starts:
            if span > expected_samples and not 0 <= start <= expected_samples - length:
                self._outside_starts.append(start)
                continue
            lead = min(start, MARGIN_SAMPLES)
            self._within.append(_Excerpt(start - lead, start + length + MARGIN_SAMPLES, lead))
        self._outside: list[NDArray[np.float32]] = []
        self._position = 0

    def add(self, block: NDArray[np.float32]) -> None:
        """The signal's next samples [shape=(n,)]."""
        begin, end = self._position, self._position + len(block)
        for excerpt in self._within:
            if excerpt.start < end and excerpt.stop > begin:
                excerpt.parts.append(block[max(0, excerpt.start - begin) : excerpt.stop - begin].copy())
        self._position = end

    def add_outside(self, read: OtherPart, rate: int, signal_start_s: float) -> None:
        """Reads the excerpts that are not within the signal; those that cannot be read are left out.

        rate : of the file
        signal_start_s : where the signal begins in the file
        """
        import numpy as np

        margin_s = MARGIN_SAMPLES / rate
        for start in self._outside_starts:
            start_s = max(0.0, signal_start_s + start / self._rate)
            lead_s = min(start_s, margin_s)
            samples = read(start_s - lead_s, lead_s + spectrogram.PATCH_S + margin_s)
            if len(samples) and np.isfinite(samples).all():
                self._outside.append(_at_network_rate(samples, rate, lead_s))

    def patches(self) -> NDArray[np.float32]:
        """The excerpts as the network's input [shape=(n, 187, 96)], without silent ones where others sound.

        A signal shorter than a patch fills one by being repeated.
        """
        import numpy as np

        signals = [
            _at_network_rate(np.concatenate(excerpt.parts), self._rate, excerpt.lead / self._rate)
            for excerpt in self._within
            if excerpt.parts
        ]
        signals += self._outside
        whole = [signal for signal in signals if len(signal) == spectrogram.PATCH_SAMPLES] or signals[:1]
        sounding = [signal for signal in whole if np.ptp(signal) >= SILENCE_PEAK_TO_PEAK] or whole
        return np.stack([spectrogram.patch(signal) for signal in sounding])


def _at_network_rate(samples: NDArray[np.float32], rate: int, lead_s: float) -> NDArray[np.float32]:
    """At most PATCH_SAMPLES samples at 16,000 Hz, without those of the lead; fewer where the signal has ended."""
    import numpy as np
    import soxr

    if rate != spectrogram.EAR_RATE:
        samples = soxr.resample(samples, rate, spectrogram.EAR_RATE, quality="HQ")
    first = round(lead_s * spectrogram.EAR_RATE)
    return np.asarray(samples[first : first + spectrogram.PATCH_SAMPLES])
