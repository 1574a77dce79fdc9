"""Matches across regions, the part of the process that a ticket's player is connected to: it is granted, sent, and taken back
(docs/decisions/0019).

Problem. A ticket of this region may be given to a match in another one. Its player must never be in two matches, its ticket never be
    lost, and both regions, the coordinator between them and every message may fail at any step.
Method. A grant is a claim of one ticket (`MatchRecord.away`), made by the holder of the mode's lease and given, in the same atomic step,
    to the process that the player is connected to. That process owns it, and moves it by compare-and-set alone:

        in the pool ──crossing_grant──▶ granted ──cross──▶ sent ──crossed, or the time is over──▶ gone
             ▲                             │                 │
             └──────── off, or 8 s ────────┴──13 s, here─────┘

    *Granted*: nobody was told anything; whatever goes wrong, the ticket goes back. *Sent*: the client was told where to go. It is
    taken back only if it is connected here when its time is over, and by then its seat over there is void.
    Who is shown and granted is in exchange.py, the host's side in guests.py.
Guarantee. The client is told to go only after the second compare-and-set, and the pool has the ticket only before the first or after
    the end. A seat of a guest ends limits.CROSSING_JOIN_MS after the match opened; a grant limits.CROSSING_BACK_MS after it was sent, which
    is later, by each side's own clock. A process that dies leaves grants that the matcher ends: those that were not sent go back.
Cost. One timer for all grants of a process.
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError, UnavailableError
from gameedge.core.ids import EdgeId, MatchId, RegionId, SessionId, TicketId
from gameedge.core.matchmaking.crossing import grant_of
from gameedge.core.protocol.messages import MatchAway, MatchWithdrawn
from gameedge.edge.exchange import Where
from gameedge.edge.player import Away, Player
from gameedge.state.base import InboxEvent, MatchRecord, Ticket
from gameedge.telemetry import logs

if TYPE_CHECKING:
    from gameedge.edge.app import Edge

LOOK_MS: Final = 100.0
BACK: Final = "the match in another region is off; you are queued again and have lost no time"
GONE: Final = "you did not reach the match in another region in time; queue again"
TAKEN: Final = "your seat in another region is taken"
log = logs.get(__name__)


_where: Final = msgspec.json.Decoder(Where)


@dataclass(slots=True, eq=False)
class Owned:
    """One grant of a player of this process. `away` is the player's view of it."""

    record: MatchRecord
    away: Away
    session: SessionId
    edge: EdgeId | None = None  # the player's session went on in that process
    busy: bool = False  # the store is being told how it ends

    @property
    def ticket(self) -> Ticket:
        return self.record.tickets[0]


