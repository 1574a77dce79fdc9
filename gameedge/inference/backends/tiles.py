"""Dense layers for small nets on one core: register tiles, written as vector code, compiled for the machine that runs them.

Problem. A net of ten thousand weights on a few hundred rows is bound by arithmetic, but matrix libraries are made for larger ones:
their packing, threads and calls cost as much again, and bias and activation pass over the results once more.
Method. Weights are packed once into panels of LANES columns. A tile of TILE rows and one panel keeps its sums in registers over the
    whole depth, starts from the bias and applies the activation before it stores. Rows go through all layers in blocks that stay in
    the first-level cache. The tile is emitted as LLVM vectors of LANES floats, which become one AVX-512, two AVX or four NEON
    registers; multiply and add are fused where the machine can.
Guarantee. A row's sums are formed in the same order whatever the batch: answers to one row and to many are the same bits on one
    machine. Between machines the last bits differ, as they do with any matrix library; what is not finite stays so.
Source. Goto and van de Geijn 2008 (panels and register tiles).
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from gameedge.core.kernel import kernel
from gameedge.inference.base import Floats

LANES: Final = 16
TILE: Final = 6
BLOCK: Final = 48  # rows that go through all layers at once; a multiple of TILE
LINEAR, RELU, TANH = 0, 1, 2
_LINE: Final = 64  # bytes of a cache line

# -- columns of a plan, one row a layer
DEPTH, PANELS, WEIGHTS, BIAS, KIND, WIDTH = range(6)
PLAN: Final = 6

_cgutils: Any = cgutils  # has no types
_FLOAT, _I64 = ir.FloatType(), ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, LANES)


def _splat(builder: Any, value: Any) -> Any:
    one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, ir.Constant(_VECTOR, ir.Undefined), ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _tile(rows: int) -> Any:
    """A function (x, x_step, weights, bias, y, y_step, depth, floor): addresses, steps in bytes; y = max(x w + b, floor)."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        x, x_step, weights, bias, y, y_step, depth, floor = arguments

        def at(address: Any, kind: Any) -> Any:
            return builder.inttoptr(address, kind.as_pointer())

        def vector(address: Any) -> Any:
            return builder.load(at(address, _VECTOR), align=4, typ=_VECTOR)

        muladd = _cgutils.get_or_insert_function(builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), f"llvm.fmuladd.v{LANES}f32")
        starts = [builder.add(x, builder.mul(x_step, _I64(r))) for r in range(rows)]
        first = vector(bias)
        before = builder.block
        body, after = builder.append_basic_block("depth"), builder.append_basic_block("store")
        builder.branch(body)
        builder.position_at_end(body)
        k = builder.phi(_I64)
        sums = [builder.phi(_VECTOR) for _ in range(rows)]
        k.add_incoming(_I64(0), before)
        w = vector(builder.add(weights, builder.mul(k, _I64(4 * LANES))))
        done = []
        for start, total in zip(starts, sums, strict=True):
            value = builder.load(at(builder.add(start, builder.mul(k, _I64(4))), _FLOAT), align=4, typ=_FLOAT)
            done.append(builder.call(muladd, [_splat(builder, value), w, total]))
            total.add_incoming(first, before)
            total.add_incoming(done[-1], body)
        next_k = builder.add(k, _I64(1))
        k.add_incoming(next_k, body)
        builder.cbranch(builder.icmp_signed("<", next_k, depth), body, after)
        builder.position_at_end(after)
        least = _splat(builder, floor)
        for r, total in enumerate(done):
            bounded = builder.select(builder.fcmp_ordered("<", total, least), least, total)
            builder.store(bounded, at(builder.add(y, builder.mul(y_step, _I64(r))), _VECTOR), align=4)
        return context.get_dummy_value()

    def typed(context: Any, x: Any, x_step: Any, weights: Any, bias: Any, y: Any, y_step: Any, depth: Any, floor: Any) -> Any:
        return types.void(*([types.int64] * 7), types.float32), emit

    typed.__name__ = typed.__qualname__ = f"tile_{rows}"
    return intrinsic(typed)


tile_1, tile_2, tile_3, tile_4, tile_5, tile_6 = (_tile(rows) for rows in range(1, TILE + 1))


