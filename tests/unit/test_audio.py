"""Made audio, whose answer is known: against librosa and scipy themselves, and what cannot be used."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import pytest
import scipy.stats
import soundfile

from batch.audio.features import (
    EXTRACTOR_VERSION,
    MIDDLE_S,
    N_FEATURES,
    SAMPLE_RATE,
    UnreadableAudio,
    clip,
    extractor_version,
    features,
    summary,
    track,
    warm_up,
)


def tone(seconds: float, rate: int = SAMPLE_RATE, hertz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def music(seconds: float, rate: int, channels: int) -> np.ndarray:
    """Two notes under a beating swell with seeded noise; the right channel is another note."""
    t = np.arange(int(seconds * rate)) / rate
    swell = 0.5 + 0.4 * np.sin(2 * np.pi * 1.5 * t)
    noise = np.random.default_rng(5).normal(0, 0.02, len(t))
    left = swell * (0.3 * np.sin(2 * np.pi * 440 * t) + 0.2 * np.sin(2 * np.pi * 1320 * t)) + noise
    right = swell * 0.3 * np.sin(2 * np.pi * 660 * t) + noise
    return np.stack([left, right][:channels], axis=1).astype(np.float32)


def reference(y: np.ndarray) -> np.ndarray:
    """The features as the paper's script has them: librosa's defaults and scipy's statistics, one after another."""
    frames = (
        librosa.feature.mfcc(y=y, sr=SAMPLE_RATE, n_mfcc=20),
        librosa.feature.spectral_contrast(y=y, sr=SAMPLE_RATE),
    )
    values = []
    for x in (frame.astype(np.float64) for frame in frames):
        values += [x.mean(axis=1), x.std(axis=1), scipy.stats.skew(x, axis=1), scipy.stats.kurtosis(x, axis=1)]
        values += [np.median(x, axis=1), x.min(axis=1), x.max(axis=1)]
    return np.concatenate(values)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("kind", ["wav", "ogg", "flac", "mp3"])
def test_a_file_has_the_features_that_librosa_and_scipy_give(
    kind: str, rate: int, channels: int, tmp_path: Path
) -> None:
    if kind == "mp3":
        rate = min(rate, 48_000)  # where MP3 ends
    path = tmp_path / f"music.{kind}"
    soundfile.write(path, music(3.0, rate, channels), rate)
    y, seconds = clip(path)
    whole, _ = librosa.load(path, sr=SAMPLE_RATE, mono=True, res_type="soxr_hq")
    assert seconds == pytest.approx(3.0, abs=0.1)
    assert y.dtype == np.float32 and y.ndim == 1
    np.testing.assert_allclose(features(y), reference(whole), rtol=0, atol=1e-3)


def test_the_middle_of_a_long_mp3_is_what_librosa_reads_there(tmp_path: Path) -> None:
    path = tmp_path / "music.mp3"
    soundfile.write(path, music(20.0, 44_100, 2), 44_100)
    answer = track(path, middle_s=4.0)
    start = (soundfile.info(path).frames - 4 * 44_100) // 2 / 44_100
    y, _ = librosa.load(path, sr=SAMPLE_RATE, offset=start, duration=4.0)
    assert answer.duration_s == pytest.approx(20.0, abs=0.1)
    np.testing.assert_allclose(answer.vector, reference(y), rtol=0, atol=1e-3)


