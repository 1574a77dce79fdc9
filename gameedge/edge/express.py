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

Source: RFC 6455, 5.2 (frames); epoll(7).
"""

import contextlib
import platform
import select
import sys
from collections.abc import Callable
from typing import Any, Final, Protocol, cast, runtime_checkable

import numpy as np
from numba import types
from numba.core.types import ExternalFunction
from numpy.typing import NDArray

from gameedge.core import limits
from gameedge.core.game import Bools, Bytes, Int32s, Int64s
from gameedge.core.kernel import kernel
from gameedge.core.protocol.frames import COMMAND, HEADER_SIZE, SNAPSHOT
from gameedge.edge.inbox import Inbox

DRAIN_MS: Final = 4.0  # between two looks at the sockets: how late a frame may be heard
SOCKETS_MAX: Final = 65_536  # file descriptors from here on use their shells
HELD_BYTES: Final = limits.FRAME_BYTES_MAX + 16  # of one socket: a frame that has not come whole
EVENTS_MAX: Final = 1_024  # sockets read in one call
ROUNDS_MAX: Final = 16  # calls in one look: a flood does not stop the tick
ROOM: Final = 1 << 18  # bytes handed over in one call; the rest waits for the next
FRAME_HEAD_MAX: Final = 4  # bytes of a frame's own header, to a client
AVAILABLE: Final = sys.platform == "linux"

# struct epoll_event is packed on x86-64 alone.
_EVENT_SIZE: Final = 12 if platform.machine() == "x86_64" else 16
_EVENT_FD: Final = 4 if platform.machine() == "x86_64" else 8
_BINARY_FINAL: Final = 0x82
_TEXT_FINAL: Final = 0x81
_PING: Final = 0x89
_PONG: Final = 0x8A

_OFF: Final = 0  # the state of a row: not in the lane
_ON: Final = 1
_LEAVING: Final = 2  # Python must give the socket back to its shell

_send: Any = ExternalFunction("send", types.intp(types.int32, types.uintp, types.uintp, types.int32))
_recv: Any = ExternalFunction("recv", types.intp(types.int32, types.uintp, types.uintp, types.int32))
_epoll_wait: Any = ExternalFunction("epoll_wait", types.int32(types.int32, types.uintp, types.int32, types.int32))

Floats64 = NDArray[np.float64]


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


@kernel
def write_frames(
    payloads: Bytes, sizes: Int32s, processed: Int64s, count: int, tick: int, server_ms: int, out: Bytes, starts: Int32s
) -> None:
    """Whole frames, one after the other: WebSocket header, snapshot header, payload. Frame i is out[starts[i] : starts[i + 1]].

    A size that the game got wrong is cut to its row: what lies behind it is what another player sees."""
    at = 0
    for i in range(count):
        starts[i] = at
        filled = min(max(sizes[i], 0), payloads.shape[1])
        size = HEADER_SIZE + filled
        out[at] = _BINARY_FINAL
        if size < 126:
            out[at + 1] = size
            at += 2
        else:
            out[at + 1] = 126
            out[at + 2], out[at + 3] = size >> 8, size & 255
            at += 4
        out[at], out[at + 1], out[at + 2], out[at + 3] = SNAPSHOT, 0, filled & 255, filled >> 8
        used = processed[i]
        for k in range(4):
            out[at + 4 + k] = (tick >> (8 * k)) & 255
            out[at + 8 + k] = (used >> (8 * k)) & 255
            out[at + 12 + k] = (server_ms >> (8 * k)) & 255
        at += HEADER_SIZE
        for k in range(filled):
            out[at + k] = payloads[i, k]
        at += filled
    starts[count] = at


@kernel
def send_frames(descriptors: Int32s, skip: Bools, slots: Int32s, out: Bytes, starts: Int32s, sent: Int32s) -> int:
    """Send frame i to the socket of row slots[i]; `sent[i]` is what it took, -1 where there is none. How many are not done."""
    undone = 0
    for i in range(slots.shape[0]):
        slot = slots[i]
        size = starts[i + 1] - starts[i]
        sent[i] = -1
        if skip[slot] or descriptors[slot] < 0:
            undone += 1
            continue
        took = _send(descriptors[slot], out.ctypes.data + starts[i], size, 0)
        sent[i] = max(took, 0)
        if sent[i] != size:
            undone += 1
    return undone


@kernel
def in_budget(tokens: Floats64, at_ms: Floats64, row: int, now_ms: float) -> bool:
    """core/protocol/rates.py's bucket over arrays."""
    elapsed = now_ms - at_ms[row]
    if elapsed > 0.0:
        tokens[row] = min(tokens[row] + elapsed * limits.COMMANDS_PER_S / 1000.0, float(limits.COMMANDS_BURST))
    at_ms[row] = now_ms
    if tokens[row] < 1.0:
        return False
    tokens[row] -= 1.0
    return True


