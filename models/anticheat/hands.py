"""Training and test sets of recorded people and of machines pasted onto their paths, as the network of `score-aim` sees them.

Both sides go through the same: turned, mirrored and scaled, up to 67 ms earlier, recorded once more by a simulated mouse, sampled, half in
whole pixels, half cut to any length. What a recording or a rate leaves in a path says nothing then about who moved.
"""

import numpy as np

from models.anticheat import mouse, paste, real

Array = np.ndarray
Views = tuple[Array, Array]
LATE = 8  # fine samples that a shot may be before its click
WAY_MIN = 40.0  # pixels, in training
AGAIN_HUMAN, AGAIN_MACHINE = 0.25, 0.4  # shares recorded once more
WHOLE = 0.5  # share that has all its samples
CLEAN = 0.35  # share of machines in training that are their formula alone, in step with the samples


def sources(clicks: real.Clicks, rng: np.random.Generator) -> Array:
    """Each click's path once, with lines between events or without."""
    return np.where((rng.random(len(clicks.user)) < 0.6)[:, None, None], clicks.path, clicks.held)


def earlier(paths: Array, rng: np.random.Generator) -> Array:
    late = rng.integers(0, LATE, len(paths)) * (rng.random(len(paths)) < 0.5)
    index = np.maximum(np.arange(real.FINE)[None] - late[:, None], 0)
    return paths[np.arange(len(paths))[:, None], index]


def _again(paths: Array, share: float | Array, rng: np.random.Generator) -> Array:
    rows = np.flatnonzero(rng.random(len(paths)) < share)
    paths = paths.astype(np.float32)
    paths[rows] = paste.recorded(paths[rows], rng)
    return paths


def humans(clicks: real.Clicks, hz: int, rng: np.random.Generator, *, change: bool) -> Array:
    """Paths float32 [N, samples_of(hz), 2]. change: for training; otherwise as recorded."""
    paths = sources(clicks, rng)
    if change:
        paths = _again(paste.turned(earlier(paths, rng), rng), AGAIN_HUMAN, rng)
    return paste.shots(paths, hz, mouse.samples_of(hz), rng)


def machines(family: str, clicks: real.Clicks, hz: int, rng: np.random.Generator, *, donors: Array, change: bool) -> Array:
    """The same with a machine. donors: the paths that replay takes from. The rows whose machine had nothing to do are left out."""
    paths = sources(clicks, rng)
    if change:
        paths = earlier(paths, rng)
    clean = rng.random(len(paths)) < (CLEAN if change else 0.0)
    pasted, usable = paste.paste(family, paste.turned(paths, rng), rng, donors, hz, WAY_MIN if change else paste.WAY_MIN, clean)
    again = AGAIN_MACHINE * ~clean[usable]
    return paste.shots(_again(pasted[usable], again, rng), hz, mouse.samples_of(hz), rng)


def views(paths: Array, hz: int, rng: np.random.Generator) -> Views:
    """For training: what the network sees of them, half of them cut to any length."""
    t = mouse.samples_of(hz)
    return mouse.views(paths, hz, np.where(rng.random(len(paths)) < WHOLE, t, rng.integers(max(8, t // 4), t + 1, len(paths))))


def joined(parts: list[Views]) -> Views:
    return np.concatenate([channels for channels, _ in parts]), np.concatenate([figures for _, figures in parts])
