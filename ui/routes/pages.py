"""Routes of the pages besides the list, as HTML that the page's script puts in place."""

from __future__ import annotations

import os

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from batch.library.object_store import is_remote
from ui.data.recommendation_list import Item
from ui.dependencies import CurrentListener, RequiredListener, Services, ServicesDep
from ui.home.titles import named_interests
from ui.left_out import similar_scores, similar_tracks, tracks_of_scores
from ui.page import cards
from ui.page.rendering import render
from ui.page.wording import closeness
from ui.responses import Refused
from ui.routes.audio import required_track
from ui.search.words import listed_words

SHELF_TRACKS = 14
PAGE_HISTORY = 100
PART_OF_PLACE = "diversity"
"""The part of an item that decides on its place in the list and not on its score."""

router = APIRouter(prefix="/view", default_response_class=HTMLResponse)


@router.get("/track/{track_id:path}")
def get_track(track_id: str, user_id: CurrentListener, services: ServicesDep) -> str:
    library = services.library
    track, details = required_track(library, track_id), library.details(track_id)
    scores = similar_scores(services, track_id)
    return render(
        "track",
        track=track,
        details=details,
        similar_tracks=tracks_of_scores(services, user_id, scores),
        similar_note="" if scores else cards.NO_SIMILAR_TRACKS,
        reasons={similar_id: closeness(score) for similar_id, score in scores},
        words=listed_words(details.words),
    )


@router.get("/similar/{track_id:path}")
def get_similar(track_id: str, user_id: CurrentListener, services: ServicesDep) -> str:
    """The section "More like this", which stands above a page."""
    track = required_track(services.library, track_id)
    return cards.similar(track, similar_tracks(services, user_id, track_id))


@router.get("/you")
def get_your_music(user_id: RequiredListener, request: Request, services: ServicesDep) -> str:
    library, listener_data = services.library, services.listener_data
    history = listener_data.history.entries(user_id, PAGE_HISTORY)
    track_by_id = library.tracks_of(entry.track_id for entry in history)
    return render(
        "you",
        listener_name=services.sessions.name(request),
        is_guest=services.sessions.is_guest(request),
        way_in=_way_in(services),
        history=[(entry, track_by_id[entry.track_id]) for entry in history if entry.track_id in track_by_id],
    )


@router.get("/settings")
def get_settings(user_id: CurrentListener, request: Request, services: ServicesDep) -> str:
    """Playback, appearance, account, and for operators the way to the service's state."""
    sessions = services.sessions
    name = sessions.name(request) if user_id else None
    is_operator = services.policy.is_operator(sessions.name(request))
    return render(
        "settings",
        listener_name=name,
        is_guest=user_id is not None and sessions.is_guest(request),
        way_in=_way_in(services),
        has_account=user_id is not None and services.accounts.key(user_id) is not None,
        is_operator=is_operator,
        folder=services.settings.library.root if is_operator else "",
        folder_problem=folder_problem(services.settings.library.root),
        track_count=services.library.size(),
    )


@router.get("/why/{track_id:path}")
def get_why(track_id: str, user_id: RequiredListener, services: ServicesDep) -> str:
    """Why a track is in the listener's list."""
    recommendations = services.library.recommendations(user_id)
    items = recommendations.items if recommendations else ()
    item = next((item for item in items if item.track_id == track_id), None)
    if recommendations is None or item is None:
        raise Refused(404, "This track is no longer in your list.")
    return render(
        "why",
        track=required_track(services.library, track_id),
        item=item,
        listened=services.library.in_order(item.because),
        parts=_score_bars(item),
        variety=item.parts.get(PART_OF_PLACE, 0.0),
        count=len(items),
        generation=recommendations.generation,
        generated_at=recommendations.generated_at,
        model_version=recommendations.model_version,
    )


@router.get("/map")
def get_taste_map(user_id: CurrentListener, services: ServicesDep) -> str:
    library = services.library
    taste = services.listener_data.taste(user_id) if user_id else None
    interests = taste.interests if taste else ()
    return render(
        "map",
        interests=named_interests(
            [(weight, library.in_order(track_ids[:SHELF_TRACKS])) for weight, track_ids in interests]
        ),
        rejected=library.in_order(taste.rejected[:SHELF_TRACKS]) if taste else [],
    )


@router.get("/sound")
def get_sound_search() -> str:
    return render("sound")


def _way_in(services: Services) -> str:
    """What a guest can do to be found again."""
    if services.policy.open_names:
        return "Choose a name"
    return "Create an account" if services.player.sign_up else "Sign in"


def folder_problem(root: str) -> str:
    """Why the library's folder cannot be read now, and what to do; "" where it can, or is a store."""
    if not root or is_remote(root) or os.access(root, os.R_OK | os.X_OK):
        return ""
    if os.path.exists(root):
        return f"{root} cannot be read. Check its permissions; what was read before stays."
    return f"{root} is not there. Connect its disk again; what was read before stays."


def _score_bars(item: Item) -> list[tuple[str, float, int]]:
    """(name, value, width of its bar in percent of the largest) for each term that the score is the sum of."""
    terms = {name: value for name, value in item.parts.items() if name != PART_OF_PLACE}
    largest = max(map(abs, terms.values()), default=0.0) or 1.0
    return [(name, value, round(100 * abs(value) / largest)) for name, value in terms.items()]
