import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import pytest
import soundfile

from local.sample_library import ForeignFolder, RenderingFailed, library, render
from local.sample_library.arrangement import chords
from local.sample_library.pieces import Piece, title_of
from local.sample_library.plan import Track, plan, track
from local.sample_library.rendering import render_track
from local.sample_library.scores import Note, NotPublicDomain, Score, score
from local.sample_library.styles import STYLES

PROJECT = Path(__file__).resolve().parents[2]
CHORALE = next(style for style in STYLES if style.name == "Chorale")
JAZZ = next(style for style in STYLES if style.name == "Jazz")


def two_styles(tracks_per_style: int) -> list[Track]:
    """A plan small enough to be carried out in a test."""
    return [track(style, position) for style in (CHORALE, JAZZ) for position in range(tracks_per_style)]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of two tracks, not to be changed."""
    out = tmp_path_factory.mktemp("sample") / "library"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "plan", two_styles)
        seen: list[tuple[int, int]] = []
        files = render(out, tracks_per_style=1, processes=2, progress=lambda done, total: seen.append((done, total)))
    assert files == [out / planned.path for planned in two_styles(1)]
    assert seen == [(0, 2), (1, 2), (2, 2)]
    return out


@pytest.fixture
def finished(tmp_path: Path, rendered: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same library, to be changed."""
    monkeypatch.setattr(library, "plan", two_styles)
    return Path(shutil.copytree(rendered, tmp_path / "library"))


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[str]]:
    """The processes that a test starts."""
    processes: list[subprocess.Popen[str]] = []

    class Recorded(subprocess.Popen[str]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            processes.append(self)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    return processes


def music(out: Path) -> dict[Path, int]:
    """The tracks of a library, and when each was written."""
    return {file.relative_to(out): file.stat().st_mtime_ns for file in out.rglob("*.mp3")}


def test_the_default_plan_is_128_tracks_of_16_styles() -> None:
    tracks = plan(8)

    assert Counter(each.style.name for each in tracks) == {style.name: 8 for style in STYLES} and len(STYLES) == 16
    assert len({each.path for each in tracks}) == len({(each.style.name, each.piece.title) for each in tracks}) == 128
    assert all(each.album != each.artist.name and "(generated)" in each.artist.name for each in tracks)
    assert all(2 <= len({each.artist for each in tracks if each.style is style}) <= 3 for style in STYLES)
    assert not [
        each.piece.title
        for each in tracks
        if each.piece.title.isupper() or re.search("_|[.](abc|mxl)", each.piece.title)
    ]
    assert all(str(each.path).isascii() for each in tracks)


def test_a_larger_plan_contains_a_smaller_one_and_numbers_every_album_from_one() -> None:
    larger = plan(24)

    assert set(plan(3)) < set(larger)
    for album in {each.album for each in larger}:
        numbers = [each.number for each in larger if each.album == album]
        assert numbers == list(range(1, len(numbers) + 1))


def test_a_plan_for_more_tracks_than_there_are_pieces_is_refused() -> None:
    with pytest.raises(ValueError, match="String Quartet has 24 pieces"):
        plan(25)


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("DEVIL'S DREAM -- REEL.", "Devil's Dream"),
        ("JUDY'S -- REEL", "Judy's Reel"),
        ("First of June, the", "The First of June"),
        ("Celebrat:ed Stop -- Hornpipe", "Celebrated Stop"),
        ("THE LAMENTATION OF OWEN ROE O'NEILL", "The Lamentation of Owen Roe O'Neill"),
        ("MISS McLEOD'S -- REEL", "Miss McLeod's Reel"),
        ("Belle of the Stage (Lancashire) -- Clog", "Belle of the Stage"),
    ],
)
def test_titles_are_shown_as_in_a_list_of_books(printed: str, shown: str) -> None:
    assert title_of(printed) == shown


def test_each_bar_gets_the_chord_that_holds_its_notes() -> None:
    c_major = (0, 2, 4, 5, 7, 9, 11)
    tune = (Note(0, 2, 60), Note(2, 2, 64), Note(4, 4, 65), Note(8, 2, 67), Note(10, 2, 62), Note(12, 4, 60))

    found = chords(tune, Score((tune,), bar=4, length=16, scale=c_major))

    assert [chord[0] for chord in found] == [0, 5, 7, 0]


def test_a_score_with_a_copyright_line_is_refused() -> None:
    with pytest.raises(NotPublicDomain, match=r"bwv1\.6\.mxl says"):
        score(Piece("Wie schön leuchtet der Morgenstern", "Bach", "", "bach/bwv1.6.mxl"))


def test_all_parts_of_a_score_begin_and_end_together() -> None:
    chorale = score(track(CHORALE, 0).piece)

    assert [part[0].start for part in chorale.parts] == [-1, -1, -1, -1]
    assert len({part[-1].start + part[-1].length for part in chorale.parts}) == 1


