"""The queue as players see it: asking, cancelling, and hearing where they stand."""

from collections.abc import Callable
from typing import Final

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.game import GameSpec
from gameedge.core.ids import EdgeId, TicketId, encode
from gameedge.core.protocol.messages import Cancel, Dequeued, Queue, Queued, QueueStatus
from gameedge.core.protocol.session import State
from gameedge.edge.clock import Clock
from gameedge.edge.player import Player
from gameedge.edge.players import Players
from gameedge.state.base import RegionStore, Ticket

TICKET_GONE_MS: Final = 8_000.0  # a ticket that is neither queued nor matched for this long is given up


class Queueing:
    """`draining` and `store_full` are set by the process: then nobody is queued."""

    def __init__(
        self, spec: GameSpec, store: RegionStore, players: Players, edge: EdgeId, clock: Clock, draw: Callable[[int], bytes]
    ) -> None:
        self._spec, self._store, self._players, self._edge = spec, store, players, edge
        self._clock, self._draw = clock, draw
        self.draining = False
        self.store_full = False  # results wait for the store: no new matches

    def ask(self, player: Player, message: Queue, now_ms: float) -> None:
        spec = self._spec
        problem: tuple[Reason, str] | None = None
        if self.draining:
            problem = Reason.DRAINING, "this process is going away; ask for a new placement"
        elif message.mode not in spec.modes:
            problem = Reason.UNSUPPORTED, f"modes are {', '.join(spec.modes)}"
        elif message.party is not None and message.party.size > spec.modes[message.mode].team_size:
            problem = Reason.UNSUPPORTED, f"a team of {message.mode} has {spec.modes[message.mode].team_size} players"
        elif player.match is not None:
            problem = Reason.IN_MATCH, "leave the match first"
        elif player.ticket is not None:
            problem = Reason.ALREADY_QUEUED, "cancel first"
        elif self.store_full:
            problem = Reason.UNAVAILABLE, "results wait for the region's store; try again"
        if problem is not None:
            player.session.refuse("queue", problem[0], now_ms, detail=problem[1], n=message.n)
            return
        rating = player.claims.ratings.get(message.mode)
        ticket = Ticket(
            id=TicketId(encode("t", self._draw(16))),
            player=player.id,
            session=player.session.session,
            edge=self._edge,
            mode=message.mode,
            name=player.claims.name,
            rating=rating.mu if rating else 25.0,
            sigma=rating.sigma if rating else 25.0 / 3.0,
            trust=player.claims.trust,
            party=message.party.id if message.party else None,
            party_size=message.party.size if message.party else 1,
            created_ms=self._clock.unix_ms(),
        )
        self._players.submit(player, message, lambda: self._enqueue(player, ticket, message.n))

    async def _enqueue(self, player: Player, ticket: Ticket, n: int) -> None:
        now_ms = self._clock.monotonic_ms()
        if player.ticket is not None or player.match is not None:
            player.session.refuse("queue", Reason.ALREADY_QUEUED, now_ms, detail="cancel first", n=n)
            player.flush()
            return
        # Known before the store has it: the match may be found before the answer comes back.
        player.ticket, player.mode, player.ticket_seen_ms = ticket.id, ticket.mode, now_ms
        player.session.send(Queued(ticket=ticket.id, mode=ticket.mode))
        try:
            await self._add(ticket)
        except RefusedError as error:
            if player.ticket == ticket.id:
                self.dequeued(player, error.reason, error.detail)
            if error.reason is Reason.UNAVAILABLE:  # the store may have it all the same: nobody waits for it
                self._players.later(lambda: self._store.ticket_cancel(ticket.mode, ticket.id))
            return
        player.flush()
        if player.session.state is State.CLOSED:  # gone while the store answered
            await self._store.ticket_cancel(ticket.mode, ticket.id)
        else:
            await self._players.store_record(player)

    async def _add(self, ticket: Ticket) -> None:
        """Put a ticket into the pool. One that the same player left there makes way."""
        try:
            await self._store.ticket_add(ticket, limits.POOL_TICKETS_MAX)
        except RefusedError as error:
            if error.reason is not Reason.ALREADY_QUEUED:
                raise
            for other in await self._store.tickets(ticket.mode):
                if other.player == ticket.player:
                    await self._store.ticket_cancel(ticket.mode, other.id)
            await self._store.ticket_add(ticket, limits.POOL_TICKETS_MAX)

    async def cancel(self, player: Player) -> None:
        ticket, mode = player.ticket, player.mode
        if ticket is None or mode is None:
            return  # matched meanwhile: the client hears of that
        if await self._store.ticket_cancel(mode, ticket) and player.ticket == ticket:
            self.dequeued(player, None, "")

    def dequeued(self, player: Player, reason: Reason | None, detail: str) -> None:
        if player.ticket is None:
            return
        player.session.send(Dequeued(ticket=player.ticket, reason=reason, detail=detail[:256]))
        player.ticket = player.asked_ms = None
        player.flush()
        self._players.remember(player)

    async def tell_queues(self, eta_ms: Callable[[str, int], int | None]) -> None:
        """About once a second: where queued players stand; tickets that are nowhere are given up with a reason."""
        await self._players.sweep()
        waiting: dict[str, list[Player]] = {}
        for player in self._players:
            if player.ticket is not None and player.mode is not None:
                waiting.setdefault(player.mode, []).append(player)
        for mode, players in waiting.items():
            tickets = {ticket.id: ticket for ticket in await self._store.tickets(mode)}
            now_ms, unix_ms = self._clock.monotonic_ms(), self._clock.unix_ms()
            for player in players:
                if player.ticket is None:
                    continue
                ticket = tickets.get(player.ticket)
                if ticket is None:
                    if now_ms - player.ticket_seen_ms > TICKET_GONE_MS:
                        self.dequeued(player, Reason.MATCH_LOST, "the match that was found is gone; queue again")
                    continue
                player.ticket_seen_ms = now_ms
                waited_ms = max(0, unix_ms - ticket.created_ms)
                if waited_ms > limits.TICKET_MS_MAX:
                    await self._store.ticket_cancel(mode, ticket.id)
                    self.dequeued(player, Reason.NOT_FOUND, "nobody was found in time; queue again")
                else:
                    status = QueueStatus(ticket=ticket.id, waited_ms=waited_ms, pool=len(tickets), eta_ms=eta_ms(mode, waited_ms))
                    player.session.send(status)
                    player.flush()

    def give_up(self, player: Player, message: Cancel, now_ms: float) -> None:
        """The client cancels."""
        if player.ticket is None:
            player.session.refuse("cancel", Reason.NOT_FOUND, now_ms, detail="not queued", n=message.n)
        else:
            self._players.submit(player, message, lambda: self.cancel(player))

    @property
    def queued(self) -> dict[str, int]:
        """Tickets of this process's players, by mode."""
        counts: dict[str, int] = {}
        for player in self._players:
            if player.ticket is not None and player.mode is not None:
                counts[player.mode] = counts.get(player.mode, 0) + 1
        return counts
