"""Pools of tickets on Redis: ingest, the change feed, and claims. The part of `redis_region.py` that the matcher lives on.

Problem. A matcher that reads 100,000 tickets whenever one of them changes spends half a second a look; one call a ticket brings
    in 2,000 to 5,000 a second, since each waits for its own answer and, where the store is durable, for its own fsync.
Method. Tickets come in many to a call, and matches are claimed many to a call, each of them all or nothing. Every function that
    changes a pool appends the names of the tickets that changed to a short stream, under the pool's next version. Whoever mirrors
    the pool asks for what is behind the entry it read last and gets the tickets as they are now, or hears that they are gone.
Guarantee. A mirror that applied an answer is the pool at that version. Where the entry is no longer there (the reader was away
    longer than the stream remembers) or is another (a failover lost writes), the answer is the whole pool.
Cost. One entry of about 30 bytes a ticket and call, limits.FEED_ENTRIES_MAX of them; docs/benchmarks.md has what it brings.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import msgspec

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import EdgeId, PlayerId, SessionId, TicketId
from gameedge.state import redis_inbox
from gameedge.state.base import Claimed, MatchRecord, PoolRead, Ticket
from gameedge.state.checks import check_adds, check_claims, check_guests, check_join, refusal_of_add
from gameedge.state.records import Codec, encode
from gameedge.state.redis_client import Argument, Command, script
from gameedge.state.redis_store import RedisStore

_PART: Final = 8_192  # tickets of one part of a pool
_SAID: Final = {b"o"[0]: None, b"q"[0]: Reason.ALREADY_QUEUED, b"f"[0]: Reason.POOL_FULL}
_MATCH_KEY: Final = encode("match")


def pool_keys(mode: str, *parts: str) -> list[str]:
    return [f"ge:{{{mode}}}:{part}" for part in parts]


def where(session: SessionId, edge: EdgeId) -> bytes:
    return encode([session, edge])


class RedisPools(RedisStore):
    """Tickets and claims. See `base.RegionStore`."""

    def __init__(self, url: str, wait_ms: int, outbox_max: int) -> None:
        super().__init__(url, wait_ms)
        self._outbox_max = outbox_max
        self._ticket = Codec(Ticket, self._counter)
        self._place = Codec(tuple[SessionId, EdgeId], self._counter)

    # -- ingest

    async def tickets_add(self, mode: str, tickets: Sequence[Ticket], pool_max: int) -> list[Reason | None]:
        check_adds(mode, tickets)
        keys = pool_keys(mode, "tickets", "players", "owners", "version", "feed", "seats", "matches")
        said: list[Reason | None] = []
        for first in range(0, len(tickets), limits.TICKETS_AT_ONCE):  # each call has its own time
            some = tickets[first : first + limits.TICKETS_AT_ONCE]
            triples = (part for ticket in some for part in (ticket.id, ticket.player, encode(ticket)))
            add = script("ticket_add")(keys, pool_max, limits.FEED_ENTRIES_MAX, *triples)
            _, answer = await self._client.pipe([("SADD", redis_inbox.MODES, mode), add])
            said += [_SAID[letter] for letter in answer]
        return said

    async def ticket_add(self, ticket: Ticket, pool_max: int) -> None:
        [said] = await self.tickets_add(ticket.mode, [ticket], pool_max)
        if said is not None:
            raise refusal_of_add(said, ticket.mode, pool_max)

    async def ticket_of_player(self, mode: str, player: PlayerId) -> TicketId | None:
        found = await self._client.call(("HGET", f"ge:{{{mode}}}:players", player))
        return None if found is None else TicketId(found.decode(errors="replace"))

    async def ticket_cancel(self, mode: str, ticket: TicketId) -> bool:
        return bool(await self._client.call(self._remove(mode, [(ticket, b"")])))

    @staticmethod
    def _remove(mode: str, tickets: Iterable[tuple[TicketId, bytes]]) -> Command:
        keys = pool_keys(mode, "tickets", "players", "owners", "moved", "version", "feed")
        return script("ticket_remove")(keys, limits.FEED_ENTRIES_MAX, *(part for pair in tickets for part in pair))

    async def ticket_move(self, mode: str, ticket: TicketId, session: SessionId, edge: EdgeId) -> bool:
        keys = pool_keys(mode, "tickets", "moved", "version", "feed")
        return bool(await self._client.call(script("ticket_move")(keys, ticket, where(session, edge), limits.FEED_ENTRIES_MAX)))

    # -- reading

    async def tickets(self, mode: str) -> list[Ticket]:
        found = await self._whole(mode)
        found.sort(key=lambda ticket: (ticket.created_ms, ticket.id))
        return found

    async def _whole(self, mode: str) -> list[Ticket]:
        keys = pool_keys(mode, "tickets")
        pairs: list[bytes] = await self._client.call(script("flat")(pool_keys(mode, "moved")))
        found: dict[TicketId, Ticket] = {}
        at: Argument = 0
        while True:
            at, count, joined = await self._client.call(script("tickets")(keys, at, _PART))
            part = self._ticket.joined(count, joined)
            if part is None:  # one of them cannot be decoded: take them one by one
                part = self._ticket.some(await self._client.call(("HVALS", keys[0])))
                at = b"0"
            found.update((ticket.id, ticket) for ticket in part)
            if at == b"0":
                break
        return self._placed(list(found.values()), pairs)

    def _placed(self, tickets: list[Ticket], pairs: Sequence[bytes]) -> list[Ticket]:
        """With the session and process that their players resumed in."""
        if pairs:
            places = {name.decode(errors="replace"): self._place.one(place) for name, place in zip(*[iter(pairs)] * 2, strict=True)}
            for i, ticket in enumerate(tickets):
                if (place := places.get(ticket.id)) is not None:
                    tickets[i] = msgspec.structs.replace(ticket, session=place[0], edge=place[1])
        return tickets

    async def pool_read(self, mode: str, after: str) -> PoolRead:
        read = script("pool_read")(pool_keys(mode, "tickets", "moved", "feed", "version"), after, limits.FEED_READ_MAX)
        last, *changes = await self._client.call(read)
        if not changes:
            # The feed's end first, then the tickets: what changes between the two is changed again by the next read, harmlessly.
            return PoolRead(at=last.decode(), whole=True, tickets=await self._whole(mode))
        more, count, joined, gone, pairs = changes
        tickets = self._ticket.joined(count, joined)
        if tickets is None:
            return PoolRead(at=last.decode(), whole=True, tickets=await self._whole(mode))
        names = [TicketId(name.decode(errors="replace")) for name in gone]
        return PoolRead(at=last.decode(), tickets=self._placed(tickets, pairs), gone=names, more=bool(more))

    async def pool_wait(self, mode: str, after: str, block_ms: int) -> None:
        block_ms = max(1, min(block_ms, limits.STORE_BLOCK_MS_MAX))
        await self._client.block(("XREAD", "COUNT", 1, "BLOCK", block_ms, "STREAMS", f"ge:{{{mode}}}:feed", after or "0"), block_ms)

    async def pool_version(self, mode: str) -> int:
        return int(await self._client.call(("GET", f"ge:{{{mode}}}:version")) or 0)

    async def tickets_there(self, mode: str, tickets: Sequence[TicketId]) -> tuple[int, set[TicketId]]:
        keys = pool_keys(mode, "tickets", "owners")
        commands: list[Command] = [("HLEN", keys[0])]
        for first in range(0, len(tickets), 1_000):
            commands.append(("HMGET", keys[1], *tickets[first : first + 1_000]))
        size, *answers = await self._client.pipe(commands)
        owners = [owner for answer in answers for owner in answer]
        return int(size), {ticket for ticket, owner in zip(tickets, owners, strict=True) if owner is not None}

    async def tickets_of_edge_gone(
        self, mode: str, live: Collection[EdgeId], now_ms: int, keep_ms: int = limits.RESUME_MS_MAX
    ) -> list[Ticket]:
        return await self.tickets_gone(mode, await self.tickets(mode), live, now_ms, keep_ms)

    async def tickets_gone(
        self, mode: str, tickets: Iterable[Ticket], live: Collection[EdgeId], now_ms: int, keep_ms: int = limits.RESUME_MS_MAX
    ) -> list[Ticket]:
        missed = [ticket for ticket in tickets if ticket.edge not in live]
        gone = await self._client.call(
            script("edge_gone")(pool_keys(mode, "gone"), now_ms, keep_ms, *sorted({ticket.edge for ticket in missed}))
        )
        expired = {name.decode(errors="replace") for name in gone}
        of_gone = [ticket for ticket in missed if ticket.edge in expired]
        if not of_gone:
            return []
        removed: set[str] = set()
        for first in range(0, len(of_gone), limits.TICKETS_AT_ONCE):
            pairs = [(t.id, where(t.session, t.edge)) for t in of_gone[first : first + limits.TICKETS_AT_ONCE]]
            removed.update(name.decode(errors="replace") for name in await self._client.call(self._remove(mode, pairs)))
        return [ticket for ticket in of_gone if ticket.id in removed]

    # -- claims

    async def claim(self, record: MatchRecord, lease_name: str) -> list[TicketId]:
        [said] = await self.claim_many([record], lease_name)
        if isinstance(said, RefusedError):
            raise said
        return said

    async def claim_many(self, records: Sequence[MatchRecord], lease_name: str) -> list[Claimed]:
        check_claims(records, lease_name)
        said: list[Claimed] = []
        for first in range(0, len(records), limits.CLAIMS_AT_ONCE):
            said += await self._claim_some(records[first : first + limits.CLAIMS_AT_ONCE], lease_name)
        return said

    async def _claim_some(self, records: Sequence[MatchRecord], lease_name: str) -> list[Claimed]:
        mode = records[0].mode
        hosts = list(dict.fromkeys(record.host for record in records))
        numbers = {host: number for number, host in enumerate(hosts, 1)}
        keys = [
            *pool_keys(mode, "matches", "members", "seats", "tickets", "players", "owners", "moved", "version"),
            *pool_keys(mode, f"fence:{lease_name}", "outbox", "feed"),
            *(redis_inbox.of_pool(mode, host) for host in hosts),
        ]
        bounds = (self._outbox_max, limits.INBOX_EVENTS_MAX, limits.INBOX_LIFE_MS, limits.FEED_ENTRIES_MAX)
        arguments: list[Argument] = []
        for record in records:
            stored = encode(record)
            arguments += (record.match, numbers[record.host], len(record.tickets), stored, _host_event(record, stored))
            for ticket in record.tickets:
                arguments += (ticket.id, where(ticket.session, ticket.edge))
        claim = script("claim")(keys, records[0].fence, *bounds, *arguments)
        bells = [command for host in hosts for command in redis_inbox.ring(host)]
        _, answers, *_ = await self._client.pipe([("SADD", redis_inbox.MODES, mode), claim, *bells])
        return [self._claimed(answer, record, lease_name) for answer, record in zip(answers, records, strict=True)]

    async def match_guests(self, record: MatchRecord) -> bool:
        check_guests(record)
        keys, names = pool_keys(record.mode, "matches", "members", "seats", "outbox"), [ticket.id for ticket in record.tickets]
        store = script("match_guests")(keys, record.match, encode(record), record.host, self._outbox_max, encode(names), *names)
        said, _ = await self._client.pipe([store, ("SADD", redis_inbox.MODES, record.mode)])
        if said == b"full":
            raise RefusedError(Reason.SERVER_FULL, f"{record.mode}: the outbox has no place for another result")
        return bool(said == b"ok")

    async def match_join(self, before: MatchRecord, after: MatchRecord, lease_name: str, fence: int) -> list[TicketId] | None:
        joining, gone = check_join(before, after)
        mode = before.mode
        keys = [
            *pool_keys(mode, "matches", "members", "seats", "tickets", "players", "owners", "moved", "version"),
            *pool_keys(mode, f"fence:{lease_name}", "feed"),
            redis_inbox.of_pool(mode, after.host),
        ]
        stored = encode(after)
        arguments: list[Argument] = [fence, limits.INBOX_EVENTS_MAX, limits.INBOX_LIFE_MS, limits.FEED_ENTRIES_MAX]
        arguments += [after.match, before.host, before.epoch, before.joins, stored, _host_event(after, stored, "fill")]
        arguments += [encode([ticket.id for ticket in after.tickets]), len(gone), *gone]
        for ticket in joining:
            arguments += (ticket.id, where(ticket.session, ticket.edge))
        answer, *_ = await self._client.pipe([script("match_join")(keys, *arguments), *redis_inbox.ring(after.host)])
        if answer[0] == b"stale":
            raise RefusedError(Reason.OUT_OF_ORDER, f"{lease_name}: fence {fence} is stale; take the lease again")
        return None if answer[0] == b"changed" else [TicketId(name.decode(errors="replace")) for name in answer[1:]]

    @staticmethod
    def _claimed(answer: Sequence[Any], record: MatchRecord, lease_name: str) -> Claimed:
        if answer[0] == b"stale":
            return RefusedError(Reason.OUT_OF_ORDER, f"{lease_name}: fence {record.fence} is stale; take the lease again")
        if answer[0] == b"full":
            return RefusedError(Reason.SERVER_FULL, f"{record.mode}: the outbox has no place for another result")
        return [TicketId(name.decode(errors="replace")) for name in answer[1:]]


def _host_event(record: MatchRecord, stored: bytes, kind: str = "host") -> bytes:
    """InboxEvent(kind, match=record, ...) as msgpack, without encoding the record again."""
    head = encode({"kind": kind, "match_id": record.match, "mode": record.mode})
    return b"\x84" + head[1:] + _MATCH_KEY + stored
