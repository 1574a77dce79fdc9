"""The compiled part of a proposal: what units, rules and a group are as arrays, and who joins a group (`dealing.py`: how it is dealt to
teams; `search.py`: who is looked at).

Rows of all arrays are units in order of (partition, rating, age). A partition is what can never mix: trust pool and hard equality
rules. `Units`, `Shape` and `State` only bundle arrays; methods are on the page of `propose.py`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gameedge.core.kernel import kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Masks = NDArray[np.uint64]


class Units(NamedTuple):
    """What a cycle knows of each unit, N of them; D distance rules, Q relaxing equality rules, S set rules."""

    part: Ints  # [N]
    size: Ints  # [N] people
    key: Floats  # [N] rating; what the search walks along, ascending within a partition
    wait: Floats  # [N] ms
    value: Floats  # [D, N]
    base: Floats  # [D, N] window by age
    extra: Floats  # [D, N] window by uncertainty
    code: Ints  # [Q, N]
    relaxed: Flags  # [Q, N]
    sets: Masks  # [S, N]
    regions: Masks  # [N] where it may play
    roles: Ints  # [N, party] masks of members
    block_from: Ints  # [N + 1]
    block_to: Ints  # rows that a unit does not play with, both ways
    gap_max: Floats  # [N] of team means


class Shape(NamedTuple):
    """The mode, and bounds of the search."""

    teams: int
    team_size: int
    looks: int
    priority_ms: float
    hold_ms: float  # a group younger than this waits for better company
    good_gap: float  # unless its teams differ by no more than this
    scale: float
    walks: bool  # rule 0 is the rating that `key` has
    oldest: Flags  # [D] whose age widens
    set_least: Ints  # [S]
    role_need: Ints  # [roles] of one team


class State(NamedTuple):
    """The group that is being gathered."""

    low: Floats  # [D]
    high: Floats
    floor: Floats  # what all accept
    ceiling: Floats
    base: Floats
    extra: Floats
    code: Ints  # [Q]
    mixed: Flags
    strict: Flags  # somebody in it is not relaxed
    sets: Masks  # [S]
    regions: Masks  # [1]
    have: Ints  # [2^roles] members who can only play roles of the subset
    need: Ints  # [2^roles] seats of the subset in one team
    rows: Ints  # [players] the group
    team: Ints  # [players] dealt to
    trial: Ints  # [players]
    strength: Floats  # [2^dealing.EXACT_MAX] or [teams]
    people: Ints


@kernel
def bits(mask: np.uint64) -> int:
    count = 0
    while mask != np.uint64(0):
        mask &= mask - np.uint64(1)
        count += 1
    return count


@kernel
def begin(u: int, units: Units, state: State) -> None:
    """A group of one unit."""
    for d in range(len(state.low)):
        value, window = units.value[d, u], units.base[d, u] + units.extra[d, u]
        state.low[d] = state.high[d] = value
        state.floor[d], state.ceiling[d] = value - window, value + window
        state.base[d], state.extra[d] = units.base[d, u], units.extra[d, u]
    for q in range(len(state.code)):
        state.code[q], state.mixed[q], state.strict[q] = units.code[q, u], False, not units.relaxed[q, u]
    for s in range(len(state.sets)):
        state.sets[s] = units.sets[s, u]
    state.regions[0] = units.regions[u]
    if len(state.have) > 1:
        state.have[:] = 0
        _count_roles(u, 1, units, state)
    state.rows[0] = u


@kernel
def _count_roles(u: int, sign: int, units: Units, state: State) -> None:
    for m in range(units.size[u]):
        mask = units.roles[u, m]
        for subset in range(1, len(state.have)):
            if mask & ~subset == 0:
                state.have[subset] += sign


@kernel
def agrees(u: int, count: int, units: Units, shape: Shape, state: State) -> bool:
    """Whether `u` and all of the group's `count` units accept each other."""
    if units.regions[u] & state.regions[0] == np.uint64(0):
        return False
    for d in range(len(state.low)):
        value, base, extra = units.value[d, u], units.base[d, u], units.extra[d, u]
        low, high = min(state.low[d], value), max(state.high[d], value)
        if shape.oldest[d]:
            if high - low > max(base, state.base[d]) + min(extra, state.extra[d]):
                return False
        elif not state.floor[d] <= value <= state.ceiling[d] or value - base - extra > state.low[d] or value + base + extra < state.high[d]:
            return False
    for q in range(len(state.code)):
        if (state.mixed[q] or units.code[q, u] != state.code[q]) and (state.strict[q] or not units.relaxed[q, u]):
            return False
    for s in range(len(state.sets)):
        common = units.sets[s, u] & state.sets[s]
        if common == np.uint64(0) or (shape.set_least[s] > 1 and bits(common) < shape.set_least[s]):
            return False
    for at in range(units.block_from[u], units.block_from[u + 1]):
        for i in range(count):
            if units.block_to[at] == state.rows[i]:
                return False
    return True


@kernel
def join(u: int, count: int, units: Units, state: State) -> None:
    """Take `u` into the group as its unit number `count`."""
    for d in range(len(state.low)):
        value, base, extra = units.value[d, u], units.base[d, u], units.extra[d, u]
        state.low[d], state.high[d] = min(state.low[d], value), max(state.high[d], value)
        state.floor[d] = max(state.floor[d], value - base - extra)
        state.ceiling[d] = min(state.ceiling[d], value + base + extra)
        state.base[d], state.extra[d] = max(state.base[d], base), min(state.extra[d], extra)
    for q in range(len(state.code)):
        state.mixed[q] |= units.code[q, u] != state.code[q]
        state.strict[q] |= not units.relaxed[q, u]
    for s in range(len(state.sets)):
        state.sets[s] &= units.sets[s, u]
    state.regions[0] &= units.regions[u]
    if len(state.have) > 1:
        _count_roles(u, 1, units, state)
    state.rows[count] = u


@kernel
def join_regions(u: int, units: Units, state: State) -> None:
    state.regions[0] &= units.regions[u]


@kernel
def roles_take(u: int, teams: int, units: Units, state: State) -> bool:
    """The same for the group with `u`, from counts that are kept."""
    for subset in range(1, len(state.have)):
        have = state.have[subset]
        for m in range(units.size[u]):
            if units.roles[u, m] & ~subset == 0:
                have += 1
        if have > teams * state.need[subset]:
            return False
    return True


@kernel
def together(a: int, b: int, units: Units, shape: Shape, state: State) -> bool:
    """Whether two units accept each other."""
    if units.part[a] != units.part[b]:
        return False
    begin(a, units, state)
    return agrees(b, 1, units, shape, state)