@kernel
def panel(x: int, x_step: int, weights: int, bias: int, y: int, y_step: int, depth: int, floor: np.float32, rows: int) -> None:
    """LANES columns of a layer for `rows` rows: whole tiles, then one for what is left."""
    r = 0
    while r + TILE <= rows:
        tile_6(x + r * x_step, x_step, weights, bias, y + r * y_step, y_step, depth, floor)
        r += TILE
    x, y, left = x + r * x_step, y + r * y_step, rows - r
    if left == 1:
        tile_1(x, x_step, weights, bias, y, y_step, depth, floor)
    elif left == 2:
        tile_2(x, x_step, weights, bias, y, y_step, depth, floor)
    elif left == 3:
        tile_3(x, x_step, weights, bias, y, y_step, depth, floor)
    elif left == 4:
        tile_4(x, x_step, weights, bias, y, y_step, depth, floor)
    elif left == 5:
        tile_5(x, x_step, weights, bias, y, y_step, depth, floor)


@kernel
def forward(x: Floats, packed: Floats, plan: NDArray[np.int64], hidden: Floats, last: Floats) -> None:
    """All layers for one block. x: float32 [rows <= BLOCK, in]; hidden: [2, BLOCK, widest], last: [BLOCK, PANELS x LANES], padded."""
    rows, at, step = x.shape[0], x.ctypes.data, x.strides[0]
    layers, base = plan.shape[0], packed.ctypes.data
    for layer in range(layers):
        kind, width = plan[layer, KIND], plan[layer, WIDTH]
        y = last if layer == layers - 1 else hidden[layer % 2]
        y_at, y_step = y.ctypes.data, y.strides[0]
        floor = np.float32(0.0) if kind == RELU else np.float32(-np.inf)
        weights, bias, depth = base + 4 * plan[layer, WEIGHTS], base + 4 * plan[layer, BIAS], plan[layer, DEPTH]
        for p in range(plan[layer, PANELS]):
            w, b = weights + 4 * LANES * depth * p, bias + 4 * LANES * p
            panel(at, step, w, b, y_at + 4 * LANES * p, y_step, depth, floor, rows)
        if kind == TANH:
            for i in range(rows):
                for j in range(width):
                    y[i, j] = np.tanh(y[i, j])
        at, step = y_at, y_step


@kernel
def run(x: Floats, packed: Floats, plan: NDArray[np.int64], hidden: Floats, last: Floats, out: Floats) -> None:
    """All layers for any number of rows, block by block. x: float32 [N, in]; out: float32 [N, out]."""
    for start in range(0, x.shape[0], BLOCK):
        stop = min(start + BLOCK, x.shape[0])
        forward(x[start:stop], packed, plan, hidden, last)
        for i in range(stop - start):
            for j in range(out.shape[1]):
                out[start + i, j] = last[i, j]


def aligned(*shape: int) -> Floats:
    """Zeros, float32, that begin on a cache line."""
    size = int(np.prod(shape))
    raw = np.zeros(4 * size + _LINE, np.uint8)
    start = -raw.ctypes.data % _LINE
    return raw[start : start + 4 * size].view(np.float32).reshape(shape)


class Packed:
    """A net's weights as panels, with the buffers of one block. Not to be shared between threads."""

    def __init__(self, weights: Sequence[Floats], biases: Sequence[Floats], kinds: Sequence[int]) -> None:
        """weights: [in, out] of each layer; kinds: LINEAR, RELU or TANH of each."""
        panels = [-(-weight.shape[1] // LANES) for weight in weights]
        self.plan: NDArray[np.int64] = np.zeros((len(weights), PLAN), np.int64)
        self.packed = aligned(sum((weight.shape[0] + 1) * LANES * count for weight, count in zip(weights, panels, strict=True)))
        at = 0
        for layer, (weight, bias, kind, count) in enumerate(zip(weights, biases, kinds, panels, strict=True)):
            depth, width = weight.shape
            padded = np.zeros((depth, count * LANES), np.float32)
            padded[:, :width] = weight
            size = depth * count * LANES
            self.packed[at : at + size] = padded.reshape(depth, count, LANES).transpose(1, 0, 2).ravel()
            self.packed[at + size : at + size + width] = bias
            self.plan[layer] = (depth, count, at, at + size, kind, width)
            at += size + count * LANES
        self.hidden = aligned(2, BLOCK, max(panels) * LANES)
        self.last = aligned(BLOCK, panels[-1] * LANES)

    def run(self, x: Floats, out: Floats) -> None:
        """x: float32 [N, in], rows contiguous; out: float32 [N, out]."""
        run(x, self.packed, self.plan, self.hidden, self.last, out)
