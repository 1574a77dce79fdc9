"""The streaming model: a small recurrent network that looks at every player's aim in every tick, not at shots alone.

Problem. Between shots a hand also travels, tracks, corrects and trembles, and a machine that leaves the finger to its owner does not.
What the client showed its player is known exactly (snapshots are ours), so how the cursor answers to it can be judged tick by tick.

Method. A tick of a player who has an enemy in sight is a row of whole numbers (`game.Gaze`). `_figures` makes `STREAM_COUNT` figures
of it and of what is remembered of the ticks before: the error and the step in the polar frame of the target (seen from the
cursor), the share of the error that the step took away and how much that share changed, the same against where the target will be
and where it was when a hand last saw it, jerk, the line of fire and the finger, and the link as conditioning. A gated recurrent
unit (GRU, Cho et al. 2014) of `STREAM_HIDDEN` cells takes them in; its gates are rational functions, which are vectorised and need no
library. Ticks in sight are grouped in blocks of `STREAM_TICKS` (fewer where another engagement begins, at least
`STREAM_TICKS_MIN`); the mean of the cells over a block gives the shares of `aim.CLASSES`. A second head guesses the next step
as a person would make it; how far the guesses were off is `surprise`.

Guarantee. A block starts from nothing and depends on its own rows and the link's figures alone: its score has the same bits alone
and in a crowd of ten thousand, live and in an appeal. Never raises; rows are whole numbers, so nothing not finite comes in.

Cost. One compiled kernel over all players, 600 bytes of state each and the rows of a block (`python -m loadtest bench anticheat`).
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gameedge.core.anticheat.features import Floats
from gameedge.core.game import (
    GAZE_BEFORE,
    GAZE_COOLDOWN,
    GAZE_CURSOR,
    GAZE_FIRE,
    GAZE_LEFT,
    GAZE_LET_GO,
    GAZE_LINE,
    GAZE_PRESSED,
    GAZE_REPEAT,
    GAZE_SCALE,
    GAZE_SEEN,
    GAZE_SIGHT,
    GAZE_SIZE,
    GAZE_SPEED,
    GAZE_SPEED_SCALE,
    GAZE_TARGET,
    Gaze,
    Int32s,
)
from gameedge.core.kernel import kernel

STREAM_VERSION: Final = 1  # raise it when the meaning of a figure changes
STREAM_TICKS: Final = 60
STREAM_TICKS_MIN: Final = 20
STREAM_COUNT: Final = 38
STREAM_HIDDEN: Final = 24
STREAM_CLIP: Final = 5.0
_LATE: Final = 6  # ticks: about what eye and hand together are late by while they move
# What is remembered of a player between two ticks, float64.
_CURSOR, _STEP, _STEP2, _SHARE, _SHARE_COMING, _AGE, _SEEN, _ON, _HELD, _SIGHT, _SINCE, _COMING = 0, 2, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14
_OFF: Final = 15
_HELD_BEFORE: Final = 12.0  # ticks: about how long a trigger has been held that is down where a block begins
_RING: Final = 16  # targets of the last _LATE ticks
_MEMORY: Final = _RING + 2 * _LATE

# Figures that are spoken of together, and the words for them.
SPOKEN: Final = (
    ([3, 4, 5], "each step of the cursor took the same share of the way to the target that was left"),
    ([6, 7, 8, 10, 12], "the cursor went to where the target was going to be, step by step"),
    ([9, 11, 20, 21], "the cursor followed what the client had just shown, sooner than eye and hand can"),
    ([1, 2, 13, 14, 15, 16, 17], "the cursor's steps from tick to tick were not those of a hand"),
    ([22, 23, 24, 25, 26, 27, 32, 33, 34, 36, 37], "the trigger went with the line of fire, not with a finger"),
    ([0, 28, 29], "the cursor was there sooner after the target came into sight than people are"),
    ([19], "presses of the trigger repeated earlier ones to a sixtieth of a second"),
    ([35], "the cursor went to where the target was hidden, before it came into sight"),
)


# How a player's finger has gone with the line of fire: the share of presses with the line on an enemy, the share of presses that were let
# go as the line left, and how many of each. Before anything is known: about people's.
FINGER: Final = (0.4, 0.1, 0.0, 0.0)
_FINGER_MEMORY: Final = 40.0  # presses
_FINGER_PRIOR: Final = 8.0  # presses that what is said before anything is known weighs
_PRESSED_USUAL, _LET_GO_USUAL = 0.74, 0.29  # above all but one in thousands of people
# Presses alike (gaze.py): the most that any of 512 people had in three minutes. Below it chance decides, and since it is remembered over
# two dozen presses, what happened by chance once would be bet on for half a minute, one second saying what the one before it said.
_REPEAT_USUAL: Final = 40
_LEFT_TICKS: Final = 2  # let go so soon after the line left


@kernel
def finger(rows: Any, count: Any, radius: Any, memory: Any) -> None:
    """Take a block that is over, int16 [count, GAZE_SIZE], into a player's memory, float64 [4], changed in place (FINGER at first)."""
    reach = GAZE_SCALE * radius
    held, was_on, since = rows[0, GAZE_FIRE] != 0, rows[0, GAZE_LINE] <= reach, 1_000
    for k in range(1, count):
        on, fire = rows[k, GAZE_LINE] <= reach, rows[k, GAZE_FIRE] != 0
        since = since + 1 if on == was_on else 1
        was_on = on
        if fire and not held:
            memory[2] = min(memory[2] + 1.0, _FINGER_MEMORY)
            memory[0] += ((1.0 if on else 0.0) - memory[0]) / (memory[2] + _FINGER_PRIOR)
        elif held and not fire:
            memory[3] = min(memory[3] + 1.0, _FINGER_MEMORY)
            memory[1] += ((1.0 if not on and since <= _LEFT_TICKS else 0.0) - memory[1]) / (memory[3] + _FINGER_PRIOR)
        held = fire


