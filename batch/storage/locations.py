"""Locations: a local path, or a URI of an object store.

Credentials and endpoints come from the environment (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS,
HADOOP_CONF_DIR …) of the driver and of every worker, never from the URI.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

S3_SCHEMES = ("s3", "s3a")
HDFS_SCHEMES = ("hdfs", "viewfs")
FAILOVERS_AT_START = 3
"""At the start of a job a name node that does not answer is an error after 8 s; later, as it is configured (three minutes)."""
SCHEMES = (*S3_SCHEMES, "gs", "abfs", "abfss", *HDFS_SCHEMES)
RETRY_LIMIT_S = 30
"""Google's client would try for a quarter of an hour what fails for the moment."""
_MISSPELT = re.compile(rf"(?:{'|'.join((*SCHEMES, 'file'))})(?::(?!//)|//)", re.IGNORECASE)
"""How a URI begins whose "://" is not whole, and which else would be the path of a folder."""


class StorageUnusable(OSError):
    """A location cannot be used: its scheme is unknown, its store refuses, or it does not answer."""


def is_remote(location: str) -> bool:
    return "://" in location and not location.startswith("file://")


def local_path(location: str) -> Path:
    """The path of a location that is not remote."""
    return Path(location.removeprefix("file://"))


def is_s3(location: str) -> bool:
    return location.partition("://")[0] in S3_SCHEMES and is_remote(location)


def child(location: str, name: str) -> str:
    """The location of a name in a folder."""
    return f"{location.rstrip('/')}/{name}"


def hadoop_uri(location: str) -> str:
    """The location as Hadoop and Delta have it. Not `as_uri()`: Hadoop takes an escaped blank literally."""
    if location.startswith("s3://"):
        return "s3a" + location.removeprefix("s3")
    return location if is_remote(location) else f"file://{local_path(location).absolute()}"


def without_password(location: str) -> str:
    """The location without user, password and query, for messages."""
    if not is_remote(location):
        return location
    parts = urlsplit(location)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def check(location: str) -> None:
    """Raises StorageUnusable where a URI is misspelt or cannot be listed; a folder that is not there yet is no fault."""
    check_spelling(location)
    if not is_remote(location):
        return
    from pyarrow import fs

    store, path = open_store(location, failovers=FAILOVERS_AT_START)
    try:
        store.get_file_info(fs.FileSelector(path, allow_not_found=True))
        bucket = path.partition("/")[0]
        if is_s3(location) and store.get_file_info(bucket).type == fs.FileType.NotFound:
            raise StorageUnusable(f"{without_password(location)} cannot be used: there is no bucket {bucket}")
    except StorageUnusable:
        raise
    except (OSError, ValueError) as error:
        raise StorageUnusable(f"{without_password(location)} cannot be listed: {error}") from error


def check_spelling(location: str) -> None:
    """Raises StorageUnusable where a location is no path and no URI that can be used, whatever the store says. Asks no store."""
    if misspelt := _MISSPELT.match(location):
        scheme, rest = misspelt.group().rstrip(":/").lower(), location[misspelt.end() :].lstrip("/")
        slashes = "///" if scheme == "file" else "//"
        raise StorageUnusable(f"{location} is neither a path nor a URI; write {scheme}:{slashes}{rest}")
    if not is_remote(location):
        return
    scheme, _, rest = location.partition("://")
    if scheme not in SCHEMES:
        raise StorageUnusable(
            f"{without_password(location)}: unknown scheme {scheme!r}; use a path or one of {', '.join(SCHEMES)}"
        )
    host = rest.partition("/")[0]
    if "@" in host and (scheme in S3_SCHEMES or ":" in host.partition("@")[0]):
        raise StorageUnusable(f"{without_password(location)}: credentials belong in the environment, not in the URI")
    if not host and scheme not in HDFS_SCHEMES:
        raise StorageUnusable(f"{location} names no bucket; write {scheme}://BUCKET/FOLDER")
    endpoint = urlsplit(s3_endpoint())
    if scheme in S3_SCHEMES and s3_endpoint() and not (endpoint.scheme in ("http", "https") and endpoint.netloc):
        raise StorageUnusable(
            f"AWS_ENDPOINT_URL={without_password(s3_endpoint())} is no URL; write http://HOST:PORT or https://HOST"
        )


def open_store(location: str, failovers: int | None = None) -> tuple[Any, str]:
    """(Arrow file system, path in it) of a location.

    failovers : how often HDFS's name nodes are tried, with pauses that double from half a second; None: as it is configured
    Raises StorageUnusable.
    """
    from pyarrow import fs

    if not is_remote(location):
        return fs.LocalFileSystem(), str(local_path(location).absolute())
    check_spelling(location)
    scheme, _, rest = location.partition("://")
    host = rest.partition("/")[0]
    try:
        if scheme in S3_SCHEMES:
            # not by from_uri, which asks Amazon for the bucket's region even where the endpoint is not Amazon's
            endpoint = urlsplit(s3_endpoint())
            store = fs.S3FileSystem(
                region=s3_region(), endpoint_override=endpoint.netloc or None, scheme=endpoint.scheme or "https"
            )
            return store, rest.rstrip("/")
        if scheme in HDFS_SCHEMES:
            from batch.storage import hdfs

            return hdfs.file_system(f"{scheme}://{host}", failovers), rest.removeprefix(host).rstrip("/")
        # from_uri decodes percent escapes, and our URIs are not encoded
        limit = f"?retry_limit_seconds={RETRY_LIMIT_S}" if scheme == "gs" else ""
        store, path = fs.FileSystem.from_uri(f"{scheme}://{quote(rest, safe='/:@')}{limit}")
    except (OSError, ValueError) as error:
        raise StorageUnusable(f"{without_password(location)} cannot be opened: {error}") from error
    return store, path.rstrip("/")


def s3_endpoint() -> str:
    """The endpoint of an S3 server that is not Amazon's, as a URL; "" for Amazon's."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""


def s3_region() -> str | None:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None


def allow_plain_http() -> None:
    """Lets delta-rs reach an S3 endpoint whose URL begins with http://, which it otherwise refuses."""
    if s3_endpoint().startswith("http://"):
        os.environ.setdefault("AWS_ALLOW_HTTP", "true")
