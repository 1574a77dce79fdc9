"""p50 and p99 of the last seconds in fixed memory.

Values fall into logarithmic buckets (each `2 ** (1 / 8)` wide, so an answer is within 4.5% of the true value), and time into a
ring of slices: the oldest slice is forgotten as a new one begins. Adding costs one logarithm and one addition; the same idea as
HdrHistogram and DDSketch, less their generality.
"""

import math
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

_PER_DOUBLING: Final = 8
_LOW: Final = 2.0**-10  # about 1 us where values are ms; everything below counts as this
_BUCKETS: Final = 34 * _PER_DOUBLING  # up to 2**24 (4.6 hours in ms); everything above counts as that
_SCALE: Final = _PER_DOUBLING / math.log(2.0)
_SHIFT: Final = 10.0 * _PER_DOUBLING


class Window:
    """A sliding histogram of non-negative values. Times are the caller's (`now_ms`, monotonic); not thread-safe."""

    __slots__ = ("_began_ms", "_current", "_head", "_old", "_slice_ms", "_total")

    def __init__(self, window_ms: float = 10_000, slices: int = 10) -> None:
        self._slice_ms = window_ms / slices
        self._old = np.zeros((slices, _BUCKETS), np.int64)  # closed slices, a ring
        self._total = np.zeros(_BUCKETS, np.int64)  # their sum
        self._current = [0] * _BUCKETS
        self._head = 0
        self._began_ms = -math.inf

    def add(self, value: float, now_ms: float) -> None:
        """One value. Not-finite values are ignored."""
        if now_ms - self._began_ms >= self._slice_ms:
            self._turn(now_ms)
        if value < _LOW:
            self._current[0] += 1
        elif value < math.inf:
            index = int(math.log(value) * _SCALE + _SHIFT)
            self._current[index if index < _BUCKETS else _BUCKETS - 1] += 1

    def add_many(self, values: NDArray[np.float32] | NDArray[np.float64], now_ms: float) -> None:
        """Any number of values in one call."""
        if now_ms - self._began_ms >= self._slice_ms:
            self._turn(now_ms)
        finite = np.maximum(values[np.isfinite(values)], _LOW)
        if finite.size:
            index = np.minimum((np.log(finite) * _SCALE + _SHIFT).astype(np.int64), _BUCKETS - 1)
            found = np.bincount(index, minlength=_BUCKETS)
            for bucket in np.flatnonzero(found):
                self._current[bucket] += int(found[bucket])

    def count(self, now_ms: float) -> int:
        """How many values the window holds."""
        return int(self._all(now_ms).sum())

    def quantile(self, q: float, now_ms: float) -> float:
        """The value below which a share `q` (0 to 1) of the window lies; 0 where the window is empty."""
        return self.quantiles((q,), now_ms)[0]

    def quantiles(self, shares: tuple[float, ...], now_ms: float) -> tuple[float, ...]:
        """Several at once, for the price of one."""
        running = np.cumsum(self._all(now_ms))
        if running[-1] == 0:
            return (0.0,) * len(shares)
        ranks = [max(1, math.ceil(q * int(running[-1]))) for q in shares]
        return tuple(_middle(int(bucket)) for bucket in np.searchsorted(running, ranks))

    def counts(self, bounds: tuple[float, ...], now_ms: float) -> list[int]:
        """How many values lie at or below each bound and above the one before, and last how many above all: len(bounds) + 1."""
        index = _index(bounds)
        return [int(count) for count in np.bincount(index, self._all(now_ms), len(bounds) + 1)]

    def _all(self, now_ms: float) -> NDArray[np.int64]:
        if now_ms - self._began_ms >= self._slice_ms:
            self._turn(now_ms)
        return self._total + np.asarray(self._current, np.int64)

    def _turn(self, now_ms: float) -> None:
        """Close the current slice and forget those that have left the window."""
        slices = len(self._old)
        passed = (now_ms - self._began_ms) / self._slice_ms
        steps = slices if passed >= slices else int(passed)
        for step in range(steps):
            self._total -= self._old[self._head]
            self._old[self._head] = self._current if step == 0 else 0
            self._total += self._old[self._head]
            self._head = (self._head + 1) % slices
            if step == 0:
                self._current = [0] * _BUCKETS
        self._began_ms = now_ms if passed >= slices else self._began_ms + steps * self._slice_ms
        if passed >= slices + 1:  # silent for longer than the window: even the slice just closed is too old
            self._old[:] = 0
            self._total[:] = 0


@lru_cache(maxsize=64)
def _index(bounds: tuple[float, ...]) -> NDArray[np.int64]:
    """For each bucket the place of its middle among the bounds."""
    return np.searchsorted(np.array(bounds), [_middle(bucket) for bucket in range(_BUCKETS)])


def _middle(bucket: int) -> float:
    """The geometric middle of a bucket."""
    return 0.0 if bucket == 0 else _LOW * 2.0 ** ((bucket + 0.5) / _PER_DOUBLING)
