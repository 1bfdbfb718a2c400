"""What publish checks before it starts Spark, and bulk writes to MongoDB."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from batch import mongo
from batch.model.cold_start import list_for_new_listeners
from batch.publish import main


@pytest.fixture(autouse=True)
def no_spark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> None:
        raise AssertionError("Spark was started")

    monkeypatch.setattr(SparkSession.Builder, "getOrCreate", lambda builder: refused())
    monkeypatch.setenv("OVERTONE_HOME", str(tmp_path))


@pytest.mark.parametrize("uri", ["mongodb://127.0.0.1:99999/", "mongodb://user:pass:word@127.0.0.1/"])
def test_a_wrong_mongo_uri_is_a_wrong_setting(
    uri: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OVERTONE_MONGO__URI", uri)
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("publish: ")


def test_mongodb_that_does_not_answer_is_work_that_cannot_be_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OVERTONE_MONGO__URI", "mongodb://user:secret@127.0.0.1:9/?directConnection=true")
    monkeypatch.setattr(mongo, "SERVER_TIMEOUT_MS", 100)
    assert main([]) == 1
    message = capsys.readouterr().err
    assert message.startswith("publish: MongoDB at ") and "does not answer" in message and "secret" not in message


def test_documents_are_sent_in_chunks() -> None:
    assert [len(chunk) for chunk in mongo.chunks(range(7), 3)] == [3, 3, 1]
    assert list(mongo.chunks([], 3)) == []


def test_documents_of_other_ids_are_deleted_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    class Documents(dict[str, dict[str, str]]):
        """A collection, small."""

        requests = 0

        def find(self, query: dict[str, str], projection: dict[str, int]) -> list[dict[str, str]]:
            return list(self.values())

        def delete_many(self, query: dict[str, dict[str, list[str]]]) -> None:
            self.requests += 1
            for track_id in query["_id"]["$in"]:
                del self[track_id]

    monkeypatch.setattr(mongo, "IDS_PER_DELETE", 2)
    documents = Documents({track_id: {"_id": track_id} for track_id in "abcde"})
    assert mongo.delete_others(documents, ["b", "new", "d"]) == 3
    assert sorted(documents) == ["b", "d"] and documents.requests == 2
    assert mongo.delete_others(documents, iter("bd")) == 0 and documents.requests == 2


def test_the_list_for_new_listeners_goes_round_the_genres_with_each_artist_once() -> None:
    names = [("a", "Ana", "Folk"), ("b", "Ana", "Folk"), ("c", "Bo", "Folk"), ("d", "Cy", "Techno"), ("e", None, None)]
    tracks = [
        {"track_id": track_id, "title": track_id, "artist": artist, "genre": genre} for track_id, artist, genre in names
    ]
    items = list_for_new_listeners(tracks, index=None, items=5)
    assert [item["track_id"] for item in items] == ["a", "d", "e", "c", "b"]
    assert [item["rank"] for item in items] == [1, 2, 3, 4, 5]
    assert items[0]["reason"] == "Folk: a way into your library" and items[2]["reason"] == "A way into your library"
