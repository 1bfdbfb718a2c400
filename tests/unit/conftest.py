"""Documents that earlier versions stored."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from bson import json_util

PLAYER_DOCUMENTS = Path(__file__).parents[1] / "data" / "player-documents-v1.json"


@pytest.fixture
def player_documents() -> dict[str, dict[str, Any]]:
    """A document of each of the player's collections as version 1 was written."""
    options = json_util.JSONOptions(json_mode=json_util.JSONMode.RELAXED, tz_aware=True, tzinfo=UTC)
    documents: dict[str, dict[str, Any]] = json_util.loads(PLAYER_DOCUMENTS.read_text(), json_options=options)
    return documents
