"""Files whose length, codec, channels or middle are not what a decoder expects. Each says what is right."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from batch.audio.decoding import UnreadableAudio, audible
from batch.audio.features import SAMPLE_RATE, clip, features, track
from batch.audio.mpeg_frames import mpeg_frames

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from odd_files import (  # noqa: E402
    RATE,
    encoded,
    ogg_pages,
    rising,
    with_serial,
    without_end_mark,
    without_first_mpeg_frame,
    written,
)


def hertz(y: np.ndarray) -> float:
    """The strongest frequency of a signal at 22,050 Hz."""
    spectrum = np.abs(np.fft.rfft(y * np.hanning(len(y))))
    return float(spectrum.argmax() * SAMPLE_RATE / len(y))


def assert_middle_is_read(path: Path, seconds: float, middle_hertz: float, tolerance_s: float = 0.15) -> None:
    """The length is right, and the middle second has the note that `rising` has there."""
    y, length_s = clip(path, 1.0)
    assert length_s == pytest.approx(seconds, abs=tolerance_s)
    assert len(y) == pytest.approx(SAMPLE_RATE, abs=200)
    assert hertz(y) == pytest.approx(middle_hertz, abs=22)  # the part may reach over two notes
    assert track(path).duration_s == length_s


def quiet_then_loud_vbr(path: Path) -> Path:
    """10 s of few bits and 20 s of many, each second a higher note: 30 s in all."""
    notes = rising(30.0)[:, 0]
    notes[10 * RATE :] += np.random.default_rng(1).normal(0, 0.15, 20 * RATE).astype(np.float32)
    soundfile.write(path, notes, RATE, bitrate_mode="VARIABLE", compression_level=0.5)
    return path


def with_xing_frames(path: Path, frames: int, size: int | None = None) -> Path:
    content = bytearray(path.read_bytes())
    start = max(content.find(b"Xing"), content.find(b"Info"))
    content[start + 8 : start + 12] = frames.to_bytes(4, "big")
    if size is not None:
        content[start + 12 : start + 16] = size.to_bytes(4, "big")
    path.write_bytes(content)
    return path


def test_an_mp3_without_a_header_has_the_length_of_its_frames(tmp_path: Path) -> None:
    path = without_first_mpeg_frame(quiet_then_loud_vbr(tmp_path / "a.mp3"))
    assert soundfile.info(path).duration < 15  # what the bit rate of the first frames promises
    assert_middle_is_read(path, 30.0, 300 + 20 * 15)


def test_an_mp3_without_a_header_that_begins_with_few_bits_is_not_truncated(tmp_path: Path) -> None:
    notes = rising(30.0)[:, 0]
    notes[10 * RATE :] = 0.4 * np.sin(np.arange(20 * RATE) / 50)
    notes[: 10 * RATE] += np.random.default_rng(1).normal(0, 0.15, 10 * RATE).astype(np.float32)
    path = tmp_path / "a.mp3"
    soundfile.write(path, notes, RATE, bitrate_mode="VARIABLE", compression_level=0.5)
    without_first_mpeg_frame(path)
    path.write_bytes(path.read_bytes() + b"rubbish")
    assert clip(path, 1.0)[1] == pytest.approx(30.0, abs=0.15)


@pytest.mark.parametrize("frames", [300, 4000, 0])
def test_a_lying_xing_header_is_not_believed(frames: int, tmp_path: Path) -> None:
    path = with_xing_frames(written(tmp_path / "a.mp3", rising(20.0)), frames)
    assert_middle_is_read(path, 20.0, 300 + 20 * 10)


def test_a_vbri_header_that_lies_is_not_believed(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mp3", rising(20.0))
    content = bytearray(path.read_bytes())
    start = max(content.find(b"Xing"), content.find(b"Info"))
    vbri = b"VBRI" + bytes([0, 1, 0, 0, 0, 75]) + len(content).to_bytes(4, "big") + (200).to_bytes(4, "big")
    content[start : start + 120] = bytes(120)
    content[36 : 36 + len(vbri)] = vbri
    path.write_bytes(content)
    assert_middle_is_read(path, 20.0, 300 + 20 * 10)


def test_an_mp3_that_breaks_off_within_a_frame_is_truncated_and_not_lying(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mp3", rising(20.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 7])
    with pytest.raises(UnreadableAudio, match=r"truncated: the header promises 20.0 s, the file holds 10\.\d s"):
        clip(path)


@pytest.mark.parametrize("second_rate, second_channels", [(RATE, 2), (32_000, 2), (RATE, 1)])
def test_joined_mp3s_are_read_to_their_end(second_rate: int, second_channels: int, tmp_path: Path) -> None:
    tag = b"ID3\x04\x00\x00\x00\x00\x03\x74" + bytes(500)
    parts = [
        encoded(tmp_path / "first.mp3", rising(8.0), "libmp3lame", "mp3").read_bytes(),
        encoded(
            tmp_path / "second.mp3",
            rising(12.0, second_rate, 500)[:, :second_channels],
            "libmp3lame",
            "mp3",
            rate=second_rate,
        ).read_bytes(),
    ]
    for between in (b"", tag):
        path = tmp_path / "joined.mp3"
        path.write_bytes(between.join(parts))
        assert_middle_is_read(path, 20.0, 500 + 20 * 2, tolerance_s=0.3)


@pytest.mark.parametrize("before", [bytes(3000), b"<html>" * 500, b"ID3\x03\0\0\0\0\0\x64" + bytes(3000)])
def test_an_mp3_behind_something_else_is_read(before: bytes, tmp_path: Path) -> None:
    path = written(tmp_path / "a.mp3", rising(20.0))
    path.write_bytes(before + path.read_bytes())
    assert_middle_is_read(path, 20.0, 300 + 20 * 10)
    path.write_bytes(bytes(200_000) + path.read_bytes())
    with pytest.raises(UnreadableAudio, match="not audio: no decoder knows the content"):
        clip(path)


def test_frames_are_counted_over_tags_and_rubbish(tmp_path: Path) -> None:
    mp3 = written(tmp_path / "a.mp3", rising(3.0)).read_bytes()
    path = tmp_path / "b.mp3"
    path.write_bytes(b"ID3\x03\x00\x00\x00\x00\x00\x0a" + bytes(10) + mp3 + bytes(5000) + mp3 + b"TAG" + bytes(125))
    frames = mpeg_frames(path)
    assert frames is not None and frames.is_uniform and frames.is_whole
    assert frames.seconds == pytest.approx(6.0, abs=0.3)
    path.write_bytes(np.random.default_rng(5).bytes(300_000).replace(b"\xff", b"\xfe"))
    assert mpeg_frames(path) is None


def test_a_flac_of_unknown_length_is_counted(tmp_path: Path) -> None:
    path = written(tmp_path / "a.flac", rising(20.0))
    content = bytearray(path.read_bytes())
    content[8 + 13] &= 0xF0  # the last 36 bits before the checksum are the number of samples
    content[8 + 14 : 8 + 18] = bytes(4)
    path.write_bytes(content)
    assert_middle_is_read(path, 20.0, 300 + 20 * 10)


@pytest.mark.parametrize("declared_s", [5, 100])
def test_a_flac_that_says_another_length_has_that_of_its_frames(declared_s: int, tmp_path: Path) -> None:
    path = written(tmp_path / "a.flac", rising(20.0))
    content = bytearray(path.read_bytes())
    content[22:26] = (declared_s * RATE).to_bytes(4, "big")
    for behind in (b"", b"TAG" + bytes(125)):
        path.write_bytes(content + behind)
        assert_middle_is_read(path, 20.0, 300 + 20 * 10)


@pytest.mark.parametrize("second_rate, second_channels", [(RATE, 2), (32_000, 2), (RATE, 1)])
def test_joined_flacs_are_read_to_their_end(second_rate: int, second_channels: int, tmp_path: Path) -> None:
    first = written(tmp_path / "first.flac", rising(8.0))
    second = written(tmp_path / "second.flac", rising(12.0, second_rate, 500)[:, :second_channels], second_rate)
    path = tmp_path / "joined.flac"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    assert_middle_is_read(path, 20.0, 500 + 20 * 2)


@pytest.mark.parametrize("lengths_s", [(8.0, 8.0), (8.0, 8.2, 8.1)])
def test_joined_flacs_of_nearly_one_length_are_read_to_their_end(lengths_s: tuple[float, ...], tmp_path: Path) -> None:
    path = tmp_path / "joined.flac"
    parts = [written(tmp_path / "part.flac", rising(length_s)).read_bytes() for length_s in lengths_s]
    path.write_bytes(b"".join(parts))
    middle_s = (sum(lengths_s) / 2) % 8
    assert_middle_is_read(path, sum(lengths_s), 300 + 20 * int(middle_s))


@pytest.mark.parametrize("second_serial", [1, 2])
@pytest.mark.parametrize("second_rate, second_channels", [(RATE, 2), (48_000, 2), (RATE, 1)])
@pytest.mark.parametrize("kind", ["ogg", "opus", "oga"])
def test_a_chained_ogg_is_as_long_as_its_links(
    kind: str, second_rate: int, second_channels: int, second_serial: int, tmp_path: Path
) -> None:
    """Links may have the same serial number, and other rates and channels."""
    links = []
    for serial, seconds, link_rate, hertz, channels in (
        (1, 8.0, RATE, 300, 2),
        (second_serial, 12.0, second_rate, 500, second_channels),
    ):
        rate = 24_000 if kind == "opus" and link_rate == RATE else link_rate  # one that Opus has
        samples = rising(seconds, rate, hertz)[:, :channels]
        link = tmp_path / f"{len(links)}.{kind}"
        link = encoded(link, samples, "flac", "ogg", rate) if kind == "oga" else written(link, samples, rate)
        links.append(b"".join(with_serial(page, serial) for page in ogg_pages(link.read_bytes())))
    path = tmp_path / f"chained.{kind}"
    path.write_bytes(b"".join(links))
    assert_middle_is_read(path, 20.0, 500 + 20 * 2)


@pytest.mark.parametrize("rubbish", [bytes(5_000), b"<html>" * 5_000, np.random.default_rng(3).bytes(5_000)])
@pytest.mark.parametrize("kind", ["mp3", "flac"])
def test_rubbish_in_the_middle_is_passed_over(kind: str, rubbish: bytes, tmp_path: Path) -> None:
    path = written(tmp_path / f"a.{kind}", rising(20.0))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + rubbish + content[len(content) // 2 :])
    y, length_s = clip(path, 2.0)
    assert length_s == pytest.approx(20.0, abs=0.8)  # the frame that the rubbish parts is lost
    assert hertz(y) == pytest.approx(300 + 20 * 10, abs=44)
    assert track(path, None).duration_s == length_s


def test_a_flac_behind_a_tags_stray_zeros_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.flac", rising(20.0))
    path.write_bytes(b"ID3\x03\0\0\0\0\0\x64" + bytes(3000) + path.read_bytes())
    assert_middle_is_read(path, 20.0, 300 + 20 * 10, tolerance_s=0.3)


def test_an_mp3_in_a_chunk_of_its_own_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mp3", rising(20.0))
    content = path.read_bytes()
    path.write_bytes(b"RIFF" + (len(content) + 12).to_bytes(4, "little") + b"RMP3data")
    with path.open("ab") as file:
        file.write(len(content).to_bytes(4, "little") + content)
    assert_middle_is_read(path, 20.0, 300 + 20 * 10)


def test_an_mp3_within_a_wav_is_read(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.wav", rising(20.0), "libmp3lame", "wav", bit_rate=320_000)
    assert_middle_is_read(path, 20.0, 300 + 20 * 10)


def test_flac_within_ogg_is_read(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.oga", rising(20.0), "flac", "ogg")
    assert_middle_is_read(path, 20.0, 300 + 20 * 10)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(UnreadableAudio, match="truncated: the file breaks off within an Ogg page"):
        clip(path)


@pytest.mark.parametrize("subtype", ["GSM610", "G721_32"])
def test_where_a_codec_cannot_seek_it_decodes_up_to_the_middle(subtype: str, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, rising(40.0, 8_000)[:, 0], 8_000, subtype=subtype)
    with soundfile.SoundFile(path) as file, pytest.raises(soundfile.LibsndfileError):
        file.seek(100)
    y, length_s = clip(path)
    assert (length_s, len(y)) == (pytest.approx(40.0, abs=0.1), pytest.approx(30 * SAMPLE_RATE, abs=200))
    assert_middle_is_read(path, 40.0, 300 + 20 * 20)


@pytest.mark.parametrize("is_marked", [True, False])
def test_opus_without_its_end_mark_is_read(is_marked: bool, tmp_path: Path) -> None:
    path = written(tmp_path / "a.opus", rising(40.0, 48_000), 48_000)
    pages = ogg_pages(path.read_bytes())
    path.write_bytes(b"".join(pages if is_marked else pages[:-1]))
    assert_middle_is_read(path, 40.0, 300 + 20 * 20, tolerance_s=1.1)


@pytest.mark.parametrize("seconds", [10.0, 40.0])
def test_opus_whose_last_page_is_not_marked_is_read(seconds: float, tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.opus", rising(seconds, 48_000), "libopus", "ogg", 48_000)
    path.write_bytes(b"".join(without_end_mark(page) for page in ogg_pages(path.read_bytes())))
    with soundfile.SoundFile(path) as file, pytest.raises(soundfile.LibsndfileError):
        file.read()
    assert_middle_is_read(path, seconds, 300 + 20 * seconds / 2)


@pytest.mark.parametrize("kind", ["flac", "wav", "mp3", "ogg", "m4a"])
def test_a_path_of_more_than_a_thousand_bytes_is_read(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path
    for number in range(6):
        folder /= f"{number}" + "ö" * 100
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    path = folder / f"a.{kind}"
    short = tmp_path / path.name
    short = encoded(short, rising(2.0), "aac", "mp4") if kind == "m4a" else written(short, rising(2.0))
    short.rename(path)
    assert len(bytes(path)) > 1024
    assert track(path).duration_s == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("rest", [0.0, 1e-3])
def test_channels_that_cancel_out_are_heard_by_the_louder_one(rest: float, tmp_path: Path) -> None:
    left = rising(3.0)[:, 0]
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([(0.99 + rest) * left, -0.99 * left], axis=1), RATE, subtype="FLOAT")
    y, _ = clip(path)
    expected = clip(written(tmp_path / "left.wav", (0.99 + rest) * left))[0]
    np.testing.assert_allclose(y, expected, atol=1e-3)
    np.testing.assert_allclose(track(path).vector, features(y), rtol=1e-4, atol=1e-4)


def test_channels_that_do_not_cancel_are_heard_by_their_mean(tmp_path: Path) -> None:
    left = rising(3.0)[:, 0]
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([left, -0.5 * left], axis=1), RATE, subtype="FLOAT")
    np.testing.assert_allclose(clip(path)[0], clip(written(tmp_path / "mean.wav", 0.25 * left))[0], atol=1e-3)


@pytest.mark.parametrize("kind", ["flac", "mp3", "m4a"])
def test_of_a_song_with_a_silent_middle_the_loudest_part_is_read(kind: str, tmp_path: Path) -> None:
    samples = rising(30.0, RATE)
    samples[5 * RATE : 24 * RATE] = 0
    samples[: 5 * RATE] *= 0.2
    path = tmp_path / f"a.{kind}"
    path = encoded(path, samples, "aac", "mp4") if kind == "m4a" else written(path, samples)
    y, length_s = clip(path, 2.0)
    assert (length_s, len(y)) == (pytest.approx(30.0, abs=0.1), pytest.approx(2 * SAMPLE_RATE, abs=400))
    assert 300 + 20 * 24 < hertz(y) < 300 + 20 * 30
    assert np.abs(y).max() > 0.2


def test_a_file_that_is_silent_all_over_is_silent(tmp_path: Path) -> None:
    with pytest.raises(UnreadableAudio, match="silent: the part that is read never moves"):
        clip(written(tmp_path / "a.flac", np.zeros((8 * RATE, 2), dtype=np.float32)), 2.0)


def test_the_whole_of_an_odd_file_is_one_recording(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.oga", rising(3.0), "flac", "ogg")
    y, _ = audible(path, None, lambda file: np.concatenate(list(file.blocks)))
    np.testing.assert_allclose(y, rising(3.0).mean(axis=1), atol=1e-4)
