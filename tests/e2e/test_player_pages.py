"""The pages beside the list in a browser: home's shelves, tracks, artists, one's own music, sound, map and service."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from player_site import ANSWER_S, EVIL, IDS, TITLES, Visit, Windows, serving, with_library
from playwright.sync_api import expect

from batch import registry
from batch.audio.features import clip, features
from batch.index.building import build_index
from batch.index.lsh import Index
from batch.index.projection import Projection
from conf.settings import Settings
from ui import app
from ui.dependencies import build_services


@pytest.fixture
def model(settings: Settings, catalogue: None, sounds: Path) -> Index:
    """A model over the dozen tracks: their real features, standardised, in one band."""
    files = [sounds / f"track {number}.ogg" for number in range(len(IDS))]
    vectors = np.stack([features(clip(file)[0]) for file in files])
    d = vectors.shape[1]
    rng = np.random.default_rng(0)
    space = Projection(
        mean=vectors.mean(axis=0),
        deviation=vectors.std(axis=0),
        components=np.eye(d, 4, dtype=np.float32),
        directions=rng.standard_normal((2, 2, 4)).astype(np.float32),
        offsets=np.zeros((2, 2), dtype=np.float32),
        bucket_length=1.0,
    )
    made = build_index(list(IDS), vectors, [None] * len(IDS), space)
    with registry.new_version(settings.models.root, datetime.now(UTC)) as new:
        version, folder = new.version, new.folder
        made.save(folder / "index")
        registry.write_manifest(folder, {"version": version, "tracks": len(IDS), "genres": []})
        (folder / "report").mkdir()
        (folder / "report" / "report.html").write_text("<!doctype html><title>Report</title><p>Recall 0.97")
        (folder / "report" / "report.json").write_text('{"recall_at_20": 0.97}')
    return made


def go(visit: Visit, page: str, head: str) -> None:
    visit.page.evaluate(f"location.hash = '#/{page}'")
    expect(visit.page.locator("#page-head")).to_have_text(head)


def test_home_has_what_was_left_and_the_genres(visit: Any) -> None:
    ana = visit("ana")
    expect(ana.page.locator(".genre-shelf h2")).to_have_text(["Ambient", "Folk (live)"])
    assert ana.page.locator("#recent").count() == 0
    ana.wait_for(lambda: ana.order == IDS[2:8])
    ana.play(IDS[3])
    ana.page.evaluate("document.getElementById('audio').currentTime = 9")
    ana.wait_for(lambda: ana.seconds > 9.2)
    ana.page.click("#play-pause")
    other = visit("ana")  # on another device
    expect(other.page.locator("[data-action=resume]")).to_have_text(f"Resume {TITLES[3]} at 0:09")
    assert other.page.locator("#recent .card").first.get_attribute("data-track-id") == IDS[3]
    other.page.click("[data-action=resume]")
    other.wait_for(lambda: other.seconds > 9.3 and other.page.text_content("#now-title") == TITLES[3])
    other.page.click("#dislike-now")
    other.wait_for(lambda: other.page.text_content("#now-title") != TITLES[3])
    third = visit("ana")
    expect(third.page.locator(".genre-shelf").first).to_be_visible()
    assert third.page.locator(f'#recent .card[data-track-id="{IDS[3]}"]').count() == 0
    assert third.page.locator("[data-action=resume]", has_text=TITLES[3]).count() == 0


def test_home_has_named_lists_without_what_was_disliked_since(visit: Any, db: Any, events: Any) -> None:
    items = [{"track_id": IDS[at], "rank": at, "reason": "By an artist you have not heard"} for at in (1, 2, 3)]
    named = {"name": "discover", "title": "Discover", "reason": "Never heard.", "items": items}
    db.mixes.insert_one({"_id": "ana", "version": 1, "lists": [named], "model_version": "m1"})
    disliked = {"_id": {"user": "ana", "track": IDS[2]}, "verdict": "dislike", "verdict_at": datetime.now(UTC)}
    db.listens.insert_one(disliked | {"user_id": "ana"})
    ana = visit("ana")
    shelf = ana.page.locator(".named-list")
    expect(shelf.locator("h2")).to_have_text(["Something different"])
    expect(shelf.locator(".section-head p")).to_have_text("Never heard.")
    expect(shelf.locator(".card")).to_have_count(2)
    expect(shelf.locator(".reason")).to_have_text(["", ""])  # the list's own stands once, above it
    shelf.locator(f'[data-track-id="{IDS[3]}"] .cover').click()
    (event,) = events(1)
    assert (event["action"], event["track_id"]) == ("play", IDS[3])
    assert (event["source"], event["model_version"]) == ("discover", "m1")
    shelf.get_by_role("button", name="Play Something different").click()
    ana.wait_for(lambda: ana.page.text_content("#now-title") == TITLES[1])
    ana.page.click("#queue-toggle")
    expect(ana.page.locator("#queue-list b")).to_have_text([TITLES[3]])


def test_a_track_page_shows_sound_genres_neighbours_licence_and_artist(visit: Any) -> None:
    ana = visit("ana")
    ana.wait_for(lambda: ana.order == IDS[2:8])
    ana.page.locator("#for-you .card .title a").first.click()
    expect(ana.page.locator("#page-head")).to_have_text(TITLES[2])
    assert ana.page.locator("#track-licence").inner_text() == "CC BY 4.0"
    expect(ana.page.locator(".track-head .by")).to_have_text("Band 2")
    pictures = ana.page.locator(".pictures img")
    expect(pictures).to_have_count(3)
    ana.wait_for(
        lambda: all(pictures.evaluate_all("all => all.map(one => one.complete && one.naturalWidth === 900)")), 40
    )
    expect(ana.page.locator(".bars li span")).to_have_text(["Ambient", EVIL])
    assert ana.page.locator(".track-page .block .card").count() == len(IDS) - 1
    ana.page.click("[data-action=play-page]")
    ana.wait_for(lambda: ana.seconds > 0.2 and ana.page.text_content("#now-title") == TITLES[2])
    ana.page.locator(".track-head .by a").click()
    expect(ana.page.locator("#page-head")).to_have_text("Band 2")
    # in the order of the listener's plays, of which other tests have made some
    tracks = ana.page.locator("#view .card").evaluate_all("all => all.map(one => one.dataset.trackId)")
    assert sorted(tracks) == [IDS[number] for number in (2, 6, 10)]
    ana.page.go_back()
    expect(ana.page.locator("#page-head")).to_have_text(TITLES[2])
    go(ana, f"track/{IDS[4]}", EVIL)  # markup in every field
    ana.page.wait_for_timeout(300)  # in which a script in the markup would run


def test_what_is_away_is_said_and_comes_back_by_itself(visit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ana = visit("ana")
    ana.page.route("**/view/track/*", lambda route: route.fulfill(status=503, json={"error": "The library is away."}))
    ana.page.evaluate(f"location.hash = '#/track/{IDS[2]}'")
    expect(ana.page.locator("#view .problem")).to_have_text("The library is away.")
    ana.page.unroute("**/view/track/*")
    expect(ana.page.locator("#page-head")).to_have_text(TITLES[2])
    ana.wrong[:] = [said for said in ana.wrong if "503" not in said]


def test_ones_own_music_playlists_and_history(visit: Any) -> None:
    ana = visit("ana")
    ana.wait_for(lambda: ana.order == IDS[2:8])
    ana.play(IDS[2])
    ana.page.click("#like-now")
    ana.cards.nth(3).locator("[data-action=menu]").click()
    ana.page.get_by_role("menuitem", name="Add to playlist").click()
    ana.page.fill("#playlist-name", EVIL)
    ana.page.click("#playlist-form button[type=submit]")
    expect(ana.page.locator("#toast")).to_contain_text("created")
    go(ana, "you", "Your music")
    expect(ana.page.locator("#history li a")).to_have_text([TITLES[2]])
    go(ana, "playlists", "Playlists")
    expect(ana.page.locator(".playlist-card h3")).to_have_text([EVIL])
    ana.page.locator(".playlist-card h3 a").click()
    expect(ana.page.locator("#page-head")).to_have_text(EVIL)
    assert ana.page.locator("#view .card").get_attribute("data-track-id") == IDS[5]
    ana.page.click("[data-action=play-all]")
    ana.wait_for(lambda: ana.page.text_content("#now-title") == TITLES[5])
    ana.page.locator("#view .card [data-action=menu]").click()
    ana.page.get_by_role("menuitem", name="Remove from playlist").click()
    expect(ana.page.locator("#view .card")).to_have_count(0)
    ana.page.click("[data-action=drop-playlist]")
    expect(ana.page.locator("#playlists-page")).to_contain_text("No playlists yet")
    bob = visit("bob")
    go(bob, "you", "Your music")
    assert bob.page.locator("#history a").count() == 0


def test_likes_are_the_servers_not_the_browsers(visit: Any, db: Any) -> None:
    """Liked elsewhere, by another program: only the stream's profile knows."""
    ana = visit("ana")
    ana.wait_for(lambda: ana.order == IDS[2:8])
    at = datetime.now(UTC).timestamp()
    opinion = {
        "track_id": IDS[4],
        "title": "",
        "at": at,
        "session": 0.0,
        "lasting": 0.0,
        "verdict": "like",
        "verdict_at": at,
    }
    db.profiles.insert_one({"_id": "ana", "opinions": [opinion], "events_applied": 1, "updated_at": datetime.now(UTC)})
    heart = ana.page.locator(f'#for-you .card[data-track-id="{IDS[4]}"] [data-action=like]')
    expect(heart).to_have_attribute("aria-pressed", "true")
    heart.click()
    expect(heart).to_have_attribute("aria-pressed", "false")
    other = visit("ana")
    other.wait_for(lambda: other.order == IDS[2:8])
    expect(other.cards.nth(2).locator("[data-action=like]")).to_have_attribute("aria-pressed", "false")


