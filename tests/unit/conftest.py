"""A store for music on this machine, and documents that earlier versions stored."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from bson import json_util
from pyarrow import fs

PLAYER_DOCUMENTS = Path(__file__).parents[1] / "data" / "player-documents-v1.json"


@pytest.fixture
def player_documents() -> dict[str, dict[str, Any]]:
    """A document of each of the player's collections as version 1 was written."""
    options = json_util.JSONOptions(json_mode=json_util.JSONMode.RELAXED, tz_aware=True, tzinfo=UTC)
    documents: dict[str, dict[str, Any]] = json_util.loads(PLAYER_DOCUMENTS.read_text(), json_options=options)
    return documents


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fs.S3FileSystem]:
    """A store with the bucket `music`: two songs, one of them hidden, and a picture."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("s3") / "log"
    with log.open("w") as output, pytest.MonkeyPatch.context() as patch:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        server = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            for _ in range(300):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=1)  # noqa: S310
                    break
                except OSError:
                    assert server.poll() is None, log.read_text()
                    time.sleep(0.1)
            patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
            patch.setenv("AWS_ACCESS_KEY_ID", "name")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "word")
            patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            store = fs.S3FileSystem(
                endpoint_override=f"127.0.0.1:{port}", scheme="http", region="us-east-1", allow_bucket_creation=True
            )
            store.create_dir("music")
            store.create_dir("empty")
            yield store
        finally:
            server.terminate()
            server.wait()
