"""Which tracks are one recording: by distance, by artist, title and length; in the training and when tracks are added."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from batch.audio import features
from batch.growth import append, remove
from batch.index import segments
from batch.index.building import build_index, with_local_scales
from batch.index.lsh import Index
from batch.index.projection import Projection
from batch.index.recordings import Nearness, dimension, recording_codes, recording_ids, with_copies
from batch.library.titles import known_length, lengths_agree, title_keys, track_lengths
from batch.publish import recordings

PROJECT = Path(__file__).resolve().parents[2]
D = 12
SONGS = 300
LENGTHS = np.random.default_rng(2).uniform(120, 400, SONGS).tolist()


def projection(vectors: np.ndarray) -> Projection:
    draw = np.random.default_rng(7)
    d = vectors.shape[1]
    return Projection(
        mean=vectors.mean(axis=0),
        deviation=vectors.std(axis=0, ddof=1),
        components=np.eye(d, 4, dtype=np.float32),
        directions=draw.normal(0, 0.5, (16, 3, 4)).astype(np.float32),
        offsets=draw.uniform(0, 2, (16, 3)).astype(np.float32),
        bucket_length=2.0,
        unit_length=True,
    )


def trained(
    vectors: np.ndarray,
    titles: list[str | None] | None = None,
    lengths: list[float] | None = None,
    artists: list[str | None] | None = None,
) -> Index:
    """An index of tracks t000, t001, … with what the training stores of recordings."""
    n = len(vectors)
    ids, artists, titles = [f"t{row:03d}" for row in range(n)], artists or ["Ana"] * n, titles or [None] * n
    vectors = vectors.astype(np.float32)
    index = with_local_scales(build_index(ids, vectors, artists, projection(vectors)))
    durations = track_lengths([None] * n if lengths is None else lengths)
    index = replace(index, title_keys=title_keys(artists, titles), durations=durations)
    return replace(index, recordings=recording_codes(index))


def songs(n: int = SONGS, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (n, D))


def copies(index: Index) -> dict[str, list[str]]:
    """{id of a recording's first track: its other tracks}, of recordings with more than one, by the present tracks."""
    groups: dict[str, list[str]] = {}
    for row, first in zip(index.present.tolist(), recording_ids(index, index.present), strict=True):
        groups.setdefault(first, []).append(str(index.ids[row]))
    return {first: sorted(set(ids) - {first}) for first, ids in groups.items() if len(ids) > 1}


def sound(seed: int, seconds: float = 5.0) -> np.ndarray:
    """A made song: chords of six harmonics with a noisy beat, other pitches, timbre and tempo for each seed."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * features.SAMPLE_RATE)) / features.SAMPLE_RATE
    bar = rng.uniform(0.3, 1.0)
    roots = rng.uniform(80, 500, 8)[(time / bar).astype(int) % 8]
    phase = 2 * np.pi * np.cumsum(roots) / features.SAMPLE_RATE
    harmonics = sum(share * np.sin((k + 1) * phase) for k, share in enumerate(rng.dirichlet(np.ones(6))))
    beat = np.exp(-(time % bar) * rng.uniform(3, 30)) * rng.normal(0, 1, len(time))
    return (0.4 * harmonics + rng.uniform(0.01, 0.2) * beat).clip(-1, 1).astype(np.float32)


def test_flac_mp3_and_ogg_of_one_song_are_one_recording_and_other_songs_are_not(tmp_path: Path) -> None:
    lengths = np.random.default_rng(1).uniform(4, 9, 30).tolist()
    others = [features.features(sound(seed, lengths[seed])) for seed in range(1, 30)]
    files = [tmp_path / name for name in ("song.flac", "song.mp3", "song.ogg")]
    for file in files:
        samples = np.repeat(sound(0, lengths[0]), 2)
        soundfile.write(file, samples, 2 * features.SAMPLE_RATE, compression_level=0.0)
    encodings = [features.track(file) for file in files]
    index = trained(
        np.stack([*(encoding.vector for encoding in encodings), *others]),
        lengths=[*(encoding.duration_s for encoding in encodings), *lengths[1:]],
    )
    assert copies(index) == {"t000": ["t001", "t002"]}


def test_a_copy_is_found_by_distance_and_the_nearest_of_different_songs_is_not() -> None:
    vectors = songs()
    noisy = vectors[[5, 9]] + np.random.default_rng(4).normal(0, 0.1, (2, D))
    index = trained(np.vstack([vectors, noisy]))
    assert copies(index) == {"t005": ["t300"], "t009": ["t301"]}
    assert index.recordings.dtype == np.int32 and index.recordings[[5, 300, 6]].tolist() == [5, 5, 6]


def test_equal_lengths_make_less_nearness_do_unless_many_tracks_have_that_length_and_others_demand_more() -> None:
    vectors = songs()
    worse = vectors[5] + np.random.default_rng(8).normal(0, 0.5, D)
    better = vectors[9] + np.random.default_rng(4).normal(0, 0.4, D)
    both = np.vstack([vectors, worse, better])
    assert copies(trained(both)) == {"t009": ["t301"]}
    assert copies(trained(both, lengths=[*LENGTHS, LENGTHS[5], LENGTHS[9] + 30])) == {"t005": ["t300"]}
    assert copies(trained(both, lengths=[30.0] * 302)) == {"t009": ["t301"]}, "clips of one length"


@pytest.mark.parametrize(("d", "expected"), [(3, 3), (8, 8)])
def test_the_limits_follow_the_dimension_of_the_nearest_distances(d: int, expected: float) -> None:
    index = trained(np.random.default_rng(1).normal(0, 1, (800, d + 1)))  # unit length takes one dimension away
    assert dimension(index) == pytest.approx(expected, rel=0.25)
    assert len(copies(index)) <= 2, "chance brings tracks nearer in few dimensions"
    equal, other, differ = Nearness.of(index).by_chance
    assert differ < other < equal < 1


def test_a_dense_cloud_of_similar_sounds_does_not_chain_into_one_recording() -> None:
    vectors = songs()
    step = np.zeros(D)
    step[0] = 0.02
    chain = vectors[7] + np.arange(1, 80)[:, None] * step
    groups = copies(trained(np.vstack([vectors, chain])))
    assert max(map(len, groups.values()), default=0) <= 1, "a track is near the next one only"
    cloud = vectors[7] + np.random.default_rng(5).normal(0, 0.01, (80, D))
    assert copies(trained(np.vstack([vectors, cloud]))) == {}


def test_a_library_of_equal_tracks_is_not_one_recording() -> None:
    index = trained(np.vstack([songs(2), np.ones((200, D))]))
    assert len(np.unique(index.recordings)) > 5


def test_one_title_on_album_and_compilation_is_one_recording_and_a_remix_of_another_length_is_not() -> None:
    titles: list[str | None] = [None] * 20
    lengths = LENGTHS[:20]
    titles[2], titles[11], titles[15] = "Señorita, Mía!", "SENORITA  mia", "Señorita mia"
    lengths[2], lengths[11], lengths[15] = 200.0, 201.5, 320.0
    titles[4], titles[5], lengths[4], lengths[5] = "", "", 180.0, 180.0
    titles[6], titles[7], lengths[6], lengths[7] = "Track 01", "Track 01", 180.0, 180.0
    assert copies(trained(songs(20), titles, lengths)) == {"t002": ["t011"]}
    assert copies(trained(songs(20), titles, lengths, [f"Artist {row}" for row in range(20)])) == {}
    assert copies(trained(songs(20), titles, lengths, [None] * 20)) == {}


def test_lengths_that_agree_one_by_one_do_not_chain() -> None:
    titles: list[str | None] = ["Song"] * 4 + [None] * 6
    index = trained(songs(10), titles, [100.0, 101.5, 103.0, 104.5, *LENGTHS[:6]])
    assert copies(index) == {"t000": ["t001"], "t002": ["t003"]}


def test_title_keys_pass_over_spelling_and_placeholders() -> None:
    keys = title_keys(
        ["Björk", "BJORK", "Bjørk", "Unknown Artist", None, "Björk", "Björk", "कवि", "कवि"],
        ["It's Oh So Quiet", "its oh so quiet", "It’s oh-so quiet", "x", "x", "", "07", "दिल", "दल"],
    )
    assert keys[0] == keys[1] == keys[2] != 0 and keys.dtype == np.uint64
    assert keys[3:7].tolist() == [0, 0, 0, 0]
    assert 0 != keys[7] != keys[8] != 0, "vowel signs are no diacritics"


def test_lengths() -> None:
    values = [3.5, 0, -1.0, float("nan"), float("inf"), None, True, "200"]
    assert [known_length(value) for value in values] == [3.5, *[None] * 7]
    lengths, others = track_lengths([200, 200, 600, 600, None]), track_lengths([202, 202.5, 606, 607, None])
    assert lengths_agree(lengths, others).tolist() == [True, False, True, False, False]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    titles: list[str | None] = [f"Song {row}" for row in range(SONGS)]
    trained(songs(), titles, LENGTHS).save(tmp_path)
    return tmp_path


def near(row: int, seed: int = 4) -> np.ndarray:
    return (songs()[[row]] + np.random.default_rng(seed).normal(0, 0.08, D)).astype(np.float32)


def test_a_saved_index_has_its_recordings(folder: Path) -> None:
    index = Index.open(folder)
    assert index.recordings.tolist() == list(range(SONGS))
    assert (index.title_keys.dtype, index.durations.dtype) == (np.uint64, np.float32)
    assert index.durations[:3].tolist() == pytest.approx(LENGTHS[:3])


def test_an_added_track_is_one_recording_with_one_that_is_there_by_distance_or_title(folder: Path) -> None:
    other = songs(1, seed=9)
    append(folder, ["copy"], near(5), ["Somebody"])
    append(
        folder, ["a-live", "b-album"], np.vstack([other, -other]), ["ANA", "Ana"], ["song 8", None], [LENGTHS[8] + 1, 9]
    )
    index = Index.open(folder)
    assert copies(index) == {"t005": ["copy"], "t008": ["a-live"]}
    row = index.rows_of(["copy", "b-album"]).tolist()
    assert index.recordings[row].tolist() == [5, row[1]] and len(index.recordings) == SONGS + 3
    assert index.ids[with_copies(index, np.array([5]))].tolist() == ["t005", "copy"]


def test_added_tracks_are_compared_with_each_other_whenever_they_came(folder: Path) -> None:
    other = songs(1, seed=9)
    slightly = [other + np.random.default_rng(seed).normal(0, 0.05, D) for seed in range(3)]
    append(folder, ["m"], slightly[0], [None])
    append(folder, ["b", "z"], np.vstack(slightly[1:]), [None, None])
    assert copies(Index.open(folder)) == {"b": ["m", "z"]}
    remove(folder, ["m"])
    assert copies(Index.open(folder)) == {"b": ["z"]}, "the recording outlives its first track"
    for number in range(segments.MAX_SEGMENTS):
        append(folder, [f"n{number}"], songs(1, seed=100 + number), [None])
    assert copies(Index.open(folder)) == {"b": ["z"]}, "compaction keeps recordings"


def test_a_track_with_new_features_leaves_its_recording_and_takes_no_other_along(folder: Path) -> None:
    append(folder, ["copy"], near(5), [None])
    append(folder, ["t005"], songs(1, seed=9), [None])
    assert copies(Index.open(folder)) == {}
    append(folder, ["t005"], near(5, seed=6), [None])
    assert copies(Index.open(folder)) == {"copy": ["t005"]}
    append(folder, ["copy"], songs(1, seed=10), [None])
    append(folder, ["third"], near(5, seed=7), [None])
    assert copies(Index.open(folder)) == {"t005": ["third"]}
    remove(folder, ["t005"])
    append(folder, ["fourth"], near(5, seed=8), [None])
    assert copies(Index.open(folder)) == {"fourth": ["third"]}


def test_recordings_that_were_there_are_not_made_one_by_an_added_track(folder: Path) -> None:
    append(folder, ["bridge"], near(5), ["Ana"], ["Song 8"], [LENGTHS[8]])
    groups = copies(Index.open(folder))
    assert groups == {"t005": ["bridge"]}, "nearness comes before the title"


@pytest.mark.parametrize("saved", sorted((PROJECT / "tests" / "data").glob("models*/2*/index")))
def test_an_index_of_an_earlier_version_opens_and_takes_added_tracks(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "index")
    index = Index.open(tmp_path / "index")
    expected = list(range(len(index))) if saved.parts[-3] == "models-format-3" else None
    assert (None if index.recordings is None else index.recordings.tolist()) == expected
    assert len(recordings(index)) == len(expected or ())
    mean, deviation = index.projection.mean, index.projection.deviation
    vectors = mean + deviation * np.random.default_rng(1).normal(0, 1, (2, len(mean)))
    append(
        tmp_path / "index", ["new", "new copy"], np.vstack([vectors[0], vectors[0] + 1e-4 * deviation]), [None, None]
    )
    assert copies(Index.open(tmp_path / "index")) == {"new": ["new copy"]}


def test_a_segment_of_an_earlier_version_is_read(folder: Path) -> None:
    append(folder, ["copy"], near(5), [None])
    (file,) = (folder / "added").glob("*.npz")
    with np.load(file) as stored:
        earlier = {name: stored[name] for name in ("ids", "points", "scales", "artists", "removed")}
    np.savez(file, **earlier)
    index = Index.open(folder)
    assert copies(index) == {} and len(index) == SONGS + 1
    append(folder, ["second"], near(5, seed=6), [None])
    assert copies(Index.open(folder)) == {"t005": ["second"]}


def test_publish_writes_the_first_track_of_every_tracks_recording(folder: Path) -> None:
    append(folder, ["copy"], near(5), [None])
    remove(folder, ["t007"])
    index = Index.open(folder)
    by_id = dict(zip(*recordings(index).to_pydict().values(), strict=True))
    assert len(by_id) == SONGS and "t007" not in by_id
    assert (by_id["copy"], by_id["t005"], by_id["t006"]) == ("t005", "t005", "t006")
