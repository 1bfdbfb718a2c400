"""The demo: everything on one machine, from a folder of music to a player whose list follows every skip.

    demo.sh [FOLDER] [--no-browser] [--port N] [--listeners N] [--once]

Starts MongoDB and Kafka, makes the sample library where no folder is given, runs batch where something has changed, starts
the queries and the player, and stops all of it on Ctrl-C or on an error.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import time
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from batch import registry
from batch.atomic import write_text
from batch.library.files import EmptyLibrary, LibraryNotFound, library_root, scan
from conf.settings import PREFIX, PROJECT, Settings, SettingsError, settings
from local.home import exclusive, exported, signals_ignored, usable_home
from local.library.batch_run import BatchRun
from local.library.watch import LibraryWatch, as_listing
from local.processes import Process, StepFailed, free_port, resident_bytes, stop_leftovers
from local.services import KafkaServer, MongoServer

READY_S = 180.0
RESTARTS = 5
"""Restarts of ended processes within RESTARTS_S; one more ends the demo."""
RESTARTS_S = 600.0
UNSET_VARIABLES = frozenset({"SPARK_HOME", "MASTER", "PYSPARK_PYTHON", "PYSPARK_SUBMIT_ARGS"})
"""Not passed on from the caller's environment: the demo runs on the Spark that it was tested with."""
ONCE_LISTENER = "demo-listener"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _arguments(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup means to go on
        signal.signal(signal.SIGHUP, _interrupt)
    try:
        chosen = settings()
        home = usable_home(chosen.home)
        with exclusive(home):
            return Demo(options, home).run()
    except (SettingsError, StepFailed, LibraryNotFound, EmptyLibrary) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"demo: {error}; the data folder is {settings().home}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="demo.sh", description="Your own Spotify on this machine.")
    parser.add_argument("folder", metavar="FOLDER", nargs="?", help="your music; default: the sample library")
    parser.add_argument("--no-browser", action="store_true", help="print the player's address, do not open it")
    parser.add_argument("--port", type=int, metavar="N", help="the player's port; default: 7860, or a free one")
    parser.add_argument("--listeners", type=int, default=0, metavar="N", help="simulated listeners beside you")
    parser.add_argument(
        "--once", action="store_true", help="listen to a few tracks, print the list that comes, and end"
    )
    options = parser.parse_args(arguments)
    if options.listeners < 0:
        parser.error(f"--listeners {options.listeners}: expected 0 or more")
    return options


class Demo:
    """One run. Whatever was started is stopped at its end, in the order queries, player, Kafka, MongoDB."""

    def __init__(self, options: argparse.Namespace, home: Path) -> None:
        self.options, self.home = options, home
        self.started = time.monotonic()
        self.mongo, self.kafka = MongoServer(home), KafkaServer(home)
        self.streams, self.player = Process("streams", home), Process("player", home)
        self.listeners, self.batch = Process("listeners", home), BatchRun(home, self._say)
        self.restarts: list[float] = []
        self.ready_file = home / "run" / "streams.ready"
        self.run_env = home / "run.env"

    def run(self) -> int:
        self.run_env.unlink(missing_ok=True)
        for name in stop_leftovers(self.home):
            self._say(f"stopped {name}, left behind by an earlier demo")
        port = self._port()
        folder = library_root(self.options.folder) if self.options.folder else None
        if folder is not None:
            scan(folder)  # raises before anything starts where the folder holds no audio
        try:
            root = self._prepared(folder)
            chosen = self._settings(root, port)
            environment = self._environment(chosen)
            is_due_later = self._batch(root, chosen, environment)
            self._serve(chosen, environment)
            self.environment = environment
            if is_due_later and self.options.once:
                self._say("the library is brought up to this version by a start without --once")
            elif is_due_later:
                self._say("bringing the library up to this version while you listen …")
                self.batch.start(environment, is_patient=True)
            return self._once(chosen) if self.options.once else self._watch(chosen)
        finally:
            self.run_env.unlink(missing_ok=True)
            self._stop()

    def _prepared(self, folder: Path | None) -> Path:
        """Starts the services and makes the sample library meanwhile; returns the library's folder."""
        self.mongo.start()
        self.kafka.start()
        if folder is None:
            folder = self._sample_library()
        self.mongo.wait()
        self.kafka.wait()
        self._say(f"MongoDB on port {self.mongo.port}, Kafka on port {self.kafka.port}")
        return folder.resolve()

    def _sample_library(self) -> Path:
        from local.sample_library import render

        def progress(done: int, total: int) -> None:
            if done == total or done % 16 == 0:
                self._say(f"sample library: {done} of {total} tracks")

        out = self.home / "sample-library"
        try:
            render(out, progress=progress)
        except (OSError, RuntimeError) as error:
            raise StepFailed(f"the sample library could not be made: {error}") from error
        return out

    def _settings(self, root: Path, port: int) -> Settings:
        base = settings()
        return settings(
            home=self.home,
            library={"root": str(root)},
            mongo={"uri": self.mongo.uri, "database": base.mongo.database},
            kafka={**base.kafka.model_dump(), "bootstrap_servers": self.kafka.bootstrap_servers},
            player={**base.player.model_dump(), "host": "127.0.0.1", "port": port},
        )

    def _environment(self, chosen: Settings) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name not in UNSET_VARIABLES}
        player = {f"{PREFIX}PLAYER__HOST": chosen.player.host, f"{PREFIX}PLAYER__PORT": str(chosen.player.port)}
        return {**inherited, **exported(chosen), **player}

    def _batch(self, root: Path, chosen: Settings, environment: dict[str, str]) -> bool:
        """Runs the batch jobs where they are due; returns whether they are, but need not be waited for."""
        from local.library.up_to_date import Due, due

        files, unusable = scan(root)
        self.watch = LibraryWatch(root, as_listing(files, unusable), self._say)
        what_is_due = due(root, files, unusable, chosen)
        if what_is_due is Due.NOTHING:
            self._say(f"library: {len(files):,} files, nothing has changed since the last run")
            return False
        if what_is_due is Due.LATER:
            self._say(
                f"library: {len(files):,} files, as an earlier version of Overtone left them; starting with its model"
            )
            return True
        self._say_if_other_library(root, chosen)
        self._say(f"library: {len(files):,} files in {root}; extract, train, publish …")
        self.batch.start(environment)
        while self.batch.is_running:
            self.batch.show_progress()
            time.sleep(0.2)
        if failure := self.batch.failure():
            raise StepFailed(f"batch failed: {failure}\n{self.batch.process.tail()}")
        return False

    def _say_if_other_library(self, root: Path, chosen: Settings) -> None:
        try:
            last = registry.latest(chosen.models.root).manifest.get("library")
        except (registry.ModelNotFound, registry.ModelUnusable):
            return
        if last and last != str(root):
            self._say(
                f"another library than last time ({last}): that one keeps its tables, player and stream offer this one"
            )

    def _serve(self, chosen: Settings, environment: dict[str, str]) -> None:
        """Starts queries and player, and writes run.env when both are ready."""
        self.ready_file.unlink(missing_ok=True)
        self._start_streams(environment)
        if not self.options.once:
            self._start_player(environment)
        deadline = time.monotonic() + READY_S
        while not (self.ready_file.exists() and (self.options.once or "Overtone is at" in self.player.log.read_text())):
            self.streams.require_running("starting the queries")
            if not self.options.once:
                self.player.require_running("starting the player")
            self._require_services()
            if time.monotonic() > deadline:
                raise StepFailed(f"the queries were not ready within {READY_S:.0f} s\n{self.streams.tail()}")
            time.sleep(0.1)
        exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in exported(chosen).items())
        write_text(self.run_env, exports)
        if self.options.listeners:
            self._start_listeners(environment)
            self._say(f"{self.options.listeners} simulated listeners are listening")
        self._say("queries are running")

    def _start_streams(self, environment: dict[str, str]) -> None:
        job = PROJECT / "local" / "streams.py"
        self.streams.start([PROJECT / "spark-submit.sh", job, self.ready_file], environment)

    def _start_player(self, environment: dict[str, str]) -> None:
        self.player.start([sys.executable, "-m", "ui"], environment, cwd=PROJECT)

    def _start_listeners(self, environment: dict[str, str]) -> None:
        command = [sys.executable, "-m", "local.simulated_listeners", "--listeners", str(self.options.listeners)]
        self.listeners.start(command, environment, cwd=PROJECT)

    def _restart_ended(self) -> None:
        """Restarts processes that have ended; queries and player wait meanwhile. Raises StepFailed after too many restarts."""
        parts: list[tuple[Process, Callable[[], object]]] = [
            (self.mongo.process, lambda: self.mongo.start().wait()),
            (self.kafka.process, lambda: self.kafka.start().wait()),
            (self.streams, lambda: self._start_streams(self.environment)),
            (self.player, lambda: self._start_player(self.environment)),
        ]
        if self.options.listeners:
            parts.append((self.listeners, lambda: self._start_listeners(self.environment)))
        for process, start in parts:
            if process.returncode is None:
                continue
            self.restarts = [
                *(restart for restart in self.restarts if restart > time.monotonic() - RESTARTS_S),
                time.monotonic(),
            ]
            if len(self.restarts) > RESTARTS:
                process.require_running(f"serving; restarted {RESTARTS} times within {RESTARTS_S / 60:.0f} minutes")
            self._say(f"{process.name} ended with code {process.returncode}; starting it again")
            process.stop()  # what is left of its group
            start()
            self._say(f"{process.name} is back")

    def _watch(self, chosen: Settings) -> int:
        address = f"http://127.0.0.1:{chosen.player.port}/"
        self._say(f"memory of all processes: {self._memory():.1f} GiB")
        print(f"\n  Overtone is at {address}\n  Ctrl-C stops everything; data stays in {self.home}\n", flush=True)
        has_screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        if not self.options.no_browser and has_screen:  # a text browser would take the terminal over
            webbrowser.open(address)
        self.watch.start()
        while True:
            self._restart_ended()
            self.batch.follow()
            self._read_new_music()
            time.sleep(0.5)

    def _read_new_music(self) -> None:
        """Extracts and publishes what has changed in the library's folder, one run at a time."""
        if self.batch.is_running or not (changes := self.watch.take_changes()):
            return
        self._say(f"library: {changes} in {self.watch.root}; it is read while you listen …")
        self.batch.start(self.environment, is_patient=True, is_to_train=False)

    def _once(self, chosen: Settings) -> int:
        from kafka.errors import KafkaError
        from pymongo.errors import PyMongoError

        from local.scripted_listener import listen

        try:
            registry.latest(chosen.models.root)
        except registry.ModelNotFound:
            self._say("no model, and so no list to wait for: a library of one track plays as it is")
            return 0
        try:
            listen(chosen, ONCE_LISTENER, self._say, self.started)
        except (PyMongoError, KafkaError) as error:
            raise StepFailed(f"listening failed: {type(error).__name__}: {error}\n{self.streams.tail()}") from error
        self._say(f"memory of all processes: {self._memory():.1f} GiB")
        return 0

    def _memory(self) -> float:
        everything = (self.mongo.process, self.kafka.process, self.streams, self.player, self.listeners)
        return (
            resident_bytes(
                [
                    os.getpid(),
                    *[process.pid for process in everything if process.returncode is None and process.started],
                ]
            )
            / 2**30
        )

    def _require_services(self) -> None:
        self.mongo.process.require_running("serving")
        self.kafka.process.require_running("serving")

    def _stop(self) -> None:
        with signals_ignored():
            for stop in (
                self.listeners.stop, self.batch.stop, self.streams.stop, self.player.stop, self.kafka.stop, self.mongo.stop
            ):  # fmt: skip
                stop()

    def _port(self) -> int:
        wanted = self.options.port
        if wanted is not None and not 1 <= wanted <= 65535:
            raise StepFailed(f"--port {wanted} is no port, expected 1 to 65535")
        preferred = wanted or settings().player.port
        port = free_port(preferred)
        if wanted and port != wanted:
            raise StepFailed(f"port {wanted} is in use; stop what uses it, or choose another with --port N")
        return port

    def _say(self, line: str) -> None:
        print(f"[{time.monotonic() - self.started:5.1f} s] {line}", flush=True)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
