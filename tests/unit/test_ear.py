"""The trained ear: the checkpoint's format, the graph's answers, excerpts and patches, and a graph that cannot be used."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from math import ceil
from pathlib import Path

import crc32c
import librosa
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from batch.audio.features import EXTRACTOR_VERSION, extractor_version, heard, split_version, track
from batch.ear import graph, network, spectrogram, wheel
from batch.ear.checkpoint import CheckpointDamaged, arrays
from batch.ear.excerpts import MARGIN_SAMPLES, Excerpts
from batch.ear.network import EAR_VERSION, Ear, EarUnusable, NoAnswer, NotFinite, usable_graph
from batch.ear.tag_names import TAG_NAMES
from conf.yarn_container import CONTAINER_VARIABLE

REFERENCE = Path(__file__).parents[1] / "data" / "ear-reference.json"
"""The answers of TensorFlow's network (equal to 1e-5 on real clips) for `made_music(3.1)`, by the float32 graph."""


@pytest.fixture(scope="module")
def ear() -> Ear:
    return network.loaded(graph.default_place())


def made_music(seconds: float, rate: int = spectrogram.EAR_RATE) -> NDArray[np.float32]:
    """A bass, a chord and a beat; the same at every call."""
    t = np.arange(round(seconds * rate)) / rate
    chord = sum(np.sin(2 * np.pi * hertz * t) / (n + 1) for n, hertz in enumerate((110.0, 220.0, 277.2, 329.6, 440.0)))
    beat = np.sin(2 * np.pi * 1800 * t) * np.exp(-30 * (t % 0.5))
    return np.asarray(0.15 * chord + 0.3 * beat, dtype=np.float32)


