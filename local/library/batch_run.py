"""The batch jobs as a process of the demo, which waits for them or goes on meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from conf.settings import PROJECT
from local.processes import Process


class BatchRun:
    """The process that runs local/batch.py.

    say : shows a line
    """

    def __init__(self, home: Path, say: Callable[[str], None]) -> None:
        self.process = Process("batch", home)
        self._say = say
        self._shown_lines = 0
        self._is_followed = False

    def start(self, environment: Mapping[str, str], is_patient: bool = False, is_to_train: bool = True) -> None:
        """is_patient : leaves the cores to what serves the listener, and is to be followed"""
        command: list[str | Path] = [PROJECT / "spark-submit.sh", PROJECT / "local" / "batch.py"]
        if not is_to_train:
            command.append("--without-training")
        self.process.start(["nice", "-n", "10", *command] if is_patient else command, environment)
        self._shown_lines, self._is_followed = 0, is_patient

    def stop(self) -> None:
        self.process.stop()

    @property
    def is_running(self) -> bool:
        return self.process.started and self.process.returncode is None

    def follow(self) -> None:
        """Shows what a patient run says, and how it ends."""
        if not self._is_followed:
            return
        if self.is_running:
            self.show_progress()
            return
        self._is_followed = False
        if failure := self.failure():
            log = self.process.log
            self._say(f"bringing the library up to date failed: {failure}; all goes on as before, see {log}")
        else:
            self._say("the library is up to date")

    def failure(self) -> str:
        """Why the run, which has ended, failed; "" where it did not. Shows its last lines."""
        self.show_progress()
        code = self.process.returncode
        self.stop()
        if code == 0:
            return ""
        reasons = [line for line in self._lines() if line.startswith("failed: ")]
        return reasons[-1].removeprefix("failed: ") if reasons else f"it ended with code {code}"

    def show_progress(self) -> None:
        """Shows the jobs' own lines that are new, among those of Spark."""
        lines = [
            line
            for line in self._lines()
            if line.startswith(("extract: ", "train: ", "publish: ", "  ")) and "\tat" not in line
        ]
        lines = [line for line in lines if line[:2] != "  " or " files, " in line]
        for line in lines[self._shown_lines :]:
            self._say(line.strip())
        self._shown_lines = len(lines)

    def _lines(self) -> list[str]:
        return self.process.log.read_text(errors="replace").splitlines()
