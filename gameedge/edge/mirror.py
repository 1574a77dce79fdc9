"""A pool as the holder of its lease knows it: the arrays that proposals are made from, brought up to date by the store's changes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from gameedge.core.ids import TicketId
from gameedge.core.matchmaking.pool import PoolArrays
from gameedge.core.matchmaking.rules import ModeRules
from gameedge.edge.shadow import Shadow
from gameedge.state.base import MatchRecord, RegionStore, Ticket

AT_ONCE: Final = 128  # tickets put in between two turns of the event loop


class Mirror:
    """The tickets of one mode. `read` brings it up to date; between two reads it may lag, and then a claim finds tickets missing."""

    def __init__(self, mode: str, rules: ModeRules, shadow: Shadow | None = None) -> None:
        self.mode, self.rules = mode, rules
        self.pool = PoolArrays(rules)
        self.at = ""  # where the next read goes on
        self.wholes = 0  # how often the whole pool had to be read
        self.shadow = shadow  # sees the same tickets come and go
        self.left: list[Ticket] = []  # members of parties who went without a match; whoever takes them empties it
        self.granted: set[TicketId] = set()  # to other regions: who goes for this has not left its party
        self._doubtful: dict[TicketId, Ticket] = {}  # a claim did not find them; the next read says what became of them

    def __len__(self) -> int:
        return len(self.pool)

    def forget(self) -> None:
        """Somebody else leads now: nothing is kept for a later time."""
        if len(self.pool):
            self.pool = PoolArrays(self.rules)
        self.at = ""
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.left.clear()
        self.granted.clear()
        self._doubtful.clear()
        if self.shadow is not None:
            self.shadow.forget()

    async def read(self, store: RegionStore, keep: Callable[[], Awaitable[bool]] | None = None) -> bool:
        """Apply what changed. Whether there is anything to propose anew: tickets that only went are none.

        `keep` is asked now and then and renews the lease; False: somebody else leads. Raises UnavailableError."""
        news, more = False, True
        while more:
            read = await store.pool_read(self.mode, self.at)
            if read.whole:
                self.wholes += 1
                self.pool = PoolArrays(self.rules)
                self._begin_anew()
            for number, ticket in enumerate(read.tickets, 1):
                self._put(ticket)
                if number % AT_ONCE == 0:
                    await asyncio.sleep(0)  # a whole pool takes seconds: ticks and beats go on meanwhile
                    if keep is not None and not await keep():
                        return False
            for gone in read.gone:
                self._gone(gone)
            news = news or read.whole or bool(read.tickets)
            self.at, more = read.at, read.more
        return news

    def _gone(self, name: TicketId) -> None:
        ticket = self.pool.remove(name) or self._doubtful.pop(name, None)
        if ticket is None:
            return
        if self.shadow is not None:
            self.shadow.gone(ticket)
        if name in self.granted:
            self.granted.discard(name)
        elif ticket.party is not None and ticket.party_size > 1:
            self.left.append(ticket)

    def _put(self, ticket: Ticket) -> None:
        self._doubtful.pop(ticket.id, None)
        if self.shadow is not None:
            self.shadow.put(ticket)
        if not self.pool.add(ticket) and self.pool.ticket(ticket.id) != ticket:  # its player resumed elsewhere
            self.pool.remove(ticket.id)
            self.pool.add(ticket)

    def claimed(self, record: MatchRecord) -> None:
        """Its tickets are taken: known before the store says so."""
        self.taken(record.tickets)

    def taken(self, tickets: Iterable[Ticket]) -> None:
        """They have a match."""
        for ticket in tickets:
            self.pool.remove(ticket.id)
            if self.shadow is not None:
                self.shadow.gone(ticket)

    def missing(self, tickets: Iterable[TicketId]) -> None:
        """A claim did not find them as they are here: gone, or moved; the next read says which."""
        for name in tickets:
            if (ticket := self.pool.remove(name)) is not None:
                self._doubtful[name] = ticket
