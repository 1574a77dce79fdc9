"""A coordinator, a region of several processes and their players on a virtual clock, with seeded faults.

The code that runs is the product's: `Edge`, its stores' and bus's twins in memory, the coordinator's results. Only sockets are
replaced (`wire.py`). `World.check` holds what must be true whatever happened:

- no ticket is given two matches, and no player sits in two matches of one process at once;
- critical messages reach a client once, in order, without a gap (the client session closes with a fault otherwise);
- a result that a player was told reaches the ratings, and no result is applied twice.
"""

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import dataclass, field

from gameedge.bus import topics
from gameedge.bus.memory import MemoryBroker
from gameedge.config import EdgeConfig
from gameedge.coordinator.results import Results
from gameedge.coordinator.tokens import Signer
from gameedge.core.ids import MatchId, PlayerId, RegionId
from gameedge.core.protocol.client_session import ClientSession, ClientState
from gameedge.core.protocol.frames import decode_snapshot, encode_command
from gameedge.core.protocol.messages import (
    Dequeued,
    Join,
    MatchEnded,
    MatchFound,
    MatchLost,
    MatchStarted,
    Queue,
    Queued,
    Refused,
    Welcome,
)
from gameedge.edge.app import Edge
from gameedge.edge.reports import Reports
from gameedge.edge.serve import load_game
from gameedge.inference.artifacts import load_aim
from gameedge.state.base_global import Account
from gameedge.state.memory import MemoryRegionStore
from gameedge.state.memory_global import MemoryGlobalStore
from gameedge.telemetry.metrics import coordinator_registry

from .process import SimEdgeProcess
from .virtual import VirtualClock, VirtualLoop
from .wire import LinkQuality, Wire

REGION = RegionId("sim-1")


@dataclass
class Told:
    """What one player was told."""

    tickets: list[str] = field(default_factory=list)
    found: list[tuple[str, str]] = field(default_factory=list)  # ticket, match
    started: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    dequeued: list[str] = field(default_factory=list)
    resumed: int = 0
    renewed: int = 0
    snapshots: int = 0
    ticks: list[int] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


class SimEdge(SimEdgeProcess):
    """One process that may be killed: its tasks end at once, nothing is cleaned up."""

    def __init__(self, world: "World", name: str) -> None:
        super().__init__(name, f"sim://{name}")
        self.world = world

    async def _live(self) -> None:
        world = self.world
        config = EdgeConfig(
            region=REGION,
            edge=self.name,
            redis="memory://",
            bus="memory://",
            token_keys=[world.signer.public_text],
            public_url=self.url,
            game=world.game,
            demo=True,
            connections_max=256,
            matches_max=64,
            entities_max=512,
            fill_ms=1_500,
            drain_ms=20_000,
        )
        async with Reports.connect(world.broker.factory, config) as bus:
            clock = VirtualClock(world.loop)
            edge = Edge(config, world.store, bus, load_game(config), aim_model=world.aim_model, clock=clock, draw=world.rng.randbytes)
            edge.seating.url = self.url
            self.edge = edge
            await edge.run()


