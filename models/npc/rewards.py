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
LIKE: Final = 0.06  # a decision, times how much the style likes the situation above NEUTRAL
NEUTRAL: Final = 0.4  # about what a situation is liked that nobody chose: more, and merely to live on would be worth hiding for
TOLD: Final = 0.012  # a decision, for each nat by which its situation gives the style away (models/npc/discriminator.py)
ALONE: Final = 0.1  # part of LIKE where there are no mates: one against one, fights come first
HURT_WEIGHT: Final = np.array([0.8, 1.2, 1.0, 1.0, 1.0, 1.1, 1.0, 0.9], np.float32)  # of damage taken, by style
FAR: Final = 60.0  # u, where there is nobody

# -- a situation: what styles are about, float32 [SITUATION]
ENEMY: Final = 0  # u to the nearest living enemy
ALLY: Final = 1  # u to the nearest living ally
MATES: Final = 2  # living allies within CLOSE
FRONT: Final = 3  # u by which it is nearer to that enemy than the nearest ally is
MIDDLE: Final = 4  # u from the middle of the map
EDGE: Final = 5  # the larger of |x| and |y| from the middle
SPEED: Final = 6  # u/s
TRAVEL: Final = 7  # u from where it was a second ago
SEEN: Final = 8  # an enemy sees it
SEES: Final = 9  # it sees the nearest enemy
BEHIND: Final = 10  # 1: behind the back of the nearest enemy, 0: in its face; 0.5 far away
SITUATION: Final = 11
SCALE: Final = np.array([24.0, 12.0, 3.0, 12.0, 24.0, 24.0, 6.0, 6.0, 1.0, 1.0, 1.0], np.float32)
CLOSE: Final = 3.0  # u


@kernel
def near(lo: float, hi: float, soft: float, value: float) -> float:
    """1 between lo and hi, falling to 0 within `soft` outside."""
    if value < lo:
        return max(0.0, 1.0 - (lo - value) / soft)
    return max(0.0, 1.0 - (value - hi) / soft) if value > hi else 1.0


@kernel
def seen_by(since: NDArray[np.int32], n: NDArray[np.int32], rows: NDArray[np.int32], seats: int, e: int) -> bool:
    """Whether any living enemy sees this entity now."""
    for seat in range(seats):
        other = rows[seat]
        if n[at.TEAM, other] != n[at.TEAM, e] and n[at.ALIVE, other] == 1 and since[other, n[at.SEAT, e]] >= 0:
            return True
    return False


@kernel
def situate(w: at.World, slot: int, e: int, out: Floats) -> None:
    """The situation of a living entity."""
    f, n, rows, seats = w.f, w.n, w.rows[slot], w.m[at.SEATS, slot]
    x, y = f[at.X, e], f[at.Y, e]
    enemy, ally, who, friend, mates = FAR, FAR, -1, -1, 0
    for seat in range(seats):
        other = rows[seat]
        if other == e or n[at.ALIVE, other] == 0:
            continue
        dx, dy = f[at.X, other] - x, f[at.Y, other] - y
        distance = np.sqrt(dx * dx + dy * dy)
        if n[at.TEAM, other] != n[at.TEAM, e]:
            if distance < enemy:
                enemy, who = distance, other
        else:
            mates += 1 if distance < CLOSE else 0
            if distance < ally:
                ally, friend = distance, other
    out[:] = 0.0
    out[ENEMY], out[ALLY], out[MATES], out[BEHIND] = enemy, ally, mates, 0.5
    if who >= 0:
        out[SEES] = 1.0 if w.since[e, n[at.SEAT, who]] >= 0 else 0.0
        if friend >= 0:
            dx, dy = f[at.X, friend] - f[at.X, who], f[at.Y, friend] - f[at.Y, who]
            out[FRONT] = min(max(np.sqrt(dx * dx + dy * dy) - enemy, -12.0), 12.0)
        if 1e-3 < enemy < 24.0:
            out[BEHIND] -= 0.5 * ((x - f[at.X, who]) * f[at.DX, who] + (y - f[at.Y, who]) * f[at.DY, who]) / enemy
    out[MIDDLE] = np.sqrt((x - 32.0) ** 2 + (y - 32.0) ** 2)
    out[EDGE] = max(abs(x - 32.0), abs(y - 32.0))
    out[SPEED] = np.sqrt(f[at.VX, e] ** 2 + f[at.VY, e] ** 2)
    past = (w.m[at.TICK, slot] - HISTORY + 4) & (HISTORY - 1)
    dx, dy = x - w.history[e, past, 0], y - w.history[e, past, 1]
    out[TRAVEL] = min(np.sqrt(dx * dx + dy * dy), 7.0)
    out[SEEN] = 1.0 if seen_by(w.since, n, rows, seats, e) else 0.0


