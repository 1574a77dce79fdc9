"""What an operator should look at: rules over the registry, each with what to do. An alarm is on after it held for a moment."""

from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec

from gameedge.bus.payloads import EdgeReport
from gameedge.coordinator.registry import Edge, Region, Registry

HOLD_MS: Final = 2_000  # shorter troubles are no alarm
OFFLINE_SHOWN_MS: Final = 600_000  # a process that has been gone for longer was taken away
LATE_MS: Final = 10.0
WAIT_MS: Final = 10_000.0
OUTBOX: Final = 100
FULL: Final = 0.95
FALLBACK_MS: Final = 2.0  # p99 of a batch beyond the deadline of an NPC model
SHOWN_MAX: Final = 200

Severity = Literal["critical", "warning", "note"]
_RANK: Final = {"critical": 0, "warning": 1, "note": 2}


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """`since_ms`: Unix. `what` says what is wrong, `do` what helps. Empty names: it is about the coordinator or the whole region."""

    severity: Severity
    what: str
    do: str
    region: str = ""
    edge: str = ""
    since_ms: int = 0


class Alarms:
    """Remembers since when each holds."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str, str], int] = {}

    def look(self, registry: Registry, now_ms: int, *, bus_online: bool, store_ms: float | None) -> list[Alarm]:
        """Those that hold, the worst and oldest first, at most SHOWN_MAX."""
        found: dict[tuple[str, str, str], Alarm] = {}
        for alarm in _all(registry, now_ms, bus_online, store_ms):
            found[alarm.region, alarm.edge, alarm.do] = alarm
        self._since = {key: min(now_ms, self._since.get(key, now_ms)) for key in found}  # a clock that stepped back hides none
        held = [
            msgspec.structs.replace(alarm, since_ms=self._since[key])
            for key, alarm in found.items()
            if now_ms - self._since[key] >= HOLD_MS
        ]
        return sorted(held, key=lambda alarm: (_RANK[alarm.severity], alarm.since_ms, alarm.region, alarm.edge))[:SHOWN_MAX]


def _all(registry: Registry, now_ms: int, bus_online: bool, store_ms: float | None) -> Iterator[Alarm]:
    if not bus_online:
        yield Alarm(severity="critical", what="the broker is not connected", do="start it, or check `bus`; figures are old until then")
    if store_ms is None:
        yield Alarm(severity="critical", what="the global store does not answer", do="start it, or check `redis`; nobody can be placed")
    for region in registry.regions.values():
        doubts = {edge.edge: registry.doubt(edge, now_ms) for edge in region.edges.values()}
        gone = [edge for edge in region.edges.values() if doubts[edge.edge] == "offline"]
        recent = [edge for edge in gone if edge.presence is not None and now_ms - registry.gone_ms(edge) < OFFLINE_SHOWN_MS]
        if gone and len(gone) == len(region.edges) and recent:
            yield _of(region, None, "critical", "no process is online", "start its processes; players are placed elsewhere")
        else:
            for edge in recent:
                yield _of(region, edge, "warning", "is offline", "look at its log; the others of the region took its matches over")
        for edge in region.edges.values():
            if doubts[edge.edge] not in ("", "offline"):
                yield _of(region, edge, "warning", doubts[edge.edge], "look at its log and at the network to it")
            if edge.report is not None and doubts[edge.edge] != "offline":
                yield from _of_report(region, edge, edge.report)


def _of_report(region: Region, edge: Edge, report: EdgeReport) -> Iterator[Alarm]:
    late, wait = report.tick_lateness_ms.p99, report.queue_wait_ms.p99
    if late > LATE_MS:
        yield _of(region, edge, "critical" if late > 5 * LATE_MS else "warning", f"ticks are {late:.0f} ms late at p99", "add a process")
    if wait > WAIT_MS:
        yield _of(
            region, edge, "warning", f"players wait {wait / 1000:.0f} s at p99", "look at the queue: too few players, or matches full"
        )
    if report.outbox > OUTBOX:
        yield _of(region, edge, "warning", f"{report.outbox} results wait", "look at the bus and the coordinators: ratings stand still")
    if report.players_max and report.players >= FULL * report.players_max:
        yield _of(region, edge, "warning", f"{report.players} of {report.players_max} connections", "add a process: nobody gets in soon")
    if report.inference_ms.p99 > FALLBACK_MS:
        text = f"a batch takes {report.inference_ms.p99:.1f} ms at p99"
        yield _of(region, edge, "note", text, "NPCs fall back on scripts: fewer entities a process, or a smaller model")
    for model in report.models:
        if model.state in ("refused", "rolled_back"):
            yield _of(region, edge, "warning", f"model {model.model} was {model.state.replace('_', ' ')}: {model.why}", "look at `models`")
    if report.draining or region.desired.draining or edge.edge in region.desired.draining_edges:
        yield _of(region, edge, "note", "drains", "stop it once it is empty, or resume it")


def _of(region: Region, edge: Edge | None, severity: Severity, what: str, do: str) -> Alarm:
    names: dict[str, Any] = {"region": str(region.region), "edge": str(edge.edge) if edge is not None else ""}
    return Alarm(severity=severity, what=what, do=do, **names)
