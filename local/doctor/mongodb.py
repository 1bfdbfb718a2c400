"""MongoDB: reachable, a replica set that takes writes, published tracks, versions of documents, its clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pymongo.errors import OperationFailure, PyMongoError

from batch import mongo, registry
from batch.discography.albums import ALBUM_VERSION
from batch.discography.artists import ARTIST_VERSION
from conf.settings import Settings
from local.doctor.findings import Finding, first_line
from streaming import documents
from streaming.profile.documents import PROFILE_VERSION
from ui.auth.accounts import ACCOUNT_VERSION
from ui.data.history import LISTEN_VERSION, POSITION_VERSION
from ui.data.names import NAME_VERSION
from ui.playback.queue_document import QUEUE_VERSION
from ui.playlists.store import PLAYLIST_VERSION

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.database import Database

MOST_CLOCK_DIFFERENCE_S = 2.0
MOST_QUERY_MS = 5000
SHORT_OPLOG_S = 24 * 3600
START_MONGO = "start it, or set OVERTONE_MONGO__URI (a running demo's: . HOME/run.env)"
VERSIONS = {
    "recommendations": mongo.LIST_VERSION,
    "mixes": documents.MIXES_VERSION,
    "profiles": PROFILE_VERSION,
    documents.DELETIONS: documents.DELETION_VERSION,
    documents.REFUSALS: documents.REFUSAL_VERSION,
    documents.FEEDS: documents.FEED_VERSION,
    documents.SET_ASIDE_TRACKS: documents.SET_ASIDE_TRACK_VERSION,
    documents.SET_ASIDE: documents.SET_ASIDE_VERSION,
    documents.SET_ASIDE_EVENTS: documents.SET_ASIDE_VERSION,
    "albums": ALBUM_VERSION,
    "artists": ARTIST_VERSION,
    "accounts": ACCOUNT_VERSION,
    "names": NAME_VERSION,
    "listens": LISTEN_VERSION,
    "places": POSITION_VERSION,
    "queues": QUEUE_VERSION,
    "playlists": PLAYLIST_VERSION,
}
"""{collection: the version that this program writes}"""


def mongodb(settings: Settings) -> Iterator[Finding]:
    """Findings of the server and of what is in the database."""
    try:
        client = mongo.client(settings.mongo)
    except mongo.MongoAway as error:
        what, _, to_do = first_line(error).partition("; ")
        yield Finding(what, "players, queries and publish cannot work", to_do or "correct OVERTONE_MONGO__URI")
        return
    except (PyMongoError, ValueError) as error:  # the message may repeat the URI
        yield Finding("mongo.uri is no valid URI", type(error).__name__, "correct OVERTONE_MONGO__URI")
        return
    with client:
        yield from _server(client)
        yield from _clock(client)
        refused = list(_rights(client, settings))
        yield from refused
        if refused:
            return
        yield from _published(client[settings.mongo.database], settings)
        yield from _set_aside(client[settings.mongo.database])


def document_versions(settings: Settings) -> Iterator[Finding]:
    """A finding for each collection with documents that a later version of the program wrote."""
    try:
        client = mongo.client(settings.mongo)
    except (mongo.MongoAway, PyMongoError, ValueError):
        return  # `mongodb` says so
    with client:
        database = client[settings.mongo.database]
        for name, version in VERSIONS.items():
            try:
                later = database[name].find_one(
                    {"version": {"$gt": version}}, {"version": 1}, max_time_ms=MOST_QUERY_MS
                )
            except PyMongoError as error:
                yield Finding(
                    f"the versions in {name} are not known",
                    type(error).__name__,
                    "run this again when it is idle",
                    False,
                )
                continue
            if later is not None:
                yield Finding(
                    f"{name} has documents of version {later['version']}",
                    f"a later Overtone wrote them, this one writes {version}; it reads the fields that it knows",
                    "finish the upgrade, or the rollback, on all machines",
                    False,
                )


def _server(client: MongoClient[dict[str, Any]]) -> Iterator[Finding]:
    hello = client.admin.command("hello")
    if hello.get("msg") == "isdbgrid":
        return  # a sharded cluster: its shards are replica sets
    if "setName" not in hello:
        yield Finding(
            "MongoDB is no replica set",
            "feed and player follow its change stream, which a single server does not have",
            "start mongod with --replSet, and call rs.initiate()",
        )
        return
    if not hello.get("isWritablePrimary"):
        yield Finding(
            f"{hello.get('me', 'the server')} is not the primary",
            "nothing can be written to it",
            "name all members in OVERTONE_MONGO__URI, without directConnection",
        )
    with suppress(PyMongoError):  # asks for the right clusterMonitor
        members = client.admin.command("replSetGetStatus")["members"]
        for member in members:
            if member.get("health") != 1:
                yield Finding(
                    f"member {member['name']} is {member.get('stateStr', 'away')}",
                    "writes wait for a majority of the members",
                    "start it again",
                )
    with suppress(PyMongoError):  # likewise
        oldest = client.local["oplog.rs"].find_one({}, {"ts": 1}, sort=[("$natural", 1)])
        newest = client.local["oplog.rs"].find_one({}, {"ts": 1}, sort=[("$natural", -1)])
        statistics = client.local.command("collStats", "oplog.rs")
        if oldest and newest and statistics["size"] > 0.9 * statistics["maxSize"]:
            reach_s = newest["ts"].time - oldest["ts"].time
            if reach_s < SHORT_OPLOG_S:
                yield Finding(
                    f"the oplog reaches back {reach_s / 3600:.1f} hours",
                    "a feed that stood still for longer sends all tracks again",
                    "enlarge it by replSetResizeOplog",
                    False,
                )


def _rights(client: MongoClient[dict[str, Any]], settings: Settings) -> Iterator[Finding]:
    database = client[settings.mongo.database]
    try:
        database.list_collection_names()
        database.status.update_one(
            {"_id": "no such query"}, {"$set": {"at": 0}}
        )  # finds nothing, and so writes nothing
    except OperationFailure as error:
        yield Finding(
            f"the database {settings.mongo.database} refuses the user (code {error.code})",
            "reading or writing is not allowed",
            f"grant the role readWrite on {settings.mongo.database}",
        )


def _clock(client: MongoClient[dict[str, Any]]) -> Iterator[Finding]:
    before = time.time()
    server = client.admin.command("hello").get("localTime")
    after = time.time()
    if isinstance(server, datetime):
        yield from clock_difference("MongoDB", server.astimezone(UTC).timestamp(), before, after)


def clock_difference(name: str, server: float, before: float, after: float) -> Iterator[Finding]:
    """A finding where a server's clock is off. Times in seconds since 1970.

    server : its time, between `before` and `after` of this machine
    """
    ahead_s = server - after if server > after else min(0.0, server - before)
    if abs(ahead_s) > MOST_CLOCK_DIFFERENCE_S:
        yield Finding(
            f"the clock of {name} is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's",
            "deletions, rests and what fades are by these clocks",
            "run NTP on both, for example chrony",
        )


def _published(database: Database[dict[str, Any]], settings: Settings) -> Iterator[Finding]:
    publish = "run ./spark-submit.sh batch/publish.py"
    track = database.tracks.find_one({}, {"model_version": 1})
    if track is None:
        yield Finding(f"no tracks in the database {settings.mongo.database}", "there is nothing to play", publish)
        return
    if database.recommendations.find_one({"_id": mongo.NEW_LISTENERS}, {"_id": 1}) is None:
        yield Finding("no list for new listeners", "who has no events yet sees none", publish)
    try:
        latest = registry.latest(settings.models.root).version
    except (registry.ModelNotFound, registry.ModelUnusable, OSError):
        return  # the check of models says so
    if track.get("model_version") not in (None, latest):
        yield Finding(
            f"tracks were published with model {track['model_version']}",
            f"the latest is {latest}: similar tracks and map are the former one's",
            publish,
            False,
        )


def _set_aside(database: Database[dict[str, Any]]) -> Iterator[Finding]:
    for name, things in ((documents.SET_ASIDE, "listeners"), (documents.SET_ASIDE_TRACKS, "tracks")):
        count = database[name].estimated_document_count()
        first = database[name].find_one({}, {"reason": 1}) or {}
        if count:
            yield Finding(
                f"{count:,} {things} are set aside",
                str(first.get("reason", "no reason noted")).splitlines()[0][:120],
                "see docs/stream.md, Who cannot be served",
            )
