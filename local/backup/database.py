"""MongoDB as of one moment: a snapshot of all collections, read as raw BSON; and back into an empty database.

The files are those of mongodump, so that `mongorestore` can read them too. Not in a backup: `status`, which queries write every
two seconds, and `feeds`, places in the change stream of the former server: a feed without one sends all tracks again.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bson import json_util
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure

from batch.storage import objects
from batch.storage.locations import child
from local.backup.content import MONGODB_PART, Backup, BackupUnusable, CopiedFile
from streaming.documents import DELETIONS, FEEDS, deleted_at_from

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession
    from pymongo.database import Database

LEFT_OUT = ("status", FEEDS)
SNAPSHOT_TOO_OLD_CODES = (239, 246)
"""SnapshotTooOld, SnapshotUnavailable."""
INSERT_BYTES = 8 * 1024 * 1024
INSERT_DOCUMENTS = 1000
CLOCKS_DIFFER = timedelta(minutes=10)

Document = dict[str, Any]


class SnapshotLost(RuntimeError):
    """MongoDB no longer keeps the moment of which the backup is."""


def back_up_database(database: Database[Document], backup: Backup, to: str) -> None:
    """Copies all collections as of one moment. Raises SnapshotLost, OSError, PyMongoError."""
    described = {
        each["name"]: each
        for each in database.list_collections()
        if each["type"] == "collection" and not each["name"].startswith("system.") and each["name"] not in LEFT_OUT
    }
    try:
        with database.client.start_session(snapshot=True) as session:
            for name in sorted(described):
                path = f"{MONGODB_PART}/{name}.bson"
                backup.files[path], backup.collections[name] = _dump(database, name, session, child(to, path))
    except OperationFailure as error:
        if error.code not in SNAPSHOT_TOO_OLD_CODES:
            raise
        raise SnapshotLost(
            "MongoDB has not kept the moment of the backup for as long as reading took; let it keep more: "
            "db.adminCommand({setParameter: 1, minSnapshotHistoryWindowInSeconds: 3600}), and try again"
        ) from error
    for name, each in described.items():
        path = f"{MONGODB_PART}/{name}.metadata.json"
        indexes = [dict(index) for index in database[name].list_indexes()]
        text = json_util.dumps({"options": each.get("options", {}), "indexes": indexes, "collectionName": name})
        objects.replace_text(child(to, path), text)
        content = text.encode()
        backup.files[path] = CopiedFile(len(content), hashlib.sha256(content).hexdigest())


def _dump(
    database: Database[Document], name: str, session: ClientSession, location: str
) -> tuple[CopiedFile, int]:
    """Writes the documents of a collection one after the other; returns the file and their number."""
    digest, size, count = hashlib.sha256(), 0, 0
    with objects.writing(location) as out:
        batches: Iterator[Any] = database[name].find_raw_batches({}, session=session)  # bytes, which its stubs do not say
        for batch in batches:
            digest.update(batch)
            out.write(batch)
            size += len(batch)
            count += sum(1 for _ in _documents(batch))
    return CopiedFile(size, digest.hexdigest()), count


def _documents(batch: bytes) -> Iterator[bytes]:
    """The documents of a batch: each begins with its length."""
    place = 0
    while place < len(batch):
        (length,) = struct.unpack_from("<i", batch, place)
        yield batch[place : place + length]
        place += length


def restore_database(database: Database[Document], backup: Backup, source: str) -> None:
    """Writes all collections of a backup into an empty database, then their indexes. Raises BackupUnusable, PyMongoError."""
    for name in sorted(backup.collections):
        description = json_util.loads(objects.read_text(child(source, f"{MONGODB_PART}/{name}.metadata.json")))
        collection = database.create_collection(name, **description["options"]).with_options(
            codec_options=CodecOptions(document_class=RawBSONDocument)
        )
        path = f"{MONGODB_PART}/{name}.bson"
        count = 0
        for documents in _batches(child(source, path), backup.files[path]):
            collection.insert_many(documents, ordered=False)
            count += len(documents)
        if count != backup.collections[name]:
            raise BackupUnusable(f"{path} has {count} documents, expected {backup.collections[name]}; take another backup")
        indexes = [
            {key: value for key, value in index.items() if key not in ("v", "ns")}
            for index in description["indexes"]
            if index["name"] != "_id_"
        ]
        if indexes:
            database.command("createIndexes", name, indexes=indexes)


def _batches(location: str, expected: CopiedFile) -> Iterator[list[RawBSONDocument]]:
    """The documents of a file in batches to insert. Raises BackupUnusable at the end where the file is not the one expected."""
    digest = hashlib.sha256()
    documents: list[RawBSONDocument] = []
    waiting_bytes = 0
    with objects.reading(location) as content:
        while head := content.read(4):
            (length,) = struct.unpack("<i", head)
            document = head + content.read(length - 4)
            digest.update(document)
            documents.append(RawBSONDocument(document))
            waiting_bytes += length
            if waiting_bytes >= INSERT_BYTES or len(documents) >= INSERT_DOCUMENTS:
                yield documents
                documents, waiting_bytes = [], 0
    if documents:
        yield documents
    if digest.hexdigest() != expected.sha256:
        raise BackupUnusable(f"{location} is not what was backed up; empty what was restored, and take another backup")


def deleted_meanwhile(database: Database[Document], backup: Backup) -> list[str]:
    """Ids of listeners whose data were deleted while the backup was made: the tables may have been copied before."""
    began_at = datetime.fromisoformat(backup.began_at).astimezone(UTC) - CLOCKS_DIFFER
    deletions = database[DELETIONS].find({"deleted_at": {"$gte": began_at}})
    return sorted(str(each["_id"]) for each in deletions if deleted_at_from(each) is not None)
