"""Cheats pasted onto recorded paths: what a machine makes of a person's movement, as arrays.

Each row of a recorded path is a person's up to a moment that is drawn, and a machine's from then on: from where the cursor was to the
target, arriving some time before the shot or just at it. All figures are drawn anew for each row. After the machine has arrived
the person's own small movements go on, or the cursor rests. How the machines move is in movers.py.
"""

from typing import Final

import numpy as np

from models.anticheat import movers
from models.anticheat.real import FINE, FINE_HZ

Array = np.ndarray
FAMILIES: Final = ("snap", "smooth", "minjerk", "wind", "replay")  # that are measured
EXTRA: Final = ("ease", "spring", "chase", "magnet")  # that training sees beside
WAY_MIN, WAY_MAX = 60.0, 600.0  # pixels that a machine has to go: what is nearer needs no machine
LATER, AS_IS, ELSEWHERE = range(3)  # what the person was doing when the machine came


def paste(
    family: str,
    base: Array,
    rng: np.random.Generator,
    donors: Array | None = None,
    hz: int = 30,
    way_min: float = WAY_MIN,
    clean: Array | None = None,
) -> tuple[Array, Array]:
    """(paths float32 [N, FINE, 2], usable bool [N]) from paths relative to the target. donors: paths that replay takes from. hz: the
    rate they will be sampled at: a machine runs at that rate or at a multiple. clean: bool [N], rows whose machine is its formula alone, in
    step with the samples."""
    n = len(base)
    rows = np.arange(n)
    dwell = (rng.exponential(0.05, n) * FINE_HZ * (rng.random(n) < 0.7)).astype(int).clip(0, 36)
    length = (np.exp(rng.uniform(np.log(0.1), np.log(0.6), n)) * FINE_HZ).astype(int)
    if family == "snap":
        length = np.where(rng.random(n) < 0.7, rng.integers(1, 6, n), rng.integers(6, 13, n))
    clean = np.zeros(n, bool) if clean is None else clean
    dwell, length = _in_step(family, dwell, length, clean, FINE_HZ // hz, rng)
    end = FINE - 1 - dwell
    start = np.maximum(end - length, 2)
    base = _begin(base, start, rng, (family == "snap") & ~clean)
    far = np.hypot(*base[rows, start].T)
    goal = rng.normal(0, 1.0, (n, 2)) * np.where(clean, 0.0, rng.choice([0.0, 2.0, 6.0], n))[:, None]
    every = rng.choice([e for e in (1, 2, 4, 6) if (FINE_HZ // hz) % e == 0], n)
    every = np.where(clean & (rng.random(n) < 0.7), FINE_HZ // hz, every)
    way = movers.Way(base, start, end, goal, every, donors if donors is not None else base, clean, rng)
    out = movers.MOVERS[family](way)
    late = end[:, None] < movers.T
    if family in ("replay", "magnet"):
        out = np.where(late[..., None], out[rows, end][:, None], out)
    # The person's hand under the machine: some of its movement remains.
    under = np.diff(base, axis=1, prepend=base[:, :1])
    after = late if family != "smooth" else ~way.before
    remains = np.where(clean, 0.0, rng.choice([0.0, 0.0, 0.3, 1.0], n))
    out = out + np.cumsum(np.clip(under, -2.0, 2.0) * after[..., None], axis=1) * remains[:, None, None]
    return out.astype(np.float32), far >= way_min


def _in_step(family: str, dwell: Array, length: Array, clean: Array, step: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Rest and time of machines in whole samples, for those that are clean."""
    n = len(dwell)
    samples = np.maximum(1, np.round(length / step)).astype(int)
    if family == "snap":
        samples = rng.integers(1, 4 if step <= 4 else 3, n)
    rest = np.where(rng.random(n) < 0.6, rng.integers(0, 2, n), np.round(dwell / step).astype(int))
    if family == "snap":
        rest = np.where(rng.random(n) < 0.5, rng.integers(0, 1 + round(0.15 * FINE_HZ / step), n), rest)
    return np.where(clean, rest * step, dwell), np.where(clean, samples * step, length)


def _begin(base: Array, start: Array, rng: np.random.Generator, snap: Array) -> Array:
    """What the person did before the machine came: the same movement but later (they are still on their way, as far off as is drawn), just
    this movement, or one to another place."""
    n = len(base)
    rows = np.arange(n)
    kind = np.where(snap, rng.choice(3, n, p=(0.6, 0.0, 0.4)), rng.choice(3, n, p=(0.4, 0.35, 0.25)))
    far = np.hypot(base[..., 0], base[..., 1])
    drawn = np.exp(rng.uniform(np.log(WAY_MIN), np.log(WAY_MAX), n))
    wanted = np.minimum(drawn, 0.95 * far.max(axis=1))
    last = FINE - 1 - np.argmax((far >= wanted[:, None])[:, ::-1], axis=1)  # the last time that far away
    put_off = (kind == LATER) | ((kind == AS_IS) & (far[rows, start] < WAY_MIN))
    late = np.where(put_off, np.maximum(start - last, 0), 0)
    index = np.maximum(movers.T - late[:, None], 0)
    base = base[rows[:, None], index]
    angle = rng.uniform(0, 2 * np.pi, n)
    there = np.stack([np.cos(angle), np.sin(angle)], 1) * drawn[:, None]
    shift = np.where((kind == ELSEWHERE)[:, None], there - base[rows, start], 0.0)
    return base + shift[:, None]


def recorded(paths: Array, rng: np.random.Generator) -> Array:
    """As a computer reports a mouse: events at 60 to 125 Hz with times in whole milliseconds and whole pixels, from which the path is made
    again with lines between events or with the newest event. The last sample is an event's."""
    n = len(paths)
    period = rng.choice([8.0, 16.67, 16.67, 16.0], n)[:, None] * FINE_HZ / 1000.0
    count = int(FINE / (7.5 * FINE_HZ / 1000.0)) + 2
    jitter = rng.uniform(-0.15, 0.15, (n, count))
    at = FINE - 1 - (np.arange(count)[None, ::-1] + np.where(np.arange(count)[None] == count - 1, 0.0, jitter)) * period
    at = np.maximum(at, 0.0)
    low = at.astype(int)
    part = (at - low)[..., None]
    rows = np.arange(n)[:, None]
    seen = np.round(paths[rows, low] * (1 - part) + paths[rows, np.minimum(low + 1, FINE - 1)] * part)
    k = np.clip(np.floor(count - 1 - (FINE - 1 - movers.T) / period).astype(int), 0, count - 1)
    k = np.where(at[rows, k] > movers.T, np.maximum(k - 1, 0), k)
    k = np.where((k + 1 < count) & (at[rows, np.minimum(k + 1, count - 1)] <= movers.T), k + 1, k)
    after = np.minimum(k + 1, count - 1)
    gap = np.maximum(at[rows, after] - at[rows, k], 1e-6)
    share = np.clip((movers.T - at[rows, k]) / gap, 0, 1) * (rng.random(n) < 0.75)[:, None]
    return (seen[rows, k] * (1 - share[..., None]) + seen[rows, after] * share[..., None]).astype(np.float32)


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
