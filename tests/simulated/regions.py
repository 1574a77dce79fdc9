"""Regions that exchange tickets, on a virtual clock, with everything failing: the bus loses and repeats questions and answers, stores go
away, processes and coordinators are killed, clients drop out, come late, change their minds or never go. A failure prints its seed.

What must hold at every moment (`World.look`):
- a ticket is in the pool, granted, or neither: never two of them, and never in the pool while its player sits in the match elsewhere;
- nobody is in two seats that are open to them.
And in the end (`World.settle`): no ticket and no grant is left anywhere, every ticket's player heard how it ended, results count once.
"""

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import replace

from gameedge.arena import Arena
from gameedge.bus.memory import MemoryBroker
from gameedge.config import CoordinatorConfig, EdgeConfig
from gameedge.coordinator.app import _hear
from gameedge.coordinator.registry import Registry
from gameedge.coordinator.results import Results
from gameedge.coordinator.services import Services
from gameedge.coordinator.tokens import Signer
from gameedge.coordinator.verdicts import Verdicts
from gameedge.core.ids import PlayerId, RegionId
from gameedge.core.protocol.client_session import ClientSession
from gameedge.core.protocol.messages import (
    Cancel,
    Dequeued,
    Join,
    MatchAway,
    MatchEnded,
    MatchFound,
    MatchLost,
    MatchStarted,
    MatchWithdrawn,
    Queue,
    Queued,
    QueueStatus,
    Refused,
    Welcome,
)
from gameedge.edge.app import Edge
from gameedge.edge.reports import Reports
from gameedge.edge.serve import load_game
from gameedge.state.base_global import Account
from gameedge.state.memory import MemoryRegionStore
from gameedge.state.memory_global import MemoryGlobalStore
from gameedge.telemetry.metrics import coordinator_registry

from .process import SimEdgeProcess, SimProcess
from .virtual import VirtualClock, VirtualLoop
from .wire import LinkQuality, Wire

GAME = "tests.simulated.regions:Unhurried"
REGIONS = (RegionId("eu"), RegionId("us"), RegionId("ap"))
RTT_MS = {
    "eu": {"eu": 20.0, "us": 90.0, "ap": 160.0},
    "us": {"eu": 95.0, "us": 20.0, "ap": 120.0},
    "ap": {"eu": 165.0, "us": 125.0, "ap": 20.0},
}
RULES = """
version = 1
[modes.duel]
[modes.duel.skill]
window = inf
[modes.duel.latency]
limit_ms = 500
share = { after_ms = 300, thin = 10 }
"""


class Unhurried(Arena):
    """Matches that still run when somebody comes too late."""

    def __init__(self, *, matches_max: int = 16, entities_max: int = 128, demo: bool = False) -> None:
        super().__init__(matches_max=matches_max, entities_max=entities_max, demo=demo)
        modes = {name: replace(mode, duration_ms=12_000) for name, mode in self._spec.modes.items()}
        self._spec = replace(self._spec, modes=modes)
        self._modes = tuple(modes.values())


class SimEdge(SimEdgeProcess):
    """One process of a region."""

    def __init__(self, world: "World", region: RegionId, name: str) -> None:
        super().__init__(name, f"ws://{region}.sim/{name}")
        self.world, self.region = world, region

    async def _live(self) -> None:
        world = self.world
        config = EdgeConfig(
            region=self.region,
            edge=self.name,
            redis="memory://",
            bus="memory://",
            token_keys=[world.signer.public_text],
            public_url=self.url,
            game=GAME,
            npc_model="",
            demo=True,
            connections_max=64,
            matches_max=16,
            entities_max=128,
            fill_ms=0,
            match_rules=world.rules,
            exchange=True,
            ping_regions=False,
        )
        async with Reports.connect(world.broker.factory, config) as bus:
            edge = Edge(config, world.stores[self.region], bus, load_game(config), clock=VirtualClock(world.loop), draw=world.rng.randbytes)
            edge.seating.url = self.url
            edge.reports.addresses(self.url, "", "sim")
            self.edge = edge
            await edge.run()


