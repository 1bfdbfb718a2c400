"""Parses lists of the topic `recommendations` into rows of the lake."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from pyspark.sql.types import ArrayType, StringType, StructField, StructType

from streaming.schemas import RECOMMENDATIONS

if TYPE_CHECKING:
    import pyarrow as pa

_ITEM = StructType(
    [field for field in RECOMMENDATIONS if field.name in ("track_id", "rank", "score", "reason", "because")]
)
_LIST = StructType(
    [
        *[field for field in RECOMMENDATIONS if field.name in ("user_id", "generation", "model_version")],
        StructField("generated_at", StringType()),
        StructField("items", ArrayType(_ITEM)),
    ]
)
"""A value of the topic (`streaming.serving.microbatch.message`)."""


def recommendation_rows(values: list[bytes | None]) -> pa.Table:
    """The items of all lists as RECOMMENDATIONS. Raises ValueError where a value is no list.

    values : of the topic; None and empty ones are skipped
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.json
    from pyspark.sql.pandas.types import to_arrow_schema

    schema = to_arrow_schema(RECOMMENDATIONS, timezone="UTC")
    lines = [value for value in values if value]
    if not lines:
        return schema.empty_table()
    options = pyarrow.json.ParseOptions(explicit_schema=to_arrow_schema(_LIST), unexpected_field_behavior="ignore")
    read_options = pyarrow.json.ReadOptions(block_size=max(1 << 20, 2 * max(map(len, lines))))
    lists = pyarrow.json.read_json(pa.BufferReader(b"\n".join(lines)), read_options, options).combine_chunks()
    for name in ("user_id", "generation", "generated_at", "items"):
        if lists[name].null_count:
            raise ValueError(f"a list without {name}")
    items = lists["items"].combine_chunks()
    parents = lists.select(["user_id", "generation", "generated_at", "model_version"]).take(
        pc.list_parent_indices(items)
    )
    flat = pa.Table.from_struct_array(pc.list_flatten(items))
    for name in ("track_id", "rank"):
        if flat[name].null_count:
            raise ValueError(f"an item without {name}")
    columns = {name: parents[name] for name in parents.column_names} | {name: flat[name] for name in flat.column_names}
    columns["generated_at"] = _times(columns["generated_at"])
    return pa.table({name: columns[name] for name in schema.names}).cast(schema)


def is_list(value: bytes) -> bool:
    """Whether `recommendation_rows` can parse the value."""
    try:
        recommendation_rows([value])
    except ValueError:
        return False
    return True


def _times(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """ISO 8601 texts with a zone as UTC timestamps."""
    import pyarrow as pa

    times = {text: datetime.fromisoformat(text) for text in set(texts.to_pylist()) if text is not None}
    return pa.chunked_array([pa.array([times.get(text) for text in texts.to_pylist()], pa.timestamp("us", "UTC"))])
