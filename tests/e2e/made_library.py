"""A music library made for a test: two sounds, told apart by anyone who listens, and files that are no music."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

RATE = 22_050


def make_library(folder: Path, good: int = 12, broken: int = 6) -> Path:
    """`good` clips of 4 s, half of them deep tones by "Deep", half bright noise by "Bright", in OGG and MP3; `broken` files."""
    rng = np.random.default_rng(5)
    time = np.arange(4 * RATE) / RATE
    for number in range(good):
        is_deep = number < good // 2
        artist = "Deep" if is_deep else "Bright"
        pitch = 80 + 15 * number
        tones = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in (1, 2, 3))
        sound = 0.2 * tones if is_deep else 0.1 * np.diff(rng.standard_normal(len(time) + 1)) * (1 + 0.1 * number)
        (folder / artist).mkdir(parents=True, exist_ok=True)
        suffix = ("ogg", "mp3")[number % 2]
        soundfile.write(folder / artist / f"{artist} {number:02}.{suffix}", np.clip(sound, -0.9, 0.9), RATE)
    for number in range(broken):
        content = (b"", b"this is text", bytes(5000))[number % 3]
        (folder / f"broken {number}.mp3").write_bytes(content)
    return folder
