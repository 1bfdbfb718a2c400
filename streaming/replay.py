"""Job: the time machine. Stored events once more, with another model or other settings, and how the lists would have differed.

    spark-submit.sh streaming/replay.py --from 2026-11-01 --to 2026-11-24 [--model VERSION] [--half-life DAYS] [--table NAME]

Reads `listening_events`, makes each listener's list as of the end, and writes it into a table of its own beside the real ones.
Every event counts as it did: in the order of its topic, weighted by the skip rates that were frozen with the model.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pymongo.errors import PyMongoError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, LongType, StringType, StructField, StructType

from batch import mongo, registry
from batch.lake import table
from batch.mongo import EVERYONE
from conf.settings import Settings, settings
from streaming.admission.known_tracks import titles
from streaming.admission.rules import not_ahead
from streaming.events import Event
from streaming.profile.profile import Profile
from streaming.profile.skip_rates import frozen
from streaming.ranking.ranker import items
from streaming.schemas import LISTENING_EVENTS, RECOMMENDATIONS
from streaming.serving.clients import catalogue_of, database_of, hidden_rows
from streaming.serving.microbatch import Serving

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_TABLE = "replayed_recommendations"
RESERVED = {"tracks", "features", "rejected_tracks", "listening_events", "rejected_events", "recommendations"}
COMPARED = 10

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
"""One row a listener: items in each list, in both, in the top ten of both, and the mean change of rank of what is in both."""


def main(arguments: Sequence[str] | None = None) -> int:
    given = _arguments(arguments)
    try:
        chosen = _settings(given)
        start, end = _time(given.since, "--from"), _time(given.until, "--to")
    except ValueError as error:
        print(f"replay: {error}", file=sys.stderr)
        return 2
    try:
        root = chosen.models.root
        model = registry.load(root, given.model) if given.model else registry.latest(root)
        mongo.client(chosen.mongo).close()
    except (registry.ModelUnusable, OSError) as error:
        print(f"replay: {error}", file=sys.stderr)
        return 1
    spark = SparkSession.builder.appName("replay").getOrCreate()
    try:
        events = heard(spark, chosen, start, end)
        lists = replayed(events, _serving(chosen, model), end).cache()
        if lists.isEmpty():
            print(f"replay: no events from {start} to {end} in {chosen.lake.root}", file=sys.stderr)
            return 1
        lists.write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(
            chosen.lake.table(given.table)
        )
        show(lists, last_lists(spark, chosen, start, end), given.table, model.version)
    except PyMongoError as error:
        print(f"replay: {error}", file=sys.stderr)
        return 1
    finally:
        spark.stop()
    return 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="streaming/replay.py", description="Stored events with another model or setting."
    )
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
    return parser.parse_args(arguments)


def _settings(given: argparse.Namespace) -> Settings:
    base = settings()
    if given.table in RESERVED or not re.fullmatch(r"[a-z][a-z0-9_]*", given.table):
        raise ValueError(f"--table {given.table!r}: expected a name of a-z, 0-9 and _ that no table of the stream has")
    changed = {
        "half_life_days": given.half_life,
        "session_half_life_minutes": given.session_half_life,
        "diversity": given.diversity,
        "rejection": given.rejection,
    }
    taste = base.taste.model_dump() | {name: value for name, value in changed.items() if value is not None}
    return settings(taste=taste)


def _time(text: str, option: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{option} {text!r} is not an ISO 8601 time, such as 2026-11-23T09:00:00Z") from error
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def heard(spark: SparkSession, settings: Settings, start: datetime, end: datetime) -> DataFrame:
    """The stored events of the time: LISTENING_EVENTS."""
    stored = table(spark, settings.lake.table("listening_events"), LISTENING_EVENTS)
    return stored.where((F.col("occurred_at") >= F.lit(start)) & (F.col("occurred_at") < F.lit(end)))


def last_lists(spark: SparkSession, settings: Settings, start: datetime, end: datetime) -> DataFrame:
    """Each listener's last list that was made before the end: RECOMMENDATIONS."""
    stored = table(spark, settings.lake.table("recommendations"), RECOMMENDATIONS)
    stored = stored.where((F.col("generated_at") >= F.lit(start)) & (F.col("generated_at") < F.lit(end)))
    last = stored.groupBy("user_id").agg(F.max("generation").alias("generation"))
    return stored.join(F.broadcast(last), on=["user_id", "generation"], how="left_semi")


