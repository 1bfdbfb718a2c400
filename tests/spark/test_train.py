"""A small generated lake becomes a model version; one that is too small is refused with the reason."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.ml.classification import MultilayerPerceptronClassificationModel
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame, SparkSession

from batch import registry
from batch.audio.features import EXTRACTOR_VERSION, N_FEATURES, extractor_version
from batch.discography.albums import TrackEntry, album_ids
from batch.ear.network import EAR_VERSION
from batch.ear.tag_names import TAG_NAMES
from batch.index.building import local_scales, positive_scales
from batch.index.exact import exact_neighbours
from batch.index.hash_tables import HashTables
from batch.index.recordings import recording_codes
from batch.index.tuning import HashParameters, default_parameters
from batch.library.extraction import FEATURES
from batch.library.titles import title_keys
from batch.model import fit_index, genre_mlp, sweep
from batch.model.artist_cap import capped_ranking
from batch.model.fit_index import TooFewTracks
from batch.model.mlp_inference import Ensemble
from batch.model.similar_tracks import SIMILAR_SCHEMA, of_present_tracks
from batch.publish import ENTRY_COLUMNS, discography_places, documents, present_tracks
from batch.storage.parquet import write_parts
from batch.train import summary, train
from batch.training import library
from batch.training.library import NoFeatures, single_extractor
from conf.settings import Lake, Settings, settings

sys.path.insert(0, str(Path(__file__).parent))
from made_features import GENRES, made  # noqa: E402


def published(spark: SparkSession, chosen: Settings, model: registry.Model | None) -> DataFrame:
    """The documents of `tracks` that publish would write."""
    tracks = present_tracks(spark, chosen)
    entries = [TrackEntry(**row.asDict()) for row in tracks.select(*ENTRY_COLUMNS).collect()]
    places = spark.createDataFrame(discography_places(entries, album_ids(entries)))
    return documents(spark, chosen, model, tracks, places)


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    return settings(home=tmp_path, lake={"root": str(tmp_path / "lake")}, models={"root": str(tmp_path / "models")})


def test_features_become_a_version_once(spark: SparkSession, chosen: Settings) -> None:
    made(spark, chosen, 24)
    root = chosen.models.root
    model = train(spark, chosen)
    assert registry.latest(root) == model == registry.load(root, model.version)
    assert (model.manifest["tracks"], model.manifest["dimensions"]) == (24, N_FEATURES)
    assert model.manifest["tables"] == {"tracks": 0, "features": 0}
    assert model.manifest["genres"] == list(GENRES)
    # 20 neighbours of 24 tracks reach into the other cluster, which the hash tables keep apart
    assert 0.5 < model.manifest["metrics"]["recall_at_20"] <= 1
    genre_score = model.manifest["metrics"]["genre"]
    names = ("tracks", "accuracy", "macro_f1", "recall")
    assert tuple(genre_score[name] for name in names) == (
        24,
        1.0,
        1.0,
        {"Folk": 1.0, "Techno": 1.0},
    )
    assert genre_score["confusion"] == [[12, 0], [0, 12]]

    index = model.index
    assert index.ids.tolist() == [f"t{row:02d}" for row in range(24)]
    ((neighbours, scores),) = index.similar(np.array([0]), 5)
    assert {int(row) % 2 for row in neighbours} == {0}
    rankings = [rows.tolist() for rows, _ in index.similar(np.arange(24), 23)]
    assert index.stored_neighbours.tolist() == rankings, "each track's ranking is saved with the index"
    lists = {row.track_id: row.similar for row in spark.read.parquet(model.parquet("similar")).collect()}
    ((neighbours, scores),) = index.similar(np.array([0]), 23)
    capped = capped_ranking(index.artists[neighbours], scores, 23)
    assert [(item.track_id, item.score) for item in lists["t00"]] == [
        (f"t{row:02d}", pytest.approx(float(score)))
        for row, score in zip(neighbours[capped], scores[capped], strict=True)
    ]
    posteriors = spark.read.parquet(model.parquet("genre_posterior")).collect()
    best = {row.track_id: row.genre_posterior[0] for row in posteriors}
    assert (best["t00"].genre, best["t01"].genre) == GENRES
    assert 0.5 < best["t00"].probability <= 1

    positions = {row.track_id: (row.x, row.y) for row in spark.read.parquet(model.parquet("map")).collect()}
    assert len(positions) == 24 and all(-1 <= x <= 1 and -1 <= y <= 1 for x, y in positions.values())
    document = published(spark, chosen, model).where("track_id = 't00'").collect()[0]
    assert document["map"] == pytest.approx(list(positions["t00"]))

    vectors = np.vstack(
        [row.vector for row in spark.read.format("delta").load(chosen.lake.table("features")).collect()]
    )
    ensemble = Ensemble.open(model.folder / "genre.npz")
    hidden = MultilayerPerceptronClassificationModel.load(model.parquet("mllib/genre/hidden-0"))
    inputs = ensemble.inputs.standardised(vectors)
    rows = [(array.tolist(),) for array in inputs]
    frame = spark.createDataFrame(rows, "inputs array<double>").select(array_to_vector("inputs").alias("features"))
    by_mllib = np.vstack([row.probability.toArray() for row in hidden.transform(frame).collect()])
    np.testing.assert_allclose(ensemble.members[0].probabilities(inputs), by_mllib, atol=1e-6)

    assert train(spark, chosen).version == model.version
    assert registry.versions(root) == [model.version]


def test_a_damaged_version_is_not_taken_again(spark: SparkSession, chosen: Settings) -> None:
    made(spark, chosen, 24, genres=[None] * 24)
    model = train(spark, chosen)
    vectors = model.folder / "index" / "vectors.npy"
    vectors.write_bytes(vectors.read_bytes()[:-100])
    again = train(spark, chosen)
    assert again.version != model.version and len(again.index) == 24
    assert registry.latest(chosen.models.root) == again == train(spark, chosen)


def test_recordings_are_found_stored_and_published(spark: SparkSession, chosen: Settings) -> None:
    rng = np.random.default_rng(3)
    vectors = rng.normal(0, 1, (30, N_FEATURES))
    vectors[21] = vectors[4] + rng.normal(0, 0.05, N_FEATURES)
    titles = ["Waltz", *(f"Song {row}" for row in range(1, 29)), "WALTZ!"]
    artists = ["Ana", *(f"artist {row}" for row in range(1, 29)), "ana"]
    lengths = [200.0, *(100.0 + 7 * row for row in range(1, 29)), 201.0]
    made(spark, chosen, 30, vectors=vectors, artists=artists, genres=[None] * 30, titles=titles, lengths=lengths)
    model = train(spark, chosen)
    index = model.index
    assert index.recordings.tolist() == [*range(21), 4, *range(22, 29), 0]
    assert index.durations[[0, 29]].tolist() == [200.0, 201.0] and index.title_keys[0] == index.title_keys[29] != 0
    assert model.manifest["recordings"] == 28 and "2 tracks are further copies" in summary(model)
    recording_of = {row.track_id: row.recording for row in published(spark, chosen, model).collect()}
    assert (recording_of["t21"], recording_of["t29"], recording_of["t05"]) == ("t04", "t00", "t05")
    similar = {
        row.track_id: [item.track_id for item in row.similar]
        for row in spark.read.parquet(model.parquet("similar")).collect()
    }
    assert all(len(ids) == 27 for ids in similar.values()), "one of each of the 27 other recordings"
    assert not {"t04", "t21"} & {*similar["t04"], *similar["t21"]}
    assert all(len({recording_of[track_id] for track_id in ids}) == 27 for ids in similar.values())
    assert index.stored_neighbours.shape == (30, 29), "the index has all of them"
    without = published(spark, chosen, None).where("track_id = 't21'").collect()[0]
    assert without["recording"] is None


def test_a_library_that_is_heard_has_a_model_on_both_blocks(
    spark: SparkSession, chosen: Settings, few_networks: None
) -> None:
    rng = np.random.default_rng(8)
    vectors = rng.normal(0, 1, (120, N_FEATURES))
    embeddings = rng.normal(0, 1, (2, 200))[np.arange(120) % 2] * 3 + rng.normal(0, 1, (120, 200))
    heard: list[list[float] | None] = np.float32(embeddings).tolist()
    heard[7] = None  # one in 120 failed
    made(spark, chosen, 120, vectors=vectors, embeddings=heard)
    model = train(spark, chosen)
    manifest = model.manifest
    assert manifest["extractor_version"] == f"mfcc20-contrast7/1+{EAR_VERSION}"
    assert (manifest["ear"], manifest["dimensions"], manifest["imputed"]) == (EAR_VERSION, 389, ["t07"])
    assert manifest["parameters"]["blocks"].keys() == {"timbre", "ear"} and manifest["parameters"]["blocks"]["ear"] > 0
    assert "1 tracks have no embedding" in summary(model) and "timbre" in summary(model)
    index = model.index
    present = [row for row in range(120) if row != 7]
    mean = np.float32(embeddings)[present].mean(axis=0)
    assert index.projection.mean[N_FEATURES:] == pytest.approx(mean, abs=1e-5), "imputed rows leave the mean as it is"
    rows = np.hstack([vectors, np.where((np.arange(120) == 7)[:, None], mean, embeddings)]).astype(np.float32)
    ids = [f"t{row:02d}" for row in range(120)]
    np.testing.assert_allclose(index.vectors[index.rows_of(ids)], index.projection.points(rows), atol=1e-5)
    ((neighbours, _),) = index.similar(index.rows_of(["t00"]), 5)
    assert {int(str(index.ids[row])[1:]) % 2 for row in neighbours} == {0}, "the vectors say nothing, the embeddings do"
    document = published(spark, chosen, model).where("track_id = 't00'").collect()[0]
    assert document["embedding"] == pytest.approx(np.float32(embeddings[0]).tolist())
    assert Ensemble.open(model.folder / "genre.npz").inputs.mean.shape == (389,)
    assert train(spark, chosen) == model


def test_words_are_stored_with_the_model_and_published_for_tracks_added_since_too(
    spark: SparkSession, chosen: Settings
) -> None:
    n = 44
    tags = np.full((n, 50), 0.001)
    tags[:, TAG_NAMES.index("Mellow")] = np.linspace(0, 0.3, n)
    tags[:, TAG_NAMES.index("female vocalist")] = np.linspace(0.3, 0, n)
    embeddings = np.random.default_rng(5).normal(0, 1, (n, 200)).tolist()
    library, larger = chosen.model_copy(update={"lake": Lake(root=f"{chosen.lake.root}-40")}), chosen
    for settings_of_library, tracks in ((library, 40), (larger, n)):
        made(spark, settings_of_library, tracks, genres=[None] * n, embeddings=embeddings, tags=tags.tolist())
    model = train(spark, library)
    mellow = model.index.tags[:, model.index.tag_names.tolist().index("mellow")]
    assert mellow[:3].tolist() == [0, 0, 5] and mellow[-3:].tolist() == [94, 97, 100]
    words = {
        row.track_id: [(each.tag, each.percentile) for each in row.tags or ()]
        for row in published(spark, larger, model).collect()
    }
    assert words["t39"] == [("mellow", 100)] and words["t20"] == [] and words["t00"] == [("female vocalists", 100)]
    assert words["t43"] == [("mellow", 100)], "it came after the training"
    assert train(spark, library).version == model.version
    assert published(spark, larger, None).where("tags IS NOT NULL").count() == 0


def test_an_upgraded_library_keeps_its_model_until_all_have_been_heard_and_then_gets_one_new_one(
    spark: SparkSession, chosen: Settings
) -> None:
    rng = np.random.default_rng(9)
    made(spark, chosen, 24, genres=[None] * 24, embeddings=rng.normal(0, 1, (24, 200)).tolist())
    location = chosen.lake.table("features")
    whole = [row.asDict() for row in spark.read.format("delta").load(location).orderBy("track_id").collect()]
    unheard = {"extractor_version": EXTRACTOR_VERSION, "embedding": None, "tags": None}

    def trained_with(heard: int, ear: str = EAR_VERSION) -> registry.Model:
        """The model when this ear has heard so many tracks, and `ear` the others; where it is this one, none has."""
        other = unheard if ear == EAR_VERSION else {"extractor_version": extractor_version(ear=ear)}
        rows = [row if number < heard else row | other for number, row in enumerate(whole)]
        frame = spark.createDataFrame([tuple(row[name] for name in FEATURES.names) for row in rows], FEATURES).coalesce(
            1
        )
        frame.write.format("delta").mode("overwrite").save(location)
        return train(spark, chosen)

    old = trained_with(0)
    assert (old.manifest["extractor_version"], old.manifest["ear"]) == ("mfcc20-contrast7/1", None)
    assert (old.manifest["dimensions"], old.manifest["imputed"]) == (N_FEATURES, [])
    assert trained_with(12).version == old.version, "half of them have been heard"
    assert trained_with(12, "musicnn-msd/1").version == old.version, "half of them by an earlier ear"
    new = trained_with(24)
    assert new.version != old.version and (new.manifest["ear"], new.manifest["dimensions"]) == (EAR_VERSION, 389)
    assert train(spark, chosen).version == new.version


def test_a_library_larger_than_the_sample_is_fitted_on_the_sample_and_made_on_executors(
    spark: SparkSession, chosen: Settings, monkeypatch: pytest.MonkeyPatch, few_networks: None
) -> None:
    n, sampled = 90, 60
    rng = np.random.default_rng(3)
    vectors = rng.normal(0, 3, (2, N_FEATURES))[np.arange(n) % 2] + rng.normal(0, 1, (n, N_FEATURES))
    vectors[71] = vectors[4] + rng.normal(0, 0.02, N_FEATURES)
    embeddings: list[Any] = rng.normal(0, 1, (n, 200)).tolist()
    embeddings[71], embeddings[30] = embeddings[4], None
    made(spark, chosen, n, vectors=vectors, embeddings=embeddings, tags=rng.uniform(0, 0.3, (n, 50)).tolist())
    monkeypatch.setattr(library, "FITTED_TRACKS", sampled)
    monkeypatch.setattr(fit_index, "MAX_TRACKS_ON_DRIVER", 10)
    monkeypatch.setattr(genre_mlp, "MAX_EXAMPLES_IN_ONE_TASK", 10)
    monkeypatch.setattr(genre_mlp, "ROWS_A_FILE", 16)
    folders = []

    def noted(folder: str, table: pa.Table, rows: int) -> None:
        folders.append(folder)
        write_parts(folder, table, rows)

    monkeypatch.setattr(genre_mlp, "write_parts", noted)
    model = train(spark, chosen)
    assert folders and all(f"/.{model.version}.part/examples/" in folder for folder in folders)
    assert not model.has("examples")
    index, manifest = model.index, model.manifest
    assert (manifest["tracks"], manifest["fitted_on"], manifest["imputed"]) == (n, sampled, ["t30"])
    assert "fitted on a sample of 60 tracks" in summary(model)
    assert index.ids.tolist() == [f"t{row:02d}" for row in range(n)]
    mean = np.mean([embedding for embedding in embeddings if embedding is not None], axis=0)
    rows = [[*vector, *(mean if row == 30 else embeddings[row])] for row, vector in enumerate(vectors)]
    np.testing.assert_allclose(index.vectors, index.projection.points(np.array(rows, dtype=np.float32)), atol=1e-5)
    tables = HashTables.build(np.asarray(index.vectors), index.projection)
    np.testing.assert_array_equal(index.tables.keys, tables.keys)
    np.testing.assert_array_equal(index.tables.rows, tables.rows)
    np.testing.assert_array_equal(index.sketches, index.projection.stored_sketch(np.asarray(index.vectors)))
    scales = positive_scales(local_scales(index, np.asarray(index.vectors)))
    np.testing.assert_allclose(index.scales, scales, rtol=1e-5)
    assert index.stored_neighbours.tolist() == [row[:60].tolist() for row, _ in index.similar(np.arange(n), 89)]
    assert index.recordings.tolist() == recording_codes(index).tolist() and index.recordings[71] == 4
    assert index.title_keys.tolist() == title_keys([f"artist {row % 6}" for row in range(n)], ["Track"] * n).tolist()
    assert index.tags.shape == (n, 40) and not index.tags[30].any() and index.tags.max() == 100
    assert 0.8 < manifest["metrics"]["recall_at_20"] <= 1
    exact = [set(row[:20]) for row in exact_neighbours(np.asarray(index.vectors), np.asarray(index.vectors), 20)]
    answers = [len(exact[row] & set(near)) for row, (near, _) in enumerate(index.neighbours(index.vectors[:], 20))]
    assert np.mean(answers) > 16, "the hash tables are tuned for the neighbours among all tracks"
    for part in ("similar", "map", "genre_posterior"):
        rows_of_part = spark.read.parquet(model.parquet(part)).collect()
        assert sorted(row.track_id for row in rows_of_part) == index.ids.tolist(), part
    places = np.array(
        [(row.x, row.y) for row in spark.read.parquet(model.parquet("map")).orderBy("track_id").collect()]
    )
    assert (np.abs(places) <= 1).all() and len(np.unique(places, axis=0)) > 80
    assert not list(model.folder.glob("projected*")) and not list(model.folder.glob("rankings*"))
    assert train(spark, chosen).version == model.version


def test_one_track_is_too_few(spark: SparkSession, chosen: Settings) -> None:
    made(spark, chosen, 1)
    with pytest.raises(TooFewTracks, match="1 track with features, a model needs at least 2"):
        train(spark, chosen)
    with pytest.raises(registry.ModelNotFound):
        registry.latest(chosen.models.root)


def test_missing_features_are_reported_with_the_next_step(spark: SparkSession, chosen: Settings) -> None:
    with pytest.raises(NoFeatures, match=r"no features in .*extract\.py first"):
        train(spark, chosen)


def test_equal_tracks_without_tags_have_a_model_and_what_is_not_finite_is_left_out(
    spark: SparkSession, chosen: Settings
) -> None:
    vectors: list[Any] = list(np.zeros((14, N_FEATURES)))
    vectors[3][5] = np.nan
    vectors[4][:] = np.inf
    vectors[12], vectors[13] = None, np.full(N_FEATURES, 3e38)
    made(spark, chosen, 14, vectors=vectors, artists=[None] * 14, genres=["Folk"] * 13 + ["Techno"])
    model = train(spark, chosen)
    assert model.manifest["left_out"] == ["t03", "t04", "t12", "t13"] and model.manifest["tracks"] == 10
    assert "4 tracks left out" in summary(model)
    assert (model.manifest["genres"], model.manifest["parameters"]["metric"]) == ([], "plain")
    ((neighbours, scores),) = model.index.similar(np.array([0]), 50)
    assert len(neighbours) == 9 and scores.tolist() == [1.0] * 9, "fewer tracks than asked for are all there are"
    lists = {row.track_id: len(row.similar) for row in spark.read.parquet(model.parquet("similar")).collect()}
    assert model.index.stored_neighbours.shape == (10, 9) and model.manifest["recordings"] == 1
    assert set(lists.values()) == {0} and len(lists) == 10, "all are one recording"


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.full((3, N_FEATURES), np.nan), "features of 3 tracks, none of them finite"),
        ([None] * 3, "features of 3 tracks, none of them finite"),
        ([[1.0] * N_FEATURES, [1.0] * 140, [2.0] * 140], r"of one length, got \[140, 189\]"),
    ],
)
def test_unusable_features_are_refused(spark: SparkSession, chosen: Settings, vectors: Any, message: str) -> None:
    made(spark, chosen, 3, vectors=vectors)
    with pytest.raises(NoFeatures, match=message):
        train(spark, chosen)


def test_tuning_saves_its_sweep_and_later_trainings_use_its_result(
    spark: SparkSession, chosen: Settings, monkeypatch: pytest.MonkeyPatch, few_networks: None
) -> None:
    tried_parameters = [
        HashParameters(4, 8, 8),
        HashParameters(8, 16, 16, probes=1),
        HashParameters(6, 16, 16, bucket_limit=4),
    ]
    monkeypatch.setattr(sweep, "parameter_grid", lambda tracks: tried_parameters)
    monkeypatch.setattr(
        genre_mlp,
        "TUNING_GRID",
        [genre_mlp.Hyperparameters(8, 20, 16, 0.5, 10), genre_mlp.Hyperparameters(16, 20, 16, 0.5, 10)],
    )
    made(spark, chosen, 40)
    plain = train(spark, chosen)
    monkeypatch.setattr(fit_index, "MAX_TRACKS_ON_DRIVER", 10)
    tuned = train(spark, chosen, tune=True)
    scales = positive_scales(local_scales(tuned.index, np.asarray(tuned.index.vectors)))
    np.testing.assert_allclose(tuned.index.scales, scales, rtol=1e-5, err_msg="the same by Spark as on the driver")
    assert tuned.version != plain.version and tuned.manifest["tuned"]
    rows = spark.read.parquet(tuned.parquet("sweep.parquet")).collect()
    assert len(rows) > 20, "every bucket length that was tried"
    assert {(row.hashes, row.bands, row.probes) for row in rows} == {(4, 8, 0), (8, 16, 1), (6, 16, 0)}
    assert all(0 < row.recall <= 1 and 0 <= row.candidates <= 1 for row in rows)
    parameters = tuned.manifest["parameters"]
    assert HashParameters.from_document(parameters) in tried_parameters
    assert (tuned.folder / "sweep.png").read_bytes()[:4] == b"\x89PNG" and not (tuned.folder / "points.npy").exists()
    assert spark.read.parquet(tuned.parquet("genre_tuning")).count() == 2
    assert tuned.manifest["metrics"]["genre"]["shape_shares_tracks"] and "slightly optimistic" in summary(tuned)
    earlier = sweep.last_tuned(chosen.models.root, (40, N_FEATURES))
    assert earlier.hash_parameters in tried_parameters and earlier.hyperparameters in genre_mlp.TUNING_GRID
    assert earlier.chosen_on == genre_mlp.SHARED_TRACKS
    assert sweep.last_tuned(chosen.models.root, (4000, N_FEATURES)) == sweep.Tuned(default_parameters(4000))
    assert train(spark, chosen).version == tuned.version, "the newest version of these features counts"


def test_one_artist_is_too_few_to_measure_genres_and_a_placeholder_tag_is_predicted(
    spark: SparkSession, chosen: Settings, monkeypatch: pytest.MonkeyPatch, few_networks: None
) -> None:
    monkeypatch.setattr(sweep, "parameter_grid", lambda tracks: [HashParameters(4, 8, 8)])
    genres = ["Unknown", *(("folk", "Techno", "Folk", "Techno") * 6)[1:24]]
    made(spark, chosen, 24, artists=["Ana"] * 24, genres=genres)
    model = train(spark, chosen, tune=True)
    assert model.manifest["genres"] == ["Folk", "Techno"] and model.manifest["metrics"]["genre"] is None
    assert model.manifest["parameters"]["genre_chosen_on"] is None, "the default hyperparameters"
    assert "too few artists to measure" in summary(model)
    genre_of = {row.track_id: (row.genre, row.genre_predicted) for row in published(spark, chosen, model).collect()}
    assert (genre_of["t00"], genre_of["t04"]) == (("Folk", True), ("folk", False))


def test_two_extractor_versions_are_refused_with_what_to_choose() -> None:
    with pytest.raises(NoFeatures, match=r"2 extractor versions \(a, b\).*OVERTONE_LIBRARY__ROOT.*OVERTONE_HOME"):
        single_extractor(["b", "a"])


def test_similar_tracks_are_those_that_are_present(spark: SparkSession) -> None:
    lists = {"a": ["b", "c"], "b": ["c", "a"], "c": ["a", "b"], "d": []}
    rows = [(track_id, [(each, 0.5) for each in similar]) for track_id, similar in lists.items()]
    similar = spark.createDataFrame(rows, SIMILAR_SCHEMA)
    assert of_present_tracks(similar, ["a", "b", "c", "d", "new"]) is similar
    present = {
        row.track_id: [item.track_id for item in row.similar] for row in of_present_tracks(similar, "abd").collect()
    }
    assert present == {"a": ["b"], "b": ["a"], "d": []}
