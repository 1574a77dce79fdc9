"""How machines move a cursor: each function takes N rows from where they are to their goals, all figures drawn anew for each row.

Sources: Flash and Hogan 1985 (minimum jerk); the WindMouse algorithm as its author B. Land published it (2021); Plamondon 1995 (the
lognormal profile of speed); Perlin 1985 (noise). Times are in samples at real.FINE_HZ; `way` is `Way`, below.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.anticheat.real import FINE, FINE_HZ

Array = np.ndarray
T: Final = np.arange(FINE)[None]


@dataclass
class Way:
    """base: float [N, FINE, 2], the person; start, end: int [N], the machine's time; goal: float [N, 2]; every: int [N], the machine
    moves at every so many samples; donors: float [M, FINE, 2], other people's paths; clean: bool [N], the machine is its formula and
    nothing else."""

    base: Array
    start: Array
    end: Array
    goal: Array
    every: Array
    donors: Array
    clean: Array
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.n = len(self.base)
        self.rows = np.arange(self.n)
        self.origin = self.base[self.rows, self.start]
        self.before = self.start[:, None] >= T

    def share(self) -> Array:
        """Share of the machine's time, [N, FINE], 0 before and 1 after."""
        return np.clip((T - self.start[:, None]) / np.maximum(self.end - self.start, 1)[:, None], 0, 1)

    def between(self, along: Array, across: Array) -> Array:
        """From where the person was at `start` to the goal, by shares along and across, [N, FINE]."""
        d = self.goal - self.origin
        side = np.stack([-d[:, 1], d[:, 0]], 1)
        moved = self.origin[:, None] + d[:, None] * along[..., None] + side[:, None] * across[..., None]
        return np.where(self.before[..., None], self.base, moved)

    def pick(self, *values: float) -> Array:
        return self.rng.choice(values, self.n)

    def sized(self, low: float, high: float) -> Array:
        """Log-uniform [N]."""
        return np.exp(self.rng.uniform(np.log(low), np.log(high), self.n))


def tremor(way: Way) -> Array:
    """What some machines add to each position, pixels: none, white or slow (a first-order process). [N, FINE, 2]."""
    size, slow = way.pick(0.0, 0.0, 0.5, 1.0, 2.0), way.pick(0.0, 0.0, 0.6, 0.9)
    size = np.where(way.clean & (way.rng.random(way.n) < 0.7), 0.0, size)
    white = way.rng.standard_normal((way.n, FINE, 2)).astype(np.float32)
    out = white * size[:, None, None]
    keep = np.flatnonzero((slow > 0) & (size > 0))
    now = np.zeros((len(keep), 2))
    for t in range(FINE):
        now = now * slow[keep, None] + white[keep, t] * (size * np.sqrt(1 - slow**2))[keep, None]
        out[keep, t] = now
    return out


def snap(way: Way) -> Array:
    """In a line, at once; some go a little too far or too short and settle."""
    along = way.share()
    miss = np.where((way.rng.random(way.n) < 0.3) & ~way.clean, way.rng.normal(0, 0.06, way.n), 0.0)
    settle = way.rng.integers(2, 14, way.n)
    after = np.clip(1 - (T - way.end[:, None]) / settle[:, None], 0, 1)
    return way.between(along * (1 + miss[:, None] * after), np.zeros_like(along))


def minimum_jerk(way: Way) -> Array:
    """One movement, or one and its correction; straight or bowed."""
    two = (way.rng.random(way.n) < 0.3) & ~way.clean
    first = np.where(two, way.rng.normal(0.93, 0.06, way.n), 1.0)[:, None]
    split = np.where(two, way.rng.uniform(0.55, 0.8, way.n), 1.0)[:, None]
    s = way.share()
    a, b = np.clip(s / split, 0, 1), np.clip((s - split * 0.9) / np.maximum(1 - split * 0.9, 1e-6), 0, 1)
    along = first * _jerkless(a) + np.where(two[:, None], (1 - first) * _jerkless(b), 0.0)
    bow = way.rng.normal(0, 0.08, way.n) * ((way.rng.random(way.n) < 0.5) & ~way.clean)
    out = way.between(along, bow[:, None] * 16 * (along * (1 - along)) ** 2)
    return out + tremor(way) * ((s > 0) & (s < 1))[..., None]


