"""Tags of every format, and names where there are none."""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath

import mutagen
import pytest
from mutagen.id3 import ID3, RVA2, TALB, TCOM, TCON, TDRC, TIT2, TPE1, TRCK, TXXX, UFID, WCOP, WOAR

from batch.tags.file_tags import FileTags, file_tags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from mutated_files import whole_file  # noqa: E402

EXPECTED = FileTags(
    title="Food",
    artist="AWOL",
    album="A Way Of Life",
    genre="Hip-Hop",
    composer="Nobody",
    track_number=3,
    year=2008,
    licence="https://creativecommons.org/licenses/by/4.0/",
    artists=("AWOL",),
    genre_tags=("Hip-Hop",),
)
FRAMES = [
    TIT2(text="Food"),
    TPE1(text="AWOL"),
    TALB(text="A Way Of Life"),
    TCON(text="(7)"),
    TCOM(text="Nobody"),
    TRCK(text="3/12"),
    TDRC(text="2008-11-26"),
    WCOP(url="https://creativecommons.org/licenses/by/4.0/"),
    WOAR(url="https://example.org/awol"),
]


@pytest.mark.parametrize("suffix", ["mp3", "wav", "aiff", "aac"])
def test_id3_is_read_wherever_it_is(suffix: str, tmp_path: Path) -> None:
    path = whole_file(tmp_path / f"a.{suffix}", 1)
    if suffix == "aac":
        id3 = ID3()
    else:
        file = mutagen.File(path)
        file.add_tags()
        id3 = file.tags
    for frame in FRAMES:
        id3.add(frame)
    id3.save(path)
    assert file_tags(path, tmp_path) == EXPECTED


@pytest.mark.parametrize("suffix", ["flac", "ogg", "opus"])
def test_comments_are_read(suffix: str, tmp_path: Path) -> None:
    path = whole_file(tmp_path / f"a.{suffix}", 1)
    file = mutagen.File(path)
    file["TITLE"], file["ARTIST"], file["ALBUM"], file["GENRE"] = "Food", "AWOL", "A Way Of Life", "Hip-Hop"
    file["COMPOSER"], file["TRACKNUMBER"], file["DATE"], file["LICENSE"] = (
        "Nobody",
        "03",
        "26.11.2008",
        EXPECTED.licence,
    )
    file.save()
    assert file_tags(path, tmp_path) == EXPECTED


def test_an_mp4_has_atoms(tmp_path: Path) -> None:
    path = whole_file(tmp_path / "a.m4a", 1)
    file = mutagen.File(path)
    file["\xa9nam"], file["\xa9ART"], file["\xa9alb"], file["\xa9gen"] = "Food", "AWOL", "A Way Of Life", "Hip-Hop"
    file["trkn"], file["\xa9day"], file["cprt"] = [(3, 12)], "2008", "CC BY"
    file.save()
    tags = file_tags(path, tmp_path)
    assert (tags.title, tags.artist, tags.album, tags.genre) == ("Food", "AWOL", "A Way Of Life", "Hip-Hop")
    assert (tags.track_number, tags.year, tags.licence) == (3, 2008, "CC BY")


def test_without_tags_the_names_tell(tmp_path: Path) -> None:
    root = PurePosixPath("/music")
    file = whole_file(tmp_path / "a.flac", 1)
    assert file_tags(root / "Ana" / "First\nalbum" / "01 Song.flac", root, file) == FileTags(
        "01 Song", "Ana", "First album", artists=("Ana",)
    )
    assert file_tags(root / "Ana" / "Song.flac", root, file) == FileTags("Song", "Ana", artists=("Ana",))
    assert file_tags(root / "Song.flac", root, file) == FileTags("Song")
    assert file_tags(root / "\n.flac", root, file) == FileTags("Untitled")


def test_spoiled_tags_are_no_tags(tmp_path: Path) -> None:
    path = tmp_path / "Song.mp3"
    path.write_bytes(b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + b"TIT2\xff\xff\xff\xff" * 20)
    assert file_tags(path, tmp_path) == FileTags("Song")


RECORDING, RELEASE, ARTIST = (f"{digit * 8}-1111-4111-8111-111111111111" for digit in "abc")
LOUDNESS = (-6.5, 0.98, -7.25, 1.02)


