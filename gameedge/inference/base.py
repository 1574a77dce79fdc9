"""What runs a model or a script for everything alive: one batch a tick, written in place.

A `Backend` maps observations to outputs for a padded batch. The scripted NPC policy and learned networks are both backends,
so that what decides can be changed without touching the tick loop.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Backend(Protocol):
    """A batched function."""

    name: str
    input_size: int
    output_size: int

    def run(self, rows: Floats, entities: NDArray[np.int32], out: Floats) -> None:
        """rows: float32 [N, input_size]; entities: int32 [N], whose state (if any) each row goes on; out: float32 [N, output_size]."""
        ...

    def forget(self, entities: NDArray[np.int32]) -> None:
        """These entities begin anew (a new match): drop what is remembered of them."""
        ...
