"""The bus in memory: what a broker does to several clients of one process, without sockets, threads or a clock.

For one process alone (`memory://`) and for tests, which can break it: `down()` and `up()` are a broker's crash and restart
(retained messages are lost, as in a broker without a disk), `cut()` is a client's socket dying, and `faults` loses
acknowledgements and delivers twice, as QoS 1 may.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from gameedge.bus.base import Bus, BusMessage
from gameedge.bus.retained import Retained
from gameedge.bus.subscription import Subscription, check_message
from gameedge.core.errors import UnavailableError


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares (0 to 1) of QoS 1 publishes that go wrong, drawn from `rng`."""

    rng: random.Random
    duplicate: float = 0.0  # subscribers hear it twice
    lost_ack: float = 0.0  # it arrives, but the publisher sees UnavailableError
    lost: float = 0.0  # it does not arrive, and the publisher sees UnavailableError


class MemoryBroker:
    """A broker. Use `factory` as the BusFactory of its clients."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults
        self.is_up = True
        self.retained: dict[str, bytes] = {}
        self.clients: set[MemoryBus] = set()

    def factory(self, client_id: str, *, will_topic: str | None = None, will_payload: bytes = b"") -> AbstractAsyncContextManager[Bus]:
        """The BusFactory of this broker."""
        return self._client(client_id, will_topic, will_payload)

    @asynccontextmanager
    async def _client(self, client_id: str, will_topic: str | None, will_payload: bytes) -> AsyncIterator[Bus]:
        for other in [client for client in self.clients if client.client_id == client_id]:
            self._leave(other)  # as MQTT does: the newer connection of the same name replaces the older
        client = MemoryBus(self, client_id, will_topic, will_payload)
        self.clients.add(client)
        try:
            yield client
        finally:
            if client in self.clients:
                self._leave(client)

    def down(self) -> None:
        """The broker is killed: nobody hears a will, and what was retained is gone."""
        self.is_up = False
        self.retained.clear()

    def up(self) -> None:
        """The broker is back; its clients reconnect, as by themselves."""
        self.is_up = True
        for client in list(self.clients):
            client._restore()

    def cut(self, client_id: str) -> None:
        """The client's socket dies: its will is published, then it reconnects."""
        for client in [client for client in self.clients if client.client_id == client_id]:
            self._will(client)
            client._restore()

    def _leave(self, client: "MemoryBus") -> None:
        self.clients.discard(client)
        client._gone = True
        self._will(client)

    def _will(self, client: "MemoryBus") -> None:
        if client.will_topic is not None and self.is_up:
            self.deliver(client.will_topic, client.will_payload, retain=True)

    def deliver(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """To everyone who wants it."""
        if retain:
            self.retained.pop(topic, None)
            if payload:
                self.retained[topic] = payload
        for client in list(self.clients):
            client._hear(BusMessage(topic, payload, retained=False))


class MemoryBus:
    """One client of a MemoryBroker."""

    def __init__(self, broker: MemoryBroker, client_id: str, will_topic: str | None, will_payload: bytes) -> None:
        if will_topic is not None:
            check_message(will_topic, will_payload)
        self.client_id, self.will_topic, self.will_payload = client_id, will_topic, will_payload
        self.dropped: Counter[str] = Counter()
        self._broker = broker
        self._subscriptions: list[Subscription] = []
        self._mine = Retained()
        self._gone = False

    @property
    def online(self) -> bool:
        return self._broker.is_up and not self._gone

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> None:
        """See `base.Bus.publish`."""
        check_message(topic, payload)
        await asyncio.sleep(0)  # others run meanwhile, as they would with a socket
        if not self.online:
            raise UnavailableError("the broker cannot be reached")
        faults = self._broker.faults if qos else None
        draw = faults.rng.random() if faults else 1.0
        if faults and draw < faults.lost:
            raise UnavailableError("the broker did not answer")
        self._broker.deliver(topic, payload, retain=retain)
        if faults and draw < faults.lost + faults.duplicate:
            self._broker.deliver(topic, payload, retain=retain)
        if faults and draw > 1.0 - faults.lost_ack:
            raise UnavailableError("the broker did not answer")
        if retain:
            self._mine.note(topic, payload)

    @asynccontextmanager
    async def subscribe(self, *filters: str) -> AsyncIterator[AsyncIterator[BusMessage]]:
        """See `base.Bus.subscribe`."""
        subscription = Subscription(filters, self.dropped)
        self._subscriptions.append(subscription)
        self._replay(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.remove(subscription)
            subscription.close()

    def _hear(self, message: BusMessage) -> None:
        for subscription in self._subscriptions:
            if subscription.wants(message.topic):
                subscription.put(message)

    def _restore(self) -> None:
        for subscription in self._subscriptions:
            self._replay(subscription)
        for topic, payload in self._mine:
            self._broker.deliver(topic, payload, retain=True)

    def _replay(self, subscription: Subscription) -> None:
        if self.online:
            for topic, payload in self._broker.retained.items():
                if subscription.wants(topic):
                    subscription.put(BusMessage(topic, payload, retained=True))
