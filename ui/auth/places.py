"""From where a request comes, and who asks: what limits are counted by."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple

from starlette.requests import Request

IPV6_NETWORK_BITS = 64
"""An IPv6 customer has at least so large a network, and each of its addresses at will: it counts as one place."""


class Client(NamedTuple):
    """Who asks. listener : user id, None where nobody was chosen;  place : of `place_of`"""

    listener: str | None
    place: str


def place_of(request: Request) -> str:
    """From where a request comes: its address, of IPv6 its network."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or ip_network((address, IPV6_NETWORK_BITS), strict=False))
    return host
