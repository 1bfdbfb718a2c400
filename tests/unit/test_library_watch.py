"""The demo's watch over the library's folder: what is new, changed or removed, once it has settled."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from local.library.watch import Changes, LibraryWatch, listing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.mp3", "b.flac"):
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def watch_of(folder: Path) -> tuple[LibraryWatch, list[str]]:
    lines: list[str] = []
    return LibraryWatch(folder, listing(folder), lines.append), lines


def test_a_file_counts_once_it_is_seen_twice_alike(folder: Path) -> None:
    watch, _ = watch_of(folder)
    watch.look()
    assert not watch.take_changes(), "nothing has changed"
    (folder / "c.ogg").write_bytes(b"beginn")
    watch.look()
    assert not watch.take_changes(), "it may still be copied"
    (folder / "c.ogg").write_bytes(b"beginning and end")
    watch.look()
    assert not watch.take_changes(), "it was"
    watch.look()
    assert watch.take_changes() == Changes(new=1)
    watch.look()
    watch.look()
    assert not watch.take_changes(), "it is told once"


def test_new_changed_and_removed_files_are_counted(folder: Path) -> None:
    watch, _ = watch_of(folder)
    (folder / "a.mp3").write_bytes(b"other content")
    os.remove(folder / "b.flac")
    (folder / "deep").mkdir()
    for number in range(3):
        (folder / "deep" / f"{number}.opus").write_bytes(b"x")
    (folder / "notes.txt").write_text("no audio")
    watch.look()
    watch.look()
    changes = watch.take_changes()
    assert changes == Changes(new=3, changed=1, removed=1) and str(changes) == "3 new, 1 changed, 1 removed"


def test_a_folder_that_cannot_be_read_is_told_once_and_removes_nothing(folder: Path) -> None:
    watch, lines = watch_of(folder)
    elsewhere = folder.rename(folder.with_name("unmounted"))
    for _ in range(3):
        watch.look()
    assert len(lines) == 1 and "cannot be read" in lines[0] and not watch.take_changes()
    folder.mkdir()  # mounted nowhere: a folder without music
    watch.look()
    watch.look()
    assert len(lines) == 2 and "no audio in" in lines[1] and not watch.take_changes()
    folder.rmdir()
    elsewhere.rename(folder)
    watch.look()
    watch.look()
    assert lines[2:] == ["the music folder can be read again"] and not watch.take_changes()


def test_a_link_to_nowhere_is_read_too(folder: Path) -> None:
    watch, _ = watch_of(folder)
    (folder / "broken.mp3").symlink_to("/nowhere/at/all.mp3")
    watch.look()
    watch.look()
    assert watch.take_changes() == Changes(new=1), "extract says why it cannot be played"
