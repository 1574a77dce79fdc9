"""Tables on screens of any width."""

import io

import pytest
from rich.console import Console

from gameedge.admin import tables, views

FLAG, PLAYER = "f_39j2sxnh8ytayv6c74jek5epb3", "p_0s9jwg07yckgvy7mtm9aqs6c8w"
ENTRY = {
    "at_ms": 1_795_000_000_000,
    "state": "open",
    "player": PLAYER,
    "rule": "aim",
    "score": 6.8,
    "reasons": ["the cursor's steps from tick to tick were not those of a hand", "[red]no markup"],
    "model": "aim-e5e68fd4a9e6",
    "flag": FLAG,
}


def shown(width: int, answer: list[dict[str, object]]) -> list[str]:
    console = Console(width=width, record=True, file=io.StringIO())
    views.review(console, answer)
    return console.export_text().splitlines()


@pytest.mark.parametrize("width", [60, 80, 120, 160, 400])
def test_ids_are_whole_on_one_line_whatever_the_width(width: int) -> None:
    lines = shown(width, [ENTRY, ENTRY])
    for known in (FLAG, PLAYER, "aim-e5e68fd4a9e6"):
        assert sum(known in line for line in lines) == 2
    assert any("[red]no" in line for line in lines)
    assert max(map(len, lines)) <= width


def test_rows_go_below_each_other_only_where_a_table_does_not_fit() -> None:
    assert any(line.startswith("flag ") for line in shown(80, [ENTRY]))
    assert not any(line.startswith("flag ") for line in shown(160, [ENTRY]))
    assert not any(line.startswith("flag ") for line in shown(80, []))


def test_empty_cells_are_left_out_of_rows() -> None:
    console = Console(width=30, record=True)
    made = tables.table("words", "one", "two")
    tables.row(made, "x" * 29, "")
    console.print(made)
    assert "two" not in console.export_text()