def test_why_this_shows_heard_tracks_percentile_and_parts(visit: Any, db: Any) -> None:
    ana = visit("ana")
    ana.wait_for(lambda: ana.order == IDS[2:8])
    ana.choose(ana.cards.first, "Why this track")
    dialog = ana.page.locator("#why-dialog")
    expect(dialog).to_contain_text(TITLES[0])  # the heard track
    expect(dialog).to_contain_text("close, 1")
    expect(dialog).to_contain_text("1.000, rank 1 of 6")
    dialog.get_by_role("button", name="Close").click()
    parts = {"similarity": 1.25, "rejection": -0.25, "diversity": -0.125}
    db.recommendations.update_one({"_id": "ana"}, {"$set": {"items.0.parts": parts, "items.0.percentile": 99.5}})
    ana.choose(ana.cards.first, "Why this track")
    expect(dialog).to_contain_text("More similar to what you played than 99.5 % of all tracks")
    expect(dialog.locator(".score th")).to_have_text(["similarity", "rejection", "Score"])
    expect(dialog.locator(".score .number")).to_have_text(["+1.250", "-0.250", "+1.000"])
    expect(dialog).to_contain_text("similar to earlier tracks of the list or to what you just played (-0.125)")


def test_a_clip_finds_the_track_that_it_is_from(visit: Any, model: Index, sounds: Path) -> None:
    ana = visit("ana")
    go(ana, "sound", "Search by sound")
    samples, rate = soundfile.read(sounds / "track 5.ogg")
    cut = io.BytesIO()
    soundfile.write(cut, samples[: 15 * rate], rate, format="WAV")
    file = {"name": "a clip.wav", "mimeType": "audio/wav", "buffer": cut.getvalue()}
    ana.page.set_input_files("#clip", files=[file])  # type: ignore[list-item]
    expect(ana.page.locator("#sound-state")).to_contain_text("tracks similar to “a clip.wav”")
    assert ana.page.locator("#sound-found .card").first.get_attribute("data-track-id") == IDS[5]
    ana.page.locator("#sound-found .cover").first.click()
    ana.wait_for(lambda: ana.page.text_content("#now-title") == TITLES[5])
    text = {"name": "text.wav", "mimeType": "audio/wav", "buffer": b"this is no sound" * 100}
    ana.page.set_input_files("#clip", files=[text])  # type: ignore[list-item]
    expect(ana.page.locator("#sound-state")).to_contain_text("is not audio that can be read")
    ana.wrong[:] = [said for said in ana.wrong if "422" not in said]


