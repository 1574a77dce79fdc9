"""The engine: every model of a process, one batch each a tick, inside a deadline.

Problem. Hundreds of NPCs must decide each tick on the core that also serves players. A model that is slow for a moment (a
cold cache, a crowd) must cost NPC quality for that moment, never the tick.

Method. Rows are written in place into one preallocated buffer a model (`rows`), then `run` answers all of them:
  - the cost of a row is learned per batch size (powers of two), as a moving average of measured runs;
  - as many rows as fit the deadline by that table are run, in the entities' order from a start that rotates, so that each entity
    has its turn; the rest is shed: it keeps its last action for a quarter of a second, then gets the fallback's answer;
  - a model that raises or answers with what is not finite is answered for by the fallback, and counted.
A run cannot be interrupted: a deadline is kept by not starting what would not fit. A run that took longer all the same is
counted as late, and the table learns from it.

Guarantee. Every entity gets finite values each call. With n rows of which k fit, each is run at least once in ceil(n / k) calls.

Cost. Two clock reads, one histogram entry and one copy of the answers a call beyond the backend itself.
"""

from collections.abc import Callable
from time import monotonic_ns
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gameedge.core import limits
from gameedge.inference.base import Backend, Floats
from gameedge.telemetry.quantiles import Window

HOLD_CALLS: Final = 15  # 250 ms at 60 Hz: how long a last action may stand in
LEARN: Final = 0.1  # weight of the newest run in the cost table
RETRY: Final = 0.002  # a call, how fast the cost of sizes that are shed is forgotten: halved in six seconds
ROWS_MIN: Final = 1  # rows that run whatever the table says: nobody is starved for ever


def _monotonic_ms() -> float:
    return monotonic_ns() / 1e6


class Figures:
    """Of one model, counted since the start; `took_ms` covers the last ten seconds."""

    def __init__(self, buckets: int) -> None:
        self.batch = 0  # rows of the last call
        self.batches = np.zeros(buckets, np.int64)  # calls by batch size: index i holds sizes 2**(i - 1) + 1 .. 2**i
        self.took_ms = Window()
        self.calls = 0
        self.actions = 0  # rows that the model answered
        self.held = 0  # rows that kept their last action
        self.fallbacks = 0  # rows that the fallback answered
        self.late = 0  # calls over the deadline
        self.failures = 0  # calls in which the model raised
        self.not_finite = 0  # rows whose answer could not be used


class Model:
    """One registered model with its buffers. Use it through `Engine`."""

    def __init__(self, backend: Backend, capacity: int, deadline_ms: float, fallback: Backend | None, entities_max: int) -> None:
        if fallback is not None and (fallback.input_size, fallback.output_size) != (backend.input_size, backend.output_size):
            raise ValueError(
                f"fallback {fallback.name} maps {fallback.input_size} to {fallback.output_size} values, "
                f"{backend.name} maps {backend.input_size} to {backend.output_size}: they must agree"
            )
        if capacity < 1 or deadline_ms <= 0:
            raise ValueError(f"capacity {capacity} and deadline_ms {deadline_ms} must be positive")
        self.backend, self.fallback, self.deadline_ms = backend, fallback, deadline_ms
        buckets = max(0, capacity - 1).bit_length() + 1
        padded = 1 << (buckets - 1)  # a backend with fixed batch sizes may read up to here
        self.capacity = capacity
        self.input = np.zeros((padded, backend.input_size), np.float32)
        self.output = np.zeros((padded, backend.output_size), np.float32)
        self.some_in = np.zeros_like(self.input)
        self.some_out = np.zeros_like(self.output)
        self.last = np.zeros((entities_max, backend.output_size), np.float32)
        self.age = np.full(entities_max, HOLD_CALLS + 1, np.int32)  # calls since `last` was the model's own answer
        self.row_ms = np.zeros(buckets, np.float64)  # 0: not measured yet
        self.warm = np.zeros(buckets, np.bool_)
        self.start = 0
        self.figures = Figures(buckets)

    def fits(self, n: int) -> int:
        """How many of n rows the table lets into the deadline."""
        if self._expected(n) <= self.deadline_ms:
            return n
        low, high = ROWS_MIN, n  # the expected time grows with the rows, up to noise between buckets
        while high - low > 1:
            middle = (low + high) // 2
            if self._expected(middle) <= self.deadline_ms:
                low = middle
            else:
                high = middle
        return low

    def _expected(self, n: int) -> float:
        """ms for n rows. A size that was never measured costs what the nearest smaller one costs, else the nearest larger."""
        bucket = (n - 1).bit_length()
        for near in (*range(bucket, -1, -1), *range(bucket + 1, len(self.row_ms))):
            if self.row_ms[near] > 0.0:
                return float(self.row_ms[near]) * n
        return 0.0

    def learn(self, n: int, took_ms: float, *, shed: bool) -> None:
        """Take in one measured run. The first of a size is cold (pages, compilation) and says nothing of the next."""
        bucket, row_ms = (n - 1).bit_length(), took_ms / n
        if shed:  # what is not run is not measured: let larger sizes be tried again in a while
            self.row_ms[bucket + 1 :] *= 1.0 - RETRY
        if not self.warm[bucket]:
            self.warm[bucket] = True
            return
        known = self.row_ms[bucket]
        self.row_ms[bucket] = row_ms if known == 0.0 else known + LEARN * (min(row_ms, 4.0 * known) - known)


