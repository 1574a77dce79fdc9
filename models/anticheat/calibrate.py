"""The null: which block scores innocents reach how often, made safe for how much people differ from each other.

A block's p-value is conformal: the share of blocks of innocents, not trained on, that score as high. Over people pooled that is
uniform; for one person it is not, and a person whose blocks score high three times as often as the average would lose every
e-process in the end. So each column of the null is the threshold that not the average person but the person at `PERSON` of all
people stays under: per person the rate of exceeding is taken as beta distributed around the pooled rate, with a spread fitted by
moments (the part of the variance between people that binomial chance does not explain).

People differ the more, the rarer what is counted is. So the spread is measured where the threshold comes to lie and not where it would
lie if people were alike: `null` goes up from threshold to threshold until the person at `PERSON` reaches it no more often than the
column says. That holds for every column, common ones too. What it bounds: for all but 1 - PERSON of people every column is a p-value of
their own, and their wealth obeys Ville's inequality; the share of careers ever sent to review is then at most 1/100 + 1 - PERSON, where
people are as those who made the null and each person's blocks do not hang together (`careers.WORSE` says what happens where they do).

Innocents play for `train.NULL_JOBS`' three minutes: what is counted of a finger over its last 40 presses fills up within the first, and
the rates of a null made of first minutes are a quarter below those that a career is lived with.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gameedge.core.anticheat import aim
from gameedge.core.anticheat.accumulate import cohort, safe
from models.anticheat.data import Crowds, Shots
from models.anticheat.recurrent import block_shares, figures_of

BLOCK_TICKS = 42  # 700 ms
PERSON = 0.999
BLOCKS_MIN = 25  # of a person, to tell anything about the person
EVENTS = 200  # blocks above a threshold, to tell how people differ in reaching it
LAGS = 32  # blocks apart, in which a good or a bad stretch shows
SHARES = np.geomspace(0.98, 1e-5, 120)  # of innocents' blocks: thresholds that are looked at
SCORE_TOP = 60.0
ALONE, WITH_TICKS = range(aim.SHOT_COUNTS), range(aim.SHOT_COUNTS, aim.BLOCK_COUNTS)  # rows of the null

Found = dict[str, np.ndarray]  # blocks: who, label, cohort, row (of the null), mean, tick (of the last)


def blocks(shots: Shots, score: np.ndarray) -> Found:
    """Blocks of shots alone, as the watch makes them where a game offers no ticks, in order of time."""
    rows = []
    order = np.lexsort((shots.tick, shots.who))
    who, start, total, count, last = -1, 0, 0.0, 0, -1
    for i in [*order.tolist(), -1]:
        if i < 0 or shots.who[i] != who or shots.tick[i] - start >= BLOCK_TICKS:
            if count:
                which = cohort(float(shots.rtt_ms[last]), float(shots.jitter_ms[last]))
                rows.append((who, shots.label[last], which, min(count, aim.SHOT_COUNTS) - 1, total / count, shots.tick[last]))
            if i < 0:
                break
            who, start, total, count = shots.who[i], shots.tick[i], 0.0, 0
        total += score[i]
        count += 1
        last = i
    return _columns(rows)


def ticks(crowds: Crowds, model: aim.AimModel) -> Found:
    """Blocks of ticks with the shots in them, as the watch makes them where a game offers both, in order of time."""
    b = crowds.blocks
    x, count = evidence(crowds, model)
    z = (x * model.tensors["fuse"].astype(np.float64)[None]).sum(axis=2)
    value = calibrated(np.log(np.exp(np.minimum(z, 60.0)).sum(axis=1)), *model.odds)
    which = [cohort(float(rtt), float(jitter)) for rtt, jitter in zip(b.rtt_ms, b.jitter_ms, strict=True)]
    order = np.lexsort((b.tick, b.who))
    columns = np.array([b.who, b.label, which, aim.SHOT_COUNTS + np.minimum(count, 2), value, b.tick]).T[order]
    links = zip(b.rows, b.ticks, b.rtt_ms, b.jitter_ms, strict=True)
    fine = np.array([safe(rows[:n], float(rtt), float(jitter)) for rows, n, rtt, jitter in links])
    return {**_columns(columns), "ticks": b.ticks[order], "safe": fine[order]}


def calibrated(x: np.ndarray, given: Sequence[float], said: Sequence[float]) -> np.ndarray:
    """As `AimModel.calibrated`, float64 [N]."""
    inside = np.interp(x, given, said)
    return np.asarray(inside + np.minimum(x - given[0], 0.0) + np.maximum(x - given[-1], 0.0))


def odds(found: Found) -> np.ndarray:
    """The curve of `AimModel.odds` from blocks of people and machines whose scores are not calibrated: in bins of as much weight, people
    and machines weighing the same, the log odds that were found, made to rise (pool adjacent violators), at the mean of each bin."""
    x, y = found["mean"], found["label"] > 0
    w = np.where(y, 0.5 / y.sum(), 0.5 / (~y).sum())
    order = np.argsort(x, kind="stable")
    x, y, w = x[order], y[order], w[order]
    part = np.minimum((np.cumsum(w) * aim.ODDS).astype(int), aim.ODDS - 1)
    weight = np.bincount(part, w, aim.ODDS)
    share = (np.bincount(part, w * y, aim.ODDS) + 0.5 / len(x)) / (weight + 1.0 / len(x))
    pools: list[tuple[float, float, int]] = []  # share, weight, bins
    for one in zip(share.tolist(), weight.tolist(), [1] * aim.ODDS, strict=True):
        pools.append(one)
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            (a, m, i), (b, n, j) = pools[-2:]
            pools[-2:] = [((a * m + b * n) / (m + n), m + n, i + j)]
    risen = np.repeat([pool[0] for pool in pools], [pool[2] for pool in pools])
    given = np.bincount(part, w * x, aim.ODDS) / weight
    said = np.log(risen / (1.0 - risen)) + 1e-3 * np.arange(aim.ODDS)  # never level: p-values go by it
    return np.round(np.stack([given, said]), 4).astype(np.float32)


def evidence(crowds: Crowds, model: aim.AimModel) -> tuple[np.ndarray, np.ndarray]:
    """What `AimModel.fused` adds up, float64 [blocks, machines, aim.FUSE], and the number of shots of each block."""
    b = crowds.blocks
    shares, surprise = block_shares(dict(model.tensors), figures_of(b), b.ticks)
    judged = model.judge(crowds.shots.figures).shares
    place = {number: k for k, number in enumerate(b.block.tolist())}
    at = np.array([place.get(number, -1) for number in crowds.shots.block.tolist()])
    inside, n = at >= 0, len(b.block)
    count = np.bincount(at[inside], minlength=n)
    out = np.ones((n, len(aim.CLASSES) - 1, aim.FUSE))
    for k in range(1, len(aim.CLASSES)):
        odds = np.log(judged[inside, k] + 1e-6) - np.log(judged[inside, 0] + 1e-6)
        out[:, k - 1, 1] = np.log(shares[:, k] + 1e-6) - np.log(shares[:, 0] + 1e-6)
        out[:, k - 1, 2] = np.bincount(at[inside], odds, n) / np.maximum(count, 1)
    out[:, :, 3], out[:, :, 4] = (count > 0)[:, None], surprise[:, None]
    return out, count


def _columns(rows: Any) -> Found:
    found = dict(zip(("who", "label", "cohort", "row", "mean", "tick"), np.array(rows).T, strict=True))
    return {name: column if name == "mean" else column.astype(np.int64) for name, column in found.items()}


def spread(exceeds: np.ndarray, who: np.ndarray) -> float:
    """The variance of people's rates of exceeding over the square of the pooled rate, chance taken out. NaN: too few to say.

    exceeds: bool, a block each."""
    _, index, n = np.unique(who, return_inverse=True, return_counts=True)
    k = np.bincount(index, exceeds)[n >= BLOCKS_MIN]
    n = n[n >= BLOCKS_MIN]
    if len(n) < 20 or not k.any():
        return math.nan
    # E[k (k - 1)] = n (n - 1) E[rate^2].
    square, q = (k * (k - 1)).sum() / (n * (n - 1)).sum(), k.sum() / n.sum()
    return float(max(square / (q * q) - 1.0, 0.0))


def lingering(exceeds: np.ndarray, who: np.ndarray, apart: float) -> tuple[float, int]:
    """How much a person's rate of exceeding changes from stretch to stretch of blocks: its relative variance beyond `apart`, that between
    people, and the length of a stretch. By moments: were a rate drawn anew every so many blocks, the covariance of two blocks would fall in
    a line from the variance to 0 over that many.

    exceeds: bool, a block each, in order of time for each person."""
    order = np.argsort(who, kind="stable")
    hit, who = exceeds[order].astype(np.float64), who[order]
    square = max(float(hit.mean()) ** 2, 1e-12)
    beyond = []
    for lag in range(1, LAGS + 1):
        same = who[lag:] == who[:-lag]
        beyond.append(max(float((hit[lag:] * hit[:-lag])[same].mean()) / square - 1.0 - apart, 0.0) if same.any() else 0.0)
    if beyond[0] <= 0.0:
        return 0.0, 1
    return beyond[0], round(1.0 + 2.0 * sum(beyond) / beyond[0])


def at_person(share: float, relative: float, person: float = PERSON) -> float:
    """The rate of the person at `person` of all people, whose rates are beta distributed with this mean and relative variance."""
    if relative < 1e-9:
        return share
    n = (1.0 - share) / (relative * share) - 1.0
    if n <= 0.0:
        return 1.0
    return float(np.quantile(np.random.default_rng(0).beta(share * n, (1.0 - share) * n, 200_000), person))


def _ranks(found: Found) -> np.ndarray:
    """The share of innocents' blocks of the same cohort and kind that score as high as each."""
    out = np.ones(len(found["mean"]))
    cell = found["cohort"] * aim.BLOCK_COUNTS + found["row"]
    for one in np.unique(cell):
        at = np.flatnonzero(cell == one)
        scores = np.sort(found["mean"][at])
        out[at] = (len(at) - np.searchsorted(scores, found["mean"][at], side="left")) / len(at)
    return out


