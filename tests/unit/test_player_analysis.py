"""Sounds as numbers and pictures, made in another process; ways through an index."""

from __future__ import annotations

import asyncio
import io
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from batch import registry
from batch.audio.features import track
from batch.ear import graph
from batch.ear.network import loaded
from batch.index.building import build_index
from batch.index.lsh import Index
from batch.index.projection import Projection
from ui.auth.places import Client
from ui.auth.shares import ShareTaken
from ui.media import analysis as analysis_module
from ui.media.analysis import (
    MAX_WAITING_TRACKS,
    PEAK_COUNT,
    AnalysisPending,
    AnalyzerBusy,
    AudioAnalyzer,
    AudioUnreadable,
    analyze,
)
from ui.media.pictures import PICTURE_WIDTH
from ui.media.similarity import NoModel, SimilaritySearch, centroid

sys.path.insert(0, str(Path(__file__).parents[1]))
from coroutines import result_of  # noqa: E402

RATE = 22_050
ANA = Client("ana", "home")


@pytest.fixture(scope="module")
def analyzer() -> Iterator[AudioAnalyzer]:
    analyzer = AudioAnalyzer()
    yield analyzer
    analyzer.close()


@pytest.fixture(scope="module")
def swell(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of a 440 Hz tone that grows from nothing."""
    file = tmp_path_factory.mktemp("sound") / "swell.wav"
    time = np.arange(4 * RATE) / RATE
    soundfile.write(file, (time / 4 * np.sin(2 * np.pi * 440 * time) * 0.8).astype("float32"), RATE)
    return file


def test_peaks_follow_the_loudness(analyzer: AudioAnalyzer, swell: Path) -> None:
    peaks = result_of(analyzer.peaks(str(swell)))
    assert len(peaks) == PEAK_COUNT and peaks[-1] == 100 and peaks[0] <= 1
    assert peaks == sorted(peaks) or max(abs(a - b) for a, b in zip(peaks, sorted(peaks), strict=True)) <= 2


def test_pictures_show_the_tone_where_it_is(analyzer: AudioAnalyzer, swell: Path) -> None:
    mel = np.asarray(Image.open(io.BytesIO(result_of(analyzer.picture(str(swell), "mel")))).convert("L"), dtype=float)
    assert mel.shape[1] == PICTURE_WIDTH
    loudest = int(mel[:, -100:].mean(axis=1).argmax()) / len(mel)
    assert 0.8 < loudest < 0.95, "440 Hz lies near the bottom"
    assert mel[:, -50:].mean() > mel[:, :50].mean(), "and grows"
    for which in ("waveform", "mfcc"):
        assert Image.open(io.BytesIO(result_of(analyzer.picture(str(swell), which)))).width == PICTURE_WIDTH


def test_a_clip_has_the_numbers_that_extract_gives(analyzer: AudioAnalyzer, swell: Path) -> None:
    np.testing.assert_allclose(result_of(analyzer.features(swell.read_bytes(), ANA)), track(swell).vector, rtol=1e-5)
    heard = track(swell, ear=loaded(graph.default_place()))
    both = result_of(analyzer.features(swell.read_bytes(), ANA, with_embedding=True))
    assert heard.embedding is not None
    np.testing.assert_allclose(both, [*heard.vector, *heard.embedding], rtol=1e-4, atol=1e-4)


def test_without_the_ear_that_the_library_was_heard_by_a_clip_cannot_be_compared(
    monkeypatch: pytest.MonkeyPatch, swell: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(graph, "default_place", lambda: tmp_path / "none.onnx")
    with pytest.raises(AudioUnreadable, match=r"its trained ear is missing here \(no file .*none\.onnx"):
        analyze("features and embedding", swell.read_bytes())


@pytest.mark.parametrize("content", [b"this is text", b"RIFF\x00\x00", bytes(5000)])
def test_what_is_no_audio_is_refused_and_the_analyzer_goes_on(
    analyzer: AudioAnalyzer, swell: Path, content: bytes
) -> None:
    with pytest.raises(AudioUnreadable):
        result_of(analyzer.features(content, ANA))
    assert len(result_of(analyzer.peaks(str(swell)))) == PEAK_COUNT


def test_a_decoder_that_hangs_is_ended_and_the_next_file_is_analysed(tmp_path: Path, swell: Path) -> None:
    hanging = tmp_path / "hanging.wav"
    os.mkfifo(hanging)  # nobody ever writes to it
    analyzer = AudioAnalyzer(timeout_s=3)
    with pytest.raises(AudioUnreadable, match="not done after 3 s"):
        result_of(analyzer.peaks(str(hanging)))
    assert result_of(analyzer.peaks(str(swell)))[-1] == 100
    analyzer.close()


def test_a_file_that_failed_is_not_tried_again_until_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "track.wav"
    file.write_bytes(b"no audio")
    calls: list[str] = []
    analyzer = AudioAnalyzer()
    worker = analyzer._worker

    def counting(analysis: str, audio: str, limit_s: float) -> object:
        calls.append(analysis)
        return worker(analysis, audio, limit_s=limit_s)

    analyzer._worker = counting  # type: ignore[assignment]
    for _ in range(3):
        with pytest.raises(AudioUnreadable, match="cannot be decoded"):
            result_of(analyzer.peaks(str(file)))
    assert calls == ["peaks"]
    soundfile.write(file, np.ones(RATE, dtype="float32") / 2, RATE)
    assert result_of(analyzer.peaks(str(file)))[-1] == 100 and calls == ["peaks"] * 2
    worker.close()


def test_pages_do_not_wait_for_analyses_and_few_of_them_wait(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.wav" for number in range(MAX_WAITING_TRACKS + 1)]
    for file in files:
        file.touch()
    released = threading.Event()

    def slow(analysis: str, audio: str, limit_s: float) -> list[int]:
        released.wait(20)
        return [len(audio)]

    analyzer = AudioAnalyzer()
    analyzer._worker, child = slow, analyzer._worker  # type: ignore[assignment]

    async def all_at_once() -> list[object]:
        each = (analyzer.peaks(str(file), wait_s=0.05) for file in files)
        return await asyncio.gather(*each, return_exceptions=True)

    first = result_of(all_at_once())
    # Which one comes last is not said: files are looked at in threads.
    assert Counter(map(type, first)) == {AnalysisPending: MAX_WAITING_TRACKS, AnalyzerBusy: 1}
    released.set()
    later = [result_of(analyzer.peaks(str(file))) for file in files]
    assert later == [[len(str(file))] for file in files], "also the one that found no place before"
    analyzer._worker = child
    analyzer.close()


def test_a_client_cannot_take_all_of_what_analyses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis_module, "MAX_TRACKS_OF_LISTENER", 2)
    monkeypatch.setattr(analysis_module, "MAX_TRACKS_OF_PLACE", 3)
    files = [tmp_path / f"{number}.wav" for number in range(4)]
    for file in files:
        file.touch()
    released = threading.Event()
    analyzer = AudioAnalyzer()
    analyzer._worker, child = lambda *_, **__: released.wait(20) and [7], analyzer._worker  # type: ignore[assignment]
    guest, bob = Client("guest-1", "home"), Client("bob", "elsewhere")

    async def at_once() -> list[object]:
        answers: list[object] = []
        for number, client in [(0, ANA), (0, ANA), (1, ANA), (2, ANA), (2, guest), (3, guest), (3, bob)]:
            peaks = analyzer.peaks(str(files[number]), 0.01, client)
            answers += await asyncio.gather(peaks, return_exceptions=True)
        return answers

    answers = [type(each) for each in result_of(at_once())]
    pending = AnalysisPending
    assert answers == [pending, pending, pending, ShareTaken, pending, ShareTaken, pending]
    released.set()
    assert result_of(analyzer.peaks(str(files[2]), client=ANA)) == [7]
    analyzer._worker = child
    analyzer.close()


@pytest.fixture
def line(tmp_path: Path) -> SimilaritySearch:
    """Nine tracks on a line, 0 to 8, and one far beside it."""
    vectors = np.zeros((10, 4), dtype=np.float32)
    vectors[:9, 0] = np.arange(9)
    vectors[9] = [4, 50, 0, 0]
    space = Projection(
        mean=np.zeros(4, dtype=np.float32),
        deviation=np.ones(4, dtype=np.float32),
        components=np.eye(4, 2, dtype=np.float32),
        directions=np.ones((1, 1, 2), dtype=np.float32),
        offsets=np.zeros((1, 1), dtype=np.float32),
        bucket_length=100.0,
    )
    made: Index = build_index([f"t{number}" for number in range(10)], vectors, [None] * 10, space)
    with registry.new_version(str(tmp_path), datetime.now(UTC)) as new:
        folder = new.folder
        made.save(folder / "index")
        registry.write_manifest(folder, {})
    return SimilaritySearch(str(tmp_path))


def test_a_path_goes_evenly_from_one_to_the_other(line: SimilaritySearch) -> None:
    assert line.path("t0", "t8", 5) == ["t0", "t2", "t4", "t6", "t8"]
    assert line.path("t8", "t0", 3) == ["t8", "t4", "t0"]
    assert line.path("t0", "t8", 8) == ["t0", "t1", "t2", "t3", "t5", "t6", "t7", "t8"]
    assert sorted(line.path("t0", "t8", 12)) == [f"t{row}" for row in range(10)], "as many as there are"
    assert line.path("t0", "t1", 10) == ["t0", "t1"], "no track lies between them"
    assert line.path("t3", "t3", 5) == ["t3"]
    with pytest.raises(KeyError):
        line.path("t0", "nobody", 5)


def test_a_path_passes_over_what_is_left_out_but_not_over_its_ends(line: SimilaritySearch) -> None:
    assert line.path("t0", "t8", 5, ["t4", "t2", "nobody", "t0", "t8"]) == ["t0", "t1", "t3", "t6", "t8"]
    recordings = np.array([0, 1, 2, 1, 4, 5, 6, 7, 8, 9], dtype=np.int32)  # t1 and t3 are one recording
    object.__setattr__(line.index, "recordings", recordings)
    assert line.path("t0", "t8", 5, ["t4", "t2", "t1"]) == ["t0", "t5", "t6", "t7", "t8"]


def test_tracks_similar_to_one_come_from_the_index_where_it_has_the_track(line: SimilaritySearch) -> None:
    similar = line.similar("t4", 4)
    assert {track_id for track_id, _ in similar[:2]} == {"t3", "t5"} and "t4" not in dict(similar)
    assert [each for _, each in similar] == sorted((each for _, each in similar), reverse=True)
    assert line.similar("nobody", 4) == [] and SimilaritySearch("/nowhere").similar("t4", 4) == []


def test_a_new_model_is_taken_up(line: SimilaritySearch, tmp_path: Path) -> None:
    assert [track_id for track_id, _ in line.nearest([3.2, 0, 0, 0], 2)] == ["t3", "t4"]
    only = line.index
    smaller = build_index(["x", "y"], np.asarray(only.vectors[:2]), [None, None], only.projection)
    with registry.new_version(str(tmp_path), datetime(2030, 1, 1, tzinfo=UTC)) as new:
        folder = new.folder
        smaller.save(folder / "index")
        registry.write_manifest(folder, {})
    assert [track_id for track_id, _ in line.nearest([0, 0, 0, 0], 1)] == ["x"]


def test_an_index_says_whether_it_has_embeddings(line: SimilaritySearch, tmp_path: Path) -> None:
    assert not line.has_embeddings
    projection = replace(
        line.index.projection,
        mean=np.zeros(389, dtype=np.float32),
        deviation=np.ones(389, dtype=np.float32),
        components=np.eye(389, 2, dtype=np.float32),
    )
    rows = np.arange(389 * 3, dtype=np.float32).reshape(3, 389) % 7
    both = build_index(["x", "y", "z"], rows, [None] * 3, projection)
    with registry.new_version(str(tmp_path), datetime(2030, 1, 1, tzinfo=UTC)) as new:
        folder = new.folder
        both.save(folder / "index")
        registry.write_manifest(folder, {})
    assert line.has_embeddings and line.nearest(rows[1].tolist(), 1)[0][0] == "y"


def test_without_a_model_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoModel, match="no model yet"):
        SimilaritySearch(str(tmp_path)).nearest([0.0] * 189)


def test_a_model_that_cannot_be_read_is_logged_once_and_is_not_called_missing(
    line: SimilaritySearch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (version,) = registry.versions(str(tmp_path))
    (tmp_path / version / "index" / "ids.npy").unlink()
    for _ in range(2):
        with pytest.raises(NoModel, match="cannot be read right now"):
            line.nearest([0.0] * 4)
    (record,) = caplog.records
    assert "the model cannot be used: no index in" in record.message and "ids.npy" in record.message


def test_the_middle_of_places_leaves_unknown_ones_out() -> None:
    assert centroid(np.array([[0, 0], [np.nan, 1], [1, 0.5]], dtype=np.float32)) == (0.5, 0.25)
    assert centroid(np.empty((0, 2), dtype=np.float32)) is None
