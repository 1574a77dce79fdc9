"""The compiled loop over seeds. See `propose.py` for the method."""

import numpy as np

from gameedge.core.kernel import kernel
from gameedge.core.matchmaking.kernels import Flags, Floats, Ints, Masks, Shape, State, Units, gather


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
