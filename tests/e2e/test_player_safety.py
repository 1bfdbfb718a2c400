"""What an attacker tries with links, files, headers and bodies."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from player_site import ANSWER_S, IDS
from playwright.sync_api import expect

RUN = "<img src=x onerror='window.hasRun = true'>"


@pytest.fixture
def trap(db: Any, site: str, sounds: Path) -> str:
    """The id of a track whose file holds markup."""
    file = sounds / "trap.ogg"
    file.write_bytes(b"OggS" + RUN.encode())
    db.tracks.update_one({"_id": IDS[9]}, {"$set": {"path": str(file)}})
    return IDS[9]


def test_an_address_leads_to_pages_only(visit: Any, trap: str) -> None:
    ana = visit("ana")
    asked: list[str] = []
    ana.page.on("request", lambda request: asked.append(request.url))
    for address in (
        f"track/../../audio/{trap}",
        f"track/%2e%2e/%2E./audio/{trap}",
        f"../audio/{trap}",
        "track/%E0%A4%A",
        "constructor/x",
    ):
        ana.page.evaluate("address => { location.hash = `#/${address}`; }", address)
        expect(ana.page.locator("#view .problem")).to_have_text("Page not found.")
        ana.page.evaluate("location.hash = '#/you'")
        expect(ana.page.locator("#page-head")).to_have_text("Your music")
    assert not any("/audio/" in url for url in asked)
    # Were such an answer to come all the same, it would not be taken for markup, and a script in markup would not run.
    answer = ana.page.evaluate("id => import('/ui/api.js').then(({get}) => get(`/audio/${id}`))", trap)
    assert answer == {"ok": False, "status": 200, "error": "Page not found."}
    ana.page.evaluate("markup => { document.querySelector('#view').innerHTML = markup; }", RUN)
    ana.page.wait_for_timeout(300)  # in which a script in the markup would run
    assert not ana.page.evaluate("window.hasRun")
    ana.wait_for(lambda: any("inline event handler" in said for said in ana.wrong))
    ana.wrong[:] = [said for said in ana.wrong if "inline event handler" not in said and "404" not in said]


def test_a_file_of_the_library_is_no_page(site: str, trap: str) -> None:
    for method in ("GET", "HEAD"):
        headers = httpx.request(method, f"{site}/audio/{trap}", timeout=ANSWER_S).headers
        assert headers["content-security-policy"] == "sandbox; default-src 'none'"
        assert headers["x-content-type-options"] == "nosniff" and headers["content-type"] == "audio/ogg"


def test_an_answer_is_for_our_own_pages(site: str) -> None:
    for origin in ("http://localhost:9", "http://127.0.0.1:9", site):
        for path in ("/config", "/", "/gradio_api/info"):
            headers = httpx.get(f"{site}{path}", headers={"Origin": origin, "Cookie": "a=b"}, timeout=ANSWER_S).headers
            assert [name for name in headers if name.startswith("access-control-")] == [], (origin, path)


def test_a_body_has_a_length_and_not_more_of_it_than_a_page_sends(site: str) -> None:
    own = {"Origin": site}
    for path in ("/gradio_api/run/search", "/events"):
        assert (
            httpx.post(f"{site}{path}", json={"data": ["a" * 200_000]}, headers=own, timeout=ANSWER_S).status_code
            == 413
        )
        chunks = iter([b'{"data": ["a"]}'])
        endless = {**own, "Content-Type": "application/json"}
        assert httpx.post(f"{site}{path}", content=chunks, headers=endless, timeout=ANSWER_S).status_code == 413
    with socket.create_connection(("127.0.0.1", httpx.URL(site).port or 0)) as raw:
        raw.sendall(
            f"POST /gradio_api/run/search HTTP/1.1\r\nHost: {site[7:]}\r\nOrigin: {site}\r\n"
            "Content-Type: application/json\r\nContent-Length: 15\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        assert raw.recv(100).split()[1] in (b"400", b"413")
    long = httpx.post(f"{site}/gradio_api/run/search", json={"data": ["a" * 100_000, 5]}, headers=own, timeout=ANSWER_S)
    assert long.status_code == 200 and len(long.content) < 1000
