"""Gradio's named endpoints, asked by the real gradio_client: what programs get, and whose lists they may read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from player_site import ANSWER_S, IDS, TITLES, Lists

Connect = Callable[..., Client]


@pytest.fixture
def connect(site: str) -> Connect:
    """A client of the player, with the session of a listener where a name is given."""

    def connect(**listener: str) -> Client:
        headers = {}
        if listener:
            signed_in = httpx.post(f"{site}/listener", json=listener, headers={"Origin": site}, timeout=ANSWER_S)
            signed_in.raise_for_status()
            headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in signed_in.cookies.items())}
        return Client(site, headers=headers, verbose=False, analytics_enabled=False, download_files=False)

    return connect


def ids(document: dict[str, Any]) -> list[str]:
    return [item["track_id"] for item in document["items"]]


def test_programs_are_told_of_the_endpoints(connect: Connect) -> None:
    named = connect().view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert sorted(named) == ["/recommendations", "/search", "/similar"]
    parameters = {name: [each["parameter_name"] for each in endpoint["parameters"]] for name, endpoint in named.items()}
    assert parameters == {
        "/recommendations": ["user", "list_name"],
        "/similar": ["track_id", "limit"],
        "/search": ["text", "limit"],
    }


def test_a_list_is_the_sessions_or_of_an_open_name(connect: Connect) -> None:
    client = connect()
    everybodys = client.predict(api_name="/recommendations")
    assert (everybodys["list"], ids(everybodys)) == ("*", IDS[:6])
    assert ids(client.predict("ana", api_name="/recommendations")) == IDS[2:8]
    own = connect(name="ana").predict(api_name="/recommendations")
    assert (own["user_id"], own["list"], own["name"], ids(own)) == ("ana", "ana", "for-you", IDS[2:8])
    assert own["items"][0] | {"score": None} == {
        "rank": 1,
        "track_id": IDS[2],
        "title": TITLES[2],
        "artist": "Band 2",
        "album": "Hours",
        "genre": "Folk (live)",
        "score": None,
        "reason": "close, 1",
        "because": [IDS[0]],
    }


def test_a_list_of_an_account_is_shown_in_its_own_session_only(connect: Connect, site: str) -> None:
    account = {"name": "bob", "password": "correct horse"}
    # a name in use gets an account in its own session
    with httpx.Client(base_url=site, headers={"Origin": site}, timeout=ANSWER_S) as bob:
        bob.post("/listener", json={"name": "bob"}).raise_for_status()
        bob.post("/listener", json={**account, "create": True}).raise_for_status()
    for client in (connect(), connect(name="ana")):
        with pytest.raises(AppError, match="Sign in as 'bob' first"):
            client.predict("bob", api_name="/recommendations")
    assert ids(connect(**account).predict("BOB", api_name="/recommendations")) == IDS[6:]


def test_a_list_of_a_guest_is_nobody_elses(connect: Connect, site: str, put: Lists) -> None:
    guest = httpx.post(f"{site}/listener", json={"guest": True}, headers={"Origin": site}, timeout=ANSWER_S).json()[
        "user_id"
    ]
    put(guest, IDS[:2])
    with pytest.raises(AppError, match="Sign in as"):
        connect().predict(guest, api_name="/recommendations")


def test_named_lists_are_given_by_name(connect: Connect, db: Any) -> None:
    items = [{"track_id": track_id, "rank": rank} for rank, track_id in enumerate(IDS[:5], start=1)]
    db.mixes.insert_one({"_id": "ana", "lists": [{"name": "mix-1", "title": "Folk mix", "items": items}]})
    client = connect(name="ana")
    mix = client.predict(list_name="mix-1", api_name="/recommendations")
    assert (mix["title"], ids(mix)) == ("Folk mix", IDS[:5])
    with pytest.raises(AppError, match="There is no list 'mix-9'; there are: for-you, mix-1"):
        client.predict(list_name="mix-9", api_name="/recommendations")


def test_similar_tracks_are_without_what_the_listener_dislikes(connect: Connect, site: str, db: Any) -> None:
    similar = connect().predict(IDS[0], api_name="/similar")
    assert [track["track_id"] for track in similar] == IDS[1:]
    assert len(connect().predict(IDS[0], 3, api_name="/similar")) == 3
    client = connect(name="ana")
    event = {"action": "dislike", "track_id": IDS[1]}
    headers = {"Origin": site, "Cookie": client.headers["Cookie"]}
    httpx.post(f"{site}/events", json=event, headers=headers, timeout=ANSWER_S).raise_for_status()
    assert [track["track_id"] for track in client.predict(IDS[0], api_name="/similar")] == IDS[2:]
    with pytest.raises(AppError, match="There is no track 'none' in the library"):
        client.predict("none", api_name="/similar")


def test_search_finds_artists_albums_and_tracks(connect: Connect) -> None:
    results = connect().predict("mörk", api_name="/search")
    assert [track["track_id"] for track in results["tracks"]] == [IDS[7]]
    assert {"artists", "albums", "tracks", "sound"} == set(results)
    assert len(connect().predict("band", 3, api_name="/search")["tracks"]) == 3


def test_a_page_of_another_site_cannot_ask_as_a_program_does(site: str) -> None:
    ask = {"data": ["ana", "for-you"]}
    endpoint = f"{site}/gradio_api/run/recommendations"
    assert httpx.post(endpoint, json=ask, timeout=ANSWER_S).status_code == 200
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Mode": "no-cors"}):
        assert httpx.post(endpoint, json=ask, headers=headers, timeout=ANSWER_S).status_code == 403
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert httpx.post(endpoint, content="data=1", headers=form, timeout=ANSWER_S).status_code == 415
    assert httpx.post(f"{site}/listener", json={"name": "ana"}, timeout=ANSWER_S).status_code == 403, (
        "a session is begun by pages only"
    )
