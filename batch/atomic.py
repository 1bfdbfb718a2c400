"""Write beside, then rename: a reader sees a file as it was before or whole, never half of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(target: Path, durable: bool = False) -> Iterator[Path]:
    """A hidden path beside `target` to write to: renamed over `target` on success, removed on an error.

    durable : flush the content to the disk before the rename, so that a power cut cannot leave an empty file
    """
    part = target.with_name(f".{target.name}.part")
    try:
        yield part
        if durable:
            with part.open("rb+") as file:
                os.fsync(file.fileno())
        os.replace(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_text(target: Path, text: str, durable: bool = False) -> None:
    """Replaces the content of a file by UTF-8 text in one step. Raises OSError."""
    with replacing(target, durable) as part:
        part.write_text(text, encoding="utf-8")
