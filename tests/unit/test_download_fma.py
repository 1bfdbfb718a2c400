"""FMA's archives from a server on this machine: broken off, resumed, verified, unpacked."""

from __future__ import annotations

import fcntl
import hashlib
import http.server
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from batch.download_fma import ARCHIVES, PublishedArchive, main
from batch.fma.archive import DamagedArchive, UnsafeArchive, WrongContent, checksums, unpack
from batch.fma.meter import byte_progress_text, size_text

CLIPS = {
    f"{number // 1000:03d}/{number:06d}.mp3": random.Random(number).randbytes(70_000) for number in (2, 5, 10, 1040)
}
SOON = (0.0, 0.0, 0.0)


def zipped(file: Path, files: dict[str, bytes], top: str = "fma_small", sums: str | None = None) -> bytes:
    """A zip as FMA makes them: bzip2, folders as members of their own, README.txt and checksums beside the clips."""
    listed = "".join(f"{hashlib.sha1(content).hexdigest()}  {name}\n" for name, content in files.items())
    with zipfile.ZipFile(file, "w", zipfile.ZIP_BZIP2) as archive:
        archive.mkdir(top, 0o555)
        for name, content in {"README.txt": b"read me", "checksums": (sums or listed).encode(), **files}.items():
            archive.writestr(f"{top}/{name}", content)
    return file.read_bytes()


@dataclass
class Server:
    """Serves one content, and may misbehave."""

    content: bytes
    url: str = ""
    knows_ranges: bool = True
    etag: str = '"one"'
    length: int | None = None  # what it says the length is
    break_at: list[int] = field(default_factory=list)  # for each answer in turn, the position at which it breaks off
    states: list[int] = field(default_factory=list)  # for each answer in turn, a state other than 200
    slow_s: float = 0.0
    requests: list[tuple[str, str | None]] = field(default_factory=list)  # (path, Range)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    state = Server(zipped(tmp_path / "made.zip", CLIPS))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append((self.path, self.headers.get("Range")))
            if state.states and (code := state.states.pop(0)) != 200:
                self.send_error(code)
                return
            start, total = 0, len(state.content)
            if state.knows_ranges and (match := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))):
                start = int(match.group(1))
                if start >= total:
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{total}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            else:
                self.send_response(200)
            self.send_header("ETag", state.etag)
            self.send_header("Content-Length", str(state.length or total - start))
            self.end_headers()
            end = state.break_at.pop(0) if state.break_at else total
            for position in range(start, end, 20_000):
                try:
                    self.wfile.write(state.content[position : min(position + 20_000, end)])
                except ConnectionError:
                    return  # the client has what it wanted
                time.sleep(state.slow_s)
            self.close_connection = True

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    http_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http_server.daemon_threads = True
    thread = threading.Thread(target=http_server.serve_forever, args=(0.01,))
    thread.start()
    state.url = f"http://127.0.0.1:{http_server.server_port}/fma/"
    yield state
    http_server.shutdown()
    http_server.server_close()
    thread.join()


def published(content: bytes, growth: float = 1.05) -> dict[str, PublishedArchive]:
    return dict(ARCHIVES) | {"small": PublishedArchive(hashlib.sha1(content).hexdigest(), growth)}


def run(server: Server, to: Path, *more: str, content: bytes | None = None) -> int:
    arguments = ["--subset", "small", "--to", str(to), "--base-url", server.url, *more]
    return main(arguments, published(content or server.content), SOON)


def assert_all_there(to: Path) -> None:
    unpacked = {
        str(file.relative_to(to / "fma_small")): file.read_bytes() for file in (to / "fma_small").rglob("*.mp3")
    }
    assert unpacked == CLIPS
    assert {entry.name for entry in to.iterdir() if "part" in entry.name} == set()
    assert list((to / "fma_small").rglob(".*")) == []