def borne(found: Found, person: float = PERSON) -> np.ndarray:
    """For each of SHARES the rate of the person at `person`, where the threshold is that which so many of all blocks reach. How people
    differ is measured at that threshold and never falls as it gets rarer; where fewer than EVENTS blocks reach it, it stays."""
    ranks, relative, out = _ranks(found), 0.0, []
    for share in SHARES:
        exceeds = ranks <= share
        if exceeds.sum() >= EVENTS:
            relative = max(relative, spread(exceeds, found["who"]))
        out.append(at_person(share, relative, person))
    return np.maximum.accumulate(np.array(out)[::-1])[::-1]


def _table(found: Found, shares: Sequence[float], rows: range) -> np.ndarray:
    """Thresholds that are reached by at most `shares` of the innocents' blocks of each cohort and kind: the null's `rows`."""
    table = np.full((aim.COHORTS, aim.BLOCK_COUNTS, len(aim.TAILS)), np.float32(SCORE_TOP))
    for c in range(aim.COHORTS):
        for row in rows:
            scores = np.sort(found["mean"][(found["cohort"] == c) & (found["row"] == row)])
            for k, share in enumerate(shares):
                # Conformal: (exceeding + 1) / (n + 1) must stay under it.
                over = math.floor(share * (len(scores) + 1)) - 1
                if over >= 0 and len(scores) > over:
                    table[c, row, k] = scores[len(scores) - 1 - over] + 1e-4
            table[c, row] = np.maximum.accumulate(table[c, row])
    return table


def p_values(found: Found, table: np.ndarray) -> np.ndarray:
    out = np.ones(len(found["mean"]))
    tails = np.array([1.0, *aim.TAILS])
    for c in range(aim.COHORTS):
        for row in range(aim.BLOCK_COUNTS):
            at = (found["cohort"] == c) & (found["row"] == row)
            out[at] = tails[np.searchsorted(table[c, row], found["mean"][at].astype(np.float32), side="right")]
    return out


def null(found: Found, rows: range, person: float = PERSON) -> tuple[np.ndarray, list[float]]:
    """The table of aim.AimModel.null with `rows` filled from blocks of innocents, and the inflation of each column."""
    rates = borne(found, person)
    shares = [max([float(share) for share, rate in zip(SHARES, rates, strict=True) if rate <= tail], default=0.0) for tail in aim.TAILS]
    factors = [round(tail / share, 2) if share else math.inf for tail, share in zip(aim.TAILS, shares, strict=True)]
    return _table(found, shares, rows), factors
