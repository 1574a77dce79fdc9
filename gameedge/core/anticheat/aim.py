"""The aim model: how much a shot looks like a person's, from the path of the cursor before it.

Problem. A snap aimbot arrives without travelling, a smooth one travels without hesitating, a trigger bot moves like the person it
sits on but fires the moment the cursor touches. People start late, accelerate and brake, miss, correct, tremble, and decide.

Method. `features` describes a shot by a fixed list of figures (`NAMES`), all relative to the target's radius or the path's own
size, so that no world unit is learned. `AimModel` is an additive model: each feature has a piecewise linear curve for each kind
of shooter, the curves are summed, and a softmax gives the share of each kind. Additive, because then the reasons in words are
exact: the features whose curves said most. Trained by models/aim/train.py; the same code makes the features there and here.

Guarantee. Not-finite input never gives a not-finite score: a shot with too little path is marked unusable (`usable`).

Cost. About 6 us a shot in batches of 64 (models/aim/evaluate.py measures it); shots are at most six a second a player.

Source: minimum jerk (Flash and Hogan 1985), submovements (Meyer et al. 1988); additive models (Hastie and Tibshirani 1986).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gameedge.core.errors import ArtifactError

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

KIND: Final = "aim-additive"
FEATURE_VERSION: Final = 1
SAMPLES: Final = 32  # of a path that are looked at, 60 Hz: half a second
SAMPLES_MIN: Final = 10  # fewer are not judged
KNOTS: Final = 6
CLASSES: Final = ("human", "snap", "homing", "trigger")
HUMAN, SNAP, HOMING, TRIGGER = range(4)

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
}
NAMES: Final = tuple(WORDS)
COUNT: Final = len(NAMES)
_TINY: Final = 1e-6


def features(path: Floats, visible_ms: Floats, on_target_ms: Floats, distance: Floats, hit: NDArray[np.bool_], radius: float) -> Doubles:
    """Features of shots, float64 [N, COUNT], in the order of `NAMES`; rows that cannot be judged are all NaN.

    path: float32 [N, T, 2] as in `game.Shots`, NaN where unknown; visible_ms, on_target_ms, distance (world units): float32 [N];
    hit: bool [N]; radius: of targets, world units.
    """
    n = len(path)
    p = np.full((n, SAMPLES, 2), np.nan)
    samples = min(SAMPLES, path.shape[1])
    p[:, SAMPLES - samples :] = path[:, path.shape[1] - samples :] / radius
    p[~(np.abs(p) < 1e4)] = np.nan
    # Only the unbroken end counts: what is before a gap belongs to another moment.
    known = np.isfinite(p).all(axis=2)
    known = np.logical_and.accumulate(known[:, ::-1], axis=1)[:, ::-1]
    length = known.sum(axis=1)
    usable = (length >= SAMPLES_MIN) & np.isfinite(visible_ms) & np.isfinite(on_target_ms) & np.isfinite(distance)
    first = np.where(usable, SAMPLES - length, 0)
    p[~known] = 0.0
    start = p[np.arange(n), first]
    p = np.where(known[:, :, None], p, start[:, None, :])  # a cursor at rest before what is known
    out = np.empty((n, COUNT))
    _path_features(p, out)
    out[:, 18] = np.log1p(np.maximum(on_target_ms, 0.0) / 17.0)
    out[:, 19] = np.log1p(np.clip(visible_ms, 0.0, 3000.0) / 100.0)
    out[:, 20] = hit
    out[:, 21] = np.log1p(np.clip(distance, 0.0, 1e4) / radius)
    out[~usable] = np.nan
    return out


def _path_features(p: Doubles, out: Doubles) -> None:
    """Features 0 to 17 of paths in target radii, float64 [N, SAMPLES, 2], written into `out`."""
    rows = np.arange(len(p))
    error = np.hypot(p[..., 0], p[..., 1])
    step = np.diff(p, axis=1)
    speed = np.hypot(step[..., 0], step[..., 1])
    bend = np.diff(step, axis=1)
    rough = np.hypot(bend[..., 0], bend[..., 1])
    jerk = np.diff(bend, axis=1)
    way = speed.sum(axis=1)
    peak_at = np.argmax(speed, axis=1)
    peak = speed[rows, peak_at]
    out[:, 0] = np.log(peak + 0.05)
    out[:, 1] = np.log(np.hypot(jerk[..., 0], jerk[..., 1]).max(axis=1) / (peak + 0.1) + 0.05)
    out[:, 2] = peak / (way + 0.5)
    out[:, 3] = np.hypot(*(p[:, -1] - p[:, -4]).T) / (error.max(axis=1) + 0.5)
    padded = np.pad(speed, ((0, 0), (3, 3)), mode="edge")
    around = np.stack([padded[rows, peak_at + 3 + k] for k in (-3, -2, -1, 1, 2, 3)])
    out[:, 4] = around[3:].mean(axis=0) / (peak + 0.1)
    out[:, 5] = around[:3].mean(axis=0) / (peak + 0.1)
    out[:, 6] = np.log(error[:, -1] + 0.05)
    out[:, 7] = np.log(np.median(error[:, -8:], axis=1) + 0.05)
    out[:, 8] = np.log(error[:, -8:].std(axis=1) + 0.01)
    out[:, 9] = np.log(np.median(rough, axis=1) + 0.005)
    out[:, 10] = np.log(np.median(rough[:, -8:], axis=1) + 0.005)
    out[:, 11] = np.hypot(*(p[:, -1] - p[:, 0]).T) / (way + 0.5)
    towards = -(step * p[:, :-1]).sum(axis=2) / (error[:, :-1] + 0.2)
    out[:, 12] = towards.sum(axis=1) / (way + 0.5)
    middle = speed[:, 1:-1]
    bump = (middle > speed[:, :-2]) & (middle >= speed[:, 2:]) & (middle > 0.1 * peak[:, None]) & (middle > 0.05)
    out[:, 13] = bump.sum(axis=1)
    out[:, 14] = (SAMPLES - 2 - peak_at) / SAMPLES
    out[:, 15] = speed[:, -2:].mean(axis=1) / (peak + 0.1)
    closing = error[:, 1:] / (error[:, :-1] + _TINY)
    moving = (error[:, :-1] > 0.5) & (closing < 0.995) & (closing > 0.02)
    weight = moving.sum(axis=1)
    mean = np.where(weight > 2, (closing * moving).sum(axis=1) / np.maximum(weight, 1), 1.0)
    spread = np.sqrt((((closing - mean[:, None]) ** 2) * moving).sum(axis=1) / np.maximum(weight, 1))
    out[:, 16] = mean
    out[:, 17] = np.where(weight > 2, np.log(spread + 0.01), 0.0)


def plain(name: str, value: float) -> float:
    """A feature's value as people read it: `{x}` of its words (`{p}` is a hundred times that)."""
    if name == "dwell":
        return float(np.expm1(value)) * 17.0
    if name == "seen":
        return float(np.expm1(value)) * 100.0
    if name in ("peak_speed", "error", "error_late"):
        return max(0.0, float(np.exp(value)) - 0.05)
    return value


