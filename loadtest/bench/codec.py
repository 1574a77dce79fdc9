"""What messages and frames cost to read and write, beside the same in plain Python (json, struct)."""

import json
import struct
from typing import Any, Final

import numpy as np

from gameedge.arena import Arena
from gameedge.core.protocol import arena_v1, frames, messages
from loadtest.bench.crowd import open_matches
from loadtest.bench.report import Row, row
from loadtest.bench.timing import us_each

VIEWERS: Final = 700  # a third of 2,000 players: one tick's snapshots
COMMANDS: Final = 667
_HEADER: Final = struct.Struct("<BBHIII")
_OTHER: Final = struct.Struct("<BBhhbbHBB")
_SELF: Final = struct.Struct("<BBBBhhhhHBBHBB")


def run(notes: list[str], *, quick: bool = False) -> list[Row]:
    seconds = 0.05 if quick else 0.4
    return _messages(seconds) + _commands(seconds) + _snapshots(seconds)


def _messages(seconds: float) -> list[Row]:
    queue = messages.encode(messages.Queue(n=7, mode="squads"))
    roster = [messages.RosterSeat(seat=i, team=i % 2, name=f"player {i}") for i in range(10)]
    started = messages.MatchStarted(s=3, match="m_1", mode="squads", seat=0, team=0, tick=77, duration_ms=300_000, roster=roster)
    plain: dict[str, Any] = json.loads(messages.encode(started))
    return [
        row(
            "decode and validate a client message (queue)",
            us_each(lambda: messages.decode_client(queue), seconds=seconds),
            "us",
            baseline=us_each(lambda: json.loads(queue), seconds=seconds),
        ),
        row(
            "encode a server message (match_started, 10 seats)",
            us_each(lambda: messages.encode(started), seconds=seconds),
            "us",
            baseline=us_each(lambda: json.dumps(plain).encode(), seconds=seconds),
        ),
    ]


def _commands(seconds: float) -> list[Row]:
    payload = bytes(arena_v1.COMMAND_SIZE)
    raw = b"".join(frames.encode_command(i + 1, 50 * i, i, payload) for i in range(COMMANDS))
    rows = np.frombuffer(raw, np.uint8).reshape(COMMANDS, -1)
    single = [bytes(r) for r in rows]

    def vectorised() -> None:
        headers = frames.command_headers(rows)
        good = (headers["type"] == frames.COMMAND) & (headers["zero1"] == 0) & (headers["zero2"] == 0)
        if not good.all() or headers["sequence"].astype(np.int64)[-1] != COMMANDS:
            raise AssertionError("decoded wrongly")

    def one_by_one() -> None:
        for data in single:
            kind, zero1, zero2, _, _, _ = _HEADER.unpack_from(data)
            if kind != frames.COMMAND or zero1 or zero2:
                raise AssertionError("decoded wrongly")

    return [
        row(
            f"decode a command's header, {COMMANDS} at once",
            us_each(vectorised, items=COMMANDS, seconds=seconds),
            "us",
            baseline=us_each(one_by_one, items=COMMANDS, seconds=seconds),
        )
    ]


def _snapshots(seconds: float) -> list[Row]:
    game = Arena()
    viewers = open_matches(game, VIEWERS)
    for _ in range(120):  # people have moved about a little, so that views differ
        game.step()
    out = np.zeros((len(viewers), game.spec.snapshot_size_max), np.uint8)
    sizes, processed = np.zeros(len(viewers), np.int32), np.zeros(len(viewers), np.int64)

    def vectorised() -> None:
        game.snapshot(viewers, out, sizes, processed)

    encode_us = us_each(vectorised, items=len(viewers), seconds=seconds)
    views = [arena_v1.decode_snapshot(bytes(out[i, : sizes[i]])) for i in range(len(viewers))]

    def one_by_one() -> None:
        for view in views:
            _plain_snapshot(view)

    decode = [bytes(out[i, : sizes[i]]) for i in range(len(viewers))]
    return [
        row(
            f"visibility and encoding of a viewer's snapshot, {len(viewers)} at once",
            encode_us,
            "us",
            baseline=us_each(one_by_one, items=len(viewers), seconds=seconds),
        ),
        row("bytes of a snapshot's payload, mean", float(sizes.mean()), "bytes"),
        row(
            "decode a snapshot (SDK)",
            us_each(lambda: [arena_v1.decode_snapshot(data) for data in decode], items=len(decode), seconds=seconds),
            "us",
        ),
    ]


def _plain_snapshot(view: arena_v1.View | None) -> bytes:
    """Struct a row, encoding alone: what is visible is given."""
    assert view is not None
    parts = [
        _SELF.pack(
            view.seat,
            int(view.alive),
            view.health,
            view.cooldown_ticks,
            round(view.x * 64),
            round(view.y * 64),
            round(view.vx * 64),
            round(view.vy * 64),
            view.remaining_ms // 100,
            view.respawn_ticks,
            len(view.team_scores),
            view.score,
            len(view.others),
            len(view.events),
        ),
        struct.pack(f"<{len(view.team_scores)}h", *view.team_scores),
    ]
    for o in view.others:
        flags = o.team | o.alive << 3 | o.npc << 4 | o.fired << 5
        aim = round(o.aim * 65536) & 65535
        place = (round(o.x * 64), round(o.y * 64), round(o.vx * 16), round(o.vy * 16))
        parts.append(_OTHER.pack(o.seat, flags, *place, aim, o.health, 0))
    parts += [bytes(event) for event in view.events]
    return b"".join(parts)
