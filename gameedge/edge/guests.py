"""Matches across regions, the host's part: matches whose players come from elsewhere (docs/decisions/0019).

Problem. A coordinator brings tickets of several regions together; the region that hosts the match must not take its word for it, and a
    seat must not be taken any more when its player waits at home again.
Method. The match is opened once all regions have granted, with whole tickets: ages by the coordinator's clock, every rule checked again
    by code of its own. Its record (`guests`) is a match like any other, except that its tickets never go into a pool here and its players
    are told by their own regions. Seats that nobody took limits.CROSSING_JOIN_MS after the opening lose their match token: an NPC plays
    on, or somebody to whom backfill gives the seat.
Guarantee. Opening it twice opens it once. The window is counted from the opening, which every home's own wait begins after.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import EdgeId, RegionId, TicketId
from gameedge.core.matchmaking.crossing import check, rules_name
from gameedge.core.tokens import AskClaims
from gameedge.edge.exchange import read_body
from gameedge.edge.host import void_guests
from gameedge.state.base import MatchRecord
from gameedge.state.crossings import Open, Opened, Seen

if TYPE_CHECKING:
    from gameedge.edge.app import Edge

LOOK_MS: Final = 200.0


class Guests:
    """Owned by `Edge`; reads its parts."""

    def __init__(self, edge: "Edge") -> None:
        self._edge, self._exchange = edge, edge.exchange
        self._region, self._name = RegionId(edge.config.region), EdgeId(edge.config.edge)
        self.handlers: dict[str, Callable[[AskClaims], Awaitable[Any]]] = {"crossing_open": self._open, "crossing_seen": self._seen}

    async def run(self) -> None:
        """For the life of the process."""
        while True:
            await asyncio.sleep(LOOK_MS / 1000)
            self.void()

    async def _open(self, claims: AskClaims) -> Opened:
        """Open a match of guests, once; the rules are checked here, whoever proposed it."""
        ask = read_body(claims, Open)
        edge, rules = self._edge, self._exchange.rules.get(ask.mode)
        if rules is None or rules_name(self._exchange.text[ask.mode]) != ask.rules:
            raise RefusedError(Reason.UNSUPPORTED, "this region has other rules for that mode")
        if edge.lobby.draining or edge.recorder.full:
            raise RefusedError(Reason.DRAINING, "this process takes no more matches")
        now_ms = edge.clock.unix_ms()
        tickets = [msgspec.structs.replace(t, created_ms=now_ms - max(0, ask.now_ms - t.created_ms)) for t in ask.tickets]
        by_id = {ticket.id: ticket for ticket in tickets}
        if {name for team in ask.teams for name in team} != by_id.keys() or any(ticket.mode != ask.mode for ticket in tickets):
            raise RefusedError(Reason.MALFORMED, "teams and tickets differ")
        if problems := check([[by_id[name] for name in team] for team in ask.teams], rules, self._region, now_ms):
            raise RefusedError(Reason.UNSUPPORTED, f"the match breaks a rule: {problems[0]}"[:256])
        match = edge.host.get(ask.match)
        if match is None:
            record = MatchRecord(
                match=ask.match,
                mode=ask.mode,
                host=self._name,
                fence=0,
                teams=ask.teams,
                tickets=tickets,
                created_ms=now_ms,
                seed=int.from_bytes(edge.draw(6), "big"),
                guests=True,
            )
            if not await edge.store.match_guests(record):
                raise RefusedError(Reason.ALREADY_QUEUED, "another process has opened that match")
            await edge.matches.open(record)
            match = edge.host.get(ask.match)
        if match is None:
            raise RefusedError(Reason.SERVER_FULL, "this process has no room for that match")
        return Opened(url=edge.seating.url, tokens={seat.ticket.id: seat.match_token for seat in match.seats if seat.ticket is not None})

    async def _seen(self, claims: AskClaims) -> list[TicketId]:
        ask = read_body(claims, Seen)
        came = self._edge.host.came(ask.match)
        if came is None:
            raise RefusedError(Reason.NOT_FOUND, "that match does not run here (any more)")
        return came

    def void(self) -> None:
        """Seats that guests did not take in time: nobody may any more. An NPC plays on, or somebody whom backfill gives it."""
        for match in self._edge.host:
            if match.record.guests:
                void_guests(match, self._edge.clock.monotonic_ms(), self._edge.clock.unix_ms())
