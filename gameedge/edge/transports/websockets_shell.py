"""Players' sockets by websockets' sans-I/O protocol: works wherever Python does.

The protocol parses and keeps the rules; this moves bytes under a plain asyncio.Protocol, without a task for a connection. No
extensions are negotiated, so a frame to the client is a header and the payload, and is written here.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable
from typing import Final, cast

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from gameedge.core import limits
from gameedge.edge.transports import base, common, doorway
from gameedge.edge.transports.common import Peer

_BINARY: Final = Opcode.BINARY
_REQUEST_END: Final = b"\r\n\r\n"
_BAD_REQUEST: Final = (
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\nbad request\n"
)

# websockets logs what peers do wrong; anybody could fill the log.
_quiet = logging.Logger("gameedge.edge.transports.websockets", logging.CRITICAL + 1)


class _Connection(Peer, asyncio.Protocol):
    _remote: str
    _upgraded = False

    def __init__(self, accept: base.Accept, settings: base.TransportSettings, peers: set[Peer], waiting: set[asyncio.Transport]) -> None:
        super().__init__(settings, peers)
        self._accept = accept
        self._settings = settings
        self._waiting = waiting
        self._request = bytearray()
        self._protocol = ServerProtocol(subprotocols=[Subprotocol(settings.subprotocol)], max_size=settings.frame_bytes_max, logger=_quiet)

    # -- asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast(asyncio.Transport, transport)
        self._remote = common.remote_name(transport)
        if len(self._waiting) >= self._settings.handshakes_max:
            self._socket.abort()
            return
        self._waiting.add(self._socket)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._settings.handshake_ms_max / 1000, self._socket.abort)

    def data_received(self, data: bytes) -> None:
        if not self._upgraded:
            data = self._handshake(data)
            if not data:
                return
        protocol = self._protocol
        protocol.receive_data(data)
        for frame in cast(list[Frame], protocol.events_received()):
            kind = frame.opcode
            if kind is _BINARY and frame.fin and self._parts is None:
                if self._endpoint is not None and self._first_close is None:
                    try:
                        self._endpoint.on_binary(memoryview(frame.data))
                    except Exception:
                        self.endpoint_failed()
            elif kind is Opcode.PONG:
                self.pong_frame(bytes(frame.data))
            elif kind is Opcode.CLOSE:
                self.peer_closed(bytes(frame.data))
            elif kind is Opcode.PING:
                self.take_control()  # the protocol has answered it
            else:
                self.data_frame(int(kind), frame.fin, bytes(frame.data))
        if protocol.writes:
            self._flush()

    def eof_received(self) -> None:
        self._protocol.receive_eof()  # its answer has no reader; the transport closes itself

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting.discard(self._socket)
        self.gone()

    # -- the protocol's side

    def _handshake(self, data: bytes) -> bytes:
        """Collect the upgrade request and answer it; returns what came after it."""
        self._request += data
        end = self._request.find(_REQUEST_END)
        if self._socket.is_closing() or (end < 0 and len(self._request) <= common.REQUEST_BYTES_MAX):
            return b""
        head, rest = bytes(self._request[: end + 4]), bytes(self._request[end + 4 :])
        self._request.clear()
        if 0 <= end <= common.REQUEST_BYTES_MAX:
            self._protocol.receive_data(head)
        requests = cast(list[Request], self._protocol.events_received())
        if not requests:
            self._socket.write(_BAD_REQUEST)
            self._socket.close()
            return b""
        response = self._protocol.accept(requests[0])
        self._protocol.send_response(response)
        self._upgraded = response.status_code == 101
        self._flush()
        if not self._upgraded:
            self._socket.close()
            return b""
        self._waiting.discard(self._socket)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.begin(self._accept)
        return rest

    def _flush(self) -> None:
        """Write what the protocol has to say: the upgrade, pongs, close frames, and the end."""
        protocol = self._protocol
        for data in protocol.data_to_send():
            if data != SEND_EOF:
                self._socket.write(data)
            elif self._upgraded:
                self._end()
        if self._socket.get_write_buffer_size() > limits.WRITE_BUFFER_BYTES_MAX:  # it pings and reads no answer
            self.abort()
        self.settle()

    def _end(self) -> None:
        """The protocol is done: after both close frames at once, else (a fault of the peer) once the peer has seen ours."""
        if self._first_close is None:
            sent = self._protocol.close_sent
            self._first_close = (sent.code, sent.reason) if sent is not None else (common.NO_CLOSE_FRAME, "")
        if self._protocol.close_rcvd is not None or not self._socket.can_write_eof():
            self._socket.close()
        else:
            self._socket.write_eof()
        self.end_soon()

    # -- Connection

    @property
    def remote(self) -> str:
        return self._remote

    def send_text(self, data: bytes) -> None:
        self._send(0x80 | common.TEXT, data)

    def send_binary(self, data: bytes | bytearray | memoryview) -> None:
        self._send(0x80 | common.BINARY, data)

    def send_ping(self, payload: bytes) -> None:
        if len(payload) > common.CONTROL_BYTES_MAX:
            raise ValueError(f"a ping carries at most {common.CONTROL_BYTES_MAX} bytes")
        self._send(0x80 | common.PING, payload)

    def _send(self, head: int, data: bytes | bytearray | memoryview) -> None:
        if self._first_close is not None or self._lost:
            return
        size = len(data)
        if size < 126:
            header = bytes((head, size))
        elif size < 65_536:
            header = bytes((head, 126, size >> 8, size & 255))
        else:
            header = bytes((head, 127)) + size.to_bytes(8, "big")
        self._socket.write(header + data)
        if self._changed is not None:
            self.settle()

    def buffered(self) -> int:
        return 0 if self._lost else self._socket.get_write_buffer_size()

    def write_close(self, code: int, reason: str) -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
            self._flush()

    def abort(self) -> None:
        if not self._lost:
            self._first_close = self._first_close or (common.NO_CLOSE_FRAME, "")
            self.settle()
            self._socket.abort()

    # -- for the express lane

    @property
    def between_frames(self) -> bool:
        return not self._protocol.reader.buffer

    def feed(self, data: bytes) -> None:
        if not self._lost and not self._socket.is_closing():
            try:
                self.data_received(data)
            except Exception:  # what asyncio does with a protocol that raises
                self._socket.abort()


class WebsocketsTransport(base.Transport):
    name = "websockets"

    async def serve(self, accept: base.Accept, settings: base.TransportSettings) -> common.ShellServer:
        peers: set[Peer] = set()
        waiting: set[asyncio.Transport] = set()
        loop, context = asyncio.get_running_loop(), common.tls_context(settings)

        def connect(accepted: socket.socket) -> Awaitable[object]:
            return loop.connect_accepted_socket(
                lambda: _Connection(accept, settings, peers, waiting),
                accepted,
                ssl=context,
                ssl_handshake_timeout=settings.handshake_ms_max / 1000 if context else None,
            )

        sockets = await doorway.listening(settings.host, settings.port, settings.backlog)
        return common.ShellServer(doorway.Doorway(sockets, connect, settings.handshakes_max), peers, waiting)
