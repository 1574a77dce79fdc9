"""What the arena's tests share: matches with chosen seats, commands, and a plain-Python twin of the line of sight."""

import math

import numpy as np

from gameedge.arena import Arena
from gameedge.arena import world as at
from gameedge.arena.settings import LOOKAHEAD_S, RADIUS, SIGHT, SIZE
from gameedge.core.game import Seat
from gameedge.core.ids import PlayerId
from gameedge.core.npc.scripted import ScriptedPolicy
from gameedge.core.protocol import arena_v1
from gameedge.core.protocol.arena_map import WALLS
from gameedge.core.protocol.arena_v1 import Subtick, View


def seats_of(arena: Arena, mode: str, humans: int = 99, level: int = 5) -> list[Seat]:
    """All seats of a mode, the first `humans` of the players' played by people."""
    spec = arena.spec.modes[mode]
    return [
        Seat(
            team=seat // spec.team_size if seat < spec.players else spec.teams,
            player=PlayerId(f"p_{seat}") if seat < min(humans, spec.players) else None,
            npc_level=level,
        )
        for seat in range(spec.seats)
    ]


def duel(arena: Arena, at_a: tuple[float, float], at_b: tuple[float, float], seed: int = 1) -> tuple[int, int, int]:
    """A duel of two people who stand at given places: slot and both entities."""
    slot = arena.open_match("duel", seed, seats_of(arena, "duel"))
    a, b = arena.entity(slot, 0), arena.entity(slot, 1)
    put(arena, a, *at_a)
    put(arena, b, *at_b)
    return slot, a, b


def put(arena: Arena, entity: int, x: float, y: float) -> None:
    """Stand an entity somewhere, as if it had always been there."""
    w = arena._world
    w.f[[at.X, at.Y, at.VX, at.VY], entity] = x, y, 0.0, 0.0
    w.history[entity] = x, y


def send(arena: Arena, entity: int, sequence: int, *subticks: Subtick, payload: bytes | None = None, rewind_ms: float = 0.0) -> int:
    """One command (a single sub-tick is used three times); returns the reason."""
    if payload is None:
        a, b, c = subticks if len(subticks) == 3 else subticks * 3
        payload = arena_v1.encode_command((a, b, c))
    reasons = np.zeros(1, np.uint8)
    arena.receive(
        np.array([entity], np.int32),
        np.frombuffer(payload, np.uint8).reshape(1, -1),
        np.array([sequence], np.int64),
        np.array([rewind_ms], np.float32),
        reasons,
    )
    return int(reasons[0])


def steps(arena: Arena, count: int) -> None:
    for _ in range(count):
        arena.step()


def look(arena: Arena, entity: int) -> tuple[View, int]:
    """The snapshot of one viewer, and the last command it had used up."""
    out = np.zeros((1, arena.spec.snapshot_size_max), np.uint8)
    sizes, processed = np.zeros(1, np.int32), np.zeros(1, np.int64)
    arena.snapshot(np.array([entity], np.int32), out, sizes, processed)
    view = arena_v1.decode_snapshot(out[0, : sizes[0]].tobytes())
    assert view is not None
    return view, int(processed[0])


class Npcs:
    """Observe, decide and act for all NPCs of an arena, as the tick loop does."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.policy = ScriptedPolicy()
        self.observed = np.zeros((4096, arena.spec.observation_size), np.float32)
        self.actions = np.zeros((4096, arena.spec.action_size), np.float32)

    def play(self) -> None:
        npcs = self.arena.npcs()
        self.arena.observe(npcs, self.observed)
        self.policy.run(self.observed, npcs, self.actions)
        self.arena.act(npcs, self.actions[: len(npcs)])


def clear(x: float, y: float, to_x: float, to_y: float) -> bool:
    """Line of sight by testing every wall, in plain Python."""
    if min(x, y, to_x, to_y) < 0.0 or max(x, y, to_x, to_y) > SIZE:
        return False
    for x0, y0, x1, y1 in WALLS:
        low, high = 0.0, 1.0
        for start, end, near, far in ((x, to_x, x0, x1), (y, to_y, y0, y1)):
            if start == end:
                if not near < start < far:
                    low = 2.0
                continue
            a, b = (near - start) / (end - start), (far - start) / (end - start)
            low, high = max(low, min(a, b)), min(high, max(a, b))
        if low < high:
            return False
    return True


def sees(x: float, y: float, to_x: float, to_y: float) -> bool:
    """Whether some of the middle and the two edges of a disc is in sight."""
    dx, dy = to_x - x, to_y - y
    distance = math.hypot(dx, dy)
    if distance > SIGHT:
        return False
    if clear(x, y, to_x, to_y):
        return True
    ex, ey = -dy / distance * RADIUS, dx / distance * RADIUS
    return clear(x, y, to_x + ex, to_y + ey) or clear(x, y, to_x - ex, to_y - ey)


def may_see(arena: Arena, a: int, b: int) -> bool:
    """The documented rule of who is in whose snapshot, from scratch (arena/view.py states it)."""
    f = arena._world.f

    def moved(entity: int, seconds: float) -> tuple[float, float]:
        x, y, vx, vy = (float(value) for value in f[[at.X, at.Y, at.VX, at.VY], entity])
        return x + vx * seconds, y + vy * seconds

    if sees(*moved(a, 0.0), *moved(b, 0.0)):
        return True
    t = LOOKAHEAD_S
    for a_s, b_s in ((t, t), (t / 2, t / 2), (0.0, t), (t, 0.0)):
        start, end = moved(a, a_s), moved(b, b_s)
        if math.dist(start, end) <= SIGHT and clear(*start, *end):
            return True
    return False
