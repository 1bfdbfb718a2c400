"""Which tracks a list is taken from: neighbours of what is liked, the list for everyone, some from elsewhere. Numbers only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from batch.index.lsh import Rows
from streaming.profile.profile import Profile
from streaming.ranking.neighbour_cache import Catalogue, once
from streaming.ranking.user_vector import Liking

if TYPE_CHECKING:
    from conf.settings import Taste

SPARE = 200
"""Tracks drawn where taste and opening list leave a list too short: as many, and no fewer than asked for."""


def barred(profile: Profile, catalogue: Catalogue, taste: Taste, hidden: Rows) -> Rows:
    """Rows of tracks heard, liked or skipped lately, or disliked; and of the hidden."""
    since = profile.latest_at - taste.heard_again_after_hours * 3600
    ids = [o.track_id for o in profile.opinions if o.touched_at > since or o.verdict == "dislike"]
    rows = catalogue.rows_of(ids)
    return once(np.concatenate([rows[rows >= 0], hidden]))


def pool(
    profile: Profile,
    found: Liking,
    catalogue: Catalogue,
    opening: Rows,
    most: int,
    but: Rows,
    hidden: Rows,
    draw: np.random.Generator,
) -> Rows:
    """Candidates: neighbours of each centre and of the latest liked track, the opening list, and others if these are too few.

    opening : rows of the list for everyone;  but : rows that must not come;  hidden : those of them that come in no case
    Where nothing is left, what was heard lately comes back, but for the disliked and the hidden.
    """
    near = catalogue.near(found.asking)
    rows = catalogue.without(np.concatenate([near, catalogue.without(opening, near)]), but)
    if len(rows) < most:
        rows = np.concatenate([rows, elsewhere(catalogue, np.concatenate([rows, but]), max(SPARE, most), draw)])
    if not len(rows):
        disliked = catalogue.rows_of([o.track_id for o in profile.opinions if o.verdict == "dislike"])
        rows = np.setdiff1d(catalogue.present, np.concatenate([disliked, hidden]))
    return rows if len(rows) else np.setdiff1d(catalogue.present, hidden)


def elsewhere(catalogue: Catalogue, but: Rows, most: int, draw: np.random.Generator) -> Rows:
    """Tracks drawn from the whole catalogue, none of `but`."""
    if len(catalogue) > 4 * (most + len(but)):  # large: drawing a few is cheaper than naming all
        drawn = catalogue.present[draw.integers(0, len(catalogue), 2 * most)]
        return np.array(list(dict.fromkeys(catalogue.without(drawn, but).tolist()))[:most], dtype=np.int64)
    return draw.permutation(np.setdiff1d(catalogue.present, but))[:most]