class Engine:
    """All models of a process by name. Not thread-safe: the tick owns it. `clock` gives monotonic milliseconds."""

    def __init__(self, clock: Callable[[], float] = _monotonic_ms, entities_max: int = limits.ENTITIES_MAX) -> None:
        self._clock, self._entities_max = clock, entities_max
        self._models: dict[str, Model] = {}

    def register(self, name: str, backend: Backend, capacity: int, deadline_ms: float, fallback: Backend | None = None) -> None:
        """Run `backend` under this name; a name that is taken gets the new backend from the next call on.

        capacity: rows at most; deadline_ms: what one call may take; fallback: a cheap backend of the same sizes that answers
        for what the model does not (None: zeros). Raises ValueError where the sizes differ.
        """
        self._models[name] = Model(backend, capacity, deadline_ms, fallback, self._entities_max)

    def names(self) -> list[str]:
        return list(self._models)

    def figures(self, name: str) -> Figures | None:
        """What was counted, or None where no such model is registered."""
        model = self._models.get(name)
        return model.figures if model else None

    def rows(self, name: str, n: int) -> Floats:
        """The batch to write into, float32 [n, input_size]; a view that is valid until the next `run`."""
        return self._models[name].input[:n]

    def forget(self, name: str, entities: NDArray[np.int32]) -> None:
        """These entities begin anew: no last action, no hidden state."""
        model = self._models[name]
        model.age[entities] = HOLD_CALLS + 1
        model.backend.forget(entities)
        if model.fallback is not None:
            model.fallback.forget(entities)

    def run(self, name: str, entities: NDArray[np.int32], n: int) -> Floats:
        """Answers to the first n rows, float32 [n, output_size]; a view that is valid until the next `run`.

        entities: int32 [n], distinct, below entities_max.
        """
        model = self._models[name]
        figures, out = model.figures, model.output[:n]
        figures.batch = n
        if n == 0:
            return out
        figures.calls += 1
        figures.batches[(n - 1).bit_length()] += 1
        count = model.fits(n)
        began = self._clock()
        if count == n:
            chosen: NDArray[np.intp] | slice = slice(0, n)
            answered = self._answer(model, model.input[:n], entities, out)
        else:
            chosen = (model.start + np.arange(count)) % n
            model.start = (model.start + count) % n
            rows, answers = model.some_in[:count], model.some_out[:count]
            np.take(model.input, chosen, axis=0, out=rows)
            answered = self._answer(model, rows, entities[chosen], answers)
            out[chosen] = answers
        now = self._clock()
        took_ms = now - began
        model.learn(count, took_ms, shed=count < n)
        figures.took_ms.add(took_ms, now)
        figures.late += took_ms > model.deadline_ms
        fresh = np.zeros(n, np.bool_)
        if answered:
            fresh[chosen] = True
            good = np.isfinite(out).all(axis=1)
            figures.not_finite += int((fresh & ~good).sum())
            fresh &= good
        self._stand_in(model, entities, fresh, out)
        return out

    @staticmethod
    def _answer(model: Model, rows: Floats, entities: NDArray[np.int32], out: Floats) -> bool:
        """Run the backend; False where it raised. A model is data from elsewhere: none of its errors may end the tick."""
        try:
            model.backend.run(rows, entities, out)
        except Exception:
            model.figures.failures += 1
            return False
        return True

    @staticmethod
    def _stand_in(model: Model, entities: NDArray[np.int32], fresh: NDArray[np.bool_], out: Floats) -> None:
        """Answer for the rows that are not fresh, and remember those that are."""
        figures = model.figures
        model.age[entities] += 1
        if fresh.all():
            model.last[entities] = out
            model.age[entities] = 0
            figures.actions += len(entities)
            return
        taught = entities[fresh]
        model.last[taught] = out[fresh]
        model.age[taught] = 0
        held = ~fresh & (model.age[entities] <= HOLD_CALLS)
        out[held] = model.last[entities[held]]
        rest = np.flatnonzero(~fresh & ~held)
        if rest.size:
            answers = model.some_out[: rest.size]
            answers[:] = 0.0
            if model.fallback is not None:
                model.fallback.run(model.input[rest], entities[rest], answers)
                np.nan_to_num(answers, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
            out[rest] = answers
        figures.actions += int(fresh.sum())
        figures.held += int(held.sum())
        figures.fallbacks += int(rest.size)
