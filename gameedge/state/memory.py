"""The in-memory twin of a region's store: the same answers as Redis, for tests, simulations and one process alone.

Nothing here awaits between reading and writing, so every method is atomic on its event loop. `clock_ms` counts times-to-live
and may be virtual; `available = False` makes every method raise UnavailableError, as a store that is away does.
"""

import asyncio
import time
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from gameedge.core import limits
from gameedge.core.ids import EdgeId, FlagId, MatchId, PlayerId, TicketId
from gameedge.state import positions
from gameedge.state.base import EdgeRecord, Evidence, InboxEvent, MatchRecord, Result, SessionRecord, StoredResult
from gameedge.state.checks import check_evidence, check_result
from gameedge.state.memory_pool import MemoryPools, Pool

Clock = Callable[[], float]


def monotonic_ms() -> float:
    return time.monotonic() * 1000


@dataclass(slots=True)
class _Inbox:
    events: deque[InboxEvent] = field(default_factory=lambda: deque(maxlen=limits.INBOX_EVENTS_MAX))
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    expires_ms: float = 0.0
    readers: int = 0  # that wait


@dataclass(slots=True)
class _Lease:
    owner: EdgeId
    fence: int
    expires_ms: float


NO_CLIP: Final = b""


def _same_host(one: MatchRecord, other: MatchRecord) -> bool:
    return (one.host, one.epoch) == (other.host, other.epoch)


