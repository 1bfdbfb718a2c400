"""Taste meets the index: a ranked list with reasons. Numbers only.

The centre of each interest asks the LSH index for its neighbours; a candidate's score is how like it is to what was liked, less
how like it is to what was rejected. From these the list is taken one by one, each time the best that is not like what is
listed already. Nothing heard lately, nothing muted, few of one artist, a few places to explore.
"""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from batch.index import Rows
from streaming.candidates import Catalogue, Floats64, Points, alike
from streaming.liking import Liking, liking
from streaming.taste import AS_SET, Opinion, Profile

if TYPE_CHECKING:
    from conf.settings import Taste

BECAUSE = 3
TOGETHER = 10
"""The artist cap holds in any run of this many items."""
EXPLORED_RANKS = (5, 12, 18, 24)
EXPLORED_OUT_OF = 64
SHORTLISTED = 4
"""For each place, so many of the best candidates are looked at for diversity."""
SPARE = 200
"""Tracks drawn where taste and opening list leave a list too short: as many, and no fewer than asked for."""


@dataclass(frozen=True)
class Item:
    """One place in a list.

    score : likeness to what was liked less likeness to what was rejected
    because : the heard tracks behind it, strongest first;  parts : what made score and rank;  percentile : of all tracks,
    how many per cent are less like what was liked
    """

    track_id: str
    rank: int
    score: float
    reason: str
    because: list[str] = field(default_factory=list)
    explore: bool = False
    parts: dict[str, float] = field(default_factory=dict)
    percentile: float | None = None

    def document(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value is not None}


def items(
    profile: Profile,
    catalogue: Catalogue,
    opening: list[str],
    most: int,
    taste: Taste,
    muted: Rows | None = None,
    found: Liking | None = None,
) -> list[Item]:
    """The listener's list.

    opening : track ids of the list for everyone, which fills what the taste leaves open;  muted : rows to leave out
    found : of `liking`, where it is known already
    Never empty while the index has a track: where all was heard lately, all but the disliked and muted comes back.
    """
    found = liking(profile, catalogue, taste) if found is None else found
    hidden = np.empty(0, dtype=np.int64) if muted is None else muted
    barred = np.union1d(_barred(profile, catalogue, taste), hidden)
    draw = np.random.default_rng(_seed(profile))
    rows = _pool(profile, found, catalogue, opening, most, barred, hidden, draw)
    points = catalogue.points(rows)
    pulls = found.pulls(points)
    attraction, repelled = _together(pulls), taste.rejection * _together(found.pushes(points))
    score = attraction - repelled
    venture = profile.adventure / AS_SET
    chosen, crowding = _diverse(
        points, score, catalogue.artists(rows), most, taste.artist_cap, min(0.9, taste.diversity * venture)
    )
    places = min(len(EXPLORED_RANKS), round(taste.exploration * venture))
    explored = _explored(rows[chosen], rows, barred, found, catalogue, places, draw)
    nearer = _percentiles(attraction[chosen], found, catalogue)
    reasons = _reasons(pulls[:, chosen], found)
    ids = catalogue.index.ids[rows[chosen]].tolist()
    listed = [
        Item(
            track_id,
            0,
            round(float(score[at]), 6),
            reason,
            because,
            parts={
                "similarity": round(float(attraction[at]), 6),
                "rejection": round(-float(repelled[at]), 6),
                "diversity": round(-float(crowd), 6),
            },
            percentile=near,
        )
        for at, crowd, near, (reason, because), track_id in zip(chosen, crowding, nearer, reasons, ids, strict=True)
    ]
    for rank, item in zip(EXPLORED_RANKS, explored, strict=False):
        listed.insert(rank - 1, item)
    return [replace(item, rank=rank) for rank, item in enumerate(listed[:most], start=1)]


def _seed(profile: Profile) -> int:
    """The same events give the same list, in however many batches they came and whichever attempt wrote it."""
    return zlib.crc32(f"{profile.user_id}\x00{profile.events_applied}".encode())


