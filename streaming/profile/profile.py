"""What a listener likes: each heard track's opinion, from what was done with it and when. Numbers only.

An action adds its weight to two sums for its track, one that fades within the session and one that fades over weeks. Sums
that fade exponentially can be added to in any order, so an event that arrives late counts as if it had come in time. Likes,
dislikes and wishes for more or less of a track are states, not sums: the latest of each holds until it is taken back.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streaming.events import ADVENTURE, MUTING_ACTIONS, Event, adventure_of

if TYPE_CHECKING:
    from conf.settings import Taste

Floats64 = NDArray[np.float64]

DAY_S = 86_400.0
VERDICTS = ("like", "unlike", "dislike")
WISHES = ("more", "less")
MUTINGS = 500
"""So many of a listener's latest mutings are remembered, taken back ones included."""
AS_SET = 0.5
"""The adventure at which lists are as varied as the settings say."""


@dataclass(frozen=True)
class Opinion:
    """What a listener did with one track; times in seconds since 1970.

    session, lasting : sums of weights as they stood at `at`
    verdict : like, dislike or none ("");  wish : more, less or none ("")
    """

    track_id: str
    title: str
    at: float
    session: float = 0.0
    lasting: float = 0.0
    verdict: str = ""
    verdict_at: float = 0.0
    wish: str = ""
    wish_at: float = 0.0

    @property
    def touched_at(self) -> float:
        """When anything was last done with the track."""
        return max(self.at, self.verdict_at, self.wish_at)

    def after(self, event: Event, taste: Taste, skip_factor: float = 1.0) -> Opinion:
        """The opinion with one more event, whenever that occurred.

        skip_factor : what a skip of this track counts, by how often everybody skips it (`streaming.profile.skip_rates`)
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
        added = _said(event, taste, skip_factor)
        session_s, lasting_s = taste.session_half_life_minutes * 60, taste.half_life_days * DAY_S
        return replace(
            self,
            at=at,
            session=self.session * _faded(at - self.at, session_s) + added * _faded(at - when, session_s),
            lasting=self.lasting * _faded(at - self.at, lasting_s) + added * _faded(at - when, lasting_s),
        )


@dataclass(frozen=True)
class Muting:
    """Whether an artist or a genre ("artist:NAME", "genre:NAME") is muted, since when."""

    target: str
    muted: bool
    at: float


@dataclass(frozen=True)
class Profile:
    """A listener: the opinions, the wishes, and what has been counted so far.

    opinions : those last touched, oldest first;  adventure : 0 keeps to the familiar, 1 leads away from it
    offsets : last Kafka offset counted for each source ("cluster/topic id/partition")
    recent_events : the latest event ids, by which a producer's second sending is known
    """

    user_id: str
    opinions: tuple[Opinion, ...] = ()
    mutings: tuple[Muting, ...] = ()
    adventure: float = AS_SET
    adventure_at: float = 0.0
    generation: int = 0
    events_applied: int = 0
    latest_at: float = 0.0
    offsets: dict[str, int] = field(default_factory=dict)
    recent_events: tuple[str, ...] = ()

    RECENT = 500

    @property
    def muted(self) -> list[str]:
        """What is muted now, in order of name."""
        return sorted(muting.target for muting in self.mutings if muting.muted)

    def after(
        self, event: Event, title: str, source: str, offset: int, taste: Taste, skip_factor: float = 1.0
    ) -> Profile:
        """The profile with one more event; the same one where the event has been counted before."""
        if offset <= self.offsets.get(source, -1):
            return self
        seen = replace(self, offsets={**self.offsets, source: offset})
        if event.event_id in self.recent_events:
            return seen
        when = event.occurred_at.timestamp()
        counted = replace(
            seen,
            events_applied=self.events_applied + 1,
            latest_at=max(self.latest_at, when),
            recent_events=(*self.recent_events, event.event_id)[-self.RECENT :],
        )
        if event.track_id is None:
            return counted._steered(event, when)
        opinions = [opinion for opinion in self.opinions if opinion.track_id != event.track_id]
        known = (opinion for opinion in self.opinions if opinion.track_id == event.track_id)
        before = next(known, Opinion(event.track_id, title, at=when))
        insort(opinions, before.after(event, taste, skip_factor), key=lambda one: (one.touched_at, one.track_id))
        return replace(counted, opinions=tuple(opinions[-taste.remembered_tracks :]))

    def _steered(self, event: Event, when: float) -> Profile:
        target = event.target or ""
        if event.action == ADVENTURE:
            value = adventure_of(target)
            if value is None or when < self.adventure_at:
                return self
            return replace(self, adventure=value, adventure_at=when)
        known = {muting.target: muting for muting in self.mutings}
        before = known.get(target)
        if event.action not in MUTING_ACTIONS or (before is not None and when < before.at):
            return self
        known[target] = Muting(target, event.action == "mute", when)
        latest = sorted(known.values(), key=lambda muting: (muting.at, muting.target))[-MUTINGS:]
        return replace(self, mutings=tuple(sorted(latest, key=lambda muting: muting.target)))

    def document(self) -> dict[str, Any]:
        """The profile as kept in MongoDB; sources are values, not names, since they hold dots."""
        return {
            "_id": self.user_id,
            "opinions": [vars(opinion) for opinion in self.opinions],
            "mutings": [vars(muting) for muting in self.mutings],
            "muted": self.muted,
            "adventure": self.adventure,
            "adventure_at": self.adventure_at,
            "generation": self.generation,
            "events_applied": self.events_applied,
            "latest_at": self.latest_at,
            "offsets": [{"source": source, "offset": offset} for source, offset in sorted(self.offsets.items())],
            "recent_events": list(self.recent_events),
            "updated_at": datetime.now(UTC),
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Profile:
        return cls(
            user_id=document["_id"],
            opinions=tuple(Opinion(**opinion) for opinion in document["opinions"]),
            mutings=tuple(Muting(**muting) for muting in document.get("mutings", ())),
            adventure=document.get("adventure", AS_SET),
            adventure_at=document.get("adventure_at", 0.0),
            generation=document["generation"],
            events_applied=document["events_applied"],
            latest_at=document["latest_at"],
            offsets={entry["source"]: entry["offset"] for entry in document["offsets"]},
            recent_events=tuple(document["recent_events"]),
        )


def weights_of(opinions: Sequence[Opinion], now: float, taste: Taste) -> tuple[Floats64, Floats64]:
    """(the opinions at a moment, from -1 (never again) to 1; when anything was last done with their tracks)."""
    said = {"": 0.0, "like": taste.like, "dislike": taste.dislike, "more": taste.more, "less": taste.less}
    columns = [(o.at, o.session, o.lasting, said[o.verdict], o.verdict_at, said[o.wish], o.wish_at) for o in opinions]
    at, session, lasting, verdict, verdict_at, wish, wish_at = np.array(columns, dtype=np.float64).reshape(-1, 7).T
    session_s, lasting_s = taste.session_half_life_minutes * 60, taste.half_life_days * DAY_S
    weights = (
        taste.session_share * session * _all_faded(now - at, session_s)
        + (1 - taste.session_share) * lasting * _all_faded(now - at, lasting_s)
        + verdict * _all_faded(now - verdict_at, lasting_s)
        + wish * _all_faded(now - wish_at, lasting_s)
    )
    return np.clip(weights, -1.0, 1.0), np.maximum(np.maximum(at, verdict_at), wish_at)


def _said(event: Event, taste: Taste, skip_factor: float) -> float:
    """What an event says about its track. A skip says the less the more was heard; of unknown position, half."""
    if event.action == "skip":
        share = event.share_heard
        return max(-1.0, skip_factor * taste.skip * (1 - (0.5 if share is None else share)))
    return taste.complete if event.action == "complete" else taste.play


def _faded(age_s: float, half_life_s: float) -> float:
    return 0.5 ** (max(0.0, age_s) / half_life_s)


def _all_faded(ages_s: Floats64, half_life_s: float) -> Floats64:
    return np.exp2(-np.maximum(0.0, ages_s) / half_life_s)
