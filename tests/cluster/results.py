"""What a run has made: tables, model, documents, lists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cluster_world import World
from deltalake import DeltaTable
from library_runs import ADDED, TRACKS
from pymongo import MongoClient

from batch import registry
from batch.index.lsh import Index
from batch.versions.remote_index import local_folder
from conf.settings import PREFIX


def rows(location: str, columns: list[str], secrets: dict[str, str]) -> dict[str, Any]:
    """{track id: its other columns} of a Delta table."""
    options = {**secrets, "AWS_ALLOW_HTTP": "true"} if "://" in location else None
    table = DeltaTable(location, storage_options=options).to_pyarrow_table(columns=["track_id", *columns]).to_pylist()
    return {row.pop("track_id"): row for row in table}


def leaves(value: Any, place: str = "") -> dict[str, Any]:
    """{place: value} of what stands in nested objects and lists."""
    if isinstance(value, dict):
        return {name: leaf for key, inner in value.items() for name, leaf in leaves(inner, f"{place}/{key}").items()}
    if isinstance(value, list):
        return leaves(dict(enumerate(value)), place)
    return {place: value}


def assert_same_model(*settings: dict[str, str]) -> None:
    """The latest models of two runs have the same parameters, scores, index and similar tracks.

    Sums of partitions are added in any order, so numbers differ in their last digits; the search for the bucket length, which
    asks of each length whether enough neighbours are found, may then end a step of 1 % beside.
    """
    models = [registry.latest(each[f"{PREFIX}MODELS__ROOT"]) for each in settings]
    different = {"version", "created_at", "library", "metrics", "index_files", "tables"}
    manifests = [leaves({k: v for k, v in model.manifest.items() if k not in different}) for model in models]
    lengths = [manifest.pop("/parameters/bucket_length") for manifest in manifests]
    assert lengths[0] == pytest.approx(lengths[1], rel=0.05) and manifests[0] == pytest.approx(manifests[1])
    indexes = [Index.open(local_folder(model.index_place), as_trained=True) for model in models]
    assert indexes[0].ids.tolist() == indexes[1].ids.tolist()
    np.testing.assert_allclose(indexes[0].vectors, indexes[1].vectors, atol=1e-5)
    similar = [
        {row["track_id"]: [each["track_id"] for each in row["similar"]] for batch in lists for row in batch.to_pylist()}
        for lists in (model.batches("similar", ["track_id", "similar"]) for model in models)
    ]
    assert similar[0] == similar[1] and len(similar[0]) == TRACKS


def published(world: World, settings: dict[str, str]) -> dict[str, dict[str, dict[str, Any]]]:
    """{collection: {id: leaves of the document}} of what `publish` writes, without dates and names of the model."""
    different = {"model_version", "generated_at"}
    with MongoClient[dict[str, Any]](world.mongo.uri) as client:
        database = client[settings[f"{PREFIX}MONGO__DATABASE"]]
        return {
            name: {
                document["_id"]: leaves({k: v for k, v in document.items() if k not in different})
                for document in database[name].find({"_id": {"$ne": ADDED}})
            }
            for name in ("tracks", "artists")
        }


def lists(world: World, settings: dict[str, str]) -> dict[str, list[str]]:
    """{listener: ids of the list}"""
    with MongoClient[dict[str, Any]](world.mongo.uri) as client:
        documents = client[settings[f"{PREFIX}MONGO__DATABASE"]].recommendations.find({"_id": {"$ne": "*"}})
        return {document["_id"]: [item["track_id"] for item in document["items"]] for document in documents}


def applied(world: World, settings: dict[str, str]) -> dict[str, int]:
    """{listener: events counted}"""
    with MongoClient[dict[str, Any]](world.mongo.uri) as client:
        documents = client[settings[f"{PREFIX}MONGO__DATABASE"]].profiles.find({}, {"events_applied": 1})
        return {document["_id"]: document["events_applied"] for document in documents}
