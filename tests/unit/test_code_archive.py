"""The zip of our packages that travels with a job."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from conf.settings import PROJECT
from local import code_archive


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for package in code_archive.PACKAGES:
        (tmp_path / "project" / package / "part").mkdir(parents=True)
        (tmp_path / "project" / package / "__init__.py").write_text("")
    (tmp_path / "project" / "ui" / "part" / "page.html").write_text("<p>")
    (tmp_path / "project" / "ui" / "part" / "module.pyc").write_text("compiled")
    return tmp_path / "project"


def test_a_zip_has_the_packages_and_is_made_once_for_the_same_code(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "zips"
    archive = code_archive.code_archive(project, folder)
    with zipfile.ZipFile(archive) as zipped:
        assert sorted(zipped.namelist()) == [
            *("batch/__init__.py", "conf/__init__.py", "streaming/__init__.py", "ui/__init__.py", "ui/part/page.html"),
        ]
    assert code_archive.code_archive(project, folder) == archive
    (project / "ui" / "part" / "page.html").write_text("<b>")
    other = code_archive.code_archive(project, folder)
    assert sorted(folder.iterdir()) == sorted([archive, other])


def test_old_code_goes_unless_a_process_uses_it(project: Path, tmp_path: Path) -> None:
    used, unused, recent = (tmp_path / f"overtone-{name}.zip" for name in ("used", "unused", "recent"))
    for archive in (used, unused, recent):
        archive.write_bytes(b"")
    for archive in (used, unused):
        long_ago = time.time() - 2 * code_archive.KEPT_S
        os.utime(archive, (long_ago, long_ago))
    driver = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "--py-files", used])
    try:
        command = Path(f"/proc/{driver.pid}/cmdline")
        while used.name not in command.read_text():  # empty while the program is being loaded
            time.sleep(0.01)
        code_archive.code_archive(project, tmp_path)
    finally:
        driver.kill()
        driver.wait()
    assert used.exists() and recent.exists() and not unused.exists()


def test_what_cannot_be_written_is_made_among_temporary_files(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / ".venv").write_text("no folder")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code_archive.main(project)
    archive = Path(capsys.readouterr().out.strip())
    assert archive.parent.parent == tmp_path and zipfile.is_zipfile(archive)


def test_who_ends_the_script_ends_the_job(tmp_path: Path) -> None:
    spark = tmp_path / "bin" / "spark-submit"
    spark.parent.mkdir()
    spark.write_text("#!/bin/sh\nexec sleep 600\n")
    spark.chmod(0o755)
    environment = os.environ | {"SPARK_HOME": str(tmp_path)}
    job = subprocess.Popen([PROJECT / "spark-submit.sh", "batch/publish.py"], env=environment)
    try:
        command, deadline = Path(f"/proc/{job.pid}/cmdline"), time.monotonic() + 300
        while "sleep" not in command.read_text() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert command.read_text().split("\0")[:2] == ["sleep", "600"]
    finally:
        job.kill()
        job.wait()


def test_java_has_the_temporary_folder_of_the_environment(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    spark = tmp_path / "bin" / "spark-submit"
    spark.write_text("#!/bin/sh\nprintf '%s\\n' \"$SPARK_SUBMIT_OPTS\"\n")
    spark.chmod(0o755)
    ours = {"SPARK_HOME": str(tmp_path), "TMPDIR": str(tmp_path), "SPARK_SUBMIT_OPTS": "-Xss2m"}
    command = [PROJECT / "spark-submit.sh", "batch/publish.py"]
    done = subprocess.run(command, env=os.environ | ours, capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout == f'-Xss2m "-Djava.io.tmpdir={tmp_path}"\n'
