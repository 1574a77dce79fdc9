"""A shot as figures: what the path of the cursor and the line of fire did in the half second before it.

Problem. A snap aimbot arrives without travelling, a smooth one travels without hesitating, a trigger bot moves like the person it
sits on but fires the moment the line of fire crosses the target. People start late, accelerate and brake, miss, correct,
tremble, and decide. The figures must be the same at any place, in any direction and for any zoom of the world.

Method. Lengths are in target radii. The first `NAMED` figures have names and words (`WORDS`): a person can read what spoke
against somebody. The rest is the path itself, turned so that its movement goes along the x axis, and the distance of the line
of fire, both compressed by a signed logarithm: what no name was found for.

Guarantee. A shot with too little path, or with anything not finite in it, is all NaN and is not judged. Never raises.

Cost. One compiled kernel, no allocation but the answer: about 3 us a shot (`python -m loadtest bench anticheat`).

Source: minimum jerk (Flash and Hogan 1985), submovements (Meyer et al. 1988).
"""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gameedge.core.kernel import kernel

Floats = NDArray[np.float32]

VERSION: Final = 2
SAMPLES: Final = 32  # of a path that are looked at, 60 Hz: half a second
SAMPLES_MIN: Final = 10  # fewer are not judged
TICK_MS: Final = 1000.0 / 60.0
SINCE_MS_MAX: Final = 2_000.0  # a longer pause before a shot is no different
READY_TICKS: Final = 10  # after a shot the weapon waits; another game's pause only moves where the model's curves lie

# name, and what a person reads where it speaks against the player
WORDS: Final = {
    "peak_speed": "the cursor's fastest step was {x:.1f} target radii in 1/60 s",
    "peak_jerk": "the cursor started or stopped harder than a hand does",
    "peak_share": "{p:.0f} % of the whole movement happened within 1/60 s",
    "last_share": "{p:.0f} % of the way was covered in the last 50 ms before the shot",
    "after_peak": "the cursor did not brake after its fastest moment",
    "before_peak": "the cursor did not accelerate before its fastest moment",
    "error": "the shot left {x:.2f} target radii from the centre",
    "error_late": "the cursor kept within {x:.2f} target radii of the centre",
    "error_spread": "the distance from the centre did not vary while tracking",
    "roughness": "the cursor's path has no tremor",
    "rest": "the cursor's path has no tremor before the shot",
    "straightness": "the cursor travelled straight to the target",
    "heading": "every movement pointed exactly at the target",
    "submovements": "the movement was not made of the corrections that hands make",
    "settle": "the shot's timing after the movement",
    "speed_at_shot": "the cursor was still moving at full speed when the shot left",
    "closing": "the distance shrank by the same part in every step",
    "closing_spread": "the distance shrank evenly",
    "dwell": "the shot left {x:.0f} ms after the cursor touched the target",
    "seen": "the shot left {x:.0f} ms after the target came into sight",
    "hit": "the shot hit",
    "distance": "the distance of the target",
    "line_error": "the line of fire passed {x:.2f} target radii from the centre",
    "line_dwell": "the shot left {x:.0f} ms after the line of fire touched the target",
    "line_speed": "the line of fire was moving when the shot left",
    "line_before": "the line of fire was off the target until the moment of the shot",
    "since": "the shot left {x:.0f} ms after the one before",
    "ready": "the weapon was ready and on the target for {x:.0f} ms before the shot",
    "held": "the weapon was never ready and off the target before the shot",
}
NAMES: Final = tuple(WORDS)
NAMED: Final = len(NAMES)
_PATH_AT: Final = NAMED
_STEP_AT: Final = _PATH_AT + 2 * SAMPLES
_LINE_AT: Final = _STEP_AT + 2 * (SAMPLES - 1)
COUNT: Final = _LINE_AT + SAMPLES


@kernel
def _signed_log(value: Any, unit: Any) -> Any:
    return math.log1p(value / unit) if value >= 0.0 else -math.log1p(-value / unit)


@kernel
def _take(path: Any, line: Any, radius: Any, p: Any, a: Any) -> Any:
    """Copy the unbroken end of a path, in radii, into p and a; what is before it stands still. Answers its first sample."""
    t = path.shape[0]
    first = SAMPLES
    while first > 0:
        k = t - SAMPLES + first - 1
        if k < 0:
            break
        x, y, off = path[k, 0] / radius, path[k, 1] / radius, line[k] / radius
        if not (abs(x) < 1e4 and abs(y) < 1e4 and abs(off) < 1e4):
            break
        first -= 1
        p[first, 0], p[first, 1], a[first] = x, y, off
    for k in range(min(first, SAMPLES - 1)):
        if first < SAMPLES:
            p[k, 0], p[k, 1], a[k] = p[first, 0], p[first, 1], a[first]
    return first


