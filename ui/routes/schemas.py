"""The JSON bodies that pages may send; unknown fields and other types are refused."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from streaming.events import (
    MAX_ID_LENGTH,
    MAX_MS,
    MAX_SHOWN_TRACKS,
    MAX_TARGET_LENGTH,
    SHOWN,
    VISIT,
    WISH_ACTIONS,
    identifier_problem,
)
from ui.auth.accounts import MAX_SENT_PASSWORD_LENGTH

OBJECT_FIELDS = ("track_id", "target", "tracks")
OBJECT_FIELD_BY_ACTION = {"mute": "target", "unmute": "target", "adventure": "target", SHOWN: "tracks", VISIT: None}
"""The one of OBJECT_FIELDS that an action takes; of actions that are not listed it is track_id, of WISH_ACTIONS without it
target."""

Source = Literal[
    "search",
    "for-you",
    "mix",
    "discover",
    "rediscover",
    "similar",
    "radio",
    "playlist",
    "history",
    "fresh",
    "genre",
    "map",
    "path",
    "sound",
    "artist",
    "track",
    "tag",
    "album",
    "mood",
    "recent",
    "tracks",
    "likes",
    "start",
]


def _check_identifier(value: str) -> str:
    if (problem := identifier_problem(value)) is not None:
        raise ValueError(f"the id {problem}")
    return value


Identifier = Annotated[str, AfterValidator(_check_identifier)]
Milliseconds = Annotated[int, Field(ge=0, le=MAX_MS)]
Password = Annotated[str, Field(max_length=MAX_SENT_PASSWORD_LENGTH)]


class Strict(BaseModel):
    """A body without type conversion and without unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ListeningAction(Strict):
    """What a listener did: with a track, or, to steer the list, about a target such as "genre:Polka"; or what they were shown.

    tracks : ids of the list's tracks that were on the screen
    occurred_at : where the page has kept the action while the server was away
    listener : expected listener; a mismatch is 409
    """

    action: Literal[
        "play",
        "skip",
        "complete",
        "like",
        "unlike",
        "dislike",
        "more",
        "less",
        "neutral",
        "mute",
        "unmute",
        "adventure",
        "shown",
        "visit",
    ]
    track_id: Identifier | None = None
    target: Annotated[str | None, Field(max_length=MAX_TARGET_LENGTH)] = None
    tracks: Annotated[list[Identifier], Field(min_length=1, max_length=MAX_SHOWN_TRACKS)] | None = None
    position_ms: Milliseconds | None = None
    duration_ms: Milliseconds | None = None
    source: Source | None = None
    model_version: Annotated[str | None, Field(max_length=MAX_ID_LENGTH)] = None
    event_id: Annotated[UUID | None, Field(strict=False)] = None
    occurred_at: Annotated[AwareDatetime | None, Field(strict=False)] = None
    listener: Annotated[str | None, Field(max_length=MAX_ID_LENGTH)] = None

    @model_validator(mode="after")
    def _check_object(self) -> ListeningAction:
        needed = OBJECT_FIELD_BY_ACTION.get(self.action, "track_id")
        if self.action in WISH_ACTIONS and self.track_id is None and self.target is not None:
            needed = "target"
        present = [name for name in OBJECT_FIELDS if getattr(self, name) is not None]
        if present != [name for name in OBJECT_FIELDS if name == needed]:
            raise ValueError(f"{self.action} takes {needed or 'none'} of {', '.join(OBJECT_FIELDS)}")
        return self


class PlaybackPosition(Strict):
    """Where playback of a track is."""

    track_id: Identifier
    position_ms: Milliseconds
    duration_ms: Milliseconds | None = None


class SignIn(Strict):
    """Who wants to listen. Neither name nor guest: sign out.

    create : a new account of name and password
    only_if_nobody : a guest only where the session has no listener
    bring : a guest who chooses a name brings along what they did
    """

    name: str | None = None
    password: Password = ""
    create: bool = False
    guest: bool = False
    only_if_nobody: bool = False
    bring: bool = True


class PasswordChange(Strict):
    """A new password of the listener's account, and the present one."""

    password: Password
    new_password: Password


class Confirmation(Strict):
    """Confirms the deletion of one's data: one's own name, and the password where there is an account."""

    name: str
    password: Password = ""
