"""The engine's bookkeeping of a batch in one kernel call each: ten small numpy calls would cost more than a small model."""

import numpy as np
from numpy.typing import NDArray

from gameedge.core.kernel import kernel

Floats = NDArray[np.float32]
Int32s = NDArray[np.int32]
_ZERO = np.float32(0.0)


@kernel
def accept(out: Floats, entities: Int32s, last: Floats, age: Int32s) -> int:
    """Remember answers that are finite as their entities' last; returns how many rows are not (their age grows)."""
    width, flat, odd = out.shape[1], out.ravel(), 0
    for k in range(flat.shape[0]):
        odd |= flat[k] - flat[k] != _ZERO  # NaN where a value is not finite
    bad = 0
    for i in range(entities.shape[0]):
        e = entities[i]
        good = True
        if odd:
            for k in range(width):
                good &= out[i, k] - out[i, k] == _ZERO
        if good:
            for k in range(width):
                last[e, k] = out[i, k]
            age[e] = 0
        else:
            age[e] += 1
            bad += 1
    return bad


@kernel
def mend(out: Floats, entities: Int32s, last: Floats) -> int:
    """Where a row is not finite, its entity's last answer instead; how many were not."""
    bad = 0
    for i in range(entities.shape[0]):
        total = np.float32(0.0)
        for k in range(out.shape[1]):
            total += out[i, k] * _ZERO
        if total != _ZERO:
            bad += 1
            for k in range(out.shape[1]):
                out[i, k] = last[entities[i], k]
    return bad


@kernel
def accept_some(out: Floats, entities: Int32s, chosen: NDArray[np.int64], last: Floats, age: Int32s, fresh: NDArray[np.bool_]) -> int:
    """The same for the rows `chosen`, of which `fresh` is true after it where the answer is finite; the others grow older."""
    bad = 0
    for i in range(entities.shape[0]):
        fresh[i] = False
    for j in range(chosen.shape[0]):
        i = chosen[j]
        total = np.float32(0.0)
        for k in range(out.shape[1]):
            total += out[i, k] * np.float32(0.0)
        fresh[i] = total == 0.0
        bad += 0 if fresh[i] else 1
    for i in range(entities.shape[0]):
        e = entities[i]
        if fresh[i]:
            age[e] = 0
            for k in range(out.shape[1]):
                last[e, k] = out[i, k]
        else:
            age[e] += 1
    return bad


@kernel
def most_urgent(age: Int32s, entities: Int32s, weight: Floats, count: int, start: int, chosen: NDArray[np.int64]) -> None:
    """The `count` rows that have waited longest, weighted; ties in the entities' order from `start` on. O(n) by counting ages."""
    n = entities.shape[0]
    top = 256
    histogram = np.zeros(top + 1, np.int64)
    for i in range(n):
        histogram[min(int(age[entities[i]] * weight[i]), top)] += 1
    left, bound = count, top
    while bound > 0 and histogram[bound] < left:
        left -= histogram[bound]
        bound -= 1
    j = 0
    for k in range(n):  # all above the bound, and of those at the bound the first `left`
        i = (start + k) % n
        urgency = min(int(age[entities[i]] * weight[i]), top)
        if urgency > bound:
            chosen[j] = i
            j += 1
        elif urgency == bound and left > 0:
            left -= 1
            chosen[j] = i
            j += 1


@kernel
def divide(
    age: Int32s, entities: Int32s, fresh: NDArray[np.bool_], hold_calls: int, held: NDArray[np.int64], rest: NDArray[np.int64]
) -> tuple[int, int]:
    """Rows that are not fresh: those whose last answer may still stand in, into `held`, and the others, into `rest`; how many of each."""
    h, r = 0, 0
    for i in range(entities.shape[0]):
        if fresh[i]:
            continue
        if age[entities[i]] <= hold_calls:
            held[h] = i
            h += 1
        else:
            rest[r] = i
            r += 1
    return h, r


@kernel
def put(answers: Floats, index: NDArray[np.int64], entities: Int32s, last: Floats, out: Floats) -> None:
    """Answers into the rows `index` of out; where one is not finite, its entity's last."""
    for j in range(index.shape[0]):
        i = index[j]
        total = np.float32(0.0)
        for k in range(out.shape[1]):
            total += answers[j, k] * _ZERO
        for k in range(out.shape[1]):
            out[i, k] = answers[j, k] if total == _ZERO else last[entities[i], k]
