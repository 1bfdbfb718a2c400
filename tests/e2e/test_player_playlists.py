"""Playlists in the browser: made, filled, moved by pointer and keys, renamed, deleted and brought back, M3U in and out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from player_site import ANSWER_S, IDS, TITLES, Visit, serious_violations
from playwright.sync_api import expect

from ui.playlists.store import MAX_RESTORABLE, Playlists

pytestmark = pytest.mark.e2e


@pytest.fixture
def ana(site: str) -> Iterator[httpx.Client]:
    """Requests as ana."""
    with httpx.Client(base_url=site, headers={"Origin": site}, timeout=ANSWER_S) as client:
        client.post("/listener", json={"name": "ana"}).raise_for_status()
        yield client


def made(client: httpx.Client, tracks: list[str], name: str = "Evening") -> str:
    """The id of a new playlist."""
    return str(client.post("/playlists", json={"name": name, "tracks": tracks}).raise_for_status().json()["id"])


def order(visit: Visit) -> list[str]:
    rows = visit.page.locator(".playlist-rows > .card")
    return list(rows.evaluate_all("rows => rows.map(row => row.dataset.trackId)"))


def stored(db: Any, playlist_id: str) -> list[str]:
    return list(db.playlists.find_one({"_id": playlist_id})["tracks"])


def handle(visit: Visit, number: int) -> Any:
    return visit.page.locator(".playlist-rows .handle").nth(number)


def test_tracks_move_by_arrow_keys_and_by_the_pointer_and_can_be_moved_back(
    visit: Any, ana: httpx.Client, db: Any
) -> None:
    tracks = [IDS[0], IDS[1], IDS[2], IDS[3]]
    playlist = made(ana, tracks)
    shown = visit("ana")
    page = shown.page
    page.evaluate(f"location.hash = '#/playlist/{playlist}'")
    expect(page.locator("#page-head")).to_have_text("Evening")
    assert serious_violations(shown) == []
    handle(shown, 0).focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#toast")).to_contain_text("“Morning” is now number 2.")
    page.keyboard.press("ArrowDown")
    assert order(shown) == [IDS[1], IDS[2], IDS[0], IDS[3]]
    assert page.evaluate("document.activeElement.closest('.card').dataset.trackId") == IDS[0], "the focus goes along"
    expect(page.locator("#toast")).to_contain_text("“Morning” is now number 3.")
    shown.wait_for(lambda: stored(db, playlist) == [IDS[1], IDS[2], IDS[0], IDS[3]])
    page.click("#undo")
    shown.wait_for(lambda: order(shown) == [IDS[1], IDS[0], IDS[2], IDS[3]])
    handle(shown, 3).hover()
    page.mouse.down()
    box = page.locator(".playlist-rows > .card").first.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + box["height"] * 0.7)
    page.mouse.move(box["x"] + 60, box["y"] + 4)
    page.mouse.up()
    assert order(shown) == [IDS[3], IDS[1], IDS[0], IDS[2]]
    shown.wait_for(lambda: stored(db, playlist) == [IDS[3], IDS[1], IDS[0], IDS[2]])
    handle(shown, 1).focus()
    page.keyboard.press("Delete")
    shown.wait_for(lambda: order(shown) == [IDS[3], IDS[0], IDS[2]])
    page.click("#undo")
    shown.wait_for(lambda: order(shown) == [IDS[3], IDS[1], IDS[0], IDS[2]])


def test_a_playlist_is_made_edited_deleted_and_brought_back(visit: Any, db: Any) -> None:
    ana = visit("ana")
    page = ana.page
    page.evaluate("location.hash = '#/playlists'")
    expect(page.locator("#playlists-page")).to_contain_text("No playlists yet")
    page.click("[data-action=new-playlist]")
    page.fill("#playlist-name", "Morning walk")
    page.click("#playlist-form button[type=submit]")
    expect(page.locator("#page-head")).to_have_text("Morning walk")
    page.click("[data-action=edit-playlist]")
    page.fill("#edit-name", "Evening <b>walk</b>")
    page.fill("#edit-description", "Slow & quiet")
    page.click("#edit-form button[type=submit]")
    expect(page.locator("#page-head")).to_have_text("Evening <b>walk</b>")
    expect(page.locator(".playlist-description")).to_have_text("Slow & quiet")
    page.click("#undo")
    expect(page.locator("#page-head")).to_have_text("Morning walk")
    expect(page.locator(".playlist-description")).to_have_count(0)
    page.click("[data-action=drop-playlist]")
    expect(page.locator("#playlists-page")).to_contain_text("No playlists yet")
    page.click("#undo")
    expect(page.locator(".playlist-card h3")).to_have_text(["Morning walk"])


def test_any_cards_menu_adds_to_a_playlist_once_and_takes_it_back(visit: Any, ana: httpx.Client, db: Any) -> None:
    playlist = made(ana, [IDS[0]])
    shown = visit("ana")
    shown.wait_for(lambda: shown.order == IDS[2:8])

    def add() -> None:
        shown.cards.first.locator("[data-action=menu]").click()
        shown.page.get_by_role("menuitem", name="Add to playlist").click()
        shown.page.locator("#playlist-known button").click()

    add()
    expect(shown.page.locator("#toast")).to_contain_text("Added to “Evening”.")
    assert stored(db, playlist) == [IDS[0], IDS[2]]
    shown.page.click("#undo")
    shown.wait_for(lambda: stored(db, playlist) == [IDS[0]])
    add()
    expect(shown.page.locator("#toast")).to_contain_text("Added to “Evening”.")
    add()
    expect(shown.page.locator("#toast")).to_contain_text("Already in “Evening”.")


def test_a_long_playlist_is_loaded_as_it_comes_into_view(visit: Any, ana: httpx.Client, db: Any, sounds: Path) -> None:
    ids = [f"x{n:04}" for n in range(1500)]
    db.tracks.insert_many([{"_id": track_id, "title": f"Echo {track_id}", "library": str(sounds)} for track_id in ids])
    playlist = made(ana, [*IDS, *ids], "Long")
    shown = visit("ana")
    shown.page.evaluate(f"location.hash = '#/playlist/{playlist}'")
    expect(shown.page.locator(".playlist-rows .card").first).to_be_visible()
    last = shown.page.locator(f'.card[data-track-id="{ids[-1]}"]')
    assert last.count() == 0

    def scroll_to_the_end() -> bool:
        shown.page.evaluate("scrollTo(0, 1e7)")
        return bool(last.count())

    shown.wait_for(scroll_to_the_end)
    shown.page.evaluate("scrollTo(0, 0)")
    shown.page.click("[data-action=play-all]")
    shown.wait_for(lambda: shown.page.text_content("#now-title") == TITLES[0])
    assert shown.page.evaluate("overtone.queue.list.length") > 900, "it goes on beyond what the page has loaded"
    shown.wait_for(scroll_to_the_end)
    last.locator(".handle").focus()
    shown.page.keyboard.press("ArrowUp")
    shown.wait_for(lambda: stored(db, playlist)[-2:] == [ids[-1], ids[-2]])


def test_an_m3u_file_comes_in_with_its_unknown_lines_told_and_goes_out(
    visit: Any, ana: httpx.Client, sounds: Path
) -> None:
    shown = visit("ana")
    page = shown.page
    page.evaluate("location.hash = '#/playlists'")
    lines = [
        "#EXTM3U",
        "#PLAYLIST:From afar",
        "#EXTINF:20,Band 2 - Evening",
        "D:\\gone\\e.mp3",
        "track 3.ogg",
        "nothing.mp3",
    ]
    with page.expect_file_chooser() as chooser:
        page.click("[data-action=import-playlist]")
    chooser.value.set_files({"name": "afar.m3u8", "mimeType": "audio/x-mpegurl", "buffer": "\r\n".join(lines).encode()})
    expect(page.locator("#import-head")).to_have_text("“From afar” imported")
    expect(page.locator("#import-note")).to_have_text("2 tracks were found, 1 were not.")
    expect(page.locator("#import-unmatched li")).to_have_text(["Line 6: nothing.mp3"])
    page.click("#import-dialog [data-close]")
    expect(page.locator(".playlist-rows .title")).to_have_text([TITLES[2], TITLES[3]])
    playlist = page.evaluate("location.hash").rpartition("/")[2]
    relative = ana.get(f"/playlists/{playlist}/m3u")
    assert relative.headers["content-type"] == "audio/x-mpegurl; charset=utf-8"
    assert "From%20afar.m3u8" in relative.headers["content-disposition"]
    assert relative.text.splitlines() == [
        "#EXTM3U",
        "#PLAYLIST:From afar",
        "#EXTINF:20,Band 2 - Evening",
        "track 2.ogg",
        "#EXTINF:20,Band 3 - Night",
        "track 3.ogg",
    ]
    absolute = ana.get(f"/playlists/{playlist}/m3u?paths=absolute").text.splitlines()
    assert absolute[3] == str(sounds / "track 2.ogg")


def test_files_that_are_no_playlist_are_refused_and_leave_nothing(ana: httpx.Client, db: Any) -> None:
    def problem(content: bytes) -> tuple[int, str]:
        answer = ana.post("/playlists/import?name=x", content=content, headers={"Content-Type": "audio/x-mpegurl"})
        return answer.status_code, answer.json()["error"]

    assert problem(b"") == (422, "The file names no tracks. An M3U playlist has the path of a file on each line.")
    assert problem(b"\x00\x01\x02")[1] == "The file is not text. Choose an .m3u or .m3u8 file."
    assert problem(b"gone.mp3\nalso gone.mp3") == (
        422,
        "None of the 2 tracks in the file is in the library. Line 1 is gone.mp3",
    )
    assert problem(b"x" * 16_000_001) == (413, "The file is larger than 16 MB.")
    form = ana.post("/playlists/import", content=b"a", headers={"Content-Type": "text/plain"})
    assert form.status_code == 415
    assert db.playlists.count_documents({}) == 0


def test_nobody_else_reads_changes_or_restores_a_playlist(site: str, ana: httpx.Client) -> None:
    playlist = made(ana, [IDS[1]])
    with httpx.Client(base_url=site, headers={"Origin": site}, timeout=ANSWER_S) as eve:
        eve.post("/listener", json={"name": "eve"}).raise_for_status()
        for change in ({"place": {"track_id": IDS[2]}}, {"description": "x"}, {"restore": True}, {"drop": True}):
            assert eve.post(f"/playlists/{playlist}", json=change).status_code == 404
        for path in (f"/view/playlist/{playlist}", f"/playlists/{playlist}/m3u"):
            assert eve.get(path).status_code == 404
    assert ana.post(f"/playlists/{playlist}", json={"drop": True}).status_code == 200
    assert ana.get(f"/view/playlist/{playlist}").status_code == 404 and ana.get("/playlists").json() == []


def test_two_tabs_move_and_add_at_once_and_lose_nothing(db: Any) -> None:
    playlists = Playlists(db)
    playlist_id = playlists.create("ana", "Evening", ["a", "b", "c", "d"]).playlist_id
    assert playlists.place_track("ana", playlist_id, "d", None) and playlists.place_track("ana", playlist_id, "a", "c")
    assert stored(db, playlist_id) == ["d", "b", "c", "a"]
    assert playlists.place_track("ana", playlist_id, "b", "removed meanwhile"), "to the end"
    assert playlists.place_track("ana", playlist_id, "e", "d"), "added where it is missing"
    assert stored(db, playlist_id) == ["d", "e", "c", "a", "b"]
    assert playlists.add_tracks("ana", playlist_id, ["f", "a", "f"]) == ["f"]
    assert playlists.add_tracks("ana", "none", ["f"]) is None
    assert playlists.delete("ana", playlist_id) and not playlists.delete("ana", playlist_id)
    assert playlists.get("ana", playlist_id) is None and not playlists.add_track("ana", playlist_id, "g")
    assert playlists.restore("ana", playlist_id) and not playlists.restore("ana", playlist_id)
    restored = playlists.get("ana", playlist_id)
    assert restored is not None and restored.tracks == ("d", "e", "c", "a", "b", "f")
    many = [playlists.create("ana", f"List {number}").playlist_id for number in range(MAX_RESTORABLE + 2)]
    assert all(playlists.delete("ana", each) for each in many)
    can_be_restored = [playlists.restore("ana", each) for each in many]
    assert can_be_restored == [False, False] + [True] * MAX_RESTORABLE, "the last ones"
