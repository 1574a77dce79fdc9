"""The compiled part of a proposal that makes teams: whether parties can be seated, and the deal with the least gap of mean ratings.

Two teams of few units are dealt by looking at all ways, more by packing the largest first and swapping while that narrows the gap.
"""

from typing import Final

import numpy as np

from gameedge.core.kernel import kernel
from gameedge.core.matchmaking.kernels import Shape, State, Units

EXACT_MAX: Final = 12  # units that are dealt to two teams by looking at all 2,048 ways
SWAPS_MAX: Final = 64


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
def sort_group(count: int, units: Units, state: State) -> None:
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
