"""Routes of listening: events, the position in a track, and the news of list and opinions, for which a page asks when it is
told of a change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from streaming.events import EARLIEST, Event
from ui.auth.session import BROUGHT_FROM
from ui.data.mongo import LibraryUnavailable
from ui.dependencies import CurrentListener, RequiredListener, Services, ServicesDep, take_back_if_deleted
from ui.home.marks import card_marks
from ui.page import cards
from ui.page.wording import Basis
from ui.responses import Refused
from ui.routes.audio import required_track
from ui.routes.schemas import ListeningAction, PlaybackPosition

router = APIRouter()


@router.post("/events", status_code=202)
def post_event(
    action: ListeningAction, request: Request, user_id: RequiredListener, services: ServicesDep
) -> dict[str, str | None]:
    """Queues the event for Kafka, and notes it for the listener's own history at once.

    An event that is sent again, because its answer was lost, is accepted once. What pages send by themselves (`shown`, `visit`)
    is dropped where a listener's limit is reached; its `event_id` is null.
    """
    if action.listener is not None and action.listener not in (user_id, request.session.get(BROUGHT_FROM)):
        raise Refused(409, "Someone else is listening now.")
    if action.event_id is not None and (user_id, str(action.event_id)) in services.recent_events:
        return {"event_id": str(action.event_id)}
    services.limits.take_event(request, user_id)
    limit = services.event_limits.get(action.action)
    if limit is not None and not limit.allows(user_id):
        return {"event_id": None}
    is_library_available = True
    if action.track_id is not None:
        try:
            required_track(services.library, action.track_id)
        except LibraryUnavailable:
            is_library_available = False  # the stream checks the track again
    event = _event(action, user_id, request.session.get("session_id"))
    services.event_queue.publish(event, request.session.get("since"))
    services.recent_events.add(user_id, event.event_id)
    if is_library_available:
        try:
            services.listener_data.history.record(event)
            take_back_if_deleted(user_id, request, services)
        except LibraryUnavailable:
            pass  # the stream's profile will have it
    return {"event_id": event.event_id}


@router.post("/place", status_code=202)
def post_position(
    position: PlaybackPosition, request: Request, user_id: RequiredListener, services: ServicesDep
) -> dict[str, str]:
    """Stores where the listener is in a track, to resume there."""
    try:
        services.listener_data.history.save_position(
            user_id, position.track_id, position.position_ms, position.duration_ms
        )
        take_back_if_deleted(user_id, request, services)
    except LibraryUnavailable:
        pass  # the page sends the next position in some seconds
    return {}


@router.get("/for-you")
def get_news(
    user_id: CurrentListener,
    services: ServicesDep,
    shown_list: Annotated[str, Query(alias="seen")] = "",
    shown_data: Annotated[str, Query(alias="mine")] = "",
) -> Response:
    """The listener's list as HTML, and their opinions; each only where it has changed.

    shown_list, shown_data : the change tokens `mark` and `mine` of the answer that the page shows
    """
    queue = services.event_queue.state
    news: dict[str, Any] = {"listener": user_id, "connected": queue.connected, "waiting": queue.waiting}
    try:
        change_token = services.library.change_token(user_id)
        news["mark"] = f"{user_id}:{change_token}"
        if change_token is None or news["mark"] != shown_list:
            news |= _list_news(services, user_id, shown_list)
        if user_id is not None:
            news["mine"] = f"{user_id}:{services.listener_data.change_token(user_id)}"
            if news["mine"] != shown_data:
                taste = services.listener_data.taste(user_id)
                news |= {
                    "opinions": services.listener_data.history.opinions(user_id),
                    "muted": taste.muted,
                    "wishes": taste.wishes,
                    "adventure": taste.adventure,
                }
    except LibraryUnavailable as error:
        news["away"] = f"Can't reach your library. {error}"  # news for the page, not a failure of this request
    return JSONResponse(news)


def _event(action: ListeningAction, user_id: str, session_id: str | None) -> Event:
    now = datetime.now(UTC)
    fields = action.model_dump(exclude={"event_id", "occurred_at", "listener", "tracks"})
    return Event(
        user_id=user_id,
        session_id=session_id,
        event_id=str(action.event_id or uuid4()),
        occurred_at=max(EARLIEST, min(action.occurred_at or now, now)),
        tracks=tuple(action.tracks or ()),
        **fields,
    )


def _list_news(services: Services, user_id: str | None, shown_list: str) -> dict[str, Any]:
    """The list as HTML with its change token `mark`; the token alone where the page has this list already."""
    library, listener_data = services.library, services.listener_data
    recommendations = library.recommendations(user_id)
    sample = [] if recommendations else library.page()
    mark = f"{user_id}:{recommendations.change_token if recommendations else hash(tuple(sample))}"
    if mark == shown_list:
        return {"mark": mark}
    items = recommendations.items if recommendations else ()
    track_by_id = library.tracks_of(track_id for item in items for track_id in (item.track_id, *item.because))
    return {
        "mark": mark,
        "html": cards.for_you(
            recommendations,
            track_by_id,
            sample,
            has_listener=user_id is not None,
            basis=None if user_id is None else Basis(*listener_data.likes_and_plays(user_id)),
            marks=card_marks(services, user_id, track_by_id),
        ),
        "generation": recommendations.generation if recommendations else None,
        "personal": recommendations is not None and recommendations.is_personal,
    }
