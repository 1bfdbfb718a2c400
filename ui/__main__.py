"""python -m ui: the player, on settings.player.host and .port.

Prints its address on stdout when it accepts requests. MongoDB or Kafka may be away: the page comes
up, says so, and recovers.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import logging
import socket
import sys

from conf.settings import Settings, SettingsError, settings


def main(settings: Settings) -> int:
    host, port = settings.player.host, settings.player.port
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    # Taken before anything slow is imported, so that a port in use is said at once and stays ours until it is served.
    try:
        listening = _listen(host, port)
    except OSError as error:
        return _failed(_why_not(error, address))

    import uvicorn

    from ui import app
    from ui.auth.secret import SecretUnusable
    from ui.data.library import LibraryUnusable
    from ui.dependencies import parts

    try:
        made = parts(settings)
    except SecretUnusable as error:
        return _failed(str(error))
    except LibraryUnusable as error:
        return _failed(str(error), code=2)
    config = app.config(app.app(made))

    class Announced(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                print(f"Overtone is at http://{address}/", flush=True)

    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how one stops it, not a failure
        Announced(config).run(sockets=[listening])
    return 0


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named, asyncio sends small answers at once (TCP_NODELAY) instead of 40 ms later.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(256)
    except OSError:
        listening.close()
        raise
    return listening


def _why_not(error: OSError, address: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {address.rpartition(':')[2]} is in use; stop what uses it, or choose another with --port N"
    return f"cannot listen on {address}: {error.strerror or error}; choose another with --host H and --port N"


def _failed(why: str, code: int = 1) -> int:
    print(f"ui: {why}", file=sys.stderr)
    return code


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port, expected 1 to 65535")
    return int(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m ui", description="The player.")
    parser.add_argument("--host", help="address to listen on (settings: player.host)")
    parser.add_argument("--port", type=_port, help="port to listen on (settings: player.port)")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it repeats what EventQueue says once
    try:
        found = settings()
        chosen = {name: value for name, value in vars(given).items() if value is not None}
        found = found.model_copy(update={"player": found.player.model_copy(update=chosen)})
    except SettingsError as error:
        sys.exit(_failed(str(error), code=2))
    sys.exit(main(found))
