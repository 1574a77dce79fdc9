"""The compiled search: a seed gathers the nearest who accept each other, the seeds in order of age. See `propose.py` for the method."""

from typing import Final

import numpy as np

from gameedge.core.kernel import kernel
from gameedge.core.matchmaking.dealing import dealt, packs, sort_group
from gameedge.core.matchmaking.kernels import (
    Flags,
    Floats,
    Ints,
    Masks,
    Shape,
    State,
    Units,
    agrees,
    begin,
    join,
    join_regions,
    roles_take,
)

AGE_LOOKS_MS: Final = 5_000.0  # after this wait a seed looks twice as far, after twice this three times


@kernel
def gather(seed: int, before: Ints, after: Ints, units: Units, shape: Shape, state: State, whole: bool, room: int) -> tuple[int, float]:
    """The seed and the nearest units in mutual agreement with all taken before; (units, gap), (0, -1) where `whole` and not full.

    `room`: seats of the match. Looks are bounded: more for who waits longer, and for who waited `priority_ms` all there are.
    """
    begin(seed, units, state)
    count = 1
    room -= units.size[seed]
    looks = 1 << 60 if units.wait[seed] >= shape.priority_ms else int(shape.looks * (1.0 + units.wait[seed] / AGE_LOOKS_MS))
    low, high, own, part = before[seed], after[seed], units.key[seed], units.part[seed]
    walks = shape.walks
    parties = units.size[seed] > 1
    while room > 0 and looks > 0:
        below = own - units.key[low] if low >= 0 and units.part[low] == part else np.inf
        above = units.key[high] - own if high >= 0 and units.part[high] == part else np.inf
        nearest = min(below, above)
        if nearest == np.inf:
            break
        if walks:  # beyond what the seed accepts; where the oldest decides, who joined may have widened it
            base = state.base[0] if shape.oldest[0] else units.base[0, seed]
            if nearest > base + units.extra[0, seed]:
                break
        if below <= above:
            u = low
            low = before[low]
        else:
            u = high
            high = after[high]
        looks -= 1
        size = units.size[u]
        if size > room or not agrees(u, count, units, shape, state):
            continue
        if (parties or size > 1) and not packs(count, units, shape, state, size):
            continue
        if len(state.have) > 1 and not roles_take(u, shape.teams, units, state):
            continue
        if size == room:
            state.rows[count] = u
            sort_group(count + 1, units, state)
            gap = dealt(count + 1, units, shape, state)
            if gap >= 0.0:
                join_regions(u, units, state)
                return count + 1, gap
            _unsort(u, count + 1, state)
            continue
        join(u, count, units, state)
        count += 1
        room -= size
        parties = parties or size > 1
    if whole and room > 0:
        return 0, -1.0
    sort_group(count, units, state)
    gap = dealt(count, units, shape, state)
    if gap < 0.0 and not whole:  # these cannot be teams: the seed alone can
        begin(seed, units, state)
        count = 1
        gap = dealt(count, units, shape, state)
    return (count, gap) if gap >= 0.0 else (0, -1.0)


@kernel
def _unsort(u: int, count: int, state: State) -> None:
    """Take the unit that was tried last out of the group again."""
    at = 0
    for i in range(count):
        if state.rows[i] != u:
            state.rows[at] = state.rows[i]
            at += 1


@kernel
def take(u: int, before: Ints, after: Ints, free: Flags) -> None:
    """Out of the list of those who are free."""
    if before[u] >= 0:
        after[before[u]] = after[u]
    if after[u] >= 0:
        before[after[u]] = before[u]
    free[u] = False


@kernel
def search(
    seeds: Ints,
    whole: bool,
    from_ms: float,
    before: Ints,
    after: Ints,
    free: Flags,
    units: Units,
    shape: Shape,
    state: State,
    made: int,
    rows: Ints,
    teams: Ints,
    counts: Ints,
    gaps: Floats,
    regions: Masks,
) -> tuple[int, int]:
    """Gather a match for each free seed that waited `from_ms`, the oldest first, from match number `made` on.

    Out: rows and teams int64 [M, players], counts, gaps and regions [M]. Returns how many there are now, and how many full groups
    were held for better company.
    """
    held = 0
    players = shape.teams * shape.team_size
    for seed in seeds:
        if not free[seed] or units.wait[seed] < from_ms:
            continue
        count, gap = gather(seed, before, after, units, shape, state, whole, players)
        if count == 0:
            continue
        if shape.hold_ms > 0.0 and whole:
            oldest = 0.0
            for i in range(count):
                oldest = max(oldest, units.wait[state.rows[i]])
            if oldest < shape.hold_ms and gap > shape.good_gap:
                held += 1
                continue
        for i in range(count):
            u = state.rows[i]
            rows[made, i], teams[made, i] = u, state.team[i]
            take(u, before, after, free)
        counts[made], gaps[made], regions[made] = count, gap, state.regions[0]
        made += 1
    return made, held


@kernel
def linked(free: Flags) -> tuple[Ints, Ints]:
    """For each unit the free one before it and after it, -1 where there is none."""
    before, after = np.full(len(free), -1, np.int64), np.full(len(free), -1, np.int64)
    last = -1
    for u in range(len(free)):
        before[u] = last
        if free[u]:
            if last >= 0:
                after[last] = u
            last = u
    return before, after