class SimCoordinator(SimProcess):
    """`deaf`: it hears no other coordinator, so both propose."""

    def __init__(self, world: "World", name: str, *, deaf: bool) -> None:
        super().__init__(name)
        self.world, self.deaf = world, deaf
        self.services: Services | None = None

    async def _live(self) -> None:
        world = self.world
        async with world.broker.factory(self.name) as bus:
            metrics, now_ms = world.metrics, VirtualClock(world.loop).unix_ms
            services = self.services = Services(
                config=CoordinatorConfig(redis="memory://", bus="memory://"),
                store=world.global_store,
                bus=bus,
                signer=world.signer,
                metrics=metrics,
                registry=Registry(),
                results=Results(world.global_store, bus, metrics, now_ms),
                verdicts=Verdicts(metrics),
                now_ms=now_ms,
                draw=world.rng.random,
                name=self.name,
            )
            services.exchange.warmed = True
            if self.deaf:
                services.exchange._others = _Deaf()
            async with asyncio.TaskGroup() as group:
                for job in (_hear(services, bus), services.asking.run(), services.exchange.run(), self._note(services)):
                    group.create_task(job)
                group.create_task(services.results.run_apply())
                group.create_task(services.results.run_acks())

    async def _note(self, services: Services) -> None:
        while True:
            services.registry.note_bus(services.bus.online, services.now_ms())
            await asyncio.sleep(0.5)


class _Deaf(dict[str, int]):
    def __setitem__(self, key: str, value: int) -> None:
        pass


