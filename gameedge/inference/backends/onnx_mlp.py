"""The same perceptrons through onnxruntime, on one thread, bound to the caller's own buffers: no copy in or out.

onnx and onnxruntime (extra `onnx`) are imported here alone and only when this way is asked for.
"""

import importlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gameedge.inference.artifacts import Artifact
from gameedge.inference.backends.numpy_mlp import NumpyMlp
from gameedge.inference.base import Floats

OPSET: Final = 17
IR_VERSION: Final = 9
BINDINGS_MAX: Final = 64  # kept for buffers and sizes that come again; the one used longest ago is dropped


class OnnxMlp(NumpyMlp):
    """A `Backend` without memory. Raises ImportError without onnx or onnxruntime."""

    kind = "onnxruntime"

    def __init__(self, artifact: Artifact, metadata: Mapping[str, str] | None = None) -> None:
        """See `NumpyMlp`."""
        super().__init__(artifact, metadata)
        ort = importlib.import_module("onnxruntime")
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        self._session: Any = ort.InferenceSession(self.graph(), options, providers=["CPUExecutionProvider"])
        self._bindings: OrderedDict[tuple[int, int, int], Any] = OrderedDict()

    def graph(self) -> bytes:
        """The net as an ONNX model, serialised: input x [n, in], output y [n, out]."""
        onnx = importlib.import_module("onnx")
        helper, nodes, weights, at, last = onnx.helper, [], [], "x", len(self._weights) - 1
        for i, (weight, bias) in enumerate(zip(self._weights, self._biases, strict=True)):
            weights += [onnx.numpy_helper.from_array(weight, f"w{i}"), onnx.numpy_helper.from_array(bias, f"b{i}")]
            follow = ("Tanh" if self._output_tanh else "") if i == last else ("Tanh" if self._hidden_tanh else "Relu")
            plain = f"s{i}" if follow else "y"
            nodes.append(helper.make_node("Gemm", [at, f"w{i}", f"b{i}"], [plain]))
            at = plain
            if follow:
                at = "y" if i == last else f"h{i}"
                nodes.append(helper.make_node(follow, [plain], [at]))
        ends = [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", size])
            for name, size in (("x", self.input_size), ("y", self.output_size))
        ]
        model = helper.make_model(
            helper.make_graph(nodes, self.name, ends[:1], ends[1:], weights),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())

    def run(self, rows: Floats, entities: NDArray[np.int32], out: Floats) -> None:
        """See `Backend.run`. `rows` and `out` must be contiguous."""
        n = len(rows)
        if n == 0:
            return
        key = (rows.ctypes.data, out.ctypes.data, n)
        binding = self._bindings.get(key)
        if binding is None:
            binding = self._session.io_binding()
            binding.bind_input("x", "cpu", 0, np.float32, (n, self.input_size), key[0])
            binding.bind_output("y", "cpu", 0, np.float32, (n, self.output_size), key[1])
            self._bindings[key] = binding
            if len(self._bindings) > BINDINGS_MAX:
                self._bindings.popitem(last=False)
        else:
            self._bindings.move_to_end(key)
        self._session.run_with_iobinding(binding)
