"""What spark-submit.sh makes of its options, and when it brings the jars of S3A."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from conf.settings import PROJECT

URL = "spark://host:7077"
Submitted = subprocess.CompletedProcess[str]


@pytest.fixture
def submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Submitted]:
    """(arguments) → the script's end, with a Spark that prints its words, one a line."""
    stub = tmp_path / "bin" / "spark-submit"
    stub.parent.mkdir()
    stub.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    stub.chmod(0o755)
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    for name in ("MASTER", "SPARK_CONF_DIR", "ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)

    def submitted(*arguments: str) -> Submitted:
        command = [PROJECT / "spark-submit.sh", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)

    return submitted


def value_of(option: str, done: Submitted) -> str:
    """The value of an option that Spark was given once."""
    words = done.stdout.splitlines()
    assert words.count(option) == 1, done.stderr
    return words[words.index(option) + 1]


@pytest.mark.parametrize("option", [("--master", URL), (f"--master={URL}",), ("--conf", f"spark.master={URL}")])
def test_a_master_among_the_options_is_the_cluster(
    submitted: Callable[..., Submitted], option: tuple[str, ...]
) -> None:
    done = submitted(*option, "batch/extract.py")
    assert value_of("--master", done) == URL and f"spark.master={URL}" not in done.stdout
    assert "delta-spark" in value_of("--jars", done), "jars travel to a cluster"


def test_options_by_the_names_of_their_settings_are_joined_to_ours(submitted: Callable[..., Submitted]) -> None:
    ours = submitted("--master", URL, "batch/extract.py")
    own = ["--conf", "spark.jars=a.jar", "--jars", "b.jar", "--conf=spark.submit.pyFiles=a.zip"]
    done = submitted("--master", URL, *own, "-c", "spark.driver.extraJavaOptions=-Da=b=c", "batch/extract.py")
    assert value_of("--jars", done) == f"{value_of('--jars', ours)},a.jar,b.jar"
    assert value_of("--py-files", done) == f"{value_of('--py-files', ours)},a.zip"
    assert value_of("--driver-java-options", done) == f"{value_of('--driver-java-options', ours)} -Da=b=c"
    assert not any(name in done.stdout for name in ("spark.jars", "spark.submit.pyFiles", "spark.driver.extraJava"))


def test_a_properties_file_beside_ours_is_refused(submitted: Callable[..., Submitted]) -> None:
    done = submitted("--properties-file", "cluster.conf", "batch/extract.py")
    assert (done.returncode, done.stdout) == (1, "")
    assert "--properties-file: Spark takes one such file, and it is ours" in done.stderr


@pytest.mark.parametrize(
    ("line", "is_on_s3"),
    [
        ('root = "s3a://bucket/lake"', True),
        ("  root='s3://bucket/lake'", True),
        ('lake = { root = "s3a://bucket/lake" }', True),
        ('stream.checkpoints = "s3a://bucket/checkpoints"', True),
        ('# root = "s3a://bucket/lake"', False),
        ('root = "/shared/lake"', False),
    ],
)
def test_a_location_on_s3_is_seen_however_toml_writes_it(tmp_path: Path, line: str, is_on_s3: bool) -> None:
    (tmp_path / "settings.toml").write_text(f"{line}\n")
    script = f'source "{PROJECT}/local/setup.sh"; overtone_uses_s3 "{PROJECT}"'
    done = subprocess.run(["bash", "-c", script], env={"SPARK_CONF_DIR": str(tmp_path)}, timeout=60)
    assert (done.returncode == 0) == is_on_s3


def test_an_environment_that_is_no_archive_is_refused(
    submitted: Callable[..., Submitted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = tmp_path / "environment.tar.gz"
    monkeypatch.setenv("ENVIRONMENT", str(environment))
    assert "is no file; deploy/pack-environment.sh makes one" in submitted("--master", URL, "batch/extract.py").stderr
    environment.write_text("an error page")
    done = submitted("--master", URL, "batch/extract.py")
    assert (done.returncode, done.stdout) == (1, "") and "is no archive; make it again by deploy/pack" in done.stderr
    with tarfile.open(environment, "w:gz") as archive:
        archive.add(PROJECT / "LICENSE", "LICENSE")
    assert value_of("--archives", submitted("--master", URL, "batch/extract.py")) == f"{environment}#environment"
