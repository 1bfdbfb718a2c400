"""Audio files of every kind, each spoiled in its own way by a seeded generator."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import soundfile

RATE = 22_050
KINDS = ("wav", "flac", "ogg", "opus", "mp3", "aiff", "m4a", "aac")


def sound(number: int) -> np.ndarray:
    """Two seconds of a note and noise; another number, another note."""
    t = np.arange(2 * 24_000) / 24_000
    note = 0.3 * np.sin(2 * np.pi * (200 + 7 * number) * t)
    return (note + np.random.default_rng(number).normal(0, 0.05, len(t))).astype(np.float32)


def whole_file(path: Path, number: int) -> Path:
    """A good file of the kind that its suffix says."""
    kind = path.suffix.removeprefix(".")
    if kind in ("m4a", "aac"):
        with av.open(str(path), "w", format="mp4" if kind == "m4a" else "adts") as file:
            stream = file.add_stream("aac", rate=24_000)
            stream.layout = "mono"
            frame = av.AudioFrame.from_ndarray(sound(number)[None], format="fltp", layout="mono")
            frame.rate = 24_000
            fit = av.AudioResampler(format="fltp", layout="mono", rate=24_000, frame_size=1024)
            for part in (*fit.resample(frame), *fit.resample(None)):
                file.mux(stream.encode(part))
            file.mux(stream.encode(None))
    elif kind == "opus":
        soundfile.write(path, sound(number), 24_000, format="OGG", subtype="OPUS")
    else:
        soundfile.write(path, sound(number), 24_000)
    return path


def mutated_files(folder: Path, count: int, seed: int = 20) -> list[Path]:
    """`count` files whose bytes are flipped, cut, doubled, zeroed, shuffled or overwritten, mostly near the beginning."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        path = whole_file(folder / f"{number:03}.{KINDS[number % len(KINDS)]}", number)
        path.write_bytes(spoiled(path.read_bytes(), random))
        paths.append(path)
    return paths


def spoiled(content: bytes, random: np.random.Generator) -> bytes:
    """The bytes, one to three places of them changed."""
    data = bytearray(content)
    for _ in range(int(random.integers(1, 4))):
        near = min(len(data) - 1, 4096 if random.random() < 0.7 else len(data) - 1)
        at, length = int(random.integers(0, near + 1)), int(random.integers(1, 400))
        match int(random.integers(0, 7)):
            case 0:
                data[at] ^= 1 << int(random.integers(0, 8))
            case 1:
                data[at : at + length] = random.bytes(length)
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = data[at : at + length]
            case 4:
                data[at : at + length] = bytes(length)
            case 5:
                data[at : at + 8] = b"\xff" * 8
            case 6:
                del data[max(1, len(data) - int(random.integers(1, len(data)))) :]
    return bytes(data)
