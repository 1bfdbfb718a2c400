"""Documents that earlier versions stored; a Spark that prints what it is given."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from bson import json_util

PRINTS_WORDS = "#!/bin/sh\nprintf '%s\\n' \"$@\"\n"
PLAYER_DOCUMENTS = Path(__file__).parents[1] / "data" / "player-documents-v1.json"


@pytest.fixture
def player_documents() -> dict[str, dict[str, Any]]:
    """A document of each of the player's collections as version 1 was written."""
    options = json_util.JSONOptions(json_mode=json_util.JSONMode.RELAXED, tz_aware=True, tzinfo=UTC)
    documents: dict[str, dict[str, Any]] = json_util.loads(PLAYER_DOCUMENTS.read_text(), json_options=options)
    return documents


@pytest.fixture
def printing_spark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program that spark-submit.sh starts in place of Spark's: it prints its words, one a line."""
    program = tmp_path / "bin" / "spark-submit"
    program.parent.mkdir()
    program.write_text(PRINTS_WORDS)
    program.chmod(0o755)
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    for name in ("MASTER", "SPARK_CONF_DIR", "ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    return program
