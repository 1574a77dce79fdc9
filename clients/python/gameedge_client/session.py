"""A session over any number of connections: it stays alive, resumes by itself, and follows a match to another process."""

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException

from gameedge.core.errors import Reason, RefusedError
from gameedge.core.protocol.client_session import ClientSession, ClientState, Numbered
from gameedge.core.protocol.close import LOST, Close, Retry, reason_of, retry_after
from gameedge.core.protocol.messages import (
    Accept,
    Cancel,
    Decline,
    Dequeued,
    Draining,
    Explain,
    Explained,
    Fallback,
    Join,
    Leave,
    MatchAway,
    MatchEnded,
    MatchFound,
    MatchLost,
    MatchOffered,
    MatchStarted,
    Message,
    Party,
    Queue,
    Queued,
    QueueStatus,
    Refused,
    Reroute,
    Roster,
    ServerMessage,
    Welcome,
    encode,
)
from gameedge_client.beacons import open_socket
from gameedge_client.dial import Dial
from gameedge_client.errors import ConnectionLostError, GameEdgeError, SessionLostError
from gameedge_client.match import Match

POLL_S: Final = 0.25
CONNECT_S: Final = 5.0  # one attempt
BACKOFF_S: Final = 0.1  # before the second attempt in a row; doubled each time, with full jitter
BACKOFF_S_MAX: Final = 5.0
LOST_ROUNDS: Final = 2  # after so many tries of every URL without a welcome another placement is asked for: the region is lost
EXPLAIN_S: Final = 5.0  # for an explanation; then nobody can say
TRAVEL_TRIES: Final = 2  # more, to reach a match in another region; then back
TRAVEL_S: Final = 3.0  # each of them
GIVE_UP_S: Final = 60.0  # without a connection
SETTLED_S: Final = 1.0  # a connection that ends sooner after its welcome counts as one more attempt, or a sick server would be stormed
LEAVE_S: Final = 5.0  # for a ticket that was left to end, before the next one is asked for
COMMANDS_WAITING_MAX: Final = 8  # in a slow connection; drop oldest, counted
SERVER_FRAME_BYTES_MAX: Final = 65_536
EXTRA_EDGES_MAX: Final = 8

_ANSWERS: Final[dict[str, type[Message]]] = {"queue": MatchFound, "cancel": Dequeued, "explain": Explained, "join": MatchStarted}
"""What answers a message: a refusal of the one goes to who waits for the other."""

Place = Callable[[], Awaitable[tuple[str, tuple[str, ...]]]]
"""Asks for a new placement: token and edges. Raises RefusedError."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a player says beside the mode: only what the mode's rules look at counts (docs/matchmaking.md). Leave out what you do not
    know; round trips that the placement was made by are known to the server already."""

    attributes: Mapping[str, float | str | list[str]] = field(default_factory=dict)
    roles: Sequence[str] = ()  # that you would play; none: any
    rtt_ms: Mapping[str, float] = field(default_factory=dict)  # by region
    loss: Mapping[str, float] = field(default_factory=dict)  # share of packets, by region
    blocks: Sequence[str] = ()  # player ids


@dataclass(frozen=True, slots=True)
class _Home:
    """The session that waits in the region which a match elsewhere was found from, until the other one has welcomed us."""

    core: ClientSession
    edges: list[str]
    url: str
    found: MatchFound
    until: float  # monotonic s


def _ms() -> float:
    return time.monotonic() * 1000.0


