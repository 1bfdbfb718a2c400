"""Skip rates of tracks over all listeners: a skip of a track that most listeners skip weighs less.

They are counted from the lake once for each model version and stored in its folder, so that a replay of the same events gives the
same profiles.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from conf.settings import Settings, Taste

SKIP_COUNTS_FILE = "skips.json"
"""In the folder of a model version: {track id: [skips, skips and completes]}."""
ENDINGS = ("complete", "skip")


def freeze_skip_counts(spark: SparkSession, settings: Settings, model: Path) -> None:
    """Counts skips and completes in `listening_events` into the model's folder, unless it has counts.

    model : folder of the model version
    """
    file = model / SKIP_COUNTS_FILE
    if file.exists():
        return
    from pyspark.sql import functions as F

    from batch.lake import table
    from streaming.schemas import LISTENING_EVENTS

    events = table(spark, settings.lake.table("listening_events"), LISTENING_EVENTS)
    counts = (
        events.where(F.col("action").isin(*ENDINGS))
        .groupBy("track_id")
        .agg(F.count_if(F.col("action") == "skip").alias("skips"), F.count(F.lit(1)).alias("endings"))
        .collect()
    )
    write_skip_counts(file, {row.track_id: (row.skips, row.endings) for row in counts})


def write_skip_counts(file: Path, counts: Mapping[str, tuple[int, int]]) -> None:
    """Writes the counts unless the file exists: of several processes the first one wins.

    counts : {track id: (skips, skips and completes)}
    """
    handle, part = tempfile.mkstemp(prefix=".skips-", dir=file.parent)
    with os.fdopen(handle, "w") as out:
        json.dump(counts, out)
    try:
        os.link(part, file)
    except FileExistsError:
        pass
    finally:
        os.unlink(part)


def skip_factors(counts: Mapping[str, tuple[int, int]], taste: Taste) -> dict[str, float]:
    """{track id: factor of the weight of a skip}: 1 for a track that is skipped as often as the average.

    counts : {track id: (skips, skips and completes)}
    The factor is the track's completion rate over that of all tracks, at most `taste.skip_factor_most`. Each track's rate is
    smoothed with `taste.skip_rate_prior` endings at the average rate.
    """
    skips, endings = (sum(count[column] for count in counts.values()) for column in (0, 1))
    prior = taste.skip_rate_prior
    completion_rate = 1 - (skips + 0.5 * prior) / (endings + prior)
    factors = {}
    for track_id, (track_skips, track_endings) in counts.items():
        skip_rate = (track_skips + prior * (1 - completion_rate)) / (track_endings + prior)
        factors[track_id] = min(taste.skip_factor_most, (1 - skip_rate) / completion_rate)
    return factors


@lru_cache(maxsize=2)
def frozen_skip_factors(model: Path, taste: Taste) -> dict[str, float]:
    """The `skip_factors` of a model version; empty where it has no counts."""
    try:
        counts = json.loads((model / SKIP_COUNTS_FILE).read_text())
    except FileNotFoundError:
        return {}
    return skip_factors({track_id: (int(s), int(e)) for track_id, (s, e) in counts.items()}, taste)