def test_a_song_path_leads_from_one_track_to_the_other(visit: Any, model: Index, events: Any) -> None:
    ana = visit("ana")
    go(ana, "sound", "Search by sound")
    ana.page.fill("#path-start", "morning")
    ana.page.fill("#path-end", "sun")
    ana.page.fill("#path-steps", "5")
    ana.page.locator("#path-form").get_by_role("button").click()
    expect(ana.page.locator("#path-found .card").first).to_be_visible()
    ids = ana.page.locator("#path-found .card").evaluate_all("all => all.map(one => one.dataset.trackId)")
    assert (ids[0], ids[-1]) == (IDS[0], IDS[11]) and len(ids) == len(set(ids)) <= 5
    ana.page.click("[data-action=play-path]")
    ana.wait_for(lambda: ana.page.text_content("#now-title") == TITLES[0])
    assert len(ids) > 2
    ana.choose(ana.page.locator(f'#path-found .card[data-track-id="{ids[1]}"]'), "Dislike")
    assert [event["action"] for event in events(2)] == ["play", "dislike"]
    ana.page.locator("#path-form").get_by_role("button").click()
    expect(ana.page.locator(f'#path-found .card[data-track-id="{ids[1]}"]')).to_have_count(0)
    expect(ana.page.locator(f'#path-found .card[data-track-id="{ids[0]}"]')).to_have_count(1)


