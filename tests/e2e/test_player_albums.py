"""Albums, artists and all tracks in a browser: their order, playing from them, lists of any length, covers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from player_site import ANSWER_S, EVIL, IDS, TITLES, Visit, serious_violations
from playwright.sync_api import expect
from pymongo.database import Database

from batch.discography import collections
from batch.discography.albums import TrackEntry, album_documents, album_ids
from batch.discography.artists import artist_documents, artist_ids
from batch.discography.names import artist_id, sort_key

MORE_ALBUMS = 700
STARTED = datetime(2026, 11, 1, tzinfo=UTC)


def entries(sounds: Path) -> list[TrackEntry]:
    """The dozen tracks: an album of two discs, whose tracks are in another order than their titles, a compilation and an
    album with markup in its names; then 700 albums of a track each, `Album 000` by `Player 000` and so on, in every letter."""

    def entry(number: int, **fields: Any) -> TrackEntry:
        path = str(sounds / f"track {number}.ogg")
        return TrackEntry(IDS[number], TITLES[number], path=path, library=str(sounds), duration_s=20.0, **fields)

    band = {"album": "Hours", "artist": "The Band", "artists": ["The Band"], "year": 1999, "genre": "Folk"}
    made = [
        entry(0, **band, disc_number=1, track_number=2),
        entry(1, **band, disc_number=1, track_number=1),
        entry(2, **band, disc_number=2, track_number=1),
        entry(3, album="Hits", artist="Ana", album_artist="Various Artists", track_number=1, genre="Pop"),
        entry(5, album="Hits", artist="The Band", album_artist="Various Artists", track_number=2, genre="Pop"),
        entry(4, album=EVIL, artist=EVIL, genre="Pop"),
        *(entry(number, artist="Loose") for number in range(6, 12)),
    ]
    for number in range(MORE_ALBUMS):
        letter = chr(ord("A") + number * 26 // MORE_ALBUMS)
        made.append(
            TrackEntry(
                f"{number + 1000:016x}",
                f"{letter} Song {number:03}",
                f"{letter} Player {number:03}",
                album=f"{letter} Album {number:03}",
                year=1900 + number % 100,
                duration_s=30.0 + number,
                path=str(sounds / "track 0.ogg"),
                library=str(sounds),
                genre="Rock",
                found_at=STARTED + timedelta(minutes=number),
            )
        )
    return made


def publish(db: Database[dict[str, Any]], tracks: list[TrackEntry]) -> None:
    """Writes tracks, albums and artists as `batch/publish` does."""
    album_by_track = album_ids(tracks)
    albums = album_documents(tracks, album_by_track)
    near = [{"track_id": IDS[number], "score": 0.5} for number in (3, 4, 6)]
    db.tracks.insert_many(
        {
            **{"_id": entry.track_id, "title": entry.title, "artist": entry.artist, "artists": entry.each_artist},
            **{"album": entry.album, "year": entry.year, "duration_s": entry.duration_s, "path": entry.path},
            **{"library": entry.library, "genre": entry.genre, "added_at": entry.found_at},
            **{"disc_number": entry.disc_number, "track_number": entry.track_number},
            **{"album_id": album_by_track.get(entry.track_id), "artist_ids": artist_ids(entry)},
            **{"sort_title": sort_key(entry.title), "sort_artist": sort_key(entry.artist)},
            **{"sort_album": sort_key(entry.album), "similar": near if entry.track_id == IDS[0] else []},
        }
        for entry in tracks
    )
    collections.write(db, albums, artist_documents(tracks, albums))
    collections.ensure_indexes(db)


@pytest.fixture
def catalogue(db: Database[dict[str, Any]], sounds: Path) -> None:
    publish(db, entries(sounds))


def go(visit: Visit, page: str, head: str) -> None:
    visit.page.evaluate(f"location.hash = '#/{page}'")
    expect(visit.page.locator("#page-head")).to_have_text(head)


def texts(visit: Visit, selector: str) -> list[str]:
    return [text.strip() for text in visit.page.locator(selector).all_text_contents()]


def test_an_album_is_in_the_order_of_discs_and_tracks_and_goes_on_when_it_plays(visit: Any, events: Any) -> None:
    ana = visit("ana")
    go(ana, "albums?order=name", "Albums")
    ana.page.locator("#view .letters button", has_text="I").click()  # behind Hours
    ana.page.locator("#view .album-card h3 a", has_text="Hours").click()
    expect(ana.page.locator("#page-head")).to_have_text("Hours")
    assert texts(ana, "#view .track-row .title") == [TITLES[1], TITLES[0], TITLES[2]]
    assert texts(ana, ".disc") == ["Disc 1", "Disc 2"]
    assert ana.page.inner_text(".album-head .about") == "1999 · 3 tracks · 2 discs · 1 min · Folk"
    assert texts(ana, "section[aria-label='Similar albums'] h3") == ["Hits", EVIL]
    ana.page.locator("#view .track-row .cover").nth(1).click()
    ana.wait_for(lambda: ana.page.text_content("#now-title") == TITLES[0] and ana.seconds > 0.2)
    ana.page.click("#next")
    ana.wait_for(lambda: ana.page.text_content("#now-title") == TITLES[2])
    played = [event for event in events(3) if event["action"] == "play"]
    assert [(event["track_id"], event["source"]) for event in played] == [(IDS[0], "album"), (IDS[2], "album")]
    ana.page.locator(".album-head .by a").click()
    expect(ana.page.locator("#page-head")).to_have_text("The Band")


def test_an_album_of_any_length_is_reached_to_its_end_and_played_from_there(
    visit: Any, db: Database[dict[str, Any]], sounds: Path
) -> None:
    """A folder of loose tracks: 7,000 on a first disc, three on a second one."""

    def entry(number: int, **fields: Any) -> TrackEntry:
        title, path = f"Loose {number:04}", str(sounds / f"track {number % 12}.ogg")
        fields |= {"artist": f"Artist {number % 50}", "album_artist": "Various Artists", "album": "Loose tracks"}
        return TrackEntry(f"{number:016x}", title, path=path, library=str(sounds), duration_s=20.0, **fields)

    made = [entry(5000 + number, disc_number=1, track_number=number + 1) for number in range(7000)]
    made += [entry(12_000 + number, disc_number=2, track_number=number + 1) for number in range(3)]
    publish(db, made)
    (album,) = db.albums.find()
    ana = visit("ana")
    go(ana, f"album/{album['_id']}", "Loose tracks")
    assert ana.page.inner_text(".album-head .about").startswith("7,003 tracks · 2 discs")
    rows = ana.page.locator("#view .track-row")
    expect(rows.first).to_contain_text("Loose 5000")
    ana.wait_for(lambda: rows.count() < 500)
    ana.page.locator(".disc", has_text="Disc 2").scroll_into_view_if_needed()
    last = ana.page.locator("#view .track-row", has_text="Loose 11999")
    expect(last).to_be_in_viewport()
    expect(last.locator(".number")).to_have_text("7000")
    expect(last.locator(".artist")).to_have_text("Artist 49")
    assert texts(ana, "#view .track-row .title")[-5:] == [
        f"Loose {n}" for n in (11_998, 11_999, 12_000, 12_001, 12_002)
    ]
    last.locator(".cover").click()
    ana.wait_for(lambda: ana.page.text_content("#now-title") == "Loose 11999" and ana.seconds > 0.2)
    for title in ("Loose 12000", "Loose 12001"):
        ana.page.click("#next")
        ana.wait_for(lambda title=title: ana.page.text_content("#now-title") == title)
    ana.page.evaluate("scrollTo(0, 0)")
    ana.page.locator(".album-head [data-action=play-all]").click()
    ana.wait_for(lambda: ana.page.text_content("#now-title") == "Loose 5000")
    assert ana.page.evaluate("overtone.queue.list.length") >= 999


def test_an_artist_has_albums_tracks_and_albums_of_others(visit: Any) -> None:
    ana = visit("ana")
    for address in (f"artist/{artist_id('The Band')}", "artist/the%20BAND"):
        go(ana, address, "The Band")
        assert texts(ana, "section[aria-label='Albums'] h3") == ["Hours"]
        assert texts(ana, "section[aria-label='Appears on'] h3") == ["Hits"]
        assert sorted(texts(ana, "#view section:first-of-type .track-row .title")) == sorted(
            TITLES[n] for n in (0, 1, 2, 5)
        )
        ana.page.evaluate("location.hash = '#/'")
        expect(ana.page.locator("#home-view")).to_be_visible()
    go(ana, "artist/the%20BAND", "The Band")
    assert texts(ana, "section[aria-label='Similar artists'] .artist-name")[:1] == ["Ana"]
    ana.page.get_by_role("button", name="Play all").click()
    ana.wait_for(
        lambda: ana.page.text_content("#now-title") == TITLES[3] or ana.page.inner_text("#now-artist") == "The Band"
    )


def test_names_with_markup_are_text(visit: Any) -> None:
    ana = visit("ana")
    go(ana, f"artist/{artist_id(EVIL)}", EVIL)
    ana.page.locator("section[aria-label='Albums'] h3 a").click()
    expect(ana.page.locator(".album-head")).to_be_visible()
    expect(ana.page.locator("#page-head")).to_have_text(EVIL)


def test_a_long_list_loads_what_comes_into_view_and_takes_out_what_is_far(visit: Any) -> None:
    ana = visit("ana")
    ana.look_for_news(2)  # a page that is shown again loses its focus
    go(ana, "albums?order=name", "Albums")
    grid = ana.page.locator("#view .album-card")
    ana.wait_for(lambda: grid.count() > 0)
    ana.page.locator("#view .letters button", has_text="T").click()
    expect(ana.page.locator("#view .album-card h3 a:focus")).to_have_text("T Album 512")
    ana.page.keyboard.press("Enter")
    expect(ana.page.locator("#page-head")).to_have_text("T Album 512")
    ana.page.go_back()
    expect(ana.page.locator("#view .album-card", has_text="T Album 512")).to_be_in_viewport()
    ana.page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(ana.page.locator("#view .album-card", has_text="Z Album 699")).to_have_count(1)
    assert grid.count() < 500, "of 703"
    height = ana.page.evaluate("document.documentElement.scrollHeight")
    ana.page.evaluate("scrollTo(0, 0)")
    expect(ana.page.locator("#view .album-card h3").first).to_have_text("A Album 000")
    assert abs(ana.page.evaluate("document.documentElement.scrollHeight") - height) < 4, "the page is as long as before"


def test_all_tracks_are_sorted_by_any_column_and_play_on_in_it(visit: Any) -> None:
    ana = visit("ana")
    go(ana, "tracks", "Tracks")
    assert ana.page.inner_text("#view .section-head p") == "712 tracks"
    ana.page.locator("#view .orders a", has_text="Duration").click()
    expect(ana.page.locator("#view .orders [aria-current]")).to_have_text("Duration ↓")
    ana.page.locator("#view .orders a", has_text="Duration").click()
    expect(ana.page.locator("#view .orders [aria-current]")).to_have_text("Duration ↑")
    expect(ana.page.locator("#view .track-row .title").first).to_have_text("Z Song 699")
    ana.page.locator("#view .track-row .cover").first.click()
    ana.wait_for(lambda: ana.page.text_content("#now-title") == "Z Song 699" and ana.seconds > 0.2)
    ana.page.click("#next")
    ana.wait_for(lambda: ana.page.text_content("#now-title") == "Z Song 698")
    ana.page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(ana.page.locator("#view .row-time").last).to_have_text("0:20")
    gaps = """() => [...document.querySelectorAll('#view .track-row')].map(row => row.getBoundingClientRect())
        .map((box, at, boxes) => at ? Math.round(box.top - boxes[at - 1].bottom) : 0).slice(-20)"""
    assert set(ana.page.evaluate(gaps)) == {0}, "blocks follow each other without a gap"


@pytest.mark.parametrize(
    ("order", "first"),
    [("new", "Z Album 699"), ("artist", "B Album 027"), ("year", "D Album 099")],
)
def test_albums_have_several_orders(site: str, order: str, first: str) -> None:
    html = httpx.get(f"{site}/view/albums", params={"order": order, "offset": 0, "limit": 1}, timeout=ANSWER_S).text
    assert f'title="{first}"' in html


def test_albums_at_random_are_others_each_time(site: str) -> None:
    def drawn() -> str:
        return httpx.get(
            f"{site}/view/albums", params={"order": "random", "offset": 0, "limit": 20}, timeout=ANSWER_S
        ).text

    assert drawn().count("<li") == 20 and drawn() != drawn()


def picture(colour: str) -> bytes:
    output = BytesIO()
    Image.new("RGB", (400, 400), colour).save(output, "PNG")
    return output.getvalue()


def test_a_cover_is_the_albums_picture_or_one_drawn_for_all_its_tracks(
    site: str, db: Database[dict[str, Any]], sounds: Path, tmp_path: Path, visit: Callable[..., Visit]
) -> None:
    album_id = db.tracks.find_one({"_id": IDS[0]})["album_id"]  # type: ignore[index]
    drawn = [
        httpx.get(f"{site}/covers/track/{track_id}", params={"size": 160}, timeout=ANSWER_S) for track_id in IDS[:3]
    ]
    assert {answer.text for answer in drawn} == {httpx.get(f"{site}/covers/album/{album_id}", timeout=ANSWER_S).text}
    assert drawn[0].headers["content-type"] == "image/svg+xml" and "max-age" in drawn[0].headers["cache-control"]
    (tmp_path / "Cover.PNG").write_bytes(picture("red"))
    other = db.tracks.find_one({"_id": IDS[3]})["album_id"]  # type: ignore[index]
    db.albums.update_one({"_id": other}, {"$set": {"cover.folders": [str(tmp_path)]}})
    real = httpx.get(f"{site}/covers/track/{IDS[5]}", params={"size": 160}, timeout=ANSWER_S)
    assert real.headers["content-type"] == "image/jpeg"
    with Image.open(BytesIO(real.content)) as image:
        assert image.size == (160, 160)
    tag = {"if-none-match": real.headers["etag"]}
    assert (
        httpx.get(f"{site}/covers/album/{other}", params={"size": 160}, headers=tag, timeout=ANSWER_S).status_code
        == 304
    )
    ana = visit("ana")
    go(ana, f"album/{other}", "Hits")
    ana.wait_for(lambda: ana.page.evaluate("document.querySelector('.album-head img').naturalWidth") == 400)


@pytest.mark.parametrize("path", ["view/album/nothing", "view/albums?order=x", "view/tracks?sort=x", "view/artist/%00"])
def test_what_is_not_there_is_said(site: str, path: str) -> None:
    answer = httpx.get(f"{site}/{path}", timeout=ANSWER_S)
    assert answer.status_code == 404 and answer.json()["error"]


@pytest.mark.parametrize("path", ["albums?offset=-1", "tracks?limit=100000", "artists?offset=x"])
def test_a_part_that_cannot_be_is_refused(site: str, path: str) -> None:
    assert httpx.get(f"{site}/view/{path}", timeout=ANSWER_S).status_code == 422


def test_a_library_published_before_there_were_albums_still_has_its_artists(
    visit: Any, db: Database[dict[str, Any]]
) -> None:
    for name in ("albums", "artists"):
        db[name].drop()
    db.tracks.update_many({}, {"$unset": {"album_id": "", "artist_ids": "", "sort_title": ""}})
    ana = visit("ana")
    go(ana, "albums", "Albums")
    expect(ana.page.locator("#view .section-head p")).to_contain_text("in the background")
    go(ana, "artist/The%20Band", "The Band")
    expect(ana.page.locator("#view .track-row")).to_have_count(4)


def test_on_a_phone_pages_fit_and_an_album_plays_from_its_card(visit: Any) -> None:
    ana = visit("ana", viewport={"width": 390, "height": 844}, has_touch=True)
    for page, head in (("albums", "Albums"), ("artists", "Artists"), ("tracks", "Tracks"), ("genres", "Genres")):
        go(ana, page, head)
        assert ana.page.evaluate("document.documentElement.scrollWidth") <= 390, page
    go(ana, "albums", "Albums")
    ana.page.locator("#view .album-play").first.tap()
    ana.wait_for(lambda: ana.page.text_content("#now-title") == "Z Song 699")


@pytest.mark.parametrize(
    "options",
    [
        {"color_scheme": "dark"},
        {"color_scheme": "light"},
        {"color_scheme": "light", "viewport": {"width": 390, "height": 844}, "has_touch": True},
    ],
    ids=["dark", "light", "phone"],
)
def test_axe_finds_nothing_serious_in_the_library(visit: Any, options: dict[str, Any]) -> None:
    ana = visit("ana", **options)
    ana.page.evaluate("fetch('/view/home')")
    problems = {"home": serious_violations(ana)}
    ana.page.locator("#for-you .card [data-action=like]").first.click()
    pages = {
        "albums?order=name": "Albums",
        "artists": "Artists",
        "tracks": "Tracks",
        "genres": "Genres",
        "genre/Rock": "Rock",
        "playlists": "Playlists",
        "reactions": "Your likes",
        "settings": "Settings",
        f"artist/{artist_id('Loose')}": "Loose",
        f"artist/{artist_id('The Band')}": "The Band",
    }
    widest = {}
    for page, head in pages.items():
        go(ana, page, head)
        problems[page] = serious_violations(ana)
        widest[page] = ana.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    ana.page.locator("section[aria-label='Albums'] h3 a").click()
    expect(ana.page.locator(".album-head")).to_be_visible()
    problems["album"] = serious_violations(ana)
    ana.page.fill("#search input", "band")
    expect(ana.page.locator("#view .best-hit")).to_be_visible()
    problems["search"] = serious_violations(ana)
    assert {page: each for page, each in problems.items() if each} == {}
    assert {page: width for page, width in widest.items() if width > 0} == {}
