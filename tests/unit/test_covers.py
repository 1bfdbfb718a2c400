"""Pictures of albums: found in files and folders, checked, made small, kept; whatever they are."""

from __future__ import annotations

import base64
import os
import random
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import mutagen
import pytest
from mutagen.apev2 import APEv2, APEValue
from mutagen.flac import Picture
from mutagen.id3 import APIC, ID3
from mutagen.mp4 import MP4Cover
from PIL import Image
from pyarrow import fs

from conf.settings import PROJECT
from ui.auth.places import Client
from ui.auth.shares import ShareTaken
from ui.covers import covers as covers_module
from ui.covers.candidates import Hint, candidates, pictures_in_store, read_hint
from ui.covers.covers import CoverPending, Covers, nearest_size
from ui.covers.embedded import embedded_pictures
from ui.covers.reading import made
from ui.covers.store import ThumbnailStore
from ui.covers.thumbnails import UnusablePicture, thumbnail

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from coroutines import result_of  # noqa: E402
from mutated_files import whole_file  # noqa: E402

ANA = Client("ana", "home")
RED, BLUE = (200, 20, 20), (20, 20, 200)


def picture(colour: tuple[int, ...] = RED, size: tuple[int, int] = (300, 300), kind: str = "JPEG") -> bytes:
    output = BytesIO()
    mode = "RGBA" if len(colour) == 4 else "RGB"
    Image.new(mode, size, colour).save(output, kind)
    return output.getvalue()


