"""Both shells keep one contract: real sockets and the reference client. Peers that keep no rule: `test_bad_peers.py`."""

import asyncio
import contextlib
import logging
import ssl
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from gameedge.core import limits
from gameedge.core.errors import ConfigError
from gameedge.core.protocol import SUBPROTOCOL
from gameedge.edge.transports.select import open_transport
from tests.contract.sockets import FRAME_MAX, NAMES, WAIT_S, House, Recorder, closed_with, event_loop_policy, frame, until, upgrade

__all__ = ["event_loop_policy"]


async def test_messages_both_ways_in_order(house: House) -> None:
    def echo(endpoint: Recorder, data: bytes) -> None:
        if endpoint.heard[-1][0] == "text":
            endpoint.connection.send_text(data)
        else:
            endpoint.connection.send_binary(data)

    house.react = echo
    async with house.client() as client:
        assert client.subprotocol == SUBPROTOCOL
        sent: list[str | bytes] = ["h\u00e9llo", b"", b"x" * 125, b"y" * 126, b"z" * FRAME_MAX, ""]
        for message in sent:
            await client.send(message)
        assert [await asyncio.wait_for(client.recv(), WAIT_S) for _ in sent] == sent
        assert house.endpoints[0].connection.is_open
        assert house.endpoints[0].connection.remote.startswith("127.0.0.1:")
        assert house.endpoints[0].connection.buffered() == 0


@pytest.mark.parametrize("size", [40, 300, 9_000, 70_000])
async def test_a_sent_buffer_may_be_reused_at_once(house: House, size: int) -> None:
    buffer = bytearray(size)

    def answer(endpoint: Recorder, data: bytes) -> None:
        for value in range(20):
            buffer[:] = bytes([value]) * size
            endpoint.connection.send_binary(memoryview(buffer))
        buffer[:] = b"\xff" * size

    house.react = answer
    async with house.client(max_size=None) as client:
        await client.send(b"go")
        for value in range(20):
            assert await asyncio.wait_for(client.recv(), WAIT_S) == bytes([value]) * size


async def test_pings_both_ways(house: House) -> None:
    async with house.client() as client:
        await asyncio.wait_for(await client.ping(b"payload"), WAIT_S)
        connection = house.endpoints[0].connection
        connection.send_ping(b"12345678")
        await until(lambda: ("pong", b"12345678") in house.endpoints[0].heard)
        with pytest.raises(ValueError, match="125"):
            connection.send_ping(b"x" * 126)


async def test_fragments_are_one_message_and_controls_may_come_between(house: House) -> None:
    raw = await house.raw_upgraded()
    raw.write(frame(1, "h\u00e9".encode()[:2], fin=False) + frame(9, b"p") + frame(0, "h\u00e9".encode()[2:], fin=False) + frame(0, b"!"))
    raw.write(frame(2, b"a" * 4000, fin=False) + frame(0, b"b" * 96))
    assert await raw.frame() == (10, b"p")
    await until(lambda: len(house.endpoints[0].heard) == 2)
    assert house.endpoints[0].heard == [("text", "h\u00e9!".encode()), ("binary", b"a" * 4000 + b"b" * 96)]
    raw.reset()


async def test_one_byte_at_a_time(house: House) -> None:
    raw = await house.raw()
    for byte in upgrade() + frame(2, b"slow but right") + frame(1, b"text"):
        raw.write(bytes([byte]))
        await asyncio.sleep(0)
    assert (await raw.head()).startswith(b"HTTP/1.1 101 ")
    await until(lambda: house.endpoints and len(house.endpoints[0].heard) == 2)
    assert house.endpoints[0].heard == [("binary", b"slow but right"), ("text", b"text")]
    raw.reset()


async def test_frames_right_behind_the_upgrade_are_heard_after_it(house: House) -> None:
    raw = await house.raw()
    raw.write(upgrade() + frame(9, b"early") + frame(2, b"first"))
    assert (await raw.head()).startswith(b"HTTP/1.1 101 ")
    assert await raw.frame() == (10, b"early")
    await until(lambda: house.endpoints[0].heard == [("binary", b"first")])
    raw.reset()