def _barred(profile: Profile, catalogue: Catalogue, taste: Taste) -> Rows:
    """Rows of tracks heard, liked or skipped lately, or disliked."""
    since = profile.latest_at - taste.heard_again_after_hours * 3600
    ids = [o.track_id for o in profile.opinions if o.touched_at > since or o.verdict == "dislike"]
    rows = catalogue.rows_of(ids)
    return np.unique(rows[rows >= 0])


def _pool(
    profile: Profile,
    found: Liking,
    catalogue: Catalogue,
    opening: list[str],
    most: int,
    barred: Rows,
    hidden: Rows,
    draw: np.random.Generator,
) -> Rows:
    """Candidates: neighbours of each centre and of the latest liked track, the opening list, and others if these are too few."""
    near = catalogue.near(found.asking)
    spare = catalogue.rows_of(opening)
    spare = spare[(spare >= 0) & ~np.isin(spare, near)]
    rows = np.concatenate([near, spare])
    rows = rows[~np.isin(rows, barred)]
    if len(rows) < most:
        rows = np.concatenate([rows, _others(catalogue, np.concatenate([rows, barred]), max(SPARE, most), draw)])
    if not len(rows):
        disliked = catalogue.rows_of([o.track_id for o in profile.opinions if o.verdict == "dislike"])
        rows = np.setdiff1d(catalogue.present, np.concatenate([disliked, hidden]))
    return rows if len(rows) else np.setdiff1d(catalogue.present, hidden)


def _others(catalogue: Catalogue, but: Rows, most: int, draw: np.random.Generator) -> Rows:
    """Tracks drawn from the whole catalogue, none of `but`."""
    if len(catalogue) > 4 * (most + len(but)):  # large: drawing a few is cheaper than naming all
        drawn = np.unique(catalogue.present[draw.integers(0, len(catalogue), 2 * most + len(but))])
        return draw.permutation(np.setdiff1d(drawn, but))[:most]
    return draw.permutation(np.setdiff1d(catalogue.present, but))[:most]


def _together(shares: Floats64) -> Floats64:
    """The root of the sum of squares, one value a row.

    It lies between the strongest match and the sum of all: two interests do not drown in each other, and agreement counts.
    """
    return np.sqrt(np.einsum("ij,ij->j", shares, shares))


def _diverse(
    points: Points, score: Floats64, artists: NDArray[np.int32], most: int, cap: int, diversity: float
) -> tuple[list[int], list[float]]:
    """(places among the points, best first; what each lost by being like an earlier one).

    Maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998), with at most `cap` of an artist in any ten; where only
    capped artists are left, the cap gives way. Ties keep the order of the points.
    """
    near = _shortlist(score, artists, most, cap)
    alikeness = alike(points.at(near), points.at(near)) if diversity else np.zeros((len(near), 1), dtype=np.float32)
    by_artist: dict[int, list[int]] = {}
    for at, artist in enumerate(artists[near].tolist()):
        by_artist.setdefault(artist, []).append(at)
    theirs = artists[near].tolist()
    relevance = (1 - diversity) * score[near] / max(float(np.abs(score).max(initial=0.0)), 1e-12)
    crowd = np.zeros(len(near))
    value = relevance.copy()
    chosen: list[int] = []
    lost: list[float] = []
    while len(chosen) < min(most, len(near)):
        recent = Counter(theirs[at] for at in chosen[-(TOGETHER - 1) :])
        full = [at for artist, times in recent.items() if artist >= 0 and times >= cap for at in by_artist[artist]]
        at = int(np.argmax(value if not full else _without(value, full)))
        if value[at] == -np.inf or at in full:  # none is left but of capped artists
            at = int(np.argmax(value))
        chosen.append(at)
        lost.append(float(diversity * crowd[at]))
        if diversity:
            np.maximum(crowd, alikeness[at], out=crowd)
            np.subtract(relevance, diversity * crowd, out=value)
        value[chosen] = -np.inf
    return near[chosen].tolist(), lost


