"""How large a micro-batch of the fast lane may be, where it is served, and by how many tasks: by the cores and the events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from conf.settings import Stream

TASKS_PER_CORE = 2
"""Two for each core even out that some listeners take longer than others."""


@dataclass(frozen=True)
class BatchSizes:
    """Sizes of micro-batches by the number of cores.

    is_local : the driver's cores are those of the tasks, so that serving in the driver takes nothing from it
    """

    stream: Stream
    is_local: bool

    def most_events(self, cores: int) -> int:
        """Events that a micro-batch may have."""
        of_cores = 0 if self.is_local else self.stream.max_events_per_core * cores
        return max(self.stream.max_events_per_trigger, of_cores)

    @property
    def most_in_driver(self) -> int:
        """Events up to which a micro-batch is served in the driver; on a cluster no more than one task would have."""
        most = self.stream.small_batch_events
        return most if self.is_local else min(most, self.stream.events_per_task)

    def tasks(self, events: int, cores: int) -> int:
        """Tasks that serve so many events, on all cores as soon as each task has enough of them."""
        return max(1, min(TASKS_PER_CORE * cores, -(-events // self.stream.events_per_task)))


def batch_sizes(spark: SparkSession, stream: Stream) -> BatchSizes:
    return BatchSizes(stream, _is_local(spark))


def _is_local(spark: SparkSession) -> bool:
    return (spark.sparkContext.master or "").startswith("local")


def cores_of(spark: SparkSession) -> int:
    """Cores of the executors that there are: Spark's default parallelism, which it never takes for less than 2 on a cluster."""
    return int(spark.sparkContext.defaultParallelism)


def expected_cores(spark: SparkSession) -> int:
    """Cores that a query can count on: those that the configuration names, or those of the executors after a first job."""
    if not _is_local(spark):
        spark.range(1).count()  # before it a cluster may have no executor
    options = spark.sparkContext.getConf()
    of_executors = int(options.get("spark.executor.instances", "0")) * int(options.get("spark.executor.cores", "1"))
    return max(cores_of(spark), of_executors)
