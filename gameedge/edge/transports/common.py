"""What both shells share: guarding the endpoint's callbacks, fragments, the bookkeeping of a close, TLS.

A shell derives its connection from `Peer` and adds how bytes move. The rules of RFC 6455 that are not the shells' parsers'
own are here once, so that the two cannot drift apart.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Final

from gameedge.core import limits
from gameedge.core.errors import ConfigError
from gameedge.core.protocol.rates import TokenBucket
from gameedge.edge.transports.base import Accept, Connection, Endpoint, Server, TransportSettings
from gameedge.edge.transports.doorway import Doorway

CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

NO_CODE: Final = 1005  # a close frame without a code; never on the wire
NO_CLOSE_FRAME: Final = 1006  # never on the wire
CONTROL_BYTES_MAX: Final = 125
REQUEST_BYTES_MAX: Final = 16_384  # of the upgrade request; 400

_log = logging.getLogger("gameedge.edge.transports")


def wire_code(code: int) -> bool:
    """Whether a peer may send this close code (RFC 6455, 7.4)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def wire_reason(reason: str) -> str:
    """At most 123 bytes of UTF-8, as a close frame has room for."""
    return reason.encode("utf-8", "replace")[: CONTROL_BYTES_MAX - 2].decode("utf-8", "ignore")


def read_close(payload: bytes) -> tuple[int, str] | None:
    """Code and reason of a peer's close frame, or None where it is malformed."""
    if not payload:
        return NO_CODE, ""
    code = int.from_bytes(payload[:2], "big")
    if len(payload) < 2 or not wire_code(code):
        return None
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        return None


def tls_context(settings: TransportSettings) -> ssl.SSLContext | None:
    """TLS where a certificate is given. Raises ConfigError with what is wrong with its files."""
    if not settings.certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.certificate, settings.key or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"players.certificate = {settings.certificate!r}, players.key = {settings.key!r}: not a usable PEM pair ({error})"
        ) from error
    return context


def remote_name(transport: asyncio.BaseTransport) -> str:
    """`address:port` of the peer, or what is known of it."""
    name = transport.get_extra_info("peername")
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) and len(name) >= 2 else str(name or "unknown")


