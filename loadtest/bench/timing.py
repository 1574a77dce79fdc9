"""Timing a small piece of code: best of several rounds, since noise on a shared machine only ever adds."""

from collections.abc import Callable
from time import perf_counter_ns
from typing import Final

ROUNDS: Final = 7


def us_each(work: Callable[[], object], *, items: int = 1, seconds: float = 0.4) -> float:
    """Microseconds an item of `work()`, which does `items` of them. The least of 7 rounds of about seconds/7 each."""
    work()  # compile, fill caches
    began = perf_counter_ns()
    work()
    calls = max(1, int(seconds / ROUNDS * 1e9 / max(perf_counter_ns() - began, 1)))
    best = float("inf")
    for _ in range(ROUNDS):
        began = perf_counter_ns()
        for _ in range(calls):
            work()
        best = min(best, (perf_counter_ns() - began) / calls)
    return best / 1000 / items
