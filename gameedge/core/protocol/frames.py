"""Binary frames of `gameedge.v1`, the hot path: commands up, snapshots down, fixed headers, little-endian.

    command (client → server)             snapshot (server → client)
    offset size                           offset size
    0      1  type = 1                    0      1  type = 2
    1      1  reserved, 0                 1      1  flags, 0 so far: ignore bits that you do not know
    2      2  reserved, 0                 2      2  payload size
    4      4  sequence, from 1, + 1 each  4      4  tick
    8      4  client_ms, own clock        8      4  last command sequence processed
    12     4  seen_tick, others shown at  12     4  server_ms, wraps
    16     .. the game's payload          16     .. the game's payload

`sequence` counts through all matches of a session: a number that was used already is refused as a replay. The headers are the
protocol's, the payloads the game's. Decoding is vectorised: rows of raw bytes in, arrays out.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

COMMAND: Final = 1
SNAPSHOT: Final = 2
HEADER_SIZE: Final = 16
UINT32: Final = 1 << 32

COMMAND_HEADER: Final = np.dtype(
    [
        ("type", "u1"),
        ("zero1", "u1"),
        ("zero2", "<u2"),
        ("sequence", "<u4"),
        ("client_ms", "<u4"),
        ("seen_tick", "<u4"),
    ]
)
SNAPSHOT_HEADER: Final = np.dtype(
    [
        ("type", "u1"),
        ("flags", "u1"),
        ("size", "<u2"),
        ("tick", "<u4"),
        ("processed", "<u4"),
        ("server_ms", "<u4"),
    ]
)
assert COMMAND_HEADER.itemsize == SNAPSHOT_HEADER.itemsize == HEADER_SIZE


class CommandHeader(NamedTuple):
    sequence: int
    client_ms: int
    seen_tick: int


class SnapshotHeader(NamedTuple):
    flags: int
    tick: int
    processed: int
    server_ms: int


def encode_command(sequence: int, client_ms: int, seen_tick: int, payload: bytes) -> bytes:
    """One command frame; times and ticks wrap at 2**32."""
    return (
        bytes((COMMAND, 0, 0, 0))
        + (sequence % UINT32).to_bytes(4, "little")
        + (client_ms % UINT32).to_bytes(4, "little")
        + (seen_tick % UINT32).to_bytes(4, "little")
        + payload
    )


def decode_command(data: bytes) -> tuple[CommandHeader, bytes] | None:
    """One command frame, or None where it is not one."""
    if len(data) < HEADER_SIZE or data[0] != COMMAND or data[1] or data[2] or data[3]:
        return None
    fields = (int.from_bytes(data[at : at + 4], "little") for at in (4, 8, 12))
    return CommandHeader(*fields), bytes(data[HEADER_SIZE:])


def encode_snapshot(header: SnapshotHeader, payload: bytes) -> bytes:
    """One snapshot frame. The edge process writes headers as arrays instead; this is the form for tools and tests."""
    row = np.zeros(1, SNAPSHOT_HEADER)
    row["type"], row["flags"], row["size"] = SNAPSHOT, header.flags, len(payload)
    row["tick"], row["processed"] = header.tick % UINT32, header.processed % UINT32
    row["server_ms"] = header.server_ms % UINT32
    return row.tobytes() + payload


def decode_snapshot(data: bytes) -> tuple[SnapshotHeader, bytes] | None:
    """One snapshot frame, or None where it is not one (wrong type or a size that does not match)."""
    if len(data) < HEADER_SIZE or data[0] != SNAPSHOT:
        return None
    size = int.from_bytes(data[2:4], "little")
    if len(data) != HEADER_SIZE + size:
        return None
    tick, processed, server_ms = (int.from_bytes(data[at : at + 4], "little") for at in (4, 8, 12))
    return SnapshotHeader(data[1], tick, processed, server_ms), bytes(data[HEADER_SIZE:])


def command_headers(rows: NDArray[np.uint8]) -> NDArray[np.void]:
    """The headers of raw rows, uint8 [N, stride >= 16] with the frame at offset 0, as a structured view [N] (no copy)."""
    return (
        rows[:, :HEADER_SIZE].view(COMMAND_HEADER)[:, 0]
        if rows.flags.c_contiguous and rows.shape[1] == HEADER_SIZE
        else (np.ascontiguousarray(rows[:, :HEADER_SIZE]).view(COMMAND_HEADER)[:, 0])
    )
