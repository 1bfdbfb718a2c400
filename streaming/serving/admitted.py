"""The values of a micro-batch that are events to count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from streaming.admission.rules import ReceivedEvent, after_deletion, with_known_track
from streaming.events import BadEvent, parse, received_at
from streaming.serving.values import ParsedValue, RawValue

if TYPE_CHECKING:
    from pymongo.database import Database


@dataclass(frozen=True)
class AdmittedEvents:
    """The events to serve.

    events_by_user : by user id
    value_by_place : the value of each, by (partition, offset)
    titles : {track id: title} of their tracks
    deleted_users : ids of listeners whose events arrived before their deletion
    """

    events_by_user: dict[str, list[ReceivedEvent]]
    value_by_place: dict[tuple[int, int], RawValue]
    titles: dict[str, str]
    deleted_users: set[str]


def parsed_values(values: Iterable[RawValue]) -> list[ParsedValue]:
    """The values that are valid events; the ledger writes the others to `rejected_events`."""
    parsed = []
    for value in values:
        try:
            parsed.append(ParsedValue(value, parse(value.value, received_at(value.received_ms))))
        except BadEvent:
            continue
    return parsed


def admitted_events(
    parsed: Sequence[ParsedValue], database: Database[dict[str, Any]], source: str, refused_at: datetime
) -> AdmittedEvents:
    """Checks the events' tracks; records those with unknown tracks in `refusals`, with the date `refused_at`."""
    received = [
        ReceivedEvent(each.event, source, each.value.partition, each.value.offset, received_at(each.value.received_ms))
        for each in parsed
    ]
    after = after_deletion(received, database)
    events, titles = with_known_track(after, database, refused_at)
    events_by_user: dict[str, list[ReceivedEvent]] = defaultdict(list)
    for each in events:
        events_by_user[each.event.user_id].append(each)
    value_by_place = {(each.value.partition, each.value.offset): each.value for each in parsed}
    counted_places = {(each.partition, each.offset) for each in after}
    deleted_users = {each.event.user_id for each in received if (each.partition, each.offset) not in counted_places}
    return AdmittedEvents(dict(events_by_user), value_by_place, titles, deleted_users)
