"""A session: the queue, the way into a match, also one in another region, and what the server says of all that. Over how many connections
it goes is `connections`' concern. The rest is one page, over 400 lines, because each message settles what one of the calls waits for.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final

from websockets.exceptions import WebSocketException

from gameedge.core.errors import Reason, RefusedError
from gameedge.core.protocol.client_session import ClientSession, Numbered
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
from gameedge_client.connections import Connections, Place
from gameedge_client.dial import Dial
from gameedge_client.errors import ConnectionLostError, GameEdgeError, SessionLostError
from gameedge_client.match import Match

EXPLAIN_S: Final = 5.0  # for an explanation; then nobody can say
LEAVE_S: Final = 5.0  # for a ticket that was left to end, before the next one is asked for

_ANSWERS: Final[dict[str, type[Message]]] = {"queue": MatchFound, "cancel": Dequeued, "explain": Explained, "join": MatchStarted}
"""What answers a message: a refusal of the one goes to who waits for the other."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a player says beside the mode: only what the mode's rules look at counts (docs/matchmaking.md). Leave out what you do not
    know; round trips that the placement was made by are known to the server already."""

    attributes: Mapping[str, float | str | list[str]] = field(default_factory=dict)
    roles: Sequence[str] = ()  # that you would play; none: any
    rtt_ms: Mapping[str, float] = field(default_factory=dict)  # by region
    loss: Mapping[str, float] = field(default_factory=dict)  # share of packets, by region
    blocks: Sequence[str] = ()  # player ids


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
        self.resumes = 0  # of `connections`: the session went on
        self._line = Connections(ClientSession(token, client=client), edges, self._on_message, self._on_frame, dial=dial, place=place)
        self._bound_for: MatchFound | None = None  # the match in another region that we are on the way to, or were
        self._abroad = False  # there; the next `queue` asks where to play
        self._keeper: asyncio.Task[None] | None = None
        self._waiters: dict[type[Message], asyncio.Future[ServerMessage]] = {}
        self._joining: Join | None = None
        self._found: MatchFound | None = None  # the last one
        self._left: asyncio.Event | None = None  # a wait in the queue was cancelled: set when the server has heard of it

    # ---------------------------------------------------------------------------------------------------- life

    async def __aenter__(self) -> "Session":
        """Connected and welcomed. Raises RefusedError, ConnectionLostError."""
        opened = self._expect(Welcome)
        self._keeper = asyncio.create_task(self._keep(), name=f"gameedge session {self.url}")
        try:
            await self._answer(opened)
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            async with asyncio.timeout(2.0):
                await self._line.bye()
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
        if self._line.core.welcome is None:
            raise GameEdgeError("not connected yet")
        return self._line.core.welcome

    @property
    def url(self) -> str:
        """The process that this session is connected to."""
        return self._line.url

    @property
    def connected(self) -> bool:
        return self._line.open

    @property
    def connections(self) -> int:
        """That got a welcome, so far."""
        return self._line.welcomes

    @property
    def last_close(self) -> tuple[int, str] | None:
        """Code and text of the last connection that ended."""
        return self._line.last_close

    @property
    def rtt_ms(self) -> float | None:
        """The newest round trip of the heartbeat."""
        return self._line.core.rtt_ms

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
        if (self.reroute is not None or self._abroad) and self._line.place is not None:
            await self._look_elsewhere(self._line.place)
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
            away=self._line.place is not None,  # else there is no way back
        )
        encode(message)  # what cannot be said is the caller's error, and must not wait to be sent
        self.queue_status, before = None, self._found
        try:
            answer = await self._ask(MatchFound, message)
        except asyncio.CancelledError:
            self._leave_queue(matched=self._found is not before)
            raise
        assert isinstance(answer, MatchFound)
        self.queue_wait_ms = (time.perf_counter() - started) * 1000.0
        return answer

    async def cancel(self) -> bool:
        """Leave the queue. True: left (a waiting `queue` raises RefusedError); False: not queued, or a match came first."""
        try:
            await self._ask(Dequeued, Cancel())
        except RefusedError:
            return False
        return True

    def _leave_queue(self, *, matched: bool) -> None:
        """Nobody waits any more, in the queue or for the match that was found in the same moment."""
        self._left = asyncio.Event()
        if matched:
            self._left.set()
        with contextlib.suppress(RefusedError):  # too much waits to be said already: the server ends the ticket without us
            self._send(Leave() if matched else Cancel())

    @property
    def _leaving(self) -> bool:
        return self._left is not None and not self._left.is_set()

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
        try:
            async with asyncio.timeout(EXPLAIN_S):
                answer = await self._ask(Explained, Explain())
        except TimeoutError:
            raise RefusedError(Reason.UNAVAILABLE, "nobody could say in time; ask again") from None
        assert isinstance(answer, Explained)
        return answer

    async def join(self, found: MatchFound) -> Match:
        """Take the seat, on the process that hosts the match."""
        self._line.go_to(found.url)
        self._joining = Join(match=found.match, match_token=found.match_token)
        try:
            answer = await self._ask(MatchStarted, self._joining)
        finally:
            self._joining = None
        assert isinstance(answer, MatchStarted)
        assert self.match is not None
        return self.match

    def drop_connection(self) -> None:
        """Cut the connection without a word, as a bad network does; the session resumes by itself. For tests."""
        self._line.drop()

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

    async def _ask(self, kind: type[Message], message: Numbered) -> ServerMessage:
        """Say it, and wait for what answers it."""
        future = self._expect(kind)
        try:
            self._send(message)
        except RefusedError:
            future.cancel()
            raise
        return await self._answer(future)

    async def _answer(self, future: asyncio.Future[ServerMessage]) -> ServerMessage:
        try:
            return await future
        finally:
            self._waiters = {kind: waiting for kind, waiting in self._waiters.items() if waiting is not future}

    def _send(self, message: Numbered) -> None:
        self._line.send(message)

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

    def _on_frame(self, data: bytes) -> None:
        if self.match is not None:
            self.match._frame(data)

    def _on_message(self, message: ServerMessage) -> None:
        match message:
            case Welcome():
                self._on_welcome(message)
            case QueueStatus():
                self.queue_status = message
            case Explained():
                self._settle(Explained, message)
            case MatchOffered() if self._leaving:
                self.decline(message)
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
            case MatchFound() if self._leaving:
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
                    self.match = Match(message, self._line.send_command, lambda: self._send(Leave()), before)
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
                self._line.fallback = message.url
            case Queued() | _:
                pass  # `queue` waits for the match

    def _lose(self, match: str, why: str) -> None:
        if self._joining is None or self._joining.match == match:
            self._settle(MatchStarted, RefusedError(Reason.MATCH_LOST, why))
        if self.match is not None and self.match.info.match == match:
            self.match._lost(why or "the process that ran the match died")

    def _on_welcome(self, welcome: Welcome) -> None:
        line = self._line
        line.welcomes += 1
        self.draining = None
        if self.match is not None:
            self.match._connected_anew()
        if welcome.resumed:
            self.resumes += 1
        elif line.moving and self._joining is not None:
            self._send(self._joining)  # the process does not know the session, but the match token is enough for the seat
        elif line.elsewhere:
            pass  # nothing was under way
        elif line.welcomes > 1:
            self._fail(SessionLostError("the server opened a new session; queue again"))
        if line.welcomed() and self._bound_for is not None:
            self._arrived(self._bound_for)
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
            self._line.go_to(found.url)
            self._joining = Join(match=found.match, match_token=found.match_token)
            self._send(self._joining)

    # ------------------------------------------------------------------------------------- a match in another region

    def _travel(self, away: MatchAway) -> None:
        """Go there with a session of its own. The one here is kept, and waits for us in the queue, until that is open."""
        future = self._waiters.get(MatchFound)
        if self._line.place is None or not away.urls or future is None or future.done():
            return  # nobody waits for it: the ticket is queued again, or cancelled
        self._bound_for = MatchFound(
            ticket=away.ticket, match=away.match, mode=away.mode, url=away.urls[0], match_token=away.match_token, join_ms=away.join_ms
        )
        self._line.visit(away.urls, away.token, time.monotonic() + away.join_ms / 1000.0)

    def _arrived(self, found: MatchFound) -> None:
        """The other region has welcomed us: `queue` returns, `join` takes the seat."""
        self._abroad = True
        self.journeys += 1
        self._found = found
        self._settle(Dequeued, RefusedError(Reason.IN_MATCH, "a match came first"))
        self._settle(MatchFound, found)

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
        self._line.core.token = token
        if self._line.url.rstrip("/") in [url.rstrip("/") for url in edges]:
            self._line.edges = list(edges)
            return
        welcomed = self._expect(Welcome)
        self._line.begin_at(edges)
        await self._answer(welcomed)
        self.moves += wanted and self.welcome.region != before

    async def _keep(self) -> None:
        """Be connected until the session is over."""
        error: GameEdgeError = ConnectionLostError("the session was left")
        try:
            await self._line.keep()
        except GameEdgeError as raised:
            error = raised
        finally:
            self._fail(error)
