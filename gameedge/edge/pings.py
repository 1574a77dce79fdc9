"""Round trips to other regions, measured as clients measure them: WebSocket pings to a process of theirs, through its players' port.

One region every PAUSE_MS, the one that was measured longest ago, three pings on a connection that says no hello. With twenty
regions of five processes each that is three short connections a second and process at most, from all the others together.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from gameedge.bus import topics
from gameedge.bus.base import Bus
from gameedge.bus.payloads import Codec, Presence
from gameedge.core import limits
from gameedge.core.ids import EdgeId, RegionId
from gameedge.core.protocol import SUBPROTOCOL
from gameedge.edge.clock import Clock

PAUSE_MS: Final = 2_000.0
NEW_PAUSE_MS: Final = 250.0  # while a region was never asked
AGAIN_MS: Final = 60_000.0  # the same region not more often
LIFE_MS: Final = 600_000.0  # an older figure is not told
SAMPLES: Final = 3
TIMEOUT_S: Final = 3.0
FRAME_BYTES_MAX: Final = 4_096
URL_SCHEMES: Final = ("ws://", "wss://")

Ping = Callable[[str], Awaitable[float | None]]
"""The smallest round trip in ms to a URL; None: no answer. Never raises for what the other side does."""


async def ping(url: str) -> float | None:
    """Over a real socket."""
    best: float | None = None
    try:
        async with asyncio.timeout(TIMEOUT_S), _socket(url) as socket:
            for _ in range(SAMPLES):
                began = time.perf_counter()
                await (await socket.ping())
                took_ms = (time.perf_counter() - began) * 1000.0
                best = took_ms if best is None else min(best, took_ms)
    except (OSError, TimeoutError, WebSocketException, ValueError):  # ValueError: no URL
        pass
    return best


@contextlib.asynccontextmanager
async def _socket(url: str) -> AsyncIterator[ClientConnection]:
    async with connect(
        url,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        compression=None,
        proxy=None,
        ping_interval=None,
        open_timeout=TIMEOUT_S,
        close_timeout=1,
        max_size=FRAME_BYTES_MAX,
    ) as socket:
        yield socket


class _Other:
    """A region that is not ours."""

    __slots__ = ("asked_ms", "at_ms", "rtt_ms", "turn", "urls")

    def __init__(self) -> None:
        self.urls: dict[EdgeId, str] = {}
        self.asked_ms = -1e12
        self.at_ms = -1e12
        self.rtt_ms = 0.0
        self.turn = 0


class Pings:
    """Owned by `Edge`. Without `ping` nothing is measured: on a virtual clock there are no sockets."""

    def __init__(self, region: RegionId, bus: Bus, clock: Clock, ping: Ping | None) -> None:
        self._region, self._bus, self._clock, self._ping = region, bus, clock, ping
        self._others: dict[RegionId, _Other] = {}

    async def listen(self) -> None:
        """Where other regions' processes are, by their retained presence."""
        if self._ping is None:
            return
        codec = Codec(Presence)
        async with self._bus.subscribe(topics.ALL_PRESENCE) as messages:
            async for message in messages:
                names = topics.parse_edge(message.topic)
                if names is not None and names[0] != self._region:
                    self._hear(*names, codec.decode(message.payload) if message.payload else None)

    def _hear(self, region: RegionId, edge: EdgeId, presence: Presence | None) -> None:
        other = self._others.get(region)
        if presence is None or not presence.online or not presence.url.startswith(URL_SCHEMES):
            if other is not None:
                other.urls.pop(edge, None)
                if not other.urls:
                    del self._others[region]
            return
        if other is None:
            if len(self._others) >= limits.REGIONS_MAX:
                return
            other = self._others[region] = _Other()
        if edge in other.urls or len(other.urls) < limits.EDGES_PER_REGION_MAX:
            other.urls[edge] = presence.url

    async def run(self) -> None:
        """For the life of the process."""
        if self._ping is None:
            return
        while True:
            new = any(other.asked_ms < 0 for other in self._others.values())
            await asyncio.sleep((NEW_PAUSE_MS if new else PAUSE_MS) / 1000)
            await self.once()

    async def once(self) -> None:
        """Measure the region that was asked longest ago, where that was long enough ago; the next time another process of it."""
        if self._ping is None or not self._others:
            return
        now_ms = self._clock.monotonic_ms()
        other = min(self._others.values(), key=lambda other: other.asked_ms)
        if now_ms - other.asked_ms < AGAIN_MS:
            return
        other.asked_ms = now_ms
        urls = sorted(other.urls.values())
        other.turn += 1
        rtt_ms = await self._ping(urls[other.turn % len(urls)])
        if rtt_ms is not None and rtt_ms > 0:
            other.rtt_ms, other.at_ms = rtt_ms, self._clock.monotonic_ms()

    def figures(self) -> dict[str, float]:
        """Region -> ms, of the last ten minutes."""
        now_ms = self._clock.monotonic_ms()
        return {str(name): round(other.rtt_ms, 3) for name, other in self._others.items() if now_ms - other.at_ms < LIFE_MS}
