"""Serves a micro-batch of events: updates profiles and makes lists, counting each event once.

One call has all events of its listeners. It reads their profiles from MongoDB, applies the events that these have not counted,
and writes the lists, then their copies on the topic, then named lists that are due, then the profiles. After a crash in between,
a list may be ahead of its profile: if it follows the same events it is kept and sent again, else it gets a successor. Lists and
profiles are only written over those that were read; an attempt that was given up and writes late raises ConcurrentWrite instead.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from batch.mongo import NEW_LISTENERS
from conf.settings import Kafka
from streaming.admission.rules import (
    ReceivedEvent,
    after_deletion,
    clamped_to_arrival,
    with_known_track,
)
from streaming.documents import LIST_PROJECTION, StoredList, list_document, stored_list_from
from streaming.events import SHOWN, BadEvent, parse, received_at
from streaming.profile.documents import DERIVED_PROFILE_FIELDS, profile_document, profile_from
from streaming.profile.profile import Profile
from streaming.profile.skip_rates import factors_of
from streaming.ranking.ranker import ListRequest, ranked_lists
from streaming.ranking.user_vector import user_vector
from streaming.serving.clients import database_of, index_of
from streaming.serving.context import ServingContext
from streaming.serving.mixes import DueMixes, with_mixes_at, write_mixes
from streaming.serving.mutings import muted_rows
from streaming.serving.writes import REVISION_FIELDS, ConcurrentWrite, Write, message, replace_documents, send

if TYPE_CHECKING:
    from pymongo.database import Database

PROFILE_PROJECTION = dict.fromkeys(DERIVED_PROFILE_FIELDS, 0)
ATTEMPTS = 5


@dataclass(frozen=True)
class RawValue:
    """A value of the listening topic, its place, and the time of its arrival in milliseconds since 1970."""

    value: bytes | None
    partition: int
    offset: int
    received_ms: int


@dataclass(frozen=True)
class Outcome:
    """Counts of a micro-batch.

    events : values read
    applied : events counted in profiles
    refused : values that are no valid event, or of an unknown track or a deleted listener
    lists : lists written or kept
    waits : seconds from arrival in Kafka to the written list, one for each event counted
    """

    events: int = 0
    applied: int = 0
    refused: int = 0
    lists: int = 0
    waits: tuple[float, ...] = ()


@dataclass(frozen=True)
class _Parsed:
    """The events to serve.

    events_by_user : by user id
    titles : {track id: title} of their tracks
    refused : how many values are not among them
    """

    events_by_user: dict[str, list[ReceivedEvent]]
    titles: dict[str, str]
    refused: int


def serve(values: Sequence[RawValue], context: ServingContext) -> Outcome:
    """Serves the listeners of the values, which must include all new events of these listeners.

    Raises ConcurrentWrite where ATTEMPTS attempts met one.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return _serve_once(values, context)
        except ConcurrentWrite:
            continue
    return _serve_once(values, context)


def _serve_once(values: Sequence[RawValue], context: ServingContext) -> Outcome:
    database = database_of(context.mongo)
    parsed = _parse_values(values, database, context.source)
    users = list(parsed.events_by_user)
    profiles: dict[str, Profile] = {}
    profiles_read: dict[str, dict[str, Any]] = {}
    for document in database.profiles.find({"_id": {"$in": users}}, PROFILE_PROJECTION):
        profiles[document["_id"]] = profile_from(document)
        profiles_read[document["_id"]] = {name: document.get(name) for name in REVISION_FIELDS}
    lists_read = {
        document["_id"]: document
        for document in database.recommendations.find({"_id": {"$in": [*users, NEW_LISTENERS]}}, LIST_PROJECTION)
    }
    index = index_of(context.model, context.index_state)
    updates = []
    profile_updates: list[Write] = []
    dues: list[DueMixes] = []
    applied, arrivals = 0, list[datetime]()
    for user_id, events in sorted(parsed.events_by_user.items()):
        old = profiles.get(user_id) or Profile(user_id)
        new, due = _with_events(old, events, parsed.titles, context)
        if new is old:
            continue
        dues += [due] if due else []
        if _changes_list(events, old):
            updates.append((events, old, new, user_vector(new, index, context.taste)))
        else:
            profile_updates.append((profiles_read.get(user_id, {}), profile_document(new)))
            applied += new.events_applied - old.events_applied
    index.prefetch(np.concatenate([np.empty(0, dtype=np.int64), *(vector.query_rows for *_, vector in updates)]))
    profile_writes: list[Write] = []
    kept_lists: list[str] = []
    requests: list[ListRequest] = []
    for events, old, new, vector in updates:
        user_id = new.user_id
        if count := new.events_applied - old.events_applied:
            applied += count
            arrivals += [each.received_at for each in events]
            stored = stored_list_from(lists_read.get(user_id, {}))
            generation = max(old.generation, stored.generation)
            if generation > old.generation and stored.events_applied == new.events_applied:
                new = replace(new, generation=generation)
                kept_lists.append(user_id)
            else:
                new = replace(new, generation=generation + 1)
                requests.append(ListRequest(new, vector, muted_rows(new.muted, context.mongo, index)))
        document = profile_document(new) | vector.profile_fields(new)
        profile_writes.append((profiles_read.get(user_id, {}), document))
    list_writes = _make_lists(requests, lists_read, context)
    _write(list_writes, kept_lists, database, context.kafka)
    now = datetime.now(UTC)
    write_mixes(dues, context, index)
    replace_documents(profile_writes, database.profiles)
    replace_documents(profile_updates, database.profiles, keeps_other_fields=True)
    waits = tuple(max(0.0, (now - arrival).total_seconds()) for arrival in arrivals)
    return Outcome(len(values), applied, parsed.refused, len(list_writes) + len(kept_lists), waits)


