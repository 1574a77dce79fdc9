"""The server's side of a session: a state machine without I/O. Values in, events and bytes out; time is an argument.

Problem. A player's connection is lost now and then, and nothing that matters may be lost, doubled or reordered with it.

Method. Critical server messages are numbered (`s`) without gaps and kept until the client acknowledges them; a resume names the
last one that was processed and the rest is sent again. Critical client messages are numbered (`n`) in the same way; the server
takes `received_n + 1` alone. TCP keeps order within a connection, so no timers and no windows are needed.

    AWAIT_HELLO ──hello──▶ VERIFYING ──open()──▶ OPEN ◀──attach()── DETACHED ──expired()──▶ CLOSED
                                                   └────detach()───────▲

How the edge process uses it::

    session = ServerSession(session_id, resume_token, now_ms)        # a connection was accepted
    for event in session.receive_text(data, now_ms, tick): ...       # Hello, Queue, Cancel, Join, Leave, Bye
    session.open(welcome, now_ms)                                    # the token was good
    earlier.attach(welcome, hello.last_s, now_ms)                    # or: hello.resume named an earlier session (drop the new)
    session.send(Queued(ticket=..., mode=...))                       # `s` is assigned
    for data in session.outgoing(): connection.send_text(data)       # after whatever may have queued something
    if session.closing: connection.close(session.closing.code, session.closing.text)

Guarantee. Every critical message is delivered exactly once and in order while the session lives. A session that goes on in
another process counts on from what the client names: `ServerSession(..., sent_s=hello.last_s, received_n=record.received_n)`,
then `open(welcome, now_ms, resumed=True)`; what the dead process had not delivered is told anew from the store.

Cost. A command costs `take_command`: one float multiplication, no allocation. Bounds: limits.py.

One page, since every transition of a state machine is read against all its others.
"""

from collections import deque
from enum import Enum
from typing import Final

import msgspec

from gameedge.core import limits
from gameedge.core.errors import Reason
from gameedge.core.ids import SessionId
from gameedge.core.protocol.close import NORMAL, Close, close_for
from gameedge.core.protocol.messages import (
    Accept,
    Ack,
    Bye,
    Cancel,
    ClientMessage,
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
    Watch,
    Watching,
    Welcome,
    decode_client,
    encode,
    tag_of,
)
from gameedge.core.protocol.rates import TokenBucket, Window, control_bucket

Event = Hello | Watch | Queue | Cancel | Explain | Accept | Decline | Join | Leave | Bye
"""What the edge process acts on. `Bye`: the session is closed. Closes are not events: look at `closing`."""


class State(Enum):
    AWAIT_HELLO = "await_hello"
    VERIFYING = "verifying"  # the hello is with the edge process, which answers with open(), attach() of another, or close()
    OPEN = "open"
    WATCHING = "watching"  # a spectator: nothing is numbered, only pings and a goodbye are taken, and nothing is resumed
    DETACHED = "detached"  # no connection; kept for limits.RESUME_MS_MAX
    CLOSED = "closed"


class Poll(Enum):
    NOTHING = 0
    PING = 1  # send a WebSocket ping
    CLOSE = 2  # close the connection with `closing`; then detach(), which keeps the session where it may be resumed
    EXPIRED = 3  # nobody came back in time: forget the session


_NOTHING: Final[list[Event]] = []


