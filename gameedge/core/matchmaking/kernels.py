"""The compiled part of a proposal: who joins a group, and how a group is dealt to teams.

Rows of all arrays are units in order of (partition, rating, age). A partition is what can never mix: trust pool and hard equality
rules. `Units`, `Shape` and `State` only bundle arrays; methods are on the page of `propose.py`.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gameedge.core.kernel import kernel

EXACT_MAX: Final = 12  # units that are dealt to two teams by looking at all 2,048 ways
AGE_LOOKS_MS: Final = 5_000.0  # after this wait a seed looks twice as far, after twice this three times
SWAPS_MAX: Final = 64

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
    strength: Floats  # [2^EXACT_MAX] or [teams]
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
def roles_fit(count: int, team: int, teams: int, units: Units, state: State) -> bool:
    """Hall's condition: whether each member of a team (-1: of the group, for `teams` teams) finds a seat that it can play."""
    for subset in range(1, len(state.need)):
        have = 0
        for i in range(count):
            if team < 0 or state.trial[i] == team:
                u = state.rows[i]
                for m in range(units.size[u]):
                    if units.roles[u, m] & ~subset == 0:
                        have += 1
        if have > teams * state.need[subset]:
            return False
    return True


@kernel
def _roles_take(u: int, teams: int, units: Units, state: State) -> bool:
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
def packs(count: int, units: Units, shape: Shape, state: State, more: int) -> bool:
    """Whether the group's parties, and one of `more` people, can be seated with each in one team (largest first, first fit)."""
    for t in range(shape.teams):
        state.people[t] = shape.team_size
    for size in range(shape.team_size, 1, -1):
        for i in range(count + 1):
            if (more if i == count else units.size[state.rows[i]]) != size:
                continue
            seated = False
            for t in range(shape.teams):
                if state.people[t] >= size:
                    state.people[t] -= size
                    seated = True
                    break
            if not seated:
                return False
    return True


@kernel
def deal(count: int, units: Units, shape: Shape, state: State) -> float:
    """Deal the group to teams (`state.team`): as even in people as units allow, then with the least gap of mean ratings.

    Returns the gap, -1 where roles leave no way. Two teams of at most EXACT_MAX units: the best of all ways.
    """
    if shape.teams == 1:
        for i in range(count):
            state.team[i] = state.trial[i] = 0
        return 0.0 if len(state.have) <= 1 or roles_fit(count, -1, 1, units, state) else -1.0
    if shape.teams == 2 and count <= EXACT_MAX:
        return _deal_two(count, units, shape, state)
    return _deal_many(count, units, shape, state)


@kernel
def _deal_two(count: int, units: Units, shape: Shape, state: State) -> float:
    """Unit 0 is in the first team; every subset of the others is a second team (bit i: unit i + 1), its sums those of the subset
    without its highest unit."""
    total, weight = 0, 0.0
    for i in range(count):
        u = state.rows[i]
        total += units.size[u]
        weight += units.size[u] * units.key[u]
    state.people[0], state.strength[0] = 0, 0.0
    best_uneven, best_gap, chosen, highest = 1 << 30, 0.0, -1, 0
    for mask in range(1 << (count - 1)):
        if mask > 0:
            while mask >= 2 << highest:
                highest += 1
            u, rest = state.rows[highest + 1], mask - (1 << highest)
            state.people[mask] = state.people[rest] + units.size[u]
            state.strength[mask] = state.strength[rest] + units.size[u] * units.key[u]
        second = state.people[mask]
        first = total - second
        if first > shape.team_size or second > shape.team_size:
            continue
        uneven = abs(first - second)
        if uneven > best_uneven:
            continue
        gap = 0.0 if second == 0 else abs((weight - state.strength[mask]) / first - state.strength[mask] / second)
        if chosen >= 0 and uneven == best_uneven and gap >= best_gap:
            continue
        if len(state.have) > 1:
            for i in range(count):
                state.trial[i] = 1 if i > 0 and mask >> (i - 1) & 1 else 0
            if not (roles_fit(count, 0, 1, units, state) and roles_fit(count, 1, 1, units, state)):
                continue
        best_uneven, best_gap, chosen = uneven, gap, mask
    if chosen < 0:
        return -1.0
    for i in range(count):
        state.team[i] = 1 if i > 0 and chosen >> (i - 1) & 1 else 0
    return best_gap


