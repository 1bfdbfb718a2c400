"""A listener's profile: the evidence about each track, updated event by event. No Spark, no I/O.

Plays, completes and skips add to two sums of their track: one decays within the session, one over weeks. Both are bounded,
so that many plays cannot outweigh a verdict. Verdicts (like, dislike), wishes (more, less), mutings, and the time at which
each track was last heard, are kept for good; the sums only of the latest tracks. `streaming.profile.weights` turns all of it
into weights.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from batch.library.labels import spelling_key
from batch.words.vocabulary import tag_key
from streaming.events import ADVENTURE, MUTING_ACTIONS, SHOWN, TAG_KIND, VISIT, WISH_ACTIONS, Event, adventure_value
from streaming.profile.track_table import TrackTable

if TYPE_CHECKING:
    from conf.settings import Taste

DAY_S = 86_400.0
LISTENING_ACTIONS = ("play", "complete", "skip")
VERDICT_CODES = {"like": 1.0, "dislike": -1.0}
WISH_CODES = {"more": 1.0, "less": -1.0}
_VERDICT_BY_CODE = {code: verdict for verdict, code in VERDICT_CODES.items()}
_WISH_BY_CODE = {code: wish for wish, code in WISH_CODES.items()}
REMEMBERED_MUTINGS = 500
"""A listener's latest mutings, cancelled ones included; older ones are evicted."""
REMEMBERED_TAG_WISHES = 500
"""As REMEMBERED_MUTINGS."""
REMEMBERED_EVENTS = 500
REMEMBERED_VERDICTS = 20_000
REMEMBERED_SHOWN_TRACKS = 500
NEUTRAL_ADVENTURE = 0.5
"""The adventure at which diversity and exploration are those of the settings."""
CLOCK_TOLERANCE_S = DAY_S
MOST_TITLE_CHARACTERS = 200
"""Of a track's title in profiles and reasons; longer ones are cut."""

AT, SESSION, LASTING, SESSION_PLAYS, LASTING_PLAYS = range(5)
"""Columns of `Profile.evidence`: time of the latest play, complete or skip; decaying sums as of then, of completes and
skips, and of plays."""
HEARD_AT = 0
VERDICT, VERDICT_AT, WISH, WISH_AT = range(4)
SHOWN_COUNT, SHOWN_AT = range(2)


