"""The express lane: commands and snapshots between sockets and arrays in one compiled call, past event loop and transport.

Problem. Of what a player costs, 20 messages in and 20 out a second, half went to moving each through event loop, transport,
parser and endpoint, although all that happens is that 40 bytes land in a row of the inbox and 100 leave from a row of the outbox.

Method. When a session opens, its plain TCP socket is taken into a set of its own (epoll). A kernel reads all that are ready and
parses frames; a whole, final, masked binary frame of a command's size, in budget, goes straight into the inbox. Every other whole
frame is handed to the connection's shell as it came, so that the shell keeps all rules of the WebSocket; what is not sure to be
a small whole message (fragments, close frames, reserved bits, sizes over the bound, the end of the stream) returns the socket to
its shell for good. A second kernel writes the frames of a tick with one `send` each; what a socket does not take, the shell's
transport keeps. The lane is used where it can be: Linux, no TLS, an idle transport buffer. Elsewhere everything goes through the shells.

Guarantee. Bytes of one connection keep their order: the transport does not read while the lane does, and the lane does not write
while bytes wait in the transport. Commands over the session's budget (limits.COMMANDS_PER_S) are dropped and counted, a full
inbox drops the newest. Cost at 2,000 players: about 4 us a command and 8 us a snapshot, most of it the kernel's TCP.
The kernels are in express_kernels.py.
"""

import contextlib
import select
import sys
from collections.abc import Callable
from typing import Final, Protocol, cast, runtime_checkable

import numpy as np

from gameedge.core import limits
from gameedge.core.game import Bytes, Int32s, Int64s
from gameedge.edge.express_kernels import EVENT_SIZE, EVENTS_MAX, HELD_BYTES, LEAVING, OFF, ON, read_all
from gameedge.edge.inbox import Inbox

DRAIN_MS: Final = 4.0  # between two looks at the sockets: how late a frame may be heard
SOCKETS_MAX: Final = 65_536  # file descriptors from here on use their shells
ROUNDS_MAX: Final = 16  # calls in one look: a flood does not stop the tick
ROOM: Final = 1 << 18  # bytes handed over in one call; the rest waits for the next
AVAILABLE: Final = sys.platform == "linux"


@runtime_checkable
class Expressable(Protocol):
    """A connection whose socket may be read and written past its transport."""

    @property
    def is_open(self) -> bool: ...

    @property
    def between_frames(self) -> bool:
        """Whether its parser holds no part of a frame."""
        ...

    def descriptor(self) -> int:
        """Its socket, or -1 while that must not be used: TLS, bytes that wait in user space, a close handshake."""
        ...

    def watch_descriptor(self, changed: Callable[[], None] | None) -> None:
        """`changed` is called when `descriptor` may have become -1; None ends that."""
        ...

    def pause_reading(self) -> None:
        """The transport reads no more."""
        ...

    def resume_reading(self) -> None: ...

    def feed(self, data: bytes) -> None:
        """Bytes that were read from the socket, in order; nothing the peer sends makes it raise."""
        ...

    def send_rest(self, data: bytes) -> None:
        """The rest of a frame of which the socket took a part."""
        ...


