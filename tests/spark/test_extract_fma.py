"""FMA's clips with its metadata, and its published features without any clip."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from batch.extract import LibraryScan, extract
from batch.fma import metadata as fma
from batch.fma import published_features
from batch.lake import version
from batch.library.listing import library_files
from conf.settings import Lake, settings

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from mutated_files import whole_file  # noqa: E402

GENRES = "genre_id,#tracks,parent,title,top_level\n21,10,0,Hip-Hop,21\n"
HEADER = (
    ",album,album,artist,set,set,track,track,track,track,track,track,track,track,track\n"
    ",title,date_released,name,split,subset,composer,date_recorded,duration,genre_top,genres,license,listens,number,title\n"
    "track_id,,,,,,,,,,,,,,\n"
)


def metadata(folder: Path, listens: int = 1293) -> Path:
    folder.mkdir(exist_ok=True)
    row = f"2,A Way Of Life,,AWOL,training,small,,,168,Hip-Hop,[21],CC BY,{listens},3,Food\n"
    (folder / "tracks.csv").write_text(HEADER + row + "5,,,AWOL,test,large,,,,,,,-1,,This World\n")
    (folder / "genres.csv").write_text(GENRES)
    return folder


def rows(spark: SparkSession, lake: Lake, name: str, *columns: str) -> list[tuple[object, ...]]:
    return sorted(map(tuple, spark.read.format("delta").load(lake.table(name)).select(*columns).collect()))


def test_a_clip_has_its_number_and_what_fma_says_of_it(spark: SparkSession, tmp_path: Path) -> None:
    music, metadata_folder = tmp_path / "fma_small", metadata(tmp_path / "metadata")
    (music / "000").mkdir(parents=True)
    whole_file(music / "000" / "000002.mp3", 2)
    whole_file(music / "000" / "000005.mp3", 5)
    whole_file(music / "another.mp3", 7)
    chosen = settings(lake=Lake(root=str(tmp_path / "lake")))

    def run() -> str:
        return str(extract(spark, LibraryScan(*library_files(str(music)), fma.metadata(metadata_folder)), chosen))

    assert run() == "3 extracted, 0 unchanged, 0 rejected"
    columns = ("title", "track_id", "artist", "genre", "genres", "split", "subset", "licence", "listens")
    tracks = rows(spark, chosen.lake, "tracks", *columns)
    other = tracks.pop()
    assert tracks == [
        ("Food", "2", "AWOL", "Hip-Hop", ["Hip-Hop"], "training", "small", "CC BY", 1293),
        ("This World", "5", "AWOL", None, None, "test", "large", None, None),
    ]
    assert other[0] == "another" and len(str(other[1])) == 16

    # What FMA says later is taken over without reading a clip again; saying the same writes nothing.
    metadata(metadata_folder, listens=2000)
    assert run() == "0 extracted, 3 unchanged, 0 rejected"
    assert rows(spark, chosen.lake, "tracks", "track_id", "listens")[0] == ("2", 2000)
    before = version(spark, chosen.lake.table("tracks"))
    assert run() == "0 extracted, 3 unchanged, 0 rejected"
    assert version(spark, chosen.lake.table("tracks")) == before


def features_csv(path: Path, vectors: dict[int, np.ndarray | None]) -> Path:
    names = ("kurtosis", "max", "mean", "median", "min", "skew", "std")
    pairs = [(name, f"{number:02}") for name in names for number in range(1, 21)]
    lines = ["feature" + ",mfcc" * 140, "statistics," + ",".join(name for name, _ in pairs)]
    lines += ["number," + ",".join(number for _, number in pairs), "track_id" + "," * 140]
    for track_id, vector in vectors.items():
        cells = [""] * 140 if vector is None else [f"{value:.6f}" for value in vector]
        lines.append(",".join([str(track_id), *cells]))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_published_features_are_tracks_without_audio(spark: SparkSession, tmp_path: Path) -> None:
    lake, folder = Lake(root=str(tmp_path / "lake")), metadata(tmp_path / "metadata")
    random = np.random.default_rng(0)
    vectors: dict[int, np.ndarray | None] = {2: random.normal(size=140), 5: random.normal(size=140), 7: None}

    def run() -> str:
        published = published_features.read(str(features_csv(folder / "features.csv", vectors)), None)
        return str(published_features.update_tables(spark, published, lake))

    assert run() == "2 extracted, 0 unchanged, 1 rejected"
    library = str(folder.resolve() / "features.csv")
    assert rows(spark, lake, "tracks", "track_id", "title", "path", "duration_s", "library") == [
        ("2", "Food", None, 168.0, library),
        ("5", "This World", None, None, library),
    ]
    stored = dict(rows(spark, lake, "features", "track_id", "vector"))
    np.testing.assert_allclose(stored["2"][:20], vectors[2][40:60], atol=1e-5)  # the means come first
    assert rows(spark, lake, "rejected_tracks", "path", "reason") == [(f"{library}#7", "no features")]

    tables = ("tracks", "features", "rejected_tracks")
    before = [version(spark, lake.table(name)) for name in tables]
    assert run() == "0 extracted, 2 unchanged, 1 rejected"
    assert [version(spark, lake.table(name)) for name in tables] == before

    vectors = {2: vectors[2], 7: random.normal(size=140)}
    assert run() == "1 extracted, 1 unchanged, 0 rejected, 1 gone"
    assert rows(spark, lake, "rejected_tracks", "path") == []

    other = features_csv(metadata(tmp_path / "other") / "features.csv", {2: random.normal(size=140)})
    with pytest.raises(ValueError, match=r"1 track ids of .* belong to .* choose another OVERTONE_HOME"):
        published_features.update_tables(spark, published_features.read(str(other), None), lake)
