"""Renders tracks in several processes, each a Python of its own that is sent one track after the other.

Not `multiprocessing`: a caller that has threads must not be forked, spawning runs the caller's main module again, and
either may leave semaphores behind. Here a worker reads orders from its standard input and ends where that ends, so that
none outlives its caller, however the caller ends. It has a session of its own, so that Ctrl-C reaches the caller alone.
"""

import json
import os
import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, redirect_stdout, suppress
from pathlib import Path
from queue import SimpleQueue

from local.sample_library.plan import Track, track
from local.sample_library.styles import STYLES

PROJECT = Path(__file__).resolve().parents[2]


class RenderingFailed(RuntimeError):
    """A track could not be rendered."""


class Worker:
    """A process that renders one track at a time, and is ended on leaving the context."""

    def __init__(self) -> None:
        path = os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from local.sample_library.workers import obey; obey()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"},
            start_new_session=True,
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        # What could not be sent to a dead process is no loss.
        with suppress(BrokenPipeError):
            self._process.communicate()

    def kill(self) -> None:
        """End the process, whatever it is at: a file that is not whole has no name yet."""
        self._process.kill()

    def render(self, ordered: Track, out: Path) -> None:
        """Have a track rendered into the library `out`."""
        order = {"style": ordered.style.name, "position": ordered.position, "out": str(out.absolute())}
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        try:
            print(json.dumps(order), file=stdin, flush=True)
            answer = stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise RenderingFailed(f"Rendering {ordered} ended with its process, exit code {self._process.wait()}")
        if error := json.loads(answer)["error"]:
            raise RenderingFailed(f"Cannot render {ordered}: {error}")


def rendered(tracks: list[Track], out: Path, processes: int) -> Generator[Track, None, None]:
    """The tracks as they get done; when one fails, or the caller closes the iterator, all workers are stopped."""
    if not tracks:
        return
    idle: SimpleQueue[Worker] = SimpleQueue()

    def render_one(ordered: Track) -> Track:
        worker = idle.get()
        try:
            worker.render(ordered, out)
        finally:
            idle.put(worker)
        return ordered

    with ExitStack() as stack:
        workers = [stack.enter_context(Worker()) for _ in range(min(processes, len(tracks)))]
        for worker in workers:
            idle.put(worker)
        executor = stack.enter_context(ThreadPoolExecutor(len(workers), thread_name_prefix="sample-library"))
        # Undone from the bottom up: no new orders, the workers end, so the threads do, then the pipes are closed.
        for worker in workers:
            stack.callback(worker.kill)
        stack.callback(executor.shutdown, wait=False, cancel_futures=True)
        for future in as_completed([executor.submit(render_one, ordered) for ordered in tracks]):
            yield future.result()


def obey() -> None:
    """The worker's main loop: renders each track that a line of standard input orders, and answers each with a line."""
    answers = sys.stdout
    styles = {style.name: style for style in STYLES}
    # Standard output carries the answers; what a library prints must not get between them.
    with redirect_stdout(sys.stderr):
        for line in sys.stdin:
            order = json.loads(line)
            error = None
            try:
                # Imported here, so that planning does not wait for music21, and so that a missing package is an answer.
                from local.sample_library.rendering import render_track

                ordered = track(styles[order["style"]], order["position"])
                render_track(ordered, Path(order["out"]) / ordered.path)
            except Exception as failure:  # noqa: BLE001 - whatever it is, it is kept and said
                error = f"{type(failure).__name__}: {failure}"
            try:
                print(json.dumps({"error": error}), file=answers, flush=True)
            except BrokenPipeError:
                # The caller is gone; without this Python would complain of it once more on its way out.
                os._exit(1)
