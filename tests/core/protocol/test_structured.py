"""Messages that are nearly right, in any order: hypothesis builds them from the declared types and bends one field at a time."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gameedge.core import limits
from gameedge.core.errors import Reason
from gameedge.core.ids import SessionId
from gameedge.core.protocol.close import CLOSE_CODES, NORMAL, close_for
from gameedge.core.protocol.messages import Queued, Refused, Unknown, decode_server
from gameedge.core.protocol.session import ServerSession, State
from tests.core.protocol.welcome import WELCOME

NUMBERS = st.one_of(st.integers(0, 12), st.sampled_from([2**53 - 1, 2**53, -1, 2**63, 2**64]))
WORDS = st.one_of(st.text(max_size=8), st.sampled_from(["duel", "x" * 64, "x" * 65, "\0", "\u202e", "x" * 2_049]))
ODD = st.one_of(st.none(), st.booleans(), st.floats(), NUMBERS, WORDS, st.just([]), st.just({}), st.lists(NUMBERS, max_size=3))
FIELDS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "hello": {"token": WORDS, "resume": WORDS, "last_s": NUMBERS, "client": WORDS},
    "ack": {"s": NUMBERS},
    "queue": {"n": NUMBERS, "mode": WORDS, "party": st.fixed_dictionaries({"id": WORDS, "size": NUMBERS})},
    "cancel": {"n": NUMBERS},
    "join": {"n": NUMBERS, "match": WORDS, "match_token": WORDS},
    "leave": {"n": NUMBERS},
    "ping": {"id": NUMBERS},
    "bye": {},
    "welcome": {"session": WORDS},
}


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    tag = draw(st.sampled_from(sorted(FIELDS)))
    body: dict[str, Any] = {"t": tag, **draw(st.fixed_dictionaries(FIELDS[tag]))}
    bend = draw(st.sampled_from(["no", "no", "drop", "swap", "add", "tag"]))
    names = sorted(FIELDS[tag])
    if bend == "drop" and names:
        del body[draw(st.sampled_from(names))]
    elif bend == "swap" and names:
        body[draw(st.sampled_from(names))] = draw(ODD)
    elif bend == "add":
        body[draw(WORDS)] = draw(ODD)
    elif bend == "tag":
        body["t"] = draw(ODD)
    return msgspec.json.encode(body)


class Driven:
    """A session and what its process would do: it opens what is verified, tells critical things now and then."""

    def __init__(self) -> None:
        self.now_ms = 0.0
        self.session = ServerSession(SessionId("s"), "r", 0.0)
        self.passed: list[int] = []

    def frame(self, data: bytes, later_ms: float) -> None:
        self.now_ms += later_ms
        session = self.session
        before = session.received_n
        for event in session.receive_text(data, self.now_ms, 7):
            if (n := getattr(event, "n", None)) is not None:
                self.passed.append(n)
        assert session.received_n in (before, before + 1)
        if session.state is State.VERIFYING:
            session.open(WELCOME, self.now_ms)
        elif session.state is State.OPEN and self.now_ms % 3 < 1:
            session.send(Queued(ticket="t", mode="duel"))
        self.check_out()

    def check_out(self) -> None:
        session = self.session
        for data in session.outgoing():
            assert len(data) <= limits.FRAME_BYTES_MAX
            message = decode_server(data)
            assert not isinstance(message, Unknown), data
            if isinstance(message, Refused):
                assert isinstance(message.reason, Reason)
        assert session.unacked <= limits.UNACKED_MESSAGES_MAX
        if session.closing is not None:
            assert session.closing.code == NORMAL or session.closing.code in CLOSE_CODES.values()
            assert len(session.closing.text.encode()) <= 123


@settings(max_examples=250, deadline=None)
@given(st.lists(st.tuples(frames(), st.sampled_from([0.0, 1.0, 250.0, 20_000.0])), max_size=40))
def test_nothing_raises_and_every_answer_is_typed(script: list[tuple[bytes, float]]) -> None:
    driven = Driven()
    driven.frame(b'{"t":"hello","token":"x"}', 0.0)
    for data, later_ms in script:
        driven.frame(data, later_ms)
        driven.session.poll(driven.now_ms)
    assert driven.passed == sorted(set(driven.passed)), "a critical message passed twice or out of order"


@settings(max_examples=100, deadline=None)
@given(st.lists(frames(), min_size=1, max_size=8))
def test_before_hello_nothing_passes(script: list[bytes]) -> None:
    driven = Driven()
    for data in script:
        driven.frame(data, 1.0)
        if driven.session.closing is not None:
            break
    assert driven.passed == [] or driven.session.state in (State.OPEN, State.CLOSED)


def test_a_flood_of_refusals_ends_the_connection_with_its_reason() -> None:
    driven = Driven()
    driven.frame(b'{"t":"hello","token":"x"}', 0.0)
    for _ in range(limits.REFUSALS_MAX + 2):
        driven.frame(b'{"t":"ack","s":99}', 1.0)
    assert driven.session.closing is not None
    assert driven.session.closing.code == close_for(Reason.TOO_OFTEN).code
