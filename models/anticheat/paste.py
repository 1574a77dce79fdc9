"""Cheats pasted onto recorded paths: what a machine makes of a person's movement, as arrays.

Each row of a recorded path is a person's up to a moment that is drawn, and a machine's from then on: from where the cursor was to the
target, arriving some time before the shot or just at it. All figures are drawn anew for each row. After the machine has
arrived the person's own small movements go on, or the cursor rests.

Sources: Flash and Hogan 1985 (minimum jerk); the WindMouse algorithm as its author B. Land published it (2021).
"""

import numpy as np

from models.anticheat.real import FINE, FINE_HZ

Array = np.ndarray
FAMILIES = ("snap", "smooth", "minjerk", "wind", "replay")
WAY_MIN, WAY_MAX = 60.0, 600.0  # pixels that a machine has to go: what is nearer needs no machine


def paste(family: str, base: Array, rng: np.random.Generator, donors: Array | None = None) -> tuple[Array, Array]:
    """(paths float32 [N, FINE, 2], usable bool [N]) from paths relative to the target. donors: paths that replay takes from."""
    n = len(base)
    rows = np.arange(n)
    dwell = (rng.exponential(0.05, n) * FINE_HZ * (rng.random(n) < 0.7)).astype(int).clip(0, 36)
    length = (np.exp(rng.uniform(np.log(0.08), np.log(0.6), n)) * FINE_HZ).astype(int)
    if family == "snap":
        length = rng.integers(1, 6, n)
    end = FINE - 1 - dwell
    start = np.maximum(end - length, 2)
    base = _put_off(base, start, rng, np.ones(n, bool) if family == "snap" else rng.random(n) < 0.5)
    far = np.hypot(base[..., 0], base[..., 1])
    way = far[rows, start]
    make = {"snap": _line, "smooth": _smooth, "minjerk": _minimum_jerk, "wind": _wind, "replay": _replay}[family]
    goal = rng.normal(0, 1.0, (n, 2)) * rng.choice([0.0, 2.0, 6.0], n)[:, None]
    out = make(base, start, end, goal, rng, donors if donors is not None else base)
    # The person's hand under the machine: some of its movement remains.
    under = np.diff(base, axis=1, prepend=base[:, :1])
    after = np.arange(FINE)[None] > np.where(family == "smooth", start, end)[:, None]
    remains = rng.choice([0.0, 0.0, 0.3, 1.0], n)
    calm = np.clip(under, -2.0, 2.0)
    out += np.cumsum(calm * after[..., None], axis=1) * remains[:, None, None]
    return out.astype(np.float32), way >= WAY_MIN


def _put_off(base: Array, start: Array, rng: np.random.Generator, which: Array) -> Array:
    """Where the person would have been near the target at `start` already: they are as far behind in time as they need to be for a
    way that is drawn (the machine comes when the cursor is still on its way)."""
    n = len(base)
    far = np.hypot(base[..., 0], base[..., 1])
    wanted = np.exp(rng.uniform(np.log(WAY_MIN), np.log(WAY_MAX), n))
    wanted = np.minimum(wanted, 0.95 * far.max(axis=1))
    there = far >= wanted[:, None]
    last = FINE - 1 - np.argmax(there[:, ::-1], axis=1)  # the last time that far away
    late = np.where(which | (far[np.arange(n), start] < WAY_MIN), np.maximum(start - last, 0), 0)
    index = np.maximum(np.arange(FINE)[None] - late[:, None], 0)
    return base[np.arange(n)[:, None], index]


def _time(start: Array, end: Array) -> Array:
    """Share of the machine's movement, [N, FINE], 0 before and 1 after."""
    t = np.arange(FINE)[None]
    return np.clip((t - start[:, None]) / np.maximum(end - start, 1)[:, None], 0, 1)


def _between(base: Array, start: Array, goal: Array, along: Array, across: Array) -> Array:
    """A movement from where the person was at `start` to `goal`, by shares along and across, [N, FINE]."""
    rows = np.arange(len(base))
    origin = base[rows, start]
    d = goal - origin
    side = np.stack([-d[:, 1], d[:, 0]], 1)
    moved = origin[:, None] + d[:, None] * along[..., None] + side[:, None] * across[..., None]
    before = np.arange(FINE)[None] <= start[:, None]
    return np.where(before[..., None], base, moved)


def _line(base: Array, start: Array, end: Array, goal: Array, rng: np.random.Generator, _: Array) -> Array:
    s = _time(start, end)
    return _between(base, start, goal, s, np.zeros_like(s))


def _minimum_jerk(base: Array, start: Array, end: Array, goal: Array, rng: np.random.Generator, _: Array) -> Array:
    n = len(base)
    s = _time(start, end)
    along = s**3 * (10 + s * (6 * s - 15))
    bow = rng.normal(0, 0.08, n) * (rng.random(n) < 0.5)
    out = _between(base, start, goal, along, bow[:, None] * 16 * (along * (1 - along)) ** 2)
    return out + _noise(n, rng) * ((s > 0) & (s < 1))[..., None]


def _noise(n: int, rng: np.random.Generator) -> Array:
    """Tremor that some machines add, pixels."""
    size = rng.choice([0.0, 0.0, 0.5, 1.5], n)
    return rng.standard_normal((n, FINE, 2)) * size[:, None, None]