def test_an_archive_is_downloaded_verified_and_unpacked(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    to = tmp_path / "new" / "fma"
    assert run(server, to) == 0
    assert_all_there(to)
    assert server.requests == [("/fma/fma_small.zip", None)]
    assert (to / "fma_small.zip").read_bytes() == server.content
    assert (to / "fma_small.zip.sha1").read_text() == f"{hashlib.sha1(server.content).hexdigest()}  fma_small.zip\n"
    assert f"fma_small: 6 files, {size_text(280_000 + 7 + 4 * 57)}" in capsys.readouterr().out


def test_a_connection_that_breaks_off_is_taken_up_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.break_at = [100_000, 100_000, 200_001]
    assert run(server, tmp_path / "fma") == 0
    assert_all_there(tmp_path / "fma")
    assert [range_ for _, range_ in server.requests] == [None, "bytes=100000-", "bytes=100000-", "bytes=200001-"]


def test_a_run_that_gave_up_says_how_to_go_on_and_the_next_one_does(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    to = tmp_path / "fma"
    server.break_at = [100_000] * 5
    assert run(server, to) == 1
    error = capsys.readouterr().err
    assert "broke off at 100,000 of" in error and "4 times in a row" in error
    assert "the same command again" in error and "goes on from the 100,000 bytes" in error
    assert (to / "fma_small.zip.part").read_bytes() == server.content[:100_000]
    server.break_at, server.requests = [], []
    assert run(server, to) == 0
    assert_all_there(to)
    assert server.requests == [("/fma/fma_small.zip", "bytes=100000-")]


def test_a_try_that_brings_something_starts_the_count_anew(server: Server, tmp_path: Path) -> None:
    server.break_at = [position for end in (50_000, 100_000, 150_000) for position in (end, end, end)]
    assert run(server, tmp_path / "fma") == 0
    assert_all_there(tmp_path / "fma")
    assert len(server.requests) == 10


def test_a_server_without_ranges_is_read_past_what_is_there_and_the_part_is_kept(
    server: Server, tmp_path: Path
) -> None:
    to = tmp_path / "fma"
    server.knows_ranges = False
    server.break_at = [100_000, 60_000]  # the second try ends before it comes to anything new
    assert run(server, to) == 0
    assert_all_there(to)
    assert [range_ for _, range_ in server.requests] == [None, "bytes=100000-", "bytes=100000-"]


def test_a_part_from_elsewhere_is_taken_up(server: Server, tmp_path: Path) -> None:
    to = tmp_path / "fma"
    to.mkdir()
    (to / "fma_small.zip.part").write_bytes(server.content[:123_456])
    assert run(server, to) == 0
    assert server.requests == [("/fma/fma_small.zip", "bytes=123456-")]
    assert_all_there(to)


@pytest.mark.parametrize("is_remembered", [True, False])
def test_a_part_that_is_whole_is_only_verified(server: Server, tmp_path: Path, is_remembered: bool) -> None:
    to = tmp_path / "fma"
    to.mkdir()
    (to / "fma_small.zip.part").write_bytes(server.content)
    if is_remembered:
        validators = {"url": server.url, "size": len(server.content), "etag": None}
        (to / "fma_small.zip.part.json").write_text(json.dumps(validators))
    assert run(server, to) == 0
    assert len(server.requests) == (0 if is_remembered else 1)
    assert_all_there(to)


@pytest.mark.parametrize("change", ["etag", "size", "shorter"])
def test_another_file_at_the_address_is_told_and_the_part_is_kept(
    server: Server, tmp_path: Path, change: str, capsys: pytest.CaptureFixture
) -> None:
    to, whole = tmp_path / "fma", server.content
    server.break_at = [100_000] * 5
    assert run(server, to) == 1
    server.break_at = []
    if change == "etag":
        server.etag = '"two"'
    else:
        server.content = whole + b"x" if change == "size" else whole[:50_000]
    assert run(server, to, content=whole) == 1
    error = capsys.readouterr().err
    difference = {
        "etag": 'ETag "two", was "one"',
        "size": f"{len(whole) + 1:,} bytes, was",
        "shorter": "50,000 bytes, was",
    }
    assert difference[change] in error
    assert "delete" in error
    assert (to / "fma_small.zip.part").read_bytes() == whole[:100_000]


def test_a_part_longer_than_the_file_is_told(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    to = tmp_path / "fma"
    to.mkdir()
    (to / "fma_small.zip.part").write_bytes(server.content + b"more")
    for server.knows_ranges in (True, False):
        assert run(server, to) == 1
        error = capsys.readouterr().err
        assert f"no bytes from {len(server.content) + 4:,} on" in error and "delete" in error


def test_a_wrong_checksum_is_told_and_the_file_set_aside(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    to, right = tmp_path / "fma", server.content
    server.content = right[:-1000] + bytes(1000)
    assert run(server, to, content=right) == 1
    error = capsys.readouterr().err
    for part in (hashlib.sha1(right).hexdigest(), hashlib.sha1(server.content).hexdigest(), "fma_small.zip.bad"):
        assert part in error
    assert (to / "fma_small.zip.bad").read_bytes() == server.content
    assert not (to / "fma_small").exists() and not (to / "fma_small.zip").exists()
    server.content = right
    assert run(server, to) == 0
    assert_all_there(to)


def test_an_archive_brought_by_hand_is_verified_first(server: Server, tmp_path: Path) -> None:
    to = tmp_path / "fma"
    to.mkdir()
    (to / "fma_small.zip").write_bytes(server.content)
    assert run(server, to) == 0
    assert_all_there(to)
    assert server.requests == []
    other = tmp_path / "other"
    other.mkdir()
    (other / "fma_small.zip").write_bytes(b"<html>")
    assert run(server, other) == 1
    assert (other / "fma_small.zip.bad").read_bytes() == b"<html>"


def test_a_missing_archive_is_told_at_once(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    server.states = [404]
    assert run(server, tmp_path / "fma") == 1
    assert "404 Not Found" in (error := capsys.readouterr().err) and "--base-url" in error
    assert len(server.requests) == 1


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.states = [503, 429, 500]
    assert run(server, tmp_path / "fma") == 0
    assert_all_there(tmp_path / "fma")


def test_no_server_is_told_after_some_tries(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    nobody = Server(b"", url="http://127.0.0.1:1/")
    assert run(nobody, tmp_path / "fma") == 1
    assert "no connection" in (error := capsys.readouterr().err) and "the same command again" in error


def test_a_full_disk_is_told_before_a_byte_is_written(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    server.length = 1 << 60
    assert run(server, tmp_path / "fma") == 1
    assert "are free" in (error := capsys.readouterr().err) and "--to" in error and "TiB" in error
    assert not (tmp_path / "fma" / "fma_small.zip.part").exists()


@pytest.mark.parametrize("is_removed", [False, True])
def test_a_second_run_asks_nothing_and_writes_nothing(server: Server, tmp_path: Path, is_removed: bool) -> None:
    to = tmp_path / "fma"
    assert run(server, to, *["--remove-archive"] * is_removed) == 0
    assert (to / "fma_small.zip").exists() is not is_removed
    before = {file: file.stat().st_mtime_ns for file in to.rglob("*") if file.name != ".fma_small.lock"}
    server.requests = []
    assert run(server, to) == 0
    assert server.requests == []
    assert before == {file: file.stat().st_mtime_ns for file in to.rglob("*") if file.name != ".fma_small.lock"}


def test_a_file_that_was_lost_or_cut_is_written_again_and_no_other(server: Server, tmp_path: Path) -> None:
    to = tmp_path / "fma"
    assert run(server, to) == 0
    (to / "fma_small" / "000" / "000002.mp3").unlink()
    os.truncate(to / "fma_small" / "000" / "000005.mp3", 10)
    other = to / "fma_small" / "000" / "000010.mp3"
    before, server.requests = other.stat(), []
    assert run(server, to) == 0
    assert_all_there(to)
    assert (other.stat().st_mtime_ns, other.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert server.requests == []


def test_an_unpacking_goes_on_and_takes_no_file_of_the_right_size_for_the_right_file(tmp_path: Path) -> None:
    zipped(tmp_path / "fma_small.zip", CLIPS)
    good, bad = (tmp_path / "fma_small" / "000" / name for name in ("000002.mp3", "000005.mp3"))
    good.parent.mkdir(parents=True)
    good.write_bytes(CLIPS["000/000002.mp3"])
    bad.write_bytes(bytes(len(CLIPS["000/000005.mp3"])))
    inode = good.stat().st_ino
    unpack(tmp_path / "fma_small.zip", tmp_path, "fma_small")
    assert good.stat().st_ino == inode
    assert bad.read_bytes() == CLIPS["000/000005.mp3"]


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/tmp/evil",
        "fma_small/../../evil",
        "evil",
        "fma_small\\..\\evil",
        "fma_small/./evil",
        "fma_small//evil",
    ],
)
def test_a_name_that_leads_elsewhere_unpacks_nothing(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("fma_small/good", b"good")
        archive.writestr(name, b"evil")
    with pytest.raises(UnsafeArchive, match="nothing was unpacked"):
        unpack(tmp_path / "bad.zip", tmp_path / "to", "fma_small")
    assert not (tmp_path / "to").exists() and not (tmp_path / "evil").exists()


def test_a_link_in_an_archive_unpacks_nothing(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("fma_small/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(link, "/etc")
    with pytest.raises(UnsafeArchive):
        unpack(tmp_path / "bad.zip", tmp_path / "to", "fma_small")


def test_a_file_that_its_list_of_checksums_contradicts_is_left_out_and_told(tmp_path: Path) -> None:
    sums = f"{'0' * 40}  000/000002.mp3\n{hashlib.sha1(CLIPS['000/000005.mp3']).hexdigest()}  000/000005.mp3\n"
    zipped(tmp_path / "fma_small.zip", CLIPS, sums=sums)
    with pytest.raises(WrongContent, match=r"1 of 6 files .* fma_small/000/000002\.mp3; all others"):
        unpack(tmp_path / "fma_small.zip", tmp_path, "fma_small")
    assert sorted(file.name for file in tmp_path.rglob("*.mp3")) == ["000005.mp3", "000010.mp3", "001040.mp3"]


def test_a_damaged_archive_is_told_with_the_file(tmp_path: Path) -> None:
    content = bytearray(zipped(tmp_path / "fma_small.zip", CLIPS))
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "fma_small.zip").write_bytes(content)
    with pytest.raises(DamagedArchive, match=r"damaged at fma_small/.*mp3"):
        unpack(tmp_path / "fma_small.zip", tmp_path, "fma_small")
    assert list(tmp_path.rglob(".*")) == []


def test_an_archive_that_the_disk_damaged_later_is_verified_anew(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    to = tmp_path / "fma"
    assert run(server, to) == 0
    (to / "fma_small" / "000" / "000002.mp3").unlink()
    archive, time_before = to / "fma_small.zip", (to / "fma_small.zip").stat()
    content = bytearray(server.content)
    content[1000] ^= 0xFF
    archive.write_bytes(content)
    os.utime(archive, ns=(time_before.st_atime_ns, time_before.st_mtime_ns))
    assert run(server, to) == 1
    assert "verifies it again" in capsys.readouterr().err
    assert run(server, to) == 1
    assert (to / "fma_small.zip.bad").exists()
    assert run(server, to) == 0
    assert_all_there(to)


def test_lines_of_checksums_count_from_the_archives_folder() -> None:
    sums = {letter: letter * 40 for letter in "abcd"}
    text = f"{sums['a']}  000/1.mp3\n{sums['b']} *./x y.csv\n{sums['c']}  fma_small/z\n{sums['d'].upper()}  u\nno checksum\n"
    assert checksums(text.encode(), "fma_small") == {
        "fma_small/000/1.mp3": sums["a"],
        "fma_small/x y.csv": sums["b"],
        "fma_small/z": sums["c"],
        "fma_small/u": sums["d"],
    }


def test_two_runs_do_not_write_into_the_same_part(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    to = tmp_path / "fma"
    to.mkdir()
    with open(to / ".fma_small.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert run(server, to) == 1
    assert "another run" in capsys.readouterr().err
    assert server.requests == []


def test_ctrl_c_leaves_what_the_next_run_goes_on_from(server: Server, tmp_path: Path) -> None:
    to, server.slow_s = tmp_path / "fma", 0.2
    command = [
        sys.executable,
        "-m",
        "batch.download_fma",
        "--subset",
        "small",
        "--to",
        str(to),
        "--base-url",
        server.url,
    ]
    process = subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    part = to / "fma_small.zip.part"
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert error == "download_fma: interrupted; the same command goes on from here\n"
    have = part.stat().st_size
    assert 0 < have < len(server.content)
    server.slow_s, server.requests = 0.0, []
    assert run(server, to) == 0
    assert server.requests == [("/fma/fma_small.zip", f"bytes={have}-")]
    assert_all_there(to)


def test_an_address_that_is_not_the_webs_is_a_wrong_argument(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["--subset", "small", "--to", str(tmp_path / "fma"), "--base-url", "file:///etc/"]) == 2
    assert "expected http" in capsys.readouterr().err


def test_the_job_needs_no_spark() -> None:
    code = "import sys, batch.download_fma; print([name for name in ('pyspark', 'librosa', 'tqdm') if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_terminal_of_unknown_width_gets_a_bar() -> None:
    ours, theirs = os.openpty()  # 0 columns wide until somebody says otherwise
    code = "from batch.fma.meter import Meter\nwith Meter('fma_small.zip', 2048, 1024) as meter: meter.add(1024)"
    names = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "PROGRESS_COLUMNS")}
    subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], stderr=theirs, env=names, check=True, timeout=60
    )
    os.close(theirs)
    drawn = os.read(ours, 65536).decode()
    os.close(ours)
    assert "fma_small.zip: 100%" in drawn and "2.00k/2.00k" in drawn


def test_a_line_tells_bytes_rate_and_time_left() -> None:
    gib = 1 << 30
    assert (
        byte_progress_text(3 * gib, 7 * gib, 2 * gib, 100.0) == "3.0 GiB of 7.0 GiB, 10.2 MiB a second, 6 min 40 s left"
    )
    assert byte_progress_text(7 * gib, 7 * gib, 0, 100.0) == "7.0 GiB of 7.0 GiB, 71.7 MiB a second"
    assert byte_progress_text(512, None, 0, 0.0) == "512 B"
