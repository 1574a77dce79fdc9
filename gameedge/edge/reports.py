"""What a process says of itself (beats to the region's store, reports and presence on the bus, metrics to Prometheus) and the
desired state that it converges to.

Figures are collected as plain numbers by those who have them and put into metrics only when somebody asks.
"""

import asyncio
import contextlib
import os
from collections import Counter
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Final

from gameedge import __version__
from gameedge.bus import topics
from gameedge.bus.base import Bus, BusFactory
from gameedge.bus.payloads import Codec, Desired, EdgeReport, ModelWish, Presence, Quantiles, encode
from gameedge.config import EdgeConfig
from gameedge.core import limits
from gameedge.core.anticheat.gate import GATE_FIRST, GATE_REASONS
from gameedge.core.errors import RefusedError
from gameedge.core.game import REFUSAL_NAMES
from gameedge.core.ids import EdgeId, RegionId
from gameedge.core.matchmaking.eta import eta_ms
from gameedge.core.routing.health import BEAT_MS
from gameedge.edge.spots import spot_reports
from gameedge.edge.tick import NOT_SEATED, NPC_MODEL
from gameedge.inference.depot import tuned_in
from gameedge.state.base import EdgeRecord
from gameedge.telemetry import compact, logs
from gameedge.telemetry.metrics import Histogram
from gameedge.telemetry.quantiles import Window

if TYPE_CHECKING:
    from gameedge.edge.app import Edge

REPORT_MS: Final = 500
MAP_EVERY: Final = 20  # reports: what is known of the network changes slowly
WAITS_KEPT: Final = 64  # of each mode, for the ETA
log = logs.get(__name__)


