"""The matcher task: whoever holds a mode's lease reads its pool, proposes matches and claims each atomically.

Proposals are pure (`core/matchmaking`); a claim checks the fence and all tickets on the server, so a matcher that was replaced
without noticing can claim nothing. Only tickets of live processes are proposed: a player whose process died keeps the ticket
and its age, and is matched again as soon as it resumed elsewhere.

The holder of a mode's lease also reaps what a dead process left: matches that it never opened are queued again (their `host`
event is still in its inbox), the others are forgotten, and so are tickets whose player did not resume within
limits.RESUME_MS_MAX. A process is dead when its beat has been missing for MISSING_MS, and for longer where the store was away:
everybody's beat expires then, and those who live need a moment to beat again.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gameedge.core import limits
from gameedge.core.errors import RefusedError
from gameedge.core.game import ModeSpec
from gameedge.core.ids import EdgeId, MatchId, TicketId
from gameedge.core.matchmaking.propose import Proposal, propose
from gameedge.edge.clock import Clock
from gameedge.state.base import EdgeRecord, MatchRecord, RegionStore, Ticket
from gameedge.telemetry import logs

LOOK_MS: Final = 50  # between looks at a pool's version
AGAIN_MS: Final = 500  # a pool that did not change is looked at again: windows widen with age
REAP_MS: Final = 1_000
PROMISE_MS: Final = 1_000  # for so long a claimed match counts beside what its host says: its players are still on their way
PLAYERS_FULL: Final = 2_000  # what a process carries on one core (docs/benchmarks.md)
MOVE_COST: Final = 0.05  # a member who must connect anew costs about as much as this part of a process
MISSING_MS: Final = 1_000  # since this process first missed a beat that had expired
log = logs.get(__name__)


@dataclass(slots=True)
class PoolState:
    """What the matcher remembers of one mode."""

    version: int = -1
    proposed_ms: float = -1e12
    queued: int = 0
    leads: bool = False  # this process held the lease at the last look


class Matcher:
    """`draw` gives entropy for ids and seeds; `waited` hears of each matched ticket's wait, `rescue` may
    go on with a match whose process died before it is forgotten."""

    def __init__(
        self,
        store: RegionStore,
        modes: Mapping[str, ModeSpec],
        edge: EdgeId,
        clock: Clock,
        *,
        fill_ms: int,
        new_match: Callable[[], tuple[MatchId, int]],
        waited: Callable[[str, float], None],
        rescue: Callable[[MatchRecord], Awaitable[bool]] | None = None,
    ) -> None:
        self._store, self._modes, self._edge, self._clock = store, modes, edge, clock
        self._fill_ms = fill_ms
        self._new_match = new_match
        self._waited = waited
        self._rescue = rescue
        self._pools = {mode: PoolState() for mode in modes}
        self._promised: deque[tuple[float, EdgeId, Proposal]] = deque()
        self._reaped_ms = -1e12
        self._missing: dict[EdgeId, float] = {}  # hosts of open matches without a beat: since when
        self._store_back_ms = -1e12
        self.claimed = 0
        self.collisions = 0

    @property
    def queued(self) -> dict[str, int]:
        return {mode: pool.queued for mode, pool in self._pools.items() if pool.queued}

    async def run(self) -> None:
        """For the life of the process. While the store is away it waits; running matches go on."""
        while True:
            try:
                for mode in self._modes:
                    await self._look(mode)
                await self._reap()
            except RefusedError as error:
                log.debug("matcher_waits", detail=error.detail)
                self._missing.clear()
                self._store_back_ms = self._clock.monotonic_ms()
                await asyncio.sleep(LOOK_MS * 4 / 1000)
            await asyncio.sleep(LOOK_MS / 1000)

    async def _look(self, mode: str) -> None:
        pool, now = self._pools[mode], self._clock.monotonic_ms()
        lease = f"matcher-{mode}"
        fence = await self._store.lease(lease, self._edge, limits.LEASE_MS)
        pool.leads = fence is not None
        if fence is None:
            pool.queued = 0
            return
        version = await self._store.pool_version(mode)
        if version == pool.version and (not pool.queued or now - pool.proposed_ms < AGAIN_MS):
            return
        tickets = await self._store.tickets(mode)
        pool.version, pool.queued, pool.proposed_ms = version, len(tickets), now
        if not tickets:
            return
        edges = {record.edge: record for record in await self._store.edges()}
        unix_ms = self._clock.unix_ms()
        promises = self._promises(now)
        for proposal in propose(tickets, self._modes[mode], unix_ms, live_edges=frozenset(edges), fill_ms=self._fill_ms):
            host = choose_host(proposal, edges, self._modes[mode], promises)
            if host is None:
                log.warning("no_process_of_the_region_has_room", mode=mode)
                break
            if await self._claim(mode, lease, fence, proposal, host, unix_ms):
                promises.setdefault(host, Counter()).update(_count(proposal.teams))

    async def _claim(self, mode: str, lease: str, fence: int, proposal: Proposal, host: EdgeId, unix_ms: int) -> bool:
        """False: somebody cancelled meanwhile, and nobody was taken."""
        match, seed = self._new_match()
        members = [ticket for team in proposal.teams for ticket in team]
        record = MatchRecord(
            match=match,
            mode=mode,
            host=host,
            fence=fence,
            teams=[[ticket.id for ticket in team] for team in proposal.teams],
            tickets=members,
            created_ms=unix_ms,
            seed=seed,
        )
        missing: list[TicketId] = await self._store.claim(record, lease)
        if missing:
            self.collisions += 1  # cancelled meanwhile; the others stay queued and are proposed again
            self._pools[mode].version = -1
            return False
        self.claimed += 1
        self._promised.append((self._clock.monotonic_ms(), host, proposal))
        for ticket in members:
            self._waited(mode, max(0, unix_ms - ticket.created_ms))
        return True

    def _promises(self, now_ms: float) -> dict[EdgeId, Counter[EdgeId]]:
        """By host, where the members of its latest matches come from."""
        while self._promised and now_ms - self._promised[0][0] > PROMISE_MS:
            self._promised.popleft()
        promises: dict[EdgeId, Counter[EdgeId]] = {}
        for _, host, proposal in self._promised:
            promises.setdefault(host, Counter()).update(_count(proposal.teams))
        return promises

    async def _reap(self) -> None:
        now = self._clock.monotonic_ms()
        if now - self._reaped_ms < REAP_MS:
            return
        self._reaped_ms = now
        edges = {record.edge for record in await self._store.edges()}
        if self._edge not in edges:
            return  # our own beat is not stored yet: nothing can be said of others
        for mode in self._modes:
            if not self._pools[mode].leads:
                continue
            gone = await self._store.tickets_of_edge_gone(mode, edges, self._clock.unix_ms())
            if gone:
                log.info("tickets_dropped", mode=mode, count=len(gone), reason="nobody resumed in time")
        await self._reap_matches(edges, now)

    async def _reap_matches(self, edges: Collection[EdgeId], now_ms: float) -> None:
        led = [mode for mode in self._modes if self._pools[mode].leads]
        orphans = [record for mode in led for record in await self._store.matches(mode) if record.host not in edges]
        self._missing = {record.host: self._missing.get(record.host, now_ms) for record in orphans}
        since_back = now_ms - self._store_back_ms
        wait_ms = MISSING_MS if since_back > 2 * limits.EDGE_DEAD_MS else limits.EDGE_DEAD_MS
        dead = {host for host, since_ms in self._missing.items() if now_ms - since_ms >= wait_ms}
        for host in dead:
            while events := await self._store.inbox_read(host, 0):
                for event in events:
                    if event.kind == "host" and event.match is not None and await self._store.match_unclaim(event.match):
                        log.info("match_queued_again", match=event.match.match, name=host)
        for record in orphans:
            if record.host not in dead or (self._rescue is not None and await self._rescue(record)):
                continue
            if await self._store.match_close(record.mode, record.match, None, by=record):
                log.warning("match_lost_with_its_process", match=record.match, name=record.host)


def choose_host(
    proposal: Proposal, edges: Mapping[EdgeId, EdgeRecord], mode: ModeSpec, promises: Mapping[EdgeId, Counter[EdgeId]]
) -> EdgeId | None:
    """The process that most members are connected to, unless it is clearly busier than the calmest one; None: all are full.

    promises: by host, where members of matches that it was just given come from. Without it a burst goes to whom one old report
    calls calm.
    """
    open_edges = [
        record for record in edges.values() if not record.draining and record.free_matches > 0 and record.free_entities >= mode.seats
    ]
    if not open_edges:
        return None
    here = _count(proposal.teams)

    def cost(record: EdgeRecord) -> tuple[float, int, str]:
        coming = sum(count for edge, count in promises.get(record.edge, Counter()).items() if edge != record.edge)
        leaving = sum(counts[record.edge] for host, counts in promises.items() if host != record.edge)
        players = record.players + coming - leaving
        busy = record.lateness_ms_p99 / 10.0 + players / PLAYERS_FULL
        return busy - MOVE_COST * here[record.edge], record.matches + promises.get(record.edge, Counter()).total(), record.edge

    return min(open_edges, key=cost).edge


def _count(teams: Sequence[Sequence[Ticket]]) -> Counter[EdgeId]:
    return Counter(ticket.edge for team in teams for ticket in team)
