"""The lobby: connections, hellos, and sessions that go on after a lost connection.

Everything that needs no store is decided at once; what does goes through `Lanes`, in order for each session. The lobby never
waits: when the store is away the client hears `unavailable` and its running match goes on.

A session may go on in another process of the region (its own died, or its match is hosted elsewhere): the client resumes with
its token, this process finds the record in the store, moves the ticket to itself, and asks the match's host for the seat
(`places.py`).
"""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

from gameedge.config import EdgeConfig
from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.game import GameSpec
from gameedge.core.ids import EdgeId, PlayerId, RegionId, SessionId, encode
from gameedge.core.protocol.close import CLOSE_CODES, close_for, reason_of
from gameedge.core.protocol.messages import (
    Accept,
    Bye,
    Cancel,
    Decline,
    Draining,
    Explain,
    Hello,
    Join,
    Leave,
    ModeInfo,
    Queue,
    Watch,
    Welcome,
)
from gameedge.core.protocol.session import Event, Poll, ServerSession, State
from gameedge.core.tokens import Claims, TokenKeys, verify_again, verify_token
from gameedge.edge.arrivals import Arrival, Arrivals
from gameedge.edge.clock import Clock
from gameedge.edge.inbox import Inbox
from gameedge.edge.lanes import Lanes
from gameedge.edge.places import ASK_AGAIN_MS, Places
from gameedge.edge.player import Link, Player, hash_token
from gameedge.edge.players import Players
from gameedge.edge.queueing import Queueing
from gameedge.edge.seating import Seating
from gameedge.edge.spectating import Spectators
from gameedge.edge.table import ConnectionTable
from gameedge.edge.transports.base import Connection
from gameedge.edge.watching import Watching
from gameedge.state.base import RegionStore, SessionRecord
from gameedge.telemetry.metrics import Registry
from gameedge.telemetry.quantiles import Window

TELL_AGAIN_MS: Final = 1_500.0  # a resumed client that does not join is told of its match again


