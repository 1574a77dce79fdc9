"""The kernel of `Arena.gaze`: where everybody's cursor is, beside where their own client showed the enemy, tick by tick."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gameedge.arena.combat import rewound
from gameedge.arena.settings import HISTORY, RANGE
from gameedge.arena.world import ALIVE, COOLDOWN, COUNT, FIRE, HUMAN, REWIND, RUNNING, SEATS, SPAWNED, STALE, STATE, TEAM, TICK, World
from gameedge.core.game import (
    GAZE_COOLDOWN,
    GAZE_CURSOR,
    GAZE_FIRE,
    GAZE_LEFT,
    GAZE_SCALE,
    GAZE_SEEN,
    GAZE_SIGHT,
    GAZE_SPEED,
    GAZE_SPEED_SCALE,
    GAZE_TARGET,
)
from gameedge.core.kernel import kernel

_KEEP = 0.6  # another enemy must be so much nearer to the cursor to be the target from now on


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
        ox, oy = rewound(w.history, n[SPAWNED, o], o, tick, w.f[REWIND, e])
        if (ox - x) * (ox - x) + (oy - y) * (oy - y) > RANGE * RANGE:
            continue
        square = (ox - cx) * (ox - cx) + (oy - cy) * (oy - cy)
        if o == before:
            square *= _KEEP * _KEEP
        if square < best_square:
            best, best_square = other, square
    return best


@kernel
def gaze(w: World, target: NDArray[np.int32], fresh: NDArray[np.bool_], rows: NDArray[np.int16]) -> None:
    """See `core.game.Gazing`."""
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
                continue
            if n[STALE, e] > 0:
                continue
            other = _nearest(w, slot, seat, target[e])
            if other < 0:
                target[e] = -1
                continue
            o = w.rows[slot, other]
            target[e], fresh[e] = o, True
            seen = max(float(tick) - w.f[REWIND, e], float(max(n[SPAWNED, o], n[SPAWNED, e])))
            x, y = rewound(w.history, n[SPAWNED, o], o, tick, w.f[REWIND, e])
            px, py = rewound(w.history, n[SPAWNED, o], o, tick, w.f[REWIND, e] + 1.0)
            own_x, own_y = rewound(w.history, n[SPAWNED, e], e, tick, w.f[REWIND, e])
            own_px, own_py = rewound(w.history, n[SPAWNED, e], e, tick, w.f[REWIND, e] + 1.0)
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
