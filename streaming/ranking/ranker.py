"""Taste meets the index: ranked lists with reasons. Numbers only.

The centre of each interest asks the LSH index for its neighbours; a candidate's score is how like it is to what was liked, less
how like it is to what was rejected. From these the list is taken one by one, each time the best that is not like what is
listed already. Nothing heard lately, nothing muted, few of one artist, a few places to explore.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from batch.index.lsh import Rows
from streaming.profile.profile import AS_SET, Opinion, Profile
from streaming.ranking.candidate_pool import barred, elsewhere, pool
from streaming.ranking.mmr import Ranked, at_once, diverse
from streaming.ranking.neighbour_cache import Catalogue, Points
from streaming.ranking.user_vector import Liking, liking, together

if TYPE_CHECKING:
    from conf.settings import Taste

BECAUSE = 3
EXPLORED_RANKS = (5, 12, 18, 24)
EXPLORED_OUT_OF = 64
EXPLORES = "Something else, to explore"
MOST_DIVERSE = 0.9


class Item(NamedTuple):
    """One place in a list.

    score : likeness to what was liked less likeness to what was rejected
    because : the heard tracks behind it, strongest first;  parts : what made score and rank;  percentile : of all tracks,
    how many per cent are less like what was liked
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
        """The item as lists are kept and sent; where there is no percentile, without one."""
        document = self._asdict()
        if self.percentile is None:
            del document["percentile"]
        return document


@dataclass(frozen=True)
class Asked:
    """A list that is asked for: whose, what it follows, and rows that must not come."""

    profile: Profile
    found: Liking
    hidden: Rows


@dataclass(frozen=True)
class _Scored:
    """The n candidates of a list.  pulls : [shape=(liked, n)];  attraction, repelled : [shape=(n,)];  draw : all its chance"""

    asked: Asked
    rows: Rows
    points: Points
    barred: Rows
    pulls: NDArray[np.floating]
    attraction: NDArray[np.floating]
    repelled: NDArray[np.floating]
    draw: np.random.Generator

    @property
    def venture(self) -> float:
        """How far from the familiar, 1 as the settings say."""
        return self.asked.profile.adventure / AS_SET


def items(
    profile: Profile, catalogue: Catalogue, opening: list[str], most: int, taste: Taste, muted: Rows | None = None
) -> list[Item]:
    """The list of one listener; see `lists`.  muted : rows to leave out"""
    asked = Asked(profile, liking(profile, catalogue, taste), np.empty(0, dtype=np.int64) if muted is None else muted)
    return lists([asked], catalogue, opening, most, taste)[0]


def lists(
    asked: Sequence[Asked], catalogue: Catalogue, opening: list[str], most: int, taste: Taste
) -> list[list[Item]]:
    """The lists that are asked for, in their order.

    opening : track ids of the list for everyone, which fills what the taste leaves open
    Never empty while the index has a track: where all was heard lately, all but the disliked and hidden comes back.
    """
    first = catalogue.rows_of(opening)
    first = first[first >= 0]
    made = []
    step = at_once(most)
    for start in range(0, len(asked), step):
        scored = [_scored(one, catalogue, first, most, taste) for one in asked[start : start + step]]
        chosen = diverse([_ranked(one, catalogue, taste) for one in scored], most, taste.artist_cap)
        made += [
            _listed(one, places, lost, catalogue, most, taste)
            for one, (places, lost) in zip(scored, chosen, strict=True)
        ]
    return made


def _scored(asked: Asked, catalogue: Catalogue, opening: Rows, most: int, taste: Taste) -> _Scored:
    draw = np.random.default_rng(_seed(asked.profile))
    but = barred(asked.profile, catalogue, taste, asked.hidden)
    rows = pool(asked.profile, asked.found, catalogue, opening, most, but, asked.hidden, draw)
    points = catalogue.points(rows)
    pulls, pushes = asked.found.pulls_and_pushes(points)
    return _Scored(asked, rows, points, but, pulls, together(pulls), taste.rejection * together(pushes), draw)


def _seed(profile: Profile) -> int:
    """The same events give the same list, in however many batches they came and whichever attempt wrote it."""
    return zlib.crc32(f"{profile.user_id}\x00{profile.events_applied}".encode())


def _ranked(scored: _Scored, catalogue: Catalogue, taste: Taste) -> Ranked:
    diversity = min(MOST_DIVERSE, taste.diversity * scored.venture)
    score = scored.attraction - scored.repelled
    return Ranked(scored.points, score, catalogue.artists(scored.rows), diversity)


