"""Squad play: four NPCs of one level against the co-op mode's waves, which the same policy plays, as a server runs it."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gameedge.arena import world as at
from gameedge.arena.arena import Arena
from gameedge.core.game import Seat
from gameedge.core.npc import action, hand, policy
from gameedge.core.npc import observation as o
from gameedge.core.npc.style import STYLES
from gameedge.inference.backends.npc_policy import NpcPolicy
from models.npc import rewards
from models.npc.styles import situations

PLAYERS: Final = 4
SECONDS: Final = 180.0
WEAK: Final = 40.0  # health; below it a squad member is expected to go back
HEALTHY: Final = 70.0
SAME: Final = 1.5  # u: two aim at one enemy where the targets that they track are this near


class Watched:
    """Sums over samples of living squad members."""

    def __init__(self) -> None:
        self.shared = self.tracking = 0.0
        self.sums = {name: np.zeros(4) for name in ("weak", "healthy")}  # samples, way to the enemy in u/s, seen, enemy near

    def add(self, world: at.World, members: NDArray[np.int32], state: NDArray[np.float32]) -> None:
        """members: int32 [matches, PLAYERS]."""
        e = members.ravel()
        now = np.zeros((len(e), rewards.SITUATION), np.float32)
        situations(world, e, now)
        up = world.n[at.ALIVE, e] == 1
        tracked = up & (state[e, hand.TRACKING] > 1.5)
        x, y = world.f[at.X, e] + state[e, hand.T_X], world.f[at.Y, e] + state[e, hand.T_Y]
        x, y, on = (v.reshape(members.shape) for v in (x, y, tracked))
        near = np.hypot(x[:, :, None] - x[:, None, :], y[:, :, None] - y[:, None, :]) < SAME
        mate = on[:, None, :] & ~np.eye(PLAYERS, dtype=bool)[None]
        asked = on & mate.any(axis=2)  # both of them have a target in sight
        self.tracking += asked.sum()
        self.shared += (asked & (near & mate).any(axis=2)).sum()
        health, fight = world.f[at.HEALTH, e], up & (now[:, rewards.ENEMY] < 24.0)
        way = -state[e, hand.T_X] * world.f[at.VX, e] - state[e, hand.T_Y] * world.f[at.VY, e]
        way = -way / np.maximum(np.hypot(state[e, hand.T_X], state[e, hand.T_Y]), 1e-3)
        for name, who in (("weak", health < WEAK), ("healthy", health > HEALTHY)):
            rows = fight & who & (state[e, hand.TRACKING] > 0.5)
            self.sums[name] += (rows.sum(), way[rows].sum(), now[rows, rewards.SEEN].sum(), now[rows, rewards.ENEMY].sum())

    def found(self) -> dict[str, Any]:
        out: dict[str, Any] = {"targets_shared": round(float(self.shared / max(self.tracking, 1.0)), 4)}
        for name, (count, way, seen, enemy) in self.sums.items():
            n = max(float(count), 1.0)
            out[name] = {"towards_enemy_u_s": round(way / n, 3), "seen_by_enemies": round(seen / n, 4), "enemy_u": round(enemy / n, 2)}
        return out


def play(npc: NpcPolicy, level: int, *, matches: int, seed: int) -> dict[str, Any]:
    """Waves reached (of 6), share of matches survived, and how the squad fought."""
    arena = Arena(matches_max=matches, entities_max=12 * matches)
    world, rows = arena._world, []
    for match in range(matches):
        kinds = [STYLES[(match + seat) % len(STYLES)] for seat in range(12)]
        seats = [Seat(0, None, level, kinds[seat]) for seat in range(PLAYERS)] + [Seat(1, None, 5, kinds[k]) for k in range(4, 12)]
        slot = arena.open_match("coop", seed + match, seats)
        rows.append(world.rows[slot, :12].copy())
    members = np.array(rows, np.int32)[:, :PLAYERS]
    entities = np.array(rows, np.int32).ravel()
    npc.forget(entities)
    seen, out = (np.zeros((len(entities), size), np.float32) for size in (o.OBSERVATION_SIZE, action.ACTION_SIZE))
    watched, won, over = Watched(), 0, 0
    for tick in range(int(60 * SECONDS)):
        if tick % policy.DECIDE_TICKS == 0:
            arena.observe(entities, seen)
            npc.run(seen, entities, out)
        else:
            npc.coast(entities, out)
        arena.act(entities, out)
        arena.step()
        if tick % 12 == 0:
            watched.add(world, members, npc.state)
        for outcome in arena.ended():
            over += 1
            won += outcome.ranks[0] == 0
        if over == matches:
            break
    waves = world.m[at.WAVE, :matches]
    return {"level": level, "waves_reached": round(float(waves.mean()), 2), "survived": round(won / matches, 4), **watched.found()}
