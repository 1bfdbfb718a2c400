"""What a listener likes: each heard track's opinion, from what was done with it and when. Numbers only.

An action adds its weight to two sums for its track, one that fades within the session and one that fades over weeks. Sums
that fade exponentially can be added to in any order, so an event that arrives late counts as if it had come in time. Likes
and dislikes are a state, not a sum: the latest of them holds until it is taken back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from streaming.events import Event

if TYPE_CHECKING:
    from conf.settings import Taste

DAY_S = 86_400.0
VERDICTS = ("like", "unlike", "dislike")


@dataclass(frozen=True)
class Opinion:
    """What a listener did with one track; times in seconds since 1970.

    session, lasting : sums of weights as they stood at `at`
    verdict : like, dislike or none ("")
    """

    track_id: str
    title: str
    at: float
    session: float = 0.0
    lasting: float = 0.0
    verdict: str = ""
    verdict_at: float = 0.0

    @property
    def touched_at(self) -> float:
        """When anything was last done with the track."""
        return max(self.at, self.verdict_at)

    def weight(self, now: float, taste: Taste) -> float:
        """The opinion at a moment, from -1 (never again) to 1."""
        session = self.session * _faded(now - self.at, taste.session_half_life_minutes * 60)
        lasting = self.lasting * _faded(now - self.at, taste.half_life_days * DAY_S)
        weight = taste.session_share * session + (1 - taste.session_share) * lasting
        if self.verdict:
            said = taste.like if self.verdict == "like" else taste.dislike
            weight += said * _faded(now - self.verdict_at, taste.half_life_days * DAY_S)
        return max(-1.0, min(1.0, weight))

    def after(self, event: Event, taste: Taste) -> Opinion:
        """The opinion with one more event, whenever that occurred."""
        when = event.occurred_at.timestamp()
        if event.action in VERDICTS:
            if when < self.verdict_at:
                return self
            return replace(self, verdict="" if event.action == "unlike" else event.action, verdict_at=when)
        at = max(self.at, when)
        added = _said(event, taste)
        session_s, lasting_s = taste.session_half_life_minutes * 60, taste.half_life_days * DAY_S
        return replace(
            self,
            at=at,
            session=self.session * _faded(at - self.at, session_s) + added * _faded(at - when, session_s),
            lasting=self.lasting * _faded(at - self.at, lasting_s) + added * _faded(at - when, lasting_s),
        )


@dataclass(frozen=True)
class Profile:
    """A listener: the opinions, and what has been counted so far.

    offsets : last Kafka offset counted for each source ("cluster/topic id/partition")
    recent_events : the latest event ids, by which a producer's second sending is known
    """

    user_id: str
    opinions: tuple[Opinion, ...] = ()
    generation: int = 0
    events_applied: int = 0
    latest_at: float = 0.0
    offsets: dict[str, int] = field(default_factory=dict)
    recent_events: tuple[str, ...] = ()

    RECENT = 500

    def after(self, event: Event, title: str, source: str, offset: int, taste: Taste) -> Profile:
        """The profile with one more event; the same one where the event has been counted before."""
        if offset <= self.offsets.get(source, -1):
            return self
        seen = replace(self, offsets={**self.offsets, source: offset})
        if event.event_id in self.recent_events:
            return seen
        when = event.occurred_at.timestamp()
        known = {opinion.track_id: opinion for opinion in self.opinions}
        before = known.pop(event.track_id, Opinion(event.track_id, title, at=when))
        known[event.track_id] = before.after(event, taste)
        return replace(
            seen,
            opinions=tuple(_latest(known.values(), taste.remembered_tracks)),
            events_applied=self.events_applied + 1,
            latest_at=max(self.latest_at, when),
            recent_events=(*self.recent_events, event.event_id)[-self.RECENT :],
        )

    def document(self) -> dict[str, Any]:
        """The profile as kept in MongoDB; sources are values, not names, since they hold dots."""
        return {
            "_id": self.user_id,
            "opinions": [vars(opinion) for opinion in self.opinions],
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
            generation=document["generation"],
            events_applied=document["events_applied"],
            latest_at=document["latest_at"],
            offsets={entry["source"]: entry["offset"] for entry in document["offsets"]},
            recent_events=tuple(document["recent_events"]),
        )


def _said(event: Event, taste: Taste) -> float:
    """What an event says about its track. A skip says the less the more was heard; of unknown position, half."""
    if event.action == "skip":
        share = event.share_heard
        return taste.skip * (1 - (0.5 if share is None else share))
    return taste.complete if event.action == "complete" else taste.play


def _faded(age_s: float, half_life_s: float) -> float:
    return 0.5 ** (max(0.0, age_s) / half_life_s)


def _latest(opinions: Iterable[Opinion], most: int) -> list[Opinion]:
    """The opinions last touched, oldest first."""
    by_age = sorted(opinions, key=lambda opinion: (opinion.touched_at, opinion.track_id))
    return by_age[-most:]
