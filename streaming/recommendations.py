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
from streaming.candidates import Catalogue, Floats64
from streaming.liking import Liking, liking
from streaming.taste import AS_SET, Opinion, Profile

if TYPE_CHECKING:
    from conf.settings import Taste

BECAUSE = 3
TOGETHER = 10
"""The artist cap holds in any run of this many items."""
EXPLORED_RANKS = (5, 12, 18, 24)
EXPLORED_OUT_OF = 64
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
    shares = _shares(catalogue, rows, found.rows, found.weights)
    repelled = taste.rejection * _together(_shares(catalogue, rows, found.rejected_rows, found.rejected_weights))
    attraction = _together(shares)
    score = attraction - repelled
    venture = profile.adventure / AS_SET
    chosen, crowding = _diverse(rows, score, catalogue, most, taste.artist_cap, min(0.9, taste.diversity * venture))
    nearer = _percentiles(attraction[chosen], found, catalogue)
    listed = [
        Item(
            str(catalogue.index.ids[int(rows[at])]),
            0,
            round(float(score[at]), 6),
            *_because(shares[:, at], found),
            parts={
                "similarity": round(float(attraction[at]), 6),
                "rejection": round(-float(repelled[at]), 6),
                "diversity": round(-float(crowd), 6),
            },
            percentile=near,
        )
        for at, crowd, near in zip(chosen, crowding, nearer, strict=True)
    ]
    places = min(len(EXPLORED_RANKS), round(taste.exploration * venture))
    listed = _with_explored(listed, rows[chosen], rows, barred, found, catalogue, places, draw)
    return [replace(item, rank=rank) for rank, item in enumerate(listed[:most], start=1)]


def _seed(profile: Profile) -> int:
    """The same events give the same list, in however many batches they came and whichever attempt wrote it."""
    return zlib.crc32(f"{profile.user_id}\x00{profile.events_applied}".encode())


def _barred(profile: Profile, catalogue: Catalogue, taste: Taste) -> Rows:
    """Rows of tracks heard, liked or skipped lately, or disliked."""
    since = profile.latest_at - taste.heard_again_after_hours * 3600
    ids = [o.track_id for o in profile.opinions if o.touched_at > since or o.verdict == "dislike"]
    rows = catalogue.index.rows_of(ids)
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
    asking = [found.rows[centre.medoid] for centre in found.centres]
    if found.liked:
        asking.append(found.rows[int(np.argmax([opinion.touched_at for opinion in found.liked]))])
    near = catalogue.near(np.unique(np.array(asking, dtype=np.int64)))
    spare = catalogue.index.rows_of(opening)
    spare = spare[(spare >= 0) & ~np.isin(spare, near)]
    rows = np.concatenate([near, spare])
    rows = rows[~np.isin(rows, barred)]
    if len(rows) < most:
        rows = np.concatenate([rows, _others(catalogue, np.concatenate([rows, barred]), max(SPARE, most), draw)])
    if not len(rows):
        disliked = catalogue.index.rows_of([o.track_id for o in profile.opinions if o.verdict == "dislike"])
        rows = np.setdiff1d(catalogue.present, np.concatenate([disliked, hidden]))
    return rows if len(rows) else np.setdiff1d(catalogue.present, hidden)


def _others(catalogue: Catalogue, but: Rows, most: int, draw: np.random.Generator) -> Rows:
    """Tracks drawn from the whole catalogue, none of `but`."""
    if len(catalogue) > 4 * (most + len(but)):  # large: drawing a few is cheaper than naming all
        drawn = np.unique(catalogue.present[draw.integers(0, len(catalogue), 2 * most + len(but))])
        return draw.permutation(np.setdiff1d(drawn, but))[:most]
    return draw.permutation(np.setdiff1d(catalogue.present, but))[:most]


def _shares(catalogue: Catalogue, rows: Rows, heard: Rows, weights: Floats64) -> Floats64:
    """What each heard track [first axis] adds to each row's likeness."""
    if not len(heard):
        return np.zeros((0, len(rows)))
    return weights[:, None] * catalogue.likeness(heard, rows)


def _together(shares: Floats64) -> Floats64:
    """The root of the sum of squares, one value a row.

    It lies between the strongest match and the sum of all: two interests do not drown in each other, and agreement counts.
    """
    return np.sqrt(np.square(shares).sum(axis=0))


