"""Lists for made listeners over a made library: four kinds of music, far apart."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from batch.index.building import build_index, with_local_scales
from batch.index.lsh import Index
from batch.index.projection import Projection
from batch.index.updates import append
from conf.settings import Taste
from streaming.events import Event
from streaming.profile.profile import Profile
from streaming.ranking.mmr import ARTIST_CAP_WINDOW_ITEMS
from streaming.ranking.neighbour_cache import CachedIndex, similarity
from streaming.ranking.ranker import Item, ListRequest, ranked_list, ranked_lists
from streaming.ranking.user_vector import user_vector

TASTE = Taste(
    play=0.2,
    complete=0.8,
    like=1.0,
    skip=-0.6,
    dislike=-1.0,
    more=0.9,
    less=-0.9,
    skip_rate_prior=20.0,
    skip_factor_most=2.0,
    remembered_tracks=300,
    half_life_days=30.0,
    session_half_life_minutes=30.0,
    session_share=0.5,
    attention_tracks=5.0,
    impatience=0.5,
    centres=5,
    centre_reach=0.75,
    rejection=0.7,
    diversity=0.0,
    artist_cap=2,
    heard_again_after_hours=24.0,
    session_gap_minutes=60.0,
    shown_patience=4.0,
    shown_half_life_days=5.0,
    exploration=0,
)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
KINDS = ("folk", "jazz", "metal", "techno")
D = 4


def library(each: int = 40, artists: int = 20, unit: float = 1.0) -> Index:
    """Tracks folk00, folk01, …, each kind around a corner of its own.  unit : in which distances are measured"""
    rng = np.random.default_rng(9)
    ids = [f"{kind}{at:02d}" for kind in KINDS for at in range(each)]
    corners = np.repeat(10 * np.eye(D), each, axis=0)
    names: list[str | None] = [f"{kind} artist {at % artists}" for kind in KINDS for at in range(each)]
    space = Projection(
        mean=np.zeros(D, dtype=np.float32),
        deviation=np.ones(D, dtype=np.float32),
        components=np.eye(D, dtype=np.float32),
        directions=rng.normal(0, 0.5, (8, 2, D)).astype(np.float32),
        offsets=(unit * rng.uniform(0, 3, (8, 2))).astype(np.float32),
        bucket_length=3.0 * unit,
    )
    return with_local_scales(build_index(ids, unit * (corners + rng.normal(0, 0.5, corners.shape)), names, space))


@pytest.fixture(scope="module")
def whole() -> Index:
    return library()


def listener(*did: tuple[str, str, float]) -> Profile:
    """A profile of (track, action, minutes after noon)."""
    profile = Profile("ana", generation=1)
    for offset, (track, action, minutes) in enumerate(did):
        event = Event("ana", track, action, NOON + timedelta(minutes=minutes), f"e{offset}", 0, 100)
        profile = profile.after(event, f"The {track}", "source", offset, TASTE)
    return profile


def listed(
    profile: Profile, whole: Index, most: int = 20, taste: Taste = TASTE, opening: list[str] | None = None
) -> list[Item]:
    return ranked_list(profile, CachedIndex(whole), opening or [], most, taste)


def kinds(found: list[Item]) -> list[str]:
    return [item.track_id[:-2] for item in found]


def test_who_likes_folk_hears_folk(whole: Index) -> None:
    found = listed(listener(("folk00", "like", 0)), whole)
    assert set(kinds(found)) == {"folk"}
    assert [item.rank for item in found] == list(range(1, 21))
    assert found[0].score > 0


@pytest.mark.parametrize(
    "actions",
    [("like", "unlike"), ("dislike", "unlike"), ("more", "neutral"), ("less", "neutral"), ("less", "more", "neutral")],
)
def test_what_is_taken_back_brings_back_the_list(actions: tuple[str, ...], whole: Index) -> None:
    """Of the track that stood first: where it was and why, as if nothing had been said."""
    heard = [("folk00", "like", 0), ("jazz00", "play", 1)]
    before = listed(listener(*heard), whole)
    track_id = before[0].track_id
    reactions = [(track_id, action, 2 + number / 10) for number, action in enumerate(actions)]
    after = listed(listener(*heard, *reactions), whole)
    assert [item.track_id for item in after] == [item.track_id for item in before]
    assert listed(listener(*heard, reactions[0]), whole) != before, "what was said had changed the list"


def test_likes_beat_plays_and_plays_beat_skips(whole: Index) -> None:
    found = listed(listener(("jazz00", "skip", 0), ("folk00", "play", 1), ("metal00", "like", 2)), whole, most=10)
    assert set(kinds(found)) == {"metal", "folk"} and kinds(found).count("metal") > kinds(found).count("folk")
    played, liked = (listed(listener(("folk00", action, 0)), whole)[0].score for action in ("play", "like"))
    assert liked > played > 0


def test_what_is_like_a_skipped_track_goes_down(whole: Index) -> None:
    opening = [f"jazz{at:02d}" for at in range(1, 9)] + [f"techno{at:02d}" for at in range(8)]
    found = listed(listener(("jazz00", "skip", 0)), whole, most=8, opening=opening)
    assert set(kinds(found)) == {"techno"}


def test_two_interests_both_have_a_place(whole: Index) -> None:
    found = listed(listener(("folk00", "like", 0), ("techno00", "like", 1)), whole, most=10)
    assert set(kinds(found)) == {"folk", "techno"}


def test_nothing_heard_within_its_rest_is_listed_but_what_was_only_liked_is(whole: Index) -> None:
    heard = [(f"folk{at:02d}", action, at) for at, action in enumerate(["like", "play", "complete", "skip", "dislike"])]
    found = listed(listener(*heard), whole, most=100)
    assert {item.track_id for item in found} & {track for track, _, _ in heard} == {"folk00"}


def test_what_was_heard_the_day_before_may_come_again_but_not_what_is_disliked(whole: Index) -> None:
    day = 25 * 60
    profile = listener(("folk01", "complete", 0), ("folk02", "dislike", 0), ("folk03", "complete", day))
    found = listed(profile, whole, most=160)
    names = [item.track_id for item in found]
    assert "folk02" not in names
    at = names.index("folk01")
    assert found[at].reason == "Not heard for 1 day" and found[at].because == []
    assert at >= 39 - 2 and kinds(found)[:30].count("folk") >= 27, "what was not heard comes first"


def test_an_artist_has_at_most_two_of_any_ten() -> None:
    few = library(artists=8)
    found = listed(listener(("folk00", "like", 0)), few, most=24)
    artists = [int(few.artists[few.rows_of([item.track_id])[0]]) for item in found]
    for start in range(len(artists) - ARTIST_CAP_WINDOW_ITEMS + 1):
        run = artists[start : start + ARTIST_CAP_WINDOW_ITEMS]
        assert max(run.count(artist) for artist in run) <= 2


def test_the_cap_gives_way_where_there_is_one_artist_only() -> None:
    assert len(listed(listener(("folk00", "like", 0)), library(each=10, artists=1), most=20)) == 20


def test_a_list_is_full_while_the_library_has_tracks(whole: Index) -> None:
    assert len(listed(listener(("folk00", "skip", 0)), whole, most=100)) == 100
    assert len(listed(Profile("new"), whole, most=10)) == 10
    assert len(listed(listener(("unknown", "like", 0)), whole, most=10)) == 10


def test_no_track_is_listed_twice(whole: Index) -> None:
    curious = TASTE.model_copy(update={"exploration": 4})
    found = listed(listener(("folk00", "like", 0)), whole, 30, curious, opening=["folk01", "jazz01", "nothing"])
    assert len({item.track_id for item in found}) == len(found) == 30


def test_a_list_is_never_empty_even_where_all_was_heard_lately() -> None:
    small = library(each=2)
    found = listed(listener(*[(str(track), "play", at) for at, track in enumerate(small.ids)]), small)
    assert {item.track_id for item in found} == set(small.ids[:-1].tolist()), "all but the one that was heard last"
    assert found[0].track_id == small.ids[0], "the one heard longest ago"
    assert {item.reason for item in found} == {"Heard lately; little else is left"}
    lonely = listed(listener(("folk00", "play", 0)), library(each=1).subset(np.array([0])))
    assert [item.track_id for item in lonely] == ["folk00"], "there is no other"


def test_each_place_has_its_reason(whole: Index) -> None:
    liked = listed(listener(("folk00", "like", 0)), whole)[0]
    assert (liked.reason, liked.because) == ("Because you liked “The folk00”", ["folk00"])
    both = listed(listener(("folk00", "complete", 0), ("folk01", "complete", 1)), whole)
    played = next(item for item in both if len(item.because) == 2)
    first, second = played.because
    assert played.reason == f"Because you played “The {first}”, also similar to “The {second}”"
    assert listed(Profile("new"), whole)[0].reason == "A way into your library"
    assert listed(Profile("new"), whole)[0].because == []


def test_a_few_places_explore_and_a_replay_draws_the_same(whole: Index) -> None:
    curious = TASTE.model_copy(update={"exploration": 2})
    profile = listener(("folk00", "like", 0))
    found = listed(profile, whole, 30, curious)
    explored = [item for item in found if item.explore]
    assert len(explored) == 2 and {item.reason for item in explored} == {"Something different"}
    assert "folk" not in kinds(explored)
    assert found == listed(profile, whole, 30, curious)


def test_interests_are_groups_of_tracks_weightiest_first(whole: Index) -> None:
    profile = listener(("folk00", "like", 0), ("folk01", "like", 1), ("techno00", "like", 2), ("jazz00", "skip", 3))
    shown = user_vector(profile, CachedIndex(whole), TASTE).profile_fields(profile)
    assert [sorted(centre["tracks"]) for centre in shown["centres"]] == [["folk00", "folk01"], ["techno00"]]
    assert shown["centres"][0]["weight"] > shown["centres"][1]["weight"]
    assert sum(centre["weight"] for centre in shown["centres"]) == pytest.approx(1, abs=1e-3)
    assert shown["rejected"] == ["jazz00"] and shown["disliked"] == []
    assert shown["heard"] == ["jazz00"], "a like is no hearing"


def test_there_are_no_more_interests_than_set(whole: Index) -> None:
    profile = listener(*[(f"{kind}00", "like", at) for at, kind in enumerate(KINDS)])
    few = TASTE.model_copy(update={"centres": 2})
    assert len(user_vector(profile, CachedIndex(whole), TASTE).interests) == 4
    assert len(user_vector(profile, CachedIndex(whole), few).interests) == 2


def test_what_is_loved_yields_to_a_row_of_skips_and_comes_back_the_next_day(whole: Index) -> None:
    loved = [(f"folk{at:02d}", "complete", at) for at in range(8)]
    skipped = [(f"folk{at:02d}", "skip", at) for at in range(8, 18)]
    assert set(kinds(listed(listener(*loved), whole, most=10))) == {"folk"}
    assert set(kinds(listed(listener(*loved, *skipped), whole, most=10))) != {"folk"}
    next_day = ("techno00", "skip", 24 * 60)
    assert kinds(listed(listener(*loved, *skipped, next_day), whole, most=10)).count("folk") >= 5


def test_more_of_it_pulls_and_less_of_it_pushes(whole: Index) -> None:
    assert set(kinds(listed(listener(("metal03", "more", 0)), whole, most=10))) == {"metal"}
    assert listed(listener(("metal03", "more", 0)), whole)[0].reason == "Because you want more of “The metal03”"
    opening = [f"jazz{at:02d}" for at in range(1, 9)] + [f"techno{at:02d}" for at in range(8)]
    assert set(kinds(listed(listener(("jazz00", "less", 0)), whole, most=8, opening=opening))) == {"techno"}


def test_what_is_muted_is_in_no_list_even_where_nothing_else_is_left(whole: Index) -> None:
    profile = listener(("folk00", "like", 0))
    muted = np.flatnonzero([str(track).startswith("folk") for track in whole.ids])
    found = ranked_list(profile, CachedIndex(whole), ["folk05"], 100, TASTE, muted)
    assert len(found) == 100 and "folk" not in kinds(found)
    assert ranked_list(profile, CachedIndex(whole), [], 100, TASTE, np.arange(len(whole))) == []


def test_a_diverse_list_is_less_alike_and_begins_with_the_best(whole: Index) -> None:
    catalogue = CachedIndex(whole)
    profile = listener(("folk00", "like", 0), ("folk00", "complete", 0), ("jazz00", "complete", 1))

    def alike(found: list[Item]) -> float:
        rows = whole.rows_of([item.track_id for item in found])
        return float(np.triu(similarity(catalogue.points(rows), catalogue.points(rows)), 1).sum())

    plain, varied = (
        ranked_list(profile, catalogue, [], 10, TASTE.model_copy(update={"diversity": diversity}))
        for diversity in (0.0, 0.5)
    )
    assert alike(varied) < alike(plain)
    assert any(item.parts["diversity"] < 0 for item in varied) and all(item.parts["diversity"] == 0 for item in plain)


def test_adventure_sets_how_much_is_explored(whole: Index) -> None:
    curious = TASTE.model_copy(update={"exploration": 2})
    profile = listener(("folk00", "like", 0))
    explored = []
    for at, target in enumerate(("0.00", "0.50", "1.00")):
        steering = Event("ana", None, "adventure", NOON, f"a{at}", target=target)
        explored.append(
            sum(item.explore for item in listed(profile.after(steering, "", "s", at, TASTE), whole, 30, curious))
        )
    assert explored == [0, 2, 4]


def test_a_small_library_is_explored_too() -> None:
    small = library(each=8, artists=8)
    found = listed(listener(("folk00", "like", 0)), small, 12, TASTE.model_copy(update={"exploration": 2}))
    explored = [item for item in found if item.explore]
    assert explored and "folk" not in kinds(explored)


def test_parts_add_up_to_the_score_and_the_nearest_stand_above_all_others(whole: Index) -> None:
    curious = TASTE.model_copy(update={"exploration": 2, "diversity": 0.3})
    found = listed(listener(("folk00", "like", 0), ("jazz00", "skip", 1)), whole, 30, curious)
    assert any(item.explore for item in found)
    for item in found:
        assert item.score == pytest.approx(item.parts["similarity"] + item.parts["rejection"], abs=1e-5)
        is_compared = not item.explore and item.track_id != "folk00"
        assert not is_compared or (item.percentile is not None and 0 <= item.percentile <= 100)
    assert found[0].percentile is not None and found[0].percentile > 90
    assert listed(Profile("new"), whole)[0].percentile is None
    assert "percentile" not in listed(Profile("new"), whole)[0].document()


def test_the_same_events_give_the_same_list_in_however_many_batches(whole: Index) -> None:
    curious = TASTE.model_copy(update={"exploration": 2, "diversity": 0.3})
    profile = listener(("folk00", "like", 0), ("jazz00", "skip", 1))
    later = Profile(**{**vars(profile), "generation": 9})
    assert listed(profile, whole, 30, curious) == listed(later, whole, 30, curious)


def test_many_lists_at_once_are_those_of_each_listener_alone(whole: Index) -> None:
    curious = TASTE.model_copy(update={"exploration": 2, "diversity": 0.3})
    actions = ("like", "skip", "complete", "dislike", "play")
    draw = np.random.default_rng(5)
    profiles = [Profile("new")]
    for at in range(69):
        heard = [
            (str(track), str(draw.choice(actions)), when) for when, track in enumerate(draw.choice(whole.ids, at % 23))
        ]
        profiles.append(Profile(**{**vars(listener(*heard)), "user_id": f"listener-{at}"}))
    catalogue, nothing = CachedIndex(whole), np.empty(0, dtype=np.int64)
    requests = [ListRequest(profile, user_vector(profile, catalogue, curious), nothing) for profile in profiles]
    together = ranked_lists(requests, catalogue, ["folk05", "jazz07"], 30, curious)
    assert together == [ranked_list(profile, catalogue, ["folk05", "jazz07"], 30, curious) for profile in profiles]
    assert together[::-1] == ranked_lists(requests[::-1], catalogue, ["folk05", "jazz07"], 30, curious)
    assert len({tuple(item.track_id for item in found) for found in together}) > 40, "they are not all the same"


def test_tracks_that_the_index_lacks_lie_between_what_was_heard_all_the_same(whole: Index) -> None:
    loved = [(f"folk{at:02d}", "complete", at) for at in range(8)]
    since = [(f"elsewhere{at:02d}", "play", 20 + at) for at in range(30)]
    skipped = [(f"folk{at:02d}", "skip", 60 + at) for at in range(8, 12)]
    long_ago, just_now = (
        user_vector(listener(*heard), CachedIndex(whole), TASTE)
        for heard in ([*loved, *since, *skipped], [*loved, *skipped])
    )
    assert long_ago.weights.sum() < 0.5 * just_now.weights.sum(), "what is long ago yields sooner"


def test_tracks_that_were_removed_from_the_index_are_in_no_list() -> None:
    from dataclasses import replace

    whole = library()
    without = replace(whole, tombstoned_rows=np.arange(2, 30))
    found = listed(listener(("folk00", "like", 0)), without, 160)
    removed_ids = {str(whole.ids[row]) for row in range(2, 30)}
    assert found and not removed_ids & {item.track_id for item in found}


ROOMY = TASTE.model_copy(update={"heard_again_after_hours": 672.0, "exploration": 2, "diversity": 0.25})
DAY_MIN = 24 * 60


def simulated(
    whole: Index, loved: set[str], plays: int, first: list[tuple[str, str, float]], taste: Taste = ROOMY
) -> list[Item]:
    """What a simulated listener hears who only ever takes the first place, 40 tracks a day; kinds that are not loved are
    skipped."""
    index, profile = CachedIndex(whole), listener(*first)
    heard = []
    for play in range(plays):
        item = ranked_list(profile, index, [], 30, taste)[0]
        heard.append(item)
        minutes = DAY_MIN * (1 + play // 40) + 4 * (play % 40)
        for part, action in enumerate(("play", "complete" if item.track_id[:-2] in loved else "skip")):
            event = Event(
                "ana", item.track_id, action, NOON + timedelta(minutes=minutes + part), f"s{play}-{action}", 9, 100
            )
            profile = profile.after(event, item.track_id, "simulated", 2 * play + part, taste)
    return heard


def test_who_takes_the_first_place_for_weeks_hears_all_loved_kinds_alike_and_nothing_twice() -> None:
    big = library(each=100)
    first = [("folk00", "complete", 0), ("jazz00", "complete", 4), ("metal00", "complete", 8)]
    heard = simulated(big, {"folk", "jazz", "metal"}, 160, first)
    assert len({item.track_id for item in heard}) == 160
    liked = [kind for kind in kinds(heard) if kind != "techno"]
    assert len(liked) >= 0.9 * len(heard)
    for kind in ("folk", "jazz", "metal"):
        assert liked.count(kind) / len(liked) == pytest.approx(1 / 3, abs=0.1)
    assert sum(item.explore for item in heard) >= 0.05 * len(heard)


def test_an_artist_rests_between_first_places() -> None:
    heard = simulated(library(each=100), {"folk"}, 60, [("folk00", "like", 0)])
    artists = [
        int(item.track_id[-2:]) % 20 if item.track_id.startswith("folk") else -position
        for position, item in enumerate(heard)
    ]
    for start in range(len(artists) - 9):
        run = artists[start : start + 10]
        assert max(run.count(artist) for artist in run) <= 2


@pytest.mark.parametrize("old", [0, 40, 300])
def test_a_newly_loved_kind_has_its_due_places_after_one_evening_track(old: int) -> None:
    big = library(each=400)
    olds = [(f"folk{at:02d}", action, 5 * at) for at in range(old) for action in ("complete", "like")]
    later = 5 * old + 600
    found = listed(listener(*olds, ("techno00", "complete", later), ("techno00", "like", later)), big, 30, ROOMY)
    assert sum(kind.startswith("techno") for kind in kinds(found)) >= 10 * (28 / 30) - 1


def test_the_larger_of_two_interests_leaves_the_smaller_its_share(whole: Index) -> None:
    liked = [(f"folk{at:02d}", "like", at) for at in range(20)] + [
        (f"metal{at:02d}", "like", 20 + at) for at in range(8)
    ]
    visit = Event("ana", None, "visit", NOON + timedelta(days=1), "v")
    profile = listener(*liked).after(visit, "", "s", 0, TASTE)
    found = listed(profile, library(each=60), 28)
    assert kinds(found).count("metal") == pytest.approx(8, abs=1) and kinds(found).count("folk") == pytest.approx(
        20, abs=1
    )
    for item in found:
        assert {track[:-2] for track in item.because} <= {item.track_id[:-2]}, "each names its own tracks"


@pytest.mark.parametrize(("earlier", "later"), [(40, 40), (40, 20)])
def test_of_more_liked_tracks_than_a_list_looks_at_the_later_ones_have_no_more_than_their_share(
    earlier: int, later: int
) -> None:
    liked = [(f"folk{at:02d}", "like", at) for at in range(earlier)]
    liked += [(f"metal{at:02d}", "like", earlier + at) for at in range(later)]
    visit = Event("ana", None, "visit", NOON + timedelta(days=1), "v")
    found = listed(listener(*liked).after(visit, "", "s", 0, TASTE), library(each=100), 30)
    assert kinds(found).count("metal") == pytest.approx(30 * later / (earlier + later), abs=1)


def test_a_third_belongs_to_what_was_liked_in_the_latest_session() -> None:
    liked = [(f"folk{at:02d}", "like", at) for at in range(30)] + [("jazz00", "like", DAY_MIN)]
    found = listed(listener(*liked), library(each=60), 30)
    assert kinds(found).count("jazz") == pytest.approx(10 + 1, abs=1)


def test_what_is_liked_now_has_a_third_also_between_many_heavier_and_many_lighter_tracks() -> None:
    lighter = [(f"folk{at:02d}", "like", at) for at in range(40)]
    heavier = [(f"metal{at:02d}", did, 40 * DAY_MIN + at) for at in range(40) for did in ("complete", "like")]
    profile = listener(*lighter, *heavier, ("jazz00", "like", 41 * DAY_MIN))
    assert kinds(listed(profile, library(each=100), 30)).count("jazz") == pytest.approx(10, abs=1)


def test_a_dislike_is_remembered_after_a_thousand_tracks() -> None:
    big = library(each=400)
    since = [(f"folk{at:02d}", "complete", at + 1) for at in range(50, 390)]
    visit = Event("ana", None, "visit", NOON + timedelta(days=400), "v")
    profile = listener(("folk00", "dislike", 0), *since).after(visit, "", "s", 0, TASTE)
    assert "folk00" not in {item.track_id for item in listed(profile, big, 500)}


def test_a_disliked_track_is_no_reason_and_pushes_its_kind_away(whole: Index) -> None:
    heard = [(f"folk{at:02d}", "complete", at) for at in range(6)] + [
        (f"jazz{at:02d}", "like", 20 + at) for at in range(6)
    ]
    disliked = [(f"folk{at:02d}", "dislike", 40 + at) for at in range(6)]
    found = listed(listener(*heard, *disliked), whole, 30)
    assert "folk" not in kinds(found[:10])
    assert not {track for item in found for track in item.because if track.startswith("folk")}


def test_one_play_and_one_skip_of_a_kind_do_not_bring_what_is_least_alike_as_because(whole: Index) -> None:
    opening = [f"{kind}{at:02d}" for at in range(10, 14) for kind in KINDS]
    found = listed(listener(("folk00", "play", 0), ("folk01", "skip", 1)), whole, 30, opening=opening)
    for item in found:
        if item.because:
            assert item.score > 0 and item.percentile is not None and item.percentile >= 90
        else:
            assert not item.reason.startswith("Because")
    assert [item.reason for item in found].count("A way into your library") >= 10, "what new listeners get"


def test_reasons_are_given_only_to_the_nearest_tenth_and_above_nothing(whole: Index) -> None:
    found = listed(listener(("folk00", "like", 0), ("jazz03", "complete", 1), ("folk04", "skip", 3)), whole, 100)
    assert {bool(item.because) for item in found} == {True, False}
    for item in found:
        if item.because:
            assert item.score > 0 and item.percentile is not None and item.percentile >= 90
    assert "A little further from what you like" in {item.reason for item in found}


def test_what_was_added_and_is_near_to_nothing_is_new_in_the_library(whole: Index, tmp_path: Path) -> None:
    whole.save(tmp_path)
    corners = (10 * np.eye(D) + 0.1).astype(np.float32)
    append(tmp_path, [f"{kind}99" for kind in KINDS], corners, ["new artist"] * D)
    index = Index.open(tmp_path)
    reasons = {item.track_id: item.reason for item in listed(listener(("folk00", "like", 0)), index, 200)}
    assert reasons["jazz99"] == reasons["techno99"] == "New in your library"
    assert reasons["folk99"].startswith("Because"), "what is near says so"
    assert "New in your library" not in {reason for track, reason in reasons.items() if not track.endswith("99")}


def test_what_counts_as_near_follows_from_the_librarys_own_distances(whole: Index) -> None:
    """Features in another unit give the same lists with the same reasons."""
    profile = listener(("folk00", "like", 0), ("jazz03", "complete", 1), ("folk04", "skip", 3))
    lists = [
        [(item.track_id, item.reason, item.because, item.percentile) for item in listed(profile, index, 60, ROOMY)]
        for index in (whole, library(unit=1024.0))
    ]
    assert lists[0] == lists[1]


def test_what_has_rested_comes_back_the_longest_unheard_first_and_after_all_that_is_as_near() -> None:
    days = {f"folk{at:02d}": 7 * at % 36 for at in range(36)}
    heard = [(track_id, "complete", DAY_MIN * day) for track_id, day in sorted(days.items(), key=lambda each: each[1])]
    profile = listener(*heard, ("techno00", "skip", 80 * DAY_MIN))
    plain = ROOMY.model_copy(update={"exploration": 0, "diversity": 0.0})
    found = listed(profile, library(artists=40), 40, plain)
    near = [item for item in found if (item.percentile or 0) >= 90]
    unheard = [item.track_id for item in near if item.track_id not in days]
    rested = [days[item.track_id] for item in near if item.track_id in days]
    assert unheard and [item.track_id for item in near[: len(unheard)]] == unheard, "what was never heard comes first"
    assert len(rested) > 5 and rested == sorted(rested)


def test_a_tracks_pull_on_itself_does_not_count(whole: Index) -> None:
    profile = listener(("folk00", "like", 0), ("folk01", "like", 1), ("folk02", "like", 2))
    found = {item.track_id: item for item in listed(profile, whole, 160)}
    for track_id in ("folk00", "folk01", "folk02"):
        assert track_id in found, "a like is no hearing"
        assert track_id not in found[track_id].because
    alone = {item.track_id: item for item in listed(listener(("folk00", "like", 0)), whole, 160)}["folk00"]
    assert alone.score == 0 and alone.because == []


def test_two_tracks_of_one_recording_are_one(whole: Index) -> None:
    from dataclasses import replace

    codes = np.arange(len(whole), dtype=np.int32)
    codes[1] = codes[2] = 0  # folk00, folk01, folk02
    twins = replace(whole, recordings=codes)
    found = {item.track_id for item in listed(listener(("folk00", "complete", 0)), twins, 100)}
    assert not found & {"folk00", "folk01", "folk02"}, "heard once is heard"
    found = {item.track_id for item in listed(listener(("folk05", "like", 0)), twins, 160)}
    assert len(found & {"folk00", "folk01", "folk02"}) == 1, "at most once in a list"
    assert not {item.track_id for item in listed(listener(("folk01", "dislike", 0)), twins, 160)} & {
        "folk00",
        "folk01",
        "folk02",
    }
    alone, both = (
        user_vector(listener(("folk00", "skip", 0), *more), CachedIndex(twins), TASTE)
        for more in ([], [("folk01", "skip", 1)])
    )
    assert both.rejected_weights[0] > 1.5 * alone.rejected_weights[0] and len(both.rejected_ids) == 1


def test_a_disliked_recording_does_not_come_back_as_a_familiar_one_by_its_other_track(whole: Index) -> None:
    codes = np.arange(len(whole), dtype=np.int32)
    codes[1] = codes[0]  # folk00 and folk01 are one
    did = [("folk01", "dislike", 0), ("folk00", "complete", 1), ("folk00", "like", 2), ("folk00", "more", 3)]
    loved = [(f"folk{at:02d}", action, at) for at in range(2, 6) for action in ("complete", "like")]
    profile = listener(*did, *loved, ("jazz00", "play", 40 * DAY_MIN))
    found = listed(steered(profile, "0", minutes=40 * DAY_MIN), replace(whole, recordings=codes), 30, ROOMY)
    assert {"folk02", "folk03"} <= {item.track_id for item in found}
    assert not {"folk00", "folk01"} & {item.track_id for item in found}


def test_where_the_track_heard_last_is_not_in_the_index_no_other_is_taken_for_it(whole: Index) -> None:
    codes = np.arange(len(whole), dtype=np.int32)
    with_recordings = replace(whole, recordings=codes)
    last_row = str(whole.ids[-1])
    near = ("techno00", "like", 0)
    for profile in (listener(near), listener(near, ("of another library", "play", 1))):
        assert last_row in {item.track_id for item in listed(profile, with_recordings, 160)}


def test_what_was_shown_often_and_not_taken_sinks_and_rises_again(whole: Index) -> None:
    """On ten days in a row, each time in many lists."""
    profile = listener(("folk00", "like", 0))
    first = listed(profile, whole, 30)[0].track_id
    ranks = []
    for day in range(10):
        for number in range(12):
            when = NOON + timedelta(days=day, minutes=number)
            shown = Event("ana", None, "shown", when, f"shown{day}-{number}", tracks=(first,))
            profile = profile.after(shown, "", "s", 12 * day + number, TASTE)
        ranks.append({item.track_id: item.rank for item in listed(profile, whole, 39)}[first])
    assert ranks[0] <= 3, "one evening's lists count once"
    assert ranks[-1] > 3 and ranks == sorted(ranks)
    later = profile.after(Event("ana", None, "visit", NOON + timedelta(days=40), "v"), "", "s", 999, TASTE)
    assert {item.track_id: item.rank for item in listed(later, whole, 39)}[first] <= 3


def test_a_visit_renews_the_list_as_of_its_time(whole: Index) -> None:
    evening = listener(("folk00", "complete", 0), ("folk01", "skip", 5), ("folk02", "skip", 6))
    morning = evening.after(Event("ana", None, "visit", NOON + timedelta(hours=14), "v"), "", "s", 0, TASTE)
    assert [item.score for item in listed(evening, whole)] != [item.score for item in listed(morning, whole)]
    assert set(kinds(listed(morning, whole, 10))) == {"folk"}, "last night's skips have faded"


def steered(profile: Profile, target: str, action: str = "adventure", minutes: float = 0) -> Profile:
    event = Event("ana", None, action, NOON + timedelta(minutes=minutes), f"{action}{target}", target=target)
    return profile.after(event, "", "steer", 1 + profile.offsets.get("steer", -1), TASTE)


def test_the_slider_acts_on_the_first_place_too() -> None:
    big = library(each=100)
    loved = [(f"folk{at:02d}", action, at) for at in range(5) for action in ("complete", "like")]
    visit = Event("ana", None, "visit", NOON + timedelta(days=10), "v")
    profile = listener(*loved).after(visit, "", "s", 0, ROOMY)
    familiar, neutral, adventurous = (listed(steered(profile, value), big, 30, ROOMY) for value in ("0", "0.5", "1"))
    again = [item for item in familiar if item.track_id in {f"folk{at:02d}" for at in range(5)}]
    assert {item.track_id for item in again} == {"folk00", "folk01", "folk02", "folk03"}, "never the one heard last"
    assert {item.reason for item in again} == {"Not heard for 10 days"}
    assert not {item.track_id for item in neutral} & {item.track_id for item in again}
    assert adventurous[0].parts["similarity"] < neutral[0].parts["similarity"]
    assert sum(item.explore for item in adventurous) > sum(item.explore for item in neutral) > 0


def test_exploration_keeps_away_from_what_was_rejected() -> None:
    big = library(each=100)
    rejected = [(f"{kind}{at:02d}", "dislike", at) for at in range(8) for kind in ("jazz", "metal")]
    explored = [
        item
        for plays in range(6)
        for item in listed(
            listener(*rejected, *[(f"folk{at:02d}", "complete", 60 + at) for at in range(15 * plays + 1)]),
            big,
            30,
            ROOMY,
        )
        if item.explore
    ]
    assert "techno" in kinds(explored) and not set(kinds(explored)) & {"jazz", "metal"}
    assert all(item.score == pytest.approx(sum(item.parts.values()), abs=1e-5) for item in explored)


def test_a_skip_moves_what_is_like_it_and_leaves_the_rest(whole: Index) -> None:
    liked = [(f"{kind}{at:02d}", "complete", at) for at in range(5) for kind in ("folk", "metal")]
    before = listed(listener(*liked), library(each=60), 30, ROOMY)
    after = listed(listener(*liked, ("folk20", "play", 30), ("folk20", "skip", 31)), library(each=60), 30, ROOMY)
    metal_before, metal_after = (
        {item.track_id for item in found if item.track_id.startswith("metal")} for found in (before, after)
    )
    assert len(metal_before & metal_after) >= 0.6 * len(metal_before)


def with_words(whole: Index, **words: dict[str, int]) -> Index:
    """The library with words.  words : percentiles by word, by the beginning of the ids that they are of"""
    names = sorted({name for each in words.values() for name in each})
    tags = np.zeros((len(whole), len(names)), dtype=np.uint8)
    for beginning, percentiles in words.items():
        for row in np.flatnonzero(np.char.startswith(whole.ids, beginning)):
            tags[row] = np.maximum(tags[row], [percentiles.get(name, 0) for name in names])
    return replace(whole, tags=tags, tag_names=np.array(names))


def test_a_reason_names_words_that_both_tracks_have(whole: Index) -> None:
    profile = listener(("folk00", "like", 0))
    index = with_words(
        whole,
        folk00={"mellow": 97, "acoustic": 95, "sad": 99, "guitar": 99},
        folk1={"mellow": 93, "acoustic": 91, "sad": 89, "rock": 99},
        folk2={"guitar": 96, "mellow": 89},
    )
    because = "Because you liked “The folk00”"
    near = [(item.track_id[:5], item.reason) for item in listed(profile, index) if item.because]
    assert set(near) == {
        ("folk0", because),
        ("folk1", f"{because}: both mellow and acoustic"),
        ("folk2", f"{because}: both with guitar"),
        ("folk3", because),
    }


def test_of_two_named_tracks_a_reason_says_what_all_three_have(whole: Index) -> None:
    profile = listener(("folk00", "like", 0), ("folk01", "like", 1))
    alike = {"happy": 98, "rock": 95, "hard rock": 99}

    def named_two(index: Index) -> set[str]:
        reasons = [item.reason for item in listed(profile, index)]
        return {reason.partition(": ")[2] for reason in reasons if "also similar to" in reason}

    assert named_two(with_words(whole, folk=alike)) == {"all happy and hard rock"}
    one_only = with_words(whole, folk00=alike, folk1=alike, folk2=alike, folk3=alike, folk01={"happy": 89})
    assert named_two(one_only) == {""}


def test_more_of_a_word_brings_its_tracks_and_says_so(whole: Index) -> None:
    index = with_words(whole, jazz0={"mellow": 99}, folk1={"mellow": 95}, metal={"mellow": 60})
    liking = listener(("folk00", "like", 0))
    before = [item.track_id for item in listed(liking, index, most=40)]
    after = listed(steered(liking, "tag:mellow", "more"), index, most=42)
    near = [track_id for track_id in before if track_id in {item.track_id for item in after if item.because}]
    mellow = [item.track_id for item in after if item.because and item.track_id.startswith("folk1")]
    assert [item.track_id for item in after][: len(mellow)] == mellow and len(mellow) > 2, "near, and mellow"
    assert before[: len(mellow)] != mellow and len(near) > len(mellow)
    asked = [item for item in after if item.reason == "You asked for more: mellow"]
    assert {item.track_id[:5] for item in asked} == {"jazz0", "folk1"} and not any(item.because for item in asked)
    nobody = steered(Profile("ana", generation=1), "tag:mellow", "more")
    first = listed(nobody, index, most=15)
    assert {item.track_id[:5] for item in first} == {"jazz0", "folk1"}
    assert {item.reason for item in first} == {"You asked for more: mellow"}


def test_less_of_a_word_lowers_its_tracks_and_they_are_not_explored(whole: Index) -> None:
    index = with_words(whole, folk1={"sad": 99}, metal={"sad": 100}, jazz={"sad": 100})
    liking = listener(("folk00", "like", 0))
    assert any(item.track_id.startswith("folk1") for item in listed(liking, index, most=12))
    exploring = TASTE.model_copy(update={"exploration": 4})
    fewer = listed(steered(liking, "tag:sad", "less"), index, most=12, taste=exploring)
    assert not any(item.track_id.startswith(("folk1", "metal", "jazz")) for item in fewer)
    assert any(item.explore for item in fewer)
    taken_back = steered(steered(liking, "tag:sad", "less"), "tag:sad", "neutral", minutes=2)
    assert [item.track_id for item in listed(taken_back, index)] == [item.track_id for item in listed(liking, index)]


def test_without_words_in_the_model_a_wish_changes_nothing(whole: Index) -> None:
    liking = listener(("folk00", "like", 0))
    assert listed(steered(liking, "tag:mellow", "more"), whole) == listed(liking, whole)


def test_a_track_that_is_liked_unheard_stays_in_the_list(whole: Index) -> None:
    did = [("folk00", "like", 0), ("folk00", "complete", 1), ("techno00", "like", 2), ("techno00", "complete", 3)]
    for place in (3, 9, 14, 19):
        liked_id = listed(listener(*did), whole)[place].track_id
        liking = [*did, (liked_id, "like", 10)]
        item = next((item for item in listed(listener(*liking), whole) if item.track_id == liked_id), None)
        assert item is not None, f"liked at place {place + 1}"
        assert item.explore or (item.reason, item.because) == ("You liked it, and have not heard it yet", [])
        heard = listener(*liking, (liked_id, "complete", 11))
        assert liked_id not in [each.track_id for each in listed(heard, whole)], "heard, it rests"


def test_the_only_liked_track_is_not_said_to_be_less_alike_to_what_is_liked_than_all_others(whole: Index) -> None:
    found = {item.track_id: item.percentile for item in listed(listener(("folk00", "like", 0)), whole, 40)}
    assert found["folk00"] is None and found["folk01"] is not None
    several = {
        item.track_id: item for item in listed(listener(("folk00", "like", 0), ("folk01", "like", 1)), whole, 40)
    }
    assert all(
        item.percentile is None or item.percentile >= 90 for item in several.values() if "not heard" in item.reason
    )


def test_what_was_only_wished_more_of_is_not_said_to_be_liked(whole: Index) -> None:
    reasons = {item.track_id: item.reason for item in listed(listener(("folk00", "more", 0)), whole, 40)}
    assert reasons["folk00"] == "You want more like it, and have not heard it yet"