def test_radio_from_an_artist_fills_the_queue(visit: Any, events: Any) -> None:
    ana = visit("ana")
    go(ana, "artist/Band%202", "Band 2")
    ana.page.click("[data-action=radio]")
    ana.wait_for(lambda: ana.seconds > 0.2)
    ana.page.click("#queue-toggle")
    titles = ana.page.locator("#queue-list b").all_text_contents()
    assert len(titles) == len(set(titles)) == len(IDS) - 1
    (event,) = events(1)
    assert (event["source"], event["action"]) == ("radio", "play")
    go(ana, "genre/Ambient", "Ambient")
    ambient = set(ana.page.locator("#view .card").evaluate_all("all => all.map(one => one.dataset.title)"))
    ana.page.click("[data-action=mute-named]")
    ana.wait_for(lambda: not ambient & set(ana.page.locator("#queue-list b").all_text_contents()))
    assert ana.page.locator("#queue-list b").count() > 0, "what is not muted goes on"


def test_all_of_an_artist_is_played_without_what_is_disliked(visit: Any, events: Any) -> None:
    ana = visit("ana")
    go(ana, "artist/Band%202", "Band 2")
    first, *others = ana.page.locator("#view .card").evaluate_all("all => all.map(one => one.dataset.trackId)")
    ana.choose(ana.page.locator("#view .card").first, "Dislike")
    ana.page.locator("#view").get_by_role("button", name="Play all").click()
    heard = [event for event in events(2) if event["action"] == "play"]
    assert [event["track_id"] for event in heard] == others[:1] and first not in others
    ana.page.click("#queue-toggle")
    assert ana.page.locator("#queue-list b").count() == len(others) - 1


def test_the_map_is_drawn_and_a_click_plays(visit: Any, db: Any) -> None:
    now = datetime.now(UTC)
    opinion = {"title": "", "session": 0.1, "lasting": 0.1, "verdict": "", "verdict_at": 0.0}
    opinions = [{"track_id": IDS[n], "at": now.timestamp() - n} | opinion for n in range(3)]
    taste = {"centres": [{"weight": 0.7, "tracks": IDS[:2]}], "rejected": [IDS[9]], "opinions": opinions}
    db.profiles.insert_one({"_id": "ana", "events_applied": 3, "updated_at": now, **taste})
    ana = visit("ana")
    go(ana, "map", "Taste map")
    expect(ana.page.locator("#map-legend li")).to_have_text(
        ["Ambient", "Folk (live)", "your interests", "your listening path", "avoided sounds"]
    )
    told = httpx.get(f"{ana.page.url.split('#')[0]}map.json", timeout=ANSWER_S).json()
    assert "centres" not in told, "nobody's map has no taste"
    at = told["tracks"].index(IDS[7])
    x, y = told["x"][at], told["y"][at]
    spot = ana.page.evaluate(
        """([x, y]) => { const map = document.getElementById('map');
        const [width, height] = [map.clientWidth, map.clientHeight];
        return [width / 2 + (x - 500) / 1000 * (width - 60), height / 2 - (y - 500) / 1000 * (height - 60)]; }""",
        [x, y],
    )
    ana.page.locator("#map").hover(position={"x": spot[0], "y": spot[1]})
    expect(ana.page.locator("#map-tip")).to_contain_text(TITLES[7])
    ana.page.locator("#map").click(position={"x": spot[0], "y": spot[1]})
    ana.wait_for(lambda: ana.page.text_content("#now-title") == TITLES[7] and ana.seconds > 0.1)
    expect(ana.page.locator("#view .interest")).to_contain_text("(100 %)")


