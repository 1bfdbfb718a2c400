"""What pages may send: the fields of each request, and nothing else."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from streaming.events import MAX_ID_LENGTH, MAX_MS, identifier_problem
from ui.data.history import MAX_NAME, MAX_TRACKS

SOURCES = Literal[
    "search",
    "for-you",
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
]
WITHOUT_TRACK = ("mute", "unmute", "adventure")
MAX_TARGET = 300


def _identifier(value: str) -> str:
    if (wrong := identifier_problem(value)) is not None:
        raise ValueError(f"the id {wrong}")
    return value


Identifier = Annotated[str, AfterValidator(_identifier)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Done(Strict):
    """What a page says was done: with a track, or, for steering without one, about a target.

    occurred_at : when, where the page has kept it for a while;  listener : whose page it was then, to be refused where another
    one listens by now
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
    ]
    track_id: Identifier | None = None
    target: Annotated[str | None, Field(max_length=MAX_TARGET)] = None
    position_ms: Annotated[int | None, Field(ge=0, le=MAX_MS)] = None
    duration_ms: Annotated[int | None, Field(ge=0, le=MAX_MS)] = None
    source: SOURCES | None = None
    model_version: Annotated[str | None, Field(max_length=MAX_ID_LENGTH)] = None
    event_id: Annotated[UUID | None, Field(strict=False)] = None
    occurred_at: Annotated[AwareDatetime | None, Field(strict=False)] = None
    listener: Annotated[str | None, Field(max_length=MAX_ID_LENGTH)] = None

    @model_validator(mode="after")
    def _is_about_one_thing(self) -> Done:
        if self.action in WITHOUT_TRACK:
            if self.target is None or self.track_id is not None:
                raise ValueError(f"{self.action} has a target and no track")
        elif self.track_id is None or self.target is not None:
            raise ValueError(f"{self.action} has a track and no target")
        return self


class Place(Strict):
    """Where a listener is in a track."""

    track_id: Identifier
    position_ms: Annotated[int, Field(ge=0, le=MAX_MS)]
    duration_ms: Annotated[int | None, Field(ge=0, le=MAX_MS)] = None


PASSWORD = Annotated[str, Field(max_length=1024)]


class Who(Strict):
    """Who wants to listen. name None and no guest: nobody any more;  create : make an account of name and password"""

    name: str | None = None
    password: PASSWORD = ""
    create: bool = False
    guest: bool = False


class Named(Strict):
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
    tracks: Annotated[list[Identifier], Field(max_length=MAX_TRACKS)] = []


class Change(Strict):
    """Of a playlist; None leaves a part as it is."""

    name: Annotated[str | None, Field(min_length=1, max_length=MAX_NAME)] = None
    tracks: Annotated[list[Identifier] | None, Field(max_length=MAX_TRACKS)] = None
    add: Identifier | None = None
    remove: Identifier | None = None
    drop: bool = False


class Sure(Strict):
    """Deletion is confirmed by the listener's own name, and with an account by its password."""

    name: str
    password: PASSWORD = ""
