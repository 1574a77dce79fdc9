"""Does the anti-cheat take NPCs for people? NPCs play as clients do, by commands, and the shipped watch sees every shot."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gameedge.arena.arena import Arena
from gameedge.core.anticheat.watch import AIM, TRIGGER, Watch
from gameedge.core.game import Seat, Shots
from gameedge.core.ids import PlayerId
from gameedge.core.npc import action, policy
from gameedge.core.npc import observation as o
from gameedge.core.npc.style import STYLES
from gameedge.core.protocol import arena_v1
from gameedge.inference.backends.npc_policy import NpcPolicy


def play(npc: NpcPolicy, count: int, seconds: float, seed: int, see: Callable[[Shots, int], None]) -> list[int]:
    """`count` NPCs of all levels and styles in free-for-all matches of eight, as humans to the arena; their entities."""
    arena = Arena(matches_max=count // 8, entities_max=count)
    entities = []
    for match in range(count // 8):
        seats = [Seat(i, PlayerId("npc"), 1 + (8 * match + i) % 10, STYLES[(3 * match + i) % len(STYLES)]) for i in range(8)]
        slot = arena.open_match("ffa", seed + match, seats)
        entities += [arena.entity(slot, i) for i in range(8)]
    rows = np.array(entities, np.int32)
    npc.forget(rows)
    out = np.zeros((count, action.ACTION_SIZE), np.float32)
    parts: list[NDArray[np.float32]] = []
    for tick in range(1, int(seconds * 60) + 1):
        due = npc.due(rows).copy()
        if due.any():
            n = int(due.sum())
            some, some_out = np.zeros((n, o.OBSERVATION_SIZE), np.float32), np.zeros((n, action.ACTION_SIZE), np.float32)
            arena.observe(rows[due], some)
            npc.run(some, rows[due], some_out)
            out[due] = some_out
        if not due.all():
            rest = np.zeros((int((~due).sum()), action.ACTION_SIZE), np.float32)
            npc.coast(rows[~due], rest)
            out[~due] = rest
        parts.append(out.copy())
        if len(parts) == 3:
            send(arena, rows, parts, tick)
            parts.clear()
        arena.step()
        see(arena.shots(), tick)
        arena.ended()
    return entities


def send(arena: Arena, rows: NDArray[np.int32], parts: list[NDArray[np.float32]], tick: int) -> None:
    """Three ticks of actions as one command of each."""
    n = len(rows)
    commands = []
    for i in range(n):
        subticks = []
        for part in parts:
            x, y = (float(part[i, k]) * action.AIM_UNIT for k in (action.AIM_X, action.AIM_Y))
            reach = max(float(np.hypot(x, y)), 1e-6)
            x, y = (x, y) if reach < 59.0 else (x * 59.0 / reach, y * 59.0 / reach)
            fire = bool(part[i, action.FIRE] > 0.5)
            subticks.append(arena_v1.Subtick(x, y, float(part[i, action.MOVE_X]), float(part[i, action.MOVE_Y]), fire))
        commands.append(arena_v1.encode_command((subticks[0], subticks[1], subticks[2])))
    payloads = np.frombuffer(b"".join(commands), np.uint8).reshape(n, -1).copy()
    sequence = np.full(n, tick // 3, np.int64)
    arena.receive(rows, payloads, sequence, np.zeros(n, np.float32), np.zeros(n, np.uint8))


def judged(entities: int, player: Callable[[Callable[[Shots, int], None]], list[int]], watch: Watch) -> dict[str, float]:
    """Flags and evidence of everybody that `player` plays. `watch` must know `entities` rows."""
    for entity in range(entities):
        watch.enter(entity, PlayerId(f"p{entity}"))
    played = player(watch.shots)
    flagged = {flag.player for flag in watch.flags()}
    found = [watch.evidence(PlayerId(f"p{entity}")) for entity in played]
    return {
        "played": len(played),
        "flagged": sum(f"p{entity}" in flagged for entity in played),
        "shots": float(sum(e.get("shots", 0.0) for e in found)),
        "aim_log_evidence_median": float(np.median([e.get(AIM, 0.0) for e in found])),
        "aim_log_evidence_max": float(np.max([e.get(AIM, 0.0) for e in found])),
        "trigger_log_evidence_max": float(np.max([e.get(TRIGGER, 0.0) for e in found])),
    }


assert policy.DECIDE_TICKS == 3  # a command is one decision long
