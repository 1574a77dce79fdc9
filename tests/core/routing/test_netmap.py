"""The learned map: it finds the median, follows a route that changed, shrugs at liars and keeps nobody's measurements."""

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from gameedge.core.ids import RegionId
from gameedge.core.routing.netmap import CELLS_MAX, LEAST, RTT_MS_MAX, NetworkMap, Spot, cell_of

A = RegionId("a")
HERE = Spot((3, 4))


def learned(values: list[float]) -> NetworkMap:
    made = NetworkMap()
    for value in values:
        made.learn(HERE, {A: value})
    return made


def test_it_is_believed_after_a_few_and_near_their_median() -> None:
    rng = random.Random(1)
    values = [40 + rng.expovariate(1 / 5) for _ in range(200)]
    assert learned(values[: LEAST - 1]).prior(HERE) == {}
    assert 40 <= learned(values).prior(HERE)[A] <= 50


def test_a_few_liars_move_little_and_a_new_route_much() -> None:
    rng = random.Random(2)
    honest = [40 + rng.expovariate(1 / 5) for _ in range(100)]
    mixed = honest + [1.0 if rng.random() < 0.1 else 40 + rng.expovariate(1 / 5) for _ in range(200)]
    assert 33 <= learned(mixed).prior(HERE)[A] <= 50
    assert learned([*honest, *[120.0] * 15]).prior(HERE)[A] > 100


def test_it_is_bounded() -> None:
    made = NetworkMap()
    for number in range(CELLS_MAX + 100):
        made.learn(Spot((number, 0)), {A: 10.0})
    assert len(made) == CELLS_MAX
    made.forget(set())
    assert made.prior(Spot((CELLS_MAX + 50, 0))) == {}


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60))
def test_nothing_that_is_sent_spoils_it(values: list[float]) -> None:
    assert all(0.0 < ms <= RTT_MS_MAX for ms in learned(values).prior(HERE).values())


def test_cells() -> None:
    assert cell_of(51.5, -0.1) == (25, -1)
    assert cell_of(None, 1.0) is None
    assert cell_of(math.nan, 1.0) is None
