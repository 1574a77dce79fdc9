"""Innocent careers of 1,000 hours, simulated: how many would ever be sent to review, or recommended for a ban?

No innocent was ever recorded for 1,000 hours. What is simulated, block by block: a person is drawn whose rate of high blocks differs
from the average as people were found to differ (a gamma distribution with the spread that `calibrate.spread` finds), has good and bad
stretches as innocents were found to have (`calibrate.lingering`: blocks that follow each other are alike), and then plays blocks whose
p-values fall into the columns of the null with the rates of that person and stretch. The rates of the average person are measured on
innocents, each as if one block more had reached it. Every career is played in full, three million blocks of it. `replayed` supposes none
of that: its careers are sessions as innocents of the arena played them, one drawn after another.

The rest of the report is what happens where that is wrong (`WORSE`), one thing at a time and on top of the measured rates or of the
higher ones that the null says: everybody's rates larger, people who differ more, days of good and bad form (blocks that depend on each
other: the rate of a whole stretch is drawn anew), tails that are heavier.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numba import njit

from gameedge.core.anticheat import accumulate, aim
from loadtest.shares import at_most

BLOCKS_PER_S: Final = 0.85  # measured in the arena: blocks a second of play
HOURS: Final = 1_000.0
BLOCKS: Final = int(BLOCKS_PER_S * 3_600 * HOURS)
WORSE_CAREERS: Final = 1_500
_FORMS: Final = 1_024  # rates of stretches to draw from
_BUCKETS: Final = 256


@njit(cache=True)
def _next(x):  # type: ignore[no-untyped-def]
    """xorshift64 (Marsaglia 2003): another number for a whole career of them is 3 ns saved 9e10 times."""
    x ^= x << np.uint64(13)
    x ^= x >> np.uint64(7)
    x ^= x << np.uint64(17)
    return x


@njit(cache=True)
def _rates(base, factor, edges, starts):  # type: ignore[no-untyped-def]
    """edges[k]: column k or a higher one where a 32-bit number is below; starts: the lowest column of each 256th of the numbers."""
    levels = base.shape[0]
    edges[0] = 4294967296.0
    for k in range(1, levels):
        edges[k] = 4294967296.0 * min(base[k] * factor, base[k] + (1.0 - base[k]) * 0.5)
    k = levels - 1
    for bucket in range(starts.shape[0]):
        last = (bucket + 1) * (4294967296.0 / starts.shape[0]) - 1.0
        while k > 0 and not last < edges[k]:
            k -= 1
        starts[bucket] = k


@njit(cache=True, fastmath=True)
def _careers(stakes, base, factors, forms, stretch, prior, stop, seeds):  # type: ignore[no-untyped-def]
    """The highest wealth of each career, a sum over the four bets; a career is over where it reaches `stop`."""
    levels = stakes.shape[0]
    peaks, edges = np.empty(factors.shape[0]), np.empty((forms.shape[0], levels + 1))
    edges[:, levels] = -1.0
    starts = np.empty((forms.shape[0], _BUCKETS), np.uint8)
    for c in range(factors.shape[0]):
        for f in range(forms.shape[0]):  # once a career: stretches may be of a few blocks
            _rates(base, factors[c] * forms[f], edges[f], starts[f])
        x = seeds[c]
        a, b, d, e, peak = 0.0, 0.0, 0.0, 0.0, 0.0
        n = 0
        while n < prior.shape[0] and peak < stop:
            x = _next(x)
            f = np.int64(x >> np.uint64(40)) % forms.shape[0]
            for i in range(n, min(n + stretch, prior.shape[0])):
                x = _next(x)
                u = x >> np.uint64(32)
                k = np.int64(starts[f, u >> np.uint64(24)])
                drawn = np.float64(u)
                while drawn < edges[f, k + 1]:
                    k += 1
                w = prior[i]
                a = stakes[k, 0] * (a + w)
                b = stakes[k, 1] * (b + w)
                d = stakes[k, 2] * (d + w)
                e = stakes[k, 3] * (e + w)
                peak = max(peak, a + b + d + e)
                if peak >= stop:
                    break
            n += stretch
        peaks[c] = peak
    return peaks


@dataclass(frozen=True)
class Crowd:
    """Who plays. factor: everybody's rates over the measured ones; spread: the relative variance between people; form, stretch: that
    between stretches of a person's blocks, and their length; heavier: rates of p <= t are (0.3 / t)^heavier times as high; said: the
    average person's rates are those of the null instead."""

    factor: float = 1.0
    spread: float = 0.0
    form: float = 0.0
    stretch: int = 1_000
    heavier: float = 0.0
    said: bool = True


