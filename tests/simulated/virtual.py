"""An event loop whose clock is simulated: it jumps to the next timer, so that minutes of a region pass in a second.

Nothing inside may do real I/O: stores, bus and wires are the twins in memory. With a seed for everything random the same run
happens again, whatever the machine does.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
EPOCH_MS = 1_800_000_000_000


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """`select` returns at once: where the loop would have slept, its clock is moved instead."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        events = super().select(0)
        if not events:
            if timeout is None:
                raise RuntimeError("deadlock: nothing is scheduled and nobody can wake up")
            self.loop.now += max(0.0, timeout)
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop on a clock that jumps."""

    def __init__(self) -> None:
        self.now = 0.0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self.now


class VirtualClock:
    """`gameedge.edge.clock.Clock` on a virtual loop; `skew_ms` is how wrong this process's Unix time is."""

    def __init__(self, loop: VirtualLoop, skew_ms: int = 0) -> None:
        self._loop, self._skew_ms = loop, skew_ms

    def monotonic_ms(self) -> float:
        return self._loop.now * 1000.0

    def unix_ms(self) -> int:
        return EPOCH_MS + int(self._loop.now * 1000.0) + self._skew_ms


def run_virtual(make: "type[Coroutine[Any, Any, T]] | Any") -> T:
    """Run `make(loop)` to its end on a fresh virtual loop."""
    loop = VirtualLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        result: T = runner.run(make(loop))
        return result
