"""Tracks on their topic, from MongoDB's document to the index and back to MongoDB's `recording`."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batch import mongo, registry
from batch.index.building import build_index, with_local_scales
from batch.index.lsh import Index
from batch.index.tuning import HashParameters, random_projection
from batch.library.labels import artists_in
from conf.settings import Settings, settings
from streaming.catalogue import Counts, IndexUpdater
from streaming.track_message import parse_track, track_message

D = 8
VECTORS = np.random.default_rng(1).normal(0, 1, (200, D)).astype(np.float32)


class FakeTracks:
    """The collection `tracks`, as far as bulk updates of `recording` need it."""

    def __init__(self) -> None:
        self.recordings: dict[str, str] = {}

    def bulk_write(self, updates: list[Any], ordered: bool) -> None:
        for update in updates:
            assert not update._upsert and set(update._doc) == {"$set"}
            self.recordings[update._filter["_id"]] = update._doc["$set"]["recording"]


class FakeDatabase:
    def __init__(self) -> None:
        self.tracks = FakeTracks()


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    return settings(home=tmp_path, models={"root": str(tmp_path / "models")})


def version(chosen: Settings, vectors: np.ndarray, manifest: dict[str, Any]) -> registry.Model:
    """A version with tracks t000 to t199."""
    d = vectors.shape[1]
    projection = random_projection(HashParameters(3, 16, d), np.eye(d, dtype=np.float32), 2.0, seed=2)
    folder = Path(chosen.models.root) / "20260101T000000.000000Z"
    ids = [f"t{row:03d}" for row in range(200)]
    with_local_scales(build_index(ids, vectors, ["Ana"] * 200, projection)).save(folder / "index")
    registry.write_manifest(folder, manifest)
    registry.make_latest(chosen.models.root, folder.name)
    return registry.latest(chosen.models.root)


@pytest.fixture
def model(chosen: Settings) -> registry.Model:
    return version(chosen, VECTORS, {})


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch, chosen: Settings) -> FakeDatabase:
    fake = FakeDatabase()

    @contextmanager
    def client(settings: Any) -> Any:
        yield {chosen.mongo.database: fake}

    monkeypatch.setattr(mongo, "client", client)
    return fake


def message(track_id: str, vector: np.ndarray, **fields: Any) -> tuple[bytes, bytes]:
    value = track_message({"features": vector.tolist(), "artist": "Ana", **fields})
    assert value is not None
    return track_id.encode(), value


def test_a_message_has_artist_title_and_length() -> None:
    document = {"features": [1.5, 2], "artist": "Ana", "title": "Süß", "duration_s": 200.5, "extractor_version": "x/1"}
    value = track_message(document)
    assert value is not None
    assert json.loads(value) == document
    assert parse_track(value) == {**document, "features": pytest.approx([1.5, 2]), "embedding": None}


def test_a_message_tells_each_of_several_artists() -> None:
    document = {"features": [1.0], "artist": "Ada/Bo", "artists": ["Ada", "Bo"]}
    value = track_message(document)
    assert value is not None and json.loads(value)["artists"] == ["Ada", "Bo"]
    track = parse_track(value)
    assert track is not None and artists_in(track["artist"]) == ["Ada", "Bo"]
    alone = track_message({"features": [1.0], "artist": "Fox/Hen", "artists": ["Fox/Hen"]})
    assert alone is not None and "artists" not in json.loads(alone)
    track = parse_track(alone)
    assert track is not None and artists_in(track["artist"]) == ["Fox/Hen"]


def test_a_message_has_the_embedding_of_a_track_that_has_one() -> None:
    embedding = [number / 7 for number in range(200)]
    value = track_message({"features": [1.5, 2], "embedding": embedding})
    assert value is not None
    track = parse_track(value)
    assert track is not None and track["embedding"].tolist() == np.float32(embedding).tolist()
    for wrong, reason in ((embedding[:199], "200 numbers"), (["a"] * 200, "embedding"), ([embedding], "200 numbers")):
        with pytest.raises(ValueError, match=reason):
            parse_track(json.dumps({"features": [1.0], "embedding": wrong}).encode())
    with pytest.raises(ValueError, match="embedding: expected finite numbers"):
        track_message({"features": [1.0], "embedding": [float("nan")] * 200})


def test_an_added_track_has_the_words_that_mongodb_has(
    chosen: Settings, model: registry.Model, database: FakeDatabase
) -> None:
    folder = model.folder / "index"
    np.save(folder / "tags.npy", np.zeros((200, 2), dtype=np.uint8))
    np.save(folder / "tag_names.npy", np.array(["mellow", "sad"]))
    words = [{"tag": "sad", "percentile": 91}, {"tag": "polka", "percentile": 99}]
    messages = [message("new", -VECTORS[9], tags=words), message("none", -VECTORS[8], tags="sad")]
    assert [json.loads(value).get("tags") for _, value in messages] == [words, None]
    IndexUpdater(chosen)._update(model, messages)
    index = Index.open(folder)
    assert index.tags[index.rows_of(["new", "none", "t000"])].tolist() == [[0, 91], [0, 0], [0, 0]]


def test_what_is_no_title_or_length_is_none_and_earlier_messages_have_neither() -> None:
    value = track_message({"features": [1], "title": 7, "duration_s": float("nan")})
    assert value is not None
    assert (json.loads(value)["title"], json.loads(value)["duration_s"]) == (None, None)
    for fields in ({}, {"title": ["a"], "duration_s": "long"}, {"duration_s": -1, "more": 1}):
        track = parse_track(json.dumps({"artist": "Ana", "features": [1.0], **fields}).encode())
        assert track is not None and (track["title"], track["duration_s"]) == (None, None)


def test_an_added_track_has_its_recording_in_index_and_mongodb(
    chosen: Settings, model: registry.Model, database: FakeDatabase
) -> None:
    updater = IndexUpdater(chosen)
    near = VECTORS[5] + np.float32(0.02)
    messages = [message("copy", near, title="A"), message("new", -VECTORS[9], title="Waltz", duration_s=200)]
    updater._update(model, messages)
    assert database.tracks.recordings == {"t005": "t005", "copy": "t005", "new": "new"}
    updater._update(model, messages)
    assert updater.counts == Counts(added=2, unchanged=2)

    another = message("another", VECTORS[11] * 0.5, title="WALTZ", duration_s=201)
    updater._update(model, [another])
    assert database.tracks.recordings == {"t005": "t005", "copy": "t005", "new": "another", "another": "another"}
    index = Index.open(model.folder / "index")
    rows = index.rows_of(["t005", "copy", "new", "another"])
    assert index.recordings[rows].tolist() == [5, 5, 200, 200]


@pytest.mark.parametrize(
    ("key", "feature", "reason"),
    [
        (b"absurd", 3e38, "not finite numbers below 1e+18"),
        (b"far", 1e5, "1e+05 standard deviations from the mean"),
        (b"x" * 300, 0.0, "the key has 300 characters"),
        (b"a\nb", 0.0, "the key holds control characters"),
    ],
)
def test_a_track_that_would_spoil_the_index_is_left_out_and_others_are_added(
    chosen: Settings,
    model: registry.Model,
    database: FakeDatabase,
    capsys: pytest.CaptureFixture[str],
    key: bytes,
    feature: float,
    reason: str,
) -> None:
    spoiled = json.dumps({"features": [feature, *[0.5] * (D - 1)]}).encode()
    updater = IndexUpdater(chosen)
    updater._update(model, [(key, spoiled), message("new", -VECTORS[9])])
    assert updater.counts == Counts(added=1, unfit=1) and reason in capsys.readouterr().out
    assert Index.open(model.folder / "index").rows_of([key.decode(), "new"]).tolist() == [-1, 200]


def test_another_title_is_a_change_and_a_message_without_one_is_not(
    chosen: Settings, model: registry.Model, database: FakeDatabase
) -> None:
    updater = IndexUpdater(chosen)
    updater._update(model, [message("new", -VECTORS[9], title="Waltz", duration_s=200)])
    updater._update(model, [message("new", -VECTORS[9])])
    assert updater.counts == Counts(added=1, unchanged=1)
    updater._update(model, [message("new", -VECTORS[9], title="Polka", duration_s=200)])
    assert updater.counts == Counts(added=2, unchanged=1)


def test_a_change_of_one_copy_is_told_of_the_others(
    chosen: Settings, model: registry.Model, database: FakeDatabase
) -> None:
    updater = IndexUpdater(chosen)
    waltzes = [
        message(track_id, VECTORS[row] * 0.5, title="Waltz", duration_s=200) for row, track_id in enumerate("abc")
    ]
    updater._update(model, waltzes)
    assert database.tracks.recordings == {"a": "a", "b": "a", "c": "a"}
    updater._update(model, [message("a", VECTORS[0] * 0.5, title="Polka", duration_s=200)])
    assert database.tracks.recordings == {"a": "a", "b": "b", "c": "b"}
    updater._update(model, [(b"b", None)])
    assert database.tracks.recordings == {"a": "a", "b": "b", "c": "c"}, (
        "b is gone, and c is the first of its recording"
    )


def test_without_mongodb_tracks_are_added_and_their_recordings_written_at_the_next_start(
    chosen: Settings,
    model: registry.Model,
    database: FakeDatabase,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    updater = IndexUpdater(chosen)

    def away(settings: Any) -> Any:
        raise mongo.MongoAway("MongoDB at user:secret@host does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(mongo, "client", away)
        updater._update(model, [message("copy", VECTORS[5] + np.float32(0.02))])
    printed = capsys.readouterr().out
    assert "recordings of 1 changed tracks not written to MongoDB (MongoAway)" in printed and "secret" not in printed
    assert Index.open(model.folder / "index").rows_of(["copy"]).tolist() == [200]
    updater._publish_appended(model)
    assert database.tracks.recordings == {"t005": "t005", "copy": "t005"}


HEARD = "mfcc20-contrast7/1+musicnn-msd/1"
UNHEARD = "mfcc20-contrast7/1"


def test_an_index_of_both_blocks_takes_tracks_with_an_embedding_and_refuses_those_without(
    chosen: Settings, database: FakeDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    embeddings = np.random.default_rng(3).normal(0, 1, (200, 200)).astype(np.float32)
    model = version(chosen, np.hstack([VECTORS, embeddings]), {"extractor_version": HEARD})
    heard = message("heard", VECTORS[3] + 1, embedding=(-embeddings[3]).tolist(), extractor_version=HEARD)
    same = message("t004", VECTORS[4], embedding=embeddings[4].tolist(), extractor_version=HEARD)
    imputed = message("t005", VECTORS[5] + 1, extractor_version=UNHEARD)
    unheard = message("unheard", VECTORS[6], extractor_version=UNHEARD)
    other_ear = message(
        "other", VECTORS[6], embedding=embeddings[6].tolist(), extractor_version=UNHEARD + "+musicnn-x/2"
    )
    updater = IndexUpdater(chosen)
    updater._update(model, [heard, same, imputed, unheard, other_ear])
    assert updater.counts == Counts(added=1, unchanged=2, unfit=2)
    output = capsys.readouterr().out
    assert "'unheard' left out: features without the trained ear's embedding" in output
    assert f"'other' left out: features of {UNHEARD}+musicnn-x/2, the model was trained on {HEARD}" in output
    index = Index.open(model.folder / "index")
    (row,) = index.rows_of(["heard"]).tolist()
    assert index.vectors[row].tolist() == pytest.approx([*(VECTORS[3] + 1), *-embeddings[3]])
    assert index.rows_of(["unheard", "other"]).tolist() == [-1, -1]


def test_a_track_whose_embedding_was_imputed_takes_a_new_title(chosen: Settings, database: FakeDatabase) -> None:
    embeddings = np.random.default_rng(3).normal(0, 1, (200, 200)).astype(np.float32)
    version(chosen, np.hstack([VECTORS, embeddings]), {"extractor_version": HEARD})
    mean = Index.open(registry.latest(chosen.models.root).folder / "index").projection.mean[-200:]
    embeddings[5] = mean
    model = version(chosen, np.hstack([VECTORS, embeddings]), {"extractor_version": HEARD})
    updater = IndexUpdater(chosen)
    renamed = message("t005", VECTORS[5], artist="Somebody Else", extractor_version=UNHEARD)
    updater._update(model, [renamed])
    updater._update(model, [renamed])
    assert updater.counts == Counts(added=1, unchanged=1)
    index = Index.open(model.folder / "index")
    (row,) = index.rows_of(["t005"]).tolist()
    assert index.artist_of(row) == "somebody else"
    assert index.vectors[row].tolist() == pytest.approx([*VECTORS[5], *mean], abs=1e-5)


def test_an_index_of_vectors_alone_leaves_embeddings_out(chosen: Settings, database: FakeDatabase) -> None:
    model = version(chosen, VECTORS, {"extractor_version": UNHEARD})
    heard = message("heard", VECTORS[3] + 1, embedding=[0.5] * 200, extractor_version=HEARD)
    updater = IndexUpdater(chosen)
    updater._update(model, [heard])
    assert updater.counts == Counts(added=1)
    index = Index.open(model.folder / "index")
    assert index.vectors[index.rows_of(["heard"])[0]].tolist() == pytest.approx((VECTORS[3] + 1).tolist())
