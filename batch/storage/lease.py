"""One writer at a time in an object store: a lease, an object that its owner renews while it works.

Delta's log in S3 loses commits of two drivers, and two catalogues would write segments of one name. A second one is refused until
the first has ended, or has not renewed its lease for EXPIRES_S. Ages are by the store's clock, so those of the nodes may differ.
This is no lock: of two that begin within a moment, one may notice the other only after SETTLING_S, before it has written. Who
could not renew a lease for so long that another took it (a pause, a network that was away) ends its process.

Where YARN starts the driver of an application again, the lease is that of the attempt before, and is taken at once.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from batch.storage import objects
from batch.storage.locations import child, is_remote, open_store
from conf import yarn_container

EXPIRES_S = 60.0
RENEWED_EVERY_S = 15.0
SETTLING_S = 1.0
LEASES_FOLDER = "_writers"
Owner = dict[str, Any]
"""Content of a lease: {"writer": its id, "host", "process", and in a container of YARN "application"}"""


class HeldByAnother(RuntimeError):
    """Another process writes there."""


def end_process(message: str) -> None:
    """Prints the message and ends this process as `kill` would."""
    print(message, file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def held(
    root: str, name: str, settling_s: float = SETTLING_S, when_lost: Callable[[str], object] = end_process
) -> Iterator[None]:
    """Holds the lease of a writer while the block runs. Raises HeldByAnother.

    root : location of the lake, the models or the checkpoints; a local one needs no lease, its file system has locks
    name : of the writer, such as "extract"
    when_lost : called, from another thread, with a message where another writer has taken the lease meanwhile
    """
    if not is_remote(root):
        yield
        return
    location = child(child(root, LEASES_FOLDER), f"{name}.json")
    owner: Owner = {"writer": uuid.uuid4().hex, "host": socket.gethostname(), "process": os.getpid()}
    if application := yarn_container.application():
        owner["application"] = application
    _refuse_another(location, name, owner)
    objects.replace_text(location, json.dumps(owner))
    time.sleep(settling_s)
    _refuse_another(location, name, owner)
    stopping = threading.Event()
    arguments = (location, name, owner, stopping, when_lost)
    renewing = threading.Thread(target=_renew, args=arguments, daemon=True, name=f"lease {name}")
    renewing.start()
    try:
        yield
    finally:
        stopping.set()
        renewing.join()
        with suppress(OSError):
            if _holder(location) == owner:
                objects.remove(location)


def held_ages(root: str) -> dict[str, float]:
    """{writer: seconds since its lease was renewed} of the leases in a store; none for a local root. Raises OSError."""
    if not is_remote(root):
        return {}
    folder = child(root, LEASES_FOLDER)
    names = [name for name in objects.names(folder) if name.endswith(".json")]
    return {name.removesuffix(".json"): _age_s(child(folder, name)) for name in names}


def _refuse_another(location: str, name: str, owner: Owner) -> None:
    holder = _holder(location)
    if holder is None or holder == owner or _is_earlier_attempt(holder, owner):
        return
    age_s = _age_s(location)
    if age_s < EXPIRES_S:
        raise HeldByAnother(
            f"another {name} writes there: {_place(holder)}, seen {age_s:.0f} s ago; wait until it has ended, or "
            f"{EXPIRES_S:.0f} s after it has died"
        )


def _is_earlier_attempt(holder: Owner, owner: Owner) -> bool:
    """Whether both are drivers of one application, of which YARN starts another when the one before has ended."""
    return "application" in owner and holder.get("application") == owner["application"]


def _holder(location: str) -> Owner | None:
    """Who holds a lease; None where nobody does. Raises OSError."""
    try:
        holder = objects.read_json(location)
    except FileNotFoundError:
        return None
    except ValueError:  # not written by this program
        return {}
    return holder if isinstance(holder, dict) else {}


def _place(holder: Owner | None) -> str:
    """Where the holder of a lease runs."""
    return "process {process} on {host}".format_map({"process": "?", "host": "?"} | (holder or {}))


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


def _renew(
    location: str, name: str, owner: Owner, stopping: threading.Event, when_lost: Callable[[str], object]
) -> None:
    while not stopping.wait(RENEWED_EVERY_S):
        with suppress(OSError):  # the next time may do
            holder = _holder(location)
            if holder not in (None, owner):
                when_lost(
                    f"{name}: another {name} has begun to write there, {_place(holder)}, since this one had not renewed its "
                    f"lease for {EXPIRES_S:.0f} s: this one ends"
                )
                return
            objects.replace_text(location, json.dumps(owner))
