"""The image: a linter's rules, and that it has what spark-submit.sh and the jobs need. No engine builds it here."""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sys
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from conf.settings import settings

sys.path.insert(0, str(Path(__file__).parents[1]))
from deployed import DEPLOY, IN_IMAGE, PROJECT, SPARK_VERSION, VERSION, copied, instructions, is_in_image  # noqa: E402

BIN = Path(sys.executable).parent


def arguments_of(name: str) -> list[str]:
    return [arguments for instruction, arguments in instructions() if instruction == name]


def image_environment() -> dict[str, str]:
    return dict(word.split("=", 1) for arguments in arguments_of("ENV") for word in arguments.split())


def test_the_linter_finds_nothing() -> None:
    done = subprocess.run([BIN / "hadolint", DEPLOY / "Dockerfile"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_it_begins_with_pinned_images_and_does_not_run_as_root() -> None:
    spark, python = arguments_of("FROM")
    assert re.fullmatch(rf"apache/spark:{re.escape(SPARK_VERSION)}\S* AS spark", spark)
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", python)
    assert arguments_of("USER")[-1].isdecimal() and int(arguments_of("USER")[-1]) > 0
    root_steps = [
        arguments for name, arguments in instructions()[: instructions().index(("USER", "10001"))] if name == "RUN"
    ]
    assert not any("pip" in step or "setup.sh" in step for step in root_steps), "our packages are not installed as root"


def test_python_is_the_same_in_every_path() -> None:
    version = re.match(r"python:(\d+\.\d+)", arguments_of("FROM")[1])
    assert version is not None and version[1] in ("3.11", "3.12", "3.13")
    text = (DEPLOY / "Dockerfile").read_text()
    assert set(re.findall(r"/python(\d\.\d+)/", text)) == {version[1]}


def test_what_is_copied_is_there_and_reaches_the_build() -> None:
    assert [source for source in copied() if not (PROJECT / source).exists()] == []
    assert [source for source in copied() if is_ignored(source)] == []
    assert all(
        is_ignored(path) for path in (".git", ".venv/bin/python", ".overtone", "tests/unit", "docs", "deploy/.env")
    )
    assert is_ignored("batch/__pycache__/job.cpython-311.pyc")


def is_ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path from the build: the last line that matches it, or a folder above it, decides."""
    ignored = False
    parts = path.split("/")
    prefixes = ["/".join(parts[: length + 1]) for length in range(len(parts))]
    for line in (PROJECT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if not pattern or pattern.startswith("#"):
            continue
        patterns = [pattern, pattern.removeprefix("**/")] if pattern.startswith("**/") else [pattern]
        names = prefixes if not pattern.startswith("**/") else [*prefixes, *parts]
        depth = pattern.count("/")
        if any(
            fnmatch.fnmatchcase(name, each) and (pattern.startswith("**/") or name.count("/") == depth)
            for name in names
            for each in patterns
        ):
            ignored = not line.startswith("!")
    return ignored


@pytest.mark.parametrize(
    "path",
    [
        *("spark-submit.sh", "local/setup.sh", "local/startup_cache.sh", "conf/ivy.xml", "conf/spark-defaults.conf"),
        *(
            "conf/settings.toml",
            "conf/log4j2.properties",
            "constraints.txt",
            "requirements-dev.txt",
            "deploy/healthcheck.py",
        ),
        *("batch/extract.py", "streaming/recommend.py", "ui/static/main.js", "ui/page/templates/home.html"),
    ],
)
def test_it_has_what_the_commands_need(path: str) -> None:
    assert is_in_image(f"{IN_IMAGE}/{path}")


def test_it_installs_the_projects_requirements_and_jars() -> None:
    steps = " ".join(arguments_of("RUN"))
    assert "--requirement requirements.txt" in steps
    (retrieved,) = re.findall(r"overtone_retrieve (\S+) (\S+) ([a-z0-9 ]+?) &&", steps)
    known = {each.get("name") for each in ElementTree.parse(PROJECT / "conf" / "ivy.xml").iter("conf")}
    assert retrieved[1] == f"{IN_IMAGE}/.venv/jars" and set(retrieved[2].split()) == {"spark", "s3"} <= known


def test_its_steps_are_shell_and_call_functions_that_are_there() -> None:
    functions = set(re.findall(r"^(overtone_\w+)\(\)", (PROJECT / "local" / "setup.sh").read_text(), re.MULTILINE))
    for step in arguments_of("RUN"):
        done = subprocess.run(["bash", "-n", "-c", step], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert set(re.findall(r"\bovertone_\w+(?= /)", step)) <= functions


def test_spark_submit_finds_nothing_to_set_up(tmp_path: Path) -> None:
    """The stamp that the image writes is the one that setup.sh looks for, by the files that the image has."""
    for source in copied():
        if (PROJECT / source).is_file():
            (tmp_path / source).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / source).write_bytes((PROJECT / source).read_bytes())
    (tmp_path / "conf").mkdir(exist_ok=True)
    (tmp_path / "conf" / "ivy.xml").write_bytes((PROJECT / "conf" / "ivy.xml").read_bytes())
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    script = f"""source {tmp_path}/local/setup.sh
overtone_requirements_sum {tmp_path} >{tmp_path}/.venv/.overtone-run
overtone_install {tmp_path} && echo installed"""
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("installed\n", ""), "it would set up .venv again"


def test_its_variables_are_settings_and_its_ports_those_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in image_environment().items():
        if name.startswith("OVERTONE_"):
            monkeypatch.setenv(name, value)
    chosen = settings()
    assert (chosen.player.host, chosen.stream.metrics_host, str(chosen.home)) == (
        "0.0.0.0",
        "0.0.0.0",
        "/home/overtone/data",
    )
    assert arguments_of("EXPOSE") == [f"{chosen.player.port} {chosen.stream.metrics_port}"]
    assert image_environment()["PYTHONSAFEPATH"] == "1" and image_environment()["PYTHONPATH"] == IN_IMAGE
    (check,) = arguments_of("HEALTHCHECK")
    assert f"http://127.0.0.1:{chosen.player.port}/healthz" in check


def test_the_image_has_one_name_everywhere() -> None:
    files = [file for file in DEPLOY.rglob("*") if file.is_file()] + [PROJECT / "docs" / "cluster.md"]
    tags = {tag for file in files for tag in re.findall(r"\bovertone:(\d+\.\d+\.\d+)", file.read_text())}
    assert tags == {VERSION}


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # noqa: N802 - the name that the class above calls
        self.send_response(200 if self.path == "/fine" else 503)
        self.end_headers()
        self.wfile.write(b'{"problems": ["Kafka does not answer"]}')

    def log_message(self, *_: object) -> None:
        """Keeps the tests' output free of requests."""


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("path", "code", "said"), [("/fine", 0, ""), ("/other", 1, '503 {"problems": ["Kafka')])
def test_the_health_check_exits_by_the_status(address: str, path: str, code: int, said: str) -> None:
    command = [sys.executable, DEPLOY / "healthcheck.py", address + path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == code and said in done.stdout


def test_the_health_check_fails_where_nothing_listens() -> None:
    command = [sys.executable, DEPLOY / "healthcheck.py", "http://127.0.0.1:9/healthz"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stdout.startswith("http://127.0.0.1:9/healthz: ")
