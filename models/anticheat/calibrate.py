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
from gameedge.core.anticheat.accumulate import cohort, p_value
from models.anticheat.data import Shots

BLOCK_TICKS = 42  # 700 ms
PERSON = 0.9999
BLOCKS_MIN = 25  # of a person, to tell anything about the person
SCORE_TOP = 60.0
LOSSY, JITTERY = 0.1, 40.0  # links with so much loss have the gate's jitter far above accumulate.UNSTEADY_MS


def blocks(shots: Shots, score: np.ndarray) -> dict[str, np.ndarray]:
    """Blocks as the watch makes them: `who`, `label`, `cohort`, `count`, `mean`, `tick` (of the last shot), in order of time."""
    rows = []
    order = np.lexsort((shots.tick, shots.who))
    who, start, total, count, last = -1, 0, 0.0, 0, -1
    for i in [*order.tolist(), -1]:
        if i < 0 or shots.who[i] != who or shots.tick[i] - start >= BLOCK_TICKS:
            if count:
                rows.append(
                    (
                        who,
                        shots.label[last],
                        cohort(float(shots.rtt_ms[last]), JITTERY if shots.loss[last] >= LOSSY else 0.0),
                        count,
                        total / count,
                        shots.tick[last],
                    )
                )
            if i < 0:
                break
            who, start, total, count = shots.who[i], shots.tick[i], 0.0, 0
        total += score[i]
        count += 1
        last = i
    columns = np.array(rows).T
    found = dict(zip(("who", "label", "cohort", "count", "mean", "tick"), columns, strict=True))
    return {name: column if name == "mean" else column.astype(np.int64) for name, column in found.items()}


def spread(exceeds: np.ndarray, who: np.ndarray) -> float:
    """The variance of people's rates of exceeding over the square of the pooled rate, chance taken out. NaN: too few to say.

    exceeds: bool, a block each."""
    _, index, n = np.unique(who, return_inverse=True, return_counts=True)
    k = np.bincount(index, exceeds)[n >= BLOCKS_MIN]
    n = n[n >= BLOCKS_MIN]
    q = exceeds.mean()
    if len(n) < 20 or q <= 0.0:
        return math.nan
    # E[k (k - 1)] = n (n - 1) E[rate^2].
    square = (k * (k - 1)).sum() / (n * (n - 1)).sum()
    return float(max(square / (q * q) - 1.0, 0.0))


def inflation(exceeds: np.ndarray, who: np.ndarray) -> float:
    """How many times the pooled rate the person at PERSON of all people exceeds."""
    relative = spread(exceeds, who)
    if math.isnan(relative):
        return 10.0
    # A gamma distribution of rates with that spread, by Monte Carlo: 200,000 people.
    if relative < 1e-9:
        return 1.0
    rates = np.random.default_rng(0).gamma(1.0 / relative, relative, 200_000)
    return float(np.quantile(rates, PERSON))


def _table(found: dict[str, np.ndarray], factors: np.ndarray) -> np.ndarray:
    """Thresholds that are reached by at most tail / factor of the innocents' blocks of each cohort and count."""
    table = np.full((aim.COHORTS, aim.BLOCK_COUNTS, len(aim.TAILS)), np.float32(SCORE_TOP))
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
    return table


def p_values(found: dict[str, np.ndarray], table: np.ndarray) -> np.ndarray:
    rows = zip(found["cohort"].tolist(), found["count"].tolist(), found["mean"].tolist(), strict=True)
    return np.array([p_value(table, c, n, mean) for c, n, mean in rows])


def null(found: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, list[float]]]:
    """The table of aim.AimModel.null from blocks of innocents, and the inflation of each column."""
    pooled = p_values(found, _table(found, np.ones(len(aim.TAILS))))
    factors = [min(max(inflation(pooled <= tail, found["who"]), 1.0), 40.0) if tail < 0.3 else 1.0 for tail in aim.TAILS]
    # A rarer event never has the smaller factor: the far tail has too few counts to say otherwise.
    factors = np.maximum.accumulate(factors)
    return _table(found, factors), {"inflation": [round(float(f), 2) for f in factors]}
