"""One match as bytes, and back: what a checkpoint holds, so that another process can go on with it.

Kept: everything that decides what happens next (positions, aim, health, scores, timers, who saw whom, waves, events). Left out:
buffered inputs, since whoever joins anew starts with none, and the positions of the last second, which only say where a
shooter with a slow connection saw others: they are filled with the present position, so a rewind right after a move is short.
Cost: about 0.3 kB a seat, some ten microseconds. Layout: header, arrays in the order of `_tables`, CRC-32 of both.
"""

import struct
from collections.abc import Sequence
from typing import Any, Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from gameedge.arena import world as at
from gameedge.arena.world import World
from gameedge.core.errors import Reason, RefusedError

VERSION: Final = 1
_HEADER: Final = struct.Struct("<2sHHHH")  # magic, version, seats, rows of n, rows of m
_MAGIC: Final = b"AM"
_OWN_M: Final = [at.STATE, at.MODE, at.SEATS, at.PLAYERS, at.TEAMS, at.LIMIT, at.RULE, at.DELAY, at.WAVES, at.END]
_FRESH_N: Final = [at.HEAD, at.COUNT, at.FRESH, at.SHOWN]
_OWN_N: Final = [at.SLOT, at.SEAT, at.HUMAN, at.TEAM]


def _tables(w: World, slot: int, rows: NDArray[np.int32]) -> list[NDArray[Any]]:
    """Copies of what is kept, in order."""
    seats = len(rows)
    return [
        w.f[:, rows],
        w.n[:, rows],
        w.m[:, slot],
        w.scores[slot],
        w.events[slot],
        w.since[rows, :seats],
        w.seen[rows, :seats],
        w.seen_at[rows, :seats],
    ]


def pack(w: World, slot: int) -> bytes:
    """The match in an open slot."""
    rows = w.rows[slot, : w.m[at.SEATS, slot]]
    header = _HEADER.pack(_MAGIC, VERSION, len(rows), at.N_ROWS, at.M_ROWS)
    body = header + b"".join(table.tobytes() for table in _tables(w, slot, rows))
    return body + crc32(body).to_bytes(4, "little")


def unpack(w: World, slot: int, data: bytes) -> None:
    """Overwrite the match in a slot that was opened with the same mode and seats. Raises RefusedError(MALFORMED) for what is
    damaged or of another version, before anything is changed."""
    rows = w.rows[slot, : w.m[at.SEATS, slot]]
    seats = len(rows)
    layout, size = _layout(w, slot, rows)
    header = _HEADER.pack(_MAGIC, VERSION, seats, at.N_ROWS, at.M_ROWS)
    if len(data) != size or data[: _HEADER.size] != header or crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise RefusedError(Reason.MALFORMED, "a checkpoint that is damaged, or of another mode or version")
    f, n, m, scores, events, since, seen, seen_at = _split(data, layout)
    if not np.isfinite(f).all():
        raise RefusedError(Reason.MALFORMED, "a checkpoint with values that are no numbers")
    n, m = n.copy(), m.copy()
    n[_OWN_N] = w.n[:, rows][_OWN_N]
    n[_FRESH_N] = 0
    n[at.SNAPPED] = at.NEVER
    m[_OWN_M] = w.m[_OWN_M, slot]
    w.f[:, rows] = f
    w.n[:, rows] = n
    w.m[:, slot] = m
    w.scores[slot], w.events[slot] = scores, events
    w.since[rows, :seats], w.seen[rows, :seats], w.seen_at[rows, :seats] = since, seen, seen_at
    where, aim = f[[at.X, at.Y]].T.astype(np.float32), f[[at.AX, at.AY]].T.astype(np.float32)
    w.history[rows] = where[:, None, :]
    w.cursor[rows] = (where + aim)[:, None, :]


_Layout = tuple[list[tuple[np.dtype[Any], tuple[int, ...], int]], int]
_layouts: dict[int, _Layout] = {}  # by seats: all that the sizes of the tables depend on


def _layout(w: World, slot: int, rows: NDArray[np.int32]) -> _Layout:
    """Of a packed match: dtype, shape and elements of each table of `_tables`, and the bytes of the whole."""
    if (known := _layouts.get(len(rows))) is None:
        tables = _tables(w, slot, rows)
        size = _HEADER.size + sum(table.nbytes for table in tables) + 4
        known = _layouts[len(rows)] = [(table.dtype, table.shape, table.size) for table in tables], size
    return known


def _split(data: bytes, layout: Sequence[tuple[np.dtype[Any], tuple[int, ...], int]]) -> list[NDArray[Any]]:
    found, offset = [], _HEADER.size
    for kind, shape, count in layout:
        found.append(np.frombuffer(data, kind, count, offset).reshape(shape))
        offset += kind.itemsize * count
    return found
