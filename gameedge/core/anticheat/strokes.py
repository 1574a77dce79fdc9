"""Strokes that come again: a hand never makes the same movement twice, a recording does.

Problem. A cheat that plays back a person's recorded movements, turned and stretched onto its target, has a person's speed, tremor and
curve in every sample: shot by shot little tells it from a person (models/anticheat/CARD.md). But recordings are few and shots are many.

Method. The cursor relative to the player, tick by tick while an enemy is in sight, is cut into strokes where its speed falls below a part
of the stroke's peak. A stroke becomes `POINTS` places, even in time about the centre of its speed and as far as its speed is spread, from
their mean and in units of their spread: where it was, how large and how fast no longer matter. Two strokes are compared as if one had been
turned, or mirrored and turned, onto the other as well as can be (Procrustes; complex numbers do it in closed form). What is left of the
distance is weighed against how much of a stroke no polynomial of the fifth degree in time explains (that of minimum jerk), since plain
movements resemble each other without being the same: `likeness` = rest / sqrt(unexplained), the smaller the more alike. Strokes that are
all but such a polynomial, in a line, or of even speed (a key or a stick held) are not judged: such devices do repeat. Each stroke is
compared with the last `KEPT` of the same player.
The account is a bet that at most `RATE` of an innocent's strokes are nearer than `ALIKE` to one before, played with several stakes and
over all strokes that it may have begun at (as `accumulate` does).

Guarantee. By Ville's inequality the account of an innocent ever reaches 1/a with probability at most a, as far as `RATE` holds for every
one of them, whatever they did before; it was measured on recorded people (models/anticheat/evaluate_strokes.py). No stroke alone is
evidence. A recording that is played once, or is bent anew each time by more than a hand's own tremor, is not found.

Cost. One compiled kernel over all players a tick; `KEPT` x 84 bytes and some, 22 KB a player.

Source: Procrustes analysis (Gower 1975); e-detectors (Shin, Ramdas and Rinaldo 2023).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gameedge.core.anticheat.accumulate import WEALTH_MAX
from gameedge.core.game import GAZE_CURSOR, GAZE_SCALE, Bools, Gaze
from gameedge.core.kernel import kernel

POINTS: Final = 16
KEPT: Final = 256
ALIKE: Final = 0.03
RATE: Final = 0.003
STAKES: Final = (0.01, 0.05, 0.2)
GAP_TICKS: Final = 2  # without input, that a stroke goes on over: the client's samples follow each other all the same
TICKS_MIN, TICKS_MAX = 8, 48  # of a stroke
FLOOR_RADII, WAY_RADII = 0.06, 1.6  # speed a tick that begins a stroke, and how far it must go, in radii of targets
_PART: Final = 0.12  # of the peak speed, under which a stroke is over
_REACH: Final = 1.7  # how much of a stroke is looked at, in spreads of its speed in time
_PLAIN: Final = 0.002  # what the fifth degree leaves unexplained of strokes that are too plain
_STRAIGHT: Final = 0.004  # how far strokes that are too straight leave a line, a part of their size
_EVEN: Final = 0.15  # spread of the speed, a part of its mean, of strokes that are too even
_PACE: Final = 1.5  # strokes that took more than so many times as long are not compared
_UNIT: Final = 4_096.0  # of the shapes as they are kept
_ROOM: Final = 64
_BEFORE: Final = 3  # samples before a stroke, and after it as many as there are, that its shape may use
_STAKES: Final = np.array(STAKES)
_PRIOR: Final = 1.0 / 2.1097428  # as accumulate.prior
_CURVES: Final = np.linalg.qr(np.vander(np.linspace(-1.0, 1.0, POINTS), 6))[0]
_IDLE, _LONG = -1, -2

Shape = NDArray[np.int16]


@kernel
def bet(parts: Any, strokes: Any, alike: Any) -> None:
    """The account after one more stroke, float64 [len(STAKES)], changed in place. strokes: judged before it."""
    prior = _PRIOR / ((strokes + 2.0) * math.log(strokes + 2.0) ** 2)
    for k in range(parts.shape[0]):
        pays = 1.0 - _STAKES[k] + (_STAKES[k] / RATE if alike else 0.0)
        parts[k] = min(pays * (parts[k] + prior), WEALTH_MAX)


@kernel
def _speed(p: Any, m: Any) -> Any:
    """Of the step from sample m, smoothed with its neighbours."""
    x = 0.25 * (p[m + 2, 0] + p[m + 1, 0] - p[m, 0] - p[m - 1, 0])
    y = 0.25 * (p[m + 2, 1] + p[m + 1, 1] - p[m, 1] - p[m - 1, 1])
    return math.sqrt(x * x + y * y)


@kernel
def _timing(p: Any, lo: Any, hi: Any) -> Any:
    """The centre of the speed from sample lo to hi, in samples from lo, and its spread in time."""
    peak = 0.0
    for m in range(lo, hi):
        peak = max(peak, _speed(p, m))
    every, first, second = 0.0, 0.0, 0.0
    for m in range(lo, hi):
        s = max(_speed(p, m) - _PART * peak, 0.0)
        at = m - lo + 0.5
        every += s
        first += s * at
        second += s * at * at
    centre = first / (every + 1e-12)
    return centre, math.sqrt(max(second / (every + 1e-12) - centre * centre, 0.0))


@kernel
def _shape(p: Any, lo: Any, hi: Any, q: Any, out: Any) -> Any:
    """The shape of samples lo to hi of p into out, int16 [2 * POINTS] (all x, then all y); answers how it is spread in time. q: room,
    float64 [POINTS, 2]. There is a sample before lo and one after hi."""
    centre, spread = _timing(p, lo, hi)
    sx, sy = 0.0, 0.0
    for k in range(POINTS):
        at = min(max(lo + centre + _REACH * spread * (2.0 * k / (POINTS - 1) - 1.0), lo * 1.0), hi * 1.0)
        m = min(int(at), hi - 1)
        f = at - m
        for c in range(2):
            a = 0.25 * p[m - 1, c] + 0.5 * p[m, c] + 0.25 * p[m + 1, c]
            b = 0.25 * p[m, c] + 0.5 * p[m + 1, c] + 0.25 * p[m + 2, c]
            q[k, c] = a + (b - a) * f
        sx += q[k, 0]
        sy += q[k, 1]
    square = 0.0
    for k in range(POINTS):
        q[k, 0] -= sx / POINTS
        q[k, 1] -= sy / POINTS
        square += q[k, 0] * q[k, 0] + q[k, 1] * q[k, 1]
    size = math.sqrt(square / POINTS) + 1e-9
    for k in range(POINTS):
        for c in range(2):
            out[c * POINTS + k] = math.floor(q[k, c] / size * _UNIT + 0.5)
    return spread


@kernel
def _about(shape: Any, about: Any) -> Any:
    """Of a kept shape, into about[1] and [2], float32: what is unexplained of it, and its squared length. Answers whether it can be judged:
    it is not too plain, too straight or too even."""
    norm, left = 0.0, 0.0
    for c in range(2):
        for k in range(POINTS):
            norm += float(shape[c * POINTS + k]) * float(shape[c * POINTS + k])
        for j in range(_CURVES.shape[1]):
            dot = 0.0
            for k in range(POINTS):
                dot += _CURVES[k, j] * float(shape[c * POINTS + k])
            left -= dot * dot
    left += norm
    about[1], about[2] = math.sqrt(max(left, 0.0) / POINTS) / _UNIT, norm
    xx, yy, xy = 0.0, 0.0, 0.0
    for k in range(POINTS):
        x, y = float(shape[k]), float(shape[POINTS + k])
        xx, yy, xy = xx + x * x, yy + y * y, xy + x * y
    narrow = 0.5 * (xx + yy - math.sqrt((xx - yy) * (xx - yy) + 4.0 * xy * xy)) / (norm + 1e-9)
    mean, square = 0.0, 0.0
    for k in range(POINTS - 1):
        x, y = float(shape[k + 1]) - float(shape[k]), float(shape[POINTS + k + 1]) - float(shape[POINTS + k])
        s = math.sqrt(x * x + y * y)
        mean += s / (POINTS - 1)
        square += s * s / (POINTS - 1)
    varied = math.sqrt(max(square - mean * mean, 0.0)) >= _EVEN * mean
    return varied and about[1] >= _PLAIN and narrow >= _STRAIGHT * _STRAIGHT


@kernel
def _nearest(shape: Any, about: Any, shapes: Any, abouts: Any, count: Any, room: Any) -> Any:
    """The likeness of a shape to the likest of `count` others, and which that is (-1: none can be compared). about: float32 [3], spread in
    time, what is unexplained, squared length; shapes: [2 * POINTS, KEPT]; abouts: [3, KEPT]; room: float32 [4, KEPT]."""
    for h in range(count):
        room[0, h] = room[1, h] = room[2, h] = room[3, h] = np.float32(0.0)
    for k in range(POINTS):
        x, y = np.float32(shape[k]), np.float32(shape[POINTS + k])
        for h in range(count):
            u, v = np.float32(shapes[k, h]), np.float32(shapes[POINTS + k, h])
            room[0, h] += x * u
            room[1, h] += y * v
            room[2, h] += y * u
            room[3, h] += x * v
    best, where = 1e9, -1
    for h in range(count):
        if not (abouts[0, h] <= _PACE * about[0] and about[0] <= _PACE * abouts[0, h]):
            continue
        xx, yy, yx, xy = float(room[0, h]), float(room[1, h]), float(room[2, h]), float(room[3, h])
        turned = (xx + yy) * (xx + yy) + (yx - xy) * (yx - xy)
        mirrored = (xx - yy) * (xx - yy) + (yx + xy) * (yx + xy)
        same = max(turned, mirrored) / (float(about[2]) * float(abouts[2, h]))
        left = max(1.0 - same, 0.0) / float(min(about[1], abouts[1, h]))
        if left < best:
            best, where = left, h
    return math.sqrt(best), where


@kernel
def _judge(shape, about, s, tally, shapes, abouts, made, now, limit, near, pair, first):  # type: ignore[no-untyped-def]
    """A stroke of one player is over: bet, and keep it. Its likeness to one before where it is like one, then both are in `pair`, and in
    `first` how many strokes before it that one was, and when it was over; else -1. now: the tick."""
    alike, count = -1.0, min(s[3], KEPT)
    nearest, at = _nearest(shape, about, shapes, abouts, count, near)
    if at >= 0 and nearest < limit:
        alike = nearest
        for k in range(2 * POINTS):
            pair[0, k], pair[1, k] = shapes[k, at], shape[k]
        first[0], first[1] = (s[3] - at - 1) % KEPT + 1, made[at]
    bet(tally, s[3], alike >= 0.0)
    to = s[3] % KEPT
    for k in range(2 * POINTS):
        shapes[k, to] = shape[k]
    for k in range(3):
        abouts[k, to] = about[k]
    made[to] = now
    s[3] += 1
    return alike


@kernel
def _cut(p: Any, s: Any, keep: Any) -> None:
    """Forget samples of a path but the last `keep`."""
    shift = s[0] - keep
    for k in range(shift, s[0]):
        p[k - shift, 0], p[k - shift, 1] = p[k, 0], p[k, 1]
    s[0] = keep
    s[1] = s[1] - shift if s[1] >= 0 else s[1]


@kernel
def _advance(p: Any, s: Any, floor: Any, way: Any) -> Any:
    """The newest sample is in p: where the stroke began that is over with it, and is long enough; 0: none is."""
    m, peak = s[0] - 3, p[0, 2]
    speed, begun = _speed(p, m), s[1]
    if begun >= 0 and speed > max(floor, _PART * peak):
        p[0, 2] = max(peak, speed)
        if m - begun >= TICKS_MAX:
            s[1] = _LONG
    elif begun >= 0:
        s[1] = _IDLE
        while _speed(p, begun) < _PART * peak:
            begun += 1
        x, y = p[m, 0] - p[begun, 0], p[m, 1] - p[begun, 1]
        return begun if m - begun >= TICKS_MIN and x * x + y * y >= way * way else 0
    elif speed <= floor:
        s[1] = _IDLE
    elif begun == _IDLE:
        s[1], p[0, 2] = m, speed
    return 0


@kernel
def _step(fresh, rows, now, floor, way, limit, state, path, tally, shapes, abouts, made, found, room):  # type: ignore[no-untyped-def]
    """A tick of everybody. state: int32 [capacity, 6] samples kept, where the stroke began (or _IDLE, _LONG), ticks without input, strokes
    judged, of these alike, judged since; path: float64 [capacity, _ROOM, 3], places and, in [0, 2], the peak; found: who was alike, the two
    shapes, the likeness, the strokes before it that were not, and of the first how many strokes before and when. Answers how many were."""
    who, pairs, likeness, passed, firsts = found
    q, shape, about, near = room
    over = 0
    for e in range(fresh.shape[0]):
        s, p = state[e], path[e]
        if not fresh[e]:
            s[2] += 1
            if s[2] > GAP_TICKS and s[0] > 0:
                s[0], s[1] = 0, _IDLE
            continue
        s[2] = 0
        p[s[0], 0], p[s[0], 1] = rows[e, GAZE_CURSOR], rows[e, GAZE_CURSOR + 1]
        s[0] += 1
        if s[0] <= _BEFORE:
            continue
        begun = _advance(p, s, floor, way)
        if begun > 0:
            about[0] = _shape(p, max(begun - _BEFORE, 1), s[0] - 2, q, shape)
            if _about(shape, about):
                s[5] += 1
                likeness[over] = _judge(  # type: ignore[no-untyped-call]
                    shape, about, s, tally[e], shapes[e], abouts[e], made[e], now, limit, near, pairs[over], firsts[over]
                )
                if likeness[over] >= 0.0:
                    who[over], passed[over] = e, s[5] - 1
                    over += 1
                    s[4] += 1
                    s[5] = 0
        if s[1] < 0 and s[0] > _BEFORE + 4:  # between strokes the last few samples are enough
            _cut(p, s, _BEFORE + 4)
    return over


@dataclass(slots=True)
class Past:
    """What is known of a player's strokes between two matches. shapes: int16 [2 * POINTS, n]; abouts: float32 [3, n]; made: int64 [n],
    ticks."""

    shapes: Shape
    abouts: NDArray[np.float32]
    made: NDArray[np.int64]
    tally: NDArray[np.float64]
    strokes: int
    alike: int
    passed: int


@dataclass(frozen=True, slots=True)
class Again:
    """A stroke that was like one before. first, again: int16 [2 * POINTS]; passed: strokes that were not, since the last that was; back:
    how many strokes before it the first was; first_tick, tick: when each was over, in steps of `Strokes`."""

    entity: int
    first: Shape
    again: Shape
    likeness: float
    passed: int
    back: int
    first_tick: int
    tick: int


class Strokes:
    """The strokes of all players of a process. radius: of targets, world units."""

    def __init__(self, capacity: int, radius: float, alike: float = ALIKE) -> None:
        self._alike, self._floor, self._way = alike, FLOOR_RADII * radius * GAZE_SCALE, WAY_RADII * radius * GAZE_SCALE
        self._state = np.zeros((capacity, 6), np.int32)
        self._path = np.zeros((capacity, _ROOM, 3))
        self._tally = np.zeros((capacity, len(STAKES)))
        self._shapes = np.zeros((capacity, 2 * POINTS, KEPT), np.int16)
        self._abouts = np.zeros((capacity, 3, KEPT), np.float32)
        self._made = np.zeros((capacity, KEPT), np.int64)
        self._tick = 0
        pairs = np.zeros((capacity, 2, 2 * POINTS), np.int16)
        firsts = np.zeros((capacity, 2), np.int64)
        self._found = np.zeros(capacity, np.int32), pairs, np.zeros(capacity), np.zeros(capacity, np.int32), firsts
        self._room = np.zeros((POINTS, 2)), np.zeros(2 * POINTS, np.int16), np.zeros(3, np.float32), np.zeros((4, KEPT), np.float32)
        self._state[:, 1] = _IDLE
        gaze = Gaze.empty(capacity)
        self.step(gaze, gaze.fresh)  # compiles or loads
        self._state[:, 2] = 0

    def step(self, gaze: Gaze, fresh: Bools) -> list[Again]:
        """Take a tick; the strokes that ended with it and were like one before. fresh: bool [N], rows that are looked at."""
        self._tick += 1
        over = _step(  # type: ignore[no-untyped-call]
            *(fresh, gaze.rows, self._tick, self._floor, self._way, self._alike, self._state, self._path, self._tally),
            *(self._shapes, self._abouts, self._made, self._found, self._room),
        )
        return list(self._again(over)) if over else []

    def _again(self, over: int) -> Iterator[Again]:
        who, pairs, likeness, passed, firsts = self._found
        for k in range(over):
            back, first_tick = firsts[k].tolist()
            shapes = pairs[k, 0].copy(), pairs[k, 1].copy()
            yield Again(int(who[k]), *shapes, float(likeness[k]), int(passed[k]), back, first_tick, self._tick)

    def log(self, entity: int) -> float:
        """The natural logarithm of the account."""
        return log_of(self._tally[entity])

    def counts(self, entity: int) -> tuple[int, int]:
        """Strokes judged, and those that were like one before."""
        return int(self._state[entity, 3]), int(self._state[entity, 4])

    def put(self, entity: int, past: Past | None) -> None:
        """This player moves this entity from now on; None: one of whom nothing is known."""
        self._state[entity] = 0
        self._state[entity, 1] = _IDLE
        self._tally[entity] = 0.0
        if past is None:
            return
        n = past.shapes.shape[1]
        self._shapes[entity, :, :n], self._abouts[entity, :, :n], self._made[entity, :n] = past.shapes, past.abouts, past.made
        self._tally[entity] = past.tally
        self._state[entity, 3:] = past.strokes, past.alike, past.passed

    def take(self, entity: int) -> Past:
        """What is known of the player who moved this entity; the stroke under way is over and not judged."""
        strokes, alike, passed = self._state[entity, 3:].tolist()
        n = min(strokes, KEPT)
        shapes, abouts, made = self._shapes[entity, :, :n].copy(), self._abouts[entity, :, :n].copy(), self._made[entity, :n].copy()
        return Past(shapes, abouts, made, self._tally[entity].copy(), strokes, alike, passed)


def log_of(parts: NDArray[np.float64]) -> float:
    """The natural logarithm of an account, -inf: nothing was bet."""
    mean = float(parts.mean())
    return math.log(mean) if mean > 0.0 else -math.inf


def likeness(first: Shape, again: Shape) -> float:
    """How alike two kept shapes are, the same bits as when they were met. Raises ValueError for other lengths."""
    if len(first) != 2 * POINTS or len(again) != 2 * POINTS:
        raise ValueError(f"shapes of {len(first)} and {len(again)} numbers, expected {2 * POINTS}")
    about, other = np.zeros(3, np.float32), np.zeros((3, 1), np.float32)
    about[0] = other[0] = 1.0
    new, old = np.array(again, np.int16), np.array(first, np.int16)
    _about(new, about)
    _about(old, other[:, 0])
    room = np.zeros((4, KEPT), np.float32)
    return float(_nearest(new, about, old.reshape(-1, 1), other, 1, room)[0])
