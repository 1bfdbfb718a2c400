"""Job: replays stored events with another model version or other settings, and compares the lists with those of the time.

    spark-submit.sh streaming/replay.py --from 2026-11-01 --to 2026-11-24 [--model VERSION] [--half-life DAYS] [--table NAME]

Reads `listening_events`, makes each listener's list as of the end, and writes it to a table of its own. Events are applied in the
order in which the fast lane counted them, with the skip rates of that time.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from pymongo.errors import PyMongoError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, LongType, StringType, StructField, StructType

from batch import job, mongo, registry
from batch.lake import table
from batch.mongo import NEW_LISTENERS
from conf.settings import Settings, settings
from streaming.admission.rules import clamped_to_arrival, title_by_track_id
from streaming.documents import LIST_PROJECTION, stored_list_from
from streaming.events import Event
from streaming.profile.profile import Profile
from streaming.profile.skip_rates import SKIP_RATES_TABLE, PastFactors, latest_version, past_factors
from streaming.ranking.ranker import ranked_list
from streaming.schemas import LISTENING_EVENTS, RECOMMENDATIONS
from streaming.serving.clients import database_of, index_of
from streaming.serving.context import ServingContext
from streaming.serving.mutings import muted_rows
from streaming.sink.delta_append import LISTS_TABLE, MIXES_TABLE, REJECTED_TABLE, VALID_TABLE

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_TABLE = "replayed_recommendations"
RESERVED_TABLES = {
    "tracks",
    "features",
    "rejected_tracks",
    VALID_TABLE,
    REJECTED_TABLE,
    LISTS_TABLE,
    MIXES_TABLE,
    SKIP_RATES_TABLE,
}
COMPARED_TOP_RANKS = 10
SHOWN_LISTENERS = 20

DIFFERENCE = StructType(
    [
        StructField("user_id", StringType()),
        StructField("then", LongType()),
        StructField("now", LongType()),
        StructField("shared", LongType()),
        StructField("shared_top", LongType()),
        StructField("rank_shift", DoubleType()),
    ]
)
"""One row a listener: items in each list, in both, in the top ten of both; mean change of rank of those in both."""


class NoEvents(ValueError):
    """The lake has no events of the time."""


def main(arguments: Sequence[str] | None = None) -> int:
    return job.run(
        "streaming/replay.py",
        "Replay stored events with another model or setting.",
        work,
        arguments,
        add_arguments,
        failures=(registry.ModelUnusable, OSError, PyMongoError, NoEvents),
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from", dest="since", required=True, metavar="TIME", help="first occurred_at, ISO 8601; UTC without a zone"
    )
    parser.add_argument(
        "--to", dest="until", required=True, metavar="TIME", help="first occurred_at that does not count"
    )
    parser.add_argument("--model", metavar="VERSION", help="default: the latest")
    parser.add_argument("--half-life", type=float, metavar="DAYS", help="default: taste.half_life_days")
    parser.add_argument("--session-half-life", type=float, metavar="MINUTES")
    parser.add_argument("--diversity", type=float)
    parser.add_argument("--rejection", type=float)
    parser.add_argument("--table", default=DEFAULT_TABLE, help="in the lake; overwritten")


def work(configured: Settings, options: argparse.Namespace) -> None:
    """Replays, writes the table and prints the comparison. Raises NoEvents."""
    try:
        chosen = _with_options(configured, options)
        start, end = _time(options.since, "--from"), _time(options.until, "--to")
        if start >= end:
            raise ValueError(f"--from {options.since} is not before --to {options.until}; give the earlier time first")
    except ValueError as error:
        raise job.WrongArgument(str(error)) from error
    root = chosen.models.root
    model = registry.load(root, options.model) if options.model else registry.latest(root)
    mongo.client(chosen.mongo).close()

    def replay(spark: SparkSession) -> None:
        events = stored_events(spark, chosen, start, end)
        lists = replayed_lists(events, _context(chosen, model), start, end).cache()
        if lists.isEmpty():
            raise NoEvents(f"no events from {start} to {end} in {chosen.lake.root}")
        table_path = chosen.lake.table(options.table)
        lists.write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(table_path)
        show(lists, last_lists(spark, chosen, start, end), options.table, model.version)

    job.in_spark("replay", replay)


def _with_options(configured: Settings, options: argparse.Namespace) -> Settings:
    """The settings with those of the command line. Raises ValueError for a wrong one."""
    if options.table in RESERVED_TABLES or not re.fullmatch(r"[a-z][a-z0-9_]*", options.table):
        raise ValueError(
            f"--table {options.table!r}: expected a name of a-z, 0-9 and _ that no table of the stream has"
        )
    changes = {
        "half_life_days": options.half_life,
        "session_half_life_minutes": options.session_half_life,
        "diversity": options.diversity,
        "rejection": options.rejection,
    }
    changed = {name: value for name, value in changes.items() if value is not None}
    return settings(taste=configured.taste.model_dump() | changed)


def _time(text: str, option: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{option} {text!r} is not an ISO 8601 time, such as 2026-11-23T09:00:00Z") from error
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def stored_events(spark: SparkSession, settings: Settings, start: datetime, end: datetime) -> DataFrame:
    """LISTENING_EVENTS with `occurred_at` from start to before end."""
    stored = table(spark, settings.lake.table("listening_events"), LISTENING_EVENTS)
    return stored.where((F.col("occurred_at") >= F.lit(start)) & (F.col("occurred_at") < F.lit(end)))


def last_lists(spark: SparkSession, settings: Settings, start: datetime, end: datetime) -> DataFrame:
    """RECOMMENDATIONS of each listener's last list that was made from start to before end."""
    stored = table(spark, settings.lake.table("recommendations"), RECOMMENDATIONS)
    stored = stored.where((F.col("generated_at") >= F.lit(start)) & (F.col("generated_at") < F.lit(end)))
    # By time first: generations begin again where MongoDB's data were lost.
    last = stored.groupBy("user_id").agg(F.max(F.struct("generated_at", "generation")).alias("last"))
    last = last.select("user_id", "last.generated_at", "last.generation")
    return stored.join(F.broadcast(last), on=["user_id", "generated_at", "generation"], how="left_semi")


