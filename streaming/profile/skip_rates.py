"""How often everybody skips a track, frozen with the model version: a skip of what all skip says little of one listener.

The rates are counted once a version, from the lake, and kept beside the model: the same events give the same taste, whenever
they are replayed.
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

FILE = "skips.json"
ENDINGS = ("complete", "skip")


def freeze(spark: SparkSession, settings: Settings, model: Path) -> None:
    """Counts skips and completes of all events in the lake into the model's folder, unless that was done before."""
    file = model / FILE
    if file.exists():
        return
    from pyspark.sql import functions as F

    from batch.lake import table
    from streaming.schemas import LISTENING_EVENTS

    heard = table(spark, settings.lake.table("listening_events"), LISTENING_EVENTS)
    counts = (
        heard.where(F.col("action").isin(*ENDINGS))
        .groupBy("track_id")
        .agg(F.count_if(F.col("action") == "skip").alias("skips"), F.count(F.lit(1)).alias("endings"))
        .collect()
    )
    write(file, {row.track_id: (row.skips, row.endings) for row in counts})


def write(file: Path, counts: Mapping[str, tuple[int, int]]) -> None:
    """{track id: (skips, skips and completes)}; the first to write a file decides."""
    handle, part = tempfile.mkstemp(prefix=".skips-", dir=file.parent)
    with os.fdopen(handle, "w") as out:
        json.dump(counts, out)
    try:
        os.link(part, file)
    except FileExistsError:
        pass
    finally:
        os.unlink(part)


def factors(counts: Mapping[str, tuple[int, int]], taste: Taste) -> dict[str, float]:
    """{track id: what a skip of it counts}, 1 for a track that is skipped as often as all are.

    The share of listeners who stayed, over that share among all tracks: near 0 where nobody stays, and at most
    `taste.skip_factor_most`. A track starts with `taste.skip_rate_prior` endings at the rate of all.
    """
    skips, endings = (sum(count[at] for count in counts.values()) for at in (0, 1))
    prior = taste.skip_rate_prior
    stayed = 1 - (skips + 0.5 * prior) / (endings + prior)
    found = {}
    for track_id, (mine, ended) in counts.items():
        rate = (mine + prior * (1 - stayed)) / (ended + prior)
        found[track_id] = min(taste.skip_factor_most, (1 - rate) / stayed)
    return found


@lru_cache(maxsize=2)
def frozen(model: Path, taste: Taste) -> dict[str, float]:
    """The factors of a model version; none where nothing was counted."""
    try:
        counts = json.loads((model / FILE).read_text())
    except FileNotFoundError:
        return {}
    return factors({track_id: (int(s), int(e)) for track_id, (s, e) in counts.items()}, taste)
