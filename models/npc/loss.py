"""PPO's clipped loss and its gradient as one kernel: the same as torch's operators at a third of their cost on a CPU."""

import numpy as np
from numpy.typing import NDArray

from gameedge.core.kernel import kernel
from gameedge.core.npc.policy import L_SHOOT, L_SLOT, LOGITS, WALKS

Floats = NDArray[np.float32]
Int32s = NDArray[np.int32]

_FIRST = np.array([0, L_SLOT, L_SHOOT], np.int64)
_COUNT = np.array([WALKS, L_SHOOT - L_SLOT, LOGITS - L_SHOOT], np.int64)


@kernel
def log_softmax(row: Floats, first: int, count: int, out: Floats) -> float:
    """Into out[first : first + count]; returns the entropy."""
    top, total, entropy = row[first], 0.0, 0.0
    for k in range(first + 1, first + count):
        top = max(top, row[k])
    for k in range(first, first + count):
        total += np.exp(row[k] - top)
    total = np.log(total) + top
    for k in range(first, first + count):
        out[k] = row[k] - total
        entropy -= np.exp(out[k]) * out[k]
    return entropy


@kernel
def log_of(logits: Floats, chosen: Int32s, out: Floats) -> None:
    """log p of the choices: logits [N, >= LOGITS], chosen [N, 3], out [N]."""
    logs = np.empty(LOGITS, np.float32)
    for i in range(len(out)):
        out[i] = 0.0
        for part in range(3):
            log_softmax(logits[i], _FIRST[part], _COUNT[part], logs)
            out[i] += logs[_FIRST[part] + chosen[i, part]]


@kernel
def gradient(
    outputs: Floats, chosen: Int32s, old: Floats, advantage: Floats, returns: Floats, clip: float, value: float, entropy: float, out: Floats
) -> float:
    """d loss / d outputs for one minibatch, where

        loss = mean(value * (v - returns)^2 - min(r A, clamp(r, 1 - clip, 1 + clip) A) - entropy * H),   r = p / p_old

    outputs: float32 [N, LOGITS + 1], logits and v. Returns the loss.
    """
    n = len(old)
    logs = np.empty(LOGITS, np.float32)
    parts = np.empty(3, np.float64)
    loss = 0.0
    for i in range(n):
        log = 0.0
        for part in range(3):
            parts[part] = log_softmax(outputs[i], _FIRST[part], _COUNT[part], logs)
            log += logs[_FIRST[part] + chosen[i, part]]
        ratio, a = np.exp(log - old[i]), advantage[i]
        bound = min(max(ratio, 1.0 - clip), 1.0 + clip) * a
        weight = ratio * a if ratio * a <= bound else 0.0  # the clamp has no slope
        for part in range(3):
            for k in range(_FIRST[part], _FIRST[part] + _COUNT[part]):
                p = np.exp(logs[k])
                hit = 1.0 if k == _FIRST[part] + chosen[i, part] else 0.0
                out[i, k] = (entropy * p * (logs[k] + parts[part]) - weight * (hit - p)) / n
        off = outputs[i, LOGITS] - returns[i]
        out[i, LOGITS] = 2.0 * value * off / n
        loss += (value * off * off - min(ratio * a, bound) - entropy * parts.sum()) / n
    return loss
