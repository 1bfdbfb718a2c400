"""One writer at a time in an object store: a lease, an object that its owner renews while it works.

Delta's log in S3 loses commits of two drivers, and two catalogues would write segments of one name. A second one is refused until
the first has ended, or has not renewed its lease for EXPIRES_S. Ages are by the store's clock, so those of the nodes may differ.
This is no lock: of two that begin within a moment, one may notice the other only after SETTLING_S, before it has written.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from batch.storage import objects
from batch.storage.locations import child, is_remote, open_store

EXPIRES_S = 60.0
RENEWED_EVERY_S = 15.0
SETTLING_S = 1.0
LEASES_FOLDER = "_writers"


class HeldByAnother(RuntimeError):
    """Another process writes there."""


@contextmanager
def held(root: str, name: str, settling_s: float = SETTLING_S) -> Iterator[None]:
    """Holds the lease of a writer while the block runs. Raises HeldByAnother.

    root : location of the lake or the models; a local one needs no lease, its file system has locks
    name : of the writer, such as "extract"
    """
    if not is_remote(root):
        yield
        return
    location = child(child(root, LEASES_FOLDER), f"{name}.json")
    owner = json.dumps({"writer": uuid.uuid4().hex, "host": socket.gethostname(), "process": os.getpid()})
    _refuse_another(location, name, owner)
    objects.replace_text(location, owner)
    time.sleep(settling_s)
    _refuse_another(location, name, owner)
    stopping = threading.Event()
    renewing = threading.Thread(target=_renew, args=(location, owner, stopping), daemon=True, name=f"lease {name}")
    renewing.start()
    try:
        yield
    finally:
        stopping.set()
        renewing.join()
        with suppress(OSError):
            if objects.read_text(location) == owner:
                objects.remove(location)


def held_ages(root: str) -> dict[str, float]:
    """{writer: seconds since its lease was renewed} of the leases in a store; none for a local root. Raises OSError."""
    if not is_remote(root):
        return {}
    folder = child(root, LEASES_FOLDER)
    names = [name for name in objects.names(folder) if name.endswith(".json")]
    return {name.removesuffix(".json"): _age_s(child(folder, name)) for name in names}


def _refuse_another(location: str, name: str, owner: str) -> None:
    try:
        holder = objects.read_text(location)
    except FileNotFoundError:
        return
    if holder == owner:
        return
    age_s = _age_s(location)
    if age_s < EXPIRES_S:
        where = json.loads(holder) if holder.startswith("{") else {}
        raise HeldByAnother(
            f"another {name} writes there: process {where.get('process', '?')} on {where.get('host', '?')}, seen "
            f"{age_s:.0f} s ago; wait until it has ended, or {EXPIRES_S:.0f} s after it has died"
        )


def _age_s(location: str) -> float:
    """Seconds since the object was written, by the store's clock: that of an object written now."""
    store, path = open_store(location)
    probe = f"{path}.now-{uuid.uuid4().hex}"
    with store.open_output_stream(probe) as out:
        out.write(b"now")
    try:
        now, then = (store.get_file_info(each).mtime_ns for each in (probe, path))
    finally:
        store.delete_file(probe)
    return float(now - (then or now)) / 1e9


def _renew(location: str, owner: str, stopping: threading.Event) -> None:
    while not stopping.wait(RENEWED_EVERY_S):
        with suppress(OSError):  # the next time may do
            objects.replace_text(location, owner)
