"""The sliding histogram against exact quantiles, with time passing."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gameedge.telemetry.quantiles import Window


@given(st.lists(st.floats(0.002, 1e6), min_size=1, max_size=300), st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_within_a_bucket_of_the_exact_quantile(values: list[float], share: float) -> None:
    one, many = Window(), Window()
    for value in values:
        one.add(value, 0.0)
    many.add_many(np.array(values), 0.0)
    exact = sorted(values)[max(1, math.ceil(share * len(values))) - 1]
    assert one.quantile(share, 0.0) == pytest.approx(exact, rel=0.046)
    assert many.quantile(share, 0.0) == pytest.approx(exact, rel=0.046)
    assert one.count(0.0) == len(values)


def test_old_values_leave_and_new_ones_stay() -> None:
    window = Window(window_ms=10_000, slices=10)
    for second in range(60):
        window.add(100.0 if second < 30 else 1.0, second * 1000.0)
    assert window.quantile(0.99, 59_000.0) == pytest.approx(1.0, rel=0.05)
    assert 10 <= window.count(59_000.0) <= 11
    assert window.count(64_500.0) == 6
    assert window.count(75_000.0) == 0
    assert window.quantile(0.5, 75_000.0) == 0.0


def test_a_long_silence_forgets_everything() -> None:
    window = Window(window_ms=1_000, slices=4)
    window.add(5.0, 0.0)
    assert window.count(999.0) == 1
    assert window.count(1e9) == 0
    window.add(7.0, 1e9)
    assert window.count(1e9) == 1


def test_counts_by_bounds_are_of_the_window_and_sum_to_it() -> None:
    window = Window(1_000)
    for value in (0.2, 0.9, 3.0, 3.0, 1_000.0, 0.0):
        window.add(value, 0.0)
    assert window.counts((0.5, 1.0, 5.0), 0.0) == [2, 1, 2, 1]
    assert window.counts((10.0,), 0.0) == [5, 1]
    assert window.counts((10.0,), 5_000.0) == [0, 0]


def test_odd_values_do_no_harm() -> None:
    window = Window()
    for value in (math.nan, math.inf, -1.0, 0.0, 1e300):
        window.add(value, 0.0)
    window.add_many(np.array([np.nan, np.inf, -1.0, 0.0, 1e30]), 0.0)
    assert window.count(0.0) == 6  # not NaN and not infinity
    assert window.quantile(0.1, 0.0) == 0.0
    assert window.quantile(1.0, 0.0) > 1e7
