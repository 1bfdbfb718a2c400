"""What the settings of [player] allow: guests, names without a password, and who is an operator."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from conf.settings import Player
from ui.data.names import name_key

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
PRIVATE_SUFFIXES = (".local", ".lan", ".home.arpa", ".internal")
"""Endings of names that exist in a network of one's own alone."""
ANY_HOST = "*"


@dataclass(frozen=True)
class AccessPolicy:
    """Access rules of one player, derived from its settings."""

    player: Player

    @property
    def is_local(self) -> bool:
        """Whether only this machine is served. Behind a proxy, every request comes from a local address."""
        return self.player.host in LOCAL_HOSTS and not self.player.trusted_proxies

    def answers_to(self, host: str | None) -> bool:
        """Whether a request may have this name or address, without a port, in its header Host.

        A page of another site can point its own host name at this player (DNS rebinding), and would be of its origin then. It can
        have no address, no name without a dot and no name of a private network: a player for others answers to these, unless
        `allowed_hosts` names those that it has. A player for this machine alone answers to local names; behind a proxy, which
        has names of its own, to all.
        """
        if host is None:
            return False
        allowed = {name.lower() for name in self.player.allowed_hosts}
        if host in LOCAL_HOSTS or host in allowed or ANY_HOST in allowed:
            return True
        if self.is_local or allowed:
            return False
        if self.player.trusted_proxies:
            return True
        return _is_address(host) or "." not in host or host.endswith(PRIVATE_SUFFIXES)

    @property
    def open_names(self) -> bool:
        """Whether a name without an account needs no password."""
        return self.player.open_names and self.is_local

    @property
    def needs_sign_in(self) -> bool:
        """Whether the library is shown to signed-in listeners only."""
        return not (self.open_names or self.player.guests)

    def is_operator(self, name: str | None) -> bool:
        """Whether the listener of this name may see the service page: everyone at a local player, else the named operators.

        Names are compared as they are spelled: of accounts from before they were compared without case, one alone is meant.
        """
        return self.is_local or name in self.player.operators

    def is_reserved(self, name: str) -> bool:
        """Whether nobody may sign up with this name here, in any spelling."""
        return not self.is_local and name_key(name) in {name_key(operator) for operator in self.player.operators}


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
