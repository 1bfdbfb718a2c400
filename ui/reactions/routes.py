"""Routes of reactions: the page on which each can be taken back, and the first question to a newcomer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from ui.dependencies import RequiredListener, ServicesDep
from ui.page.rendering import render
from ui.reactions.newcomer import SCREENS, WANTED_LIKES, starting_tracks
from ui.reactions.reactions import TITLE_BY_MUTED_KIND, TITLE_BY_WORD, reactions
from ui.responses import Refused

REACTIONS_ON_PAGE = 100
MUTED = "muted"

router = APIRouter(prefix="/view", default_response_class=HTMLResponse)


@router.get("/reactions")
@router.get("/reactions/{word}")
def get_reactions(
    user_id: RequiredListener,
    services: ServicesDep,
    word: str = "like",
    start: Annotated[int, Query(ge=0)] = 0,
) -> str:
    """One kind of reactions. word : "like", "dislike", "more", "less" or "muted";  start : tracks before those shown"""
    if word not in (*TITLE_BY_WORD, MUTED):
        raise Refused(404, "Page not found.")
    taste = services.listener_data.taste(user_id)
    listed = reactions(services.listener_data.history.opinions(user_id), taste.muted, taste.wishes)
    track_ids = listed.track_ids_by_word.get(word, ())
    counts = {each: len(ids) for each, ids in listed.track_ids_by_word.items()}
    return render(
        "reactions",
        word=word,
        titles=TITLE_BY_WORD | {MUTED: "Muted"},
        counts=counts | {MUTED: listed.muted_count + len(listed.wishes)},
        tracks=services.library.in_order(track_ids[start : start + REACTIONS_ON_PAGE]),
        count=len(track_ids),
        start=start,
        page_tracks=REACTIONS_ON_PAGE,
        muted_kinds=TITLE_BY_MUTED_KIND,
        muted_by_kind=listed.muted_by_kind,
        wishes=listed.wishes,
    )


@router.get("/start")
@router.get("/start/{screen}")
def get_start(services: ServicesDep, screen: int = 1) -> str:
    """A screen of tracks of which a newcomer taps those that they like."""
    tracks = starting_tracks(services.library, screen) if 1 <= screen <= SCREENS else []
    if not tracks:
        raise Refused(404, "There are no more tracks to choose from.")
    has_next = screen < SCREENS and bool(starting_tracks(services.library, screen + 1))
    return render("start", tracks=tracks, screen=screen, has_next=has_next, wanted=WANTED_LIKES)
