"""Where a result stands in the outbox: `<ms>-<sequence>@<mode>`, a stream position and the mode whose stream it is.

Positions come back from the bus in acknowledgements, so that parsing them never raises.
"""

import re
from typing import Final, NamedTuple

_FORM: Final = re.compile(r"([0-9]{1,18})-([0-9]{1,18})@([a-z0-9-]{1,32})")


class Position(NamedTuple):
    """Ordered by time first; of two modes the order is only that of their servers' clocks."""

    ms: int
    sequence: int
    mode: str

    def __str__(self) -> str:
        return f"{self.ms}-{self.sequence}@{self.mode}"


def parse(text: str) -> Position | None:
    """None for what is not a position ("" among them)."""
    if (found := _FORM.fullmatch(text)) is None:
        return None
    return Position(int(found[1]), int(found[2]), found[3])
