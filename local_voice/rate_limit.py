"""How much one address may ask for: a bucket each, which fills with time and is emptied by requests.

Time is an argument; this room knows no HTTP. The method is the token bucket of RFC 2697.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

MOST_ADDRESSES = 4_096
"""Buckets kept; beyond that the one unused for longest is forgotten, which is to say full again."""


class RateLimit:
    """Buckets of `burst` requests, filled by `rate` a second. A rate of 0 limits nothing."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Address -> (level, when that was so); the last one used stands at the end."""

    def take(self, address: str, now: float, cost: float = 1.0) -> float:
        """Take `cost` from the bucket of an address; seconds until it may ask again, 0.0 if it may now.

        What is refused costs nothing, or a client that keeps asking would never be let in again.
        """
        level = self._level(address, now)
        if not self._rate:
            return 0.0
        if level < cost:
            return (cost - level) / self._rate
        self._put(address, level - cost, now)
        return 0.0

    def charge(self, address: str, now: float, cost: float) -> None:
        """Take `cost` for something that has happened, also where there is less in the bucket."""
        self._put(address, max(self._level(address, now) - cost, -self._burst), now)

    def _level(self, address: str, now: float) -> float:
        level, since = self._levels.get(network(address), (self._burst, now))
        return min(self._burst, level + self._rate * max(0.0, now - since))

    def _put(self, address: str, level: float, now: float) -> None:
        key = network(address)
        self._levels[key] = (level, now)
        self._levels.move_to_end(key)
        if len(self._levels) > MOST_ADDRESSES:
            self._levels.popitem(last=False)


def network(address: str) -> str:
    """Whose address it is: itself, or its /64 for IPv6, since one customer is given all of that."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
