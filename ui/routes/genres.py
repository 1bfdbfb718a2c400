"""Routes of genres and moods: their lists, and the tracks of each."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from batch.words.vocabulary import WORD_BY_NAME, word_of
from ui.dependencies import Services, ServicesDep
from ui.library.routes import FIRST_ENTRIES, NO_MUSIC, Limit, Offset
from ui.page import cards
from ui.page.rendering import render
from ui.page.wording import counted
from ui.responses import Refused
from ui.search.words import ids_with_word, mood_sizes

HUE_STEP = 47
"""Degrees between the colours of neighbours in a list."""
FEWEST_TRACKS_OF_MOOD = 3

router = APIRouter(prefix="/view", default_response_class=HTMLResponse)

Entry = tuple[str, str, str, int, int]
"""(label, kind of its page, name in the page's address, number of tracks, hue of its tile)"""


@router.get("/genres")
def get_genres(services: ServicesDep) -> str:
    """All genres, the largest first."""
    sizes = services.library.search_index().genre_sizes()
    entries = [(name, "genre", name, count, place * HUE_STEP % 360) for place, (name, count) in enumerate(sizes)]
    return _names("Genres", entries, "No track has a genre." if len(services.library.search_index()) else NO_MUSIC)


@router.get("/moods")
def get_moods(services: ServicesDep) -> str:
    """All moods that are said of some tracks, the commonest first."""
    sizes = mood_sizes(services.library.search_index(), FEWEST_TRACKS_OF_MOOD)
    moods = sorted(sizes, key=lambda mood: (-sizes[mood], mood))
    labels = [(mood, _capitalised(WORD_BY_NAME[mood].label)) for mood in moods]
    entries = [(label, "mood", mood, sizes[mood], place * HUE_STEP % 360) for place, (mood, label) in enumerate(labels)]
    return _names("Moods", entries, "Moods appear after the next model is trained.")


@router.get("/genre/{name:path}")
def get_genre(name: str, services: ServicesDep, offset: Offset = 0, limit: Limit = None) -> str:
    index = services.library.search_index()
    track_ids, name = index.by_genre(name), index.genre_name(name)
    return _tracks(services, "genre", name, name, track_ids, offset, limit)


@router.get("/mood/{name:path}")
@router.get("/tag/{name:path}")
def get_mood(name: str, services: ServicesDep, offset: Offset = 0, limit: Limit = None) -> str:
    """The tracks of which a word is said, those that stand highest for it first."""
    word = word_of(name)
    if word is None:
        raise Refused(404, "No tracks sound like this.")
    track_ids = list(ids_with_word(services.library.search_index(), word.name))
    return _tracks(services, "tag", word.name, _capitalised(word.label), track_ids, offset, limit)


def _tracks(
    services: Services, kind: str, name: str, title: str, track_ids: list[str], offset: int, limit: int | None
) -> str:
    """A page of tracks, or with a limit a part of its list.  kind : "genre" or "tag" """
    tracks = services.library.in_order(track_ids[offset : offset + (limit or FIRST_ENTRIES)])
    if limit is not None:
        return render("part", kind="tracks", entries=tracks)
    if not tracks:
        raise Refused(404, "This genre is not in the library." if kind == "genre" else "No tracks sound like this.")
    note = counted(len(track_ids), "track") + (f", {cards.GUESS}" if kind == "tag" else "")
    page = "genre" if kind == "genre" else "mood"
    return render(
        "named-tracks", kind=kind, page=page, name=name, title=title, note=note, tracks=tracks, count=len(track_ids)
    )


def _names(title: str, entries: list[Entry], nothing: str) -> str:
    return render("names", title=title, entries=entries, note="" if entries else nothing)


def _capitalised(label: str) -> str:
    return label[:1].upper() + label[1:]