def replayed_lists(events: DataFrame, context: ServingContext, start: datetime, end: datetime) -> DataFrame:
    """RECOMMENDATIONS: each listener's list after the events; `generation` is the number of events counted.

    start, end : the time whose skip rates count
    """

    def lists(events_of_user: pd.DataFrame) -> pd.DataFrame:
        factors = past_factors(context.skip_rates, start, end, context.taste)
        return replayed_list(events_of_user, context, factors)

    return events.groupBy("user_id").applyInPandas(lists, RECOMMENDATIONS)


def replayed_list(events_of_user: pd.DataFrame, context: ServingContext, factors: PastFactors) -> pd.DataFrame:
    """RECOMMENDATIONS: one listener's list after the events.  events_of_user : LISTENING_EVENTS"""
    import pandas as pd

    profile = profile_after(events_of_user, context, factors)
    index = index_of(context.index_place, context.index_state)
    list_read = database_of(context.mongo).recommendations.find_one({"_id": NEW_LISTENERS}, LIST_PROJECTION)
    new_listener_ids = stored_list_from(list_read or {}).track_ids
    muted = muted_rows(profile.muted, context.mongo, index)
    listed_at = pd.Timestamp(profile.latest_at, unit="s").floor("us")
    rows = [
        {
            "user_id": profile.user_id,
            "generation": profile.events_applied,
            "generated_at": listed_at,
            "day": listed_at.date(),
            "model_version": context.model_version,
            **{name: value for name, value in item._asdict().items() if name in RECOMMENDATIONS.names},
        }
        for item in ranked_list(profile, index, new_listener_ids, context.items, context.taste, muted)
    ]
    return pd.DataFrame(rows, columns=RECOMMENDATIONS.names)


def in_counted_order(events_of_user: pd.DataFrame) -> pd.DataFrame:
    """The events as the fast lane counted them: those of a partition by offset, several partitions by their progress in time.

    Arrival alone would not do: where producers date the values it goes back and forth, and what comes after a later offset does
    not count.
    """
    source = ["topic_id", "partition"]
    by_offset = events_of_user.sort_values([*source, "offset"])
    reached = by_offset.groupby(source)["received_at"].cummax()
    return by_offset.assign(reached=reached).sort_values(["reached", *source, "offset"]).drop(columns="reached")