class SimPlayer:
    """A client that plays match after match, loses its connection now and then, and resumes on any process."""

    def __init__(self, world: "World", index: int, quality: LinkQuality, cut_every_s: float | None) -> None:
        self.world, self.quality, self.cut_every_s = world, quality, cut_every_s
        self.rng = random.Random(f"{world.seed}-{index}")
        self.id = PlayerId(f"p_{index}")
        self.mode = self.rng.choice(world.modes)
        token, _ = world.signer.session_token(
            Account(player=self.id, secret_hash="", name=f"n{index}", created_ms=0),
            REGION,
            {},
            VirtualClock(world.loop).unix_ms(),
            3_600_000,
        )
        self.session = ClientSession(token)
        self.told = Told()
        self.url: str | None = None
        self.wire: Wire | None = None
        self.playing: MatchId | None = None
        self.waiting = False
        self.sequence = 0
        self.seen_tick = 0
        self._closed = asyncio.Event()

    async def live(self) -> None:
        while True:
            await asyncio.sleep(self.rng.random() * 0.5)
            edges = [edge for edge in self.world.edges if edge.alive]
            wanted = [edge for edge in edges if edge.url == self.url] or edges
            if not wanted:
                continue
            await self._connection(self.rng.choice(wanted))

    async def _connection(self, edge: SimEdge) -> None:
        loop, self._closed = self.world.loop, asyncio.Event()
        wire = Wire(loop, self.rng, self.quality, self._data, lambda code: self._gone(wire, code))
        if not edge.connect(wire):
            self.url = None
            return
        self.wire, self.url = wire, edge.url
        wire.text(self.session.hello(loop.now * 1000))
        cut_at = loop.now + self.rng.expovariate(1 / self.cut_every_s) if self.cut_every_s else float("inf")
        while not self._closed.is_set():
            now_ms = loop.now * 1000
            self.session.poll(now_ms)
            for data in self.session.outgoing():
                wire.text(data)
            if self.session.closing is not None or loop.now >= cut_at:
                if self.session.closing is not None and "gap" in self.session.closing.detail:
                    self.told.faults.append(self.session.closing.detail)
                wire.cut()
            if self.playing is not None and self.session.state is ClientState.OPEN:
                self.sequence += 1
                wire.binary(encode_command(self.sequence, int(now_ms), self.seen_tick, bytes(self.world.command_size)))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), 0.05)
        self.session.detach()

    def _gone(self, wire: Wire, code: int) -> None:
        if wire is self.wire:
            self.wire, self._closed_code = None, code
            if code in (4013, 4015, 1013):
                self.url = None
            self._closed.set()

    def _data(self, data: bytes, binary: bool) -> None:
        if binary:
            frame = decode_snapshot(data)
            assert frame is not None
            self.told.snapshots += 1
            self.seen_tick = frame[0].tick
            return
        for message in self.session.receive_text(data, self.world.loop.now * 1000):
            self._message(message)

    def _message(self, message: object) -> None:
        told = self.told
        match message:
            case Welcome():
                told.resumed += message.resumed
                told.renewed += not message.resumed
                if not message.resumed:
                    self.playing, self.waiting = None, False
                    self._ask()
            case Queued():
                told.tickets.append(message.ticket)
            case Dequeued():
                told.dequeued.append(str(message.reason))
                self.waiting = False
                self._ask()
            case MatchFound():
                told.found.append((message.ticket, message.match))
                self.waiting = False
                if message.url == self.url:
                    self.session.send(Join(match=message.match, match_token=message.match_token))
                elif self.wire is not None:
                    self.url = message.url  # the host's process: resume there, it tells us again
                    for data in self.session.outgoing():
                        self.wire.text(data)
                    self.wire.cut(1000)
            case MatchStarted():
                told.started.append(message.match)
                self.playing = MatchId(message.match)
            case MatchEnded() | MatchLost():
                (told.ended if isinstance(message, MatchEnded) else told.lost).append(message.match)
                self.playing = None
                self._ask()
            case Refused():
                told.refused[f"{message.re}:{message.reason}"] += 1
                if message.re in ("queue", "join"):
                    self.playing, self.waiting = None, False
                    self.world.loop.call_later(1.0, self._ask)

    def _ask(self) -> None:
        if not self.waiting and self.playing is None and not self.world.closing:
            self.waiting = True
            self.session.send(Queue(mode=self.mode))


