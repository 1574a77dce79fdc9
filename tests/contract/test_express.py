"""The express lane keeps the shells' contract: real sockets, both shells, peers that keep no rule."""

import asyncio
import os
from collections.abc import AsyncIterator

import numpy as np
import pytest

from gameedge.core import limits
from gameedge.core.protocol.frames import COMMAND
from gameedge.edge import express as lane
from gameedge.edge.express import Express
from gameedge.edge.express_kernels import send_frames, write_frames
from gameedge.edge.inbox import Inbox
from gameedge.edge.transports.base import Connection
from tests.contract.sockets import NAMES, House, Raw, Recorder, until

pytestmark = [pytest.mark.asyncio, pytest.mark.skipif(not lane.AVAILABLE, reason="the express lane needs Linux")]

PAYLOAD = 24
SIZE = 16 + PAYLOAD
ROW = 3
MASK = b"\x11\x22\x33\x44"


def frame(first: int, payload: bytes) -> bytes:
    """A masked frame as a client sends it."""
    size = len(payload)
    head = bytes((first, 0x80 | size)) if size < 126 else bytes((first, 0xFE, size >> 8, size & 255))
    return head + MASK + bytes(byte ^ MASK[i & 3] for i, byte in enumerate(payload))


def command(number: int) -> bytes:
    return frame(0x82, bytes((COMMAND, 0, 0, 0)) + number.to_bytes(4, "little") + bytes(SIZE - 8))


class Lane:
    """A connection of a serving shell in an express lane, and its peer."""

    def __init__(self, house: House, raw: Raw) -> None:
        self.house, self.raw = house, raw
        self.inbox = Inbox(256, PAYLOAD)
        self.express = Express(8, self.inbox)
        self.now_ms = 1_000.0
        self.endpoint: Recorder = house.endpoints[-1]
        self.connection: Connection = self.endpoint.connection
        self.express.enter(ROW, self.connection, self.now_ms)

    async def drained(self, commands: int = 0, heard: int = 0) -> list[int]:
        """Drain until that much has come; the numbers of the commands in the inbox."""
        for _ in range(500):
            self.express.drain(self.now_ms)
            if self.inbox.count >= commands and len(self.endpoint.heard) >= heard:
                break
            await asyncio.sleep(0.005)
        return self.inbox.headers["sequence"].tolist()  # type: ignore[no-any-return]

    async def closed(self) -> int:
        for _ in range(500):
            if self.endpoint.closes:
                break
            self.express.drain(self.now_ms)
            await asyncio.sleep(0.005)
        assert len(self.endpoint.closes) == 1
        self.express.leave(ROW)
        return self.endpoint.closes[0][0]

    def snapshots(self, payloads: list[bytes]) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        """Send frames to this connection as the tick does; what each `send` took."""
        widest = max(len(payload) for payload in payloads)
        table = np.zeros((len(payloads), widest), np.uint8)
        for i, payload in enumerate(payloads):
            table[i, : len(payload)] = np.frombuffer(payload, np.uint8)
        sizes = np.array([len(payload) for payload in payloads], np.int32)
        processed = np.arange(len(payloads), dtype=np.int64)
        self.out, self.starts = np.zeros(len(payloads) * (widest + 20), np.uint8), np.zeros(len(payloads) + 1, np.int32)
        write_frames(table, sizes, processed, len(payloads), 7, 9, self.out, self.starts)
        sent = np.zeros(len(payloads), np.int32)
        rows = np.full(len(payloads), ROW, np.int32)
        send_frames(self.express.descriptors, np.zeros(8, np.bool_), rows, self.out, self.starts, sent)
        return sent


@pytest.fixture(params=NAMES)
async def laned(request: pytest.FixtureRequest) -> AsyncIterator[Lane]:
    house = await House(request.param).open()
    raw = await house.raw_upgraded()
    await until(lambda: bool(house.endpoints))
    found = Lane(house, raw)
    assert found.express.reading == 1
    try:
        yield found
    finally:
        found.express.leave(ROW)
        raw.writer.close()
        await house.server.close()
        found.express.close()


async def test_commands_go_to_the_inbox_and_the_rest_to_the_endpoint_in_order(laned: Lane) -> None:
    laned.raw.write(command(1) + frame(0x81, b"first") + command(2) + frame(0x82, b"short") + frame(0x81, b"x" * 300) + command(3))
    assert await laned.drained(3, 3) == [1, 2, 3]
    assert laned.endpoint.heard == [("text", b"first"), ("binary", b"short"), ("text", b"x" * 300)]
    assert laned.inbox.slots.tolist() == [ROW] * 3
    assert laned.express.heard(ROW) == (laned.now_ms, 0)


