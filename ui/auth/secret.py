"""The key that signs session cookies: created once, readable by its owner only."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

MIN_LENGTH = 32


class SecretUnusable(OSError):
    """The session secret can be neither read nor created."""


def session_secret(home: Path) -> str:
    """The secret of this home, 64 characters in `session-secret` with mode 0600. Raises SecretUnusable."""
    file = home / "session-secret"
    try:
        if not file.exists():
            _create(file)
        file.chmod(0o600)
        secret = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretUnusable(f"{file} cannot be used: {error}; make {home} writable, or set OVERTONE_HOME") from error
    if len(secret) < MIN_LENGTH:
        raise SecretUnusable(
            f"{file} holds {len(secret)} characters, expected {MIN_LENGTH} or more; delete it to get a new one"
        )
    return secret


def _create(file: Path) -> None:
    """Writes beside and links into place: of two processes that start at once, the first wins and both read its secret."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(secrets.token_urlsafe(48))
    try:
        os.link(part, file)
    except FileExistsError:
        pass
    finally:
        part.unlink()
