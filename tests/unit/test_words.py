"""Words for the sound of tracks: the vocabulary, percentiles within a library, and their way through an index."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from batch.ear.tag_names import TAG_NAMES
from batch.growth import append, remove
from batch.index.building import build_index, with_local_scales
from batch.index.lsh import Index
from batch.index.tuning import HashParameters, random_projection
from batch.words.tag_percentiles import Calibration, read_words, rows_of_words, said, said_words
from batch.words.vocabulary import MOOD, WORD_BY_NAME, WORDS, listed, tag_key, word_of, words_in

TAGS = list(TAG_NAMES)


def probabilities(n: int, **by_tag: list[float]) -> np.ndarray:
    """n tracks whose tags have 0.001 but for the given ones; blanks are written as underscores."""
    values = np.full((n, len(TAGS)), 0.001)
    for tag, column in by_tag.items():
        values[:, [each.casefold() for each in TAGS].index(tag.replace("_", " "))] = column
    return values


def column(calibration: Calibration, name: str) -> int:
    return calibration.names.index(name)


@pytest.mark.parametrize(
    ("text", "words", "rest"),
    [
        ("mellow acoustic guitar", ["mellow", "acoustic", "guitar"], ""),
        ("instrumental", ["instrumental"], ""),
        ("Female Vocalist", ["female vocalists"], ""),
        ("female vocals, hip hop", ["female vocalists", "hip-hop"], ""),
        ("Alternative Rock", ["alternative rock"], ""),
        ("chill chillout", ["chill"], ""),
        ("R&B", ["rnb"], ""),
        ("mellow Bach", ["mellow"], "bach"),
        ("80s sexy rocket", [], "80s sexy rocket"),
        ("mello", [], "mello"),
        ("", [], ""),
    ],
)
def test_words_are_read_from_a_text_and_the_rest_is_left(text: str, words: list[str], rest: str) -> None:
    found, left = words_in(text)
    assert ([word.name for word in found], left) == (words, rest)


def test_every_word_is_of_tags_that_the_network_has() -> None:
    tags = [tag for word in WORDS for tag in word.tags]
    assert len(tags) == len(set(tags)) and set(tags) <= {tag.casefold() for tag in TAGS}
    left_out = {tag.casefold() for tag in TAGS} - set(tags)
    assert left_out == {"00s", "60s", "70s", "80s", "90s", "oldies", "sexy"}


def test_moods_have_no_decades() -> None:
    moods = {word.name for word in WORDS if word.kind == MOOD}
    assert {"mellow", "happy", "sad", "party"} <= moods and not moods & {"80s", "sexy", "rock", "instrumental"}


def test_names_of_one_tag_have_one_key() -> None:
    assert tag_key("Female  Vocalist") == tag_key("female vocalists") == "female vocalists"
    assert tag_key("Polka ") == "polka" and word_of("Polka") is None


def test_a_tracks_words_stand_by_kind() -> None:
    assert listed(["rock", "guitar", "sad", "mellow", "polka"]) == ["sad", "mellow", "guitar", "rock"]


def test_a_percentile_is_the_share_of_the_library_below() -> None:
    values = probabilities(101, mellow=np.linspace(0.02, 0.12, 101).tolist())
    calibration = Calibration.of(values, TAGS)
    percentiles = calibration.percentiles(values, TAGS)[:, column(calibration, "mellow")]
    assert [int(percentiles[row]) for row in (0, 1, 50, 99, 100)] == [0, 1, 50, 99, 100]


def test_an_added_track_is_compared_with_the_library() -> None:
    calibration = Calibration.of(probabilities(101, mellow=np.linspace(0.02, 0.12, 101).tolist()), TAGS)
    added = calibration.percentiles(probabilities(3, mellow=[0.5, 0.0705, 0.011]), TAGS)
    assert added[:, column(calibration, "mellow")].tolist() == [100, 50, 0]


def test_tracks_of_one_probability_stand_above_nobody() -> None:
    """A library that sounds the same throughout has no words."""
    values = probabilities(20, mellow=[0.2] * 20, jazz=[0.1] * 19 + [0.3])
    calibration = Calibration.of(values, TAGS)
    assert said_words(calibration.percentiles(values, TAGS), calibration.names)[0] == []
    assert [each["tag"] for each in said_words(calibration.percentiles(values, TAGS), calibration.names)[19]] == [
        "jazz"
    ]


def test_synonyms_count_together() -> None:
    values = probabilities(3, chill=[0.3, 0.0, 0.1], chillout=[0.0, 0.4, 0.05])
    calibration = Calibration.of(values, TAGS)
    chill = calibration.percentiles(values, TAGS)[:, column(calibration, "chill")]
    assert chill.argsort().tolist() == [2, 0, 1]


def test_what_the_network_finds_unlikely_is_said_of_nobody() -> None:
    """The first of a library is no metal where its probability is lower than half of other music has."""
    values = probabilities(50, metal=np.linspace(0, 0.008, 50).tolist(), jazz=np.linspace(0, 0.4, 50).tolist())
    calibration = Calibration.of(values, TAGS)
    names = {each["tag"] for each in said_words(calibration.percentiles(values, TAGS), calibration.names)[-1]}
    assert "jazz" in names and "metal" not in names


def test_at_most_ten_words_are_said_the_highest_first() -> None:
    names = [word.name for word in WORDS][:14]
    percentiles = np.array([[85, 99, 84, 90, 91, 92, 93, 94, 95, 96, 97, 98, 86, 87], [0] * 13 + [100]], dtype=np.uint8)
    first, second = said_words(percentiles, names)
    assert [each["percentile"] for each in first] == [99, 98, 97, 96, 95, 94, 93, 92, 91, 90]
    assert second == [{"tag": names[13], "percentile": 100}]
    assert said(percentiles).sum(axis=1).tolist() == [10, 1]


def test_stored_words_are_read_whatever_they_are() -> None:
    stored = [{"tag": "mellow", "percentile": 90.0}, {"tag": 3, "percentile": 1}, {"tag": "sad"}, "sad", None]
    assert read_words([*stored, {"tag": "happy", "percentile": 101}, {"tag": "rock", "percentile": True}]) == {
        "mellow": 90
    }
    assert read_words(None) == read_words("mellow") == {}
    assert rows_of_words([{"mellow": 90, "polka": 99}, {}], ["sad", "mellow"]).tolist() == [[0, 90], [0, 0]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of an index of four tracks, a to d, the last of which is mellow and jazz."""
    rng = np.random.default_rng(3)
    projection = random_projection(HashParameters(2, 4), np.eye(4, dtype=np.float32), 3.0, seed=3)
    folder = tmp_path / "index"
    with_local_scales(build_index(list("abcd"), rng.normal(0, 1, (4, 4)), [None] * 4, projection)).save(folder)
    values = probabilities(4, mellow=[0.02, 0.03, 0.04, 0.05], jazz=[0.1, 0.1, 0.1, 0.3])
    calibration = Calibration.of(values, TAGS)
    calibration.save(folder, calibration.percentiles(values, TAGS))
    return folder


