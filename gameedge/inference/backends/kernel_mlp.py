"""The same perceptrons as numpy_mlp, compiled for this machine (tiles.py): no calls, no packing, nothing between the layers.
Which way runs is measured at start for each batch size (autotune.py).
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from gameedge.inference.artifacts import Artifact
from gameedge.inference.backends import tiles
from gameedge.inference.backends.numpy_mlp import NumpyMlp
from gameedge.inference.base import Floats


class KernelMlp(NumpyMlp):
    """A `Backend` without memory."""

    kind = "kernel"

    def __init__(self, artifact: Artifact, metadata: Mapping[str, str] | None = None) -> None:
        """See `NumpyMlp`."""
        super().__init__(artifact, metadata)
        hidden = tiles.TANH if self._hidden_tanh else tiles.RELU
        kinds = [hidden] * (len(self._weights) - 1) + [tiles.TANH if self._output_tanh else tiles.LINEAR]
        self.packed = tiles.Packed(self._weights, self._biases, kinds)

    def run(self, rows: Floats, entities: NDArray[np.int32], out: Floats) -> None:
        """See `Backend.run`."""
        self.packed.run(rows, out)
