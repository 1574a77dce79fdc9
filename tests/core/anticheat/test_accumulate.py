"""Wealth: what innocents never reach, whatever they play, and cheats soon do; p-values that never say too much."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gameedge.core.anticheat import accumulate as a
from gameedge.core.anticheat import aim


def table() -> np.ndarray:
    """A null in which a mean score of z is reached with the probability of a standard exponential, exp(-z)."""
    row = -np.log(np.array(aim.TAILS))
    return np.broadcast_to(row, (aim.COHORTS, aim.BLOCK_COUNTS, len(aim.TAILS))).astype(np.float32).copy()


def test_the_prior_sums_to_one() -> None:
    n = 200_000
    total = sum(a.prior(k) for k in range(n))
    assert total <= 1.0
    assert total + 1 / (2.1097428 * math.log(n)) == pytest.approx(1.0, abs=1e-3)  # the rest, by the integral


@given(p=st.floats(1e-6, 1.0))
@settings(deadline=None)
def test_a_stake_is_a_calibrator(p: float) -> None:
    """k p^(k-1) falls with p and integrates to 1 over p."""
    for kappa in a.KAPPAS:
        grid = (np.arange(200_000) + 0.5) / 200_000
        assert kappa * p ** (kappa - 1) >= kappa
        assert (kappa * grid ** (kappa - 1)).mean() <= 1.0 + 1e-9


def test_innocent_careers_stay_poor() -> None:
    """600 careers of 1,000 blocks with uniform p: Ville allows 1 % and 0.01 %, and the bound is not met by luck."""
    rng = np.random.default_rng(1)
    reviews = bans = 0
    for _ in range(600):
        wealth = a.Wealth()
        highest = max(wealth.bet(float(p)) for p in rng.random(1_000).clip(aim.TAILS[-1]))
        assert (wealth.peak >= 2) == (highest >= a.REVIEW)
        reviews += wealth.peak >= 2
        bans += wealth.peak == 3
    assert reviews <= 6
    assert bans == 0


@pytest.mark.parametrize(("late", "duty", "within"), [(0, 1.0, 10), (5_000, 1.0, 25), (0, 0.3, 40), (0, 0.1, 220)])
def test_cheats_become_rich_however_late_and_rarely(late: int, duty: float, within: int) -> None:
    """The median over careers of blocks from the first cheat to `review`, p = 0.002 where the machine is on."""
    rng = np.random.default_rng(2)
    taken = []
    for _ in range(30):
        wealth = a.Wealth()
        for p in rng.random(late):
            wealth.bet(float(max(p, 0.001)))
        count = 0
        while wealth.log < a.REVIEW and count < 1_000:
            wealth.bet(0.002 if rng.random() < duty else float(max(rng.random(), 0.001)))
            count += 1
        taken.append(count)
    assert np.median(taken) <= within


@given(mean=st.one_of(st.floats(-50, 50), st.sampled_from([math.nan, math.inf, -math.inf])), count=st.integers(-1, 100))
@settings(max_examples=200)
def test_p_values_never_say_too_much(mean: float, count: int) -> None:
    p = a.p_value(table(), 0, count, mean)
    assert aim.TAILS[-1] <= p <= 1.0
    if math.isfinite(mean) and count > 0:
        assert p >= min(1.0, math.exp(-mean)) - 1e-6 or p == aim.TAILS[-1]
    else:
        assert p == 1.0


def test_cohorts_and_levels() -> None:
    links = ((0.0, 0.0), (150.0, 25.0), (150.1, 3.0), (20.0, 25.1), (math.nan, 0.0), (20.0, math.nan), (-1.0, 0.0))
    assert [a.cohort(*link) for link in links] == [0, 0, 1, 2, 2, 2, 2]
    levels = []
    for ordinary, strict in ((0.0, 0.0), (10.1, 10.1), (100.1, 1.0), (1e5, 100.0), (1e5, 10_001.0), (1.0, 1e5)):
        parts = np.array([[ordinary], [strict]]) * np.ones(len(a.KAPPAS))
        levels.append(a.LEVELS[a.Wealth(parts).level])
    assert levels == ["", "observe", "review", "review", "ban", ""]


def test_an_unsteady_link_recommends_nobody() -> None:
    wealth = a.Wealth()
    for _ in range(60):
        wealth.bet(0.002, a.UNSTEADY)
    assert a.LEVELS[wealth.level] == "review"
    assert wealth.strict_log == -math.inf


def test_the_strict_account_is_never_richer() -> None:
    wealth, rng = a.Wealth(), np.random.default_rng(4)
    for p in rng.random(500) ** 3:
        wealth.bet(float(max(p, aim.TAILS[-1])))
        assert wealth.strict_log <= wealth.log