class ServerSession:
    """One player's session. Not thread-safe; one event loop owns it."""

    __slots__ = (
        "_acked_s",
        "_buckets",
        "_command_bucket",
        "_detached_ms",
        "_drops_seen",
        "_drops_window",
        "_early_pings",
        "_heard_ms",
        "_out",
        "_pinged_ms",
        "_refusals",
        "_sent_s",
        "_unacked",
        "closing",
        "commands_dropped",
        "received_n",
        "refusals",
        "resume_token",
        "session",
        "state",
    )

    def __init__(self, session: SessionId, resume_token: str, now_ms: float, *, sent_s: int = 0, received_n: int = 0) -> None:
        self.session = session
        self.resume_token = resume_token
        self.state = State.AWAIT_HELLO
        self.closing: Close | None = None
        self.received_n = received_n
        self.commands_dropped = 0
        self.refusals = 0
        self._sent_s = sent_s
        self._acked_s = sent_s
        self._unacked: deque[bytes] = deque()  # critical messages _acked_s + 1 .. _sent_s
        self._out: list[bytes] = []
        self._heard_ms = now_ms
        self._pinged_ms = now_ms
        self._detached_ms = now_ms
        self._buckets: dict[str, TokenBucket] = {}  # from the first message of a type on: most sessions send few types
        self._command_bucket = TokenBucket(limits.COMMANDS_PER_S, limits.COMMANDS_BURST, now_ms)
        self._refusals = Window()
        self._drops_window = Window()
        self._drops_seen = 0
        self._early_pings = 0

    # ------------------------------------------------------------------------------------------------------------ in

    def receive_text(self, data: bytes | memoryview, now_ms: float, tick: int = 0) -> list[Event]:
        """One text frame. Never raises for what a peer sent; look at `outgoing` and `closing` afterwards."""
        if self.state in (State.DETACHED, State.CLOSED) or self.closing is not None:
            return _NOTHING  # late bytes of a connection that was given up
        message = decode_client(data)
        if self.state is State.AWAIT_HELLO:
            return self._first(message, now_ms, tick)
        self._heard_ms = now_ms
        if isinstance(message, Refused):
            self._refuse(message, now_ms)
            return _NOTHING
        if isinstance(message, Bye):
            self.close(Close(NORMAL, None))
            return [message]
        tag = tag_of(message)
        if self.state is State.WATCHING:
            self._spectator(message, tag, now_ms, tick)
            return _NOTHING
        if self.state is State.VERIFYING or isinstance(message, Hello | Watch):
            self._refuse(Refused(re=tag, reason=Reason.OUT_OF_ORDER, detail="wait for welcome; one hello or watch a connection"), now_ms)
            return _NOTHING
        bucket = self._bucket(tag, now_ms)
        in_budget = bucket.take(now_ms)
        if isinstance(message, Ack | Ping):
            if not in_budget:
                self._refuse(Refused(re=tag, reason=Reason.TOO_OFTEN, retry_after_ms=bucket.wait_ms()), now_ms)
            elif isinstance(message, Ack):
                self._ack(message.s, now_ms)
            else:
                self._pong(message, now_ms, tick)
            return _NOTHING
        return self._numbered(message, tag, in_budget, bucket, now_ms)

    def heard(self, now_ms: float) -> None:
        """A WebSocket pong or another sign of life came. Before the hello nothing prolongs the wait for it."""
        if self.state is not State.AWAIT_HELLO:
            self._heard_ms = now_ms

    def take_command(self, now_ms: float) -> bool:
        """The budget of binary frames. False: drop this one (it is counted)."""
        self._heard_ms = now_ms
        if self.state is State.OPEN and self._command_bucket.take(now_ms):
            return True
        self.commands_dropped += 1
        return False

    def took_commands(self, heard_ms: float, dropped: int) -> None:
        """Commands that were taken, and dropped, by someone else who keeps their budget; the newest came at `heard_ms`."""
        self._heard_ms = max(self._heard_ms, heard_ms)
        self.commands_dropped += dropped

    # ----------------------------------------------------------------------------------------------------------- out

    def send(self, message: ServerMessage) -> int:
        """Queue a message; a critical one gets its `s` (returned; else 0) and is kept until it is acknowledged.

        Without a connection critical messages wait for a resume and others are dropped. Over limits.UNACKED_MESSAGES_MAX the
        session ends with SLOW: a client that does not acknowledge cannot be served exactly once.
        """
        if self.state not in (State.OPEN, State.DETACHED):
            return 0
        if not message.critical:
            if self.state is State.OPEN:
                self._out.append(encode(message))
            return 0
        if len(self._unacked) >= limits.UNACKED_MESSAGES_MAX:
            self.close(close_for(Reason.SLOW, "critical messages were not acknowledged"))
            return 0
        self._sent_s += 1
        data = encode(msgspec.structs.replace(message, s=self._sent_s))
        self._unacked.append(data)
        if self.state is State.OPEN:
            self._out.append(data)
        return self._sent_s

    def refuse(
        self,
        re: str,
        reason: Reason,
        now_ms: float,
        *,
        detail: str = "",
        n: int | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        """Tell the client that a message was not acted on. Too many refusals close the connection."""
        self._refuse(Refused(re=re[:64], reason=reason, detail=detail[:256], n=n, retry_after_ms=retry_after_ms), now_ms)

    def outgoing(self) -> list[bytes]:
        """Text frames to send now, in order; each is handed out once."""
        if not self._out:
            return self._out
        out, self._out = self._out, []
        return out

    @property
    def sent_s(self) -> int:
        """The last critical number that was assigned."""
        return self._sent_s

    @property
    def unacked(self) -> int:
        return len(self._unacked)

    # ---------------------------------------------------------------------------------------------------- connection

    def open(self, welcome: Welcome, now_ms: float, *, resumed: bool = False) -> None:
        """The hello was good. Session, resume token and counters of `welcome` are filled in. `resumed`: the session came from
        another process and counts on from the numbers that the constructor was given."""
        if self.state not in (State.AWAIT_HELLO, State.VERIFYING):
            raise ValueError(f"open() of a session that is {self.state.value}")
        self.state = State.OPEN
        self._welcome(welcome, now_ms, resumed)

    def watch(self, watching: Watching, now_ms: float) -> None:
        """The `watch` was good: this connection sees a match, and is no session that could be resumed."""
        if self.state is not State.VERIFYING:
            raise ValueError(f"watch() of a session that is {self.state.value}")
        self.state = State.WATCHING
        self._heard_ms = self._pinged_ms = now_ms
        self._out.append(encode(watching))

    def attach(self, welcome: Welcome, last_s: int, now_ms: float) -> bool:
        """A new connection goes on with this session: welcome, then every critical message after `last_s`.

        An OPEN session is attached too: the old connection is dead or replaced (the caller closes it with REPLACED). False:
        `last_s` is outside what is kept or the session is over; open a new session instead.
        """
        if self.state not in (State.OPEN, State.DETACHED) or not self._acked_s <= last_s <= self._sent_s:
            return False
        self._drop_acked(last_s)
        self.state = State.OPEN
        self.closing = None
        self._out.clear()
        self._welcome(welcome, now_ms, True)
        self._out.extend(self._unacked)
        return True

    def detach(self, now_ms: float) -> bool:
        """The connection is gone. True: the session waits for a resume until `expired`; False: it is over."""
        self._out.clear()
        if self.state is not State.OPEN:
            if self.state is not State.DETACHED:
                self.state = State.CLOSED
            return self.state is State.DETACHED
        self.state = State.DETACHED
        self._detached_ms = now_ms
        return True

    def expired(self, now_ms: float) -> bool:
        """Whether a session without a connection has waited long enough; it is closed then."""
        if self.state is State.DETACHED and now_ms - self._detached_ms >= limits.RESUME_MS_MAX:
            self.state = State.CLOSED
        return self.state is State.CLOSED

    def close(self, close: Close) -> None:
        """End the session for good; the caller closes the connection after sending `outgoing`."""
        self.state = State.CLOSED
        if self.closing is None:
            self.closing = close

    def poll(self, now_ms: float) -> Poll:
        """What time alone asks for. Call it about once a second for each session."""
        if self.state is State.DETACHED:
            return Poll.EXPIRED if self.expired(now_ms) else Poll.NOTHING
        if self.closing is not None:
            return Poll.CLOSE
        if self.state is State.CLOSED:
            return Poll.EXPIRED
        silent_ms = now_ms - self._heard_ms
        if self.state is not State.OPEN and self.state is not State.WATCHING:
            if silent_ms >= limits.HANDSHAKE_MS_MAX:
                self.close(close_for(Reason.IDLE, "no hello came in time"))
                return Poll.CLOSE
            return Poll.NOTHING
        drops = self._drops_window.add(now_ms, self.commands_dropped - self._drops_seen)
        self._drops_seen = self.commands_dropped
        if drops > limits.COMMANDS_DROPPED_MAX:
            self.close(close_for(Reason.TOO_OFTEN, "far more commands than the budget"))
            return Poll.CLOSE
        if silent_ms >= limits.IDLE_MS_MAX:
            self.closing = close_for(Reason.IDLE, "nothing was heard")  # the state stays: a session may be resumed
            return Poll.CLOSE
        if silent_ms >= limits.HEARTBEAT_MS and now_ms - self._pinged_ms >= limits.HEARTBEAT_MS:
            self._pinged_ms = now_ms
            return Poll.PING
        return Poll.NOTHING

    # -------------------------------------------------------------------------------------------------------- inside

    def _bucket(self, tag: str, now_ms: float) -> TokenBucket:
        if (bucket := self._buckets.get(tag)) is None:
            bucket = self._buckets[tag] = control_bucket(now_ms)
        return bucket

    def _first(self, message: object, now_ms: float, tick: int) -> list[Event]:
        """The hello or watch; before it a few pings, so that a client whose API has no WebSocket ping can measure a region."""
        if isinstance(message, Ping) and self._early_pings < limits.BEACON_PINGS_MAX:
            self._early_pings += 1
            self._pong(message, now_ms, tick)
            return _NOTHING
        if isinstance(message, Hello | Watch):
            self._heard_ms = now_ms
            self.state = State.VERIFYING
            return [message]
        if isinstance(message, Refused):
            self.close(close_for(message.reason, message.detail))
        elif isinstance(message, Ping):
            self.close(close_for(Reason.TOO_OFTEN, f"at most {limits.BEACON_PINGS_MAX} pings before the hello"))
        else:
            self.close(close_for(Reason.OUT_OF_ORDER, "hello comes first"))
        return _NOTHING

    def _spectator(self, message: ClientMessage, tag: str, now_ms: float, tick: int) -> None:
        if not isinstance(message, Ping):
            self._refuse(Refused(re=tag, reason=Reason.OUT_OF_ORDER, detail="a spectator sends ping and bye alone"), now_ms)
        elif not self._bucket(tag, now_ms).take(now_ms):
            self._refuse(Refused(re=tag, reason=Reason.TOO_OFTEN, retry_after_ms=self._buckets[tag].wait_ms()), now_ms)
        else:
            self._pong(message, now_ms, tick)

    def _pong(self, ping: Ping, now_ms: float, tick: int) -> None:
        self._out.append(encode(Pong(id=ping.id, tick=tick, server_ms=max(0, int(now_ms)), received=self.received_n)))

    def _numbered(
        self,
        message: Queue | Cancel | Explain | Accept | Decline | Join | Leave,
        tag: str,
        in_budget: bool,
        bucket: TokenBucket,
        now_ms: float,
    ) -> list[Event]:
        """Exactly once: only `received_n + 1` passes, and it is used up even where the budget refuses it."""
        if message.n <= self.received_n:
            if message.n == 0:
                self._refuse(Refused(re=tag, reason=Reason.MALFORMED, detail="`n` is missing"), now_ms)
            else:
                self._count_refusal(now_ms)  # sent again after a resume; a flood of them is still a flood
            return _NOTHING
        if message.n != self.received_n + 1:
            detail = f"n must be {self.received_n + 1}"
            self._refuse(Refused(re=tag, reason=Reason.OUT_OF_ORDER, detail=detail, n=message.n), now_ms)
            return _NOTHING
        self.received_n = message.n
        if not in_budget:
            self._refuse(Refused(re=tag, reason=Reason.TOO_OFTEN, n=message.n, retry_after_ms=bucket.wait_ms()), now_ms)
            return _NOTHING
        return [message]

    def _ack(self, s: int, now_ms: float) -> None:
        if s > self._sent_s:
            self._refuse(Refused(re="ack", reason=Reason.OUT_OF_ORDER, detail=f"{s} was not sent yet"), now_ms)
        else:
            self._drop_acked(s)

    def _drop_acked(self, s: int) -> None:
        while self._acked_s < s:
            self._acked_s += 1
            self._unacked.popleft()

    def _welcome(self, welcome: Welcome, now_ms: float, resumed: bool) -> None:
        self._heard_ms = now_ms
        self._pinged_ms = now_ms
        filled = msgspec.structs.replace(
            welcome, session=self.session, resume_token=self.resume_token, resumed=resumed, received=self.received_n
        )
        self._out.append(encode(filled))

    def _refuse(self, refused: Refused, now_ms: float) -> None:
        if self.state in (State.OPEN, State.VERIFYING, State.WATCHING) and self.closing is None:
            self._out.append(encode(refused))
            self._count_refusal(now_ms)

    def _count_refusal(self, now_ms: float) -> None:
        self.refusals += 1
        if self._refusals.add(now_ms) > limits.REFUSALS_MAX:
            self.close(close_for(Reason.TOO_OFTEN, "too many messages had to be refused"))
