"""How the player's server ends."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from types import SimpleNamespace

from fastapi import FastAPI

from ui.app import PlayerServer


def test_a_server_that_ends_leaves_no_connection_open() -> None:
    """Browsers connect ahead of their requests, also at the moment at which the server ends."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        for _ in range(8):
            served = PlayerServer(application())
            running = threading.Thread(target=served.run, kwargs={"sockets": [listening.dup()]})
            running.start()
            while not served.started:
                time.sleep(0.01)
            connections = connect_while(served, running, listening.getsockname()[1])
            open_count = sum(is_open(connection) for connection in connections)
            assert open_count == refuse_waiting(listening), "only those that no server has accepted are open"


def application() -> FastAPI:
    app = FastAPI()
    app.state.hub = SimpleNamespace(end_all=lambda: None)
    app.state.services = SimpleNamespace(player=SimpleNamespace(trusted_proxies=()))
    return app


def connect_while(served: PlayerServer, running: threading.Thread, port: int) -> list[socket.socket]:
    """The connections that were made while the server was told to end, all idle."""
    connections = []
    for number in range(100):
        connections.append(socket.create_connection(("127.0.0.1", port)))
        served.should_exit = number > 5
        time.sleep(0.002)
    running.join(20)
    assert not running.is_alive()
    return connections


def is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    with suppress(ConnectionError):
        try:
            connection.recv(1)
        except BlockingIOError:
            return True
    return False


def refuse_waiting(listening: socket.socket) -> int:
    """Closes the connections that wait to be accepted, and returns how many these were."""
    listening.setblocking(False)
    count = 0
    while True:
        try:
            listening.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1