def test_an_index_has_the_words_of_its_tracks(folder: Path) -> None:
    index = Index.open(folder)
    assert index.tag_names.tolist() == [word.name for word in WORDS]
    words = said_words(index.tags, index.tag_names.tolist())
    assert {each["tag"] for each in words[3]} == {"mellow", "jazz"} and words[0] == []


def test_an_added_track_has_its_words_and_a_removed_one_keeps_none_of_anothers(folder: Path) -> None:
    append(folder, ["e", "A"], np.ones((2, 4)), [None, None], words=[{"sad": 97}, {}])
    remove(folder, ["b"])
    append(folder, ["f"], np.zeros((1, 4)), [None], words=[{"sad": 88, "polka": 99}])
    index = Index.open(folder)
    sad = index.tag_names.tolist().index("sad")
    assert [int(index.tags[row][sad]) for row in index.rows_of(["e", "A", "f", "d"])] == [97, 0, 88, 0]
    assert index.tags.shape == (7, len(WORDS))


def test_an_index_without_words_and_segments_of_an_earlier_version_are_read(folder: Path) -> None:
    append(folder, ["e"], np.ones((1, 4)), [None], words=[{"sad": 97}])
    segment = next((folder / "added").glob("*.npz"))
    with np.load(segment) as stored:
        earlier = {name: stored[name] for name in stored.files if name != "tags"}
    np.savez(segment, **earlier)
    assert np.asarray(Index.open(folder).tags)[4].tolist() == [0] * len(WORDS)
    for name in ("tags", "tag_names", "tag_quantiles"):
        (folder / f"{name}.npy").unlink()
    assert Index.open(folder).tags is None and Calibration.open(folder) is None
    append(folder, ["f"], np.zeros((1, 4)), [None], words=[{"sad": 97}])
    assert Index.open(folder).tags is None and len(Index.open(folder)) == 6


def test_a_calibration_is_read_back_without_words_of_a_later_version(folder: Path) -> None:
    calibration = Calibration.open(folder)
    assert calibration is not None and calibration.names == tuple(word.name for word in WORDS)
    later = replace(calibration, names=("polka", *calibration.names[1:]))
    later.save(folder, np.zeros((4, len(WORDS)), np.uint8))
    read = Calibration.open(folder)
    assert read is not None and read.names == calibration.names[1:] and read.quantiles.shape == (101, len(WORDS) - 1)
    assert "polka" not in WORD_BY_NAME


def test_tags_of_another_number_of_tracks_are_reported(folder: Path) -> None:
    np.save(folder / "tags.npy", np.zeros((3, len(WORDS)), np.uint8))
    with pytest.raises(ValueError, match=rf"tags.npy has shape 3 × {len(WORDS)}, expected 4 × {len(WORDS)}"):
        Index.open(folder)
