"""Named lists for made listeners over a made library: what each holds, what it leaves out, and what it says of itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from batch.index.building import build_index, with_local_scales
from batch.index.lsh import Index
from batch.index.projection import Projection
from conf.settings import Taste, settings
from streaming.documents import DISCOVER, LIST_NAMES, REDISCOVER
from streaming.events import Event
from streaming.profile.profile import Profile
from streaming.ranking.mixes import (
    FEWEST_TRACKS,
    MixRequest,
    NamedList,
    discoveries,
    named_lists,
    week_of,
)
from streaming.ranking.neighbour_cache import CachedIndex
from streaming.ranking.ranker import ListRequest
from streaming.ranking.user_vector import user_vector

TASTE: Taste = settings().taste
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
"""A Monday."""
DAY = 24 * 60.0
KINDS = ("folk", "jazz", "metal", "techno")
EACH = 60
ARTISTS = 20
NOTHING = np.empty(0, dtype=np.int64)


def library(recordings: dict[str, str] | None = None) -> Index:
    """Tracks folk00, folk01, … by the artists folk-0 … folk-19 in turn, each kind around a corner of its own.

    recordings : {track id: another one that is the same recording}
    """
    rng = np.random.default_rng(9)
    ids = [f"{kind}{at:02d}" for kind in KINDS for at in range(EACH)]
    corners = np.repeat(10 * np.eye(len(KINDS)), EACH, axis=0)
    artists = [f"{kind}-{at % ARTISTS}" for kind in KINDS for at in range(EACH)]
    space = Projection(
        mean=np.zeros(len(KINDS), dtype=np.float32),
        deviation=np.ones(len(KINDS), dtype=np.float32),
        components=np.eye(len(KINDS), dtype=np.float32),
        directions=rng.normal(0, 0.5, (8, 2, len(KINDS))).astype(np.float32),
        offsets=rng.uniform(0, 3, (8, 2)).astype(np.float32),
        bucket_length=3.0,
    )
    made = with_local_scales(build_index(ids, corners + rng.normal(0, 0.5, corners.shape), artists, space))
    codes = np.arange(len(ids), dtype=np.int32)
    for track_id, other in (recordings or {}).items():
        codes[made.rows_of([track_id])] = made.rows_of([other])[0]
    return replace(made, recordings=codes)


@pytest.fixture(scope="module")
def index() -> CachedIndex:
    return CachedIndex(library())


def after(profile: Profile, *actions: tuple[str, str, float]) -> Profile:
    """The profile after (track, action, minutes after noon)."""
    start = profile.events_applied
    for offset, (track, action, minutes) in enumerate(actions, start):
        occurred_at = NOON + timedelta(minutes=minutes)
        event = Event("ana", track, action, occurred_at, f"e{offset}")
        profile = profile.after(event, f"The {track}", "source", offset, TASTE)
    return profile


def listener(*actions: tuple[str, str, float]) -> Profile:
    return after(Profile("ana"), *actions)


def liked(kind: str, numbers: Iterable[int], minutes: float = 0.0) -> list[tuple[str, str, float]]:
    return [(f"{kind}{number:02d}", action, minutes) for number in numbers for action in ("complete", "like")]


def discovered(profile: Profile, index: CachedIndex, muted: np.ndarray = NOTHING, length: int = 30) -> list[str]:
    request = ListRequest(profile, user_vector(profile, index, TASTE), muted)
    return discoveries([request], index, length, TASTE)[0]


def lists(
    profile: Profile, index: CachedIndex, week: list[str] | None = None, muted: np.ndarray = NOTHING
) -> dict[str, NamedList]:
    """The named lists by name.  week : ids of this week's "Discover"; None: chosen now"""
    vector = user_vector(profile, index, TASTE)
    ids = discovered(profile, index, muted) if week is None else week
    artists = {track_id: f"{track_id[:-2].title()} Artist" for track_id in vector.liked_ids}
    made = named_lists([MixRequest(profile, vector, muted, ids, artists)], index, 30, TASTE)[0]
    assert [each.name for each in made] == [name for name in LIST_NAMES if name in {each.name for each in made}]
    return {each.name: each for each in made}


def ids(named: NamedList) -> list[str]:
    return [item.track_id for item in named.items]


def kinds(named: NamedList) -> set[str]:
    return {item.track_id[:-2] for item in named.items}


def test_each_interest_has_a_mix_of_its_own_the_larger_one_first(index: CachedIndex) -> None:
    profile = listener(*liked("folk", range(6)), *liked("techno", range(2), 1))
    made = lists(profile, index)
    assert (kinds(made["mix-1"]), kinds(made["mix-2"])) == ({"folk"}, {"techno"}) and "mix-3" not in made
    for name in ("mix-1", "mix-2"):
        assert [item.rank for item in made[name].items] == list(range(1, len(made[name].items) + 1))
        assert all(item.score > 0 and (item.percentile or 0) >= 90 for item in made[name].items)
        assert not set(ids(made[name])) & set(profile.heard.ids), "what was just heard rests"
        assert all(item.reason.startswith(("Because you liked “The ", "Close to")) for item in made[name].items)
        assert not any(item.explore for item in made[name].items)


