"""Both queries, the feed and the catalogue in one driver: on one machine a second JVM costs more than it gives.

    spark-submit.sh local/streams.py READY_FILE

READY_FILE appears when both queries have finished a first batch, or have nothing to do. Without a model (a library of one track)
there is nothing to recommend: only the durable lane runs, and Kafka keeps the events for a later fast lane.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from pyspark.sql.streaming.query import StreamingQuery

from batch import job, registry
from conf.settings import Settings, settings
from streaming import catalogue, feed, ledger, recommend
from streaming.operations import metrics, supervisor


def main() -> int:
    ready = Path(sys.argv[1])
    chosen = settings()
    job.check_storage(chosen)
    spark = job.new_session("overtone")
    metrics.start(spark, chosen)
    queries = supervisor.Supervisor(spark, chosen, start_by_name(chosen))
    queries.start()
    while len(queries.queries) < len(queries.start_by_name) or not all(map(is_ready, queries.queries.values())):
        queries.check()
        time.sleep(0.1)
    stopping = threading.Event()
    for follower in (feed, catalogue):
        threading.Thread(
            target=follower.run_until_stopped, args=(chosen, stopping), daemon=True, name=follower.__name__
        ).start()
    ready.touch()
    queries.run()
    return 0


def start_by_name(settings: Settings) -> dict[str, supervisor.StartQuery]:
    """The functions that start the queries that can run."""
    try:
        registry.latest(settings.models.root)
    except registry.ModelNotFound:
        return {"ledger": ledger.start}
    return {"recommend": recommend.start, "ledger": ledger.start}


def is_ready(query: StreamingQuery) -> bool:
    """Whether the query has caught up once: a batch is done, or there was none to do."""
    return bool(query.recentProgress) or query.status["message"].startswith("Waiting for")


if __name__ == "__main__":
    sys.exit(main())
