"""Matches that everybody must accept before they are matches (`accept` in the rules): the host's side.

Problem. Ten people are matched and one has gone to make tea. The nine must not lose their place for it, the one must not be matched
    again and again, and no process that dies on the way may leave any of them nowhere.
Method. The claim is the same as ever: tickets leave the pool in one atomic step, so nobody is offered two matches. Its record says
    `accept_ms`: it is only offered. The host asks each member through the process that they are connected to, and keeps the answers
    in memory. All said yes: the record becomes a match (`match_adopt` to itself, the next epoch) and is opened as any other. Somebody
    says no, or the time is over: one atomic step queues the tickets of the others again, with their age, and everybody is told. A
    party is one ticket in this: where one member is out, the others of it are, too, and hear why.
Guarantee. Only the store decides: whoever unclaims or adopts first is right, the other finds another epoch. A host that dies while it
    asks leaves a record with `accept_ms`, which the matcher queues again as a whole (reaper.py); the members are asked anew.
Cost. No work in the tick; one call to the store an offer, and a message each way a member.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import EdgeId, MatchId, SessionId, TicketId
from gameedge.edge.clock import Clock
from gameedge.state.base import InboxEvent, MatchRecord, RegionStore, Ticket
from gameedge.telemetry import logs
from gameedge.telemetry.metrics import Registry

LOOK_MS: Final = 100.0
GRACE_MS: Final = 500.0  # beyond the deadline that members were told: an answer sent in time is taken
DECLINED: Final = "you declined the match"
SILENT: Final = "you did not accept the match in time; queue again"
PARTY_OUT: Final = "a member of your party did not accept the match; queue again together"
OFF: Final = "somebody did not accept the match; you are queued again and have lost no time"
log = logs.get(__name__)


@dataclass(slots=True, eq=False)
class Offered:
    """One match that is being asked about. `tickets` are its members where they are connected now."""

    record: MatchRecord
    until_ms: float
    tickets: dict[TicketId, Ticket]
    asked: set[TicketId] = field(default_factory=set)
    yes: set[TicketId] = field(default_factory=set)
    busy: bool = False  # the store is being told how it ended
    match: MatchRecord | None = None  # all said yes and the store has it as a match: it only has to be opened

    @property
    def accepted(self) -> bool:
        return self.yes >= self.tickets.keys()


class Offers:
    """`post` tells a process; `begin` opens a match that all have accepted. Owned by one event loop."""

    def __init__(
        self,
        store: RegionStore,
        edge: EdgeId,
        clock: Clock,
        metrics: Registry,
        post: Callable[[EdgeId, Sequence[InboxEvent]], Awaitable[None]],
        begin: Callable[[MatchRecord], Awaitable[None]],
    ) -> None:
        self._store, self._edge, self._clock, self._metrics, self._post, self._begin = store, edge, clock, metrics, post, begin
        self._open: dict[MatchId, Offered] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, match: MatchId) -> bool:
        return match in self._open

    async def run(self) -> None:
        """Ends offers whose time is over. For the life of the process."""
        while True:
            await asyncio.sleep(LOOK_MS / 1000)
            try:
                await self.look()
            except Exception as error:  # one offer that breaks us must not end the process
                log.fault("offers_failed", error)
                self._metrics.counter("errors_total", where="offers").add()

    async def look(self) -> None:
        now_ms = self._clock.monotonic_ms()
        for offered in [each for each in self._open.values() if not each.busy and (each.accepted or now_ms > each.until_ms + GRACE_MS)]:
            try:
                if offered.accepted:  # the store was away just then: it is opened now
                    await self._all_said_yes(offered)
                else:
                    await self._off(offered, dict.fromkeys(offered.tickets.keys() - offered.yes, SILENT), Reason.IDLE)
            except RefusedError as error:
                log.debug("offer_waits", match=offered.record.match, detail=error.detail)

    async def offer(self, record: MatchRecord) -> None:
        """A claimed match was given to this process: ask its members. Again, after UnavailableError: those who were not asked yet."""
        offered = self._open.get(record.match)
        if offered is None:
            until_ms = self._clock.monotonic_ms() + record.accept_ms
            offered = self._open[record.match] = Offered(record, until_ms, {ticket.id: ticket for ticket in record.tickets})
            self._metrics.counter("matches_offered_total", mode=record.mode).add()
        for ticket in [ticket for ticket in offered.tickets.values() if ticket.id not in offered.asked]:
            await self._post(ticket.edge, [self._asking(offered, ticket)])
            offered.asked.add(ticket.id)

    def _asking(self, offered: Offered, ticket: Ticket) -> InboxEvent:
        left_ms = max(0, round(offered.until_ms - self._clock.monotonic_ms()))
        return InboxEvent(
            kind="offer", match_id=offered.record.match, mode=offered.record.mode, session=ticket.session, ticket=ticket.id,
            edge=self._edge, ms=left_ms, detail=str(len(offered.tickets)),
        )  # fmt: skip

    async def moved(self, event: InboxEvent) -> None:
        """A member's session goes on in another process, which asks for its seat: it is asked there, if it has not said yes."""
        offered = self._open.get(event.match_id or MatchId(""))
        ticket = offered.tickets.get(event.ticket or TicketId("")) if offered is not None else None
        if offered is None or ticket is None or event.edge is None or offered.busy or offered.match is not None:
            return  # or it has just ended: who asks will ask again, and finds what became of it
        session = event.session or SessionId(ticket.session)
        offered.tickets[ticket.id] = ticket = msgspec.structs.replace(ticket, session=session, edge=event.edge)
        await self._post(ticket.edge, [self._asking(offered, ticket)])

    async def heard(self, event: InboxEvent) -> None:
        """A member's answer. Raises UnavailableError: hear it again."""
        offered = self._open.get(event.match_id or MatchId(""))
        if offered is None or offered.busy or offered.match is not None or event.ticket not in offered.tickets:
            return  # it is over: whoever asks was told how
        if event.kind == "decline":
            await self._off(offered, {event.ticket: DECLINED}, None)
            return
        offered.yes.add(event.ticket)
        if offered.accepted:
            try:
                await self._all_said_yes(offered)
            except RefusedError as error:  # nobody has to say it again: `look` opens it as soon as the store answers
                log.debug("offer_waits", match=offered.record.match, detail=error.detail)

    async def withdraw_all(self) -> None:
        """The process goes away: everybody is queued again, and asked by another."""
        for offered in [each for each in self._open.values() if not each.busy and each.match is None]:
            await self._off(offered, {}, None)

    # ----------------------------------------------------------------------------------------------------------- ends

    async def _all_said_yes(self, offered: Offered) -> None:
        """The store makes it a match, and it is opened; what the store does not answer now is gone on with later. Raises RefusedError."""
        record, offered.busy = msgspec.structs.replace(offered.record, tickets=list(offered.tickets.values())), True
        try:
            if offered.match is None:
                offered.match = await self._adopted(record)
            if offered.match is not None:
                await self._begin(offered.match)
        finally:
            offered.busy = False
        self._open.pop(record.match, None)
        if offered.match is None:
            log.warning("offer_was_given_up", match=record.match)  # we were taken for dead, and its members are queued again
            await self._tell(offered.tickets.values(), "withdrawn", record, OFF)
        else:
            self._metrics.counter("offers_ended_total", mode=record.mode, how="accepted").add()

    async def _adopted(self, record: MatchRecord) -> MatchRecord | None:
        adopted = await self._store.match_adopt(record, self._edge)
        if adopted is None:  # perhaps it was, and the answer was lost
            now = await self._store.match_get(record.mode, record.match)
            adopted = now if now is not None and (now.host, now.epoch) == (self._edge, record.epoch + 1) else None
        return adopted

    async def _off(self, offered: Offered, why: Mapping[TicketId, str], reason: Reason | None) -> None:
        record = msgspec.structs.replace(offered.record, tickets=list(offered.tickets.values()))
        out = dict(why) | dict.fromkeys(party_mates(record.tickets, why) - why.keys(), PARTY_OUT)
        offered.busy = True
        try:
            if not await self._store.match_unclaim(record, out):
                for name in out:  # somebody else queued them all again
                    await self._store.ticket_cancel(record.mode, name)
        finally:
            offered.busy = False
        self._open.pop(record.match, None)
        how = "withdrawn" if not why else "declined" if reason is None else "silent"
        self._metrics.counter("offers_ended_total", mode=record.mode, how=how).add()
        for ticket in record.tickets:
            if ticket.id in out:
                said = reason if ticket.id in why else Reason.PARTY_LEFT
                event = InboxEvent(
                    kind="dequeued", match_id=record.match, mode=record.mode, session=ticket.session, ticket=ticket.id,
                    detail=out[ticket.id], reason=str(said) if said is not None else "",
                )  # fmt: skip
                await self._post(ticket.edge, [event])
        await self._tell([ticket for ticket in record.tickets if ticket.id not in out], "withdrawn", record, OFF)

    async def _tell(self, tickets: Collection[Ticket], kind: str, record: MatchRecord, detail: str) -> None:
        for t in tickets:
            event = InboxEvent(kind=kind, match_id=record.match, mode=record.mode, session=t.session, ticket=t.id, detail=detail)
            await self._post(t.edge, [event])


def party_mates(tickets: Sequence[Ticket], out: Collection[TicketId]) -> set[TicketId]:
    """Tickets of the same parties as those that are out, these included."""
    parties = {ticket.party for ticket in tickets if ticket.id in out and ticket.party is not None and ticket.party_size > 1}
    return {ticket.id for ticket in tickets if ticket.id in out or (ticket.party in parties and ticket.party_size > 1)}