@dataclass(frozen=True)
class Muting:
    """Whether an artist, a genre or a word for the sound is muted.

    target : "artist:NAME", "genre:NAME" or "tag:NAME"
    at : time of the latest mute or unmute, in seconds since 1970
    other_fields : of the stored document, unknown to this version; they are written back
    """

    target: str
    muted: bool = False
    at: float = 0.0
    other_fields: dict[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class TagWish:
    """Whether a listener wants more or less of a word for the sound.

    target : "tag:NAME"
    wish : "more" or "less"; "" where it was taken back
    at : time of the latest action, in seconds since 1970
    other_fields : as in Muting
    """

    target: str
    wish: str = ""
    at: float = 0.0
    other_fields: dict[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Profile:
    """A listener's evidence and steering, and which events they include. Times are in seconds since 1970.

    evidence : columns AT, SESSION, LASTING, SESSION_PLAYS, LASTING_PLAYS, of the `taste.remembered_tracks` tracks heard last
    titles : of the tracks of `evidence` and `verdicts`, by id
    heard : column HEARD_AT, of every track ever heard
    verdicts : columns VERDICT (1 like, -1 dislike, 0 none), VERDICT_AT, WISH (1 more, -1 less, 0 none), WISH_AT
    shown : columns SHOWN_COUNT (on how many occasions, decays), SHOWN_AT, of tracks that were shown and not taken
    adventure : 0 (familiar tracks) to 1
    generation : of the listener's latest list, 0 before the first
    events_applied : number of distinct events counted
    plays : number of tracks heard so far, repeats included: the place of the next one in the order of turns
    last_track : the track heard last
    latest_at : latest `occurred_at`
    session_at : when the latest session began
    visited_at : time of the latest visit
    mixes_at : as of when the mixes were made
    offsets : {"cluster id/topic id/partition": last Kafka offset counted}
    recent_events : hashes of the latest event ids, oldest first, to recognise duplicates of producers
    deleted_at : when the listener's data were last deleted, which nothing here is of before; None: never
    other_fields : as in Muting
    """

    user_id: str
    evidence: TrackTable = field(default_factory=lambda: TrackTable.empty(5))
    titles: dict[str, str] = field(default_factory=dict)
    heard: TrackTable = field(default_factory=lambda: TrackTable.empty(1))
    verdicts: TrackTable = field(default_factory=lambda: TrackTable.empty(4))
    shown: TrackTable = field(default_factory=lambda: TrackTable.empty(2))
    mutings: tuple[Muting, ...] = ()
    tag_wishes: tuple[TagWish, ...] = ()
    adventure: float = NEUTRAL_ADVENTURE
    adventure_at: float = 0.0
    generation: int = 0
    events_applied: int = 0
    plays: int = 0
    last_track: str = ""
    latest_at: float = 0.0
    session_at: float = 0.0
    visited_at: float = 0.0
    mixes_at: float = 0.0
    offsets: dict[str, int] = field(default_factory=dict)
    recent_events: tuple[bytes, ...] = ()
    deleted_at: datetime | None = None
    other_fields: dict[str, Any] = field(default_factory=dict)

    @property
    def muted(self) -> list[str]:
        """Targets that are muted now, sorted."""
        return sorted(muting.target for muting in self.mutings if muting.muted)

    @property
    def wished_tags(self) -> dict[str, float]:
        """1 for more, -1 for less, by the word's name; wishes that were taken back are left out."""
        return {
            tag_key(each.target.partition(":")[2]): WISH_CODES[each.wish]
            for each in self.tag_wishes
            if each.wish in WISH_CODES
        }

    @property
    def disliked(self) -> list[str]:
        """Ids of the disliked tracks."""
        return [self.verdicts.ids[row] for row in np.flatnonzero(self.verdicts.column(VERDICT) < 0).tolist()]

    def verdict(self, track_id: str) -> str:
        """ "like", "dislike" or "" for none."""
        return _VERDICT_BY_CODE.get(self._verdict_code(track_id, VERDICT), "")

    def wish(self, track_id: str) -> str:
        """ "more", "less" or "" for none."""
        return _WISH_BY_CODE.get(self._verdict_code(track_id, WISH), "")

    def _verdict_code(self, track_id: str, column: int) -> float:
        position = self.verdicts.position_by_id.get(track_id)
        return 0.0 if position is None else float(self.verdicts.values[position, column])

    def after(
        self, event: Event, title: str, source: str, offset: int, taste: Taste, skip_factor: float = 1.0
    ) -> Profile:
        """The profile updated by one event; `self` where its offset was counted before.

        title : of the event's track
        source : "cluster id/topic id/partition" that the event was read from
        skip_factor : multiplies the weight of a skip (`streaming.profile.skip_rates`)
        """
        if offset <= self.offsets.get(source, -1):
            return self
        with_offset = replace(self, offsets={**self.offsets, source: offset})
        event_hash = hashed(event.event_id)
        if event_hash in self.recent_events:
            return with_offset
        when = event.occurred_at.timestamp()
        begins_session = when - self.latest_at > 60 * taste.session_gap_minutes
        counted = replace(
            with_offset,
            events_applied=self.events_applied + 1,
            latest_at=max(self.latest_at, when),
            session_at=when if begins_session else self.session_at,
            recent_events=(*self.recent_events, event_hash)[-REMEMBERED_EVENTS:],
        )
        if event.action == VISIT:
            return replace(counted, visited_at=max(counted.visited_at, when))
        if event.action == SHOWN:
            return counted._shown(event.tracks, when, taste)
        if event.track_id is None:
            return counted._steered(event, when)
        if event.action in LISTENING_ACTIONS:
            return counted._heard(event, title, when, taste, skip_factor)
        return counted._judged(event, title, when)

    def pulled_back(self, arrived_at: float) -> Profile:
        """The profile without times after `arrived_at`, the arrival of a new event, which a clock that was ahead left behind.

        `self` where it has none, but for CLOCK_TOLERANCE_S.
        """
        if self.latest_at <= arrived_at + CLOCK_TOLERANCE_S:
            return self

        def at_most(table: TrackTable, *columns: int) -> TrackTable:
            values = table.values.copy()
            values[:, columns] = np.minimum(values[:, columns], arrived_at)
            return TrackTable(table.ids, values)

        return replace(
            self,
            evidence=at_most(self.evidence, AT),
            heard=at_most(self.heard, HEARD_AT),
            verdicts=at_most(self.verdicts, VERDICT_AT, WISH_AT),
            shown=at_most(self.shown, SHOWN_AT),
            mutings=tuple(replace(muting, at=min(muting.at, arrived_at)) for muting in self.mutings),
            tag_wishes=tuple(replace(wish, at=min(wish.at, arrived_at)) for wish in self.tag_wishes),
            **{
                name: min(getattr(self, name), arrived_at)
                for name in ("adventure_at", "latest_at", "session_at", "visited_at", "mixes_at")
            },
        )

    def _heard(self, event: Event, title: str, when: float, taste: Taste, skip_factor: float) -> Profile:
        track_id = event.track_id or ""
        before = self.evidence.row(track_id)
        at, *sums = (when, 0.0, 0.0, 0.0, 0.0) if before is None else before.tolist()
        now = max(at, when)
        half_lives_s = (taste.session_half_life_minutes * 60, taste.half_life_days * DAY_S)
        weight = _event_weight(event, taste, skip_factor)
        weights = (0.0, 0.0, weight, weight) if event.action == "play" else (weight, weight, 0.0, 0.0)
        sums = [
            _as_stored(
                max(-1.0, min(1.0, total * decay(now - at, half_life_s) + added * decay(now - when, half_life_s)))
            )
            for total, added, half_life_s in zip(sums, weights, half_lives_s * 2, strict=True)
        ]
        evidence = self.evidence.with_row(track_id, (now, *sums)).latest(taste.remembered_tracks, AT)
        last_heard = self.heard.row(track_id)
        heard_at = math.floor(when) if last_heard is None else max(math.floor(when), float(last_heard[HEARD_AT]))
        is_next = event.action == "play" or track_id != self.last_track
        changed = replace(
            self,
            evidence=evidence,
            heard=self.heard.with_row(track_id, (heard_at,)),
            shown=self.shown.without([track_id]),
            plays=self.plays + is_next,
            last_track=track_id if when >= self.latest_at else self.last_track,
        )
        return changed._with_title(track_id, title)

    def _judged(self, event: Event, title: str, when: float) -> Profile:
        track_id, action = event.track_id or "", event.action
        row = self.verdicts.row(track_id)
        verdict, verdict_at, wish, wish_at = (0.0, 0.0, 0.0, 0.0) if row is None else row.tolist()
        if action not in WISH_CODES and when >= verdict_at:
            verdict, verdict_at = VERDICT_CODES.get(action, 0.0), when
        if (action in WISH_CODES or action == "neutral") and when >= wish_at:
            wish, wish_at = WISH_CODES.get(action, 0.0), when
        # A verdict that was taken back is kept, too: an older one may still arrive.
        verdicts = self.verdicts.with_row(track_id, (verdict, verdict_at, wish, wish_at))
        changed = replace(
            self, verdicts=verdicts.latest(REMEMBERED_VERDICTS, VERDICT_AT), shown=self.shown.without([track_id])
        )
        return changed._with_title(track_id, title)

    def _with_title(self, track_id: str, title: str) -> Profile:
        titles = {**self.titles, track_id: title} if title else dict(self.titles)
        titled_ids = {*self.evidence.ids, *self.verdicts.ids}
        return replace(self, titles={each: name for each, name in titles.items() if each in titled_ids})

    def _shown(self, track_ids: tuple[str, ...], when: float, taste: Taste) -> Profile:
        """The profile with the tracks counted as shown, each once in a row of lists without a pause of a session's gap.

        Else a few skips, each of which makes a list, would count for the cards that stay as often as weeks do.
        """
        table, when = self.shown, float(math.floor(when))
        for track_id in track_ids:
            row = table.row(track_id)
            count, at = (0.0, -math.inf) if row is None else row.tolist()
            if when < at:
                continue
            is_counted = when - at > 60 * taste.session_gap_minutes
            count = _as_stored(count * decay(when - at, taste.shown_half_life_days * DAY_S) + is_counted)
            table = table.with_row(track_id, (count, when))
        return replace(self, shown=table.latest(REMEMBERED_SHOWN_TRACKS, SHOWN_AT))

    def _steered(self, event: Event, when: float) -> Profile:
        target = event.target or ""
        if event.action == ADVENTURE:
            value = adventure_value(target)
            if value is None or when < self.adventure_at:
                return self
            return replace(self, adventure=value, adventure_at=when)
        if event.action in WISH_ACTIONS:
            return self._wished(target, event.action if event.action in WISH_CODES else "", when)
        by_time = sorted(self.mutings, key=lambda muting: (muting.at, muting.target))
        muting_by_name = {_spelled_alike(muting.target): muting for muting in by_time}
        before = muting_by_name.get(_spelled_alike(target))
        if event.action not in MUTING_ACTIONS or (before is not None and when < before.at):
            return self
        changed = replace(before or Muting(target), target=target, muted=event.action == "mute", at=when)
        muting_by_name[_spelled_alike(target)] = changed
        latest = sorted(muting_by_name.values(), key=lambda muting: (muting.at, muting.target))[-REMEMBERED_MUTINGS:]
        return replace(self, mutings=tuple(sorted(latest, key=lambda muting: muting.target)))

    def _wished(self, target: str, wish: str, when: float) -> Profile:
        by_time = sorted(self.tag_wishes, key=lambda each: (each.at, each.target))
        wish_by_name = {_spelled_alike(each.target): each for each in by_time}
        before = wish_by_name.get(_spelled_alike(target), TagWish(target))
        if when < before.at:
            return self
        wish_by_name[_spelled_alike(target)] = replace(before, target=target, wish=wish, at=when)
        latest = sorted(wish_by_name.values(), key=lambda each: (each.at, each.target))[-REMEMBERED_TAG_WISHES:]
        return replace(self, tag_wishes=tuple(sorted(latest, key=lambda each: each.target)))


def _spelled_alike(target: str) -> str:
    """What targets have in common whose names differ only in case, blanks and diacritics, or are synonyms of one tag."""
    kind, _, name = target.partition(":")
    return f"{kind}:{tag_key(name) if kind == TAG_KIND else spelling_key(name)}"


def hashed(event_id: str) -> bytes:
    """The 8 bytes by which a profile knows an event id."""
    return hashlib.blake2b(event_id.encode(), digest_size=8).digest()


def _as_stored(number: float) -> float:
    """The number as `streaming.profile.documents` stores it: micro-batches cut elsewhere give the same sums."""
    return float(np.float32(number))


def decay(age_s: float, half_life_s: float) -> float:
    """The share of a weight left after `age_s` seconds; 1 for negative ages."""
    return float(0.5 ** (max(0.0, age_s) / half_life_s))


def _event_weight(event: Event, taste: Taste, skip_factor: float) -> float:
    """The weight of a play, complete or skip. A skip weighs less the more was heard; half where the position is unknown."""
    if event.action == "skip":
        share = event.share_heard
        return max(-1.0, skip_factor * taste.skip * (1 - (0.5 if share is None else share)))
    return taste.complete if event.action == "complete" else taste.play