class Session:
    """Made by `Client.connect`; an async context manager, which says goodbye on leaving.

    One operation (`queue`, `join`, `play`) at a time. Refusals raise RefusedError with the server's reason; a session that the
    server forgot raises SessionLostError; one that cannot be brought back, ConnectionLostError.
    """

    def __init__(self, token: str, edges: Sequence[str], *, client: str = "", dial: Dial | None = None, place: Place | None = None) -> None:
        if not edges:
            raise ValueError("a session needs at least one edge URL")
        self.queue_wait_ms: float | None = None  # of the last queue(): asked → match found
        self.queue_status: QueueStatus | None = None
        self.on_offer: Callable[[MatchOffered], bool | None] | None = None
        """Asked where a mode wants everybody's yes: True accepts, False declines, None: `accept` or `decline` will say. Not set: yes."""
        self.draining: Draining | None = None
        self.reroute: Reroute | None = None  # the way to this region became longer; the next `queue` measures and asks again
        self.moves = 0  # to another region for this reason
        self.journeys = 0  # matches that were played in another region, because the own one had nobody
        self.match: Match | None = None
        self.connections = 0  # that got a welcome
        self.resumes = 0  # of them: the session went on
        self.last_close: tuple[int, str] | None = None
        self._core = ClientSession(token, client=client)
        self._edges = list(edges)
        self._url = self._edges[0]  # where it is connected, or is to be
        self._dial = dial
        self._place = place
        self._socket: ClientConnection | None = None
        self._commands: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._moving = False
        self._home: _Home | None = None  # on the way to a match in another region: where to come back to
        self._abroad = False  # there; the next `queue` asks where to play
        self._fallback = ""  # the process that goes on with the match if this one dies
        self._elsewhere = False  # in another region on purpose: there the session begins anew
        self._keeper: asyncio.Task[None] | None = None
        self._waiters: dict[type[Message], asyncio.Future[ServerMessage]] = {}
        self._joining: Join | None = None
        self._found: MatchFound | None = None  # the last one
        self._left: asyncio.Event | None = None  # a wait in the queue was cancelled: set when the server has heard of it

    # ---------------------------------------------------------------------------------------------------- life

    async def __aenter__(self) -> "Session":
        """Connected and welcomed. Raises RefusedError, ConnectionLostError."""
        opened = self._expect(Welcome)
        self._keeper = asyncio.create_task(self._keep(), name=f"gameedge session {self._url}")
        try:
            await self._answer(opened)
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if self._core.state is ClientState.OPEN and self._socket is not None:
                async with asyncio.timeout(2.0):
                    self._core.bye()
                    await self._flush(self._socket)
        except (TimeoutError, OSError, WebSocketException):
            pass  # it is gone already
        finally:
            await self._stop()

    async def _stop(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait([keeper])
        self._fail(ConnectionLostError("the session was left"))
        if keeper is not None and not keeper.cancelled() and (error := keeper.exception()) is not None:
            raise error  # a mistake of ours: not to be swallowed

    @property
    def welcome(self) -> Welcome:
        """The server's last welcome: modes, rates, region. Raises GameEdgeError before the first."""
        if self._core.welcome is None:
            raise GameEdgeError("not connected yet")
        return self._core.welcome

    @property
    def url(self) -> str:
        """The process that this session is connected to."""
        return self._url

    @property
    def connected(self) -> bool:
        return self._core.state is ClientState.OPEN

    @property
    def rtt_ms(self) -> float | None:
        """The newest round trip of the heartbeat."""
        return self._core.rtt_ms

    # -------------------------------------------------------------------------------------------------- playing

    async def play(self, mode: str, *, party: Party | None = None, wishes: Wishes | None = None) -> Match:
        """Queue, wait for a match, take the seat."""
        return await self.join(await self.queue(mode, party=party, wishes=wishes))

    async def queue(self, mode: str, *, party: Party | None = None, wishes: Wishes | None = None) -> MatchFound:
        """Queue and wait until a match is found. Cancelling the wait leaves the queue; the next call waits until the server has heard of
        that. Raises RefusedError: `unsupported` where the mode's rules do not take what `wishes` say, and why; TypeError where they cannot
        be said in JSON."""
        if self._left is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_S):
                    await self._left.wait()
            self._left = None
        if (self.reroute is not None or self._abroad) and self._place is not None:
            await self._look_elsewhere(self._place)
        started = time.perf_counter()
        said = wishes or Wishes()
        message = Queue(
            mode=mode,
            party=party,
            attributes=dict(said.attributes),
            roles=list(said.roles),
            rtt_ms=dict(said.rtt_ms),
            loss=dict(said.loss),
            blocks=list(said.blocks),
            away=self._place is not None,  # else there is no way back
        )
        encode(message)  # what cannot be said is the caller's error, and must not wait to be sent
        found = self._expect(MatchFound)
        self.queue_status = None
        try:
            self._send(message)
            answer = await self._answer(found)
        except asyncio.CancelledError:
            self._left = asyncio.Event()
            self._send(Cancel())
            raise
        assert isinstance(answer, MatchFound)
        self.queue_wait_ms = (time.perf_counter() - started) * 1000.0
        return answer

    async def cancel(self) -> bool:
        """Leave the queue. True: left (a waiting `queue` raises RefusedError); False: not queued, or a match came first."""
        left = self._expect(Dequeued)
        self._send(Cancel())
        try:
            await self._answer(left)
        except RefusedError:
            return False
        return True

    def _has_left(self) -> None:
        """The server has heard that nobody waits in the queue any more."""
        if self._left is not None:
            self._left.set()

    def accept(self, offer: MatchOffered) -> None:
        """Yes to a match that was offered."""
        self._send(Accept(match=offer.match))

    def decline(self, offer: MatchOffered) -> None:
        """No to a match that was offered: a waiting `queue` raises RefusedError."""
        self._send(Decline(match=offer.match))

    async def explain(self) -> Explained:
        """Why the queue has found no match yet: which rule excludes how many, and what widens when. Raises RefusedError: not queued,
        asked too often, or nobody can say just now."""
        told = self._expect(Explained)
        self._send(Explain())
        try:
            async with asyncio.timeout(EXPLAIN_S):
                answer = await self._answer(told)
        except TimeoutError:
            raise RefusedError(Reason.UNAVAILABLE, "nobody could say in time; ask again") from None
        assert isinstance(answer, Explained)
        return answer

    async def join(self, found: MatchFound) -> Match:
        """Take the seat, on the process that hosts the match."""
        self._go_to(found.url)
        started = self._expect(MatchStarted)
        self._joining = Join(match=found.match, match_token=found.match_token)
        self._send(self._joining)
        try:
            answer = await self._answer(started)
        finally:
            self._joining = None
        assert isinstance(answer, MatchStarted)
        assert self.match is not None
        return self.match

    def drop_connection(self) -> None:
        """Cut the connection without a word, as a bad network does; the session resumes by itself. For tests."""
        if self._socket is not None:
            self._socket.transport.abort()

    # --------------------------------------------------------------------------------------- asking and answering

    def _expect(self, kind: type[Message]) -> asyncio.Future[ServerMessage]:
        if self._keeper is not None and self._keeper.done():
            raise ConnectionLostError("the session is over")
        before = self._waiters.get(kind)
        if before is not None and not before.done():
            raise GameEdgeError("one operation at a time")
        future: asyncio.Future[ServerMessage] = asyncio.get_running_loop().create_future()
        self._waiters[kind] = future
        return future

    async def _answer(self, future: asyncio.Future[ServerMessage]) -> ServerMessage:
        try:
            return await future
        finally:
            self._waiters = {kind: waiting for kind, waiting in self._waiters.items() if waiting is not future}

    def _send(self, message: Numbered) -> None:
        self._core.send(message)
        self._wake.set()

    def _settle(self, kind: type[Message], outcome: ServerMessage | GameEdgeError) -> None:
        future = self._waiters.get(kind)
        if future is None or future.done():
            return
        if isinstance(outcome, GameEdgeError):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    def _fail(self, error: GameEdgeError) -> None:
        """Nothing that was asked for will be answered."""
        for kind in list(self._waiters):
            self._settle(kind, error)
        self._has_left()
        if self.match is not None:
            self.match._lost(str(error))

    # -------------------------------------------------------------------------------------------------- messages

    def _on_message(self, message: ServerMessage) -> None:
        match message:
            case Welcome():
                self._on_welcome(message)
            case QueueStatus():
                self.queue_status = message
            case Explained():
                self._settle(Explained, message)
            case MatchOffered():
                said = True if self.on_offer is None else self.on_offer(message)
                if said is not None:
                    self.accept(message) if said else self.decline(message)
            case Dequeued():
                self._has_left()
                why = RefusedError(message.reason or Reason.NOT_FOUND, message.detail or "left the queue")
                self._settle(MatchFound, why)
                self._settle(Dequeued, message)
                if self._found is not None and self._found.ticket == message.ticket:
                    self._lose(self._found.match, message.detail)  # the process died before it had stored that it told us
            case MatchFound() if self._left is not None and not self._left.is_set():
                self._send(Leave())  # it came before the cancel arrived, and nobody waits for it
                self._has_left()
            case MatchFound():
                self._settle(Dequeued, RefusedError(Reason.IN_MATCH, "a match came first"))
                self._found = message
                self._settle(MatchFound, message)
                self._rejoin(message)
            case MatchAway():
                self._travel(message)
            case MatchStarted():
                self._joining = None
                if self.match is None or self.match.over or self.match.info.match != message.match:
                    before = self.match._sequence if self.match is not None else 0
                    self.match = Match(message, self._send_command, lambda: self._send(Leave()), before)
                self._settle(MatchStarted, message)
            case Roster() if self.match is not None and self.match.info.match == message.match:
                self.match.roster = message.roster
            case MatchEnded() if self.match is not None and self.match.info.match == message.match:
                self.match._end(message)
            case MatchLost():
                self._lose(message.match, message.detail)
            case Refused():
                self._on_refused(message)
            case Draining():
                self.draining = message
            case Reroute():
                self.reroute = message
            case Fallback():
                self._fallback = message.url
            case Queued() | _:
                pass  # `queue` waits for the match

    def _lose(self, match: str, why: str) -> None:
        if self._joining is None or self._joining.match == match:
            self._settle(MatchStarted, RefusedError(Reason.MATCH_LOST, why))
        if self.match is not None and self.match.info.match == match:
            self.match._lost(why or "the process that ran the match died")

    def _on_welcome(self, welcome: Welcome) -> None:
        self.connections += 1
        self.draining = None
        if self.match is not None:
            self.match._connected_anew()
        if welcome.resumed:
            self.resumes += 1
        elif self._moving and self._joining is not None:
            self._send(self._joining)  # the process does not know the session, but the match token is enough for the seat
        elif self._elsewhere:
            pass  # nothing was under way
        elif self.connections > 1:
            self._fail(SessionLostError("the server opened a new session; queue again"))
        if self._home is not None and self._core is not self._home.core:
            self._arrived(self._home)
        self._moving = self._elsewhere = False
        self.reroute = None
        self._settle(Welcome, welcome)

    def _on_refused(self, refused: Refused) -> None:
        if refused.re in ("queue", "cancel"):
            self._has_left()
        kind = _ANSWERS.get(refused.re)
        if kind is not None:
            self._settle(kind, RefusedError(refused.reason, refused.detail, retry_after_ms=refused.retry_after_ms))
        if refused.re == "join" and self._joining is not None:
            if self.match is not None and self.match.info.match == self._joining.match:
                self.match._lost(f"the seat is gone: {refused.reason}")
            self._joining = None

    def _rejoin(self, found: MatchFound) -> None:
        """The session went on in another process, which tells again where the running match is."""
        running = self.match is not None and not self.match.over and self.match.info.match == found.match
        joining = self._joining is not None and self._joining.match == found.match
        if joining or (running and self._joining is None):
            self._go_to(found.url)
            self._joining = Join(match=found.match, match_token=found.match_token)
            self._send(self._joining)

    # ------------------------------------------------------------------------------------- a match in another region

    def _travel(self, away: MatchAway) -> None:
        """Go there with a session of its own. The one here is kept, and waits for us in the queue, until that is open."""
        future = self._waiters.get(MatchFound)
        if self._place is None or not away.urls or future is None or future.done():
            return  # nobody waits for it: the ticket is queued again, or cancelled
        found = MatchFound(
            ticket=away.ticket, match=away.match, mode=away.mode, url=away.urls[0], match_token=away.match_token, join_ms=away.join_ms
        )
        home = _Home(self._core, list(self._edges), self._url, found, time.monotonic() + away.join_ms / 1000.0)
        self._go_to(away.urls[0])
        self._home, self._core, self._edges = home, ClientSession(away.token, client=home.core.client), list(away.urls)
        self._moving, self._elsewhere, self._fallback = False, True, ""

    def _arrived(self, home: _Home) -> None:
        """The other region has welcomed us: `queue` returns, `join` takes the seat."""
        self._home, self._abroad = None, True
        self.journeys += 1
        self._found = home.found
        self._settle(Dequeued, RefusedError(Reason.IN_MATCH, "a match came first"))
        self._settle(MatchFound, home.found)

    @staticmethod
    def _gives_up(home: _Home, attempt: int, code: int) -> bool:
        return attempt >= TRAVEL_TRIES or time.monotonic() > home.until or retry_after(code) is not Retry.RESUME

    def _come_back(self, home: _Home) -> None:
        """The other region cannot be reached: go on with the session at home, where the ticket waits."""
        self._core, self._edges, self._url = home.core, home.edges, home.url
        self._home, self._elsewhere, self._fallback = None, False, ""

    async def _look_elsewhere(self, place: Place) -> None:
        """Measure and ask where to play; go there where that is another region. Who cannot say changes nothing."""
        wanted, self.reroute, self._abroad = self.reroute is not None, None, False
        before = self.welcome.region
        try:
            token, edges = await place()
        except GameEdgeError:
            return
        if self._keeper is None or self._keeper.done() or not edges:
            return
        self._core.token = token
        if self._url in edges:
            self._edges = list(edges)
            return
        self._edges, self._elsewhere = list(edges), True
        welcomed = self._expect(Welcome)
        self._go_to(edges[0])
        await self._answer(welcomed)
        self.moves += wanted and self.welcome.region != before

    # ----------------------------------------------------------------------------------------------- connections

    def _go_to(self, url: str) -> None:
        """Be connected to this URL: nothing to do, or a move. The session goes along with its resume token."""
        if url.rstrip("/") == self._url.rstrip("/"):
            return
        self._know(url)
        self._url = url
        self._moving = True
        self._core.detach()
        self._wake.set()

    def _send_command(self, frame: bytes) -> bool:
        if self._core.state is not ClientState.OPEN:
            return False
        kept = len(self._commands) < COMMANDS_WAITING_MAX
        if not kept:
            self._commands.popleft()
        self._commands.append(frame)
        self._wake.set()
        return kept

    async def _keep(self) -> None:
        """Connect, talk, and connect again, until the session is over."""
        error: GameEdgeError = ConnectionLostError("the session was left")
        try:
            await self._connect_and_again()
        except GameEdgeError as raised:
            error = raised
        finally:
            self._fail(error)

    async def _connect_and_again(self) -> None:
        attempt = brief = 0
        lost_at = time.monotonic()
        while True:
            url = self._url
            welcomed, began = self.connections, time.monotonic()
            code, text = await self._one_connection(url)
            self.last_close = (code, text)
            if self._core.state is ClientState.CLOSED:
                return
            if self._url != url:
                continue  # moved on purpose
            if self._home is not None and self._gives_up(self._home, attempt, code):
                self._come_back(self._home)
                attempt, lost_at = 0, time.monotonic()
                continue
            if self.connections > welcomed:
                lost_at = time.monotonic()
                brief = brief + 1 if lost_at - began < SETTLED_S else 0
                attempt = 0
            retry = retry_after(code)
            if retry is Retry.NEVER:
                raise RefusedError(reason_of(code) or Reason.UNSUPPORTED, text or f"closed with {code}")
            if self.connections > welcomed and brief > 1:
                await asyncio.sleep(random.uniform(0.0, min(BACKOFF_S_MAX, BACKOFF_S * 2 ** min(brief, 10))))
            if time.monotonic() - lost_at > GIVE_UP_S:
                raise ConnectionLostError(f"no connection for {GIVE_UP_S:.0f} s (last close: {code} {text})")
            if attempt:
                # Full jitter: a process that dies is not greeted by all its players at once.
                await asyncio.sleep(random.uniform(0.0, min(BACKOFF_S_MAX, BACKOFF_S * 2 ** min(attempt, 10))))
                self._url = self._next_url()
            attempt += 1
            region_lost = retry is not Retry.PLACE and self._place is not None and attempt >= LOST_ROUNDS * len(self._edges) + 1
            if retry is Retry.PLACE or region_lost:
                await self._placed_again(code, text)
                attempt = 1 if region_lost else attempt

    def _next_url(self) -> str:
        """Whom to try after the present URL: first who goes on with our match if its process died, then one after the other."""
        fallback, self._fallback = self._fallback, ""
        if fallback and fallback.rstrip("/") != self._url.rstrip("/"):
            self._know(fallback)
            return fallback
        at = self._edges.index(self._url) if self._url in self._edges else -1
        return self._edges[(at + 1) % len(self._edges)]

    def _know(self, url: str) -> None:
        if url not in self._edges:
            del self._edges[EXTRA_EDGES_MAX:]
            self._edges.append(url)

    async def _placed_again(self, code: int, text: str) -> None:
        if self._place is None:
            raise RefusedError(reason_of(code) or Reason.UNAVAILABLE, text)
        try:
            token, edges = await self._place()
        except RefusedError as error:
            if error.retry_after_ms is None:
                raise
            return  # tried again with the old one after the next wait
        if not edges:
            return  # nor is this a place to play
        self._core.token = token
        self._edges = list(edges)
        self._url = self._edges[0]

    async def _one_connection(self, url: str) -> tuple[int, str]:
        """One connection from its hello to its end: close code and text."""
        try:
            socket = await open_socket(
                url, self._dial, timeout_s=CONNECT_S if self._home is None else TRAVEL_S, size_max=SERVER_FRAME_BYTES_MAX
            )
        except (OSError, TimeoutError, WebSocketException) as error:
            return LOST, f"{url}: {error or type(error).__name__}"
        self._socket = socket
        self._commands.clear()
        broken: Close | None = None
        writer = asyncio.create_task(self._write(socket), name=f"gameedge writer {url}")
        try:
            await socket.send(self._core.hello(_ms()), text=True)
            while True:
                self._receive(await socket.recv())
        except ConnectionClosed:
            pass
        except (OSError, WebSocketException) as error:
            return LOST, str(error)
        finally:
            writer.cancel()
            await asyncio.wait([writer])
            self._socket = None
            broken = self._core.closing
            self._core.detach()
            await socket.close()
        if broken is not None:  # we gave this connection up (silence, a gap): the code is ours, and the next one resumes
            await asyncio.sleep(BACKOFF_S)
            return LOST, broken.text
        return socket.close_code or LOST, socket.close_reason or ""

    def _receive(self, data: str | bytes) -> None:
        now_ms = _ms()
        if isinstance(data, bytes):
            self._core.heard(now_ms)
            if self.match is not None:
                self.match._frame(data)
            return
        for message in self._core.receive_text(data.encode(), now_ms):
            self._on_message(message)
        self._wake.set()

    async def _write(self, socket: ClientConnection) -> None:
        """Everything that goes out on one connection, and what time alone asks for."""
        loop = asyncio.get_running_loop()
        url = self._url
        ticker = loop.call_later(POLL_S, self._wake.set)
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                if ticker.when() <= loop.time():
                    self._core.poll(_ms())
                    ticker = loop.call_later(POLL_S, self._wake.set)
                if self._url != url or self._core.closing is not None:
                    closing = self._core.closing
                    await socket.close(closing.code if closing else 1000, closing.text if closing else "moving")
                    return
                await self._flush(socket)
        except (OSError, WebSocketException):
            pass  # the reader hears of it, too
        finally:
            ticker.cancel()

    async def _flush(self, socket: ClientConnection) -> None:
        for data in self._core.outgoing():
            await socket.send(data, text=True)
        while self._commands:
            await socket.send(self._commands.popleft())