class Reports:
    """Owned by `Edge`; reads its parts."""

    def __init__(self, edge: "Edge") -> None:
        self._edge = edge
        self._region, self._name = RegionId(edge.config.region), EdgeId(edge.config.edge)
        self._metrics = edge.metrics
        self._lateness, self._took = Window(10_000), Window(10_000)
        self._waits = Window(60_000)
        self._recent_waits: dict[str, list[float]] = {}
        self._lateness_histogram = edge.metrics.histogram("tick_lateness_ms")
        self._took_histogram = edge.metrics.histogram("tick_ms")
        self._calls: dict[str, int] = {}  # of each model that are in the histograms
        self._timed: dict[str, str] = {}
        self._inference: dict[str, tuple[Histogram, Histogram]] = {}
        self._busy_ms = 0.0
        self._busy = 0.0
        self._busy_from_ms = edge.clock.monotonic_ms()
        self._started_ms = edge.clock.unix_ms()
        self._url = self._ops_url = ""
        self._revision = -1
        self._wished: dict[str, ModelWish] = {}
        self._some_wished = asyncio.Event()
        self.store_ok = True

    # ------------------------------------------------------------------------------------------------------- hearing

    def ticked(self, late_ms: float, took_ms: float, now_ms: float) -> None:
        self._lateness.add(late_ms, now_ms)
        self._took.add(took_ms, now_ms)
        self._lateness_histogram.observe(late_ms)
        self._took_histogram.observe(took_ms)
        self._inferred()
        self._busy_ms += took_ms

    def _inferred(self) -> None:
        """What models did in this tick: one call each at most."""
        engine = self._edge.engine
        for name in engine.names():
            figures = engine.figures(name)
            if figures is None or figures.calls == self._calls.get(name, 0):
                continue
            self._calls[name] = figures.calls
            if name not in self._inference:
                metrics = self._metrics
                pair = metrics.histogram("inference_batch_rows", model=name), metrics.histogram("inference_ms", model=name)
                self._inference[name] = pair
            rows, took = self._inference[name]
            rows.observe(figures.batch)
            took.observe(figures.last_ms)

    def _ways(self, name: str) -> None:
        """What each way took at start; the fastest at a size is what runs."""
        tuned = tuned_in(self._edge.engine.model(name).stable.backend)
        if tuned is None or self._timed.get(name) == tuned.name:
            return
        self._timed[name] = tuned.name
        for timing in tuned.timings:
            gauge = self._metrics.gauge("inference_backend_us", model=name, rows=str(timing.rows), backend=timing.backend)
            gauge.set(timing.took_us)

    def waited(self, mode: str, wait_ms: float) -> None:
        self._waits.add(wait_ms, self._edge.clock.monotonic_ms())
        self._metrics.histogram("queue_wait_ms", mode=mode).observe(wait_ms)
        recent = self._recent_waits.setdefault(mode, [])
        recent.append(wait_ms)
        del recent[:-WAITS_KEPT]

    def eta_ms(self, mode: str, waited_ms: int) -> int | None:
        """How much longer somebody who has waited `waited_ms` will wait, from those who were matched lately."""
        return eta_ms(self._recent_waits.get(mode, []), waited_ms)

    def addresses(self, url: str, ops_url: str, transport: str) -> None:
        self._url, self._ops_url = url, ops_url
        labels = {"region": self._region, "edge": self._name, "version": __version__, "transport": transport}
        self._metrics.gauge("edge_info", **labels).set(1)

    # ------------------------------------------------------------------------------------------------------- the store

    async def beat(self) -> None:
        """Tell the region every EDGE_BEAT_MS that this process lives, and how full it is."""
        while True:
            try:
                began = self._edge.clock.monotonic_ms()
                await self.beat_once()
                self._metrics.histogram("store_ms").observe(self._edge.clock.monotonic_ms() - began)
                self.store_ok = True
            except RefusedError as error:
                if self.store_ok:
                    log.warning("store_lost", detail=error.detail)
                self.store_ok = False
            await asyncio.sleep(limits.EDGE_BEAT_MS / 1000)

    async def pulse(self) -> None:
        """A heartbeat on the bus every BEAT_MS: whoever hears none knows before any timeout of the broker."""
        topic, number = topics.beat(self._region, self._name), 0
        while True:
            number += 1
            with contextlib.suppress(RefusedError):
                if self._edge.bus.online:
                    await self._edge.bus.publish(topic, b"%d" % number, qos=0)
            await asyncio.sleep(BEAT_MS / 1000)

    async def beat_once(self) -> None:
        edge = self._edge
        now_ms = edge.clock.monotonic_ms()
        record = EdgeRecord(
            edge=self._name,
            region=self._region,
            url=edge.seating.url,
            pid=os.getpid(),
            started_ms=self._started_ms,
            players=edge.lobby.connected,
            matches=len(edge.host),
            free_matches=max(0, edge.config.matches_max - len(edge.host)),
            free_entities=max(0, edge.config.entities_max - edge.host.seats),
            lateness_ms_p99=self._lateness.quantile(0.99, now_ms),
            draining=edge.lobby.draining,
            crossing=edge.exchange.version,
        )
        await edge.store.edge_beat(record, limits.EDGE_DEAD_MS)

    async def goodbye(self) -> None:
        """What is left here is the others' now, at once, and nobody is alarmed."""
        left = Presence(online=False, region=self._region, left=True)
        try:
            await self._edge.bus.publish(topics.presence(self._region, self._name), encode(left), retain=True)
        except RefusedError as error:
            log.debug("goodbye_not_told", detail=error.detail)
        try:
            await self._edge.store.edge_forget(self._name)
        except RefusedError as error:
            log.debug("goodbye_not_stored", detail=error.detail)

    # --------------------------------------------------------------------------------------------------------- the bus

    @staticmethod
    def connect(factory: BusFactory, config: EdgeConfig) -> AbstractAsyncContextManager[Bus]:
        """A connection whose last will says that this process is gone."""
        topic = topics.presence(RegionId(config.region), EdgeId(config.edge))
        gone = encode(Presence(online=False, region=config.region))
        return factory(f"edge-{config.region}-{config.edge}", will_topic=topic, will_payload=gone)

    async def report(self) -> None:
        """Presence (again after every reconnection) and a report twice a second."""
        edge, bus = self._edge, self._edge.bus
        present, number = False, 0
        while True:
            try:
                number += 1
                if bus.online and not present:
                    presence = topics.presence(self._region, self._name)
                    await bus.publish(presence, encode(self._presence()), retain=True)
                present = bus.online
                if present:
                    await bus.publish(
                        topics.report(self._region, self._name), encode(self.figures(network=number % MAP_EVERY == 0)), retain=True, qos=0
                    )
            except RefusedError as error:
                present = False
                log.debug("report_waits", detail=error.detail)
            await asyncio.sleep(REPORT_MS / 1000)
            now_ms = edge.clock.monotonic_ms()
            self._busy = min(1.0, self._busy_ms / max(1.0, now_ms - self._busy_from_ms))
            self._busy_ms, self._busy_from_ms = 0.0, now_ms

    def _presence(self) -> Presence:
        config = self._edge.config
        return Presence(
            online=True,
            region=config.region,
            region_title=config.region_title or config.region,
            latitude=config.latitude,
            longitude=config.longitude,
            url=self._edge.seating.url,
            admin_url=self._ops_url,
            version=__version__,
            started_ms=self._started_ms,
            crossing=self._edge.exchange.version,
        )

    def figures(self, *, network: bool = False) -> EdgeReport:
        """`network`: with round trips to other regions and to places of players."""
        edge = self._edge
        now_ms = edge.clock.monotonic_ms()
        tick = edge.tick.figures
        npc = edge.engine.figures(NPC_MODEL)
        value = self._metrics.value
        return EdgeReport(
            at_ms=edge.clock.unix_ms(),
            players=edge.lobby.connected,
            players_max=edge.config.connections_max,
            queued=edge.queueing.queued,
            matches=len(edge.host),
            free_matches=max(0, edge.config.matches_max - len(edge.host)),
            npcs=len(edge.game.npcs()),
            tick=edge.tick.tick,
            tick_lateness_ms=self._quantiles(self._lateness, now_ms),
            tick_busy=self._busy,
            memory=edge.machine.memory,
            gpu=edge.machine.gpu,
            accelerator=edge.machine.accelerator,
            regions_ms=edge.pings.figures() if network else {},
            spots=spot_reports(edge.lobby.round_trips()) if network else [],
            inference_batch=float(npc.batch) if npc else 0.0,
            inference_ms=self._quantiles(npc.took_ms, now_ms) if npc else Quantiles(),
            rtt_ms=self._quantiles(edge.lobby.rtt_window, now_ms),
            queue_wait_ms=self._quantiles(self._waits, now_ms),
            npc_actions=tick.npc_actions,
            npc_fallbacks=npc.fallbacks if npc else 0,
            npc_styles=dict(Counter(seat.npc_style or "scripted" for seat in edge.host.npcs())),
            npc_levels=dict(Counter(str(seat.npc_level) for seat in edge.host.npcs())),
            models=edge.rollout.reports(),
            watchable=edge.spectators.listed(),
            histograms=self._histograms(now_ms),
            matches_started=int(value("matches_started_total")),
            matches_finished=int(value("matches_finished_total")),
            flags=edge.watching.flagged,
            gate_refusals=int(tick.refused[GATE_FIRST:NOT_SEATED].sum()),
            outbox=edge.relay.waiting + edge.recorder.waiting,
            store_ok=self.store_ok,
            draining=edge.lobby.draining,
            errors=int(value("errors_total")),
        )

    def _histograms(self, now_ms: float) -> dict[str, list[int]]:
        """Of the last ten seconds (waits: of the last minute); those that hold nothing are left out."""
        npc = self._edge.engine.figures(NPC_MODEL)
        windows = {
            "tick_lateness_ms": self._lateness,
            "tick_ms": self._took,
            "queue_wait_ms": self._waits,
            "rtt_ms": self._edge.lobby.rtt_window,
        }
        if npc is not None:
            windows |= {"inference_ms": npc.took_ms, "inference_batch_rows": npc.rows}
        found = {name: window.counts(compact.BOUNDS[name], now_ms) for name, window in windows.items()}
        return {name: counts for name, counts in found.items() if any(counts)}

    @staticmethod
    def _quantiles(window: Window, now_ms: float) -> Quantiles:
        p50, p99 = window.quantiles((0.5, 0.99), now_ms)
        return Quantiles(p50=p50, p99=p99)

    async def follow_desired(self) -> None:
        """Converge to what a coordinator asks of this region. Older revisions and what is no `Desired` are ignored."""
        codec = Codec(Desired)
        while True:
            async with self._edge.bus.subscribe(topics.desired(self._region)) as messages:
                async for message in messages:
                    desired = codec.decode(message.payload)
                    if desired is None or desired.revision < self._revision:
                        continue
                    self._revision = desired.revision
                    self._edge.follow(desired)
                    self._wished = desired.models
                    self._some_wished.set()
                    if desired.draining or self._name in desired.draining_edges:
                        log.info("drain_asked", count=desired.revision)
                        self._edge.stop()

    async def meet_wishes(self) -> None:
        """Models as they are desired now. Reading and timing one takes up to a minute, in which bans and drains must be heard."""
        while True:
            await self._some_wished.wait()
            self._some_wished.clear()
            await self._edge.rollout.want(self._wished, self._edge.clock.monotonic_ms())

    # ------------------------------------------------------------------------------------------------------ operators

    def health(self) -> dict[str, Any]:
        return {
            "edge": self._name,
            "region": self._region,
            "version": __version__,
            "url": self._edge.seating.url,
            "ready": self._edge.ready() is None,
            "why": self._edge.ready(),
            "store": self.store_ok,
            "bus": self._edge.bus.online,
        }

    def refresh(self) -> None:
        """Put running figures into metrics; called when Prometheus asks."""
        edge, metrics = self._edge, self._metrics
        tick = edge.tick.figures
        metrics.gauge("players").set(edge.lobby.connected)
        metrics.gauge("spectators").set(len(edge.spectators))
        metrics.gauge("sessions").set(len(edge.players))
        metrics.gauge("entities").set(edge.host.seats)
        metrics.gauge("npcs").set(len(edge.game.npcs()))
        metrics.gauge("tick_busy_ratio").set(self._busy)
        metrics.gauge("outbox_results").set(edge.relay.waiting + edge.recorder.waiting)
        metrics.gauge("store_up").set(self.store_ok)
        metrics.gauge("bus_up").set(edge.bus.online)
        metrics.gauge("draining").set(edge.lobby.draining)
        for mode in edge.game.spec.modes:
            metrics.gauge("matches", mode=mode).set(sum(match.record.mode == mode for match in edge.host))
            metrics.gauge("queue_tickets", mode=mode).set(edge.matcher.queued.get(mode, 0))
        for found in edge.matcher.compared():
            for of, tally in (("live", found.live), ("shadow", found.shadow)):
                metrics.counter("shadow_matches_total", mode=found.mode, rules=of).value = tally.matches
                metrics.gauge("shadow_wait_ms", mode=found.mode, rules=of).set(tally.wait_ms_mean)
                metrics.gauge("shadow_quality", mode=found.mode, rules=of).set(tally.quality_mean)
            metrics.counter("shadow_overtaken_total", mode=found.mode).value = found.overtaken
        for stage, took_ns in tick.stage_ns.items():
            metrics.counter("tick_stage_ms_total", stage=stage).value = took_ns / 1e6
        metrics.counter("ticks_total").value = tick.ticks
        metrics.counter("ticks_skipped_total").value = tick.ticks_dropped
        metrics.counter("inbox_dropped_total").value = edge.inbox.dropped
        metrics.counter("snapshots_sent_total").value = tick.snapshots
        metrics.counter("snapshots_skipped_total").value = tick.snapshots_skipped
        metrics.counter("sent_bytes_total").value = tick.bytes_out
        metrics.counter("npc_actions_total").value = tick.npc_actions
        metrics.counter("model_rollbacks_total").value = edge.rollout.rollbacks
        for name in edge.engine.names():
            if (figures := edge.engine.figures(name)) is not None:
                for by, rows in (("model", figures.actions), ("held", figures.held), ("fallback", figures.fallbacks)):
                    metrics.counter("inference_answers_total", model=name, by=by).value = rows
                metrics.counter("inference_late_total", model=name).value = figures.late
                metrics.counter("inference_failures_total", model=name).value = figures.failures
                self._ways(name)
        for judged, seconds in zip(("yes", "no"), edge.watching.combat_s, strict=True):
            metrics.counter("combat_seconds_total", judged=judged).value = seconds
        metrics.counter("evidence_dropped_total").value = edge.recorder.evidence_dropped
        metrics.counter("inputs_total", outcome="accepted").value = tick.commands - int(tick.refused.sum())
        for outcome, code in _OUTCOMES.items():
            metrics.counter("inputs_total", outcome=outcome).value = int(tick.refused[code])


_OUTCOMES: Final = (
    {name: code for code, name in enumerate(REFUSAL_NAMES) if code}
    | {name: GATE_FIRST + at for at, name in enumerate(GATE_REASONS)}
    | {"not_seated": NOT_SEATED}
)
