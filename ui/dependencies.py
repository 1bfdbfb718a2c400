"""What the routes work with: the services of one player, built once, and FastAPI's Depends for them and for the listener."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends
from starlette.requests import Request

from conf.settings import Player, Settings
from streaming.events import SHOWN, VISIT
from ui.auth.accounts import Accounts
from ui.auth.limits import RecentEvents, RequestLimits
from ui.auth.places import Client, place_of
from ui.auth.policy import AccessPolicy
from ui.auth.revocations import Revocations
from ui.auth.secret import session_secret
from ui.auth.session import Sessions
from ui.auth.throttle import Throttle
from ui.covers.candidates import read_hint
from ui.covers.covers import Covers
from ui.data.library import Library
from ui.data.listener_data import ListenerData
from ui.data.mongo import Document, database
from ui.data.names import Names
from ui.data.recently_added import RecentlyAdded
from ui.events.deletions import Deletions
from ui.events.event_queue import DataDeleted, EventQueue
from ui.events.producer import connect
from ui.library.albums import Albums
from ui.library.artists import Artists
from ui.library.track_table import TrackTable
from ui.media.analysis import AudioAnalyzer
from ui.media.similarity import SimilaritySearch
from ui.media.transcoding import Transcoder
from ui.playlists.store import Playlists
from ui.responses import Refused

if TYPE_CHECKING:
    from pymongo.database import Database

MAX_SHOWN_IN_A_MINUTE = 12
MAX_VISITS = 3
VISITS_WINDOW_S = 600.0


@dataclass(frozen=True)
class Services:
    """The services of one player. secret : signs the session cookies"""

    settings: Settings
    secret: str
    db: Database[Document]
    library: Library
    event_queue: EventQueue
    listener_data: ListenerData
    accounts: Accounts
    names: Names
    revocations: Revocations
    analyzer: AudioAnalyzer
    similarity: SimilaritySearch

    @property
    def player(self) -> Player:
        return self.settings.player

    @property
    def policy(self) -> AccessPolicy:
        return AccessPolicy(self.player)

    @functools.cached_property
    def sessions(self) -> Sessions:
        return Sessions(self.policy, self.accounts, self.names, self.revocations, has_data=self.listener_data.exists)

    @functools.cached_property
    def playlists(self) -> Playlists:
        return Playlists(self.db)

    @functools.cached_property
    def event_limits(self) -> dict[str, Throttle]:
        """Rate limits of the events that pages send by themselves, by action; those beyond a listener's limit are dropped."""
        return {SHOWN: Throttle(MAX_SHOWN_IN_A_MINUTE), VISIT: Throttle(MAX_VISITS, window_s=VISITS_WINDOW_S)}

    @functools.cached_property
    def limits(self) -> RequestLimits:
        return RequestLimits()

    @functools.cached_property
    def transcoder(self) -> Transcoder:
        return Transcoder()

    @functools.cached_property
    def recent_events(self) -> RecentEvents:
        return RecentEvents()

    @functools.cached_property
    def covers(self) -> Covers:
        return Covers(
            self.library,
            lambda album_id: read_hint(self.albums.document(album_id)),
            self.settings.home / "player" / "covers",
            self.settings.library.root,
        )

    @functools.cached_property
    def albums(self) -> Albums:
        return Albums(self.db, self.settings.library.root)

    @functools.cached_property
    def artists(self) -> Artists:
        return Artists(self.db, self.settings.library.root)

    @functools.cached_property
    def track_table(self) -> TrackTable:
        return TrackTable(self.db, self.settings.library.root)

    @functools.cached_property
    def recently_added(self) -> RecentlyAdded:
        return RecentlyAdded(self.settings.lake, self.settings.library.root)


def build_services(settings: Settings) -> Services:
    """The services by these settings; MongoDB and Kafka may be away.

    Raises SecretUnusable, JournalUnusable or LibraryUnusable.
    """
    secret = session_secret(settings.home)
    db = database(settings.mongo)
    listener_data = ListenerData(db)
    return Services(
        settings=settings,
        secret=secret,
        db=db,
        library=Library(db, settings.library.root),
        event_queue=EventQueue(
            functools.partial(connect, settings.kafka),
            settings.kafka.listening_topic,
            file=settings.home / "player" / "waiting-events.jsonl",
            deletion_times=Deletions(db).times,
        ),
        listener_data=listener_data,
        accounts=Accounts(db),
        names=Names(db, listener_data.exists),
        revocations=Revocations(db),
        analyzer=AudioAnalyzer(),
        similarity=SimilaritySearch(settings.models.root),
    )


async def services_of_app(request: Request) -> Services:
    """The services of the application that answers the request; app.create_app puts them there."""
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(services_of_app)]


def current_listener(request: Request, services: ServicesDep) -> str | None:
    """The listener's id, None without a valid session."""
    return services.sessions.listener(request)


CurrentListener = Annotated[str | None, Depends(current_listener)]


def require_listener(user_id: CurrentListener) -> str:
    """The listener's id. Raises Refused without a valid session."""
    if user_id is None:
        raise Refused(401, "Choose who is listening first.")
    return user_id


RequiredListener = Annotated[str, Depends(require_listener)]


def current_client(request: Request, user_id: CurrentListener) -> Client:
    """Who asks, for limits."""
    return Client(user_id, place_of(request))


ClientDep = Annotated[Client, Depends(current_client)]


def require_operator(request: Request, services: ServicesDep) -> None:
    """Raises Refused for a listener who may not see the service page."""
    if not services.policy.is_operator(services.sessions.name(request)):
        raise Refused(403, "Only operators can see this page.")


def take_back_if_deleted(user_id: str, request: Request, services: Services) -> None:
    """Removes what this request has just written, where the data were deleted meanwhile. Raises DataDeleted."""
    if services.event_queue.is_discarded(user_id, request.session.get("since")):
        services.listener_data.delete(user_id)
        raise DataDeleted
