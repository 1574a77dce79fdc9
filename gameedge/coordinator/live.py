"""`/v1/admin/live`: the state of the world to dashboards over a WebSocket, once a second.

Problem. Two hundred regions report twice a second; dashboards hang on slow lines, are left open for days and must not cost the
coordinator more than a few of them should.

Method. Nothing is queued. What all dashboards see is computed and encoded once a period, and only while somebody looks. Each
connection has one writer that takes the newest state when the line is free: a slow one skips states. Flags are a stream of their
own: each connection counts which it has been told, so that skipping states loses none of the newest VERDICTS_MAX.
The token is the first message (a URL ends in logs), and may be sent again before it ends; at its end the connection closes.

Messages, JSON. From a dashboard: {"type": "token", "token"}, {"type": "look", "region"} for one region's processes in full (null:
none). To it: `hello`, `state`, and `bye` with a reason before it is closed: 4401 ask for a token, 4403 not allowed, 4408 too
slow, 4400 not these messages, 4429 too many.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from litestar import WebSocket, websocket
from litestar.exceptions import WebSocketException

from gameedge.coordinator.alarms import Alarm, Alarms
from gameedge.coordinator.live_messages import Bye, Detail, Flow, Frame, Hello, Look, RegionRow, State, Token
from gameedge.coordinator.registry import Region
from gameedge.coordinator.roles import Operator, Role, authenticate, check_role, needs
from gameedge.coordinator.schemas.world import VerdictView
from gameedge.coordinator.services import Services
from gameedge.coordinator.status import edge_status
from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import RegionId
from gameedge.telemetry import compact, logs

PERIOD_S: Final = 1.0
SIGN_IN_S: Final = 5.0
SEND_S: Final = 10.0  # a state that the line does not take within this time: closed
VERDICTS_AT_ONCE: Final = 200
TALK_MAX: Final = 20  # messages of a dashboard within ten seconds; close
MESSAGE_CHARS_MAX: Final = 4_096
_CODES: Final = {Reason.FORBIDDEN: 4403, Reason.SLOW: 4408, Reason.MALFORMED: 4400, Reason.TOO_OFTEN: 4429, Reason.SERVER_FULL: 4429}
AnySocket = WebSocket[Any, Any, Any]
log = logs.get(__name__)


_incoming: Final[msgspec.json.Decoder[Token | Look]] = msgspec.json.Decoder(Token | Look)


@dataclass(slots=True)
class _Viewer:
    operator: Operator
    told: int  # flags, of those that the coordinator heard
    looks_at: str | None = None


class Live:
    """One a coordinator: who looks, and the newest state for all of them."""

    def __init__(self, services: Services, period_s: float = PERIOD_S) -> None:
        self._services, self._period_s = services, period_s
        self._alarms = Alarms()
        self._turn = asyncio.Condition()
        self._number = 0
        self._state = msgspec.Raw(b"null")
        self._coming = 0
        self.viewers = 0

    # -- the state

    async def run(self) -> None:
        """A state each period. Alarms are looked at even while nobody does, so that they know since when they hold."""
        while True:
            try:
                alarms = self._look_at_alarms()
                if self.viewers:
                    self._state = msgspec.Raw(msgspec.json.encode(self.state(alarms)))
                    async with self._turn:
                        self._number += 1
                        self._turn.notify_all()
            except Exception as error:  # a fault of ours must not end the stream for good
                self._services.metrics.counter("coordinator_errors_total", where="live").add()
                log.fault("live_failed", error)
            await asyncio.sleep(self._period_s)

    def _look_at_alarms(self) -> list[Alarm]:
        services = self._services
        services.metrics.gauge("coordinator_dashboards").set(self.viewers)
        return self._alarms.look(services.registry, services.now_ms(), bus_online=services.bus.online, store_ms=services.store_ms)

    def state(self, alarms: list[Alarm]) -> State:
        services, now_ms = self._services, self._services.now_ms()
        by_region: dict[str, int] = {}
        for alarm in alarms:
            if alarm.severity != "note":
                by_region[alarm.region] = by_region.get(alarm.region, 0) + 1
        rows = [self._row(region, now_ms, by_region) for _, region in sorted(services.registry.regions.items())]
        reports = [
            edge.report
            for region in services.registry.regions.values()
            for edge in region.edges.values()
            if edge.report is not None and services.registry.doubt(edge, now_ms) != "offline"
        ]
        models = [model.stable for report in reports for model in report.models if model.stable]
        return State(
            at_ms=now_ms,
            players=sum(row.players for row in rows),
            matches=sum(row.matches for row in rows),
            queued=sum(row.queued for row in rows),
            npcs=sum(row.npcs for row in rows),
            flags=services.verdicts.heard_count,
            placements=int(services.metrics.value("coordinator_placements_total")),
            accounts=int(services.metrics.value("coordinator_accounts_total")),
            results=services.results.applied_count,
            bus_online=services.bus.online,
            store_ms=services.store_ms,
            coordinator=services.name,
            regions=rows,
            histograms=compact.merge(report.histograms for report in reports),
            npc_styles=_sum(report.npc_styles for report in reports),
            npc_levels=_sum(report.npc_levels for report in reports),
            models={name: models.count(name) for name in sorted(set(models))},
            alarms=alarms,
            flows=[Flow(p.name, p.country, p.latitude, p.longitude, region, n) for p, region, n in services.flows.largest(now_ms)],
        )

    def _row(self, region: Region, now_ms: int, alarms: dict[str, int]) -> RegionRow:
        doubts = {edge.edge: self._services.registry.doubt(edge, now_ms) for edge in region.edges.values()}
        there = [edge for edge in region.edges.values() if doubts[edge.edge] != "offline"]
        reports = [edge.report for edge in there if edge.report is not None]
        status = "ok"
        if not there:
            status = "offline"
        elif region.desired.draining or (all(report.draining for report in reports) and reports):
            status = "draining"
        elif any(doubts[edge.edge] for edge in there):
            status = "doubtful"
        return RegionRow(
            region=region.region,
            title=region.title,
            latitude=region.latitude,
            longitude=region.longitude,
            status=status,
            players=sum(report.players for report in reports),
            players_max=sum(report.players_max for report in reports),
            queued=max((sum(report.queued.values()) for report in reports), default=0),  # the pool is the region's: each sees it all
            matches=sum(report.matches for report in reports),
            npcs=sum(report.npcs for report in reports),
            processes=len(there),
            processes_known=len(region.edges),
            wait_ms_p50=_worst(report.queue_wait_ms.p50 for report in reports),
            wait_ms_p99=_worst(report.queue_wait_ms.p99 for report in reports),
            late_ms_p99=_worst(report.tick_lateness_ms.p99 for report in reports),
            busy=_worst(report.tick_busy for report in reports),
            infer_ms_p99=_worst(report.inference_ms.p99 for report in reports),
            batch=_worst(report.inference_batch for report in reports),
            rtt_ms_p50=_worst(report.rtt_ms.p50 for report in reports),
            flags=sum(report.flags for report in reports),
            outbox=sum(report.outbox for report in reports),
            version=" ".join(sorted({edge.presence.version for edge in there if edge.presence is not None})),
            models=" ".join(sorted({model.stable for report in reports for model in report.models if model.stable})),
            alarms=alarms.get(region.region, 0),
        )

    def detail(self, name: str | None) -> Detail | None:
        region = self._services.registry.regions.get(RegionId(name)) if name else None
        if region is None:
            return None
        now_ms = self._services.now_ms()
        there = [edge for edge in region.edges.values() if self._services.registry.doubt(edge, now_ms) != "offline"]
        reports = [edge.report for edge in there if edge.report is not None]
        edges = [edge_status(self._services, region, edge, now_ms) for _, edge in sorted(region.edges.items())]
        queued: dict[str, int] = {}
        for report in reports:
            for mode, count in report.queued.items():
                queued[mode] = max(queued.get(mode, 0), count)
        return Detail(region=region.region, histograms=compact.merge(r.histograms for r in reports), queued=queued, edges=edges)

    # -- one dashboard

    async def serve(self, socket: AnySocket) -> None:
        """From the accepted socket to its end. Never raises for what a dashboard does."""
        try:
            viewer = await self._sign_in(socket)
        except RefusedError as error:
            await _bye(socket, error)
            return
        except WebSocketException:
            return
        why: RefusedError | None = None
        self.viewers += 1
        try:
            async with asyncio.TaskGroup() as group:  # whichever ends first ends the other
                group.create_task(self._write(socket, viewer), name="live-write")
                group.create_task(self._read(socket, viewer), name="live-read")
        except* RefusedError as refused:
            why = next(error for error in refused.exceptions if isinstance(error, RefusedError))
        except* (WebSocketException, RuntimeError):
            pass  # the line is gone
        finally:
            self.viewers -= 1
        if why is not None:
            await _bye(socket, why)

    async def _sign_in(self, socket: AnySocket) -> _Viewer:
        if self._coming >= limits.DASHBOARDS_COMING_MAX or self.viewers >= limits.DASHBOARDS_MAX:
            raise RefusedError(Reason.SERVER_FULL, f"{limits.DASHBOARDS_MAX} dashboards are connected to this coordinator")
        self._coming += 1
        try:
            async with asyncio.timeout(SIGN_IN_S):
                said = _decode(await socket.receive_data("text"))
        except TimeoutError:
            raise RefusedError(Reason.MALFORMED, f"send the token within {SIGN_IN_S:.0f} s") from None
        finally:
            self._coming -= 1
        if not isinstance(said, Token):
            raise RefusedError(Reason.MALFORMED, 'the first message is {"type": "token", "token": "..."}')
        operator = self._operator(socket, said)
        heard = self._services.verdicts.heard_count
        return _Viewer(operator, told=max(0, heard - VERDICTS_AT_ONCE))

    def _operator(self, socket: AnySocket, said: Token) -> Operator:
        operator = authenticate(self._services, said.token, socket.client.host if socket.client else "?")
        check_role(operator, Role.VIEWER)
        return operator

    async def _write(self, socket: AnySocket, viewer: _Viewer) -> None:
        services = self._services
        await self._send(socket, self._hello(viewer))
        self._state = msgspec.Raw(msgspec.json.encode(self.state(self._look_at_alarms())))  # nobody waits for the first picture
        number = self._number
        while True:
            expires_ms = viewer.operator.expires_ms
            if expires_ms is not None and services.now_ms() >= expires_ms:
                raise RefusedError(Reason.TOKEN_EXPIRED, "your token has ended; ask an owner for a new one")
            verdicts, missed = self._untold(viewer)
            frame = Frame(state=self._state, verdicts=verdicts, missed=missed, detail=self.detail(viewer.looks_at))
            await self._send(socket, frame)
            async with self._turn:
                await self._turn.wait_for(lambda number=number: self._number != number)  # type: ignore[misc]
            number = self._number

    def _hello(self, viewer: _Viewer) -> Hello:
        services = self._services
        return Hello(
            coordinator=services.name,
            version=services.version,
            name=viewer.operator.name,
            role=viewer.operator.role,
            expires_ms=viewer.operator.expires_ms,
            now_ms=services.now_ms(),
            period_ms=int(self._period_s * 1000),
            columns=list(RegionRow.__struct_fields__),
            bounds=compact.BOUNDS,
        )

    def _untold(self, viewer: _Viewer) -> tuple[list[VerdictView], int]:
        heard = self._services.verdicts.heard_count
        new = heard - viewer.told
        viewer.told = heard
        found = self._services.verdicts.newest(min(new, VERDICTS_AT_ONCE)) if new > 0 else []
        return [VerdictView(region=region, verdict=verdict) for region, verdict in reversed(found)], max(0, new - len(found))

    @staticmethod
    async def _send(socket: AnySocket, message: msgspec.Struct) -> None:
        try:
            async with asyncio.timeout(SEND_S):
                await socket.send_text(msgspec.json.encode(message).decode())
        except TimeoutError:
            raise RefusedError(Reason.SLOW, f"your line did not take a state within {SEND_S:.0f} s") from None

    async def _read(self, socket: AnySocket, viewer: _Viewer) -> None:
        said_ms: list[int] = []
        while True:
            said = _decode(await socket.receive_data("text"))
            now_ms = self._services.now_ms()
            said_ms = [at for at in said_ms if now_ms - at < 10_000] + [now_ms]
            if len(said_ms) > TALK_MAX:
                raise RefusedError(Reason.TOO_OFTEN, f"at most {TALK_MAX} messages within ten seconds")
            if isinstance(said, Token):
                viewer.operator = self._operator(socket, said)
                await self._send(socket, self._hello(viewer))
            else:
                viewer.looks_at = said.region
                await self._send(socket, Frame(state=self._state, verdicts=[], missed=0, detail=self.detail(said.region)))


def live_route(services: Services) -> Any:
    """The handler below /v1/admin."""

    @websocket("/live", opt={**needs(Role.VIEWER), "signs_in": True})
    async def live(socket: AnySocket) -> None:
        await socket.accept()
        assert services.live is not None
        await services.live.serve(socket)

    return live


def _decode(text: str | bytes) -> Token | Look:
    if len(text) > MESSAGE_CHARS_MAX:
        raise RefusedError(Reason.TOO_LARGE, f"a message has at most {MESSAGE_CHARS_MAX} characters")
    try:
        return _incoming.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise RefusedError(Reason.MALFORMED, "not a message that this stream takes") from error


async def _bye(socket: AnySocket, error: RefusedError) -> None:
    """Why, then the end; a line that takes neither is dropped by the server."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(1.0):
            await socket.send_text(msgspec.json.encode(Bye(reason=error.reason, detail=error.detail)).decode())
            await socket.close(code=_CODES.get(error.reason, 4401 if "token" in error.reason else 4400), reason=error.reason)


def _sum(many: Any) -> dict[str, int]:
    total: dict[str, int] = {}
    for counts in many:
        for name, count in counts.items():
            total[name] = total.get(name, 0) + count
    return total


def _worst(values: Any) -> float:
    return round(float(max(values, default=0.0)), 3)
