"""Words for the sound in the player: search, moods at home, a word's page, radio, mutings and the colours of the map."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import ValidationError

from ui.data.history import HistoryEntry
from ui.data.library import Details, Library, Track
from ui.data.listener_data import TasteSummary, read_taste
from ui.dependencies import Services
from ui.home.shelves import mood_shelves
from ui.left_out import tracks_left_out
from ui.page.rendering import render
from ui.responses import Refused
from ui.routes.discover import start_radio
from ui.routes.genres import get_mood
from ui.routes.pages import get_track
from ui.routes.schemas import ListeningAction
from ui.routes.taste_map import _tracks as map_tracks
from ui.search.building import build_index
from ui.search.index import SearchIndex
from ui.search.routes import get_search
from ui.search.words import ids_with, ids_with_word, listed_words, map_words, mood_sizes, word_query

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def document(track_id: str, words: dict[str, int], **fields: Any) -> dict[str, Any]:
    tags = [{"tag": name, "percentile": percentile} for name, percentile in words.items()]
    return {"_id": track_id, "title": f"Song {track_id}", "artist": f"Band {track_id}", "tags": tags, **fields}


DOCUMENTS = [
    document("a", {"mellow": 99, "acoustic": 86, "guitar": 90}),
    document("b", {"mellow": 90, "acoustic": 97, "female vocalists": 95}, artist="Bach"),
    document("c", {"mellow": 95, "instrumental": 88}, artist="Bach"),
    document("d", {"sad": 91, "rock": 99, "polka": 99}),
    document("e", {"hip-hop": 93}, title="Mellow Yellow"),
    {"_id": "f", "title": "Food", "tags": "mellow"},
    {"_id": "g", "title": "Good", "genre": "Jazz"},
]


@pytest.fixture(scope="module")
def index() -> SearchIndex:
    return build_index(DOCUMENTS)


class Shelf(Library):
    """A library that is a list of documents."""

    def __init__(self, documents: Iterable[dict[str, Any]] = DOCUMENTS) -> None:
        self.documents = {each["_id"]: each for each in documents}

    def tracks_of(self, track_ids: Iterable[str]) -> dict[str, Track]:
        held = [self.documents[track_id] for track_id in track_ids if track_id in self.documents]
        return {each["_id"]: Track(each["_id"], each.get("title", ""), each.get("artist", "")) for each in held}

    def search_index(self) -> SearchIndex:
        return build_index(self.documents.values())

    def similar(self, track_id: str, limit: int = 24) -> list[Track]:
        return []

    def details(self, track_id: str) -> Details:
        words = {each["tag"]: each["percentile"] for each in self.documents[track_id]["tags"]}
        return Details(words=words)


def services(library: Library, muted: tuple[str, ...] = (), disliked: set[str] | None = None) -> Services:
    listener_data = SimpleNamespace(
        taste=lambda _: TasteSummary(muted=muted),
        disliked=lambda _: set(disliked or ()),
        just_heard=lambda _: set[str](),
    )
    similarity = SimpleNamespace(similar=lambda *_: [])
    return cast(Services, SimpleNamespace(library=library, listener_data=listener_data, similarity=similarity))


@pytest.mark.parametrize(
    ("typed", "ids"),
    [
        ("mellow", "a c b"),
        ("Mellow acoustic", "b a"),
        ("mellow acoustic guitar", "a"),
        ("instrumental", "c"),
        ("female vocals", "b"),
        ("mellow bach", "c b"),
        ("mellow ba acoustic", "b a"),
        ("mellow Bäch", "c b"),
        ("melancholy", "d"),
        ("hip hop", "e"),
        ("polka", ""),
        ("yellow", ""),
        ("", ""),
    ],
)
def test_words_find_the_tracks_that_stand_highest_and_other_words_search_names(
    index: SearchIndex, typed: str, ids: str
) -> None:
    assert ids_with(index, word_query(typed)) == ids.split()


def test_a_words_tracks_are_found_by_each_of_its_names(index: SearchIndex) -> None:
    assert ids_with_word(index, "Female Vocalist") == ["b"] and ids_with_word(index, "polka") == []


def heads(library: Library, typed: str) -> list[str]:
    """The titles of the groups on a page of results, in order."""
    html = get_search(None, services(library), typed)
    return [" ".join(head.split()) for head in re.findall(r'<h3 class="group-head".*?>(.*?)</h3>', html)]


def test_a_search_shows_names_and_what_sounds_so() -> None:
    library = Shelf()
    assert heads(library, "mellow") == ["Sounds like: mellow", "Tracks"]
    assert heads(library, "mellow bach") == ["Sounds like: mellow and “bach”"]
    assert heads(library, "rock") == ["Sounds like: rock"]
    assert heads(library, "bach") == ["Tracks"]
    assert "No results for “xylograph”" in get_search(None, services(library), "xylograph")
    html = get_search(None, services(library), "mellow ba")
    assert 'data-seed="words" data-value="mellow ba"' in html and "the computer&#39;s guess from their sound" in html


def test_a_genre_that_is_a_word_too_shows_names_first() -> None:
    library = Shelf([document("a", {"rock": 99}), document("b", {}, genre="Rock")])
    assert heads(library, "rock") == ["Tracks", "Sounds like: rock"]


def test_markup_in_a_query_shows_as_text() -> None:
    library = Shelf([document("a", {"mellow": 99}, title="script alert 1 script")])
    html = get_search(None, services(library), "mellow <script>alert(1)</script>")
    assert "<script" not in html and "Sounds like: mellow and “script alert 1 script”" in html


def test_a_track_lists_its_words_by_kind_and_few_genres() -> None:
    words = {
        "rock": 99,
        "indie": 98,
        "pop": 97,
        "guitar": 96,
        "sad": 95,
        "mellow": 94,
        "female vocalists": 93,
        "happy": 86,
    }
    assert [word.name for word in listed_words(words)] == [
        "sad",
        "mellow",
        "guitar",
        "female vocalists",
        "rock",
        "indie",
    ]
    html = get_track("b", None, services(Shelf()))
    (line,) = re.findall(r"Sounds like \(the computer's guess\)</dt><dd id=\"sounds-like\">(.*?)</dd>", html, re.DOTALL)
    assert re.sub(r"<.*?>", "", line) == "mellow, acoustic, female vocalists"
    assert 'href="#/tag/female%20vocalists"' in line
    assert "Sounds like" not in get_track("a", None, services(Shelf([document("a", {})])))


def test_a_words_page_has_its_tracks_and_what_can_be_done_with_them() -> None:
    html = get_mood("Mellow", services(Shelf()))
    assert re.findall(r'class="card track-row" data-track-id="(.)"', html) == ["a", "c", "b"]
    assert (
        ">Mellow</h2><p>3 tracks, the computer&#39;s guess from their sound</p>" in html and 'data-source="tag"' in html
    )
    assert re.findall(r'data-target="(.*?)"', html) == ["tag:mellow"] * 3
    assert 'data-seed="words"' in html and re.findall(r'data-wish="(.*?)"', html) == ["more", "less"]
    for name in ("polka", "happy"):
        with pytest.raises(Refused):
            get_mood(name, services(Shelf()))


MANY = [
    *(document(f"m{number:02}", {"mellow": 99 - number}) for number in range(10)),
    *(document(f"h{number:02}", {"happy": 99 - number}) for number in range(6)),
    *(document(f"s{number:02}", {"sad": 99}) for number in range(5)),
]


def test_home_has_shelves_of_moods_with_enough_tracks_those_heard_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert mood_sizes(build_index(MANY), 6) == {"mellow": 10, "happy": 6}
    history = [HistoryEntry("h01", NOON)]
    shelves = mood_shelves(services(Shelf(MANY)), history, None)
    assert [(mood.name, size, len(tracks)) for mood, size, tracks in shelves] == [("happy", 6, 6), ("mellow", 10, 10)]
    nothing = dict.fromkeys(("position", "position_track"), None) | dict.fromkeys(
        ("recent", "named_lists", "recently_added", "genres"), []
    )
    nothing |= {"marks": {}, "track_count": 11, "albums": []}
    html = render("home", moods=shelves, **nothing)
    assert re.findall(r'<h2><a href="(.*?)">(.*?)</a></h2>', html) == [
        ("#/tag/happy", "Happy"),
        ("#/tag/mellow", "Mellow"),
    ]
    assert html.count('data-action="play-all"') == 2 and html.count("the computer&#39;s guess") == 2


def test_a_mood_shelf_has_nothing_that_is_muted_or_disliked() -> None:
    shelves = mood_shelves(services(Shelf(MANY), ("tag:happy", "artist:Band m03"), {"m04"}), [], "ana")
    assert [mood.name for mood, _, _ in shelves] == ["mellow"]
    shown = {track.track_id for track in shelves[0][2]}
    assert len(shown) == 8 and not shown & {"m03", "m04"}


def test_a_muted_word_is_left_out_by_each_of_its_names() -> None:
    assert tracks_left_out(services(Shelf(), ("tag:Melancholy", "tag:polka")), "ana").track_ids == {"d"}


def test_a_radio_of_words_plays_what_sounds_so() -> None:
    library = Shelf(
        [*MANY, document("m10", {"mellow": 100}, artist="Band m03"), document("m11", {"mellow": 100, "sad": 99})]
    )
    past = services(library, ("artist:Band m03", "tag:sad"))
    ids = re.findall(r'data-track-id="(.*?)"', start_radio("ana", past, words="mellow")["html"])
    assert sorted(ids) == [f"m{number:02}" for number in (0, 1, 2, 4, 5, 6, 7, 8, 9)]
    with pytest.raises(Refused):
        start_radio("ana", past, words="chill")


def test_a_map_without_genres_is_coloured_by_sound() -> None:
    places = [{**each, "map": [number / 10, 0.5]} for number, each in enumerate(DOCUMENTS[:6])]
    index = build_index(places)
    data = map_tracks(index, index.map_positions)
    assert data["by_sound"] and data["genres"] == ["mellow", "hip-hop", "rock"]
    names = {
        track_id: ([*data["genres"], "other"][colour])
        for track_id, colour in zip(data["tracks"], data["genre"], strict=True)
    }
    assert names == {"a": "mellow", "b": "mellow", "c": "mellow", "d": "rock", "e": "hip-hop", "f": "other"}


def test_a_map_with_genres_is_coloured_by_them_and_one_with_nothing_by_nothing() -> None:
    index = build_index([{**each, "map": [0.1, 0.2], "genre": "Folk"} for each in DOCUMENTS])
    data = map_tracks(index, index.map_positions)
    assert (data["by_sound"], data["genres"], set(data["genre"])) == (False, ["Folk"], {0})
    index = build_index([{"_id": "a", "map": [0.1, 0.2]}])
    assert map_tracks(index, index.map_positions)["genre"] == [-1]
    assert map_words(build_index([]))[0].tolist() == []


def test_a_page_may_wish_for_a_word_in_place_of_a_track() -> None:
    assert ListeningAction(action="more", target="tag:mellow").target == "tag:mellow"
    assert ListeningAction(action="mute", target="tag:mellow", source="tag").track_id is None
    for wrong in (
        {"action": "more"},
        {"action": "more", "track_id": "a", "target": "tag:mellow"},
        {"action": "like", "target": "tag:x"},
    ):
        with pytest.raises(ValidationError):
            ListeningAction(**cast(Any, wrong))


def test_the_taste_has_the_wishes_that_stand() -> None:
    wishes = [{"target": "tag:mellow", "wish": "more", "at": 5.0}, {"target": "tag:sad", "wish": "", "at": 6.0}]
    assert read_taste({"_id": "ana", "tag_wishes": wishes}).wishes == {"tag:mellow": "more"}
    assert read_taste({}).wishes == {}
