"""A listener's deletion holds, at whatever moment of a micro-batch it comes, for new listeners and for known ones."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from batch import registry
from batch.index.lsh import Index
from streaming.events import Event, encode
from streaming.profile.documents import profile_from
from streaming.serving import microbatch, mixes, set_aside
from streaming.serving.context import ServingContext
from streaming.serving.deletion import remove_what_is_of_before
from streaming.serving.microbatch import serve, try_again
from streaming.serving.values import RawValue
from ui.auth.revocations import Revocations
from ui.data.listener_data import COLLECTIONS_BY_FIELD, COLLECTIONS_BY_ID, ListenerData

sys.path.insert(0, str(Path(__file__).parent))
from harness import World, make_world  # noqa: E402

SOURCE = "cluster/topic"
MOMENTS = [
    *((microbatch, name) for name in ("offered_index", "user_vector", "muted_rows_by_targets", "ranked_lists")),
    (microbatch, "write_mixes"),
    *((microbatch, name) for name in ("replace_documents", "take_back_if_deleted", "send")),
    *((mixes, name) for name in ("named_lists", "replace_documents", "take_back_if_deleted", "send")),
]
"""Functions that a micro-batch calls one after another; the deletion comes just before each of their calls, and just after."""


class Crash(BaseException):
    """The process ends."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = make_world(tmp_path_factory.mktemp("deletion"))
    set_aside.create_indexes(made.database)
    try:
        yield made
    finally:
        made.kafka.stop()
        made.mongo.stop()


@pytest.fixture
def context(world: World) -> ServingContext:
    chosen = world.settings
    model = registry.latest(chosen.models.root)
    state = Index.state(model.folder / "index")
    return ServingContext(
        chosen.mongo, chosen.kafka, chosen.taste, 30, SOURCE, model.version, model.index_place, state, None, 6.0
    )


class Listener:
    """Sends events, and deletes their data as the player does."""

    offset = -1

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.sent: list[RawValue] = []
        self.deletions = 0

    def event(self, action: str = "like", number: int = 3) -> RawValue:
        Listener.offset += 1
        now = datetime.now(UTC)
        track_id = None if action in ("visit", "shown") else f"{number:016x}"
        tracks = (f"{number:016x}",) if action == "shown" else ()
        value = encode(Event(self.name, track_id, action, now, tracks=tracks))
        self.sent.append(RawValue(value, 0, Listener.offset, int(now.timestamp() * 1000)))
        return self.sent[-1]

    def forget(self) -> None:
        self.deletions += 1
        Revocations(self.world.database).revoke_all(self.name)
        ListenerData(self.world.database).delete(self.name)

    @property
    def deleted_at(self) -> datetime:
        return self.world.database.deletions.find_one({"_id": self.name})["deleted_at"]  # type: ignore[no-any-return]

    @property
    def documents(self) -> dict[str, Any]:
        """What MongoDB holds of the listener."""
        database = self.world.database
        by_id = {name: database[name].find_one({"_id": self.name}) for name in COLLECTIONS_BY_ID}
        by_field = {name: list(database[name].find({"user_id": self.name})) for name in COLLECTIONS_BY_FIELD}
        return {name: documents for name, documents in (by_id | by_field).items() if documents}


def interposed(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, call: int, before: bool, happens: Callable[[], None]
) -> None:
    """Lets something happen before or after the n-th call of a function."""
    original, calls = getattr(module, name), iter(range(1_000_000))

    def function(*arguments: Any, **named: Any) -> Any:
        is_now = next(calls) == call
        if is_now and before:
            happens()
        result = original(*arguments, **named)
        if is_now and not before:
            happens()
        return result

    monkeypatch.setattr(module, name, function)


