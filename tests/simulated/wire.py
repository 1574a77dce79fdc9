"""Seeded faulty links in memory: delay, jitter, order kept as TCP does, cuts that lose what is under way."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from gameedge.edge.transports.base import Endpoint


@dataclass(frozen=True)
class LinkQuality:
    delay_ms: float = 30.0
    jitter_ms: float = 10.0
    stall_share: float = 0.01  # of messages: held for a retransmission
    stall_ms: float = 250.0


class Wire:
    """One WebSocket between a simulated client and an edge. The server's end is a `Connection`, the client's are callbacks."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        rng: random.Random,
        quality: LinkQuality,
        on_client_data: Callable[[bytes, bool], None],
        on_client_close: Callable[[int], None],
    ) -> None:
        self._loop, self._rng, self._quality = loop, rng, quality
        self._on_client_data, self._on_client_close = on_client_data, on_client_close
        self._endpoint: Endpoint | None = None
        self._last_down = self._last_up = 0.0
        self.alive = True

    # -- the server's end: a Connection

    remote = "simulated"

    @property
    def is_open(self) -> bool:
        return self.alive

    def send_text(self, data: bytes) -> None:
        copy = bytes(data)
        self._down(lambda: self._on_client_data(copy, False))

    def send_binary(self, data: bytes | bytearray | memoryview) -> None:
        copy = bytes(data)
        self._down(lambda: self._on_client_data(copy, True))

    def send_ping(self, payload: bytes) -> None:
        self._down(lambda: self._up(lambda end: end.on_pong(payload)))

    def buffered(self) -> int:
        return 0

    def close(self, code: int, reason: str) -> None:
        self._down(lambda: self.cut(code))

    def abort(self) -> None:
        self.cut()

    # -- the client's end

    def attach(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def text(self, data: bytes) -> None:
        self._up(lambda end: end.on_text(data))

    def binary(self, data: bytes) -> None:
        self._up(lambda end: end.on_binary(memoryview(data)))

    def cut(self, code: int = 1006) -> None:
        """The connection is gone at both ends; what is under way is lost."""
        if not self.alive:
            return
        self.alive = False
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            self._loop.call_soon(endpoint.on_close, code, "")
        self._loop.call_soon(self._on_client_close, code)

    # -- delays

    def _when(self, last: float) -> float:
        quality, rng = self._quality, self._rng
        delay = quality.delay_ms + rng.random() * quality.jitter_ms
        if rng.random() < quality.stall_share:
            delay += quality.stall_ms
        return max(last + 1e-6, self._loop.time() + delay / 1000.0)

    def _down(self, deliver: Callable[[], None]) -> None:
        if self.alive:
            self._last_down = self._when(self._last_down)
            self._loop.call_at(self._last_down, lambda: deliver() if self.alive else None)

    def _up(self, deliver: Callable[[Endpoint], None]) -> None:
        if self.alive:
            self._last_up = self._when(self._last_up)
            self._loop.call_at(self._last_up, lambda: deliver(self._endpoint) if self._endpoint is not None else None)