def _diverse(
    rows: Rows, score: Floats64, catalogue: Catalogue, most: int, cap: int, diversity: float
) -> tuple[list[int], list[float]]:
    """(places in `rows`, best first; what each lost by being like an earlier one).

    Maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998), with at most `cap` of an artist in any ten; where only
    capped artists are left, the cap gives way. Ties keep the order of `rows`.
    """
    vectors, scales = catalogue.points(rows)
    squares = np.einsum("ij,ij->i", vectors, vectors)
    artists = np.asarray(catalogue.index.artists[rows]).tolist()
    by_artist: dict[int, list[int]] = {}
    for at, artist in enumerate(artists):
        by_artist.setdefault(artist, []).append(at)
    span = max(float(np.abs(score).max(initial=0.0)), 1e-12)
    relevance = (1 - diversity) * score / span
    crowd = np.zeros(len(rows))
    value = relevance.copy()
    taken = np.zeros(len(rows), dtype=np.bool_)
    chosen: list[int] = []
    lost: list[float] = []
    while len(chosen) < min(most, len(rows)):
        recent = Counter(artists[at] for at in chosen[-(TOGETHER - 1) :])
        full = [at for artist, times in recent.items() if artist >= 0 and times >= cap for at in by_artist[artist]]
        at = int(np.argmax(value if not full else _without(value, full)))
        if taken[at] or (full and at in full):  # none is left but of capped artists
            at = int(np.argmax(value))
        chosen.append(at)
        lost.append(float(diversity * crowd[at]))
        taken[at] = True
        if diversity:
            apart = np.maximum(squares + squares[at] - 2 * (vectors @ vectors[at]), 0.0)
            np.maximum(crowd, np.exp(-apart / (scales * scales[at] + 1e-12)), out=crowd)
            value = relevance - diversity * crowd
        value[taken] = -np.inf
    return chosen, lost


def _without(value: Floats64, places: list[int]) -> Floats64:
    left = value.copy()
    left[places] = -np.inf
    return left


def _percentiles(attraction: Floats64, found: Liking, catalogue: Catalogue) -> list[float | None]:
    if not len(found.rows):
        return [None] * len(attraction)
    others = np.sort(_together(_shares(catalogue, catalogue.sample, found.rows, found.weights)))
    return [round(100 * at / len(others), 1) for at in np.searchsorted(others, attraction).tolist()]


def _because(shares: NDArray[np.float64], found: Liking) -> tuple[str, list[str]]:
    """(reason, ids of the heard tracks that count most)."""
    strongest = [at for at in np.argsort(-shares)[:BECAUSE] if shares[at] > 0.05 * max(1e-9, float(shares.max()))]
    heard = [found.liked[at] for at in strongest]
    return _reason(heard), [opinion.track_id for opinion in heard]


def _reason(heard: list[Opinion]) -> str:
    if not heard:
        return "A way into your library"
    did = "you liked" if heard[0].verdict == "like" else "you want more of" if heard[0].wish == "more" else "you played"
    if len(heard) == 1 or not heard[1].title:
        return f"Because {did} “{heard[0].title}”"
    return f"Because {did} “{heard[0].title}”, also like “{heard[1].title}”"


def _with_explored(
    listed: list[Item],
    chosen: Rows,
    pool: Rows,
    barred: Rows,
    found: Liking,
    catalogue: Catalogue,
    places: int,
    draw: np.random.Generator,
) -> list[Item]:
    """The list with a few tracks from elsewhere in the library: of those drawn, the ones least like what was rejected.

    Where the candidates are the whole library, those that did not come into the list are elsewhere.
    """
    if not listed or not places:
        return listed
    elsewhere = _others(catalogue, np.concatenate([pool, barred]), EXPLORED_OUT_OF, draw)
    if len(elsewhere) < places:
        rest = np.setdiff1d(pool, np.concatenate([chosen, barred, elsewhere]))
        liked = _together(_shares(catalogue, rest, found.rows, found.weights))
        unlike = rest[np.lexsort((rest, liked))][: max(places, len(rest) // 2)]
        elsewhere = np.concatenate([elsewhere, draw.permutation(unlike)])
    artists = np.asarray(catalogue.index.artists[chosen])
    theirs = np.asarray(catalogue.index.artists[elsewhere])
    elsewhere = elsewhere[(theirs < 0) | ~np.isin(theirs, artists)]
    if not len(elsewhere):
        return listed
    repulsion = _together(_shares(catalogue, elsewhere, found.rejected_rows, found.rejected_weights))
    attraction = _together(_shares(catalogue, elsewhere, found.rows, found.weights))
    best = np.argsort(np.round(repulsion, 3), kind="stable")
    mixed = list(listed)
    seen: set[int] = set()
    ranks = iter(EXPLORED_RANKS[:places])
    for at in best.tolist():
        artist = int(catalogue.index.artists[int(elsewhere[at])])
        if artist in seen:
            continue
        rank = next(ranks, None)
        if rank is None:
            break
        if artist >= 0:
            seen.add(artist)
        parts = {"similarity": round(float(attraction[at]), 6), "rejection": round(-float(repulsion[at]), 6)}
        track_id = str(catalogue.index.ids[int(elsewhere[at])])
        mixed.insert(rank - 1, Item(track_id, 0, 0.0, "Something else, to explore", explore=True, parts=parts))
    return mixed
