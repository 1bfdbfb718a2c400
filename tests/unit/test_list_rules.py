"""What holds of every list, whatever listeners did: drawn listeners over a made library with recordings and removed tracks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from batch.index.building import build_index, with_local_scales
from batch.index.tuning import HashParameters, random_projection
from conf.settings import settings
from streaming.events import Event
from streaming.profile.documents import profile_document, profile_from
from streaming.profile.profile import Profile
from streaming.ranking.mixes import MixRequest, discoveries, named_lists
from streaming.ranking.neighbour_cache import CachedIndex
from streaming.ranking.ranker import ListRequest, ranked_list
from streaming.ranking.user_vector import user_vector

TASTE = settings().taste
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TRACKS, DIMENSIONS = 160, 4
TRACK_ACTIONS = ("play", "complete", "skip", "like", "dislike", "more", "less", "neutral")
ACTIONS = (*TRACK_ACTIONS, "visit", "shown", "adventure")


def drawn_library(rng: np.random.Generator) -> CachedIndex:
    """Four kinds of music, some recordings under two ids, some tracks removed."""
    components = np.eye(DIMENSIONS, dtype=np.float32)
    space = random_projection(HashParameters(2, 8), components, 3.0, seed=int(rng.integers(1000)))
    points = np.repeat(3 * np.eye(DIMENSIONS), TRACKS // DIMENSIONS, axis=0) + rng.normal(0, 1, (TRACKS, DIMENSIONS))
    artists = [f"artist {number}" for number in rng.integers(0, 30, TRACKS)]
    made = with_local_scales(build_index([f"t{row:03d}" for row in range(TRACKS)], points, artists, space))
    codes = np.arange(TRACKS, dtype=np.int32)
    codes[100:120] = codes[:20]
    removed = np.sort(rng.choice(TRACKS, int(rng.choice([0, 40])), replace=False))
    return CachedIndex(replace(made, recordings=codes, tombstoned_rows=removed))


def drawn_listener(rng: np.random.Generator) -> Profile:
    profile, when = Profile("ana"), NOON
    for offset in range(int(rng.choice([3, 30, 150]))):
        when += timedelta(seconds=int(rng.choice([5, 60, 9_000, 3 * 86_400])))
        action = str(rng.choice(ACTIONS))
        track_id = f"t{rng.integers(TRACKS + 5):03d}" if action in TRACK_ACTIONS else None  # some that the index lacks
        event = Event("ana", track_id, action, when, f"e{offset}", int(rng.choice([0, 100])), 200)
        if action == "shown":
            event = replace(event, tracks=tuple(f"t{row:03d}" for row in rng.integers(0, TRACKS, 5)))
        elif action == "adventure":
            event = replace(event, target=str(rng.choice(["0", "0.3", "0.7", "1"])))
        profile = profile.after(event, f"The {track_id}", "source", offset, TASTE)
    return profile


@pytest.mark.parametrize("seed", range(40))
def test_whatever_a_listener_did_lists_keep_their_rules(seed: int) -> None:
    rng = np.random.default_rng(seed)
    index, profile = drawn_library(rng), drawn_listener(rng)
    muted = np.sort(rng.choice(TRACKS, 20, replace=False))
    disliked = index.rows_of(profile.disliked)
    never = set(muted.tolist()) | set(np.setdiff1d(np.arange(TRACKS), index.present).tolist())
    disliked_recordings = set(index.recordings(disliked[disliked >= 0]).tolist())

    ranked = ranked_list(profile, index, ["t000", "t050"], 30, TASTE, muted)
    assert ranked == ranked_list(profile_from(profile_document(profile)), index, ["t000", "t050"], 30, TASTE, muted)
    assert len(ranked) == 30 and [item.rank for item in ranked] == list(range(1, 31))
    heard_last = index.rows_of([profile.last_track])
    recordings = index.recordings(index.rows_of([item.track_id for item in ranked])).tolist()
    assert not set(index.recordings(heard_last[heard_last >= 0]).tolist()) & set(recordings)
    for item in ranked:
        assert item.score == pytest.approx(item.parts["similarity"] + item.parts["rejection"], abs=1e-5)
        assert not item.because or (item.score > 0 and item.percentile is not None and item.percentile >= 90)

    vector = user_vector(profile, index, TASTE)
    (week,) = discoveries([ListRequest(profile, vector, muted)], index, 30, TASTE)
    assert not set(week) & set(profile.heard.ids)
    (named,) = named_lists([MixRequest(profile, vector, muted, week)], index, 30, TASTE)
    for items in (ranked, *(each.items for each in named)):
        rows = index.rows_of([item.track_id for item in items])
        codes = index.recordings(rows).tolist()
        assert not never & set(rows.tolist()) and not disliked_recordings & set(codes)
        assert len(set(codes)) == len(codes), "one of each recording"
