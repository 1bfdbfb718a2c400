"""An S3 server on this machine (moto), for benchmarks and tests of what lies in an object store."""

from __future__ import annotations

import sys
import time
import urllib.request
from pathlib import Path

from pyarrow import fs

from local.processes import Process, free_port

REGION = "us-east-1"
START_TIMEOUT_S = 30.0


class S3Server:
    """The server, and the environment of what uses it.

    folder : for its log
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.process = Process("s3", folder)
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "name",
            "AWS_SECRET_ACCESS_KEY": "word",
            "AWS_REGION": REGION,
        }

    def start(self) -> None:
        self.process.start([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)])

    def wait(self, *buckets: str) -> fs.S3FileSystem:
        """Waits until it answers, and makes these buckets; returns it as a file system."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            self.process.require_running("starting")
            if time.monotonic() > deadline:
                raise SystemExit(f"no S3 server within {START_TIMEOUT_S:.0f} s\n{self.process.tail()}")
            time.sleep(0.1)
        store = fs.S3FileSystem(
            access_key=self.environment["AWS_ACCESS_KEY_ID"],
            secret_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            endpoint_override=f"127.0.0.1:{self.port}",
            scheme="http",
            region=REGION,
            allow_bucket_creation=True,
        )
        for bucket in buckets:
            store.create_dir(bucket)
        return store

    def stop(self) -> None:
        self.process.stop()

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.environment['AWS_ENDPOINT_URL']}/moto-api/", timeout=1)  # noqa: S310
        except OSError:
            return False
        return True