def sent_lists(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The values that go to the topic `recommendations` from now on."""
    values: list[dict[str, Any]] = []
    for module in (microbatch, mixes):
        original = module.send  # type: ignore[attr-defined]

        def send(messages: Any, kafka: Any, original: Any = original) -> None:
            pairs = list(messages)
            values.extend(json.loads(value) for _, value in pairs)
            original(pairs, kafka)

        monkeypatch.setattr(module, "send", send)
    return values


@pytest.mark.parametrize("is_new", [True, False], ids=["new listener", "known listener"])
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(("module", "name"), MOMENTS, ids=[f"{each.__name__[18:]}.{name}" for each, name in MOMENTS])
def test_a_deletion_in_the_middle_of_a_micro_batch_leaves_nothing(
    world: World,
    context: ServingContext,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    before: bool,
    is_new: bool,
) -> None:
    moments = 0
    for call in range(5):
        listener, other = (Listener(world, f"{kind} {name} {before} {is_new} {call}") for kind in ("ana", "bo"))
        if not is_new:
            serve([listener.event("play"), listener.event("like", 4)], context)
        with monkeypatch.context() as patch:
            lists = sent_lists(patch)
            interposed(patch, module, name, call, before, listener.forget)
            serve([listener.event(), listener.event("visit"), other.event()], context)
        if not listener.deletions:
            break  # there was no such call any more
        moments += 1
        assert listener.documents == {}
        assert {"profiles", "recommendations", "mixes"} <= other.documents.keys()
        late = [
            each
            for each in lists
            if each["user_id"] == listener.name and datetime.fromisoformat(each["generated_at"]) > listener.deleted_at
        ]
        assert late == [], "the durable lane would keep it"
        serve(listener.sent, context)  # they are read again, and count no more
        assert listener.documents == {}
        serve([listener.event("play", 9)], context)
        profile = profile_from(listener.documents["profiles"])
        assert profile.heard.ids == (f"{9:016x}",) and not len(profile.verdicts) and profile.events_applied == 1
        assert {listener.documents[each]["deleted_at"] for each in ("profiles", "recommendations")} == {
            listener.deleted_at
        }
    assert moments


@pytest.mark.parametrize("swept", [True, False], ids=["at the start of the query", "when the batch is run again"])
@pytest.mark.parametrize("write", [0, 1, 2, 3], ids=["list", "profile", "profile without a list", "mixes"])
def test_what_was_written_in_spite_of_a_deletion_before_a_crash_is_removed(
    world: World, context: ServingContext, monkeypatch: pytest.MonkeyPatch, write: int, swept: bool
) -> None:
    """The deletion comes before a write, and the process ends after it, before it has looked."""
    listener = Listener(world, f"crash {write} {swept}")
    values = [listener.event("shown")] if write == 2 else [listener.event(), listener.event("visit")]
    module, call = (mixes, 0) if write == 3 else (microbatch, write)

    def crash() -> None:
        raise Crash

    with monkeypatch.context() as patch, pytest.raises(Crash):
        interposed(patch, module, "replace_documents", call, True, listener.forget)
        interposed(patch, module, "replace_documents", call, False, crash)
        serve(values, context)
    assert listener.documents, "written after the deletion"
    if swept:
        remove_what_is_of_before(None, world.database)
    else:
        serve(values, context)
    assert listener.documents == {}


def test_what_was_written_after_a_deletion_stays(world: World, context: ServingContext) -> None:
    listener = Listener(world, "returned")
    serve([listener.event()], context)
    listener.forget()
    serve([listener.event("play", 5), listener.event("visit")], context)
    documents = listener.documents
    assert profile_from(documents["profiles"]).events_applied == 2 and "mixes" in documents
    remove_what_is_of_before(None, world.database)
    serve(listener.sent, context)  # a lost checkpoint
    assert listener.documents == documents


@pytest.mark.parametrize("name", ["add", "keep_events", "next_events", "release", "remove_events"])
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_who_is_set_aside_can_be_deleted_at_any_moment(
    world: World, context: ServingContext, monkeypatch: pytest.MonkeyPatch, name: str, before: bool
) -> None:
    listener = Listener(world, f"aside {name} {before}")
    world.database.profiles.insert_one({"_id": listener.name, "offsets": 7})
    with monkeypatch.context() as patch:
        if name in ("add", "keep_events"):
            interposed(patch, microbatch, name, 0, before, listener.forget)
        serve([listener.event()], context)
    if name not in ("add", "keep_events"):
        assert listener.documents.keys() == {"profiles", "set_aside", "set_aside_events"}
        world.database.profiles.delete_one({"_id": listener.name})
        with monkeypatch.context() as patch:
            interposed(patch, microbatch, name, 0, before, listener.forget)
            try_again(context, 0.0)
    assert listener.deletions == 1
    try_again(context, 0.0)
    assert listener.documents == {}
