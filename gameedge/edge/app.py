"""The composition root of an edge process: builds the parts, owns the tasks, drains and stops them in order.

`Edge` is the whole process without sockets or signals, so that the simulated tests run the very same code on a virtual clock.
`serve` adds the transport and the operator's port, `main` the event loop and the signals.
"""

import asyncio
import contextlib
import gc
import importlib
import logging
import os
import secrets
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, cast
from zlib import crc32

import msgspec
import numpy as np

from gameedge.bus.base import Bus, BusFactory
from gameedge.bus.open import open_bus
from gameedge.bus.payloads import Desired
from gameedge.config import EdgeConfig, check_names
from gameedge.core import limits
from gameedge.core.anticheat.aim import AimModel
from gameedge.core.anticheat.gate import Gate
from gameedge.core.anticheat.watch import Watch
from gameedge.core.errors import ArtifactError, ConfigError, Reason, RefusedError
from gameedge.core.game import Game, Outcome
from gameedge.core.ids import EdgeId, MatchId, PlayerId, RegionId, encode
from gameedge.core.matchmaking.propose import warm as warm_matchmaking
from gameedge.core.npc.scripted import ScriptedPolicy
from gameedge.core.tokens import load_keys
from gameedge.edge import pings
from gameedge.edge.asks import Asks
from gameedge.edge.clock import Clock, SystemClock
from gameedge.edge.crossings import Crossings
from gameedge.edge.express import DRAIN_MS, Express
from gameedge.edge.failover import ASK_MS, Failover
from gameedge.edge.guests import Guests
from gameedge.edge.host import HostedMatch, MatchHost
from gameedge.edge.inbox import Inbox
from gameedge.edge.journeys import Journeys
from gameedge.edge.lanes import Lanes
from gameedge.edge.lobby import Lobby
from gameedge.edge.machine import Machine, allow_files
from gameedge.edge.matcher import UNOPENED_MS, Matcher
from gameedge.edge.offers import Offers
from gameedge.edge.ops import OpsApp, serve_ops
from gameedge.edge.players import Players
from gameedge.edge.queueing import Queueing, at_home, compared, explained, load_rules
from gameedge.edge.recorder import Recorder
from gameedge.edge.relay import Relay
from gameedge.edge.reports import Reports
from gameedge.edge.rollout import Rollout
from gameedge.edge.seating import Seating
from gameedge.edge.spectating import Spectators
from gameedge.edge.steering import Steering
from gameedge.edge.table import ConnectionTable
from gameedge.edge.tick import CATCH_UP_TICKS, NPC_MODEL, Tick
from gameedge.edge.transports.base import TransportSettings
from gameedge.edge.transports.select import open_transport
from gameedge.edge.vacancies import Vacancies
from gameedge.edge.watching import Watching
from gameedge.inference import signing
from gameedge.inference.artifacts import FOLDERS, load_aim
from gameedge.inference.backends import ways
from gameedge.inference.base import Backend
from gameedge.inference.depot import Depot, factories
from gameedge.inference.engine import PRIORITY_NPC, Engine
from gameedge.state.base import InboxEvent, MatchRecord, RegionStore
from gameedge.state.open import open_region_store
from gameedge.telemetry import logs
from gameedge.telemetry.metrics import edge_registry
from gameedge.telemetry.traces import OFF, Traces, open_traces

