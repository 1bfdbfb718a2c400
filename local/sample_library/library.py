"""A folder of rendered tracks, which can be interrupted, resumed, and asked for again at no cost.

What has its final name is done: a file is written under another name and then renamed. A marker in the folder, written
before any of them, says that it is ours, which renderer and packages made its files, and which files these are.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from local.sample_library.plan import SUFFIX, Track, partial, plan
from local.sample_library.workers import rendered

MARKER = ".sample-library.json"

# To be raised with every change in this package that one can hear or read in a tag.
RENDERER = 1


class ForeignFolder(FileExistsError):
    """The folder holds files, and no marker says that they are ours."""


def render(
    out: Path,
    *,
    tracks_per_style: int = 8,
    processes: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Render what is missing of the library in `out`, and return its files, style by style.

    processes : one for each processor, if None
    progress : called with the numbers of tracks done and of all, at once and then after each, in the caller's thread
    Raises ForeignFolder, or RenderingFailed with the track's name; what was finished before stays.
    """
    tracks = plan(tracks_per_style)
    if processes is None:
        processes = len(os.sched_getaffinity(0))
    if processes < 1:
        raise ValueError(f"processes={processes}, but rendering takes at least one")
    with _claimed(out, tracks):
        missing = [track for track in tracks if not _is_finished(out / track.path)]
        if progress:
            progress(len(tracks) - len(missing), len(tracks))
        with closing(rendered(missing, out, processes)) as finished:
            for done, _ in enumerate(finished, start=len(tracks) - len(missing) + 1):
                if progress:
                    progress(done, len(tracks))
    return [out / track.path for track in tracks]


@contextmanager
def _claimed(out: Path, tracks: list[Track]) -> Iterator[None]:
    """The folder as ours alone, its marker up to date, without what older versions and killed runs have left."""
    out.mkdir(parents=True, exist_ok=True)
    folder = os.open(out, os.O_RDONLY)
    try:
        # Whoever comes second waits here, and finds everything done; the lock ends with its process, however that ends.
        fcntl.flock(folder, fcntl.LOCK_EX)
        marker = _marker(out)
        made_by = {"renderer": RENDERER, "music21": version("music21"), "pretty_midi": version("pretty_midi")}
        if marker["made_by"] != made_by:
            for file in marker["files"]:
                _remove(out, Path(file))
            marker["files"] = []
        files = sorted({*marker["files"], *(str(track.path) for track in tracks)})
        if marker != {"made_by": made_by, "files": files}:
            unfinished = partial(out / MARKER)
            unfinished.write_text(json.dumps({"made_by": made_by, "files": files}, indent=1) + "\n")
            unfinished.replace(out / MARKER)
        for stray in out.rglob(partial(Path(f"*{SUFFIX}")).name):
            stray.unlink(missing_ok=True)
        yield
    finally:
        os.close(folder)


def _marker(out: Path) -> dict[str, Any]:
    """The folder's marker, or an empty one for an empty folder."""
    try:
        marker = json.loads((out / MARKER).read_text())
        return {"made_by": marker["made_by"], "files": list(marker["files"])}
    except FileNotFoundError:
        if not set(out.iterdir()) - {partial(out / MARKER)}:
            return {"made_by": None, "files": []}
        problem = "is missing"
    except (ValueError, KeyError, TypeError):
        problem = "is damaged"
    raise ForeignFolder(f"{out} holds files, but its {MARKER} {problem}: name an empty or a new folder for the library")


def _remove(out: Path, file: Path) -> None:
    """Remove a file of an older version, and the folders that are empty without it."""
    is_ours = not file.is_absolute() and ".." not in file.parts and file.suffix == SUFFIX
    if is_ours:
        (out / file).unlink(missing_ok=True)
        for folder in file.parents[:-1]:
            with suppress(OSError):
                (out / folder).rmdir()


def _is_finished(file: Path) -> bool:
    return file.is_file() and file.stat().st_size > 0