@kernel
def write_finger(row: Any, memory: Any) -> None:
    """The memory as it stands in a row."""
    row[GAZE_PRESSED], row[GAZE_LET_GO] = int(memory[0] * 1000.0), int(memory[1] * 1000.0)


@kernel
def _log(value: Any, unit: Any) -> Any:
    return math.log1p(value / unit) if value >= 0.0 else -math.log1p(-value / unit)


@kernel
def _figures(row: Any, m: Any, count: Any, radius: Any, rtt: Any, jitter: Any, x: Any) -> None:
    """The figures of one tick into x, and the memory m after it. count: ticks of the block before this one; lengths in radii."""
    unit = 1.0 / (GAZE_SCALE * radius)
    tx, ty = row[GAZE_TARGET] * unit, row[GAZE_TARGET + 1] * unit
    ax, ay = row[GAZE_CURSOR] * unit, row[GAZE_CURSOR + 1] * unit
    vx, vy = row[GAZE_SPEED] / (GAZE_SPEED_SCALE * radius), row[GAZE_SPEED + 1] / (GAZE_SPEED_SCALE * radius)
    if count == 0:
        for k in range(m.shape[0]):
            m[k] = 0.0
        m[_CURSOR], m[_CURSOR + 1], m[_SEEN], m[_SIGHT] = ax, ay, row[GAZE_SEEN], row[GAZE_SIGHT]
        m[_SHARE] = m[_SHARE_COMING] = 0.0
        m[_SINCE] = 60.0
        m[_HELD] = _HELD_BEFORE if row[GAZE_FIRE] != 0 else 0.0
        for k in range(_LATE):
            m[_RING + 2 * k], m[_RING + 2 * k + 1] = tx, ty
    m[_AGE] = m[_AGE] + 1.0 if row[GAZE_SEEN] == m[_SEEN] and count > 0 else 0.0
    m[_SEEN] = row[GAZE_SEEN]
    again = row[GAZE_SIGHT] < m[_SIGHT]
    m[_SIGHT] = row[GAZE_SIGHT]
    px, py = m[_CURSOR], m[_CURSOR + 1]
    if again:
        for k in range(_LATE):
            m[_RING + 2 * k], m[_RING + 2 * k + 1] = tx, ty
    ux, uy = ax - px, ay - py
    u1x, u1y, u2x, u2y = m[_STEP], m[_STEP + 1], m[_STEP2], m[_STEP2 + 1]
    ex, ey = tx - px, ty - py  # the error before this step
    d = math.sqrt(ex * ex + ey * ey) + 1e-9
    speed, speed1 = math.sqrt(ux * ux + uy * uy), math.sqrt(u1x * u1x + u1y * u1y)
    cx, cy = ex / d, ey / d
    along, across = ux * cx + uy * cy, uy * cx - ux * cy
    share = min(max(along / (d + 0.1), -1.0), 2.0)
    ahead = min(m[_AGE], 6.0)
    fx, fy = tx + vx * ahead, ty + vy * ahead  # the coming target
    gx, gy = fx - px, fy - py
    g = math.sqrt(gx * gx + gy * gy) + 1e-9
    share_coming = min(max((ux * gx + uy * gy) / (g * (g + 0.1)), -1.0), 2.0)
    side_coming = (uy * gx - ux * gy) / (g * (g + 0.1))
    x[0] = math.log(d + 0.1)
    x[1] = _log(along, 0.1)
    x[2] = _log(across, 0.1)
    x[3] = share
    x[4] = min(max(across / (d + 0.1), -1.5), 1.5)
    x[5] = math.log(abs(share - m[_SHARE]) + 0.003)
    x[6] = share_coming
    x[7] = min(max(side_coming, -1.5), 1.5)
    x[8] = math.log(abs(share_coming - m[_SHARE_COMING]) + 0.003)
    after = math.sqrt((tx - ax) * (tx - ax) + (ty - ay) * (ty - ay))
    coming = math.sqrt((fx - ax) * (fx - ax) + (fy - ay) * (fy - ay))
    lx, ly = m[_RING], m[_RING + 1]  # where the target was when a hand last saw it
    late = math.sqrt((lx - ax) * (lx - ax) + (ly - ay) * (ly - ay))
    x[9] = math.log(after + 0.05)
    x[10] = math.log(coming + 0.05)
    x[11] = math.log(late + 0.05)
    x[12] = math.log(abs(coming - m[_COMING]) + 0.01)
    bx, by = ux - u1x, uy - u1y
    jx, jy = ux - 2.0 * u1x + u2x, uy - 2.0 * u1y + u2y
    x[13] = math.log(math.sqrt(bx * bx + by * by) + 0.02)
    x[14] = math.log(math.sqrt(jx * jx + jy * jy) + 0.02)
    x[15] = math.log((speed + 0.05) / (speed1 + 0.05))
    x[16] = (ux * u1x + uy * u1y) / (speed * speed1 + 0.01)
    x[17] = along / (speed + 0.1)
    x[18] = _log(vx * cx + vy * cy, 0.05)
    x[19] = math.log1p(max(row[GAZE_REPEAT] - _REPEAT_USUAL, 0) * 0.0625)
    k = _RING + 2 * (_LATE - 1)
    wx, wy = tx - m[k], ty - m[k + 1]  # what the target moved in this tick
    x[20] = math.log(math.sqrt((ux - wx) * (ux - wx) + (uy - wy) * (uy - wy)) + 0.02)
    x[21] = math.log(math.sqrt(wx * wx + wy * wy) + 0.02)
    far, off = math.sqrt(tx * tx + ty * ty), abs(row[GAZE_LINE] * unit)
    m[_ON], m[_OFF] = (m[_ON] + 1.0, 0.0) if off <= 1.0 else (0.0, m[_OFF] + 1.0)
    fire = row[GAZE_FIRE] != 0
    edge = (1.0 if m[_HELD] == 0.0 else 0.0) if fire else (-1.0 if m[_HELD] > 0.0 else 0.0)  # pressed, let go
    # When it was pressed: for how long the line had been on the target, or off it; let go: the same, and how long it was held.
    when = math.log1p(min(m[_ON], 60.0)) - math.log1p(min(m[_OFF], 60.0))
    x[32] = when if edge > 0.0 else 0.0
    x[33] = when if edge < 0.0 else 0.0
    x[34] = math.log1p(min(m[_HELD], 60.0)) if edge < 0.0 else 0.0
    m[_HELD] = m[_HELD] + 1.0 if fire else 0.0
    x[22] = math.log(off + 0.05)
    x[23] = math.log1p(min(m[_ON], 60.0))
    x[24] = math.log1p(min(m[_HELD], 60.0))
    x[25] = edge
    x[26] = math.log1p(min(m[_SINCE], 60.0))
    x[27] = row[GAZE_COOLDOWN] * 0.1
    x[28] = math.log1p(row[GAZE_SIGHT] * 1.0)
    x[29] = math.log(far + 1.0)
    x[30] = ahead
    x[31] = min(rtt, 400.0) * 0.01 + min(jitter, 40.0) * 0.1 + 0.1 * min(row[GAZE_LEFT] * 1.0, 20.0)
    x[35] = row[GAZE_BEFORE] * 0.001
    # Only what people hardly reach counts: what is remembered for long would else speak against the same ones for as long.
    x[36] = 5.0 * max(row[GAZE_PRESSED] * 0.001 - _PRESSED_USUAL, 0.0)
    x[37] = 5.0 * max(row[GAZE_LET_GO] * 0.001 - _LET_GO_USUAL, 0.0)
    m[_SINCE] = 0.0 if fire else m[_SINCE] + 1.0
    m[_COMING] = coming
    m[_SHARE], m[_SHARE_COMING] = share, share_coming
    m[_STEP2], m[_STEP2 + 1], m[_STEP], m[_STEP + 1] = u1x, u1y, ux, uy
    m[_CURSOR], m[_CURSOR + 1] = ax, ay
    for k in range(_LATE - 1):
        m[_RING + 2 * k], m[_RING + 2 * k + 1] = m[_RING + 2 * k + 2], m[_RING + 2 * k + 3]
    k = _RING + 2 * (_LATE - 1)
    m[k], m[k + 1] = tx, ty


