"""Paths of a mouse before clicks as figures, for the network that `score-aim` uses.

Only differences of positions are looked at, so that it does not matter where exactly the target was. Beside the path itself, turned
along its movement, go fits of what machines do: how well its end is one minimum-jerk movement, how well each step is a fixed part
of the step before, how even its speed and its turns are.
"""

from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np

Array = np.ndarray
RATES: Final = (20, 30, 60)
NETS: Final = (20, 30)  # rates with a network of their own; 60 Hz is judged as two paths of 30 Hz
SAMPLES: Final = {20: 24, 30: 32, 60: 64}  # that are looked at: 1.1 to 1.2 s
SPANS: Final = (0.1, 0.14, 0.2, 0.27, 0.34, 0.4, 0.5, 0.6)  # s: lengths of movements that are tried
RESTS: Final = (0.0, 0.034, 0.067, 0.134)  # s: between the movement's end and the shot
AGO: Final = (0.15, 0.3, 0.6)
CHANNELS: Final = 16


def samples_of(hz: int) -> int:
    return SAMPLES[hz]


def _compress(x: Array, unit: float) -> Array:
    return np.sign(x) * np.log1p(np.abs(x) / unit)


def _lags(spans: Sequence[float], hz: int, least: int) -> list[int]:
    return sorted({max(least, round(span * hz)) for span in spans})


@cache
def figure_count(hz: int) -> int:
    return views(np.zeros((1, 4, 2), np.float32), hz)[1].shape[1]


def fitted(paths: Array, hz: int) -> Array:
    """float64 [N, samples_of(hz), 2]: the end of the paths, those that are shorter stand still before."""
    t = samples_of(hz)
    p = paths[:, -t:].astype(np.float64)
    if p.shape[1] < t:
        p = np.concatenate([np.repeat(p[:, :1], t - p.shape[1], axis=1), p], axis=1)
    return p - p[:, -1:]


def shortened(paths: Array, known: Array) -> Array:
    """The paths [N, T, 2] as if only the last `known` int [N] samples had been given."""
    t = paths.shape[1]
    index = np.maximum(np.arange(t)[None], t - known[:, None])
    return paths[np.arange(len(paths))[:, None], index]


def views(paths: Array, hz: int, known: Array | None = None) -> tuple[Array, Array]:
    """Of paths [N, T, 2] in pixels, finite, the last sample at the shot: channels float32 [N, samples_of(hz), CHANNELS] for the
    convolutions and figures float32 [N, F]. hz: one of NETS. known: int [N], the samples given where it was not T for all."""
    n, t = len(paths), samples_of(hz)
    known = np.full(n, min(paths.shape[1], t)) if known is None else np.minimum(known, t)
    p = shortened(fitted(paths, hz), known)
    far = np.hypot(p[..., 0], p[..., 1])
    way = -p[np.arange(n), np.argmax(far, axis=1)]
    length = np.hypot(*way.T)
    c, s = np.where(length > 0, way[:, 0] / np.maximum(length, 1e-9), 1.0), way[:, 1] / np.maximum(length, 1e-9)
    x, y = p[..., 0] * c[:, None] + p[..., 1] * s[:, None], p[..., 1] * c[:, None] - p[..., 0] * s[:, None]
    y *= np.where(y.sum(axis=1) >= 0, 1.0, -1.0)[:, None]
    dx, dy = np.diff(x, axis=1), np.diff(y, axis=1)
    speed = np.hypot(dx, dy)
    turn = np.angle((dx[:, 1:] + 1j * dy[:, 1:]) * np.conj(dx[:, :-1] + 1j * dy[:, :-1]) + 1e-9)
    change = np.log((speed[:, 1:] + 0.5) / (speed[:, :-1] + 0.5))
    given = (np.arange(t)[None] >= t - known[:, None]).astype(np.float64)
    figures = [_compress(x, 4.0), _compress(y, 2.0), _compress(dx, 0.5), _compress(dy, 0.5), change, np.abs(turn)]
    figures += [_movements(x, y, hz), _echoes(dx, dy, hz), _shape(speed, np.abs(turn), change, hz), known[:, None] / t]
    return _channels(x, y, turn, change, given), np.concatenate(figures, axis=1).astype(np.float32)


