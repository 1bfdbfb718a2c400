"""Tracks whose files lie in a store: played in ranges, and listened to from a copy."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fastapi import FastAPI, Request
from pyarrow import fs
from starlette.testclient import TestClient

from ui.media.analysis import PEAK_COUNT, AudioAnalyzer, AudioUnreadable
from ui.media.streaming import audio_response, byte_range
from ui.responses import Refused, refusal

sys.path.insert(0, str(Path(__file__).parents[1]))
from coroutines import result_of  # noqa: E402

SONG = "s3://music/Ana/Ein Lied ü.flac"


@pytest.fixture(scope="module")
def content() -> bytes:
    out = io.BytesIO()
    soundfile.write(
        out, 0.3 * np.random.default_rng(0).standard_normal(20 * 22_050).astype("float32"), 22_050, format="FLAC"
    )
    return out.getvalue()


@pytest.fixture
def client(bucket: fs.S3FileSystem, content: bytes) -> TestClient:
    with bucket.open_output_stream("music/Ana/Ein Lied ü.flac") as out:
        out.write(content)
    site = FastAPI()

    @site.api_route("/audio/{place:path}", methods=["GET", "HEAD"])
    def audio(place: str, request: Request) -> object:
        return audio_response(place, request.headers.get("range"), request.method)

    site.add_exception_handler(Refused, lambda _, error: refusal(error.status, str(error)))  # type: ignore[attr-defined]
    return TestClient(site)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, (0, 100, 200)),
        ("bytes=0-", (0, 100, 206)),
        ("bytes=10-19", (10, 20, 206)),
        ("bytes=90-500", (90, 100, 206)),
        ("bytes=-10", (90, 100, 206)),
        ("bytes=-500", (0, 100, 206)),
        ("bytes=99-", (99, 100, 206)),
        ("bytes=100-", None),
        ("bytes=-0", None),
        ("bytes=9-5", None),
        ("bytes=-", (0, 100, 200)),
        ("bytes=0-1,5-6", (0, 100, 200)),  # several pieces: all of it is an answer, too
        ("pages=1-2", (0, 100, 200)),
        ("bytes=1-x", (0, 100, 200)),
        (f"bytes={'9' * 4300}-", None),
        (f"bytes=0-{'9' * 4301}", None),
        (f"bytes=-{'9' * 9000}", None),
    ],
)
def test_a_range_is_met_by_its_bytes(header: str | None, expected: tuple[int, int, int] | None) -> None:
    assert byte_range(header, 100) == expected


def test_a_song_in_a_store_is_played_in_pieces(client: TestClient, content: bytes) -> None:
    size = len(content)
    whole = client.get(f"/audio/{SONG}")
    assert (whole.status_code, whole.content) == (200, content) and size > 512 * 1024
    assert whole.headers["content-type"] == "audio/flac" and whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-security-policy"] == "sandbox; default-src 'none'"
    part = client.get(f"/audio/{SONG}", headers={"Range": "bytes=300000-700000"})
    assert (part.status_code, part.content) == (206, content[300_000:700_001])
    assert part.headers["content-range"] == f"bytes 300000-700000/{size}" and part.headers["content-length"] == "400001"
    beyond = client.get(f"/audio/{SONG}", headers={"Range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    head = client.head(f"/audio/{SONG}")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(size))


@pytest.mark.parametrize("place", ["s3://music/gone.flac", "s3://nowhere/a.flac", "ftp://host/a.flac"])
def test_what_the_store_does_not_have_is_said(client: TestClient, place: str) -> None:
    answer = client.get(f"/audio/{place}")
    assert answer.status_code == 404 and "store" in answer.json()["error"]


def test_a_song_in_a_store_is_analysed(client: TestClient) -> None:
    analyzer = AudioAnalyzer()
    try:
        assert len(result_of(analyzer.peaks(SONG))) == PEAK_COUNT
        assert result_of(analyzer.picture(SONG, "mel")).startswith(b"\x89PNG")
        with pytest.raises(AudioUnreadable, match="cannot be fetched"):
            result_of(analyzer.peaks("s3://music/gone.flac"))
    finally:
        analyzer.close()


@pytest.mark.parametrize("header", [f"bytes={'9' * 4301}-", f"bytes=0-{'1' * 4301}", f"bytes=-{'1' * 4301}"])
def test_a_position_of_thousands_of_digits_is_not_in_a_file(client: TestClient, tmp_path: Path, header: str) -> None:
    (tmp_path / "song.flac").write_bytes(b"fLaC")
    answer = client.get(f"/audio/{tmp_path}/song.flac", headers={"Range": header})
    assert (answer.status_code, answer.headers["content-range"], answer.content) == (416, "bytes */4", b"")