INBOX_BLOCK_MS: Final = 1_000
FORMER_LIFE_MS: Final = 5_000
MOVE_MS_MAX: Final = 3_000.0  # for players to follow a match that was handed over
GC_THRESHOLDS: Final = (20_000, 20, 50)
POLL_PARTS: Final = 50  # of a second's look at all connections
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
        self._draw = draw
        spec = game.spec
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
        self.crossings = Crossings(self, of_file)
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
            self.post,
            shadow_rules,
            self.crossings.rules,
            self._watched,
        )
        self.queueing.leave = self.crossings.cancel
        self.offers = Offers(store, edge, self.clock, self.metrics, self.post, self._open_match)
        self.seating = Seating(self.host, self.players, self.table, self.watching, self.metrics, self.clock, self._now_tick)
        self.spectators = Spectators(
            game, self.host, self._now_tick, spectators_max=config.spectators_max, delay_ms=config.spectate_delay_ms
        )
        self.vacancies = Vacancies(store, self.host, self.seating, self.players, self.clock, self.metrics, self.post)
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
        self.tick = Tick(game, self.table, self.inbox, gate, self.engine, watch, self._ended)
        self.recorder = Recorder(store, bus, region, self.seating.match_stored, self.seating.match_disowned)
        self.relay = Relay(store, bus, region, edge, self.clock)
        self.pings = pings.Pings(region, bus, self.clock, ping if config.ping_regions else None)
        self.machine = Machine(self.engine)
        self.reports = Reports(self)
        self.asks = Asks(region, edge, store, bus, load_keys(config.token_keys), list(spec.modes), self.clock)
        self.steering = Steering(self)
        self.asks.handlers |= self.steering.handlers | self.crossings.handlers | self.guests.handlers
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
            tell=self.post,
            rescue=self.failover.adopt,
        )
        self._events: deque[InboxEvent] = deque()  # taken from the inbox, not handled yet
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
            jobs: list[tuple[str, Callable[[], Any]]] = [
                ("tick", self._tick_loop),
                ("inbox", self._inbox_loop),
                ("former-life", self._bury_former_life),
                ("matcher", self.matcher.run),
                ("offers", self.offers.run),
                ("crossings", self.crossings.run),
                ("crossings-show", self.crossings.run_show),
                ("guests", self.guests.run),
                ("ends", self.recorder.run_ends),
                ("evidence", self.recorder.run_evidence),
                ("relay", self.relay.run),
                ("acks", self.relay.hear),
                ("records", self.players.run),
                ("arrivals", self.lobby.arrivals.run),
                ("beat", self.reports.beat),
                ("pulse", self.reports.pulse),
                ("checkpoints", self.failover.checkpoint),
                ("failover-listen", self.failover.listen),
                ("failover-watch", self.failover.watch),
                ("failover-heirs", self.failover.tell_heirs),
                ("report", self.reports.report),
                ("desired", self.reports.follow_desired),
                ("asks", self.asks.run),
                ("pings-listen", self.pings.listen),
                ("pings", self.pings.run),
                ("machine", self.machine.run),
                ("second", self._second_loop),
            ]
            self.lanes.start(group)
            self._tasks = [group.create_task(job(), name=name) for name, job in jobs]
            started()
            await self._stopping.wait()
            await self._drain()
            for task in self._tasks:
                task.cancel()

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
        await self.lanes.finish()
        await self.players.finish()
        await self.reports.goodbye()

    async def _moved_on(self, deadline_ms: float) -> None:
        """Wait for players whose matches were handed over until they have followed them."""
        while self.clock.monotonic_ms() < deadline_ms:
            behind = [p for p in self.players if p.link is not None and p.match is not None and self.host.get(p.match) is None]
            if not behind:
                return
            with contextlib.suppress(RefusedError):
                await self.lobby.ask_together(ASK_MS, ())
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

    async def _inbox_loop(self) -> None:
        """Events in order. One that needs the store waits for it, and the others behind it."""
        edge, waiting = EdgeId(self.config.edge), self._events
        while True:
            try:
                if not waiting:
                    waiting.extend(await self.store.inbox_read(edge, INBOX_BLOCK_MS))
                while waiting:
                    for _ in range(await self._answer_together() or await self._heard_one(waiting[0])):
                        waiting.popleft()
            except RefusedError as error:
                log.debug("inbox_waits", detail=error.detail)
                await asyncio.sleep(0.2)
            except Exception as error:  # one event that breaks us must not deafen the process
                log.fault("event_failed", error)
                if waiting:
                    waiting.popleft()
                else:
                    await asyncio.sleep(0.2)
                self.metrics.counter("errors_total", where="inbox").add()

    async def _heard_one(self, event: InboxEvent) -> int:
        await self._heard(event)
        return 1

    async def _answer_together(self) -> int:
        """How many of the first events ask for seats here, all answered with one call to the store for each process that asked:
        after a death a thousand players ask at once."""
        asked: dict[EdgeId, list[InboxEvent]] = {}
        count = 0
        for event in self._events:
            if event.kind != "rejoin" or event.edge is None or event.match_id is None or self.host.get(event.match_id) is None:
                break
            asked.setdefault(event.edge, []).append(event)
            count += 1
        for edge, events in asked.items():
            await self.post(edge, [self.seating.rejoin(event) for event in events])
        return count

    async def _heard(self, event: InboxEvent) -> None:
        match event.kind:
            case "host" if event.match is not None:
                await self._open_match(event.match)
            case "found":
                self.seating.found(event)
            case "lost":
                self.seating.lost(event)
            case "vacancies" if not self.lobby.draining:
                await self.vacancies.tell(event)
            case "vacant":
                self.matcher.vacant(event)
            case "fill" if event.match is not None:
                await self.vacancies.filled(event.match)
            case "offer":
                await self.queueing.offered(event)
            case "accept" | "decline":
                await self.offers.heard(event)
            case "withdrawn":
                self.queueing.withdrawn(event)
            case "dequeued":
                self.queueing.ended(event)
            case "cross":
                await self.crossings.cross(event)
            case "crossed":
                await self.crossings.crossed(event)
            case "held":
                self.crossings.held(event)
            case "rejoin" if event.match_id is not None and event.match_id in self.crossings:
                await self.crossings.moved(event)
            case "rejoin" if event.match_id is not None and event.match_id in self.offers:
                await self.offers.moved(event)
            case "rejoin" if event.edge is not None:
                if await self._expects(event):
                    return  # its `adopt` is on the way: whoever asks will ask again
                await self.post(event.edge, [self.seating.rejoin(event)])
            case "explain" if event.edge is not None and event.ticket is not None:
                await self.post(event.edge, [explained(event, self.matcher)])
            case "compare" if event.edge is not None:
                await self.post(event.edge, [compared(event, self.matcher)])
            case "explained":
                self.queueing.explained(event, self.reports.eta_ms)
            case "adopt":
                await self.failover.heard(event)

    async def _expects(self, event: InboxEvent) -> bool:
        """Whether a match that is not here was given to us by the store, or has moved on."""
        if event.match_id is None or not event.mode or self.host.get(event.match_id) is not None or event.match_id in self.recorder:
            return False
        return await self.store.match_get(event.mode, event.match_id) is not None

    async def _bury_former_life(self) -> None:
        """Matches that a killed process of this name left in the store are lost, unless their `host` event was still unread."""
        left: list[MatchRecord] | None = None
        while True:
            try:
                if left is None:
                    left = [m for mode in self.game.spec.modes for m in await self.store.matches(mode) if m.host == self.config.edge]
                    for record in left:
                        await self.failover.adopt(record)
                    await asyncio.sleep(FORMER_LIFE_MS / 1000)
                waiting = {event.match.match for event in self._events if event.match is not None}
                for record in left:
                    known = self.host.get(record.match) is not None or record.match in waiting or record.match in self.recorder
                    known = known or record.match in self.offers or record.match in self.crossings
                    if not known and record.accept_ms:
                        await self.store.match_unclaim(record)  # it was only offered
                    elif not known and await self.store.match_close(record.mode, record.match, None, by=record):
                        log.warning("match_lost_with_its_process", match=record.match, name=record.host)
                return
            except RefusedError as error:
                log.debug("former_life_waits", detail=error.detail)
                await asyncio.sleep(1.0)

    def draw(self, count: int) -> bytes:
        """So many random bytes."""
        return self._draw(count)

    async def open_guests(self, record: MatchRecord) -> None:
        """A match across regions that the store has: its players come from elsewhere."""
        await self._open_match(record)

    async def _open_match(self, record: MatchRecord) -> None:
        if record.away:
            await self.crossings.granted(record)  # no match: one ticket of a match elsewhere
            return
        if record.match in self.recorder:
            return  # the event is heard again and the match is over
        late = self.clock.unix_ms() - record.created_ms > UNOPENED_MS / 2
        if late and self.host.get(record.match) is None and await self.store.match_get(record.mode, record.match) is None:
            return  # given up meanwhile: its tickets are queued again
        if record.accept_ms and not self.lobby.draining and not self.recorder.full:
            await self.offers.offer(record)
            return
        started = self.host.started
        try:
            if self.lobby.draining or self.recorder.full:
                raise RefusedError(Reason.DRAINING, "this process takes no more matches")
            match = self.host.open(record, self.clock.monotonic_ms(), self.clock.unix_ms())
        except RefusedError as error:
            log.warning("match_not_opened", match=record.match, reason=str(error.reason), detail=error.detail)
            if error.reason is Reason.UNSUPPORTED:  # trying again would end the same way
                await self.store.match_close(record.mode, record.match, None)
                for ticket in () if record.guests else record.tickets:
                    lost = InboxEvent(kind="lost", match_id=record.match, session=ticket.session, ticket=ticket.id, detail=error.detail)
                    await self.post(ticket.edge, [lost])
            else:
                await self.store.match_unclaim(record)
            return
        if self.host.started > started:
            self.enter_npcs(match)
        self.metrics.counter("matches_started_total", mode=record.mode).value += self.host.started - started
        if not await self.failover.first(match) or record.guests:
            return  # guests are told by their own regions
        for edge, events in self.seating.offers(match).items():
            await self.post(edge, events)

    def enter_npcs(self, match: HostedMatch) -> None:
        """The NPCs of a match that was just opened here begin to think."""
        if self.game.spec.observation_size:
            seats = range(self.game.spec.modes[match.record.mode].seats)
            entities = np.array([self.game.entity(match.slot, seat) for seat in seats], np.int32)
            self.engine.enter(NPC_MODEL, entities, (crc32(match.id.encode()) & 0xFFFF) / 65_536)

    async def post(self, edge: EdgeId, events: Sequence[InboxEvent]) -> None:
        if edge == self.config.edge:  # the short way
            for event in events:
                await self._heard(event)
        else:
            await self.store.inbox_post(edge, events)

    def _ended(self, outcomes: Sequence[Outcome]) -> None:
        for ended in self.host.ended(outcomes, self.clock.unix_ms()):
            self.seating.match_over(ended)
            self.recorder.end(ended)

    async def _second_loop(self) -> None:
        """What is looked at about once a second; connections in parts, so that no tick waits for all of them."""
        while True:
            self.queueing.store_full = self.recorder.full
            if self.rollout.watch(self.clock.monotonic_ms()):
                self.metrics.counter("errors_total", where="model").add()
            for ended in self.host.abandoned(self.clock.monotonic_ms(), self.clock.unix_ms()):
                self.seating.match_over(ended)
                self.recorder.end(ended)
            for evidence in self.watching.collect(self.clock.unix_ms()):
                log.info("flagged", player=evidence.player, match=evidence.match, rule=evidence.rule)
                self.recorder.flag(evidence)
            with contextlib.suppress(RefusedError):
                await self.queueing.tell_queues(self.reports.eta_ms)
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