def colour_of(content: bytes) -> tuple[int, ...]:
    """The colour of a picture's middle, by tens."""
    with Image.open(BytesIO(content)) as image:
        pixel = image.convert("RGB").getpixel((image.width // 2, image.height // 2))
    return tuple(round(value / 10) for value in pixel)  # type: ignore[union-attr]


TENS_OF_RED, TENS_OF_BLUE = (20, 2, 2), (2, 2, 20)


def block(content: bytes, kind: int = 3) -> Picture:
    flac = Picture()
    flac.data, flac.type, flac.mime = content, kind, "image/jpeg"
    return flac


def with_id3(path: Path) -> None:
    id3 = ID3()
    id3.add(APIC(mime="image/jpeg", type=4, desc="back", data=picture(BLUE)))
    id3.add(APIC(mime="image/jpeg", type=3, desc="front", data=picture()))
    id3.save(path)


def with_chunk(path: Path) -> None:
    file = mutagen.File(path)
    file.add_tags()
    file.tags.add(APIC(mime="image/jpeg", type=3, desc="front", data=picture()))
    file.save()


def with_mp4(path: Path) -> None:
    file = mutagen.File(path)
    file["covr"] = [MP4Cover(picture(), MP4Cover.FORMAT_JPEG)]
    file.save()


def with_flac(path: Path) -> None:
    file = mutagen.File(path)
    file.add_picture(block(picture(BLUE), 4))
    file.add_picture(block(picture()))
    file.save()


def with_comments(path: Path) -> None:
    file = mutagen.File(path)
    file["metadata_block_picture"] = ["no base64 at all", base64.b64encode(block(picture()).write()).decode()]
    file.save()


def with_ape(path: Path) -> None:
    tags = APEv2()
    tags["Cover Art (Front)"] = APEValue(b"front.jpg\0" + picture(), 1)
    tags.save(path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.mp3", with_id3),
        ("a.wav", with_chunk),
        ("a.aiff", with_chunk),
        ("a.m4a", with_mp4),
        ("a.flac", with_flac),
        ("a.ogg", with_comments),
        ("a.opus", with_comments),
        ("b.mp3", with_ape),
    ],
)
def test_a_files_front_cover_is_found_whatever_its_tags_are(
    name: str, write: Callable[[Path], None], tmp_path: Path
) -> None:
    path = whole_file(tmp_path / name, 1)
    assert made("embedded", str(path), 160) is None
    write(path)
    content = made("embedded", str(path), 160)
    assert content is not None and colour_of(content) == TENS_OF_RED
    with Image.open(BytesIO(content)) as image:
        assert (image.format, image.size) == ("JPEG", (160, 160))


@pytest.mark.parametrize("name", ["a.mp3", "a.flac", "a.ogg", "a.m4a"])
def test_a_damaged_file_has_no_picture_and_raises_nothing(name: str, tmp_path: Path) -> None:
    path = whole_file(tmp_path / name, 1)
    {"a.mp3": with_id3, "a.flac": with_flac, "a.ogg": with_comments, "a.m4a": with_mp4}[name](path)
    whole, draw = path.read_bytes(), random.Random(1)
    for _ in range(60):
        content = bytearray(whole[: draw.randrange(len(whole))] if draw.random() < 0.5 else whole)
        for _ in range(draw.randrange(1, 40) if content else 0):
            content[draw.randrange(min(len(content), 2000))] = draw.randrange(256)
        for embedded in embedded_pictures(BytesIO(bytes(content))):
            assert isinstance(embedded, bytes)


def png_of(width: int, height: int, rows: bytes = b"") -> bytes:
    """A PNG that says it is so large, with the compressed content of these rows."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"GIF89a" + bytes(100),
        picture(kind="GIF"),
        picture(kind="TIFF"),
        picture(kind="BMP"),
        picture()[:400],  # cut short
        picture(size=(4, 4)),
        picture(size=(2000, 2)),
        png_of(30_000, 30_000),  # says it is large, and has nothing
        png_of(20_000, 20_000, bytes(1000)),
        picture(kind="PNG")[:60],
        b"\xff\xd8\xff\xe0" + bytes(5000),
    ],
    ids=range(13),
)
def test_what_is_no_picture_that_can_be_shown_is_refused(content: bytes) -> None:
    with pytest.raises(UnusablePicture):
        thumbnail(content, 320)


@pytest.mark.parametrize(
    ("content", "size", "colour"),
    [
        (picture(size=(1200, 800)), (320, 213), TENS_OF_RED),
        (picture(size=(100, 50)), (100, 50), TENS_OF_RED),  # a small one stays small
        (picture(kind="PNG"), (300, 300), TENS_OF_RED),
        (picture(kind="WEBP"), (300, 300), TENS_OF_RED),
        (picture((*BLUE, 255), kind="PNG"), (300, 300), TENS_OF_BLUE),
        (picture((*BLUE, 0), kind="PNG"), (300, 300), (2, 3, 3)),  # nothing but the ground behind it
    ],
    ids=range(6),
)
def test_a_picture_becomes_a_small_jpeg(content: bytes, size: tuple[int, int], colour: tuple[int, ...]) -> None:
    small = thumbnail(content, 320)
    with Image.open(BytesIO(small)) as image:
        assert (image.format, image.size) == ("JPEG", size)
    assert colour_of(small) == colour


def test_a_picture_of_sixteen_megabytes_is_shown_and_a_larger_file_is_not_read(tmp_path: Path) -> None:
    noise = Image.frombytes("RGB", (2300, 2300), random.Random(2).randbytes(2300 * 2300 * 3))
    noise.save(tmp_path / "cover.png", compress_level=0)
    size = (tmp_path / "cover.png").stat().st_size
    assert 15 << 20 < size < 17 << 20
    content = made("file", str(tmp_path / "cover.png"), 640)
    assert content is not None and len(content) < 1 << 20
    with open(tmp_path / "cover.png", "ab") as file:
        file.truncate(40 << 20)
    assert made("file", str(tmp_path / "cover.png"), 640) is None


def test_pictures_beside_the_music_count_in_any_case_the_best_name_first(tmp_path: Path) -> None:
    for name in ("Front.PNG", "folder.jpg", "COVER.webp", "Cover.txt", "back.jpg", "cover.jpg.part"):
        (tmp_path / name).write_bytes(picture())
    in_folder = candidates(Hint((), (str(tmp_path), str(tmp_path / "nowhere"))), [])
    assert [Path(path).name for path in in_folder.pictures] == ["COVER.webp", "folder.jpg", "Front.PNG"]


def test_a_changed_picture_is_another_state(tmp_path: Path) -> None:
    hint = Hint(("a",), (str(tmp_path),), "mark")
    before = candidates(hint, ["/nowhere/a.mp3"]).state
    assert candidates(hint, ["/nowhere/a.mp3"]).state == before
    (tmp_path / "cover.jpg").write_bytes(picture())
    added = candidates(hint, ["/nowhere/a.mp3"]).state
    os.utime(tmp_path / "cover.jpg", (1, 1))
    assert len({before, added, candidates(hint, ["/nowhere/a.mp3"]).state}) == 3


@pytest.mark.parametrize("document", [None, {}, {"cover": None}, {"cover": "x"}, {"cover": {"tracks": None}}])
def test_an_album_published_before_has_no_hint(document: dict[str, object] | None) -> None:
    assert read_hint(document) == Hint(())


class Library:
    """Where audio is, by track id."""

    def __init__(self, **files: str) -> None:
        self.files = files

    def audio(self, track_id: str) -> str | None:
        return self.files.get(track_id)


@pytest.fixture
def covers(tmp_path: Path) -> Iterator[Callable[..., Covers]]:
    opened: list[Covers] = []

    def opened_covers(library: Library, hint: Hint | None = None) -> Covers:
        opened.append(Covers(library, lambda _: hint or Hint(()), tmp_path / "cache"))  # type: ignore[arg-type]
        return opened[-1]

    yield opened_covers
    for each in opened:
        each.close()


def shown(covers: Covers, album_id: str = "x", size: int = 160) -> bytes | None:
    """The cover of an album, once it is there."""
    until = time.monotonic() + 60
    while True:
        try:
            return result_of(covers.picture(covers.album(album_id), size, ANA))
        except CoverPending:
            assert time.monotonic() < until
            time.sleep(0.1)


def test_a_cover_comes_from_the_files_then_from_the_folder_and_is_kept(
    covers: Callable[..., Covers], tmp_path: Path
) -> None:
    music = tmp_path / "music"
    music.mkdir()
    bare, tagged = whole_file(music / "1.flac", 1), whole_file(music / "2.flac", 1)
    with_flac(tagged)
    (music / "folder.jpg").write_bytes(picture(BLUE))
    library = Library(bare=str(bare), tagged=str(tagged))
    first = shown(covers(library, Hint(("bare", "tagged"), (str(music),))))
    assert first is not None and colour_of(first) == TENS_OF_RED
    in_folder = shown(covers(library, Hint(("bare",), (str(music),))), size=64)
    assert in_folder is not None and colour_of(in_folder) == TENS_OF_BLUE
    kept = covers(library, Hint(("bare", "tagged"), (str(music),)))
    kept._worker.close()  # what is kept needs no process
    assert shown(kept) == first


def test_an_unusable_picture_is_passed_over_and_music_without_one_has_none(
    covers: Callable[..., Covers], tmp_path: Path
) -> None:
    (tmp_path / "cover.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(500))
    hint = Hint(("gone",), (str(tmp_path),))
    assert shown(covers(Library(), hint)) is None
    (tmp_path / "folder.png").write_bytes(picture(kind="PNG"))
    content = shown(covers(Library(), hint))
    assert content is not None and colour_of(content) == TENS_OF_RED


def test_covers_of_music_in_a_store(bucket: fs.S3FileSystem, covers: Callable[..., Covers], tmp_path: Path) -> None:
    tagged = whole_file(tmp_path / "a.mp3", 1)
    with_id3(tagged)
    for name, content in (
        ("music/ana/1.mp3", tagged.read_bytes()),
        ("music/bo/1.mp3", b"no tags"),
        ("music/bo/Folder.JPG", picture(BLUE)),
        ("music/bo/back.jpg", picture()),
    ):
        with bucket.open_output_stream(name) as output:
            output.write(content)
    assert pictures_in_store("s3://music/bo") == ["s3://music/bo/Folder.JPG"]
    library = Library(ana="s3://music/ana/1.mp3", bo="s3://music/bo/1.mp3")
    ana = shown(covers(library, Hint(("ana",), ("s3://music/ana",))))
    bo = shown(covers(library, Hint(("bo",), ("s3://music/bo",))))
    assert ana is not None and bo is not None
    assert (colour_of(ana), colour_of(bo)) == (TENS_OF_RED, TENS_OF_BLUE)
    assert shown(covers(library, Hint((), ("s3://music/nothing",)))) is None


def test_the_store_removes_what_was_looked_at_longest_ago(tmp_path: Path) -> None:
    store = ThumbnailStore(tmp_path / "covers", max_bytes=1000)
    for number in range(9):
        store.put(f"key{number}", 64, bytes(100))
        os.utime(tmp_path / "covers" / "ke" / f"key{number}-64.jpg", (number + 1, number + 1))
    assert store.get("key0", 64) == bytes(100), "looked at, and so the latest"
    store.put("last", 64, bytes(200))
    left = {f"key{number}" for number in range(9) if store.get(f"key{number}", 64)}
    assert store.get("last", 64) and "key0" in left and "key1" not in left and "key8" in left
    assert sum(file.stat().st_size for file in tmp_path.rglob("*.jpg")) <= 800


def test_a_store_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "covers").write_text("a file where the folder would be")
    store = ThumbnailStore(tmp_path / "covers")
    store.put("key", 64, b"content")
    store.put_none("key")
    assert store.get("key", 64) is None and not store.has_none("key")


@pytest.mark.parametrize(("root", "is_loaded"), [("/music", False), ("s3a://music", True), ("", True)])
def test_the_process_of_pictures_loads_arrow_for_music_in_a_store(root: str, is_loaded: bool) -> None:
    script = "import sys; from ui.covers.reading import warm_up; warm_up(sys.argv[1]); print('pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script, root], capture_output=True, text=True, check=True, cwd=PROJECT)
    assert done.stdout == f"{is_loaded}\n"


def test_sizes_are_those_that_are_made() -> None:
    assert [nearest_size(size) for size in (1, 64, 65, 320, 4000)] == [64, 64, 160, 320, 640]


def test_a_client_cannot_take_all_of_what_makes_covers(
    covers: Callable[..., Covers], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(covers_module, "MAX_COVERS_OF_LISTENER", 2)
    monkeypatch.setattr(covers_module, "MAX_COVERS_OF_PLACE", 3)
    places = []
    for number in range(4):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}" / "cover.png").write_bytes(picture(kind="PNG"))
        places.append(candidates(Hint((), (str(tmp_path / f"{number}"),)), []))
    made_here, wait = covers(Library()), threading.Event()
    monkeypatch.setattr(made_here, "_made", lambda *_: wait.wait(30) and b"made")
    held = [made_here._submit(each, 64, ANA) for each in places[:2]]
    assert made_here._submit(places[0], 64, ANA) is held[0]
    with pytest.raises(ShareTaken) as refused:
        made_here._submit(places[2], 64, ANA)
    assert refused.value.status == 429
    held.append(made_here._submit(places[2], 64, Client("guest-1", "home")))
    with pytest.raises(ShareTaken):
        made_here._submit(places[3], 64, Client("guest-2", "home"))
    held.append(made_here._submit(places[3], 64, Client("bob", "elsewhere")))
    wait.set()
    assert [future.result(30) for future in held] == [b"made"] * 4
    made_here._executor.shutdown()
    assert len(made_here._shares) == 0
