"""What the player is made of, put together once: every route takes what it needs from here."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conf.settings import Player, Settings
from ui.auth.accounts import Accounts, Tries
from ui.auth.revocations import Sessions
from ui.auth.secret import session_secret
from ui.data.event_queue import EventQueue, producer
from ui.data.history import ListenerData
from ui.data.library import Document, Library, database
from ui.media.analysis import AudioAnalyzer
from ui.media.similarity import SimilaritySearch

if TYPE_CHECKING:
    from pymongo.database import Database

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
TRIES_OF_A_NAME = 50
SIGN_UPS = 20


@dataclass(frozen=True)
class Parts:
    """secret : signs the session cookie

    tries : failed sign-ins from a place, tries_of_name : of a name from anywhere;  sign_ups : new accounts from a place
    """

    settings: Settings
    db: Database[Document]
    library: Library
    event_queue: EventQueue
    listener_data: ListenerData
    accounts: Accounts
    sessions: Sessions
    similarity: SimilaritySearch
    analyzer: AudioAnalyzer
    secret: str
    tries: Tries
    tries_of_name: Tries
    sign_ups: Tries

    @property
    def player(self) -> Player:
        return self.settings.player

    @property
    def is_local(self) -> bool:
        """Whether only this machine is served: behind a proxy, whoever it lets in comes from here too."""
        return self.player.host in LOCAL_HOSTS and not self.player.trusted_proxies

    @property
    def open_names(self) -> bool:
        return self.player.open_names and self.is_local

    def is_operator(self, user_id: str | None) -> bool:
        return self.is_local or user_id in self.player.operators


def parts(settings: Settings) -> Parts:
    """The parts by these settings. Raises SecretUnusable or LibraryUnusable; MongoDB and Kafka may be away."""
    secret = session_secret(settings.home)
    db = database(settings.mongo)
    return Parts(
        settings=settings,
        db=db,
        library=Library(db, settings.library.root),
        event_queue=EventQueue(
            functools.partial(producer, settings.kafka),
            settings.kafka.listening_topic,
            file=settings.home / "player" / "waiting-events.jsonl",
        ),
        listener_data=ListenerData(db),
        accounts=Accounts(db),
        sessions=Sessions(db),
        similarity=SimilaritySearch(settings.models.root),
        analyzer=AudioAnalyzer(),
        secret=secret,
        tries=Tries(),
        tries_of_name=Tries(TRIES_OF_A_NAME),
        sign_ups=Tries(SIGN_UPS),
    )
