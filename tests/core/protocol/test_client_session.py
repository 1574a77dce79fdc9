"""The client session by itself: numbering, acks, gaps, servers that are newer or broken."""

import msgspec
import pytest

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.protocol.client_session import ACK_DELAY_MS, ACK_EVERY, ClientSession, ClientState
from gameedge.core.protocol.messages import Cancel, Message, Pong, Queue, Queued, Refused, encode
from tests.core.protocol.welcome import WELCOME


def greeted(**fields: object) -> bytes:
    return encode(msgspec.structs.replace(WELCOME, session="s_1", resume_token="r_1", **fields))


def opened() -> ClientSession:
    session = ClientSession("token", client="test")
    assert msgspec.json.decode(session.hello(0.0)) == {"t": "hello", "token": "token", "client": "test"}
    assert session.receive_text(greeted(), 1.0)
    session.outgoing()
    return session


def said(session: ClientSession) -> list[dict[str, object]]:
    return [msgspec.json.decode(data) for data in session.outgoing()]


def critical(s: int) -> bytes:
    return encode(Queued(s=s, ticket=f"t{s}", mode="m"))


def test_a_duplicate_is_ignored_and_a_gap_closes() -> None:
    session = opened()
    assert session.receive_text(critical(1), 1.0)
    assert session.receive_text(critical(1), 1.0) == []
    assert session.closing is None
    assert session.receive_text(critical(3), 1.0) == []
    assert session.closing is not None
    assert session.closing.reason is Reason.OUT_OF_ORDER
    assert session.last_s == 1


def test_acks_come_every_sixteen_and_after_a_moment() -> None:
    session = opened()
    for s in range(1, ACK_EVERY):
        session.receive_text(critical(s), 1.0)
    assert said(session) == []
    session.receive_text(critical(ACK_EVERY), 1.0)
    assert said(session) == [{"t": "ack", "s": ACK_EVERY}]
    session.receive_text(critical(ACK_EVERY + 1), 2.0)
    session.poll(2.0 + ACK_DELAY_MS - 1)
    assert said(session) == []
    session.poll(2.0 + ACK_DELAY_MS)
    assert said(session) == [{"t": "ack", "s": ACK_EVERY + 1}]


def test_a_resume_names_the_last_number_and_sends_the_rest_again() -> None:
    session = opened()
    session.receive_text(critical(1), 1.0)
    assert [session.send(Queue(mode="a")), session.send(Cancel())] == [1, 2]
    session.outgoing()
    session.detach()
    assert session.send(Queue(mode="b")) == 3
    assert msgspec.json.decode(session.hello(5.0))["resume"] == "r_1"
    assert session.outgoing() == []
    session.receive_text(greeted(resumed=True, received=1), 6.0)
    again = [message for message in said(session) if message["t"] != "ping"]
    assert again == [{"t": "cancel", "n": 2}, {"t": "queue", "n": 3, "mode": "b"}]
    assert session.unreceived == 2


def test_a_process_with_an_older_record_is_followed() -> None:
    session = opened()
    for _ in range(3):
        session.send(Cancel())
    session.receive_text(encode(Pong(id=1, tick=0, server_ms=0, received=3)), 2.0)
    assert session.unreceived == 0
    session.detach()
    session.send(Queue(mode="b"))
    session.hello(3.0)
    session.receive_text(greeted(resumed=True, received=1), 4.0)
    assert {"t": "queue", "n": 2, "mode": "b"} in said(session)


def test_a_new_session_starts_counting_again() -> None:
    session = opened()
    session.receive_text(critical(1), 1.0)
    session.send(Cancel())
    session.detach()
    session.hello(2.0)
    session.receive_text(greeted(resumed=False), 3.0)
    assert (session.last_s, session.unreceived, session.send(Cancel())) == (0, 0, 1)


def test_refusals_settle_their_number_unless_it_was_not_taken() -> None:
    session = opened()
    session.send(Queue(mode="a"))
    assert session.receive_text(encode(Refused(re="queue", reason=Reason.OUT_OF_ORDER, n=1)), 1.0)
    assert session.unreceived == 1
    assert session.receive_text(encode(Refused(re="queue", reason=Reason.POOL_FULL, n=1)), 1.0)
    assert session.unreceived == 0


def test_a_newer_server_is_understood_as_far_as_it_goes() -> None:
    session = opened()
    assert session.receive_text(b'{"t":"season_started","s":1,"season":4}', 1.0) == []
    assert session.receive_text(b'{"t":"weather","rain":true}', 1.0) == []
    assert session.closing is None
    (message,) = session.receive_text(b'{"t":"queued","s":2,"ticket":"t","mode":"m","new_field":[1]}', 1.0)
    assert message.critical
    assert session.last_s == 2


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b'{"t":"queued"}', b'{"t":"queued","s":-1}', b"[" * 100_000])
def test_garbage_from_a_server_never_raises(data: bytes) -> None:
    session = opened()
    assert session.receive_text(data, 1.0) == []
    assert session.last_s == 0


def test_pings_measure_and_silence_closes() -> None:
    session = opened()
    session.poll(1.0 + WELCOME.heartbeat_ms)
    (ping,) = said(session)
    identity = ping["id"]
    assert isinstance(identity, int)
    session.receive_text(encode(Pong(id=identity, tick=1, server_ms=1)), 1.0 + WELCOME.heartbeat_ms + 23.0)
    assert session.rtt_ms == pytest.approx(23.0)
    session.poll(1.0 + WELCOME.heartbeat_ms + 23.0 + limits.IDLE_MS_MAX)
    assert session.closing is not None


def test_no_welcome_in_time_closes() -> None:
    session = ClientSession("token")
    session.hello(0.0)
    session.poll(limits.HANDSHAKE_MS_MAX)
    assert session.closing is not None


def test_what_waits_for_the_server_is_bounded() -> None:
    session = ClientSession("token")
    for _ in range(limits.UNACKED_MESSAGES_MAX):
        session.send(Cancel())
    with pytest.raises(RefusedError, match="slow"):
        session.send(Cancel())


def test_bye_is_for_good() -> None:
    session = opened()
    session.bye()
    assert said(session) == [{"t": "bye"}]
    assert session.state is ClientState.CLOSED
    assert session.receive_text(critical(1), 1.0) == []
    with pytest.raises(RefusedError):
        session.hello(2.0)


def test_unnumbered_messages_say_so() -> None:
    numbered: list[type[Message]] = [Queue, Cancel, Queued]
    assert all(kind.critical for kind in numbered)
    assert not Pong.critical
