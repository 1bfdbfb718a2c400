"""Made files of every kind, whole, cut short and lying about themselves."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import av
import lameenc
import mutagen.id3
import numpy as np
import pytest
import soundfile

from batch.audio.decoding import BLOCK_SAMPLES, UnreadableAudio, audible
from batch.audio.features import clip, features, track

RATE = 22_050


def music(seconds: float, rate: int = RATE) -> np.ndarray:
    """A rising tone with seeded noise; the right channel is softer [shape=(n, 2)]."""
    t = np.arange(int(seconds * rate)) / rate
    left = 0.4 * np.sin(2 * np.pi * (300 + 20 * t) * t) + np.random.default_rng(3).normal(0, 0.02, len(t))
    return np.stack([left, 0.5 * left], axis=1).astype(np.float32)


def by_ffmpeg(path: Path, samples: np.ndarray, codec: str, container: str, **options: str) -> Path:
    with av.open(str(path), "w", format=container, options=options) as file:
        stream = file.add_stream(codec, rate=RATE)
        stream.layout = "stereo"
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout="stereo")
        frame.rate = RATE
        kind = stream.format.name
        fit = av.AudioResampler(
            format=kind, layout="stereo", rate=RATE, frame_size=stream.codec_context.frame_size or 1024
        )
        for part in (*fit.resample(frame), *fit.resample(None)):
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return path


def aac(path: Path, samples: np.ndarray) -> Path:
    return by_ffmpeg(path, samples, "aac", "mp4", movflags="faststart")


def by_libsndfile(path: Path, samples: np.ndarray) -> Path:
    soundfile.write(path, samples, RATE, **({"format": "OGG", "subtype": "OPUS"} if path.suffix == ".opus" else {}))
    return path


def cut(path: Path, share: float = 0.5) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def test_apples_lossless_codec_gives_the_samples_that_went_in(tmp_path: Path) -> None:
    samples = music(3.0)
    y, seconds = clip(by_ffmpeg(tmp_path / "a.m4a", samples, "alac", "mp4"))
    assert seconds == pytest.approx(3.0, abs=0.01)
    np.testing.assert_allclose(y, samples.mean(axis=1), atol=1e-4)  # it stores 16 bits


def test_aac_sounds_as_what_went_in(tmp_path: Path) -> None:
    samples = music(3.0)
    expected = features(samples.mean(axis=1))
    for path in (aac(tmp_path / "a.m4a", samples), by_ffmpeg(tmp_path / "a.aac", samples, "aac", "adts")):
        answer = track(path)
        assert answer.duration_s == pytest.approx(3.0, abs=0.1)
        assert np.corrcoef(answer.vector[:20], expected[:20])[0, 1] > 0.98


def test_of_a_long_mp4_only_the_middle_is_read(tmp_path: Path) -> None:
    samples = music(8.0)
    y, seconds = clip(by_ffmpeg(tmp_path / "a.m4a", samples, "alac", "mp4"), middle_s=2.0)
    assert seconds == pytest.approx(8.0, abs=0.01)
    assert len(y) == 2 * RATE
    np.testing.assert_allclose(y, samples[3 * RATE : 5 * RATE].mean(axis=1), atol=1e-4)


def test_content_counts_and_not_the_name(tmp_path: Path) -> None:
    for path in (aac(tmp_path / "really mp4.mp3", music(2.0)), tmp_path / "really flac.ogg"):
        if path.suffix == ".ogg":
            soundfile.write(path, music(2.0), RATE, format="FLAC")
        assert clip(path)[1] == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("kind", ["wav", "aiff", "flac", "ogg", "opus", "mp3", "m4a"])
@pytest.mark.parametrize("middle_s", [30.0, 1.5, None])
def test_half_a_file_is_truncated(kind: str, middle_s: float | None, tmp_path: Path) -> None:
    samples = music(6.0, 24_000) if kind == "opus" else music(6.0)
    path = tmp_path / f"a.{kind}"
    if kind == "opus":
        soundfile.write(path, samples, 24_000, format="OGG", subtype="OPUS")
    else:
        (aac if kind == "m4a" else by_libsndfile)(path, samples)
    clip(path, middle_s)
    with pytest.raises(UnreadableAudio) as caught:
        clip(cut(path), middle_s)
    assert caught.value.reason == "truncated", caught.value


def test_a_few_last_bytes_may_be_missing(tmp_path: Path) -> None:
    for kind in ("wav", "mp3", "m4a"):
        path = (aac if kind == "m4a" else by_libsndfile)(tmp_path / f"a.{kind}", music(4.0))
        assert len(clip(cut(path, 0.97))[0]) > 3.5 * RATE


def test_an_mp3_whose_length_is_estimated_and_a_little_long_is_whole(tmp_path: Path) -> None:
    """Without a Xing header the length follows from the file's size, tags included."""
    encoder = lameenc.Encoder()
    encoder.set_bit_rate(128)
    encoder.set_in_sample_rate(48_000)
    encoder.set_channels(2)
    samples = (20_000 * music(30.02, 48_000)).astype("<i2")
    path = tmp_path / "whole.mp3"
    path.write_bytes(bytes(encoder.encode(samples.tobytes())) + bytes(encoder.flush()))
    tags = mutagen.id3.ID3()
    tags.add(mutagen.id3.COMM(text="x" * 2000))
    tags.save(path)
    declared = soundfile.info(path).frames
    with soundfile.SoundFile(path) as file:
        assert len(file.read()) < declared, "it promises more than it has"
    assert track(path, middle_s=30.0).duration_s == pytest.approx(30.1, abs=0.5)


