"""Each track's nearest tracks: the neighbours that are stored with the index, and the list of similar tracks that players show.

Rankings are made once, by the index; the recordings are found among the stored neighbours; the lists have one of each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BooleanType, FloatType, IntegerType, StringType, StructField, StructType

from batch.index.lsh import STORED_NEIGHBOURS, Index
from batch.index.pieces import RowFile
from batch.index.recordings import first_of_each_recording
from batch.model.artist_cap import capped_ranking
from batch.storage.parquet import record_batches
from batch.versions.remote_index import IndexPlace, local_folder

if TYPE_CHECKING:
    import pandas as pd

OVERSAMPLING = 2
"""Tracks ranked for each place of a list, so that the artist cap has others to choose from."""

RANKINGS = StructType(
    [
        StructField("track_id", StringType()),
        StructField("rows", ArrayType(IntegerType())),
        StructField("scores", ArrayType(FloatType())),
    ]
)
"""One row a track.  rows : of the index, most similar first;  scores : 0 to 1, of the same tracks"""

SIMILAR_SCHEMA = StructType(
    [
        StructField("track_id", StringType()),
        StructField(
            "similar",
            ArrayType(StructType([StructField("track_id", StringType()), StructField("score", FloatType())])),
        ),
    ]
)
"""One row a track.  similar : up to 50 tracks, most similar first, of other recordings and one of each, under the artist cap
(`batch.model.artist_cap`); score 0 to 1
"""


def of_present_tracks(similar: DataFrame, present_ids: Collection[str]) -> DataFrame:
    """SIMILAR_SCHEMA without tracks that have gone since the training, in rows and in lists."""
    gone = {row.track_id for row in similar.select("track_id").collect()} - set(present_ids)
    if not gone:
        return similar
    gone_ids = similar.sparkSession.sparkContext.broadcast(frozenset(gone))

    def present(items: list[Row] | None) -> list[Row]:
        return [item for item in items or () if item["track_id"] not in gone_ids.value]

    lists = F.udf(present, SIMILAR_SCHEMA["similar"].dataType)("similar")
    is_present = F.udf(lambda track_id: track_id not in gone_ids.value, BooleanType())("track_id")
    return similar.where(is_present).select("track_id", lists.alias("similar"))


def rankings(ids: DataFrame, place: IndexPlace, k: int) -> DataFrame:
    """RANKINGS of each track: enough for a list of k similar tracks, and for the stored neighbours.

    ids : (track_id);  place : of the index, which every worker maps into its memory
    """

    def ranked(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        whole = Index.open(local_folder(place), as_trained=True)
        for batch in batches:
            rows = whole.rows_of(list(batch["track_id"]))
            similar = whole.similar(rows, max(STORED_NEIGHBOURS, OVERSAMPLING * k))
            neighbours, scores = zip(*similar, strict=True) if similar else ((), ())
            yield pd.DataFrame({"track_id": batch["track_id"], "rows": list(neighbours), "scores": list(scores)})

    return ids.mapInPandas(ranked, RANKINGS)


def similar_lists(ranked: DataFrame, place: IndexPlace, k: int) -> DataFrame:
    """Each track's list of the k most similar tracks: SIMILAR_SCHEMA.

    ranked : RANKINGS;  place : of the index, with recordings
    """

    def listed(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        whole = Index.open(local_folder(place), as_trained=True)
        for batch in batches:
            lists = []
            for row, neighbours, scores in zip(
                whole.rows_of(list(batch["track_id"])), batch["rows"], batch["scores"], strict=True
            ):
                if whole.recordings is not None:
                    firsts = first_of_each_recording(whole.recordings[neighbours], int(whole.recordings[row]))
                    neighbours, scores = neighbours[firsts], scores[firsts]
                capped = capped_ranking(whole.artists_of_each(neighbours), scores, k)
                lists.append(
                    [
                        {"track_id": str(whole.ids[similar_row]), "score": float(score)}
                        for similar_row, score in zip(neighbours[capped], scores[capped], strict=True)
                    ]
                )
            yield pd.DataFrame({"track_id": batch["track_id"], "similar": lists})

    return ranked.mapInPandas(listed, SIMILAR_SCHEMA)


def save_neighbours(rankings_location: str, folder: Path) -> None:
    """Saves each track's STORED_NEIGHBOURS with the index, so that the stream need not search for them.

    rankings_location : of the stored RANKINGS, which are read a few at a time;  folder : of the index
    """
    whole = Index.open(folder, as_trained=True)
    shape = (len(whole), min(STORED_NEIGHBOURS, len(whole) - 1))
    with RowFile(folder / "near.npy", np.int32, shape) as near:
        for batch in record_batches(rankings_location, ["track_id", "rows"]):
            ranked_rows = batch["rows"].flatten().to_numpy().reshape(len(batch), -1)
            near.write(whole.rows_of(batch["track_id"].to_pylist()), ranked_rows[:, : shape[1]])
