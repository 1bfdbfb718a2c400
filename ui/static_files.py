"""The addresses of the page's scripts and styles, which change with their content.

Under such an address a browser keeps a file for good, and asks for none of them when the page is opened again; relative imports
stay under it. Nothing is bundled.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from pathlib import Path

FOLDER = Path(__file__).with_name("static")
PLAIN_PREFIX = "/ui"
"""Here the files are, too, without the promise that they stay as they are."""
DIGEST_DIGITS = 12
ENTRY_SCRIPT, ENTRY_STYLE = "main.js", "css/main.css"
_IMPORTED_SCRIPT = re.compile(r"""^(?:import|export)\b[^;"'`]*?["'](\.[^"']+)["'];""", re.MULTILINE)
_IMPORTED_STYLE = re.compile(r"""^@import "([^"]+)\"""", re.MULTILINE)


def _digest() -> str:
    """Hex digits that differ once any of the files does."""
    content = hashlib.sha256()
    for file in sorted(FOLDER.rglob("*.*")):
        content.update(f"{file.relative_to(FOLDER)}\0".encode() + file.read_bytes())
    return content.hexdigest()[:DIGEST_DIGITS]


LASTING_PREFIX = f"{PLAIN_PREFIX}/{_digest()}"
"""Before the address of each file, as of the start of this process."""


def _with_imports(entry: str, imported: re.Pattern[str]) -> list[str]:
    """A file and all that it imports, by path in FOLDER, each before what it imports alone."""
    names = [entry]
    for name in names:  # which grows meanwhile
        for path in imported.findall((FOLDER / name).read_text(encoding="utf-8")):
            other = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
            if other not in names:
                names.append(other)
    return names


EARLY_LINKS = "".join(
    [
        f'<link rel="preload" as="style" href="{LASTING_PREFIX}/{name}">'
        for name in _with_imports(ENTRY_STYLE, _IMPORTED_STYLE)
    ]
    + [
        f'<link rel="modulepreload" href="{LASTING_PREFIX}/{name}">'
        for name in _with_imports(ENTRY_SCRIPT, _IMPORTED_SCRIPT)
    ]
)
"""For the head of the page. With them a browser asks for all files at once and beside Gradio's; without, for each when the
one that imports it is there, and for the first when Gradio's scripts have run."""
