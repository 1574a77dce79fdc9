"""Variants of a model: the stable one, and a trial of another (canary or shadow) with the rule that ends it by itself."""

from collections.abc import Callable
from typing import Final

import numpy as np

from gameedge.inference.base import Backend, Floats, Heir, Int32s, Paced
from gameedge.inference.costs import CostTable
from gameedge.telemetry.quantiles import Window

TRIAL_CALLS_MIN: Final = 60  # a second: before that a trial is not judged by its deadlines
FAILURES_MAX: Final = 3  # calls of a canary that raised; one more and it ends
NOT_FINITE_SHARE_MAX: Final = 0.001  # of its rows
LATE_SHARE_MAX: Final = 0.05  # of its calls, above the stable variant's own share


class Figures:
    """Of one model, counted since the start; `took_ms` and `rows` cover the last ten seconds."""

    def __init__(self, buckets: int) -> None:
        self.batch = 0  # rows of the last call
        self.batches = [0] * buckets  # calls by batch size: index i holds sizes 2**(i - 1) + 1 .. 2**i
        self.took_ms = Window()
        self.rows = Window()
        self.last_ms = 0.0  # what the last call took
        self.calls = 0
        self.actions = 0  # rows that the model answered
        self.held = 0  # rows that coasted or kept their last action
        self.fallbacks = 0  # rows that the fallback answered
        self.late = 0  # calls over the deadline
        self.failures = 0  # calls in which the model raised
        self.not_finite = 0  # rows whose answer could not be used


class Variant:
    """A backend with what was learned and counted of it."""

    def __init__(self, backend: Backend, buckets: int) -> None:
        self.backend = backend
        self.paced = isinstance(backend, Paced)
        self.heir = isinstance(backend, Heir)
        self.costs = CostTable(buckets)
        self.calls = self.actions = self.failures = self.not_finite = self.late = 0

    @staticmethod
    def hand_over(old: Backend, new: Backend) -> bool:
        """Whether `new` goes on with the state of `old`."""
        return isinstance(new, Heir) and new.adopt(old)


class Trial:
    """A variant under trial. `share`: of the matches that a canary answers for, of the calls that a shadow takes part in."""

    def __init__(self, variant: Variant, share: float, shadow: bool) -> None:
        self.variant, self.share, self.shadow = variant, min(max(share, 0.0), 1.0), shadow
        self.rows = 0  # compared by a shadow
        self.difference_sum = 0.0  # of absolute differences, a value
        self.difference_max = 0.0
        self._part = 0.0

    @property
    def difference(self) -> float:
        """Mean absolute difference of a shadow's values from the stable variant's."""
        return self.difference_sum / self.rows if self.rows else 0.0

    def turn(self) -> bool:
        """Whether a shadow takes part in this call."""
        self._part += self.share
        if self._part >= 1.0:
            self._part -= 1.0
            return True
        return False

    def compare(self, rows: Floats, entities: Int32s, answers: Floats, clock: Callable[[], float]) -> None:
        """Run a shadow on what the stable variant answered. Its failures are its own."""
        variant, n = self.variant, len(entities)
        out, began = np.zeros_like(answers), clock()
        variant.calls += 1
        try:
            variant.backend.run(rows, entities, out)
        except Exception:
            variant.failures += 1
            return
        variant.costs.learn(n, clock() - began, shed=False)
        good = np.isfinite(out).all(axis=1) & np.isfinite(answers).all(axis=1)
        variant.not_finite += int((~good).sum())
        if good.any():
            difference = np.abs(out[good] - answers[good])
            self.rows += int(good.sum())
            self.difference_sum += float(difference.mean(axis=1).sum())
            self.difference_max = max(self.difference_max, float(difference.max()))
        variant.actions += n

    def verdict(self, stable: Variant) -> str | None:
        """Why this trial must end, or None. For people to read."""
        variant = self.variant
        if variant.failures > FAILURES_MAX:
            return f"raised in {variant.failures} of {max(variant.calls, variant.failures)} calls"
        total = variant.actions + variant.not_finite
        if variant.not_finite > max(FAILURES_MAX, NOT_FINITE_SHARE_MAX * total):
            return f"{variant.not_finite} of {total} answers were not finite"
        if variant.calls >= TRIAL_CALLS_MIN and not self.shadow:
            share, usual = variant.late / variant.calls, stable.late / max(stable.calls, 1)
            if share > usual + LATE_SHARE_MAX:
                return f"missed the deadline in {share:.0%} of its calls, the stable one in {usual:.0%}"
        return None