class World:
    """Everything of one run. `async with World(...)` starts it; `check` judges it."""

    def __init__(
        self,
        loop: VirtualLoop,
        seed: int,
        *,
        edges: int = 2,
        players: int = 8,
        modes: tuple[str, ...] = ("duel",),
        game: str = "gameedge.arena:Arena",
        quality: LinkQuality | None = None,
        cut_every_s: float | None = None,
    ) -> None:
        self.loop, self.seed, self.game, self.modes = loop, seed, game, modes
        self.rng = random.Random(seed)
        clock = VirtualClock(loop)
        self.clock = clock
        self.broker = MemoryBroker()
        self.store = MemoryRegionStore(clock_ms=clock.monotonic_ms)
        self.global_store = MemoryGlobalStore(clock_ms=clock.monotonic_ms)
        self.signer = Signer(self.rng.randbytes(32))
        self.aim_model = load_aim()
        self.metrics = coordinator_registry()
        self.applied: Counter[str] = Counter()
        self.closing = False
        config = EdgeConfig(region=REGION, edge="x", redis="", bus="", token_keys=[], game=game, demo=True)
        self.command_size = load_game(config).spec.command_size
        self.edges = [SimEdge(self, f"edge-{i}") for i in range(edges)]
        self.players = [SimPlayer(self, i, quality or LinkQuality(), cut_every_s) for i in range(players)]
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "World":
        self._count_applied()
        self._tasks.append(asyncio.create_task(self._coordinate(), name="coordinator"))
        for edge in self.edges:
            edge.start()
        await asyncio.sleep(1.0)
        self._tasks += [asyncio.create_task(player.live(), name=player.id) for player in self.players]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for edge in self.edges:
            if edge.alive:
                await edge.kill()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _count_applied(self) -> None:
        """Listen at the store: which results it really applied."""
        apply = self.global_store.result_apply

        async def counted(result, ratings, expected):  # type: ignore[no-untyped-def]
            before = await self.global_store.result_applied(result.match)
            done = await apply(result, ratings, expected)
            if done and not before:
                self.applied[result.match] += 1
            return done

        self.global_store.result_apply = counted  # type: ignore[method-assign]

    async def _coordinate(self) -> None:
        async with self.broker.factory("coordinator") as bus:
            results = Results(self.global_store, bus, self.metrics, self.clock.unix_ms)
            async with asyncio.TaskGroup() as group:
                group.create_task(results.run_apply(), name="apply")
                group.create_task(results.run_acks(), name="acks")
                async with bus.subscribe(topics.ALL_RESULTS) as messages:
                    async for message in messages:
                        results.hear(message)

    async def settle(self, seconds: float = 40.0) -> None:
        """Nobody queues any more; running matches end, results travel."""
        self.closing = True
        for player in self.players:
            player.cut_every_s = None
        await asyncio.sleep(seconds)

    async def check(self) -> None:
        """The invariants. A failure names the seed."""
        seed = f"seed {self.seed}"
        given: dict[str, set[str]] = {}
        for player in self.players:
            told = player.told
            assert player.playing is None, (seed, player.id, "waits for a match that is gone", player.playing)
            assert not told.faults, (seed, player.id, told.faults)
            for ticket, match in told.found:
                if ticket:
                    given.setdefault(ticket, set()).add(match)
        twice = {ticket: matches for ticket, matches in given.items() if len(matches) > 1}
        assert not twice, (seed, "a ticket in two matches", twice)
        again = [match for match, count in self.applied.items() if count > 1]
        assert not again, (seed, "results applied twice", again)
        for player in self.players:
            for match in player.told.ended:
                assert await self.global_store.result_applied(MatchId(match)), (
                    seed,
                    "a result that was told is missing",
                    match,
                )
        assert await self.store.outbox_size() == 0, (seed, "results are left in the outbox")
        for edge in self.edges:
            if edge.edge is not None:
                assert edge.edge.metrics.value("errors_total") == 0, (seed, edge.name, "a part of it failed")

    def total(self, what: str) -> int:
        return sum(len(getattr(player.told, what)) for player in self.players)

    def total_snapshots(self) -> int:
        return sum(player.told.snapshots for player in self.players)