def profile_after(events_of_user: pd.DataFrame, context: ServingContext, factors: PastFactors) -> Profile:
    """The profile of one listener after the events, `in_counted_order`.  events_of_user : LISTENING_EVENTS"""
    titles = title_by_track_id(set(events_of_user["track_id"].dropna()), database_of(context.mongo))
    profile = Profile(str(events_of_user["user_id"].iloc[0]))
    for row in in_counted_order(events_of_user).to_dict("records"):
        arrived_at = row["received_at"].to_pydatetime().replace(tzinfo=UTC)
        event = clamped_to_arrival(_event(row), arrived_at)
        track_id = event.track_id or ""
        source = f"{row['topic_id']}/{row['partition']}"
        factor = factors.factor(track_id, arrived_at)
        profile = profile.pulled_back(arrived_at.timestamp())
        profile = profile.after(event, titles.get(track_id, ""), source, int(row["offset"]), context.taste, factor)
    return profile


def _event(row: dict[str, Any]) -> Event:
    def number(name: str) -> int | None:
        return None if row[name] is None or np.isnan(row[name]) else int(row[name])

    return Event(
        user_id=row["user_id"],
        track_id=row["track_id"],
        action=row["action"],
        occurred_at=row["occurred_at"].to_pydatetime().replace(tzinfo=UTC),
        event_id=row["event_id"],
        position_ms=number("position_ms"),
        duration_ms=number("duration_ms"),
        target=row["target"],
        tracks=() if row["tracks"] is None else tuple(row["tracks"]),
    )


def differences(replayed: DataFrame, lists_then: DataFrame) -> DataFrame:
    """DIFFERENCE of the replayed lists and those of the time, both RECOMMENDATIONS."""
    old = lists_then.select("user_id", "track_id", F.col("rank").alias("rank_then"))
    new = replayed.select("user_id", "track_id", F.col("rank").alias("rank_now"))
    both = old.join(new, on=["user_id", "track_id"], how="full_outer")
    is_shared = F.col("rank_then").isNotNull() & F.col("rank_now").isNotNull()
    is_top = is_shared & (F.col("rank_then") <= COMPARED_TOP_RANKS) & (F.col("rank_now") <= COMPARED_TOP_RANKS)
    return both.groupBy("user_id").agg(
        F.count("rank_then").alias("then"),
        F.count("rank_now").alias("now"),
        F.count_if(is_shared).alias("shared"),
        F.count_if(is_top).alias("shared_top"),
        F.avg(F.when(is_shared, F.abs(F.col("rank_then") - F.col("rank_now")))).alias("rank_shift"),
    )


def show(replayed: DataFrame, lists_then: DataFrame, table_name: str, version: str) -> None:
    """Prints `differences`.  version : of the model"""
    rows = differences(replayed, lists_then).orderBy("user_id").collect()
    compared = [row for row in rows if row.then and row.now]
    print(f"\n{len(rows):,} listeners replayed with model {version}; their lists are in the table {table_name}.")
    print(f"{'listener':<24} {'in both':>8} {'top 10':>7} {'mean shift':>11}")
    for row in compared[:SHOWN_LISTENERS]:
        shift = "–" if row.rank_shift is None else f"{row.rank_shift:.1f}"
        print(f"{row.user_id[:24]:<24} {row.shared:>4}/{row.now:<3} {row.shared_top:>7} {shift:>11}")
    if compared:
        share = np.mean([row.shared / row.now for row in compared])
        top = np.mean([row.shared_top for row in compared])
        print(
            f"{len(compared):,} had a list before: {share:.0%} of the items and {top:.1f} of the top ten are the same.",
            flush=True,
        )


def _context(settings: Settings, model: registry.Model) -> ServingContext:
    return ServingContext(
        mongo=settings.mongo,
        kafka=settings.kafka,
        taste=settings.taste,
        items=settings.stream.items,
        source="",
        model_version=model.version,
        index_place=model.index_place,
        index_state=model.index_state,
        skip_rates=latest_version(settings.lake),
    )


if __name__ == "__main__":
    sys.exit(main())
