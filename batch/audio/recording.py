"""What decoders have in common: an open recording, the part of it that is read, its mono signal, and its limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK_SAMPLES = 1 << 22
"""Samples, all channels together, that are decoded at once."""
LONGEST_S = 12 * 3600.0
"""Longest file of which a part is decoded."""
LONGEST_WHOLE_S = 6 * 3600.0
"""Longest file that is decoded as a whole: its frames must fit into a worker's memory."""
LOWEST_RATE_HZ = 2_000
HIGHEST_RATE_HZ = 768_000
MIN_DECODED_SHARE = 0.9
"""A file that ends before this share of its declared length is truncated."""
MAX_CANCELLED_SHARE = 1e-3
"""Channels cancel out where their mean has less than this share of their power (-30 dB)."""


class UnreadableAudio(ValueError):
    """The file is not audio that can be used.

    reason : one of the fixed reasons of the table `rejected_tracks`, such as "truncated"
    detail : what is wrong with this file
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)  # both, so that it can be pickled
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


@dataclass(frozen=True)
class Part:
    """The part of a file that is read, and how its channels become one.

    seconds : its length; None: the whole file
    start_s : where it begins; None: so that it lies around the file's middle
    channel : the channel that is taken; None: the mean of all
    """

    seconds: float | None = None
    start_s: float | None = None
    channel: int | None = None

    @property
    def longest_s(self) -> float:
        """Length in seconds of the longest file of which this part can be read."""
        return LONGEST_WHOLE_S if self.seconds is None else LONGEST_S

    def length(self, duration_s: float) -> float:
        """Seconds of the part in a file of that length."""
        return duration_s if self.seconds is None else min(duration_s, self.seconds)

    def start(self, duration_s: float) -> float:
        """Seconds from the beginning of a file of that length to the part's."""
        latest_s = duration_s - self.length(duration_s)
        return latest_s / 2 if self.start_s is None else min(self.start_s, latest_s)

    def frames(self, total: int, rate: int) -> tuple[int, int]:
        """(first frame, number of frames) of this part in a file of `total` frames."""
        if self.seconds is None:
            return 0, total
        count = min(total, int(self.seconds * rate))
        first = (total - count) // 2 if self.start_s is None else min(total - count, int(self.start_s * rate))
        return first, count


class Downmix:
    """Makes one channel of several, and compares its power with theirs.

    channel : the channel that is taken; None: the mean of all
    """

    def __init__(self, channel: int | None = None) -> None:
        self._channel = channel
        self._mono_energy = 0.0
        self._energies: NDArray[np.float64] | None = None

    def __call__(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [shape=(n, channels)] to [shape=(n,)]."""
        import numpy as np

        channels = samples.shape[1]
        if channels == 1:
            return samples[:, 0]
        if self._channel is not None:
            return np.ascontiguousarray(samples[:, min(self._channel, channels - 1)])
        # a matrix product is many times faster than mean(axis=1)
        mono = np.asarray(samples @ np.full(channels, 1.0 / channels, dtype=np.float32))
        self._add(samples, mono)
        return mono

    @property
    def loudest_of_cancelling(self) -> int | None:
        """The loudest channel, where the mean of the channels is far softer than they are; else None."""
        if self._energies is None or self._mono_energy >= MAX_CANCELLED_SHARE * self._energies.mean():
            return None
        return int(self._energies.argmax())

    def _add(self, samples: NDArray[np.float32], mono: NDArray[np.float32]) -> None:
        import numpy as np

        energies = np.einsum("ij,ij->j", samples, samples).astype(np.float64)
        if self._energies is not None and len(self._energies) == len(energies):
            energies += self._energies
        self._energies = energies
        self._mono_energy += float(np.vdot(mono, mono))


@dataclass(frozen=True)
class Recording:
    """An open audio file.

    rate : sample rate in Hz
    duration_s : length of the whole file
    blocks : the requested part, mono float32 [shape=(n,)] in [-1, 1]
    downmix : what the blocks went through
    start_s : where the requested part begins
    other_part : (seconds from the beginning, length in seconds) → mono float32 samples of another part, once the blocks have been
        read: fewer or none where it cannot be decoded; None where all before it would have to be decoded
    """

    rate: int
    duration_s: float
    blocks: Iterator[NDArray[np.float32]]
    downmix: Downmix
    start_s: float = 0.0
    other_part: Callable[[float, float], NDArray[np.float32]] | None = None


def check_limits(rate: int, duration_s: float, part: Part) -> None:
    """Raises UnreadableAudio where a length or sample rate is out of range."""
    if duration_s > part.longest_s:
        raise UnreadableAudio(
            "too long", f"{duration_s / 3600:,.1f} h declared, at most {part.longest_s / 3600:.0f} h are read"
        )
    if not LOWEST_RATE_HZ <= rate <= HIGHEST_RATE_HZ:
        expected = f"expected {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ}"
        raise UnreadableAudio("not audio", f"{rate} samples a second declared, {expected}")


def truncated(declared_s: float, held_s: float) -> UnreadableAudio:
    """The error of a file that holds less than it declares."""
    return UnreadableAudio("truncated", f"the header promises {declared_s:.1f} s, the file holds {held_s:.1f} s")
