"""Innocent careers of 1,000 hours, simulated: how many would ever be sent to review, or recommended for a ban?

No innocent was ever recorded for 1,000 hours. What is simulated: a person is drawn whose rate of high blocks differs from the
average as people were found to differ (a gamma distribution with the spread that `calibrate.inflation` finds), and then plays
blocks whose p-values fall into the columns of the null with that person's rates. The rates of the average person are measured on
innocents. Blocks are independent given the person. Three million blocks make a career: of the careers drawn, the `HIGHEST` by rate are
all simulated, and `LOT` of the others, which weigh for all others.
"""

import numpy as np
from numba import njit

from gameedge.core.anticheat import accumulate, aim

BLOCKS_PER_S = 0.85  # measured in the arena: blocks a second of play
HIGHEST, LOT = 60, 40  # careers that are simulated of those drawn: with the highest rates, and of the others by lot
HOURS = 1_000.0


@njit(cache=True)
def _careers(stakes, stricter, base, factors, prior, blocks, ban_at, seed):  # type: ignore[no-untyped-def]
    """The highest wealth of each career, ordinary and strict; one is over when the strict reaches `ban_at`."""
    np.random.seed(seed)
    levels, kinds = stakes.shape
    peaks = np.empty((factors.shape[0], 2))
    edges = np.empty(levels)
    m, strict = np.empty(kinds), np.empty(kinds)
    for c in range(factors.shape[0]):
        for k in range(levels):  # edges[k]: the person's chance of column k or a higher one
            edges[k] = min(base[k] * factors[c], base[k] + (1.0 - base[k]) * 0.5) if k > 0 else 1.0
        m[:] = 0.0
        strict[:] = 0.0
        peak, surest = 0.0, 0.0
        for n in range(blocks):
            u = np.random.random()
            k = 0
            while k + 1 < levels and u < edges[k + 1]:
                k += 1
            total, sure = 0.0, 0.0
            for j in range(kinds):
                m[j] = stakes[k, j] * (m[j] + prior[n])
                strict[j] = stricter[k, j] * (strict[j] + prior[n])
                total += m[j]
                sure += strict[j]
            peak, surest = max(peak, total), max(surest, sure)
            if surest >= ban_at * kinds:
                break
            if total > 1e25:
                m[:] = 1e25
        peaks[c, 0], peaks[c, 1] = peak / kinds, surest / kinds
    return peaks


def simulate(observed: np.ndarray, spread: float, careers: int, seed: int = 5) -> dict[str, object]:
    """observed: share of test innocents' blocks at or above each column of aim.TAILS; spread: the relative variance between people."""
    tails = np.array([1.0, *aim.TAILS])
    kappa = np.array(accumulate.KAPPAS)
    stakes = kappa[None] * tails[:, None] ** (kappa[None] - 1.0)
    stricter = kappa[None] * np.minimum(accumulate.STRICT * tails[:, None], 1.0) ** (kappa[None] - 1.0)
    base = np.array([1.0, *np.maximum(observed, 1e-7)])
    blocks = int(BLOCKS_PER_S * 3_600 * HOURS)
    n = np.arange(blocks) + 2.0
    prior = accumulate.prior(0) * (2 * np.log(2.0) ** 2) / (n * np.log(n) ** 2)
    rng = np.random.default_rng(seed)
    factors = np.sort(rng.gamma(1.0 / spread, spread, careers) if spread > 1e-6 else np.ones(careers))[::-1]
    weight = np.ones(careers)
    if careers > HIGHEST + LOT:
        factors = np.concatenate([factors[:HIGHEST], rng.choice(factors[HIGHEST:], LOT, replace=False)])
        weight = np.concatenate([np.ones(HIGHEST), np.full(LOT, (careers - HIGHEST) / LOT)])
    peaks = _careers(stakes, stricter, base, factors, prior, blocks, np.exp(accumulate.BAN), seed)
    logs, sure = np.log(np.maximum(peaks, 1e-30)).T

    def share(reached: np.ndarray) -> float:
        return float((weight * reached).sum() / careers)

    thresholds = np.linspace(0.0, accumulate.BAN, 24)
    return {
        "careers": careers,
        "hours": HOURS,
        "blocks_each": blocks,
        "spread_between_people": round(spread, 3),
        "simulated_with_the_highest_rates": min(careers, HIGHEST),
        "simulated_of_the_others": len(factors) - min(careers, HIGHEST),
        "ever_review": share(logs >= accumulate.REVIEW - 1e-9),
        "ever_ban": share(sure >= accumulate.BAN - 1e-9),
        "curve": [[round(float(np.exp(t)), 3), share(logs >= t - 1e-9)] for t in thresholds],
    }
