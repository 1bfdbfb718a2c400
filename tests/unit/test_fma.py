"""FMA's metadata in its published layout: two header rows and an index row, torn cells and foreign bytes included."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch.fma import metadata, published_features

GENRES = "genre_id,#tracks,parent,title,top_level\n21,10,0,Hip-Hop,21\n12,20,0,Rock,12\n"
HEADER = (
    ",album,album,artist,set,set,track,track,track,track,track,track,track,track,track\n"
    ",title,date_released,name,split,subset,composer,date_recorded,duration,genre_top,genres,license,listens,number,title\n"
    "track_id,,,,,,,,,,,,,,\n"
)
ROWS = (
    "2,A Way Of Life,2009-01-05 00:00:00,AWOL,training,small,,2008-11-26 00:00:00,168,Hip-Hop,[21],CC BY-NC-SA,1293,3,Food\n"
    '3,"Two\nlines",,"A ""quoted"" name",test,large,,,-1,,"[12, 21, 99]",,-1,-1,None\n'
    "4,torn,row\n"
    "five,,,,,,,,,,,,,,\n"
)


def folder(tmp_path: Path, tracks: str = HEADER + ROWS, genres: str = GENRES) -> Path:
    (tmp_path / "tracks.csv").write_bytes(tracks.encode() + b"6,,,\xff\xfe name,,,,,,,,,,,\n")
    (tmp_path / "genres.csv").write_text(genres)
    return tmp_path


def test_a_track_is_told_by_its_number(tmp_path: Path) -> None:
    fma = metadata.metadata(folder(tmp_path))
    assert fma.id_and_tags("/fma_small/000/000002.mp3") == (
        "2",
        {
            "title": "Food",
            "artist": "AWOL",
            "album": "A Way Of Life",
            "genre": "Hip-Hop",
            "genres": ("Hip-Hop",),
            "artists": ("AWOL",),
            "genre_tags": ("Hip-Hop",),
            "licence": "CC BY-NC-SA",
            "split": "training",
            "subset": "small",
            "track_number": 3,
            "listens": 1293,
            "year": 2008,
        },
    )
    assert fma.durations_s == {2: 168.0}


def test_cells_with_line_breaks_quotes_and_foreign_bytes_are_read_and_what_is_missing_is_left_out(
    tmp_path: Path,
) -> None:
    fma = metadata.metadata(folder(tmp_path))
    expected = {
        "title": "None",
        "artist": 'A "quoted" name',
        "album": "Two lines",
        "genres": ("Rock", "Hip-Hop"),
        "artists": ('A "quoted" name',),
        "split": "test",
        "subset": "large",
    }
    assert fma.id_and_tags("000/000003.mp3") == ("3", expected)
    assert fma.id_and_tags("s3://bucket/000/000006.mp3") == (
        "6",
        {"artist": "\ufffd\ufffd name", "artists": ("\ufffd\ufffd name",)},
    )


def test_other_files_are_none_of_fmas(tmp_path: Path) -> None:
    fma = metadata.metadata(folder(tmp_path))
    for path in ("/000/2.mp3", "/music/000002.mp3", "/001/000002.mp3", "/000/a000002.mp3", "/000/000002/song.mp3"):
        assert fma.id_and_tags(path) == (None, {})


def test_torn_rows_are_counted_and_their_clips_keep_their_numbers(tmp_path: Path) -> None:
    fma = metadata.metadata(folder(tmp_path))
    assert fma.malformed_rows == 2
    assert fma.id_and_tags("/fma_small/000/000004.mp3") == ("4", {})


@pytest.mark.parametrize(
    ("tracks", "genres", "message"),
    [
        ("a,b\nc,d\n1,2\n", GENRES, r"no column track.title, artist.name"),
        ("", GENRES, r"no column track.title"),
        (HEADER, "number,name\n", r"genres.csv has the columns number, name, expected genre_id"),
    ],
)
def test_another_layout_is_told(tracks: str, genres: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(metadata.NotFMA, match=message):
        metadata.metadata(folder(tmp_path, tracks, genres))


def test_a_folder_without_metadata_is_told(tmp_path: Path) -> None:
    with pytest.raises(metadata.NotFMA, match=r"genres.csv cannot be read .* batch/download_fma.py"):
        metadata.metadata(tmp_path)


def features_csv(
    path: Path, rows: dict[int, list[str]], statistics: tuple[str, ...] = ("kurtosis", "max", "mean")
) -> Path:
    """A table in FMA's layout: another block first, then the MFCCs of these statistics."""
    others = tuple(name for name in ("median", "min", "skew", "std"))
    columns = [("chroma_cens", "mean", "01")]
    columns += [("mfcc", name, f"{number:02}") for name in (*statistics, *others) for number in range(1, 21)]
    levels = zip(("feature", "statistics", "number"), zip(*columns, strict=True), strict=True)
    lines = [",".join((title, *level)) for title, level in levels]
    lines += ["track_id" + "," * len(columns), *(",".join([str(number), *row]) for number, row in rows.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_published_features_stand_in_our_order(tmp_path: Path) -> None:
    row = ["9.0", *(f"{value}.5" for value in range(140))]
    path = features_csv(folder(tmp_path) / "features.csv", {2: row, 3: [""] * 141})
    published = published_features.read(str(path), None)
    assert (published.library, published.ids, published.vectors.shape) == (str(path.resolve()), ["2", "3"], (2, 140))
    # the file has kurtosis, max, mean, median, min, skew, std; we have mean, std, skew, kurtosis, median, min, max
    first_of_each = [float(value) for value in published.vectors[0, ::20]]
    assert first_of_each == [40.5, 120.5, 100.5, 0.5, 60.5, 80.5, 20.5]
    assert published.metadata is not None and published.metadata.tags[2]["title"] == "Food"


def test_other_tables_are_not_fmas_features(tmp_path: Path) -> None:
    path = tmp_path / "features.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(
        metadata.NotFMA, match=r"its rows begin with a, 1; expected feature, statistics, number, track_id"
    ):
        published_features.read(str(path), None)
    with pytest.raises(metadata.NotFMA, match=r"20 columns missing, the first is mfcc.mean.01"):
        published_features.read(str(features_csv(path, {2: ["1"] * 121}, ("kurtosis", "max"))), None)
    with pytest.raises(metadata.NotFMA, match=r"2 rows and 1 track ids|not FMA's features.csv"):
        path.write_text(features_csv(path, {2: ["1.0"] * 141}).read_text() + ",".join(["2", *["1.0"] * 141]) + "\n")
        published_features.read(str(path), None)
    with pytest.raises(metadata.NotFMA, match="word"):
        published_features.read(str(features_csv(path, {2: ["word"] * 141})), None)
    with pytest.raises(metadata.NotFMA, match="without a track id, or with one below 0"):
        published_features.read(str(features_csv(path, {-2: ["1.0"] * 141})), None)


def test_a_torn_row_of_features_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    path = features_csv(tmp_path / "features.csv", {2: ["1.0"] * 141, 3: ["1.0"] * 7, 5: ["2.0"] * 141})
    published = published_features.read(str(path), None)
    assert (published.ids, published.malformed_ids) == (["2", "5"], ("3",))
