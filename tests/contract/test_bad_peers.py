"""Peers that keep no rule at all, slow ones and silent ones: whatever they do costs their own connection, on both transports."""

import asyncio
import contextlib
import logging

import pytest
from websockets.exceptions import InvalidStatus

from gameedge.core import limits
from tests.contract.sockets import FRAME_MAX, NAMES, WAIT_S, House, event_loop_policy, frame, until, upgrade

__all__ = ["event_loop_policy"]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 426),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 426),
        (upgrade(Sec_WebSocket_Protocol=None), 400),
        (upgrade(Sec_WebSocket_Protocol="gameedge.v2"), 400),
        (upgrade(Sec_WebSocket_Key=None), 400),
        (upgrade(Sec_WebSocket_Key="short"), 400),
        (upgrade(Sec_WebSocket_Version="8"), 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"\x00\xff garbage\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon here\r\n\r\n", 400),
    ],
)
async def test_what_is_no_upgrade_gets_a_short_answer(house: House, request_bytes: bytes, status: int) -> None:
    raw = await house.raw()
    raw.write(request_bytes)
    answer = await raw.rest()
    # websockets from 17 on reads other methods than GET, and says 405
    allowed = {status, 405} if request_bytes.startswith(b"POST") else {status}
    assert int(answer.split()[1]) in allowed
    assert len(answer) < 1000
    assert house.endpoints == []


async def test_the_reference_client_hears_why_it_was_refused(house: House) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await house.client(subprotocols=["gameedge.v0"])
    assert caught.value.response.status_code == 400


async def test_endless_headers_end(house: House) -> None:
    raw = await house.raw()
    raw.write(b"GET / HTTP/1.1\r\n")
    with contextlib.suppress(ConnectionError):
        for _ in range(40):
            raw.write(b"X-Filler: " + b"x" * 990 + b"\r\n")
            await raw.writer.drain()
    assert len(await raw.rest()) < 1000
    assert house.endpoints == []
    await house.still_serves()


@pytest.mark.parametrize("name", NAMES)
async def test_half_a_handshake_and_silence(name: str, caplog: pytest.LogCaptureFixture) -> None:
    house = await House(name).open(handshake_ms_max=200)
    for said in (b"", upgrade()[:60]):
        raw = await house.raw()
        raw.write(said)
        assert await raw.rest() == b""
    async with house.client() as client:
        await asyncio.sleep(0.3)
        await client.send(b"upgraded connections stay")
        await until(lambda: house.endpoints[0].heard)
    await house.server.close()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("name", NAMES)
async def test_handshakes_are_bounded_in_number(name: str) -> None:
    house = await House(name).open(handshakes_max=2)
    waiting = [await house.raw() for _ in range(2)]
    await asyncio.sleep(0.05)
    assert await (await house.raw()).rest() == b""
    for raw in waiting:
        raw.write(upgrade())
        assert (await raw.head()).startswith(b"HTTP/1.1 101 ")
    await house.still_serves()
    for raw in waiting:
        raw.reset()
    await house.server.close()


BAD_FRAMES = {
    "unmasked": (frame(2, b"naked", masked=False), 1002),
    "reserved bit 1": (frame(2, b"compressed?", reserved=0x40), 1002),
    "reserved bit 3": (frame(1, b"?", reserved=0x10), 1002),
    "reserved bit on a ping": (frame(9, b"?", reserved=0x20), 1002),
    "unknown data opcode": (frame(3, b"?"), 1002),
    "unknown control opcode": (frame(11, b"?"), 1002),
    "one byte too large": (frame(2, b"x" * (FRAME_MAX + 1)), 1009),
    "announces a terabyte": (b"\x82\xff" + (1 << 40).to_bytes(8, "big") + b"mask" + b"x" * 50, 1009),
    "announces more than there are bytes": (b"\x82\xff" + b"\xff" * 8 + b"mask", None),
    "fragments too large together": (frame(2, b"x" * 4000, fin=False) + frame(0, b"x" * 97), 1009),
    "large control frame": (frame(9, b"x" * 126), 1002),
    "fragmented control frame": (frame(9, b"x", fin=False), 1002),
    "continuation of nothing": (frame(0, b"?"), 1002),
    "message within a message": (frame(1, b"a", fin=False) + frame(2, b"b"), 1002),
    "text that is not UTF-8": (frame(1, b"\xff\xfe"), 1007),
    "fragmented text that is not UTF-8": (frame(1, b"\xc3", fin=False) + frame(0, b"("), 1007),
    "close frame of one byte": (frame(8, b"\x03"), 1002),
    "close code that may not be sent": (frame(8, (1006).to_bytes(2, "big")), 1002),
    "close code of zero": (frame(8, b"\x00\x00"), 1002),
    "close code out of range": (frame(8, (5000).to_bytes(2, "big")), 1002),
    "close reason that is not UTF-8": (frame(8, b"\x03\xe8\xff"), None),
}


