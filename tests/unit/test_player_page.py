"""The page's parts without browser or services: cards, covers, guard and routes, over a library that is a dict."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from batch.mongo import NEW_LISTENERS
from conf.settings import settings
from streaming.events import BadEvent, Event, encode, parse
from ui import app
from ui.auth.accounts import Accounts
from ui.auth.places import Client
from ui.auth.revocations import Revocations
from ui.auth.secret import SecretUnusable, session_secret
from ui.auth.shares import ShareTaken
from ui.auth.throttle import Throttle
from ui.covers.drawn import cover
from ui.data.history import History
from ui.data.lake import LakeUnavailable
from ui.data.library import Library, Track
from ui.data.listener_data import ListenerData, TasteSummary
from ui.data.mongo import LibraryUnavailable
from ui.data.names import Listener, Names
from ui.data.recommendation_list import Item, Recommendations
from ui.dependencies import Services
from ui.events.event_queue import EventQueue, QueueFull, QueueState
from ui.events.journal import JournalUnwritable
from ui.media.analysis import AnalysisPending, AnalyzerBusy, AudioAnalyzer, AudioUnreadable
from ui.media.similarity import NoModel, SimilaritySearch
from ui.page import cards
from ui.playlists.store import LimitExceeded, PlaylistChanged
from ui.responses import Refused
from ui.routes import accounts, taste_map
from ui.search.building import build_index
from ui.search.index import SearchIndex
from ui.search.live_index import LibraryBeingRead
from ui.static_files import FOLDER, LASTING_PREFIX

OURS = {"origin": "http://127.0.0.1:7860"}
EVIL = '"><img src=x onerror=alert(1)><script>alert(2)</script>'


class Shelf(Library):
    """A library that is a dict."""

    def __init__(
        self, tracks: Iterable[Track], lists: Iterable[Recommendations] = (), files: dict[str, Path] | None = None
    ):
        self.tracks = {track.track_id: track for track in tracks}
        self.lists = {each.user_id: each for each in lists}
        self.files = files or {}
        self.is_away = False

    def tracks_of(self, track_ids: Iterable[str]) -> dict[str, Track]:
        if self.is_away:
            raise LibraryUnavailable("nobody at home")
        return {track_id: self.tracks[track_id] for track_id in track_ids if track_id in self.tracks}

    def size(self) -> int:
        return len(self.tracks)

    def page(self, after: str = "", limit: int = 40) -> list[Track]:
        return list(self.tracks.values())[:limit]

    def recommendations(self, user_id: str | None) -> Recommendations | None:
        if self.is_away:
            raise LibraryUnavailable("nobody at home")
        return self.lists.get(user_id or NEW_LISTENERS) or self.lists.get(NEW_LISTENERS)

    def change_token(self, user_id: str | None) -> str | None:
        recommendations = self.recommendations(user_id)
        return recommendations.change_token if recommendations else None

    def search_index(self) -> SearchIndex:
        return build_index({"_id": track.track_id, **vars(track)} for track in self.tracks.values())

    def new_among(self, track_ids: Iterable[str]) -> set[str]:
        return set()

    def is_searchable(self, wait_s: float) -> bool:
        return not self.is_away

    def audio(self, track_id: str) -> str | None:
        return str(self.files[track_id]) if track_id in self.files else None


class RecordedHistory(History):
    """A history that is a list of events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def record(self, event: Event) -> None:
        self.events.append(event)

    def opinions(self, user_id: str) -> dict[str, str]:
        return {each.track_id: each.action for each in self.events if (each.user_id, each.action) == (user_id, "like")}

    def heard_among(self, user_id: str, track_ids: Collection[str]) -> set[str]:
        return {each.track_id for each in self.events if each.action == "play"} & set(track_ids)


class NoProfile(ListenerData):
    """A listener of whom the stream has counted nothing."""

    def __init__(self) -> None:
        self.history = RecordedHistory()

    def change_token(self, user_id: str) -> str:
        return str(len(self.history.events))

    def taste(self, user_id: str) -> TasteSummary:
        return TasteSummary()

    def likes_and_plays(self, user_id: str) -> tuple[int, int]:
        return 0, 0


