"""A library in an S3 bucket: a real S3 protocol, a server on this machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from pyarrow import fs

from batch.library.extraction import _worker, outcome
from batch.library.files import AudioFile, EmptyLibrary, LibraryNotFound, library_name
from batch.library.listing import library_files
from batch.library.object_store import LocalCopy
from batch.storage import objects, parquet


def put(store: fs.S3FileSystem, name: str, content: bytes) -> None:
    with store.open_output_stream(f"music/{name}") as out:
        out.write(content)


def song(folder: Path) -> bytes:
    tone = 0.3 * np.sin(np.arange(2 * 22_050) * 0.05).astype(np.float32)
    soundfile.write(folder / "song.flac", tone, 22_050)
    return (folder / "song.flac").read_bytes()


def test_a_bucket_is_listed_and_its_songs_are_read(bucket: fs.S3FileSystem, tmp_path: Path) -> None:
    put(bucket, "Ana/First/Ein Lied ü.flac", song(tmp_path))
    put(bucket, ".trash/old.flac", b"x")
    put(bucket, "cover.jpg", b"x")
    for uri in ("s3://music", "s3a://music/", "s3://music/Ana"):
        library, files, unusable = library_files(uri)
        root = uri.rstrip("/")
        inside = "First" if root.endswith("Ana") else "Ana/First"
        assert library == library_name(uri) == root
        assert [file.path for file in files] == [f"{root}/{inside}/Ein Lied ü.flac"]
        assert files[0].size == len(song(tmp_path)) and files[0].mtime_ns > 0 and unusable == []

    file = library_files("s3://music")[1][0]
    _worker.cache_clear()  # a reading process that another test started has no credentials
    row = outcome(asdict(file) | {"sha256": None}, "s3://music", {}, 30.0)
    assert (row["title"], row["artist"], row["album"], row["reason"]) == ("Ein Lied ü", "Ana", "First", None)
    assert row["duration_s"] == pytest.approx(2.0) and len(row["vector"]) == 189
    gone = {"path": "s3://music/gone.flac", "size": 1, "mtime_ns": 1, "ctime_ns": None, "sha256": None}
    missing = outcome(gone, "s3://music", {}, 30.0)
    assert missing["reason"] == "unreadable"


def test_a_worker_that_cannot_open_the_store_blames_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its configuration does not say where HDFS is: the task fails, and no track is rejected."""
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
    _worker.cache_clear()
    file = {"path": "hdfs:///music/song.flac", "size": 1, "mtime_ns": 1, "ctime_ns": None, "sha256": None}
    with pytest.raises(LibraryNotFound, match="No fs.defaultFS setting found"):
        outcome(file, "hdfs:///music", {}, 30.0)
    _worker.cache_clear()


def test_only_the_last_copy_is_kept(bucket: fs.S3FileSystem) -> None:
    put(bucket, "a.mp3", b"one")
    put(bucket, "b.mp3", b"two")
    copy = LocalCopy()
    first = copy.fetch("s3://music/a.mp3")
    assert first.read_bytes() == b"one" and copy.fetch("s3://music/a.mp3") == first
    second = copy.fetch("s3://music/b.mp3")
    assert second.read_bytes() == b"two" and not first.exists()
    copy.remove()
    assert not second.exists()


def test_what_cannot_be_listed_is_told(bucket: fs.S3FileSystem) -> None:
    with pytest.raises(LibraryNotFound, match="s3://nothing/here"):
        library_files("s3://nothing/here")
    with pytest.raises(EmptyLibrary, match="no audio below s3://empty"):
        library_files("s3://empty")
    with pytest.raises(LibraryNotFound, match="ftp://host/music: unknown scheme"):
        library_files("ftp://host/music")


def test_a_file_uri_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "mü sic").mkdir()
    (tmp_path / "mü sic" / "a.mp3").write_bytes(b"x")
    library, files, _ = library_files(f"file://{tmp_path}/m%C3%BC%20sic")
    assert library == str((tmp_path / "mü sic").resolve())
    assert isinstance(files[0], AudioFile) and files[0].path == f"{library}/a.mp3"


def test_a_password_in_the_uri_is_refused_and_not_shown() -> None:
    with pytest.raises(LibraryNotFound, match="credentials belong in the environment") as caught:
        library_files("s3://KEY:SECRET@bucket/music")
    assert "SECRET" not in str(caught.value) and "KEY" not in str(caught.value)


@pytest.mark.parametrize("is_in_store", [False, True], ids=["folder", "store"])
def test_a_table_in_parts_is_read_back_a_few_rows_at_a_time(
    bucket: fs.S3FileSystem, is_in_store: bool, tmp_path: Path
) -> None:
    location = "s3a://music/examples" if is_in_store else str(tmp_path / "examples")
    table = pa.table({"inputs": [[0.5, 1.0], [1.5, 2.0], [2.5, 3.0]], "label": [0.0, 1.0, 0.0]})
    parquet.write_parts(location, table, rows=2)
    assert objects.names(location) == ["part-00000.parquet", "part-00001.parquet"]
    batches = list(parquet.record_batches(location))
    assert [len(batch) for batch in batches] == [2, 1] and pa.Table.from_batches(batches) == table