async def test_frames_that_come_byte_by_byte(laned: Lane) -> None:
    for byte in command(1) + frame(0x81, b"text") + command(2):
        laned.raw.write(bytes((byte,)))
        await asyncio.sleep(0)
        laned.express.drain(laned.now_ms)
    assert await laned.drained(2, 1) == [1, 2]
    assert laned.endpoint.heard == [("text", b"text")]


async def test_pings_are_answered(laned: Lane) -> None:
    laned.raw.write(frame(0x89, b"beacon") + command(1))
    await laned.drained(1)
    assert await laned.raw.frame() == (10, b"beacon")


async def test_commands_over_the_budget_are_dropped_and_counted(laned: Lane) -> None:
    for number in range(100):
        laned.raw.write(command(number + 1))
    await laned.drained(limits.COMMANDS_BURST)
    dropped = 0
    for _ in range(200):
        laned.express.drain(laned.now_ms)
        dropped += laned.express.heard(ROW)[1]
        if dropped == 100 - limits.COMMANDS_BURST:
            break
        await asyncio.sleep(0.005)
    assert dropped == 100 - limits.COMMANDS_BURST
    assert laned.inbox.headers["sequence"].tolist() == list(range(1, limits.COMMANDS_BURST + 1))
    laned.now_ms += 100.0  # two more at 20 a second
    laned.raw.write(command(101) + command(102) + command(103))
    assert (await laned.drained(limits.COMMANDS_BURST + 2))[-2:] == [101, 102]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (bytes((0x82, SIZE)) + bytes(SIZE), 1002),  # not masked
        (bytes((0xC2, 0x80 | SIZE)) + MASK + bytes(SIZE), 1002),  # a reserved bit
        (bytes((0x83, 0x81)) + MASK + b"x", 1002),  # an opcode that is none
        (bytes((0x82, 0xFF)) + (1 << 40).to_bytes(8, "big") + MASK, 1009),
        (frame(0x02, bytes(SIZE)) + command(2), 1002),  # a whole message within a fragmented one
    ],
)
async def test_what_breaks_a_rule_is_the_shells_to_judge(laned: Lane, bad: bytes, code: int) -> None:
    laned.raw.write(command(1) + bad)
    assert await laned.drained(1) == [1]
    for _ in range(100):
        laned.express.drain(laned.now_ms)
        await asyncio.sleep(0.002)
        if laned.express.reading == 0:
            break
    assert await laned.raw.close_code() == code
    laned.raw.write(command(3))
    assert laned.inbox.count == 1
    await laned.house.still_serves()


async def test_close_frames_and_lost_peers(laned: Lane) -> None:
    laned.raw.write(command(1) + frame(0x88, (1000).to_bytes(2, "big")))
    assert await laned.closed() == 1000
    assert laned.inbox.count == 1
    assert laned.express.reading == 0


async def test_a_peer_that_resets(laned: Lane) -> None:
    laned.raw.reset()
    assert await laned.closed() == 1006


async def test_our_close_reaches_the_peer_and_later_commands_do_not_count(laned: Lane) -> None:
    laned.connection.close(4000, "done")
    laned.raw.write(command(1))
    assert await laned.raw.close_code() == 4000
    assert laned.snapshots([b"late"]).tolist() == [-1]
    laned.express.drain(laned.now_ms)
    await asyncio.sleep(0.05)
    laned.express.drain(laned.now_ms)
    assert laned.inbox.count == 0
    laned.raw.write(frame(0x88, (4000).to_bytes(2, "big")))
    assert await laned.closed() == 4000


async def test_frames_leave_whole(laned: Lane) -> None:
    assert (laned.snapshots([b"abc", b"y" * 400]) > 0).all()
    opcode, payload = await laned.raw.frame()
    assert opcode == 2
    assert payload[:4] == bytes((2, 0, 3, 0))
    assert payload[16:] == b"abc"
    head = await laned.raw.reader.readexactly(4)
    assert int.from_bytes(head[2:], "big") == 416
    assert (await laned.raw.reader.readexactly(416))[16:] == b"y" * 400


