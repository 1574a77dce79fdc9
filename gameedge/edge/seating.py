"""Seats as players see them: hearing of a match, joining, leaving, coming back, and its end."""

from collections.abc import Callable

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import EdgeId, MatchId, SessionId, TicketId
from gameedge.core.protocol.messages import Fallback, Join, Leave, MatchEnded, MatchFound, MatchLost, MatchStarted, Reroute
from gameedge.edge.clock import Clock
from gameedge.edge.host import Ended, HostedMatch, MatchHost, SeatState, void_guests
from gameedge.edge.player import Player
from gameedge.edge.players import Players
from gameedge.edge.table import ConnectionTable
from gameedge.edge.watching import Watching
from gameedge.state.base import InboxEvent
from gameedge.telemetry.metrics import Registry


class Seating:
    """Between the match host and the sessions of this process. `url` is where this process's players connect."""

    def __init__(
        self,
        host: MatchHost,
        players: Players,
        table: ConnectionTable,
        watching: Watching,
        metrics: Registry,
        clock: Clock,
        tick: Callable[[], int],
    ) -> None:
        self._host, self._players, self._table = host, players, table
        self._watching, self._metrics, self._clock, self._tick = watching, metrics, clock, tick
        self.url = ""

    def found(self, event: InboxEvent) -> None:
        """A host has a seat for one of our players."""
        player = self._players.get(event.session)
        if player is None or event.match_id is None or not _concerns(player, event):
            return  # gone, or no longer waiting for it: an NPC keeps the seat
        player.match, player.mode = event.match_id, event.mode or player.mode
        ticket = event.ticket or player.ticket or TicketId("")
        self._players.journeys.found(player, event.match_id, event.mode)
        player.ticket = player.found_ms = player.offer = None
        # A client that has not joined by then is told again, or that the match is over.
        player.asked_ms = self._clock.monotonic_ms() + limits.JOIN_MS_MAX
        player.session.send(
            MatchFound(
                ticket=ticket,
                match=event.match_id,
                mode=event.mode,
                url=event.url,
                match_token=event.match_token,
                join_ms=limits.JOIN_MS_MAX,
            )
        )
        player.flush()
        self._players.remember(player)

    def lost(self, event: InboxEvent) -> None:
        player = self._players.get(event.session)
        if player is not None and event.match_id is not None and _concerns(player, event):
            self.tell_lost(player, event.match_id, event.detail)

    def tell_lost(self, player: Player, match: MatchId, detail: str) -> None:
        player.match = player.ticket = player.found_ms = player.asked_ms = player.offer = None
        self._players.journeys.ended(player, "match_lost")
        if player.link is not None and player.link.slot is not None:
            self._unseat(player.link.slot)
        player.session.send(MatchLost(match=match, detail=detail[:256]))
        player.flush()
        self._players.remember(player)

    def join(self, player: Player, slot: int, message: Join, now_ms: float) -> None:
        """The client takes its seat on this connection."""
        match_id = MatchId(message.match)
        if player.match == match_id and self._host.get(match_id) is None:
            # Its process could not be reached, or ended the match: `match_found` or `match_lost` is the answer.
            player.asked_ms = player.asked_ms and min(player.asked_ms, now_ms)
            return
        if (hosted := self._host.get(match_id)) is not None and hosted.record.guests:
            void_guests(hosted, now_ms, self._clock.unix_ms())
        try:
            seat, entity = self._host.join(match_id, player.id, message.match_token, player.session.session, slot)
        except RefusedError as error:
            player.session.refuse("join", error.reason, now_ms, detail=error.detail, n=message.n)
            return
        match = self._host.get(match_id)
        assert match is not None
        record = match.record
        player.match, player.mode = match_id, record.mode
        player.ticket = player.found_ms = player.asked_ms = None
        self._seat(player, slot, entity)
        self._players.journeys.joined(player, slot)
        player.session.send(
            MatchStarted(
                match=match_id,
                mode=record.mode,
                seat=seat.seat,
                team=seat.team,
                tick=self._tick(),
                duration_ms=self._host.game.spec.modes[record.mode].duration_ms,
                roster=match.roster,
            )
        )
        if match.fallback:
            player.session.send(Fallback(url=match.fallback))
        self._players.remember(player)

    def fall_back_to(self, match: HostedMatch, url: str) -> None:
        """Another process than before would go on with the match if this one died: its players are told."""
        match.fallback = url
        for seat in match.people():
            player = self._players.get(seat.session)
            if player is not None and player.link is not None:
                player.session.send(Fallback(url=url))
                player.flush()

    def leave(self, player: Player, slot: int, message: Leave, now_ms: float) -> None:
        """The client leaves its match for good; an NPC takes over."""
        if player.match is None:
            player.session.refuse("leave", Reason.NOT_FOUND, now_ms, detail="in no match", n=message.n)
            return
        self.expel(player, slot)
        self._players.remember(player)

    def expel(self, player: Player, slot: int | None) -> None:
        """The player is out of its match for good; an NPC takes over. `slot` None: nobody is connected."""
        if player.match is None:
            return
        if (match := self._host.get(player.match)) is not None and (seat := match.seat_of(player.id)) is not None:
            seat.match_token = ""  # there is no way back
        self.away(player, slot)
        self._players.journeys.ended(player, "left")
        player.match = None

    def goodbye(self, player: Player, slot: int, now_ms: float) -> None:
        """The client goes away for good."""
        if player.match is not None:
            self.leave(player, slot, Leave(), now_ms)

    def away(self, player: Player, slot: int | None) -> None:
        """The connection in row `slot` is gone: an NPC plays until the player is back."""
        if slot is None:
            return
        self._unseat(slot)
        if player.match is not None:
            self._host.vacate(player.match, slot, self._clock.monotonic_ms())

    def back(self, player: Player, slot: int) -> None:
        """The player resumed with another connection: the seat is theirs again."""
        match = self._host.get(player.match) if player.match is not None else None
        seat = match.seat_of(player.id) if match is not None else None
        if match is not None and seat is not None and seat.joined:
            self._seat(player, slot, self._host.rejoin(match, seat, slot))

    def plays(self, player: Player) -> bool:
        """Whether the player has a seat of a match that runs here."""
        match = self._host.get(player.match) if player.match is not None else None
        seat = match.seat_of(player.id) if match is not None else None
        return seat is not None and seat.slot is not None

    def hosts(self, player: Player, now_ms: float) -> bool:
        """Whether the player's match runs here. If so, and its client does not join soon, it is told again."""
        match = self._host.get(player.match) if player.match is not None else None
        if match is None or match.seat_of(player.id) is None:
            return False
        player.found_ms = now_ms
        if match.adopted:
            self.tell_again(player)  # its client waits for a word where to
        return True

    def tell_again(self, player: Player) -> None:
        player.found_ms = None
        match = self._host.get(player.match) if player.match is not None else None
        if match is not None and (seat := match.seat_of(player.id)) is not None and seat.match_token:
            self.found(self.offer(match, seat, player.session.session))

    def _seat(self, player: Player, slot: int, entity: int) -> None:
        self._table.seat(slot, entity)
        self._watching.enter(entity, player.id, player.match or MatchId(""))

    def _unseat(self, slot: int) -> None:
        entity = int(self._table.entity[slot])
        self._table.unseat(slot)
        if entity >= 0:
            self._watching.leave(entity)

    def match_over(self, ended: Ended) -> None:
        """Within the tick: its players see no more snapshots. They are told once the store has the result."""
        for seat in ended.match.seats:
            if seat.slot is not None:
                self._unseat(seat.slot)

    def unseat(self, match: HostedMatch) -> None:
        """The match goes on in another process: no more snapshots from here."""
        for seat in match.seats:
            if seat.slot is not None:
                self._unseat(seat.slot)

    def match_stored(self, ended: Ended) -> None:
        outcome, match = ended.outcome, ended.match
        counter = "matches_finished_total" if ended.result is not None else "matches_lost_total"
        self._metrics.counter(counter, mode=match.record.mode).add()
        message = MatchEnded(
            match=match.id,
            ranks=list(outcome.ranks),
            scores=list(outcome.scores),
            seat_scores=list(outcome.seat_scores),
            reason=outcome.reason,
        )
        for seat in match.seats:
            # A player that never took the seat is told, too: else it would be refused as `in_match` for ever.
            session = seat.session or (seat.ticket.session if seat.ticket is not None else None)
            player = self._players.get(session)
            if player is not None and player.match == match.id:
                player.match = None
                self._players.journeys.ended(player, "over")
                player.session.send(message)
                self._reroute(player)
                player.flush()
                self._players.remember(player)

    def _reroute(self, player: Player) -> None:
        """Between two matches is the time to go elsewhere, where the way here became a detour."""
        if player.detour and not player.rerouted:
            player.rerouted = True
            path_ms, placed_ms = player.path_ms or 0.0, player.claims.placed_ms
            player.session.send(Reroute(rtt_ms=round(path_ms), placed_ms=round(placed_ms)))
            self._metrics.counter("reroutes_total").add()

    def match_disowned(self, ended: Ended) -> None:
        """The region gave this match up (it took the process for dead), so its result counts for nothing."""
        self._metrics.counter("matches_lost_total", mode=ended.match.record.mode).add()
        for seat in ended.match.seats:
            player = self._players.get(seat.session)
            if player is not None and player.match == ended.match.id:
                self.tell_lost(player, ended.match.id, "the region took this process for dead; the match does not count")

    def offers(self, match: HostedMatch) -> dict[EdgeId, list[InboxEvent]]:
        """`found` events for all players of a match that was opened here, by the process that must tell them."""
        events: dict[EdgeId, list[InboxEvent]] = {}
        for seat in match.seats:
            if seat.ticket is not None:
                events.setdefault(seat.ticket.edge, []).append(self.offer(match, seat, seat.ticket.session))
        return events

    def rejoin(self, event: InboxEvent) -> InboxEvent:
        """Another process asks for a player's seat here: `found` with a fresh token, or `lost`."""
        match = self._host.get(event.match_id) if event.match_id is not None else None
        seat = match.seat_of(event.player) if match is not None and event.player is not None else None
        if match is None or seat is None or event.session is None or not seat.match_token:
            detail = "the match is over"
            return InboxEvent(kind="lost", match_id=event.match_id, session=event.session, ticket=event.ticket, detail=detail)
        return self.offer(match, seat, event.session)

    def offer(self, match: HostedMatch, seat: SeatState, session: SessionId) -> InboxEvent:
        return InboxEvent(
            kind="found",
            match_id=match.id,
            mode=match.record.mode,
            session=session,
            ticket=seat.ticket.id if seat.ticket else None,
            url=self.url,
            match_token=seat.match_token,
        )


def _concerns(player: Player, event: InboxEvent) -> bool:
    """Whether news of a match is for what the player is in or waits for now. Other news is late: of a process that came back
    and read what it was asked before it died, or of a ticket that the player was told is gone."""
    if player.match is not None:
        return player.match == event.match_id
    return player.ticket is not None and player.ticket == event.ticket