def test_the_graph_answers_for_a_made_signal_as_it_did_when_it_was_checked_against_tensorflow(ear: Ear) -> None:
    expected = json.loads(REFERENCE.read_text())
    frames = librosa.feature.melspectrogram(
        y=made_music(3.1), sr=spectrogram.EAR_RATE, n_fft=512, hop_length=256, n_mels=96
    ).T.astype(np.float16)
    patch = np.log10(10_000 * frames.astype(np.float32) + 1)[:187]
    embedding, tags = ear.answers(patch[None])
    np.testing.assert_allclose(embedding[0], expected["embedding"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(tags[0], expected["tags"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(spectrogram.log_mel(made_music(3.1))[:187], patch, rtol=0, atol=2e-3)


def test_the_tags_are_those_of_the_network_in_its_order() -> None:
    assert len(TAG_NAMES) == len(set(TAG_NAMES)) == 50
    assert (TAG_NAMES[0], TAG_NAMES[17], TAG_NAMES[23], TAG_NAMES[49]) == ("rock", "Mellow", "instrumental", "happy")


def test_a_track_has_an_embedding_and_tags_of_excerpts_over_the_part_that_is_read(tmp_path: Path, ear: Ear) -> None:
    path = tmp_path / "song.flac"
    soundfile.write(path, made_music(14.0, 44_100), 44_100)
    answer = track(path, 12.5, ear)
    assert answer.embedding is not None and answer.tags is not None
    assert (answer.embedding.shape, answer.embedding.dtype) == ((200,), np.float32)
    assert (answer.tags.shape, answer.tags.dtype) == ((50,), np.float32)
    assert answer.tags.min() >= 0 and answer.tags.max() <= 1
    np.testing.assert_array_equal(answer.vector, track(path, 12.5).vector)
    alone = heard(path, 12.5, ear)
    np.testing.assert_array_equal(answer.embedding, alone.embedding)
    np.testing.assert_array_equal(answer.tags, alone.tags)


def test_excerpts_are_spread_from_the_first_sample_to_the_last(ear: Ear) -> None:
    rate = spectrogram.EAR_RATE
    signal = made_music(30.0) * np.linspace(0.2, 1.0, 30 * rate, dtype=np.float32)
    excerpts = Excerpts(rate, len(signal))
    for start in range(0, len(signal), 7001):
        excerpts.add(signal[start : start + 7001])
    patches = excerpts.patches()
    last = len(signal) - spectrogram.PATCH_SAMPLES
    expected = [spectrogram.patch(signal[last * n // 9 :]) for n in range(10)]
    np.testing.assert_array_equal(patches, np.stack(expected))


@pytest.mark.parametrize(("seconds", "count"), [(1.0, 1), (2.9, 1), (3.2, 2), (8.0, 3), (30.0, 10), (3600.0, 10)])
def test_a_short_track_has_fewer_excerpts(seconds: float, count: int) -> None:
    signal = made_music(min(seconds, 31.0), 22_050)
    excerpts = Excerpts(22_050, round(seconds * 22_050))
    for _ in range(ceil(seconds / 31.0)):
        excerpts.add(signal)
    assert len(excerpts.patches()) == count


def test_excerpts_outside_the_signal_are_read_by_themselves() -> None:
    rate = spectrogram.EAR_RATE
    whole = made_music(90.0) * np.linspace(0.2, 1.0, 90 * rate, dtype=np.float32)
    signal = whole[30 * rate : 60 * rate]
    excerpts = Excerpts(rate, len(signal), before_s=30.0, behind_s=30.0)
    excerpts.add(signal)
    starts_s: list[float] = []

    def read(start_s: float, seconds: float) -> NDArray[np.float32]:
        starts_s.append(start_s)
        return whole[round(start_s * rate) : round((start_s + seconds) * rate)]

    excerpts.add_outside(read, rate, 30.0)
    last = len(whole) - spectrogram.PATCH_SAMPLES
    starts = [last * n // 9 for n in range(10)]
    within = [start for start in starts if 30 * rate <= start <= 60 * rate - spectrogram.PATCH_SAMPLES]
    outside = [start for start in starts if start not in within]
    assert (len(within), len(outside), len(starts_s)) == (2, 8, 8)
    patches = excerpts.patches()
    assert len(patches) == 10
    for patch, start in zip(patches, within + outside, strict=True):
        np.testing.assert_allclose(patch, spectrogram.patch(whole[start:]), rtol=0, atol=0.05)


def test_excerpts_that_cannot_be_read_are_left_out() -> None:
    rate = spectrogram.EAR_RATE
    signal = made_music(30.0)
    excerpts = Excerpts(rate, len(signal), before_s=30.0, behind_s=30.0)
    excerpts.add(signal)
    nothing, broken = np.empty(0, dtype=np.float32), np.full(4 * rate, np.nan, dtype=np.float32)
    excerpts.add_outside(lambda start_s, seconds: nothing if start_s < 30 else broken, rate, 30.0)
    assert len(excerpts.patches()) == 2


@pytest.mark.parametrize("suffix", [".flac", ".mp3", ".ogg"])
def test_the_ear_hears_around_the_part_that_is_read(suffix: str, tmp_path: Path, ear: Ear) -> None:
    """A track that changes outside the middle 5 s: its vector stays, its embedding does not."""
    rate = 44_100
    same, path, other_path = made_music(40.0, rate), tmp_path / f"song{suffix}", tmp_path / f"other{suffix}"
    other = same.copy()
    noise = np.random.default_rng(0).normal(0, 0.1, 10 * rate).astype(np.float32)
    other[: len(noise)] = noise
    soundfile.write(path, same, rate)
    soundfile.write(other_path, other, rate)
    first, second = (track(file, 5.0, ear) for file in (path, other_path))
    np.testing.assert_allclose(first.vector, second.vector, rtol=0.05, atol=0.5)
    assert first.embedding is not None and second.embedding is not None
    assert np.abs(first.embedding - second.embedding).max() > 0.05
    np.testing.assert_array_equal(second.embedding, heard(other_path, 5.0, ear).embedding)


def test_a_clip_shorter_than_a_patch_is_repeated_until_it_fills_one() -> None:
    clip = made_music(1.0)
    excerpts = Excerpts(spectrogram.EAR_RATE, len(clip))
    excerpts.add(clip)
    (patch,) = excerpts.patches()
    frames = spectrogram.log_mel(clip)
    assert len(frames) == 63
    np.testing.assert_array_equal(patch, np.concatenate([frames, frames, frames])[:187])


def test_silent_excerpts_are_left_out_where_others_sound() -> None:
    signal = made_music(30.0)
    signal[: round(12.2 * spectrogram.EAR_RATE)] = 0  # the fourth one ends at 12.005 s
    excerpts = Excerpts(spectrogram.EAR_RATE, len(signal))
    excerpts.add(signal)
    assert len(excerpts.patches()) == 6
    silence = Excerpts(spectrogram.EAR_RATE, len(signal))
    silence.add(np.zeros_like(signal))
    assert silence.patches().shape == (10, 187, 96) and not silence.patches().any()


def test_a_signal_that_ends_early_has_the_excerpts_before_its_end() -> None:
    signal = made_music(28.0, 22_050)
    excerpts = Excerpts(22_050, round(30 * 22_050))
    excerpts.add(signal)
    assert len(excerpts.patches()) == 9


def test_an_excerpt_cut_out_and_resampled_is_what_the_whole_signal_gives_there() -> None:
    import soxr

    rate, signal = 22_050, made_music(30.0, 22_050)
    excerpts = Excerpts(rate, len(signal))
    excerpts.add(signal)
    whole = soxr.resample(signal, rate, spectrogram.EAR_RATE, quality="HQ")
    assert MARGIN_SAMPLES / rate < 0.05
    for number, patch in enumerate(excerpts.patches()):
        start = round((len(signal) - 66_327) * number // 9 * spectrogram.EAR_RATE / rate)
        np.testing.assert_allclose(patch, spectrogram.patch(whole[start:]), rtol=0, atol=0.05)


def test_samples_far_beyond_full_scale_give_finite_numbers(ear: Ear) -> None:
    assert np.isfinite(ear.heard(spectrogram.patch(1e4 * made_music(3.1))[None]).embedding).all()


def test_an_answer_that_is_not_finite_leaves_the_vector_and_says_why(tmp_path: Path, ear: Ear) -> None:
    with pytest.raises(NotFinite, match="not all finite"):
        ear.heard(np.full((1, 187, 96), np.nan, dtype=np.float32))

    class Broken(Ear):
        def __init__(self) -> None: ...

        def answers(self, patches: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            return np.full((len(patches), 200), np.nan, np.float32), np.zeros((len(patches), 50), np.float32)

    path = tmp_path / "song.wav"
    soundfile.write(path, made_music(4.0), spectrogram.EAR_RATE)
    answer = track(path, 30.0, Broken())
    assert answer.embedding is None and answer.tags is None
    assert answer.ear_problem == "the trained ear's answer is not all finite numbers"
    np.testing.assert_array_equal(answer.vector, track(path, 30.0).vector)


def test_an_error_of_onnxruntime_leaves_the_vector_and_says_why(tmp_path: Path, ear: Ear) -> None:
    with pytest.raises(NoAnswer, match=r"could not answer: .*INVALID_ARGUMENT"):
        ear.answers(np.zeros((1, 187, 95), dtype=np.float32))

    class Failing(Ear):
        def __init__(self) -> None: ...

        def heard(self, patches: NDArray[np.float32]) -> network.Heard:
            return ear.heard(patches[:, :, :95])

    path = tmp_path / "song.wav"
    soundfile.write(path, made_music(4.0), spectrogram.EAR_RATE)
    answer = track(path, 30.0, Failing())
    assert answer.embedding is None and answer.ear_problem.startswith("the trained ear could not answer: ")
    np.testing.assert_array_equal(answer.vector, track(path, 30.0).vector)


def test_a_graph_that_onnxruntime_refuses_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / graph.FILE_NAME
    file.write_bytes(b"no graph")
    monkeypatch.setattr(graph, "default_place", lambda: file)
    monkeypatch.setattr(network, "checked", lambda file: file)
    place, problem = usable_graph("musicnn")
    assert place is None and "INVALID_PROTOBUF" in problem


def test_a_missing_or_changed_graph_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, content = tmp_path / graph.FILE_NAME, bytearray(graph.default_place().read_bytes())
    monkeypatch.setattr(graph, "default_place", lambda: file)
    assert usable_graph("none") == (None, "")
    assert usable_graph("musicnn") == (None, f"no file {file}; .venv/bin/python -m batch.ear.graph makes it")
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    place, problem = usable_graph("musicnn")
    assert place is None and f"expected {graph.SHA256}" in problem
    with pytest.raises(EarUnusable, match="SHA-256"):
        Ear(file)


def test_a_graph_that_travelled_with_the_job_is_used_in_place_of_one_that_set_up_would_have_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an executor nor a driver in a container has a graph below the environment that was packed for it."""
    content = graph.default_place().read_bytes()
    of_set_up, container = tmp_path / "environment" / "ear" / graph.FILE_NAME, tmp_path / "container"
    monkeypatch.setattr(graph, "default_place", lambda: of_set_up)
    monkeypatch.delenv(CONTAINER_VARIABLE, raising=False)
    container.mkdir()
    monkeypatch.chdir(container)
    assert graph.place(container) == of_set_up, "nothing has travelled"
    shipped = container / graph.FILE_NAME
    shipped.write_bytes(content)
    assert graph.place(Path()) == shipped, "of an executor"
    assert usable_graph("musicnn")[0] is None, "a file in the folder from which a job is started does not count"
    monkeypatch.setenv(CONTAINER_VARIABLE, "container_1795748653870_0006_01_000001")
    assert usable_graph("musicnn") == (shipped, ""), "of a driver in a container"
    shipped.unlink()
    assert usable_graph("musicnn") == (None, f"no file {of_set_up}; .venv/bin/python -m batch.ear.graph makes it")


def test_a_wheel_of_other_content_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "musicnn-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(wheel.INDEX, b"something else")
    with pytest.raises(wheel.WeightsUnavailable, match="has the SHA-256"):
        wheel.of_wheel(file)
    file.write_bytes(b"no zip")
    with pytest.raises(wheel.WeightsUnavailable, match="is not the wheel of musicnn==0.1.0"):
        wheel.of_wheel(file)


def test_where_the_wheel_cannot_be_fetched_one_line_says_so_and_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fetched() -> wheel.Checkpoint:
        raise wheel.WeightsUnavailable("pip could not fetch musicnn==0.1.0: no network")

    monkeypatch.setattr(graph, "default_place", lambda: tmp_path / graph.FILE_NAME)
    monkeypatch.setattr(wheel, "fetched", fetched)
    assert graph.main() == 1
    expected = (
        "overtone: no trained ear, tracks are compared by MFCCs alone: pip could not fetch musicnn==0.1.0: no network\n"
    )
    assert capsys.readouterr().err == expected
    monkeypatch.setattr(wheel, "fetched", lambda: wheel.Checkpoint(b"no index", b""))
    assert graph.main() == 1 and "no table of LevelDB's format" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_comes_out_otherwise_is_not_written_and_no_second_try_is_advised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(graph, "default_place", lambda: tmp_path / graph.FILE_NAME)
    monkeypatch.setattr(wheel, "fetched", lambda: wheel.Checkpoint(table([]), b""))
    monkeypatch.setattr(graph, "model", lambda weights: b"another graph")
    assert graph.main() == 1
    line = capsys.readouterr().err
    assert f"expected {graph.SHA256}; are onnx and numpy those of constraints.txt?" in line and "anew" not in line
    assert list(tmp_path.iterdir()) == []


def varint(number: int) -> bytes:
    head = bytearray()
    while number > 127:
        head.append(number & 127 | 128)
        number >>= 7
    return bytes([*head, number])


def table(entries: list[tuple[bytes, bytes]]) -> bytes:
    """A table of LevelDB's format with one data block, keys with shared prefixes."""

    def block(pairs: list[tuple[bytes, bytes]]) -> bytes:
        content, before = b"", b""
        for key, value in pairs:
            shared = len(os.path.commonprefix([key, before]))
            content += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
            before = key
        return content + struct.pack("<II", 0, 1)

    data = block(entries)
    index = block([(b"\xff", varint(0) + varint(len(data)))])
    trailer = bytes(5)
    handles = varint(0) + varint(0) + varint(len(data) + 5) + varint(len(index))
    return data + trailer + index + trailer + handles.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")


def entry(dtype: int, shape: tuple[int, ...], offset: int, content: bytes) -> bytes:
    sizes = b"".join(b"\x12" + varint(len(varint(size)) + 1) + b"\x08" + varint(size) for size in shape)
    crc = crc32c.crc32c(content)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return (
        b"\x08" + varint(dtype) + b"\x12" + varint(len(sizes)) + sizes
        + b"\x20" + varint(offset) + b"\x28" + varint(len(content)) + b"\x35" + struct.pack("<I", masked)
    )  # fmt: skip


def test_a_checkpoint_is_read_as_arrays_and_a_damaged_one_refused() -> None:
    kernel, bias = np.arange(300, dtype="<f4").reshape(2, 150), np.array([1.5, -2], dtype="<f4")
    data = kernel.tobytes() + bias.tobytes()
    index = table(
        [
            (b"", b"\x08\x01"),
            (b"dense/bias", entry(1, (2,), kernel.nbytes, bias.tobytes())),
            (b"dense/bias/Adam", entry(1, (2,), kernel.nbytes, bias.tobytes())),
            (b"dense/kernel", entry(1, (2, 150), 0, kernel.tobytes())),
            (b"global_step", entry(9, (), 0, b"12345678")),
        ]
    )
    array_by_name = arrays(index, data)
    assert sorted(array_by_name) == ["dense/bias", "dense/kernel"]
    np.testing.assert_array_equal(array_by_name["dense/kernel"], kernel)
    np.testing.assert_array_equal(array_by_name["dense/bias"], bias)
    with pytest.raises(CheckpointDamaged, match="dense/kernel is not what the index says"):
        arrays(index, b"\x01" + data[1:])
    with pytest.raises(CheckpointDamaged, match="no table of LevelDB's format"):
        arrays(index[:-1], data)


def test_the_version_says_which_ear_and_is_taken_apart() -> None:
    assert extractor_version(30.0, EAR_VERSION) == f"{EXTRACTOR_VERSION}+{EAR_VERSION}"
    for middle_s in (30.0, 12.5, None):
        vector = extractor_version(middle_s)
        assert split_version(vector) == (vector, "")
        assert split_version(extractor_version(middle_s, EAR_VERSION)) == (vector, EAR_VERSION)
    assert split_version("fma-mfcc20/1") == ("fma-mfcc20/1", "")