async def test_a_full_socket_keeps_frames_whole_and_in_order(laned: Lane) -> None:
    """The peer does not read: some frame is cut, the transport keeps its rest, and the lane writes no more until it left."""
    total, numbers = 0, 0
    big = os.urandom(60_000)
    while True:
        payload = numbers.to_bytes(4, "little") + big
        sent = laned.snapshots([payload])
        numbers += 1
        total += int(laned.starts[1])
        if sent[0] != laned.starts[1]:
            assert sent[0] > 0
            laned.connection.send_rest(laned.out[sent[0] : laned.starts[1]].tobytes())  # type: ignore[attr-defined]
            break
        assert total < 1 << 26
    assert laned.express.descriptors[ROW] == -1
    assert laned.snapshots([b"never"]).tolist() == [-1]
    laned.connection.send_text(b"after")
    for number in range(numbers):
        head = await laned.raw.reader.readexactly(4)
        size = int.from_bytes(head[2:], "big")
        got = await laned.raw.reader.readexactly(size)
        assert got[16:20] == number.to_bytes(4, "little")
        assert got[20:] == big
    assert await laned.raw.frame() == (1, b"after")
    await until(lambda: laned.connection.buffered() == 0)
    laned.express.return_writing(ROW)
    assert laned.snapshots([b"again"])[0] > 0
    assert (await laned.raw.frame())[1][16:] == b"again"


async def test_a_connection_in_the_middle_of_a_frame_stays_with_its_shell() -> None:
    house = await House(NAMES[0]).open()
    entered = Express(8, Inbox(8, PAYLOAD))
    house.react = lambda endpoint, data: entered.enter(ROW, endpoint.connection, 0.0)
    raw = await house.raw_upgraded()
    raw.write(frame(0x81, b"hello") + frame(0x81, b"more")[:-1])
    await until(lambda: bool(house.endpoints) and bool(house.endpoints[0].heard))
    assert entered.reading == 0
    raw.write(frame(0x81, b"more")[-1:])
    await until(lambda: len(house.endpoints[0].heard) == 2)
    raw.writer.close()
    await house.server.close()


async def test_a_flood_of_pings_ends_in_the_lane_too(laned: Lane) -> None:
    laned.raw.write(frame(0x89, b"x") * 2_000)
    for _ in range(500):
        laned.express.drain(laned.now_ms)
        if not laned.express.reading:
            break
        await asyncio.sleep(0.005)
    opcode, payload = await laned.raw.frame()
    while opcode == 10:
        opcode, payload = await laned.raw.frame()
    assert (opcode, int.from_bytes(payload[:2], "big")) == (8, 1008)
    assert not laned.connection.is_open
    laned.connection.abort()  # it reads no more, and would wait for the end of its close handshake


async def test_a_size_that_the_game_got_wrong_shows_nobody_what_another_player_sees() -> None:
    table = np.arange(3 * 8, dtype=np.uint8).reshape(3, 8)
    sizes, processed = np.array([12, -5, 8], np.int32), np.zeros(3, np.int64)
    out, starts = np.zeros(400, np.uint8), np.zeros(4, np.int32)
    write_frames(table, sizes, processed, 3, 1, 2, out, starts)
    frames = [out[starts[i] : starts[i + 1]].tobytes() for i in range(3)]
    assert [len(found) for found in frames] == [2 + 16 + 8, 2 + 16, 2 + 16 + 8]
    assert frames[0].endswith(bytes(range(8)))
    assert [found[4] for found in frames] == [8, 0, 8]
    assert frames[2].endswith(bytes(range(16, 24)))


async def test_large_commands_are_told_from_others_of_their_length() -> None:
    """From 126 bytes on a frame's header is longer: a shorter message has the length that a command would have with the shorter one."""
    house = await House(NAMES[0]).open()
    raw = await house.raw_upgraded()
    await until(lambda: bool(house.endpoints))
    inbox = Inbox(16, 184)
    express = Express(8, inbox)
    express.enter(ROW, house.endpoints[0].connection, 1.0)
    mask = bytes((0x11, 0x22, 0x33 ^ 0x44, 0x44))
    body = bytes(198)
    for third in range(256):  # a mask by which what is looked at could be anything
        raw.write(bytes((0x82, 0xFE, 0, 198)) + mask[:2] + bytes((third,)) + mask[3:] + body)
    async with asyncio.timeout(20):
        while len(house.endpoints[0].heard) < 256:
            express.drain(1.0)
            await asyncio.sleep(0.005)
    assert inbox.count == 0
    assert {len(data) for _, data in house.endpoints[0].heard} == {198}
    express.leave(ROW)
    raw.reset()
    await house.server.close()
    express.close()
