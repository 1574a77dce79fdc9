"""The matcher: whoever holds a mode's lease mirrors its pool, proposes matches and claims each atomically.

Problem. A ticket that completes a match must be matched at once, whether ten wait or 100,000; whoever does it may die at any time.
Method. The holder sleeps on the pool's feed (`pool_wait`), wakes with a change, reads what changed into its mirror, proposes, and
    claims many matches to a call. It gathers for GATHER_MS, and for as long as its last round took: when arrivals are fast there is
    better company and one round serves many. It looks again without a change when waiting widens what somebody accepts or ends a
    wait for NPCs (`policy.next_look_ms`), within a small part of the core. Large pools are proposed in a thread: the game's ticks
    go on meanwhile.
Guarantee. Proposals are pure (`core/matchmaking`); a claim checks the fence and all tickets on the server, so a matcher that was
    replaced without noticing can claim nothing. Only tickets of live processes are proposed: a player whose process died keeps the
    ticket and its age, and is matched again as soon as it resumed elsewhere. A holder that is silent for limits.LEASE_MS is
    replaced by whoever asks next (every FOLLOW_MS), who reads the whole pool once.

The holder also reaps what dead processes left (`reaper.py`).
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.game import ModeSpec
from gameedge.core.ids import EdgeId, MatchId, RegionId, TicketId
from gameedge.core.matchmaking.backfill import Vacancy, backfill
from gameedge.core.matchmaking.explain import Explanation, explain
from gameedge.core.matchmaking.policy import next_look_ms
from gameedge.core.matchmaking.pool import PoolArrays
from gameedge.core.matchmaking.propose import Proposal, propose_pool
from gameedge.core.matchmaking.rules import ModeRules
from gameedge.edge.clock import Clock
from gameedge.edge.mirror import Mirror
from gameedge.edge.processes import Processes, choose_host, homes
from gameedge.edge.reaper import STORE_AWAY_MS, Reaper
from gameedge.edge.shadow import Compared, Shadow
from gameedge.edge.vacancies import after_join, seats_of
from gameedge.state.base import InboxEvent, MatchRecord, RegionStore
from gameedge.telemetry import logs

GATHER_MS: Final = 10.0  # between two rounds at least: a burst is one round
GATHER_MS_MAX: Final = 100.0  # and at most, however long a round took
AGAIN_MS_MAX: Final = 500.0  # a pool that did not change is looked at again: processes come and go
VACANT_MS: Final = 500.0  # between two questions for seats of running matches
VACANT_SOON_MS: Final = 20.0  # the answers are looked at after this
VACANT_LIFE_MS: Final = 1_000.0  # an answer is good for so long
VACANT_MAX: Final = 64  # answers that wait for a look; drop oldest
AGAIN_SHARE: Final = 0.1  # of the core for looks that only waiting asks for
FOLLOW_MS: Final = 100.0  # between asking for a lease that somebody else holds
FAILED_MS: Final = 500.0  # after a fault of ours
EXPLAIN_SHARE: Final = 0.05  # of the core for explanations, in the long run...
EXPLAIN_BURST_MS: Final = 100.0  # ...and so much of it may be asked for at once: an operator who asks thrice is answered
RENEW_MS: Final = limits.LEASE_MS / 4
THREAD_TICKETS: Final = 2_000  # from here on a proposal takes longer than a tick can wait
CLAIM_ROUND: Final = 8 * limits.CLAIMS_AT_ONCE  # matches between two looks at the lease
log = logs.get(__name__)


@dataclass(slots=True)
class PoolState:
    """What the matcher remembers of one mode."""

    mirror: Mirror
    fence: int | None = None  # None: somebody else leads
    renewed_ms: float = -1e12
    looked_ms: float = -1e12
    took_ms: float = 0.0  # the last proposal
    due_ms: float = -1e12  # when waiting alone is a reason to look again
    explained_ms: float = 0.0  # spent on explanations and not yet earned back
    explain_ms: float = -1e12  # when that was counted
    vacant: deque[tuple[float, InboxEvent]] = field(default_factory=lambda: deque(maxlen=VACANT_MAX))  # when it came, seats for people
    vacant_ms: float = -1e12  # when hosts were asked for them
    again: bool = False  # propose though nothing changed: a claim found tickets missing, or nobody had room

    @property
    def leads(self) -> bool:
        return self.fence is not None


class Matcher:
    """`new_match` gives each match its id and seed; `waited` hears of each matched ticket's wait, `rescue` may
    go on with a match whose process died before it is forgotten, `tell` posts to another process's inbox, `failed` counts a fault."""

    def __init__(
        self,
        store: RegionStore,
        modes: Mapping[str, ModeSpec],
        rules: Mapping[str, ModeRules],
        edge: EdgeId,
        clock: Clock,
        *,
        fill_ms: int,
        new_match: Callable[[], tuple[MatchId, int]],
        waited: Callable[[str, float], None],
        region: RegionId | None = None,
        shadow: Mapping[str, ModeRules] | None = None,
        tell: Callable[[EdgeId, Sequence[InboxEvent]], Awaitable[None]] | None = None,
        rescue: Callable[[MatchRecord], Awaitable[bool]] | None = None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._store, self._modes, self._edge, self._clock = store, modes, edge, clock
        self.fill_ms = fill_ms
        self._new_match = new_match
        self._waited, self._failed = waited, failed
        self._region = region
        self._tell = tell or store.inbox_post
        shadows = {mode: Shadow(mode, of) for mode, of in (shadow or {}).items()}
        self._pools = {mode: PoolState(Mirror(mode, rules[mode], shadows.get(mode))) for mode in modes}
        self.processes = Processes(store)
        self.reaper = Reaper(store, modes, edge, clock, self.led, rescue)
        self.claimed = 0
        self.collisions = 0

    @property
    def queued(self) -> dict[str, int]:
        return {mode: len(pool.mirror) for mode, pool in self._pools.items() if len(pool.mirror)}

    async def run(self) -> None:
        """For the life of the process. While the store is away it waits; running matches go on."""
        async with asyncio.TaskGroup() as group:
            for mode in self._modes:
                group.create_task(self._serve(mode), name=f"matcher-{mode}")
            group.create_task(self.reaper.run(), name="matcher-reap")

    async def _serve(self, mode: str) -> None:
        pool = self._pools[mode]
        while True:
            try:
                if await self._lease(mode):
                    await self._wait(mode)
                    await self._look(mode)
                else:
                    await asyncio.sleep(FOLLOW_MS / 1000)
            except RefusedError as error:
                log.debug("matcher_waits", detail=error.detail)
                self.reaper.store_away()
                await asyncio.sleep(STORE_AWAY_MS / 1000)
                pool.again = True
            except Exception as error:  # one pool that breaks us must not stop the others; it is read anew
                log.fault("matcher_failed", error, mode=mode)
                self._failed()
                pool.mirror.forget()
                pool.again = True
                await asyncio.sleep(FAILED_MS / 1000)

    async def _lease(self, mode: str) -> bool:
        """Take or renew it where that is due. Whether this process leads."""
        pool, now = self._pools[mode], self._clock.monotonic_ms()
        if pool.leads and now - pool.renewed_ms < RENEW_MS:
            return True
        before, pool.fence = pool.fence, await self._store.lease(f"matcher-{mode}", self._edge, limits.LEASE_MS)
        pool.renewed_ms = now
        if pool.fence is None:
            pool.mirror.forget()
        elif pool.fence != before:
            pool.again = True  # what the mirror knows stays true: it goes on from where it read last
        return pool.leads

    async def _wait(self, mode: str) -> None:
        """Until there is something to do: a change of the pool, or waiting that may have widened something."""
        pool, now = self._pools[mode], self._clock.monotonic_ms()
        rest_ms = min(max(GATHER_MS, pool.took_ms), GATHER_MS_MAX) - (now - pool.looked_ms)
        if rest_ms > 0:
            await asyncio.sleep(rest_ms / 1000)
            now += rest_ms
        if pool.again:
            return
        until_ms = pool.renewed_ms + RENEW_MS
        if len(pool.mirror):
            until_ms = min(until_ms, pool.due_ms)
        await self._store.pool_wait(mode, pool.mirror.at, max(1, int(until_ms - now) + 1))

    async def _look(self, mode: str) -> None:
        """One round: read what changed, propose, claim."""
        pool = self._pools[mode]
        news = await pool.mirror.read(self._store, lambda: self._lease(mode))
        if pool.mirror.left:
            await self._break_parties(pool)
        now = self._clock.monotonic_ms()
        if not (news or pool.again or now >= pool.due_ms):
            return
        pool.looked_ms, pool.again = now, False
        if len(pool.mirror):
            await self.processes.look(now)
            unix_ms = self._clock.unix_ms()
            proposals = await self._propose(pool.mirror, unix_ms)
            pool.looked_ms = self._clock.monotonic_ms()
            pool.took_ms = pool.looked_ms - now
            await self._look_shadow(pool, unix_ms)
            await self._claim(mode, proposals, unix_ms)
            await self._backfill(mode, unix_ms)
            next_ms = next_look_ms(pool.mirror.pool, unix_ms, fill_ms=self._fill(pool.mirror))
            wait_ms = min(AGAIN_MS_MAX if next_ms is None else next_ms, AGAIN_MS_MAX)
            pool.due_ms = now + max(wait_ms, min(pool.took_ms / AGAIN_SHARE, AGAIN_MS_MAX))
            if await self._ask_for_vacancies(mode):
                pool.due_ms = min(pool.due_ms, now + max(VACANT_SOON_MS, pool.took_ms / AGAIN_SHARE))

    def _fill(self, mirror: Mirror) -> int:
        """The mode's own wait for NPCs, else the process's."""
        return mirror.rules.fill_ms or self.fill_ms

    async def _propose(self, mirror: Mirror, unix_ms: int) -> Sequence[Proposal]:
        live = frozenset(self.processes.living)

        def work() -> Sequence[Proposal]:
            return propose_pool(mirror.pool, unix_ms, live_edges=live, fill_ms=self._fill(mirror))

        return await asyncio.to_thread(work) if len(mirror) > THREAD_TICKETS else work()

    async def _claim(self, mode: str, proposals: Sequence[Proposal], unix_ms: int) -> None:
        """In rounds, so that the lease is renewed between them. Stops where it was lost."""
        pool = self._pools[mode]
        promises = self.processes.promises(self._clock.monotonic_ms())
        for first in range(0, len(proposals), CLAIM_ROUND):
            some = proposals[first : first + CLAIM_ROUND]
            if not await self._lease(mode) or pool.fence is None:
                return
            chosen: list[tuple[Proposal, MatchRecord]] = []
            for proposal in some:
                host = choose_host(proposal, self.processes.hosts, self._modes[mode], promises)
                if host is None:
                    log.warning("no_process_of_the_region_has_room", mode=mode)
                    break
                promises.setdefault(host, Counter()).update(homes(proposal.teams))
                chosen.append((proposal, self._record(mode, proposal, host, pool.fence, unix_ms)))
            said = await self._store.claim_many([record for _, record in chosen], f"matcher-{mode}")
            for (proposal, record), answer in zip(chosen, said, strict=True):
                if isinstance(answer, RefusedError):
                    pool.fence = None if answer.reason is Reason.OUT_OF_ORDER else pool.fence
                    raise answer
                if answer:
                    self.collisions += 1  # cancelled or moved meanwhile; the others stay queued and are proposed again
                    pool.mirror.missing(answer)
                    pool.again = True
                else:
                    self._was_claimed(pool, proposal, record, unix_ms)
            if len(chosen) < len(some):
                return

    def _was_claimed(self, pool: PoolState, proposal: Proposal, record: MatchRecord, unix_ms: int) -> None:
        self.claimed += 1
        pool.mirror.claimed(record)
        if (shadow := pool.mirror.shadow) is not None:
            shadow.live.add([float(max(0, unix_ms - ticket.created_ms)) for ticket in record.tickets], proposal.quality)
        self.processes.promised(self._clock.monotonic_ms(), record.host, proposal)
        for ticket in record.tickets:
            self._waited(record.mode, max(0, unix_ms - ticket.created_ms))

    def _record(self, mode: str, proposal: Proposal, host: EdgeId, fence: int, unix_ms: int) -> MatchRecord:
        match, seed = self._new_match()
        return MatchRecord(
            match=match,
            mode=mode,
            host=host,
            fence=fence,
            teams=[[ticket.id for ticket in team] for team in proposal.teams],
            tickets=[ticket for team in proposal.teams for ticket in team],
            created_ms=unix_ms,
            seed=seed,
            accept_ms=accept.deadline_ms if (accept := self._pools[mode].mirror.rules.accept) is not None else 0,
        )

    async def _look_shadow(self, pool: PoolState, unix_ms: int) -> None:
        """What other rules would do with the same tickets; before those whom the live rules match are gone."""
        if (shadow := pool.mirror.shadow) is None:
            return
        live, began, fill = frozenset(self.processes.living), self._clock.monotonic_ms(), shadow.rules.fill_ms or self.fill_ms

        def work() -> bool:
            return shadow.look(unix_ms, began, live_edges=live, fill_ms=fill)

        if await (asyncio.to_thread(work) if len(pool.mirror) > THREAD_TICKETS else _now(work)):
            shadow.looked(began, self._clock.monotonic_ms())

    def compared(self) -> list[Compared]:
        """Live rules and shadows of the modes that this process leads."""
        shadows = [pool.mirror.shadow for pool in self._pools.values() if pool.leads]
        return [shadow.compared() for shadow in shadows if shadow is not None]

    async def _break_parties(self, pool: PoolState) -> None:
        """A member of a party left the queue: the others leave with it, and are told."""
        gone = {(ticket.party, ticket.party_size, ticket.trust): ticket for ticket in pool.mirror.left}
        for ticket in gone.values():
            for mate in pool.mirror.pool.party_of(ticket):
                if not await self._store.ticket_cancel(mate.mode, mate.id):
                    continue  # it left by itself
                event = InboxEvent(
                    kind="dequeued", mode=mate.mode, session=mate.session, ticket=mate.id, reason=Reason.PARTY_LEFT,
                    detail="a member of your party left the queue; queue again together",
                )  # fmt: skip
                await self._tell(mate.edge, [event])
        pool.mirror.left.clear()

    # ------------------------------------------------------------------------------------------ seats of running matches

    def vacant(self, event: InboxEvent) -> None:
        """A host answers. It is looked at with the pool: see edge/vacancies.py for the whole of it."""
        if (pool := self._pools.get(event.mode)) is not None and pool.leads:
            pool.vacant.append((self._clock.monotonic_ms(), event))

    async def _ask_for_vacancies(self, mode: str) -> bool:
        """Where people wait whom no new match could be made of. Whether anybody was asked."""
        pool, now_ms = self._pools[mode], self._clock.monotonic_ms()
        rule = pool.mirror.rules.backfill
        if rule is None or not rule.people or not len(pool.mirror) or now_ms - pool.vacant_ms < VACANT_MS:
            return False
        pool.vacant_ms = now_ms
        hosts = [record.edge for record in self.processes.hosts.values() if record.matches and not record.draining]
        for host in hosts:
            await self._store.inbox_post(host, [InboxEvent(kind="vacancies", mode=mode, edge=self._edge, ms=rule.until_left_ms)])
        return bool(hosts)

    async def _backfill(self, mode: str, unix_ms: int) -> None:
        """Give the seats that hosts named to those who wait, by the mode's rules."""
        pool = self._pools[mode]
        while pool.vacant:
            came_ms, event = pool.vacant.popleft()
            if self._clock.monotonic_ms() - came_ms > VACANT_LIFE_MS or event.match is None or not await self._lease(mode):
                continue
            before, free = event.match, seats_of(event)
            taken = {seat.ticket for seat in free}
            known = {ticket.id: ticket for ticket in before.tickets}
            present = [[known[name] for name in team if name in known and name not in taken] for team in before.teams]
            vacancy = Vacancy(present, self._region, event.ms)
            joined = backfill(pool.mirror.pool, vacancy, unix_ms, live_edges=frozenset(self.processes.living))
            after = after_join(before, free, joined)
            if after is None or pool.fence is None:
                continue
            said = await self._store.match_join(before, after, f"matcher-{mode}", pool.fence)
            if said:
                pool.mirror.missing(said)
                pool.again = True
            elif said is not None:
                joining = [ticket for team in joined for ticket in team]
                pool.mirror.taken(joining)
                for ticket in joining:
                    self._waited(mode, max(0, unix_ms - ticket.created_ms))

    # ------------------------------------------------------------------------------------------- matches across regions

    def led(self, mode: str) -> PoolArrays | None:
        """The pool of a mode that this process leads; None: another does."""
        pool = self._pools.get(mode)
        return pool.mirror.pool if pool is not None and pool.leads else None

    async def grant(self, mode: str, records: Sequence[MatchRecord]) -> list[TicketId]:
        """Claim single tickets for a match elsewhere (`MatchRecord.away`); those that were missing. The pool here learns of it from the
        store, like everybody. Raises RefusedError where another process leads by now."""
        pool = self._pools[mode]
        if not await self._lease(mode) or pool.fence is None:
            raise RefusedError(Reason.NOT_FOUND, "another process leads the mode by now")
        fence = pool.fence
        pool.mirror.granted.update(ticket.id for record in records for ticket in record.tickets)
        said = await self._store.claim_many([msgspec.structs.replace(record, fence=fence) for record in records], f"matcher-{mode}")
        missing: list[TicketId] = []
        for answer in said:
            if isinstance(answer, RefusedError):
                raise answer
            missing += answer
        pool.mirror.granted.difference_update(missing)
        return missing

    def explain(self, mode: str, ticket: TicketId) -> Explanation | None:
        """Why a ticket is not matched. None: this process does not lead the mode, or explained so much lately that its ticks would
        suffer."""
        pool, began = self._pools.get(mode), self._clock.monotonic_ms()
        if pool is None or not pool.leads:
            return None
        pool.explained_ms = max(0.0, pool.explained_ms - (began - pool.explain_ms) * EXPLAIN_SHARE)
        pool.explain_ms = began
        if pool.explained_ms >= EXPLAIN_BURST_MS:
            return None
        found = explain(pool.mirror.pool, ticket, self._clock.unix_ms(), live_edges=frozenset(self.processes.living) or None)
        # What a busy machine did meanwhile is not ours: one explanation never silences the next few.
        pool.explained_ms += min(self._clock.monotonic_ms() - began, EXPLAIN_BURST_MS / 4)
        return found


async def _now(work: Callable[[], bool]) -> bool:
    return work()