def _channels(x: Array, y: Array, turn: Array, change: Array, given: Array) -> Array:
    """Of each sample: where, the steps there and on, what they change by, in pixels and as shares of the greatest step."""
    dx, dy = np.diff(x, axis=1, prepend=x[:, :1]), np.diff(y, axis=1, prepend=y[:, :1])
    speed = np.hypot(dx, dy)
    top = speed.max(axis=1, keepdims=True) + 2.0
    ax, ay = np.diff(dx, axis=1, prepend=dx[:, :1]), np.diff(dy, axis=1, prepend=dy[:, :1])
    pad = ((0, 0), (2, 0))
    parts = [_compress(x, 4.0), _compress(y, 2.0), _compress(dx, 0.5), _compress(dy, 0.5), _compress(ax, 0.5), _compress(ay, 0.5)]
    parts += [3 * dx / top, 3 * dy / top, 3 * ax / top, 3 * ay / top, np.log(speed + 0.1), np.pad(change, pad)]
    parts += [np.pad(turn, pad), np.pad(np.abs(turn), pad), given, np.broadcast_to(np.linspace(-1, 1, x.shape[1])[None], x.shape)]
    return np.stack(parts, axis=2).astype(np.float32)


def _movements(x: Array, y: Array, hz: int) -> Array:
    """How well the end is one minimum-jerk movement of each length, with any of the rests behind it; and how well a straight line."""
    t = x.shape[1]
    out = []
    for k in _lags(SPANS, hz, 3):
        s = np.arange(k + 1) / k
        for profile in (s**3 * (10 + s * (6 * s - 15)), s):
            best = np.full(len(x), 9.0)
            for e in _lags(RESTS, hz, 0):
                a = t - 1 - e - k
                if a < 0:
                    continue
                px, py = x[:, a : a + k + 1], y[:, a : a + k + 1]
                way = np.hypot(px[:, -1] - px[:, 0], py[:, -1] - py[:, 0])
                fx = px[:, :1] + (px[:, -1:] - px[:, :1]) * profile
                fy = py[:, :1] + (py[:, -1:] - py[:, :1]) * profile
                left = np.sqrt(((px - fx) ** 2 + (py - fy) ** 2)[:, 1:-1].mean(axis=1)) / (way + 2.0)
                best = np.where(way > 10.0, np.minimum(best, left), best)
            out.append(np.log(best + 0.003))
    return np.stack(out, 1)


def _echoes(dx: Array, dy: Array, hz: int) -> Array:
    """How well each step is a fixed multiple of the step before, over windows that end some time before the shot."""
    t = dx.shape[1]
    z = dx + 1j * dy
    out = []
    for k in _lags((0.14, 0.2, 0.3, 0.45), hz, 3):
        best, factor = np.full(len(z), 4.0), np.zeros(len(z))
        for e in _lags(RESTS, hz, 0):
            a = t - e - k
            if a < 1:
                continue
            now, before = z[:, a : a + k], z[:, a - 1 : a + k - 1]
            size = (np.abs(before) ** 2).sum(axis=1)
            m = (now * np.conj(before)).sum(axis=1) / (size + 1e-9)
            left = np.sqrt((np.abs(now - m[:, None] * before) ** 2).sum(axis=1) / (size + 4.0))
            better = (left < best) & (size > 50.0)
            best, factor = np.where(better, left, best), np.where(better, np.abs(m), factor)
        out += [np.log(best + 0.01), factor.clip(0, 2)]
    return np.stack(out, 1)


def _shape(speed: Array, turn: Array, change: Array, hz: int) -> Array:
    """Summaries of speed, its changes and turns over the last moments."""
    rows = np.arange(len(speed))
    peak_at = np.argmax(speed, axis=1)
    peak, way = speed[rows, peak_at], speed.sum(axis=1)
    jump = np.abs(np.diff(speed, axis=1))
    out = [np.log(peak + 1), np.log(way + 1), peak / (way + 5), (speed.shape[1] - peak_at) / speed.shape[1]]
    out.append(np.log(jump.max(axis=1) / (peak + 1) + 0.01))
    for ago in AGO:
        k = max(3, round(ago * hz))
        s = speed[:, -k:]
        moving = s > 1.0
        count = np.maximum(moving.sum(axis=1), 1)
        mean = (s * moving).sum(axis=1) / count
        out += [
            np.log(s.mean(axis=1) + 0.1),
            np.log(s.std(axis=1) + 0.1),
            moving.mean(axis=1),
            np.log(np.sqrt((((s - mean[:, None]) * moving) ** 2).sum(axis=1) / count) / (mean + 1) + 0.01),
            np.sqrt(((turn[:, -k:] * moving[:, -turn[:, -k:].shape[1] :]) ** 2).mean(axis=1)),
            np.log(np.abs(change[:, -k:]).mean(axis=1) + 0.01),
            (s < 0.25).mean(axis=1),
        ]
    return np.stack(out, 1)