class Lobby:
    """`draw(n)` gives n random bytes, `tick` the current tick. Owned by one event loop."""

    def __init__(
        self,
        config: EdgeConfig,
        spec: GameSpec,
        store: RegionStore,
        players: Players,
        queueing: Queueing,
        seating: Seating,
        spectators: Spectators,
        table: ConnectionTable,
        inbox: Inbox,
        watching: Watching,
        lanes: Lanes,
        keys: TokenKeys,
        metrics: Registry,
        clock: Clock,
        draw: Callable[[int], bytes],
        tick: Callable[[], int],
    ) -> None:
        self.clock, self.table, self.inbox, self.tick_now = clock, table, inbox, tick
        self.region, self.edge = RegionId(config.region), EdgeId(config.edge)
        self.draining = False
        self.blocked: dict[PlayerId, int] = {}  # turned away, until when (Unix ms)
        self.rtt_window = Window(15_000)
        self._config, self._spec, self._lanes = config, spec, lanes
        self._players, self._queueing, self._seating, self._spectators = players, queueing, seating, spectators
        self._watching, self._keys, self._metrics, self.draw = watching, keys, metrics, draw
        self._links: dict[Link, None] = {}  # a set that keeps its order: the same seed is the same run
        self._modes = [ModeInfo(m.name, m.title or m.name, m.teams, m.team_size, m.duration_ms) for m in spec.modes.values()]
        self._rtt = metrics.histogram("rtt_ms")
        self.door: Callable[[bool], None] = lambda held: None  # of the transport: nobody new is let in while it is held
        self.places = Places(store, players, queueing, seating, lanes, self.edge, clock)
        self.arrivals = Arrivals(store, clock, self._arrived, self._turned_away)

    @property
    def connected(self) -> int:
        return len(self.table)

    # ------------------------------------------------------------------------------------------------- connections

    def accept(self, connection: Connection) -> Link | None:
        """A WebSocket is open. Beacon pings need no hello and are held for HANDSHAKE_MS_MAX at most."""
        if len(self._links) >= self._config.connections_max + self._config.connections_max // 4:
            return None
        now_ms = self.clock.monotonic_ms()
        session = ServerSession(SessionId(encode("s", self.draw(16))), encode("r", self.draw(32)), now_ms)
        link = Link(self, connection, session)
        self._links[link] = None
        return link

    def rtt_heard(self, rtt_ms: float, now_ms: float) -> None:
        self._rtt.observe(rtt_ms)
        self.rtt_window.add(rtt_ms, now_ms)

    def round_trips(self) -> list[tuple[str, float]]:
        """Where each player comes from, and what its socket's round trip is."""
        return [(player.claims.spot, path_ms) for player in self._players if player.claims.spot and (path_ms := player.path_ms) is not None]

    def disconnected(self, link: Link, code: int) -> None:
        self._links.pop(link, None)
        self._spectators.leave(link)
        why = reason_of(code)
        self._metrics.counter("sessions_closed_total", reason=str(why) if why else str(code)).add()
        slot, link.slot = link.slot, None
        player = link.player
        if player is not None and player.link is link:  # else: no session yet, or it goes on with another connection
            player.link = None
            self._seating.away(player, slot)
        if slot is not None:
            self.table.free(slot)
        if player is not None and player.link is None and not player.session.detach(self.clock.monotonic_ms()):
            self._players.forget(player)

    def handle(self, link: Link, event: Event) -> None:
        """One event of a session's protocol."""
        if isinstance(event, Hello):
            self._hello(link, event)
            return
        if isinstance(event, Watch):
            self._watch(link, event)
            return
        player = link.player
        if player is None or link.slot is None:
            return
        now_ms = self.clock.monotonic_ms()
        match event:
            case Queue():
                self._queueing.ask(player, event, now_ms)
            case Cancel():
                self._queueing.give_up(player, event, now_ms)
            case Explain():
                self._queueing.explaining.ask(player, event, now_ms)
            case Accept() | Decline():
                self._queueing.answer(player, event, now_ms)
            case Join():
                self._seating.join(player, link.slot, event, now_ms)
            case Leave():
                self._seating.leave(player, link.slot, event, now_ms)
            case Bye():
                self._queueing.leaving(player)
                self._seating.goodbye(player, link.slot, now_ms)

    # ------------------------------------------------------------------------------------------------ hello, resume

    def _hello(self, link: Link, hello: Hello) -> None:
        resume_hash = hash_token(hello.resume) if hello.resume is not None else ""
        known = self._players.resuming(resume_hash) if resume_hash else None
        if resume_hash and known is None:
            arrival = Arrival(link, hello, resume_hash)
            if not self.arrivals.put(arrival):
                link.session.close(close_for(Reason.UNAVAILABLE, "too much to do; try again"))
        elif known is not None:
            self._go_on(link, known, hello, resume_hash)
        elif (claims := self._admitted(link, hello, "")) is not None:
            self._open_new(link, claims, hello)

    def _go_on(self, link: Link, known: Player, hello: Hello, resume_hash: str) -> None:
        """The resume token is of a session that is here."""
        if (claims := self._admitted(link, hello, known.token_hash)) is None:
            return
        if known.id != claims.sub:
            self._open_new(link, claims, hello)
        elif known.link is None and hello.last_s > known.session.sent_s:
            # It went on in another process meanwhile, which said more than we did: the store knows where it stands.
            arrival = Arrival(link, hello, resume_hash)
            self._players.forget(known)
            if not self._lanes.submit(resume_hash, lambda: self.arrivals.let_in([arrival])):  # behind the clean-up
                link.session.close(close_for(Reason.UNAVAILABLE, "too much to do; try again"))
        else:
            known.token_hash = hash_token(hello.token)
            self._resume_here(link, known, hello)

    def _admitted(self, link: Link, hello: Hello, token_hash: str) -> Claims | None:
        """The claims of a token that is good here; else the connection ends. `token_hash`: of one whose signature was checked before."""
        verify = verify_again if token_hash and hash_token(hello.token) == token_hash else verify_token
        try:
            claims = verify(hello.token, self._keys, self.region, self.clock.unix_ms())
            if self._is_blocked(PlayerId(claims.sub)):
                raise RefusedError(Reason.FORBIDDEN, "this account is banned or gone")
        except RefusedError as error:
            link.session.close(close_for(error.reason, error.detail))
            return None
        return claims

    def _watch(self, link: Link, watch: Watch) -> None:
        now_ms = self.clock.monotonic_ms()
        try:  # of whatever region: the list of matches spans them all
            claims = verify_token(watch.token, self._keys, None, self.clock.unix_ms())
            if self._is_blocked(PlayerId(claims.sub)):
                raise RefusedError(Reason.FORBIDDEN, "this account is banned or gone")
            watching = self._spectators.watch(link, PlayerId(claims.sub), watch.match, now_ms)
        except RefusedError as error:
            link.session.close(close_for(error.reason, error.detail))
        else:
            link.session.watch(watching, now_ms)

    def _is_blocked(self, player: PlayerId) -> bool:
        return self.blocked.get(player, 0) > self.clock.unix_ms()

    def kick(self, player_id: PlayerId, detail: str) -> bool:
        """End a player's session here for good, its seat and its watching, too. False: it is not here."""
        watched = self._spectators.expel(player_id, detail)
        player = self._players.named(player_id)
        if player is None:
            return watched
        link = player.link
        self._seating.expel(player, link.slot if link is not None else None)
        if link is not None:
            link.close(Reason.FORBIDDEN, detail)
        player.session.close(close_for(Reason.FORBIDDEN, detail))
        self._players.forget(player)
        return True

    def _open_new(self, link: Link, claims: Claims, hello: Hello) -> None:
        if self.draining:
            link.session.close(close_for(Reason.DRAINING, "this process is going away; ask for a new placement"))
        else:
            self._open(link, claims, hello, resumed=False)

    def _open(self, link: Link, claims: Claims, hello: Hello, *, resumed: bool) -> Player | None:
        slot = self._take_row(link)
        if slot is None:
            return None
        player = Player(link.session, claims, hash_token(link.session.resume_token), hash_token(hello.token))
        if (before := self._players.named(player.id)) is not None:
            self._replace(before)
        self._players.add(player)
        self._bind(link, player, slot)
        player.session.open(self._welcome(player), self.clock.monotonic_ms(), resumed=resumed)
        self._metrics.counter("sessions_opened_total", how="resumed" if resumed else "new").add()
        self._players.remember(player)
        return player

    def _resume_here(self, link: Link, player: Player, hello: Hello) -> None:
        """The same process: nothing was lost."""
        slot = self._take_row(link)
        if slot is None:
            return
        if not player.session.attach(self._welcome(player), hello.last_s, self.clock.monotonic_ms()):
            self.table.free(slot)
            self._players.forget(player)
            self._open_new(link, player.claims, hello)
            return
        if (old := player.link) is not None:
            old.player = None
            if old.slot is not None:
                self._seating.away(player, old.slot)
                self.table.free(old.slot)
                old.slot = None
            old.connection.close(CLOSE_CODES[Reason.REPLACED], str(Reason.REPLACED))
        link.session = player.session
        self._bind(link, player, slot)
        self._metrics.counter("sessions_opened_total", how="resumed").add()
        self._seating.back(player, slot)
        if player.match is not None and not self._seating.plays(player):
            self.places.ask_soon(player)  # it runs elsewhere, or ended: the client is told which

    def _take_row(self, link: Link) -> int | None:
        slot = self.table.take(link.connection)
        if slot is None:
            link.session.close(close_for(Reason.SERVER_FULL, "no room in this process; ask for a new placement"))
        return slot

    def _bind(self, link: Link, player: Player, slot: int) -> None:
        link.player, link.slot, player.link = player, slot, link
        self._watching.reset(slot)
        if self.table.express is not None:
            self.table.express.enter(slot, link.connection, self.clock.monotonic_ms())
        link.ping(self.clock.monotonic_ms())

    def _replace(self, before: Player) -> None:
        """The same player began a new session here: the old one is over."""
        if (link := before.link) is not None:
            self._seating.away(before, link.slot)
            link.close(Reason.REPLACED)
        before.session.close(close_for(Reason.REPLACED))
        self._players.forget(before)

    def _welcome(self, player: Player) -> Welcome:
        """Session, resume token and counters are filled in by the session."""
        spec = self._spec
        return Welcome(
            session="",
            resume_token="",
            resumed=False,
            received=0,
            player=player.id,
            region=self.region,
            edge=self.edge,
            game=spec.name,
            tick=self.tick_now(),
            tick_hz=spec.tick_hz,
            snapshot_hz=spec.tick_hz // spec.snapshot_every,
            server_ms=max(0, int(self.clock.monotonic_ms())),  # the clock of pongs and snapshots
            heartbeat_ms=limits.HEARTBEAT_MS,
            resume_ms_max=limits.RESUME_MS_MAX,
            commands_per_s=limits.COMMANDS_PER_S,
            frame_bytes_max=limits.FRAME_BYTES_MAX,
            modes=self._modes,
        )

    # ---------------------------------------------------------------------------------------- from another process

    def _arrived(self, arrival: Arrival, record: SessionRecord | None) -> None:
        """The session lived in another process. Its record says where it stood."""
        link, hello, resume_hash = arrival
        if hello.resume is None or link.session.state is not State.VERIFYING or link not in self._links:
            return  # gone meanwhile
        if (known := self._players.resuming(resume_hash)) is not None:
            self._go_on(link, known, hello, resume_hash)  # its client tried twice, and the first try was let in just now
        elif (claims := self._admitted(link, hello, record.token_hash if record is not None else "")) is None:
            pass
        elif record is None or record.player != claims.sub:
            self._open_new(link, claims, hello)
        elif self.draining and record.edge != self.edge:
            link.session.close(close_for(Reason.DRAINING, "this process is going away; use the next URL"))
        else:
            now_ms = self.clock.monotonic_ms()
            link.session = ServerSession(record.session, hello.resume, now_ms, sent_s=hello.last_s, received_n=record.received_n)
            if (player := self._open(link, claims, hello, resumed=True)) is not None:
                link.flush()
                self.places.take_over(player, record, now_ms)
        link.flush()

    def _turned_away(self, arrival: Arrival) -> None:
        arrival.link.session.close(close_for(Reason.UNAVAILABLE, "the region's store cannot be reached; try again"))
        arrival.link.flush()

    # -------------------------------------------------------------------------------------------------------- time

    def poll(self, part: int = 0, parts: int = 1) -> None:
        """Each part about once a second: heartbeats, handshakes that take too long, sessions that nobody resumed.

        In parts, since a ping to everybody at once would make a tick late.
        """
        now_ms = self.clock.monotonic_ms()
        express = self.table.express
        for link in list(islice(self._links, part, None, parts)):
            if express is not None and link.slot is not None:
                link.session.took_commands(*express.heard(link.slot))
            what = link.session.poll(now_ms)
            if what in (Poll.CLOSE, Poll.EXPIRED):
                link.flush()
            elif link.player is not None or what is Poll.PING:
                link.ping(now_ms)  # players at every look: their round trip is needed more often than the heartbeat
        for player in islice(self._players, part, None, parts):
            if player.session.state is State.CLOSED or (player.link is None and player.session.poll(now_ms) is Poll.EXPIRED):
                self._players.forget(player)
            elif player.link is None:
                continue  # it may go on in another process; if it comes back here, it is asked about then
            elif player.asked_ms is not None and now_ms - player.asked_ms > ASK_AGAIN_MS:
                self.places.ask_soon(player)  # the process died with our question, or before it
            elif player.found_ms is not None and now_ms - player.found_ms > TELL_AGAIN_MS:
                self._seating.tell_again(player)

    def hold(self, held: bool) -> None:
        """While matches are taken over nobody new is let in: nobody could play yet, and every hello would make them wait longer."""
        self.arrivals.held = held
        self.door(held)

    def announce_drain(self, within_ms: int) -> None:
        self.draining = self._queueing.draining = True
        for player in self._players:
            player.session.send(Draining(within_ms=within_ms))
            player.flush()

    def close_all(self, reason: Reason, detail: str) -> None:
        for link in list(self._links):
            link.close(reason, detail)

    def close_slots(self, slots: Sequence[int], reason: Reason) -> None:
        """Connections that cannot take what is sent."""
        if not slots:
            return
        wanted = set(slots)
        for link in list(self._links):
            if link.slot in wanted:
                link.close(reason, "the connection is too slow")
                link.connection.abort()