def _shortlist(score: Floats64, artists: NDArray[np.int32], most: int, cap: int) -> NDArray[np.int64]:
    """Places of those with the best scores, enough for diversity, and of no artist more than a list can take."""
    best = np.argsort(-score, kind="stable")
    if len(best) <= SHORTLISTED * most:
        return best
    by_artist = np.lexsort((np.arange(len(best)), artists[best]))  # in each artist's own order of scores
    sorted_artists = artists[best][by_artist]
    first = np.searchsorted(sorted_artists, sorted_artists)
    within = np.empty(len(best), dtype=np.int64)
    within[by_artist] = np.arange(len(best)) - first
    can_be_taken = (artists[best] < 0) | (within < cap * (most // TOGETHER + 1))
    return np.concatenate([best[can_be_taken], best[~can_be_taken]])[: SHORTLISTED * most]


def _without(value: Floats64, places: list[int]) -> Floats64:
    left = value.copy()
    left[places] = -np.inf
    return left


def _percentiles(attraction: Floats64, found: Liking, catalogue: Catalogue) -> list[float | None]:
    if not len(found.rows):
        return [None] * len(attraction)
    others = np.sort(_together(found.pulls(catalogue.sample)))
    return [round(100 * at / len(others), 1) for at in np.searchsorted(others, attraction).tolist()]


def _reasons(pulls: Floats64, found: Liking) -> list[tuple[str, list[str]]]:
    """(reason, ids of the heard tracks that count most) of each listed track.  pulls : [shape=(liked, listed)]"""
    strongest = np.argsort(-pulls, axis=0)[:BECAUSE]
    counts = np.take_along_axis(pulls, strongest, axis=0) > 0.05 * np.maximum(pulls.max(axis=0, initial=0.0), 1e-9)
    found_by = []
    for places, count in zip(strongest.T.tolist(), counts.T.tolist(), strict=True):
        heard = [found.liked[at] for at, counted in zip(places, count, strict=True) if counted]
        found_by.append((_reason(heard), [opinion.track_id for opinion in heard]))
    return found_by


def _reason(heard: list[Opinion]) -> str:
    if not heard:
        return "A way into your library"
    did = "you liked" if heard[0].verdict == "like" else "you want more of" if heard[0].wish == "more" else "you played"
    if len(heard) == 1 or not heard[1].title:
        return f"Because {did} “{heard[0].title}”"
    return f"Because {did} “{heard[0].title}”, also like “{heard[1].title}”"


def _explored(
    chosen: Rows, pool: Rows, barred: Rows, found: Liking, catalogue: Catalogue, places: int, draw: np.random.Generator
) -> list[Item]:
    """A few tracks from elsewhere in the library: of those drawn, the ones least like what was rejected.

    Where the candidates are the whole library, those that did not come into the list are elsewhere.
    """
    if not len(chosen) or not places:
        return []
    elsewhere = _others(catalogue, np.concatenate([pool, barred]), EXPLORED_OUT_OF, draw)
    if len(elsewhere) < places:
        rest = np.setdiff1d(pool, np.concatenate([chosen, barred, elsewhere]))
        liked = _together(found.pulls(catalogue.points(rest)))
        unlike = rest[np.lexsort((rest, liked))][: max(places, len(rest) // 2)]
        elsewhere = np.concatenate([elsewhere, draw.permutation(unlike)])
    theirs = catalogue.artists(elsewhere)
    elsewhere = elsewhere[(theirs < 0) | ~np.isin(theirs, catalogue.artists(chosen))]
    points, artists = catalogue.points(elsewhere), catalogue.artists(elsewhere).tolist()
    repulsion, attraction = _together(found.pushes(points)), _together(found.pulls(points))
    explored: list[Item] = []
    seen: set[int] = set()
    for at in np.argsort(np.round(repulsion, 3), kind="stable").tolist():
        if len(explored) == places:
            break
        if artists[at] in seen:
            continue
        if artists[at] >= 0:
            seen.add(artists[at])
        parts = {"similarity": round(float(attraction[at]), 6), "rejection": round(-float(repulsion[at]), 6)}
        track_id = str(catalogue.index.ids[int(elsewhere[at])])
        explored.append(Item(track_id, 0, 0.0, "Something else, to explore", explore=True, parts=parts))
    return explored
