"""At start each way to run a net is timed at each batch size, and the fastest that passes parity is kept.

The candidates differ by machine and by size: a compiled loop wins for a few rows, a matrix library for many, a GPU for thousands.
A candidate that differs from the first one (the reference) by more than the tolerance is left out, and the log says so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gameedge.inference import parity
from gameedge.inference.base import Backend, Floats
from gameedge.telemetry import logs

SIZES: Final = (1, 4, 16, 64, 256, 1024)
RUNS: Final = 9  # of each size; the median counts
ROWS: Final = 96  # that parity is checked with
TOLERANCE: Final = 1e-3
log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """Median us of one candidate at one batch size."""

    backend: str
    rows: int
    took_us: float


def kind_of(backend: Backend) -> str:
    """The way that a backend runs, for logs and reports."""
    return str(getattr(backend, "kind", type(backend).__name__))


class Tuned:
    """A `Backend` that hands each batch to the candidate that is fastest at its size."""

    def __init__(self, candidates: Sequence[Backend], *, timer: Callable[[], int] = perf_counter_ns) -> None:
        """The first candidate is the reference; nets must have no memory. Raises ArtifactError where it fails parity with itself."""
        reference = candidates[0]
        self.name, self.input_size, self.output_size = reference.name, reference.input_size, reference.output_size
        rows = np.random.default_rng(0).uniform(-1, 1, (ROWS, self.input_size)).astype(np.float32)
        self.candidates: list[Backend] = []
        self.left_out: dict[str, str] = {}
        for candidate in candidates:
            try:
                parity.check(candidate, rows, reference=reference, tolerance=TOLERANCE)
                self.candidates.append(candidate)
            except Exception as error:  # another library, another process: whatever fails here does not run
                if candidate is reference:
                    raise
                self.left_out[kind_of(candidate)] = str(error)
                log.warning("backend_left_out", model=self.name, backend=kind_of(candidate), detail=str(error))
        self.timings: list[Timing] = []
        self._by_bucket: list[Backend] = []
        for size in SIZES:
            timed = [(self._time(candidate, size, timer), candidate) for candidate in self.candidates]
            self.timings += [Timing(kind_of(candidate), size, took) for took, candidate in timed]
            fastest = min(timed, key=lambda pair: pair[0])[1]
            while len(self._by_bucket) <= (size - 1).bit_length():
                self._by_bucket.append(fastest)
        log.info("autotuned", model=self.name, detail=self.describe())

    def _time(self, backend: Backend, size: int, timer: Callable[[], int]) -> float:
        rows, out = np.full((size, self.input_size), 0.1, np.float32), np.zeros((size, self.output_size), np.float32)
        entities = np.arange(size, dtype=np.int32)
        took = []
        for _ in range(RUNS):
            began = timer()
            backend.run(rows, entities, out)
            took.append((timer() - began) / 1e3)
        return float(np.median(took))

    def chosen(self) -> dict[int, str]:
        """Batch size to backend."""
        return {size: kind_of(self._by_bucket[(size - 1).bit_length()]) for size in SIZES}

    def describe(self) -> str:
        """For the log: size, backend and us."""
        best = {(t.rows, t.backend): t.took_us for t in self.timings}
        return ", ".join(f"{size}: {kind} {best[size, kind]:.0f} us" for size, kind in self.chosen().items())

    def pick(self, n: int) -> Backend:
        """The candidate that runs batches of n rows."""
        bucket, by_bucket = (n - 1).bit_length(), self._by_bucket
        return by_bucket[bucket] if bucket < len(by_bucket) else by_bucket[-1]

    def run(self, rows: Floats, entities: NDArray[np.int32], out: Floats) -> None:
        """See `Backend.run`."""
        self.pick(len(rows)).run(rows, entities, out)

    def forget(self, entities: NDArray[np.int32]) -> None:
        """Nothing is remembered."""
