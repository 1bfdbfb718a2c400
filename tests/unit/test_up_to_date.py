"""What the demo's batch jobs have to do: nothing, something while it serves, or all of it first."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from batch import registry
from batch.audio.decoding import DECODER_VERSION
from batch.audio.features import EXTRACTOR_VERSION
from batch.ear.network import EAR_VERSION
from batch.library.files import AudioFile, UnusablePath
from batch.tags.file_tags import TAG_READER_VERSION
from conf.settings import Lake, Library, Settings, settings
from local.library import up_to_date
from local.library.up_to_date import Due, due

FILES = [AudioFile(f"/music/{number}.flac", 10 + number, 100, 200) for number in range(3)]
BOTH = f"{EXTRACTOR_VERSION}+{EAR_VERSION}"


class Home:
    """A home with three tracks, as this version makes it; what is changed of that is a test's matter."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lake = Lake(root=str(folder / "lake"))
        self.files, self.unusable = list(FILES), [UnusablePath("/music/link.mp3", "broken link", "")]
        self.manifest = {"library": "/music", "extractor_version": BOTH}
        self.parts = {"index/recordings.npy"}
        self.tracks = [
            {"track_id": f"t{n}", "library": "/music", "files": [asdict(file)], "gone_at": None, "tag_reader": TAG_READER_VERSION}
            for n, file in enumerate(FILES)
        ]  # fmt: skip
        self.features: list[dict[str, Any]] = [
            {"track_id": f"t{n}", "extractor_version": BOTH, "ear_problem": None} for n in range(3)
        ]
        self.rejected = [
            {"library": "/music", "path": "/music/link.mp3", "size": 0, "mtime_ns": 0, "ctime_ns": None,
             "reason": "broken link", "decoder_version": DECODER_VERSION}
        ]  # fmt: skip
        self.is_published = True
        self.ear = "musicnn"
        self._monkeypatch = monkeypatch

    @property
    def settings(self) -> Settings:
        return settings(lake=self.lake, library=Library(root="/music", ear=self.ear))

    def due(self) -> Due:
        strings = {"gone_at", "ear_problem", "ctime_ns"}
        for name in ("tracks", "features", "rejected"):
            rows = getattr(self, name)
            columns = {
                key: pa.array([row[key] for row in rows], pa.string() if key in strings - {"ctime_ns"} else None)
                for key in rows[0]
            }
            if "ctime_ns" in columns:
                columns["ctime_ns"] = columns["ctime_ns"].cast(pa.int64())
            location = self.lake.table("rejected_tracks" if name == "rejected" else name)
            write_deltalake(location, pa.table(columns), mode="overwrite", schema_mode="overwrite")

        class Model(registry.Model):
            def has(_self, part: str) -> bool:  # noqa: N805
                return part in self.parts

        model = Model("v", Path("/nowhere"), self.manifest)
        self._monkeypatch.setattr(registry, "latest", lambda _root: model)
        self._monkeypatch.setattr(up_to_date, "_is_published", lambda *_: self.is_published)
        return due(Path("/music"), self.files, self.unusable, self.settings)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    return Home(tmp_path, monkeypatch)


def test_what_this_version_made_of_the_same_files_is_up_to_date(home: Home) -> None:
    assert home.due() is Due.NOTHING


def test_other_files_come_first(home: Home) -> None:
    home.files[1] = AudioFile("/music/1.flac", 11, 101, 200)
    assert home.due() is Due.FIRST
    home.files = [*FILES, AudioFile("/music/new.flac", 1, 1, 1)]
    assert home.due() is Due.FIRST
    home.files = FILES[:2]
    assert home.due() is Due.FIRST
    home.files, home.unusable = FILES, []
    assert home.due() is Due.FIRST


def test_without_a_model_of_this_library_or_its_publication_all_comes_first(home: Home) -> None:
    home.is_published = False
    assert home.due() is Due.FIRST
    home.is_published, home.manifest = True, {"library": "/other", "extractor_version": BOTH}
    assert home.due() is Due.FIRST
    home.manifest = {"library": "/music", "extractor_version": f"{EXTRACTOR_VERSION}+whole+{EAR_VERSION}"}
    assert home.due() is Due.FIRST


def test_a_home_of_an_earlier_version_serves_and_is_brought_up_to_date_meanwhile(home: Home) -> None:
    home.manifest["extractor_version"] = EXTRACTOR_VERSION
    home.parts = set()
    home.tracks = [
        {**row, "files": [{k: v for k, v in row["files"][0].items() if k != "ctime_ns"}]} for row in home.tracks
    ]
    for rows, names in (
        (home.tracks, ["tag_reader"]), (home.features, ["ear_problem"]), (home.rejected, ["ctime_ns", "decoder_version"])
    ):  # fmt: skip
        for row in rows:
            for name in names:
                del row[name]
    for row in home.features:
        row["extractor_version"] = EXTRACTOR_VERSION
    assert home.due() is Due.LATER


def test_what_the_ear_lacks_is_added_meanwhile(home: Home) -> None:
    home.features[1]["extractor_version"] = EXTRACTOR_VERSION  # a run was ended midway
    assert home.due() is Due.LATER
    home.features[1]["extractor_version"] = BOTH
    home.manifest["extractor_version"] = EXTRACTOR_VERSION  # or before it had trained
    assert home.due() is Due.LATER
    home.ear = "none"
    assert home.due() is Due.NOTHING
    home.manifest["extractor_version"] = BOTH
    assert home.due() is Due.LATER


def test_a_library_that_the_ear_could_not_hear_is_up_to_date_without(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.manifest["extractor_version"] = EXTRACTOR_VERSION
    for row in home.features[:2]:
        row["ear_problem"] = "the trained ear's answer is not all finite numbers"
    assert home.due() is Due.NOTHING
    home.features[1]["ear_problem"] = None
    assert home.due() is Due.LATER, "one that was not heard does not keep the ear from a model of the others"
    home.manifest["extractor_version"] = BOTH
    assert home.due() is Due.NOTHING
    home.manifest["extractor_version"] = EXTRACTOR_VERSION
    for row in home.features:
        row["extractor_version"] = EXTRACTOR_VERSION
    monkeypatch.setattr(up_to_date, "usable_graph", lambda _ear: (None, "no file"))
    assert home.due() is Due.NOTHING
