"""The bus on a real broker: MQTT 3.1.1 through aiomqtt.

One task a connection reconnects with growing, jittered pauses, subscribes again, publishes this client's retained state again
(a broker without a disk forgets it) and sorts what arrives into the listeners' queues. `publish` waits for the broker's PUBACK;
where the connection dies meanwhile it fails at once instead of waiting for its timeout.
"""

import asyncio
import contextlib
import random
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiomqtt

from gameedge.bus.base import Bus, BusMessage
from gameedge.bus.retained import Retained
from gameedge.bus.subscription import Subscription, check_message
from gameedge.core import limits
from gameedge.core.errors import UnavailableError
from gameedge.telemetry import logs

KEEPALIVE_S: Final = 5  # the broker publishes our will after 1.5 times this silence
CALL_S: Final = 5.0  # for CONNACK, SUBACK and PUBACK
START_S: Final = 3.0  # a factory waits this long for the broker, then goes on without it
PAUSE_S: Final = (0.05, 2.0)  # before the first and the longest-delayed next attempt
INFLIGHT_MAX: Final = 256  # QoS 1 messages without their PUBACK
REFUSED: Final = 0x80  # in a SUBACK (MQTT 3.1.1, section 3.9.3): the connection lives, and nothing is heard

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Broker:
    """Where it is and who we are to it."""

    host: str
    port: int
    tls: bool = False
    username: str | None = None
    password: str | None = None
    ca: str = ""  # a file of certificates to trust instead of the system's


