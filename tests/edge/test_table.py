"""Rows of connections: taken, seated, freed, and whose snapshot is due when."""

from hypothesis import given
from hypothesis import strategies as st

from gameedge.edge.table import NOBODY, ConnectionTable

from .parts import FakeConnection


def test_full_gives_no_row_and_a_freed_row_is_clean() -> None:
    table = ConnectionTable(2, 8, 3)
    first, second = table.take(FakeConnection()), table.take(FakeConnection())  # type: ignore[arg-type]
    assert (first, second, table.take(FakeConnection())) == (0, 1, None)  # type: ignore[arg-type]
    table.seat(0, 5)
    table.rtt_ms[0], table.skip[0] = 20.0, True
    table.free(0)
    table.free(0)  # again: harmless
    assert table.slot_of_entity[5] == NOBODY
    assert (len(table), table.seated) == (1, 0)
    assert table.take(FakeConnection()) == 0  # type: ignore[arg-type]
    assert table.entity[0] == NOBODY
    assert not table.skip[0]
    assert table.rtt_ms[0] != table.rtt_ms[0], "not a number: nothing is known yet"


def test_a_seat_that_another_row_took_over_is_not_taken_from_it() -> None:
    table = ConnectionTable(4, 8, 3)
    old, new = table.take(FakeConnection()), table.take(FakeConnection())  # type: ignore[arg-type]
    assert old is not None
    assert new is not None
    table.seat(old, 3)
    table.seat(new, 3)  # the player resumed with another connection
    table.free(old)
    assert table.slot_of_entity[3] == new


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=30))
def test_each_seated_row_is_due_once_in_every_round(script: list[tuple[int, bool]]) -> None:
    table = ConnectionTable(10, 40, 3)
    for _ in range(10):
        table.take(FakeConnection())  # type: ignore[arg-type]
    seated = set()
    for slot, sits in script:
        if sits:
            table.seat(slot, 2 * slot)
            seated.add(slot)
        else:
            table.unseat(slot)
            seated.discard(slot)
    due = [table.viewers(tick) for tick in range(3)]
    assert sorted(slot for slots, _ in due for slot in slots.tolist()) == sorted(seated)
    assert all((entities == 2 * slots).all() for slots, entities in due)
    sizes = [len(slots) for slots, _ in due]
    assert max(sizes) - min(sizes) <= 1, "the load is spread over the ticks"
