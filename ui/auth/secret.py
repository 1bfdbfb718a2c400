"""The secret that signs session cookies: made once, kept where only its owner can read it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


class SecretUnusable(OSError):
    """The session secret can be neither read nor made."""


def session_secret(home: Path) -> str:
    """The secret of this home, 64 characters in `session-secret` with mode 0600. Raises SecretUnusable."""
    file = home / "session-secret"
    try:
        if not file.exists():
            _make(file)
        file.chmod(0o600)
        kept = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretUnusable(f"{file} cannot be used: {error}; make {home} writable, or set OVERTONE_HOME") from error
    if len(kept) < 32:
        raise SecretUnusable(f"{file} holds {len(kept)} characters, expected 32 or more; delete it to get a new one")
    return kept


def _make(file: Path) -> None:
    """Written aside and linked into place: whoever starts first wins, and nobody reads half of it."""
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
