"""What is found under a folder."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa
import pytest

from batch.library.files import AudioFile, EmptyLibrary, LibraryNotFound, UnusablePath, library_name, library_root, scan


def put(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def names(root: Path) -> list[str]:
    return [os.path.relpath(file.path, root) for file in scan(root)[0]]


def test_audio_files_are_found_in_all_folders_sorted_with_size_and_time(tmp_path: Path) -> None:
    deep = put(tmp_path / "b" / "c" / "two.FLAC", b"12345")
    put(tmp_path / "a.mp3")
    put(tmp_path / "cover.jpg")
    put(tmp_path / "no suffix")
    os.utime(deep, ns=(5, 7))
    files, unusable = scan(tmp_path)
    assert [file.path for file in files] == [str(tmp_path / "a.mp3"), str(deep)]
    assert files[1] == AudioFile(str(deep), 5, 7, deep.stat().st_ctime_ns)
    assert unusable == []


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    put(tmp_path / "a.mp3")
    put(tmp_path / "._a.mp3")
    put(tmp_path / ".Trash" / "b.mp3")
    assert names(tmp_path) == ["a.mp3"]


def test_names_that_begin_with_dots_may_be_names(tmp_path: Path) -> None:
    music = ("...Trail of Ants/march.mp3", "Ira/...And Then/swell.mp3", "Ira/...Again.mp3", ".38 Special/one.mp3")
    for name in music:
        put(tmp_path / name)
    for name in ("._march.mp3", ".DS_Store", ".stversions/old.mp3", ".@__thumb/x.mp3", ".AppleDouble/x.mp3", ".a.mp3"):
        put(tmp_path / "Ira" / name)
    assert names(tmp_path) == sorted(music)


def test_what_systems_leave_is_passed_over(tmp_path: Path) -> None:
    put(tmp_path / "a.mp3")
    for folder in ("#recycle", "@Recycle", "$RECYCLE.BIN", "@eaDir", "__MACOSX", "lost+found"):
        put(tmp_path / "Ira" / folder / "deleted.mp3")
    assert names(tmp_path) == ["a.mp3"]


@pytest.mark.parametrize(
    "seconds, mtime_ns",
    [
        (10_413_792_000, 2**63 - 1),  # 2300: more nanoseconds than 64 bits hold
        (-252_288_000, -252_288_000 * 10**9),
        (4_039_372_800, 4_039_372_800 * 10**9),
        (0, 0),
    ],
)
def test_times_of_any_year_fit_into_a_table(seconds: int, mtime_ns: int, tmp_path: Path) -> None:
    os.utime(put(tmp_path / "a.mp3"), (seconds, seconds))
    ((file,), _) = scan(tmp_path)
    assert file.mtime_ns == mtime_ns
    assert pa.array([file.mtime_ns, file.ctime_ns], pa.int64()).to_pylist() == [file.mtime_ns, file.ctime_ns]


def test_a_path_beyond_what_the_system_opens_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "a.mp3")
    monkeypatch.chdir(tmp_path)
    for _ in range(20):
        name = "x" * 250
        os.mkdir(name)
        os.chdir(name)
    Path("deep.mp3").write_bytes(b"x")
    files, unusable = scan(tmp_path)
    assert [file.path for file in files] == [str(tmp_path / "a.mp3")]
    assert [(entry.reason, entry.detail) for entry in unusable] == [("unreadable", "File name too long")]


def test_links_that_run_in_a_loop_end(tmp_path: Path) -> None:
    put(tmp_path / "album" / "a.mp3")
    (tmp_path / "album" / "up").symlink_to(tmp_path)
    (tmp_path / "album" / "self").symlink_to("self")
    assert names(tmp_path) == ["album/a.mp3"]


def test_a_folder_elsewhere_is_found_through_its_link_once(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere" / "a.mp3")
    library = tmp_path / "library"
    library.mkdir()
    (library / "one").symlink_to(tmp_path / "elsewhere")
    (library / "two").symlink_to(tmp_path / "elsewhere")
    assert len(names(library)) == 1


def test_a_broken_link_is_told_with_where_it_points(tmp_path: Path) -> None:
    put(tmp_path / "a.mp3")
    (tmp_path / "b.mp3").symlink_to("nowhere.mp3")
    (tmp_path / "c.mp3").symlink_to("c.mp3")
    assert scan(tmp_path)[1] == [
        UnusablePath(str(tmp_path / "b.mp3"), "broken link", "points to nowhere.mp3"),
        UnusablePath(str(tmp_path / "c.mp3"), "broken link", "points to c.mp3"),
    ]


def test_a_name_that_is_not_utf8_is_told_as_text(tmp_path: Path) -> None:
    put(tmp_path / "a.mp3")
    try:
        put(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mp3")))
    except OSError:
        pytest.skip("this file system refuses such names")
    (unusable,) = scan(tmp_path)[1]
    assert unusable.reason == "undecodable name"
    assert unusable.path.encode().endswith(b"\\udcff.mp3")


def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    put(tmp_path / "a.mp3", b"")
    assert [file.size for file in scan(tmp_path)[0]] == [0]


def test_a_library_without_audio_is_told_with_the_suffixes_looked_for(tmp_path: Path) -> None:
    put(tmp_path / "readme.txt")
    with pytest.raises(EmptyLibrary, match=r"no audio in .*\.flac"):
        scan(tmp_path)


def test_a_library_is_a_folder_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(LibraryNotFound, match="no folder"):
        library_root(tmp_path / "nothing")
    with pytest.raises(LibraryNotFound, match="is a file"):
        library_root(put(tmp_path / "a.mp3"))


def test_a_library_has_one_name_however_it_is_reached(tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    (tmp_path / "link").symlink_to("music")
    assert library_root(tmp_path / "link") == (tmp_path / "music").resolve()
    assert library_name(str(tmp_path / "link" / ".." / "music")) == str((tmp_path / "music").resolve())
    assert library_name("s3a://bucket/music/") == "s3a://bucket/music"


def test_a_library_of_which_nothing_is_in_reach_is_not_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "disk").symlink_to("/nowhere/music")
    with pytest.raises(EmptyLibrary, match=r"1 could not be looked at, the first is .*disk"):
        scan(tmp_path)
    put(tmp_path / "a.mp3")
    assert scan(tmp_path)[1] == [UnusablePath(str(tmp_path / "disk"), "broken link", "points to /nowhere/music")]


def test_what_may_not_be_read_is_told() -> None:
    """By a process without rights, since the tests may run as root."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        put(root / "good" / "a.mp3")
        for folder in ("good", "shut"):
            put(root / folder / "b.mp3")
        (root / "shut").chmod(0)
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=scan_without_rights, args=(root, theirs))
        process.start()
        assert ours.poll(30)
        files, unusable = ours.recv()
        process.join()
        (root / "shut").chmod(0o755)
    assert [Path(file.path).name for file in files] == ["a.mp3", "b.mp3"]
    assert unusable == [UnusablePath(f"{name}/shut", "unreadable", "Permission denied")]


def scan_without_rights(root: Path, answer: Connection) -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setuid(65534)
    answer.send(scan(root))


def test_odd_names_of_folders_are_told() -> None:
    with pytest.raises(LibraryNotFound, match="~nobodyofthatname"):
        library_root("~nobodyofthatname/music")
    with pytest.raises(LibraryNotFound, match="names a machine"):
        library_name("file://elsewhere/music")
