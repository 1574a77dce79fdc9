"""The connections of a session, one after the other: each resumes what the last one broke off, on whichever process has it now.

What is said on them is the caller's: `hear` gets each message, `frame` each snapshot. A visit to another region has a session core of its
own; the one at home waits until the other region has welcomed us, and goes on where that cannot be.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException

from gameedge.core.errors import Reason, RefusedError
from gameedge.core.protocol.client_session import ClientSession, ClientState, Numbered
from gameedge.core.protocol.close import LOST, Close, Retry, reason_of, retry_after
from gameedge.core.protocol.messages import ServerMessage
from gameedge_client.beacons import open_socket
from gameedge_client.dial import Dial
from gameedge_client.errors import ConnectionLostError

POLL_S: Final = 0.25
CONNECT_S: Final = 5.0  # one attempt
BACKOFF_S: Final = 0.1  # before the second attempt in a row; doubled each time, with full jitter
BACKOFF_S_MAX: Final = 5.0
SETTLED_S: Final = 1.0  # a connection that ends sooner after its welcome counts as one more attempt, or a sick server would be stormed
LOST_ROUNDS: Final = 2  # after so many tries of every URL without a welcome another placement is asked for: the region is lost
TRAVEL_TRIES: Final = 2  # more, to reach a match in another region; then back
TRAVEL_S: Final = 3.0  # each of them
GIVE_UP_S: Final = 60.0  # without a connection
COMMANDS_WAITING_MAX: Final = 8  # in a slow connection; drop oldest, counted
SERVER_FRAME_BYTES_MAX: Final = 65_536
EXTRA_EDGES_MAX: Final = 8

Place = Callable[[], Awaitable[tuple[str, tuple[str, ...]]]]
"""Asks for a new placement: token and edges. Raises RefusedError."""


@dataclass(frozen=True, slots=True)
class _Home:
    """The session that waits in the region which a match elsewhere was found from, until the other one has welcomed us."""

    core: ClientSession
    edges: list[str]
    url: str
    until: float  # monotonic s


def _ms() -> float:
    return time.monotonic() * 1000.0


class Connections:
    """At most one at a time. `keep` makes them until the session is over."""

    def __init__(
        self,
        core: ClientSession,
        edges: Sequence[str],
        hear: Callable[[ServerMessage], None],
        frame: Callable[[bytes], None],
        *,
        dial: Dial | None = None,
        place: Place | None = None,
    ) -> None:
        self.core = core
        self.edges = list(edges)
        self.url = self.edges[0]  # where it is connected, or is to be
        self.place = place
        self.welcomes = 0
        self.last_close: tuple[int, str] | None = None
        self.moving = False  # to another process, on purpose
        self.elsewhere = False  # in another region on purpose: there the session begins anew
        self.fallback = ""  # the process that goes on with the match if this one dies
        self._home: _Home | None = None  # on the way to a match in another region: where to come back to
        self._hear, self._frame, self._dial = hear, frame, dial
        self._socket: ClientConnection | None = None
        self._commands: deque[bytes] = deque()
        self._wake = asyncio.Event()

    @property
    def open(self) -> bool:
        return self.core.state is ClientState.OPEN

    # ------------------------------------------------------------------------------------------------------- what goes out

    def send(self, message: Numbered) -> None:
        """Raises RefusedError where too many wait already."""
        self.core.send(message)
        self._wake.set()

    def send_command(self, frame: bytes) -> bool:
        """False: there is no connection, or an older command made way."""
        if not self.open:
            return False
        kept = len(self._commands) < COMMANDS_WAITING_MAX
        if not kept:
            self._commands.popleft()
        self._commands.append(frame)
        self._wake.set()
        return kept

    async def bye(self) -> None:
        """Say goodbye where there is somebody to hear it. Raises OSError, WebSocketException."""
        if self.open and self._socket is not None:
            self.core.bye()
            await self._flush(self._socket)

    def drop(self) -> None:
        """Cut the connection without a word."""
        if self._socket is not None:
            self._socket.transport.abort()

    # ---------------------------------------------------------------------------------------------------------- where to

    def go_to(self, url: str) -> None:
        """Be connected to this URL: nothing to do, or a move. The session goes along with its resume token."""
        if url.rstrip("/") == self.url.rstrip("/"):
            return
        self._know(url)
        self.url = url
        self.moving = True
        self.core.detach()
        self._wake.set()

    def begin_at(self, edges: Sequence[str]) -> None:
        """Go to another region: the session there begins anew."""
        self.edges, self.elsewhere = list(edges), True
        self.go_to(edges[0])

    def visit(self, edges: Sequence[str], token: str, until: float) -> None:
        """Go to a match in another region with a core of its own; come back where it does not welcome us by then (monotonic s)."""
        home = _Home(self.core, list(self.edges), self.url, until)
        self.go_to(edges[0])
        self._home, self.core, self.edges = home, ClientSession(token, client=home.core.client), list(edges)
        self.moving, self.elsewhere, self.fallback = False, True, ""

    def welcomed(self) -> bool:
        """The process that we went to has taken us. True: it is that of a visit, and there is no way back."""
        arrived = self._home is not None
        self._home = None
        self.moving = self.elsewhere = False
        return arrived

    def _come_back(self, home: _Home) -> None:
        """The other region cannot be reached: go on with the session at home, where the ticket waits."""
        self.core, self.edges, self.url = home.core, home.edges, home.url
        self._home, self.elsewhere, self.fallback = None, False, ""

    def _next_url(self) -> str:
        """Whom to try after the present URL: first who goes on with our match if its process died, then one after the other."""
        fallback, self.fallback = self.fallback, ""
        if fallback and fallback.rstrip("/") != self.url.rstrip("/"):
            self._know(fallback)
            return fallback
        at = self.edges.index(self.url) if self.url in self.edges else -1
        return self.edges[(at + 1) % len(self.edges)]

    def _know(self, url: str) -> None:
        if url not in self.edges:
            del self.edges[EXTRA_EDGES_MAX:]
            self.edges.append(url)

    async def _placed_again(self, code: int, text: str) -> None:
        if self.place is None:
            raise RefusedError(reason_of(code) or Reason.UNAVAILABLE, text)
        try:
            token, edges = await self.place()
        except RefusedError as error:
            if error.retry_after_ms is None:
                raise
            return  # tried again with the old one after the next wait
        if not edges:
            return  # nor is this a place to play
        self.core.token = token
        self.edges = list(edges)
        self.url = self.edges[0]

    # -------------------------------------------------------------------------------------------------- one after the other

    async def keep(self) -> None:
        """Connect, talk, and connect again, until the core is closed. Raises RefusedError, ConnectionLostError: it cannot go on."""
        attempt = brief = 0
        lost_at = time.monotonic()
        while True:
            url = self.url
            welcomes, began = self.welcomes, time.monotonic()
            code, text = await self._one(url)
            self.last_close = (code, text)
            if self.core.state is ClientState.CLOSED:
                return
            if self.url != url:
                continue  # moved on purpose
            if self._home is not None and _gives_up(self._home, attempt, code):
                self._come_back(self._home)
                attempt, lost_at = 0, time.monotonic()
                continue
            if self.welcomes > welcomes:
                attempt, lost_at = 0, time.monotonic()
                brief = brief + 1 if lost_at - began < SETTLED_S else 0
            retry = retry_after(code)
            if retry is Retry.NEVER:
                raise RefusedError(reason_of(code) or Reason.UNSUPPORTED, text or f"closed with {code}")
            if time.monotonic() - lost_at > GIVE_UP_S:
                raise ConnectionLostError(f"no connection for {GIVE_UP_S:.0f} s (last close: {code} {text})")
            if attempt:
                await _pause(attempt)
                self.url = self._next_url()
            elif brief > 1:
                await _pause(brief)
            attempt += 1
            region_lost = retry is not Retry.PLACE and self.place is not None and attempt >= LOST_ROUNDS * len(self.edges) + 1
            if retry is Retry.PLACE or region_lost:
                await self._placed_again(code, text)
                attempt = 1 if region_lost else attempt

    async def _one(self, url: str) -> tuple[int, str]:
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
            await socket.send(self.core.hello(_ms()), text=True)
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
            broken = self.core.closing
            self.core.detach()
            await socket.close()
        if broken is not None:  # we gave this connection up (silence, a gap): the code is ours, and the next one resumes
            await asyncio.sleep(BACKOFF_S)
            return LOST, broken.text
        return socket.close_code or LOST, socket.close_reason or ""

    def _receive(self, data: str | bytes) -> None:
        now_ms = _ms()
        if isinstance(data, bytes):
            self.core.heard(now_ms)
            self._frame(data)
            return
        for message in self.core.receive_text(data.encode(), now_ms):
            self._hear(message)
        self._wake.set()

    async def _write(self, socket: ClientConnection) -> None:
        """Everything that goes out on one connection, and what time alone asks for."""
        loop = asyncio.get_running_loop()
        url = self.url
        ticker = loop.call_later(POLL_S, self._wake.set)
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                if ticker.when() <= loop.time():
                    self.core.poll(_ms())
                    ticker = loop.call_later(POLL_S, self._wake.set)
                if self.url != url or self.core.closing is not None:
                    closing = self.core.closing
                    await socket.close(closing.code if closing else 1000, closing.text if closing else "moving")
                    return
                await self._flush(socket)
        except (OSError, WebSocketException):
            pass  # the reader hears of it, too
        finally:
            ticker.cancel()

    async def _flush(self, socket: ClientConnection) -> None:
        for data in self.core.outgoing():
            await socket.send(data, text=True)
        while self._commands:
            await socket.send(self._commands.popleft())


def _gives_up(home: _Home, attempt: int, code: int) -> bool:
    return attempt >= TRAVEL_TRIES or time.monotonic() > home.until or retry_after(code) is not Retry.RESUME


async def _pause(attempt: int) -> None:
    """Full jitter: a process that dies is not greeted by all its players at once."""
    await asyncio.sleep(random.uniform(0.0, min(BACKOFF_S_MAX, BACKOFF_S * 2 ** min(attempt, 10))))
