"""The server session by itself: order, budgets, bounds, heartbeat, and what a broken or hostile client gets."""

import msgspec
import pytest

from gameedge.core import limits
from gameedge.core.errors import Reason
from gameedge.core.ids import SessionId
from gameedge.core.protocol.close import CLOSE_CODES, NORMAL, Retry, close_for, reason_of, retry_after
from gameedge.core.protocol.messages import Bye, Cancel, Hello, Queue, Queued, QueueStatus
from gameedge.core.protocol.rates import TokenBucket, Window
from gameedge.core.protocol.session import Poll, ServerSession, State
from tests.core.protocol.welcome import WELCOME


def opened(now_ms: float = 0.0, **counters: int) -> ServerSession:
    session = ServerSession(SessionId("s_1"), "r_1", now_ms, **counters)
    assert session.receive_text(b'{"t":"hello","token":"x"}', now_ms) == [Hello(token="x")]
    session.open(WELCOME, now_ms)
    session.outgoing()
    return session


def said(session: ServerSession) -> list[dict[str, object]]:
    return [msgspec.json.decode(data) for data in session.outgoing()]


def test_welcome_carries_the_session_and_its_counters() -> None:
    session = ServerSession(SessionId("s_1"), "r_1", 0.0, sent_s=4, received_n=7)
    session.receive_text(b'{"t":"hello","token":"x"}', 0.0)
    assert session.state is State.VERIFYING
    session.open(WELCOME, 0.0, resumed=True)
    (welcome,) = said(session)
    assert (welcome["session"], welcome["resume_token"], welcome["resumed"], welcome["received"]) == ("s_1", "r_1", True, 7)
    assert session.send(Queued(ticket="t", mode="m")) == 5
    assert session.receive_text(b'{"t":"queue","n":8,"mode":"duel"}', 1.0) == [Queue(n=8, mode="duel")]


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (b'{"t":"queue","n":1,"mode":"duel"}', Reason.OUT_OF_ORDER),
        (b'{"t":"hello"}', Reason.MALFORMED),
        (b"\xff\xfe", Reason.MALFORMED),
        (b"[" * 4_000, Reason.MALFORMED),
        (b" " * (limits.FRAME_BYTES_MAX + 1), Reason.TOO_LARGE),
    ],
)
def test_a_first_message_that_is_no_hello_closes(first: bytes, reason: Reason) -> None:
    session = ServerSession(SessionId("s"), "r", 0.0)
    assert session.receive_text(first, 0.0) == []
    assert session.closing is not None
    assert session.closing.code == CLOSE_CODES[reason]
    assert len(session.closing.text.encode()) <= 123
    assert session.state is State.CLOSED


def test_a_few_pings_before_the_hello_measure_a_region() -> None:
    session = ServerSession(SessionId("s"), "r", 0.0)
    for number in range(limits.BEACON_PINGS_MAX):
        assert session.receive_text(b'{"t":"ping","id":%d}' % number, 10.0 * number, tick=3) == []
        assert said(session) == [{"t": "pong", "id": number, "tick": 3, "server_ms": 10 * number}]
    hello = session.receive_text(b'{"t":"hello","token":"x"}', 100.0)
    assert hello == [Hello(token="x")], "it may go on to play on the same connection"


def test_pings_before_the_hello_are_bounded_and_win_no_time() -> None:
    session = ServerSession(SessionId("s"), "r", 0.0)
    for number in range(limits.BEACON_PINGS_MAX):
        session.receive_text(b'{"t":"ping","id":%d}' % number, limits.HANDSHAKE_MS_MAX - 1.0)
        session.heard(limits.HANDSHAKE_MS_MAX - 1.0)
    assert session.poll(limits.HANDSHAKE_MS_MAX) is Poll.CLOSE
    session = ServerSession(SessionId("s"), "r", 0.0)
    for number in range(limits.BEACON_PINGS_MAX + 1):
        session.receive_text(b'{"t":"ping","id":%d}' % number, 0.0)
    assert session.closing is not None
    assert session.closing.reason is Reason.TOO_OFTEN


def test_no_hello_in_time_closes() -> None:
    session = ServerSession(SessionId("s"), "r", 0.0)
    assert session.poll(limits.HANDSHAKE_MS_MAX - 1) is Poll.NOTHING
    assert session.poll(limits.HANDSHAKE_MS_MAX) is Poll.CLOSE
    assert session.closing == close_for(Reason.IDLE, "no hello came in time")


