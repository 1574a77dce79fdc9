"""Small multilayer perceptrons in plain numpy: the backend that always runs, for nets of up to some ten thousand weights.

The artifact holds `w0 [in, a], b0 [a], w1 [a, b], b1 [b], ...` as float32; metadata: kind = mlp, version = 1, activation = relu or
tanh (of the hidden layers), output = linear or tanh.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gameedge.core.errors import ArtifactError
from gameedge.inference.artifacts import Artifact, expect
from gameedge.inference.base import Floats

KIND: Final = "mlp"
VERSION: Final = 1
LAYERS_MAX: Final = 16


class NumpyMlp:
    """A `Backend` without memory. Hidden buffers grow to the largest batch seen and stay."""

    kind = "numpy"

    def __init__(self, artifact: Artifact, metadata: Mapping[str, str] | None = None) -> None:
        """metadata: what the artifact's must hold (None: kind and version of a plain net).

        Raises ArtifactError where the artifact is not such a net.
        """
        layers = len(artifact.tensors) // 2
        if not 1 <= layers <= LAYERS_MAX:
            raise ArtifactError(f"{artifact.id}: expected 1 to {LAYERS_MAX} layers, found {len(artifact.tensors)} tensors")
        shapes: dict[str, list[int | None]] = {}
        for i in range(layers):
            shapes[f"w{i}"], shapes[f"b{i}"] = [None, None], [None]
        expect(artifact, {"kind": KIND, "version": str(VERSION)} if metadata is None else metadata, shapes)
        self._weights = [np.ascontiguousarray(artifact.tensors[f"w{i}"], np.float32) for i in range(layers)]
        self._biases = [np.ascontiguousarray(artifact.tensors[f"b{i}"], np.float32) for i in range(layers)]
        for i, (weight, bias) in enumerate(zip(self._weights, self._biases, strict=True)):
            before = self._weights[i - 1].shape[1] if i else weight.shape[0]
            if weight.shape != (before, bias.shape[0]):
                raise ArtifactError(f"{artifact.id}: expected w{i} [{before}, {bias.shape[0]}], found {list(weight.shape)}")
        self._hidden_tanh = _choice(artifact, artifact.metadata, "activation", ("relu", "tanh")) == "tanh"
        self._output_tanh = _choice(artifact, artifact.metadata, "output", ("linear", "tanh")) == "tanh"
        self.name = artifact.id
        self.input_size = self._weights[0].shape[0]
        self.output_size = self._weights[-1].shape[1]
        self._hidden: list[Floats] = []
        self._grow(64)

    def run(self, rows: Floats, entities: NDArray[np.int32], out: Floats) -> None:
        """See `Backend.run`."""
        n = len(rows)
        if n == 0:
            return
        if len(self._hidden) and n > len(self._hidden[0]):
            self._grow(1 << (n - 1).bit_length())
        x = rows
        last = len(self._weights) - 1
        for i, (weight, bias) in enumerate(zip(self._weights, self._biases, strict=True)):
            y = out if i == last else self._hidden[i][:n]
            np.matmul(x, weight, out=y)
            y += bias
            if i == last:
                if self._output_tanh:
                    np.tanh(y, out=y)
            elif self._hidden_tanh:
                np.tanh(y, out=y)
            else:
                np.maximum(y, 0.0, out=y)
            x = y

    def forget(self, entities: NDArray[np.int32]) -> None:
        """Nothing is remembered."""

    def _grow(self, rows: int) -> None:
        self._hidden = [np.empty((rows, weight.shape[1]), np.float32) for weight in self._weights[:-1]]


def _choice(artifact: Artifact, metadata: Mapping[str, str], key: str, choices: tuple[str, ...]) -> str:
    found = metadata.get(key, "")
    if found not in choices:
        raise ArtifactError(f"{artifact.id}: expected {key} to be one of {', '.join(choices)}, found {found!r}")
    return found
