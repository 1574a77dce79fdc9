"""The composition root of an edge process: builds the parts, owns the tasks, drains and stops them in order.

`Edge` is the whole process without sockets or signals, so that the simulated tests run the very same code on a virtual clock.
`serve.py` adds the game, the transport, the operator's port, the event loop and the signals.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from typing import Final

from gameedge.bus.base import Bus
from gameedge.bus.payloads import Desired
from gameedge.config import EdgeConfig, check_names
from gameedge.core import kernel, limits
from gameedge.core.anticheat.aim import AimModel
from gameedge.core.anticheat.gate import Gate
from gameedge.core.anticheat.watch import Watch
from gameedge.core.errors import ArtifactError, Reason, RefusedError
from gameedge.core.game import Game
from gameedge.core.ids import EdgeId, MatchId, PlayerId, RegionId, encode
from gameedge.core.npc.scripted import ScriptedPolicy
from gameedge.core.tokens import load_keys
from gameedge.edge import pings
from gameedge.edge.asks import Asks
from gameedge.edge.checkpoints import Checkpoints
from gameedge.edge.clock import Clock, SystemClock
from gameedge.edge.crossings import Crossings
from gameedge.edge.events import Events
from gameedge.edge.exchange import Exchange
from gameedge.edge.express import DRAIN_MS, Express
from gameedge.edge.failover import ASK_MS, Failover
from gameedge.edge.guests import Guests
from gameedge.edge.host import MatchHost
from gameedge.edge.inbox import Inbox
from gameedge.edge.journeys import Journeys
from gameedge.edge.lanes import Lanes
from gameedge.edge.lobby import Lobby
from gameedge.edge.machine import Machine
from gameedge.edge.matcher import Matcher
from gameedge.edge.matches import Matches
from gameedge.edge.offers import Offers
from gameedge.edge.players import Players
from gameedge.edge.queueing import Queueing
from gameedge.edge.recorder import Recorder
from gameedge.edge.relay import Relay
from gameedge.edge.reports import Reports
from gameedge.edge.rollout import Rollout
from gameedge.edge.rules import at_home, load_rules
from gameedge.edge.seating import Seating
from gameedge.edge.spectating import Spectators
from gameedge.edge.steering import Steering
from gameedge.edge.table import ConnectionTable
from gameedge.edge.tick import CATCH_UP_TICKS, NPC_MODEL, Tick
from gameedge.edge.vacancies import Vacancies
from gameedge.edge.watching import Watching
from gameedge.inference.base import Backend
from gameedge.inference.depot import Depot
from gameedge.inference.engine import PRIORITY_NPC, Engine
from gameedge.state.base import RegionStore
from gameedge.telemetry import logs
from gameedge.telemetry.metrics import edge_registry
from gameedge.telemetry.traces import OFF, Traces

MOVE_MS_MAX: Final = 3_000.0  # for players to follow a match that was handed over
POLL_PARTS: Final = 50  # of a second's look at all connections
LANES_S_MAX: Final = 5.0  # for what waits for the store when the process ends
PART_AGAIN_S: Final = 0.5  # before a part that failed begins anew
NPC_DEADLINE_MS: Final = 2.0
log = logs.get(__name__)


class Edge:
    """One process of a region. `run` ends when `stop` is called and the drain is over."""

    def __init__(
        self,
        config: EdgeConfig,
        store: RegionStore,
        bus: Bus,
        game: Game,
        *,
        aim_model: AimModel | None = None,
        depot: Depot | None = None,
        clock: Clock | None = None,
        draw: Callable[[int], bytes] = secrets.token_bytes,
        ping: pings.Ping | None = None,
        traces: Traces = OFF,
    ) -> None:
        check_names(config)
        self.config, self.store, self.bus, self.game = config, store, bus, game
        self.clock = clock or SystemClock()
        self.metrics = edge_registry()
        self.draw = draw  # so many random bytes
        spec = game.spec
        self.events = Events(self)
        self.matches = Matches(self)
        self.inbox = Inbox(limits.INBOX_COMMANDS_MAX, spec.command_size)
        self.express = Express(config.connections_max, self.inbox) if config.express else None
        self.table = ConnectionTable(config.connections_max, config.entities_max, spec.snapshot_every, self.express)
        gate, watch = Gate(config.connections_max), Watch(config.entities_max, aim_model)
        self.watching = Watching(gate, watch, self.metrics, draw)
        self.engine = Engine(self.clock.monotonic_ms, config.entities_max)
        self.depot = depot
        if spec.observation_size:
            self._register_npcs()
        self.rollout = Rollout(self.engine, self._build_model)
        region, edge = RegionId(config.region), EdgeId(config.edge)
        self.host = MatchHost(game, region, npc_level=config.npc_level, token=lambda: encode("k", draw(16)))
        self.lanes = Lanes(lambda error: self.metrics.counter("errors_total", where="lane").add())
        self.journeys = Journeys(traces)
        self.players = Players(store, self.lanes, edge, self.clock, self.journeys)
        of_file = load_rules(config.match_rules, spec)
        self.match_rules = at_home(of_file, config.region)
        shadow_rules = at_home(load_rules(config.match_rules_shadow, spec), config.region) if config.match_rules_shadow else {}
        self.exchange = Exchange(self, of_file)
        self.crossings = Crossings(self)
        self.guests = Guests(self)
        self.queueing = Queueing(
            spec,
            self.match_rules,
            store,
            self.players,
            region,
            edge,
            self.clock,
            draw,
            self.events.post,
            shadow_rules,
            self.exchange.rules,
            self._watched,
        )
        self.queueing.leave = self.crossings.cancel
        self.offers = Offers(store, edge, self.clock, self.metrics, self.events.post, self.matches.open)
        self.seating = Seating(self.host, self.players, self.table, self.watching, self.metrics, self.clock, self._now_tick)
        self.spectators = Spectators(
            game, self.host, self._now_tick, spectators_max=config.spectators_max, delay_ms=config.spectate_delay_ms
        )
        self.vacancies = Vacancies(store, self.host, self.seating, self.players, self.clock, self.metrics, self.events.post)
        self.lobby = Lobby(
            config,
            spec,
            store,
            self.players,
            self.queueing,
            self.seating,
            self.spectators,
            self.table,
            self.inbox,
            self.watching,
            self.lanes,
            load_keys(config.token_keys),
            self.metrics,
            self.clock,
            draw,
            self._now_tick,
        )
        self.tick = Tick(game, self.table, self.inbox, gate, self.engine, watch, self.matches.ended)
        self.recorder = Recorder(store, bus, region, self.seating.match_stored, self.seating.match_disowned)
        self.relay = Relay(store, bus, region, edge, self.clock)
        self.pings = pings.Pings(region, bus, self.clock, ping if config.ping_regions else None)
        self.machine = Machine(self.engine)
        self.reports = Reports(self)
        self.asks = Asks(region, edge, store, bus, load_keys(config.token_keys), list(spec.modes), self.clock)
        self.steering = Steering(self)
        self.asks.handlers |= self.steering.handlers | self.exchange.handlers | self.guests.handlers
        self.checkpoints = Checkpoints(self)
        self.failover = Failover(self)
        self.matcher = Matcher(
            store,
            spec.modes,
            self.match_rules,
            edge,
            self.clock,
            fill_ms=config.fill_ms,
            new_match=lambda: (MatchId(encode("m", draw(16))), int.from_bytes(draw(6), "big")),
            waited=self.reports.waited,
            region=region,
            shadow=shadow_rules,
            tell=self.events.post,
            rescue=self.failover.adopt,
            failed=lambda: self.metrics.counter("errors_total", where="matcher").add(),
        )
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def _register_npcs(self) -> None:
        """The learned policy with the scripted one behind it, or the scripted one alone. Raises ArtifactError."""
        config, spec = self.config, self.game.spec
        script = ScriptedPolicy(entities_max=config.entities_max)
        policy: Backend = script
        if self.depot is not None and config.npc_model:
            policy = self.depot.build(config.npc_model, config.entities_max)
        fallback = script if policy is not script else None
        for backend in (policy, fallback):
            if backend is not None and (backend.input_size, backend.output_size) != (spec.observation_size, spec.action_size):
                raise ArtifactError(
                    f"{backend.name}: expected {spec.observation_size} to {spec.action_size} values as {spec.name} has them, "
                    f"found {backend.input_size} to {backend.output_size}; name a model of this game in npc_model"
                )
        self.engine.register(NPC_MODEL, policy, config.entities_max, NPC_DEADLINE_MS, fallback, PRIORITY_NPC)
        self.engine.warm(NPC_MODEL)

    async def _build_model(self, name: str) -> Backend:
        """Away from the tick: reading, verifying and timing a model takes longer than one."""
        if self.depot is None:
            raise ArtifactError(f"{name}: this process has no folder of models")
        return await asyncio.to_thread(self.depot.build, name, self.config.entities_max)

    def _watched(self, player: PlayerId) -> str:
        why = self.watching.pool(player)
        if why:
            self.metrics.counter("watched_tickets_total", why=why).add()
        return why

    def _now_tick(self) -> int:
        return self.tick.tick

    def follow(self, desired: Desired) -> None:
        """What a coordinator wishes of this process beside models and drains."""
        self.steering.block(desired.blocked)
        self.matcher.fill_ms = self.config.fill_ms if desired.fill_ms is None else min(desired.fill_ms, limits.TICKET_MS_MAX)
        self.host.npc_level = self.config.npc_level if desired.npc_level is None else desired.npc_level

    # ------------------------------------------------------------------------------------------------------- the life

    def stop(self) -> None:
        """Begin a graceful drain; harmless when repeated."""
        self._stopping.set()

    async def run(self, started: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop`, then drain: no new sessions or matches, running matches to their end, results stored."""
        async with asyncio.TaskGroup() as group:
            jobs: list[tuple[str, Callable[[], Awaitable[None]]]] = [
                ("tick", self._tick_loop),
                ("inbox", self.events.run),
                ("former-life", self.matches.bury_former_life),
                ("matcher", self.matcher.run),
                ("offers", self.offers.run),
                ("crossings", self.crossings.run),
                ("exchange", self.exchange.run),
                ("guests", self.guests.run),
                ("ends", self.recorder.run_ends),
                ("evidence", self.recorder.run_evidence),
                ("verdicts", self.recorder.run_verdicts),
                ("relay", self.relay.run),
                ("acks", self.relay.hear),
                ("records", self.players.run),
                ("arrivals", self.lobby.arrivals.run),
                ("beat", self.reports.beat),
                ("pulse", self.reports.pulse),
                ("checkpoints", self.checkpoints.run),
                ("failover-listen", self.failover.listen),
                ("failover-watch", self.failover.watch),
                ("failover-heirs", self.failover.tell_heirs),
                ("report", self.reports.report),
                ("desired", self.reports.follow_desired),
                ("models", self.reports.meet_wishes),
                ("asks", self.asks.run),
                ("pings-listen", self.pings.listen),
                ("pings", self.pings.run),
                ("machine", self.machine.run),
                ("second", self._second_loop),
                ("queues", self._queues_loop),
                ("connections", self._connections_loop),
            ]
            self.lanes.start(group)
            self._tasks = [group.create_task(self._kept(name, job), name=name) for name, job in jobs]
            started()
            await self._stopping.wait()
            await self._drain()
            for task in self._tasks:
                task.cancel()

    async def _kept(self, name: str, job: Callable[[], Awaitable[None]]) -> None:
        """A part of the process for its whole life. What it does not handle itself is our fault, and is logged and counted; it begins anew,
        and no match that runs here is lost for it."""
        while True:
            try:
                await job()
                return
            except Exception as error:
                log.fault("part_failed", error, name=name)
                self.metrics.counter("errors_total", where=name).add()
                await asyncio.sleep(PART_AGAIN_S)

    async def _drain(self) -> None:
        config = self.config
        log.info("draining", count=len(self.host), ms=config.drain_ms)
        self.lobby.announce_drain(config.drain_ms)
        deadline = self.clock.monotonic_ms() + config.drain_ms
        with contextlib.suppress(RefusedError):
            await self.reports.beat_once()  # the matcher sees it at once
        with contextlib.suppress(RefusedError):
            await self.offers.withdraw_all()
            await self.crossings.withdraw_all()
        await self.failover.hand_over()
        await self._moved_on(min(deadline, self.clock.monotonic_ms() + MOVE_MS_MAX))
        while len(self.host) and self.clock.monotonic_ms() < deadline:
            await asyncio.sleep(0.05)
        stored = await self.recorder.finish(min(10.0, 1.0 + config.drain_ms / 1000))
        if not stored:
            log.error("results_not_stored", count=self.recorder.waiting)
        self.lobby.close_all(Reason.DRAINING, "this process is going away; ask for a new placement")
        await asyncio.sleep(0.1)  # let the close frames leave
        await self.lanes.finish(LANES_S_MAX)
        await self.players.finish()
        await self.reports.goodbye()

    async def _moved_on(self, deadline_ms: float) -> None:
        """Wait for players whose matches were handed over until they have followed them."""
        while self.clock.monotonic_ms() < deadline_ms:
            behind = [p for p in self.players if p.link is not None and p.match is not None and self.host.get(p.match) is None]
            if not behind:
                return
            with contextlib.suppress(RefusedError):
                await self.lobby.places.ask_together(ASK_MS, ())
            await asyncio.sleep(0.05)

    # ------------------------------------------------------------------------------------------------------- the loops

    async def _tick_loop(self) -> None:
        period_ms = 1000.0 / self.game.spec.tick_hz
        due_ms = self.clock.monotonic_ms() + period_ms
        while True:
            now_ms = await self._until(due_ms)
            late_ms = max(0.0, now_ms - due_ms)
            try:
                self.tick.run(now_ms)
                self.spectators.ticked(self.tick.tick, now_ms)
                if self.journeys.waiting:
                    self.journeys.ticked(self.table, self.tick.tick)
            except Exception as error:  # a fault in one tick must not end every match
                self.inbox.clear()
                log.fault("tick_failed", error)
                self.metrics.counter("errors_total", where="tick").add()
            self.reports.ticked(late_ms, self.clock.monotonic_ms() - now_ms, now_ms)
            due_ms += period_ms
            if late_ms > CATCH_UP_TICKS * period_ms:
                skipped = int(late_ms // period_ms)
                due_ms += skipped * period_ms
                self.tick.figures.ticks_dropped += skipped
            elif late_ms > period_ms:
                await asyncio.sleep(0)  # sockets get a turn while we catch up

    async def _until(self, due_ms: float) -> float:
        """Sleep until a tick is due, with a look at the express lane's sockets now and then; the time it is then."""
        express = self.express
        while True:
            now_ms = self.clock.monotonic_ms()
            if express is not None and express.reading:
                express.drain(now_ms)
                if now_ms < due_ms:
                    await asyncio.sleep(min(due_ms - now_ms, DRAIN_MS) / 1000.0)
                    continue
            elif now_ms < due_ms:
                await asyncio.sleep((due_ms - now_ms) / 1000.0)
                continue
            return now_ms

    async def _second_loop(self) -> None:
        """What is looked at about once a second."""
        known = kernel.forms()
        while True:
            forms = kernel.forms()
            if late := sorted(name for name, count in forms.items() if count > known.get(name, 0)):
                log.warning("kernel_late", detail=", ".join(late))  # a fault of ours: somebody may have waited for a compiler
            known = forms
            self.queueing.store_full = self.recorder.full
            if self.rollout.watch(self.clock.monotonic_ms()):
                self.metrics.counter("errors_total", where="model").add()
            self.matches.end_abandoned()
            for evidence in self.watching.collect(self.clock.unix_ms()):
                log.info("flagged", player=evidence.player, match=evidence.match, rule=evidence.rule)
                self.recorder.flag(evidence)
            await asyncio.sleep(1.0)

    async def _queues_loop(self) -> None:
        """Those who wait are told where they stand, about once a second."""
        while True:
            with contextlib.suppress(RefusedError):
                await self.queueing.tell_queues(self.reports.eta_ms)
            await asyncio.sleep(1.0)

    async def _connections_loop(self) -> None:
        """All connections about once a second, in parts, so that no tick waits for all of them; and without a store, however slow it is."""
        while True:
            for part in range(POLL_PARTS):
                self.lobby.poll(part, POLL_PARTS)
                self.lobby.close_slots(self.tick.look_at_sockets(part, POLL_PARTS), Reason.SLOW)
                await asyncio.sleep(1.0 / POLL_PARTS)

    # -------------------------------------------------------------------------------------------------- for operators

    def ready(self) -> str | None:
        """None: players may come. Else why not."""
        if self.lobby.draining or self._stopping.is_set():
            return "draining"
        return None if self.reports.store_ok else "the region's store cannot be reached"
