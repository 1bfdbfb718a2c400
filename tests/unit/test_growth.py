"""Tracks are appended to and removed from an index in use; the trained arrays stay as they are."""

from __future__ import annotations

import multiprocessing
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from batch.growth import append, remove
from batch.index import segments
from batch.index.building import build_index, with_local_scales
from batch.index.lsh import Index
from batch.index.projection import FeaturesUnfit
from batch.index.tuning import HashParameters, random_projection

D = 8
rng = np.random.default_rng(5)
CENTRES = rng.normal(0, 3, (4, D))


def points(n: int, seed: int = 6) -> np.ndarray:
    return (CENTRES[np.arange(n) % 4] + np.random.default_rng(seed).normal(0, 0.4, (n, D))).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    projection = random_projection(HashParameters(3, 16), np.eye(D, dtype=np.float32), 2.0, seed=5)
    ids = [f"t{at:03d}" for at in range(200)]
    with_local_scales(build_index(ids, points(200), [f"Artist {at % 20}" for at in range(200)], projection)).save(
        tmp_path
    )
    return tmp_path


def similar(folder: Path, track_id: str, k: int = 10) -> list[str]:
    index = Index.open(folder)
    ((rows, _),) = index.similar(index.rows_of([track_id]), k)
    return [str(index.ids[row]) for row in rows]


def test_an_appended_track_finds_similar_ones_and_is_found_by_them(folder: Path) -> None:
    append(folder, ["new"], points(1, seed=8), ["ARTIST 3"])
    assert {int(track_id[1:]) % 4 for track_id in similar(folder, "new")} == {0}
    index = Index.open(folder)
    assert len(index) == 201 and index.rows_of(["new", "t003"]).tolist() == [200, 3]
    assert index.artists[200] == index.artists[3] != index.artists[4], "the same artist as in the training"
    ((rows, _),) = index.neighbours(index.vectors[[200]], 1)
    assert rows.tolist() == [200]
    twin = index.vectors[200:201]
    append(folder, ["twin"], np.asarray(twin), [None])
    assert similar(folder, "new", 1) == ["twin"] and similar(folder, "twin", 1) == ["new"]


@pytest.mark.parametrize(("count", "rank"), [(1, 7), (100, 10), (200, 14), (800, 28)])
def test_scales_of_appended_tracks_count_as_far_down_as_the_index_has_grown(
    folder: Path, count: int, rank: int
) -> None:
    """200 tracks are in the training: with 200 more the seventh neighbour in the training is the fourteenth among all."""
    append(folder, [f"u{at:03d}" for at in range(count)], points(count, seed=8), [None] * count)
    index = Index.open(folder)
    row = 200 + count // 2
    ((_, distances),) = index.neighbours(np.asarray(index.vectors[[row]]), rank + 1)
    assert float(index.scales[row]) == pytest.approx(float(distances[rank]), rel=1e-6)


def test_appended_or_trained_together_the_lists_are_nearly_the_same(folder: Path, tmp_path: Path) -> None:
    more = points(240)[200:]
    ids = [f"u{at:03d}" for at in range(40)]
    append(folder, ids, more, [None] * 40)
    trained = Index.open(folder, as_trained=True)
    together = with_local_scales(
        build_index([*trained.ids.tolist(), *ids], np.vstack([trained.vectors, more]), [None] * 240, trained.projection)
    )
    for track_id in ("u000", "u017", "t005"):
        ((rows, _),) = together.similar(together.rows_of([track_id]), 10)
        assert len(set(similar(folder, track_id)) & {str(together.ids[row]) for row in rows}) >= 8


def test_a_removed_track_is_in_no_list_and_can_come_back(folder: Path) -> None:
    removed = similar(folder, "t000", 3)
    remove(folder, [*removed, "unknown"])
    index = Index.open(folder)
    assert not set(similar(folder, "t000", 196)) & set(removed)
    assert index.rows_of(removed).tolist() == [-1, -1, -1]
    assert len(index.present) == 197 and not np.isin(index.present, index.tombstoned_rows).any()
    append(folder, removed[:1], points(1, seed=9), [None])
    assert removed[0] in similar(folder, "t000", 196) and removed[1] not in similar(folder, "t000", 196)


def test_a_track_that_is_appended_again_has_its_new_features(folder: Path) -> None:
    assert {int(track_id[1:]) % 4 for track_id in similar(folder, "t000", 5)} == {0}
    append(folder, ["t000"], points(200)[1:2] + 0.01, [None])
    assert {int(track_id[1:]) % 4 for track_id in similar(folder, "t000", 5)} == {1}
    index = Index.open(folder)
    assert len(index.present) == 200 and (index.ids[index.present] == "t000").sum() == 1


def test_features_that_do_not_fit_are_refused_and_nothing_is_written(folder: Path) -> None:
    with pytest.raises(FeaturesUnfit, match=r"shape \(1, 5\), the model was trained on 8"):
        append(folder, ["a"], np.zeros((1, 5)), [None])
    with pytest.raises(FeaturesUnfit, match="not finite"):
        append(folder, ["a", "b"], np.array([[0.0] * D, [np.nan] * D]), [None, None])
    with pytest.raises(ValueError, match="given twice"):
        append(folder, ["a", "a"], np.zeros((2, D)), [None, None])
    assert Index.state(folder) == "" and len(Index.open(folder)) == 200


