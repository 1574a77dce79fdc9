"""A second opinion on `score-aim`: people's paths cut another way and machines written again, plainly, on the samples themselves.

Nothing of paste.py, movers.py or hands.py is used, and nothing here is trained on: presses of any kind, lines between events at the rate
asked for, T samples, and the textbook form of each machine over the last 0.1 to 0.6 s. What training's own machines might
teach about training's own way of cutting shows as a gap between these figures and those of evaluate_aim.py.
"""

import numpy as np

from models.anticheat import real

Array = np.ndarray
FAMILIES = ("snap", "smooth", "minjerk", "wind", "replay")
WAY_MIN, WAY_MAX = 60.0, 450.0


def people(users: range, hz: int, samples: int, held: bool = False) -> Array:
    """float64 [N, samples, 2]: every press with at least WAY_MIN of way within the samples."""
    out = []
    for user, data in real.recordings():
        if user not in users:
            continue
        t = np.maximum.accumulate(data[:, 0])
        for at in np.flatnonzero(data[:, 3]):
            when = t[at] - np.arange(samples)[::-1] * 1000.0 / hz
            if when[0] < t[0]:
                continue
            if held:
                path = data[np.searchsorted(t[: at + 1], when + 1e-6, side="right") - 1, 1:3]
            else:
                path = np.stack([np.interp(when, t[: at + 1], data[: at + 1, k]) for k in (1, 2)], 1)
            path = path - data[at, 1:3]
            if np.hypot(*path.T).max() >= WAY_MIN:
                out.append(path)
    return np.array(out)


def pasted(family: str, paths: Array, hz: int, rng: np.random.Generator, elsewhere: bool, count: int = 2_500) -> Array:
    """Up to `count` of the paths with a machine at their end. elsewhere: the person was going somewhere else; otherwise they are late."""
    out = []
    for i in rng.permutation(len(paths))[:count]:
        steps = max(2, round(rng.uniform(0.1, 0.6) * hz)) if family != "snap" else int(rng.integers(1, 4 if hz > 20 else 3))
        rest = int(rng.integers(0, round(0.15 * hz) + 1)) if family == "snap" else int(rng.integers(0, 2))
        end = len(paths[i]) - 1 - rest
        start = end - steps
        if start < 2:
            continue
        base = _person(paths[i], start, rng, elsewhere)
        if base is None or np.hypot(*base[start]) < WAY_MIN:
            continue
        moved = _machine(family, base[start], steps, rng, paths)
        if moved is not None:
            path = base.copy()
            path[start + 1 : end + 1] = moved
            path[end + 1 :] = moved[-1]
            out.append(path)
    return np.array(out)


def _person(path: Array, start: int, rng: np.random.Generator, elsewhere: bool) -> Array | None:
    if elsewhere:
        angle = rng.uniform(0, 2 * np.pi)
        return path - path[start] + rng.uniform(WAY_MIN, WAY_MAX) * np.array([np.cos(angle), np.sin(angle)])
    far = np.flatnonzero(np.hypot(*path.T) >= rng.uniform(WAY_MIN, WAY_MAX))
    return path[np.maximum(np.arange(len(path)) - max(0, start - far[-1]), 0)] if len(far) else None


def _machine(family: str, origin: Array, steps: int, rng: np.random.Generator, others: Array) -> Array | None:
    u = (np.arange(1, steps + 1) / steps)[:, None]
    if family == "snap":
        return origin * (1 - u)
    if family == "minjerk":
        return origin * (1 - u**3 * (10 - 15 * u + 6 * u**2)) + rng.normal(0, 0.5, (steps, 2)) * (rng.random() < 0.5)
    if family == "smooth":
        gain = (1 - np.exp(-rng.uniform(2.5, 6.0) / steps)) * rng.uniform(0.85, 1.15, (steps, 1))
        return origin * np.cumprod(1 - np.minimum(gain, 1.0), axis=0)
    if family == "wind":
        track = _wind(origin, rng)
        at = u[:, 0] * (len(track) - 1)
        return np.stack([np.interp(at, np.arange(len(track)), track[:, k]) for k in (0, 1)], 1)
    want = np.hypot(*origin)
    for j in rng.integers(0, len(others), 20):
        other = others[j, -1 - steps :]
        if 0.5 * want < np.hypot(*other[0]) < 2.0 * want:
            z = (other[:, 0] + 1j * other[:, 1]) * complex(*origin) / complex(*other[0])
            return np.stack([z.real, z.imag], 1)[1:]
    return None


def _wind(p: Array, rng: np.random.Generator) -> Array:
    top = rng.uniform(8, 20)
    gravity, strength = 0.6 * top, rng.uniform(2, 6) * top / 15
    v, gust, out = np.zeros(2), np.zeros(2), [p]
    while (far := float(np.hypot(*p))) >= 1 and len(out) < 400:
        gust = gust / np.sqrt(3)
        if far >= 12:
            gust = gust + (2 * rng.random(2) - 1) * min(strength, far) / np.sqrt(5)
        else:
            top = top / np.sqrt(5) if top >= 3 else rng.uniform(3, 6)
        v = v + gust - gravity * p / far
        if (speed := float(np.hypot(*v))) > top:
            v = v / speed * top * rng.uniform(0.5, 1.0)
        p = p + v
        out.append(p)
    return np.array(out)
