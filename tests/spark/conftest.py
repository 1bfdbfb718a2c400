"""Smaller models, where a test is not about their size."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.ml.classification import MultilayerPerceptronClassifier

from batch.model import genre_mlp

FEW_ITERATIONS = 8


def of_few_iterations(maxIter: int, **parameters: Any) -> MultilayerPerceptronClassifier:  # noqa: N803
    return MultilayerPerceptronClassifier(maxIter=min(maxIter, FEW_ITERATIONS), **parameters)


@pytest.fixture
def few_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four genre networks instead of ten, two in a fold instead of four, and few iterations of each: every one is a Spark job."""
    monkeypatch.setattr(genre_mlp, "PAIRS", 2)
    monkeypatch.setattr(genre_mlp, "PAIRS_IN_FOLDS", 1)
    monkeypatch.setattr(genre_mlp, "MultilayerPerceptronClassifier", of_few_iterations)