class MemoryRegionStore(MemoryPools):
    """A region's store in this process. See `base.RegionStore`."""

    def __init__(self, *, clock_ms: Clock = monotonic_ms, outbox_max: int = limits.OUTBOX_RESULTS_MAX) -> None:
        super().__init__(outbox_max)
        self.corrupt = 0
        self._clock = clock_ms
        self._sessions: dict[str, tuple[SessionRecord, float]] = {}
        self._leases: dict[str, _Lease] = {}
        self._inboxes: dict[EdgeId, _Inbox] = {}
        self._edges: dict[EdgeId, tuple[EdgeRecord, float]] = {}
        self._evidence: OrderedDict[FlagId, tuple[Evidence, float]] = OrderedDict()  # oldest first
        self._results = 0

    async def ping(self) -> float:
        self._check()
        return 0.0

    # -- sessions

    async def session_put(self, record: SessionRecord, ttl_ms: int) -> None:
        self._check()
        now = self._clock()
        if len(self._sessions) % 1024 == 1023:  # readers drop what they meet; this drops what nobody asks for any more
            self._sessions = {key: kept for key, kept in self._sessions.items() if kept[1] > now}
        self._sessions[record.resume_hash] = (record, now + ttl_ms)

    async def session_get(self, resume_hash: str) -> SessionRecord | None:
        self._check()
        record, expires_ms = self._sessions.get(resume_hash, (None, 0.0))
        if record is not None and expires_ms <= self._clock():
            del self._sessions[resume_hash]
            return None
        return record

    async def sessions_put(self, records: Sequence[SessionRecord], ttl_ms: int) -> None:
        for record in records:
            await self.session_put(record, ttl_ms)

    async def sessions_get(self, resume_hashes: Sequence[str]) -> list[SessionRecord | None]:
        return [await self.session_get(resume_hash) for resume_hash in resume_hashes]

    async def sessions_of(self, player: PlayerId) -> list[SessionRecord]:
        self._check()
        now = self._clock()
        found = [record for record, expires_ms in self._sessions.values() if record.player == player and expires_ms > now]
        return sorted(found, key=lambda record: record.session)

    async def session_delete(self, resume_hash: str) -> None:
        self._check()
        self._sessions.pop(resume_hash, None)

    # -- leases

    async def lease(self, name: str, owner: EdgeId, ttl_ms: int) -> int | None:
        self._check()
        now, held = self._clock(), self._leases.get(name)
        if held is not None and held.expires_ms > now:
            if held.owner != owner:
                return None
            held.expires_ms = now + ttl_ms
            return held.fence
        fence = self._fences[name] = self._fences.get(name, 0) + 1
        self._leases[name] = _Lease(owner, fence, now + ttl_ms)
        return fence

    async def lease_owner(self, name: str) -> EdgeId | None:
        self._check()
        held = self._leases.get(name)
        return held.owner if held is not None and held.expires_ms > self._clock() else None

    async def modes(self) -> list[str]:
        self._check()
        return sorted(self._modes)

    async def lease_release(self, name: str, owner: EdgeId) -> None:
        self._check()
        held = self._leases.get(name)
        if held is not None and held.owner == owner:
            del self._leases[name]

    # -- matches

    async def match_get(self, mode: str, match: MatchId) -> MatchRecord | None:
        return self._pool(mode).matches.get(match)

    async def matches_get(self, mode: str, matches: Sequence[MatchId]) -> list[MatchRecord | None]:
        pool = self._pool(mode)
        return [pool.matches.get(match) for match in matches]

    async def match_of_ticket(self, mode: str, ticket: TicketId) -> MatchRecord | None:
        pool = self._pool(mode)
        match = pool.seats.get(ticket)
        return None if match is None else pool.matches.get(match)

    async def matches(self, mode: str) -> list[MatchRecord]:
        return sorted(self._pool(mode).matches.values(), key=lambda record: (record.created_ms, record.match))

    async def match_unclaim(self, record: MatchRecord, out: Collection[TicketId] = ()) -> bool:
        pool = self._pool(record.mode)
        now = pool.matches.get(record.match)
        if now is None or not _same_host(now, record) or now.joins != record.joins:
            return False
        self._forget(pool, record.match)
        back = [] if record.guests else [ticket for ticket in record.tickets if ticket.id not in out]
        queued = [ticket for ticket in back if ticket.player not in pool.players and ticket.id not in pool.tickets]
        for ticket in queued:
            pool.enqueue(ticket)
        pool.changed([ticket.id for ticket in queued])
        return True

    async def match_close(self, mode: str, match: MatchId, result: Result | None, *, by: MatchRecord | None = None) -> bool:
        check_result(mode, match, result)
        pool = self._pool(mode)
        if by is not None and not _same_host(pool.matches.get(match, by), by):
            return False
        if not self._forget(pool, match):
            return False
        if result is not None:
            self._results += 1
            pool.outbox.append((self._results, result))
        return True

    async def checkpoint_put(self, host: EdgeId, mode: str, states: Sequence[tuple[MatchRecord, bytes]]) -> list[bool]:
        pool, kept = self._pool(mode), []
        for record, state in states:
            now = pool.matches.get(record.match)
            kept.append(now is not None and now.host == host and now.epoch == record.epoch)
            if kept[-1]:
                pool.checkpoints[record.match] = state
        return kept

    async def checkpoint_get(self, mode: str, match: MatchId) -> bytes | None:
        return self._pool(mode).checkpoints.get(match)

    async def match_adopt(self, record: MatchRecord, host: EdgeId, *, tell: bool = False) -> MatchRecord | None:
        pool = self._pool(record.mode)
        now = pool.matches.get(record.match)
        if now is None or not _same_host(now, record) or now.joins != record.joins:
            return None
        adopted = pool.matches[record.match] = msgspec.structs.replace(record, host=host, epoch=record.epoch + 1, accept_ms=0)
        if tell:
            self._post(host, [InboxEvent(kind="adopt", match=adopted, match_id=record.match, mode=record.mode)])
        return adopted

    async def matches_adopt(self, mode: str, records: Sequence[MatchRecord], host: EdgeId) -> list[tuple[MatchRecord, bytes] | None]:
        pool, taken = self._pool(mode), list[tuple[MatchRecord, bytes] | None]()
        for record in records:
            state = pool.checkpoints.get(record.match)
            adopted = await self.match_adopt(record, host) if state is not None else None
            taken.append((adopted, state) if adopted is not None and state is not None else None)
        return taken

    @staticmethod
    def _forget(pool: Pool, match: MatchId) -> bool:
        record = pool.matches.pop(match, None)
        pool.checkpoints.pop(match, None)
        if record is None:
            return False
        for ticket in record.tickets:
            if pool.seats.get(ticket.id) == match:
                del pool.seats[ticket.id]
        return True

    # -- inboxes

    async def inbox_post(self, edge: EdgeId, events: Sequence[InboxEvent]) -> None:
        self._check()
        self._post(edge, events)

    def _post(self, edge: EdgeId, events: Sequence[InboxEvent]) -> None:
        if not events:
            return
        inbox = self._inbox(edge)
        inbox.events.extend(events)
        inbox.expires_ms = self._clock() + limits.INBOX_LIFE_MS
        inbox.bell.set()

    def _inbox(self, edge: EdgeId) -> _Inbox:
        inbox = self._inboxes.get(edge)
        if inbox is None:
            now = self._clock()
            for name in [name for name, kept in self._inboxes.items() if kept.events and kept.expires_ms <= now]:
                del self._inboxes[name]  # nobody wrote to it for as long as an inbox lives
            inbox = self._inboxes[edge] = _Inbox()
        elif inbox.events and inbox.expires_ms <= self._clock():
            inbox.events.clear()
        return inbox

    async def inbox_read(self, edge: EdgeId, block_ms: int) -> list[InboxEvent]:
        self._check()
        inbox = self._inbox(edge)
        if not inbox.events and block_ms > 0:
            inbox.bell.clear()
            inbox.readers += 1
            try:
                await asyncio.wait_for(inbox.bell.wait(), min(block_ms, limits.STORE_BLOCK_MS_MAX) / 1000)
            except TimeoutError:
                pass
            finally:
                inbox.readers -= 1
            self._check()
        taken = [inbox.events.popleft() for _ in range(min(len(inbox.events), limits.INBOX_READ_MAX))]
        if not inbox.events and not inbox.readers and self._inboxes.get(edge) is inbox:
            del self._inboxes[edge]  # names of one question each would add up
        return taken

    # -- outbox

    async def outbox_read(self, after: str, count: int) -> list[StoredResult]:
        self._check()
        start = positions.parse(after)
        found: list[tuple[positions.Position, Result]] = []
        for mode, pool in self._pools.items():
            entries = [(positions.Position(number, 0, mode), result) for number, result in pool.outbox]
            first = 0 if start is None else bisect_right(entries, start, key=lambda entry: entry[0])
            found.extend(entries[first : first + count])
        found.sort(key=lambda entry: entry[0])
        return [StoredResult(str(at), result) for at, result in found[:count]]

    async def outbox_ack(self, at: Sequence[str]) -> None:
        self._check()
        for position in filter(None, map(positions.parse, at)):
            pool = self._pools.get(position.mode)
            if pool is not None:
                pool.outbox = [entry for entry in pool.outbox if entry[0] != position.ms]

    async def outbox_size(self) -> int:
        self._check()
        return sum(len(pool.outbox) for pool in self._pools.values())

    # -- processes

    async def edge_beat(self, record: EdgeRecord, ttl_ms: int) -> None:
        self._check()
        self._edges[record.edge] = (record, self._clock() + ttl_ms)

    async def edges(self) -> list[EdgeRecord]:
        self._check()
        now = self._clock()
        self._edges = {edge: kept for edge, kept in self._edges.items() if kept[1] > now}
        return [self._edges[edge][0] for edge in sorted(self._edges)]

    async def edge_ages(self) -> dict[EdgeId, float]:
        self._check()
        now = self._clock()
        return {edge: now - (expires_ms - limits.EDGE_DEAD_MS) for edge, (_, expires_ms) in self._edges.items()}

    async def edge_forget(self, edge: EdgeId) -> None:
        self._check()
        self._edges.pop(edge, None)

    # -- evidence

    async def evidence_add(self, evidence: Evidence) -> None:
        check_evidence(evidence)
        self._check()
        self._expire_evidence()
        if evidence.flag in self._evidence:
            return
        self._evidence[evidence.flag] = (evidence, self._clock() + limits.EVIDENCE_LIFE_MS)
        of_player = [flag for flag, (kept, _) in self._evidence.items() if kept.player == evidence.player]
        for flag in of_player[: -limits.EVIDENCE_PER_PLAYER_MAX]:
            del self._evidence[flag]
        while len(self._evidence) > limits.EVIDENCE_TOTAL_MAX:
            self._evidence.popitem(last=False)

    def _expire_evidence(self) -> None:
        now = self._clock()
        while self._evidence:
            flag, (_, expires_ms) = next(iter(self._evidence.items()))
            if expires_ms > now:
                return
            del self._evidence[flag]

    async def evidence_list(self, limit: int) -> list[Evidence]:
        self._check()
        self._expire_evidence()
        flags = list(reversed(self._evidence))[: max(0, limit)]
        return [msgspec.structs.replace(self._evidence[flag][0], clip=NO_CLIP) for flag in flags]

    async def evidence_get(self, flag: FlagId) -> Evidence | None:
        self._check()
        kept = self._evidence.get(flag)
        return None if kept is None else kept[0]

    async def evidence_set_state(self, flag: FlagId, state: str) -> bool:
        self._check()
        if flag not in self._evidence:
            return False
        evidence, expires_ms = self._evidence[flag]
        self._evidence[flag] = (msgspec.structs.replace(evidence, state=state), expires_ms)
        return True

    async def evidence_decide(self, flag: FlagId, state: str, expected: str) -> str | None:
        self._check()
        if flag not in self._evidence:
            return None
        evidence, expires_ms = self._evidence[flag]
        if evidence.state == expected:
            self._evidence[flag] = (msgspec.structs.replace(evidence, state=state), expires_ms)
        return evidence.state

    async def erase_player(self, player: PlayerId) -> int:
        self._check()
        now = self._clock()
        flags = [flag for flag, (kept, _) in self._evidence.items() if kept.player == player]
        keys = [key for key, (record, expires_ms) in self._sessions.items() if record.player == player]
        live = sum(self._sessions[key][1] > now for key in keys)
        for flag in flags:
            del self._evidence[flag]
        for key in keys:
            del self._sessions[key]
        return len(flags) + live

    async def close(self) -> None:
        """The twin keeps its contents: another part of the process may go on with it."""
