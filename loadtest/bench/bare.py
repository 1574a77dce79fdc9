"""Bare servers in Python: the same traffic as the real edge, nothing behind it. What remains is the transport's own cost.

    python -m loadtest.bench.bare {picows,websockets,picows-shell,websockets-shell} STATE_BYTES

`picows` and `websockets` use the library as its documentation does; the `-shell` kinds go through this project's shells. Each
reads 40-byte commands and sends everybody who plays a state frame 20 times a second, a third of them in each tick of 60 Hz.
The controls are those of native/echo.c: prints {"port": N}; SIGUSR1 begins a window, SIGUSR2 ends it and prints its figures.
"""

import asyncio
import json
import logging
import resource
import signal
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

from gameedge.core import limits
from gameedge.core.protocol import SUBPROTOCOL
from gameedge.core.protocol.frames import COMMAND, SNAPSHOT
from gameedge.edge.transports.base import Connection, TransportSettings
from gameedge.edge.transports.select import open_transport

TICK_S = 1 / 60
Send = Callable[[bytes], None]


class Player:
    """One connection; `send` is whatever its library sends with."""

    __slots__ = ("send", "sequence")

    def __init__(self, send: Send) -> None:
        self.send = send
        self.sequence = 0

    def command(self, frame: bytes | memoryview) -> None:
        if len(frame) == 40 and frame[0] == COMMAND:
            self.sequence = int.from_bytes(frame[4:8], "little")


class Field:
    """Everybody who is connected, in three groups, and the figures of a window."""

    def __init__(self, state_bytes: int) -> None:
        self.groups: tuple[dict[int, Player], ...] = ({}, {}, {})
        self.tail = bytes(state_bytes - 16)
        self.late_ms: list[float] = []
        self._joined = 0

    def join(self, send: Send) -> tuple[int, Player]:
        self._joined += 1
        player = Player(send)
        self.groups[self._joined % 3][self._joined] = player
        return self._joined, player

    def part(self, key: int) -> None:
        self.groups[key % 3].pop(key, None)

    def tick(self, tick: int) -> None:
        head, tail = struct.Struct("<BBHIII"), self.tail
        for player in self.groups[tick % 3].values():
            if player.sequence:
                player.send(head.pack(SNAPSHOT, 0, len(tail), tick, player.sequence, 0) + tail)

    async def run(self) -> None:
        due, tick = time.monotonic() + TICK_S, 0
        while True:
            now = time.monotonic()
            if now < due:
                await asyncio.sleep(due - now)
                now = time.monotonic()
            late = max(0.0, now - due)
            self.late_ms.append(late * 1000)
            self.tick(tick)
            tick += 1
            due += TICK_S
            if late > TICK_S:
                await asyncio.sleep(0)

    def report(self) -> None:
        late = sorted(self.late_ms) or [0.0]
        figures = {"ticks": len(self.late_ms), "late_ms_max": late[-1]}
        for name, share in (("late_ms_p50", 0.5), ("late_ms_p99", 0.99)):
            figures[name] = late[min(len(late) - 1, int(share * len(late)))]
        print(json.dumps(figures), flush=True)


async def serve_picows(field: Field) -> int:
    import picows

    class Listener(picows.WSListener):
        def on_ws_connected(self, transport: picows.WSTransport) -> None:
            binary = picows.WSMsgType.BINARY
            self.key, self.player = field.join(lambda data: transport.send(binary, data))

        def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
            self.player.command(frame.get_payload_as_memoryview())

        def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
            field.part(self.key)

    def upgrade(request: picows.WSUpgradeRequest) -> picows.WSUpgradeResponseWithListener:
        response = picows.WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": SUBPROTOCOL})
        return picows.WSUpgradeResponseWithListener(response, Listener())

    server = await picows.ws_create_server(upgrade, "127.0.0.1", 0, backlog=1024)
    return int(server.sockets[0].getsockname()[1])


async def serve_websockets(field: Field) -> int:
    from websockets.asyncio.server import ServerConnection, serve
    from websockets.frames import Frame, Opcode
    from websockets.typing import Subprotocol

    async def handle(connection: ServerConnection) -> None:
        def send(data: bytes) -> None:  # what `await connection.send` does without its checks, which need a task a player
            connection.transport.write(Frame(Opcode.BINARY, data).serialize(mask=False))

        key, player = field.join(send)
        try:
            async for message in connection:
                player.command(message if isinstance(message, bytes) else b"")
        finally:
            field.part(key)

    server = await serve(handle, "127.0.0.1", 0, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None, backlog=1024)
    return int(next(iter(server.sockets)).getsockname()[1])


async def serve_shell(field: Field, name: str) -> int:
    class Endpoint:
        def __init__(self, connection: Connection) -> None:
            self.key, self.player = field.join(connection.send_binary)
            self.on_binary = self.player.command

        def on_text(self, data: bytes) -> None: ...

        def on_pong(self, payload: bytes) -> None: ...

        def on_close(self, code: int, reason: str) -> None:
            field.part(self.key)

    server = await open_transport(name).serve(Endpoint, TransportSettings("127.0.0.1", 0, limits.FRAME_BYTES_MAX))
    field.keep = server  # type: ignore[attr-defined]
    return server.port


async def main(kind: str, state_bytes: int) -> None:
    field = Field(state_bytes)
    makers: dict[str, Any] = {"picows": serve_picows, "websockets": serve_websockets}
    port = await (makers[kind](field) if kind in makers else serve_shell(field, kind.removesuffix("-shell")))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, field.late_ms.clear)
    loop.add_signal_handler(signal.SIGUSR2, field.report)
    print(json.dumps({"port": port}), flush=True)
    await field.run()


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    logging.disable(logging.CRITICAL)
    try:
        import uvloop

        run: Any = uvloop.run
    except ImportError:
        run = asyncio.run
    run(main(sys.argv[1], int(sys.argv[2])))
