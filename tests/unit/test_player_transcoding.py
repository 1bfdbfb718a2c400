"""Audio as MP3 made on the way: its length is known before, any byte range is the same sound, and a bad file harms nothing."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from fastapi import FastAPI, Request
from pyarrow import fs
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.testclient import TestClient

from ui.auth.places import Client
from ui.auth.shares import ShareTaken
from ui.media import mp3, transcoding
from ui.media.transcoding import Transcoder, kbps_of
from ui.responses import Refused, refusal

sys.path.insert(0, str(Path(__file__).parents[1]))
from coroutines import result_of  # noqa: E402

SECONDS = 25
RATE = 44_100
FRAME_BYTES = 576
FRAMES = -(-SECONDS * mp3.RATE // mp3.MP3_FRAME_SAMPLES)


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tone of 440 Hz, as AIFF, which Chromium cannot play."""
    time_s = np.arange(SECONDS * RATE) / RATE
    tone = 0.4 * np.sin(2 * np.pi * 440 * time_s)
    path = tmp_path_factory.mktemp("songs") / "song.aiff"
    soundfile.write(path, np.stack([tone, tone], axis=1).astype("float32"), RATE)
    return path


@pytest.fixture(scope="module")
def client(bucket: fs.S3FileSystem) -> Iterator[TestClient]:
    """A player that also reads tracks of a store."""
    transcoder = Transcoder()
    site = FastAPI()

    @site.api_route("/audio", methods=["GET", "HEAD"])
    async def audio(path: str, request: Request) -> Response:
        return await transcoder.response(path, 192, request.headers.get("range"), request.method, Client("ana", "home"))

    site.add_exception_handler(Refused, lambda _, error: refusal(error.status, str(error)))  # type: ignore[attr-defined]
    yield TestClient(site)
    transcoder.close()


def decoded(content: bytes) -> np.ndarray:
    """The left channel."""
    with av.open(io.BytesIO(content), format="mp3") as file:
        return np.hstack([frame.to_ndarray()[0] for frame in file.decode(audio=0)])


@pytest.mark.parametrize(
    ("name", "without", "is_smaller", "is_mp3", "expected"),
    [
        ("a.flac", "", False, False, None),
        ("a.flac", "", True, False, 128),
        ("s3://music/a.FLAC", "aiff,flac", False, False, 192),
        ("a.aif", "aiff", False, False, 192),
        ("a.aif", "aiff", True, False, 128),
        ("a.mp3", "aiff", True, False, None),
        ("a.mp3", "nothing,such", False, True, 192),
        ("a", "", True, False, None),
    ],
)
def test_only_what_cannot_be_played_or_shall_be_smaller_is_encoded(
    name: str, without: str, is_smaller: bool, is_mp3: bool, expected: int | None
) -> None:
    assert kbps_of(name, without, is_smaller, is_mp3) == expected


def test_the_whole_is_one_steady_tone_without_seams(client: TestClient, song: Path) -> None:
    answer = client.get("/audio", params={"path": str(song)})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/mpeg")
    assert len(answer.content) == int(answer.headers["content-length"]) == FRAMES * FRAME_BYTES
    assert FRAMES > 2 * mp3.PIECE_FRAMES, "several pieces"
    sound = decoded(answer.content)[4000 : (SECONDS - 1) * mp3.RATE]
    steepest = 0.4 * (2 * np.pi * 440 / mp3.RATE) ** 2
    assert np.abs(np.diff(sound, 2)).max() < 1.2 * steepest, "a seam would be a step"
    spectrum = np.abs(np.fft.rfft(sound[: mp3.RATE]))
    assert spectrum.argmax() == 440


@pytest.mark.parametrize("first", [0, 1000 * FRAME_BYTES, 1000 * FRAME_BYTES + 100])
def test_a_range_is_the_same_bytes_as_those_of_the_whole(client: TestClient, song: Path, first: int) -> None:
    whole = client.get("/audio", params={"path": str(song)}).content
    part = client.get("/audio", params={"path": str(song)}, headers={"Range": f"bytes={first}-{first + 9999}"})
    assert part.status_code == 206
    assert part.headers["content-range"] == f"bytes {first}-{first + 9999}/{len(whole)}"
    assert part.content == whole[first : first + 10_000]


def test_head_and_ranges_outside_need_no_encoding(client: TestClient, song: Path) -> None:
    head = client.head("/audio", params={"path": str(song)})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(FRAMES * FRAME_BYTES)
    beyond = client.get("/audio", params={"path": str(song)}, headers={"Range": f"bytes={FRAMES * FRAME_BYTES}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{FRAMES * FRAME_BYTES}")


def test_files_that_are_no_audio_are_refused_and_the_next_one_plays(
    client: TestClient, song: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.aiff").write_text("no audio" * 1000)
    (tmp_path / "list.aiff").write_text(f"#EXTM3U\n#EXTINF:5,\n{song}\n")  # FFmpeg must not follow it
    (tmp_path / "cut.aiff").write_bytes(song.read_bytes()[:40])
    for name in ("text.aiff", "list.aiff", "cut.aiff"):
        answer = client.get("/audio", params={"path": str(tmp_path / name)})
        assert answer.status_code == 422, name
        assert "cannot be converted" in answer.json()["error"]
    assert client.get("/audio", params={"path": str(tmp_path / "missing.aiff")}).status_code == 503
    assert client.get("/audio", params={"path": str(song)}, headers={"Range": "bytes=0-9"}).status_code == 206


def test_a_damaged_file_is_silent_where_it_is_damaged(client: TestClient, song: Path, tmp_path: Path) -> None:
    content = song.read_bytes()
    (tmp_path / "half.aiff").write_bytes(content[: len(content) // 2])
    answer = client.get("/audio", params={"path": str(tmp_path / "half.aiff")})
    sound = decoded(answer.content)
    assert np.abs(sound[mp3.RATE : 2 * mp3.RATE]).max() > 0.3
    assert len(answer.content) == int(answer.headers["content-length"])


def test_a_track_in_a_store_is_encoded_too(client: TestClient, bucket: fs.S3FileSystem, song: Path) -> None:
    with bucket.open_output_stream("music/song.aiff") as out:
        out.write(song.read_bytes())
    part = client.get("/audio", params={"path": "s3://music/song.aiff"}, headers={"Range": "bytes=0-9999"})
    assert (part.status_code, len(part.content)) == (206, 10_000)
    assert client.get("/audio", params={"path": "s3://music/gone.aiff"}).status_code == 503


def test_a_client_cannot_take_all_of_what_converts(song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own requests beyond its share get 429, others are answered."""
    ana, guest, bob = Client("ana", "home"), Client("guest-1", "home"), Client("bob", "elsewhere")
    monkeypatch.setattr(transcoding, "MAX_WAITING_OF_PLACE", 5)
    monkeypatch.setattr(transcoding, "MAX_WAITING_OF_LISTENER", 3)
    converter = Transcoder()
    wait = threading.Event()
    converter._workers = [lambda *_, **__: wait.wait(30) and 1] * transcoding.WORKERS  # type: ignore[list-item,misc]
    songs = [song.parent / f"{number}.aiff" for number in range(6)]
    for copy in songs:
        copy.write_bytes(b"")
    try:
        held = [converter._submit("length", ana, str(copy), ()) for copy in songs[:3]]
        assert converter._submit("length", ana, str(songs[0]), ()) is held[0], "what is being made is nobody's share"
        with pytest.raises(ShareTaken) as refused:
            converter._submit("length", ana, str(songs[3]), ())
        assert refused.value.status == 429
        held += [converter._submit("length", guest, str(copy), ()) for copy in songs[3:5]]
        with pytest.raises(ShareTaken):
            converter._submit("length", guest, str(songs[5]), ())
        held.append(converter._submit("length", bob, str(songs[5]), ()))
        wait.set()
        assert [future.result(30) for future in held] == [1] * 6
    finally:
        wait.set()
        for executor in converter._executors:
            executor.shutdown()
    assert len(converter._pieces) == 0


def test_a_client_has_so_many_converted_tracks_on_their_way(song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is given back when it has been sent, or broken off."""
    monkeypatch.setattr(transcoding, "MAX_RESPONSES_OF_LISTENER", 1)
    ana, bob = Client("ana", "home"), Client("bob", "home")
    converter = Transcoder()

    async def requests() -> tuple[int, int]:
        first = await converter.response(str(song), 192, "bytes=0-9", "GET", ana)
        with pytest.raises(ShareTaken) as refused:
            await converter.response(str(song), 192, "bytes=0-9", "GET", ana)
        await converter.response(str(song), 192, "bytes=0-9", "GET", bob)

        async def broken_off(_: object) -> None:
            raise OSError

        scope = {"type": "http", "asgi": {"spec_version": "2.4"}}
        with pytest.raises(ClientDisconnect):
            await first(scope, None, broken_off)  # type: ignore[arg-type]
        again = await converter.response(str(song), 192, "bytes=0-9", "GET", ana)
        return refused.value.status, again.status_code

    try:
        assert result_of(requests()) == (429, 206)
    finally:
        converter.close()
