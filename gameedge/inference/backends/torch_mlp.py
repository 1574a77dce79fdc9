"""The same perceptrons in torch: the reference that others are compared with, and the GPU's backend.

On a GPU: pinned host buffers, one copy in and one out, and one CUDA graph a bucket (a captured sequence of kernels that is
launched as one), so that a call costs its launch and its copies whatever the depth of the net. bf16 only where it passes parity.
torch is imported here alone and only when this backend is asked for: edge processes run without it.
"""

import importlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gameedge.inference.backends.numpy_mlp import NumpyMlp
from gameedge.inference.base import Floats

BUCKET_MIN: Final = 16
WARM_RUNS: Final = 3  # before a graph is captured: allocations and kernel choices must be over


class TorchMlp(NumpyMlp):
    """A `Backend` without memory. `device` cpu or cuda; raises ImportError without torch."""

    kind = "torch"

    def prepare(self, device: str = "cpu", dtype: str = "float32") -> "TorchMlp":
        """Put the weights on the device. Returns itself."""
        torch = importlib.import_module("torch")

        self._torch: Any = torch
        self._device = torch.device(device)
        self._dtype = getattr(torch, dtype)
        self.kind = f"torch-{device}" + ("" if dtype == "float32" else f"-{dtype}")
        self._w = [torch.from_numpy(w.copy()).to(self._device, self._dtype) for w in self._weights]
        self._b = [torch.from_numpy(b.copy()).to(self._device, self._dtype) for b in self._biases]
        self._graphs: dict[int, tuple[Any, Any, Any, Any, Any]] = {}
        return self

    def _forward(self, x: Any) -> Any:
        torch = self._torch
        hidden = torch.tanh if self._hidden_tanh else torch.relu
        last = len(self._w) - 1
        for i, (weight, bias) in enumerate(zip(self._w, self._b, strict=True)):
            x = torch.addmm(bias, x, weight)
            if i < last:
                x = hidden(x)
            elif self._output_tanh:
                x = torch.tanh(x)
        return x

    def run(self, rows: Floats, entities: NDArray[np.int32], out: Floats) -> None:
        """See `Backend.run`."""
        n = len(rows)
        if n == 0:
            return
        torch = self._torch
        with torch.inference_mode():
            if self._device.type != "cuda":
                x = torch.from_numpy(np.ascontiguousarray(rows)).to(self._dtype)
                out[:] = self._forward(x).float().numpy()
                return
            graph, host_in, device_in, device_out, host_out = self._bucket(max(BUCKET_MIN, 1 << (n - 1).bit_length()))
            host_in.numpy()[:n] = rows
            device_in.copy_(host_in, non_blocking=True)
            graph.replay()
            host_out.copy_(device_out, non_blocking=True)
            torch.cuda.synchronize()
            out[:] = host_out.numpy()[:n]

    def _bucket(self, size: int) -> tuple[Any, Any, Any, Any, Any]:
        """Static buffers and the captured graph of one batch size."""
        if size not in self._graphs:
            torch = self._torch
            host_in = torch.zeros(size, self.input_size, pin_memory=True)
            host_out = torch.zeros(size, self.output_size, pin_memory=True)
            device_in = torch.zeros(size, self.input_size, device=self._device)
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(WARM_RUNS):
                    device_out = self._forward(device_in.to(self._dtype)).float()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                device_out = self._forward(device_in.to(self._dtype)).float()
            self._graphs[size] = (graph, host_in, device_in, device_out, host_out)
        return self._graphs[size]
