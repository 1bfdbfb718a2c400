"""Parses lists of the topic `recommendations` into rows of the lake: "For you" to RECOMMENDATIONS, named lists to MIXES."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from pyspark.sql.types import ArrayType, StringType, StructField, StructType

from streaming.documents import Deletion
from streaming.schemas import MIXES, RECOMMENDATIONS

if TYPE_CHECKING:
    import pyarrow as pa

_ITEM = StructType(
    [field for field in RECOMMENDATIONS if field.name in ("track_id", "rank", "score", "reason", "because")]
)
_LIST = StructType(
    [
        *[field for field in RECOMMENDATIONS if field.name in ("user_id", "generation", "model_version")],
        *[field for field in MIXES if field.name in ("list", "title")],
        StructField("generated_at", StringType()),
        StructField("deleted_at", StringType()),
        StructField("items", ArrayType(_ITEM)),
    ]
)
"""A value of the topic (`streaming.serving.writes`); named lists have `list` and `title`, others `generation`, and those of a
listener whose data were deleted once the deletion that they follow."""
_COLUMNS_OF_ALL = ("user_id", "generated_at", "items")


class ListRows(NamedTuple):
    """The items of lists. recommendations : RECOMMENDATIONS;  mixes : MIXES"""

    recommendations: pa.Table
    mixes: pa.Table


def list_rows(values: list[bytes | None], chosen: Callable[[pa.Table], pa.Table] = lambda lists: lists) -> ListRows:
    """The items of all lists. Raises ValueError where a value is no list.

    values : of the topic; None and empty ones are skipped
    chosen : those of the lists whose items are wanted; of each their user_id, and the texts generated_at and deleted_at
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.json
    from pyspark.sql.pandas.types import to_arrow_schema

    lines = [value for value in values if value]
    if not lines:
        return ListRows(*(to_arrow_schema(schema, timezone="UTC").empty_table() for schema in (RECOMMENDATIONS, MIXES)))
    options = pyarrow.json.ParseOptions(explicit_schema=to_arrow_schema(_LIST), unexpected_field_behavior="ignore")
    read_options = pyarrow.json.ReadOptions(block_size=max(1 << 20, 2 * max(map(len, lines))))
    lists = pyarrow.json.read_json(pa.BufferReader(b"\n".join(lines)), read_options, options)
    lists = chosen(lists).combine_chunks()
    is_named = pc.is_valid(lists["list"])
    return ListRows(
        _rows(lists.filter(pc.invert(is_named)), RECOMMENDATIONS, (*_COLUMNS_OF_ALL, "generation")),
        _rows(lists.filter(is_named), MIXES, _COLUMNS_OF_ALL),
    )


def lists_after_deletion(lists: pa.Table, deletions: Mapping[str, Deletion]) -> pa.Table:
    """The lists that were made after their listener's deletion. Raises ValueError where a time is none.

    lists : as `chosen` of `list_rows` has them;  deletions : by user id
    """
    import pyarrow as pa

    if not deletions:
        return lists
    rows = lists.select(["user_id", "list", "generated_at", "deleted_at"]).to_pylist()
    are_after = [row["user_id"] not in deletions or _is_after(row, deletions[row["user_id"]]) for row in rows]
    return lists.filter(pa.array(are_after, pa.bool_()))


def _is_after(row: Mapping[str, str | None], deletion: Deletion) -> bool:
    """Whether a list was made after a deletion, which it notes then. Where it cannot note one, the clocks tell.

    row : `list`, and `generated_at` and `deleted_at` as ISO 8601
    """
    if (noted := row["deleted_at"]) is not None:
        return datetime.fromisoformat(noted) == deletion.deleted_at
    if deletion.is_noted and row["list"] is None:  # named lists of earlier versions note nothing
        return False
    return row["generated_at"] is None or datetime.fromisoformat(row["generated_at"]) > deletion.deleted_at


def is_list(value: bytes) -> bool:
    """Whether `list_rows` can parse the value."""
    try:
        list_rows([value])
    except ValueError:
        return False
    return True


def _rows(lists: pa.Table, schema: StructType, required: tuple[str, ...]) -> pa.Table:
    """The items of lists as rows of `schema`.  lists : rows of _LIST"""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyspark.sql.pandas.types import to_arrow_schema

    for name in required:
        if lists[name].null_count:
            raise ValueError(f"a list without {name}")
    items = lists["items"].combine_chunks()
    parents = lists.drop_columns(["items"]).take(pc.list_parent_indices(items))
    flat = pa.Table.from_struct_array(pc.list_flatten(items))
    for name in ("track_id", "rank"):
        if flat[name].null_count:
            raise ValueError(f"an item without {name}")
    columns = {name: parents[name] for name in parents.column_names} | {name: flat[name] for name in flat.column_names}
    columns["generated_at"] = _times(columns["generated_at"])
    columns["day"] = columns["generated_at"].cast(pa.date32())
    arrow_schema = to_arrow_schema(schema, timezone="UTC")
    return pa.table({name: columns[name] for name in arrow_schema.names}).cast(arrow_schema)


def _times(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """ISO 8601 texts with a zone as UTC timestamps."""
    import pyarrow as pa

    times = {text: datetime.fromisoformat(text) for text in set(texts.to_pylist()) if text is not None}
    return pa.chunked_array([pa.array([times.get(text) for text in texts.to_pylist()], pa.timestamp("us", "UTC"))])
