"""Deaths of the region's other processes: noticed on the bus, believed when the store agrees.

A will on the bus, or beats there that stop (`core/routing/health.py`), make a suspect; it is dead when its beats to the store have
stopped as well, and our own have not: a broken broker kills nobody, and who is cut off itself says nothing of others. A process that
leaves says so before its will: what it leaves is taken over all the same, and it is not counted as a death.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from gameedge.bus import topics
from gameedge.bus.payloads import Codec, Presence
from gameedge.core import limits
from gameedge.core.ids import EdgeId, RegionId
from gameedge.core.routing.health import Heart
from gameedge.telemetry import logs

if TYPE_CHECKING:
    from gameedge.edge.app import Edge

GONE_AGE_MS: Final = 180.0  # without a beat to the store, after a last will
HUNG_AGE_MS: Final = 1_000.0  # without one: a process that sleeps may wake
OWN_AGE_MS_MAX: Final = 400.0  # with an older beat of our own we are the ones who are cut off
log = logs.get(__name__)


class Deaths:
    """Owned by `Edge`; reads its parts."""

    def __init__(self, edge: "Edge") -> None:
        self._edge = edge
        self._name = EdgeId(edge.config.edge)
        self._region = RegionId(edge.config.region)
        self._hearts: dict[EdgeId, Heart] = {}
        self._wills: set[EdgeId] = set()
        self._left: set[EdgeId] = set()  # went on purpose, and have not come back
        self.dead: dict[EdgeId, float] = {}  # since when; until their matches are all somebody's

    async def listen(self) -> None:
        """Presence and heartbeats of the region's other processes."""
        codec = Codec(Presence)
        here = (topics.presence(self._region, EdgeId("+")), topics.beat(self._region, EdgeId("+")))
        async with self._edge.bus.subscribe(*here) as messages:
            async for message in messages:
                names = topics.parse_edge(message.topic)
                if names is None or names[0] != self._region or names[1] == self._name:
                    continue
                now_ms = self._edge.clock.monotonic_ms()
                if message.topic.endswith("/beat"):
                    self._beat(names[1], now_ms)
                elif (presence := codec.decode(message.payload)) is not None and presence.online:
                    self._wills.discard(names[1])
                    self._left.discard(names[1])
                elif message.payload and not message.retained and names[1] not in self._left:
                    self._will(names[1], presence is not None and presence.left)

    def _will(self, name: EdgeId, left: bool) -> None:
        for known in (self._wills, self._left) if left else (self._wills,):
            if len(known) < limits.EDGES_PER_REGION_MAX:
                known.add(name)

    def _beat(self, name: EdgeId, now_ms: float) -> None:
        self._left.discard(name)
        heart = self._hearts.get(name)
        if heart is not None:
            heart.beat(now_ms)
            self._wills.discard(name)
            self.dead.pop(name, None)
        elif len(self._hearts) < limits.EDGES_PER_REGION_MAX:
            self._hearts[name] = Heart(now_ms)

    def suspects(self, now_ms: float) -> set[EdgeId]:
        """Who may be dead. While bus and store are fine and everybody beats: nobody."""
        online = self._edge.bus.online
        silent = {name for name, heart in self._hearts.items() if online and heart.suspected(now_ms)}
        return (self._wills | silent) - set(self.dead)

    async def judge(self, suspects: Collection[EdgeId]) -> bool:
        """Whether any of them is dead, by the age of its last beat to the store. Raises UnavailableError."""
        ages = await self._edge.store.edge_ages()
        if ages.get(self._name, 1e9) > OWN_AGE_MS_MAX:
            return False
        now_ms, before = self._edge.clock.monotonic_ms(), len(self.dead)
        for name in suspects:
            age = ages.get(name)
            if age is not None and age < (GONE_AGE_MS if name in self._wills else HUNG_AGE_MS):
                continue
            self._wills.discard(name)
            self._hearts.pop(name, None)
            self.dead[name] = now_ms
            if name in self._left:
                log.info("process_left", name=name)
            else:
                self._edge.metrics.counter("processes_dead_total").add()
                log.warning("process_is_dead", name=name, ms=round(age) if age is not None else -1)
        return len(self.dead) > before