def _jerkless(s: Array) -> Array:
    return s**3 * (10 + s * (6 * s - 15))


def smooth(way: Way) -> Array:
    """A part of what remains at every step of the machine; some with a top speed, some with a part that wobbles."""
    steps = np.maximum((way.end - way.start) / way.every, 1.5)
    gain = 1.0 - np.exp(-way.rng.uniform(1.8, 7.0, way.n) / steps)
    wobble = way.pick(0.0, 0.0, 0.2, 0.5)
    far = np.hypot(*(way.goal - way.origin).T)
    top = np.where((way.rng.random(way.n) < 0.25) & ~way.clean, far / steps * way.sized(1.2, 3.0), 1e9)
    p, out, noise = way.origin.copy(), way.base.copy(), tremor(way)
    for t in range(1, FINE):
        on = (t > way.start) & ((t - way.start) % way.every == 0)
        step = (way.goal - p) * (gain * (1 + wobble * way.rng.standard_normal(way.n))).clip(0, 1)[:, None]
        step *= np.minimum(1.0, top / np.maximum(np.hypot(*step.T), 1e-6))[:, None]
        p = np.where(on[:, None], p + step, p)
        out[:, t] = np.where((t > way.start)[:, None], p + noise[:, t], out[:, t])
    return out


def wind(way: Way) -> Array:
    """WindMouse; half of the rows as it runs, half stretched onto the machine's time."""
    stretched = way.rng.random(way.n) < 0.5
    far0 = np.hypot(*(way.goal - way.origin).T)
    steps = np.where(stretched, way.sized(8, 100), np.maximum((way.end - way.start) / way.every, 2))
    top = np.maximum(far0 / steps * way.rng.uniform(1.1, 2.0, way.n), 1.0)
    gravity, strength = top * way.rng.uniform(0.25, 0.95, way.n), top * way.rng.uniform(0.1, 0.7, way.n)
    near = way.rng.uniform(8, 16, way.n) * np.maximum(top / 12, 0.5)
    p, limit = way.origin.copy(), top.copy()
    gust, speed = np.zeros((way.n, 2)), np.zeros((way.n, 2))
    track = np.repeat(p[:, None], FINE, axis=1)
    arrived = np.zeros(way.n, int)
    for k in range(1, FINE):
        d = way.goal - p
        far = np.maximum(np.hypot(*d.T), 1e-6)
        outside, on = far >= near, far > 1.0
        new = (way.rng.random((way.n, 2)) * 2 - 1) * np.minimum(strength, far)[:, None] / np.sqrt(5)
        gust = gust / np.sqrt(3) + np.where(outside[:, None], new, 0.0)
        limit = np.where(outside, limit, np.maximum(limit / np.sqrt(5), np.maximum(2.0, 0.15 * top)))
        v = speed + gust + gravity[:, None] * d / far[:, None]
        size = np.maximum(np.hypot(*v.T), 1e-6)
        v = np.where((size > limit)[:, None], v / size[:, None] * (limit * (0.5 + 0.5 * way.rng.random(way.n)))[:, None], v)
        v = np.where((np.hypot(*v.T) > far)[:, None], d, v)
        speed, p = np.where(on[:, None], v, speed), np.where(on[:, None], p + v, p)
        arrived = np.where(on, k, arrived)
        track[:, k] = p
    since = np.maximum(T - way.start[:, None], 0)
    at = np.where(stretched[:, None], way.share() * arrived[:, None], since // way.every[:, None])
    return _along(track, at, way)


def _along(track: Array, at: Array, way: Way) -> Array:
    """A machine's own points [N, FINE, 2] at (broken) places `at`, the person before."""
    low = np.minimum(at.astype(int), FINE - 1)
    high = np.minimum(low + 1, FINE - 1)
    part = (at - low)[..., None]
    moved = track[way.rows[:, None], low] * (1 - part) + track[way.rows[:, None], high] * part
    return np.where(way.before[..., None], way.base, moved)


def replay(way: Way) -> Array:
    """Another person's movement of about that length, turned and stretched onto the way, some of them faster or slower."""
    want = np.hypot(*(way.goal - way.origin).T)
    pace = np.where((way.rng.random(way.n) < 0.3) & ~way.clean, way.sized(0.75, 1.33), 1.0)
    steps = np.minimum((way.end - way.start) * pace, FINE - 1.0)
    options = way.rng.integers(0, len(way.donors), (way.n, 12))
    begin = FINE - 1 - steps
    there = way.donors[options, begin.astype(int)[:, None]]
    unlike = np.abs(np.log((np.hypot(there[..., 0], there[..., 1]) + 1.0) / (want[:, None] + 1.0)))
    unlike += np.where(np.arange(12)[None] < way.pick(2, 6, 12, 12)[:, None], 0.0, 99.0)
    donor = way.donors[options[way.rows, np.argmin(unlike, axis=1)]]
    at = np.clip(begin[:, None] + (T - way.start[:, None]) * pace[:, None], 0, FINE - 1.0)
    low = at.astype(int)
    part = (at - low)[..., None]
    drawn = donor[way.rows[:, None], low] * (1 - part) + donor[way.rows[:, None], np.minimum(low + 1, FINE - 1)] * part
    origin = drawn[way.rows, way.start]
    moved, size = drawn - origin[:, None], np.maximum((origin**2).sum(axis=1), 1.0)
    along = -(moved * origin[:, None]).sum(axis=2) / size[:, None]
    # Across is to the left of the way: the way is -origin, its left (origin_y, -origin_x).
    across = (moved[..., 0] * origin[:, None, 1] - moved[..., 1] * origin[:, None, 0]) / size[:, None]
    return way.between(along, across * way.pick(-1.0, 1.0)[:, None])


def ease(way: Way) -> Array:
    """The easing curves of animation and of human-like movers: powers in, out or both, sine, exponential, lognormal; along a line, a
    Bezier curve or noise."""
    s = way.share()
    power = way.rng.uniform(1.0, 4.0, way.n)[:, None]
    both = np.where(s < 0.5, 0.5 * (2 * s) ** power, 1 - 0.5 * (2 * (1 - s)) ** power)
    rate = way.rng.uniform(3.0, 9.0, way.n)[:, None]
    expo = (1 - np.exp(-rate * s)) / (1 - np.exp(-rate))
    kinds = [s**power, 1 - (1 - s) ** power, both, both, 0.5 - 0.5 * np.cos(np.pi * s), expo, _lognormal(s, way)]
    along = np.choose(way.rng.integers(0, len(kinds), way.n)[:, None], kinds)
    wave = _slow_noise(way) * way.sized(0.01, 0.12)[:, None]
    a, b = way.rng.normal(0, 0.2, (2, way.n, 1))
    curve = 3 * a * (1 - along) ** 2 * along + 3 * b * (1 - along) * along**2
    across = np.choose(way.rng.integers(0, 4, way.n)[:, None], [np.zeros_like(s), curve, curve, wave * 4 * along * (1 - along)])
    return way.between(along, across) + tremor(way) * ((s > 0) & (s < 1))[..., None]


def _lognormal(s: Array, way: Way) -> Array:
    """Cumulated lognormal profile of speed, by a logistic approximation of the normal distribution."""
    spread, middle = way.rng.uniform(0.25, 0.6, (way.n, 1)), np.log(way.rng.uniform(0.25, 0.55, (way.n, 1)))
    done = 1 / (1 + np.exp(np.clip(-1.702 * (np.log(np.maximum(s, 1e-4)) - middle) / spread, -50, 50)))
    last = 1 / (1 + np.exp(1.702 * middle / spread))
    return np.minimum(done / last, 1.0)


def _slow_noise(way: Way) -> Array:
    """Smooth noise about 0 with spread about 1, [N, FINE]: knots at even distances, cosine between them."""
    gap = way.rng.integers(6, 30, way.n)[:, None]
    knots = way.rng.standard_normal((way.n, FINE // 6 + 3))
    low = T // gap
    f = 0.5 - 0.5 * np.cos(np.pi * (T % gap) / gap)
    return knots[way.rows[:, None], low] * (1 - f) + knots[way.rows[:, None], low + 1] * f


def spring(way: Way) -> Array:
    """A mass on a damped spring (a PD controller), from less than to more than critically damped."""
    spent = (way.end - way.start) / FINE_HZ
    damping = way.rng.uniform(0.6, 1.4, way.n)
    omega = way.rng.uniform(5.0, 11.0, way.n) / np.maximum(spent, 0.02) * np.maximum(1.0, damping)
    p, out = way.origin.copy(), way.base.copy()
    keep = way.pick(0.0, 0.5, 1.0)
    v = (p - way.base[way.rows, np.maximum(way.start - 1, 0)]) * FINE_HZ * keep[:, None]
    noise, fine = tremor(way), 4
    for t in range(1, FINE):
        on = (t > way.start)[:, None]
        for _ in range(fine):
            a = omega[:, None] ** 2 * (way.goal - p) - (2 * damping * omega)[:, None] * v
            v = np.where(on, np.clip(v + a / (FINE_HZ * fine), -4e4, 4e4), v)
            p = np.where(on, p + v / (FINE_HZ * fine), p)
        out[:, t] = np.where(on, p + noise[:, t], out[:, t])
    return out


def chase(way: Way) -> Array:
    """A top speed and a top acceleration towards the goal, braking in time."""
    far = np.hypot(*(way.goal - way.origin).T)
    steps = np.maximum(way.end - way.start, 2)
    top = far / steps * way.rng.uniform(1.1, 2.5, way.n)
    gain = way.rng.uniform(0.08, 0.5, way.n)
    p, v, out, noise = way.origin.copy(), np.zeros((way.n, 2)), way.base.copy(), tremor(way)
    for t in range(1, FINE):
        want = (way.goal - p) * gain[:, None]
        want *= np.minimum(1.0, top / np.maximum(np.hypot(*want.T), 1e-6))[:, None]
        change = want - v
        change *= np.minimum(1.0, 0.5 * top / np.maximum(np.hypot(*change.T), 1e-6))[:, None]
        on = (t > way.start)[:, None]
        v = np.where(on, v + change, v)
        p = np.where(on, p + v, p)
        out[:, t] = np.where(on, p + noise[:, t], out[:, t])
    return out


def magnet(way: Way) -> Array:
    """Help: the person's own steps remain, in whole or in part, and the machine takes a part of what is left away at each."""
    steps = np.maximum((way.end - way.start) / way.every, 1.5)
    gain = 1.0 - np.exp(-way.rng.uniform(1.5, 5.0, way.n) / steps)
    own = way.pick(0.3, 0.6, 1.0)[:, None]
    step = np.diff(way.base, axis=1, prepend=way.base[:, :1])
    p, out = way.origin.copy(), way.base.copy()
    for t in range(1, FINE):
        on = t > way.start
        pull = np.where(on & ((t - way.start) % way.every == 0), gain, 0.0)[:, None]
        p = np.where(on[:, None], p + own * step[:, t] + pull * (way.goal - p), p)
        out[:, t] = np.where(on[:, None], p, out[:, t])
    return out


MOVERS: Final[dict[str, Callable[[Way], Array]]] = {
    "snap": snap,
    "smooth": smooth,
    "minjerk": minimum_jerk,
    "wind": wind,
    "replay": replay,
    "ease": ease,
    "spring": spring,
    "chase": chase,
    "magnet": magnet,
}
