"""The demo's home: created, checked for writing and locked; run.env for other shells; signals ignored while the demo stops."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from conf.settings import PREFIX, Settings
from local.processes import StepFailed

FREE_BYTES = 1 << 30


def exported(chosen: Settings) -> dict[str, str]:
    """The settings that another shell needs to take part."""
    return {
        f"{PREFIX}HOME": str(chosen.home),
        f"{PREFIX}LAKE__ROOT": chosen.lake.root,
        f"{PREFIX}MODELS__ROOT": chosen.models.root,
        f"{PREFIX}MONGO__URI": chosen.mongo.uri.get_secret_value(),
        f"{PREFIX}MONGO__DATABASE": chosen.mongo.database,
        f"{PREFIX}KAFKA__BOOTSTRAP_SERVERS": chosen.kafka.bootstrap_servers,
        f"{PREFIX}LIBRARY__ROOT": chosen.library.root,
    }


def usable_home(home: Path) -> Path:
    """The home, made and tried. Raises StepFailed where it cannot be written or the disk is full."""
    try:
        (home / "run").mkdir(parents=True, exist_ok=True)
        trial = home / "run" / ".trial"
        trial.write_bytes(b"x")
        trial.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise StepFailed(f"{home} cannot be written ({reason}); set OVERTONE_HOME to a folder of yours") from error
    free = shutil.disk_usage(home).free
    if free < FREE_BYTES:
        raise StepFailed(
            f"{free / 2**20:.0f} MiB are free at {home}, a demo needs 1 GiB; make room or set OVERTONE_HOME"
        )
    return home


@contextlib.contextmanager
def exclusive(home: Path) -> Iterator[None]:
    """Holds the home's lock: one demo a home. The kernel releases it however the process ends."""
    with (home / "run" / "demo.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StepFailed(f"another demo runs in {home}; stop it, or set OVERTONE_HOME to another folder") from error
        os.set_inheritable(lock.fileno(), False)
        yield


@contextlib.contextmanager
def signals_ignored() -> Iterator[None]:
    """Ignores signals meanwhile, so that a second Ctrl-C leaves no process behind."""
    before = [
        (number, signal.signal(number, signal.SIG_IGN)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    ]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
