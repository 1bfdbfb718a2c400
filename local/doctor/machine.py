"""Java, Python and its packages, the jars, the trained ear."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from batch.ear.network import usable_graph
from batch.storage.locations import is_s3, without_password
from conf.settings import PROJECT, Settings
from local.doctor.findings import Finding

OLDEST_JAVA = 17
PYTHONS = ((3, 11), (3, 13))
JAVA_TIMEOUT_S = 20.0
REQUIREMENTS = PROJECT / "requirements.txt"
JARS = Path(sys.prefix) / "jars"
SET_UP_AGAIN = "run ./spark-submit.sh or ./demo.sh, which set .venv up"
_PINNED = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;#]+)")


def java(_settings: Settings) -> Iterator[Finding]:
    """Whether Spark finds a Java that it can use: JAVA_HOME's, else that of the PATH."""
    install = "install Java 17, for example: apt install openjdk-17-jre-headless"
    home = os.environ.get("JAVA_HOME")
    program = Path(home, "bin", "java") if home else None
    if program is not None and not os.access(program, os.X_OK):
        yield Finding(
            f"JAVA_HOME={home} has no bin/java", "the PATH's is used instead", "unset it, or name a Java", False
        )
        program = None
    command = str(program or shutil.which("java") or "")
    if not command:
        yield Finding("no Java", "neither JAVA_HOME nor the PATH has one", install)
        return
    try:
        banner = subprocess.run(
            [command, "-version"], capture_output=True, text=True, timeout=JAVA_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        yield Finding(f"{command} does not run", type(error).__name__, install)
        return
    match = re.search(r'version "(\d+)', banner.stderr + banner.stdout)
    if match is None or int(match[1]) < OLDEST_JAVA:
        version_met = match[1] if match else "of unknown version"
        yield Finding(f"Java {version_met} in {command}", f"Spark needs {OLDEST_JAVA} or newer", install)


def python(_settings: Settings) -> Iterator[Finding]:
    """Whether this Python and its packages are those that the project was tested with."""
    if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        yield Finding(
            f"Python {sys.version_info.major}.{sys.version_info.minor}",
            "the packages are for 3.11 to 3.13",
            "set PYTHON to one of these, remove .venv and run ./spark-submit.sh",
        )
    for name, expected in pinned_versions(REQUIREMENTS).items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            yield Finding(f"{name} is not installed", f"{REQUIREMENTS.name} names {expected}", SET_UP_AGAIN)
            continue
        if installed != expected:
            yield Finding(
                f"{name} {installed} is installed",
                f"{REQUIREMENTS.name} names {expected}",
                f"pip install {name}=={expected}",
            )


def jars(settings: Settings) -> Iterator[Finding]:
    """Whether the jars are there that `local/setup.sh` fetches, and the trained ear's graph."""
    for pattern in ("spark/delta-spark*.jar", "spark/spark-sql-kafka*.jar"):
        if not any(JARS.glob(pattern)):
            yield Finding(f"no {pattern} in {JARS}", "jobs cannot read Delta or Kafka", SET_UP_AGAIN)
    on_s3 = [location for location in settings.written_locations.values() if is_s3(location)]
    if on_s3 and not any(JARS.glob("s3/hadoop-aws*.jar")):
        yield Finding(
            f"no s3/hadoop-aws*.jar in {JARS}",
            f"Spark needs it for {without_password(on_s3[0])}",
            "./spark-submit.sh fetches it where the setting is in its environment or in settings.toml",
            False,
        )
    graph, reason = usable_graph(settings.library.ear)
    if graph is None and reason:
        yield Finding(
            "the trained ear cannot be used",
            reason,
            "run python -m batch.ear.graph; without it tracks are compared by their MFCCs alone",
            False,
        )


def pinned_versions(requirements: Path) -> dict[str, str]:
    """{package: version} of a requirements file; none where there is no file, as in a container's image."""
    lines = requirements.read_text().splitlines() if requirements.is_file() else []
    return {match[1]: match[2] for line in lines if (match := _PINNED.match(line))}
