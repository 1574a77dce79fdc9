"""Parity: a backend must give the same answers one row at a time as in a batch, and the same as another backend."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gameedge.core.errors import ArtifactError
from gameedge.inference.base import Backend, Floats


@dataclass(frozen=True, slots=True)
class Parity:
    """The largest difference found, and where."""

    difference_max: float
    row: int
    size: int  # of the batches that the row was run in


def answers(backend: Backend, rows: Floats, entities: NDArray[np.int32], size: int) -> Floats:
    """Answers to `rows`, float32 [N, output_size], run in batches of `size` from a state that remembers nothing."""
    backend.forget(entities)
    out = np.full((len(rows), backend.output_size), np.nan, np.float32)
    for at in range(0, len(rows), size):
        part = slice(at, at + size)
        backend.run(np.ascontiguousarray(rows[part]), entities[part], out[part])
    return out


def check(
    backend: Backend,
    rows: Floats,
    *,
    reference: Backend | None = None,
    sizes: Sequence[int] = (1, 3, 64),
    tolerance: float = 1e-4,
) -> Parity:
    """Compare batches of every size with one batch of all rows (of `reference`, or of the backend itself).

    rows: float32 [N, input_size]. Raises ArtifactError where a difference exceeds `tolerance` or an answer is not finite.
    """
    entities = np.arange(len(rows), dtype=np.int32)
    whole = answers(reference or backend, rows, entities, len(rows))
    worst = Parity(0.0, 0, len(rows))
    for size in (*sizes, len(rows)):
        difference = np.abs(answers(backend, rows, entities, size) - whole).max(axis=1)
        row = int(np.argmax(np.where(np.isfinite(difference), difference, np.inf)))
        found = float(difference[row])
        if not found <= tolerance:
            raise ArtifactError(
                f"{backend.name}: row {row} in batches of {size} differs by {found:.3g} from "
                f"{(reference or backend).name} in one batch; at most {tolerance:.3g} is allowed"
            )
        if found > worst.difference_max:
            worst = Parity(found, row, size)
    return worst
