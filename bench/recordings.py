"""How many copies of one recording are found, and how many different songs are taken for one.

    python bench/recordings.py SONGS FMA CLIPS RECORDINGS [--kept FILE.npz]

SONGS/features.csv: different songs, as bench/space.py reads them; or SONGS holds their audio, and all is compared by both blocks
of features, at the same length (`bench.audio_songs`; kept in FILE.npz). FMA/features.csv: FMA's features. CLIPS/*.mp3 are encoded
anew as FLAC, MP3 and Ogg Vorbis at several qualities; RECORDINGS has NAME.ogg and NAME.hq.ogg of each recording. A copy counts as
found when it has the code of its original. Everything is measured in a library of the songs and the two copies, by the metric
that `train` would learn from the songs' artists and albums; FMA and the copies name none.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from batch.audio.features import N_FEATURES, track  # noqa: E402
from batch.ear.graph import default_place  # noqa: E402
from batch.ear.network import Ear, loaded  # noqa: E402
from batch.index.building import build_index, with_local_scales  # noqa: E402
from batch.index.projection import Projection  # noqa: E402
from batch.index.recordings import Nearness, dimension, recording_codes, scaled_distances  # noqa: E402
from batch.library.labels import TrackLabels, track_labels  # noqa: E402
from batch.library.titles import title_keys, track_lengths  # noqa: E402
from batch.model.blocks import joined  # noqa: E402
from batch.model.metric.choice import learned_metric  # noqa: E402
from bench.audio_songs import audio_songs  # noqa: E402
from bench.features import fma, songs  # noqa: E402

ENCODINGS = {
    "FLAC": (".flac", "FLAC", "PCM_16", None),
    "MP3, 160 kbit/s": (".mp3", "MP3", "MPEG_LAYER_III", 0.3),
    "MP3, 100 kbit/s": (".mp3", "MP3", "MPEG_LAYER_III", 0.7),
    "MP3, 78 kbit/s": (".mp3", "MP3", "MPEG_LAYER_III", 0.9),
    "Ogg, 144 kbit/s": (".ogg", "OGG", "VORBIS", 0.5),
    "Ogg, 76 kbit/s": (".ogg", "OGG", "VORBIS", 0.9),
}
"""Suffix, format, subtype and compression level; the bit rate is libsndfile's median on the clips."""

UNNAMED: dict[str, list[str]] = {"artist": [], "album": []}

Library = tuple[np.ndarray, np.ndarray]
"""(features [shape=(n, d)], lengths in seconds [shape=(n,)])"""


def encoded(clip: Path, encoding: str, folder: Path) -> Path:
    suffix, container, subtype, level = ENCODINGS[encoding]
    samples, rate = soundfile.read(clip, dtype="float32")
    copy = folder / f"{clip.stem}{suffix}"
    soundfile.write(copy, samples, rate, format=container, subtype=subtype, compression_level=level)
    return copy


def extracted(files: list[Path], ear: Ear | None) -> Library:
    """ear : hears both blocks; None: the vectors alone"""
    tracks = [track(file, ear=ear) for file in files]
    rows = [each.vector if each.embedding is None else np.concatenate([each.vector, each.embedding]) for each in tracks]
    return np.stack(rows), np.array([each.duration_s for each in tracks])


def labels_of(tags: dict[str, list[str]], n: int) -> TrackLabels:
    """Artists and albums of n tracks: those of the tags, then none.  tags : by column, of the first of them"""
    unnamed = [None] * (n - len(tags["artist"]))
    return track_labels([*tags["artist"], *unnamed], [*tags["album"], *unnamed], [None] * n)


def figures(features: np.ndarray, tags: dict[str, list[str]], lengths: np.ndarray | None, copies: int) -> str:
    """What is found in a library whose last `copies` tracks are copies of as many before them.  tags : see `labels_of`"""
    n = len(features)
    n_features = features.shape[1]
    block_lengths = (N_FEATURES, n_features - N_FEATURES) if n_features > N_FEATURES else (n_features,)
    one_hash = np.zeros((1, 1, 1), dtype=np.float32)  # one bucket: all tracks are candidates, so the search is exact
    mean, deviation = features.mean(axis=0), features.std(axis=0, ddof=1)
    projection = Projection(mean, deviation, one_hash[0], one_hash, one_hash[0], 1.0, unit_length=True)
    metric = learned_metric(projection.standardised(features), labels_of(tags, n), block_lengths, deviation)
    projection = replace(
        projection,
        metric=metric.matrix,
        components=np.ones((n_features if metric.matrix is None else metric.matrix.shape[1], 1), np.float32),
        block_widths=metric.scaling.widths if metric.scaling else None,
        block_weights=metric.scaling.weights if metric.scaling else None,
    )
    ids = [f"{row:07d}" for row in range(n)]
    index = with_local_scales(build_index(ids, features, [None] * n, projection))
    durations = track_lengths([None] * n if lengths is None else lengths.tolist())
    index = replace(index, title_keys=title_keys([None] * n, [None] * n), durations=durations)
    codes = recording_codes(index)
    rows = np.arange(n - copies, n)
    distances = np.sort(scaled_distances(index, rows, rows - copies)) if copies else np.full(1, np.nan)
    as_copy = int((codes[rows] == codes[rows - copies]).sum())
    mistaken = n - len(np.unique(codes)) - as_copy
    limits = ", ".join(f"{limit:.2f}" for limit in Nearness.of(index).by_chance)
    quantiles = " | ".join(f"{distances[int(share * (len(distances) - 1))]:.2f}" for share in (0.5, 0.9, 1))
    return (
        f"{n} tracks, {metric.name}, dimension {dimension(index):.1f}, limits {limits}: {as_copy} of {copies} copies found, "
        f"{mistaken} others taken for copies; distances {quantiles}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("songs", "fma", "clips", "recordings"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--kept", type=Path, help="features of an earlier run; written where it is missing")
    options = parser.parse_args()
    ear = None if (options.songs / "features.csv").exists() else loaded(default_place())
    real = songs(options.songs) if ear is None else audio_songs(options.songs, options.kept)
    rows = joined(real.vectors, real.embeddings)
    seconds = np.array([float(duration or "nan") for duration in real.tags["duration_s"]])
    print("songs alone:", figures(rows, real.tags, seconds, 0))
    print("songs without lengths:", figures(rows, real.tags, None, 0))
    print("FMA without lengths:", figures(fma(options.fma)[1], UNNAMED, None, 0), flush=True)

    def with_copies(originals: Library, copies: Library) -> str:
        parts = [(rows, seconds), originals, copies]
        features, lengths = (np.concatenate([part[axis] for part in parts]) for axis in (0, 1))
        return figures(features.astype(np.float32), real.tags, lengths, len(copies[0]))

    high = sorted(options.recordings.glob("*.hq.ogg"))
    low = [file.with_name(file.name.replace(".hq.ogg", ".ogg")) for file in high]
    print("recordings in two qualities:", with_copies(extracted(high, ear), extracted(low, ear)), flush=True)
    clips = sorted(options.clips.glob("*.mp3"))
    originals = extracted(clips, ear)
    for encoding in ENCODINGS:
        with tempfile.TemporaryDirectory() as folder:
            copies = extracted([encoded(clip, encoding, Path(folder)) for clip in clips], ear)
        print(f"{encoding}:", with_copies(originals, copies), flush=True)


if __name__ == "__main__":
    main()
