"""What the settings of [player] allow: guests, names without a password, and who is an operator."""

from __future__ import annotations

from dataclasses import dataclass

from conf.settings import Player

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class AccessPolicy:
    """Access rules of one player, derived from its settings."""

    player: Player

    @property
    def is_local(self) -> bool:
        """Whether only this machine is served. Behind a proxy, every request comes from a local address."""
        return self.player.host in LOCAL_HOSTS and not self.player.trusted_proxies

    @property
    def open_names(self) -> bool:
        """Whether a name without an account needs no password."""
        return self.player.open_names and self.is_local

    @property
    def needs_sign_in(self) -> bool:
        """Whether the library is shown to signed-in listeners only."""
        return not (self.open_names or self.player.guests)

    def is_operator(self, user_id: str | None) -> bool:
        """Whether this listener may see the service page: everyone at a local player, else the named operators."""
        return self.is_local or user_id in self.player.operators