WORSE: Final[Mapping[str, Crowd]] = {
    **{f"measured rates x {k:g}": Crowd(factor=k, said=False) for k in (2.0, 3.0)},
    "measured rates, variance between people 0.25": Crowd(spread=0.25, said=False),
    "measured rates, variance between stretches of 20 min 1": Crowd(form=1.0, said=False),
    "as the null says": Crowd(),
    **{f"rates x {k:g}": Crowd(factor=k) for k in (1.25, 1.5, 2.0, 3.0)},
    **{f"variance between people {k:g}": Crowd(spread=k) for k in (0.25, 0.5, 1.0)},
    **{f"variance between stretches of 20 min {k:g}": Crowd(form=k) for k in (0.25, 1.0, 4.0)},
    **{f"variance between stretches of 30 s {k:g}": Crowd(form=k, stretch=25) for k in (0.25, 1.0, 4.0)},
    **{f"tails (0.3 / t)^{k:g} heavier": Crowd(heavier=k) for k in (0.1, 0.2, 0.3)},
}


def _gamma(rng: np.random.Generator, spread: float, count: int) -> np.ndarray:
    return rng.gamma(1.0 / spread, spread, count) if spread > 1e-6 else np.ones(count)


def _prior(blocks: int) -> np.ndarray:
    n = np.arange(blocks) + 2.0
    return np.asarray(accumulate.prior(0) * (2 * np.log(2.0) ** 2) / (n * np.log(n) ** 2))


def _stakes(strict: float) -> np.ndarray:
    """What each bet pays at each column, p-values taken `strict` times as large."""
    tails, kappa = np.array([1.0, *aim.TAILS]), np.array(accumulate.KAPPAS)
    return np.asarray(kappa[None] * np.minimum(strict * tails[:, None], 1.0) ** (kappa[None] - 1.0))


