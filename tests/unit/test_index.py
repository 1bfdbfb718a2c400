"""The index over generated points: what its hash tables find, and what it does where they find too little."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batch.growth import append
from batch.index.building import build_index, recall_and_candidate_share, with_local_scales
from batch.index.exact import euclidean_distances
from batch.index.hash_tables import rows_that_collide
from batch.index.lsh import Index, IndexUnreadable
from batch.index.projection import ROWS_AT_ONCE, FeaturesUnfit, Projection, mean_and_variance, to_unit
from batch.index.tuning import default_parameters, random_projection
from batch.registry import ModelUnusable

D = 8


def projection(bucket_length: float, tables: int = 16, hashes: int = 3, **other: Any) -> Projection:
    rng = np.random.default_rng(3)
    return Projection(
        mean=np.zeros(D, dtype=np.float32),
        deviation=np.ones(D, dtype=np.float32),
        components=np.eye(D, dtype=np.float32),
        directions=rng.normal(0, D**-0.5, (tables, hashes, D)).astype(np.float32),
        offsets=rng.uniform(0, bucket_length, (tables, hashes)).astype(np.float32),
        bucket_length=bucket_length,
        **other,
    )


def clusters(n: int = 600) -> np.ndarray:
    rng = np.random.default_rng(4)
    centres = rng.normal(0, 3, (6, D))
    return (centres[np.arange(n) % 6] + rng.normal(0, 0.4, (n, D))).astype(np.float32)


def built(bucket_length: float = 1.5, n: int = 600, **other: Any) -> Index:
    ids = [f"t{row:04d}" for row in range(n)]
    artists = [f"artist {row % 50}" for row in range(n)]
    return with_local_scales(build_index(ids, clusters(n), artists, projection(bucket_length, **other)))


def test_the_hash_tables_find_nearly_all_near_tracks_among_a_few_candidates() -> None:
    recall, share = recall_and_candidate_share(built(), queries=100, k=10)
    assert recall >= 0.9
    assert share <= 0.3


def test_longer_buckets_have_better_recall_and_more_candidates() -> None:
    short, long = recall_and_candidate_share(built(0.4), 100, 10), recall_and_candidate_share(built(3.0), 100, 10)
    assert short[0] < long[0] and short[1] < long[1]


def test_neighbours_come_nearest_first_with_their_distances() -> None:
    index = built()
    ((rows, distances),) = index.neighbours(index.vectors[:1], 10)
    assert (rows[0], distances[0]) == (0, 0.0)
    assert (np.diff(distances) >= 0).all()
    np.testing.assert_allclose(distances, euclidean_distances(index.vectors[0], index.vectors[rows]), rtol=1e-6)


def test_with_too_few_candidates_the_answer_is_exact() -> None:
    index = built()
    far = np.full((1, D), 500.0, dtype=np.float32)
    assert len(index.candidates(far)[0]) < 5
    ((rows, _),) = index.neighbours(far, 5)
    expected = np.argsort(euclidean_distances(far[0], index.vectors), kind="stable")[:5]
    assert rows.tolist() == expected.tolist()


def test_a_library_smaller_than_k_gives_all_it_has() -> None:
    index = built(n=3)
    ((rows, _),) = index.neighbours(index.vectors[:1], 10)
    assert sorted(rows.tolist()) == [0, 1, 2]


def test_similar_tracks_are_of_the_same_kind_and_never_the_track_itself() -> None:
    index = built()
    for row, (near, score) in zip([0, 7], index.similar(np.array([0, 7]), 10), strict=True):
        assert len(near) == 10 and row not in near
        assert {int(at) % 6 for at in near} == {row % 6}
        assert (np.diff(score) <= 0).all() and 0 < score[-1] <= score[0] <= 1


def test_equal_vectors_are_similarity_1() -> None:
    points = np.zeros((4, D), dtype=np.float32)
    index = with_local_scales(build_index(list("abcd"), points, [None] * 4, projection(1.0)))
    ((near, score),) = index.similar(np.array([1]), 3)
    assert near.tolist() == [0, 2, 3]
    assert score.tolist() == [1.0, 1.0, 1.0]


def test_rows_are_sorted_by_id_and_artists_are_compared_without_case() -> None:
    points = np.arange(3 * D, dtype=np.float32).reshape(3, D)
    index = build_index(["c", "a", "b"], points, ["Ana", "ANA", None], projection(1.0))
    assert index.ids.tolist() == ["a", "b", "c"]
    assert index.artists.tolist() == [0, -1, 0]
    np.testing.assert_array_equal(index.vectors, points[[1, 2, 0]])
    assert index.rows_of(["b", "unknown", "c", ""]).tolist() == [1, -1, 2, -1]
    assert index.rows_of([]).tolist() == []


def test_a_feature_that_never_varies_is_left_out() -> None:
    flat = Projection(**{**vars(projection(1.0)), "deviation": np.array([0.0] + [2.0] * (D - 1), dtype=np.float32)})
    assert flat.standardised(np.full((1, D), 6.0)).tolist() == [[0.0] + [3.0] * (D - 1)]


def test_a_saved_index_answers_as_before(tmp_path: Path) -> None:
    index = built()
    index.save(tmp_path / "index")
    opened = Index.open(tmp_path / "index")
    assert opened.projection.bucket_length == index.projection.bucket_length
    for before, after in zip(index.similar(np.arange(5), 10), opened.similar(np.arange(5), 10), strict=True):
        np.testing.assert_array_equal(before[0], after[0])
        np.testing.assert_array_equal(before[1], after[1])


def test_a_folder_without_an_index_is_an_error_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(IndexUnreadable, match="train again"):
        Index.open(tmp_path)
    built(n=5).save(tmp_path)
    (tmp_path / "keys.npy").write_bytes(b"")
    with pytest.raises(IndexUnreadable):
        Index.open(tmp_path)


def test_probing_neighbouring_buckets_finds_more_with_the_same_hash_tables() -> None:
    by_probes = [recall_and_candidate_share(built(0.8, probes=probes), 100, 10) for probes in (0, 2, 6)]
    (recall_0, share_0), (recall_2, share_2), (recall_6, share_6) = by_probes
    assert recall_0 < recall_2 < recall_6
    assert share_0 < share_2 < share_6


def test_a_probe_is_the_key_of_a_neighbouring_bucket() -> None:
    hashed = projection(1.0, tables=1, hashes=2)
    point = np.zeros((1, D), dtype=np.float32)
    edge = hashed.directions[0, 0] / np.linalg.norm(hashed.directions[0, 0]) ** 2
    inside = float(hashed.offsets[0, 0] % 1)  # how far the point lies above the edge of its bucket in the first hash
    beside = point + edge * (-inside - 0.01 if inside < 0.5 else 1.01 - inside)
    keys = hashed.keys(point, probes=4)[0, 0]
    assert len(set(keys.tolist())) == 5
    neighbouring_key = hashed.keys(beside.astype(np.float32))[0, 0, 0]
    second_bucket = np.floor(beside @ hashed.directions[0, 1] + hashed.offsets[0, 1])
    if (second_bucket == np.floor(hashed.offsets[0, 1])).all():
        assert neighbouring_key in keys[1:]


def test_a_candidate_collides_in_min_collisions_hash_tables() -> None:
    once, twice = (built(1.5, min_collisions=collisions) for collisions in (1, 2))
    point = once.vectors[:1]
    own_keys, keys = once.projection.keys(point)[:, 0, 0], once.projection.keys(once.vectors)[:, :, 0]
    collisions = (keys == own_keys[:, None]).sum(axis=0)
    assert once.candidates(point)[0].tolist() == np.flatnonzero(collisions >= 1).tolist()
    assert twice.candidates(point)[0].tolist() == np.flatnonzero(collisions >= 2).tolist()


def test_longer_buckets_with_two_collisions_find_as_much_among_fewer_candidates() -> None:
    once = recall_and_candidate_share(built(1.0), 200, 10)
    twice = recall_and_candidate_share(built(1.5, min_collisions=2), 200, 10)
    assert twice[0] >= once[0] and twice[1] < once[1]


def test_where_too_few_collide_often_enough_one_collision_is_enough() -> None:
    strict = built(1.5, min_collisions=16)
    assert len(strict.candidates(strict.vectors[:1])[0]) < 50
    once = built(1.5).candidates(strict.vectors[:1])[0]
    assert strict.candidates(strict.vectors[:1], min_candidates=50)[0].tolist() == once.tolist()
    assert len(strict.neighbours(strict.vectors[:1], 50)[0][0]) == 50


def test_a_crowded_bucket_gives_the_part_that_is_nearest_along_the_first_component() -> None:
    one_bucket = {**vars(projection(50.0)), "offsets": np.full((16, 3), 25.0, dtype=np.float32), "bucket_limit": 40}
    limited = build_index([f"t{row:04d}" for row in range(600)], clusters(), [None] * 600, Projection(**one_bucket))
    assert limited.tables.largest_bucket() == 600
    rows = limited.candidates(limited.vectors[:1])[0]
    assert len(rows) == 40
    positions = limited.projection.first_component(limited.vectors)
    distances = np.abs(positions - limited.projection.first_component(limited.vectors[:1]))
    assert (np.sort(distances[rows])[:20] == np.sort(distances)[:20]).all()
    ((neighbours, _),) = limited.neighbours(limited.vectors[:1], 1)
    assert neighbours.tolist() == [0]


def test_a_metric_and_unit_length_make_the_points() -> None:
    metric = np.eye(D, dtype=np.float32)[:, :3] * 2
    components = np.eye(3, dtype=np.float32)
    learned = replace(projection(1.0), metric=metric, components=components, unit_length=True)
    features = np.array([[1.0, 2, 2, 9, 9, 9, 9, 9], [0.0] * D])
    np.testing.assert_allclose(learned.points(features), [[1 / 3, 2 / 3, 2 / 3], [0, 0, 0]], rtol=1e-6)
    np.testing.assert_allclose(to_unit(np.array([[3.0, 4.0]], dtype=np.float32)), [[0.6, 0.8]], rtol=1e-6)


@pytest.mark.parametrize("features", [np.zeros((1, D + 1)), np.zeros(D), np.full((1, D), np.inf)])
def test_features_that_do_not_fit_are_refused(features: np.ndarray) -> None:
    with pytest.raises(FeaturesUnfit, match="again"):
        projection(1.0).points(features)


def test_a_point_between_tracks_has_similar_tracks_too() -> None:
    index = built()
    ((near, score),) = index.like(index.vectors[[0, 6, 12]].mean(axis=0, keepdims=True), 10)
    assert {int(row) % 6 for row in near} == {0}
    assert (np.diff(score) <= 0).all() and 0 < score[-1] <= score[0] <= 1


def test_all_tracks_equal_is_a_sensible_answer() -> None:
    same = with_local_scales(
        build_index(
            [f"t{row:03d}" for row in range(300)], np.ones((300, D)), [None] * 300, projection(1.0, bucket_limit=50)
        )
    )
    assert recall_and_candidate_share(same, 10, 10)[0] > 0  # any ten of the equal ones are the nearest
    for near, score in same.similar(np.array([0, 299]), 10):
        assert len(near) == 10 and score.tolist() == [1.0] * 10


@pytest.mark.parametrize("quantisation_step", [0.0, 0.15])
def test_a_shortlist_by_the_sketch_gives_what_all_candidates_would(quantisation_step: float) -> None:
    rng = np.random.default_rng(9)
    points = (rng.normal(0, 1, (3000, D)) * np.geomspace(4, 0.2, D)).astype(np.float32)
    coarse = replace(
        projection(40.0),
        components=np.eye(D, dtype=np.float32)[:, :5],
        directions=projection(1.0).directions[:, :, :5],
        quantisation_step=quantisation_step,
    )
    index = with_local_scales(build_index([f"t{at:04d}" for at in range(3000)], points, [None] * 3000, coarse))
    assert index.sketches.dtype == (np.int8 if quantisation_step else np.float32)
    assert min(len(rows) for rows in index.candidates(points[:20])) > 2000, "more than a shortlist"
    for row, ((nearest, distances), (similar, scores)) in enumerate(
        zip(index.neighbours(points[:20], 10), index.similar(np.arange(20), 10), strict=True)
    ):
        all_distances = euclidean_distances(points[row], points)
        np.testing.assert_allclose(distances, np.sort(all_distances)[:10], rtol=1e-5)
        assert nearest[0] == row
        all_similarities = index.similarity(float(index.scales[row]), np.arange(3000), all_distances)
        all_similarities[row] = -1
        np.testing.assert_allclose(scores, np.sort(all_similarities)[::-1][:10], rtol=1e-5)
        assert row not in similar


@pytest.mark.parametrize("name", ["space.npz", "ids.npy", "vectors.npy", "rows.npy", "added/00000001.npz"])
@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_a_damaged_file_is_an_error_with_the_next_step(name: str, damage: str, tmp_path: Path) -> None:
    built(n=60).save(tmp_path)
    append(tmp_path, ["new"], clusters(1), ["somebody"])
    file = tmp_path / name
    content = file.read_bytes()
    middle = len(content) // 2
    if damage == "cut":
        file.write_bytes(content[:middle])
    else:  # what a member of the archive says of itself no longer holds, or the header of an array
        file.write_bytes(
            b"\x00" * 100 + content[100:] if name.endswith("npy") else content[:60] + b"\xff" * 60 + content[120:]
        )
    with pytest.raises(IndexUnreadable, match=r"no index in .*train again"):
        Index.open(tmp_path)
    assert issubclass(IndexUnreadable, ModelUnusable)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
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
def test_parts_that_do_not_belong_together_are_refused_with_both_shapes(
    name: str, shape: tuple[int, ...], message: str, tmp_path: Path
) -> None:
    replace(built(n=60), stored_neighbours=np.zeros((60, 20), dtype=np.int32)).save(tmp_path)
    stored = np.load(tmp_path / f"{name}.npy")
    np.save(tmp_path / f"{name}.npy", np.resize(stored, shape))
    with pytest.raises(IndexUnreadable, match=message):
        Index.open(tmp_path)


def test_a_subset_answers_as_an_index_built_of_its_tracks() -> None:
    index = built(n=200)
    rows = np.sort(np.random.default_rng(1).permutation(200)[:120])
    subset, points = index.subset(rows), index.vectors[rows]
    assert subset.ids.tolist() == index.ids[rows].tolist() and len(subset.present) == 120
    for before, after in zip(index.candidates(points), subset.candidates(points), strict=True):
        assert rows[after].tolist() == np.intersect1d(before, rows).tolist()
    assert [len(similar) for similar, _ in subset.similar(np.arange(5), 10)] == [10] * 5


def test_more_hash_tables_than_a_byte_counts() -> None:
    wide = projection(1000.0, tables=300, hashes=1, min_collisions=300)
    wide = replace(wide, offsets=np.full((300, 1), 500, dtype=np.float32))
    many = build_index([f"t{at:03d}" for at in range(100)], clusters(100), [None] * 100, wide)
    assert [len(rows) for rows in many.candidates(many.vectors[:3])] == [100] * 3, (
        "all tracks collide in all three hundred tables"
    )


@pytest.mark.parametrize("n", [40, 10_000_000])
def test_collisions_are_counted_alike_whether_rows_are_few_or_many(n: int) -> None:
    colliding = np.array([7, 3, 9, 7, 3, 7, 12, 30])
    at_least = {least: rows_that_collide(colliding, n, least, tables=64).tolist() for least in (1, 2, 3, 4)}
    assert at_least == {1: [3, 7, 9, 12, 30], 2: [3, 7], 3: [7], 4: []}
    assert rows_that_collide(colliding[:0], n, 1, tables=64).tolist() == []


def test_a_query_allocates_memory_for_its_candidates_alone() -> None:
    colliding = np.arange(0, 5000, 5)
    tracemalloc.start()
    try:
        assert len(rows_that_collide(colliding, 10_000_000, 1, tables=64)) == 1000
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_a_saved_index_has_the_file_and_member_names_of_earlier_versions(tmp_path: Path) -> None:
    index = replace(built(n=60, quantisation_step=0.1), stored_neighbours=np.zeros((60, 20), dtype=np.int32))
    index.save(tmp_path)
    names = ("artists", "ids", "keys", "names", "near", "order", "rows", "scales", "sketches", "vectors")
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([*(f"{name}.npy" for name in names), "space.npz"])
    with np.load(tmp_path / "space.npz", allow_pickle=False) as stored:
        members = "mean deviation components directions offsets width unit probes shared limit grain"
        assert sorted(stored) == sorted(members.split()), "and metric, where there is one"
        assert float(stored["width"]) == 1.5 and float(stored["grain"]) == 0.1


def test_blocks_are_brought_to_their_lengths_and_stored_with_the_index(tmp_path: Path) -> None:
    points = clusters(40)
    points[3, 5:] = 0.0
    two_blocks = replace(
        projection(40.0),
        mean=np.zeros(D, dtype=np.float32),
        unit_length=True,
        block_widths=np.array([5, 3]),
        block_weights=np.array([0.8, 0.6], dtype=np.float32),
    )
    placed = two_blocks.points(points)
    lengths = np.stack([np.linalg.norm(placed[:, :5], axis=1), np.linalg.norm(placed[:, 5:], axis=1)], axis=1)
    expected = np.tile([0.8, 0.6], (40, 1))
    expected[3] = [1.0, 0.0]  # a track that has nothing in one block is placed by the other
    np.testing.assert_allclose(lengths, expected, atol=1e-5)
    build_index([f"t{row:02d}" for row in range(40)], points, [None] * 40, two_blocks).save(tmp_path)
    np.testing.assert_allclose(Index.open(tmp_path).projection.points(points), placed, atol=1e-6)
    for widths, weights, reason in (([5, 4], [0.8, 0.6], "9 columns, there are 8"), ([5, 3], [1.0], "block_weights")):
        damaged = replace(two_blocks, block_widths=np.array(widths), block_weights=np.array(weights, dtype=np.float32))
        damaged.save(tmp_path / "space.npz")
        with pytest.raises(IndexUnreadable, match=reason):
            Index.open(tmp_path)


def test_moments_and_keys_of_many_rows_are_those_of_all_at_once() -> None:
    rows = np.random.default_rng(4).normal(3, 2, (2 * ROWS_AT_ONCE + 5, 7)).astype(np.float32)
    mean, variance = mean_and_variance(rows)
    np.testing.assert_allclose(mean, rows.mean(axis=0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(variance, rows.var(axis=0, dtype=np.float64), rtol=1e-9)
    projection = random_projection(default_parameters(1000), np.eye(7, dtype=np.float32), 0.5, 1)
    np.testing.assert_array_equal(projection.keys(rows)[:, -5:], projection.keys(rows[-5:]))