@pytest.mark.parametrize("feature", [1e18, -3e38, np.inf, np.nan, 1e6, -2_000.0])
def test_a_track_as_no_library_can_have_one_is_refused(folder: Path, feature: float) -> None:
    features = np.zeros((2, D), dtype=np.float32)
    features[1, 3] = feature
    with pytest.raises(
        FeaturesUnfit, match="not finite numbers below 1e.18|standard deviations from the mean, at most 1000"
    ):
        append(folder, ["x", "y"], features, [None, None])
    assert Index.open(folder).rows_of(["x", "y"]).tolist() == [-1, -1]
    features[1, 3] = 900.0
    append(folder, ["x", "y"], features, [None, None])
    assert np.isfinite(Index.open(folder).vectors[:]).all()


def test_one_very_long_name_or_id_does_not_make_all_others_as_long(folder: Path) -> None:
    """An array of strings is as wide as its longest one: 4 bytes a character and string."""
    rng = np.random.default_rng(8)
    long = ["X" * 20_000, "X" * 20_000 + "y"]
    names = [*(f"artist {number}" for number in range(498)), *long]
    append(folder, [f"n{number}" for number in range(500)], rng.normal(0, 1, (500, D)), names)
    index = Index.open(folder)
    assert index.artist_names.nbytes < 4 * 130 * 1_000
    assert segments.read(folder, D).artists.nbytes < 4 * 130 * 501
    rows = index.rows_of(["n497", "n498", "n499"])
    assert len(set(index.artists[rows].tolist())) == 3, "names that only differ after the cut are two artists"
    assert index.artist_of(rows[1]).startswith("xxx") and len(index.artist_of(rows[1])) == 128
    tracemalloc.start()
    try:
        assert index.rows_of([*(f"n{number}" for number in range(500)), "z" * 1_000_000]).tolist()[-1] == -1
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_the_state_changes_with_every_append_and_remove(folder: Path) -> None:
    states = [Index.state(folder), append(folder, ["a"], points(1), [None]), remove(folder, ["a"])]
    assert len(set(states)) == 3 and Index.state(folder) == states[-1]
    assert [remove(folder, ["a"]), append(folder, [], np.zeros((0, D)), []), remove(folder, [])] == [states[-1]] * 3


def test_many_segments_are_compacted(folder: Path) -> None:
    for at in range(segments.MAX_SEGMENTS * 2 + 3):
        append(folder, [f"n{at:03d}"], points(at + 1)[-1:], ["somebody"])
        if at % 10 == 0:
            remove(folder, [f"n{at:03d}"])
    index = Index.open(folder)
    assert len(list((folder / "added").glob("*.npz"))) < 2 * segments.MAX_SEGMENTS
    assert len(index) == 200 + segments.MAX_SEGMENTS * 2 + 3 - 7
    assert (index.rows_of(["n001", "n009", "n060"]) >= 200).tolist() == [True, True, False]


def test_a_half_written_segment_is_ignored(folder: Path) -> None:
    before = append(folder, ["a"], points(1), [None])
    (folder / "added" / ".00000002.npz.part").write_bytes(b"PK half")
    assert Index.state(folder) == before and len(Index.open(folder)) == 201
    append(folder, ["b"], points(1), [None])
    assert len(Index.open(folder)) == 202


def test_two_writers_at_once_lose_nothing(folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=add_ten, args=(folder, name)) for name in ("x", "y")]
    for writer in writers:
        writer.start()
    for _ in range(20):
        Index.open(folder)  # a reader meanwhile
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert len(Index.open(folder)) == 220


def add_ten(folder: Path, name: str) -> None:
    for at in range(10):
        append(folder, [f"{name}{at}"], points(1), [None])


def test_trained_arrays_stay_as_they_are(folder: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.glob("*.np?")}
    append(folder, ["a"], points(1), [None])
    remove(folder, ["t001"])
    assert {file.name: file.read_bytes() for file in folder.glob("*.np?")} == before
    assert len(Index.open(folder, as_trained=True)) == 200


def test_the_artist_of_a_trained_and_of_an_appended_track(folder: Path) -> None:
    append(folder, ["new", "other", "anonymous"], points(3, seed=8), ["ARTIST 3", "Somebody Else", None])
    index = Index.open(folder)
    rows = index.rows_of(["t003", "new", "other", "anonymous"]).tolist()
    assert [index.artist_of(row) for row in rows] == ["artist 3", "artist 3", "somebody else", ""]


def test_a_segment_keeps_its_stored_names(folder: Path) -> None:
    append(folder, ["new"], points(1), ["Somebody"])
    with np.load(folder / "added" / "00000001.npz", allow_pickle=False) as stored:
        names = ["artists", "durations", "ids", "points", "recordings", "removed", "scales", "tags", "title_keys"]
        assert sorted(stored) == names
        assert (stored["ids"].tolist(), stored["artists"].tolist(), len(stored["removed"])) == (
            ["new"],
            ["somebody"],
            0,
        )
