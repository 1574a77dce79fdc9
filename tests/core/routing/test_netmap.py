"""The learned map: it finds the median, follows a route that changed, shrugs at liars and keeps nobody's measurements."""

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from gameedge.core.ids import RegionId
from gameedge.core.routing.netmap import (
    CELLS_MAX,
    FLOOR_SHARE,
    LEAST,
    NOWHERE,
    RTT_MS_MAX,
    SEEN_LIFE_MS,
    NetworkMap,
    Spot,
    cell_of,
    network_of,
    parse_spot,
)

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


NETWORK = Spot((3, 4), "198.51.100.0/24")


def test_a_network_knows_better_than_its_city() -> None:
    made = NetworkMap()
    for _ in range(LEAST):
        made.learn(HERE, {A: 20.0})
        made.learn(NETWORK, {A: 60.0})
    assert made.prior(NETWORK)[A] == 60.0
    assert made.prior(Spot((3, 4), "203.0.113.0/24"))[A] == made.prior(HERE)[A] < 60.0
    assert made.prior(Spot(None, "198.51.100.0/24")) == {}


def test_sockets_are_believed_before_claims_and_for_half_an_hour() -> None:
    made = NetworkMap()
    for _ in range(20):
        made.learn(NETWORK, {A: 5.0})  # all of them lie
    made.observe(NETWORK, A, 80.0, 70.0, 1_000_000)
    assert made.prior(NETWORK, 1_000_000)[A] == 80.0
    assert made.floors(NETWORK, 1_000_000) == {A: FLOOR_SHARE * 70.0}
    assert made.floors(HERE, 1_000_000) == {}, "a city has all kinds of access: nobody is held against it"
    later = 1_000_000 + SEEN_LIFE_MS + 1
    assert made.prior(NETWORK, later)[A] == 5.0
    assert made.floors(NETWORK, later) == {}
    assert made.floors(NETWORK, -(10**9)) == {}, "a clock that jumped far back: nothing is known"


@given(st.floats(allow_nan=True, allow_infinity=True), st.floats(allow_nan=True, allow_infinity=True))
def test_absurd_sockets_are_left_out(median: float, low: float) -> None:
    made = NetworkMap()
    made.observe(NETWORK, A, median, low, 0)
    assert all(0.0 < floor <= RTT_MS_MAX for floor in made.floors(NETWORK, 0).values())


def test_a_shift_is_told_once_and_noise_never() -> None:
    rng = random.Random(3)
    made = NetworkMap()
    calm = [shift for _ in range(400) for shift in made.learn(HERE, {A: 40 + rng.expovariate(1 / 3)})]
    assert calm == []
    after = [shift for _ in range(40) for shift in made.learn(HERE, {A: 160 + rng.expovariate(1 / 3)})]
    (shift,) = after
    assert (shift.spot, shift.region) == (HERE, A)
    assert 35 < shift.before_ms < 50 < shift.after_ms
    back = [shift for _ in range(60) for shift in made.learn(HERE, {A: 40 + rng.expovariate(1 / 3)})]
    assert len(back) == 1


@given(st.text(max_size=64))
def test_spots_from_outside_never_raise(text: str) -> None:
    spot = parse_spot(text)
    assert spot == NOWHERE or parse_spot(spot.text()) == spot


def test_networks() -> None:
    assert network_of("198.51.100.77") == ""  # set aside for documentation
    assert network_of("8.8.4.4") == "8.8.4.0/24"
    assert network_of("::ffff:8.8.4.4") == "8.8.4.0/24"
    assert network_of("2606:4700:4700::1111") == "2606:4700:4700::/48"
    for private in ("127.0.0.1", "10.1.2.3", "::1", "fe80::1%eth0", "?", "", "8.8.8.8:443"):
        assert network_of(private) == ""
    spot = Spot((25, -1), "2606:4700:4700::/48")
    assert parse_spot(spot.text()) == spot
    assert parse_spot("45,90") == NOWHERE or parse_spot("45,90").cell == (45, 90)
    assert parse_spot("900,0") == NOWHERE
