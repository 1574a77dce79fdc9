"""What tests of transports share: a house that serves, a socket that says whatever a test wants, and both event loops."""

import asyncio
import base64
import contextlib
import importlib.util
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

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


async def closed_with(client: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as caught:
        await asyncio.wait_for(client.recv(), WAIT_S)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason
