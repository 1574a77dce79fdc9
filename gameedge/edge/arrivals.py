"""Sessions that come from another process of the region, many to a call, in turns with everything else that the process does.

Problem. When a process dies its players come within a few tenths of a second, a thousand to each process that is left. One call to the
    store for each, and all of them between two ticks, makes everybody late: who comes, who plays here, and the matches that must be
    taken over before anybody can play on.
Method. Who says hello waits in line. Records are read SESSIONS_AT_ONCE to a call, and sessions are opened for BUDGET_MS at a time; then
    ticks and sockets have their turn. While matches are being taken over nobody is opened: nobody could play yet.
Bound. limits.RESUMES_WAITING_MAX in line; refuse.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from gameedge.core import limits
from gameedge.core.errors import RefusedError
from gameedge.core.protocol.messages import Hello
from gameedge.edge.clock import Clock
from gameedge.edge.player import Link
from gameedge.state.base import RegionStore, SessionRecord

BUDGET_MS: Final = 4.0  # a quarter of a tick
HELD_S: Final = 0.005  # between two looks whether matches are all taken over


class Arrival(NamedTuple):
    link: Link
    hello: Hello
    resume_hash: str


class Arrivals:
    """`come` hears of each with its record (None: the store has none), `turned_away` of those that the store could not be asked for."""

    def __init__(
        self,
        store: RegionStore,
        clock: Clock,
        come: Callable[[Arrival, SessionRecord | None], None],
        turned_away: Callable[[Arrival], None],
    ) -> None:
        self._store, self._clock, self._come, self._turned_away = store, clock, come, turned_away
        self._waiting: deque[Arrival] = deque()
        self._some = asyncio.Event()
        self.held = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, arrival: Arrival) -> bool:
        """Stand in line. False: it is full."""
        if len(self._waiting) >= limits.RESUMES_WAITING_MAX:
            return False
        self._waiting.append(arrival)
        self._some.set()
        return True

    async def run(self) -> None:
        """For the life of the process."""
        while True:
            await self._some.wait()
            self._some.clear()
            while self._waiting:
                while self.held:
                    await asyncio.sleep(HELD_S)
                await self.let_in([self._waiting.popleft() for _ in range(min(len(self._waiting), limits.SESSIONS_AT_ONCE))])

    async def let_in(self, some: list[Arrival]) -> None:
        try:
            records = await self._store.sessions_get([arrival.resume_hash for arrival in some])
        except RefusedError:
            for arrival in some:
                self._turned_away(arrival)
            return
        began_ms = self._clock.monotonic_ms()
        for arrival, record in zip(some, records, strict=True):
            self._come(arrival, record)
            if self._clock.monotonic_ms() - began_ms > BUDGET_MS:
                await asyncio.sleep(0)
                began_ms = self._clock.monotonic_ms()
