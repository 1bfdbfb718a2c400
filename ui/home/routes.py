"""GET /view/home: what stands below "For you", as HTML that the page's script puts in place."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from ui.data.library import Track
from ui.dependencies import CurrentListener, Services, ServicesDep
from ui.home.marks import card_marks
from ui.home.shelves import SHELF_TRACKS, genre_shelves, mood_shelves, named_lists, not_skipped_early
from ui.home.titles import titled, tracks_behind
from ui.page.rendering import render

HOME_HISTORY = 60
SEARCH_INDEX_WAIT_S = 1.0
"""Just after the player's start, the home is shown without what needs the search index; pages are told when that is there."""

router = APIRouter(prefix="/view", default_response_class=HTMLResponse)


@router.get("/home")
def get_home(user_id: CurrentListener, services: ServicesDep) -> str:
    library, listener_data = services.library, services.listener_data
    history = listener_data.history.entries(user_id, HOME_HISTORY) if user_id else []
    disliked = listener_data.disliked(user_id) if user_id else set()
    position = listener_data.history.position(user_id) if user_id else None
    position_track = library.track(position.track_id) if position and position.track_id not in disliked else None
    recent = library.in_order(entry.track_id for entry in not_skipped_early(history) if entry.track_id not in disliked)
    is_searchable = library.is_searchable(SEARCH_INDEX_WAIT_S)
    lists = named_lists(services, user_id) if user_id and is_searchable else []
    albums = services.albums.page("new", 0, SHELF_TRACKS)
    fresh = [] if albums else _newest_tracks(services)
    moods = mood_shelves(services, history, user_id) if is_searchable else []
    genres = genre_shelves(library, history) if is_searchable else []
    shelves = [fresh, *(tracks for _, tracks in lists), *(tracks for *_, tracks in (*moods, *genres))]
    return render(
        "home",
        track_count=library.size(),
        position=position if position_track else None,
        position_track=position_track,
        recent=recent[:SHELF_TRACKS],
        named_lists=titled(lists, library.tracks_of(tracks_behind(lists))),
        albums=albums,
        recently_added=fresh,
        moods=moods,
        genres=genres,
        marks=card_marks(services, user_id, {track.track_id for tracks in shelves for track in tracks}),
    )


def _newest_tracks(services: Services) -> list[Track]:
    """The tracks that were added last, which home shows where there are no albums."""
    newest = services.recently_added.track_ids()[: 2 * SHELF_TRACKS]  # some may not be published yet
    return services.library.in_order(newest)[:SHELF_TRACKS]
