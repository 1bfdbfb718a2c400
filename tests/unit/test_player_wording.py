"""What the page says: titles in two parts, names of mixes, closeness in words, what a list is made from; and its rail."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ui.data.library import Track
from ui.data.recommendation_list import Item, Recommendations
from ui.home.titles import common_name, named_interests, shelf_title, surname, titled, tracks_behind
from ui.page import cards, navigation
from ui.page.wording import Basis, basis_text, closeness, title_parts
from ui.routes.map_regions import regions
from ui.routes.pages import folder_problem


@pytest.mark.parametrize(
    ("title", "parts"),
    [
        ("Food", ("Food", "")),
        ("Quartet in D, K. 155: Andante", ("Quartet in D, K. 155: ", "Andante")),
        ("Goldberg Variations – Aria", ("Goldberg Variations – ", "Aria")),
        ("Symphony No. 5 in C minor, Op. 67", ("Symphony No. 5 in C minor, ", "Op. 67")),
        ("A song without any separator at all", ("A song without any separator ", "at all")),
        ("Donaudampfschifffahrtsgesellschaft", ("Donaudampfschifffahrtsgese", "llschaft")),
    ],
)
def test_the_end_of_a_long_title_stays_in_view(title: str, parts: tuple[str, str]) -> None:
    assert title_parts(title) == parts


def test_what_a_list_is_made_from() -> None:
    assert basis_text(Basis(likes=15, plays=40)) == "From 15 likes and 40 plays"
    assert basis_text(Basis(1, 1200)) == "From 1 like and 1,200 plays"
    assert basis_text(Basis(0, 2)) == "From 2 plays"
    assert basis_text(Basis(0, 1)) == "Based on your first play"
    assert basis_text(Basis(1, 0)) == "Based on your first like"
    assert basis_text(Basis(0, 0)) == basis_text(None) == "Based on what you play, skip and like"


def test_closeness_in_words() -> None:
    assert [closeness(similarity) for similarity in (1.0, 0.5, 0.49, 0.2, 0.19, 0.0)] == [
        *["Very close"] * 2,
        *["Close"] * 2,
        *["Similar"] * 2,
    ]


def track(number: int, **fields: str) -> Track:
    return Track(f"t{number}", f"The {number}", **fields)


def test_a_mix_is_named_by_what_most_of_its_tracks_have_in_common() -> None:
    brahms = [track(n, artist=f"Pianist {n}", composer="Johannes Brahms", genre="Intermezzo") for n in range(3)]
    assert common_name([*brahms, track(4, genre="Polka")]) == "Brahms: Intermezzo"
    folk = [track(n, artist=f"Band {n}", composer="Traditional", genre="Folk") for n in range(3)]
    assert common_name(folk) == "Folk", "tradition is no composer"
    assert common_name([track(n, artist="Cora", genre=f"Genre {n}") for n in range(3)]) == "Cora"
    assert common_name([track(1, artist="Ana"), track(2, artist="Bo")]) == "", "half is not most"
    mix = Recommendations("ana", (), name="mix-1", title="Like “X”")
    assert shelf_title(mix, brahms) == "Like Brahms: Intermezzo" and shelf_title(mix, []) == "Like “X”"
    assert shelf_title(Recommendations("ana", (), name="rediscover", title="Rediscover"), brahms) == "Rediscover"
    other = Recommendations("ana", (), name="mix-2", title="Like “Y”")
    items = (Item("t9", 1, because=("t0", "t1")), Item("t8", 2, because=("t2", "gone")))
    lists = [(replace(mix, items=items), folk), (replace(other, items=items), folk)]
    titles = [title for _, title, _ in titled(lists, {each.track_id: each for each in brahms})]
    assert titles == ["Like Brahms: Intermezzo", "Like “Y”"], "by what was liked, not by what is like it"
    assert tracks_behind(lists) == {"t0", "t1", "t2", "gone"}


def test_surnames() -> None:
    names = ("Johannes Brahms", "Brahms, Johannes", "Björk", "Johann Strauss II", "Sammy Davis Jr.")
    assert [surname(name) for name in names] == ["Brahms", "Brahms", "Björk", "Johann Strauss II", "Sammy Davis Jr."]


def test_a_reason_that_many_cards_have_is_on_none_but_the_first() -> None:
    reasons = ["A way in", "A way in", "Something different", "A way in", "A way in"]
    items = tuple(Item(f"t{n}", n + 1, reason=reason) for n, reason in enumerate(reasons))
    tracks = {f"t{n}": track(n) for n in range(5)}
    html = cards.for_you(Recommendations("ana", items), tracks, basis=Basis(2, 3), marks={"t1": cards.HEARD})
    assert re.findall(r'class="reason">(.*?)<', html) == ["A way in", "", "Something different", "", ""]
    assert "From 2 likes and 3 plays" in html and html.count('class="mark">Played<') == 1


def test_a_card_has_length_album_and_two_buttons_only() -> None:
    html = cards.cards([Track("a", "Food", "AWOL", album="A Way Of Life", album_id="0f", duration_s=187.4)], "search")
    assert '<span class="length">3:07</span>' in html and 'data-album-id="0f"' in html
    assert 'src="/covers/album/0f?size=320"' in html
    assert re.findall(r'data-action="(\w+)"', html) == ["play", "like", "menu"]


def test_the_rail_has_tabs_for_a_phone_and_links_that_skip() -> None:
    rail = navigation.rail("")
    assert len(re.findall(r'class="tab"', rail)) == 4
    assert re.findall(r'data-skip-to="(\w+)"', rail) == ["content", "player"]
    addresses = re.findall(r'<a href="(#/\w*)"', rail)
    assert len(addresses) == len(set(addresses)) and "#/settings" in addresses and "#/status" not in addresses


def test_interests_have_names_and_shares() -> None:
    quartets = [track(n, genre="String Quartet") for n in range(3)]
    named = named_interests([(0.6, quartets), (0.2, [track(7)])])
    assert [(name, round(share, 2)) for name, share, _ in named] == [("String Quartet", 0.75), ("Interest 2", 0.25)]


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert folder_problem(str(tmp_path)) == "" == folder_problem("s3://music/all") == folder_problem("")
    assert "is not there. Connect its disk" in folder_problem(str(tmp_path / "unmounted"))


def test_a_name_stands_where_its_tracks_lie_together() -> None:
    around = np.random.default_rng(1)
    close = around.normal([700, 300], 8, (20, 2)).astype(np.float32)
    scattered = around.uniform(0, 1000, (60, 2)).astype(np.float32)
    places = np.vstack([close, scattered, [[np.nan, np.nan]] * 3]).astype(np.float32)
    rows = {"Folk": range(20), "All over": range(20, 80), "Few": range(2), "Unplaced": range(80, 83)}
    (folk,) = regions(rows, places, 1000, 10)
    assert folk.name == "Folk" and folk.size == 20
    assert abs(folk.x - 700) < 10 and abs(folk.y - 300) < 10
    assert regions(rows, places, 1000, 0) == []
