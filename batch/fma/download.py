"""Download one large file by HTTP; a download that was ended at any moment continues from there.

urllib and not requests or pooch: urllib3's Retry repeats a request but does not continue a body that broke off, and pooch starts
again; the loop below, with its validators and pauses, would remain.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from batch.atomic import write_text
from batch.fma.meter import Meter

PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
"""Seconds before each retry; starts again with the first after an attempt that received something."""
TIMEOUT_S = 60.0
"""Seconds without a byte after which a connection counts as broken."""
RECEIVE_BYTES = 1 << 18
"""Bytes that are received at most before they are written."""
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses after which a retry makes sense."""


class DownloadFailed(OSError):
    """The file could not be downloaded; the part received so far is kept."""


class _AttemptFailed(Exception):
    """An attempt ended before the file did; a retry makes sense."""


@dataclass(frozen=True)
class _Validators:
    """What identifies one version of a remote file; stored beside the part.

    etag : a strong ETag; only comparable at the same URL
    """

    url: str
    size: int | None
    etag: str | None

    def difference(self, earlier: _Validators) -> str | None:
        """Describes what has changed; None where nothing has."""
        if None not in (self.size, earlier.size) and self.size != earlier.size:
            return f"{self.size:,} bytes, was {earlier.size:,}"
        if self.url == earlier.url and self.etag and earlier.etag and self.etag != earlier.etag:
            return f"ETag {self.etag}, was {earlier.etag}"
        return None


def download(
    url: str,
    part: Path,
    require_space: Callable[[int], None] = lambda remaining: None,
    pauses_s: Sequence[float] = PAUSES_S,
    timeout_s: float = TIMEOUT_S,
) -> None:
    """Downloads `url` into the file `part`, continuing after the bytes that it has; returns once it is complete.

    require_space : called with the bytes still to come before any is written; an exception from it ends the download
    pauses_s : before each retry; one more failure in a row ends the download

    Size and ETag are stored in `<part>.json`. From a server without range requests, the bytes that exist are read again and
    skipped. Raises DownloadFailed where the server refuses, serves another file than the one begun, or keeps breaking off;
    OSError where the disk fails.
    """
    failures = 0
    while True:
        size_before = _file_size(part)
        try:
            return _attempt(url, part, require_space, timeout_s)
        except _AttemptFailed as error:
            size = _file_size(part)
            failures = 1 if size > size_before else failures + 1
            if failures > len(pauses_s):
                raise DownloadFailed(
                    f"{url}: {error}, {failures} times in a row; run the same command again later: "
                    f"it goes on from the {size:,} bytes that are there"
                ) from error
            pause_s = pauses_s[failures - 1]
            print(f"  {error}; goes on in {pause_s:.0f} s (try {failures} of {len(pauses_s)})", flush=True)
            time.sleep(pause_s)


def forget_validators(part: Path) -> None:
    """Removes `<part>.json`, for a part that was renamed."""
    _validators_file(part).unlink(missing_ok=True)


def _attempt(url: str, part: Path, require_space: Callable[[int], None], timeout_s: float) -> None:
    have, stored = _file_size(part), _stored_validators(part)
    if stored is not None and stored.size is not None and have == stored.size:
        return
    # identity: positions in a compressed response would mean nothing
    headers = {"User-Agent": "overtone", "Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with _response(Request(url, headers=headers), timeout_s) as response:
        if response.status == 416 and _total_size(response) == have:
            return
        remote = _Validators(url, _total_size(response), _strong_etag(response))
        difference = remote.difference(stored) if stored is not None and have else None
        if difference is None and (response.status == 416 or (remote.size is not None and have > remote.size)):
            difference = f"it has no bytes from {have:,} on"
        if difference is not None:
            raise DownloadFailed(
                f"{url} is not the file that was begun ({difference}); if it is the right one, delete {part}"
            )
        start = _body_start(response, have)
        if remote.size is not None:
            require_space(remote.size - have)
        write_text(_validators_file(part), json.dumps(asdict(remote)))
        if start < have:
            print("  the server cannot go on from the middle: reading past what is there already", flush=True)
        with open(part, "ab", buffering=0) as file, Meter(part.stem, remote.size, start) as meter:
            _append(response, file, start, remote.size, meter)
    size = _file_size(part)
    if remote.size is not None and size < remote.size:
        raise _AttemptFailed(f"the connection broke off at {size:,} of {remote.size:,} bytes")


def _append(response: http.client.HTTPResponse, file: Any, start: int, total: int | None, meter: Meter) -> None:
    """Appends the body to the file, without the bytes that it has.  start : position of the body in the whole file"""
    position, have = start, file.tell()
    while position != total:
        wanted = RECEIVE_BYTES if total is None else min(RECEIVE_BYTES, total - position)
        try:
            # read1 returns what has arrived, so a slow connection that breaks off loses nothing of an incomplete block
            block = response.read1(wanted if position >= have else min(wanted, have - position))
        except (OSError, http.client.HTTPException) as error:
            raise _AttemptFailed(f"the connection broke off ({_error_text(error)})") from error
        if not block:
            return
        if position >= have:
            unwritten = memoryview(block)
            while unwritten:
                unwritten = unwritten[file.write(unwritten) :]
        position += len(block)
        meter.add(len(block))


def _response(request: Request, timeout_s: float) -> Any:
    """The response, with status 200, 206 or 416. Raises DownloadFailed, _AttemptFailed."""
    url = request.full_url
    try:
        return urlopen(request, timeout=timeout_s)
    except HTTPError as error:
        if error.code == 416:
            return error
        with error:
            status = f"{error.code} {error.reason}"
        if error.code in TRANSIENT_STATUSES:
            raise _AttemptFailed(f"the server answered {status}") from error
        hint = "; is the address right (--base-url)?" if error.code in (404, 410) else ""
        raise DownloadFailed(f"{url}: the server answered {status}{hint}") from error
    except URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise DownloadFailed(
                f"{url}: the server's certificate is not valid ({error.reason.verify_message})"
            ) from error
        raise _AttemptFailed(f"no connection ({_error_text(error.reason)})") from error
    except (OSError, http.client.HTTPException) as error:
        raise _AttemptFailed(f"no connection ({_error_text(error)})") from error


def _body_start(response: Any, have: int) -> int:
    """Position of the response's body in the whole file: 0 or `have`. Raises DownloadFailed."""
    if response.status == 200:
        return 0
    content_range = response.headers.get("Content-Range", "")
    if response.status == 206 and re.match(rf"bytes {have}-", content_range):
        return have
    received = f"{response.status} {content_range or 'without a range'}"
    raise DownloadFailed(f"{response.url}: asked for the bytes from {have:,} on, got {received}")


def _total_size(response: Any) -> int | None:
    """The whole file's size in bytes; None where the server does not tell it."""
    if response.status in (206, 416):
        total = re.search(r"/(\d+)\s*$", response.headers.get("Content-Range", ""))
        return int(total.group(1)) if total else None
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _strong_etag(response: Any) -> str | None:
    etag = response.headers.get("ETag")
    return None if etag is None or etag.startswith("W/") else str(etag)


def _file_size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _validators_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _stored_validators(part: Path) -> _Validators | None:
    """None for a part that another program downloaded; the checksum decides whether it is right."""
    try:
        return _Validators(**json.loads(_validators_file(part).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _error_text(error: object) -> str:
    return str(error) or type(error).__name__
