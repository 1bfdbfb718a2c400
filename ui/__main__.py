"""python -m ui: the player, on settings.player.host and .port.

Prints its address on stdout when it accepts requests. MongoDB and Kafka may be away: the page loads, says so, and recovers.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import logging
import socket
import sys

from batch.job import check_spelling, failed
from batch.storage.locations import StorageUnusable
from conf.settings import Settings, SettingsError, settings

NAME = "ui"
LISTEN_BACKLOG = 256
MAX_PORT = 65535


def main(settings: Settings) -> int:
    """Serves the player until it is stopped; returns the exit code: 1 cannot be served, 2 a setting is wrong."""
    host, port = settings.player.host, settings.player.port
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    # Bound before the slow imports, so that a port in use is reported at once and this one stays reserved.
    try:
        server_socket = _listen(host, port)
    except OSError as error:
        return failed(NAME, _listen_problem(error, address), 1)

    from ui.app import PlayerServer, create_app
    from ui.auth.secret import SecretUnusable
    from ui.data.mongo import LibraryUnusable
    from ui.dependencies import build_services
    from ui.events.journal import JournalUnusable

    try:
        services = build_services(settings)
    except (SecretUnusable, JournalUnusable) as error:
        return failed(NAME, error, 1)
    except LibraryUnusable as error:
        return failed(NAME, error, 2)

    class AnnouncedServer(PlayerServer):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                print(f"Overtone is at http://{address}/", flush=True)

    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is the normal way to stop the player
        AnnouncedServer(create_app(services)).run(sockets=[server_socket])
    return 0


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol given, asyncio sets TCP_NODELAY: small responses are sent at once instead of 40 ms later.
    server_socket = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        server_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server_socket.bind((host, port))
        server_socket.listen(LISTEN_BACKLOG)
    except OSError:
        server_socket.close()
        raise
    return server_socket


def _listen_problem(error: OSError, address: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {address.rpartition(':')[2]} is in use; stop the program that uses it, or choose another with --port N"
    return f"cannot listen on {address}: {error.strerror or error}; choose another with --host H and --port N"


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_PORT:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to {MAX_PORT}, got {text!r}")
    return int(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ui", description="The player.")
    parser.add_argument("--host", help="address to listen on (settings: player.host)")
    parser.add_argument("--port", type=_port, help="port to listen on (settings: player.port)")
    return parser.parse_args()


def _settings(arguments: argparse.Namespace) -> Settings:
    """The settings, with host and port from the command line. Raises SettingsError."""
    from_file = settings()
    overrides = {name: value for name, value in vars(arguments).items() if value is not None}
    return from_file.model_copy(update={"player": from_file.player.model_copy(update=overrides)})


if __name__ == "__main__":
    chosen_arguments = _arguments()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it repeats what EventQueue logs once
    try:
        chosen_settings = _settings(chosen_arguments)
        check_spelling(chosen_settings)
    except (SettingsError, StorageUnusable) as error:
        sys.exit(failed(NAME, error, 2))
    sys.exit(main(chosen_settings))