def test_a_whole_track_is_read_by_blocks_and_has_the_features_of_one_piece(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    soundfile.write(path, music(150.0, 44_100, 2), 44_100)
    answer = track(path, middle_s=None)
    whole, _ = librosa.load(path, sr=SAMPLE_RATE, res_type="soxr_hq")
    assert answer.duration_s == pytest.approx(150.0)
    np.testing.assert_allclose(answer.vector, reference(whole), rtol=0, atol=1e-3)


def test_features_of_other_parts_of_a_track_have_another_version() -> None:
    versions = [extractor_version(middle_s) for middle_s in (MIDDLE_S, 10.0, None)]
    assert versions == [EXTRACTOR_VERSION, f"{EXTRACTOR_VERSION}+10s", f"{EXTRACTOR_VERSION}+whole"]


def test_features_are_finite_numbers_and_the_same_every_time() -> None:
    result = features(tone(2.0))
    assert result.shape == (N_FEATURES,) and result.dtype == np.float32
    assert np.isfinite(result).all()
    np.testing.assert_array_equal(result, features(tone(2.0)))


def test_loudness_is_the_first_mean() -> None:
    assert features(tone(2.0))[0] > features(np.float32(0.01) * tone(2.0))[0]


def test_seven_statistics_of_each_row_stand_one_kind_after_another() -> None:
    result = summary(np.array([[1.0, 2.0, 3.0, 6.0], [4.0, 4.0, 4.0, 4.0]])).reshape(7, 2)
    expected = [[3.0, 4.0], [3.5**0.5, 0.0], [0.687243, 0.0], [-1.0, 0.0], [2.5, 4.0], [1.0, 4.0], [6.0, 4.0]]
    expected[3][0] = float(scipy.stats.kurtosis([1.0, 2.0, 3.0, 6.0]))
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_of_a_long_file_only_the_middle_is_read(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    quiet, loud = 0.01 * tone(5.0), tone(MIDDLE_S)
    soundfile.write(path, np.concatenate([quiet, loud, quiet]), SAMPLE_RATE, subtype="FLOAT")
    y, seconds = clip(path)
    assert seconds == pytest.approx(MIDDLE_S + 10.0)
    np.testing.assert_allclose(y, loud, atol=1e-6)
    whole, _ = clip(path, middle_s=None)
    assert len(whole) / SAMPLE_RATE == pytest.approx(MIDDLE_S + 10.0)


def test_stereo_is_heard_as_the_mean_of_its_channels(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack([tone(1.5), np.zeros_like(tone(1.5))], axis=1), SAMPLE_RATE, subtype="FLOAT")
    np.testing.assert_allclose(clip(path)[0], tone(1.5) / 2, atol=1e-6)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("la la la\n" * 200)


def header_only(path: Path) -> None:
    soundfile.write(path, np.zeros(0, dtype=np.float32), SAMPLE_RATE)


def silence(path: Path) -> None:
    soundfile.write(path, np.zeros(2 * SAMPLE_RATE, dtype=np.float32), SAMPLE_RATE)


def steady(path: Path) -> None:
    soundfile.write(path, np.full(2 * SAMPLE_RATE, 0.5, dtype=np.float32), SAMPLE_RATE)


def half_a_second(path: Path) -> None:
    soundfile.write(path, tone(0.5), SAMPLE_RATE)


def not_a_number(path: Path) -> None:
    samples = tone(2.0)
    samples[100] = np.nan
    soundfile.write(path, samples, SAMPLE_RATE, subtype="FLOAT")


def days(path: Path) -> None:
    """A day and an hour of one 8-bit sample a second: the length counts, not the bytes."""
    data = bytes([128]) * (25 * 3600)
    riff = struct.pack("<4sI4s", b"RIFF", 36 + len(data), b"WAVE")
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 1, 1, 1, 8)
    path.write_bytes(riff + form + struct.pack("<4sI", b"data", len(data)) + data)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (empty, "empty"),
        (text, "not audio"),
        (header_only, "no samples"),
        (silence, "silent"),
        (steady, "silent"),
        (half_a_second, "too short"),
        (not_a_number, "not finite"),
        (days, "too long"),
    ],
)
def test_what_cannot_be_used_has_one_of_a_few_reasons(
    made: Callable[[Path], None], reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "file.wav"
    made(path)
    with pytest.raises(UnreadableAudio, match=reason) as caught:
        clip(path)
    assert caught.value.reason == reason
    assert isinstance(caught.value, ValueError)
    assert caught.value.detail


def test_a_renamed_text_is_no_audio_under_any_suffix(tmp_path: Path) -> None:
    for suffix in (".mp3", ".ogg", ".flac", ".wav", ".opus", ".aiff"):
        path = tmp_path / f"text{suffix}"
        text(path)
        with pytest.raises(UnreadableAudio, match="not audio"):
            clip(path)


def test_a_missing_file_is_the_usual_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        clip(tmp_path / "nothing.wav")


def test_warming_up_needs_no_file() -> None:
    warm_up()