@kernel
def _gap(count: int, units: Units, shape: Shape, state: State) -> float:
    """Between the strongest and the weakest team's mean, as `state.trial` has them; empty teams do not count."""
    low, high = np.inf, -np.inf
    for t in range(shape.teams):
        people, strength = 0, 0.0
        for i in range(count):
            if state.trial[i] == t:
                u = state.rows[i]
                people += units.size[u]
                strength += units.size[u] * units.key[u]
        if people:
            low, high = min(low, strength / people), max(high, strength / people)
    return high - low


@kernel
def _deal_many(count: int, units: Units, shape: Shape, state: State) -> float:
    """Parties largest first into the first team with room, people alone strongest first to the smallest, then weakest team; then
    swaps of equal size while they narrow the gap."""
    for t in range(shape.teams):
        state.people[t], state.strength[t] = 0, 0.0
    state.trial[:count] = -1
    for _ in range(count):
        at = -1
        for i in range(count):
            if state.trial[i] >= 0:
                continue
            if at < 0:
                at = i
                continue
            u, v = state.rows[i], state.rows[at]
            if units.size[u] > units.size[v] or (units.size[u] == units.size[v] and units.key[u] > units.key[v]):
                at = i
        u, to = state.rows[at], -1
        for t in range(shape.teams):
            if state.people[t] + units.size[u] > shape.team_size:
                continue
            if len(state.have) > 1:
                state.trial[at] = t
                fits = roles_fit(count, t, 1, units, state)
                state.trial[at] = -1
                if not fits:
                    continue
            if to < 0 or (
                units.size[u] == 1
                and (state.people[t] < state.people[to] or (state.people[t] == state.people[to] and state.strength[t] < state.strength[to]))
            ):
                to = t
        if to < 0:
            return -1.0
        state.trial[at] = to
        state.people[to] += units.size[u]
        state.strength[to] += units.size[u] * units.key[u]
    gap = _gap(count, units, shape, state)
    for _ in range(SWAPS_MAX):
        best, a, b = gap, -1, -1
        for i in range(count):
            for j in range(i):
                ti, tj = state.trial[i], state.trial[j]
                if ti == tj or units.size[state.rows[i]] != units.size[state.rows[j]]:
                    continue
                state.trial[i], state.trial[j] = tj, ti
                after = _gap(count, units, shape, state)
                good = after < best - 1e-9
                if good and len(state.have) > 1:
                    good = roles_fit(count, ti, 1, units, state) and roles_fit(count, tj, 1, units, state)
                state.trial[i], state.trial[j] = ti, tj
                if good:
                    best, a, b = after, i, j
        if a < 0:
            break
        state.trial[a], state.trial[b] = state.trial[b], state.trial[a]
        gap = best
    for i in range(count):
        state.team[i] = state.trial[i]
    return gap


@kernel
def _sort_group(count: int, units: Units, state: State) -> None:
    """By size, the largest first, then by row: one order for one set of units, however it was found."""
    for i in range(1, count):
        u = state.rows[i]
        j = i - 1
        while j >= 0 and (units.size[state.rows[j]] < units.size[u] or (units.size[state.rows[j]] == units.size[u] and state.rows[j] > u)):
            state.rows[j + 1] = state.rows[j]
            j -= 1
        state.rows[j + 1] = u


@kernel
def dealt(count: int, units: Units, shape: Shape, state: State) -> float:
    """`deal`, and -1 also where somebody does not accept the gap."""
    gap = deal(count, units, shape, state)
    for i in range(count):
        if gap > units.gap_max[state.rows[i]]:
            return -1.0
    return gap


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
        if len(state.have) > 1 and not _roles_take(u, shape.teams, units, state):
            continue
        if size == room:
            state.rows[count] = u
            _sort_group(count + 1, units, state)
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
    _sort_group(count, units, state)
    gap = dealt(count, units, shape, state)
    if gap < 0.0 and not whole:  # these cannot be teams: the seed alone can
        begin(seed, units, state)
        count = 1
        gap = dealt(count, units, shape, state)
    return (count, gap) if gap >= 0.0 else (0, -1.0)


@kernel
def join_regions(u: int, units: Units, state: State) -> None:
    state.regions[0] &= units.regions[u]


@kernel
def _unsort(u: int, count: int, state: State) -> None:
    """Take the unit that was tried last out of the group again."""
    at = 0
    for i in range(count):
        if state.rows[i] != u:
            state.rows[at] = state.rows[i]
            at += 1


@kernel
def together(a: int, b: int, units: Units, shape: Shape, state: State) -> bool:
    """Whether two units accept each other."""
    if units.part[a] != units.part[b]:
        return False
    begin(a, units, state)
    return agrees(b, 1, units, shape, state)