class Peer(Connection):
    """One upgraded connection: `Connection` without the moving of bytes."""

    _endpoint: Endpoint | None = None
    _first_close: tuple[int, str] | None = None  # of the first close frame, whichever side sent it
    _lost = False
    _parts: bytearray | None = None  # of a fragmented message
    _parts_text = False
    _timer: asyncio.TimerHandle | None = None
    _changed: Callable[[], None] | None = None
    _control: TokenBucket | None = None  # from the first control frame on
    _deaf = False  # nothing is read any more
    _socket: asyncio.Transport

    def __init__(self, settings: TransportSettings, peers: "set[Peer]") -> None:
        self._bytes_max = settings.frame_bytes_max
        self._peers = peers
        self._plain = not settings.certificate

    # -- what a shell adds

    def write_close(self, code: int, reason: str) -> None:
        """Send a close frame unless one was sent."""
        raise NotImplementedError

    def abort(self) -> None:
        raise NotImplementedError

    # -- the life of a connection

    @property
    def is_open(self) -> bool:
        return self._first_close is None and not self._lost

    def begin(self, accept: Accept) -> None:
        """Call after the upgrade."""
        self._peers.add(self)
        try:
            self._endpoint = accept(self)
        except Exception:
            self.endpoint_failed()
            return
        if self._endpoint is None:
            self.close(1013, "try again later")

    def close(self, code: int, reason: str) -> None:
        if not wire_code(code):
            raise ValueError(f"{code} is no code for a close frame")
        if self._lost:
            return
        if self._first_close is None:
            self._first_close = code, reason
            self.write_close(code, wire_reason(reason))
        self.settle()
        self.end_soon()

    def end_soon(self) -> None:
        """A peer that does not take part in the close handshake is not waited for any longer."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(limits.CLOSE_MS_MAX / 1000, self.abort)

    def peer_closed(self, payload: bytes) -> None:
        """Call with the payload of a close frame; answers it. The shell then ends the TCP connection."""
        said = read_close(payload)
        if said is None:
            self.close(1002, "malformed close frame")
        elif self._first_close is None:
            self._first_close = said
            self.write_close(*said)
        self.settle()

    def gone(self, code: int = NO_CLOSE_FRAME, reason: str = "") -> None:
        """Call when the TCP connection is lost; `code` counts where this class saw no close frame. Harmless when repeated."""
        if self._lost:
            return
        self._lost = True
        self._parts = None
        self._peers.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            try:
                endpoint.on_close(*(self._first_close or (code, reason)))
            except Exception:
                _log.exception("on_close failed")

    # -- for the express lane (edge/express.py), which reads and writes the socket past its transport

    def descriptor(self) -> int:
        if not self._plain or not self.is_open or self.buffered():
            return -1
        found = self._socket.get_extra_info("socket")
        return -1 if found is None else int(found.fileno())

    def watch_descriptor(self, changed: Callable[[], None] | None) -> None:
        self._changed = changed

    def settle(self) -> None:
        """Call after every write and close but the lane's own."""
        if self._changed is not None and self.descriptor() < 0:
            self._changed()

    def pause_reading(self) -> None:
        self._socket.pause_reading()

    def resume_reading(self) -> None:
        if not self._lost and not self._deaf and not self._socket.is_closing():
            self._socket.resume_reading()

    def send_rest(self, data: bytes) -> None:
        if not self._lost:
            self._socket.write(data)
            self.settle()

    # -- what arrives

    def endpoint_failed(self) -> None:
        """Call from an `except` block: the endpoint's fault costs this connection alone."""
        _log.exception("endpoint failed; closing its connection", extra={"remote": self.remote})
        self.close(1011, "internal error")

    def take_control(self) -> bool:
        """The budget of frames that carry nothing and cost as much as any: pings, pongs, empty fragments. False: it is not to be heard.
        Who floods is closed and not read any more: the rest of it stays in its socket."""
        if not self.is_open:
            return False
        now_ms = asyncio.get_running_loop().time() * 1000.0
        if self._control is None:
            self._control = TokenBucket(limits.CONTROL_FRAMES_PER_S, limits.CONTROL_FRAMES_BURST, now_ms)
        if self._control.take(now_ms):
            return True
        self.close(1008, "too many pings, pongs or empty fragments")
        self._deaf = True
        if not self._socket.is_closing():
            self.pause_reading()
        return False

    def data_frame(self, opcode: int, fin: bool, payload: bytes) -> None:
        """Any frame that carries text, binary or a continuation of them: all but the shells' fast path."""
        if not self.is_open or not (payload or fin or self.take_control()):
            return
        if opcode == CONTINUATION:
            if self._parts is None:
                return self.close(1002, "continuation of nothing")
            if len(self._parts) + len(payload) > self._bytes_max:
                return self.close(1009, f"at most {self._bytes_max} bytes")
            self._parts += payload
            if fin:
                whole, self._parts = bytes(self._parts), None
                self._message(self._parts_text, whole)
        elif self._parts is not None:
            self.close(1002, "expected a continuation")
        elif fin:
            self._message(opcode == TEXT, payload)
        else:
            self._parts, self._parts_text = bytearray(payload), opcode == TEXT
        return None

    def pong_frame(self, payload: bytes) -> None:
        if self._endpoint is not None and self.take_control():
            try:
                self._endpoint.on_pong(payload)
            except Exception:
                self.endpoint_failed()

    def _message(self, text: bool, payload: bytes) -> None:
        if self._endpoint is None:
            return
        if text:
            try:
                payload.decode()
            except UnicodeDecodeError:
                return self.close(1007, "text that is not UTF-8")
        try:
            if text:
                self._endpoint.on_text(payload)
            else:
                self._endpoint.on_binary(memoryview(payload))
        except Exception:
            self.endpoint_failed()
        return None


class ShellServer(Server):
    """A listening socket, its connections, and the sockets whose upgrade is not finished."""

    def __init__(self, door: Doorway, peers: set[Peer], waiting: set[asyncio.Transport]) -> None:
        self._door = door
        self._peers = peers
        self._waiting = waiting
        self._port = int(door.sockets[0].getsockname()[1])

    @property
    def port(self) -> int:
        return self._port

    def hold(self, held: bool) -> None:
        self._door.hold(held)

    async def close(self) -> None:
        """Waits until the connections are gone, at most as long as a close handshake may take."""
        loop = asyncio.get_running_loop()
        self._door.close()
        for transport in tuple(self._waiting):
            transport.abort()
        for peer in tuple(self._peers):
            peer.close(1001, "going away")
        deadline = loop.time() + limits.CLOSE_MS_MAX / 1000
        while self._peers and loop.time() < deadline:
            await asyncio.sleep(0.01)
        for peer in tuple(self._peers):
            peer.abort()
        while self._peers or self._waiting:  # their connection_lost is due in the next iterations of the loop
            await asyncio.sleep(0)
