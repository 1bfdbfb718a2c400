"""Items of a list, each with the reason why it is there, said only where it is true. No Spark, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from batch.index.lsh import Rows
from batch.words.tag_percentiles import SAID_PERCENTILE
from batch.words.vocabulary import GENRE, WORD_BY_NAME, listed
from streaming.profile.profile import DAY_S, Profile
from streaming.ranking.attraction import Attraction, Scale, l2_norm
from streaming.ranking.neighbour_cache import CachedIndex
from streaming.ranking.tiers import State
from streaming.ranking.user_vector import UserVector

MOST_REASON_TRACKS = 3
LEAST_REASON_SHARE = 0.05
"""Share of the strongest reason's attraction that another reason has at least."""
NEAREST_PERCENTILE = 90.0
MEDIAN_PERCENTILE = 50.0
DIFFERENT = "Something different"
FURTHER = "A little further from what you like"
CLOSE = "Close to what you like"
START = "A way into your library"
NEW = "New in your library"
LIKED = "You liked it, and have not heard it yet"
WANTED = "You want more like it, and have not heard it yet"
LITTLE_LEFT = "Heard lately; little else is left"
SHARED_PERCENTILE = 90
"""A word is named as shared where both tracks stand above so many percent of the library for it."""
MOST_SHARED_WORDS = 2
MOST_NAMED_TRACKS = 2


class Item(NamedTuple):
    """One item of a list.

    score : attraction by what is liked, less repulsion by what is rejected: the sum of the parts similarity and rejection
    because : ids of the liked tracks that it is near to, strongest first
    explore : whether it was drawn from elsewhere
    parts : terms of score and rank, by name
    percentile : share of all tracks that are less attracted, 0 to 100; None where nothing is liked, or nothing near but the
        track itself
    """

    track_id: str
    rank: int
    score: float
    reason: str
    because: list[str]
    explore: bool
    parts: dict[str, float]
    percentile: float | None

    def document(self) -> dict[str, Any]:
        """The item in a list's document; without `percentile` where that is None."""
        document = self._asdict()
        if self.percentile is None:
            del document["percentile"]
        return document


@dataclass(frozen=True)
class Selection:
    """The n candidates that a list was chosen from, and what is known of them.

    is_near : whether it is among the nearest of all tracks to a group [shape=(groups, n)]
    is_explored, is_familiar : whether it was drawn from elsewhere, or is a loved track that has rested [shape=(n,)]
    is_wished : whether it has a word that more is wished of, and no stronger one that less is [shape=(n,)]
    own_reasons : LIKED or WANTED for what is liked itself and was never heard, else "" [shape=(n,)]
    order : the group that each place belongs to; beyond the user vector's groups: familiar tracks, exploration
    """

    profile: Profile
    vector: UserVector
    rows: Rows
    drawn: Attraction
    limits: Scale
    state: State
    is_near: NDArray[np.bool_]
    is_explored: NDArray[np.bool_]
    is_familiar: NDArray[np.bool_]
    is_wished: NDArray[np.bool_]
    own_reasons: NDArray[np.str_]
    order: NDArray[np.int64]


