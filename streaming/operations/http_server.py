"""The HTTP server of a process that runs jobs: `/metrics` for Prometheus, `/healthz` and `/readyz` for what restarts it.

`/healthz` fails where a job is stuck, so that the process is started again; `/readyz` where a service is away or a job has not
served anything yet. Neither needs a login, and their bodies name no address and no listener.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.registry import Collector

from streaming.operations.health import DRIVER_HEALTH, Health, Remembered, kafka_problems, mongo_problems
from streaming.serving.clients import database_of

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from conf.settings import Settings

CLIENT_TIMEOUT_S = 10.0

Application = Callable[["WSGIEnvironment", "StartResponse"], Iterable[bytes]]


def start(settings: Settings, collectors: Sequence[Collector] = ()) -> WSGIServer | None:
    """Serves DRIVER_HEALTH and the collectors on `stream.metrics_host` and `stream.metrics_port`, where that is not 0.

    collectors : whose metrics Prometheus reads besides
    """
    if not settings.stream.metrics_port:
        return None
    services = Remembered(lambda: [*mongo_problems(database_of(settings.mongo)), *kafka_problems(settings.kafka)])
    app = application(DRIVER_HEALTH, settings.stream.stuck_seconds, services, [DRIVER_HEALTH, *collectors])
    return serve(app, settings.stream.metrics_host, settings.stream.metrics_port)


def application(
    health: Health, stuck_after_s: float, services: Callable[[], list[str]], collectors: Iterable[Collector]
) -> Application:
    """The WSGI application of /healthz and /readyz; every other path is that of Prometheus.

    services : a line for each service that is away
    """
    registry = CollectorRegistry()  # without prometheus_client's own metrics of the process
    for collector in collectors:
        registry.register(collector)
    metrics: Application = make_wsgi_app(registry)

    def respond(environment: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environment.get("PATH_INFO", "")
        if path == "/healthz":
            return _answer(health.stuck(stuck_after_s), start_response)
        if path == "/readyz":
            return _answer([*services(), *health.unready()], start_response)
        return metrics(environment, start_response)

    return respond


def serve(app: Application, host: str, port: int) -> WSGIServer | None:
    """Serves the application from threads; prints a message and returns None where the address cannot be used."""
    server_class = _ServerOfIPv6 if ":" in host else _Server
    try:
        server = make_server(host, port, app, server_class, _QuietHandler)
    except OSError as error:
        print(
            f"metrics: port {port} of {host} cannot be used ({error.strerror}); set stream.metrics_host and "
            "stream.metrics_port",
            flush=True,
        )
        return None
    threading.Thread(target=server.serve_forever, daemon=True, name="metrics").start()
    return server


def health_body(problems: list[str]) -> bytes:
    """The body of /healthz and /readyz.  problems : none where all is well"""
    return json.dumps({"status": "failing" if problems else "ok", "problems": problems}).encode()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _ServerOfIPv6(_Server):
    address_family = socket.AF_INET6


class _QuietHandler(WSGIRequestHandler):
    timeout = CLIENT_TIMEOUT_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the class above
        """Logs nothing: probes ask every few seconds."""


def _answer(problems: list[str], start_response: StartResponse) -> Iterable[bytes]:
    status = "503 Service Unavailable" if problems else "200 OK"
    start_response(status, [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
    return [health_body(problems)]
