"""Both shells keep one contract: real sockets, the reference client, and peers that keep no rule at all."""

import asyncio
import base64
import contextlib
import datetime
import importlib.util
import logging
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gameedge.core import limits
from gameedge.core.errors import ConfigError
from gameedge.core.protocol import SUBPROTOCOL
from gameedge.edge.transports.base import Connection, Server, TransportSettings
from gameedge.edge.transports.select import open_transport

HAS_PICOWS = importlib.util.find_spec("picows") is not None
NAMES = ["picows", "websockets"] if HAS_PICOWS else ["websockets"]
FRAME_MAX = 4096
WAIT_S = 5.0


POLICIES: dict[str, Callable[[], asyncio.AbstractEventLoopPolicy]] = {"asyncio": asyncio.DefaultEventLoopPolicy}
if importlib.util.find_spec("uvloop") is not None:
    import uvloop

    POLICIES["uvloop"] = uvloop.EventLoopPolicy


@pytest.fixture(params=POLICIES, scope="module")
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    """Every test runs on both event loops: they differ in when they write, copy and notice a reset."""
    return POLICIES[request.param]()


class Recorder:
    """An endpoint that keeps what it hears; `react` runs on every message."""

    def __init__(self, connection: Connection, react: Callable[["Recorder", bytes], None] | None) -> None:
        self.connection = connection
        self.react = react
        self.heard: list[tuple[str, bytes]] = []
        self.closes: list[tuple[int, str]] = []

    def on_text(self, data: bytes) -> None:
        self.heard.append(("text", data))
        if self.react is not None:
            self.react(self, data)

    def on_binary(self, data: memoryview) -> None:
        self.heard.append(("binary", bytes(data)))
        if self.react is not None:
            self.react(self, bytes(data))

    def on_pong(self, payload: bytes) -> None:
        self.heard.append(("pong", payload))

    def on_close(self, code: int, reason: str) -> None:
        self.closes.append((code, reason))


class House:
    """A serving transport and the endpoints it asked for."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.endpoints: list[Recorder] = []
        self.react: Callable[[Recorder, bytes], None] | None = None
        self.refuse = False
        self.fail_accept = False
        self.server: Server

    def accept(self, connection: Connection) -> Recorder | None:
        if self.fail_accept:
            raise RuntimeError("accept broke")
        if self.refuse:
            return None
        self.endpoints.append(Recorder(connection, self.react))
        return self.endpoints[-1]

    async def open(self, **settings: Any) -> "House":
        chosen = {"host": "127.0.0.1", "port": 0, "frame_bytes_max": FRAME_MAX} | settings
        self.server = await open_transport(self.name).serve(self.accept, TransportSettings(**chosen))
        return self

    def client(self, **options: Any) -> Any:
        chosen: dict[str, Any] = {"subprotocols": [SUBPROTOCOL], "compression": None, "proxy": None} | options
        return connect(f"ws://127.0.0.1:{self.server.port}/", **chosen)

    async def raw(self) -> "Raw":
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        return Raw(reader, writer)

    async def raw_upgraded(self) -> "Raw":
        raw = await self.raw()
        raw.write(upgrade())
        head = await raw.head()
        assert head.startswith(b"HTTP/1.1 101 ")
        return raw

    async def still_serves(self) -> None:
        """The server outlived what was just done to it."""
        async with self.client() as client:
            await client.send(b"alive?")
            await until(lambda: ("binary", b"alive?") in self.endpoints[-1].heard)


class Raw:
    """A socket that says whatever the test wants."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def head(self) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), WAIT_S)

    async def frame(self) -> tuple[int, bytes]:
        """The next unmasked frame: opcode and payload."""
        first, second = await asyncio.wait_for(self.reader.readexactly(2), WAIT_S)
        assert second < 126, "tests here expect short frames"
        return first & 15, await asyncio.wait_for(self.reader.readexactly(second), WAIT_S)

    async def close_code(self) -> int:
        opcode, payload = await self.frame()
        assert opcode == 8
        return int.from_bytes(payload[:2], "big")

    async def rest(self) -> bytes:
        """Everything until the server ends the connection."""
        with contextlib.suppress(ConnectionError):
            return await asyncio.wait_for(self.reader.read(), WAIT_S)
        return b""

    def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def upgrade(**change: str | None) -> bytes:
    headers: dict[str, str | None] = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "keep-alive, Upgrade",  # as Firefox writes it
        "Sec-WebSocket-Key": base64.b64encode(b"0123456789abcdef").decode(),
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": f"other, {SUBPROTOCOL}",
    } | {name.replace("_", "-"): value for name, value in change.items()}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return ("GET / HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode()


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0, masked: bool = True) -> bytes:
    first = bytes([(0x80 if fin else 0) | reserved | opcode])
    bit = 0x80 if masked else 0
    size = len(payload)
    if size < 126:
        length = bytes([bit | size])
    elif size < 65536:
        length = bytes([bit | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([bit | 127]) + size.to_bytes(8, "big")
    if not masked:
        return first + length + payload
    mask = b"\x11\x22\x33\x44"
    return first + length + mask + bytes(byte ^ mask[i & 3] for i, byte in enumerate(payload))


async def until(condition: Callable[[], object], seconds: float = WAIT_S) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture(params=NAMES)
async def house(request: pytest.FixtureRequest) -> AsyncIterator[House]:
    house = await House(request.param).open()
    yield house
    await house.server.close()


async def closed_with(client: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as caught:
        await asyncio.wait_for(client.recv(), WAIT_S)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


# ------------------------------------------------------------------------------------------------------------- good manners


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


# ------------------------------------------------------------------------------------------------------------- bad peers


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


# ---------------------------------------------------------------------------------------------------------------- TLS, choice


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that nobody signed."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


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
async def test_a_bad_certificate_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no-such"):
        await House(name).open(certificate=str(tmp_path / "no-such.pem"))


def test_choice() -> None:
    assert open_transport("auto").name == NAMES[0]
    for name in NAMES:
        assert open_transport(name).name == name
    with pytest.raises(ConfigError, match="picows, websockets or auto"):
        open_transport("carrier-pigeon")