def test_an_ogg_without_its_end_mark_is_whole_and_so_is_one_with_something_behind_it(tmp_path: Path) -> None:
    path = by_libsndfile(tmp_path / "a.ogg", music(4.0))
    content = path.read_bytes()
    last = content.rindex(b"OggS")
    path.write_bytes(content[:last])
    assert clip(path)[1] > 3.0
    path.write_bytes(content + bytes(200_000))
    assert clip(path)[1] == pytest.approx(4.0, abs=0.01)


def tagged(content: bytes) -> bytes:
    """With an ID3 tag of 500 bytes before it."""
    return b"ID3\x04\x00\x00\x00\x00\x03\x74" + bytes(500) + content


def test_behind_a_tag_the_content_counts_too(tmp_path: Path) -> None:
    aac_inside = by_ffmpeg(tmp_path / "a.aac", music(2.0), "aac", "adts").read_bytes()
    mp3_inside = by_libsndfile(tmp_path / "a.mp3", music(2.0)).read_bytes()
    for name, content in (("really aac.mp3", aac_inside), ("really mp3.aac", mp3_inside)):
        (tmp_path / name).write_bytes(tagged(content))
        assert clip(tmp_path / name)[1] == pytest.approx(2.0, abs=0.1)


def wav(data_size: int, data: bytes, rate: int = RATE, channels: int = 1) -> bytes:
    """A 16-bit WAV whose header says that it holds `data_size` bytes."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, 2 * rate * channels, 2 * channels, 16)
    riff = struct.pack("<4sI4s", b"RIFF", min(36 + data_size, 0xFFFFFFFF), b"WAVE")
    return riff + form + struct.pack("<4sI", b"data", data_size) + data


def noise(seconds: float) -> bytes:
    return np.random.default_rng(1).normal(0, 3000, int(seconds * RATE)).astype("<i2").tobytes()


def test_a_header_that_promises_hours_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "hours.wav"
    path.write_bytes(wav(2 * RATE * 3600 * 5, noise(2.0)))
    with pytest.raises(UnreadableAudio, match=r"truncated: .* 18000.0 s, the file holds 2.0 s"):
        clip(path)


def test_a_header_written_into_a_pipe_does_not_know_the_length(tmp_path: Path) -> None:
    path = tmp_path / "piped.wav"
    path.write_bytes(wav(0xFFFFFFFF, noise(2.0)))
    assert clip(path)[1] == pytest.approx(2.0, abs=0.01)


def test_a_header_that_was_never_completed_does_not_know_the_length(tmp_path: Path) -> None:
    path = tmp_path / "crashed.wav"
    path.write_bytes(wav(0, noise(2.0)))
    assert clip(path)[1] == pytest.approx(2.0, abs=0.01)
    path.write_bytes(wav(0, b""))
    with pytest.raises(UnreadableAudio, match="no samples"):
        clip(path)


def a_playlist(path: Path) -> None:
    path.write_text("#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/elsewhere.ts\n")


def an_mp4_without_sound(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 16
        for _ in range(10):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), dtype=np.uint8))))
        file.mux(stream.encode(None))


def an_mp4_head(path: Path) -> None:
    path.write_bytes(struct.pack(">I4s4sI", 16, b"ftyp", b"M4A ", 0) + b"\x00" * 2000)


def zeros(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100 << 20)


def absurd_rate(path: Path) -> None:
    path.write_bytes(wav(4000, b"\x01\x00" * 2000, rate=4_000_000))


@pytest.mark.parametrize("made", [a_playlist, an_mp4_without_sound, an_mp4_head, absurd_rate, zeros])
def test_what_is_no_audio_is_told_so(made: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    made(path)
    with pytest.raises(UnreadableAudio, match="not audio"):
        clip(path)


def test_a_hundred_channels_are_one(tmp_path: Path) -> None:
    path = tmp_path / "many.wav"
    tone = 0.5 * np.sin(np.arange(2 * RATE) * 0.1).astype(np.float32)
    soundfile.write(path, np.repeat(tone[:, None], 100, axis=1), RATE, subtype="FLOAT")
    blocks, _ = audible(path, None, lambda file: list(file.blocks))
    assert max(map(len, blocks)) <= BLOCK_SAMPLES // 100
    np.testing.assert_allclose(np.concatenate(blocks), tone, atol=1e-5)
