"""Teams are legal for all sizes, exact for two and close for more."""

import random
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.bench import matchmaking_teams as teams


def brute_force(sizes: list[int], ratings: list[float], count: int, team_size: int) -> float:
    """The least gap of all most even splits."""
    best: tuple[int, float] = (10**9, 0.0)
    for deal in product(range(count), repeat=len(sizes)):
        groups = [[i for i, team in enumerate(deal) if team == t] for t in range(count)]
        people = [sum(sizes[i] for i in group) for group in groups]
        if max(people) <= team_size:
            best = min(best, (max(people) - min(people), teams.gap(groups, sizes, ratings)))
    return best[1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), st.floats(0, 50)), min_size=1, max_size=8), st.integers(3, 6))
def test_two_teams_are_split_as_well_as_can_be(units: list[tuple[int, float]], team_size: int) -> None:
    sizes, ratings = [size for size, _ in units], [rating for _, rating in units]
    if not teams.fits(sizes, 2, team_size):
        return
    groups = teams.split(sizes, ratings, 2, team_size)
    assert sorted(i for group in groups for i in group) == list(range(len(sizes)))
    assert teams.gap(groups, sizes, ratings) == pytest.approx(brute_force(sizes, ratings, 2, team_size), abs=1e-9)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=32), st.integers(1, 8), st.integers(1, 16), st.integers(0, 2**32))
def test_what_fits_is_split_legally(sizes: list[int], count: int, team_size: int, seed: int) -> None:
    if not teams.fits(sizes, count, team_size):
        return
    draw = random.Random(seed)
    ratings = [draw.gauss(25, 8) for _ in sizes]
    groups = teams.split(sizes, ratings, count, team_size)
    assert len(groups) == count
    assert sorted(i for group in groups for i in group) == list(range(len(sizes)))
    assert all(sum(sizes[i] for i in group) <= team_size for group in groups)


def test_swaps_come_close_to_the_best() -> None:
    draw = random.Random(5)
    worse = []
    for _ in range(20):
        sizes, ratings = [1] * 6, [draw.gauss(25, 4) for _ in range(6)]
        groups = teams.split(sizes, ratings, 3, 2)
        worse.append(teams.gap(groups, sizes, ratings) - brute_force(sizes, ratings, 3, 2))
    assert min(worse) >= -1e-9
    assert sum(worse) / len(worse) < 0.5


def test_what_does_not_fit_is_said() -> None:
    assert not teams.fits([3, 3, 3], 2, 5)
    assert not teams.fits([1] * 11, 2, 5)
    for sizes, count in (([3, 3, 3], 2), ([6], 1), ([4, 4, 4, 4], 3)):
        with pytest.raises(ValueError, match=r"people|fit"):
            teams.split(sizes, [25.0] * len(sizes), count, 5)
