"""The client's side of a session, the twin of session.py: no I/O, time is an argument.

    OFFLINE ──hello()──▶ AWAIT_WELCOME ──welcome──▶ OPEN ──detach()──▶ OFFLINE ...   CLOSED after `bye()`

How a client uses it::

    session = ClientSession(token, client="my-game/1.0")
    connection.send(session.hello(now_ms))                     # on every connection, the first and each later one
    for message in session.receive_text(data, now_ms): ...     # each critical message exactly once and in order
    session.send(Queue(mode="duel"))                           # `n` is assigned; kept until the server has it
    for data in session.outgoing(): connection.send(data)      # after whatever may have queued something
    session.poll(now_ms)                                       # a few times a second: pings, acks, dead connections
    session.detach()                                           # the connection is gone; hello() on the next one resumes

Guarantee. Critical client messages arrive exactly once and in order while the server keeps the session; a welcome with
`resumed` false starts a new one, and what was not received of the old one is dropped (the caller sees the welcome and decides).
"""

from collections import deque
from enum import Enum
from typing import Final

import msgspec

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.protocol.close import Close, close_for
from gameedge.core.protocol.messages import (
    Accept,
    Ack,
    Bye,
    Cancel,
    Decline,
    Explain,
    Hello,
    Join,
    Leave,
    Ping,
    Pong,
    Queue,
    Refused,
    ServerMessage,
    Unknown,
    Welcome,
    decode_server,
    encode,
)

ACK_EVERY: Final = 16  # critical messages
ACK_DELAY_MS: Final = 500  # a lone one is acknowledged after this
PINGS_MAX: Final = 8  # unanswered pings whose time is remembered; drop oldest
_UNUSED: Final = (Reason.OUT_OF_ORDER, Reason.MALFORMED)  # refusals that leave their `n` unused

Numbered = Queue | Cancel | Explain | Accept | Decline | Join | Leave


class ClientState(Enum):
    OFFLINE = "offline"
    AWAIT_WELCOME = "await_welcome"
    OPEN = "open"
    CLOSED = "closed"


