"""Splitting units (people or parties, which stay together) into teams of nearly equal mean rating, for the naive matcher beside which
the compiled one is measured (`gameedge/core/matchmaking/dealing.py` is what deals in earnest).

Two teams of at most `EXHAUSTIVE_MAX` units are split exactly: all ways to do so are listed once for each combination of party
sizes and kept, and choosing is one matrix product. More are packed largest first, dealt out strongest first, and improved by
swapping units of equal size while that narrows the gap.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

EXHAUSTIVE_MAX: Final = 12  # units; C(11, 5) = 462 splits of twelve people
SWAP_ROUNDS_MAX: Final = 4


def fits(sizes: Sequence[int], teams: int, team_size: int) -> bool:
    """Whether units of these sizes can be seated with every unit on one team (largest first into the first team with room)."""
    parties = [size for size in sizes if size > 1]
    if sum(sizes) > teams * team_size:
        return False
    return not parties or _pack(parties, teams, team_size) is not None


def split(sizes: Sequence[int], ratings: Sequence[float], teams: int, team_size: int) -> list[list[int]]:
    """Indices of the units of each team; `ratings` are means of units. Empty seats are spread as evenly as units allow.

    Raises ValueError where they do not fit.
    """
    if teams == 1:
        if sum(sizes) > team_size:
            raise ValueError(f"{sum(sizes)} people for {team_size} seats")
        return [list(range(len(sizes)))]
    if team_size == 1 and len(sizes) == teams == sum(sizes):
        return [[i] for i in range(teams)]  # everybody alone: nothing to weigh
    if teams == 2 and len(sizes) <= EXHAUSTIVE_MAX:
        return _split_exactly(tuple(sizes), ratings, team_size)
    return _split_by_swaps(sizes, ratings, teams, team_size)


def gap(groups: Sequence[Sequence[int]], sizes: Sequence[int], ratings: Sequence[float]) -> float:
    """Difference between the strongest and the weakest team's mean rating; empty teams do not count."""
    means = [sum(sizes[i] * ratings[i] for i in group) / sum(sizes[i] for i in group) for group in groups if group]
    return max(means) - min(means) if means else 0.0


@lru_cache(maxsize=1024)
def _splits(sizes: tuple[int, ...], team_size: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]] | None:
    """All most even splits into two: members of the first team [S, units], and the first team's people [S]. Unit 0 is in it."""
    total, units = sum(sizes), len(sizes)
    rows, counts = [], []
    for size in range(1, units + 1):
        for rest in combinations(range(1, units), size - 1):
            people = sizes[0] + sum(sizes[i] for i in rest)
            if people <= team_size and total - people <= team_size:
                row = np.zeros(units, np.bool_)
                row[[0, *rest]] = True
                rows.append(row)
                counts.append(people)
    if not rows:
        return None
    uneven = np.abs(2 * np.array(counts) - total)
    best = uneven == uneven.min()
    return np.array(rows)[best], np.array(counts, np.float64)[best]


def _split_exactly(sizes: tuple[int, ...], ratings: Sequence[float], team_size: int) -> list[list[int]]:
    listed = _splits(sizes, team_size)
    if listed is None:
        raise ValueError(f"units of {sizes} do not fit two teams of {team_size}")
    members, people = listed
    weighted = np.asarray(sizes, np.float64) * np.asarray(ratings, np.float64)
    first = members @ weighted
    others = sum(sizes) - people
    # A team without people (somebody alone against NPCs) has no mean: every such split is as good as another.
    gaps = np.abs(first / people - np.divide(weighted.sum() - first, others, out=first / people, where=others > 0))
    row = members[int(np.argmin(gaps))]
    return [np.flatnonzero(row).tolist(), np.flatnonzero(~row).tolist()]


def _pack(sizes: Sequence[int], teams: int, team_size: int) -> list[int] | None:
    """The team of each unit, largest first into the first team with room; None where that fails."""
    room = [team_size] * teams
    placed = [0] * len(sizes)
    for i in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        team = next((team for team in range(teams) if room[team] >= sizes[i]), None)
        if team is None:
            return None
        room[team] -= sizes[i]
        placed[i] = team
    return placed


def _split_by_swaps(sizes: Sequence[int], ratings: Sequence[float], teams: int, team_size: int) -> list[list[int]]:
    order = sorted(range(len(sizes)), key=lambda i: (-sizes[i], -ratings[i], i))
    groups: list[list[int]] = [[] for _ in range(teams)]
    people, strength = [0] * teams, [0.0] * teams
    parties = [i for i in order if sizes[i] > 1]
    packed = _pack([sizes[i] for i in parties], teams, team_size)
    if packed is None or sum(sizes) > teams * team_size:
        raise ValueError(f"units of {list(sizes)} do not fit {teams} teams of {team_size}")
    for i, team in zip(parties, packed, strict=True):
        groups[team].append(i)
        people[team] += sizes[i]
        strength[team] += sizes[i] * ratings[i]
    for i in order[len(parties) :]:  # people alone, strongest first, each to the smallest and then weakest team
        team = min(range(teams), key=lambda t: (people[t], strength[t], t))
        groups[team].append(i)
        people[team] += 1
        strength[team] += ratings[i]
    if team_size > 1:
        _swap(groups, sizes, ratings)
    return [sorted(group) for group in groups]


def _swap(groups: list[list[int]], sizes: Sequence[int], ratings: Sequence[float]) -> None:
    """Swap units of equal size between the strongest and the weakest team while the gap narrows."""
    for _ in range(SWAP_ROUNDS_MAX * len(groups)):
        now = gap(groups, sizes, ratings)
        filled = [group for group in groups if group]
        means = [sum(sizes[i] * ratings[i] for i in group) / sum(sizes[i] for i in group) for group in filled]
        strong, weak = filled[means.index(max(means))], filled[means.index(min(means))]
        best, chosen = now, (-1, -1)
        for a, i in enumerate(strong):
            for b, j in enumerate(weak):
                if sizes[i] != sizes[j] or ratings[i] <= ratings[j]:
                    continue
                strong[a], weak[b] = j, i
                after = gap(groups, sizes, ratings)
                strong[a], weak[b] = i, j
                if after < best - 1e-9:
                    best, chosen = after, (a, b)
        a, b = chosen
        if a < 0:
            return
        strong[a], weak[b] = weak[b], strong[a]