def loudness(tags: FileTags) -> tuple[float | None, ...]:
    return tags.track_gain_db, tags.track_peak, tags.album_gain_db, tags.album_peak


def musicbrainz(tags: FileTags) -> tuple[object, ...]:
    return tags.musicbrainz_recording_id, tags.musicbrainz_release_id, tags.musicbrainz_artist_ids


@pytest.mark.parametrize("suffix", ["flac", "ogg"])
def test_replaygain_and_musicbrainz_ids_are_read_from_comments(suffix: str, tmp_path: Path) -> None:
    path = whole_file(tmp_path / f"a.{suffix}", 1)
    file = mutagen.File(path)
    file["REPLAYGAIN_TRACK_GAIN"], file["REPLAYGAIN_TRACK_PEAK"] = "-6.50 dB", "0.98"
    file["REPLAYGAIN_ALBUM_GAIN"], file["REPLAYGAIN_ALBUM_PEAK"] = "-7,25 dB", "1.02"
    file["MUSICBRAINZ_TRACKID"], file["MUSICBRAINZ_ALBUMID"] = RECORDING.upper(), RELEASE
    file["MUSICBRAINZ_ARTISTID"] = [ARTIST, RECORDING]
    file.save()
    tags = file_tags(path, tmp_path)
    assert loudness(tags) == LOUDNESS and musicbrainz(tags) == (RECORDING, RELEASE, (ARTIST, RECORDING))


def test_replaygain_and_musicbrainz_ids_are_read_from_id3(tmp_path: Path) -> None:
    path = whole_file(tmp_path / "a.mp3", 1)
    id3 = ID3()
    texts = {
        "REPLAYGAIN_TRACK_GAIN": "-6.50 dB",
        "replaygain_track_peak": "0.98",
        "REPLAYGAIN_ALBUM_PEAK": "1.02",
        "MusicBrainz Album Id": RELEASE,
        "MusicBrainz Artist Id": f"{ARTIST}/{RECORDING}",
    }
    for name, text in texts.items():
        id3.add(TXXX(desc=name, text=text))
    id3.add(RVA2(desc="album", channel=1, gain=-7.25, peak=0.0))
    id3.add(UFID(owner="http://musicbrainz.org", data=RECORDING.encode()))
    id3.save(path)
    tags = file_tags(path, tmp_path)
    assert loudness(tags) == LOUDNESS and musicbrainz(tags) == (RECORDING, RELEASE, (ARTIST, RECORDING))


def test_replaygain_and_musicbrainz_ids_are_read_from_mp4(tmp_path: Path) -> None:
    path = whole_file(tmp_path / "a.m4a", 1)
    file = mutagen.File(path)
    texts = {"replaygain_track_gain": "-6.50 dB", "MusicBrainz Track Id": RECORDING, "MusicBrainz Album Id": RELEASE}
    for name, text in texts.items():
        file[f"----:com.apple.iTunes:{name}"] = text.encode()
    file.save()
    tags = file_tags(path, tmp_path)
    assert tags.track_gain_db == -6.5 and musicbrainz(tags) == (RECORDING, RELEASE, None)


def test_the_gain_of_opus_is_replaygain_of_another_reference(tmp_path: Path) -> None:
    path = whole_file(tmp_path / "a.opus", 1)
    file = mutagen.File(path)
    file["R128_TRACK_GAIN"] = "-2560"
    file.save()
    assert file_tags(path, tmp_path).track_gain_db == -5.0


@pytest.mark.parametrize("text", ["", "loud", "-6.5 dB or so", "nan", "1e5", "400 dB", "٣"])
def test_what_is_no_gain_is_none(text: str, tmp_path: Path) -> None:
    path = whole_file(tmp_path / "a.flac", 1)
    file = mutagen.File(path)
    file["REPLAYGAIN_TRACK_GAIN"] = file["REPLAYGAIN_TRACK_PEAK"] = text
    file["R128_TRACK_GAIN"] = file["MUSICBRAINZ_TRACKID"] = text
    file.save()
    tags = file_tags(path, tmp_path)
    assert (tags.track_gain_db, tags.track_peak, tags.musicbrainz_recording_id) == (None, None, None)