@kernel
def _named(p: Any, a: Any, since_ms: Any, out: Any) -> Any:
    """The named figures of the path and the line: all but dwell, seen, hit and distance."""
    n = SAMPLES
    speed, rough, error = np.empty(n - 1), np.empty(n - 2), np.empty(n)
    way, peak, peak_at, jerk, farthest = 0.0, 0.0, 0, 0.0, 0.0
    for k in range(n):
        error[k] = math.hypot(p[k, 0], p[k, 1])
        farthest = max(farthest, error[k])
    for k in range(n - 1):
        speed[k] = math.hypot(p[k + 1, 0] - p[k, 0], p[k + 1, 1] - p[k, 1])
        way += speed[k]
        if speed[k] > peak:
            peak, peak_at = speed[k], k
    for k in range(n - 2):
        rough[k] = math.hypot(p[k + 2, 0] - 2 * p[k + 1, 0] + p[k, 0], p[k + 2, 1] - 2 * p[k + 1, 1] + p[k, 1])
    for k in range(n - 3):
        jx = p[k + 3, 0] - 3 * p[k + 2, 0] + 3 * p[k + 1, 0] - p[k, 0]
        jy = p[k + 3, 1] - 3 * p[k + 2, 1] + 3 * p[k + 1, 1] - p[k, 1]
        jerk = max(jerk, math.hypot(jx, jy))
    out[0] = math.log(peak + 0.05)
    out[1] = math.log(jerk / (peak + 0.1) + 0.05)
    out[2] = peak / (way + 0.5)
    out[3] = math.hypot(p[n - 1, 0] - p[n - 4, 0], p[n - 1, 1] - p[n - 4, 1]) / (farthest + 0.5)
    after, before = 0.0, 0.0
    for k in range(1, 4):
        after += speed[min(peak_at + k, n - 2)] / 3.0
        before += speed[max(peak_at - k, 0)] / 3.0
    out[4] = after / (peak + 0.1)
    out[5] = before / (peak + 0.1)
    out[6] = math.log(error[n - 1] + 0.05)
    out[7] = math.log(np.median(error[n - 8 :]) + 0.05)
    out[8] = math.log(np.std(error[n - 8 :]) + 0.01)
    out[9] = math.log(np.median(rough) + 0.005)
    out[10] = math.log(np.median(rough[n - 10 :]) + 0.005)
    out[11] = math.hypot(p[n - 1, 0] - p[0, 0], p[n - 1, 1] - p[0, 1]) / (way + 0.5)
    towards, bumps = 0.0, 0
    for k in range(n - 1):
        step_x, step_y = p[k + 1, 0] - p[k, 0], p[k + 1, 1] - p[k, 1]
        towards -= (step_x * p[k, 0] + step_y * p[k, 1]) / (error[k] + 0.2)
        if 0 < k < n - 2 and speed[k] > speed[k - 1] and speed[k] >= speed[k + 1] and speed[k] > max(0.1 * peak, 0.05):
            bumps += 1
    out[12] = towards / (way + 0.5)
    out[13] = bumps
    out[14] = (n - 2 - peak_at) / n
    out[15] = 0.5 * (speed[n - 2] + speed[n - 3]) / (peak + 0.1)
    count, mean, square = 0, 0.0, 0.0
    for k in range(n - 1):
        closing = error[k + 1] / (error[k] + 1e-6)
        if error[k] > 0.5 and 0.02 < closing < 0.995:
            count += 1
            mean += closing
            square += closing * closing
    out[16], out[17] = 1.0, 0.0
    if count > 2:
        mean /= count
        out[16] = mean
        out[17] = math.log(math.sqrt(max(square / count - mean * mean, 0.0)) + 0.01)
    on = 0
    while on < n and abs(a[n - 1 - on]) <= 1.0:
        on += 1
    out[22] = math.log(abs(a[n - 1]) + 0.05)
    out[23] = math.log1p(max(on - 1, 0) * TICK_MS / 17.0)
    out[24] = math.log(abs(a[n - 1] - a[n - 2]) + 0.02)
    out[25] = math.log(max(abs(a[n - 2]), abs(a[n - 3])) + 0.05)
    since = min(max(since_ms, 0.0), SINCE_MS_MAX)
    ready = min(max(int(since / TICK_MS + 0.5) - READY_TICKS, 0), n - 1)  # samples before the shot in which it could have left
    on_ready, off_ready = 0, 0
    for k in range(ready):
        if abs(a[n - 2 - k]) <= 1.0:
            on_ready += 1
        else:
            off_ready += 1
    out[26] = math.log1p(since / 17.0)
    out[27] = math.log1p(on_ready * TICK_MS / 17.0)
    out[28] = math.log1p(off_ready * TICK_MS / 17.0)