@kernel
def _add(out: Any, count: Any, values: Any, rows: Any, at: Any) -> None:
    """out[:count] += values @ rows[:, at : at + count], one row after another: eight rows in one pass over `out` make the same sums in the
    same order as one at a time, with an eighth of the loads and stores."""
    whole = len(values) // 8 * 8
    for k in range(0, whole, 8):
        a, b, c, d = values[k], values[k + 1], values[k + 2], values[k + 3]
        e, f, g, h = values[k + 4], values[k + 5], values[k + 6], values[k + 7]
        ra, rb, rc, rd = rows[k, at:], rows[k + 1, at:], rows[k + 2, at:], rows[k + 3, at:]
        re, rf, rg, rh = rows[k + 4, at:], rows[k + 5, at:], rows[k + 6, at:], rows[k + 7, at:]
        for j in range(count):
            out[j] = out[j] + a * ra[j] + b * rb[j] + c * rc[j] + d * rd[j] + e * re[j] + f * rf[j] + g * rg[j] + h * rh[j]
    for k in range(whole, len(values)):
        a, ra = values[k], rows[k, at:]
        for j in range(count):
            out[j] += a * ra[j]


@kernel
def _cell(x: Any, h: Any, mean: Any, scale: Any, wx: Any, wh: Any, b: Any, gates: Any, proposed: Any, kept: Any) -> None:
    """One step of the unit: h changes in place. wx: [inputs, 3 H], wh: [H, 3 H], columns update, reset, proposal. kept: room for the larger
    of inputs and H."""
    size, count = h.shape[0], x.shape[0]
    one, half, limit = np.float32(1.0), np.float32(0.5), np.float32(STREAM_CLIP)
    for k in range(count):
        kept[k] = min(max((x[k] - mean[k]) * scale[k], -limit), limit)
    for j in range(3 * size):
        gates[j] = b[j]
    _add(gates, 3 * size, kept[:count], wx, 0)
    _add(gates, 2 * size, h, wh, 0)
    for j in range(2 * size):
        gates[j] = half + half * gates[j] / (one + abs(gates[j]))
    for j in range(size):
        proposed[j] = gates[2 * size + j]
        kept[j] = gates[size + j] * h[j]
    _add(proposed, size, kept[:size], wh, 2 * size)
    for j in range(size):
        c = proposed[j] / (one + abs(proposed[j]))
        h[j] += gates[j] * (c - h[j])