def test_a_file_says_what_it_is_and_that_nobody_played_it(rendered: Path) -> None:
    title = track(JAZZ, 0).piece.title

    tags = mutagen.File(rendered / f"Jazz/Overtone Tenor Trio (generated)/Smoke Break/01 {title}.mp3").tags

    shown = {frame: str(tags[frame]) for frame in ("TIT2", "TCOM", "TPE1", "TALB", "TCON", "TDRC", "TRCK")}
    assert shown == {
        "TIT2": title,
        "TCOM": "Traditional",
        "TPE1": "Overtone Tenor Trio (generated)",
        "TALB": "Smoke Break",
        "TCON": "Jazz",
        "TDRC": "2026",
        "TRCK": "1",
    }
    assert "CC0" in str(tags["TCOP"])
    assert "Generated by Overtone" in str(tags["COMM::eng"]) and title in str(tags["COMM::eng"])


def test_a_file_is_thirty_seconds_of_sound(rendered: Path) -> None:
    for file in music(rendered):
        y, rate = soundfile.read(rendered / file, dtype="float32")

        assert y.shape[1] == 2 and len(y) / rate == pytest.approx(30, abs=0.2)
        assert 0.4 < np.abs(y).max() < 1
        loudness = np.sqrt((y[: 28 * rate].reshape(28, -1) ** 2).mean(axis=1))
        assert (loudness > 0.02).all()


def test_a_track_gets_the_same_bytes_wherever_it_is_rendered(tmp_path: Path, rendered: Path) -> None:
    for planned in two_styles(1):
        render_track(planned, tmp_path / "again.mp3")

        assert (tmp_path / "again.mp3").read_bytes() == (rendered / planned.path).read_bytes()


def test_a_finished_library_is_left_alone_and_costs_no_heavy_import(finished: Path) -> None:
    before = music(finished)
    program = f"""
import sys
from pathlib import Path
from local.sample_library import library
from local.sample_library.plan import track
from local.sample_library.styles import STYLES
library.plan = lambda number: [track(s, i) for s in STYLES if s.name in ("Chorale", "Jazz") for i in range(number)]
assert len(library.render(Path({str(finished)!r}), tracks_per_style=1)) == 2
print(*{{"music21", "numpy", "mido", "lameenc"}} & sys.modules.keys())
"""

    ran = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)

    assert ran.stdout.split() == []
    assert music(finished) == before


def test_a_folder_with_foreign_files_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "song.mp3").write_text("mine")

    with pytest.raises(ForeignFolder, match="is missing: name an empty or a new folder"):
        render(tmp_path)

    assert [file.name for file in tmp_path.iterdir()] == ["song.mp3"]
    assert (tmp_path / "song.mp3").read_text() == "mine"


def test_a_killed_run_is_resumed_and_its_half_written_file_removed(finished: Path) -> None:
    present, lost = (each.path for each in two_styles(1))
    written = (finished / present).stat().st_mtime_ns
    whole = (finished / lost).read_bytes()
    half = (finished / lost).rename((finished / lost).with_name(f".{lost.name}.part"))
    half.write_bytes(whole[:1000])

    render(finished, tracks_per_style=1)

    assert not half.exists()
    assert (finished / lost).read_bytes() == whole
    assert (finished / present).stat().st_mtime_ns == written


def test_files_of_an_older_renderer_are_replaced_and_others_kept(finished: Path) -> None:
    before = music(finished)
    old = finished / "Polka" / "Somebody" / "01 Gone.mp3"
    old.parent.mkdir(parents=True)
    old.write_text("old")
    (finished / "notes.txt").write_text("mine")
    marker = json.loads((finished / ".sample-library.json").read_text())
    marker["made_by"]["renderer"] = 0
    marker["files"] += ["Polka/Somebody/01 Gone.mp3", "../outside.mp3", "notes.txt"]
    (finished / ".sample-library.json").write_text(json.dumps(marker))
    (finished.parent / "outside.mp3").write_text("mine")

    render(finished, tracks_per_style=1)

    assert not (finished / "Polka").exists()
    assert (finished / "notes.txt").exists() and (finished.parent / "outside.mp3").exists()
    assert music(finished).keys() == before.keys()
    assert all(music(finished)[path] != before[path] for path in before)


def test_a_failure_names_its_track_and_leaves_no_process(
    tmp_path: Path, started: list[subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    impossible = replace(track(JAZZ, 0), position=10**6)
    monkeypatch.setattr(library, "plan", lambda number: [impossible, *two_styles(number)])

    with pytest.raises(RenderingFailed, match=rf"{impossible.piece.title}.*Jazz.*has \d+ pieces"):
        render(tmp_path / "new", tracks_per_style=4, processes=2)

    assert len(started) == 2 and all(process.poll() is not None for process in started)


def test_an_interrupted_run_leaves_no_process(
    tmp_path: Path, started: list[subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "plan", two_styles)

    def interrupt(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(tmp_path / "new", tracks_per_style=4, processes=2, progress=interrupt)

    assert len(started) == 2 and all(process.poll() is not None for process in started)
    assert 1 <= len(music(tmp_path / "new")) < 8
