"""The compiled part of the express lane (express.py): frames out of sockets into arrays, and out of arrays into sockets.

A kernel makes system calls itself and touches no Python object; what it fills is bounded by what it was given. Whatever is not surely a
whole small message is left to the connection's shell, which keeps all rules of the WebSocket.

Source: RFC 6455, 5.2 (frames); epoll(7).
"""

import platform
from typing import Any, Final

import numpy as np
from numba import types
from numba.core.types import ExternalFunction
from numpy.typing import NDArray

from gameedge.core import limits
from gameedge.core.game import Bools, Bytes, Int32s, Int64s
from gameedge.core.kernel import kernel
from gameedge.core.protocol.frames import COMMAND, HEADER_SIZE, SNAPSHOT

HELD_BYTES: Final = limits.FRAME_BYTES_MAX + 16  # of one socket: a frame that has not come whole
EVENTS_MAX: Final = 1_024  # sockets read in one call
FRAME_HEAD_MAX: Final = 4  # bytes of a frame's own header, to a client

# struct epoll_event is packed on x86-64 alone.
EVENT_SIZE: Final = 12 if platform.machine() == "x86_64" else 16
_EVENT_FD: Final = 4 if platform.machine() == "x86_64" else 8
_BINARY_FINAL: Final = 0x82
_TEXT_FINAL: Final = 0x81
_PING: Final = 0x89
_PONG: Final = 0x8A

OFF: Final = 0  # the state of a row: not in the lane
ON: Final = 1
LEAVING: Final = 2  # Python must give the socket back to its shell

_send: Any = ExternalFunction("send", types.intp(types.int32, types.uintp, types.uintp, types.int32))
_recv: Any = ExternalFunction("recv", types.intp(types.int32, types.uintp, types.uintp, types.int32))
_epoll_wait: Any = ExternalFunction("epoll_wait", types.int32(types.int32, types.uintp, types.int32, types.int32))

Floats64 = NDArray[np.float64]


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
        place = event * EVENT_SIZE + _EVENT_FD
        fd = np.int64(events[place]) | (np.int64(events[place + 1]) << 8) | (np.int64(events[place + 2]) << 16)
        row = row_of[fd] if fd < row_of.shape[0] else -1
        if row < 0 or state[row] != ON:
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
            state[row] = LEAVING
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
