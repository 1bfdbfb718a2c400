"""A job from its command line to its exit code, and files that are replaced in one step."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from pyspark.errors import PySparkException

from batch import atomic, job


def run(work: object, *arguments: str) -> int:
    return job.run(
        "batch/made.py",
        "A made job.",
        work,
        arguments,
        lambda parser: parser.add_argument("--tune", action="store_true"),
    )  # type: ignore[arg-type]


def raising(error: Exception) -> object:
    def work(*_: object) -> str:
        raise error

    return work


def test_a_job_prints_its_summary_and_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lambda settings, options: f"tuned {options.tune}", "--tune") == 0
    assert capsys.readouterr() == ("tuned True\n", "")
    assert run(lambda settings, options: None) == 0
    assert capsys.readouterr() == ("", "")


def test_a_terminated_job_ends_orderly(capsys: pytest.CaptureFixture[str]) -> None:
    ended: list[str] = []
    before = signal.getsignal(signal.SIGTERM)

    def work(*_: object) -> str:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            ended.append("given back")
        return "done"

    with pytest.raises(SystemExit) as exit_:
        run(work)
    assert exit_.value.code == 143 and ended == ["given back"]
    assert capsys.readouterr() == ("", "") and signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("error", "code"),
    [(job.WrongArgument("no such folder"), 2), (ValueError("no tracks"), 1), (OSError("disk full"), 1)],
)
def test_a_failure_is_one_line_and_a_code(error: Exception, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(raising(error)) == code
    assert capsys.readouterr() == ("", f"made: {error}\n")


def test_a_wrong_setting_ends_before_the_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OVERTONE_MONGO__DATABSE", "x")
    assert run(raising(AssertionError("the work must not begin"))) == 2
    assert "OVERTONE_MONGO__DATABSE is not a setting" in capsys.readouterr().err


def test_a_wrong_argument_is_argparses_own_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(raising(AssertionError("the work must not begin")), "--tuna")
    assert ended.value.code == 2 and "usage: batch/made.py" in capsys.readouterr().err


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(KeyError):
        run(raising(KeyError("x")))


@pytest.mark.parametrize(
    "cause",
    [
        'java.io.IOException: Cannot run program "/opt/overtone/bin/python": error=2, No such file or directory',
        "pickle: ModuleNotFoundError: No module named 'librosa'",
    ],
)
def test_a_worker_without_the_environment_is_one_line(cause: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = PySparkException(f"Job aborted due to stage failure: Task 1 failed 4 times:\n {cause}\n\tat java.base/x\n")
    assert run(raising(error)) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"made: a worker cannot run our Python: {cause.partition(': ')[2]}; ")
    assert printed.count("\n") == 1 and "docs/cluster.md" in printed
    with pytest.raises(PySparkException):
        run(raising(PySparkException("Job aborted: ZeroDivisionError")))
    with pytest.raises(ModuleNotFoundError):
        run(raising(ModuleNotFoundError("No module named 'x'")))  # in the driver: no matter of a worker


@pytest.mark.parametrize(
    "cause",
    [
        'No FileSystem for scheme "abfss"',
        "Class org.apache.hadoop.fs.s3a.S3AFileSystem not found",
    ],
)
def test_a_location_whose_jars_spark_lacks_is_told_in_a_line(cause: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = PySparkException(f"An error occurred while calling o1.load.\n: java.io.IOException: {cause}\n\tat org.x")
    assert run(raising(error)) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"made: Spark cannot reach a location: {cause}; ") and printed.count("\n") == 1


def test_a_master_that_does_not_answer_is_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    cause = "java.lang.IllegalStateException: Cannot call methods on a stopped SparkContext.\nThis stopped SparkContext was"
    assert run(raising(PySparkException(f"An error occurred while calling None.x.\n: {cause} created at:\n\norg.x"))) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("made: Spark has no master: it does not answer, ") and printed.count("\n") == 1


@pytest.mark.parametrize(
    "cause", ["gzip: /tmp/x/environment.tar.gz: unexpected end of file", "tar: bin/python: Cannot write: No space left"]
)
def test_an_environment_that_cannot_be_unpacked_is_told_in_a_line(
    cause: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"An error occurred while calling x.\n: ExitCodeException exitCode=2: \n{cause}\ntar: Exiting\n\n\tat org.x"
    assert run(raising(PySparkException(text))) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"made: Spark cannot unpack ENVIRONMENT: {cause}; make it again") and printed.count("\n") == 1


class FakeSpark:
    """As much of SparkSession as `in_spark` uses."""

    active: FakeSpark | None = None

    def __init__(self) -> None:
        self.stopped = False
        self.builder = self

    def appName(self, name: str) -> FakeSpark:  # noqa: N802
        assert name == "made"
        return self

    def config(self, option: str, value: str) -> FakeSpark:
        return self

    def getOrCreate(self) -> FakeSpark:  # noqa: N802
        return self

    def getActiveSession(self) -> FakeSpark | None:  # noqa: N802
        return self.active

    def stop(self) -> None:
        self.stopped = True


def test_a_session_of_the_jobs_own_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    spark = FakeSpark()
    monkeypatch.setattr("pyspark.sql.SparkSession", spark)
    assert job.in_spark("made", lambda session: f"{session is spark} {spark.stopped}") == "True False"
    assert spark.stopped
    spark.stopped = False
    with pytest.raises(ValueError):
        job.in_spark("made", raising(ValueError()))  # type: ignore[arg-type]
    assert spark.stopped


def test_a_session_that_runs_already_is_left_running(monkeypatch: pytest.MonkeyPatch) -> None:
    spark = FakeSpark()
    spark.active = FakeSpark()
    monkeypatch.setattr("pyspark.sql.SparkSession", spark)
    assert job.in_spark("made", lambda session: str(session is spark.active)) == "True"
    assert not spark.active.stopped and not spark.stopped


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, durable: bool) -> None:
    target = tmp_path / "latest"
    atomic.write_text(target, "one\n", durable)
    with pytest.raises(ValueError), atomic.replacing(target) as part:
        part.write_text("half")
        raise ValueError
    assert target.read_text() == "one\n" and list(tmp_path.iterdir()) == [target]
    atomic.write_text(target, "two\n", durable)
    assert target.read_text() == "two\n" and list(tmp_path.iterdir()) == [target]
