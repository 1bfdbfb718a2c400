"""What a long job says of itself, in a log and in a terminal."""

from __future__ import annotations

import pytest

from batch.progress import FileProgress, duration_text, file_progress_text


def test_a_line_has_done_rate_time_left_and_rejected() -> None:
    assert (
        file_progress_text(1200, 8000, 12, 40.0) == "1,200 of 8,000 tracks, 30.0 a second, 3 min 47 s left, 12 rejected"
    )
    assert file_progress_text(0, 8000, 0, 3.0) == "0 of 8,000 tracks, 0.0 a second, time left unknown, 0 rejected"
    assert "8,000 of 8,000 tracks" in file_progress_text(8016, 8000, 0, 10.0)  # a task ran twice


def test_times_have_two_parts() -> None:
    assert [duration_text(s) for s in (0.4, 59, 61, 3600, 7500)] == [
        "0 s",
        "59 s",
        "1 min 1 s",
        "1 h 0 min",
        "2 h 5 min",
    ]


def test_a_log_gets_a_line_and_a_terminal_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PROGRESS_COLUMNS", raising=False)
    with FileProgress(20, lambda: (20, 3)):
        pass
    printed = capsys.readouterr()
    assert printed.out.startswith("  20 of 20 tracks, ") and printed.out.endswith(" 3 rejected\n") and printed.err == ""
    monkeypatch.setenv("PROGRESS_COLUMNS", "70")
    with FileProgress(20, lambda: (20, 3)):
        pass
    printed = capsys.readouterr()
    assert printed.out == "" and "20/20" in printed.err and "3 rejected" in printed.err
    with FileProgress(0, lambda: (0, 0)):
        pass
    assert capsys.readouterr() == ("", "")
