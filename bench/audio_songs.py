"""Songs of a folder of audio by the product's own extraction: vector, embedding, tags; and pymusly's model where it is installed.

The folders directly below are the collections. Extraction takes a tenth of a second a song and more; what it gives can be kept in
a file. pymusly is no dependency; it gets the same part of each song, at the same rate.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from batch.audio import features  # noqa: E402
from batch.ear import network  # noqa: E402
from batch.tags.file_tags import file_tags  # noqa: E402
from bench.features import Songs  # noqa: E402

TAGS = ("title", "artist", "album", "genre")


def audio_songs(folder: Path, kept: Path | None = None) -> Songs:
    """The songs below the folder that can be read; those of `kept` where that file is there, else they are written to it."""
    if kept is not None and kept.exists():
        with np.load(kept, allow_pickle=False) as stored:
            return _songs({name: stored[name] for name in stored.files})
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        extracted = list(pool.map(_extracted, files, chunksize=4))
    for file, song in zip(files, extracted, strict=True):
        if isinstance(song, str):
            print(f"left out: {file.relative_to(folder)}: {song}", file=sys.stderr)
    pairs = [(file, song) for file, song in zip(files, extracted, strict=True) if not isinstance(song, str)]
    arrays: dict[str, Any] = {
        "vectors": np.stack([song["vector"] for _, song in pairs]),
        "embeddings": np.stack([song["embedding"] for _, song in pairs]),
        "tag_probabilities": np.stack([song["tag_probabilities"] for _, song in pairs]),
        "path": [str(file.relative_to(folder)) for file, _ in pairs],
        "collection": [file.relative_to(folder).parts[0] for file, _ in pairs],
        "duration_s": [str(song["duration_s"]) for _, song in pairs],
        **{name: [song[name] or "" for _, song in pairs] for name in TAGS},
    }
    if pairs[0][1]["musly"]:
        arrays["musly"] = np.array([np.frombuffer(song["musly"], dtype=np.uint8) for _, song in pairs])
    if kept is not None:
        np.savez(kept, **arrays)
    return _songs(arrays)


def _songs(arrays: dict[str, Any]) -> Songs:
    columns = ("path", "collection", "duration_s", *TAGS)
    tags = {name: [str(value) for value in arrays[name]] for name in columns}
    musly = [row.tobytes() for row in arrays["musly"]] if "musly" in arrays and _jukebox() else None
    return Songs(arrays["vectors"], tags, arrays["embeddings"], musly, arrays.get("tag_probabilities"))


def _extracted(file: Path) -> dict[str, Any] | str:
    """What is extracted of a song, or why it cannot be read."""
    ear, jukebox = _ear(), _jukebox()
    try:
        song = features.track(file, ear=ear)
        if song.embedding is None:
            return song.ear_problem
        musly = (
            jukebox.serialize_track(jukebox.track_from_audiodata(features.clip(file)[0].tolist())) if jukebox else b""
        )
    except (features.UnreadableAudio, OSError) as error:
        return str(error)
    tags = file_tags(file, file.parent)
    named = {name: getattr(tags, name) for name in TAGS}
    numbers = {"vector": song.vector, "embedding": song.embedding, "duration_s": song.duration_s}
    numbers["tag_probabilities"] = song.tags
    return {**numbers, "musly": musly, **named}


@lru_cache
def _ear() -> network.Ear:
    graph, problem = network.usable_graph("musicnn")
    if graph is None:
        raise SystemExit(f"the trained ear cannot be used: {problem}")
    return network.loaded(graph)


@lru_cache
def _jukebox() -> Any:
    """pymusly's jukebox by its default method, MFCC Gaussians with mutual proximity; None where it is not installed."""
    try:
        import pymusly
    except ImportError:
        return None
    pymusly.set_musly_loglevel(0)
    return pymusly.MuslyJukebox()


def musly_distances(tracks: list[bytes]) -> np.ndarray:
    """Distances of all songs by pymusly, calibrated on all of them [shape=(n, n)].  tracks : its serialised models"""
    jukebox = _jukebox()
    models = [jukebox.deserialize_track(track) for track in tracks]
    jukebox.set_style(models)
    numbered = list(zip(jukebox.add_tracks(models), models, strict=True))
    return np.array([jukebox.compute_similarity(seed, numbered) for seed in numbered], dtype=np.float32)