def load_game(config: EdgeConfig) -> Game:
    """The game that `config.game` names. Raises ConfigError."""
    module, _, attribute = config.game.partition(":")
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"game = {config.game!r}: {error}; use module:attribute, for example gameedge.arena:Arena") from error
    return cast(Game, kind(matches_max=config.matches_max, entities_max=config.entities_max, demo=config.demo))


def warm_game(game: Game) -> None:
    """What a first match would wait for, done before players come: after a fresh installation the arena compiles kernels for most
    of a minute."""
    began = time.monotonic()
    warm_matchmaking()
    if warm := getattr(game, "warm", None):
        warm()
    log.info("game_warmed", ms=round(1000 * (time.monotonic() - began)))


def open_depot(config: EdgeConfig) -> Depot:
    """The models that this process may run. Raises ConfigError."""
    return Depot(
        [Path(config.model_folder)] if config.model_folder else FOLDERS,
        keys=signing.public_keys(config.model_keys),
        secret=signing.read_secret(config.model_secret),
        region=config.region,
        heights=signing.Heights(Path(config.model_heights) if config.model_heights else None),
        kinds=factories(config.model_kinds, config.model_backends or ways.DEFAULT),
    )


async def serve(config: EdgeConfig, store: RegionStore, bus_factory: BusFactory, *, ready: Callable[[dict[str, str]], None]) -> None:
    """Run one process with sockets until SIGTERM or SIGINT. `ready` hears the addresses once players may come."""
    transport = open_transport(config.transport)
    traces = open_traces(config.traces, 1.0, "edge", region=config.region, edge=config.edge)  # which, the coordinator decides
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(traces.close)
        game = load_game(config)
        warm_game(game)
        bus = await stack.enter_async_context(Reports.connect(bus_factory, config))
        edge = Edge(config, store, bus, game, aim_model=load_aim(), depot=open_depot(config), ping=pings.ping, traces=traces)
        settings = TransportSettings(
            host=config.players.host,
            port=config.players.port,
            frame_bytes_max=limits.FRAME_BYTES_MAX,
            certificate=config.players.certificate,
            key=config.players.key,
            handshake_ms_max=limits.HANDSHAKE_MS_MAX,
        )
        server = await transport.serve(edge.lobby.accept, settings)
        stack.push_async_callback(server.close)
        edge.lobby.door = server.hold
        scheme = "wss" if config.players.certificate else "ws"
        edge.seating.url = config.public_url or f"{scheme}://{config.players.host}:{server.port}"
        app = OpsApp(edge.metrics, edge.reports.refresh, edge.ready, edge.reports.health, edge.stop)
        ops_url = await stack.enter_async_context(serve_ops(app, config.ops))
        edge.reports.addresses(edge.seating.url, ops_url, transport.name)
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, edge.stop)
        addresses = {"ready": "edge", "edge": config.edge, "region": config.region, "url": edge.seating.url, "ops": ops_url}
        # What lives as long as the process is not looked at again, and the rest seldom: a full collection takes longer than a tick.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        await edge.run(lambda: ready(addresses))
        await store.close()


def main(config: EdgeConfig) -> int:
    """The `gameedge edge` command: exit status."""
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # its warnings are of requests that are none
    logs.configure(config.log_level, region=config.region, edge=config.edge, pid=os.getpid())
    allow_files(config.files_needed)

    def say(addresses: dict[str, str]) -> None:
        sys.stdout.write(msgspec.json.encode(addresses).decode() + "\n")
        sys.stdout.flush()

    async def run() -> None:
        await serve(config, open_region_store(config.redis), open_bus(config.bus), ready=say)

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(run())
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return cast(Callable[[], asyncio.AbstractEventLoop], uvloop.new_event_loop)