class MqttFactory:
    """See `base.BusFactory`."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def __call__(self, client_id: str, *, will_topic: str | None = None, will_payload: bytes = b"") -> AbstractAsyncContextManager[Bus]:
        return self._open(client_id, will_topic, will_payload)

    @asynccontextmanager
    async def _open(self, client_id: str, will_topic: str | None, will_payload: bytes) -> AsyncIterator[Bus]:
        if will_topic is not None:
            check_message(will_topic, will_payload)
        will = aiomqtt.Will(will_topic, will_payload, qos=1, retain=True) if will_topic is not None else None
        bus = MqttBus(self._broker, client_id, will)
        # This context owns the task and ends it. No TaskGroup: that would wrap whatever the caller's body raises.
        task = asyncio.create_task(bus.run(), name=f"bus {client_id}")
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(bus.wait_online(), START_S)
            yield bus
        finally:
            await bus.say_goodbye()
            task.cancel()
            await asyncio.wait([task])


class MqttBus:
    """One connection. Made by `MqttFactory`."""

    def __init__(self, broker: Broker, client_id: str, will: aiomqtt.Will | None) -> None:
        self.dropped: Counter[str] = Counter()
        self._broker, self._client_id, self._will = broker, client_id, will
        self._client: aiomqtt.Client | None = None
        self._up = asyncio.Event()
        self._subscriptions: list[Subscription] = []
        self._mine = Retained()
        self._waiting: set[asyncio.Timeout] = set()  # calls that wait for the broker's answer

    @property
    def online(self) -> bool:
        return self._client is not None

    async def wait_online(self) -> None:
        await self._up.wait()

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> None:
        """See `base.Bus.publish`. Over `limits.BUS_QUEUE_MAX` waiting calls: UnavailableError."""
        check_message(topic, payload)
        client = self._client
        if client is None:
            raise UnavailableError("the broker cannot be reached")
        if len(self._waiting) >= limits.BUS_QUEUE_MAX:
            self.dropped["full"] += 1
            raise UnavailableError(f"{len(self._waiting)} messages wait for the broker")
        async with self._answer():
            await client.publish(topic, payload, qos=qos, retain=retain)
        if retain:
            self._mine.note(topic, payload)

    @asynccontextmanager
    async def subscribe(self, *filters: str) -> AsyncIterator[AsyncIterator[BusMessage]]:
        """See `base.Bus.subscribe`. Where the broker is away the subscription begins when it is back."""
        subscription = Subscription(filters, self.dropped)
        self._subscriptions.append(subscription)
        again: asyncio.Task[None] | None = None
        try:
            if self._client is not None and not await self._subscribed(self._client, filters):
                again = asyncio.create_task(self._subscribe_again(filters), name=f"bus {self._client_id} subscribe")
            yield subscription
        finally:
            if again is not None:
                again.cancel()
                await asyncio.wait([again])
            self._subscriptions.remove(subscription)
            subscription.close()
            await self._unsubscribe(filters)

    async def run(self) -> None:
        """Connect again and again, until cancelled."""
        failures = 0
        while True:
            try:
                async with self._connection() as client:
                    await self._restore(client)
                    self._client = client
                    self._up.set()
                    log.info("broker_connected", url=f"{self._broker.host}:{self._broker.port}")
                    failures = 0
                    async for message in client.messages:
                        self._hear(message)
            except (aiomqtt.MqttError, UnavailableError, OSError) as error:
                if failures == 0:  # once an outage
                    log.warning("broker_away", url=f"{self._broker.host}:{self._broker.port}", error=str(error))
            except Exception as error:  # ours or the library's: the control plane must come back all the same
                log.fault("bus_failed", error)
            finally:
                self._lost()
            await asyncio.sleep(min(PAUSE_S[0] * 2**failures, PAUSE_S[1]) * random.uniform(0.5, 1.5))
            failures = min(failures + 1, 16)

    async def say_goodbye(self) -> None:
        """To the others, a stop and a crash look alike: publish the will ourselves, since a clean end drops it."""
        if self._will is not None and self._client is not None:
            with contextlib.suppress(UnavailableError):
                async with self._answer():
                    await self._client.publish(self._will.topic, self._will.payload, qos=1, retain=True)

    def _connection(self) -> aiomqtt.Client:
        client = aiomqtt.Client(
            self._broker.host,
            self._broker.port,
            username=self._broker.username,
            password=self._broker.password,
            identifier=self._client_id,
            will=self._will,
            protocol=aiomqtt.ProtocolVersion.V311,
            clean_session=True,  # what was missed is in retained state and in outboxes
            timeout=CALL_S,
            keepalive=KEEPALIVE_S,
            max_queued_incoming_messages=limits.BUS_QUEUE_MAX,
            max_queued_outgoing_messages=limits.BUS_QUEUE_MAX,
            max_inflight_messages=INFLIGHT_MAX,
            tls_context=ssl.create_default_context(cafile=self._broker.ca or None) if self._broker.tls else None,
        )
        client.pending_calls_threshold = limits.BUS_QUEUE_MAX  # our own bound says when there are too many
        return client

    async def _restore(self, client: aiomqtt.Client) -> None:
        """Subscriptions first, so that this client, too, hears its own state again."""
        done: set[str] = set()
        published = False
        async with self._answer():
            while (missing := self._filters() - done) or not published:  # some may begin while we wait
                for pattern in sorted(missing):
                    await _ask_for(client, pattern)
                done |= missing
                if not published:
                    for topic, payload in self._mine:
                        await client.publish(topic, payload, qos=1, retain=True)
                    published = True

    def _filters(self) -> set[str]:
        return {pattern for subscription in self._subscriptions for pattern in subscription.filters}

    def _lost(self) -> None:
        self._client = None
        self._up.clear()
        for waiting in self._waiting:
            if not waiting.expired():
                waiting.reschedule(0)

    def _hear(self, message: aiomqtt.Message) -> None:
        payload = message.payload
        if not isinstance(payload, bytes) or len(payload) > limits.BUS_PAYLOAD_BYTES_MAX:
            self.dropped["too_large"] += 1
            return
        heard = BusMessage(str(message.topic), payload, retained=message.retain)
        for subscription in self._subscriptions:
            if subscription.wants(heard.topic):
                subscription.put(heard)

    async def _subscribed(self, client: aiomqtt.Client, filters: tuple[str, ...]) -> bool:
        """Whether the broker said yes in time; where it is gone, the next connection subscribes."""
        try:
            async with self._answer():
                for pattern in filters:
                    await _ask_for(client, pattern)
        except UnavailableError:
            return self._client is not client
        return True

    async def _subscribe_again(self, filters: tuple[str, ...]) -> None:
        """A connection that lives but was too slow to say yes (a broker, or we, had no time): ask until it does."""
        while (client := self._client) is not None and not await self._subscribed(client, filters):
            await asyncio.sleep(PAUSE_S[1])

    async def _unsubscribe(self, filters: tuple[str, ...]) -> None:
        """Best effort: what still arrives finds no listener."""
        for pattern in filters:
            if self._client is not None and pattern not in self._filters():
                with contextlib.suppress(UnavailableError):
                    async with self._answer():
                        await self._client.unsubscribe(pattern)

    @asynccontextmanager
    async def _answer(self) -> AsyncIterator[None]:
        """Around calls to the broker: what fails is UnavailableError, after CALL_S at the latest, at once when it is lost."""
        try:
            async with asyncio.timeout(CALL_S) as timeout:
                self._waiting.add(timeout)
                try:
                    yield
                finally:
                    self._waiting.discard(timeout)
        except TimeoutError as error:
            raise UnavailableError("the broker did not answer") from error
        except (aiomqtt.MqttError, OSError, ValueError) as error:
            raise UnavailableError(f"the broker did not take it: {error}") from error


async def _ask_for(client: aiomqtt.Client, pattern: str) -> None:
    """Subscribe. A broker whose access rules forbid that says so and goes on: without a line in the log we would be deaf and not know."""
    for code in await client.subscribe(pattern, qos=1):
        if (code if isinstance(code, int) else code.value) >= REFUSED:
            log.error("subscription_refused", topic=pattern, detail="the broker's access rules do not let this user read it")
