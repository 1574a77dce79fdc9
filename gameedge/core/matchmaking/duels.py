"""One against one: what the greedy search leaves is mended.

More matches: from somebody who found nobody, an alternating path over those who are matched to somebody else who found nobody
(a - b=c - d becomes a=b c=d), as in the method of augmenting paths, without blossoms and within a budget. Better matches: two
matches exchange opponents where the sum of qualities rises. Both keep everybody matched who was, so that whoever waited longer
loses no place, and every new pair is checked by every rule.
"""

from typing import Final

import numpy as np

from gameedge.core.kernel import kernel
from gameedge.core.matchmaking.kernels import Flags, Floats, Ints, Masks, Shape, State, Units, together

REACH: Final = 16  # neighbours on each side, in order of rating, that a path may go to
BUDGET: Final = 128  # people that one search for a path may pass
NEAR: Final = 12  # neighbours whose opponents are exchanged
ROUNDS: Final = 4
GOOD: Final = 0.999  # a match of this quality is left as it is


@kernel
def quality(gap: float, scale: float) -> float:
    """exp(-(gap / scale)^2 / 2) to four digits, in arithmetic that gives the same bits everywhere (see `core/kernel.py`)."""
    power = max(0.0, 1.0 - 0.5 * (gap / scale) ** 2 / 4096.0)
    for _ in range(12):
        power *= power
    return power


@kernel
def _pair(a: int, b: int, units: Units, shape: Shape, state: State) -> bool:
    return abs(units.key[a] - units.key[b]) <= min(units.gap_max[a], units.gap_max[b]) and together(a, b, units, shape, state)


@kernel
def _augment(a: int, mate: Ints, via: Ints, seen: Ints, queue: Ints, units: Units, shape: Shape, state: State) -> bool:
    """Find a path from `a`, who is free, and turn it over. `seen` holds the last search that passed somebody."""
    queue[0], head, tail = a, 0, 1
    seen[a] = a
    while head < tail:
        x = queue[head]
        head += 1
        for step in range(2, 2 * REACH + 2):
            y = x + step // 2 if step % 2 else x - step // 2
            if y < 0 or y >= len(mate) or seen[y] == a or not _pair(x, y, units, shape, state):
                continue
            if mate[y] < 0:
                while x != a:
                    p = mate[x]
                    mate[x], mate[y] = y, x
                    y, x = p, via[p]
                mate[x], mate[y] = y, x
                return True
            z = mate[y]
            if seen[z] == a or tail == len(queue):
                continue
            seen[y] = seen[z] = a
            via[y] = x
            queue[tail] = z
            tail += 1
    return False


@kernel
def _exchange(mate: Ints, units: Units, shape: Shape, state: State) -> int:
    changed = 0
    for a in range(len(mate)):
        b = mate[a]
        if b < 0:
            continue
        mine = quality(abs(units.key[a] - units.key[b]), shape.scale)
        if mine >= GOOD:
            continue
        for step in range(2, 2 * NEAR + 2):
            c = a + step // 2 if step % 2 else a - step // 2
            if c < 0 or c >= len(mate) or c == b or mate[c] < 0:
                continue
            d = mate[c]
            now = mine + quality(abs(units.key[c] - units.key[d]), shape.scale)
            then = quality(abs(units.key[a] - units.key[c]), shape.scale) + quality(abs(units.key[b] - units.key[d]), shape.scale)
            if then > now + 1e-6 and _pair(a, c, units, shape, state) and _pair(b, d, units, shape, state):
                mate[a], mate[c], mate[b], mate[d] = c, a, d, b
                changed += 1
                break
    return changed


@kernel
def polish(seeds: Ints, free: Flags, units: Units, shape: Shape, state: State, made: int, rows: Ints, gaps: Floats, regions: Masks) -> int:
    """Mend `made` matches in place; returns how many there are then, in order of who waited longest. `free` is kept true."""
    count = len(seeds)
    mate, via = np.full(count, -1, np.int64), np.zeros(count, np.int64)
    seen, queue = np.full(count, -1, np.int64), np.zeros(BUDGET, np.int64)
    for m in range(made):
        mate[rows[m, 0]], mate[rows[m, 1]] = rows[m, 1], rows[m, 0]
    for a in seeds:
        if mate[a] < 0 and (shape.hold_ms == 0.0 or units.wait[a] >= shape.hold_ms):
            _augment(a, mate, via, seen, queue, units, shape, state)
    for _ in range(ROUNDS):
        if _exchange(mate, units, shape, state) == 0:
            break
    made = 0
    free[:] = True
    for a in seeds:
        b = mate[a]
        if b < 0 or not free[a]:
            continue
        free[a] = free[b] = False
        rows[made, 0], rows[made, 1] = min(a, b), max(a, b)
        gaps[made] = abs(units.key[a] - units.key[b])
        regions[made] = units.regions[a] & units.regions[b]
        made += 1
    return made
