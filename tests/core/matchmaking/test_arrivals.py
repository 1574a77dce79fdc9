"""Tickets from an operator's log: whatever a line says, it is taken or named, and nothing is raised."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gameedge.core.matchmaking import rules
from gameedge.core.matchmaking.arrivals import KEYS, read
from gameedge.core.matchmaking.pool import PoolArrays

RULES = rules.load('[modes.duel]\nteams = 2\nteam_size = 1\nskill = { window = 4.0 }\nequal = [{ attribute = "x" }]')
HUGE = 10**400  # a whole number beyond every float


def taken(fields: dict[str, object]) -> tuple[int, list[str]]:
    """How many tickets a line becomes that a pool takes, and what is wrong with it."""
    found = read([json.dumps({"id": "a", "at_ms": 0, "mode": "duel"} | fields)], RULES)
    pool = PoolArrays(RULES["duel"])
    for ticket in found.tickets:
        assert pool.add(ticket)
    return len(pool), found.errors


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"mode": ["duel"]}, "line 1: mode ['duel']: the rules have duel"),
        ({"mode": {}}, "line 1: mode {}: the rules have duel"),
        ({"trust": 10**30}, "line 1: trust: a whole number from 0 to 255"),
        ({"trust": -1}, "line 1: trust: a whole number from 0 to 255"),
        ({"trust": [1]}, "line 1: trust: a whole number from 0 to 255"),
        ({"attributes": {"x": HUGE}}, "line 1: Number out of range"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(fields: dict[str, object], says: str) -> None:
    count, errors = taken(fields)
    assert count == 0
    assert errors
    assert errors[0].startswith(says)


@pytest.mark.parametrize("fields", [{"sigma": HUGE}, {"rating": HUGE}, {"sigma": None, "rating": None, "trust": None}, {"trust": 255}])
def test_a_line_that_says_too_much_of_a_number_is_a_newcomers(fields: dict[str, object]) -> None:
    assert taken(fields) == (1, [])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(HUGE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(sorted(KEYS)), values, max_size=5))
def test_no_line_raises(fields: dict[str, object]) -> None:
    count, errors = taken(fields)
    assert bool(count) != bool(errors)
