"""Files copied between folders and stores, several at once, with their checksums."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from batch.storage import objects
from batch.storage.locations import without_password
from batch.storage.objects import COPY_CHUNK_BYTES
from local.backup.content import BackupUnusable, CopiedFile

COPIES_AT_ONCE = 8


def copied(source: str, target: str) -> CopiedFile:
    """Copies an object. Raises OSError, FileNotFoundError where it is not there."""
    digest, size = hashlib.sha256(), 0
    with objects.reading(source) as content, objects.writing(target) as out:
        while chunk := content.read(COPY_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            out.write(chunk)
    return CopiedFile(size, digest.hexdigest())


def all_copied(target_by_source: Mapping[str, str]) -> dict[str, CopiedFile]:
    """{target: what was copied there}. Raises OSError for the first object that cannot be copied."""
    with ThreadPoolExecutor(COPIES_AT_ONCE) as pool:
        files = pool.map(copied, target_by_source.keys(), target_by_source.values())
        return dict(zip(target_by_source.values(), files, strict=True))


def copy_back(expected_by_source: Mapping[str, CopiedFile], target_by_source: Mapping[str, str]) -> None:
    """Copies files of a backup. Raises BackupUnusable where one has another content than its manifest says."""
    with ThreadPoolExecutor(COPIES_AT_ONCE) as pool:
        files = pool.map(copied, target_by_source.keys(), target_by_source.values())
        for source, file in zip(target_by_source, files, strict=True):
            if file != expected_by_source[source]:
                raise BackupUnusable(
                    f"{without_password(source)} is not what was backed up: checksum {file.sha256[:12]} …, expected "
                    f"{expected_by_source[source].sha256[:12]} …; empty what was restored, and take another backup"
                )
