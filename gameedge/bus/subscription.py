"""What both buses share: topic filters, and the bounded queue between a connection and whoever listens."""

import asyncio
from collections import Counter, deque
from typing import Final

from gameedge.bus.base import BusMessage
from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError

TOPIC_CHARS_MAX: Final = 512


class Subscription:
    """Messages that wait for one listener: at most `limits.BUS_QUEUE_MAX`, then the oldest is dropped and counted."""

    def __init__(self, filters: tuple[str, ...], dropped: Counter[str]) -> None:
        for pattern in filters:
            check_filter(pattern)
        self.filters = filters
        self._dropped = dropped
        self._waiting: deque[BusMessage] = deque()
        self._some = asyncio.Event()
        self._closed = False

    def wants(self, topic: str) -> bool:
        return any(matches(pattern, topic) for pattern in self.filters)

    def put(self, message: BusMessage) -> None:
        if len(self._waiting) >= limits.BUS_QUEUE_MAX:
            self._waiting.popleft()
            self._dropped["slow"] += 1
        self._waiting.append(message)
        self._some.set()

    def close(self) -> None:
        """The listener hears nothing more."""
        self._closed = True
        self._waiting.clear()
        self._some.set()

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> BusMessage:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._some.clear()
            await self._some.wait()
        return self._waiting.popleft()


def matches(pattern: str, topic: str) -> bool:
    """MQTT 3.1.1, section 4.7: `+` is one level, `#` this level and all below; neither opens a topic that begins with `$`."""
    if topic.startswith("$") and pattern[:1] in "+#":
        return False
    wanted, given = pattern.split("/"), topic.split("/")
    for index, level in enumerate(wanted):
        if level == "#":
            return True
        if index >= len(given) or level not in ("+", given[index]):
            return False
    return len(wanted) == len(given)


def check_filter(pattern: str) -> None:
    """Raises RefusedError(MALFORMED)."""
    levels = pattern.split("/")
    wrong = any(("+" in level or "#" in level) and len(level) > 1 for level in levels) or "#" in levels[:-1]
    if not pattern or wrong or len(pattern) > TOPIC_CHARS_MAX or "\0" in pattern:
        raise RefusedError(Reason.MALFORMED, f"topic filter {pattern[:80]!r}")


def check_message(topic: str, payload: bytes) -> None:
    """Raises RefusedError(MALFORMED or TOO_LARGE)."""
    if not topic or len(topic) > TOPIC_CHARS_MAX or any(char in topic for char in "+#\0"):
        raise RefusedError(Reason.MALFORMED, f"topic {topic[:80]!r}")
    if len(payload) > limits.BUS_PAYLOAD_BYTES_MAX:
        raise RefusedError(Reason.TOO_LARGE, f"{len(payload)} bytes on {topic}, at most {limits.BUS_PAYLOAD_BYTES_MAX}")