class SimPlayer:
    """A client with a home, that goes where it is sent or does something else."""

    def __init__(self, world: "World", index: int, home: RegionId) -> None:
        self.world, self.home, self.id = world, home, PlayerId(f"p_{index}")
        self.rng = random.Random(f"{world.seed}-{index}")
        self.account = Account(player=self.id, secret_hash="", name=f"n{index}", created_ms=0)
        self.session = self.fresh()
        self.away: tuple[ClientSession, MatchAway, float] | None = None  # on the way, until
        self.region = home
        self.url: str | None = None
        self.waiting: str | None = None  # its ticket
        self.asked = self.playing = False
        self.ends: dict[str, str] = {}  # ticket -> how it ended
        self.started: list[str] = []
        self.sent = self.returned = 0
        self._closed = asyncio.Event()
        self.wire: Wire | None = None

    def fresh(self) -> ClientSession:
        clock = VirtualClock(self.world.loop)
        token, _ = self.world.signer.session_token(self.account, self.home, {}, clock.unix_ms(), 3_600_000, rtt_ms=RTT_MS[self.home])
        self.region, self.url, self.waiting, self.asked, self.playing = self.home, None, None, False, False
        return ClientSession(token)

    @property
    def core(self) -> ClientSession:
        return self.away[0] if self.away is not None else self.session

    async def live(self) -> None:
        while True:
            await asyncio.sleep(0.05 + self.rng.random() * 0.4)
            if self.away is not None and self.world.loop.now > self.away[2]:
                self._come_back()
            edges = [e for e in self.world.edges if e.edge is not None and e.region == self.region]
            wanted = [e for e in edges if e.url == self.url] or edges
            if wanted:
                await self._connection(self.rng.choice(wanted))
            elif self.away is not None:
                self._come_back()

    def _come_back(self) -> None:
        self.away, self.region, self.url = None, self.home, None
        self.returned += 1

    async def _connection(self, edge: SimEdge) -> None:
        loop, self._closed, core = self.world.loop, asyncio.Event(), self.core
        wire = Wire(loop, self.rng, LinkQuality(), lambda data, binary: self._data(core, data, binary), lambda code: self._gone(wire, code))
        if not edge.connect(wire):
            return
        self.wire, self.url = wire, edge.url
        wire.text(core.hello(loop.now * 1000))
        cut_at = loop.now + self.rng.expovariate(1 / self.world.cut_every_s) if self.world.cut_every_s else float("inf")
        while not self._closed.is_set():
            core.poll(loop.now * 1000)
            for data in core.outgoing():
                wire.text(data)
            late = self.away is not None and loop.now > self.away[2]
            if core.closing is not None or loop.now >= cut_at or core is not self.core or late:
                wire.cut(1000)
            if self.waiting is not None and (self.rng.random() < self.world.cancel_share or self.world.closing):
                core.send(Cancel())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), 0.1)
        core.detach()

    def _gone(self, wire: Wire, code: int) -> None:
        if wire is self.wire:
            self.wire = None
            if code >= 4000 and self.away is None:  # the server has had enough of us: begin anew
                self._end("session", self.waiting)
                self.session = self.fresh()
            elif code >= 4000:
                self._come_back()
            self._closed.set()

    def _data(self, core: ClientSession, data: bytes, binary: bool) -> None:
        if binary or core is not self.core:
            return
        for message in core.receive_text(data, self.world.loop.now * 1000):
            self._message(message)

    def _end(self, how: str, ticket: str | None) -> None:
        if ticket is not None:
            self.ends.setdefault(ticket, how)
        if ticket == self.waiting:
            self.waiting, self.asked = None, False

    def _message(self, message: object) -> None:
        match message:
            case Welcome():
                if self.away is not None:
                    away = self.away[1]
                    self.session, self.away, self.playing = self.away[0], None, True
                    self._end("away", away.ticket)
                    self.session.send(Join(match=away.match, match_token=away.match_token))
                elif not message.resumed and not self.playing:
                    self._end("session", self.waiting)
                    self._ask()
            case Queued():
                self.waiting = message.ticket
                self.ends.pop(message.ticket, None)
            case QueueStatus():  # `queued` may have died with the process that said it
                self.waiting, self.asked = message.ticket, True
            case Dequeued():
                self._end(str(message.reason), message.ticket)
                self._ask()
            case MatchWithdrawn():
                assert self.waiting == message.ticket
            case MatchFound():
                self._end("found", message.ticket)
                self.playing = True
                if message.url == self.url:
                    self.session.send(Join(match=message.match, match_token=message.match_token))
                elif self.wire is not None:
                    self.url = message.url
                    for data in self.session.outgoing():
                        self.wire.text(data)
                    self.wire.cut(1000)
            case MatchAway():
                self.sent += 1
                self._travel(message)
            case MatchStarted():
                self.started.append(message.match)
            case MatchEnded() | MatchLost():
                self._over()
            case Refused() if message.re == "join":
                self._over()
            case Refused() if message.re == "queue":
                self.asked = False
                self.world.loop.call_later(1.0, self._ask)

    def _travel(self, message: MatchAway) -> None:
        mood = self.rng.random()
        if mood < 0.15:
            return  # it does not want to: it stays, and must be taken back
        pause_s = self.rng.random() * 16 if mood < 0.4 else 0.0  # it is slow, perhaps too slow
        self.world.loop.call_later(pause_s, self._go, message)

    def _go(self, message: MatchAway) -> None:
        if self.waiting == message.ticket and self.away is None and self.region == self.home:
            self.away = (ClientSession(message.token), message, self.world.loop.now + 10.0)
            self.region, self.url = RegionId(message.region), message.urls[0]

    def _over(self) -> None:
        self.playing = False
        if self.region != self.home:
            self.world.loop.call_soon(self._go_home)
        else:
            self._ask()

    def _go_home(self) -> None:
        self.session.bye()
        if self.wire is not None:
            self.wire.cut(1000)
        self.session = self.fresh()

    def _ask(self) -> None:
        if not self.asked and not self.playing and self.waiting is None and not self.world.closing:
            self.asked = True
            self.session.send(Queue(mode="duel", away=self.rng.random() < 0.95))


