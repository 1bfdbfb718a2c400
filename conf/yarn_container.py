"""What YARN tells a process of the container that it runs in."""

from __future__ import annotations

import os
import re

CONTAINER_VARIABLE = "CONTAINER_ID"
"""Names the container, as container_e17_1410901177871_0001_01_000005: with the number of the application, and of the attempt."""
_CONTAINER = re.compile(r"container_(?:e\d+_)?(\d+_\d+)_\d+_\d+")


def is_in_container() -> bool:
    """Whether this process runs in a container of YARN."""
    return CONTAINER_VARIABLE in os.environ


def application() -> str | None:
    """The id of the application whose container this process runs in; None in no container.

    All attempts have it, of which YARN starts one after another.
    """
    container = _CONTAINER.fullmatch(os.environ.get(CONTAINER_VARIABLE, ""))
    return f"application_{container.group(1)}" if container else None
