"""Serves a micro-batch of events: updates profiles and makes lists, counting each event once.

One call has all events of its listeners. It reads their profiles from MongoDB, applies the events that these have not counted,
and writes the lists, then their copies on the topic, then named lists that are due, then the profiles. After a crash in between,
a list may be ahead of its profile: if it follows the same events it is kept and sent again, else it gets a successor. Lists and
profiles are only written over those that were read; an attempt that was given up and writes late raises ConcurrentWrite instead.

A listener for whom alone this fails is set aside with the events (`streaming.serving.set_aside`); the others are served.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from bson.errors import BSONError

from batch.mongo import NEW_LISTENERS
from conf.settings import Kafka
from streaming.admission.rules import (
    ReceivedEvent,
    clamped_to_arrival,
    deletions_of,
    is_covered,
    title_by_track_id,
)
from streaming.documents import LIST_PROJECTION, StoredList, list_document, stored_list_from
from streaming.events import SHOWN
from streaming.profile.documents import DERIVED_PROFILE_FIELDS, profile_document, whole_profile_from
from streaming.profile.profile import Profile
from streaming.profile.skip_rates import factors_of
from streaming.ranking.neighbour_cache import CachedIndex
from streaming.ranking.ranker import ListRequest, ranked_lists
from streaming.ranking.user_vector import user_vector
from streaming.serving.admitted import admitted_events, parsed_values
from streaming.serving.clients import database_of, offered_index
from streaming.serving.context import ServingContext
from streaming.serving.deletion import remove_what_is_of_before, take_back_if_deleted
from streaming.serving.isolation import concerns_one_listener, served_apart
from streaming.serving.mixes import DueMixes, with_mixes_at, write_mixes
from streaming.serving.mutings import muted_rows_by_targets
from streaming.serving.set_aside import (
    add,
    keep_events,
    next_events,
    release,
    remove_deleted,
    remove_events,
    users_set_aside,
    users_to_try,
)
from streaming.serving.values import Outcome as Outcome
from streaming.serving.values import ParsedValue
from streaming.serving.values import RawValue as RawValue
from streaming.serving.writes import REVISION_FIELDS, ConcurrentWrite, Write, message, replace_documents, send

if TYPE_CHECKING:
    from pymongo.database import Database

PROFILE_PROJECTION = dict.fromkeys(DERIVED_PROFILE_FIELDS, 0)
ATTEMPTS = 5
MOST_TRIED_AGAIN = 20
"""Listeners who were set aside that are tried again in one call."""


def serve(values: Sequence[RawValue], context: ServingContext) -> Outcome:
    """As `serve_parsed`, for values of the topic."""
    return serve_parsed(parsed_values(values), len(values), context)


def serve_parsed(parsed: Sequence[ParsedValue], values: int, context: ServingContext) -> Outcome:
    """Serves the listeners of the events, which must be all new events of these listeners.

    values : how many there were with those that are no events
    The number of questions to MongoDB does not grow with that of the listeners.
    Listeners who cannot be served are set aside. Raises what concerns everybody: MongoDB or Kafka is away, or
    the model cannot be used.
    """
    if not parsed:
        return Outcome(values, refused=values)
    index = _index(context)  # a model that cannot be opened is not one listener's trouble
    database = database_of(context.mongo)
    admitted = admitted_events(parsed, database, context.source, context.planned_at)
    if admitted.deleted_users:  # this may be the batch whose first attempt crashed
        remove_what_is_of_before(admitted.deleted_users, database)
        remove_deleted(admitted.deleted_users, database)
    events_by_user = admitted.events_by_user
    aside = users_set_aside(events_by_user, database)

    def serve_users(users: Sequence[str]) -> Outcome:
        return _serve({user_id: events_by_user[user_id] for user_id in users}, admitted.titles, context, index)

    def keep(users: Sequence[str]) -> None:
        keep_events({user_id: events_by_user[user_id] for user_id in users}, admitted.value_by_place, database)

    def set_aside(user_id: str, error: Exception) -> Outcome:
        add(user_id, error, context.planned_at, database)
        keep([user_id])
        return Outcome(set_aside=1)

    outcomes = served_apart([user_id for user_id in events_by_user if user_id not in aside], serve_users, set_aside)
    if aside:
        keep(aside)
    outcomes += [_try_again(user_id, context, index) for user_id in aside[:MOST_TRIED_AGAIN]]
    return sum(outcomes, Outcome(values, refused=values - sum(map(len, events_by_user.values()))))


def try_again(context: ServingContext, pause_s: float) -> Outcome:
    """Serves listeners who were set aside, up to MOST_TRIED_AGAIN of those whose last attempt is `pause_s` ago."""
    tried_by = context.planned_at - timedelta(seconds=pause_s)
    users = users_to_try(tried_by, MOST_TRIED_AGAIN, database_of(context.mongo))
    if not users:
        return Outcome()
    index = _index(context)
    return sum((_try_again(user_id, context, index) for user_id in users), Outcome())


def _try_again(user_id: str, context: ServingContext, index: CachedIndex) -> Outcome:
    """Serves a listener who was set aside, with the events that wait; after a failure what is left waits on."""
    database = database_of(context.mongo)
    outcome = Outcome()
    try:
        while events := next_events(user_id, database):
            titles = title_by_track_id({each.event.track_id for each in events if each.event.track_id}, database)
            outcome += _serve({user_id: events}, titles, context, index)
            remove_events(user_id, events, database)
    except Exception as error:
        if not concerns_one_listener(error):
            raise
        add(user_id, error, context.planned_at, database)
        return outcome
    release(user_id, database)
    return outcome


def _serve(
    events_by_user: Mapping[str, Sequence[ReceivedEvent]],
    titles: Mapping[str, str],
    context: ServingContext,
    index: CachedIndex,
) -> Outcome:
    """Serves these listeners together. Raises ConcurrentWrite where ATTEMPTS attempts met one."""
    for _ in range(ATTEMPTS - 1):
        try:
            return _serve_once(events_by_user, titles, context, index)
        except ConcurrentWrite:
            continue
    return _serve_once(events_by_user, titles, context, index)


def _serve_once(
    events_by_user: Mapping[str, Sequence[ReceivedEvent]],
    titles: Mapping[str, str],
    context: ServingContext,
    index: CachedIndex,
) -> Outcome:
    database = database_of(context.mongo)
    users = list(events_by_user)
    deletions = deletions_of(users, database)
    if deletions:
        remove_what_is_of_before(deletions, database)
    profiles: dict[str, Profile] = {}
    profiles_read: dict[str, dict[str, Any]] = {}
    for document in database.profiles.find({"_id": {"$in": users}}, PROFILE_PROJECTION, batch_size=1 + len(users)):
        profiles[document["_id"]] = whole_profile_from(document)
        profiles_read[document["_id"]] = {name: document.get(name) for name in REVISION_FIELDS}
    lists_read = {
        document["_id"]: document
        for document in database.recommendations.find(
            {"_id": {"$in": users}}, LIST_PROJECTION, batch_size=1 + len(users)
        )
    }
    updates = []
    profile_updates: list[Write] = []
    dues: list[DueMixes] = []
    applied, dropped, arrivals = 0, 0, list[datetime]()
    for user_id, all_events in sorted(events_by_user.items()):
        deletion = deletions.get(user_id)
        events = [each for each in all_events if not is_covered(each, deletion)]
        dropped += len(all_events) - len(events)
        old = profiles.get(user_id) or Profile(user_id)
        old = replace(old, deleted_at=deletion.deleted_at if deletion else old.deleted_at)
        new, due = _with_events(old, events, titles, context)
        if new is old:
            continue
        dues += [due] if due else []
        if _changes_list(events, old):
            updates.append((events, old, new, user_vector(new, index, context.taste)))
        else:
            profile_updates.append((profiles_read.get(user_id, {}), profile_document(new, context.planned_at)))
            applied += new.events_applied - old.events_applied
    index.prefetch(np.concatenate([np.empty(0, dtype=np.int64), *(vector.query_rows for *_, vector in updates)]))
    muted = muted_rows_by_targets((new.muted for *_, new, _ in updates), context.mongo, index)
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
                requests.append(ListRequest(new, vector, muted[tuple(new.muted)]))
        document = profile_document(new, context.planned_at) | vector.profile_fields(new)
        profile_writes.append((profiles_read.get(user_id, {}), document))
    list_writes = _make_lists(requests, lists_read, new_listeners_list(database), index, context)
    _write(list_writes, kept_lists, database, context.kafka)
    written_at = max(context.planned_at, datetime.now(UTC))  # a worker's clock may be behind
    write_mixes(dues, context, index)
    replace_documents(profile_writes, database.profiles)
    replace_documents(profile_updates, database.profiles, keeps_other_fields=True)
    take_back_if_deleted((document for _, document in profile_writes + profile_updates), database.profiles, database)
    waits = tuple(max(0.0, (written_at - arrival).total_seconds()) for arrival in arrivals)
    return Outcome(0, applied, dropped, len(list_writes) + len(kept_lists), waits)


def _index(context: ServingContext) -> CachedIndex:
    return offered_index(context.index_place, context.index_state, context.mongo)


def _with_events(
    profile: Profile, events: Sequence[ReceivedEvent], titles: Mapping[str, str], context: ServingContext
) -> tuple[Profile, DueMixes | None]:
    """(the profile updated by the events, in the order of their offsets, `profile` itself where all were counted before; named
    lists to make)."""
    due: DueMixes | None = None
    factors = factors_of(context.skip_rates, context.taste)
    for each in sorted(events, key=lambda each: (each.source, each.partition, each.offset)):
        source = f"{each.source}/{each.partition}"
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


def new_listeners_list(database: Database[dict[str, Any]]) -> StoredList:
    """The list for new listeners; an empty one where its document cannot be read, which must not hold up everybody."""
    try:
        return stored_list_from(database.recommendations.find_one({"_id": NEW_LISTENERS}, LIST_PROJECTION) or {})
    except (BSONError, TypeError, ValueError, KeyError, AttributeError) as error:
        print(f"recommend: the list for new listeners cannot be read ({error}); run batch/publish.py again", flush=True)
        return StoredList()


def _make_lists(
    requests: Sequence[ListRequest],
    lists_read: Mapping[str, Mapping[str, Any]],
    new_listeners: StoredList,
    index: CachedIndex,
    context: ServingContext,
) -> list[Write]:
    """The requested lists.  lists_read : documents by user id"""
    lists = ranked_lists(requests, index, new_listeners.track_ids, context.items, context.taste)
    return [
        (
            lists_read.get(request.profile.user_id, {}),
            list_document(
                request.profile, (item.document() for item in items), context.model_version, context.planned_at
            ),
        )
        for request, items in zip(requests, lists, strict=True)
    ]


def _write(
    list_writes: Sequence[Write], kept_lists: Sequence[str], database: Database[dict[str, Any]], kafka: Kafka
) -> None:
    """Writes lists, and sends them and the kept ones to their topic.  kept_lists : user ids"""
    replace_documents(list_writes, database.recommendations)
    documents = [document for _, document in list_writes]
    take_back_if_deleted(documents, database.recommendations, database)
    if kept_lists:
        documents += database.recommendations.find({"_id": {"$in": kept_lists}})
    send([(document["_id"], message(document)) for document in documents], kafka)
