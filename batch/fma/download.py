"""One large file by HTTP: broken off at any moment, it goes on from there."""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from batch.fma.meter import Meter

PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
"""Seconds before each further try; the count starts anew when a try brought something."""
TIMEOUT_S = 60.0
"""Seconds without a byte after which a connection counts as broken."""
BLOCK = 1 << 18
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP states that may be better at the next try."""


class DownloadFailed(OSError):
    """The file could not be had; what there is of it is kept."""


class _Broken(Exception):
    """A try ended before the file did; the next one may do better."""


@dataclass(frozen=True)
class _Remote:
    """What tells one state of a remote file from another; kept beside the part."""

    url: str
    size: int | None
    etag: str | None  # a strong one; it means something at this address only

    def contradicts(self, other: _Remote) -> str | None:
        """What differs, in words."""
        if None not in (self.size, other.size) and self.size != other.size:
            return f"{self.size:,} bytes, was {other.size:,}"
        if self.url == other.url and self.etag and other.etag and self.etag != other.etag:
            return f"ETag {self.etag}, was {other.etag}"
        return None


def download(
    url: str,
    part: Path,
    make_sure_of_room: Callable[[int], None] = lambda rest: None,
    pauses_s: Sequence[float] = PAUSES_S,
    timeout_s: float = TIMEOUT_S,
) -> None:
    """Fetches `url` into the file `part`, from where an earlier try ended; returns when all of it is there.

    Beside it, `<part>.json` remembers size and ETag. If a server knows no ranges, what is there already is read past, and
    kept. `make_sure_of_room` is told how many bytes are still to come, before any is written; what it raises ends the
    download. Raises DownloadFailed where the server refuses, has another file than the one begun, or keeps breaking off;
    OSError where the disk does.
    """
    failures = 0
    while True:
        before = _length(part)
        try:
            return _fetch(url, part, make_sure_of_room, timeout_s)
        except _Broken as broken:
            failures = 1 if _length(part) > before else failures + 1
            if failures > len(pauses_s):
                raise DownloadFailed(
                    f"{url}: {broken}, {failures} times in a row; run the same command again later: "
                    f"it goes on from the {_length(part):,} bytes that are there"
                ) from broken
            pause = pauses_s[failures - 1]
            print(f"  {broken}; goes on in {pause:.0f} s (try {failures} of {len(pauses_s)})", flush=True)
            time.sleep(pause)


def forget(part: Path) -> None:
    """Removes what is remembered beside a part, when the part is a part no longer."""
    _memory(part).unlink(missing_ok=True)


def _fetch(url: str, part: Path, make_sure_of_room: Callable[[int], None], timeout_s: float) -> None:
    have, known = _length(part), _remembered(part)
    if known is not None and known.size is not None and have == known.size:
        return
    # Without this header, a server may pack the bytes for the way, and positions would mean nothing.
    headers = {"User-Agent": "overtone", "Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with _opened(Request(url, headers=headers), timeout_s) as answer:
        if answer.status == 416 and _total(answer) == have:
            return
        remote = _Remote(url, _total(answer), _etag(answer))
        change = remote.contradicts(known) if known is not None and have else None
        if change is None and (answer.status == 416 or (remote.size is not None and have > remote.size)):
            change = f"it has no bytes from {have:,} on"
        if change is not None:
            raise DownloadFailed(
                f"{url} is not the file that was begun ({change}); if it is the right one, delete {part}"
            )
        start = _start(answer, have)
        if remote.size is not None:
            make_sure_of_room(remote.size - have)
        _remember(part, remote)
        if start < have:
            print("  the server cannot go on from the middle: reading past what is there already", flush=True)
        with open(part, "ab", buffering=0) as file, Meter(part.stem, remote.size, start) as meter:
            _copy(answer, file, start, remote.size, meter)
    if remote.size is not None and _length(part) < remote.size:
        raise _Broken(f"the connection broke off at {_length(part):,} of {remote.size:,} bytes")


def _copy(answer: http.client.HTTPResponse, file: Any, start: int, total: int | None, meter: Meter) -> None:
    """Appends what comes; of a body that starts before the file's end, what follows that end."""
    position, have = start, file.tell()
    while position != total:
        wanted = BLOCK if total is None else min(BLOCK, total - position)
        try:
            # read1 hands over what has come: a slow line that breaks off loses nothing of a block half full.
            block = answer.read1(wanted if position >= have else min(wanted, have - position))
        except (OSError, http.client.HTTPException) as error:
            raise _Broken(f"the connection broke off ({_said(error)})") from error
        if not block:
            return
        if position >= have:
            rest = memoryview(block)
            while rest:
                rest = rest[file.write(rest) :]
        position += len(block)
        meter.add(len(block))


def _opened(request: Request, timeout_s: float) -> Any:
    """The answer, with state 200, 206 or 416. Raises DownloadFailed, _Broken."""
    url = request.full_url
    try:
        return urlopen(request, timeout=timeout_s)
    except HTTPError as error:
        if error.code == 416:
            return error
        with error:
            state = f"{error.code} {error.reason}"
        if error.code in PASSING:
            raise _Broken(f"the server answered {state}") from error
        hint = "; is the address right (--base-url)?" if error.code in (404, 410) else ""
        raise DownloadFailed(f"{url}: the server answered {state}{hint}") from error
    except URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise DownloadFailed(
                f"{url}: the server's certificate is not valid ({error.reason.verify_message})"
            ) from error
        raise _Broken(f"no connection ({_said(error.reason)})") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(f"no connection ({_said(error)})") from error


def _start(answer: Any, have: int) -> int:
    """Where in the file the answer's body starts: 0, or `have`. Raises DownloadFailed."""
    if answer.status == 200:
        return 0
    said = answer.headers.get("Content-Range", "")
    if answer.status == 206 and re.match(rf"bytes {have}-", said):
        return have
    raise DownloadFailed(
        f"{answer.url}: asked for the bytes from {have:,} on, got {answer.status} {said or 'without a range'}"
    )


def _total(answer: Any) -> int | None:
    """The whole file's size in bytes, if the server tells it."""
    if answer.status in (206, 416):
        total = re.search(r"/(\d+)\s*$", answer.headers.get("Content-Range", ""))
        return int(total.group(1)) if total else None
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _etag(answer: Any) -> str | None:
    etag = answer.headers.get("ETag")
    return None if etag is None or etag.startswith("W/") else str(etag)


def _length(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _memory(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _remembered(part: Path) -> _Remote | None:
    try:
        return _Remote(**json.loads(_memory(part).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None  # a part from elsewhere; the checksum will judge it


def _remember(part: Path, remote: _Remote) -> None:
    new = part.with_name(f"{part.name}.json.new")
    new.write_text(json.dumps(asdict(remote)))
    os.replace(new, _memory(part))


def _said(error: object) -> str:
    """An exception in words, where it has any."""
    return str(error) or type(error).__name__
