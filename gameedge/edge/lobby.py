"""The lobby: who is connected, what their sessions ask for, and what the region tells them.

Everything that needs no store is decided at once; what does goes through `Lanes`, in order for each session. The lobby never
waits: when the store is away the client hears `unavailable` and its running match goes on.

A session may go on in another process of the region (its own died, or its match is hosted elsewhere): the client resumes with
its token, this process finds the record in the store, moves the ticket to itself, and asks the match's host for the seat.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from gameedge.config import EdgeConfig
from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import EdgeId, MatchId, PlayerId, RegionId, SessionId, TicketId, encode
from gameedge.core.protocol.close import CLOSE_CODES, close_for, reason_of
from gameedge.core.protocol.messages import (
    Bye,
    Cancel,
    Dequeued,
    Draining,
    Hello,
    Join,
    Leave,
    MatchEnded,
    MatchFound,
    MatchLost,
    MatchStarted,
    ModeInfo,
    Queue,
    Queued,
    QueueStatus,
    tag_of,
)
from gameedge.core.protocol.session import Event, Poll, ServerSession, State
from gameedge.core.tokens import Claims, TokenKeys, verify_token
from gameedge.edge.clock import Clock
from gameedge.edge.host import Ended, HostedMatch, MatchHost, SeatState
from gameedge.edge.inbox import Inbox
from gameedge.edge.lanes import Lanes
from gameedge.edge.player import Link, Player
from gameedge.edge.table import ConnectionTable
from gameedge.edge.transports.base import Connection
from gameedge.edge.watching import Watching
from gameedge.state.base import InboxEvent, MatchRecord, RegionStore, SessionRecord, Ticket
from gameedge.telemetry import logs
from gameedge.telemetry.metrics import Registry
from gameedge.telemetry.quantiles import Window

RECORD_MS: Final = limits.TOKEN_LIFE_MS  # a session's record is kept this long after its last change
TELL_AGAIN_MS: Final = 1_500.0  # a resumed client that does not join is told of its match again
TICKET_GONE_MS: Final = 5_000.0  # a ticket that is neither queued nor matched for this long is given up
PING_MS: Final = 2_000.0
log = logs.get(__name__)


class Lobby:
    """`draw(n)` gives n random bytes. Owned by one event loop."""

    def __init__(
        self,
        config: EdgeConfig,
        store: RegionStore,
        host: MatchHost,
        table: ConnectionTable,
        inbox: Inbox,
        watching: Watching,
        lanes: Lanes,
        keys: TokenKeys,
        metrics: Registry,
        clock: Clock,
        draw: Callable[[int], bytes],
    ) -> None:
        self.clock, self.table, self.inbox = clock, table, inbox
        self.region, self.edge = RegionId(config.region), EdgeId(config.edge)
        self.url = config.public_url
        self.draining = False
        self.store_full = False  # results wait for the store: no new matches
        self.rtt_window = Window(15_000)
        self._config, self._store, self._host, self._lanes = config, store, host, lanes
        self._watching, self._keys, self._metrics, self._draw = watching, keys, metrics, draw
        self._links: set[Link] = set()
        self._players: dict[SessionId, Player] = {}
        self._by_player: dict[PlayerId, Player] = {}
        self._by_resume: dict[str, Player] = {}
        self._tick: Callable[[], int] = lambda: 0
        spec = host.game.spec
        self._modes = [ModeInfo(m.name, m.title or m.name, m.teams, m.team_size, m.duration_ms) for m in spec.modes.values()]
        self._rtt = metrics.histogram("rtt_ms")

    # ------------------------------------------------------------------------------------------------- connections

    def follow_tick(self, tick: Callable[[], int]) -> None:
        self._tick = tick

    def tick_now(self) -> int:
        return self._tick()

    def rtt_heard(self, rtt_ms: float, now_ms: float) -> None:
        self._rtt.observe(rtt_ms)
        self.rtt_window.add(rtt_ms, now_ms)

    @property
    def connected(self) -> int:
        return len(self._links)

    @property
    def sessions(self) -> int:
        return len(self._players)

    @property
    def queued(self) -> dict[str, int]:
        """Tickets of this process's players, by mode."""
        counts: dict[str, int] = {}
        for player in self._players.values():
            if player.ticket is not None and player.mode is not None:
                counts[player.mode] = counts.get(player.mode, 0) + 1
        return counts

    def accept(self, connection: Connection) -> Link | None:
        """A WebSocket is open. Beacon pings need no hello and are held for HANDSHAKE_MS_MAX at most."""
        if len(self._links) >= self._config.connections_max + self._config.connections_max // 4:
            return None
        now_ms = self.clock.monotonic_ms()
        session = ServerSession(SessionId(encode("s", self._draw(16))), encode("r", self._draw(32)), now_ms)
        link = Link(self, connection, session)
        self._links.add(link)
        return link

    def disconnected(self, link: Link, code: int) -> None:
        self._links.discard(link)
        why = reason_of(code)
        self._metrics.counter("sessions_closed_total", reason=str(why) if why else str(code)).add()
        if link.slot is not None:
            self.table.free(link.slot)
            slot, link.slot = link.slot, None
        else:
            slot = None
        player = link.player
        if player is None or player.link is not link:
            return  # no session yet, or it goes on with another connection
        player.link = None
        now_ms = self.clock.monotonic_ms()
        if player.match is not None and slot is not None:
            self._host.vacate(player.match, slot, now_ms)
        if not player.session.detach(now_ms):
            self._forget(player)

    # ------------------------------------------------------------------------------------------------------ events

    def handle(self, link: Link, event: Event) -> None:
        """One event of a session's protocol."""
        if isinstance(event, Hello):
            self._hello(link, event)
            return
        player = link.player
        if player is None:
            return
        now_ms = self.clock.monotonic_ms()
        match event:
            case Queue():
                self._queue(player, event, now_ms)
            case Cancel():
                if player.ticket is None:
                    player.session.refuse("cancel", Reason.NOT_FOUND, now_ms, detail="not queued", n=event.n)
                else:
                    self._submit(player, event, lambda: self._cancel(player))
            case Join():
                self._join(player, link, event, now_ms)
            case Leave():
                if player.match is None or link.slot is None:
                    player.session.refuse("leave", Reason.NOT_FOUND, now_ms, detail="in no match", n=event.n)
                else:
                    self._leave(player, link.slot, now_ms)
            case Bye():
                if player.match is not None and link.slot is not None:
                    self._leave(player, link.slot, now_ms)

    # ------------------------------------------------------------------------------------------------ hello, resume

    def _hello(self, link: Link, hello: Hello) -> None:
        try:
            claims = verify_token(hello.token, self._keys, self.region, self.clock.unix_ms())
        except RefusedError as error:
            link.session.close(close_for(error.reason, error.detail))
            return
        if len(self.table) >= self._config.connections_max:
            link.session.close(close_for(Reason.SERVER_FULL, "no room in this process; ask for a new placement"))
            return
        if hello.resume is None:
            if self.draining:
                link.session.close(close_for(Reason.DRAINING, "this process is going away; ask for a new placement"))
            else:
                self._open(link, claims, resumed=False)
            return
        resume_hash = hash_token(hello.resume)
        known = self._by_resume.get(resume_hash)
        if known is not None and known.id == claims.sub:
            self._resume_here(link, known, hello)
        elif not self._lanes.submit(resume_hash, lambda: self._adopt(link, claims, hello, resume_hash)):
            link.session.close(close_for(Reason.UNAVAILABLE, "too much to do; try again"))

    def _open(self, link: Link, claims: Claims, *, resumed: bool) -> Player | None:
        slot = self.table.take(link.connection)
        if slot is None:
            link.session.close(close_for(Reason.SERVER_FULL, "no room in this process; ask for a new placement"))
            return None
        player = Player(link.session, claims, hash_token(link.session.resume_token))
        if (before := self._by_player.get(player.id)) is not None:
            self._replace(before)
        self._players[link.session.session] = player
        self._by_player[player.id] = player
        self._by_resume[player.resume_hash] = player
        self._bind(link, player, slot)
        player.session.open(self._welcome(player), self.clock.monotonic_ms(), resumed=resumed)
        self._metrics.counter("sessions_opened_total", how="resumed" if resumed else "new").add()
        self._remember(player)
        return player

    def _resume_here(self, link: Link, player: Player, hello: Hello) -> None:
        """The same process: nothing was lost."""
        now_ms = self.clock.monotonic_ms()
        slot = self.table.take(link.connection)
        if slot is None:
            link.session.close(close_for(Reason.SERVER_FULL, "no room in this process; ask for a new placement"))
            return
        if not player.session.attach(self._welcome(player), hello.last_s, now_ms):
            self.table.free(slot)
            self._forget(player)
            self._open(link, player.claims, resumed=False)
            return
        if (old := player.link) is not None:
            old.player = None
            if old.slot is not None:
                self.table.free(old.slot)
                old.slot = None
            old.connection.close(CLOSE_CODES[Reason.REPLACED], str(Reason.REPLACED))
        link.session = player.session
        self._bind(link, player, slot)
        self._metrics.counter("sessions_opened_total", how="resumed").add()
        if player.match is not None and (match := self._host.get(player.match)) is not None:
            seat = match.seat_of(player.id)
            if seat is not None and seat.joined:
                entity = self._host.rejoin(match, seat, slot)
                self._seat(slot, entity, player)

    def _welcome(self, player: Player) -> Welcome:
        """Session, resume token and counters are filled in by the session."""
        spec = self._host.game.spec
        return Welcome(
            session="",
            resume_token="",
            resumed=False,
            received=0,
            player=player.id,
            region=self.region,
            edge=self.edge,
            game=spec.name,
            tick=self._tick(),
            tick_hz=spec.tick_hz,
            snapshot_hz=spec.tick_hz // spec.snapshot_every,
            server_ms=self.clock.unix_ms(),
            heartbeat_ms=limits.HEARTBEAT_MS,
            resume_ms_max=limits.RESUME_MS_MAX,
            commands_per_s=limits.COMMANDS_PER_S,
            frame_bytes_max=limits.FRAME_BYTES_MAX,
            modes=self._modes,
        )

    def _bind(self, link: Link, player: Player, slot: int) -> None:
        link.player, link.slot, player.link = player, slot, link
        self._watching.reset(slot)
        link.ping(self.clock.monotonic_ms())

    def _replace(self, before: Player) -> None:
        """The same player began a new session here: the old one is over."""
        if before.link is not None:
            before.link.close(Reason.REPLACED)
        before.session.close(close_for(Reason.REPLACED))
        self._forget(before)

    async def _adopt(self, link: Link, claims: Claims, hello: Hello, resume_hash: str) -> None:
        """The session lived in another process. Its record says where it stood."""
        assert hello.resume is not None
        try:
            record = await self._store.session_get(resume_hash)
        except RefusedError as error:
            link.session.close(close_for(error.reason, "the region's store cannot be reached; try again"))
            link.flush()
            return
        if link.session.state is not State.VERIFYING or link.connection is None:
            return  # gone meanwhile
        if self.draining and (record is None or record.edge != self.edge):
            link.session.close(close_for(Reason.DRAINING, "this process is going away; use the next URL"))
        elif record is None or record.player != claims.sub:
            self._open(link, claims, resumed=False)
        else:
            now_ms = self.clock.monotonic_ms()
            link.session = ServerSession(
                record.session, hello.resume, now_ms, sent_s=hello.last_s, received_n=record.received_n
            )
            if (player := self._open(link, claims, resumed=True)) is not None:
                await self._take_over(player, record, now_ms)
        link.flush()

    async def _take_over(self, player: Player, record: SessionRecord, now_ms: float) -> None:
        player.mode, mode = record.mode, record.mode
        if record.match is not None and mode is not None:
            player.match = record.match
            if (hosted := self._host.get(record.match)) is not None:
                player.found_ms = now_ms if hosted.seat_of(player.id) is not None else None
            else:
                await self._ask_host(player, await self._store.match_get(mode, record.match), record.match)
        elif record.ticket is not None and mode is not None:
            player.ticket, player.ticket_seen_ms = record.ticket, now_ms
            if not await self._store.ticket_move(mode, record.ticket, record.session, self.edge):
                found = [m for m in await self._store.matches(mode) if any(t.id == record.ticket for t in m.tickets)]
                await self._ask_host(player, found[0] if found else None, None)
        self._remember(player)

    async def _ask_host(self, player: Player, match: MatchRecord | None, known: MatchId | None) -> None:
        """Ask the process that runs the match for the seat, or say that it is lost."""
        alive = {record.edge for record in await self._store.edges()}
        if match is not None and match.host in alive:
            event = InboxEvent(
                kind="rejoin", match_id=match.match, player=player.id, session=player.session.session, edge=self.edge
            )
            await self._store.inbox_post(match.host, [event])
            return
        if known is not None or match is not None:
            self._lost(player, known or (match.match if match else MatchId("")), "it ended or was lost while you were away")
        else:
            self._dequeued(player, Reason.MATCH_LOST, "the match that was found is gone; queue again")

    # ------------------------------------------------------------------------------------------------------- queue

    def _queue(self, player: Player, message: Queue, now_ms: float) -> None:
        spec = self._host.game.spec
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
            edge=self.edge,
            mode=message.mode,
            name=player.claims.name,
            rating=rating.mu if rating else 25.0,
            sigma=rating.sigma if rating else 25.0 / 3.0,
            trust=player.claims.trust,
            party=message.party.id if message.party else None,
            party_size=message.party.size if message.party else 1,
            created_ms=self.clock.unix_ms(),
        )
        self._submit(player, message, lambda: self._enqueue(player, ticket, message.n))

    async def _enqueue(self, player: Player, ticket: Ticket, n: int) -> None:
        now_ms = self.clock.monotonic_ms()
        if player.ticket is not None or player.match is not None:
            player.session.refuse("queue", Reason.ALREADY_QUEUED, now_ms, detail="cancel first", n=n)
            player.flush()
            return
        # Known before the store has it: the match may be found before the answer comes back.
        player.ticket, player.mode, player.ticket_seen_ms = ticket.id, ticket.mode, now_ms
        player.session.send(Queued(ticket=ticket.id, mode=ticket.mode))
        try:
            await self._store.ticket_add(ticket, limits.POOL_TICKETS_MAX)
        except RefusedError as error:
            if player.ticket == ticket.id:
                self._dequeued(player, error.reason, error.detail)
            return
        player.flush()
        if player.session.state is State.CLOSED:  # gone while the store answered
            await self._store.ticket_cancel(ticket.mode, ticket.id)
        else:
            await self._store_record(player)

    async def _cancel(self, player: Player) -> None:
        ticket, mode = player.ticket, player.mode
        if ticket is None or mode is None:
            return  # matched meanwhile: the client hears of that
        if await self._store.ticket_cancel(mode, ticket) and player.ticket == ticket:
            self._dequeued(player, None, "")

    def _dequeued(self, player: Player, reason: Reason | None, detail: str) -> None:
        if player.ticket is None:
            return
        player.session.send(Dequeued(ticket=player.ticket, reason=reason, detail=detail[:256]))
        player.ticket = None
        player.flush()
        self._remember(player)

    # ----------------------------------------------------------------------------------------------------- matches

    def found(self, event: InboxEvent, unix_ms: int) -> None:
        """A host has a seat for one of our players."""
        player = self._players.get(event.session) if event.session is not None else None
        if player is None or event.match_id is None:
            return  # gone: an NPC keeps the seat
        player.match, player.mode = event.match_id, event.mode or player.mode
        ticket = event.ticket or player.ticket or TicketId("")
        player.ticket, player.found_ms = None, None
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
        self._remember(player)

    def lost(self, event: InboxEvent) -> None:
        player = self._players.get(event.session) if event.session is not None else None
        if player is not None and event.match_id is not None:
            self._lost(player, event.match_id, event.detail)

    def _lost(self, player: Player, match: MatchId, detail: str) -> None:
        player.match = player.ticket = player.found_ms = None
        if player.link is not None and player.link.slot is not None:
            self.table.unseat(player.link.slot)
        player.session.send(MatchLost(match=match, detail=detail[:256]))
        player.flush()
        self._remember(player)

    def _join(self, player: Player, link: Link, message: Join, now_ms: float) -> None:
        if link.slot is None:
            return
        try:
            match_id = MatchId(message.match)
            seat, entity = self._host.join(match_id, player.id, message.match_token, player.session.session, link.slot)
        except RefusedError as error:
            player.session.refuse("join", error.reason, now_ms, detail=error.detail, n=message.n)
            return
        player.match, player.ticket, player.found_ms = match_id, None, None
        hosted = self._host.get(match_id)
        assert hosted is not None
        player.mode = hosted.record.mode
        self._seat(link.slot, entity, player)
        player.session.send(
            MatchStarted(
                match=match_id,
                mode=hosted.record.mode,
                seat=seat.seat,
                team=seat.team,
                tick=self._tick(),
                duration_ms=self._host.game.spec.modes[hosted.record.mode].duration_ms,
                seed=hosted.record.seed,
                roster=hosted.roster,
            )
        )
        self._remember(player)

    def _seat(self, slot: int, entity: int, player: Player) -> None:
        self.table.seat(slot, entity)
        self._watching.enter(entity, player.id, player.match or MatchId(""))

    def _leave(self, player: Player, slot: int, now_ms: float) -> None:
        assert player.match is not None
        entity = int(self.table.entity[slot])
        self.table.unseat(slot)
        if entity >= 0:
            self._watching.leave(entity)
        if (match := self._host.get(player.match)) is not None and (seat := match.seat_of(player.id)) is not None:
            self._host.vacate(player.match, slot, now_ms)
            seat.match_token = ""  # left on purpose: there is no way back
        player.match = None
        self._remember(player)

    def match_over(self, ended: Ended) -> None:
        """Within the tick: its players see no more snapshots. They are told once the store has the result."""
        for seat in ended.match.seats:
            if seat.slot is not None:
                entity = int(self.table.entity[seat.slot])
                self.table.unseat(seat.slot)
                if entity >= 0:
                    self._watching.leave(entity)

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
            player = self._players.get(seat.session) if seat.session is not None else None
            if player is not None and player.match == match.id:
                player.match = None
                player.session.send(message)
                player.flush()
                self._remember(player)

    def offers(self, match: HostedMatch) -> dict[EdgeId, list[InboxEvent]]:
        """`found` events for all players of a match that was opened here, by the process that must tell them."""
        events: dict[EdgeId, list[InboxEvent]] = {}
        for seat in match.seats:
            if seat.ticket is not None:
                events.setdefault(seat.ticket.edge, []).append(self._offer(match, seat, seat.ticket.session))
        return events

    def rejoin(self, event: InboxEvent) -> InboxEvent:
        """Another process asks for a player's seat here: `found` with a fresh token, or `lost`."""
        match = self._host.get(event.match_id) if event.match_id is not None else None
        seat = match.seat_of(event.player) if match is not None and event.player is not None else None
        if match is None or seat is None or event.session is None or not seat.match_token:
            return InboxEvent(kind="lost", match_id=event.match_id, session=event.session, detail="the match is over")
        return self._offer(match, seat, event.session)

    def _offer(self, match: HostedMatch, seat: SeatState, session: SessionId) -> InboxEvent:
        return InboxEvent(
            kind="found",
            match_id=match.id,
            mode=match.record.mode,
            session=session,
            ticket=seat.ticket.id if seat.ticket else None,
            url=self.url,
            match_token=seat.match_token,
        )

    # -------------------------------------------------------------------------------------------------------- time

    def poll(self) -> None:
        """About once a second: heartbeats, handshakes that take too long, sessions that nobody resumed."""
        now_ms, unix_ms = self.clock.monotonic_ms(), self.clock.unix_ms()
        for link in list(self._links):
            what = link.session.poll(now_ms)
            if what in (Poll.CLOSE, Poll.EXPIRED):
                link.flush()
            elif link.player is not None:
                link.ping(now_ms)
        for player in list(self._players.values()):
            if player.session.state is State.CLOSED or (player.link is None and player.session.poll(now_ms) is Poll.EXPIRED):
                self._forget(player)
            elif player.found_ms is not None and now_ms - player.found_ms > TELL_AGAIN_MS and player.match is not None:
                player.found_ms = None
                if (match := self._host.get(player.match)) is not None and (seat := match.seat_of(player.id)) is not None:
                    self.found(self._offer(match, seat, player.session.session), unix_ms)

    async def tell_queues(self, eta_ms: Callable[[str, int], int | None]) -> None:
        """About once a second: where queued players stand; tickets that are nowhere are given up with a reason."""
        waiting: dict[str, list[Player]] = {}
        for player in self._players.values():
            if player.ticket is not None and player.mode is not None:
                waiting.setdefault(player.mode, []).append(player)
        for mode, players in waiting.items():
            tickets = {ticket.id: ticket for ticket in await self._store.tickets(mode)}
            now_ms, unix_ms = self.clock.monotonic_ms(), self.clock.unix_ms()
            for player in players:
                if player.ticket is None:
                    continue
                ticket = tickets.get(player.ticket)
                if ticket is None:
                    if now_ms - player.ticket_seen_ms > TICKET_GONE_MS:
                        self._dequeued(player, Reason.MATCH_LOST, "the match that was found is gone; queue again")
                    continue
                player.ticket_seen_ms = now_ms
                waited_ms = max(0, unix_ms - ticket.created_ms)
                if waited_ms > limits.TICKET_MS_MAX:
                    await self._store.ticket_cancel(mode, ticket.id)
                    self._dequeued(player, Reason.NOT_FOUND, "nobody was found in time; queue again")
                else:
                    status = QueueStatus(
                        ticket=ticket.id, waited_ms=waited_ms, pool=len(tickets), eta_ms=eta_ms(mode, waited_ms)
                    )
                    player.session.send(status)
                    player.flush()

    def announce_drain(self, within_ms: int) -> None:
        self.draining = True
        for player in self._players.values():
            player.session.send(Draining(within_ms=within_ms))
            player.flush()

    def close_all(self, reason: Reason, detail: str) -> None:
        for link in list(self._links):
            link.close(reason, detail)

    def close_slots(self, slots: Sequence[int], reason: Reason) -> None:
        """Connections that cannot take what is sent."""
        wanted = set(slots)
        for link in list(self._links):
            if link.slot in wanted:
                link.close(reason, "the connection is too slow")
                link.connection.abort()

    # ------------------------------------------------------------------------------------------------------- store

    def _submit(self, player: Player, message: Queue | Cancel, job: Callable[[], object]) -> None:
        async def guarded() -> None:
            try:
                await job()  # type: ignore[misc]
            except RefusedError as error:
                now_ms = self.clock.monotonic_ms()
                player.session.refuse(
                    tag_of(message), error.reason, now_ms, detail=error.detail, n=message.n, retry_after_ms=error.retry_after_ms
                )
                player.flush()

        if not self._lanes.submit(player.resume_hash, guarded):
            now_ms = self.clock.monotonic_ms()
            player.session.refuse(tag_of(message), Reason.UNAVAILABLE, now_ms, detail="too much to do", n=message.n)

    def _remember(self, player: Player) -> None:
        """Write the session's record, behind whatever else its lane does. Lost only if the store is away: then a resume
        elsewhere begins a new session."""
        self._lanes.submit(player.resume_hash, lambda: self._store_record(player))

    async def _store_record(self, player: Player) -> None:
        if player.session.session not in self._players:
            return
        record = SessionRecord(
            session=player.session.session,
            player=player.id,
            edge=self.edge,
            resume_hash=player.resume_hash,
            ticket=player.ticket,
            mode=player.mode,
            match=player.match,
            sent_s=player.session.sent_s,
            received_n=player.session.received_n,
        )
        await self._store.session_put(record, RECORD_MS)
        player.stored = True

    def _forget(self, player: Player) -> None:
        """The session is over in this process; where it moved to another, that one keeps its record and ticket."""
        if self._players.pop(player.session.session, None) is None:
            return
        if self._by_player.get(player.id) is player:
            del self._by_player[player.id]
        self._by_resume.pop(player.resume_hash, None)
        if player.link is not None:
            player.link.player = None
        self._lanes.submit(player.resume_hash, lambda: self._clean_up(player))

    async def _clean_up(self, player: Player) -> None:
        record = await self._store.session_get(player.resume_hash)
        if record is not None and record.edge != self.edge:
            return
        if player.ticket is not None and player.mode is not None:
            await self._store.ticket_cancel(player.mode, player.ticket)
        if record is not None:
            await self._store.session_delete(player.resume_hash)


def hash_token(token: str) -> str:
    """What the store keeps of a resume token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
