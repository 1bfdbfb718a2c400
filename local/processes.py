"""Processes that a demo owns: started in a group of their own, recorded in a pid file, stopped with all their children.

The pid file holds the process's start time as the kernel tells it, so that a pid that another program
got since is never mistaken for ours.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from batch.atomic import write_text

FIRST_PORT = 10_100
"""Browsers refuse 10080."""
DEFAULT_FIRST_PORT_OF_CONNECTIONS = 32_768
PORTS_TRIED = 50
WHEN_RECORDED = 'read -r _ || exit 1; exec "$@" </dev/null'
"""Shell: runs the command as this process once a line comes, and ends where none comes, since who starts it has died."""


class StepFailed(RuntimeError):
    """A step of the demo failed; the message says which, why, and what to do."""


class Process:
    """A child in a process group of its own, with its output in a log and a pid file beside it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.log = folder / "logs" / f"{name}.log"
        self.pid_file = folder / "run" / f"{name}.pid"
        self._popen: subprocess.Popen[bytes] | None = None

    def start(
        self, command: Iterable[str | Path], environment: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Process:
        """Starts the command; what it prints goes to `log`, of which the last run is kept beside it as `.old`.

        It runs once the pid file is written: a starter that is killed in between leaves no process that nobody knows of.
        """
        for file in (self.log, self.pid_file):
            file.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".old"))
        with self.log.open("wb") as log:
            self._popen = subprocess.Popen(
                ["/bin/sh", "-c", WHEN_RECORDED, self.name, *(str(part) for part in command)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=None if environment is None else dict(environment),
                cwd=cwd,
                start_new_session=True,
            )
        record = {"pid": self._popen.pid, "started": _kernel_start(self._popen.pid), "name": self.name}
        record["boot"] = _boot()
        write_text(self.pid_file, json.dumps(record))
        if self._popen.stdin is not None:
            with suppress(BrokenPipeError), self._popen.stdin as gate:  # killed meanwhile
                gate.write(b"\n")
        return self

    @property
    def pid(self) -> int:
        if self._popen is None:
            raise StepFailed(f"{self.name} has not been started")
        return self._popen.pid

    @property
    def started(self) -> bool:
        return self._popen is not None

    @property
    def returncode(self) -> int | None:
        """None while it runs."""
        return None if self._popen is None else self._popen.poll()

    def require_running(self, doing: str) -> None:
        """Raises StepFailed, with the end of the log, where the process has ended."""
        if self.returncode is not None:
            raise StepFailed(f"{self.name} ended with code {self.returncode} while {doing}\n{self.tail()}")

    def tail(self, lines: int = 12) -> str:
        """The end of the log, for a message."""
        try:
            text = self.log.read_text(errors="replace").strip().splitlines()
        except OSError:
            text = []
        return "\n".join([f"  the last lines of {self.log}:", *(f"    {line[:300]}" for line in text[-lines:])])

    def stop(self, patience_s: float = 15.0) -> None:
        """SIGTERM, then SIGKILL, to the whole group; returns when all its processes have ended."""
        if self._popen is not None:
            stop_group(self._popen.pid, patience_s)
            self._popen.wait()
        self.pid_file.unlink(missing_ok=True)


def leftovers(folder: Path) -> list[tuple[str, int]]:
    """(name, pid) of processes that an earlier demo in this folder left behind and that still run."""
    running = []
    for file in sorted((folder / "run").glob("*.pid")):
        try:
            record = json.loads(file.read_text())
            name, pid, started = str(record["name"]), int(record["pid"]), int(record["started"])
            if record["boot"] != _boot():  # no process outlives a boot, and start times count from it
                raise ValueError("of an earlier boot")
        except (ValueError, KeyError, TypeError, OSError):
            file.unlink(missing_ok=True)
            continue
        leader = _kernel_start(pid)
        # The leader may have ended while its children run; a pid reused by a later process is not ours.
        if leader == started or (leader is None and _group_members(pid)):
            running.append((name, pid))
        else:
            file.unlink(missing_ok=True)
    return running


def stop_leftovers(folder: Path) -> list[str]:
    """Stops what an earlier demo left behind and returns the names."""
    names = []
    for name, pid in leftovers(folder):
        stop_group(pid, patience_s=15.0)
        (folder / "run" / f"{name}.pid").unlink(missing_ok=True)
        names.append(name)
    return names


def stop_group(group: int, patience_s: float) -> None:
    """Ends a process group: SIGTERM first, SIGKILL for what is left after `patience_s` seconds."""
    for number, patience in ((signal.SIGTERM, patience_s), (signal.SIGKILL, 5.0)):
        if not _group_members(group):
            return
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + patience
        while _group_members(group) and time.monotonic() < deadline:
            time.sleep(0.05)


def resident_bytes(pids: Iterable[int]) -> int:
    """Memory of the processes and all their descendants; what they share is counted once (proportional set size)."""
    return int(sum(memory_by_program(pids).values()))


def memory_by_program(pids: Iterable[int]) -> dict[str, float]:
    """`resident_bytes` of the processes and all their descendants, by the program's name."""
    return _by_program(pids, _proportional_set)


def cpu_by_program(pids: Iterable[int]) -> dict[str, float]:
    """Processor seconds of the processes and all their descendants, those that ended included, by the program's name."""
    return _by_program(pids, _cpu_seconds)


def cpu_by_threads(pids: Iterable[int], names: tuple[str, ...]) -> float:
    """Processor seconds of threads of the processes and all their descendants that have not ended.

    names : how the threads' names begin; the kernel keeps fifteen letters of one
    """
    threads = [thread for pid in family(pids) for thread in Path(f"/proc/{pid}/task").glob("*")]
    return sum(_own_cpu_seconds(thread) for thread in threads if _thread_name(thread).startswith(names))


def _by_program(pids: Iterable[int], measured: Callable[[int], float]) -> dict[str, float]:
    total_by_program: dict[str, float] = {}
    for pid in family(pids):
        name = _program(pid)
        total_by_program[name] = total_by_program.get(name, 0) + measured(pid)
    return total_by_program


def family(pids: Iterable[int]) -> list[int]:
    """The processes and all their descendants."""
    wanted = set(pids)
    parents = {pid: stat[1] for pid, stat in processes()}
    members = []
    for pid in parents:
        ancestor: int | None = pid
        while ancestor is not None and ancestor not in wanted:
            ancestor = parents.get(ancestor)
        if ancestor is not None:
            members.append(pid)
    return members


def command_line(pid: int) -> list[bytes]:
    """The words of a process's command; none where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def processes_naming(text: str | Path) -> list[int]:
    """Other processes that have a text in a word of their command."""
    wanted = os.fsencode(text)
    return [pid for pid, _ in processes() if pid != os.getpid() and any(wanted in word for word in command_line(pid))]


def free_port(preferred: int | None = None) -> int:
    """A port of 127.0.0.1 that is free now: the preferred one where it is, else any.

    Taken below those that the kernel gives to outgoing connections, of which one could have it before the server does.
    """
    candidates = [random.randrange(FIRST_PORT, _first_port_of_connections()) for _ in range(PORTS_TRIED)]
    for port in ([preferred] if preferred else []) + candidates + [0]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StepFailed("no port of 127.0.0.1 is free")


def _first_port_of_connections() -> int:
    """The first of the ports that the kernel gives to outgoing connections."""
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        return DEFAULT_FIRST_PORT_OF_CONNECTIONS
    return first if first > 2 * FIRST_PORT else DEFAULT_FIRST_PORT_OF_CONNECTIONS


def _boot() -> str:
    """Id of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _stat(pid: int) -> tuple[str, int, int, int] | None:
    """State, parent, process group and start time (clock ticks since boot); None where there is no such process."""
    fields = _fields(Path(f"/proc/{pid}"))
    return (fields[0], int(fields[1]), int(fields[2]), int(fields[19])) if fields else None


def _fields(entry: Path) -> list[str]:
    """Fields of `stat` after the name; empty where the process or thread has ended.  entry : /proc/PID or /proc/PID/task/TID"""
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return []


def processes() -> list[tuple[int, tuple[str, int, int, int]]]:
    """(pid, (state, parent, process group, start time)) of this machine's processes."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [(pid, stat) for pid in pids if (stat := _stat(pid)) is not None]


def _kernel_start(pid: int) -> int | None:
    stat = _stat(pid)
    return None if stat is None or stat[0] == "Z" else stat[3]


def _group_members(group: int) -> list[int]:
    """Processes of the group that still run; zombies do not count."""
    return [pid for pid, (state, _, its_group, _) in processes() if its_group == group and state != "Z"]


def _program(pid: int) -> str:
    """A process's name; "" where it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _cpu_seconds(pid: int) -> float:
    """Seconds of processor time that a process and its ended children have used."""
    return sum(map(int, _fields(Path(f"/proc/{pid}"))[11:15])) / os.sysconf("SC_CLK_TCK")


def _own_cpu_seconds(thread: Path) -> float:
    """Seconds of processor time that a thread has used.  thread : /proc/PID/task/TID"""
    return sum(map(int, _fields(thread)[11:13])) / os.sysconf("SC_CLK_TCK")


def _thread_name(thread: Path) -> str:
    try:
        return (thread / "comm").read_text()
    except OSError:
        return ""


def _proportional_set(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
