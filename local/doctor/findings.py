"""A finding, and how checks are run: side by side, each in a thread of its own, all of them for a limited time."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

from conf.settings import Settings

PATIENCE_S = 30.0
"""A check that has not ended by then is reported as such."""
_LOGIN_OF_URI = re.compile(r"(?<=://)[^/@\s]+@")


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    what : a thing and its state
    why : what follows from it, or how it was seen
    to_do : the next step
    is_wrong : False for what works, and is worth knowing
    """

    what: str
    why: str
    to_do: str
    is_wrong: bool = True


Check = Callable[[Settings], Iterable[Finding]]


@dataclass(frozen=True)
class Result:
    """What a check found."""

    check: str
    findings: tuple[Finding, ...]

    @property
    def is_well(self) -> bool:
        return not any(finding.is_wrong for finding in self.findings)


def results(
    checks: Sequence[tuple[str, Check]], settings: Settings, patience_s: float = PATIENCE_S
) -> Iterator[Result]:
    """The results in the order of the checks. A check that raises, or takes longer, is a finding; the others go on."""
    deadline = time.monotonic() + patience_s
    runs = [_Run(name, check, settings) for name, check in checks]
    for run in runs:
        yield run.result(deadline, patience_s)


class _Run:
    """A check in a thread; one that hangs does not hold up the end of the process."""

    def __init__(self, name: str, check: Check, settings: Settings) -> None:
        self._name = name
        self._findings: list[Finding] = []
        self._thread = threading.Thread(target=self._collect, args=(check, settings), daemon=True, name=name)
        self._thread.start()

    def _collect(self, check: Check, settings: Settings) -> None:
        try:
            for finding in check(settings):
                self._findings.append(finding)
        except Exception as error:  # noqa: BLE001 - one check must not stop the others
            self._findings.append(
                Finding(
                    f"the check ended early ({type(error).__name__})",
                    first_line(error),
                    "mend what it names, and run this again",
                )
            )

    def result(self, deadline: float, patience_s: float) -> Result:
        self._thread.join(max(0.0, deadline - time.monotonic()))
        findings = list(self._findings)
        if self._thread.is_alive():
            findings.append(
                Finding(
                    f"the check has not ended within {patience_s:.0f} s",
                    "a service or a disk takes requests and does not answer",
                    "look at the load and the log of what it asks; a larger --patience waits longer",
                )
            )
        return Result(self._name, tuple(findings))


def as_text(result: Result) -> str:
    """A line for each finding; one line where there is none."""
    if not result.findings:
        return f"ok     {result.check}"
    return "\n".join(
        f"{'wrong' if finding.is_wrong else 'note '}  {result.check}: {finding.what}: {finding.why}; {finding.to_do}"
        for finding in result.findings
    )


def as_json(done: Sequence[Result]) -> str:
    """`{"ok", "checks": [{"check", "ok", "findings": [{"what", "why", "to_do", "is_wrong"}]}]}`"""
    checks = [
        {"check": each.check, "ok": each.is_well, "findings": [asdict(finding) for finding in each.findings]}
        for each in done
    ]
    return json.dumps({"ok": all(each.is_well for each in done), "checks": checks}, indent=2, ensure_ascii=False)


def first_line(error: BaseException, most_characters: int = 200) -> str:
    """The first line of an exception's text, without names and passwords of URIs."""
    text = (str(error).strip().splitlines() or ["no message"])[0]
    return _LOGIN_OF_URI.sub("", text)[:most_characters]