class Crossings:
    """Owned by `Edge`; reads its parts."""

    def __init__(self, edge: "Edge") -> None:
        self._edge = edge
        self._region, self._name = RegionId(edge.config.region), EdgeId(edge.config.edge)
        self._owned: dict[TicketId, Owned] = {}

    def __contains__(self, grant: MatchId) -> bool:
        return any(owned.record.match == grant for owned in self._owned.values())

    def __len__(self) -> int:
        return len(self._owned)

    def _count(self, mode: str, how: str) -> None:
        self._edge.metrics.counter("crossings_total", mode=mode, how=how).add()

    # ------------------------------------------------------------------------------------------------- grants, owned

    async def granted(self, record: MatchRecord) -> None:
        """Our player's ticket was granted. Raises UnavailableError: hear it again."""
        [ticket] = record.tickets
        now_ms = self._edge.clock.monotonic_ms()
        player = self._edge.players.get(ticket.session)
        if player is None or player.ticket != ticket.id or record.host != self._name:
            await self._edge.store.match_close(record.mode, record.match, None, by=record)  # it left meanwhile: nobody waits for it
            return
        if player.cancelled == ticket.id:
            await self._edge.store.match_close(record.mode, record.match, None, by=record)
            self._edge.queueing.dequeued(player, None, "")
        elif ticket.id not in self._owned:
            player.away = Away(record.match, now_ms, now_ms + record.accept_ms)
            self._owned[ticket.id] = Owned(record, player.away, ticket.session)

    async def cross(self, event: InboxEvent) -> None:
        """Its seat is there: send the player. Raises UnavailableError: hear it again."""
        owned = self._owned.get(event.ticket or TicketId(""))
        if owned is None or event.match_id is None or owned.record.match != grant_of(event.match_id, owned.ticket.id):
            return  # it ended meanwhile; the seat stays empty
        if owned.away.sent or owned.busy:
            return
        try:
            where = _where.decode(event.detail)
        except msgspec.DecodeError:
            return
        player = self._edge.players.get(owned.session)
        if player is None or player.ticket != owned.ticket.id or player.link is None or owned.edge is not None:
            await self._back(owned, player)  # nobody is there who could be told
            return
        owned.busy = True
        try:
            if where.region == self._region:
                await self._seat_here(owned, player, event)
            else:
                await self._go(owned, player, event, where)
        finally:
            owned.busy = False

    async def _seat_here(self, owned: Owned, player: Player, event: InboxEvent) -> None:
        """The match is in this region: once the ticket cannot go back any more, a match like any other."""
        sent = await self._sent(owned.record)
        self._forget(owned, player)
        if sent is None:
            return
        self._matched(owned, "here")
        self._edge.seating.found(msgspec.structs.replace(event, kind="found", session=owned.session, detail=""))
        self._edge.players.later(lambda: self._edge.store.match_close(sent.mode, sent.match, None, by=sent))

    async def _go(self, owned: Owned, player: Player, event: InboxEvent, where: Where) -> None:
        sent = await self._sent(owned.record)
        if sent is None:
            self._forget(owned, player)  # it went back: the matcher took this process for dead
            return
        owned.record, owned.away.sent, owned.away.match = sent, True, event.match_id
        owned.away.until_ms = self._edge.clock.monotonic_ms() + limits.CROSSING_BACK_MS
        self._matched(owned, "sent")
        player.session.send(
            MatchAway(
                ticket=owned.ticket.id,
                match=event.match_id or MatchId(""),
                mode=event.mode,
                region=where.region,
                urls=where.urls,
                token=where.token,
                match_token=event.match_token,
                join_ms=limits.CROSSING_JOIN_MS,
            )
        )
        player.flush()

    async def _sent(self, record: MatchRecord) -> MatchRecord | None:
        """The second compare-and-set: from now on nobody puts the ticket back but us. None: it went back before."""
        sent = await self._edge.store.match_adopt(record, self._name)
        if sent is None:  # perhaps it was, and the answer was lost
            now = await self._edge.store.match_get(record.mode, record.match)
            sent = now if now is not None and (now.host, now.epoch) == (self._name, record.epoch + 1) else None
        return sent

    def _matched(self, owned: Owned, how: str) -> None:
        ticket = owned.ticket
        self._count(ticket.mode, how)
        self._edge.reports.waited(ticket.mode, max(0, self._edge.clock.unix_ms() - ticket.created_ms))

    async def crossed(self, event: InboxEvent) -> None:
        """Our player took its seat elsewhere, or that match is off. Raises UnavailableError: hear it again."""
        owned = self._owned.get(event.ticket or TicketId(""))
        if owned is None or owned.busy or event.match_id is None or owned.record.match != grant_of(event.match_id, owned.ticket.id):
            return
        player = self._edge.players.get(owned.session)
        if not event.reason:
            await self._close(owned, player, TAKEN if owned.away.sent else GONE, "arrived")
        elif not owned.away.sent:
            await self._back(owned, player)
        # A player who was sent is taken back only when its seat over there is void: by its own time.

    async def cancel(self, player: Player) -> bool:
        """The player leaves the queue. False: its ticket is in the pool again. Raises RefusedError where it was sent already."""
        owned = self._owned.get(player.ticket or TicketId(""))
        if owned is None:
            return False
        player.cancelled = owned.ticket.id  # if it is not ended now, then it is when it comes back
        if owned.away.sent or owned.busy:
            raise RefusedError(Reason.IN_MATCH, "your match in another region waits for you")
        closed = await self._edge.store.match_close(owned.ticket.mode, owned.record.match, None, by=owned.record)
        if owned.away.sent:
            raise RefusedError(Reason.IN_MATCH, "your match in another region waits for you")
        self._forget(owned, player)
        return closed

    async def moved(self, event: InboxEvent) -> None:
        """Our player's session goes on in another process, which asks where it belongs. Raises UnavailableError: hear it again."""
        owned = next((each for each in self._owned.values() if each.record.match == event.match_id), None)
        if owned is None or event.edge is None or event.session is None or event.edge == self._name:
            return
        owned.session, owned.edge = event.session, event.edge
        if not owned.away.sent:
            await self._back(owned, None)
            return
        left_ms = max(0, round(owned.away.until_ms - self._edge.clock.monotonic_ms()))
        held = InboxEvent(kind="held", match_id=event.match_id, mode=event.mode, session=event.session, ticket=owned.ticket.id, ms=left_ms)
        await self._edge.events.post(event.edge, [held])

    def held(self, event: InboxEvent) -> None:
        """Another process has the grant of a player who came to us; it ends within `ms`."""
        player, now_ms = self._edge.players.get(event.session), self._edge.clock.monotonic_ms()
        if player is not None and player.ticket is not None and player.ticket == event.ticket and event.match_id is not None:
            player.away = Away(event.match_id, now_ms, now_ms + event.ms + limits.EDGE_DEAD_MS, sent=True, match=event.match_id)

    # -------------------------------------------------------------------------------------------------------- ending

    async def run(self) -> None:
        """For the life of the process: ends grants whose time is over."""
        while True:
            await asyncio.sleep(LOOK_MS / 1000)
            try:
                await self.look()
            except UnavailableError as error:
                log.debug("grants_wait", detail=error.detail)
            except Exception as error:  # one grant that breaks us must not end the process
                log.fault("crossings_failed", error)
                self._edge.metrics.counter("errors_total", where="crossings").add()

    async def look(self) -> None:
        now_ms = self._edge.clock.monotonic_ms()
        for owned in [each for each in self._owned.values() if now_ms > each.away.until_ms and not each.busy]:
            player = self._edge.players.get(owned.session)
            here = owned.edge is not None or (player is not None and player.link is not None and player.ticket == owned.ticket.id)
            if not owned.away.sent or here:
                await self._back(owned, player)
            else:
                await self._close(owned, player, GONE, "lost")

    async def withdraw_all(self) -> None:
        """The process goes away: who was not sent waits on."""
        for owned in [each for each in self._owned.values() if not each.away.sent and not each.busy]:
            await self._back(owned, self._edge.players.get(owned.session))

    async def _back(self, owned: Owned, player: Player | None) -> None:
        """Into the pool, with its age."""
        record, ticket = owned.record, owned.ticket
        if owned.edge is not None:
            ticket = msgspec.structs.replace(ticket, session=owned.session, edge=owned.edge)
        stays = player is not None and player.ticket == ticket.id and player.cancelled != ticket.id
        left = owned.edge is None and not stays  # for good: its ticket ends
        owned.busy = True
        try:
            back = await self._edge.store.match_unclaim(msgspec.structs.replace(record, tickets=[ticket]), {ticket.id} if left else ())
        finally:
            owned.busy = False
        self._forget(owned, player)
        self._count(record.mode, "back")
        if left and player is not None and player.ticket == ticket.id:
            self._edge.queueing.dequeued(player, None, "")
        elif player is not None and player.ticket == ticket.id:
            player.ticket_seen_ms = self._edge.clock.monotonic_ms()
            if owned.away.sent and back:
                player.session.send(MatchWithdrawn(ticket=ticket.id, match=owned.away.match or MatchId(""), detail=BACK))
                player.flush()

    async def _close(self, owned: Owned, player: Player | None, why: str, how: str) -> None:
        """The ticket ends; its player hears so if it ever comes back."""
        owned.busy = True
        try:
            await self._edge.store.match_close(owned.ticket.mode, owned.record.match, None, by=owned.record)
        finally:
            owned.busy = False
        self._forget(owned, player)
        self._count(owned.ticket.mode, how)
        if player is not None and player.ticket == owned.ticket.id:
            self._edge.queueing.dequeued(player, Reason.MATCH_LOST, why)

    def _forget(self, owned: Owned, player: Player | None) -> None:
        if self._owned.get(owned.ticket.id) is owned:
            del self._owned[owned.ticket.id]
        if player is not None and player.away is owned.away:
            player.away = None
