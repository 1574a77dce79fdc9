"""What a live dashboard of 200 regions costs a coordinator: one state a second, computed and encoded once for all who look."""

import zlib
from typing import Final

import msgspec

from gameedge.bus import topics
from gameedge.bus.base import BusMessage
from gameedge.bus.payloads import EdgeReport, ModelReport, Presence, Quantiles, encode
from gameedge.config import CoordinatorConfig
from gameedge.coordinator.alarms import Alarms
from gameedge.coordinator.live import Live
from gameedge.coordinator.registry import Registry
from gameedge.coordinator.results import Results
from gameedge.coordinator.services import Services
from gameedge.coordinator.status import status_view
from gameedge.coordinator.tokens import Signer
from gameedge.coordinator.verdicts import Verdicts
from gameedge.core.ids import EdgeId, RegionId
from gameedge.state.memory_global import MemoryGlobalStore
from gameedge.telemetry import compact
from gameedge.telemetry.metrics import coordinator_registry
from loadtest.bench.report import Row, row
from loadtest.bench.timing import us_each

REGIONS: Final = 200
EDGES: Final = 4
NOW_MS: Final = 1_800_000_000_000


class _NoBus:
    """The stream reads whether the broker is there, and nothing else of the bus."""

    online = True


def _messages(number: int, edge: int) -> tuple[BusMessage, BusMessage]:
    region, name = RegionId(f"region-{number}"), EdgeId(f"e{edge}")
    presence = Presence(
        online=True,
        region=region,
        region_title=f"City {number}",
        latitude=-50.0 + (number * 37) % 115,
        longitude=-170.0 + (number * 53) % 340,
        url=f"wss://{name}.{region}.example:443",
        version="0.1.0",
    )
    quantiles = Quantiles(p50=1.234, p99=7.89)
    report = EdgeReport(
        at_ms=NOW_MS,
        players=(number * 97 + edge) % 900,
        players_max=1_000,
        queued={"duel": number % 9, "squads": 3},
        matches=number % 90,
        npcs=number % 60,
        tick_lateness_ms=quantiles,
        inference_ms=quantiles,
        queue_wait_ms=quantiles,
        rtt_ms=quantiles,
        npc_styles=dict.fromkeys(("flanker", "sniper", "guardian", "roamer", "swarm", "careful", "aggressive", "support"), 3),
        npc_levels={str(level): level for level in range(1, 11)},
        models=[ModelReport(model="npc", stable="npc-0123456789ab", actions=10**6)],
        histograms={name: list(range(len(bounds) + 1)) for name, bounds in compact.BOUNDS.items()},
    )
    return (
        BusMessage(topics.presence(region, name), encode(presence), False),
        BusMessage(topics.report(region, name), encode(report), False),
    )


def run(notes: list[str], *, quick: bool = False) -> list[Row]:
    seconds = 0.1 if quick else 1.0
    registry, metrics, store = Registry(), coordinator_registry(), MemoryGlobalStore()
    pairs = [_messages(number, edge) for number in range(REGIONS) for edge in range(EDGES)]
    for presence, report in pairs:
        registry.hear(presence, NOW_MS)
        registry.hear(report, NOW_MS)
    bus = _NoBus()
    services = Services(
        config=CoordinatorConfig(redis="memory://", bus="memory://"),
        store=store,
        bus=bus,  # type: ignore[arg-type]
        signer=Signer(bytes(32)),
        metrics=metrics,
        registry=registry,
        results=Results(store, bus, metrics, lambda: NOW_MS),  # type: ignore[arg-type]
        verdicts=Verdicts(metrics),
        now_ms=lambda: NOW_MS,
        draw=lambda: 0.5,
        name="bench",
    )
    live, alarms = Live(services), Alarms()
    state = msgspec.json.encode(live.state([]))
    whole = msgspec.json.encode(status_view(services))

    def hear() -> None:
        for _, report in pairs:
            registry.hear(report, NOW_MS)

    hear_us = us_each(hear, items=len(pairs), seconds=seconds)
    look_us = us_each(lambda: alarms.look(registry, NOW_MS, bus_online=True, store_ms=1.0), seconds=seconds)
    state_us = us_each(lambda: msgspec.json.encode(live.state([])), seconds=seconds)
    whole_us = us_each(lambda: msgspec.json.encode(status_view(services)), seconds=seconds)
    notes.append(f"{REGIONS} regions of {EDGES} processes; the baseline is the whole status as GET /v1/admin/status gives it")
    return [
        row("a state for all dashboards", state_us / 1000, "ms", at_most=50.0, baseline=whole_us / 1000),
        row("its size", len(state) / 1024, "KiB", at_most=128.0, baseline=len(whole) / 1024),
        row("its size as a WebSocket packs it", len(zlib.compress(state, 6)) / 1024, "KiB"),
        row("alarms over all processes", look_us / 1000, "ms"),
        row("hear one report with histograms", hear_us, "us"),
    ]
