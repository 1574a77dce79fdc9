"""The queue as players see it: asking, cancelling, and hearing where they stand."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.game import GameSpec
from gameedge.core.ids import EdgeId, PlayerId, RegionId, TicketId, encode
from gameedge.core.matchmaking.pool import PoolArrays
from gameedge.core.matchmaking.rules import ModeRules
from gameedge.core.matchmaking.wishes import Wish, believed
from gameedge.core.protocol.messages import (
    Accept,
    Cancel,
    Decline,
    Dequeued,
    MatchOffered,
    MatchWithdrawn,
    Queue,
    Queued,
    QueueStatus,
    tag_of,
)
from gameedge.core.protocol.session import State
from gameedge.edge.clock import Clock
from gameedge.edge.explaining import Explaining
from gameedge.edge.ingest import Ingest
from gameedge.edge.offers import OFF
from gameedge.edge.player import Offer, Player
from gameedge.edge.players import Players
from gameedge.edge.watching import WATCHED_POOL
from gameedge.state.base import InboxEvent, RegionStore, Ticket

OFF_AWAY: Final = "the match in another region is off; you are queued again and have lost no time"
TICKET_GONE_MS: Final = 8_000.0  # a ticket that is neither queued nor matched for this long is given up


class Queueing:
    """`draining` and `store_full` are set by the process: then nobody is queued. `crossing`: rules of modes whose tickets may go to
    other regions; `leave` ends the grant of such a ticket, False: it is in the pool again."""

    def __init__(
        self,
        spec: GameSpec,
        mode_rules: Mapping[str, ModeRules],
        store: RegionStore,
        players: Players,
        region: RegionId,
        edge: EdgeId,
        clock: Clock,
        draw: Callable[[int], bytes],
        post: Callable[[EdgeId, Sequence[InboxEvent]], Awaitable[None]],
        shadow: Mapping[str, ModeRules] | None = None,
        crossing: Mapping[str, ModeRules] | None = None,
        watched: Callable[[PlayerId], str] | None = None,
    ) -> None:
        """watched: why the anti-cheat has a player in the trust pool (`Watch.pool`), empty: it has not."""
        self._rules, self._shadow, self._crossing = mode_rules, shadow or {}, crossing or {}
        self._spec, self._store, self._players, self._region, self._edge = spec, store, players, region, edge
        self._scratch = {mode: PoolArrays(of) for mode, of in mode_rules.items()}  # empty: to hold one ticket against the rules
        self._clock, self._draw, self._post = clock, draw, post
        self._ingest = Ingest(store)
        self.explaining = Explaining(store, players, edge, clock)
        self._watched = watched or (lambda player: "")
        self.draining = False
        self.leave: Callable[[Player], Awaitable[bool]] | None = None
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
        try:
            ticket = self._ticket(player, message)
        except RefusedError as error:
            player.session.refuse("queue", error.reason, now_ms, detail=error.detail, n=message.n)
            return
        self._players.submit(player, message, lambda: self._enqueue(player, ticket, message.n))

    def _ticket(self, player: Player, message: Queue) -> Ticket:
        """What is known of the player and what it says. Raises RefusedError where no match could ever be made of that."""
        claims = player.claims
        rating = claims.ratings.get(message.mode)
        mode_rules = [found[message.mode] for found in (self._rules, self._shadow, self._crossing) if message.mode in found]
        said = Wish(message.attributes, message.roles, message.rtt_ms, message.loss, message.blocks)
        measured_ms = player.link.rtt_ms if player.link is not None else None
        wish = believed(said, mode_rules, player.id, self._region, placed_ms=claims.rtt_ms, measured_ms=measured_ms)
        ticket = Ticket(
            id=TicketId(encode("t", self._draw(16))),
            player=player.id,
            session=player.session.session,
            edge=self._edge,
            mode=message.mode,
            name=claims.name,
            rating=rating.mu if rating else 25.0,
            sigma=rating.sigma if rating else 25.0 / 3.0,
            trust=self._trust(player, message),
            party=message.party.id if message.party else None,
            party_size=message.party.size if message.party else 1,
            created_ms=self._clock.unix_ms(),
            attributes=wish.attributes,
            roles=wish.roles,
            rtt_ms=wish.rtt_ms,
            loss=wish.loss,
            blocks=[PlayerId(other) for other in wish.blocks],
            away=message.away and message.mode in self._crossing,
        )
        size, sizes = ticket.party_size, mode_rules[0].party_sizes
        if sizes and size not in sizes:
            raise RefusedError(Reason.UNSUPPORTED, f"parties of {size} may not queue here, only of {', '.join(map(str, sizes))} (1: alone)")
        if problem := self._scratch[message.mode].problem(ticket):
            raise RefusedError(Reason.UNSUPPORTED, f"nobody could ever be found: {problem}"[:256])
        return ticket

    def _trust(self, player: Player, message: Queue) -> int:
        """The pool: what the account says, and for those in the first one, whether the anti-cheat watches them. A party stays whole:
        its members' processes do not know of each other's."""
        if player.claims.trust == 0 and (message.party is None or message.party.size == 1) and self._watched(player.id):
            return WATCHED_POOL
        return player.claims.trust

    async def _enqueue(self, player: Player, ticket: Ticket, n: int) -> None:
        now_ms = self._clock.monotonic_ms()
        if player.ticket is not None or player.match is not None:
            player.session.refuse("queue", Reason.ALREADY_QUEUED, now_ms, detail="cancel first", n=n)
            player.flush()
            return
        # Known before the store has it: the match may be found before the answer comes back.
        player.ticket, player.mode, player.ticket_seen_ms = ticket.id, ticket.mode, now_ms
        player.queued_ms = ticket.created_ms
        self._players.journeys.queued(player, ticket.mode)
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
            self._players.remember(player)

    async def _add(self, ticket: Ticket) -> None:
        """Put a ticket into the pool. One that the same player left there makes way."""
        try:
            await self._ingest.add(ticket)
        except RefusedError as error:
            if error.reason is not Reason.ALREADY_QUEUED:
                raise
            if (other := await self._store.ticket_of_player(ticket.mode, ticket.player)) is not None:
                await self._store.ticket_cancel(ticket.mode, other)
            await self._ingest.add(ticket)

    async def cancel(self, player: Player) -> None:
        ticket, mode = player.ticket, player.mode
        if ticket is None or mode is None:
            return  # matched meanwhile: the client hears of that
        if player.offer is not None:
            await self._answer(player, player.offer, "decline")
            return
        if player.away is not None and self.leave is not None and await self.leave(player):
            self.dequeued(player, None, "")
        elif not await self._store.ticket_cancel(mode, ticket):
            player.cancelled = ticket  # matched, or on its way to another region: then it ends when that is heard
        elif player.ticket == ticket:
            self.dequeued(player, None, "")

    # ------------------------------------------------------------------------------------------------- matches offered

    async def offered(self, event: InboxEvent) -> None:
        """A host asks whether one of our players accepts its match. Who does not wait for it any more says no at once."""
        player, now_ms = self._players.get(event.session), self._clock.monotonic_ms()
        if event.match_id is None or event.edge is None:
            return
        if player is None or player.ticket is None or player.ticket != event.ticket:
            no = InboxEvent(kind="decline", match_id=event.match_id, mode=event.mode, session=event.session, ticket=event.ticket)
            await self._post(event.edge, [no])
            return
        player.asked_ms = None
        player.offer = Offer(event.match_id, event.edge, now_ms, now_ms + event.ms)
        people = int(event.detail) if event.detail.isascii() and event.detail.isdigit() else 0
        player.session.send(
            MatchOffered(ticket=player.ticket, match=event.match_id, mode=event.mode, people=people, accept_ms=max(0, event.ms))
        )
        player.flush()

    def answer(self, player: Player, message: Accept | Decline, now_ms: float) -> None:
        """The client says yes or no."""
        offer = player.offer
        if offer is None or offer.match != message.match:
            player.session.refuse(tag_of(message), Reason.NOT_FOUND, now_ms, detail="that match is not offered (any more)", n=message.n)
            return
        kind = "accept" if isinstance(message, Accept) else "decline"
        self._players.submit(player, message, lambda: self._answer(player, offer, kind))

    async def _answer(self, player: Player, offer: Offer, kind: str) -> None:
        said = InboxEvent(
            kind=kind, match_id=offer.match, mode=player.mode or "", session=player.session.session, ticket=player.ticket, player=player.id
        )
        await self._post(offer.host, [said])

    def withdrawn(self, event: InboxEvent) -> None:
        """The match is off, the ticket is in the pool again."""
        player = self._players.get(event.session)
        if player is None or player.offer is None or player.ticket is None or player.ticket != event.ticket:
            return
        match, player.offer, player.ticket_seen_ms = player.offer.match, None, self._clock.monotonic_ms()
        player.session.send(MatchWithdrawn(ticket=player.ticket, match=match, detail=event.detail[:256]))
        player.flush()

    def ended(self, event: InboxEvent) -> None:
        """Another process took the ticket of one of our players out of the pool."""
        player = self._players.get(event.session)
        if player is not None and player.ticket is not None and player.ticket == event.ticket:
            self.dequeued(player, Reason(event.reason) if event.reason in set(Reason) else None, event.detail)

    def leaving(self, player: Player) -> None:
        """The client goes away for good: nobody waits for its answer."""
        if (offer := player.offer) is not None:
            self._players.submit(player, Decline(match=offer.match), lambda: self._answer(player, offer, "decline"))

    def dequeued(self, player: Player, reason: Reason | None, detail: str) -> None:
        if player.ticket is None:
            return
        player.session.send(Dequeued(ticket=player.ticket, reason=reason, detail=detail[:256]))
        player.ticket = player.asked_ms = player.offer = player.away = None
        self._players.journeys.ended(player, str(reason or "cancelled"))
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
            asked, asked_ms = [player.ticket for player in players if player.ticket is not None], self._clock.monotonic_ms()
            size, there = await self._store.tickets_there(mode, asked)
            for player in players:
                await self._tell(player, mode, size, there, eta_ms, asked_ms)

    async def _tell(
        self,
        player: Player,
        mode: str,
        pool: int,
        there: Collection[TicketId],
        eta_ms: Callable[[str, int], int | None],
        asked_ms: float,
    ) -> None:
        ticket, now_ms = player.ticket, self._clock.monotonic_ms()
        if ticket is None:
            return
        if (offer := player.offer) is not None:
            if ticket in there and offer.asked_ms < asked_ms:  # the host is gone, and the matcher queued it again
                self.withdrawn(InboxEvent(kind="withdrawn", session=player.session.session, ticket=ticket, detail=OFF))
            elif now_ms < offer.until_ms:
                player.ticket_seen_ms = now_ms
                return
        if (away := player.away) is not None:
            if ticket in there and away.asked_ms < asked_ms:  # whoever had the grant is gone, and the matcher queued it again
                player.away = None
                if away.sent:
                    player.session.send(MatchWithdrawn(ticket=ticket, match=away.match or "", detail=OFF_AWAY))
            elif now_ms < away.until_ms + limits.EDGE_DEAD_MS:
                player.ticket_seen_ms = now_ms
                return
        if ticket not in there:
            if now_ms - player.ticket_seen_ms > TICKET_GONE_MS:
                self.dequeued(player, Reason.MATCH_LOST, "the match that was found is gone; queue again")
            return
        player.ticket_seen_ms = now_ms
        waited_ms = max(0, self._clock.unix_ms() - player.queued_ms)
        rules_here = self._rules.get(mode)  # none: the ticket came with a session from a process of another release
        if waited_ms > (rules_here.timeout_ms if rules_here is not None else limits.TICKET_MS_MAX):
            await self._store.ticket_cancel(mode, ticket)
            self.dequeued(player, Reason.NOT_FOUND, "nobody was found in time; queue again")
        else:
            player.session.send(QueueStatus(ticket=ticket, waited_ms=waited_ms, pool=pool, eta_ms=eta_ms(mode, waited_ms)))
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