@kernel
def _advance(row, m, count, radius, rtt, jitter, x, h, total, guess, weights) -> None:  # type: ignore[no-untyped-def]
    """One tick of one player. total: the sums of the cells and, last, of the squares of the surprise."""
    mean, scale, wx, wh, b, wn, bn, gates, proposed, kept = weights
    if count == 0:
        for j in range(h.shape[0]):
            h[j] = np.float32(0.0)
        for j in range(total.shape[0]):
            total[j] = np.float32(0.0)
    _figures(row, m, count, radius, rtt, jitter, x)
    if count > 0:
        miss0, miss1 = x[1] - guess[0], x[2] - guess[1]
        total[h.shape[0]] += min(miss0 * miss0 + miss1 * miss1, np.float32(25.0))
    _cell(x, h, mean, scale, wx, wh, b, gates, proposed, kept)
    for j in range(h.shape[0]):
        total[j] += h[j]
    for j in range(2):
        guess[j] = bn[j]
    for k in range(h.shape[0]):
        for j in range(2):
            guess[j] += h[k] * wn[k, j]


@kernel
def _step(fresh, target, rows, rtt, jitter, radius, kept, of, counts, memory, fingers, h, total, guess, x, closed, weights):  # type: ignore[no-untyped-def]
    """A tick of everybody; how many blocks are over, their entities in `closed`."""
    over = 0
    for e in range(fresh.shape[0]):
        if not fresh[e]:
            continue
        n = counts[e]
        row = rows[e]
        if n >= STREAM_TICKS_MIN and (target[e] != of[e] or row[GAZE_SIGHT] < memory[e, _SIGHT]):
            closed[over] = e  # another engagement: this tick is the price
            over += 1
            finger(kept[e], n, radius, fingers[e])
            continue
        for k in range(GAZE_SIZE):
            kept[e, n, k] = row[k]
        write_finger(kept[e, n], fingers[e])
        _advance(kept[e, n], memory[e], n, radius, rtt[e], jitter[e], x, h[e], total[e], guess[e], weights)
        of[e] = target[e]
        counts[e] = n + 1
        if n + 1 == STREAM_TICKS:
            closed[over] = e
            over += 1
            finger(kept[e], n + 1, radius, fingers[e])
    return over


