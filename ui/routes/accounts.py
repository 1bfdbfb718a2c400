"""Routes of who listens and what is theirs: the session, accounts, playlists, export and deletion of one's data."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from ui.auth import session
from ui.auth.session import refusal, require_listener
from ui.data import lake
from ui.data.history import LimitExceeded
from ui.data.lake import LakeUnavailable
from ui.data.library import LibraryUnavailable
from ui.dependencies import Parts
from ui.routes.schemas import Change, Named, Sure, Who


def routes(parts: Parts) -> APIRouter:
    router = APIRouter()
    mine = parts.listener_data

    @router.get("/listener")
    def listener(request: Request) -> dict[str, Any]:
        return session.about(request, parts)

    @router.post("/listener")
    def choose_listener(who: Who, request: Request) -> dict[str, Any]:
        if who.guest:
            session.enter_as_guest(request, parts)
        elif not (who.name or "").strip():
            session.leave(request, parts)
        elif who.create:
            session.sign_up(request, parts, who.name or "", who.password)
        else:
            session.enter(request, parts, who.name or "", who.password)
        return session.about(request, parts)

    @router.get("/playlists")
    def playlists(request: Request) -> list[dict[str, Any]]:
        user_id = require_listener(request, parts)
        return [
            {"id": each.playlist_id, "name": each.name, "count": len(each.tracks)} for each in mine.playlists(user_id)
        ]

    @router.post("/playlists", status_code=201)
    def make_playlist(named: Named, request: Request) -> Response:
        user_id = require_listener(request, parts)
        try:
            made = mine.make_playlist(user_id, named.name.strip() or "Playlist", named.tracks)
        except LimitExceeded as error:
            return refusal(409, str(error))
        return JSONResponse({"id": made.playlist_id, "name": made.name}, status_code=201)

    @router.post("/playlists/{playlist_id}")
    def change_playlist(playlist_id: str, change: Change, request: Request) -> Response:
        user_id = require_listener(request, parts)
        known = mine.playlist(user_id, playlist_id)
        if known is None:
            return refusal(404, "No such playlist of yours.")
        if change.drop:
            mine.drop_playlist(user_id, playlist_id)
            return JSONResponse({"id": playlist_id})
        tracks = change.tracks
        if change.add is not None:
            tracks = list(dict.fromkeys([*(known.tracks if tracks is None else tracks), change.add]))
        if change.remove is not None:
            tracks = [each for each in (known.tracks if tracks is None else tracks) if each != change.remove]
        try:
            mine.change_playlist(user_id, playlist_id, change.name, tracks)
        except LimitExceeded as error:
            return refusal(409, str(error))
        return JSONResponse({"id": playlist_id, "name": change.name or known.name})

    @router.get("/me/export")
    def export(request: Request) -> Response:
        """All that is known of the listener: MongoDB's documents, and the lake's events and lists.

        `left_out` says how many of the oldest rows were too many for one file.
        """
        user_id = require_listener(request, parts)
        events, lists = (read(parts.settings.lake, user_id) for read in (lake.events_of, lake.lists_of))
        known = {
            "user_id": user_id,
            "exported_at": datetime.now(UTC),
            "left_out": {"listening_events": events.left_out, "past_recommendations": lists.left_out},
            "account": {"made_at": made} if (made := parts.accounts.made_at(user_id)) else None,
            **mine.everything(user_id),
            "listening_events": events.rows,
            "past_recommendations": lists.rows,
        }
        text = json.dumps(known, ensure_ascii=False, indent=1, default=_plain)
        named = {"Content-Disposition": 'attachment; filename="overtone-my-data.json"', "Cache-Control": "no-store"}
        return Response(text, media_type="application/json", headers=named)

    @router.post("/me/forget")
    def forget(sure: Sure, request: Request) -> Response:
        """Deletes what the lake and MongoDB hold of the listener, account included, and ends all their sessions."""
        user_id = require_listener(request, parts)
        if sure.name.strip() != user_id:
            return refusal(422, "Enter your name to confirm.")
        if parts.accounts.key(user_id) is not None:
            session.verify(request, parts, user_id, sure.password)
        parts.sessions.delete(user_id)
        parts.event_queue.drop(user_id)
        parts.sessions.delete(user_id)  # again: by now no event of before can come later than this
        try:
            lake.forget(parts.settings.lake, user_id)
            mine.forget(user_id)
            parts.accounts.drop(user_id)
        except (LakeUnavailable, LibraryUnavailable, OSError) as error:
            session.renew(request)  # to try again
            return refusal(503, f"Not everything is deleted yet: {error}. Try again.")
        session.leave(request, parts)
        return JSONResponse({"user_id": None})

    return router


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
