"""What the NPCs are rewarded for: fights won, and for each style what that style likes. Truth from the arena, training only."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gameedge.arena import world as at
from gameedge.arena.settings import EVENTS, HISTORY
from gameedge.core.kernel import kernel
from gameedge.core.npc.style import STYLE_COUNT
from gameedge.core.protocol.arena_v1 import HIT, KILL

Floats = NDArray[np.float32]

TEAM_SHARE: Final = 0.3  # part of a reward that is the team's mean
SHAPE: Final = np.array([0.020, 0.012, 0.014, 0.026, 0.012, 0.010, 0.026, 0.026], np.float32)  # a decision, by style
HURT_WEIGHT: Final = np.array([0.8, 1.3, 1.0, 1.0, 1.0, 1.1, 1.0, 0.9], np.float32)  # of damage taken, by style
FAR: Final = 1e3


@kernel
def near(lo: float, hi: float, soft: float, value: float) -> float:
    """1 between lo and hi, falling to 0 within `soft` outside."""
    if value < lo:
        return max(0.0, 1.0 - (lo - value) / soft)
    return max(0.0, 1.0 - (value - hi) / soft) if value > hi else 1.0


@kernel
def around(f: NDArray[np.float64], n: NDArray[np.int32], rows: NDArray[np.int32], seats: int, e: int) -> tuple[float, float, int]:
    """Distances to the nearest living enemy and ally, and that enemy's row (-1: none)."""
    enemy, ally, who = FAR, FAR, -1
    for seat in range(seats):
        other = rows[seat]
        if other == e or n[at.ALIVE, other] == 0:
            continue
        dx, dy = f[at.X, other] - f[at.X, e], f[at.Y, other] - f[at.Y, e]
        distance = np.sqrt(dx * dx + dy * dy)
        if n[at.TEAM, other] == n[at.TEAM, e]:
            ally = min(ally, distance)
        elif distance < enemy:
            enemy, who = distance, other
    return enemy, ally, who


@kernel
def seen_by(since: NDArray[np.int32], n: NDArray[np.int32], rows: NDArray[np.int32], seats: int, e: int) -> bool:
    """Whether any living enemy sees this entity now."""
    for seat in range(seats):
        other = rows[seat]
        if n[at.TEAM, other] != n[at.TEAM, e] and n[at.ALIVE, other] == 1 and since[other, n[at.SEAT, e]] >= 0:
            return True
    return False


@kernel
def liking(w: at.World, slot: int, e: int, style: int) -> float:
    """How much a style likes its present situation, 0 to 1."""
    f, n = w.f, w.n
    enemy, ally, who = around(f, n, w.rows[slot], w.m[at.SEATS, slot], e)
    x, y = f[at.X, e] - 32.0, f[at.Y, e] - 32.0
    if style == 0:  # aggressive: close to the enemy
        return near(0.0, 4.0, 24.0, enemy)
    if style == 1:  # careful: unseen, and never near
        return 0.6 * (0.0 if seen_by(w.since, n, w.rows[slot], w.m[at.SEATS, slot], e) else 1.0) + 0.4 * near(14.0, FAR, 6.0, enemy)
    if style == 2:  # flanker: along the edge of the map, and behind whom it meets
        behind = 0.0
        if 1e-3 < enemy < 24.0:
            ux, uy = (f[at.X, e] - f[at.X, who]) / enemy, (f[at.Y, e] - f[at.Y, who]) / enemy
            behind = 0.5 - 0.5 * (ux * f[at.DX, who] + uy * f[at.DY, who])
        return 0.7 * near(26.0, FAR, 10.0, max(abs(x), abs(y))) + 0.3 * behind
    if style == 3:  # guardian: holds the middle of the map
        return near(0.0, 5.0, 32.0, np.sqrt(x * x + y * y))
    if style == 4:  # roamer: always on its way
        past = (w.m[at.TICK, slot] - HISTORY + 4) & (HISTORY - 1)
        dx, dy = f[at.X, e] - w.history[e, past, 0], f[at.Y, e] - w.history[e, past, 1]
        return min(np.sqrt(dx * dx + dy * dy) / 5.5, 1.0)
    still = 1.0 - min(np.sqrt(f[at.VX, e] ** 2 + f[at.VY, e] ** 2) / 3.0, 1.0)
    if style == 5:  # sniper: far away, and standing where it sees somebody
        sees = who >= 0 and w.since[e, n[at.SEAT, who]] >= 0
        return 0.5 * near(22.0, 36.0, 10.0, enemy) + (0.5 * still if sees else 0.0)
    if ally >= FAR:  # the last two need company: alone they keep a middle distance, or close in
        return near(12.0, 17.0, 12.0, enemy) if style == 6 else near(0.0, 9.0, 18.0, enemy)
    if style == 6:  # support: a few steps from a friend, not in front
        return 0.8 * near(4.0, 7.0, 4.0 if ally < 4.0 else 14.0, ally) + 0.2 * near(14.0, 22.0, 8.0, enemy)
    return 0.8 * near(0.0, 1.5, 14.0, ally) + 0.2 * near(0.0, 9.0, 18.0, enemy)  # swarm: on top of each other, at the enemy


@kernel
def collect(w: at.World, told: NDArray[np.int32], styles: NDArray[np.int32], rewards: Floats, done: Floats, shape: float) -> None:
    """Rewards since the last call by entity, float32 [entities], and 1 in `done` where a life ended.

    told: int32 [matches], events of each match that were considered before; shape scales what styles like (0: fights alone).
    """
    n, m = w.n, w.m
    rewards[:] = 0.0
    done[:] = 0.0
    for slot in range(m.shape[1]):
        if m[at.STATE, slot] == at.FREE:
            continue
        count = m[at.EVENT_COUNT, slot]
        for event in range(max(told[slot], count - EVENTS), count):
            ring = event & (EVENTS - 1)
            kind = w.events[slot, ring, 0]
            if kind != HIT and kind != KILL:
                continue
            by, of = w.rows[slot, w.events[slot, ring, 1]], w.rows[slot, w.events[slot, ring, 2]]
            worth = 0.6 if kind == KILL else 0.004 * w.events[slot, ring, 3]
            rewards[by] += worth
            rewards[of] -= worth * HURT_WEIGHT[styles[of]]
            if kind == KILL:
                done[of] = 1.0
        told[slot] = count
        share(w, slot, rewards)
        if shape > 0.0:
            for seat in range(m[at.SEATS, slot]):
                e = w.rows[slot, seat]
                if n[at.ALIVE, e] == 1:
                    rewards[e] += shape * SHAPE[styles[e]] * liking(w, slot, e, styles[e])


@kernel
def share(w: at.World, slot: int, rewards: Floats) -> None:
    """Mix each reward of a match with its team's mean."""
    n = w.n
    total, size = np.zeros(16, np.float64), np.zeros(16, np.int64)
    seats = w.m[at.SEATS, slot]
    for seat in range(seats):
        e = w.rows[slot, seat]
        total[n[at.TEAM, e] & 15] += rewards[e]
        size[n[at.TEAM, e] & 15] += 1
    for seat in range(seats):
        e = w.rows[slot, seat]
        team = n[at.TEAM, e] & 15
        if size[team] > 1:
            rewards[e] += TEAM_SHARE * (total[team] / size[team] - rewards[e])


assert len(SHAPE) == STYLE_COUNT