@kernel
def _replay(rows, radius, rtt, jitter, memory, h, total, guess, x, weights, out) -> None:  # type: ignore[no-untyped-def]
    """A block again; out: float32 [N, STREAM_COUNT], its figures."""
    for n in range(rows.shape[0]):
        _advance(rows[n], memory, n, radius, rtt, jitter, x, h, total, guess, weights)
        for k in range(x.shape[0]):
            out[n, k] = x[k]


@kernel
def _shares(total: Any, count: Any, wo: Any, bo: Any, out: Any) -> None:
    """The shares of the classes from the sums of a block; one sum after another, so that an appeal has the same bits."""
    for j in range(out.shape[0]):
        z = bo[j]
        for k in range(wo.shape[0]):
            z += total[k] / count * wo[k, j]
        out[j] = z
    top, every = out.max(), 0.0
    for j in range(out.shape[0]):
        out[j] = math.exp(out[j] - top)
        every += out[j]
    for j in range(out.shape[0]):
        out[j] /= every


def shapes(classes: int) -> Mapping[str, list[int | None]]:
    """The network's tensors as they lie in the artifact."""
    size = STREAM_HIDDEN
    return {
        "s_mean": [STREAM_COUNT],
        "s_scale": [STREAM_COUNT],
        "s_wx": [STREAM_COUNT, 3 * size],
        "s_wh": [size, 3 * size],
        "s_b": [3 * size],
        "s_wn": [size, 2],
        "s_bn": [2],
        "s_wo": [size, classes],
        "s_bo": [classes],
    }