@kernel
def liking(s: Floats, style: int) -> float:
    """How much a style likes a situation, 0 to 1. Most have a wide slope that leads there and a narrow one that holds it."""
    if style == 0:  # aggressive: close to the enemy
        return 0.5 * near(0.0, 5.0, 6.0, s[ENEMY]) + 0.5 * near(0.0, 5.0, 30.0, s[ENEMY])
    if style == 1:  # careful: unseen, and never near
        return 0.6 * (1.0 - s[SEEN]) + 0.4 * near(14.0, 28.0, 8.0, s[ENEMY])
    if style == 2:  # flanker: along the edge of the map, on the move, and behind whom it meets
        return near(26.0, FAR, 10.0, s[EDGE]) * (0.1 + 0.6 * min(s[TRAVEL] / 5.5, 1.0)) + 0.3 * s[BEHIND]
    if style == 3:  # guardian: holds the middle of the map
        return 0.5 * near(0.0, 7.0, 3.0, s[MIDDLE]) + 0.5 * near(0.0, 7.0, 26.0, s[MIDDLE])
    if style == 4:  # roamer: always on its way, across the map
        return min(s[TRAVEL] / 5.5, 1.0) * (0.4 + 0.6 * near(0.0, 22.0, 4.0, s[EDGE]))
    if style == 5:  # sniper: far away, and standing where it sees somebody
        still = 1.0 - min(s[SPEED] / 3.0, 1.0)
        return 0.3 * near(20.0, 36.0, 10.0, s[ENEMY]) + s[SEES] * (0.2 + 0.5 * still)
    if s[ALLY] >= FAR:  # the last two need company: alone they keep a middle distance, or close in
        return near(12.0, 17.0, 12.0, s[ENEMY]) if style == 6 else near(0.0, 9.0, 18.0, s[ENEMY])
    if style == 6:  # support: a few steps from a friend, and not in front
        back = min(max(0.5 - s[FRONT] / 6.0, 0.0), 1.0)
        return 0.4 * near(4.5, 8.0, 2.0, s[ALLY]) + 0.3 * near(4.5, 8.0, 4.5 if s[ALLY] < 4.5 else 16.0, s[ALLY]) + 0.3 * back
    packed = 0.4 * near(0.0, 2.0, 2.0, s[ALLY]) + 0.3 * near(0.0, 2.0, 16.0, s[ALLY]) + 0.15 * min(s[MATES] / 2.0, 1.0)
    return packed + 0.15 * near(0.0, 9.0, 24.0, s[ENEMY])  # swarm: on top of each other, at the enemy


@kernel
def collect(
    w: at.World, told: NDArray[np.int32], styles: NDArray[np.int32], rewards: Floats, done: Floats, situations: Floats, shape: float
) -> None:
    """Rewards since the last call by entity, float32 [entities], and 1 in `done` where a life ended.

    told: int32 [matches], events of each match that were considered before; situations: float32 [entities, SITUATION], written
    where an entity is alive and shape > 0; shape scales what styles like (0: fights alone).
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
                    situate(w, slot, e, situations[e])
                    part = ALONE if situations[e, ALLY] >= FAR else 1.0
                    rewards[e] += shape * LIKE * part * (liking(situations[e], styles[e]) - NEUTRAL)


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


assert len(HURT_WEIGHT) == STYLE_COUNT
assert len(SCALE) == SITUATION