# --------------------------------------------------------------------------------------------------------------- the end


async def test_the_client_closes(house: House) -> None:
    client = await house.client()
    await client.close(4001, "enough")
    await until(lambda: house.endpoints[0].closes)
    assert house.endpoints[0].closes == [(4001, "enough")]
    connection = house.endpoints[0].connection
    assert not connection.is_open
    connection.send_text(b"nobody")
    connection.send_binary(b"is")
    connection.send_ping(b"here")
    connection.close(1000, "again")
    connection.abort()
    assert connection.buffered() == 0
    await asyncio.sleep(0.02)
    assert len(house.endpoints[0].closes) == 1


async def test_the_server_closes_and_hears_nothing_after_it(house: House) -> None:
    client = await house.client()
    connection = house.endpoints[0].connection
    connection.close(4008, "slow" * 100)
    assert not connection.is_open
    connection.send_binary(b"too late")
    connection.close(1000, "again")
    with contextlib.suppress(ConnectionClosed):
        await client.send(b"unheard")
    assert await closed_with(client) == (4008, ("slow" * 100)[:123])
    await until(lambda: house.endpoints[0].closes)
    assert house.endpoints[0].closes == [(4008, "slow" * 100)]
    assert house.endpoints[0].heard == []
    with pytest.raises(ValueError, match="1006"):
        connection.close(1006, "")


async def test_a_close_frame_without_a_code(house: House) -> None:
    raw = await house.raw_upgraded()
    raw.write(frame(8))
    assert await raw.frame() == (8, b"")
    assert await raw.rest() == b""
    await until(lambda: house.endpoints[0].closes)
    assert house.endpoints[0].closes == [(1005, "")]


async def test_a_peer_that_ignores_the_close_is_dropped(house: House) -> None:
    raw = await house.raw_upgraded()
    house.endpoints[0].connection.close(1000, "")
    assert await raw.close_code() == 1000
    await until(lambda: house.endpoints[0].closes, limits.CLOSE_MS_MAX / 1000 + WAIT_S)
    assert house.endpoints[0].closes == [(1000, "")]


async def test_abort_and_reset(house: House) -> None:
    client = await house.client()
    house.endpoints[0].connection.abort()
    assert not house.endpoints[0].connection.is_open
    house.endpoints[0].connection.send_binary(b"nothing")
    await until(lambda: house.endpoints[0].closes)
    with pytest.raises(ConnectionClosed):
        await asyncio.wait_for(client.recv(), WAIT_S)

    raw = await house.raw_upgraded()
    raw.reset()
    await until(lambda: house.endpoints[1].closes)

    raw = await house.raw_upgraded()
    raw.writer.write_eof()
    await until(lambda: house.endpoints[2].closes)
    assert [endpoint.closes for endpoint in house.endpoints] == [[(1006, "")]] * 3
    await house.still_serves()


async def test_sending_to_a_peer_that_was_reset(house: House) -> None:
    raw = await house.raw_upgraded()
    connection = house.endpoints[0].connection
    raw.reset()
    for _ in range(50):
        connection.send_binary(b"x" * 1000)
        await asyncio.sleep(0.001)
    await until(lambda: house.endpoints[0].closes == [(1006, "")])
    await house.still_serves()


@pytest.mark.parametrize("name", NAMES)
async def test_the_server_goes_away(name: str) -> None:
    house = await House(name).open()
    clients = [await house.client() for _ in range(3)]
    half = await house.raw()
    half.write(b"GET / HTTP/1.1\r\n")
    silent = await house.raw_upgraded()
    results = await asyncio.gather(*(closed_with(client) for client in clients), house.server.close())
    assert results[:3] == [(1001, "going away")] * 3
    assert [endpoint.closes for endpoint in house.endpoints] == [[(1001, "going away")]] * 4
    assert await half.rest() == b""
    assert await silent.close_code() == 1001
    with pytest.raises(OSError):
        await house.raw()


