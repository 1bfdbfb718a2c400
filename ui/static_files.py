"""The addresses of the page's scripts and styles, which change with their content.

Under such an address a browser keeps a file for good, and asks for none of them when the page is opened again; relative imports
stay under it. Nothing is bundled.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

FOLDER = Path(__file__).with_name("static")
PLAIN_PREFIX = "/ui"
"""Here the files are, too, without the promise that they stay as they are."""
DIGEST_DIGITS = 12


def _digest() -> str:
    """Hex digits that differ once any of the files does."""
    content = hashlib.sha256()
    for file in sorted(FOLDER.rglob("*.*")):
        content.update(f"{file.relative_to(FOLDER)}\0".encode() + file.read_bytes())
    return content.hexdigest()[:DIGEST_DIGITS]


LASTING_PREFIX = f"{PLAIN_PREFIX}/{_digest()}"
"""Before the address of each file, as of the start of this process."""