def _listed(
    scored: _Scored, places: Rows, lost: NDArray[np.float64], catalogue: Catalogue, most: int, taste: Taste
) -> list[Item]:
    found = scored.asked.found
    ranks_to_explore = [rank for rank in EXPLORED_RANKS if rank <= most][: round(taste.exploration * scored.venture)]
    explored = _explored(scored, places, catalogue, len(ranks_to_explore))
    attraction, repelled = scored.attraction[places], scored.repelled[places]
    shares = zip(_rounded(attraction), _rounded(-repelled), _rounded(-lost), strict=True)
    ids = catalogue.index.ids[scored.rows[places]].tolist()
    ranks = [rank for rank in range(1, most + 1) if rank not in ranks_to_explore[: len(explored)]]
    listed = [
        Item(track_id, rank, score, reason, because, False, parts, near)
        for track_id, rank, score, (reason, because), parts, near in zip(
            ids,
            ranks,
            _rounded(attraction - repelled),
            _reasons(scored.pulls[:, places], found),
            ({"similarity": like, "rejection": unlike, "diversity": less} for like, unlike, less in shares),
            _percentiles(attraction, found, catalogue),
            strict=False,
        )
    ]
    for rank, (track_id, parts) in zip(ranks_to_explore, explored, strict=False):
        at = min(rank, len(listed) + 1)  # a list that is too short to have the rank ends with it
        listed.insert(at - 1, Item(track_id, at, 0.0, EXPLORES, [], True, parts, None))
    return listed


def _rounded(values: NDArray[np.floating]) -> list[float]:
    return list(np.round(values.astype(np.float64), 6).tolist())


def _percentiles(attraction: NDArray[np.floating], found: Liking, catalogue: Catalogue) -> list[float | None]:
    if not len(found.rows):
        return [None] * len(attraction)
    others = np.sort(together(found.pulls(catalogue.sample)))
    return [round(100 * at / len(others), 1) for at in np.searchsorted(others, attraction).tolist()]


def _reasons(pulls: NDArray[np.floating], found: Liking) -> list[tuple[str, list[str]]]:
    """(reason, ids of the heard tracks that count most) of each listed track.  pulls : [shape=(liked, listed)]"""
    strongest = np.argsort(-pulls, axis=0)[:BECAUSE]
    counts = np.take_along_axis(pulls, strongest, axis=0) > 0.05 * np.maximum(pulls.max(axis=0, initial=0.0), 1e-9)
    heard = [
        [found.liked[at] for at, counted in zip(places, count, strict=True) if counted]
        for places, count in zip(strongest.T.tolist(), counts.T.tolist(), strict=True)
    ]
    return [(_reason(some), [opinion.track_id for opinion in some]) for some in heard]


def _reason(heard: list[Opinion]) -> str:
    if not heard:
        return "A way into your library"
    did = "you liked" if heard[0].verdict == "like" else "you want more of" if heard[0].wish == "more" else "you played"
    if len(heard) == 1 or not heard[1].title:
        return f"Because {did} “{heard[0].title}”"
    return f"Because {did} “{heard[0].title}”, also like “{heard[1].title}”"


def _explored(scored: _Scored, listed: Rows, catalogue: Catalogue, places: int) -> list[tuple[str, dict[str, float]]]:
    """(id, parts of the score) of tracks from elsewhere in the library: of those drawn, the least like what was rejected.

    Where the candidates are the whole library, those that did not come into the list are elsewhere.
    """
    chosen, found = scored.rows[listed], scored.asked.found
    if not len(chosen) or not places:
        return []
    rows = elsewhere(catalogue, np.concatenate([scored.rows, scored.barred]), EXPLORED_OUT_OF, scored.draw)
    if len(rows) < places:
        rest = np.setdiff1d(scored.rows, np.concatenate([chosen, scored.barred, rows]))
        liked = together(found.pulls(catalogue.points(rest)))
        unlike = rest[np.lexsort((rest, liked))][: max(places, len(rest) // 2)]
        rows = np.concatenate([rows, scored.draw.permutation(unlike)])
    artists = catalogue.artists(rows).tolist()
    seen = set(catalogue.artists(chosen).tolist()) - {-1}
    pulls, pushes = found.pulls_and_pushes(catalogue.points(rows))
    attraction, repulsion = together(pulls), together(pushes)
    explored: list[tuple[str, dict[str, float]]] = []
    for at in np.argsort(np.round(repulsion, 3), kind="stable").tolist():
        if len(explored) == places:
            break
        if artists[at] in seen:
            continue
        if artists[at] >= 0:
            seen.add(artists[at])
        parts = {"similarity": round(float(attraction[at]), 6), "rejection": round(-float(repulsion[at]), 6)}
        track_id = str(catalogue.index.ids[int(rows[at])])
        explored.append((track_id, parts))
    return explored
