"""The null: which block scores innocents reach how often, made safe for how much people differ from each other.

A block's p-value is conformal: the share of blocks of innocents, not trained on, that score as high. Over people pooled that is
uniform; for one person it is not, and a person whose blocks score high three times as often as the average would lose every
e-process in the end. So each column of the null is the threshold that not the average person but the person at `PERSON` of all
people stays under: per person the rate of exceeding is taken as beta distributed around the pooled rate, with a spread fitted by
moments (the part of the variance between people that binomial chance does not explain).
"""

import math

import numpy as np

from gameedge.core.anticheat import aim
from gameedge.core.anticheat.accumulate import cohort
from models.anticheat.data import Shots

BLOCK_TICKS = 42  # 700 ms
PERSON = 0.995
BLOCKS_MIN = 25  # of a person, to tell anything about the person
SCORE_TOP = 60.0


def blocks(shots: Shots, score: np.ndarray) -> dict[str, np.ndarray]:
    """Blocks as the watch makes them: `who`, `label`, `cohort`, `count`, `mean`, `tick` (of the last shot), in order of time."""
    rows = []
    order = np.lexsort((shots.tick, shots.who))
    who, start, total, count, last = -1, 0, 0.0, 0, -1
    for i in [*order.tolist(), -1]:
        if i < 0 or shots.who[i] != who or shots.tick[i] - start >= BLOCK_TICKS:
            if count:
                rows.append((who, shots.label[last], cohort(float(shots.rtt_ms[last])), count, total / count, shots.tick[last]))
            if i < 0:
                break
            who, start, total, count = shots.who[i], shots.tick[i], 0.0, 0
        total += score[i]
        count += 1
        last = i
    columns = np.array(rows).T
    found = dict(zip(("who", "label", "cohort", "count", "mean", "tick"), columns, strict=True))
    return {name: column if name == "mean" else column.astype(np.int64) for name, column in found.items()}


def inflation(exceeds: np.ndarray, who: np.ndarray) -> float:
    """How many times the pooled rate the person at PERSON of all people exceeds. exceeds: bool, a block each."""
    _, index, n = np.unique(who, return_inverse=True, return_counts=True)
    k = np.bincount(index, exceeds)[n >= BLOCKS_MIN]
    n = n[n >= BLOCKS_MIN]
    q = exceeds.mean()
    if len(n) < 20 or q <= 0.0:
        return 10.0
    # E[k (k - 1)] = n (n - 1) E[rate^2]: chance alone is taken out.
    square = (k * (k - 1)).sum() / (n * (n - 1)).sum()
    spread = max(square / (q * q) - 1.0, 0.0)  # of the rate, relative, squared
    # A gamma distribution with that spread (rates are small): its quantile by Wilson and Hilferty.
    if spread < 1e-9:
        return 1.0
    shape = 1.0 / spread
    z = 2.5758 if PERSON == 0.995 else 3.0902
    w = 1.0 - 1.0 / (9.0 * shape) + z / math.sqrt(9.0 * shape)
    return float(max(w, 0.0) ** 3) if shape > 0.3 else float(1.0 + z * math.sqrt(spread))


def null(found: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, list[float]]]:
    """The table of aim.AimModel.null from blocks of innocents, and the inflation of each column."""
    table = np.full((aim.COHORTS, aim.BLOCK_COUNTS, len(aim.TAILS)), np.float32(SCORE_TOP))
    used: dict[str, list[float]] = {}
    factors = []
    everyone = found["mean"]
    for tail in aim.TAILS:
        grow = inflation(everyone > np.quantile(everyone, 1 - tail), found["who"]) if tail < 0.3 else 1.0
        factors.append(min(max(grow, 1.0), 10.0))
    # A rarer event never has the smaller factor: the far tail has too few counts to say otherwise.
    factors = list(np.maximum.accumulate(factors))
    used["inflation"] = [round(f, 3) for f in factors]
    for c in range(aim.COHORTS):
        for b in range(aim.BLOCK_COUNTS):
            fits = (found["cohort"] == c) & (found["count"] == b + 1 if b + 1 < aim.BLOCK_COUNTS else found["count"] > b)
            scores = np.sort(found["mean"][fits])
            for k, (tail, factor) in enumerate(zip(aim.TAILS, factors, strict=True)):
                # Conformal: (exceeding + 1) / (n + 1) must stay under the tail.
                over = math.floor(tail / factor * (len(scores) + 1)) - 1
                if over >= 0 and len(scores) > over:
                    table[c, b, k] = scores[len(scores) - 1 - over] + 1e-4
            table[c, b] = np.maximum.accumulate(table[c, b])
    return table, used
