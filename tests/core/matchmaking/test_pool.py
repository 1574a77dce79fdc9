"""The pool as arrays: what tickets of another hand, or of another version, may say without harm."""

import pytest

from gameedge.core import limits
from gameedge.core.game import ModeSpec
from gameedge.core.matchmaking.pool import PoolArrays
from gameedge.core.matchmaking.rules import ModeRules, Overlap, default
from tests.core.matchmaking.test_propose import NOW, party, ticket

RULES = default(ModeSpec("squads", teams=2, team_size=5, duration_ms=1_000))


def test_a_party_is_found_however_many_use_its_name() -> None:
    """Whoever learns a party's name could else keep it from every match by queueing under it again and again."""
    pool = PoolArrays(RULES)
    for member in party("x", 0, 2, wait_ms=5_000):
        pool.add(member)
    for other in range(100):
        pool.add(ticket(10 + other, party="x", party_size=2))
    row = pool.row_of[ticket(0).id]
    assert pool.row_of == {ticket(0).id: row, ticket(1).id: row}
    assert pool.ready[row]
    pool.remove(ticket(0).id)  # the next one in the order of age is of the party now
    assert set(pool.row_of) == {ticket(1).id, ticket(10).id}
    pool.add(ticket(200, wait_ms=9_000, party="x", party_size=2))  # older than all of them: its answer from the store was late
    assert set(pool.row_of) == {ticket(200).id, ticket(1).id}
    for name in [each.id for each in list(pool.tickets())]:
        pool.remove(name)
    assert not len(pool)
    assert not pool.used.any()


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, -(2**63)])
def test_numbers_that_fit_no_array_break_nothing(number: int) -> None:
    """The store takes any integer of 64 bits; another version may have written it."""
    pool = PoolArrays(RULES)
    assert pool.add(ticket(1, trust=number))
    assert pool.add(ticket(2, created_ms=number))
    assert pool.ready.sum() == 2


def test_the_oldest_is_who_ends_first() -> None:
    pool = PoolArrays(RULES)
    assert pool.oldest_ms() is None
    early, late = party("x", 0, 2)
    pool.add(ticket(9, wait_ms=-50))
    for member in (ticket(0, party="x", party_size=2, created_ms=NOW - 9_000), late):
        pool.add(member)
    assert pool.oldest_ms() == NOW, "a party is as old as its last member"
    assert pool.older_than(NOW - 1) == []
    assert {each.id for each in pool.older_than(NOW)} == {early.id, late.id}
    pool.remove(late.id)
    assert pool.oldest_ms() == NOW - 9_000, "an incomplete one waits each for itself"
    assert [each.id for each in pool.older_than(NOW - 9_000)] == [early.id]


def test_who_found_no_room_for_words_is_looked_at_again_when_somebody_leaves() -> None:
    rules = ModeRules(teams=2, team_size=1, overlap=[Overlap(attribute="maps")])
    pool = PoolArrays(rules)
    many = [ticket(number, attributes={"maps": [f"map-{number}"]}) for number in range(limits.SET_VALUES_MAX)]
    late = [ticket(900 + number, attributes={"maps": [f"late-{number}"]}) for number in range(2)]
    for each in [*many, *late]:
        pool.add(each)
    assert [bool(pool.ready[pool.row_of[each.id]]) for each in late] == [False, False]
    assert "more than 64 different 'maps'" in pool.units[pool.row_of[late[0].id]].stuck  # type: ignore[union-attr]
    assert pool.problem(ticket(990, attributes={"maps": ["other"]})) != ""
    pool.remove(many[5].id)
    assert sorted(bool(pool.ready[pool.row_of[each.id]]) for each in late) == [False, True]
    pool.remove(many[6].id)
    assert all(pool.ready[pool.row_of[each.id]] for each in late)
    for each in [*pool.tickets()]:
        pool.remove(each.id)
    assert (len(pool), pool._words[0].bits, pool._short) == (0, {}, {})