def _parse_values(values: Sequence[RawValue], database: Database[dict[str, Any]], source: str) -> _Parsed:
    """Parses and admits the values."""
    received = []
    for value in values:
        arrived_at = received_at(value.received_ms)
        try:
            event = parse(value.value, arrived_at)
        except BadEvent:
            continue  # the ledger writes it to rejected_events
        received.append(ReceivedEvent(event, source, value.partition, value.offset, arrived_at))
    events, titles = with_known_track(after_deletion(received, database), database)
    events_by_user: dict[str, list[ReceivedEvent]] = defaultdict(list)
    for each in events:
        events_by_user[each.event.user_id].append(each)
    return _Parsed(events_by_user, titles, len(values) - sum(map(len, events_by_user.values())))


def _with_events(
    profile: Profile, events: Sequence[ReceivedEvent], titles: Mapping[str, str], context: ServingContext
) -> tuple[Profile, DueMixes | None]:
    """(the profile updated by the events, in the order of their offsets, `profile` itself where all were counted before; named
    lists to make)."""
    due: DueMixes | None = None
    factors = factors_of(context.skip_rates, context.taste)
    for each in sorted(events, key=lambda each: (each.partition, each.offset)):
        source = f"{context.source}/{each.partition}"
        track_id = each.event.track_id or ""
        event = clamped_to_arrival(each.event, each.received_at)
        if each.offset > profile.offsets.get(source, -1):
            profile = profile.pulled_back(each.received_at.timestamp())
        factor = factors.get(track_id, 1.0)
        counted = profile.after(event, titles.get(track_id, ""), source, each.offset, context.taste, factor)
        profile, due = with_mixes_at(profile, counted, event, context.mixes_hours, due)
    return profile, due


def _changes_list(events: Sequence[ReceivedEvent], profile: Profile) -> bool:
    """Whether one of the events makes a new list: what was only shown is used by the next one.  profile : before the events"""
    return any(
        each.event.action != SHOWN and each.offset > profile.offsets.get(f"{each.source}/{each.partition}", -1)
        for each in events
    )


def _make_lists(
    requests: Sequence[ListRequest], lists_read: Mapping[str, Mapping[str, Any]], context: ServingContext
) -> list[Write]:
    """The requested lists.  lists_read : documents by user id, with the list for new listeners"""
    new_listeners: StoredList = stored_list_from(lists_read.get(NEW_LISTENERS, {}))
    index = index_of(context.model, context.index_state)
    lists = ranked_lists(requests, index, new_listeners.track_ids, context.items, context.taste)
    now = datetime.now(UTC)
    return [
        (
            lists_read.get(request.profile.user_id, {}),
            list_document(request.profile, (item.document() for item in items), context.model_version, now),
        )
        for request, items in zip(requests, lists, strict=True)
    ]


def _write(
    list_writes: Sequence[Write], kept_lists: Sequence[str], database: Database[dict[str, Any]], kafka: Kafka
) -> None:
    """Writes lists, and sends them and the kept ones to their topic.  kept_lists : user ids"""
    replace_documents(list_writes, database.recommendations)
    documents = [document for _, document in list_writes]
    if kept_lists:
        documents += database.recommendations.find({"_id": {"$in": kept_lists}})
    send([(document["_id"], message(document)) for document in documents], kafka)
