"""ServerSession and ClientSession over a link that delivers late, delivers in part, and is cut: hypothesis drives it.

Invariant: while the session lives, every critical message arrives exactly once, in order, in both directions, and `s` has no gap.
"""

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gameedge.core import limits
from gameedge.core.ids import SessionId
from gameedge.core.protocol.client_session import ClientSession, ClientState
from gameedge.core.protocol.messages import Hello, Queue, Queued, Refused, Welcome
from gameedge.core.protocol.session import Poll, ServerSession, State
from tests.core.protocol.welcome import WELCOME


class Meeting(RuleBasedStateMachine):
    """One client; its session lives in one process at a time and may move to another between two connections."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 0.0
        self.up: deque[bytes] = deque()
        self.down: deque[bytes] = deque()
        self.connected = False
        self.client = ClientSession("token")
        self.server: ServerSession | None = None
        self.guest: ServerSession | None = None  # of a connection whose hello has not come yet
        self.asked: list[str] = []  # by the client, in order
        self.heard: list[str] = []  # by the server
        self.told: list[str] = []  # by the server
        self.read: list[str] = []  # by the client
        self.last_s: list[int] = []
        self.sessions = 0

    @initialize()
    def first(self) -> None:
        self.connect()

    @rule(ms=st.sampled_from([1.0, 50.0, 400.0, 2_000.0]))
    def time_passes(self, ms: float) -> None:
        self.now_ms += ms
        self.client.poll(self.now_ms)
        for session in (self.server, self.guest):
            if session is not None:
                session.poll(self.now_ms)
        self.flush()
        if self.client.closing is not None or self.active is None or self.active.closing is not None:
            self.cut(0, 0)

    @precondition(lambda self: not self.connected)
    @rule()
    def connect(self) -> None:
        if self.server is not None and self.server.expired(self.now_ms):
            self.server = None
        self.connected = True
        self.sessions += 1
        self.guest = ServerSession(SessionId(f"s_{self.sessions}"), f"r_{self.sessions}", self.now_ms)
        self.up.append(self.client.hello(self.now_ms))

    @precondition(lambda self: self.connected)
    @rule(up=st.integers(0, 5), down=st.integers(0, 5), noticed=st.booleans())
    def cut(self, up: int, down: int, noticed: bool = True) -> None:
        """The connection is lost: some of what was on its way still arrives, the rest never does. A server that has not noticed
        yet goes on sending into the void."""
        for _ in range(min(up, len(self.up))):
            self.arrive_up()
        for _ in range(min(down, len(self.down))):
            self.arrive_down()
        self.up.clear()
        self.down.clear()
        self.connected = False
        self.guest = None
        if self.server is not None and noticed:
            self.server.detach(self.now_ms)
        self.client.detach()

    @precondition(lambda self: not self.connected and self.server is not None)
    @rule()
    def process_dies(self) -> None:
        """The next process counts on from the stored record and from what the client names. What was told and not read is told
        anew from the store, which is not the session's business: it counts as never told."""
        assert self.server is not None
        self.told = list(self.read)
        moved = ServerSession(
            self.server.session,
            self.server.resume_token,
            self.now_ms,
            sent_s=self.client.last_s,
            received_n=self.server.received_n,
        )
        moved.open(WELCOME, self.now_ms, resumed=True)
        moved.detach(self.now_ms)
        self.server = moved

    @rule()
    def client_asks(self) -> None:
        if self.client.unreceived < 15:
            mode = f"m{len(self.asked)}"
            self.asked.append(mode)
            self.client.send(Queue(mode=mode))
            self.flush()

    @precondition(lambda self: self.server is not None and self.server.state in (State.OPEN, State.DETACHED))
    @rule(count=st.integers(1, 20))
    def server_tells(self, count: int) -> None:
        assert self.server is not None
        for _ in range(count):
            if self.server.unacked < limits.UNACKED_MESSAGES_MAX:
                ticket = f"t{len(self.told)}"
                self.told.append(ticket)
                assert self.server.send(Queued(ticket=ticket, mode="m"))
        self.flush()

    @precondition(lambda self: self.connected and self.up)
    @rule(count=st.integers(1, 8))
    def up_arrives(self, count: int) -> None:
        for _ in range(min(count, len(self.up))):
            self.arrive_up()

    @precondition(lambda self: self.connected and self.down)
    @rule(count=st.integers(1, 30))
    def down_arrives(self, count: int) -> None:
        for _ in range(min(count, len(self.down))):
            self.arrive_down()

    # -- the world

    @property
    def active(self) -> ServerSession | None:
        """What hears the connection."""
        return self.guest if self.guest is not None else self.server

    def arrive_up(self) -> None:
        self.now_ms += 250.0  # within the rate budget
        session = self.active
        if session is None or not self.up:
            return
        for event in session.receive_text(self.up.popleft(), self.now_ms, tick=7):
            if isinstance(event, Hello):
                self.greet(session, event)
            elif isinstance(event, Queue):
                self.heard.append(event.mode)
        self.flush()

    def greet(self, guest: ServerSession, hello: Hello) -> None:
        self.guest = None
        known = self.server
        if known is not None and hello.resume == known.resume_token and known.attach(WELCOME, hello.last_s, self.now_ms):
            return
        self.told, self.read = [], []  # a new session: nothing of the old one is owed
        guest.open(WELCOME, self.now_ms)
        self.server = guest

    def arrive_down(self) -> None:
        if not self.down:
            return
        welcomed = self.client.welcome is not None
        for message in self.client.receive_text(self.down.popleft(), self.now_ms):
            if isinstance(message, Queued):
                self.read.append(message.ticket)
                self.last_s.append(message.s)
            elif isinstance(message, Welcome) and not message.resumed:
                self.last_s = []
                if welcomed:  # what the client still had to say belonged to the old session
                    self.asked, self.heard = [], []
            assert not isinstance(message, Refused), message
        assert self.client.closing is None
        self.flush()

    def flush(self) -> None:
        if self.connected:
            self.up.extend(self.client.outgoing())
            if self.server is not None and self.guest is None:
                self.down.extend(self.server.outgoing())
        elif self.server is not None:
            self.server.outgoing()

    # -- what must hold

    @invariant()
    def nothing_is_lost_doubled_or_reordered(self) -> None:
        assert self.read == self.told[: len(self.read)]
        assert self.heard == self.asked[: len(self.heard)]
        assert self.last_s == list(range(1, len(self.last_s) + 1))

    @invariant()
    def what_is_kept_is_bounded(self) -> None:
        assert self.client.unreceived <= limits.UNACKED_MESSAGES_MAX
        if self.server is not None:
            assert self.server.unacked <= limits.UNACKED_MESSAGES_MAX

    def teardown(self) -> None:
        """A link that works again delivers everything."""
        if self.server is None:
            return
        for _ in range(200):
            if not self.connected:
                self.connect()
            while self.up or self.down:
                if self.up:
                    self.arrive_up()
                if self.down:
                    self.arrive_down()
            if self.client.state is ClientState.OPEN and self.client.unreceived == 0 and self.read == self.told:
                break
            self.time_passes(500.0)
        assert self.read == self.told
        assert self.heard == self.asked


Meeting.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestMeeting = Meeting.TestCase


def test_a_session_that_nobody_resumes_expires() -> None:
    session = ServerSession(SessionId("s"), "r", 0.0)
    session.receive_text(b'{"t":"hello","token":"x"}', 0.0)
    session.open(WELCOME, 0.0)
    assert session.detach(10.0)
    assert session.poll(10.0 + limits.RESUME_MS_MAX - 1) is Poll.NOTHING
    assert session.poll(10.0 + limits.RESUME_MS_MAX) is Poll.EXPIRED
    assert not session.attach(WELCOME, 0, 60_000.0)
