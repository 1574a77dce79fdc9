"""Tickets on their way into the store, many to a call.

Problem: one call a ticket brings in 2,000 a second where the store is durable, since each waits for its own answer. Method: while
one call of a mode is on its way, whatever arrives is gathered and goes with the next; a lone ticket waits for nobody. There is no
task: whoever asked first makes the call for all, and then hands on to the first who waits. Guarantee: each asker hears what became
of its own ticket, in the order of asking. Bound: WAITING_MAX a mode; refuse.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.state.base import RegionStore, Ticket
from gameedge.state.checks import refusal_of_add

WAITING_MAX: Final = 16_384  # tickets of one mode that wait for a call; refuse
CALL_MAX: Final = 4 * limits.TICKETS_AT_ONCE


@dataclass(slots=True, eq=False)
class _Asked:
    ticket: Ticket
    said: "asyncio.Future[Reason | None]"
    turn: "asyncio.Future[None]"  # this one makes the next call; or it is answered


class Ingest:
    """Owned by one event loop."""

    def __init__(self, store: RegionStore, pool_max: int = limits.POOL_TICKETS_MAX) -> None:
        self._store, self._pool_max = store, pool_max
        self._waiting: dict[str, list[_Asked]] = {}
        self._busy: set[str] = set()

    async def add(self, ticket: Ticket) -> None:
        """Until the store has it. Raises RefusedError: POOL_FULL, ALREADY_QUEUED, UNAVAILABLE."""
        mode, loop = ticket.mode, asyncio.get_running_loop()
        waiting = self._waiting.setdefault(mode, [])
        if len(waiting) >= WAITING_MAX:
            raise RefusedError(Reason.UNAVAILABLE, "too many ask at once; try again", retry_after_ms=1_000)
        mine = _Asked(ticket, loop.create_future(), loop.create_future())
        waiting.append(mine)
        if mode in self._busy:
            await mine.turn
        if not mine.said.done():
            await self._call(mode)
        if (said := mine.said.result()) is not None:
            raise refusal_of_add(said, mode, self._pool_max)

    async def _call(self, mode: str) -> None:
        """For all who wait, as many as one call takes; the caller is the first of them."""
        self._busy.add(mode)
        waiting = [asked for asked in self._waiting[mode] if not asked.turn.cancelled()]
        some, self._waiting[mode] = waiting[:CALL_MAX], waiting[CALL_MAX:]
        try:
            answers = await self._store.tickets_add(mode, [asked.ticket for asked in some], self._pool_max)
            for asked, said in zip(some, answers, strict=True):
                asked.said.set_result(said)
        except BaseException as error:
            refusal = error if isinstance(error, RefusedError) else RefusedError(Reason.UNAVAILABLE, "the call was broken off; try again")
            for asked in some:
                asked.said.set_exception(refusal)
                asked.said.exception()  # heard: whoever asked may be gone
            if not isinstance(error, RefusedError):
                raise
        finally:
            for asked in some:
                if not asked.turn.done():
                    asked.turn.set_result(None)
            self._hand_on(mode)

    def _hand_on(self, mode: str) -> None:
        """To the first who still waits; who went away meanwhile has no ticket."""
        if (heir := next((asked for asked in self._waiting[mode] if not asked.turn.done()), None)) is not None:
            heir.turn.set_result(None)
        else:
            self._busy.discard(mode)
            del self._waiting[mode]
