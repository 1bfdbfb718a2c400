"""Waveforms and spectrograms as PNG pictures."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PICTURE_WIDTH = 900
WAVEFORM_COLOUR = (236, 98, 58, 255)
COLOUR_STOPS = (
    (0, (8, 6, 24)),
    (64, (79, 18, 104)),
    (128, (182, 54, 91)),
    (192, (251, 136, 60)),
    (255, (252, 246, 190)),
)
"""(level, RGB): brighter is more, so that levels can be told apart without seeing hues."""


def waveform(y: NDArray[np.float32], height: int = 120) -> NDArray[np.uint8]:
    """The waveform of a signal as RGBA [shape=(height, PICTURE_WIDTH, 4)], transparent around it."""
    parts = np.array_split(y, PICTURE_WIDTH)
    amplitude = np.array([np.abs(part).max() if len(part) else 0.0 for part in parts])
    amplitude = amplitude / max(float(amplitude.max()), 1e-9)
    distance = np.abs(np.arange(height) - (height - 1) / 2)[:, None] / (height / 2)
    picture = np.zeros((height, len(amplitude), 4), dtype=np.uint8)
    picture[distance <= np.maximum(amplitude, 0.02)] = WAVEFORM_COLOUR
    return picture


def heatmap(values: NDArray[np.floating], low: float, high: float, height: int) -> NDArray[np.uint8]:
    """A matrix as RGB [shape=(height, PICTURE_WIDTH, 3)], first row at the bottom.

    low, high : values that get the first and the last of COLOUR_STOPS
    """
    columns = np.linspace(0, values.shape[1] - 1, PICTURE_WIDTH).astype(int)
    rows = np.linspace(values.shape[0] - 1, 0, height).astype(int)
    level = np.clip((values[np.ix_(rows, columns)] - low) / (high - low), 0, 1) * 255
    stops, colours = [stop for stop, _ in COLOUR_STOPS], np.array([colour for _, colour in COLOUR_STOPS], dtype=float)
    return np.stack([np.interp(level, stops, colours[:, channel]) for channel in range(3)], axis=-1).astype(np.uint8)


def png(picture: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG", optimize=True)
    return out.getvalue()
