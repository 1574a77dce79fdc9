"""What the bus offers. Two implementations pass one contract suite: `memory.py` and `mqtt.py`.

QoS 1 semantics: a publish returns once the broker has it; subscribers may hear it more than once and must not mind. Retained
messages are state: a new subscriber hears the last one at once. Queues are bounded; while the broker is away `publish` raises
UnavailableError, subscriptions come back by themselves, and `online` says which it is.
"""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol


class BusMessage(NamedTuple):
    topic: str
    payload: bytes
    retained: bool


class Bus(Protocol):
    dropped: Counter[str]
    """Messages that nobody will hear, by reason: slow (a listener's queue was full), too_large, full (too many waited)."""

    @property
    def online(self) -> bool: ...

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> None:
        """Raises UnavailableError while there is no broker, RefusedError(TOO_LARGE) over limits.BUS_PAYLOAD_BYTES_MAX.

        What this client retained is published again by itself when a broker comes back, so state survives its restart. After
        UnavailableError the message may have arrived all the same; it is then not among what is published again."""
        ...

    def subscribe(self, *filters: str) -> AbstractAsyncContextManager[AsyncIterator[BusMessage]]:
        """Messages of MQTT topic filters (`+`, `#`) until the context ends. Survives a broker's restart."""
        ...


class BusFactory(Protocol):
    def __call__(self, client_id: str, *, will_topic: str | None = None, will_payload: bytes = b"") -> AbstractAsyncContextManager[Bus]:
        """A connection for the life of the context; the will is retained, published when the connection dies. Leaving the
        context publishes it too: to the others, a stop and a crash look alike."""
        ...
