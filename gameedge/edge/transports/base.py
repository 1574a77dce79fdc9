"""The contract between a transport and the edge process. Shells move data; every decision is the endpoint's.

All calls happen on the event loop's thread, without tasks or awaits a message. A shell enforces what belongs to the
WebSocket itself: subprotocol, message size, fragments, UTF-8, handshake time, close handshake, answering pings. One
`flush`-less rule keeps the hot path short: `send` hands the bytes to the socket at once, and the edge calls it at most once a
tick for each connection on the hot path.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gameedge.core import limits
from gameedge.core.protocol import SUBPROTOCOL


class Connection(Protocol):
    """One open WebSocket. Methods never raise for a peer's state: sending on a closed connection does nothing."""

    @property
    def remote(self) -> str:
        """Peer address, for logs."""
        ...

    @property
    def is_open(self) -> bool: ...

    def send_text(self, data: bytes) -> None: ...

    def send_binary(self, data: bytes | bytearray | memoryview) -> None:
        """The bytes are copied or written before this returns: the caller may reuse its buffer."""
        ...

    def send_ping(self, payload: bytes) -> None:
        """At most 125 bytes; the endpoint hears the pong."""
        ...

    def buffered(self) -> int:
        """Bytes that wait in user space because the socket is full."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Start the close handshake; the connection is dropped where the peer does not answer within two seconds.

        Nothing more is delivered. `code` is 1000-1003, 1007-1014 or 3000-4999, else ValueError; `reason` is cut to 123 bytes.
        """
        ...

    def abort(self) -> None:
        """Drop it now."""
        ...


class Endpoint(Protocol):
    """What hears one connection. Exceptions from here close that connection with 1011 and are logged: never the server."""

    def on_text(self, data: bytes) -> None:
        """Whole messages of valid UTF-8: anything else closes with 1007."""
        ...

    def on_binary(self, data: memoryview) -> None:
        """`data` is valid during the call only."""
        ...

    def on_pong(self, payload: bytes) -> None: ...

    def on_close(self, code: int, reason: str) -> None:
        """Called exactly once, when the socket is gone, with what the first close frame said, whichever side sent it.

        1005 where that frame had no code, 1006 where there was no such frame.
        """
        ...


Accept = Callable[[Connection], Endpoint | None]
"""Called after the upgrade; None refuses (the shell closes with 1013, try again later)."""


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """Files are PEM. `frame_bytes_max` bounds a message, fragmented or not; handshakes over their number are dropped."""

    host: str
    port: int
    frame_bytes_max: int
    certificate: str = ""
    key: str = ""
    subprotocol: str = SUBPROTOCOL
    handshake_ms_max: int = limits.HANDSHAKE_MS_MAX
    handshakes_max: int = limits.HANDSHAKES_MAX
    backlog: int = 4_096  # who waits to be let in; the system may allow fewer


class Server(Protocol):
    @property
    def port(self) -> int: ...

    def hold(self, held: bool) -> None:
        """Held: nobody new is let in; who connects waits until it is over. Harmless when repeated."""
        ...

    async def close(self) -> None:
        """Stop listening and close what is open with 1001."""
        ...


class Transport(Protocol):
    name: str

    async def serve(self, accept: Accept, settings: TransportSettings) -> Server: ...
