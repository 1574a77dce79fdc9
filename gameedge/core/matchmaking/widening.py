"""A limit that grows with waiting: constant, in steps, or along a curve of straight pieces.

In TOML one of: `100.0`; `{ start = 4.0, per_s = 2.0, max = 100.0 }`; `{ steps = [[0, 100], [10_000, 200]] }` (from that age on, the
value); `{ curve = [[0, 100], [10_000, 200]] }` (straight lines between). Ages are ms. `inf` stands for no limit, except in curves.
"""

import itertools
import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gameedge.core import limits

NO_LIMIT: Final = 1e12  # what `inf` becomes: finite, so that sums and differences stay numbers
POINTS_MAX: Final = 32
_FORMS: Final = "a number, { start, per_s, max }, { steps = [[ms, value], ...] } or { curve = [[ms, value], ...] }"

Floats = NDArray[np.float64]


class Widening:
    """`ages_ms` ascending from 0, `values` never falling. Raises ValueError, which says what is wrong."""

    __slots__ = ("_ages", "_values", "ages_ms", "stepped", "values")

    def __init__(self, ages_ms: list[float], values: list[float], *, stepped: bool) -> None:
        if not 1 <= len(ages_ms) == len(values) <= POINTS_MAX:
            raise ValueError(f"takes 1 to {POINTS_MAX} points")
        if ages_ms[0] != 0:
            raise ValueError(f"starts at age {ages_ms[0]:g}: the first point must be at 0, for those who just came")
        if not all(math.isfinite(age) for age in ages_ms) or any(b <= a for a, b in itertools.pairwise(ages_ms)):
            raise ValueError("ages must be numbers that rise from point to point")
        if ages_ms[-1] > limits.TICKET_MS_MAX:
            raise ValueError(f"age {ages_ms[-1]:g} is never reached: tickets end after {limits.TICKET_MS_MAX} ms")
        if not all(value >= 0 for value in values):  # NaN too
            raise ValueError("values must be numbers of 0 or more")
        if any(b < a for a, b in itertools.pairwise(values)):
            raise ValueError("values must not fall: who waits longer never accepts less")
        if not stepped and math.inf in values:
            raise ValueError("inf stands in steps alone: no straight line leads there")
        self.ages_ms, self.values, self.stepped = ages_ms, [min(value, NO_LIMIT) for value in values], stepped
        self._ages, self._values = np.array(self.ages_ms), np.array(self.values)

    def at(self, age_ms: Floats) -> Floats:
        """The limit at each age, float64 of the same shape; ages below 0 count as 0."""
        if len(self._values) == 1:
            return np.full(np.shape(age_ms), self._values[0])
        if self.stepped:
            stepped: Floats = self._values[np.maximum(np.searchsorted(self._ages, age_ms, side="right") - 1, 0)]
            return stepped
        between: Floats = np.interp(age_ms, self._ages, self._values)
        return between

    def age_when(self, need: Floats) -> Floats:
        """The least age at which the limit is `need` or more, inf where that never comes; float64 of the same shape."""
        need = np.asarray(need, np.float64)
        at = np.searchsorted(self._values, need, side="left")  # the first point that is enough
        inside = np.minimum(at, len(self._values) - 1)
        age = self._ages[inside].astype(np.float64)
        if not self.stepped and len(self._values) > 1:
            before = np.maximum(inside - 1, 0)
            rise = self._values[inside] - self._values[before]
            share = np.divide(need - self._values[before], rise, out=np.ones_like(need), where=rise > 0)
            age = np.where(inside > 0, self._ages[before] + share * (self._ages[inside] - self._ages[before]), age)
        return np.where(at >= len(self._values), np.inf, age)

    @property
    def grows(self) -> bool:
        return len(self.values) > 1

    def next_step_ms(self, age_ms: float) -> float | None:
        """The age at which the limit next differs; for a curve that still rises, `age_ms` itself. None: it never does."""
        if self.stepped or not self.grows:
            return next((age for age in self.ages_ms if age > age_ms), None)
        return age_ms if age_ms < self.ages_ms[-1] else None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Widening):
            return NotImplemented
        return (self.ages_ms, self.values, self.stepped) == (other.ages_ms, other.values, other.stepped)

    def __hash__(self) -> int:
        return hash((tuple(self.ages_ms), tuple(self.values), self.stepped))

    def __repr__(self) -> str:
        return f"Widening({self.ages_ms}, {self.values}, stepped={self.stepped})"


def constant(value: float) -> Widening:
    return Widening([0.0], [value], stepped=True)


def line(start: float, per_s: float, most: float) -> Widening:
    """From `start`, so much more a second, up to `most`."""
    if not per_s >= 0 or not most >= start:
        raise ValueError(f"per_s = {per_s:g} and max = {most:g} do not widen from start = {start:g}")
    if per_s == 0 or most == start:
        return constant(start)
    last_ms = (most - start) / per_s * 1000.0
    if last_ms <= limits.TICKET_MS_MAX:
        return Widening([0.0, last_ms], [start, most], stepped=False)
    return Widening([0.0, float(limits.TICKET_MS_MAX)], [start, start + per_s * limits.TICKET_MS_MAX / 1000.0], stepped=False)


def parse(found: Any) -> Widening:
    """From what TOML gives. Raises ValueError."""
    if isinstance(found, int | float) and not isinstance(found, bool):
        return constant(_number(found))
    if isinstance(found, dict):
        keys = set(found)
        if keys == {"start", "per_s", "max"}:
            start, per_s, most = (_number(found[key]) for key in ("start", "per_s", "max"))
            return line(start, per_s, most)
        if keys in ({"steps"}, {"curve"}):
            points = next(iter(found.values()))
            if not isinstance(points, list) or not all(isinstance(point, list) and len(point) == 2 for point in points):
                raise ValueError(f"points are [ms, value]; a limit is {_FORMS}")
            return Widening([_number(p[0]) for p in points], [_number(p[1]) for p in points], stepped=keys == {"steps"})
    raise ValueError(f"a limit is {_FORMS}")


def spell(limit: Widening) -> Any:
    """What `parse` makes the same limit of."""
    if not limit.grows:
        return limit.values[0]
    return {"steps" if limit.stepped else "curve": [list(point) for point in zip(limit.ages_ms, limit.values, strict=True)]}


def _number(found: Any) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ValueError(f"{found!r} is no number; a limit is {_FORMS}")
    try:
        return float(found)
    except OverflowError:  # a whole number beyond every float
        raise ValueError("a number has too many digits; inf stands for no limit") from None
