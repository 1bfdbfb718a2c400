"""Whether the player lives (`/healthz`) and whether it can serve (`/readyz`): for what starts, restarts and balances it.

Both are open to all, under any name of the host: kubelet asks by a pod's address. Their bodies name no address and no listener.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pymongo import timeout
from pymongo.errors import PyMongoError

from streaming.operations.health import MONGO_TIMEOUT_S, kafka_problems, mongo_problems
from streaming.operations.http_server import health_body
from ui.dependencies import Services

router = APIRouter()


@router.get("/healthz")
async def get_healthz() -> Response:
    """200 as long as requests are answered at all."""
    return _answer([])


@router.get("/readyz")
def get_readyz(request: Request) -> Response:
    """200 where MongoDB and Kafka answer and a library is published, else 503 with a line for each problem."""
    return _answer(request.app.state.readiness())


def service_problems(services: Services) -> list[str]:
    """A line for each thing that the player lacks."""
    problems = mongo_problems(services.db) or _library_problems(services)
    return [*problems, *kafka_problems(services.settings.kafka)]


def _library_problems(services: Services) -> list[str]:
    try:
        with timeout(MONGO_TIMEOUT_S):
            is_published = services.db.tracks.find_one({}, {"_id": 1}) is not None
    except PyMongoError as error:
        return [f"MongoDB does not answer ({type(error).__name__})"]
    return [] if is_published else ["no library is published; run batch/publish.py"]


def _answer(problems: list[str]) -> Response:
    status = 503 if problems else 200
    return Response(health_body(problems), status, {"Cache-Control": "no-store"}, "application/json")