def neighbouring_kinds() -> CachedIndex:
    """Three kinds in a row, so close that their tracks are near to several interests, with a copy in the next one, and others."""
    rng = np.random.default_rng(4)
    kinds, d = ("left", "mid", "right"), 4
    track_ids = [f"{kind}{at:02d}" for kind in kinds for at in range(EACH)] + [f"other{at:03d}" for at in range(900)]
    corners = np.vstack([np.repeat(4 * np.arange(3.0)[:, None] * np.eye(1, d), EACH, axis=0), np.full((900, d), 60.0)])
    space = replace(library().projection, mean=np.zeros(d, np.float32), deviation=np.ones(d, np.float32))
    vectors = corners + rng.normal(0, 1, corners.shape)
    made = with_local_scales(build_index(track_ids, vectors, [f"of {each}" for each in track_ids], space))
    codes = np.arange(len(track_ids), dtype=np.int32)
    codes[made.rows_of(["right50"])] = made.rows_of(["mid50"])[0]
    return CachedIndex(replace(made, recordings=codes))


@pytest.mark.parametrize("adventure", ["0.00", "0.50", "1.00"])
def test_a_track_is_in_one_mix_at_most(adventure: str) -> None:
    close = neighbouring_kinds()
    profile = listener(*liked("left", range(6)), *liked("mid", range(5), 1), *liked("right", range(4), 2))
    slider = Event("ana", None, "adventure", NOON + timedelta(days=40), "slider", target=adventure)
    profile = profile.after(slider, "", "source", 999, TASTE)
    vector = user_vector(profile, close, TASTE.model_copy(update={"centre_reach": 0.1}))
    made = named_lists([MixRequest(profile, vector, NOTHING)], close, 30, TASTE)[0]
    mixes = [each for each in made if each.name.startswith("mix-")]
    assert len(mixes) >= 3 and all(len(each.items) >= FEWEST_TRACKS for each in mixes)
    rows = close.rows_of([item.track_id for each in mixes for item in each.items])
    assert len(np.unique(close.recordings(rows))) == len(rows)
    for each in mixes:
        assert [item.rank for item in each.items] == list(range(1, len(each.items) + 1))


def test_a_mix_says_what_it_is_like(index: CachedIndex) -> None:
    profile = listener(*liked("folk", range(6)), *liked("techno", [0], 1))
    made = lists(profile, index)
    medoid = made["mix-1"].title.removeprefix("Like “The ").partition("”")[0]
    assert medoid in profile.heard.ids and made["mix-1"].title == f"Like “The {medoid}” by Folk Artist"
    assert made["mix-1"].reason.startswith(f"Near to “The {medoid}”, “The folk0")
    assert made["mix-1"].reason.endswith("” and 4 more of your tracks")
    assert (made["mix-2"].title, made["mix-2"].reason) == (
        "Like “The techno00” by Techno Artist",
        "Near to “The techno00”",
    )
    vector = user_vector(profile, index, TASTE)
    nameless = named_lists([MixRequest(replace(profile, titles={}), vector, NOTHING)], index, 30, TASTE)[0]
    assert (nameless[0].title, nameless[0].reason) == ("Mix 1", "Close to what you like")
    two = lists(listener(*liked("folk", range(2))), index)["mix-1"]
    assert two.reason in ("Near to “The folk00” and “The folk01”", "Near to “The folk01” and “The folk00”")


def test_discover_has_only_what_was_never_heard_by_artists_never_heard(index: CachedIndex) -> None:
    profile = listener(*liked("folk", range(4)), ("folk09", "skip", 1), ("jazz00", "skip", 2))
    made = lists(profile, index)[DISCOVER]
    artists = [int(track_id[-2:]) % ARTISTS for track_id in ids(made)]
    assert kinds(made) == {"folk"} and not {0, 1, 2, 3, 9} & set(artists)
    assert len(set(artists[:10])) == 10, "one track an artist"
    for item in made.items:
        assert (
            item.reason.startswith("Because you liked")
            if item.because
            else item.reason == "By an artist you have not heard"
        )
    assert (made.title, made.reason) == ("Discover", "Never heard, by artists new to you. A new list every week.")


def test_discover_stays_as_it_is_but_for_what_was_heard_disliked_or_muted(index: CachedIndex) -> None:
    profile = listener(*liked("folk", range(4)))
    week = discovered(profile, index)
    later = after(profile, (week[1], "play", DAY), (week[2], "dislike", DAY), *liked("techno", range(8), DAY))
    muted = index.rows_of([week[3]])
    made = lists(later, index, week, muted)[DISCOVER]
    assert ids(made) == [week[0], *week[4:]], "and in its order"
    by_heard_artist = {track for track in week if int(track[-2:]) % ARTISTS == int(week[1][-2:]) % ARTISTS}
    reasons = {item.track_id: item.reason for item in made.items if not item.because}
    assert all((reasons[track] == "You have not heard it yet") == (track in by_heard_artist) for track in reasons)
    new = discovered(later, index, muted)
    assert not set(new) & {week[1], week[2], week[3]} and {track[:-2] for track in new} == {"folk", "techno"}