@kernel
def _raw(p: Any, a: Any, out: Any) -> Any:
    """The path turned along its movement, its steps, and the line of fire."""
    n = SAMPLES
    dx, dy = p[n - 1, 0] - p[0, 0], p[n - 1, 1] - p[0, 1]
    length = math.hypot(dx, dy)
    c, s = (dx / length, dy / length) if length > 1e-6 else (1.0, 0.0)
    bend = 0.0
    for k in range(n):
        bend += (p[k, 1] - p[0, 1]) * c - (p[k, 0] - p[0, 0]) * s
    side = 1.0 if bend >= 0.0 else -1.0  # mirrored: a bow to the left and one to the right are the same
    last_x, last_y = 0.0, 0.0
    for k in range(n):
        x, y = p[k, 0] * c + p[k, 1] * s, side * (p[k, 1] * c - p[k, 0] * s)
        out[_PATH_AT + 2 * k], out[_PATH_AT + 2 * k + 1] = _signed_log(x, 0.2), _signed_log(y, 0.2)
        if k > 0:
            out[_STEP_AT + 2 * k - 2], out[_STEP_AT + 2 * k - 1] = _signed_log(x - last_x, 0.02), _signed_log(y - last_y, 0.02)
        last_x, last_y = x, y
        out[_LINE_AT + k] = _signed_log(a[k] if a[0] >= 0.0 else -a[k], 0.2)


@kernel
def _features(
    path: Any, line: Any, since_ms: Any, visible_ms: Any, on_target_ms: Any, distance: Any, hit: Any, radius: Any, out: Any
) -> Any:
    p, a = np.empty((SAMPLES, 2)), np.empty(SAMPLES)
    for i in range(path.shape[0]):
        first = _take(path[i], line[i], radius, p, a)
        dwell, seen, far = on_target_ms[i], visible_ms[i], distance[i]
        if SAMPLES - first < SAMPLES_MIN or not (abs(dwell) < 1e7 and abs(seen) < 1e9 and abs(far) < 1e7):
            for k in range(COUNT):
                out[i, k] = np.nan
            continue
        row = out[i]
        _named(p, a, since_ms[i] if abs(since_ms[i]) < 1e9 else SINCE_MS_MAX, row)
        row[18] = math.log1p(max(dwell, 0.0) / 17.0)
        row[19] = math.log1p(min(max(seen, 0.0), 3000.0) / 100.0)
        row[20] = 1.0 if hit[i] else 0.0
        row[21] = math.log1p(min(max(far, 0.0), 1e4) / radius)
        _raw(p, a, row)


def features(
    path: Floats,
    line: Floats,
    since_ms: Floats,
    visible_ms: Floats,
    on_target_ms: Floats,
    distance: Floats,
    hit: NDArray[np.bool_],
    radius: float,
) -> Floats:
    """Figures of shots, float32 [N, COUNT], the named ones first; rows that cannot be judged are all NaN.

    path: float32 [N, T, 2] and line: float32 [N, T] as in `game.Shots`, NaN where unknown; since_ms (the shooter's last shot;
    not finite: long ago), visible_ms, on_target_ms, distance (world units): float32 [N]; hit: bool [N]; radius: of targets, world units.
    """
    out = np.empty((len(path), COUNT), np.float32)
    _features(
        np.ascontiguousarray(path, np.float32),
        np.ascontiguousarray(line, np.float32),
        np.ascontiguousarray(since_ms, np.float32),
        np.ascontiguousarray(visible_ms, np.float32),
        np.ascontiguousarray(on_target_ms, np.float32),
        np.ascontiguousarray(distance, np.float32),
        np.ascontiguousarray(hit, np.bool_),
        float(radius),
        out,
    )
    return out


def plain(name: str, value: float) -> float:
    """A figure as people read it: `{x}` of its words (`{p}` is a hundred times that)."""
    if name in ("dwell", "line_dwell", "since", "ready"):
        return float(np.expm1(value)) * 17.0
    if name == "seen":
        return float(np.expm1(value)) * 100.0
    if name in ("peak_speed", "error", "error_late", "line_error"):
        return max(0.0, float(np.exp(value)) - 0.05)
    return value
