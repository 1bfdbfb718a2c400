"""A library of one track is published without a model, and the demo says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from batch import job
from batch.model.fit_index import TooFewTracks
from conf.settings import Models, settings
from local import batch, streams


def test_one_track_is_published_though_there_is_no_model(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def train(*_: Any) -> None:
        raise TooFewTracks("1 track with features, a model needs at least 2")

    publish = MagicMock(return_value=(1, 0))
    monkeypatch.setattr(batch, "library_files", lambda folder: ("/music", [], []))
    monkeypatch.setattr(job, "new_session", MagicMock())
    monkeypatch.setattr(batch, "extract", MagicMock(return_value="1 extracted, 0 unchanged, 0 rejected"))
    monkeypatch.setattr(batch, "train", train)
    monkeypatch.setattr(batch, "publish", publish)
    assert batch.main() == 0
    publish.assert_called_once()
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].startswith("train: no model: with one track there is nothing to compare; it plays")
    assert printed[2].startswith("publish: 1 tracks, 0 removed")


def test_without_a_model_the_durable_lane_runs_alone(tmp_path: Path) -> None:
    assert list(streams.start_by_name(settings(models=Models(root=str(tmp_path))))) == ["ledger"]
