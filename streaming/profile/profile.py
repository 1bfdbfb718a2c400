"""A listener's profile: an opinion of each track, updated event by event. No Spark, no I/O.

Play, complete and skip add a weight to two sums of their track: one decays within the session, one over weeks. Exponentially
decaying sums do not depend on the order of their terms, so a late event counts as if it had arrived in time. Like, dislike, more
and less are states: the latest by `occurred_at` holds. A skip is weighed in `_event_weight`; `opinion_weights` combines all.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streaming.events import ADVENTURE, MUTING_ACTIONS, Event, adventure_value

if TYPE_CHECKING:
    from conf.settings import Taste

Floats64 = NDArray[np.float64]

DAY_S = 86_400.0
VERDICTS = ("like", "unlike", "dislike")
WISHES = ("more", "less")
REMEMBERED_MUTINGS = 500
"""A listener's latest mutings, cancelled ones included; older ones are evicted."""
REMEMBERED_EVENT_IDS = 500
NEUTRAL_ADVENTURE = 0.5
"""The adventure at which diversity and exploration are those of the settings."""


@dataclass(frozen=True)
class Opinion:
    """A listener's evidence about one track; times in seconds since 1970.

    at : time of the latest play, complete or skip
    session, lasting : decaying sums of weights, as of `at`
    verdict : "like", "dislike" or "" for none
    wish : "more", "less" or "" for none
    other_fields : of the stored document, unknown to this version; they are written back
    """

    track_id: str
    title: str = ""
    at: float = 0.0
    session: float = 0.0
    lasting: float = 0.0
    verdict: str = ""
    verdict_at: float = 0.0
    wish: str = ""
    wish_at: float = 0.0
    other_fields: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def touched_at(self) -> float:
        """Time of the latest action on the track."""
        return max(self.at, self.verdict_at, self.wish_at)

    def after(self, event: Event, taste: Taste, skip_factor: float = 1.0) -> Opinion:
        """The opinion updated by one event, late or not.

        skip_factor : multiplies the weight of a skip (`streaming.profile.skip_rates`)
        """
        when = event.occurred_at.timestamp()
        action = event.action
        if action in VERDICTS or action in WISHES or action == "neutral":
            changed = self
            if (action in VERDICTS or action == "neutral") and when >= self.verdict_at:
                changed = replace(changed, verdict=action if action in ("like", "dislike") else "", verdict_at=when)
            if (action in WISHES or action == "neutral") and when >= self.wish_at:
                changed = replace(changed, wish=action if action in WISHES else "", wish_at=when)
            return changed
        at = max(self.at, when)
        weight = _event_weight(event, taste, skip_factor)
        session_s, lasting_s = taste.session_half_life_minutes * 60, taste.half_life_days * DAY_S
        return replace(
            self,
            at=at,
            session=self.session * _decay(at - self.at, session_s) + weight * _decay(at - when, session_s),
            lasting=self.lasting * _decay(at - self.at, lasting_s) + weight * _decay(at - when, lasting_s),
        )