def replayed(events: DataFrame, serving: Serving, end: datetime) -> DataFrame:
    """Each listener's list after the events: RECOMMENDATIONS, `generation` the events counted."""

    def lists(mine: pd.DataFrame) -> pd.DataFrame:
        import pandas as pd

        profile = taste_of(mine, serving)
        catalogue = catalogue_of(serving.model, serving.grown)
        everyone = database_of(serving.mongo).recommendations.find_one({"_id": EVERYONE}, {"items.track_id": 1}) or {}
        opening = [item["track_id"] for item in everyone.get("items", [])]
        muted = hidden_rows(profile.muted, serving.mongo, catalogue)
        rows = [
            {
                "user_id": profile.user_id,
                "generation": profile.events_applied,
                "generated_at": pd.Timestamp(profile.latest_at, unit="s").floor("us"),
                "model_version": serving.model_version,
                **{name: value for name, value in item._asdict().items() if name in RECOMMENDATIONS.names},
            }
            for item in items(profile, catalogue, opening, serving.items, serving.taste, muted)
        ]
        return pd.DataFrame(rows, columns=RECOMMENDATIONS.names)

    return events.groupBy("user_id").applyInPandas(lists, RECOMMENDATIONS)


def taste_of(mine: pd.DataFrame, serving: Serving) -> Profile:
    """The profile of one listener after the events, in the order in which they came."""
    factors = frozen(serving.model, serving.taste)
    known = titles(set(mine["track_id"].dropna()), database_of(serving.mongo))
    profile = Profile(str(mine["user_id"].iloc[0]))
    for row in mine.sort_values(["received_at", "topic_id", "partition", "offset"]).to_dict("records"):
        event = not_ahead(_event(row), row["received_at"].to_pydatetime().replace(tzinfo=UTC))
        track_id = event.track_id or ""
        source = f"{row['topic_id']}/{row['partition']}"
        profile = profile.after(
            event, known.get(track_id, ""), source, int(row["offset"]), serving.taste, factors.get(track_id, 1.0)
        )
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
    )


def differences(replayed: DataFrame, then: DataFrame) -> DataFrame:
    """How the lists of each listener differ: DIFFERENCE."""
    old = then.select("user_id", "track_id", F.col("rank").alias("rank_then"))
    new = replayed.select("user_id", "track_id", F.col("rank").alias("rank_now"))
    both = old.join(new, on=["user_id", "track_id"], how="full_outer")
    is_shared = F.col("rank_then").isNotNull() & F.col("rank_now").isNotNull()
    is_top = is_shared & (F.col("rank_then") <= COMPARED) & (F.col("rank_now") <= COMPARED)
    return both.groupBy("user_id").agg(
        F.count("rank_then").alias("then"),
        F.count("rank_now").alias("now"),
        F.count_if(is_shared).alias("shared"),
        F.count_if(is_top).alias("shared_top"),
        F.avg(F.when(is_shared, F.abs(F.col("rank_then") - F.col("rank_now")))).alias("rank_shift"),
    )


def show(lists: DataFrame, then: DataFrame, name: str, version: str) -> None:
    rows = differences(lists, then).orderBy("user_id").collect()
    compared = [row for row in rows if row.then and row.now]
    print(f"\n{len(rows):,} listeners replayed with model {version}; their lists are in the table {name}.")
    print(f"{'listener':<24} {'in both':>8} {'top 10':>7} {'mean shift':>11}")
    for row in compared[:20]:
        shift = "–" if row.rank_shift is None else f"{row.rank_shift:.1f}"
        print(f"{row.user_id[:24]:<24} {row.shared:>4}/{row.now:<3} {row.shared_top:>7} {shift:>11}")
    if compared:
        share = np.mean([row.shared / row.now for row in compared])
        top = np.mean([row.shared_top for row in compared])
        print(
            f"{len(compared):,} had a list before: {share:.0%} of the items and {top:.1f} of the top ten are the same.",
            flush=True,
        )


def _serving(settings: Settings, model: registry.Model) -> Serving:
    from batch.index.lsh import Index

    return Serving(
        mongo=settings.mongo,
        kafka=settings.kafka,
        taste=settings.taste,
        items=settings.stream.items,
        source="",
        model_version=model.version,
        model=Path(model.folder),
        grown=Index.state(model.folder / "index"),
    )


if __name__ == "__main__":
    sys.exit(main())
