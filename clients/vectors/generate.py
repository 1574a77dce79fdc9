"""`python -m clients.vectors.generate [--check]`, from the repository's root: write the golden frames beside this file.

`--check` writes nothing and exits 1 where a file is not what would be written. Clients in any language test themselves against
these files; README.md says what is in each. Numbers that a format cannot hold exactly are avoided, so that results are compared
for equality (movement alone has a tolerance).
"""

import json
import struct
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

from clients.vectors import messages, sessions
from gameedge.arena import inputs, world
from gameedge.core.protocol import arena_map, arena_v1, frames
from gameedge.core.protocol.close import CLOSE_CODES, retry_after

FOLDER: Final = Path(__file__).parent
MAX: Final = frames.UINT32 - 1


def main(arguments: list[str]) -> int:
    """Exit status."""
    stale = [path for path, text in files().items() if (path.read_text("utf-8") if path.is_file() else "") != text]
    for path in stale:
        if "--check" not in arguments:
            path.write_text(files()[path], "utf-8")
        print(f"{path.name}: {'is out of date' if '--check' in arguments else 'written'}")  # noqa: T201
    return 1 if stale and "--check" in arguments else 0


def files() -> dict[Path, str]:
    """Each file and the text that it should have."""
    parts = {
        "frames.json": frame_vectors(),
        "arena.json": arena_vectors(),
        "moves.json": move_vectors(),
        "messages.json": messages.vectors(),
        "refusals.json": messages.refusals(),
        "sessions.json": sessions.vectors(),
        "close.json": [{"code": code, "reason": str(reason), "retry": retry_after(code).value} for reason, code in CLOSE_CODES.items()]
        + [{"code": code, "reason": None, "retry": retry_after(code).value} for code in (1000, 1001, 1006, 1011, 1013, 4099)],
    }
    texts = {FOLDER / name: as_text(value) for name, value in parts.items()}
    texts[FOLDER / "arena_map.json"] = arena_map.to_json()
    return texts


def as_text(value: Any) -> str:
    """JSON with one line an entry: changes are readable as a diff."""

    def rows(entries: list[Any], indent: str) -> str:
        return "[\n" + ",\n".join(f"{indent}  {json.dumps(entry, ensure_ascii=False)}" for entry in entries) + f"\n{indent}]"

    if isinstance(value, list):
        return rows(value, "") + "\n"
    return "{\n" + ",\n".join(f"  {json.dumps(key)}: {rows(entries, '  ')}" for key, entries in value.items()) + "\n}\n"


# --------------------------------------------------------------------------------------------------------------- frames


def frame_vectors() -> dict[str, list[dict[str, Any]]]:
    payload = bytes(range(24))
    commands = [(1, 0, 0, payload), (2, 50, 6_001, payload), (MAX, MAX, MAX, payload), (7, MAX + 1 + 25, 8, b"\x03"), (8, 1, 2, b"")]
    snapshots = [(0, 1, 0, 17, b"\x01\x02"), (0, MAX, MAX, MAX, b""), (3, 65_536, 41, 1_000, bytes(300))]
    good = frames.encode_snapshot(frames.SnapshotHeader(0, 5, 6, 7), b"ab")
    bad = {
        "empty": b"",
        "shorter than a header": good[:15],
        "a command's type": bytes([1]) + good[1:],
        "an unknown type": bytes([9]) + good[1:],
        "less payload than it says": good[:-1],
        "more payload than it says": good + b"\x00",
    }
    return {
        "commands": [
            {
                "sequence": sequence,
                "client_ms": client_ms,
                "seen_tick": seen,
                "payload": data.hex(),
                "hex": frames.encode_command(sequence, client_ms, seen, data).hex(),
            }
            for sequence, client_ms, seen, data in commands
        ],
        "snapshots": [
            {
                "flags": flags,
                "tick": tick,
                "processed": processed,
                "server_ms": ms,
                "payload": data.hex(),
                "hex": frames.encode_snapshot(frames.SnapshotHeader(flags, tick, processed, ms), data).hex(),
            }
            for flags, tick, processed, ms, data in snapshots
        ],
        "bad_snapshots": [{"why": why, "hex": data.hex()} for why, data in bad.items()],
        "differences": [
            {"a": a, "b": b, "difference": difference} for a, b, difference in ((5, 3, 2), (3, 5, -2), (1, MAX, 2), (MAX, 1, -2), (9, 9, 0))
        ],
    }


# ---------------------------------------------------------------------------------------------------------------- arena


