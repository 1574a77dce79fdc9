"""A spectator's connection: what it may say, and that it is no session that anybody could go on with."""

import msgspec
import pytest

from gameedge.core import limits
from gameedge.core.errors import Reason
from gameedge.core.ids import SessionId
from gameedge.core.protocol.close import CLOSE_CODES, NORMAL
from gameedge.core.protocol.messages import Queued, Watch, Watching
from gameedge.core.protocol.session import Poll, ServerSession, State
from tests.core.protocol.welcome import WELCOME

WATCH = b'{"t":"watch","token":"x","match":"m_1"}'
WATCHING = Watching(match="m_1", mode="duel", delay_ms=3_000, tick=9, tick_hz=60, snapshot_hz=20, duration_ms=10_000, roster=[])


def watching(now_ms: float = 0.0) -> ServerSession:
    session = ServerSession(SessionId("s"), "r", now_ms)
    assert session.receive_text(WATCH, now_ms) == [Watch(token="x", match="m_1")]
    assert session.state is State.VERIFYING
    session.watch(WATCHING, now_ms)
    (answer,) = said(session)
    assert (answer["t"], answer["match"]) == ("watching", "m_1")
    return session


def said(session: ServerSession) -> list[dict[str, object]]:
    return [msgspec.json.decode(data) for data in session.outgoing()]


def test_a_spectator_pings_and_says_goodbye() -> None:
    session = watching()
    assert session.receive_text(b'{"t":"ping","id":7}', 1.0, tick=60) == []
    (pong,) = said(session)
    assert (pong["t"], pong["id"], pong["tick"]) == ("pong", 7, 60)
    session.receive_text(b'{"t":"bye"}', 2.0)
    assert session.closing is not None
    assert session.closing.code == NORMAL


def test_pings_have_their_budget() -> None:
    session = watching()
    for number in range(limits.CONTROL_BURST + 1):
        session.receive_text(b'{"t":"ping","id":%d}' % number, 1.0)
    assert said(session)[-1]["reason"] == Reason.TOO_OFTEN


@pytest.mark.parametrize("text", [b'{"t":"queue","n":1,"mode":"duel"}', b'{"t":"ack","s":0}', b'{"t":"hello","token":"x"}', WATCH, b"{}"])
def test_anything_else_is_refused(text: bytes) -> None:
    session = watching()
    assert session.receive_text(text, 1.0) == []
    assert [answer["t"] for answer in said(session)] == ["refused"]
    assert session.closing is None
    for _ in range(limits.REFUSALS_MAX):
        session.receive_text(text, 1.0)
    assert session.closing is not None
    assert session.closing.code == CLOSE_CODES[Reason.TOO_OFTEN]


def test_commands_and_critical_messages_are_not_for_spectators() -> None:
    session = watching()
    assert not session.take_command(1.0)
    assert session.send(Queued(ticket="t", mode="m")) == 0
    assert said(session) == []


def test_silence_is_asked_about_and_then_ends_it() -> None:
    session = watching()
    assert session.poll(limits.HANDSHAKE_MS_MAX + 1.0) is Poll.PING
    session.heard(limits.HANDSHAKE_MS_MAX + 1.0)
    assert session.poll(limits.HANDSHAKE_MS_MAX + 1.0 + limits.IDLE_MS_MAX) is Poll.CLOSE
    assert session.closing is not None
    assert session.closing.code == CLOSE_CODES[Reason.IDLE]
    assert not session.detach(1e6), "nothing is kept for a resume"
    assert session.state is State.CLOSED


def test_only_what_was_asked_for_is_watched() -> None:
    session = ServerSession(SessionId("s"), "r", 0.0)
    with pytest.raises(ValueError, match="await_hello"):
        session.watch(WATCHING, 0.0)
    session.receive_text(b'{"t":"hello","token":"x"}', 0.0)
    session.open(WELCOME, 0.0)
    session.outgoing()
    session.receive_text(WATCH, 1.0)
    assert [answer["t"] for answer in said(session)] == ["refused"]