class Express:
    """The lane of one process, over the rows of its connection table."""

    def __init__(self, capacity: int, inbox: Inbox) -> None:
        self.descriptors: Int32s = np.full(capacity, -1, np.int32)  # where frames may be written; -1: through the shell
        self._inbox = inbox
        self._connections: list[Expressable | None] = [None] * capacity
        self._fd_of: Int32s = np.full(capacity, -1, np.int32)
        self._row_of: Int32s = np.full(SOCKETS_MAX, -1, np.int32)
        self._state: Bytes = np.zeros(capacity, np.uint8)
        self._held: Bytes = np.zeros((capacity, HELD_BYTES), np.uint8)  # pages of rows that hold nothing cost nothing
        self._held_size: Int32s = np.zeros(capacity, np.int32)
        self._tokens = np.zeros(capacity, np.float64)
        self._at_ms = np.zeros(capacity, np.float64)
        self._heard_ms = np.zeros(capacity, np.float64)
        self._dropped: Int64s = np.zeros(capacity, np.int64)
        self._events: Bytes = np.zeros(EVENTS_MAX * EVENT_SIZE, np.uint8)
        self._room: Bytes = np.zeros(ROOM, np.uint8)
        self._passed: Int32s = np.zeros((EVENTS_MAX, 3), np.int32)
        self._totals: Int64s = np.zeros(4, np.int64)
        self._epoll: select.epoll | None = None  # from the first connection on
        self._reading = 0
        self._able: dict[type, bool] = {}  # kinds of connections that may be in the lane
        self._ending: list[tuple[int, Expressable]] = []
        if AVAILABLE:
            self._read(-1, 0.0)  # compiles (or loads) the kernel before anybody waits for it

    @property
    def reading(self) -> int:
        """Sockets that the lane reads."""
        return self._reading

    def close(self) -> None:
        """After the last connection."""
        if self._epoll is not None:
            self._epoll.close()

    # -- who is in the lane

    def _fit(self, connection: object) -> Expressable | None:
        """The connection where the lane can read it. Of each kind it is looked up once: the look takes as long as the rest of `enter`."""
        kind = type(connection)
        if kind not in self._able:
            self._able[kind] = AVAILABLE and isinstance(connection, Expressable)
        return cast(Expressable, connection) if self._able[kind] else None

    def enter(self, row: int, newcomer: object, now_ms: float) -> None:
        """A session opened on this row. Its socket is read here from now on, where that is possible."""
        if (connection := self._fit(newcomer)) is None:
            return
        fd = connection.descriptor()
        if not 0 <= fd < SOCKETS_MAX or not connection.between_frames:
            return
        self._connections[row] = connection
        connection.watch_descriptor(lambda: self._withdraw(row))
        self.descriptors[row] = self._fd_of[row] = fd
        connection.pause_reading()
        self._epoll = self._epoll or select.epoll()
        self._epoll.register(fd, select.EPOLLIN)
        self._row_of[fd] = row
        self._state[row] = ON
        self._held_size[row] = 0
        self._tokens[row], self._at_ms[row], self._heard_ms[row] = limits.COMMANDS_BURST, now_ms, now_ms
        self._dropped[row] = 0
        self._reading += 1

    def _withdraw(self, row: int) -> None:
        self.descriptors[row] = -1
        connection = self._connections[row]
        if connection is not None and not connection.is_open and self._state[row] == ON:
            self._state[row] = LEAVING  # its shell takes the answer to its close frame; not now: it may be at work above us
            self._ending.append((row, connection))

    def leave(self, row: int) -> None:
        """The connection has left this row, or is about to end. Harmless when repeated."""
        connection, self._connections[row] = self._connections[row], None
        if connection is None:
            return
        connection.watch_descriptor(None)
        self.descriptors[row] = -1
        self._stop_reading(row, connection)

    def _stop_reading(self, row: int, connection: Expressable) -> None:
        fd = int(self._fd_of[row])
        if fd < 0 or self._epoll is None:
            return
        self._fd_of[row] = self._row_of[fd] = -1
        self._state[row] = OFF
        self._reading -= 1
        with contextlib.suppress(OSError):  # closed meanwhile: epoll forgot it by itself
            self._epoll.unregister(fd)
        rest = self._held[row, : self._held_size[row]].tobytes()
        self._held_size[row] = 0
        if rest:
            connection.feed(rest)
        connection.resume_reading()

    def return_writing(self, row: int) -> None:
        """Once or twice a second: a socket that was full may be written here again."""
        connection = self._connections[row]
        if connection is not None and self.descriptors[row] < 0:
            self.descriptors[row] = connection.descriptor()

    # -- what the session must know

    def heard(self, row: int) -> tuple[float, int]:
        """When the last command of this row came, and how many were dropped since the last call."""
        dropped, self._dropped[row] = int(self._dropped[row]), 0
        return float(self._heard_ms[row]), dropped

    # -- reading

    def drain(self, now_ms: float) -> None:
        """Read what has come: commands into the inbox, the rest to the shells."""
        if self._epoll is None or not self._reading:
            return
        inbox, totals = self._inbox, self._totals
        for row, connection in self._ending:
            if self._connections[row] is connection:
                self._stop_reading(row, connection)
        self._ending.clear()
        for _ in range(ROUNDS_MAX):
            totals[:] = inbox.count, 0, 0, 0
            ready = self._read(self._epoll.fileno(), now_ms)
            inbox.count = int(totals[0])
            inbox.dropped += int(totals[1])
            if totals[2]:
                self._hand_over(int(totals[2]))
            if ready < EVENTS_MAX:
                return

    def _read(self, epoll: int, now_ms: float) -> int:
        frames, slots, arrived = self._inbox.rows
        return read_all(
            epoll,
            self._events,
            self._row_of,
            self._state,
            self._held,
            self._held_size,
            self._tokens,
            self._at_ms,
            self._heard_ms,
            self._dropped,
            frames,
            self._inbox.frame_size,
            slots,
            arrived,
            self._totals,
            self._room,
            self._passed,
            now_ms,
        )

    def _hand_over(self, pieces: int) -> None:
        """Frames that are no commands, to the shells; each call may end connections."""
        for row, start, end in self._passed[:pieces].tolist():
            connection = self._connections[row]
            if connection is None:
                continue
            leaving = self._state[row] == LEAVING
            if end > start:
                connection.feed(self._room[start:end].tobytes())
            if leaving and self._connections[row] is connection:
                self._stop_reading(row, connection)
