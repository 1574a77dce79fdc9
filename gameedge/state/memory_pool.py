"""Pools of tickets in memory: ingest, the change feed, and claims, as `redis_pool.py` has them."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError, UnavailableError
from gameedge.core.ids import EdgeId, MatchId, PlayerId, SessionId, TicketId
from gameedge.state.base import Claimed, InboxEvent, MatchRecord, PoolRead, Result, Ticket
from gameedge.state.checks import check_adds, check_claims, check_guests, check_join, refusal_of_add


@dataclass(slots=True)
class Pool:
    """Everything of one mode."""

    tickets: dict[TicketId, Ticket] = field(default_factory=dict)
    players: dict[PlayerId, TicketId] = field(default_factory=dict)
    moved: dict[TicketId, tuple[SessionId, EdgeId]] = field(default_factory=dict)
    matches: dict[MatchId, MatchRecord] = field(default_factory=dict)
    seats: dict[TicketId, MatchId] = field(default_factory=dict)
    gone: dict[EdgeId, int] = field(default_factory=dict)  # processes that were missed, and since when
    outbox: list[tuple[int, Result]] = field(default_factory=list)  # ascending
    checkpoints: dict[MatchId, bytes] = field(default_factory=dict)
    version: int = 0
    feed: deque[tuple[int, list[TicketId]]] = field(default_factory=lambda: deque(maxlen=limits.FEED_ENTRIES_MAX))
    bell: asyncio.Event = field(default_factory=asyncio.Event)

    def enqueue(self, ticket: Ticket) -> None:
        self.tickets[ticket.id] = ticket
        self.players[ticket.player] = ticket.id

    def dequeue(self, ticket: TicketId) -> None:
        record = self.tickets.pop(ticket)
        self.moved.pop(ticket, None)
        if self.players.get(record.player) == ticket:
            del self.players[record.player]

    def changed(self, tickets: list[TicketId]) -> None:
        if tickets:
            self.version += 1
            self.feed.append((self.version, tickets))
            self.bell.set()


class MemoryPools(ABC):
    """Tickets and claims. See `base.RegionStore`."""

    def __init__(self, outbox_max: int) -> None:
        self.available = True
        self._outbox_max = outbox_max
        self._pools: dict[str, Pool] = {}
        self._modes: set[str] = set()  # that ever had a ticket or a match, not those that were only asked about
        self._fences: dict[str, int] = {}

    @abstractmethod
    def _post(self, edge: EdgeId, events: Sequence[InboxEvent]) -> None: ...

    def _check(self) -> None:
        if not self.available:
            raise UnavailableError("the memory store was made unavailable")

    def _pool(self, mode: str) -> Pool:
        self._check()
        pool = self._pools.get(mode)
        if pool is None:
            pool = self._pools[mode] = Pool()
        return pool

    def _of(self, mode: str) -> Pool:
        """To write to."""
        pool = self._pool(mode)
        self._modes.add(mode)
        return pool

    # -- ingest

    async def tickets_add(self, mode: str, tickets: Sequence[Ticket], pool_max: int) -> list[Reason | None]:
        check_adds(mode, tickets)
        pool, said, added = self._of(mode), list[Reason | None](), list[TicketId]()
        for ticket in tickets:
            if ticket.id in pool.tickets or pool.seats.get(ticket.id) in pool.matches:
                said.append(None)
            elif ticket.player in pool.players:
                said.append(Reason.ALREADY_QUEUED)
            elif len(pool.tickets) >= pool_max:
                said.append(Reason.POOL_FULL)
            else:
                pool.enqueue(ticket)
                added.append(ticket.id)
                said.append(None)
        pool.changed(added)
        return said

    async def ticket_add(self, ticket: Ticket, pool_max: int) -> None:
        [said] = await self.tickets_add(ticket.mode, [ticket], pool_max)
        if said is not None:
            raise refusal_of_add(said, ticket.mode, pool_max)

    async def ticket_of_player(self, mode: str, player: PlayerId) -> TicketId | None:
        return self._pool(mode).players.get(player)

    async def ticket_cancel(self, mode: str, ticket: TicketId) -> bool:
        pool = self._pool(mode)
        if ticket not in pool.tickets:
            return False
        pool.dequeue(ticket)
        pool.changed([ticket])
        return True

    async def ticket_move(self, mode: str, ticket: TicketId, session: SessionId, edge: EdgeId) -> bool:
        pool = self._pool(mode)
        old = pool.tickets.get(ticket)
        if old is None:
            return False
        pool.tickets[ticket] = msgspec.structs.replace(old, session=session, edge=edge)
        pool.moved[ticket] = (session, edge)
        pool.changed([ticket])
        return True

    # -- reading

    async def tickets(self, mode: str) -> list[Ticket]:
        return sorted(self._pool(mode).tickets.values(), key=lambda ticket: (ticket.created_ms, ticket.id))

    async def pool_read(self, mode: str, after: str) -> PoolRead:
        pool = self._pool(mode)
        last = str(pool.feed[-1][0]) if pool.feed else ""
        if not after.isdigit() or not pool.feed or not pool.feed[0][0] <= int(after) <= pool.version:
            return PoolRead(at=last, whole=True, tickets=list(pool.tickets.values()))
        behind = pool.version - int(after)  # each version is one entry
        changed = dict.fromkeys(ticket for _, tickets in list(pool.feed)[len(pool.feed) - behind :] for ticket in tickets)
        there = [pool.tickets[ticket] for ticket in changed if ticket in pool.tickets]
        return PoolRead(at=last, tickets=there, gone=[ticket for ticket in changed if ticket not in pool.tickets])

    async def pool_wait(self, mode: str, after: str, block_ms: int) -> None:
        pool = self._pool(mode)
        pool.bell.clear()
        if pool.feed and str(pool.feed[-1][0]) != after:
            return
        try:
            await asyncio.wait_for(pool.bell.wait(), max(1, min(block_ms, limits.STORE_BLOCK_MS_MAX)) / 1000)
        except TimeoutError:
            return
        self._check()

    async def pool_version(self, mode: str) -> int:
        return self._pool(mode).version

    async def tickets_there(self, mode: str, tickets: Sequence[TicketId]) -> tuple[int, set[TicketId]]:
        pool = self._pool(mode)
        return len(pool.tickets), {ticket for ticket in tickets if ticket in pool.tickets}

    async def tickets_of_edge_gone(
        self, mode: str, live: Collection[EdgeId], now_ms: int, keep_ms: int = limits.RESUME_MS_MAX
    ) -> list[Ticket]:
        return await self.tickets_gone(mode, await self.tickets(mode), live, now_ms, keep_ms)

    async def tickets_gone(
        self, mode: str, tickets: Iterable[Ticket], live: Collection[EdgeId], now_ms: int, keep_ms: int = limits.RESUME_MS_MAX
    ) -> list[Ticket]:
        pool = self._pool(mode)
        missed = [ticket for ticket in tickets if ticket.edge not in live]
        pool.gone = {edge: pool.gone.get(edge, now_ms) for edge in {ticket.edge for ticket in missed}}
        expired = {edge for edge, since_ms in pool.gone.items() if now_ms - since_ms >= keep_ms}
        removed = []
        for ticket in missed:
            now = pool.tickets.get(ticket.id)
            if ticket.edge in expired and now is not None and (now.session, now.edge) == (ticket.session, ticket.edge):
                pool.dequeue(ticket.id)
                removed.append(ticket)
        pool.changed([ticket.id for ticket in removed])
        return removed

    # -- claims

    async def claim(self, record: MatchRecord, lease_name: str) -> list[TicketId]:
        [said] = await self.claim_many([record], lease_name)
        if isinstance(said, RefusedError):
            raise said
        return said

    async def claim_many(self, records: Sequence[MatchRecord], lease_name: str) -> list[Claimed]:
        check_claims(records, lease_name)
        if not records:
            return []
        pool, taken = self._of(records[0].mode), list[TicketId]()
        said = [self._claim(record, lease_name, taken) for record in records]
        pool.changed(taken)
        return said

    def _claim(self, record: MatchRecord, lease_name: str, taken: list[TicketId]) -> Claimed:
        pool = self._pool(record.mode)
        if record.match in pool.matches:
            return []
        if record.fence != 0 and record.fence != self._fences.get(lease_name, 0):
            return RefusedError(Reason.OUT_OF_ORDER, f"{lease_name}: fence {record.fence} is stale; take the lease again")
        if len(pool.matches) + len(pool.outbox) >= self._outbox_max:
            return RefusedError(Reason.SERVER_FULL, f"{record.mode}: the outbox has no place for another result")
        if missing := [ticket.id for ticket in record.tickets if not self._is_where(pool, ticket)]:
            return missing
        for ticket in record.tickets:
            pool.dequeue(ticket.id)
            pool.seats[ticket.id] = record.match
        taken += [ticket.id for ticket in record.tickets]
        pool.matches[record.match] = record
        self._post(record.host, [InboxEvent(kind="host", match=record, match_id=record.match, mode=record.mode)])
        return []

    async def match_guests(self, record: MatchRecord) -> bool:
        check_guests(record)
        pool = self._of(record.mode)
        if (known := pool.matches.get(record.match)) is not None:
            return known.guests and known.host == record.host
        if len(pool.matches) + len(pool.outbox) >= self._outbox_max:
            raise RefusedError(Reason.SERVER_FULL, f"{record.mode}: the outbox has no place for another result")
        pool.matches[record.match] = record
        for ticket in record.tickets:
            pool.seats.setdefault(ticket.id, record.match)  # a ticket of this region belongs to its grant until that ends
        return True

    async def match_join(self, before: MatchRecord, after: MatchRecord, lease_name: str, fence: int) -> list[TicketId] | None:
        joining, gone = check_join(before, after)
        pool = self._pool(before.mode)
        if fence != 0 and fence != self._fences.get(lease_name, 0):
            raise RefusedError(Reason.OUT_OF_ORDER, f"{lease_name}: fence {fence} is stale; take the lease again")
        now = pool.matches.get(before.match)
        if now is None or (now.host, now.epoch, now.joins) != (before.host, before.epoch, before.joins):
            return None
        if missing := [ticket.id for ticket in joining if not self._is_where(pool, ticket)]:
            return missing
        for ticket in joining:
            pool.dequeue(ticket.id)
            pool.seats[ticket.id] = after.match
        for name in gone:
            pool.seats.pop(name, None)
        pool.matches[after.match] = after
        self._post(after.host, [InboxEvent(kind="fill", match=after, match_id=after.match, mode=after.mode)])
        pool.changed([ticket.id for ticket in joining])
        return []

    @staticmethod
    def _is_where(pool: Pool, ticket: Ticket) -> bool:
        """In the pool, and its player where it was when the pool was read."""
        return ticket.id in pool.tickets and pool.moved.get(ticket.id, (ticket.session, ticket.edge)) == (ticket.session, ticket.edge)