class Open(Accounts):
    """No name has an account."""

    def __init__(self) -> None: ...

    def key(self, user_id: str) -> str | None:
        return None

    def is_current(self, user_id: str, key: str | None) -> bool:
        return key is None


class OpenNames(Names):
    """Nobody has a name yet."""

    def __init__(self) -> None: ...

    def find(self, name: str) -> Listener | None:
        return None

    def find_with_data(self, name: str) -> Listener | None:
        return None

    def register(self, listener: Listener) -> Listener:
        return listener


class NoRevocations(Revocations):
    """No session ends."""

    def __init__(self) -> None: ...

    def is_revoked(self, user_id: str, session_id: str, started_at: float) -> bool:
        return False

    def revoke(self, session_id: str) -> None: ...


class EventQueueDouble(EventQueue):
    """EventQueue that is a list."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    @property
    def state(self) -> QueueState:
        return QueueState(connected=True, waiting=0)

    def publish(self, event: Event, session_began_s: float | None = None) -> None:
        self.events.append(event)

    def is_discarded(self, user_id: str, session_began_s: float | None) -> bool:
        return False

    def close(self, timeout_s: float = 1.0) -> int:
        return 0


def recommended(user_id: str, *track_ids: str, generation: int = 1) -> Recommendations:
    items = tuple(Item(track_id, rank, 1.0, (), f"why {track_id}") for rank, track_id in enumerate(track_ids, start=1))
    return Recommendations(user_id, items, generation, datetime(2026, 11, 23, tzinfo=UTC), "m1", 3)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    file = tmp_path / "a.mp3"
    file.write_bytes(bytes(range(200)))
    tracks = [Track("a", "Food", "AWOL"), Track("b", "Toggle", "Black Elk"), Track("c", EVIL, EVIL, genre=EVIL)]
    lists = [recommended(NEW_LISTENERS, "a", "b"), recommended("ana", "b", "c")]
    return Shelf(tracks, lists, files={"a": file})


@pytest.fixture
def queue() -> EventQueueDouble:
    return EventQueueDouble()


@pytest.fixture
def client(shelf: Shelf, queue: EventQueueDouble) -> TestClient:
    services = Services(
        settings=settings(),
        secret="s" * 40,
        db=None,  # type: ignore[arg-type]
        library=shelf,
        event_queue=queue,
        listener_data=NoProfile(),
        accounts=Open(),
        names=OpenNames(),
        revocations=NoRevocations(),
        analyzer=AudioAnalyzer(),
        similarity=SimilaritySearch("/nowhere"),
    )
    return TestClient(app.create_app(services), base_url="http://127.0.0.1:7860", headers=OURS)


def event(**more: Any) -> dict[str, Any]:
    return {"track_id": "a", "action": "play", "position_ms": 0, "duration_ms": 30_000, "source": "for-you"} | more


def test_tags_with_markup_show_as_text() -> None:
    html = cards.cards([Track(EVIL, EVIL, EVIL, genre=EVIL, licence=EVIL)], "search", EVIL, {EVIL: EVIL})
    assert "<script" not in html and "<img src=x" not in html
    assert html.count("<img ") == 1
    assert "&lt;script&gt;alert(2)&lt;/script&gt;" in html


def test_headings_with_markup_show_as_text() -> None:
    assert "<script" not in cards.similar(Track("a", EVIL, EVIL), [])


def test_a_cover_depends_on_the_id_alone_and_holds_nothing_of_it() -> None:
    assert cover("a") == cover("a") != cover("b")
    assert "script" not in cover("<script>")


def test_a_list_without_some_of_its_tracks_shows_the_others() -> None:
    html = cards.for_you(recommended("ana", "gone", "a"), {"a": Track("a", "Food")})
    assert "why a" in html and "why gone" not in html


def test_a_reason_is_made_of_the_heard_titles_where_the_list_gives_none() -> None:
    listed = Recommendations("ana", (Item("a", 1, because=("b",)),))
    assert "Because you listened to Toggle" in cards.for_you(
        listed, {"a": Track("a", "Food"), "b": Track("b", "Toggle")}
    )


def test_a_picture_that_is_not_drawn_yet_is_asked_for_again(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Exception] = [AnalysisPending(), AnalyzerBusy("wait"), AudioUnreadable("cannot be decoded")]

    async def drawn(self: AudioAnalyzer, track: str, kind: str, wait_s: float, client: Client) -> bytes:
        if answers:
            raise answers.pop(0)
        return b"PNG"

    monkeypatch.setattr(AudioAnalyzer, "picture", drawn)
    got = [client.get("/picture/a/mel") for _ in range(4)]
    assert [answer.status_code for answer in got] == [202, 503, 422, 200]
    assert ["retry-after" in answer.headers for answer in got] == [True, True, False, False]
    assert got[3].content == b"PNG" and "max-age" in got[3].headers["cache-control"]
    assert got[0].headers["cache-control"] == "no-cache"


def test_events_without_a_listener_are_refused(client: TestClient, queue: EventQueueDouble) -> None:
    assert client.post("/events", json=event()).status_code == 401
    assert queue.events == []


def test_events_carry_the_listener_of_the_session(client: TestClient, queue: EventQueueDouble) -> None:
    client.post("/listener", json={"name": " ana "})
    assert client.get("/listener").json()["user_id"] == "ana"
    assert client.post("/events", json=event(model_version="m1")).status_code == 202
    (sent,) = queue.events
    assert (sent.user_id, sent.track_id, sent.action, sent.source) == ("ana", "a", "play", "for-you")
    assert (sent.position_ms, sent.duration_ms, sent.model_version) == (0, 30_000, "m1")
    assert sent.session_id


def test_an_event_that_is_sent_again_is_accepted_once(client: TestClient, queue: EventQueueDouble) -> None:
    client.post("/listener", json={"name": "ana"})
    event_id = "0b0e6f0c-52a5-4c5f-8c43-3f6f3ac4a4a1"
    for _ in range(2):
        answer = client.post("/events", json=event(event_id=event_id))
        assert (answer.status_code, answer.json()) == (202, {"event_id": event_id})
    assert [sent.event_id for sent in queue.events] == [event_id]
    client.post("/listener", json={"name": "bob"})
    client.post("/events", json=event(event_id=event_id))
    assert [sent.user_id for sent in queue.events] == ["ana", "bob"]


def test_events_sounds_and_exports_are_limited(
    client: TestClient, queue: EventQueueDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = client.app.state.services.limits  # type: ignore[attr-defined]
    for name in ("events_by_listener", "sounds_by_place", "exports_by_listener"):
        monkeypatch.setitem(limits.__dict__, name, Throttle(2))
    client.post("/listener", json={"name": "ana"})
    answers = [client.post("/events", json=event()) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429] and len(queue.events) == 2
    assert 0 < int(answers[2].headers["retry-after"]) <= 61
    sound = {"content": b"x", "headers": {"content-type": "audio/wav"}}
    assert [client.post("/sound", **sound).status_code for _ in range(3)] == [409, 409, 429]
    monkeypatch.setattr("ui.routes.accounts._exported", lambda *_: (part for part in ("{", "}")))
    assert [client.get("/me/export").status_code for _ in range(3)] == [200, 200, 429]
    client.post("/listener", json={"name": "bob"})
    assert client.post("/events", json=event()).status_code == 202, "others are as they were"


def test_one_export_is_made_at_a_time_and_one_that_fails_or_is_abandoned_holds_up_no_other(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing() -> Iterator[str]:
        yield "{"
        raise OSError("the disk is gone")

    monkeypatch.setitem(client.app.state.services.limits.__dict__, "exports_by_listener", Throttle(9))  # type: ignore[attr-defined]
    client.post("/listener", json={"name": "ana"})
    monkeypatch.setattr("ui.routes.accounts._exported", lambda *_: failing())
    with pytest.raises(OSError, match="the disk is gone"):
        client.get("/me/export")
    monkeypatch.setattr("ui.routes.accounts._exported", lambda *_: (part for part in ("{", "}")))
    assert client.get("/me/export").json() == {}
    with accounts._EXPORTING:
        assert client.get("/me/export").status_code == 503
    assert client.get("/me/export").status_code == 200


def test_the_tracks_of_the_map_are_made_once_for_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(taste_map, "_tracks", lambda index, _: made.append(index) or {"tracks": index.ids})
    index, other = (build_index([{"_id": track_id, "map": [0, 0]}]) for track_id in "ab")
    tracks = taste_map.MapTracks()
    assert [tracks.of(each)[1] for each in (index, index, other)] == [
        {"tracks": ["a"]},
        {"tracks": ["a"]},
        {"tracks": ["b"]},
    ]
    assert made == [index, other]


@pytest.mark.parametrize(
    "more",
    [
        {"user_id": "bob"},
        {"action": "buy"},
        {"position_ms": -1},
        {"position_ms": "12"},
        {"duration_ms": 10**12},
        {"source": "elsewhere"},
        {"track_id": ""},
        {"track_id": "x" * 200},
        {"track_id": {"$ne": None}},
        {"track_id": None},
        {"target": "genre:Pop"},
        {"action": "mute"},
        {"action": "mute", "target": "genre:Pop"},  # about a track and a genre at once
        {"event_id": "not a uuid"},
        {"tracks": ["a"]},
        {"action": "shown"},  # one track
        {"action": "shown", "track_id": None},
        {"action": "shown", "track_id": None, "tracks": []},
        {"action": "shown", "track_id": None, "tracks": ["a"] * 101},
        {"action": "shown", "track_id": None, "tracks": ["a", {"$ne": None}]},
        {"action": "shown", "track_id": None, "tracks": "a"},
        {"action": "visit"},
        {"action": "visit", "track_id": None, "target": "genre:Pop"},
    ],
)
def test_a_forged_or_wrong_event_is_refused(client: TestClient, queue: EventQueueDouble, more: dict[str, Any]) -> None:
    client.post("/listener", json={"name": "ana"})
    answer = client.post("/events", json=event(**more))
    assert answer.status_code == 422 and "error" in answer.json()
    assert queue.events == []


def test_what_was_shown_and_visits_are_queued_and_no_history(client: TestClient, queue: EventQueueDouble) -> None:
    shown = {"action": "shown", "tracks": ["a", "b"], "source": "for-you", "model_version": "m1"}
    assert client.post("/events", json=shown).status_code == 401, "of nobody"
    client.post("/listener", json={"name": "ana"})
    for action in (shown, {"action": "visit"}):
        answer = client.post("/events", json=action)
        assert answer.status_code == 202 and answer.json()["event_id"] == queue.events[-1].event_id
    assert [(each.user_id, each.action, each.track_id, each.tracks, each.model_version) for each in queue.events] == [
        ("ana", "shown", None, ("a", "b"), "m1"),
        ("ana", "visit", None, (), None),
    ]
    assert [parse(encode(each), datetime.now(UTC)).action for each in queue.events] == ["shown", "visit"]


@pytest.mark.parametrize(("action", "most"), [({"action": "shown", "tracks": ["a"]}, 12), ({"action": "visit"}, 3)])
def test_what_pages_send_by_themselves_is_dropped_beyond_a_limit(
    client: TestClient, queue: EventQueueDouble, action: dict[str, Any], most: int
) -> None:
    client.post("/listener", json={"name": "ana"})
    answers = [client.post("/events", json=action) for _ in range(most + 2)]
    assert {answer.status_code for answer in answers} == {202} and len(queue.events) == most
    assert [answer.json()["event_id"] is None for answer in answers[-3:]] == [False, True, True]
    assert client.post("/events", json=event()).json()["event_id"], "what the listener does has no limit"
    client.post("/listener", json={"name": "bob"})
    assert client.post("/events", json=action).json()["event_id"], "each listener has their own"


def test_an_event_about_an_unknown_track_is_refused(client: TestClient, queue: EventQueueDouble) -> None:
    client.post("/listener", json={"name": "ana"})
    assert client.post("/events", json=event(track_id="nobody's")).status_code == 404


def test_events_are_taken_while_the_library_is_away(client: TestClient, queue: EventQueueDouble, shelf: Shelf) -> None:
    client.post("/listener", json={"name": "ana"})
    shelf.is_away = True
    assert client.post("/events", json=event()).status_code == 202


def test_an_event_that_was_kept_says_when_it_was_but_never_later_than_now(
    client: TestClient, queue: EventQueueDouble
) -> None:
    client.post("/listener", json={"name": "ana"})
    client.post("/events", json=event(occurred_at="2026-11-23T09:00:00+01:00"))
    client.post("/events", json=event(occurred_at="2999-01-01T00:00:00Z"))
    client.post("/events", json=event(occurred_at="1900-01-01T00:00:00Z"))
    early, ahead, ancient = (each.occurred_at for each in queue.events)
    assert early == datetime(2026, 11, 23, 8, tzinfo=UTC)
    assert ancient.year == 2000 and abs((ahead - datetime.now(UTC)).total_seconds()) < 10
    assert client.post("/events", json=event(occurred_at="2026-11-23T09:00:00")).status_code == 422, "of no time zone"


def test_an_event_of_another_listener_is_not_taken(client: TestClient, queue: EventQueueDouble) -> None:
    client.post("/listener", json={"name": "ana"})
    assert client.post("/events", json=event(listener="bob")).status_code == 409
    assert client.post("/events", json=event(listener="ana")).status_code == 202
    assert [each.user_id for each in queue.events] == ["ana"]


def test_a_cookie_that_was_changed_is_nobodys(client: TestClient, queue: EventQueueDouble) -> None:
    client.post("/listener", json={"name": "ana"})
    (name,) = client.cookies.keys()
    forged = "eyJ1c2VyX2lkIjogImJvYiJ9" + client.cookies[name][24:]
    client.cookies.clear()
    client.cookies.set(name, forged)
    assert client.get("/listener").json()["user_id"] is None


def test_the_session_cookie_is_closed_to_scripts_and_other_sites(client: TestClient) -> None:
    cookie = client.post("/listener", json={"name": "ana"}).headers["set-cookie"]
    assert "httponly" in cookie and "samesite=strict" in cookie


@pytest.mark.parametrize("name", ["*", "a\nb", "x" * 129, "guest-0123"])
def test_a_name_that_no_listener_may_have_is_refused(client: TestClient, name: str) -> None:
    assert client.post("/listener", json={"name": name}).status_code == 422


@pytest.mark.parametrize(
    "headers", [{"origin": "http://evil.example"}, {"origin": "null"}, {"origin": "http://127.0.0.1:1"}]
)
def test_posts_from_other_sites_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    for path in ("/listener", "/events", "/gradio_api/run/search"):
        assert client.post(path, json={"name": "ana"}, headers=headers).status_code == 403


def test_a_post_that_no_browser_page_makes_is_refused(client: TestClient) -> None:
    del client.headers["origin"]
    assert client.post("/listener", json={"name": "ana"}).status_code == 403


def test_a_post_that_is_not_json_is_refused(client: TestClient) -> None:
    answer = client.post("/listener", content='{"name": "ana"}', headers={"content-type": "text/plain"})
    assert answer.status_code == 415


def test_a_foreign_host_name_is_refused(client: TestClient) -> None:
    assert client.get("/for-you", headers={"host": "evil.example:7860"}).status_code == 403


def test_the_list_is_the_listeners_own(client: TestClient) -> None:
    everyones = client.get("/for-you").json()
    assert (everyones["personal"], everyones["listener"]) == (False, None)
    client.post("/listener", json={"name": "ana"})
    own = client.get("/for-you").json()
    assert (own["personal"], own["listener"]) == (True, "ana") and own["mark"] != everyones["mark"]
    assert "<script" not in own["html"]


def test_likes_come_from_the_server(client: TestClient) -> None:
    client.post("/listener", json={"name": "ana"})
    before = client.get("/for-you").json()
    assert before["opinions"] == {}
    client.post("/events", json=event(action="like"))
    after = client.get("/for-you", params={"seen": before["mark"], "mine": before["mine"]}).json()
    assert after["opinions"] == {"a": "like"} and "html" not in after
    assert "opinions" not in client.get("/for-you", params={"seen": after["mark"], "mine": after["mine"]}).json()


def test_an_unchanged_list_is_not_sent_again(client: TestClient, shelf: Shelf) -> None:
    mark = client.get("/for-you").json()["mark"]
    assert "html" not in client.get("/for-you", params={"seen": mark}).json()
    shelf.lists[NEW_LISTENERS] = recommended(NEW_LISTENERS, "b", "a", generation=2)
    assert "html" in client.get("/for-you", params={"seen": mark}).json()


def test_a_list_of_nothing_says_that_everything_is_muted_or_disliked(client: TestClient, shelf: Shelf) -> None:
    shelf.lists["ana"] = recommended("ana")
    client.post("/listener", json={"name": "ana"})
    news = client.get("/for-you").json()
    assert news["personal"] and "Every track is muted or disliked." in news["html"]
    assert "Unmute an artist, genre or word, or take back a dislike" in news["html"]
    assert 'href="#/reactions/muted"' in news["html"], "there, dislikes and mutings are taken back"
    assert "card" not in news["html"]


@pytest.mark.parametrize(
    ("item", "present", "absent"),
    [
        (
            Item("a", 1, 0.5, ("b",), "Because you liked “Toggle”", parts={"similarity": 0.5}, percentile=99.5),
            [
                "Because you liked “Toggle”",
                "Based on these tracks",
                "More similar to what you played than 99.5 % of all",
            ],
            ["named as the reason only", "Exploration"],
        ),
        (
            Item("a", 1, 0.1, (), "A little further from what you like", parts={"similarity": 0.1}, percentile=45.5),
            ["A little further from", "named as the reason only", "Less similar to what you played than 54.5 % of all"],
            ["Based on these tracks", "Exploration"],
        ),
        (
            Item("a", 1, -0.2, (), "Something different", True, {"similarity": 0.1, "rejection": -0.3}),
            ["Something different", "Something different: a few places", "-0.300", "-0.200"],
            ["Based on these tracks", "named as the reason only", "of all tracks"],
        ),
        (
            Item("a", 1, 0.0, (), "A way into your library", parts={"similarity": 0.0}),
            ["A way into your library", "+0.000"],
            ["Based on these tracks", "of all tracks</p>"],
        ),
    ],
)
def test_why_this_says_what_is_true_of_the_item(
    client: TestClient, shelf: Shelf, item: Item, present: list[str], absent: list[str]
) -> None:
    shelf.lists["ana"] = Recommendations("ana", (item,), 1, datetime(2026, 11, 23, tzinfo=UTC), "m1", 3)
    client.post("/listener", json={"name": "ana"})
    html = client.get("/view/why/a").text
    assert [text for text in present if text not in html] == []
    assert [text for text in absent if text in html] == []


def test_a_library_without_lists_is_shown_itself(client: TestClient, shelf: Shelf) -> None:
    shelf.lists.clear()
    news = client.get("/for-you").json()
    assert "Food" in news["html"]
    assert "html" not in client.get("/for-you", params={"seen": news["mark"]}).json()


def test_the_page_says_that_the_library_is_away(client: TestClient, shelf: Shelf) -> None:
    shelf.is_away = True
    answer = client.get("/for-you")
    assert answer.status_code == 200 and "nobody at home" in answer.json()["away"] and "html" not in answer.json()


def test_audio_is_served_in_ranges(client: TestClient) -> None:
    answer = client.get("/audio/a", headers={"range": "bytes=10-19"})
    assert answer.status_code == 206 and answer.content == bytes(range(10, 20))
    assert answer.headers["content-type"] == "audio/mpeg"


@pytest.mark.parametrize("track_id", ["b", "nobody's", "..%2F..%2Fetc%2Fpasswd", "/etc/passwd", "%2Fetc%2Fpasswd"])
def test_audio_outside_of_the_catalogue_is_not_found(client: TestClient, track_id: str) -> None:
    answer = client.get(f"/audio/{track_id}")
    assert answer.status_code == 404 and "error" in answer.json()


@pytest.mark.parametrize("path", ["upload", "proxy=http://127.0.0.1/", "file=/etc/passwd", "file/etc/passwd"])
def test_the_doors_of_gradio_that_are_not_used_are_closed(client: TestClient, path: str) -> None:
    assert client.get(f"/gradio_api/{path}").status_code == 404
    assert client.post(f"/gradio_api/{path}").status_code == 404


def test_the_page_asks_nobody_else(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200 and "default-src 'self'" in page.headers["content-security-policy"]
    theme = client.get("/theme.css").text
    assert "http" not in theme.replace("http://www.w3.org", "")


def test_the_session_secret_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    secret = session_secret(tmp_path / "home")
    assert len(secret) >= 32 and session_secret(tmp_path / "home") == secret
    (file,) = (tmp_path / "home").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_damaged_session_secret_is_named(tmp_path: Path) -> None:
    (tmp_path / "session-secret").write_text("short")
    with pytest.raises(SecretUnusable, match=r"session-secret holds 5 characters.*delete it"):
        session_secret(tmp_path)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (Refused(429, "Too many attempts.", {"Retry-After": "7"}), 429, "Too many attempts."),
        (BadEvent("no such action"), 422, "no such action"),
        (AudioUnreadable("cannot be decoded"), 422, "The file cannot be decoded"),
        (LimitExceeded("200 playlists"), 409, "200 playlists"),
        (
            PlaylistChanged(),
            409,
            "The playlist has changed meanwhile. Open it again and repeat the change.",
        ),
        (NoModel("no model"), 409, "no model"),
        (LibraryUnavailable("No server."), 503, "Can't reach your library. No server."),
        (LibraryBeingRead(), 503, "Your library is still being read. Try again in a moment."),
        (LakeUnavailable("no table"), 503, "The lake cannot be read. no table"),
        (QueueFull("20,000 events"), 503, "20,000 events"),
        (JournalUnwritable("disk full"), 503, "disk full"),
        (AnalyzerBusy("wait"), 503, "wait"),
        (ShareTaken("covers", is_own=False, retry_after_s=2), 503, "Too many covers at once. Try again in a moment."),
        (
            ShareTaken("open pages", is_own=True, retry_after_s=10),
            429,
            "Too many open pages at once from here. Try again in a moment.",
        ),
    ],
)
def test_each_error_of_a_route_has_its_status_and_message(error: Exception, status: int, message: str) -> None:
    response = app.RESPONSES[type(error)](error)
    assert (response.status_code, json.loads(bytes(response.body))) == (status, {"error": message})
    waits = isinstance(error, (Refused, QueueFull, JournalUnwritable, AnalyzerBusy, ShareTaken, LibraryBeingRead))
    assert ("retry-after" in response.headers) is waits


def test_the_page_may_run_no_text_as_a_script(client: TestClient) -> None:
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    (scripts,) = (part.split()[1:] for part in policy.split("; ") if part.startswith("script-src"))
    own, nonce = scripts
    assert own == "'self'" and nonce.startswith("'nonce-")
    assert f'<script nonce="{nonce[7:-1]}"' in page.text


def test_scripts_are_kept_under_an_address_that_changes_with_them(client: TestClient) -> None:
    page = client.get("/").text
    script = f"{LASTING_PREFIX}/main.js"
    assert script in page
    lasting, plain = client.get(script), client.get("/ui/main.js")
    assert lasting.headers["cache-control"] == "max-age=31536000, immutable" and lasting.text == plain.text
    assert plain.headers["cache-control"] == "no-cache"


def test_the_pages_head_names_all_scripts_and_styles_so_that_none_waits_for_another(client: TestClient) -> None:
    head, _, _ = client.get("/").text.partition("</head>")
    links = re.findall(rf'<link rel="(modulepreload|preload)"[^>]* href="{LASTING_PREFIX}/([^"]+)">', head)
    paths = [path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.*s*")]
    needed = {("modulepreload" if path.endswith(".js") else "preload", path) for path in paths}
    assert len(needed) > 80 and set(links) == needed - {("modulepreload", "push/worker.js")}, "the worker loads its own"
    assert len(links) == len(set(links)) and links[0][1] == "css/main.css"


@pytest.mark.parametrize(
    ("endpoint", "arguments"),
    [
        ("recommendations", [{"$ne": 1}, "for-you"]),
        ("similar", [{"$gt": ""}, 24]),
        ("similar", ["a", "many"]),
        ("search", [["x"], 20]),
    ],
)
def test_a_named_endpoint_says_which_argument_has_the_wrong_type(
    client: TestClient, endpoint: str, arguments: list[Any]
) -> None:
    answer = client.post(f"/gradio_api/run/{endpoint}", json={"data": arguments})
    assert answer.status_code == 500 and "Input should be a valid" in answer.json()["error"]
