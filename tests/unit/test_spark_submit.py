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
def submitted(printing_spark: Path, tmp_path: Path) -> Callable[..., Submitted]:
    """(arguments) → the script's end, with a Spark that prints its words, one a line."""

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


def test_a_callers_own_lists_are_joined_to_ours(submitted: Callable[..., Submitted]) -> None:
    lists = {"--files": "a.toml", "--jars": "a.jar", "--py-files": "a.zip", "--archives": "a.tar.gz"}
    texts = {"--driver-class-path": "/a", "--driver-java-options": "-Da=b -Dc=d"}
    of_job = ["--files", "of the job", "--jars=of-the-job"]
    options = [word for pair in lists.items() for word in pair] + [f"{name}={value}" for name, value in texts.items()]
    ours = submitted("--master", URL, "batch/extract.py").stdout.splitlines()
    words = submitted("--master", URL, *options, "batch/extract.py", *of_job).stdout.splitlines()
    assert words[-3:] == of_job, "what follows the job is its own"
    del words[-3:]
    for name, value in {**lists, **texts}.items():
        assert words.count(name) == 1
        separator = " " if name == "--driver-java-options" else ","
        expected = f"{ours[ours.index(name) + 1]}{separator}{value}" if name in ours else value
        assert words[words.index(name) + 1] == expected


@pytest.mark.parametrize(
    "option", [("--name", "batch/train.py"), ("--verbose",), ("--conf", "spark.x=a.py"), ("--name=x",)]
)
def test_the_job_is_what_follows_the_options(submitted: Callable[..., Submitted], option: tuple[str, ...]) -> None:
    words = submitted("--master", URL, *option, "batch/extract.py", "batch/train.py").stdout.splitlines()
    assert words[-2 - len(option) :] == [*option, str(PROJECT / "batch" / "extract.py"), "batch/train.py"]
    assert not any(word.startswith("spark.driver.memory=") for word in words), "settings of a training"


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