@pytest.mark.parametrize("fault", BAD_FRAMES)
async def test_bad_frames_close_their_connection_alone(house: House, fault: str) -> None:
    data, code = BAD_FRAMES[fault]
    async with house.client() as bystander:
        raw = await house.raw_upgraded()
        raw.write(data)
        got = await raw.close_code()
        assert got == code if code is not None else got in (1002, 1007, 1009)
        raw.writer.write_eof()
        await until(lambda: house.endpoints[1].closes)
        assert [closed for closed, _ in house.endpoints[1].closes] == [got]
        assert house.endpoints[1].heard == []
        assert not house.endpoints[1].connection.is_open
        await bystander.send(b"undisturbed")
        await until(lambda: house.endpoints[0].heard == [("binary", b"undisturbed")])


async def test_random_bytes_never_reach_the_endpoint_or_the_server(house: House) -> None:
    import random

    rng = random.Random(7)
    for _ in range(30):
        raw = await house.raw_upgraded()
        raw.write(rng.randbytes(rng.randrange(2, 2000)))
        raw.writer.write_eof()
        await raw.rest()
    await until(lambda: len(house.endpoints) == 30 and all(len(endpoint.closes) == 1 for endpoint in house.endpoints))
    await house.still_serves()


async def test_a_slow_reader_is_seen_and_can_be_dropped(house: House) -> None:
    raw = await house.raw_upgraded()
    raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
    connection = house.endpoints[0].connection
    grown = []
    for _ in range(400):
        connection.send_binary(b"s" * 60_000)
        grown.append(connection.buffered())
    assert grown[-1] > 1_000_000
    connection.close(4010, "slow")
    await until(lambda: house.endpoints[0].closes, limits.CLOSE_MS_MAX / 1000 + WAIT_S)
    assert house.endpoints[0].closes == [(4010, "slow")]
    raw.reset()
    await house.still_serves()


FLOODS = {
    "pings": (b"", frame(9, b"x")),
    "pongs": (b"", frame(10, b"x")),
    "empty fragments": (frame(1, b"", fin=False), frame(0, b"", fin=False)),
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_frames_that_carry_nothing_are_bounded(house: House, flood: str) -> None:
    first, again = FLOODS[flood]
    usual, raw = await house.raw_upgraded(), await house.raw_upgraded()
    usual.write(first + again * (limits.CONTROL_FRAMES_BURST // 2) + frame(0, b"") * bool(first) + frame(2, b"and on"))
    raw.write(first + again * 600)
    opcode, payload = await raw.frame()
    while opcode == 10:  # what was in budget is answered
        opcode, payload = await raw.frame()
    assert (opcode, int.from_bytes(payload[:2], "big")) == (8, 1008)
    assert not house.endpoints[1].connection.is_open
    assert len(house.endpoints[1].heard) <= limits.CONTROL_FRAMES_BURST + limits.CONTROL_FRAMES_PER_S * WAIT_S
    await until(lambda: ("binary", b"and on") in house.endpoints[0].heard)
    house.endpoints[1].connection.abort()  # it reads no more, and would wait for the end of its close handshake
    raw.reset()
    usual.reset()


async def test_a_peer_that_pings_and_never_reads_is_dropped(house: House) -> None:
    raw = await house.raw_upgraded()
    raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
    connection = house.endpoints[0].connection
    while connection.buffered() <= limits.WRITE_BUFFER_BYTES_MAX:
        connection.send_binary(b"s" * 60_000)
    for _ in range(5):
        raw.write(frame(9, b"x" * 125))
    await until(lambda: house.endpoints[0].closes)
    assert house.endpoints[0].closes == [(1006, "")]
