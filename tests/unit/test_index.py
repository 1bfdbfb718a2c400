"""The index over made points: what the bands find, and what it does where they find too little."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batch.index.lsh import Index, IndexUnreadable, distances, index, quality, with_local_scales
from batch.index.projection import FeaturesUnfit, Space, to_unit
from batch.index.updates import append
from batch.registry import ModelUnusable

D = 8


def space(width: float, bands: int = 16, hashes: int = 3, **other: Any) -> Space:
    rng = np.random.default_rng(3)
    return Space(
        mean=np.zeros(D, dtype=np.float32),
        deviation=np.ones(D, dtype=np.float32),
        components=np.eye(D, dtype=np.float32),
        directions=rng.normal(0, D**-0.5, (bands, hashes, D)).astype(np.float32),
        offsets=rng.uniform(0, width, (bands, hashes)).astype(np.float32),
        width=width,
        **other,
    )


def clusters(n: int = 600) -> np.ndarray:
    rng = np.random.default_rng(4)
    centres = rng.normal(0, 3, (6, D))
    return (centres[np.arange(n) % 6] + rng.normal(0, 0.4, (n, D))).astype(np.float32)


def built(width: float = 1.5, n: int = 600, **other: Any) -> Index:
    ids = [f"t{at:04d}" for at in range(n)]
    return with_local_scales(index(ids, clusters(n), [f"artist {at % 50}" for at in range(n)], space(width, **other)))


def test_the_bands_find_nearly_all_near_tracks_among_a_few_candidates() -> None:
    recall, share = quality(built(), sample=100, k=10)
    assert recall >= 0.9
    assert share <= 0.3


def test_wider_buckets_have_better_recall_and_more_candidates() -> None:
    narrow, wide = quality(built(0.4), 100, 10), quality(built(3.0), 100, 10)
    assert narrow[0] < wide[0] and narrow[1] < wide[1]


def test_neighbours_come_nearest_first_with_their_distances() -> None:
    whole = built()
    ((rows, found),) = whole.neighbours(whole.vectors[:1], 10)
    assert (rows[0], found[0]) == (0, 0.0)
    assert (np.diff(found) >= 0).all()
    np.testing.assert_allclose(found, distances(whole.vectors[0], whole.vectors[rows]), rtol=1e-6)


def test_where_the_bands_give_too_few_the_answer_is_exact() -> None:
    whole = built()
    far = np.full((1, D), 500.0, dtype=np.float32)
    assert len(whole.candidates(far)[0]) < 5
    ((rows, _),) = whole.neighbours(far, 5)
    expected = np.argsort(distances(far[0], whole.vectors), kind="stable")[:5]
    assert rows.tolist() == expected.tolist()


def test_a_library_smaller_than_k_gives_all_it_has() -> None:
    whole = built(n=3)
    ((rows, _),) = whole.neighbours(whole.vectors[:1], 10)
    assert sorted(rows.tolist()) == [0, 1, 2]


def test_similar_tracks_are_of_the_same_kind_and_never_the_track_itself() -> None:
    whole = built()
    for row, (near, score) in zip([0, 7], whole.similar(np.array([0, 7]), 10), strict=True):
        assert len(near) == 10 and row not in near
        assert {int(at) % 6 for at in near} == {row % 6}
        assert (np.diff(score) <= 0).all() and 0 < score[-1] <= score[0] <= 1


def test_equal_vectors_are_similarity_1() -> None:
    points = np.zeros((4, D), dtype=np.float32)
    whole = with_local_scales(index(list("abcd"), points, [None] * 4, space(1.0)))
    ((near, score),) = whole.similar(np.array([1]), 3)
    assert near.tolist() == [0, 2, 3]
    assert score.tolist() == [1.0, 1.0, 1.0]


def test_rows_are_sorted_by_id_and_artists_are_told_apart_without_case() -> None:
    points = np.arange(3 * D, dtype=np.float32).reshape(3, D)
    whole = index(["c", "a", "b"], points, ["Ana", "ANA", None], space(1.0))
    assert whole.ids.tolist() == ["a", "b", "c"]
    assert whole.artists.tolist() == [0, -1, 0]
    np.testing.assert_array_equal(whole.vectors, points[[1, 2, 0]])
    assert whole.rows_of(["b", "nobody", "c", ""]).tolist() == [1, -1, 2, -1]
    assert whole.rows_of([]).tolist() == []


def test_a_feature_that_never_varies_is_left_out() -> None:
    flat = Space(**{**vars(space(1.0)), "deviation": np.array([0.0] + [2.0] * (D - 1), dtype=np.float32)})
    assert flat.standardised(np.full((1, D), 6.0)).tolist() == [[0.0] + [3.0] * (D - 1)]


def test_a_saved_index_answers_as_before(tmp_path: Path) -> None:
    whole = built()
    whole.save(tmp_path / "index")
    opened = Index.open(tmp_path / "index")
    assert opened.space.width == whole.space.width
    for before, after in zip(whole.similar(np.arange(5), 10), opened.similar(np.arange(5), 10), strict=True):
        np.testing.assert_array_equal(before[0], after[0])
        np.testing.assert_array_equal(before[1], after[1])


def test_a_folder_without_an_index_is_told(tmp_path: Path) -> None:
    with pytest.raises(IndexUnreadable, match="train again"):
        Index.open(tmp_path)
    built(n=5).save(tmp_path)
    (tmp_path / "keys.npy").write_bytes(b"")
    with pytest.raises(IndexUnreadable):
        Index.open(tmp_path)


def test_probing_the_buckets_beside_finds_more_with_the_same_bands() -> None:
    without, some, many = (quality(built(0.8, probes=probes), 100, 10) for probes in (0, 2, 6))
    assert without[0] < some[0] < many[0]
    assert without[1] < some[1] < many[1]


def test_a_probe_is_the_key_of_the_bucket_beside() -> None:
    one = space(1.0, bands=1, hashes=2)
    point = np.zeros((1, D), dtype=np.float32)
    edge = one.directions[0, 0] / np.linalg.norm(one.directions[0, 0]) ** 2
    inside = float(one.offsets[0, 0] % 1)  # how far the point lies above the edge of its bucket in the first hash
    beside = point + edge * (-inside - 0.01 if inside < 0.5 else 1.01 - inside)
    keys = one.keys(point, probes=4)[0, 0]
    assert len(set(keys.tolist())) == 5
    other = one.keys(beside.astype(np.float32))[0, 0, 0]
    if (np.floor(beside @ one.directions[0, 1] + one.offsets[0, 1]) == np.floor(one.offsets[0, 1])).all():
        assert other in keys[1:]


def test_a_candidate_shares_a_bucket_in_as_many_bands_as_are_asked_for() -> None:
    one, two = (built(1.5, shared=shared) for shared in (1, 2))
    point = one.vectors[:1]
    own, others = one.space.keys(point)[:, 0, 0], one.space.keys(one.vectors)[:, :, 0]
    bands_shared = (others == own[:, None]).sum(axis=0)
    assert one.candidates(point)[0].tolist() == np.flatnonzero(bands_shared >= 1).tolist()
    assert two.candidates(point)[0].tolist() == np.flatnonzero(bands_shared >= 2).tolist()


def test_wider_buckets_shared_twice_find_as_much_among_fewer_candidates() -> None:
    once, twice = quality(built(1.0), 200, 10), quality(built(1.5, shared=2), 200, 10)
    assert twice[0] >= once[0] and twice[1] < once[1]


def test_where_too_few_share_enough_bands_one_is_enough() -> None:
    strict = built(1.5, shared=16)
    assert len(strict.candidates(strict.vectors[:1])[0]) < 50
    once = built(1.5).candidates(strict.vectors[:1])[0]
    assert strict.candidates(strict.vectors[:1], least=50)[0].tolist() == once.tolist()
    assert len(strict.neighbours(strict.vectors[:1], 50)[0][0]) == 50


def test_a_crowded_bucket_gives_the_part_that_is_nearest_along_the_first_component() -> None:
    one_bucket = {**vars(space(50.0)), "offsets": np.full((16, 3), 25.0, dtype=np.float32), "limit": 40}
    few = index([f"t{at:04d}" for at in range(600)], clusters(), [None] * 600, Space(**one_bucket))
    assert few.found.largest() == 600
    rows = few.candidates(few.vectors[:1])[0]
    assert len(rows) == 40
    apart = np.abs(few.space.order(few.vectors) - few.space.order(few.vectors[:1]))
    assert (np.sort(apart[rows])[:20] == np.sort(apart)[:20]).all()
    ((near, _),) = few.neighbours(few.vectors[:1], 1)
    assert near.tolist() == [0]


def test_a_metric_and_unit_length_make_the_points() -> None:
    metric = np.eye(D, dtype=np.float32)[:, :3] * 2
    learned = Space(**{**vars(space(1.0)), "metric": metric, "components": np.eye(3, dtype=np.float32), "unit": True})
    features = np.array([[1.0, 2, 2, 9, 9, 9, 9, 9], [0.0] * D])
    np.testing.assert_allclose(learned.points(features), [[1 / 3, 2 / 3, 2 / 3], [0, 0, 0]], rtol=1e-6)
    np.testing.assert_allclose(to_unit(np.array([[3.0, 4.0]], dtype=np.float32)), [[0.6, 0.8]], rtol=1e-6)


@pytest.mark.parametrize("features", [np.zeros((1, D + 1)), np.zeros(D), np.full((1, D), np.inf)])
def test_features_that_do_not_fit_are_told(features: np.ndarray) -> None:
    with pytest.raises(FeaturesUnfit, match="again"):
        space(1.0).points(features)


def test_a_taste_between_tracks_has_neighbours_too() -> None:
    whole = built()
    ((near, score),) = whole.like(whole.vectors[[0, 6, 12]].mean(axis=0, keepdims=True), 10)
    assert {int(row) % 6 for row in near} == {0}
    assert (np.diff(score) <= 0).all() and 0 < score[-1] <= score[0] <= 1


def test_all_tracks_equal_is_a_sensible_answer() -> None:
    same = with_local_scales(
        index([f"t{at:03d}" for at in range(300)], np.ones((300, D)), [None] * 300, space(1.0, limit=50))
    )
    assert quality(same, 10, 10)[0] > 0  # any ten of the equal ones are the nearest
    for near, score in same.similar(np.array([0, 299]), 10):
        assert len(near) == 10 and score.tolist() == [1.0] * 10


@pytest.mark.parametrize("grain", [0.0, 0.15])
def test_a_shortlist_by_the_sketch_gives_what_all_candidates_would(grain: float) -> None:
    rng = np.random.default_rng(9)
    points = (rng.normal(0, 1, (3000, D)) * np.geomspace(4, 0.2, D)).astype(np.float32)
    coarse = Space(
        **{
            **vars(space(40.0)),
            "components": np.eye(D, dtype=np.float32)[:, :5],
            "directions": space(1.0).directions[:, :, :5],
        }
    )
    coarse = Space(**{**vars(coarse), "grain": grain})
    whole = with_local_scales(index([f"t{at:04d}" for at in range(3000)], points, [None] * 3000, coarse))
    assert whole.sketches.dtype == (np.int8 if grain else np.float32)
    assert min(len(rows) for rows in whole.candidates(points[:20])) > 2000, "more than a shortlist"
    for at, ((rows, distance), (near, score)) in enumerate(
        zip(whole.neighbours(points[:20], 10), whole.similar(np.arange(20), 10), strict=True)
    ):
        apart = distances(points[at], points)
        np.testing.assert_allclose(distance, np.sort(apart)[:10], rtol=1e-5)
        assert rows[0] == at
        likeness = whole.similarity(float(whole.scales[at]), np.arange(3000), apart)
        likeness[at] = -1
        np.testing.assert_allclose(score, np.sort(likeness)[::-1][:10], rtol=1e-5)
        assert at not in near


@pytest.mark.parametrize("name", ["space.npz", "ids.npy", "vectors.npy", "rows.npy", "added/00000001.npz"])
@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_a_damaged_file_is_told_with_the_next_step(name: str, damage: str, tmp_path: Path) -> None:
    built(n=60).save(tmp_path)
    append(tmp_path, ["new"], clusters(1), ["somebody"])
    file = tmp_path / name
    whole = file.read_bytes()
    middle = len(whole) // 2
    if damage == "cut":
        file.write_bytes(whole[:middle])
    else:  # what a member of the archive says of itself no longer holds, or the header of an array
        file.write_bytes(
            b"\x00" * 100 + whole[100:] if name.endswith("npy") else whole[:60] + b"\xff" * 60 + whole[120:]
        )
    with pytest.raises(IndexUnreadable, match=r"no index in .*train again"):
        Index.open(tmp_path)
    assert issubclass(IndexUnreadable, ModelUnusable)


@pytest.mark.parametrize(
    ("name", "shape", "told"),
    [
        ("ids", (59,), "vectors.npy has shape 60 × 8, expected 59 × 8"),
        ("vectors", (60, 7), "vectors.npy has shape 60 × 7, expected 60 × 8"),
        ("scales", (61,), "scales.npy has shape 61, expected 60"),
        ("near", (59, 20), "near.npy has shape 59 × 20, expected 60 × any"),
        ("artists", (60, 1), "artists.npy"),
        ("keys", (15, 60), "keys.npy"),
        ("rows", (16, 59), "rows.npy"),
        ("order", (1,), "order.npy"),
        ("sketches", (60, 3), "sketches.npy"),
    ],
)
def test_parts_that_do_not_belong_together_are_told(
    name: str, shape: tuple[int, ...], told: str, tmp_path: Path
) -> None:
    replace(built(n=60), near=np.zeros((60, 20), dtype=np.int32)).save(tmp_path)
    stored = np.load(tmp_path / f"{name}.npy")
    np.save(tmp_path / f"{name}.npy", np.resize(stored, shape))
    with pytest.raises(IndexUnreadable, match=told):
        Index.open(tmp_path)


def test_an_index_of_some_tracks_answers_as_one_that_was_built_of_them() -> None:
    whole = built(n=200)
    rows = np.sort(np.random.default_rng(1).permutation(200)[:120])
    some, points = whole.only(rows), whole.vectors[rows]
    assert some.ids.tolist() == whole.ids[rows].tolist() and len(some.present) == 120
    for before, after in zip(whole.candidates(points), some.candidates(points), strict=True):
        assert rows[after].tolist() == np.intersect1d(before, rows).tolist()
    assert [len(near) for near, _ in some.similar(np.arange(5), 10)] == [10] * 5


def test_more_bands_than_a_byte_counts() -> None:
    wide = space(1000.0, bands=300, hashes=1, shared=300)
    wide = replace(wide, offsets=np.full((300, 1), 500, dtype=np.float32))
    many = index([f"t{at:03d}" for at in range(100)], clusters(100), [None] * 100, wide)
    assert [len(rows) for rows in many.candidates(many.vectors[:3])] == [100] * 3, "all share all three hundred"