class Unit:
    """The network of one model with room to work in."""

    def __init__(self, tensors: Mapping[str, Floats]) -> None:
        t, size = tensors, STREAM_HIDDEN
        room = (np.empty(n, np.float32) for n in (3 * size, size, max(size, STREAM_COUNT)))
        self.weights = (*(t[f"s_{name}"] for name in ("mean", "scale", "wx", "wh", "b", "wn", "bn")), *room)
        self._wo, self._bo = t["s_wo"].astype(np.float64), t["s_bo"].astype(np.float64)
        self.x = np.empty(STREAM_COUNT, np.float32)

    def shares(self, total: Floats, count: int) -> NDArray[np.float64]:
        """The shares of the classes for a block of `count` ticks with these sums."""
        out = np.empty(len(self._bo))
        _shares(total, count, self._wo, self._bo, out)
        return out

    @staticmethod
    def surprise(total: Floats, count: int) -> float:
        """How far the guesses of the next step were off, a mean of squares."""
        return float(total[STREAM_HIDDEN]) / max(count - 1, 1)

    def weigh(self, figures: Floats, ticks: Int32s) -> NDArray[np.float64]:
        """Log odds of a machine for blocks given as figures, float32 [N, STREAM_TICKS, STREAM_COUNT]: for reasons, not for decisions."""
        mean, scale, wx, wh, b = self.weights[:5]
        size = STREAM_HIDDEN
        x = np.clip((figures - mean) * scale, -STREAM_CLIP, STREAM_CLIP) @ wx + b
        h = np.zeros((len(figures), size))
        total = np.zeros_like(h)
        for k in range(figures.shape[1]):
            a = x[:, k, : 2 * size] + h @ wh[:, : 2 * size]
            gates = 0.5 + 0.5 * a / (1.0 + np.abs(a))
            a = x[:, k, 2 * size :] + (gates[:, size:] * h) @ wh[:, 2 * size :]
            h = h + gates[:, :size] * (a / (1.0 + np.abs(a)) - h)
            total += h * (k < ticks)[:, None]
        z = total / ticks[:, None] @ self._wo + self._bo
        e = np.exp(z - z.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        return np.asarray(np.log(p[:, 1:].sum(axis=1) + 1e-12) - np.log(p[:, 0] + 1e-12), np.float64)

    def reasons(self, blocks: list[NDArray[np.int16]], radius: float, count: int) -> list[str]:
        """What spoke most against some blocks, in words: groups of figures set to what is usual, and what the score loses by it."""
        given = np.zeros((len(blocks), STREAM_TICKS, STREAM_COUNT), np.float32)
        for i, rows in enumerate(blocks):
            given[i, : len(rows)] = self.replay(rows, radius, -1.0, -1.0)[1]
        ticks = np.array([len(rows) for rows in blocks], np.int32)
        without = np.repeat(given[None], len(SPOKEN) + 1, axis=0)
        for k, (columns, _) in enumerate(SPOKEN):
            without[k][..., columns] = self.weights[0][columns]
        score = self.weigh(without.reshape(-1, *given.shape[1:]), np.tile(ticks, len(SPOKEN) + 1)).reshape(len(SPOKEN) + 1, -1).mean(axis=1)
        said = score[-1] - score[:-1]
        return [SPOKEN[k][1] for k in np.argsort(-said)[:count] if said[k] > 0.0]

    def replay(self, rows: NDArray[np.int16], radius: float, rtt: float, jitter: float) -> tuple[Floats, Floats]:
        """A block from its rows, int16 [N, GAZE_SIZE]: the sums, float32 [STREAM_HIDDEN + 1], and the figures, [N, STREAM_COUNT]."""
        out = np.empty((len(rows), STREAM_COUNT), np.float32)
        total, h, guess = np.zeros(STREAM_HIDDEN + 1, np.float32), np.zeros(STREAM_HIDDEN, np.float32), np.zeros(2, np.float32)
        kept = np.array(rows, np.int16, order="C")
        _replay(kept, radius, known(rtt), known(jitter), np.zeros(_MEMORY), h, total, guess, self.x, self.weights, out)
        return total, out


def known(value: float) -> float:
    """A figure of a link as the network is told it: -1 where it is not known."""
    return float(np.float32(value)) if math.isfinite(value) and 0.0 <= value < 1e4 else -1.0


def score(shares: NDArray[np.float64]) -> float:
    """Log odds of some machine against a person."""
    return math.log(float(shares[1:].sum()) + 1e-12) - math.log(float(shares[0]) + 1e-12)


class Stream:
    """Blocks of all players of a process, under way. rtt_ms, jitter_ms: float32 [capacity], of the links, not finite: unknown."""

    def __init__(self, capacity: int, unit: Unit, radius: float) -> None:
        self._unit, self._radius = unit, radius
        self.kept = np.zeros((capacity, STREAM_TICKS, GAZE_SIZE), np.int16)
        self.of = np.full(capacity, -1, np.int32)
        self.counts = np.zeros(capacity, np.int32)
        self._memory = np.zeros((capacity, _MEMORY))
        self.fingers = np.tile(np.array(FINGER), (capacity, 1))  # see `finger`; whoever knows the players moves rows with them
        self._h = np.zeros((capacity, STREAM_HIDDEN), np.float32)
        self.total = np.zeros((capacity, STREAM_HIDDEN + 1), np.float32)
        self._guess = np.zeros((capacity, 2), np.float32)
        self._closed = np.zeros(capacity, np.int32)
        self.rtt = np.full(capacity, -1.0)  # of the block under way: as it was when the block began
        self.jitter = np.full(capacity, -1.0)
        self.step(Gaze.empty(capacity), np.zeros(capacity, np.float32), np.zeros(capacity, np.float32))  # compiles or loads

    def step(self, gaze: Gaze, rtt_ms: Floats, jitter_ms: Floats) -> Int32s:
        """Take a tick; entities whose block is over. Call `restart` for each before the next tick."""
        begins = np.flatnonzero(gaze.fresh & (self.counts[: len(gaze.fresh)] == 0))
        for entity in begins.tolist():
            self.rtt[entity], self.jitter[entity] = known(float(rtt_ms[entity])), known(float(jitter_ms[entity]))
        over = _step(  # type: ignore[no-untyped-call]
            *(gaze.fresh, gaze.target, gaze.rows, self.rtt, self.jitter, self._radius, self.kept, self.of),
            *(self.counts, self._memory, self.fingers, self._h, self.total, self._guess, self._unit.x, self._closed, self._unit.weights),
        )
        return self._closed[:over]

    def restart(self, entity: int) -> None:
        """The next tick begins a block."""
        self.counts[entity] = 0
