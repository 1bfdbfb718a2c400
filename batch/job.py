"""The main() of every job: arguments, settings, the work, and an exit code that says what went wrong.

0 done · 1 the work could not be done · 2 a setting or an argument is wrong
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from batch.storage import locations
from batch.storage.lease import HeldByAnother
from batch.storage.locations import StorageUnusable
from conf.settings import Settings, settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


_LACKING = re.compile(
    r"Cannot run program .*|ModuleNotFoundError: No module named .*|Python in worker has different version.*"
    r"|\[PYTHON_VERSION_MISMATCH\].*"
)
"""What Spark's errors say of a worker without our environment."""
_LACKING_JARS = re.compile(r"No FileSystem for scheme \S+|Class \S+FileSystem not found")
"""What they say of a location whose scheme Hadoop has no jars of."""
_STOPPED = "Cannot call methods on a stopped SparkContext"
"""What they say once the master has not answered for a minute, or has ended the application."""
_NOT_UNPACKED = re.compile(r"ExitCodeException exitCode=\d+:\s*((?:gzip|tar): .*)")
"""What they say of an archive that is none, or is cut off, or for which there is no room."""


class WrongArgument(ValueError):
    """An argument or setting with which the job cannot begin; it ends with 2."""


def run(
    path: str,
    description: str,
    work: Callable[[Settings, argparse.Namespace], str | None],
    arguments: Sequence[str] | None = None,
    add_arguments: Callable[[argparse.ArgumentParser], object] = lambda parser: None,
    failures: tuple[type[Exception], ...] = (ValueError, OSError),
) -> int:
    """Runs a job from its command line to its exit code.

    path : of the job's file, as in the README, such as "batch/train.py"
    work : (settings, parsed arguments) → the line to print when all is done, None for none; raises WrongArgument for 2
    arguments : of the command line; None: those of the process
    add_arguments : declares the job's options on its parser
    failures : what ends the job with 1 and its message; anything else is a fault of ours and keeps its traceback
    """
    name = path.rpartition("/")[2].removesuffix(".py")
    parser = argparse.ArgumentParser(prog=path, description=description)
    add_arguments(parser)
    options = parser.parse_args(arguments)
    with _ended_orderly_by_sigterm():
        return _run(name, work, options, (*failures, HeldByAnother))


def _run(
    name: str,
    work: Callable[[Settings, argparse.Namespace], str | None],
    options: argparse.Namespace,
    expected: tuple[type[Exception], ...],
) -> int:
    try:
        chosen = settings()
        check_storage(chosen)
    except (ValueError, StorageUnusable) as error:
        return failed(name, error, 2)
    try:
        summary = work(chosen, options)
    except WrongArgument as error:
        return failed(name, error, 2)
    except expected as error:
        return failed(name, what_spark_lacks(error) or error, 1)
    except Exception as error:
        if lacking := what_spark_lacks(error):
            return failed(name, lacking, 1)
        raise
    if summary is not None:
        print(summary, flush=True)
    return 0


@contextmanager
def _ended_orderly_by_sigterm() -> Iterator[None]:
    """Lets SIGTERM end the block as an exception does, so that a lease is given back and Spark stopped."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def what_spark_lacks(error: Exception) -> str | None:
    """The message where Spark's error says that a worker lacks our Python or packages, or Spark a master, the jars of a location
    or a whole environment; None for another error."""
    if not type(error).__module__.startswith(("py4j", "pyspark")):
        return None
    if lacking := _LACKING.search(str(error)):
        return (
            f"a worker cannot run our Python: {lacking.group()}; give the nodes the environment of this project, "
            "ENVIRONMENT=FILE ./spark-submit.sh … (docs/cluster.md)"
        )
    if lacking := _LACKING_JARS.search(str(error)):
        return (
            f"Spark cannot reach a location: {lacking.group()}; ./spark-submit.sh brings the jars of s3a:// alone, give it those "
            "of other schemes by --jars (docs/cluster.md)"
        )
    if _STOPPED in str(error):
        return (
            "Spark has no master: it does not answer, or it has ended the application (its reason is above); see whether MASTER "
            "is right, and that master's log"
        )
    if problem := _NOT_UNPACKED.search(str(error)):
        return (
            f"Spark cannot unpack ENVIRONMENT: {problem[1]}; make it again by deploy/pack-environment.sh, or room for "
            "1.2 GB in the temporary folder (TMPDIR)"
        )
    return None


def check_storage(settings: Settings) -> None:
    """Raises StorageUnusable where a URI for lake, models or checkpoints cannot be used."""
    for location in settings.written_locations.values():
        locations.check(location)
    locations.allow_plain_http()


def check_spelling(settings: Settings) -> None:
    """As `check_storage`, for what starts while its stores may be away: raises StorageUnusable for a misspelt URI alone."""
    for location in settings.written_locations.values():
        locations.check_spelling(location)
    locations.allow_plain_http()


def in_spark(name: str, work: Callable[[SparkSession], str | None]) -> str | None:
    """What `work` returns, given a Spark session.

    name : of the application, as Spark's pages show it
    A session that was started for this is stopped afterwards; one that ran before is its owner's, and goes on.
    """
    from pyspark.sql import SparkSession

    existing = SparkSession.getActiveSession()
    spark = existing or new_session(name)
    try:
        return work(spark)
    finally:
        if existing is None:
            spark.stop()


def new_session(name: str) -> SparkSession:
    """A Spark session that knows the S3 server of the environment."""
    from pyspark.sql import SparkSession

    from batch.storage.spark import s3_options

    builder = SparkSession.builder.appName(name)
    for option, value in s3_options().items():
        builder = builder.config(option, value)
    return builder.getOrCreate()


def failed(name: str, error: object, code: int) -> int:
    """Prints `name: error` on standard error; returns the exit code."""
    print(f"{name}: {error}", file=sys.stderr)
    return code
