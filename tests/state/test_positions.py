"""Positions in the outbox come back from the bus: parsing never raises."""

from hypothesis import given
from hypothesis import strategies as st

from gameedge.state import positions

parts = st.integers(0, 10**18 - 1)


@given(parts, parts, st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True))
def test_round_trip(ms: int, sequence: int, mode: str) -> None:
    position = positions.Position(ms, sequence, mode)
    assert positions.parse(str(position)) == position


@given(st.text())
def test_anything_else_is_none(text: str) -> None:
    found = positions.parse(text)
    assert found is None or positions.parse(str(found)) == found