def items(
    selection: Selection, index: CachedIndex, positions: NDArray[np.int64], penalties: NDArray[np.float64]
) -> list[Item]:
    """The list of the chosen candidates.

    positions : of the chosen candidates, in order
    penalties : for similarity to earlier items [shape=(positions,)]
    """
    vector, drawn, limits = selection.vector, selection.drawn, selection.limits
    groups = vector.groups
    by_place = _groups_of(selection, positions)
    repulsion = drawn.repulsion[positions]
    is_explored = selection.is_explored[positions]
    similarity = np.zeros(len(positions))
    percentile = np.full(len(positions), np.nan)
    because: list[list[str]] = [[] for _ in positions]
    if groups:
        similarity = drawn.by_group[by_place, positions].astype(np.float64)
        strongest = _strongest(by_place, positions, selection)
        because = [[vector.liked_ids[position] for position in each] for each in strongest]
    for group in range(len(groups)):
        places = np.flatnonzero(by_place == group)
        percentile[places] = limits.percentiles(group, similarity[places])
    if groups and is_explored.any():
        similarity[is_explored] = l2_norm(drawn.by_track[:, positions[is_explored]])
    terms = [np.round(values.astype(np.float64), 6).tolist() for values in (similarity, -repulsion, -penalties)]
    made = []
    words = _Words.of(selection, index)
    ids = index.index.ids[selection.rows[positions]].tolist()
    is_new = index.is_added(selection.rows[positions])
    for place, (track_id, position, attracts, repels, penalty) in enumerate(
        zip(ids, positions.tolist(), *terms, strict=True)
    ):
        explores = bool(is_explored[place])
        reason, track_ids = _explained(
            selection, words, position, int(by_place[place]), because[place], float(percentile[place])
        )
        if reason == START and is_new[place]:
            reason = NEW
        parts = {"similarity": attracts, "rejection": repels} | ({} if explores else {"diversity": penalty})
        # a liked track's pull on itself does not count, so that a low percentile would say nothing of it
        is_alone = reason in (LIKED, WANTED) and percentile[place] < NEAREST_PERCENTILE
        share = None if explores or is_alone or np.isnan(percentile[place]) else round(float(percentile[place]), 1)
        score = round(attracts + repels, 6)
        made.append(Item(str(track_id), place + 1, score, reason, track_ids, explores, parts, share))
    return made


