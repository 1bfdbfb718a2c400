"""What YARN's containers get of the submitter's environment, and what spark-submit.sh asks of Spark there."""

from __future__ import annotations

import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from batch.ear import graph
from conf import yarn
from conf.settings import PROJECT, SettingsError, settings

AWKWARD = 'pa"ss$HOME`id`\\wo{{rd}}\n€ end'
URIS = {
    "OVERTONE_LAKE__ROOT": "hdfs:///overtone/lake",
    "OVERTONE_MODELS__ROOT": "hdfs:///overtone/models",
    "OVERTONE_STREAM__CHECKPOINTS": "hdfs:///overtone/checkpoints",
}
Submitted = tuple[list[str], str, int]


@pytest.fixture
def submitted(
    printing_spark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Submitted]:
    """(arguments) → spark-submit's words, its properties file and that file's mode."""
    copies = f'while [ "$1" != --properties-file ]; do shift; done\ncp --preserve=mode "$2" "{tmp_path}/properties"\n'
    printing_spark.write_text(printing_spark.read_text() + copies)
    for name, value in {"MASTER": "yarn", **URIS}.items():
        monkeypatch.setenv(name, value)

    def submitted(*arguments: str) -> Submitted:
        command = [PROJECT / "spark-submit.sh", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        file = tmp_path / "properties"
        return done.stdout.splitlines(), file.read_text(encoding="utf-8"), stat.S_IMODE(file.stat().st_mode)

    return submitted


def test_a_password_reaches_the_container_as_it_is() -> None:
    """YARN puts a value between double quotes in a script for bash, and replaces {{NAME}} before that."""
    value = yarn.in_script(AWKWARD)
    assert "{{" not in value and "}}" not in value
    script = f'export X="{value}"\nprintf %s "$X"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, timeout=10, check=True)
    assert done.stdout.decode() == AWKWARD


def test_a_line_is_one_of_a_java_properties_file() -> None:
    assert yarn.line("spark.x", "a\\b\nc") == "spark.x=a\\\\b\\nc\n"


def test_executors_get_what_reaches_the_store_and_no_more() -> None:
    environment = {"AWS_SECRET_ACCESS_KEY": "word", "OVERTONE_MONGO__URI": "mongodb://ana:word@mongo", "EDITOR": "vi"}
    assert yarn.properties(environment, is_cluster_mode=False) == {
        "spark.executorEnv.AWS_SECRET_ACCESS_KEY": "word",
        "spark.executorEnv.HADOOP_CONF_DIR": yarn.HADOOP_CONF_DIR,
    }


def test_a_secret_that_no_escaping_carries_to_executors_is_refused() -> None:
    """PySpark gives a Python worker the value as it is, YARN gives the executor that of a script."""
    with pytest.raises(SettingsError, match="AWS_SECRET_ACCESS_KEY has one of"):
        yarn.properties({"AWS_SECRET_ACCESS_KEY": "wo$rd"}, is_cluster_mode=False)


def test_a_driver_in_a_container_gets_settings_too_but_not_this_machines_home() -> None:
    environment = {"OVERTONE_HOME": "/home/ana/.overtone", "OVERTONE_MONGO__URI": "mongodb://mongo", "EDITOR": "vi"}
    values = yarn.properties(environment, is_cluster_mode=True)
    assert values["spark.yarn.appMasterEnv.OVERTONE_MONGO__URI"] == "mongodb://mongo"
    assert values["spark.yarn.appMasterEnv.OVERTONE_HOME"] == yarn.DRIVER_HOME
    assert not any("MONGO" in name for name in values if name.startswith("spark.executorEnv."))
    assert not any("EDITOR" in name for name in values)


def test_a_driver_in_a_container_does_not_warn_of_the_submitters_path_of_our_zip() -> None:
    filters = yarn.properties({}, is_cluster_mode=True)["spark.yarn.appMasterEnv.PYTHONWARNINGS"]
    code = (
        "import warnings\n"
        "warnings.warn(\"Failed to add file [file:///a.zip] specified in 'spark.submit.pyFiles'\", RuntimeWarning)\n"
        "warnings.warn('something else', RuntimeWarning)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONWARNINGS": filters}, capture_output=True, text=True, timeout=60
    )
    assert "something else" in done.stderr
    assert "Failed to add file" not in "".join(line for line in done.stderr.splitlines() if "Warning:" in line)


@pytest.mark.parametrize("variable", URIS)
def test_what_would_lie_in_the_drivers_container_is_refused(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**URIS, variable: ""}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"which YARN removes; set {variable} to a URI"):
        yarn.check_locations(settings())


@pytest.mark.parametrize("mode", [(), ("--deploy-mode", "cluster"), ("--conf", "spark.submit.deployMode=cluster")])
def test_no_secret_is_on_the_command_line(
    submitted: Callable[..., Submitted], mode: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
    monkeypatch.setenv("OVERTONE_MONGO__URI", "mongodb://ana:s3cr3t@mongo")
    words, properties, file_mode = submitted(*mode, "batch/extract.py", "--library", "hdfs:///music")
    assert not any("s3cr3t" in word for word in words)
    assert file_mode == 0o600
    lines = properties.splitlines()
    assert "spark.executorEnv.AWS_SECRET_ACCESS_KEY=s3cr3t" in lines
    assert ("spark.yarn.appMasterEnv.OVERTONE_MONGO__URI=mongodb://ana:s3cr3t@mongo" in lines) is bool(mode)
    assert (PROJECT / "conf" / "spark-defaults.conf").read_text().splitlines()[-1] in lines
    assert words[words.index("--properties-file") + 1].startswith("/dev/fd/"), "a file that has no name any more"


def test_in_cluster_mode_nothing_names_a_path_of_this_machine_but_what_travels(
    submitted: Callable[..., Submitted], tmp_path: Path
) -> None:
    archive = tmp_path / "environment.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(PROJECT / "LICENSE", "LICENSE")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENVIRONMENT", str(archive))
        words, properties, _ = submitted("--deploy-mode", "cluster", "batch/extract.py")
    confs = [
        word for word, before in zip(words[1:], words, strict=False) if before in ("--conf", "--driver-java-options")
    ]
    assert "spark.pyspark.python=./environment/bin/python" in confs
    assert "-Dlog4j2.configurationFile=log4j2.properties" in confs
    assert not any(str(PROJECT) in conf for conf in confs) and str(PROJECT) not in properties
    files = words[words.index("--files") + 1]
    assert "/conf/fairscheduler.xml" in files and "/conf/log4j2.properties" in files
    assert f"/{graph.FILE_NAME}" in files