def _play(base: np.ndarray, crowd: Crowd, careers: int, blocks: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The highest wealth of each career: of the ordinary account, cut at 10,000, and of the strict one, cut there too."""
    tails, prior = np.array([1.0, *aim.TAILS]), _prior(blocks)
    rng = np.random.default_rng(seed)
    factors = crowd.factor * _gamma(rng, crowd.spread, careers)
    forms = _gamma(rng, crowd.form, _FORMS if crowd.form > 0.0 else 1)
    seeds = rng.integers(1, 2**63, careers, dtype=np.uint64)
    rates = base * np.where((tails < 0.3) & (tails > 0.0), (0.3 / tails) ** crowd.heavier, 1.0)
    stop = float(np.exp(accumulate.BAN)) * len(accumulate.KAPPAS)

    def highest(strict: float, which: np.ndarray) -> np.ndarray:
        args = rates, factors[which], forms, crowd.stretch, prior, stop, seeds[which]
        return np.asarray(_careers(_stakes(strict), *args)) / len(accumulate.KAPPAS)

    peaks = highest(1.0, np.arange(careers))
    # The strict account is never the richer one: those who stayed poor need not be played again.
    sure = np.zeros(careers)
    rich = np.flatnonzero(peaks >= np.exp(accumulate.BAN) * (1 - 1e-9))
    sure[rich] = highest(accumulate.STRICT, rich)
    return peaks, sure


@njit(cache=True, fastmath=True)
def _sessions(stakes, columns, starts, prior, stop, seeds):  # type: ignore[no-untyped-def]
    """As `_careers`, of sessions as they were played, drawn anew one after another. columns: uint8, of all sessions; starts: where each
    begins, and the end of the last."""
    peaks = np.empty(seeds.shape[0])
    for c in range(seeds.shape[0]):
        x = seeds[c]
        a, b, d, e, peak = 0.0, 0.0, 0.0, 0.0, 0.0
        n = 0
        while n < prior.shape[0] and peak < stop:
            x = _next(x)
            which = np.int64(x >> np.uint64(33)) % (starts.shape[0] - 1)
            for i in range(starts[which], starts[which + 1]):
                k, w = columns[i], prior[n]
                a = stakes[k, 0] * (a + w)
                b = stakes[k, 1] * (b + w)
                d = stakes[k, 2] * (d + w)
                e = stakes[k, 3] * (e + w)
                peak = max(peak, a + b + d + e)
                n += 1
                if peak >= stop or n >= prior.shape[0]:
                    break
        peaks[c] = peak
    return peaks


def replayed(p: np.ndarray, who: np.ndarray, careers: int, blocks: int = BLOCKS, seed: int = 7) -> dict[str, Any]:
    """Careers of sessions as innocents played them, drawn with replacement: nothing is supposed about how the blocks of a session hang
    together or how people differ, but whoever plays for 1,000 h is somebody else in every session.

    p: p-values of innocents' blocks, in order of time for each of `who`."""
    tails = np.array([1.0, *aim.TAILS])
    order = np.argsort(who, kind="stable")
    columns = (np.searchsorted(-tails, 1e-12 - p[order], side="right") - 1).astype(np.uint8)
    _, first = np.unique(who[order], return_index=True)
    starts = np.append(first, len(p)).astype(np.int64)
    seeds = np.random.default_rng(seed).integers(1, 2**63, careers, dtype=np.uint64)
    stop = float(np.exp(accumulate.BAN)) * len(accumulate.KAPPAS)
    peaks, sure = (
        np.asarray(_sessions(_stakes(strict), columns, starts, _prior(blocks), stop, seeds)) / len(accumulate.KAPPAS)
        for strict in (1.0, accumulate.STRICT)
    )
    return {"sessions": len(first), "blocks_each": blocks} | _told(peaks, sure)


def _told(peaks: np.ndarray, sure: np.ndarray) -> dict[str, Any]:
    """Shares and, last, `curve`: [wealth, the share of careers that ever reach it]."""
    review, ban = (
        int((found >= np.exp(level) * (1 - 1e-9)).sum()) for found, level in ((peaks, accumulate.REVIEW), (sure, accumulate.BAN))
    )
    return {
        "careers": len(peaks),
        "ever_review": review / len(peaks),
        "ever_review_at_most": at_most(review, len(peaks)),  # with 95 % confidence
        "ever_ban": ban / len(peaks),
        "ever_ban_at_most": at_most(ban, len(peaks)),
        "highest_wealth": round(float(peaks.max()), 2),
        "curve": [
            [round(float(np.exp(t)), 3), float((peaks >= np.exp(t) * (1 - 1e-9)).mean())] for t in np.linspace(0.0, accumulate.BAN, 24)
        ],
    }


def simulate(
    observed: np.ndarray,
    spread: float,
    careers: int,
    worse: int = WORSE_CAREERS,
    blocks: int = BLOCKS,
    seed: int = 5,
    stretches: tuple[float, int] = (0.0, 1_000),
) -> dict[str, Any]:
    """observed: share of innocents' blocks at or above each column of aim.TAILS; spread: the relative variance between people; worse:
    careers of each crowd of `WORSE` (0: none); stretches: the relative variance between stretches and their length in blocks."""
    base = np.array([1.0, *np.maximum(observed, 1e-7)])
    peaks, sure = _play(base, Crowd(spread=spread, form=stretches[0], stretch=stretches[1]), careers, blocks, seed)
    said = np.array([1.0, *aim.TAILS])
    found: dict[str, Any] = {"hours": blocks / BLOCKS_PER_S / 3_600, "blocks_each": blocks, "spread_between_people": round(spread, 3)}
    found |= {"spread_between_stretches": round(stretches[0], 3), "stretch_blocks": stretches[1]}
    found |= _told(peaks, sure)
    if worse:
        found["worse"] = {
            name: _told(*_play(said if crowd.said else base, crowd, worse, blocks, seed + 1)) for name, crowd in WORSE.items()
        }
    return found
