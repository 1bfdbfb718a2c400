"""All tracks of a library as an index has them, made on executors and brought to the driver's disk piece by piece.

features ─▶ point, sketch, hash keys, percentiles of words (executors) ─▶ Parquet in the version ─▶ `batch.index.pieces`

The Parquet files are read one batch at a time and removed afterwards: the driver holds one piece, whatever the library's size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql.types import BinaryType, LongType, StringType, StructField, StructType

from batch.ear.graph import N_TAGS
from batch.ear.tag_names import TAG_NAMES
from batch.index.pieces import Piece, TrackColumns
from batch.index.projection import Projection
from batch.index.storage import positions_of_ids
from batch.library.titles import title_keys
from batch.storage.parquet import record_batches
from batch.training.training_set import number_rows
from batch.words.tag_percentiles import Calibration

if TYPE_CHECKING:
    import pandas as pd

PROJECTED = StructType(
    [
        StructField("track_id", StringType()),
        StructField("point", BinaryType()),
        StructField("sketch", BinaryType()),
        StructField("first_component", BinaryType()),
        StructField("keys", BinaryType()),
        StructField("title_key", LongType()),
        StructField("tags", BinaryType()),
    ]
)
"""One row a track: the bytes of its row in each array of `batch.index.pieces.Piece`. tags: null without a trained ear."""


def projected(features: DataFrame, projection: Projection, calibration: Calibration | None) -> DataFrame:
    """PROJECTED of all tracks.

    features : (track_id, features, artist, title, tags), as `batch.training.training_set.feature_rows`
    calibration : of the words; None: the model has none
    """
    context = features.sparkSession.sparkContext
    shared = context.broadcast((projection, calibration))

    def made(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        projection, calibration = shared.value
        for batch in batches:
            if not len(batch):
                continue
            points = projection.points(np.vstack(batch["features"]))
            piece = Piece.of(np.arange(len(batch)), points, projection)
            keys = title_keys(batch["artist"].tolist(), batch["title"].tolist())
            columns: dict[str, Any] = {
                "track_id": batch["track_id"],
                "point": _bytes(piece.points),
                "sketch": _bytes(piece.sketches),
                "first_component": _bytes(piece.first_component),
                "keys": _bytes(piece.keys),
                "title_key": keys.view(np.int64),
                "tags": None,
            }
            if calibration is not None:
                tags = pa.chunked_array([pa.array(batch["tags"], pa.list_(pa.float32()))])
                probabilities = np.nan_to_num(number_rows(tags, N_TAGS))
                columns["tags"] = _bytes(calibration.percentiles(probabilities, TAG_NAMES))
            yield pd.DataFrame(columns, columns=PROJECTED.names)

    return features.mapInPandas(made, PROJECTED)


def pieces(location: str, tracks: TrackColumns, projection: Projection) -> Iterator[Piece]:
    """The stored PROJECTED rows as pieces of an index.

    location : of the Parquet folder;  tracks : of the index
    """
    sketch_type = np.int8 if projection.quantisation_step else np.float32
    for batch in record_batches(location):
        rows = positions_of_ids(tracks.ids, batch["track_id"].to_pylist())
        if (rows < 0).any():
            raise ValueError("the library has changed while it was trained on; train again")
        m = len(rows)
        tags = batch["tags"]
        yield Piece(
            rows,
            _array(batch["point"], np.float32).reshape(m, -1),
            _array(batch["sketch"], sketch_type).reshape(m, -1),
            _array(batch["first_component"], np.float32),
            _array(batch["keys"], np.uint32).reshape(m, -1),
            title_keys=batch["title_key"].to_numpy().view(np.uint64),
            tags=None if tags.null_count else _array(tags, np.uint8).reshape(m, -1),
        )


def _bytes(rows: NDArray[Any]) -> list[bytes]:
    """The bytes of each row."""
    return [row.tobytes() for row in rows]


def _array(column: pa.Array, dtype: Any) -> NDArray[Any]:
    """The column's bytes, one row after the other."""
    return np.frombuffer(b"".join(column.to_pylist()), dtype=dtype)