def basis(values: Doubles, knots: Floats) -> Doubles:
    """Hat functions of standardised features: float64 [N, COUNT, KNOTS], the rows of each feature sum to 1.

    values: float64 [N, COUNT]; knots: float32 [COUNT, KNOTS], rising. Values outside the knots count as the outermost.
    """
    rising = knots.astype(np.float64)
    x = np.clip(values, rising[:, 0], rising[:, -1])
    at = np.clip((x[:, :, None] >= rising[None]).sum(axis=2) - 1, 0, KNOTS - 2)
    columns = np.arange(values.shape[1])
    low, high = rising[columns, at], rising[columns, at + 1]
    part = (x - low) / (high - low)
    hats = np.zeros((*values.shape, KNOTS))
    np.put_along_axis(hats, at[:, :, None], (1.0 - part)[:, :, None], axis=2)
    np.put_along_axis(hats, at[:, :, None] + 1, part[:, :, None], axis=2)
    return hats


@dataclass(frozen=True, slots=True)
class Scores:
    """Of N shots. `shares` float64 [N, 4]: how much each looks like each of `CLASSES`, rows sum to 1 (NaN: not usable)."""

    usable: NDArray[np.bool_]
    shares: Doubles
    features: Doubles


@dataclass(frozen=True, slots=True)
class AimModel:
    """knots: float32 [COUNT, KNOTS]; curves: float32 [COUNT, KNOTS, classes], the human's curve zero; bias: float32 [classes];
    null: float32 [2], the mean score that no person exceeds, of the rules aim and trigger (see `watch`)."""

    id: str
    knots: Floats
    curves: Floats
    bias: Floats
    null: Floats

    @staticmethod
    def shapes() -> Mapping[str, Sequence[int | None]]:
        return {
            "knots": [COUNT, KNOTS],
            "curves": [COUNT, KNOTS, len(CLASSES)],
            "bias": [len(CLASSES)],
            "null": [2],
        }

    @classmethod
    def from_tensors(cls, id: str, tensors: Mapping[str, NDArray[np.generic]]) -> "AimModel":
        """From an artifact whose layout was checked against `shapes`. Raises ArtifactError for values that cannot be."""
        knots, curves, bias, null = (np.asarray(tensors[k], np.float32) for k in ("knots", "curves", "bias", "null"))
        if not (np.diff(knots, axis=1) > 0).all():
            raise ArtifactError(f"{id}: expected rising knots, found {knots[(np.diff(knots, axis=1) <= 0).any(axis=1)][0].tolist()}")
        if not ((null > 0) & (null < 1)).all():
            raise ArtifactError(f"{id}: expected null between 0 and 1, found {null.tolist()}")
        return cls(id, knots, curves, bias, null)

    def score(
        self,
        path: Floats,
        visible_ms: Floats,
        on_target_ms: Floats,
        distance: Floats,
        hit: NDArray[np.bool_],
        radius: float,
    ) -> Scores:
        """Judge N shots; arguments as for `features`."""
        found = features(path, visible_ms, on_target_ms, distance, hit, radius)
        usable = np.isfinite(found).all(axis=1)
        shares = np.full((len(found), len(CLASSES)), np.nan)
        if usable.any():
            hats = basis(found[usable], self.knots).reshape(int(usable.sum()), -1)
            logits = hats @ self.curves.reshape(-1, len(CLASSES)) + self.bias
            logits -= logits.max(axis=1, keepdims=True)
            weights = np.exp(logits)
            shares[usable] = weights / weights.sum(axis=1, keepdims=True)
        return Scores(np.asarray(usable, np.bool_), shares, found)

    def reasons(self, found: Doubles, kinds: Sequence[int], count: int = 3) -> list[str]:
        """What spoke most for these kinds over some shots, in words. found: float64 [N, COUNT], usable rows."""
        hats = basis(found, self.knots)
        said = np.einsum("nfk,fkc->fc", hats, self.curves[:, :, list(kinds)].astype(np.float64)).max(axis=1) / len(found)
        middle = np.median(found, axis=0)
        words = []
        for i in np.argsort(-said)[:count]:
            if said[i] > 0.0:
                x = plain(NAMES[i], float(middle[i]))
                words.append("typically, " + WORDS[NAMES[i]].format(x=x, p=100.0 * x))
        return words