def test_a_number_is_taken_once_and_gaps_are_refused() -> None:
    session = opened()
    assert session.receive_text(b'{"t":"queue","n":1,"mode":"duel"}', 1.0) == [Queue(n=1, mode="duel")]
    assert session.receive_text(b'{"t":"queue","n":1,"mode":"duel"}', 2.0) == []
    assert said(session) == []
    assert session.receive_text(b'{"t":"cancel","n":3}', 3.0) == []
    assert said(session) == [{"t": "refused", "re": "cancel", "reason": "out_of_order", "detail": "n must be 2", "n": 3}]
    assert session.receive_text(b'{"t":"cancel","n":2}', 4.0) == [Cancel(n=2)]
    assert session.receive_text(b'{"t":"cancel"}', 5.0) == []
    assert said(session)[0]["reason"] == "malformed"
    assert session.received_n == 2


def test_each_type_has_its_own_budget_and_a_refused_number_is_used_up() -> None:
    session = opened()
    for n in range(1, limits.CONTROL_BURST + 1):
        assert session.receive_text(b'{"t":"cancel","n":%d}' % n, 1.0)
    n = limits.CONTROL_BURST + 1
    assert session.receive_text(b'{"t":"cancel","n":%d}' % n, 1.0) == []
    (refused,) = said(session)
    assert (refused["re"], refused["reason"], refused["n"]) == ("cancel", "too_often", n)
    assert session.received_n == n
    wait_ms = refused["retry_after_ms"]
    assert isinstance(wait_ms, int)
    assert session.receive_text(b'{"t":"ping","id":5}', 1.0, tick=9) == []
    assert said(session) == [{"t": "pong", "id": 5, "tick": 9, "server_ms": 1, "received": n}]
    assert session.receive_text(b'{"t":"cancel","n":%d}' % (n + 1), 1.0 + wait_ms)


def test_too_many_refusals_close_and_old_ones_are_forgotten() -> None:
    session = opened()
    for i in range(limits.REFUSALS_MAX):
        session.receive_text(b"{}", float(i))
    assert session.closing is None
    for i in range(limits.REFUSALS_MAX):
        session.receive_text(b"{}", 60_000.0 + i)
    assert session.closing is None
    session.receive_text(b"{}", 61_000.0)
    assert session.closing is not None
    assert session.closing.reason is Reason.TOO_OFTEN
    assert session.receive_text(b'{"t":"ping","id":1}', 61_001.0) == []


def test_commands_have_a_budget_and_a_flood_closes() -> None:
    session = opened()
    taken = sum(session.take_command(float(ms)) for ms in range(10_000))
    assert taken == pytest.approx(10 * limits.COMMANDS_PER_S + limits.COMMANDS_BURST, abs=1)
    assert session.commands_dropped == 10_000 - taken
    assert session.poll(10_000.0) is Poll.CLOSE
    assert session.closing is not None
    assert session.closing.reason is Reason.TOO_OFTEN


def test_commands_before_welcome_are_dropped() -> None:
    session = ServerSession(SessionId("s"), "r", 0.0)
    assert not session.take_command(0.0)
    assert session.commands_dropped == 1


def test_a_client_that_never_acks_is_too_slow() -> None:
    session = opened()
    for _ in range(limits.UNACKED_MESSAGES_MAX):
        assert session.send(Queued(ticket="t", mode="m"))
    assert session.send(Queued(ticket="t", mode="m")) == 0
    assert session.closing is not None
    assert session.closing.reason is Reason.SLOW
    assert not session.detach(0.0)


def test_acks_free_what_is_kept_and_lies_are_refused() -> None:
    session = opened()
    for _ in range(3):
        session.send(Queued(ticket="t", mode="m"))
    session.outgoing()
    session.receive_text(b'{"t":"ack","s":2}', 1.0)
    session.receive_text(b'{"t":"ack","s":1}', 1.0)
    assert session.unacked == 1
    assert said(session) == []
    session.receive_text(b'{"t":"ack","s":4}', 1.0)
    assert said(session)[0]["reason"] == "out_of_order"
    assert session.unacked == 1


def test_a_resume_outside_what_is_kept_is_no_resume() -> None:
    session = opened()
    for _ in range(5):
        session.send(Queued(ticket="t", mode="m"))
    session.receive_text(b'{"t":"ack","s":3}', 1.0)
    session.detach(2.0)
    assert not session.attach(WELCOME, 2, 3.0)
    assert not session.attach(WELCOME, 6, 3.0)
    assert session.state is State.DETACHED
    assert session.attach(WELCOME, 4, 3.0)
    assert [m.get("s") for m in said(session)] == [None, 5]