class ClientSession:
    """One session over any number of connections. Not thread-safe."""

    def __init__(self, token: str, *, client: str = "") -> None:
        self.token = token
        self.client = client
        self.state = ClientState.OFFLINE
        self.welcome: Welcome | None = None  # the last one
        self.closing: Close | None = None  # close the connection with this
        self.last_s = 0  # the last critical server message that was handed out
        self.rtt_ms: float | None = None  # the newest round trip
        self._next_n = 1
        self._unreceived: deque[Numbered] = deque()  # numbered, oldest first
        self._out: list[bytes] = []
        self._acked_s = 0
        self._ack_due_ms: float | None = None
        self._heard_ms = 0.0
        self._pinged_ms = 0.0
        self._ping_id = 0
        self._pings: deque[tuple[int, float]] = deque(maxlen=PINGS_MAX)

    # ------------------------------------------------------------------------------------------------------------ out

    def hello(self, now_ms: float) -> bytes:
        """The first message of a new connection; resumes where there is a session."""
        if self.state is ClientState.CLOSED:
            raise RefusedError(Reason.OUT_OF_ORDER, "the session was ended with bye; make a new one")
        self.detach()
        self.state = ClientState.AWAIT_WELCOME
        self._heard_ms = now_ms
        resume = self.welcome.resume_token if self.welcome else None
        return encode(Hello(token=self.token, resume=resume, last_s=self.last_s, client=self.client))

    def send(self, message: Numbered) -> int:
        """Queue a critical message and return its `n`. Without a connection it waits for the next.

        Raises RefusedError(SLOW) where limits.UNACKED_MESSAGES_MAX wait already.
        """
        if len(self._unreceived) >= limits.UNACKED_MESSAGES_MAX:
            raise RefusedError(Reason.SLOW, "too many messages wait for the server")
        numbered = msgspec.structs.replace(message, n=self._next_n)
        self._next_n += 1
        self._unreceived.append(numbered)
        if self.state is ClientState.OPEN:
            self._out.append(encode(numbered))
        return numbered.n

    def ping(self, now_ms: float) -> int:
        """Queue a ping: it measures the round trip and tells what the server has received."""
        self._ping_id += 1
        self._pinged_ms = now_ms
        if self.state is ClientState.OPEN:
            self._pings.append((self._ping_id, now_ms))
            self._out.append(encode(Ping(id=self._ping_id)))
        return self._ping_id

    def bye(self) -> None:
        """End the session for good: the server does not keep it."""
        if self.state is ClientState.OPEN:
            self._out.append(encode(Bye()))
        self.state = ClientState.CLOSED

    def outgoing(self) -> list[bytes]:
        """Text frames to send now, in order; each is handed out once."""
        out, self._out = self._out, []
        return out

    @property
    def unreceived(self) -> int:
        """Critical messages of which it is not known yet that they arrived."""
        return len(self._unreceived)

    # ------------------------------------------------------------------------------------------------------------- in

    def receive_text(self, data: bytes | memoryview, now_ms: float) -> list[ServerMessage]:
        """One text frame: what the caller is to act on. Never raises; a server that breaks the protocol sets `closing`."""
        if self.state not in (ClientState.AWAIT_WELCOME, ClientState.OPEN) or self.closing is not None:
            return []
        self._heard_ms = now_ms
        message = decode_server(data)
        if isinstance(message, Unknown):  # of a newer server: it is not for us, but its number counts
            if message.s and self.state is ClientState.OPEN:
                self._count(message.s, now_ms)
            return []
        if isinstance(message, Welcome):
            return self._welcome(message, now_ms)
        if self.state is ClientState.AWAIT_WELCOME:
            return [message] if isinstance(message, Refused) else []
        if message.critical:
            return [message] if self._count(getattr(message, "s", 0), now_ms) else []
        if isinstance(message, Pong):
            self._pong(message, now_ms)
        elif isinstance(message, Refused) and message.n and message.reason not in _UNUSED:
            self._drop_received(message.n)
        return [message]

    def heard(self, now_ms: float) -> None:
        """A binary frame or another sign of life came."""
        self._heard_ms = now_ms

    def detach(self) -> None:
        """The connection is gone; numbers and unreceived messages are kept for the next one."""
        self._out.clear()
        self._pings.clear()
        self._ack_due_ms = None
        self.closing = None
        if self.state is not ClientState.CLOSED:
            self.state = ClientState.OFFLINE

    def poll(self, now_ms: float) -> None:
        """What time alone asks for: acks that are due, pings, and `closing` on a connection that is dead."""
        silent_ms = now_ms - self._heard_ms
        if self.state is ClientState.AWAIT_WELCOME and silent_ms >= limits.HANDSHAKE_MS_MAX:
            self.closing = close_for(Reason.IDLE, "no welcome came in time")
        if self.state is not ClientState.OPEN:
            return
        if self._ack_due_ms is not None and now_ms >= self._ack_due_ms:
            self._ack()
        if silent_ms >= limits.IDLE_MS_MAX:
            self.closing = close_for(Reason.IDLE, "nothing was heard")
        elif now_ms - self._pinged_ms >= self._heartbeat_ms:
            self.ping(now_ms)

    # --------------------------------------------------------------------------------------------------------- inside

    @property
    def _heartbeat_ms(self) -> int:
        return max(250, self.welcome.heartbeat_ms) if self.welcome else limits.HEARTBEAT_MS

    def _welcome(self, welcome: Welcome, now_ms: float) -> list[ServerMessage]:
        if self.state is ClientState.OPEN:
            self.closing = close_for(Reason.OUT_OF_ORDER, "a second welcome")
            return []
        if not welcome.resumed:
            if self.welcome is not None:  # another session: what the old one did not receive has lost its meaning
                self._unreceived.clear()
            self.last_s = 0
        self.welcome = welcome
        self.state = ClientState.OPEN
        self._acked_s = self.last_s  # the hello said it
        self._drop_received(welcome.received)
        # Numbered anew from what the server has: a session that moved to another process may have been stored a moment ago.
        self._unreceived = deque(msgspec.structs.replace(message, n=welcome.received + i) for i, message in enumerate(self._unreceived, 1))
        self._next_n = welcome.received + len(self._unreceived) + 1
        self._out.extend(encode(message) for message in self._unreceived)
        self.ping(now_ms)
        return [welcome]

    def _count(self, s: int, now_ms: float) -> bool:
        """Whether critical message `s` is new. A gap sets `closing`: the next connection resumes from the last good one."""
        if 0 < s <= self.last_s:
            return False  # sent again after a resume
        if s != self.last_s + 1:
            self.closing = close_for(Reason.OUT_OF_ORDER, f"critical message {s} after {self.last_s}")
            return False
        self.last_s = s
        if s - self._acked_s >= ACK_EVERY:
            self._ack()
        elif self._ack_due_ms is None:
            self._ack_due_ms = now_ms + ACK_DELAY_MS
        return True

    def _ack(self) -> None:
        self._ack_due_ms = None
        self._acked_s = self.last_s
        self._out.append(encode(Ack(self.last_s)))

    def _pong(self, pong: Pong, now_ms: float) -> None:
        while self._pings and self._pings[0][0] <= pong.id:
            ping_id, sent_ms = self._pings.popleft()
            if ping_id == pong.id:
                self.rtt_ms = now_ms - sent_ms
        self._drop_received(pong.received)

    def _drop_received(self, n: int) -> None:
        while self._unreceived and self._unreceived[0].n <= n:
            self._unreceived.popleft()
