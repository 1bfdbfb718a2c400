"""Named lists of listeners (`streaming.ranking.mixes`): when they are due, made, written to `mixes` and sent to the topic.

They are due by a visit, and by an event that makes a list when they are older than `stream.mixes_hours`. This is decided event
by event, in the listener's own time, so that the same events give the same lists in however many micro-batches they arrive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from batch.index.lsh import Rows
from streaming.documents import MIXES_PROJECTION, StoredMixes, mixes_document, stored_mixes_from
from streaming.events import SHOWN, VISIT, Event
from streaming.profile.profile import Profile
from streaming.ranking.mixes import MixRequest, discoveries, named_lists, week_of
from streaming.ranking.neighbour_cache import CachedIndex
from streaming.ranking.ranker import ListRequest
from streaming.ranking.user_vector import UserVector, user_vector
from streaming.serving.clients import database_of
from streaming.serving.context import ServingContext
from streaming.serving.deletion import take_back_if_deleted
from streaming.serving.mutings import muted_rows_by_targets
from streaming.serving.writes import Write, mix_messages, replace_documents, send

if TYPE_CHECKING:
    from pymongo.database import Database


@dataclass(frozen=True)
class DueMixes:
    """Named lists to make.

    profile : after the event that made them due, the last one in the micro-batch
    of_week : after each such event of its ISO week in the micro-batch: the first of them that allows it has the week's "Discover"
    """

    profile: Profile
    of_week: tuple[Profile, ...]


def with_mixes_at(
    before: Profile, profile: Profile, event: Event, hours: float, due: DueMixes | None = None
) -> tuple[Profile, DueMixes | None]:
    """The profile and what is due after an event.

    before, profile : without and with the event
    hours : age from which named lists are made again; 0 for never
    due : by earlier events of the micro-batch
    """
    is_counted = profile.events_applied > before.events_applied and event.action != SHOWN
    age_s = profile.latest_at - profile.mixes_at
    if not hours or not is_counted or age_s <= 0 or (event.action != VISIT and age_s < 3600 * hours):
        return profile, due
    profile = replace(profile, mixes_at=profile.latest_at)
    is_same_week = due is not None and week_of(due.profile.mixes_at) == week_of(profile.mixes_at)
    earlier = due.of_week if due is not None and is_same_week else ()
    return profile, DueMixes(profile, (*earlier, profile))


def write_mixes(dues: Sequence[DueMixes], context: ServingContext, index: CachedIndex) -> None:
    """Makes the lists that are due, writes them, and sends them; those that were written before a crash are sent again.

    Raises ConcurrentWrite or KafkaError.
    """
    if not dues:
        return
    database = database_of(context.mongo)
    users = [due.profile.user_id for due in dues]
    documents_read = {each["_id"]: each for each in database.mixes.find({"_id": {"$in": users}}, MIXES_PROJECTION)}
    stored = [stored_mixes_from(documents_read.get(user_id, {})) for user_id in users]
    pairs = list(zip(dues, stored, strict=True))
    unchanged_users = [due.profile.user_id for due, each in pairs if each.events_applied == due.profile.events_applied]
    new = [(due, each) for due, each in pairs if each.events_applied != due.profile.events_applied]
    documents = _mixes(new, context, index, database)
    writes: list[Write] = [(documents_read.get(document["_id"], {}), document) for document in documents]
    replace_documents(writes, database.mixes)
    take_back_if_deleted(documents, database.mixes, database)
    documents += database.mixes.find({"_id": {"$in": unchanged_users}}) if unchanged_users else []
    send([(document["_id"], value) for document in documents for value in mix_messages(document)], context.kafka)


def _mixes(
    dues: Sequence[tuple[DueMixes, StoredMixes]],
    context: ServingContext,
    index: CachedIndex,
    database: Database[dict[str, Any]],
) -> list[dict[str, Any]]:
    """The documents of `mixes`.  dues : with the present lists of the same listener"""
    profiles = (profile for due, _ in dues for profile in (due.profile, *due.of_week))
    muted = muted_rows_by_targets((profile.muted for profile in profiles), context.mongo, index)
    vectors = [user_vector(due.profile, index, context.taste) for due, _ in dues]
    weeks = [_discovered(due, stored, context, index, muted) for due, stored in dues]
    artists = _artists(vectors, database)
    requests = [
        MixRequest(due.profile, vector, muted[tuple(due.profile.muted)], ids, artists)
        for (due, _), vector, (_, ids) in zip(dues, vectors, weeks, strict=True)
    ]
    return [
        mixes_document(request.profile, (each.document() for each in lists), context.model_version, week, ids)
        for request, lists, (week, ids) in zip(
            requests, named_lists(requests, index, context.items, context.taste), weeks, strict=True
        )
    ]


def _discovered(
    due: DueMixes,
    stored: StoredMixes,
    context: ServingContext,
    index: CachedIndex,
    muted: Mapping[tuple[str, ...], Rows],
) -> tuple[str, Sequence[str]]:
    """(the ISO week of "Discover", ids of its tracks): the stored ones in the same week; ("", ()) where there are none yet.

    muted : of `muted_rows_by_targets`
    """
    week = week_of(due.profile.mixes_at)
    if stored.week == week:
        return week, stored.discovered
    for profile in due.of_week:
        request = ListRequest(profile, user_vector(profile, index, context.taste), muted[tuple(profile.muted)])
        (ids,) = discoveries([request], index, context.items, context.taste)
        if ids:
            return week, ids
    return "", ()


def _artists(vectors: Sequence[UserVector], database: Database[dict[str, Any]]) -> Mapping[str, str]:
    """The artist of each interest's medoid, by track id, without unknown ones."""
    ids = {vector.liked_ids[interest.medoid] for vector in vectors for interest in vector.interests}
    documents = database.tracks.find({"_id": {"$in": sorted(ids)}}, {"artist": 1})
    return {document["_id"]: str(document["artist"]) for document in documents if document.get("artist")}