def test_without_a_model_search_and_play_work(
    settings: Settings, topics: None, catalogue: None, db: Any, windows: Windows, sounds: Path
) -> None:
    db.tracks.update_many({}, {"$unset": {"similar": "", "genre_posterior": "", "map": ""}})
    player = app.create_app(build_services(with_library(settings, sounds)))
    with serving(player) as at, windows.visit(at) as nobody:
        expect(nobody.page.locator("#for-you")).to_contain_text("No recommendations yet")
        nobody.page.locator("#search input").fill("tide")
        expect(nobody.page.locator("#view .card")).to_have_count(1)
        nobody.page.locator("#view .cover").click()
        nobody.wait_for(lambda: nobody.seconds > 0.2)
        go(nobody, "map", "Taste map")
        expect(nobody.page.locator("#map-none")).to_be_visible()
        sound = httpx.post(
            f"{at}/sound", content=b"RIFF", headers={"Origin": at, "Content-Type": "audio/wav"}, timeout=ANSWER_S
        )
        assert sound.status_code == 409 and "no model yet" in sound.json()["error"]
        go(nobody, "status", "Service")
        expect(nobody.page.locator("#view")).to_contain_text("No model yet. Search and playback work without one.")
        nobody.wrong[:] = [said for said in nobody.wrong if "401" not in said]


def test_the_service_page_tells_of_streams_model_and_refusals(
    visit: Any, model: Index, db: Any, settings: Settings
) -> None:
    from deltalake import write_deltalake

    now = datetime.now(UTC)
    db.status.insert_many(
        [
            {
                "_id": "recommend",
                "at": now,
                "lag_events": 3,
                "p50_s": 0.42,
                "p95_s": 0.9,
                "events_per_second": 51.2,
                "totals": {"lists": 1200, "applied": 4000},
                "durations_ms": {"triggerExecution": 12},
            },
            {"_id": "ledger", "at": now - timedelta(minutes=5), "rows": 12},
        ]
    )
    db.set_aside.insert_one({"_id": EVIL, "reason": "ValueError: columns differ", "since": now, "events": 7})
    import pyarrow as pa

    row = {"topic": "t", "topic_id": "c/t", "partition": 0, "raw": b"x", "bytes": 1, "sha256": "", "received_at": now}
    rows = [row | {"offset": number, "reason": EVIL if number else "not JSON"} for number in range(3)]
    write_deltalake(settings.lake.table("rejected_events"), pa.Table.from_pylist(rows))
    ana = visit("ana")
    go(ana, "status", "Service")
    expect(ana.page.locator("summary").first).to_contain_text("ledger no update since 5 minutes ago")
    expect(ana.page.locator(".headlines dd")).to_have_text(
        [re.compile(text) for text in (r"^0\.42\ss · 0\.90\ss", "^51.2", "^3", "^1,200 from 4,000 events", "^12")]
    )
    expect(ana.page.locator("#view")).to_contain_text("Listeners who cannot be served")
    expect(ana.page.locator("#view tr", has_text="columns differ")).to_contain_text(re.compile(r"7\s*$"))
    details = ana.page.locator("details[data-keep=recommend]")
    expect(details.locator("dl")).to_be_hidden()
    details.locator("summary").click()
    expect(details).to_contain_text("durations ms triggerExecution")
    details.evaluate("details => { details.dataset.isOld = ''; }")
    expect(ana.page.locator("details[data-keep=recommend]:not([data-is-old])")).to_be_attached()
    expect(details.locator("dl")).to_be_visible()  # also after the page was asked for again
    expect(ana.page.locator("#view")).to_contain_text("recall at 20")
    expect(ana.page.locator("#rejected-events p")).to_have_text(f"3: 2 × {EVIL}, 1 × not JSON")
    site = ana.page.url.split("#")[0]
    report = httpx.get(f"{site}report", timeout=ANSWER_S)
    assert "Recall 0.97" in report.text and report.headers["content-security-policy"].startswith("sandbox")
