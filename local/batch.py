"""Extract, train and publish in one driver: on one machine every further JVM costs seconds.

    spark-submit.sh local/batch.py [--without-training]

The library is the setting library.root. Each step says what it did on a line of its own. A library of one track has no model:
it is published without one. --without-training: new tracks join the model that there is, by way of the stream; it is trained
only where there is none.
"""

from __future__ import annotations

import sys
import time

from batch import job, registry
from batch.extract import LibraryScan, extract
from batch.library.listing import library_files
from batch.model.fit_index import TooFewTracks
from batch.publish import publish
from batch.storage import lease
from batch.train import train
from conf.settings import Settings, settings


def main(is_to_train: bool = True) -> int:
    try:
        chosen = settings()
        job.check_storage(chosen)
        library = LibraryScan(*library_files(chosen.library.root))
    except (ValueError, OSError) as error:
        return job.failed("batch", error, 2)
    try:
        with lease.held(chosen.lake.root, "extract"):
            return _run(chosen, library, is_to_train)
    except lease.HeldByAnother as error:
        return job.failed("batch", error, 1)
    except Exception as error:
        if lacking := job.what_spark_lacks(error):
            return job.failed("batch", lacking, 1)
        raise


def _run(chosen: Settings, library: LibraryScan, is_to_train: bool) -> int:
    spark = job.new_session("overtone-batch")
    started = time.monotonic()
    try:
        summary = extract(spark, library, chosen)
        _say(f"extract: {summary} (see {chosen.lake.table('rejected_tracks')})", started)
        try:
            if is_to_train or not _has_model(chosen):
                model = train(spark, chosen)
                _say(f"train: model {model.version} of {model.manifest['tracks']:,} tracks", started)
        except TooFewTracks:
            _say(
                "train: no model: with one track there is nothing to compare; it plays, without lists of your own",
                started,
            )
        published, removed = publish(spark, chosen)
        _say(f"publish: {published:,} tracks, {removed:,} removed", started)
    except ValueError as error:
        print(f"failed: {error}", flush=True)
        return 1
    finally:
        spark.stop()
    return 0


def _has_model(chosen: Settings) -> bool:
    try:
        registry.latest(chosen.models.root)
    except (registry.ModelNotFound, registry.ModelUnusable):
        return False
    return True


def _say(line: str, started: float) -> None:
    print(f"{line} [{time.monotonic() - started:.0f} s]", flush=True)


if __name__ == "__main__":
    sys.exit(main("--without-training" not in sys.argv[1:]))
