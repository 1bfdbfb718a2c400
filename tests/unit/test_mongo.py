"""Every connection to MongoDB has the same guarantees, whatever its URI says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pymongo import ReadPreference, WriteConcern
from pymongo.read_concern import ReadConcern

from batch.mongo import MongoUriUnusable, client, connection
from conf.settings import Mongo
from streaming.serving.clients import database_of
from ui.data.mongo import database

URIS = [
    "mongodb://127.0.0.1:9/",
    "mongodb://127.0.0.1:9/?directConnection=true",
    "mongodb://127.0.0.1:9/?w=1&journal=false&readPreference=secondaryPreferred&readConcernLevel=local",
    "mongodb://127.0.0.1:9/?W=0&readpreference=nearest&readPreferenceTags=dc:a&readPreferenceTags=&maxStalenessSeconds=120",
    "mongodb://ana:hu%3Fsh@127.0.0.1:9/?authSource=admin&w=2",
]


@pytest.mark.parametrize("uri", URIS)
@pytest.mark.parametrize("opened", [lambda mongo: connection(mongo)["x"], database_of, database])
def test_writes_are_acknowledged_by_a_majority_and_reads_are_of_the_primary(
    uri: str, opened: Callable[[Mongo], Any]
) -> None:
    collection = opened(Mongo(uri=uri, database="x")).profiles  # type: ignore[arg-type]
    assert collection.write_concern == WriteConcern(w="majority", j=True)
    assert collection.read_preference == ReadPreference.PRIMARY
    assert collection.read_concern == ReadConcern("majority")


def test_other_options_of_the_uri_stay() -> None:
    uri = "mongodb://127.0.0.1:9/?w=1&appName=mine&timeoutMS=70&directConnection=true"
    client = connection(Mongo(uri=uri, database="x"), serverSelectionTimeoutMS=50)  # type: ignore[arg-type]
    assert client.options.pool_options.appname == "mine" and client.options.timeout == 0.07
    assert client.options.server_selection_timeout == 0.05


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("mongodb://ana:hush/t0psecret@db:27017/", "InvalidURI$"),
        ("mongodb://ana:hush@t0psecret@db:27017/", "Username and password must be escaped according to RFC 3986"),
        ("mongodb://ana:hush@db:99999/", "Port must be an integer between 0 and 65535"),
        ("mongodb://db/?tls=true&tlsCAFile=/none.pem", r"\[Errno 2\] No such file or directory: '/none.pem'"),
        ("mongodb://ana:Reserved@db:27017:1/", "ValueError$"),
    ],
)
@pytest.mark.parametrize("opened", [connection, client])
def test_a_uri_that_is_not_valid_is_told_without_its_password(
    uri: str, message: str, opened: Callable[[Mongo], Any]
) -> None:
    with pytest.raises(MongoUriUnusable, match=f"^OVERTONE_MONGO__URI cannot be used: {message}") as raised:
        opened(Mongo(uri=uri, database="x"))  # type: ignore[arg-type]
    assert not any(part in str(raised.value) for part in ("hush", "t0psecret", "Reserved"))


@pytest.mark.parametrize(
    "uri",
    [
        *("mongodb://db:27017", "mongodb://db:27017/?x=a/b", "mongodb://ana:hush@db:27017/x"),
        *("mongodb://ana:hu/sh@db:27017/", "mongodb://ana:hu@sh@db:27017?w=1", "mongodb://ana:hu?sh@db:27017/?w=1"),
    ],
)
def test_the_place_of_a_server_has_no_part_of_a_login(uri: str) -> None:
    assert Mongo(uri=uri, database="x").place == "db:27017"  # type: ignore[arg-type]
