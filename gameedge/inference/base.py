"""What runs a model or a script for everything alive: one batch a tick, written in place.

A `Backend` maps observations to outputs for a padded batch. The scripted NPC policy and learned networks are both backends,
so that what decides can be changed without touching the tick loop. What a backend may offer beyond that is declared here too,
each as a protocol of its own; the engine looks for them once, when a backend is registered.
"""

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Int32s = NDArray[np.int32]
Bools = NDArray[np.bool_]


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


@runtime_checkable
class Paced(Protocol):
    """A backend that need not see every entity each tick: level of detail. The engine asks who is due and lets the rest coast."""

    def due(self, entities: Int32s) -> Bools:
        """Which of these entities must be observed and run now, bool [N]."""
        ...

    def coast(self, entities: Int32s, out: Floats) -> None:
        """Answers for entities between their runs, without an observation: float32 [N, output_size]."""
        ...


@runtime_checkable
class Ranked(Protocol):
    """A backend that knows which rows matter most where not all can be run."""

    def importance(self, rows: Floats, out: Floats) -> None:
        """1 (least) to 8 (most) for each row, float32 [N]. A row of weight w comes w times as often as one of weight 1."""
        ...


@runtime_checkable
class Heir(Protocol):
    """A backend that can go on with another's state when it takes its place."""

    def adopt(self, other: Backend) -> bool:
        """Take over (share) the other's state; False where it does not fit: then the entities begin anew."""
        ...
