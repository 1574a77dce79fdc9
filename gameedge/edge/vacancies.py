"""People for matches that run (`backfill` in the rules): which seats are free here, and who was given them.

Problem. A match that began with NPCs, or that somebody left, has seats for people who wait; they should not wait for a new one, and
    nobody may be given a seat twice, by whichever process.
Method. The holder of a mode's lease, when people wait whom it could not match, asks the processes that host matches for vacancies
    (`vacancies`). Each names those of its matches with the most time left (`vacant`): the record, the free seats, whose they were. The
    holder chooses by the mode's rules (`core/matchmaking/backfill.py`) and gives the seats in one atomic step (`match_join`): tickets
    out of the pool, members into the match's record, a `fill` event to the host, only if the match still has the host, epoch and
    joins that the holder knows. The host puts them into the seats, tells them like anybody else (`match_found`), and those who play
    hear the new roster. An NPC plays each seat until its person joins.
Guarantee. A seat is free if it was nobody's, or if its player left for good; whoever is only away keeps it. A process that dies
    between the step and the telling leaves the newcomers in the record: whoever adopts the match tells them. Where the match ended
    first, their tickets go back with their age. The match rates who left by it, and not who came late.
Cost. Two messages a host every half second, while somebody waits.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from gameedge.core import limits
from gameedge.core.errors import RefusedError, UnavailableError
from gameedge.core.ids import EdgeId, TicketId
from gameedge.core.protocol.messages import Roster
from gameedge.edge.clock import Clock
from gameedge.edge.host import HostedMatch, MatchHost
from gameedge.edge.players import Players
from gameedge.edge.seating import Seating
from gameedge.state.base import InboxEvent, MatchRecord, RegionStore, Ticket
from gameedge.telemetry import logs
from gameedge.telemetry.metrics import Registry

TOLD_MAX: Final = 8  # vacancies that a process names at once, those with the most time left
log = logs.get(__name__)


class Free(msgspec.Struct, frozen=True, array_like=True):
    """A seat for somebody."""

    team: int
    place: int
    ticket: TicketId | None = None  # of the player who left it
    played: bool = False  # that player had taken it


_seats: Final = msgspec.json.Decoder(list[Free])


class Vacancies:
    """The host's side. `post` tells a process."""

    def __init__(
        self,
        store: RegionStore,
        host: MatchHost,
        seating: Seating,
        players: Players,
        clock: Clock,
        metrics: Registry,
        post: Callable[[EdgeId, Sequence[InboxEvent]], Awaitable[None]],
    ) -> None:
        self._store, self._host, self._seating, self._players = store, host, seating, players
        self._clock, self._metrics, self._post = clock, metrics, post

    async def tell(self, event: InboxEvent) -> None:
        """The holder of a mode's lease asks for vacancies."""
        if event.edge is None:
            return
        unix_ms = self._clock.unix_ms()
        found = []
        for match in self._host:
            if match.record.mode != event.mode or not any(match.people()):
                continue
            free = self._host.free_seats(match)
            left_ms = self._host.left_ms(match, unix_ms)
            if free and left_ms >= event.ms:
                detail = msgspec.json.encode([Free(*seat) for seat in free]).decode()
                found.append(InboxEvent(kind="vacant", match=match.record, match_id=match.id, mode=event.mode, ms=left_ms, detail=detail))
        found.sort(key=lambda each: -each.ms)
        if found:
            await self._post(event.edge, found[:TOLD_MAX])

    async def filled(self, record: MatchRecord) -> None:
        """People were given seats of a match that we host. Raises UnavailableError: hear it again."""
        match = self._host.get(record.match)
        if match is None or match.record.epoch != record.epoch:
            await self._too_late(record)
            return
        if match.record.joins < record.joins:  # else: heard again, after the store was away
            self._metrics.counter("seats_filled_total", mode=record.mode).value += len(self._host.fill(match, record))
            self._tell_roster(match)
        for seat in match.seats:  # whoever was told already hears nothing new
            if seat.ticket is not None and seat.ticket.id in record.late and not seat.joined:
                await self._post(seat.ticket.edge, [self._seating.offer(match, seat, seat.ticket.session)])

    def _tell_roster(self, match: HostedMatch) -> None:
        for seat in match.people():
            if (player := self._players.get(seat.session)) is not None:
                player.session.send(Roster(match=match.id, roster=match.roster))
                player.flush()

    async def _too_late(self, record: MatchRecord) -> None:
        """It ended, or goes on elsewhere: there its host tells them."""
        if await self._store.match_get(record.mode, record.match) is not None:
            return
        for ticket in record.tickets:
            if ticket.id not in record.late:
                continue
            try:
                await self._store.ticket_add(ticket, limits.POOL_TICKETS_MAX)
            except UnavailableError:
                raise
            except RefusedError as error:  # its player queued again meanwhile, or the pool is full: it is told that the match is gone
                log.debug("late_ticket_not_queued", detail=error.detail)


def seats_of(event: InboxEvent) -> list[Free]:
    """The free seats that a `vacant` event names; none where it cannot be read."""
    try:
        return _seats.decode(event.detail)
    except (msgspec.DecodeError, RecursionError):
        return []


def after_join(before: MatchRecord, free: Sequence[Free], joined: Sequence[Sequence[Ticket]]) -> MatchRecord | None:
    """The match with these people, by team, in its free seats. None: nobody joins, or there is no seat for somebody."""
    seats = {team: deque(seat for seat in free if seat.team == team) for team in range(len(joined))}
    teams = [list(team) for team in before.teams] + [[] for _ in range(len(joined) - len(before.teams))]
    tickets, left, late = {ticket.id: ticket for ticket in before.tickets}, list(before.left), list(before.late)
    for team, people in enumerate(joined):
        for ticket in people:
            if not seats[team]:
                return None
            seat = seats[team].popleft()
            gone = tickets.pop(seat.ticket, None) if seat.ticket is not None else None
            if gone is not None and seat.played and gone.id not in late:
                left.append((team, gone.player))
            if seat.place < len(teams[team]):
                teams[team][seat.place] = ticket.id
            elif seat.place == len(teams[team]):
                teams[team].append(ticket.id)
            else:
                return None
            tickets[ticket.id] = ticket
            late.append(ticket.id)
    if not any(joined):
        return None
    return msgspec.structs.replace(
        before, teams=teams, tickets=list(tickets.values()), left=left, late=[t for t in late if t in tickets], joins=before.joins + 1
    )
