"""Lake, models and checkpoints by URI: a real S3 protocol, a server on this machine, and nodes that share nothing else."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from batch import registry
from batch.growth import append, remove
from batch.index.building import build_index, with_local_scales
from batch.index.lsh import Index
from batch.index.segments import MAX_SEGMENTS, OtherState
from batch.index.storage import IndexUnreadable
from batch.index.tuning import HashParameters, random_projection
from batch.storage import lease, locations, objects
from batch.storage.locations import StorageUnusable
from batch.storage.spark import s3_options
from batch.versions import remote_index
from batch.versions.remote_index import CacheUnusable, RemoteIndex, local_folder, updating
from conf.settings import Lake
from streaming import ledger
from streaming.operations import query_job
from streaming.operations.served_model import ServedModel
from streaming.serving.clients import index_of

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
D = 8
VECTORS = np.random.default_rng(1).normal(0, 1, (60, D)).astype(np.float32)
IDS = [f"t{row:03d}" for row in range(60)]


class Nodes:
    """Machines with temporary files of their own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder, self._monkeypatch = folder, monkeypatch

    def on(self, name: str) -> Path:
        """Goes on as that machine; returns the folder of its copies."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        self._monkeypatch.setattr("tempfile.tempdir", str(folder))
        return remote_index.cache_folder()


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nodes:
    nodes = Nodes(tmp_path, monkeypatch)
    nodes.on("driver")
    return nodes


@pytest.fixture
def root(bucket: fs.S3FileSystem, request: pytest.FixtureRequest) -> str:
    return f"s3a://music/{request.node.name}/models"


def saved_index(folder: Path, vectors: np.ndarray = VECTORS) -> None:
    projection = random_projection(HashParameters(2, 8), np.eye(D, dtype=np.float32), 2.0, seed=2)
    with_local_scales(build_index(IDS, vectors, ["Ana"] * len(IDS), projection)).save(folder)


def trained(root: str, now: datetime = NOON, vectors: np.ndarray = VECTORS) -> registry.Model:
    """A version with an index and a Parquet part, as a training writes them."""
    with registry.new_version(root, now) as new:
        saved_index(new.folder / "index", vectors)
        new.shared_index()
        store, path = locations.open_store(f"{new.location}/similar")
        store.create_dir(path)
        pq.write_table(pa.table({"track_id": IDS}), f"{path}/part-0.parquet", filesystem=store)
        registry.write_manifest(new.folder, {"tracks": len(IDS), "genres": [], "fingerprint": now.isoformat()})
    return registry.load(root, new.version)


def test_a_version_in_a_store_is_as_one_in_a_folder(root: str, nodes: Nodes, tmp_path: Path) -> None:
    in_folder, in_store = trained(str(tmp_path / "models")), trained(root)
    latest = registry.latest(root)
    assert latest == in_store and latest.manifest == in_folder.manifest
    assert registry.versions(root) == registry.versions(str(tmp_path / "models")) == [in_folder.version]
    assert latest.parquet("similar") == f"{root}/{in_store.version}/similar" and latest.has("similar")
    assert not latest.has("genre.npz")
    (batch,) = latest.batches("similar", ["track_id"])
    assert batch["track_id"].to_pylist() == IDS
    nodes.on("worker")
    point = VECTORS[:3] + 0.01
    for (rows, distances), (same_rows, same_distances) in zip(
        in_store.index.neighbours(point, 5), in_folder.index.neighbours(point, 5), strict=True
    ):
        assert rows.tolist() == same_rows.tolist() and distances.tolist() == same_distances.tolist()


def test_a_node_fetches_a_version_once(root: str, nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    place = trained(root).index_place
    assert isinstance(place, RemoteIndex)
    fetched: list[str] = []
    download = objects.download
    monkeypatch.setattr(
        objects, "download", lambda location, file: (fetched.append(location), download(location, file))
    )
    cache = nodes.on("worker")
    folders = {place.local_folder("") for _ in range(3)}
    contents = {file.sha256 for file in place.files}  # equal files are fetched once
    assert len(folders) == 1 and len(set(fetched)) == len(fetched) == len(contents)
    assert folders.pop().is_relative_to(cache)
    nodes.on("other worker")
    place.local_folder("")
    assert len(fetched) == 2 * len(contents)


def test_several_processes_of_a_node_may_fetch_at_once(root: str, nodes: Nodes) -> None:
    place = trained(root).index_place
    nodes.on("worker")
    opened: list[int] = []
    threads = [threading.Thread(target=lambda: opened.append(len(Index.open(local_folder(place))))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [60] * 4


def test_a_node_keeps_the_indexes_used_last(root: str, nodes: Nodes) -> None:
    cache = nodes.on("worker")
    for minutes in range(remote_index.KEPT_INDEXES + 2):
        vectors = VECTORS + np.float32(minutes)
        local_folder(trained(root, NOON + timedelta(minutes=minutes), vectors).index_place)
    assert len(list((cache / "indexes").glob("[0-9a-f]*"))) == remote_index.KEPT_INDEXES
    assert all(content.stat().st_nlink > 1 for content in (cache / "files").iterdir())


def test_a_file_that_is_not_the_manifests_is_refused(root: str, nodes: Nodes) -> None:
    place = trained(root).index_place
    assert isinstance(place, RemoteIndex)
    objects.replace_text(f"{place.location}/ids.npy", "other")
    nodes.on("worker")
    with pytest.raises(IndexUnreadable, match="ids.npy is not what the model's manifest names: checksum"):
        place.local_folder()
    objects.remove(f"{place.location}/ids.npy")
    with pytest.raises(IndexUnreadable, match="ids.npy is missing"):
        place.local_folder()


def test_added_tracks_reach_other_nodes_as_of_a_state(root: str, nodes: Nodes) -> None:
    model = trained(root)
    place = model.index_place
    states = [model.index_state]
    for number in range(2):
        with updating(place) as folder:
            append(folder, [f"new{number}"], VECTORS[number : number + 1] + 0.5, ["Bo"])
        states.append(model.index_state)
    with updating(place) as folder:
        remove(folder, ["t000"])
    states.append(model.index_state)
    assert states == ["", "00000001.npz", "00000002.npz", "00000003.npz"]
    nodes.on("worker")
    rows = [
        (Index.open(local_folder(place, state), state=state).rows_of(["t000", "new0", "new1"]) >= 0).tolist()
        for state in (states[3], states[1], states[0], states[2])
    ]
    assert rows == [[False, True, True], [True, True, False], [True, False, False], [True, True, True]]


def test_a_version_that_is_removed_while_in_use_is_served_from_copies(
    root: str, nodes: Nodes, capsys: pytest.CaptureFixture[str]
) -> None:
    model = trained(root)
    with updating(model.index_place) as folder:
        append(folder, ["new"], VECTORS[:1] + 0.5, ["Bo"])
    served = ServedModel(root, "recommend")
    before = served.current()
    assert before == (model, "00000001.npz")
    nodes.on("worker")
    assert index_of(model.index_place, "00000001.npz").index.rows_of(["new"]).tolist() == [60]
    objects.remove_folder(model.location)

    assert served.current() == served.current() == before, "also with the tracks that were added"
    (line,) = capsys.readouterr().out.splitlines()
    assert line == (
        f"recommend: no model version '{model.version}' in {root}; run ./spark-submit.sh batch/train.py. Until there is "
        f"another, nodes that still have {model.version} serve from it; on others tasks fail"
    )
    index_of.cache_clear()  # another process of the same node
    assert index_of(model.index_place, "00000001.npz").index.rows_of(["new"]).tolist() == [60]
    nodes.on("another worker")
    index_of.cache_clear()
    with pytest.raises(IndexUnreadable, match=r"no index in .* is missing; train again"):
        index_of(model.index_place, "00000001.npz")

    later = trained(root, NOON + timedelta(hours=1), VECTORS + 1)
    assert served.current() == (later, "") and capsys.readouterr().out == ""


def test_without_a_version_there_was_none_to_serve(root: str) -> None:
    with pytest.raises(registry.ModelNotFound):
        ServedModel(root, "recommend").current()


def test_readers_of_the_node_do_not_disturb_an_update(root: str, nodes: Nodes) -> None:
    model = trained(root)
    with updating(model.index_place) as folder:
        append(folder, ["new"], VECTORS[:1] + 0.5, ["Bo"])
        assert len(Index.open(local_folder(model.index_place)).present) == 60  # another process of this node, meanwhile
    assert model.index_state == "00000001.npz"
    nodes.on("worker")
    assert Index.open(local_folder(model.index_place)).rows_of(["new"]).tolist() == [60]


def test_what_a_killed_update_has_left_is_not_read_and_goes_after_a_day(root: str, nodes: Nodes) -> None:
    cache = nodes.on("driver")
    place = trained(root).index_place
    left = local_folder(place).parent / ".update-killed"
    (left / "added").mkdir(parents=True)
    recent = left.with_name(".update-running")
    recent.mkdir()
    os.utime(left, (0, 0))
    local_folder(trained(root, NOON + timedelta(minutes=1), VECTORS + 1).index_place)
    assert not left.exists() and recent.exists()
    assert len(list((cache / "indexes").glob("[0-9a-f]*"))) == 2


def test_a_cache_that_cannot_be_written_is_told(root: str, nodes: Nodes, tmp_path: Path) -> None:
    place = trained(root).index_place
    cache = nodes.on("full")
    cache.write_text("a file in its place")
    with pytest.raises(CacheUnusable, match=f"{cache} cannot keep a copy of the model: File exists; make room there, or"):
        local_folder(place)
    cache.unlink()
    cache.symlink_to(tmp_path)
    with pytest.raises(CacheUnusable, match=f"{cache} is not this user's own: remove it, or set TMPDIR"):
        local_folder(place)


def test_a_full_disk_is_told_and_fetched_to_once_there_is_room(
    root: str, nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = trained(root).index_place
    cache = nodes.on("worker")

    def full(location: str, file: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))

    with monkeypatch.context() as patch:
        patch.setattr(objects, "download", full)
        with pytest.raises(CacheUnusable, match=f"{cache} cannot keep a copy of the model: No space left on device"):
            local_folder(place)
    assert len(Index.open(local_folder(place))) == 60


def test_a_state_that_a_node_cannot_have_is_refused(root: str, nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batch.index.segments.STATE_PAUSE_S", 0.0)
    place = trained(root).index_place
    with pytest.raises(OtherState, match="does not have segment 00000009.npz"):
        Index.open(local_folder(place, "00000009.npz"), state="00000009.npz")


def test_compaction_reaches_the_store(root: str, nodes: Nodes) -> None:
    model = trained(root)
    for number in range(2 * MAX_SEGMENTS + 1):
        with updating(model.index_place) as folder:
            append(folder, [f"new{number:03d}"], VECTORS[:1] + 0.1 * number, ["Bo"])
    stored = objects.names(f"{model.location}/index/added")
    assert len([name for name in stored if name.endswith(".npz")]) < 2 * MAX_SEGMENTS
    nodes.on("worker")
    assert len(Index.open(local_folder(model.index_place)).present) == 60 + 2 * MAX_SEGMENTS + 1


def test_an_update_that_failed_leaves_the_store_as_it_was(root: str, nodes: Nodes) -> None:
    model = trained(root)
    with pytest.raises(RuntimeError), updating(model.index_place) as folder:
        append(folder, ["new"], VECTORS[:1], ["Bo"])
        raise RuntimeError
    assert model.index_state == ""
    assert Index.open(local_folder(model.index_place)).rows_of(["new"]).tolist() == [-1]


def test_a_training_that_failed_leaves_no_version(root: str, nodes: Nodes) -> None:
    earlier = trained(root)
    with pytest.raises(RuntimeError), registry.new_version(root, NOON + timedelta(hours=1)) as new:
        saved_index(new.folder / "index")
        new.shared_index()
        raise RuntimeError
    assert registry.latest(root).version == earlier.version and registry.versions(root) == [earlier.version]
    assert objects.names(root, folders=True) == [earlier.version]


def test_a_version_that_was_never_finished_is_removed_after_a_day(root: str, nodes: Nodes) -> None:
    objects.replace_text(f"{root}/20261125T100000.000000Z/index/ids.npy", "half")
    objects.replace_text(f"{root}/20261126T100000.000000Z/index/ids.npy", "half")
    model = trained(root)
    assert registry.versions(root) == [model.version]
    assert objects.names(root, folders=True) == ["20261126T100000.000000Z", model.version]


def test_a_root_may_end_in_a_slash(root: str, nodes: Nodes) -> None:
    first, second = (trained(f"{root}/", NOON + timedelta(days=days)) for days in (0, 2))
    assert registry.versions(root) == registry.versions(f"{root}/") == [first.version, second.version]


def test_no_model_in_a_store_is_told_as_one_in_a_folder(root: str) -> None:
    with pytest.raises(registry.ModelNotFound, match="no model in s3a://music/"):
        registry.latest(root)
    assert registry.versions(root) == []


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("s3a://none/lake", "there is no bucket none"),
        ("s3://", "names no bucket"),
        ("ftp://host/lake", "unknown scheme 'ftp'"),
        ("s3a://name:word@music/lake", "credentials belong in the environment"),
        ("s3a:/music/lake", "s3a:/music/lake is neither a path nor a URI; write s3a://music/lake"),
        ("s3:music/lake", "write s3://music/lake"),
        ("S3A//music/lake", "write s3a://music/lake"),
        ("file:/lake", "write file:///lake"),
    ],
)
def test_a_location_that_cannot_be_used_is_refused(bucket: fs.S3FileSystem, location: str, reason: str) -> None:
    with pytest.raises(StorageUnusable, match=reason) as error:
        locations.check(location)
    assert "word" not in str(error.value)


def test_json_that_is_replaced_while_it_is_read_is_read_whole(root: str) -> None:
    location = f"{root}/offsets.json"
    values = [{"offset": 1}, {"offset": 10**30}, {"offset": 10**60}]
    objects.replace_text(location, json.dumps(values[0]))
    stopping = threading.Event()

    def replace_often() -> None:
        while not stopping.is_set():
            for value in values:
                objects.replace_text(location, json.dumps(value))
                time.sleep(0.02)

    writing = threading.Thread(target=replace_often)
    writing.start()
    try:
        assert all(objects.read_json(location) in values for _ in range(60))
    finally:
        stopping.set()
        writing.join()
    objects.replace_text(location, "no JSON")
    with pytest.raises(ValueError, match="Expecting value"):
        objects.read_json(location)


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9000", "s3.example.org", "ftp://127.0.0.1"])
def test_an_endpoint_that_is_no_url_is_refused_and_nothing_is_sent_to_amazon(
    bucket: fs.S3FileSystem, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(StorageUnusable, match=f"AWS_ENDPOINT_URL={endpoint} is no URL; write http://HOST:PORT or https:"):
        locations.check("s3a://music/lake")


def test_a_location_that_is_not_there_yet_can_be_used(bucket: fs.S3FileSystem, tmp_path: Path) -> None:
    for location in ("s3a://music/not/yet", str(tmp_path / "not yet"), f"file://{tmp_path}/not yet"):
        locations.check(location)


def test_spark_and_delta_have_their_own_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert Lake(root="s3://music/lake/").table("tracks") == "s3a://music/lake/tracks"
    assert Lake(root=str(tmp_path)).table("tracks") == f"{tmp_path}/tracks"
    names = [locations.hadoop_uri(each) for each in ("s3://b/a", "hdfs://host/a", "file:///a b", str(tmp_path))]
    assert names == ["s3a://b/a", "hdfs://host/a", "file:///a b", f"file://{tmp_path}"]
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    assert s3_options() == {
        "spark.hadoop.fs.s3a.endpoint": "http://127.0.0.1:9000",
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.connection.ssl.enabled": "false",
    }
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert s3_options() == {}


def test_a_second_writer_is_refused(root: str) -> None:
    with lease.held(root, "catalogue", 0.0):
        with lease.held(root, "extract", 0.0):
            pass
        message = "another catalogue writes there: process"
        with pytest.raises(lease.HeldByAnother, match=message), lease.held(root, "catalogue", 0.0):
            pass
        (name,) = objects.names(f"{root}/_writers")
        assert json.loads(objects.read_text(f"{root}/_writers/{name}"))["process"] > 0
    with lease.held(root, "catalogue", 0.0):
        pass
    assert objects.names(f"{root}/_writers") == []


def test_a_writer_that_died_is_followed_after_a_while(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    objects.replace_text(f"{root}/_writers/ledger.json", '{"writer": "dead", "host": "away", "process": 1}')
    with pytest.raises(lease.HeldByAnother, match=r"process 1 on away, seen \d+ s ago"), lease.held(root, "ledger", 0.0):
        pass
    monkeypatch.setattr(lease, "EXPIRES_S", 0.0)
    with lease.held(root, "ledger", 0.0):
        assert "dead" not in objects.read_text(f"{root}/_writers/ledger.json")


def test_a_driver_that_yarn_starts_again_does_not_wait_for_its_former_attempt(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = '{"writer": "killed", "host": "away", "process": 1, "application": "application_1795765753092_0007"}'
    objects.replace_text(f"{root}/_writers/ledger.json", former)
    for container in (None, "container_1795765753092_0008_01_000001"):  # no container, and one of another application
        if container:
            monkeypatch.setenv("CONTAINER_ID", container)
        with pytest.raises(lease.HeldByAnother, match="process 1 on away"), lease.held(root, "ledger", 0.0):
            pass
    for container in ("container_1795765753092_0007_02_000001", "container_e17_1795765753092_0007_02_000001"):
        objects.replace_text(f"{root}/_writers/ledger.json", former)
        monkeypatch.setenv("CONTAINER_ID", container)
        with lease.held(root, "ledger", 0.0):
            holder = objects.read_json(f"{root}/_writers/ledger.json")
            assert holder["writer"] != "killed" and holder["application"] == "application_1795765753092_0007"


def test_a_writer_whose_lease_was_taken_is_told_so(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEWED_EVERY_S", 0.01)
    messages: list[str] = []
    lost = threading.Event()
    location = f"{root}/_writers/ledger.json"
    other = '{"writer": "other", "host": "elsewhere", "process": 2}'
    with lease.held(root, "ledger", 0.0, lambda message: (messages.append(message), lost.set())):
        deadline = time.monotonic() + 30
        while not lost.is_set() and time.monotonic() < deadline:
            objects.replace_text(location, other)
            lost.wait(0.02)
    assert messages[0].startswith("ledger: another ledger has begun to write there, process 2 on elsewhere, since this one")
    assert objects.read_json(location)["writer"] == "other"  # which goes on


@pytest.mark.parametrize("held_root", ["lake", "checkpoints"])
def test_a_second_ledger_of_a_lake_or_a_checkpoint_is_refused(
    held_root: str, bucket: fs.S3FileSystem, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OVERTONE_LAKE__ROOT", "s3a://music/lake")
    monkeypatch.setenv("OVERTONE_STREAM__CHECKPOINTS", "s3a://music/checkpoints")
    monkeypatch.setattr(query_job.mongo, "client", lambda mongo: StringIO())
    monkeypatch.setattr(query_job.topics, "ensure", lambda kafka: {})
    monkeypatch.setattr(query_job.job, "in_spark", lambda name, work: "began")
    with lease.held(f"s3a://music/{held_root}", "ledger", 0.0):
        assert ledger.main([]) == 1
    assert capsys.readouterr().err.startswith("ledger: another ledger writes there: process")
    assert ledger.main([]) == 0
    assert not any(objects.sizes(f"s3a://music/{each}/_writers") for each in ("lake", "checkpoints"))


def test_a_local_root_needs_no_lease(tmp_path: Path) -> None:
    with lease.held(str(tmp_path), "ledger"), lease.held(str(tmp_path), "ledger"):
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_an_object_is_stored_as_it_is_whatever_its_name(kind: str, root: str, tmp_path: Path) -> None:
    place = root if kind == "bucket" else str(tmp_path / "place")
    file, content = tmp_path / "environment.tar.gz", bytes(range(256)) * 40
    file.write_bytes(content)
    objects.upload(file, f"{place}/environment.tar.gz")
    assert objects.sizes(place) == {"environment.tar.gz": len(content)}
    with objects.reading(f"{place}/environment.tar.gz") as stored:
        assert stored.read() == content
    objects.download(f"{place}/environment.tar.gz", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content