def _smooth(base: Array, start: Array, end: Array, goal: Array, rng: np.random.Generator, _: Array) -> Array:
    """A fixed part of what remains at every step of the machine, which runs at 60 or 120 Hz; arrives as well as it can."""
    n = len(base)
    steps = np.maximum(end - start, 4)
    gain = 1.0 - np.exp(-rng.uniform(2.0, 6.0, n) / steps)  # two to six time constants until the shot
    slow = rng.random(n) < 0.5
    wobble = rng.choice([0.0, 0.0, 0.2, 0.5], n)
    out = base.copy()
    p = base[np.arange(n), start].copy()
    noise = _noise(n, rng)
    for t in range(FINE):
        on = (t > start) & (~slow | ((t - start) % 2 == 0))
        g = np.where(slow, 1 - (1 - gain) ** 2, gain) * (1 + wobble * rng.standard_normal(n))
        p = np.where(on[:, None], p + (goal - p) * g.clip(0, 1)[:, None], p)
        out[:, t] = np.where((t > start)[:, None], p + noise[:, t], out[:, t])
    return out


def _wind(base: Array, start: Array, end: Array, goal: Array, rng: np.random.Generator, _: Array) -> Array:
    n = len(base)
    p = base[np.arange(n), start].copy()
    way = np.hypot(*(goal - p).T)
    every = rng.choice([1, 1, 2], n)  # the machine's steps, in samples
    steps = np.maximum((end - start) / every, 3)
    top = np.maximum(way / steps * rng.uniform(1.2, 2.0, n), 1.0)
    gravity = top * rng.uniform(0.3, 0.9, n)
    strength = top * rng.uniform(0.15, 0.6, n)
    near = rng.uniform(8, 16, n) * np.maximum(top / 12, 0.5)
    wind, speed = np.zeros((n, 2)), np.zeros((n, 2))
    limit = top.copy()
    out = base.copy()
    for t in range(FINE):
        d = goal - p
        far = np.maximum(np.hypot(*d.T), 1e-6)
        on = (t > start) & ((t - start) % every == 0) & (far > 1.0)
        gust = (rng.random((n, 2)) * 2 - 1) * np.minimum(strength, far)[:, None] / np.sqrt(5)
        outside = far >= near
        wind = np.where(on[:, None], wind / np.sqrt(3) + np.where(outside[:, None], gust, 0.0), wind)
        limit = np.where(on & ~outside, np.maximum(limit / np.sqrt(5), np.maximum(2.0, 0.15 * top)), limit)
        v = speed + wind + gravity[:, None] * d / far[:, None]
        size = np.maximum(np.hypot(*v.T), 1e-6)
        clipped = limit * (0.5 + 0.5 * rng.random(n))
        v = np.where((size > limit)[:, None], v / size[:, None] * clipped[:, None], v)
        v = np.where((np.hypot(*v.T) > far)[:, None], d, v)
        speed = np.where(on[:, None], v, speed)
        p = np.where(on[:, None], p + v, p)
        out[:, t] = np.where((t > start)[:, None], p, out[:, t])
    return out


def _replay(base: Array, start: Array, end: Array, goal: Array, rng: np.random.Generator, donors: Array) -> Array:
    """Another person's movement of about that length, turned and stretched onto the way."""
    n = len(base)
    rows = np.arange(n)
    want = np.hypot(*(goal - base[rows, start]).T)
    steps = end - start
    options = rng.integers(0, len(donors), (n, 12))
    begin = np.maximum(FINE - 1 - steps, 0)
    there = donors[options, begin[:, None]]
    length = np.hypot(there[..., 0], there[..., 1])
    best = np.argmin(np.abs(np.log((length + 1.0) / (want[:, None] + 1.0))), axis=1)
    donor = donors[options[rows, best]]
    origin = donor[rows, begin]
    size = np.maximum((origin**2).sum(axis=1), 1.0)
    index = np.clip(begin[:, None] + np.arange(FINE)[None] - start[:, None], 0, FINE - 1)
    moved = donor[rows[:, None], index] - origin[:, None]
    along = -(moved * origin[:, None]).sum(axis=2) / size[:, None]
    # Across is to the left of the way: the way is -origin, its left (origin_y, -origin_x).
    across = (moved[..., 0] * origin[:, None, 1] - moved[..., 1] * origin[:, None, 0]) / size[:, None]
    across *= rng.choice([-1.0, 1.0], n)[:, None]
    out = _between(base, start, goal, along, across)
    late = np.arange(FINE)[None] > end[:, None]
    return np.where(late[..., None], out[rows, end][:, None], out)


def shots(paths: Array, hz: int, samples: int, rng: np.random.Generator) -> Array:
    """As a game records them: `samples` at `hz`, the last at the shot; half of the rows in whole pixels. float32 [N, samples, 2]."""
    back = np.arange(samples)[::-1] * (FINE_HZ // hz)
    taken = paths[:, np.maximum(FINE - 1 - back, 0)]
    whole = rng.random(len(paths)) < 0.5
    return np.where(whole[:, None, None], np.round(taken), taken).astype(np.float32)


def turned(paths: Array, rng: np.random.Generator) -> Array:
    """Turned, mirrored and scaled by up to a quarter: another desk, another mouse."""
    n = len(paths)
    a = rng.uniform(0, 2 * np.pi, n)
    size = np.exp(rng.uniform(-0.25, 0.25, n))
    c, s, m = np.cos(a) * size, np.sin(a) * size, rng.choice([-1.0, 1.0], n)
    x, y = paths[..., 0], paths[..., 1] * m[:, None]
    return np.stack([x * c[:, None] - y * s[:, None], x * s[:, None] + y * c[:, None]], -1)