class World:
    def __init__(self, loop: VirtualLoop, seed: int, rules: str, *, players: int, per_region: int = 1, coordinators: int = 1) -> None:
        self.loop, self.seed, self.rules = loop, seed, rules
        self.rng = random.Random(seed)
        self.clock = VirtualClock(loop)
        self.broker = MemoryBroker()
        self.stores = {region: MemoryRegionStore(clock_ms=self.clock.monotonic_ms) for region in REGIONS}
        self.global_store = MemoryGlobalStore(clock_ms=self.clock.monotonic_ms)
        self.signer = Signer(self.rng.randbytes(32))
        self.metrics = coordinator_registry()
        self.closing = False
        self.cut_every_s: float | None = None
        self.cancel_share = 0.0
        self.edges = [SimEdge(self, region, f"e{n}") for region in REGIONS for n in range(per_region)]
        self.coordinators = [SimCoordinator(self, f"c{n}", deaf=coordinators > 1) for n in range(coordinators)]
        self.players = [SimPlayer(self, n, REGIONS[n % len(REGIONS)]) for n in range(players)]
        self.looks = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "World":
        for player in self.players:
            await self.global_store.account_add(player.account)
        for part in (*self.edges, *self.coordinators):
            part.start()
        await asyncio.sleep(1.5)
        self._tasks = [asyncio.create_task(player.live(), name=player.id) for player in self.players]
        self._tasks.append(asyncio.create_task(self._watch(), name="watch"))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for part in (*self.coordinators, *(edge for edge in self.edges if edge.edge is not None)):
            await part.kill()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(0.05)

    def look(self) -> None:
        """The invariants of a moment; nothing awaits here."""
        self.looks += 1
        pooled: Counter[str] = Counter()
        grants: Counter[str] = Counter()
        for store in self.stores.values():
            pool = store._pools.get("duel")
            if pool is not None:
                pooled.update(pool.tickets.keys())
                grants.update(record.tickets[0].id for record in pool.matches.values() if record.away)
        at = f"seed {self.seed} at {self.loop.now:.2f} s"
        assert max(grants.values(), default=0) <= 1, f"{at}: a ticket is granted twice"
        assert not pooled.keys() & grants.keys(), f"{at}: a ticket is in the pool and granted"
        seated: Counter[str] = Counter()
        for each in self.edges:
            for match in each.edge.host if each.edge is not None else ():
                assert not (each.edge is not None and match.id in each.edge.recorder)
                for seat in match.seats:
                    if seat.ticket is not None and seat.joined:
                        assert seat.ticket.id not in pooled, f"{at}: {seat.ticket.player} plays, and its ticket waits"
                        seated[seat.ticket.id] += 1
        assert max(seated.values(), default=0) <= 1, f"{at}: a ticket has taken two seats"

    async def settle(self) -> None:
        """Nobody queues any more and all leave the queue; then nothing may be left."""
        self.closing, self.cut_every_s, self.broker.faults = True, None, None
        for store in self.stores.values():
            store.available = True
        await asyncio.sleep(55)
        at = f"seed {self.seed}"
        for task in self._tasks:
            if task.done():
                task.result()
        for region, store in self.stores.items():
            assert await store.tickets("duel") == [], (at, region, "tickets are left")
            assert await store.matches("duel") == [], (at, region, "matches or grants are left")
            assert await store.outbox_size() == 0, (at, region, "results are left")
        for edge in self.edges:
            assert edge.edge is None or len(edge.edge.crossings) == 0, (at, edge.url)
        for player in self.players:
            assert player.waiting is None, (at, player.id, "nobody told it how its ticket ended", player.waiting)

    def total(self, how: str) -> float:
        return sum(edge.edge.metrics.value("crossings_total", mode="duel", how=how) for edge in self.edges if edge.edge is not None)