@pytest.mark.parametrize("adventure", [0.0, 0.3, 1.0])
def test_the_slider_brings_nothing_that_was_heard_into_discover(index: CachedIndex, adventure: float) -> None:
    profile = replace(listener(*liked("folk", range(6))), adventure=adventure)
    later = after(profile, ("jazz00", "skip", 10 * DAY))
    week = discovered(later, index)
    assert len(week) >= FEWEST_TRACKS and not set(week) & set(later.heard.ids)
    made = lists(later, index, week)
    assert ids(made[DISCOVER]) == week
    assert not set(ids(made["mix-1"])) & set(later.heard.ids), "what was heard rests for four weeks"


def test_who_likes_nothing_has_nothing_to_discover_and_no_mix(index: CachedIndex) -> None:
    assert lists(Profile("ana"), index) == {}
    assert lists(listener(("folk00", "skip", 0)), index) == {}


def test_a_list_of_fewer_than_five_tracks_is_none(index: CachedIndex) -> None:
    profile = listener(*liked("folk", range(FEWEST_TRACKS - 1)))
    week = discovered(profile, index)
    assert DISCOVER in lists(profile, index, week[:FEWEST_TRACKS])
    assert DISCOVER not in lists(profile, index, week[: FEWEST_TRACKS - 1])
    all_but_four = np.setdiff1d(index.present, index.rows_of(["folk10", "folk11", "folk12", "folk13"]))
    assert lists(profile, index, muted=all_but_four) == {}
    month_later = after(profile, ("jazz00", "skip", 40 * DAY))
    assert REDISCOVER not in lists(month_later, index)
    assert REDISCOVER in lists(after(profile, *liked("folk", [9]), ("jazz00", "skip", 40 * DAY)), index)


def test_rediscover_has_liked_tracks_that_have_rested_the_longest_unheard_first(index: CachedIndex) -> None:
    profile = listener(
        *[event for at in range(8) for event in liked("folk", [at], (8 - at) * DAY)],
        ("folk20", "complete", 0),
        ("folk00", "complete", 9 * DAY),
        ("folk01", "unlike", 9 * DAY),
        ("folk02", "dislike", 9 * DAY),
        ("jazz01", "like", 2.5 * DAY),
        ("jazz02", "like", 36 * DAY),
        ("techno00", "skip", 37 * DAY),
    )
    muted = index.rows_of(["folk07"])
    made = lists(profile, index, muted=muted)[REDISCOVER]
    assert ids(made) == ["folk06", "jazz01", "folk05", "folk04", "folk03", "folk00"], "jazz was liked without a hearing"
    assert [item.rank for item in made.items] == [1, 2, 3, 4, 5, 6]
    assert made.items[0].reason == "Not heard for 5 weeks" and made.items[-1].reason == "Not heard for 4 weeks"
    assert made.items[0].score > 0 and made.items[0].percentile is None
    assert (made.title, made.reason) == ("Rediscover", "You liked them. Not heard for 4 weeks or longer.")


def test_a_recording_counts_once_in_each_list() -> None:
    twice = CachedIndex(library({"folk50": "folk01", "folk51": "folk10", "folk52": "folk30"}))
    profile = listener(*liked("folk", range(6)), *liked("folk", [50], 1), ("techno00", "skip", 40 * DAY))
    made = lists(profile, twice)
    for named in made.values():
        for track_id, other in (("folk50", "folk01"), ("folk51", "folk10"), ("folk52", "folk30")):
            assert len({track_id, other} & set(ids(named))) <= 1
    assert len(ids(made[REDISCOVER])) == 6
    assert not {"folk50", "folk01"} & set(ids(made[DISCOVER]))


def test_lists_do_not_depend_on_those_made_with_them(index: CachedIndex) -> None:
    profiles = [listener(*liked(kind, range(3 + number))) for number, kind in enumerate(KINDS)]
    vectors = [user_vector(profile, index, TASTE) for profile in profiles]
    requests = [MixRequest(*pair, NOTHING) for pair in zip(profiles, vectors, strict=True)]
    together = named_lists(requests, index, 30, TASTE)
    assert together == [named_lists([request], index, 30, TASTE)[0] for request in requests]
    assert named_lists([], index, 30, TASTE) == [] and discoveries([], index, 30, TASTE) == []


@pytest.mark.parametrize(
    ("when", "week"),
    [
        (NOON, "2026-W48"),
        (NOON - timedelta(hours=13), "2026-W47"),
        (datetime(2027, 1, 3, 23, 59, tzinfo=UTC), "2026-W53"),
        (datetime(2027, 1, 4, tzinfo=UTC), "2027-W01"),
    ],
)
def test_weeks_begin_on_monday(when: datetime, week: str) -> None:
    assert week_of(when.timestamp()) == week
