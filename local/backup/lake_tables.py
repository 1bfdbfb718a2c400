"""All Delta tables of a lake, and the files that a version of one consists of."""

from __future__ import annotations

from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable

from batch.library.tracks import LIBRARY_TABLES
from streaming.profile.skip_rates import SKIP_RATES_TABLE
from streaming.sink.delta_append import SCHEMAS

TABLES = (*LIBRARY_TABLES, *SCHEMAS, SKIP_RATES_TABLE)
LOG_FOLDER = "_delta_log"


def data_files(table: DeltaTable) -> list[str]:
    """Paths, relative to the table, of the files that this version consists of."""
    paths = pa.table(table.get_add_actions(flatten=True)).column("path").to_pylist()
    return sorted(unquote(str(path)) for path in paths)  # Delta's log has them as parts of a URI