@dataclass(frozen=True)
class Muting:
    """Whether an artist or genre is muted.

    target : "artist:NAME" or "genre:NAME"
    at : time of the latest mute or unmute, in seconds since 1970
    other_fields : as in Opinion
    """

    target: str
    muted: bool = False
    at: float = 0.0
    other_fields: dict[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Profile:
    """A listener's opinions and steering, and which events they include.

    opinions : of the `taste.remembered_tracks` latest tracks, by `touched_at`, oldest first
    adventure : 0 (familiar tracks) to 1
    generation : of the listener's latest list, 0 before the first
    events_applied : number of distinct events counted
    latest_at : latest `occurred_at` of them, in seconds since 1970
    offsets : {"cluster id/topic id/partition": last Kafka offset counted}
    recent_events : the latest event ids, oldest first, to recognise duplicates of producers
    other_fields : as in Opinion
    """

    user_id: str
    opinions: tuple[Opinion, ...] = ()
    mutings: tuple[Muting, ...] = ()
    adventure: float = NEUTRAL_ADVENTURE
    adventure_at: float = 0.0
    generation: int = 0
    events_applied: int = 0
    latest_at: float = 0.0
    offsets: dict[str, int] = field(default_factory=dict)
    recent_events: tuple[str, ...] = ()
    other_fields: dict[str, Any] = field(default_factory=dict)

    @property
    def muted(self) -> list[str]:
        """Targets that are muted now, sorted."""
        return sorted(muting.target for muting in self.mutings if muting.muted)

    def after(
        self, event: Event, title: str, source: str, offset: int, taste: Taste, skip_factor: float = 1.0
    ) -> Profile:
        """The profile updated by one event; `self` where its offset was counted before.

        title : of the event's track
        source : "cluster id/topic id/partition" that the event was read from
        skip_factor : as in Opinion.after
        """
        if offset <= self.offsets.get(source, -1):
            return self
        with_offset = replace(self, offsets={**self.offsets, source: offset})
        if event.event_id in self.recent_events:
            return with_offset
        when = event.occurred_at.timestamp()
        counted = replace(
            with_offset,
            events_applied=self.events_applied + 1,
            latest_at=max(self.latest_at, when),
            recent_events=(*self.recent_events, event.event_id)[-REMEMBERED_EVENT_IDS:],
        )
        if event.track_id is None:
            return counted._steered(event, when)
        opinions = [opinion for opinion in self.opinions if opinion.track_id != event.track_id]
        of_track = (opinion for opinion in self.opinions if opinion.track_id == event.track_id)
        before = next(of_track, Opinion(event.track_id, title, at=when))
        insort(opinions, before.after(event, taste, skip_factor), key=lambda each: (each.touched_at, each.track_id))
        return replace(counted, opinions=tuple(opinions[-taste.remembered_tracks :]))

    def _steered(self, event: Event, when: float) -> Profile:
        target = event.target or ""
        if event.action == ADVENTURE:
            value = adventure_value(target)
            if value is None or when < self.adventure_at:
                return self
            return replace(self, adventure=value, adventure_at=when)
        muting_by_target = {muting.target: muting for muting in self.mutings}
        before = muting_by_target.get(target)
        if event.action not in MUTING_ACTIONS or (before is not None and when < before.at):
            return self
        muting_by_target[target] = replace(before or Muting(target), muted=event.action == "mute", at=when)
        latest = sorted(muting_by_target.values(), key=lambda muting: (muting.at, muting.target))[-REMEMBERED_MUTINGS:]
        return replace(self, mutings=tuple(sorted(latest, key=lambda muting: muting.target)))


def opinion_weights(opinions: Sequence[Opinion], now: float, taste: Taste) -> tuple[Floats64, Floats64]:
    """(weights at a time, -1 (rejected) to 1 (liked); times of the latest actions) [shape=(opinions,) each].

    now : seconds since 1970
    """
    state = {"": 0.0, "like": taste.like, "dislike": taste.dislike, "more": taste.more, "less": taste.less}
    columns = [
        (o.at, o.session, o.lasting, state.get(o.verdict, 0.0), o.verdict_at, state.get(o.wish, 0.0), o.wish_at)
        for o in opinions
    ]
    at, session, lasting, verdict, verdict_at, wish, wish_at = np.array(columns, dtype=np.float64).reshape(-1, 7).T
    session_s, lasting_s = taste.session_half_life_minutes * 60, taste.half_life_days * DAY_S
    weights = (
        taste.session_share * session * _decays(now - at, session_s)
        + (1 - taste.session_share) * lasting * _decays(now - at, lasting_s)
        + verdict * _decays(now - verdict_at, lasting_s)
        + wish * _decays(now - wish_at, lasting_s)
    )
    return np.clip(weights, -1.0, 1.0), np.maximum(np.maximum(at, verdict_at), wish_at)


def _event_weight(event: Event, taste: Taste, skip_factor: float) -> float:
    """The weight of a play, complete or skip. A skip weighs less the more was heard; half where the position is unknown."""
    if event.action == "skip":
        share = event.share_heard
        return max(-1.0, skip_factor * taste.skip * (1 - (0.5 if share is None else share)))
    return taste.complete if event.action == "complete" else taste.play


def _decay(age_s: float, half_life_s: float) -> float:
    """The share of a weight left after `age_s` seconds; 1 for negative ages."""
    return 0.5 ** (max(0.0, age_s) / half_life_s)


def _decays(ages_s: Floats64, half_life_s: float) -> Floats64:
    return np.exp2(-np.maximum(0.0, ages_s) / half_life_s)
