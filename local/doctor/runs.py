"""What runs, and what an earlier run has left: run.env, leases of writers, ports."""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from batch.storage import lease
from batch.storage.locations import without_password
from conf.settings import PREFIX, Settings
from local.doctor.findings import Finding
from local.doctor.locations import unusable

ANSWER_S = 3.0
RUN_ENV = "run.env"


def run_env(settings: Settings) -> Iterator[Finding]:
    """Whether run.env is of a demo that runs, and whether this shell has its settings."""
    file = settings.home / RUN_ENV
    if not file.exists():
        return
    if not _demo_runs(settings.home):
        yield Finding(
            f"{file} is of a demo that no longer runs", "what it names does not answer", "remove it, or run ./demo.sh"
        )
        return
    names = re.findall(rf"^export ({PREFIX}[A-Z_]+)=", file.read_text(), re.MULTILINE)
    unset = [name for name in names if name not in os.environ]
    if unset:
        yield Finding(
            f"a demo runs in {settings.home}, and this shell does not have its settings",
            f"{unset[0]} and others are not set",
            f"run: . {file}",
            False,
        )


def _demo_runs(home: Path) -> bool:
    """Whether a demo holds the home's lock (`local.home.exclusive`)."""
    try:
        with (home / "run" / "demo.lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def leases(settings: Settings) -> Iterator[Finding]:
    """A note for each lease in a store that nobody renews."""
    for root in set(settings.written_locations.values()):
        ages = {} if unusable(root) else lease.held_ages(root)
        for name, age_s in ages.items():
            if age_s > lease.EXPIRES_S:
                yield Finding(
                    f"the lease of {name} in {without_password(root)} was renewed {age_s:,.0f} s ago",
                    "its driver was killed",
                    f"nothing: the next {name} takes it over; remove {lease.LEASES_FOLDER}/{name}.json where none is to run",
                    False,
                )


def ports(settings: Settings) -> Iterator[Finding]:
    """A finding for each port that another program has."""
    for setting, host, port in (
        ("player.port", settings.player.host, settings.player.port),
        ("stream.metrics_port", settings.stream.metrics_host, settings.stream.metrics_port),
    ):
        if port and _is_taken(host, port) and not _answers_as_ours(host, port):
            yield Finding(
                f"port {port} is in use by another program",
                f"{setting} names it, and what answers there is not Overtone",
                f"stop what uses it (ss -ltnp 'sport = :{port}'), or set OVERTONE_{setting.replace('.', '__').upper()}",
            )


def _reached(host: str) -> str:
    """The address by which this machine reaches what listens on a host."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def _is_taken(host: str, port: int) -> bool:
    try:
        socket.create_connection((_reached(host), port), timeout=ANSWER_S).close()
    except OSError:
        return False
    return True


def _answers_as_ours(host: str, port: int) -> bool:
    """Whether /healthz there answers as players and queries do."""
    name = _reached(host)
    url = f"http://{f'[{name}]' if ':' in name else name}:{port}/healthz"
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_S) as answer:  # noqa: S310
            body = answer.read(10_000)
    except urllib.error.HTTPError as error:  # 503: ours, and not well
        body = error.read(10_000)
    except (OSError, ValueError):
        return False
    try:
        return "status" in json.loads(body)
    except (ValueError, TypeError):
        return False
