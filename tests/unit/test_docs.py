"""What the documents name is there: paths, modules, links and anchors; and the maps of the code have every module."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", "CONTRIBUTING.md", *(f"docs/{file.name}" for file in sorted((PROJECT / "docs").glob("*.md")))]
MAPS = ["docs/design.md", "docs/player.md"]
"""Documents whose tables say what each module does."""
PACKAGES = ("conf", "batch", "streaming", "ui", "local")
TOP_FOLDERS = (*PACKAGES, "bench", "tests", "docs")
CODE_SUFFIXES = r"py|js|sh|toml|css"

_PATH = re.compile(rf"(?<![\w/.~:-])(?:{'|'.join(TOP_FOLDERS)})/[\w./*-]*")
_NAME = re.compile(
    rf"(?<![\w/.*$-])(?:[\w-]+/)*[a-z_][\w-]*(?:\.[\w-]+)*\.(?:{CODE_SUFFIXES})(?![\w/])|(?<=`)[a-z_]+/(?=`)"
)
_MODULE = re.compile(rf"(?<![\w/.])(?:{'|'.join((*PACKAGES, 'bench'))})(?:\.[A-Za-z_]\w*)+(?![\w/])")
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_FOLDER_OF_TABLE = re.compile(r"^\| in `([\w/]+)`")


def test_the_patterns_find_what_documents_name() -> None:
    assert _PATH.findall("`batch/extract.py` and tests/js/*.test.js, not http://host/docs/ nor fma/batch/x") == [
        "batch/extract.py",
        "tests/js/*.test.js",
    ]
    assert _MODULE.findall("`streaming.events.parse`, python -m ui.recommendations; not x/ui.y") == [
        "streaming.events.parse",
        "ui.recommendations",
    ]
    assert _NAME.findall("`accounts.py`, `data/mongo.py`, `page/`") == ["accounts.py", "data/mongo.py", "page/"]


@pytest.mark.parametrize("document", [*DOCUMENTS, "CHANGELOG.md"])
def test_no_merge_left_its_marks(document: str) -> None:
    marks = re.compile(r"^(?:<{7}|={7}|>{7})(?: |$)", re.MULTILINE)
    assert marks.findall((PROJECT / document).read_text()) == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_paths_from_the_top_are_there(document: str) -> None:
    paths = [path.rstrip(".") for path in _PATH.findall(_text(document))]
    assert [path for path in paths if not _exists(path)] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_named_after_a_folder_are_in_it(document: str) -> None:
    assert [name for name, file in _named_files(document) if file is None] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_dotted_modules_can_be_imported(document: str) -> None:
    names = {
        name for name in _MODULE.findall(_text(document)) if not re.search(rf"\.(?:{CODE_SUFFIXES}|xml|conf)$", name)
    }
    assert sorted(name for name in names if not _is_importable(name)) == []


@pytest.mark.parametrize("document", [*DOCUMENTS, "CHANGELOG.md"])
def test_relative_links_lead_to_files_and_headings(document: str) -> None:
    targets = [first or second for first, second in _LINK.findall(_FENCE.sub("", _text(document)))]
    relative = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [target for target in relative if not _leads_somewhere(document, target)] == []


def test_the_maps_have_every_module() -> None:
    named = {file for document in MAPS for _, file in _named_files(document) if file is not None}
    named |= {PROJECT / path for document in MAPS for path in _PATH.findall(_text(document))}
    modules = [file for package in PACKAGES for file in sorted((PROJECT / package).rglob("*.py"))]
    missing = [
        str(file.relative_to(PROJECT))
        for file in modules
        if file.name != "__init__.py" and file not in named and PROJECT / "local" / "sample_library" not in file.parents
    ]
    assert missing == []


def _text(document: str) -> str:
    return (PROJECT / document).read_text()


def _exists(path: str) -> bool:
    """Whether a path from the top is there; `batch/extract` stands for `batch/extract.py`."""
    if "*" in path:
        return any(PROJECT.glob(path))
    return (PROJECT / path).exists() or (PROJECT / f"{path}.py").exists()


def _named_files(document: str) -> list[tuple[str, Path | None]]:
    """(name, its file) of the files and folders in a document's code spans; None where there is none.

    A name is relative to the top, to the document's folder, to the folder of a path before it in the same line, or to the folder
    in the head of its table. Outside of tables a bare name may be that of any file of ours.
    """
    files: list[tuple[str, Path | None]] = []
    table_folder: Path | None = None
    for line in _FENCE.sub("", _text(document)).splitlines():
        head = _FOLDER_OF_TABLE.match(line)
        if head or not line.startswith("|"):
            table_folder = PROJECT / head[1] if head else None
        folders = [PROJECT, (PROJECT / document).parent, *([table_folder] if table_folder else [])]
        for span in _CODE.findall(line):
            for name in _NAME.findall(f"`{span}`"):
                candidates = [folder / name for folder in reversed(folders)]
                file = next((candidate for candidate in candidates if candidate.exists()), None)
                if file is None and not line.startswith("|"):
                    file = next(_files_called(name), None)
                if file is not None or not name.endswith("/"):  # other folders are those of a home or a model
                    files.append((name, file))
                if file is not None and file.parent != PROJECT:
                    package = PROJECT / file.relative_to(PROJECT).parts[0]
                    folders += [package, file if file.is_dir() else file.parent]
    return files


def _files_called(name: str) -> Iterator[Path]:
    return (
        file for folder in TOP_FOLDERS for file in (PROJECT / folder).rglob(name) if "node_modules" not in file.parts
    )


def _is_importable(name: str) -> bool:
    """Whether a dotted name is a module, or an attribute in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            value: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[length:]:
            if not hasattr(value, attribute):
                return False
            value = getattr(value, attribute)
        return True
    return False


def _leads_somewhere(document: str, target: str) -> bool:
    """Whether a relative link's file is there, and the heading that its anchor names."""
    path, _, anchor = target.partition("#")
    file = (PROJECT / document).parent / path if path else PROJECT / document
    return file.exists() and (not anchor or anchor in _anchors(file.read_text()))


def _anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+?)\s*$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
