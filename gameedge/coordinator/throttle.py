"""Token buckets by address, in a table that cannot grow."""

import ipaddress
from collections import OrderedDict
from typing import Final

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError


class Throttle:
    """At most `per_minute` a minute for each address, as many of them at once. 0: no limit."""

    def __init__(self, per_minute: int, addresses_max: int = limits.ADDRESSES_MAX) -> None:
        self.per_minute = per_minute
        self._max: Final = addresses_max
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()  # tokens left, at which time; quiet ones first

    def take(self, address: str, now_ms: int) -> None:
        """Raises RefusedError(TOO_OFTEN) with the time after which it is worth trying."""
        if self.per_minute <= 0:
            return
        key = network(address)
        left, then = self._buckets.pop(key, (float(self.per_minute), now_ms))
        per_ms = self.per_minute / 60_000
        left = min(float(self.per_minute), left + max(0, now_ms - then) * per_ms)
        allowed = left >= 1.0
        self._buckets[key] = (left - 1.0 if allowed else left, now_ms)
        if len(self._buckets) > self._max:
            self._buckets.popitem(last=False)
        if not allowed:
            wait_ms = int((1.0 - left) / per_ms) + 1
            raise RefusedError(Reason.TOO_OFTEN, f"at most {self.per_minute} a minute", retry_after_ms=wait_ms)

    def __len__(self) -> int:
        return len(self._buckets)


def network(address: str) -> str:
    """An IPv4 address, or the /64 of an IPv6 one: a subscriber has that whole net."""
    try:
        ip = ipaddress.ip_address(address.split("%", 1)[0])
    except ValueError:
        return "?"
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.IPv6Network((ip, 64), strict=False).network_address)
    return str(ip)
