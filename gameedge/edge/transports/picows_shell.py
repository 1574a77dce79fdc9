"""Players' sockets by picows: the fast shell, and the only module that imports picows.

The parser and the socket writes are picows' own (Cython); this adds the subprotocol, fragments, close codes and bounds that it
leaves to its user. One message costs one Python call and no object but the view of its bytes.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable
from functools import partial
from typing import Final, cast

import aiofastnet
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, WSUpgradeResponse
from picows import WSUpgradeResponseWithListener as Answer
from picows.picows import WSAutoPingStrategy, WSProtocol  # type: ignore[attr-defined]  # its stub leaves this out

from gameedge.core import limits
from gameedge.edge.transports import base, common, doorway
from gameedge.edge.transports.common import Peer

COPIED_BYTES_MAX: Final = 8192  # picows copies what it sends up to this size

_BINARY: Final = WSMsgType.BINARY
_CLOSE: Final = WSMsgType.CLOSE

# picows logs what peers do wrong at ERROR: anybody could fill the log. Our own faults are caught before they reach it.
_quiet = logging.Logger("gameedge.edge.transports.picows", logging.CRITICAL + 1)


class _Connection(Peer, WSListener):
    def __init__(self, accept: base.Accept, settings: base.TransportSettings, peers: set[Peer], waiting: set[asyncio.Transport]) -> None:
        super().__init__(settings, peers)
        self._accept = accept
        self._waiting = waiting
        self._transport: WSTransport
        self._behind = 0  # bytes in picows' buffer after the frame that is delivered

    # -- picows calls these

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._socket = transport.underlying_transport
        self._remote = common.remote_name(self._socket)
        self._waiting.discard(self._socket)
        self.begin(self._accept)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        self._behind = frame.tail_size
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.close(1002, "reserved bits")
        elif kind is _BINARY and frame.fin and self._parts is None:
            if self._endpoint is not None and self._first_close is None:
                try:
                    self._endpoint.on_binary(frame.get_payload_as_memoryview())
                except Exception:
                    self.endpoint_failed()
        elif kind is WSMsgType.PING:
            if not self.take_control():
                return
            if self.buffered() > limits.WRITE_BUFFER_BYTES_MAX:  # it pings and reads no answer
                self.abort()
            else:
                transport.send_pong(frame.get_payload_as_bytes())
                self.settle()
        elif kind is WSMsgType.PONG:
            self.pong_frame(frame.get_payload_as_bytes())
        elif kind is _CLOSE:
            self.peer_closed(frame.get_payload_as_bytes())
            transport.disconnect()
            self.end_soon()
        else:
            self.data_frame(int(kind.value), frame.fin, frame.get_payload_as_bytes())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        sent = transport.close_handshake.sent if transport.close_handshake else None  # by picows' parser, on an error
        if sent is None:
            self.gone()
        else:
            self.gone(int(sent.code.value), sent.reason)

    def pause_writing(self) -> None:
        """The edge looks at `buffered` instead."""

    def resume_writing(self) -> None:
        """See `pause_writing`."""

    # -- Connection

    @property
    def remote(self) -> str:
        return self._remote

    @property
    def is_open(self) -> bool:
        return self._first_close is None and not self._lost and not self._transport.is_close_frame_sent

    def send_text(self, data: bytes) -> None:
        self._send(WSMsgType.TEXT, data)

    def send_binary(self, data: bytes | bytearray | memoryview) -> None:
        self._send(_BINARY, data)

    def _send(self, kind: WSMsgType, data: bytes | bytearray | memoryview) -> None:
        if self._first_close is None and not self._lost:
            self._transport.send(kind, data if len(data) <= COPIED_BYTES_MAX else bytes(data))
            if self._changed is not None:
                self.settle()

    def send_ping(self, payload: bytes) -> None:
        if len(payload) > common.CONTROL_BYTES_MAX:
            raise ValueError(f"a ping carries at most {common.CONTROL_BYTES_MAX} bytes")
        if self.is_open:
            self._transport.send_ping(payload)
            self.settle()

    def buffered(self) -> int:
        return 0 if self._lost else self._socket.get_write_buffer_size()

    def write_close(self, code: int, reason: str) -> None:
        if code == common.NO_CODE:  # picows would write a code of 0
            self._transport.send(_CLOSE, b"")
        else:
            self._transport.send_close(code, reason)  # type: ignore[arg-type]  # any int, whatever its stub says

    def abort(self) -> None:
        if not self._lost:
            self._first_close = self._first_close or (common.NO_CLOSE_FRAME, "")
            self.settle()
            self._socket.abort()

    # -- for the express lane

    @property
    def between_frames(self) -> bool:
        return self._behind == 0

    def feed(self, data: bytes) -> None:
        protocol = cast(asyncio.BufferedProtocol, self._socket.get_protocol())
        at = 0
        while at < len(data) and not self._lost and not self._socket.is_closing():
            room = cast(memoryview, protocol.get_buffer(-1))
            size = min(len(room), len(data) - at)
            room[:size] = data[at : at + size]
            at += size
            try:
                protocol.buffer_updated(size)
            except Exception:  # what asyncio does with a protocol that raises
                self._socket.abort()


class _Protocol(WSProtocol):  # type: ignore[misc]  # has no stub
    """Adds a bound on handshakes to picows' protocol, and a timeout that leaves no unread exception behind."""

    waiting: set[asyncio.Transport]  # upgrades not finished
    waiting_max: int

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        if len(self.waiting) >= self.waiting_max:
            # Not at once: aiofastnet would still add its reader, for a file descriptor that the next player gets.
            asyncio.get_running_loop().call_soon(transport.abort)
        else:
            self.waiting.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.waiting.discard(self.transport.underlying_transport)
        super().connection_lost(exc)

    def _handshake_timeout_callback(self) -> None:
        self.transport.underlying_transport.abort()


