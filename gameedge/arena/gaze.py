"""The kernel of `Arena.gaze`: where everybody's cursor is, beside where their own client showed the enemy, tick by tick.

Two figures look farther back than a tick, because only the arena can:
  - before sight: the cursor's way while the enemy was still hidden, and what part of it went towards where the enemy was. Whoever
    is told of nobody has no reason to go there; a client that shows what it was sent too early (view.shown) has one.
  - repetition: each press of the trigger is the time since the press before and how long that one was held. A hand seldom repeats one of
    its last `_PRESSES_KEPT` presses to a tick, a program does: how many are alike is counted, and averaged over presses.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gameedge.arena.combat import rewound
from gameedge.arena.settings import HISTORY, RANGE
from gameedge.arena.world import AGO, ALIVE, COOLDOWN, COUNT, FIRE, HUMAN, RUNNING, SEATS, SPAWNED, STALE, STATE, TEAM, TICK, World
from gameedge.core.game import (
    GAZE_BEFORE,
    GAZE_COOLDOWN,
    GAZE_CURSOR,
    GAZE_FIRE,
    GAZE_LEFT,
    GAZE_LINE,
    GAZE_REPEAT,
    GAZE_SCALE,
    GAZE_SEEN,
    GAZE_SIGHT,
    GAZE_SPEED,
    GAZE_SPEED_SCALE,
    GAZE_TARGET,
)
from gameedge.core.kernel import kernel

_KEEP = 0.6  # another enemy must be so much nearer to the cursor to be the target from now on
_BEFORE: Final = 9  # ticks before sight that are looked at: about what is sent ahead (settings.LOOKAHEAD_S)
_HIDDEN: Final = 30  # ticks that an enemy must have been hidden for: who was just seen may be expected back
_REST: Final = 0.3  # u: a way that says nothing
_PAUSE: Final = 60  # ticks: after a longer pause nothing is compared
_PRESSES_KEPT: Final = 24
_REPEAT_SCALE: Final = 16
_SMOOTH: Final = 6  # presses: of the mean

# What is remembered of an entity, int32: columns.
_HELD, _PRESSED, _HOLD, _PRESSES, _REPEATS, _AHEAD = 0, 1, 2, 3, 4, 5
_RING: Final = 6  # the last presses: time since the one before, and how long that one was held
MEMORY: Final = _RING + 2 * _PRESSES_KEPT


@kernel
def _fixed(value: Any, scale: Any) -> int:
    """A number in fixed point, i16."""
    return int(min(max(np.floor(value * scale + 0.5), -32_768.0), 32_767.0))


@kernel
def _nearest(w: World, slot: int, seat: int, before: int) -> int:
    """The seat of the visible enemy nearest to the cursor, -1: none; `before` (an entity) is kept unless another is much nearer."""
    n, e, tick = w.n, w.rows[slot, seat], w.m[TICK, slot]
    now = tick & (HISTORY - 1)
    cx, cy = w.cursor[e, now, 0], w.cursor[e, now, 1]
    x, y = w.history[e, now, 0], w.history[e, now, 1]
    best, best_square = -1, np.inf
    for other in range(w.m[SEATS, slot]):
        o = w.rows[slot, other]
        if w.since[e, other] < 0 or n[ALIVE, o] == 0 or n[TEAM, o] == n[TEAM, e]:
            continue
        ox, oy = rewound(w.history, n[SPAWNED, o], o, tick, w.f[AGO, e])
        if (ox - x) * (ox - x) + (oy - y) * (oy - y) > RANGE * RANGE:
            continue
        square = (ox - cx) * (ox - cx) + (oy - cy) * (oy - cy)
        if o == before:
            square *= _KEEP * _KEEP
        if square < best_square:
            best, best_square = other, square
    return best


@kernel
def _finger(s: Any, fire: int, tick: int) -> None:
    """Take the trigger of a tick into the memory `s`: see the page above."""
    if fire == s[_HELD]:
        return
    s[_HELD] = fire
    if fire == 0:
        s[_HOLD] = min(tick - s[_PRESSED], _PAUSE)
        return
    pause, hold, count = tick - s[_PRESSED], s[_HOLD], s[_PRESSES]
    s[_PRESSED] = tick
    if pause < 0 or pause > _PAUSE:
        return
    alike = 0
    for k in range(min(count, _PRESSES_KEPT)):
        if abs(pause - s[_RING + 2 * k]) + abs(hold - s[_RING + 2 * k + 1]) <= 1:
            alike += 1
    s[_REPEATS] += (alike * _REPEAT_SCALE * _SMOOTH - s[_REPEATS]) // _SMOOTH
    at = _RING + 2 * (count % _PRESSES_KEPT)
    s[at], s[at + 1] = pause, hold
    s[_PRESSES] = count + 1


@kernel
def _line(w: World, e: int, o: int, tick: int) -> float:
    """How far the line of fire passes from an enemy as the client showed it; its distance where it is behind or out of range."""
    now = tick & (HISTORY - 1)
    x, y = w.history[e, now, 0], w.history[e, now, 1]
    ox, oy = rewound(w.history, w.n[SPAWNED, o], o, tick, w.f[AGO, e])
    dx, dy, cx, cy = ox - x, oy - y, w.cursor[e, now, 0] - x, w.cursor[e, now, 1] - y
    if dx * cx + dy * cy > 0.0 and dx * dx + dy * dy <= RANGE * RANGE:
        return float(abs(dx * cy - dy * cx) / np.sqrt(cx * cx + cy * cy))
    return float(np.sqrt(dx * dx + dy * dy))


@kernel
def _before_sight(w: World, e: int, o: int, tick: int, since: int) -> int:
    """GAZE_BEFORE of an enemy that is in sight since `since`, and was hidden for long enough before."""
    n, rewind = w.n, w.f[AGO, e]
    first = since - _BEFORE
    if first - 1 - rewind < max(n[SPAWNED, o], n[SPAWNED, e]) or tick - first + 2 + rewind >= HISTORY:
        return 0
    way, towards = 0.0, 0.0
    a = (first - 1) & (HISTORY - 1)
    cx, cy = w.cursor[e, a, 0] - w.history[e, a, 0], w.cursor[e, a, 1] - w.history[e, a, 1]
    for at in range(first, since):
        a = at & (HISTORY - 1)
        x, y = rewound(w.history, n[SPAWNED, o], o, at, rewind)
        ex, ey = x - w.history[e, a, 0] - cx, y - w.history[e, a, 1] - cy
        nx, ny = w.cursor[e, a, 0] - w.history[e, a, 0], w.cursor[e, a, 1] - w.history[e, a, 1]
        far = np.sqrt(ex * ex + ey * ey) + 1e-9
        way += np.sqrt((nx - cx) * (nx - cx) + (ny - cy) * (ny - cy))
        towards += ((nx - cx) * ex + (ny - cy) * ey) / far
        cx, cy = nx, ny
    return _fixed(towards / (way + _REST), 1000.0)


@kernel
def gaze(
    w: World,
    target: NDArray[np.int32],
    fresh: NDArray[np.bool_],
    rows: NDArray[np.int16],
    memory: NDArray[np.int32],
    glimpsed: NDArray[np.int32],
) -> None:
    """See `core.game.Gazing`. memory: int32 [N, MEMORY]; glimpsed: int32 [N, S], the tick at which a seat was last seen here."""
    n = w.n
    for e in range(target.shape[0]):
        fresh[e] = False
    for slot in range(w.m.shape[1]):
        if w.m[STATE, slot] != RUNNING:
            continue
        tick = w.m[TICK, slot]
        now = tick & (HISTORY - 1)
        for seat in range(w.m[SEATS, slot]):
            e = w.rows[slot, seat]
            if n[HUMAN, e] == 0:
                continue
            if n[ALIVE, e] == 0:
                target[e] = -1
                memory[e, _HELD] = 0
                continue
            if n[STALE, e] > 0:
                continue
            s = memory[e]
            _finger(s, n[FIRE, e], tick)
            other = _nearest(w, slot, seat, target[e])
            o = w.rows[slot, max(other, 0)]
            since = w.since[e, max(other, 0)]
            if other >= 0 and (target[e] != o or tick - since < rows[e, GAZE_SIGHT]):
                hidden = since - glimpsed[e, other] > _HIDDEN
                s[_AHEAD] = _before_sight(w, e, o, tick, since) if hidden else 0
            line = np.inf
            for k in range(w.m[SEATS, slot]):
                if w.since[e, k] >= 0:
                    glimpsed[e, k] = tick
                    line = min(line, _line(w, e, w.rows[slot, k], tick))
            if other < 0:
                target[e] = -1
                continue
            target[e], fresh[e] = o, True
            seen = max(float(tick) - w.f[AGO, e], float(max(n[SPAWNED, o], n[SPAWNED, e])))
            x, y = rewound(w.history, n[SPAWNED, o], o, tick, w.f[AGO, e])
            px, py = rewound(w.history, n[SPAWNED, o], o, tick, w.f[AGO, e] + 1.0)
            own_x, own_y = rewound(w.history, n[SPAWNED, e], e, tick, w.f[AGO, e])
            own_px, own_py = rewound(w.history, n[SPAWNED, e], e, tick, w.f[AGO, e] + 1.0)
            row = rows[e]
            row[GAZE_TARGET] = _fixed(x - w.history[e, now, 0], GAZE_SCALE)
            row[GAZE_TARGET + 1] = _fixed(y - w.history[e, now, 1], GAZE_SCALE)
            row[GAZE_SPEED] = _fixed((x - px) - (own_x - own_px), GAZE_SPEED_SCALE)
            row[GAZE_SPEED + 1] = _fixed((y - py) - (own_y - own_py), GAZE_SPEED_SCALE)
            row[GAZE_CURSOR] = _fixed(w.cursor[e, now, 0] - w.history[e, now, 0], GAZE_SCALE)
            row[GAZE_CURSOR + 1] = _fixed(w.cursor[e, now, 1] - w.history[e, now, 1], GAZE_SCALE)
            row[GAZE_SEEN] = int(seen) & 0x7FFF
            row[GAZE_SIGHT] = min(tick - w.since[e, other], 32_767)
            row[GAZE_FIRE] = n[FIRE, e]
            row[GAZE_COOLDOWN] = n[COOLDOWN, e]
            row[GAZE_LEFT] = min(n[COUNT, e], 32_767)
            row[GAZE_BEFORE], row[GAZE_REPEAT] = s[_AHEAD], s[_REPEATS] // _SMOOTH
            row[GAZE_LINE] = _fixed(line, GAZE_SCALE)
