"""A hundred thousand frames that nobody should send: nothing raises, whatever arrives."""

import random

import numpy as np
import pytest

from gameedge.core import limits
from gameedge.core.ids import SessionId
from gameedge.core.protocol import arena_v1, frames
from gameedge.core.protocol.client_session import ClientSession
from gameedge.core.protocol.messages import Refused, Unknown, decode_client, decode_server, encode
from gameedge.core.protocol.session import ServerSession
from tests.core.protocol.welcome import WELCOME

GOOD = [
    b'{"t":"hello","token":"abc","resume":"r","last_s":3,"client":"c"}',
    b'{"t":"ack","s":1}',
    b'{"t":"queue","n":1,"mode":"duel","party":{"id":"x","size":2}}',
    b'{"t":"cancel","n":2}',
    b'{"t":"join","n":3,"match":"m_1","match_token":"tok"}',
    b'{"t":"leave","n":4}',
    b'{"t":"ping","id":7}',
    b'{"t":"bye"}',
    b'{"t":"queued","s":1,"ticket":"t","mode":"duel"}',
    b'{"t":"refused","re":"queue","reason":"pool_full","n":1}',
    b'{"t":"pong","id":1,"tick":1,"server_ms":1}',
    encode(WELCOME),
]
NASTY = [
    b"",
    b"null",
    b"{}",
    b"[]",
    b'"hello"',
    b"\xff\xfe\xfd",
    b'{"t":"hello","token":"\xed\xa0\x80"}',
    b'{"t":"hello","token":"\\ud800"}',
    b'{"t":"nobody"}',
    b'{"t":7}',
    b'{"t":"ack","s":1e999}',
    b'{"t":"ack","s":' + b"9" * 3_000 + b"}",
    b'{"t":"ack","s":-1}',
    b'{"t":"ack","s":1.5}',
    b'{"t":"ack","s":true}',
    b'{"t":"ack","s":9007199254740992}',
    b'{"t":"ping","id":-9223372036854775809}',
    b'{"t":"queue","n":0,"mode":"duel"}',
    b'{"t":"queue","n":1,"mode":["duel"]}',
    b'{"t":"queue","n":1,"mode":"' + b"x" * 65 + b'"}',
    b'{"t":"queue","n":1,"mode":"duel","party":{"id":"a","size":6}}',
    b"[" * 4_000,
    b'{"a":' * 800,
    b'{"t":"bye","t":"hello"}',
    b'{"t":"hello","token":"' + b"x" * 5_000 + b'"}',
    b"\x00" * 64,
]


def mutated(rng: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        kind = rng.randrange(4)
        at = rng.randrange(len(out) + 1)
        if kind == 0 and out:
            out[at % len(out)] = rng.randrange(256)
        elif kind == 1:
            out[at:at] = rng.randbytes(rng.randint(1, 8))
        elif kind == 2:
            del out[at : at + rng.randint(1, 8)]
        else:
            out[at:at] = out[: rng.randint(0, 16)]
    return bytes(out)


def text_frame(rng: random.Random) -> bytes:
    choice = rng.random()
    if choice < 0.7:
        return mutated(rng, rng.choice(GOOD))
    if choice < 0.9:
        return rng.choice(NASTY)
    return rng.randbytes(rng.randint(0, 64))


def fresh(now_ms: float) -> ServerSession:
    session = ServerSession(SessionId("s"), "r", now_ms)
    if random.random() < 0.9:
        session.receive_text(GOOD[0], now_ms)
        session.open(WELCOME, now_ms)
    return session


@pytest.mark.parametrize("seed", range(2))
def test_text_frames_through_both_sessions(seed: int) -> None:
    rng = random.Random(seed)
    random.seed(seed)
    server, client, now_ms = fresh(0.0), ClientSession("t"), 0.0
    closed = 0
    for i in range(25_000):
        now_ms += rng.choice((0.0, 1.0, 200.0))
        frame = text_frame(rng)
        server.receive_text(frame, now_ms)
        for data in server.outgoing():
            assert len(data) <= limits.FRAME_BYTES_MAX
        if server.closing is not None:
            closed += 1
            assert len(server.closing.text.encode()) <= 123
            server = fresh(now_ms)
        if i % 50 == 0 or client.closing is not None:
            client.detach()
            client.hello(now_ms)
            client.receive_text(GOOD[-1], now_ms)
        client.receive_text(frame, now_ms)
        client.poll(now_ms)
        client.outgoing()
    assert closed > 100


def test_binary_frames_through_the_decoders() -> None:
    rng = random.Random(3)
    command = frames.encode_command(1, 2, 3, bytes(24))
    snapshot = frames.encode_snapshot(frames.SnapshotHeader(0, 1, 2, 3), bytes(20))
    for _ in range(50_000):
        data = mutated(rng, rng.choice((command, snapshot))) if rng.random() < 0.8 else rng.randbytes(rng.randint(0, 80))
        decoded = frames.decode_command(data)
        if decoded is not None:
            header, payload = decoded
            assert frames.encode_command(*header, payload) == data
        seen = frames.decode_snapshot(data)
        if seen is not None:
            assert frames.encode_snapshot(*seen) == data
        arena_v1.decode_snapshot(data[frames.HEADER_SIZE :])
        arena_v1.decode_snapshot(data)


@pytest.mark.parametrize("data", NASTY, ids=range(len(NASTY)))
def test_what_is_no_message_is_refused_with_a_reason(data: bytes) -> None:
    refused = decode_client(data)
    if data == b'{"t":"bye","t":"hello"}':
        return  # JSON leaves open which of the two counts; it must not raise
    assert isinstance(refused, Refused), refused
    assert len(refused.detail) <= 256
    assert isinstance(decode_server(data), Unknown)


def test_headers_as_arrays_agree_with_headers_one_by_one() -> None:
    rng = np.random.default_rng(5)
    rows = rng.integers(0, 256, (64, 40), np.uint8)
    rows[:, 0], rows[:, 1:4] = frames.COMMAND, 0
    headers = frames.command_headers(rows)
    for row, header in zip(rows, headers, strict=True):
        one = frames.decode_command(row.tobytes())
        assert one is not None
        assert one[0] == (header["sequence"], header["client_ms"], header["seen_tick"])
