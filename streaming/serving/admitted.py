"""The values of a micro-batch that are events to count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streaming.admission.rules import ReceivedEvent, after_deletion, with_known_track
from streaming.events import BadEvent, parse, received_at
from streaming.serving.values import RawValue

if TYPE_CHECKING:
    from pymongo.database import Database


@dataclass(frozen=True)
class AdmittedEvents:
    """The events to serve.

    events_by_user : by user id
    value_by_place : the value of each, by (partition, offset)
    titles : {track id: title} of their tracks
    refused : how many values are not among them
    deleted_users : ids of listeners whose events arrived before their deletion
    """

    events_by_user: dict[str, list[ReceivedEvent]]
    value_by_place: dict[tuple[int, int], RawValue]
    titles: dict[str, str]
    refused: int
    deleted_users: set[str]


def admitted_events(values: Sequence[RawValue], database: Database[dict[str, Any]], source: str) -> AdmittedEvents:
    """Parses the values and checks their tracks; records those with unknown tracks in `refusals`."""
    received = []
    for value in values:
        arrived_at = received_at(value.received_ms)
        try:
            event = parse(value.value, arrived_at)
        except BadEvent:
            continue  # the ledger writes it to rejected_events
        received.append(ReceivedEvent(event, source, value.partition, value.offset, arrived_at))
    after = after_deletion(received, database)
    events, titles = with_known_track(after, database)
    events_by_user: dict[str, list[ReceivedEvent]] = defaultdict(list)
    for each in events:
        events_by_user[each.event.user_id].append(each)
    value_by_place = {(value.partition, value.offset): value for value in values}
    refused = len(values) - sum(map(len, events_by_user.values()))
    counted_places = {(each.partition, each.offset) for each in after}
    deleted_users = {each.event.user_id for each in received if (each.partition, each.offset) not in counted_places}
    return AdmittedEvents(dict(events_by_user), value_by_place, titles, refused, deleted_users)
