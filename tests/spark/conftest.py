"""Smaller models, where a test is not about their size."""

from __future__ import annotations

import pytest

from batch.model import genre_mlp


@pytest.fixture
def few_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four genre networks instead of ten, and two in a fold instead of four: an iteration of each is a Spark job."""
    monkeypatch.setattr(genre_mlp, "PAIRS", 2)
    monkeypatch.setattr(genre_mlp, "PAIRS_IN_FOLDS", 1)
