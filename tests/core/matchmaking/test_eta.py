"""How much longer a wait will be."""

import math

from gameedge.core.matchmaking.eta import eta_ms


def test_nobody_was_matched_lately() -> None:
    assert eta_ms([], 0) is None
    assert eta_ms([math.nan, math.inf, -5], 0) is None


def test_a_newcomer_hears_the_median() -> None:
    assert eta_ms([100, 200, 900], 0) == 200


def test_who_waited_hears_what_was_left_to_others_like_them() -> None:
    assert eta_ms([100, 500, 700, 900], 400) == 300


def test_who_waited_longer_than_anybody_starts_over() -> None:
    assert eta_ms([100, 200, 300], 5_000) == 200
