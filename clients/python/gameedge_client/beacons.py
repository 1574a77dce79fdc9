"""Measuring regions: WebSocket pings to their beacons, on connections that say no hello.

All regions are pinged at the same time, each on one connection, a ping every SPACING_S or with the pong before it. Packets behind a lost
one wait for it, so that a whole burst may be late: where that took longer than opening the connection lets expect, it is pinged again,
one by one. A region that the first pings cannot tell from the best goes on with its
second look at once (`gameedge.core.routing.probing`). A far region takes as many of its own, long round trips to say that it is far:
each region gets the time that the best one's first look took, a third more, and PATIENCE_S, enough for a packet that was lost; then
nobody waits for it any more, as long as there is one region to fall back to.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from gameedge.core.protocol import SUBPROTOCOL
from gameedge.core.routing.probing import AGAIN_SAMPLES, FIRST_SAMPLES, WITHIN_SHARE, contenders, near_ms
from gameedge_client.dial import Dial, dialled

SAMPLES: Final = FIRST_SAMPLES
TIMEOUT_S: Final = 3.0  # of one beacon, connecting included
AT_ONCE: Final = 16  # beacons measured at the same time: more would measure each other
PATIENCE_S: Final = 0.25  # longer than the best region's first look, for who is not done: what TCP takes to send a lost packet again
SPACING_S: Final = 0.02  # between pings of a burst
ENOUGH: Final = 2  # regions with a sample: the best, and one to fall back to

_ending: set[asyncio.Task[None]] = set()  # connections that are closing: nobody waits for that


async def open_socket(url: str, dial: Dial | None, *, timeout_s: float, size_max: int = 65_536) -> ClientConnection:
    """A WebSocket with the settings that all connections of this SDK have. Raises OSError (whatever form `url`, a server's word, has),
    TimeoutError, WebSocketException."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "wss" else 80)
        host.encode("idna")
    except ValueError as error:  # a port, an IPv6 address or a name that is none
        raise OSError(f"{url!r} is no address: {error}") from error
    if parts.scheme not in ("ws", "wss") or not host:
        raise OSError(f"{url!r} is not a ws:// or wss:// URL")
    host, port = await dialled(dial, host, port)
    return await connect(
        url,
        host=host,
        port=port,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        compression=None,
        proxy=None,
        ping_interval=None,  # the session has its own heartbeat
        open_timeout=timeout_s,
        close_timeout=2,
        max_size=size_max,
    )


def _close_soon(socket: ClientConnection) -> None:
    """Say goodbye without waiting a round trip for the answer."""
    task = asyncio.create_task(socket.close(), name="beacon goodbye")
    _ending.add(task)
    task.add_done_callback(_ending.discard)


async def _burst(socket: ClientConnection, samples: int) -> list[float]:
    """Round trips in ms."""
    pongs = []
    for _ in range(samples):
        pongs.append(asyncio.ensure_future(await socket.ping()))
        await asyncio.wait(pongs[-1:], timeout=SPACING_S)
    return [await pong * 1000.0 for pong in pongs]


async def ping_beacon(url: str, *, dial: Dial | None = None, samples: int = SAMPLES) -> list[float]:
    """Round trips in ms; fewer than `samples`, or none, where the beacon did not answer in time."""
    measured: list[float] = []
    try:
        async with asyncio.timeout(TIMEOUT_S):
            socket = await open_socket(url, dial, timeout_s=TIMEOUT_S)
            try:
                for _ in range(samples):
                    measured += await _burst(socket, 1)
            finally:
                _close_soon(socket)
    except (OSError, TimeoutError, WebSocketException):
        pass  # a region that cannot be reached is a region without samples
    return measured


class _Looks:
    """What is known while regions are being measured."""

    def __init__(self, regions: Mapping[str, Sequence[str]], dial: Dial | None) -> None:
        self.samples: dict[str, list[float]] = {name: [] for name in regions}
        self._looking = set(regions)  # whose first look is not over
        self._began_s: dict[str, float] = {}
        self._took_s: float | None = None  # the quickest first look
        self._regions, self._dial = regions, dial
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._news = asyncio.Event()

    def near(self, name: str) -> bool:
        """Whether it may be the best, as far as is known."""
        mine = self.samples[name]
        best = min((min(measured) for measured in self.samples.values() if measured), default=0.0)
        return bool(mine) and min(mine) <= near_ms(best)

    def _again(self, name: str) -> bool:
        """Whether it is worth a second look: it is near, and another is, or may be for all that is known."""
        return name in contenders(self.samples) or (self.near(name) and bool(self._looking - {name}))

    async def measure(self, name: str) -> None:
        """One region, by the first of its beacons that answers."""
        try:
            for beacon in list(self._regions[name])[:2]:
                try:
                    async with asyncio.timeout(TIMEOUT_S):
                        await self._beacon(name, beacon)
                except (OSError, ValueError, TimeoutError, WebSocketException):
                    pass  # a region that cannot be reached is a region without samples
                if self.samples[name]:
                    return
        finally:
            self._looking.discard(name)
            self._news.set()

    async def _beacon(self, name: str, url: str) -> None:
        mine = self.samples[name]
        async with self._gate:
            began_s = self._began_s[name] = time.perf_counter()
            self._news.set()
            socket = await open_socket(url, self._dial, timeout_s=TIMEOUT_S)
            opened_ms = (time.perf_counter() - began_s) * 1000.0
            try:
                mine += await _burst(socket, FIRST_SAMPLES)
                while min(mine) > near_ms(opened_ms / 2.0) and len(mine) < 2 * FIRST_SAMPLES:  # opening takes two round trips or more
                    mine += await _burst(socket, 1)
                self._looking.discard(name)
                took_s = time.perf_counter() - began_s
                self._took_s = took_s if self._took_s is None else min(self._took_s, took_s)
                self._news.set()
                if self._again(name):
                    mine += await _burst(socket, AGAIN_SAMPLES)
            finally:
                _close_soon(socket)

    async def enough(self) -> None:
        """Until the rest would only cost time: see the head of this file."""
        while True:
            left_s = self._left_s()
            if left_s == 0.0 and sum(bool(measured) for measured in self.samples.values()) >= ENOUGH:
                return
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s or None):
                    await self._news.wait()

    def _left_s(self) -> float | None:
        """Until nobody's first look is worth waiting for; None: that cannot be said yet."""
        if self._took_s is None or any(name not in self._began_s for name in self._looking):
            return None
        allowed_s = self._took_s * (1.0 + WITHIN_SHARE) + PATIENCE_S
        now_s = time.perf_counter()
        return max([0.0, *(self._began_s[name] + allowed_s - now_s for name in self._looking)])


async def ping_regions(regions: Mapping[str, Sequence[str]], *, dial: Dial | None = None) -> dict[str, list[float]]:
    """Region → samples in ms. Regions that did not answer, or are so far that nobody waited for them, are left out."""
    looks = _Looks(regions, dial)
    tasks = {asyncio.create_task(looks.measure(name), name=f"beacon {name}"): name for name in regions}
    enough = asyncio.create_task(looks.enough(), name="beacons enough")
    every = asyncio.gather(*tasks)
    either: list[asyncio.Future[Any]] = [every, enough]
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if still := [task for task, name in tasks.items() if not task.done() and looks.near(name)]:
            await asyncio.wait(still)
    finally:
        for task in (*tasks, enough):
            task.cancel()
        await asyncio.gather(every, *tasks, enough, return_exceptions=True)
    return {name: measured for name, measured in looks.samples.items() if measured}