def _groups_of(selection: Selection, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """The user vector's group that each chosen candidate is explained by; -1 where nothing is liked [shape=(positions,)].

    The one whose place it took where it is near to that one, or near to none; else the one that it is nearest to.
    """
    count = len(selection.vector.groups)
    if not count:
        return np.full(len(positions), -1)
    order = selection.order[: len(positions)]
    is_near = selection.is_near[:, positions]
    by_group = selection.drawn.by_group[:, positions]
    nearest = np.where(is_near.any(axis=0), np.where(is_near, by_group, -1.0).argmax(axis=0), by_group.argmax(axis=0))
    own = np.minimum(order, count - 1)
    keeps = (order < count) & (is_near[own, np.arange(len(positions))] | ~is_near.any(axis=0))
    return np.where(keeps, own, nearest)


def _strongest(by_place: NDArray[np.int64], positions: NDArray[np.int64], selection: Selection) -> list[list[int]]:
    """For each chosen candidate up to MOST_REASON_TRACKS liked tracks of its group to which it is among the nearest of all
    tracks.

    by_place : the group that each is explained by
    positions : of the candidates
    """
    vector = selection.vector
    shares = selection.drawn.by_track[:, positions]
    is_near = shares >= (selection.limits.by_track * vector.weights)[:, None]
    shares = np.where(is_near & vector.membership[by_place].T, shares, 0.0)
    strongest = np.argsort(-shares, axis=0, kind="stable")[:MOST_REASON_TRACKS]
    top = np.take_along_axis(shares, strongest, axis=0)
    is_reason = top > LEAST_REASON_SHARE * top.max(axis=0, initial=1e-12)
    return [places[are_reasons].tolist() for places, are_reasons in zip(strongest.T, is_reason.T, strict=True)]


def _explained(
    selection: Selection, words: _Words, position: int, group: int, because: list[str], percentile: float
) -> tuple[str, list[str]]:
    """(reason, ids of the tracks that it names) of a chosen candidate.

    words : of the candidates
    group : of the user vector, -1 where nothing is liked
    because : ids of the group's tracks that it is near to
    percentile : share of all tracks that the group attracts less, 0 to 100
    """
    state, drawn = selection.state, selection.drawn
    heard_at = float(state.heard_at[position])
    if selection.is_explored[position]:
        return DIFFERENT, []
    if heard_at and (selection.is_familiar[position] or not state.is_resting[position]):
        return rested_text(selection.profile.latest_at - heard_at), []
    if heard_at:
        return LITTLE_LEFT, []
    if own_reason := str(selection.own_reasons[position]):
        return own_reason, []
    is_liked = group >= 0 and drawn.by_group[group, position] > drawn.repulsion[position]
    if is_liked and percentile >= NEAREST_PERCENTILE:
        return _with_words(because, position, selection.profile, words), because
    if selection.is_wished[position] and (wished := words.wished(position, selection.profile)):
        return f"You asked for more: {', '.join(wished)}", []
    is_further = is_liked and (percentile >= MEDIAN_PERCENTILE or state.start_rank[position] < 0)
    return (FURTHER if is_further else START), []


def because_text(track_ids: list[str], profile: Profile) -> str:
    """`Because you liked “A”, also similar to “B”`; CLOSE without tracks whose titles are known."""
    titled = _titled(track_ids, profile)
    if not titled:
        return CLOSE if not track_ids else _action_text(track_ids[0], profile).strip()
    first_id, first = titled[0]
    text = f"{_action_text(first_id, profile)}“{first}”"
    return text if len(titled) == 1 else f"{text}, also similar to “{titled[1][1]}”"


def _titled(track_ids: Sequence[str], profile: Profile) -> list[tuple[str, str]]:
    """(id, title) of the tracks that a reason names."""
    titled = [(track_id, profile.titles[track_id]) for track_id in track_ids if profile.titles.get(track_id)]
    return titled[:MOST_NAMED_TRACKS]


@dataclass(frozen=True)
class _Words:
    """Percentiles of words, of the candidates and of the liked tracks.

    names : of the words, by column
    candidates, liked : uint8 [shape=(candidates, words)], [shape=(liked, words)]
    liked_ids : ids of the liked tracks
    """

    names: list[str]
    candidates: NDArray[np.uint8]
    liked: NDArray[np.uint8]
    liked_ids: list[str]

    @classmethod
    def of(cls, selection: Selection, index: CachedIndex) -> _Words:
        vector = selection.vector
        percentiles = index.word_percentiles(np.concatenate([selection.rows, vector.rows]))
        n = len(selection.rows)
        return cls(index.words, percentiles[:n], percentiles[n:], vector.liked_ids)

    def shared(self, position: int, track_ids: Sequence[str]) -> list[str]:
        """Names of up to MOST_SHARED_WORDS words that a candidate and all of these liked tracks stand high for, at most one of
        them a genre; the highest percentile of the lowest track first."""
        tracks = [self.liked_ids.index(track_id) for track_id in track_ids]
        least = np.minimum(self.candidates[position], self.liked[tracks].min(axis=0))
        high = sorted(np.flatnonzero(least >= SHARED_PERCENTILE).tolist(), key=lambda column: -int(least[column]))
        names = listed([self.names[column] for column in high])
        genres = [name for name in names if WORD_BY_NAME[name].kind == GENRE]
        return [name for name in names if name not in genres[1:]][:MOST_SHARED_WORDS]

    def wished(self, position: int, profile: Profile) -> list[str]:
        """Labels of the words that more is wished of and that are said of a candidate."""
        wished = {name for name, sign in profile.wished_tags.items() if sign > 0}
        percentiles = zip(self.names, self.candidates[position].tolist(), strict=True)
        names = listed([name for name, percentile in percentiles if name in wished and percentile >= SAID_PERCENTILE])
        return [WORD_BY_NAME[name].label for name in names[:MOST_SHARED_WORDS]]


def _with_words(track_ids: list[str], position: int, profile: Profile, words: _Words) -> str:
    """`Because you liked “A”: both mellow and acoustic`; without words where the named tracks share none with the candidate."""
    text, named = because_text(track_ids, profile), [track_id for track_id, _ in _titled(track_ids, profile)]
    names = words.shared(position, named) if named and words.names else []
    if not names:
        return text
    phrases = sorted((WORD_BY_NAME[name].phrase for name in names), key=lambda phrase: phrase.startswith("with "))
    joint = ", " if phrases[-1].startswith("with ") else " and "
    return f"{text}: {'both' if len(named) == 1 else 'all'} {joint.join(phrases)}"


def rested_text(age_s: float) -> str:
    """`Not heard for 5 weeks`."""
    days = age_s / DAY_S
    for size, name in ((365.25, "year"), (30.44, "month"), (7.0, "week"), (1.0, "day")):
        if days >= 1.5 * size or name == "day":
            count = max(1, round(days / size))
            return f"Not heard for {count} {name}{'' if count == 1 else 's'}"
    return ""


def _action_text(track_id: str, profile: Profile) -> str:
    actions: Mapping[str, str] = {"like": "you liked", "more": "you want more of"}
    action = actions.get(profile.verdict(track_id)) or actions.get(profile.wish(track_id)) or "you played"
    return f"Because {action} "