def arena_vectors() -> dict[str, list[dict[str, Any]]]:
    still = arena_v1.Subtick(0.0, 0.0, 0.0, 0.0, False, 17)
    commands = {
        "stand still": (still, still, still),
        "run east, aim north-west, fire at the end": (
            arena_v1.Subtick(-1.0, 1.0, 1.0, 0.0, False, 16),
            arena_v1.Subtick(-1.5, 1.5, 1.0, 0.0, False, 17),
            arena_v1.Subtick(-2.03125, 2.03125, 1.0, 0.0, True, 17),
        ),
        "values beyond the format are clipped to it": (
            arena_v1.Subtick(9_999.0, -9_999.0, 3.0, -3.0, True, 300),
            arena_v1.Subtick(0.01, -0.01, 0.25, -0.25, False, 0),
            arena_v1.Subtick(1_023.96875, -1_023.96875, -1.0, 1.0, True, 255),
        ),
    }
    empty = snapshot((0, 1, 100, 0, 192, 2_176, 0, 0, 1_200, 0), 0, [0, 0], [], [])
    busy = snapshot(
        (3, 1, 74, 7, 2_048, 4_064, -384, 96, 65_535, 0),
        65_535,
        [10, -3, 0, 32_767, -32_768, 1, 2, 3],
        [(7, 5, True, True, True, 33, -33, 96, -96, 16_384, 100), (0, 0, False, False, False, 4_095, 1, 0, 0, 65_535, 0)],
        [(arena_v1.HIT, 3, 7, 26), (arena_v1.KILL, 7, 0, 0), (arena_v1.RESPAWN, 1, 1, 0)],
    )
    watched = snapshot(
        (arena_v1.SPECTATOR, 0, 0, 0, 2_048, 2_048, 0, 0, 300, 0),
        0,
        [1, 2],
        [(0, 0, True, False, True, 640, 640, 0, 0, 0, 55), (1, 1, True, True, False, 3_200, 64, -96, 0, 32_768, 100)],
        [(arena_v1.HIT, 0, 1, 20)],
    )
    dead = snapshot((1, 0, 0, 0, 64, 64, 0, 0, 9, 90), 2, [4], [], [])
    bad = {"empty": b"", "cut": busy[:-1], "too long": busy + b"\x00", "counts more others than there are": dead[:18] + b"\x01" + dead[19:]}
    return {
        "commands": [
            {"name": name, "subticks": [s._asdict() for s in subticks], "hex": arena_v1.encode_command(subticks).hex()}
            for name, subticks in commands.items()
        ],
        "snapshots": [
            {"name": name, "view": view_of(data), "hex": data.hex()}
            for name, data in {"the first of a match": empty, "everything there is": busy, "dead": dead, "a spectator's": watched}.items()
        ],
        "bad_snapshots": [{"why": why, "hex": data.hex()} for why, data in bad.items()],
        "bad_commands": bad_commands(),
    }


def snapshot(
    own: tuple[int, ...], score: int, teams: list[int], others: list[tuple[Any, ...]], events: list[tuple[int, int, int, int]]
) -> bytes:
    """A snapshot payload from raw numbers, written out here so that it does not lean on what it tests."""
    out = struct.pack("<BBBBhhhhHB", *own) + struct.pack("<BHBB", len(teams), score, len(others), len(events))
    out += struct.pack(f"<{len(teams)}h", *teams)
    for seat, team, alive, npc, fired, x, y, vx, vy, aim, health in others:
        flags = team | alive << 3 | npc << 4 | fired << 5
        out += struct.pack("<BBhhbbHBB", seat, flags, x, y, vx, vy, aim, health, 0)
    return out + b"".join(struct.pack("<BBBB", *event) for event in events)


def view_of(data: bytes) -> dict[str, Any]:
    view = arena_v1.decode_snapshot(data)
    assert view is not None
    return view._asdict() | {
        "team_scores": list(view.team_scores),
        "others": [other._asdict() for other in view.others],
        "events": [event._asdict() for event in view.events],
    }


def bad_commands() -> list[dict[str, Any]]:
    """Payloads that the arena does not take, and the name under which it counts them (core/game.py)."""
    good = arena_v1.encode_command((arena_v1.Subtick(1.0, 1.0, 1.0, 0.0, True),) * 3)
    far = struct.pack("<hh", 1_921, 0)  # 60.03 units: beyond the edge of every screen
    flip = b"".join(struct.pack("<hhbbBB", x, 0, 0, 0, 0, 17) for x in (-700, 700, -700))
    return [
        {"why": "a button that does not exist", "reason": "bad_payload", "hex": (good[:6] + b"\x02" + good[7:]).hex()},
        {"why": "move -128", "reason": "move_bound", "hex": (good[:4] + b"\x80" + good[5:]).hex()},
        {"why": "a cursor more than 60 units away", "reason": "turn_bound", "hex": (far + good[4:]).hex()},
        {"why": "a cursor that leaps 40 units and back within one command", "reason": "turn_bound", "hex": flip.hex()},
    ]


def move_vectors() -> list[dict[str, Any]]:
    """A body's way tick by tick under the server's own kernel: what a client that predicts itself must arrive at."""
    ways = {
        "from rest to full speed": ((32.0, 20.0, 0.0, 0.0), (1.0, 0.0), 12),
        "a diagonal is no faster": ((32.0, 20.0, 0.0, 0.0), (1.0, 1.0), 12),
        "turning round": ((32.0, 20.0, 6.0, 0.0), (-1.0, 0.0), 14),
        "into a wall and along it": ((28.5, 32.0, 6.0, 0.0), (1.0, 0.5), 30),
        "past a corner": ((29.2, 27.0, 0.0, 6.0), (0.5, 1.0), 24),
        "into the edge of the world": ((63.0, 2.0, 6.0, 0.0), (1.0, -1.0), 20),
    }
    out = []
    for name, (start, wanted, ticks) in ways.items():
        state = np.zeros((world.F_ROWS, 1), np.float64)
        for field, value in zip((world.X, world.Y, world.VX, world.VY), start, strict=True):
            state[field, 0] = value
        state[world.MX, 0], state[world.MY, 0] = wanted
        way = []
        for _ in range(ticks):
            inputs.move(state, 0)
            way.append([round(float(state[field, 0]), 4) for field in (world.X, world.Y, world.VX, world.VY)])
        out.append({"name": name, "start": start, "move": wanted, "tolerance": 0.001, "way": way})
    return out


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
