"""Tracks come and go while an index is in use; what was trained stays as it was."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from batch.index import segments
from batch.index.lsh import Index, index, with_local_scales
from batch.index.projection import FeaturesUnfit, Space
from batch.index.updates import append, remove

D = 8
rng = np.random.default_rng(5)
CENTRES = rng.normal(0, 3, (4, D))


def points(n: int, seed: int = 6) -> np.ndarray:
    return (CENTRES[np.arange(n) % 4] + np.random.default_rng(seed).normal(0, 0.4, (n, D))).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    draw = np.random.default_rng(7)
    space = Space(
        mean=np.zeros(D, dtype=np.float32),
        deviation=np.ones(D, dtype=np.float32),
        components=np.eye(D, dtype=np.float32),
        directions=draw.normal(0, D**-0.5, (16, 3, D)).astype(np.float32),
        offsets=draw.uniform(0, 2, (16, 3)).astype(np.float32),
        width=2.0,
    )
    ids = [f"t{at:03d}" for at in range(200)]
    with_local_scales(index(ids, points(200), [f"Artist {at % 20}" for at in range(200)], space)).save(tmp_path)
    return tmp_path


def near(folder: Path, track_id: str, k: int = 10) -> list[str]:
    whole = Index.open(folder)
    ((rows, _),) = whole.similar(whole.rows_of([track_id]), k)
    return [str(whole.ids[row]) for row in rows]


def test_an_added_track_finds_its_like_and_is_found_by_them(folder: Path) -> None:
    append(folder, ["new"], points(1, seed=8), ["ARTIST 3"])
    assert {int(track_id[1:]) % 4 for track_id in near(folder, "new")} == {0}
    whole = Index.open(folder)
    assert len(whole) == 201 and whole.rows_of(["new", "t003"]).tolist() == [200, 3]
    assert whole.artists[200] == whole.artists[3] != whole.artists[4], "the same artist as in the training"
    ((rows, _),) = whole.neighbours(whole.vectors[[200]], 1)
    assert rows.tolist() == [200]
    twin = whole.vectors[200:201]
    append(folder, ["twin"], np.asarray(twin), [None])
    assert near(folder, "new", 1) == ["twin"] and near(folder, "twin", 1) == ["new"]


def test_added_at_once_or_trained_together_the_lists_are_nearly_the_same(folder: Path, tmp_path: Path) -> None:
    more = points(240)[200:]
    ids = [f"u{at:03d}" for at in range(40)]
    append(folder, ids, more, [None] * 40)
    trained = Index.open(folder, as_trained=True)
    together = with_local_scales(
        index([*trained.ids.tolist(), *ids], np.vstack([trained.vectors, more]), [None] * 240, trained.space)
    )
    for track_id in ("u000", "u017", "t005"):
        ((rows, _),) = together.similar(together.rows_of([track_id]), 10)
        assert len(set(near(folder, track_id)) & {str(together.ids[row]) for row in rows}) >= 8


def test_a_removed_track_is_in_no_list_and_can_come_back(folder: Path) -> None:
    gone = near(folder, "t000", 3)
    remove(folder, [*gone, "nobody"])
    whole = Index.open(folder)
    assert not set(near(folder, "t000", 196)) & set(gone)
    assert whole.rows_of(gone).tolist() == [-1, -1, -1]
    assert len(whole.present) == 197 and not np.isin(whole.present, whole.gone).any()
    append(folder, gone[:1], points(1, seed=9), [None])
    assert gone[0] in near(folder, "t000", 196) and gone[1] not in near(folder, "t000", 196)


def test_a_track_that_is_added_again_has_its_new_features(folder: Path) -> None:
    assert {int(track_id[1:]) % 4 for track_id in near(folder, "t000", 5)} == {0}
    append(folder, ["t000"], points(200)[1:2] + 0.01, [None])
    assert {int(track_id[1:]) % 4 for track_id in near(folder, "t000", 5)} == {1}
    whole = Index.open(folder)
    assert len(whole.present) == 200 and (whole.ids[whole.present] == "t000").sum() == 1


def test_what_does_not_fit_is_told_and_nothing_is_added(folder: Path) -> None:
    with pytest.raises(FeaturesUnfit, match=r"shape \(1, 5\), the model was trained on 8"):
        append(folder, ["a"], np.zeros((1, 5)), [None])
    with pytest.raises(FeaturesUnfit, match="not finite"):
        append(folder, ["a", "b"], np.array([[0.0] * D, [np.nan] * D]), [None, None])
    with pytest.raises(ValueError, match="given twice"):
        append(folder, ["a", "a"], np.zeros((2, D)), [None, None])
    assert Index.state(folder) == "" and len(Index.open(folder)) == 200


def test_the_state_tells_readers_when_to_open_again(folder: Path) -> None:
    states = [Index.state(folder), append(folder, ["a"], points(1), [None]), remove(folder, ["a"])]
    assert len(set(states)) == 3 and Index.state(folder) == states[-1]
    assert [remove(folder, ["a"]), append(folder, [], np.zeros((0, D)), []), remove(folder, [])] == [states[-1]] * 3


def test_many_segments_are_written_together(folder: Path) -> None:
    for at in range(segments.MOST_SEGMENTS * 2 + 3):
        append(folder, [f"n{at:03d}"], points(at + 1)[-1:], ["somebody"])
        if at % 10 == 0:
            remove(folder, [f"n{at:03d}"])
    whole = Index.open(folder)
    assert len(list((folder / "added").glob("*.npz"))) < segments.MOST_SEGMENTS
    assert len(whole) == 200 + segments.MOST_SEGMENTS * 2 + 3 - 7
    assert (whole.rows_of(["n001", "n009", "n060"]) >= 200).tolist() == [True, True, False]


def test_a_segment_that_was_not_written_to_its_end_does_not_count(folder: Path) -> None:
    before = append(folder, ["a"], points(1), [None])
    (folder / "added" / ".part").write_bytes(b"PK half")
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


def test_what_was_trained_stays_as_it_was(folder: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.glob("*.np?")}
    append(folder, ["a"], points(1), [None])
    remove(folder, ["t001"])
    assert {file.name: file.read_bytes() for file in folder.glob("*.np?")} == before
    assert len(Index.open(folder, as_trained=True)) == 200


def test_the_artist_of_a_track_is_known_whether_trained_or_added(folder: Path) -> None:
    append(folder, ["new", "other", "nobody"], points(3, seed=8), ["ARTIST 3", "Somebody Else", None])
    whole = Index.open(folder)
    rows = whole.rows_of(["t003", "new", "other", "nobody"]).tolist()
    assert [whole.artist_of(row) for row in rows] == ["artist 3", "artist 3", "somebody else", ""]