# ------------------------------------------------------------------------------------------------------------- our own faults


async def test_an_endpoint_that_fails_costs_its_own_connection(house: House, caplog: pytest.LogCaptureFixture) -> None:
    def fail(endpoint: Recorder, data: bytes) -> None:
        raise RuntimeError("endpoint broke")

    async with house.client() as bystander:
        house.react = fail
        for message in ("text", b"binary"):
            client = await house.client()
            await client.send(message)
            assert (await closed_with(client))[0] == 1011
        await until(lambda: all(endpoint.closes for endpoint in house.endpoints[1:]))
        assert [endpoint.closes[0][0] for endpoint in house.endpoints[1:]] == [1011, 1011]
        assert sum(record.levelno == logging.ERROR for record in caplog.records) == 2
        await bystander.send(b"still here")
        await until(lambda: house.endpoints[0].heard == [("binary", b"still here")])


async def test_accept_may_refuse_or_fail(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.refuse = True
    assert (await closed_with(await house.client()))[0] == 1013
    house.refuse, house.fail_accept = False, True
    assert (await closed_with(await house.client()))[0] == 1011
    house.fail_accept = False
    assert any("accept broke" in str(record.exc_info) for record in caplog.records)
    await house.still_serves()


async def test_an_endpoint_may_close_from_within(house: House) -> None:
    house.react = lambda endpoint, data: endpoint.connection.close(4000, "one is enough")
    raw = await house.raw_upgraded()
    raw.write(frame(2, b"one") + frame(2, b"two") + frame(1, b"three"))
    assert await raw.close_code() == 4000
    raw.write(frame(2, b"four") + frame(8, b"\x0f\xa0"))
    await until(lambda: house.endpoints[0].closes == [(4000, "one is enough")])
    assert house.endpoints[0].heard == [("binary", b"one")]


# ---------------------------------------------------------------------------------------------------------------- TLS, choice


@pytest.mark.parametrize("name", NAMES)
async def test_tls(name: str, certificate: tuple[Path, Path]) -> None:
    house = House(name)
    house.react = lambda endpoint, data: endpoint.connection.send_binary(data)
    await house.open(certificate=str(certificate[0]), key=str(certificate[1]))
    trust = ssl.create_default_context(cafile=str(certificate[0]))
    options: dict[str, Any] = {"subprotocols": [SUBPROTOCOL], "proxy": None, "ssl": trust, "server_hostname": "localhost"}
    async with connect(f"wss://127.0.0.1:{house.server.port}/", **options) as client:
        for size in (0, 40, 4096):
            await client.send(b"s" * size)
            assert await asyncio.wait_for(client.recv(), WAIT_S) == b"s" * size
        house.endpoints[0].connection.close(4000, "done")
        assert await closed_with(client) == (4000, "done")
    plain = await house.raw()
    plain.write(upgrade())
    await plain.rest()
    await house.server.close()


@pytest.mark.parametrize("name", NAMES)
async def test_tls_handshakes_are_bounded_in_time_and_number(name: str, certificate: tuple[Path, Path]) -> None:
    files = {"certificate": str(certificate[0]), "key": str(certificate[1])}
    house = await House(name).open(**files, handshake_ms_max=200)
    assert await (await house.raw()).rest() == b"", "who says nothing is not waited for"
    await house.server.close()
    house = await House(name).open(**files, handshakes_max=2, handshake_ms_max=60_000)
    silent = [await house.raw() for _ in range(2)]
    await asyncio.sleep(0.05)
    assert await (await house.raw()).rest() == b""
    for raw in silent:
        raw.reset()
    await house.server.close()


@pytest.mark.parametrize("name", NAMES)
async def test_a_bad_certificate_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no-such"):
        await House(name).open(certificate=str(tmp_path / "no-such.pem"))


def test_choice() -> None:
    assert open_transport("auto").name == NAMES[0]
    for name in NAMES:
        assert open_transport(name).name == name
    with pytest.raises(ConfigError, match="picows, websockets or auto"):
        open_transport("carrier-pigeon")
