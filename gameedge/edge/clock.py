"""The two times of a process: a monotonic one for intervals, Unix time for records. Tests pass a virtual clock."""

import time
from typing import Protocol


class Clock(Protocol):
    def monotonic_ms(self) -> float:
        """Never steps back; for intervals, lateness and the gate."""
        ...

    def unix_ms(self) -> int:
        """For records and tokens."""
        ...


class SystemClock:
    """The machine's clocks."""

    def monotonic_ms(self) -> float:
        return time.monotonic_ns() / 1e6

    def unix_ms(self) -> int:
        return time.time_ns() // 1_000_000
