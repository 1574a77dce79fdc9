"""Results on their way out: the region's outbox → bus (QoS 1) → a coordinator applies once → ack → the outbox is trimmed.

Whichever process holds the `relay` lease does it. A result stays in the outbox until a coordinator has said that it was
applied, and is published again after `AGAIN_MS`; the coordinator applies each match once, so repeating is harmless.
"""

import asyncio
from typing import Final

import msgspec

from gameedge.bus import topics
from gameedge.bus.base import Bus
from gameedge.bus.payloads import Acks, Codec, ResultEnvelope, encode
from gameedge.core import limits
from gameedge.core.errors import RefusedError
from gameedge.core.ids import EdgeId, RegionId
from gameedge.edge.clock import Clock
from gameedge.state.base import RegionStore, StoredResult
from gameedge.telemetry import logs

AGAIN_MS: Final = 5_000
LOOK_MS: Final = 200
BATCH: Final = 64
LEASE: Final = "relay"
log = logs.get(__name__)


class Relay:
    """`run` publishes, `hear` trims; both are tasks of the process."""

    def __init__(self, store: RegionStore, bus: Bus, region: RegionId, edge: EdgeId, clock: Clock) -> None:
        self._store, self._bus, self._region, self._edge, self._clock = store, bus, region, edge, clock
        self._published: dict[str, float] = {}  # outbox position → when
        self.waiting = 0

    async def run(self) -> None:
        while True:
            try:
                await self._once()
            except RefusedError as error:
                log.debug("relay_waits", detail=error.detail)
            await asyncio.sleep(LOOK_MS / 1000)

    async def _once(self) -> None:
        if await self._store.lease(LEASE, self._edge, limits.LEASE_MS) is None:
            self._published.clear()
            self.waiting = 0
            return
        now = self._clock.monotonic_ms()
        stored = await self._store.outbox_read("", BATCH * 4)
        self.waiting = await self._store.outbox_size() if len(stored) == BATCH * 4 else len(stored)
        there = {entry.at for entry in stored}
        self._published = {at: when for at, when in self._published.items() if at in there}
        for entry in stored:
            if now - self._published.get(entry.at, -AGAIN_MS) >= AGAIN_MS:
                await self._bus.publish(topics.results(self._region), envelope(entry))
                self._published[entry.at] = now

    async def hear(self) -> None:
        """Trim what coordinators acknowledge. Any process may: trimming twice is harmless."""
        codec = Codec(Acks)
        while True:
            async with self._bus.subscribe(topics.acks(self._region)) as messages:
                async for message in messages:
                    if (acks := codec.decode(message.payload)) is None:
                        continue
                    try:
                        await self._store.outbox_ack(acks.at)
                    except RefusedError as error:
                        # Not trimmed: the results are published again and acknowledged again.
                        log.warning("acks_not_stored", detail=error.detail)


def envelope(entry: StoredResult) -> bytes:
    """A `ResultEnvelope` as JSON."""
    return encode(ResultEnvelope(at=entry.at, result=msgspec.msgpack.encode(entry.result)))