@kernel
def frame_size(data: Bytes, at: int, end: int) -> int:
    """Bytes of the frame at `at`: 0, it has not come whole; -1, it is for the shell, as is all that follows."""
    if end - at < 2:
        return 0
    kind, size = data[at], np.int64(data[at + 1])
    plain = kind in (_BINARY_FINAL, _TEXT_FINAL, _PING, _PONG)
    if not plain or size < 128:  # from a client all are masked
        return -1
    size -= 128
    head = 6
    if size == 127:
        return -1
    if size == 126:
        if end - at < 4:
            return 0
        size = (np.int64(data[at + 2]) << 8) | np.int64(data[at + 3])
        head = 8
        if size < 126 or kind >= _PING:
            return -1
    if size > limits.FRAME_BYTES_MAX:
        return -1
    return int(head + size if end - at >= head + size else 0)


@kernel
def read_all(  # the whole hot path of what comes in; its arguments are the arrays it fills
    epoll: int,
    events: Bytes,
    row_of: Int32s,
    state: Bytes,
    held: Bytes,
    held_size: Int32s,
    tokens: Floats64,
    at_ms: Floats64,
    heard_ms: Floats64,
    dropped: Int64s,
    frames: Bytes,
    frame_bytes: int,
    slots: Int32s,
    arrived: Floats64,
    totals: Int64s,
    room: Bytes,
    passed: Int32s,
    now_ms: float,
) -> int:
    """Read every socket that is ready. totals: [commands in the inbox, dropped there, pieces handed over, bytes of them]."""
    data = np.empty(2 * HELD_BYTES, np.uint8)
    ready = _epoll_wait(epoll, events.ctypes.data, EVENTS_MAX, 0)
    for event in range(ready):
        if room.shape[0] - totals[3] < 2 * HELD_BYTES:
            return EVENTS_MAX  # they stay ready
        place = event * _EVENT_SIZE + _EVENT_FD
        fd = np.int64(events[place]) | (np.int64(events[place + 1]) << 8) | (np.int64(events[place + 2]) << 16)
        row = row_of[fd] if fd < row_of.shape[0] else -1
        if row < 0 or state[row] != _ON:
            continue
        have = held_size[row]
        for k in range(have):
            data[k] = held[row, k]
        got = _recv(fd, data.ctypes.data + have, HELD_BYTES, 0)
        end = int(have + max(got, 0))
        at, leaving = 0, got <= 0
        first = totals[3]
        while at < end and not leaving:
            size = frame_size(data, at, end)
            if size == 0:
                leaving = end - at >= HELD_BYTES
                break
            if size < 0:
                leaving = True
                break
            if size == 6 + frame_bytes and data[at + 1] < 254 and data[at] == _BINARY_FINAL and data[at + 6] ^ data[at + 2] == COMMAND:
                heard_ms[row] = now_ms
                if not in_budget(tokens, at_ms, row, now_ms):
                    dropped[row] += 1
                elif totals[0] >= slots.shape[0]:
                    totals[1] += 1
                else:
                    to = totals[0] * frame_bytes
                    for k in range(frame_bytes):
                        frames[to + k] = data[at + 6 + k] ^ data[at + 2 + (k & 3)]
                    slots[totals[0]], arrived[totals[0]] = row, now_ms
                    totals[0] += 1
            else:
                for k in range(size):
                    room[totals[3] + k] = data[at + k]
                totals[3] += size
            at += size
        if leaving:
            state[row] = _LEAVING
            for k in range(at, end):
                room[totals[3] + k - at] = data[k]
            totals[3] += end - at
            end = at
        keep = end - at
        for k in range(keep):
            held[row, k] = data[at + k]
        held_size[row] = keep
        if totals[3] > first or leaving:
            piece = totals[2]
            passed[piece, 0], passed[piece, 1], passed[piece, 2] = row, first, totals[3]
            totals[2] += 1
    return int(ready)


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
        self._events: Bytes = np.zeros(EVENTS_MAX * _EVENT_SIZE, np.uint8)
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
        self._state[row] = _ON
        self._held_size[row] = 0
        self._tokens[row], self._at_ms[row], self._heard_ms[row] = limits.COMMANDS_BURST, now_ms, now_ms
        self._dropped[row] = 0
        self._reading += 1

    def _withdraw(self, row: int) -> None:
        self.descriptors[row] = -1
        connection = self._connections[row]
        if connection is not None and not connection.is_open and self._state[row] == _ON:
            self._state[row] = _LEAVING  # its shell takes the answer to its close frame; not now: it may be at work above us
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
        self._state[row] = _OFF
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
            leaving = self._state[row] == _LEAVING
            if end > start:
                connection.feed(self._room[start:end].tobytes())
            if leaving and self._connections[row] is connection:
                self._stop_reading(row, connection)
