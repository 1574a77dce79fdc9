"""One registered model: its variants, its buffers, and what the engine remembers of each entity. Used through `Engine`."""

from typing import Final

import numpy as np

from gameedge.inference.base import Backend, Int32s
from gameedge.inference.variants import Figures, Trial, Variant

HOLD_CALLS: Final = 15  # 250 ms at 60 Hz: how long a last action may stand in


class Model:
    """`capacity` rows of a call at most, of entities below `entities_max`. ValueError where the fallback has other sizes."""

    def __init__(
        self, backend: Backend, capacity: int, deadline_ms: float, fallback: Backend | None, entities_max: int, priority: int
    ) -> None:
        if fallback is not None and (fallback.input_size, fallback.output_size) != (backend.input_size, backend.output_size):
            raise ValueError(
                f"fallback {fallback.name} maps {fallback.input_size} to {fallback.output_size} values, "
                f"{backend.name} maps {backend.input_size} to {backend.output_size}: they must agree"
            )
        if capacity < 1 or deadline_ms <= 0:
            raise ValueError(f"capacity {capacity} and deadline_ms {deadline_ms} must be positive")
        self.fallback, self.deadline_ms, self.priority = fallback, deadline_ms, priority
        self.buckets = max(0, capacity - 1).bit_length() + 1
        padded = 1 << (self.buckets - 1)  # a backend with fixed batch sizes may read up to here
        self.capacity = capacity
        self.input_size, self.output_size = backend.input_size, backend.output_size
        self.input = np.zeros((padded, backend.input_size), np.float32)
        self.output = np.zeros((padded, backend.output_size), np.float32)
        self.some_in = np.zeros_like(self.input)
        self.some_out = np.zeros_like(self.output)
        self.coasted = np.zeros_like(self.output)
        self.chosen, self.held, self.rest = (np.zeros(padded, np.int64) for _ in range(3))
        self.fresh = np.zeros(padded, np.bool_)
        self.weight = np.ones(padded, np.float32)
        self.last = np.zeros((entities_max, backend.output_size), np.float32)
        self.age: Int32s = np.full(entities_max, HOLD_CALLS + 1, np.int32)  # calls since `last` was the model's own answer
        self.match_draw = np.ones(entities_max, np.float32)  # 0 to 1, the same for all of a match: who meets a canary
        self.start = 0
        self.figures = Figures(self.buckets)
        self.stable = Variant(backend, self.buckets)
        self.trial: Trial | None = None
        self.ran = False  # in this tick

    def failed(self, variant: Variant) -> None:
        """Its backend raised. Trials and probations are judged by this."""
        self.figures.failures += 1
        variant.failures += 1
