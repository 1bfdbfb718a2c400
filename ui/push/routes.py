"""GET /events-of-mine: what changes, as server-sent events, for the listener of the session."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent

from ui.dependencies import ClientDep, ServicesDep
from ui.push.hub import Hub, Subscription

HEARTBEAT_S = 10.0
"""A page that has heard nothing for three of these connects again; the session is checked as often."""

router = APIRouter()


async def subscription(request: Request, client: ClientDep) -> AsyncIterator[Subscription]:
    """The request's subscription, until its stream has ended. Raises ShareTaken where there are too many."""
    hub: Hub = request.app.state.hub
    with hub.subscribe(client, request.session.get("session_id")) as subscribed:
        yield subscribed


@router.get("/events-of-mine", response_class=EventSourceResponse)
async def stream_changes(
    request: Request, services: ServicesDep, subscribed: Annotated[Subscription, Depends(subscription)]
) -> AsyncIterator[ServerSentEvent]:
    """The listener's changes, until the session ends or another listener takes it over."""
    checked_at = time.monotonic()
    while not subscribed.is_ended:
        for message in await subscribed.messages(HEARTBEAT_S):
            yield ServerSentEvent(event=message.kind, data=message.data)
        if time.monotonic() - checked_at >= HEARTBEAT_S:
            if await run_in_threadpool(services.sessions.listener, request) != subscribed.listener:
                return
            checked_at = time.monotonic()
            yield ServerSentEvent(event="alive", data={})
