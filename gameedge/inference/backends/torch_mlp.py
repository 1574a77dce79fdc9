"""The same perceptrons in torch: the reference that others are compared with, and the GPU's backend.

Each batch size up to a power of two (a bucket) has static buffers: one copy in, the net, one copy out. On a GPU the host's are
pinned and the net is one CUDA graph (a captured sequence of kernels that is launched as one), so that a call costs its launch and
its copies whatever the depth of the net. On a CPU the path is the same without graphs: what the tests run there is what a GPU runs.
bf16 only where it passes parity. torch is imported here alone and only when this way is asked for: edge processes run without it.
"""

import importlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gameedge.inference.backends.numpy_mlp import NumpyMlp
from gameedge.inference.base import Floats

BUCKET_MIN: Final = 16
WARM_RUNS: Final = 3  # before a graph is captured: allocations and kernel choices must be over


@dataclass(frozen=True, slots=True)
class Bucket:
    """Static buffers of one batch size; the tensors of the host share their memory with the arrays. `graph` None: run the net."""

    rows: Floats
    answers: Floats
    host_in: Any
    device_in: Any
    device_out: Any
    host_out: Any
    graph: Any


class TorchMlp(NumpyMlp):
    """A `Backend` without memory."""

    kind = "torch"

    def prepare(self, device: str = "cpu", dtype: str = "float32") -> "TorchMlp":
        """Put the weights on the device. Returns itself. Raises ImportError without torch, or without that device."""
        torch = importlib.import_module("torch")
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise ImportError("torch sees no CUDA device")
        self._torch: Any = torch
        self._device = torch.device(device)
        self._dtype = getattr(torch, dtype)
        self._graphs = self._device.type == "cuda"
        self.kind = f"torch-{device}" + ("" if dtype == "float32" else f"-{dtype}")
        self._w = [torch.from_numpy(w.copy()).to(self._device, self._dtype) for w in self._weights]
        self._b = [torch.from_numpy(b.copy()).to(self._device, self._dtype) for b in self._biases]
        self._buckets: dict[int, Bucket] = {}
        return self

    def _forward(self, bucket_in: Any, bucket_out: Any) -> None:
        torch = self._torch
        x, hidden, last = bucket_in.to(self._dtype), torch.tanh if self._hidden_tanh else torch.relu, len(self._w) - 1
        for i, (weight, bias) in enumerate(zip(self._w, self._b, strict=True)):
            x = torch.addmm(bias, x, weight)
            if i < last:
                x = hidden(x)
            elif self._output_tanh:
                x = torch.tanh(x)
        bucket_out.copy_(x)

    def run(self, rows: Floats, entities: NDArray[np.int32], out: Floats) -> None:
        """See `Backend.run`."""
        n = len(rows)
        if n == 0:
            return
        torch = self._torch
        with torch.inference_mode():
            bucket = self._bucket(max(BUCKET_MIN, 1 << (n - 1).bit_length()))
            bucket.rows[:n] = rows
            bucket.device_in.copy_(bucket.host_in, non_blocking=True)
            if bucket.graph is not None:
                bucket.graph.replay()
            else:
                self._forward(bucket.device_in, bucket.device_out)
            bucket.host_out.copy_(bucket.device_out, non_blocking=True)
            if self._graphs:
                torch.cuda.current_stream(self._device).synchronize()
        out[:] = bucket.answers[:n]

    def _bucket(self, size: int) -> Bucket:
        if size not in self._buckets:
            torch, pinned = self._torch, self._device.type == "cuda"
            host_in = torch.zeros(size, self.input_size, pin_memory=pinned)
            host_out = torch.zeros(size, self.output_size, pin_memory=pinned)
            device_in = torch.zeros(size, self.input_size, device=self._device)
            device_out = torch.zeros(size, self.output_size, device=self._device)
            graph = self._capture(device_in, device_out) if self._graphs else None
            self._buckets[size] = Bucket(host_in.numpy(), host_out.numpy(), host_in, device_in, device_out, host_out, graph)
        return self._buckets[size]

    def _capture(self, device_in: Any, device_out: Any) -> Any:
        torch = self._torch
        side = torch.cuda.Stream(self._device)
        side.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(side):
            for _ in range(WARM_RUNS):
                self._forward(device_in, device_out)
        torch.cuda.current_stream(self._device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._forward(device_in, device_out)
        return graph