def _upgrade(settings: base.TransportSettings, connect: "partial[_Connection]", request: WSUpgradeRequest) -> Answer:
    """Judge an upgrade request; what is left is checked by picows."""
    headers = request.headers

    def tokens(name: str) -> list[str]:
        return [part.strip() for value in headers.getall(name, ()) for part in value.split(",")]

    if "websocket" not in (token.lower() for token in tokens("Upgrade")):
        body = b"This is a WebSocket server.\n"
        return Answer(WSUpgradeResponse.create_error_response(426, body, {"Upgrade": "websocket"}), None)
    if "upgrade" in (token.lower() for token in tokens("Connection")):
        headers["Connection"] = "upgrade"  # picows takes no list; Firefox sends `keep-alive, Upgrade`
    if headers.get("Sec-WebSocket-Version") != "13":
        return Answer(WSUpgradeResponse.create_error_response(400, b"Sec-WebSocket-Version: 13 is required\n"), None)
    if settings.subprotocol not in tokens("Sec-WebSocket-Protocol"):
        body = f"subprotocol {settings.subprotocol} is required\n".encode()
        return Answer(WSUpgradeResponse.create_error_response(400, body), None)
    answer = WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": settings.subprotocol})
    return Answer(answer, connect())


class PicowsTransport(base.Transport):
    name = "picows"

    async def serve(self, accept: base.Accept, settings: base.TransportSettings) -> common.ShellServer:
        peers: set[Peer] = set()
        waiting: set[asyncio.Transport] = set()
        made = partial(_Connection, accept, settings, peers, waiting)

        class Protocol(_Protocol):
            pass

        Protocol.waiting = waiting
        Protocol.waiting_max = settings.handshakes_max

        def protocol() -> Protocol:
            # picows.ws_create_server does the same, but leaves no way to bound handshakes.
            return Protocol(
                host_port=None,
                ws_path=None,
                is_client_side=False,
                ws_listener_factory=partial(_upgrade, settings, made),
                logger=logging.LoggerAdapter(_quiet),
                disconnect_on_exception=True,
                websocket_handshake_timeout=settings.handshake_ms_max / 1000,
                enable_auto_ping=False,
                auto_ping_idle_timeout=10,
                auto_ping_reply_timeout=10,
                auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
                enable_auto_pong=False,
                max_frame_size=settings.frame_bytes_max,
                extra_headers=None,
                read_buffer_init_size=settings.frame_bytes_max + 512,
            )

        protocol()  # an incompatible version of picows fails here rather than at the first player
        loop, context = asyncio.get_running_loop(), common.tls_context(settings)

        def connect(accepted: socket.socket) -> Awaitable[object]:
            wait_s = settings.handshake_ms_max / 1000 if context else None
            return cast(
                Awaitable[object],
                aiofastnet.connect_accepted_socket(loop, protocol, accepted, ssl=context, ssl_handshake_timeout=wait_s),
            )

        sockets = await doorway.listening(settings.host, settings.port, settings.backlog)
        return common.ShellServer(doorway.Doorway(sockets, connect, settings.handshakes_max), peers, waiting)
