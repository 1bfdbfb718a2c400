"""Error responses: an HTTP status and a message for people, as JSON {"error": message}."""

from __future__ import annotations

from starlette.responses import JSONResponse


class Refused(Exception):
    """The request cannot be granted. status : of HTTP;  headers : of the response"""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


def refusal(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """The response that the page's script shows to the listener."""
    return JSONResponse({"error": message}, status_code=status, headers=headers)
