"""What a model's manifest, and with it the service page, says of the trained ear: why it gave nothing, and of how many tracks."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch.audio.features import EXTRACTOR_VERSION
from batch.ear.network import usable_graph
from batch.ear.spectrogram import PATCH_S
from batch.lake import table
from batch.library.extraction import FEATURES_OF_CONTENT
from conf.settings import Settings

EAR_FIGURES = ("ear_problem", "tracks_without_ear", "tracks_heard_repeated")


def ear_figures(spark: SparkSession, tracks: DataFrame, settings: Settings) -> dict[str, Any]:
    """ear_problem (the commonest), tracks_without_ear, tracks_heard_repeated (shorter than a patch); only what there is any of.

    tracks : (track_id, extractor_version, embedding, duration_s) of the library; published features, without audio, do not count
    {} where the setting `library.ear` is "none".
    """
    if settings.library.ear == "none":
        return {}
    _, problem = usable_graph(settings.library.ear)
    tracks = tracks.where(F.col("extractor_version").startswith(EXTRACTOR_VERSION))
    was_heard = F.col("embedding").isNotNull()
    counts = tracks.select(
        F.count_if(~was_heard).alias("without"),
        F.count_if(was_heard & (F.col("duration_s") < PATCH_S)).alias("repeated"),
    ).first()
    if counts is not None and counts.without and not problem:
        problems = table(spark, settings.lake.table("features"), FEATURES_OF_CONTENT).where("ear_problem is not null")
        ours = problems.join(tracks.select("track_id"), on="track_id", how="left_semi")
        commonest = ours.groupBy("ear_problem").count().orderBy(F.desc("count"), "ear_problem").first()
        problem = commonest.ear_problem if commonest is not None else "not heard yet; batch/extract.py adds it"
    figures = {
        "ear_problem": problem,
        "tracks_without_ear": counts.without if counts is not None else 0,
        "tracks_heard_repeated": counts.repeated if counts is not None else 0,
    }
    return {name: value for name, value in figures.items() if value}
