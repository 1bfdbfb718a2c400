"""Gradio's named endpoints, for programs: /recommendations, /similar and /search, by `gradio_client` or plain HTTP.

Gradio describes them (`client.view_api()`) and gives them a protocol; who may read what is as for the HTTP routes, which the
page uses. Annotations are evaluated here: Gradio reads the types of what an endpoint takes and returns.
"""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import gradio as gr
from gradio.events import api
from pydantic import ConfigDict, ValidationError, validate_call
from starlette.requests import Request

from ui.auth.session import is_guest
from ui.data.library import Track
from ui.data.mongo import LibraryUnavailable
from ui.data.recommendation_list import FOR_YOU, Recommendations
from ui.dependencies import Services
from ui.left_out import STORED_SIMILAR_TRACKS, similar_tracks
from ui.list_formats import list_fields, titled_rows
from ui.responses import Refused
from ui.search.entries import Entry
from ui.search.grouped import search as grouped_search
from ui.search.live_index import LibraryBeingRead

MOST_FOUND_IN_GROUP = 100

P = ParamSpec("P")
R = TypeVar("R")


def add_endpoints(page: gr.Blocks, services: Services) -> None:
    """Gives the page the named endpoints."""

    @_refusing
    def recommendations(request: gr.Request, user: str = "", list_name: str = FOR_YOU) -> dict[str, Any]:
        """A listener's list, with the fields that `python -m ui.recommendations --format json` prints.

        user: name or id of a listener, empty for the one of the session. list_name: for-you, mix-1 … mix-5, discover, rediscover.
        """
        return list_for(services, readable_listener(services, _own(request), user), list_name)

    @_refusing
    def similar(request: gr.Request, track_id: str, limit: int = 24) -> list[dict[str, Any]]:
        """The tracks most similar to one, most similar first, without what the listener of the session dislikes or mutes."""
        if services.library.track(track_id) is None:
            raise Refused(404, f"There is no track {track_id!r} in the library.")
        listener = services.sessions.listener(_own(request))
        most = min(max(limit, 1), STORED_SIMILAR_TRACKS)
        return [track_fields(track) for track in similar_tracks(services, listener, track_id, most)]

    @_refusing
    def search(text: str, limit: int = 20) -> dict[str, list[dict[str, Any]]]:
        """The best artists, albums and tracks for a text, and in `sound` the tracks that sound as its words say."""
        results = grouped_search(services.library.search_index(), text)
        most = min(max(limit, 1), MOST_FOUND_IN_GROUP)
        tracks_by_group = {
            group: services.library.in_order(results.track_ids(group, 0, most)) for group in ("tracks", "sound")
        }
        return {
            "artists": [entry_fields(entry) for entry in results.entries("artists", 0, most)],
            "albums": [entry_fields(entry) for entry in results.entries("albums", 0, most)],
            **{group: [track_fields(track) for track in tracks] for group, tracks in tracks_by_group.items()},
        }

    with page:
        for endpoint in (recommendations, similar, search):
            api(endpoint, queue=False)


def readable_listener(services: Services, request: Request, user: str) -> str | None:
    """The id of the listener whose lists the request may read: the one of its session, or of an open name.

    user : name or id; "" for the session's listener, None where it has none
    Raises Refused, LibraryUnavailable.
    """
    own = services.sessions.listener(request)
    if not user:
        return own
    listener = services.names.find_with_data(user)
    user_id = listener.user_id if listener else user
    is_open = services.policy.open_names and not is_guest(user_id) and services.accounts.key(user_id) is None
    if user_id != own and not is_open:
        raise Refused(403, f"Sign in as {user!r} first: these lists are shown to their listener only.")
    return user_id


def list_for(services: Services, user_id: str | None, list_name: str) -> dict[str, Any]:
    """A listener's list by name, with the titles of its tracks. Raises Refused, LibraryUnavailable."""
    library = services.library
    lists: dict[str, Recommendations | None] = {FOR_YOU: library.recommendations(user_id)}
    if user_id is not None and list_name != FOR_YOU:
        lists |= {each.name: each for each in library.named_lists(user_id)}
    recommendations = lists.get(list_name)
    if recommendations is None:
        names = ", ".join(name for name, each in lists.items() if each is not None)
        raise Refused(404, f"There is no list {list_name!r}; there are: {names or 'none so far'}.")
    rows = titled_rows(recommendations, library.tracks_of(item.track_id for item in recommendations.items))
    return list_fields(recommendations, user_id or recommendations.user_id, rows)


def track_fields(track: Track) -> dict[str, Any]:
    """A track as programs get it."""
    return {
        "track_id": track.track_id,
        "title": track.title,
        "artist": track.artist,
        "album": track.album,
        "genre": track.genre,
        "duration_s": track.duration_s,
    }


def entry_fields(entry: Entry) -> dict[str, Any]:
    """An artist or album as programs get it."""
    return {"id": entry.entry_id, "name": entry.name, "artist": entry.by, "tracks": entry.size, "year": entry.year}


def _own(request: gr.Request) -> Request:
    """The HTTP request, which has the session."""
    if request.request is None:
        raise Refused(401, "There is no session without a request.")
    return request.request


def _refusing(endpoint: Callable[P, R]) -> Callable[P, R]:
    """The endpoint with its refusals as errors of Gradio, which programs are shown. Gradio passes on any JSON, so the types of
    the arguments are checked here."""
    checked = validate_call(config=ConfigDict(arbitrary_types_allowed=True))(endpoint)

    @functools.wraps(endpoint)
    def refusing(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            return checked(*arguments, **options)
        except (Refused, LibraryUnavailable, LibraryBeingRead) as error:
            raise gr.Error(str(error), print_exception=False) from error
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            message = f"Argument {'.'.join(map(str, problem['loc']))}: {problem['msg']}"
            raise gr.Error(message, print_exception=False) from error

    return refusing