def test_without_a_connection_state_is_dropped_and_news_is_kept() -> None:
    session = opened()
    session.detach(0.0)
    session.send(QueueStatus(ticket="t", waited_ms=1, pool=1))
    session.send(Queued(ticket="t", mode="m"))
    assert session.outgoing() == []
    assert session.receive_text(b'{"t":"ping","id":1}', 1.0) == []
    assert session.attach(WELCOME, 0, 1.0)
    assert [m["t"] for m in said(session)] == ["welcome", "queued"]


def test_an_attach_replaces_a_connection_that_is_still_open() -> None:
    session = opened()
    session.send(Queued(ticket="t", mode="m"))
    assert session.attach(WELCOME, 0, 1.0)
    assert [m["t"] for m in said(session)] == ["welcome", "queued"]


def test_silence_is_pinged_then_closed_and_may_be_resumed() -> None:
    session = opened()
    assert session.poll(limits.HEARTBEAT_MS - 1) is Poll.NOTHING
    assert session.poll(limits.HEARTBEAT_MS) is Poll.PING
    assert session.poll(limits.HEARTBEAT_MS + 1) is Poll.NOTHING
    session.heard(limits.HEARTBEAT_MS + 2)
    assert session.poll(limits.IDLE_MS_MAX) is Poll.PING
    assert session.poll(limits.HEARTBEAT_MS + 2 + limits.IDLE_MS_MAX) is Poll.CLOSE
    assert session.closing is not None
    assert session.closing.reason is Reason.IDLE
    assert session.detach(20_002.0)
    assert session.attach(WELCOME, 0, 20_003.0)
    assert session.closing is None


def test_bye_ends_the_session() -> None:
    session = opened()
    assert session.receive_text(b'{"t":"bye"}', 1.0) == [Bye()]
    assert session.closing is not None
    assert session.closing.code == NORMAL
    assert not session.detach(2.0)
    assert session.poll(3.0) is Poll.CLOSE


def test_a_second_hello_and_messages_before_welcome_are_out_of_order() -> None:
    session = ServerSession(SessionId("s"), "r", 0.0)
    session.receive_text(b'{"t":"hello","token":"x"}', 0.0)
    assert session.receive_text(b'{"t":"queue","n":1,"mode":"duel"}', 0.0) == []
    session.open(WELCOME, 0.0)
    assert [m["t"] for m in said(session)] == ["refused", "welcome"]
    assert session.received_n == 0
    assert session.receive_text(b'{"t":"hello","token":"x"}', 0.0) == []
    assert said(session)[0]["re"] == "hello"
    with pytest.raises(ValueError, match="open"):
        session.open(WELCOME, 0.0)


def test_every_reason_has_its_own_close_code() -> None:
    assert set(CLOSE_CODES) == set(Reason)
    assert len(set(CLOSE_CODES.values())) == len(CLOSE_CODES)
    assert all(4000 <= code < 4100 for code in CLOSE_CODES.values())
    assert all(reason_of(code) is reason for reason, code in CLOSE_CODES.items())


def test_what_a_client_does_after_a_close() -> None:
    assert retry_after(1006) is Retry.RESUME
    assert retry_after(1013) is Retry.RESUME
    assert retry_after(CLOSE_CODES[Reason.IDLE]) is Retry.RESUME
    assert retry_after(CLOSE_CODES[Reason.DRAINING]) is Retry.PLACE
    assert retry_after(CLOSE_CODES[Reason.REPLACED]) is Retry.NEVER
    assert retry_after(4099) is Retry.NEVER
    assert retry_after(NORMAL) is Retry.NEVER


def test_bucket_survives_a_clock_that_jumps_back() -> None:
    bucket = TokenBucket(10, 2, 1_000.0)
    assert bucket.take(500.0)
    assert bucket.take(400.0)
    assert not bucket.take(400.0)
    assert bucket.wait_ms() <= 101
    assert bucket.take(400.0 + bucket.wait_ms())


def test_window_counts_ten_seconds() -> None:
    window = Window()
    assert window.add(1.0) == 1
    assert window.add(6_000.0) == 2
    assert window.add(11_000.0) == 2
    assert window.add(40_000.0) == 1
