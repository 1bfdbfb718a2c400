"""healthcheck.py URL: exits 0 where the URL answers with 200, else 1 with what it said. For a container's health check."""

from __future__ import annotations

import sys
from urllib.error import HTTPError
from urllib.request import urlopen

TIMEOUT_S = 8.0


def main(url: str) -> int:
    try:
        with urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - an address of the container's own
            answer.read()
        return 0
    except HTTPError as error:
        print(f"{url}: {error.code} {error.read(1000).decode(errors='replace')}")
    except OSError as error:
        print(f"{url}: {error}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
