"""Cells and tables. Whatever a player or a region wrote is shown as text, never as markup, and cannot move the operator's cursor.

A table that a terminal is too narrow for is shown row by row, a line for each cell, as `psql` does with `\\x auto`: an id that is
folded over six lines cannot be copied.
"""

import datetime
from collections.abc import Iterator
from typing import Final

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

CELL_CHARS_MAX: Final = 400
WIDTH_MAX: Final = 4096  # of a table that could be as wide as it likes
_JOINER: Final = "\u200d"  # holds emoji together, and does nothing else


def clean(value: object) -> str:
    """One line without control characters or direction marks, and not endless."""
    text = str(value)
    if len(text) > CELL_CHARS_MAX:
        text = text[: CELL_CHARS_MAX - 1] + "…"
    return "".join(c if c.isprintable() or c == _JOINER else "\ufffd" for c in text)


def cell(value: object) -> Text:
    return Text(clean(value))


class Rows(Table):
    """A table, or where not even its longest words fit, its rows one below the other."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        needs = self.__rich_measure__(console, options.update(max_width=WIDTH_MAX)).minimum
        return super().__rich_console__(console, options) if needs <= options.max_width else self._expanded()

    def _expanded(self) -> Iterator[RenderableType]:
        yield Text(f"{self.title}: {self.row_count}", style="bold")
        names = [Text(str(column.header), style="bold") for column in self.columns]
        for number, cells in enumerate(zip(*(column.cells for column in self.columns), strict=True), 1):
            yield Rule(f"{number}", align="left", style="dim")
            grid = Table.grid(padding=(0, 2, 0, 0))
            grid.add_column(no_wrap=True)
            grid.add_column(overflow="fold")
            for name, value in zip(names, cells, strict=True):
                if str(value):
                    grid.add_row(name, value)
            yield grid


def table(title: str, *columns: str) -> Table:
    """`name>r` is a column of numbers."""
    made = Rows(title=title, title_justify="left", header_style="bold")
    for column in columns:
        name, _, side = column.partition(">")
        made.add_column(name, justify="right" if side == "r" else "left", overflow="fold")
    return made


def row(into: Table, *values: object) -> None:
    into.add_row(*(cell(value) for value in values))


def when(at_ms: object) -> str:
    """UTC, to the second."""
    if not isinstance(at_ms, int) or not 0 <= at_ms < 4_102_444_800_000:  # to the year 2100
        return "-"
    return datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")


def seconds(ms: object) -> str:
    return f"{ms / 1000:.1f} s" if isinstance(ms, int | float) else "-"
