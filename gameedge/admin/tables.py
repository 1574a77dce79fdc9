"""Cells and tables. Whatever a player or a region wrote is shown as text, never as markup, and cannot move the operator's cursor."""

import datetime
from typing import Final

from rich.table import Table
from rich.text import Text

CELL_CHARS_MAX: Final = 400
_JOINER: Final = "\u200d"  # holds emoji together, and does nothing else


def clean(value: object) -> str:
    """One line without control characters or direction marks, and not endless."""
    text = str(value)
    if len(text) > CELL_CHARS_MAX:
        text = text[: CELL_CHARS_MAX - 1] + "…"
    return "".join(c if c.isprintable() or c == _JOINER else "\ufffd" for c in text)


def cell(value: object) -> Text:
    return Text(clean(value))


def table(title: str, *columns: str) -> Table:
    """`name>r` is a column of numbers."""
    made = Table(title=title, title_justify="left", header_style="bold")
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
