"""The same perceptrons as numpy_mlp, as one compiled loop: faster for a handful of rows, where numpy's calls cost more than
their arithmetic. Which one runs is measured at start for each batch size (autotune.py).
"""

import numpy as np
from numpy.typing import NDArray

from gameedge.core.kernel import kernel
from gameedge.inference.backends.numpy_mlp import NumpyMlp
from gameedge.inference.base import Floats


@kernel
def dense(x: Floats, weight: Floats, bias: Floats, kind: int, y: Floats) -> None:
    """y = f(x w + b) row by row; kind 0: linear, 1: relu, 2: tanh. The inner loop runs along y, so that it becomes SIMD."""
    for i in range(x.shape[0]):
        for j in range(weight.shape[1]):
            y[i, j] = bias[j]
        for k in range(weight.shape[0]):
            part = x[i, k]
            if part != 0.0:  # observations and relu are often zero
                for j in range(weight.shape[1]):
                    y[i, j] += part * weight[k, j]
        if kind == 1:
            for j in range(weight.shape[1]):
                y[i, j] = max(y[i, j], np.float32(0.0))
        elif kind == 2:
            for j in range(weight.shape[1]):
                y[i, j] = np.tanh(y[i, j])


class KernelMlp(NumpyMlp):
    """A `Backend` without memory."""

    kind = "kernel"

    def run(self, rows: Floats, entities: NDArray[np.int32], out: Floats) -> None:
        """See `Backend.run`."""
        n = len(rows)
        if n == 0:
            return
        if self._hidden and n > len(self._hidden[0]):
            self._grow(1 << (n - 1).bit_length())
        x, last = rows, len(self._weights) - 1
        hidden = 2 if self._hidden_tanh else 1
        for i, (weight, bias) in enumerate(zip(self._weights, self._biases, strict=True)):
            y = out if i == last else self._hidden[i][:n]
            dense(x, weight, bias, (2 if self._output_tanh else 0) if i == last else hidden, y)
            x = y
