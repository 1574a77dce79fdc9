"""A region's part in the exchange of tickets between regions: who is shown to others, and what a coordinator asks of the home region.

Problem. Only the process that leads a mode knows who waits, and only the process that a player is connected to may move its grant.
Method. The leader tells the bus who may be matched elsewhere, and grants tickets when a coordinator asks (a claim of each, atomically).
    Seats and ends are passed on to the processes that own the grants (crossings.py). Each question may come twice without harm.
Cost. A message on the bus twice a second and mode while somebody may be shown.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from gameedge.bus import topics
from gameedge.bus.payloads import Waiting, encode
from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import EdgeId, RegionId, TicketId
from gameedge.core.matchmaking.crossing import crosses, grant_of, show
from gameedge.core.matchmaking.rules import ModeRules, to_json
from gameedge.core.tokens import AskClaims
from gameedge.state.base import InboxEvent, MatchRecord
from gameedge.state.crossings import VERSION, Body, End, Grant, Granted, Send
from gameedge.telemetry import logs

if TYPE_CHECKING:
    from gameedge.edge.app import Edge

SHOW_MS: Final = 500.0
B = TypeVar("B", bound=Body)
log = logs.get(__name__)


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """The `detail` of a `cross` event."""

    region: RegionId
    urls: list[str]
    token: str = ""


class Exchange:
    """Owned by `Edge`; reads its parts. `rules`: of the modes that may cross, as in the file: with all regions."""

    def __init__(self, edge: "Edge", rules: dict[str, ModeRules]) -> None:
        self._edge = edge
        self._region, self._name = RegionId(edge.config.region), EdgeId(edge.config.edge)
        self.rules = {mode: found for mode, found in rules.items() if edge.config.exchange and crosses(found)}
        self.text = {mode: to_json(found) for mode, found in self.rules.items()}
        self.rules = {mode: found for mode, found in self.rules.items() if len(self.text[mode]) <= limits.CROSSING_RULES_BYTES_MAX}
        self._told: set[str] = set()  # modes of which the last message showed somebody
        self.handlers: dict[str, Callable[[AskClaims], Awaitable[Any]]] = {
            "crossing_grant": self._grant,
            "crossing_send": self._send,
            "crossing_end": self._end,
        }

    @property
    def version(self) -> int:
        """What this process speaks; 0: nothing of it."""
        return VERSION if self._edge.config.exchange else 0

    # ------------------------------------------------------------------------------------------------------- showing

    async def run(self) -> None:
        """For the life of the process: tell coordinators who may be matched elsewhere, of modes that this process leads."""
        while True:
            await asyncio.sleep(SHOW_MS / 1000)
            for mode in self.rules:
                try:
                    await self._show(mode)
                except RefusedError as error:
                    log.debug("waiting_not_shown", mode=mode, detail=error.detail)
                except Exception as error:  # one pool that breaks us must not end the process
                    log.fault("show_failed", error)
                    self._edge.metrics.counter("errors_total", where="exchange").add()

    async def _show(self, mode: str) -> None:
        edge = self._edge
        pool = edge.matcher.led(mode)
        if not edge.bus.online or (pool is None and mode not in self._told):
            return
        travelling = edge.matcher.processes.travelling(VERSION)
        found = [] if pool is None else show(pool, self.rules[mode], self._region, edge.clock.unix_ms(), travelling)
        if not found and mode not in self._told:
            return
        (self._told.add if found else self._told.discard)(mode)
        people = len(pool) if pool is not None else 0
        while True:
            data = encode(Waiting(edge=self._name, rules=self.text[mode], people=people, tickets=found))
            if len(data) <= limits.CROSSING_BYTES_MAX or not found:
                break
            found = found[: len(found) // 2]
        await edge.bus.publish(topics.waiting(self._region, mode), data, qos=0)

    # ----------------------------------------------------------------------------------- asked by a coordinator: home

    async def _grant(self, claims: AskClaims) -> Granted:
        """Take tickets out of the pool for a match elsewhere, each with a claim of its own. All, or the question is refused (and what
        was granted goes back when the coordinator says so, or by itself)."""
        ask = read_body(claims, Grant)
        edge, pool = self._edge, self._edge.matcher.led(ask.mode)
        if ask.mode not in self.rules or edge.lobby.draining or edge.queueing.store_full:
            raise RefusedError(Reason.UNSUPPORTED, "this process grants no tickets of that mode")
        if pool is None:
            raise RefusedError(Reason.NOT_FOUND, "another process leads the mode by now")
        travelling = edge.matcher.processes.travelling(VERSION)
        wanted = [pool.ticket(name) for name in ask.tickets]
        tickets = [ticket for ticket in wanted if ticket is not None and ticket.away and ticket.edge in travelling]
        if not tickets or len(tickets) < len(wanted) or len({ticket.id for ticket in tickets}) < len(tickets):
            raise RefusedError(Reason.NOT_FOUND, "some of these tickets do not wait here any more")
        now_ms = edge.clock.unix_ms()
        records = [
            MatchRecord(
                match=grant_of(ask.match, ticket.id),
                mode=ask.mode,
                host=ticket.edge,
                fence=0,
                teams=[[ticket.id]],
                tickets=[ticket],
                created_ms=now_ms,
                seed=0,
                accept_ms=limits.CROSSING_GRANT_MS,
                away=ask.region,
            )
            for ticket in tickets
        ]
        if missing := await edge.matcher.grant(ask.mode, records):
            raise RefusedError(Reason.NOT_FOUND, f"{len(missing)} of these tickets are gone")
        return Granted(now_ms=edge.clock.unix_ms(), tickets=tickets)

    async def _send(self, claims: AskClaims) -> list[TicketId]:
        """Pass seats on to the processes that own the grants; the tickets of grants that are still there."""
        ask = read_body(claims, Send)
        passed: list[TicketId] = []
        for name, seat in ask.seats.items():
            record = await self._edge.store.match_get(ask.mode, grant_of(ask.match, name))
            if record is None or not record.accept_ms:
                continue
            where = Where(region=ask.region, urls=ask.urls, token=seat.token)
            event = InboxEvent(
                kind="cross", match_id=ask.match, mode=ask.mode, ticket=name, url=ask.urls[0], match_token=seat.match_token,
                detail=msgspec.json.encode(where).decode(),
            )  # fmt: skip
            await self._edge.events.post(record.host, [event])
            passed.append(name)
        return passed

    async def _end(self, claims: AskClaims) -> int:
        """Pass on that tickets have arrived, or that their match is off; how many grants are still there."""
        ask, there = read_body(claims, End), 0
        for name in ask.tickets:
            record = await self._edge.store.match_get(ask.mode, grant_of(ask.match, name))
            if record is None:
                continue
            there += 1
            reason = "" if ask.arrived else Reason.MATCH_LOST
            event = InboxEvent(kind="crossed", match_id=ask.match, mode=ask.mode, ticket=name, reason=reason)
            await self._edge.events.post(record.host, [event])
        return there


def read_body(claims: AskClaims, kind: type[B]) -> B:
    """What a coordinator asks. Raises RefusedError(MALFORMED)."""
    try:
        return msgspec.msgpack.decode(claims.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(Reason.MALFORMED, f"{claims.ask}: {error}"[:256]) from error
