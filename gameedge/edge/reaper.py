"""What dead processes left in the store: matches are queued again, gone on with or forgotten, and tickets of nobody go.

The holder of a mode's lease also reaps what a dead process left. Matches that it never opened are queued again UNOPENED_MS after
its last beat: their `host` event is still in its inbox, and taking it from there is safe even if the process only slept. Matches
that it had opened wait until it is dead for certain (its beat expired and is missing for MISSING_MS, longer where the store was
away: everybody's beat expires then); they are gone on with elsewhere or forgotten, and so are tickets whose player did not resume
within limits.RESUME_MS_MAX.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final

from gameedge.core import limits
from gameedge.core.errors import RefusedError
from gameedge.core.ids import EdgeId
from gameedge.core.matchmaking.pool import PoolArrays
from gameedge.edge.clock import Clock
from gameedge.edge.processes import HOST_AGE_MS
from gameedge.state.base import MatchRecord, RegionStore
from gameedge.telemetry import logs

REAP_MS: Final = 250.0
MATCHES_MS: Final = 900.0  # between two looks at all open matches, while every process of the region beats
UNOPENED_MS: Final = 1_000.0  # without a beat: matches that it has not taken from its inbox go back to the queue
MISSING_MS: Final = 1_000  # since this process first missed a beat that had expired
STORE_AWAY_MS: Final = 200.0  # between two tries to reach the store
log = logs.get(__name__)


class Reaper:
    """`led` gives the pool of a mode that this process leads (None: another does), `rescue` may go on with a match whose process died
    before it is forgotten."""

    def __init__(
        self,
        store: RegionStore,
        modes: Collection[str],
        edge: EdgeId,
        clock: Clock,
        led: Callable[[str], PoolArrays | None],
        rescue: Callable[[MatchRecord], Awaitable[bool]] | None = None,
    ) -> None:
        self._store, self._modes, self._edge, self._clock = store, modes, edge, clock
        self._led, self._rescue = led, rescue
        self._matches_ms = -1e12
        self._missing: dict[EdgeId, float] = {}  # hosts of open matches without a beat: since when
        self._store_back_ms = -1e12

    def store_away(self) -> None:
        """The store could not be reached just now: everybody's beats may have expired, so nothing is said of anybody for a while."""
        self._missing.clear()
        self._store_back_ms = self._clock.monotonic_ms()

    async def run(self) -> None:
        """For the life of the process."""
        while True:
            await asyncio.sleep(REAP_MS / 1000)
            try:
                await self.reap()
            except RefusedError as error:
                log.debug("reaper_waits", detail=error.detail)
                self.store_away()
                await asyncio.sleep(STORE_AWAY_MS / 1000)

    async def reap(self) -> None:
        """One look, at the modes that this process leads. Raises UnavailableError."""
        now = self._clock.monotonic_ms()
        led = [mode for mode in self._modes if self._led(mode) is not None]
        edges = {record.edge for record in await self._store.edges()} if led else set()
        if self._edge not in edges:
            return  # our own beat is not stored yet: nothing can be said of others
        for mode in led:
            pool = self._led(mode)
            tickets = list(pool.tickets()) if pool is not None else []
            gone = await self._store.tickets_gone(mode, tickets, edges, self._clock.unix_ms())
            if gone:
                log.info("tickets_dropped", mode=mode, count=len(gone), reason="nobody resumed in time")
        await self._reap_matches(led, edges, now)

    async def _reap_matches(self, led: Sequence[str], edges: Collection[EdgeId], now_ms: float) -> None:
        ages = await self._store.edge_ages()
        away = {edge for edge in ages if ages[edge] >= UNOPENED_MS and edge != self._edge}
        if ages.get(self._edge, 0.0) >= HOST_AGE_MS:
            away = set()  # our own beats are late as well: it is the store, or us
        if not away and now_ms - self._matches_ms < MATCHES_MS:
            return
        self._matches_ms = now_ms
        open_now = [record for mode in led for record in await self._store.matches(mode)]
        orphans = [record for record in open_now if record.host not in edges or record.host in away]
        await self._end_stale([record for record in open_now if record.away])
        since_back = now_ms - self._store_back_ms
        calm = since_back > 2 * limits.EDGE_DEAD_MS
        expired = {record.host for record in orphans if record.host not in edges}
        self._missing = {host: self._missing.get(host, now_ms) for host in expired}
        wait_ms = MISSING_MS if calm else limits.EDGE_DEAD_MS
        dead = {host for host, since_ms in self._missing.items() if now_ms - since_ms >= wait_ms}
        for host in {record.host for record in orphans if record.host in away and calm} | dead:
            await self._queue_again(host)
        for record in orphans:
            if record.host in dead and record.accept_ms:
                await self._store.match_unclaim(record)  # it was only offered: nobody played yet, and nobody said no
                continue
            if record.host in dead and record.away:
                await self._store.match_close(record.mode, record.match, None, by=record)  # sent: whoever comes back is told
                continue
            if record.host not in dead or (self._rescue is not None and await self._rescue(record)):
                continue
            if await self._store.match_close(record.mode, record.match, None, by=record):
                log.warning("match_lost_with_its_process", match=record.match, name=record.host)

    async def _end_stale(self, grants: Sequence[MatchRecord]) -> None:
        """Grants that their processes should have ended long ago, and did not."""
        for record in grants:
            if self._clock.unix_ms() - record.created_ms > limits.CROSSING_STALE_MS:
                if record.accept_ms:
                    await self._store.match_unclaim(record)
                else:
                    await self._store.match_close(record.mode, record.match, None, by=record)
                log.warning("grant_was_forgotten", match=record.match, name=record.host)

    async def _queue_again(self, host: EdgeId) -> None:
        """Matches that it was given and has not taken. What else is in its inbox goes back there, for its next life."""
        while events := await self._store.inbox_read(host, 0):
            rest = []
            for event in events:
                if event.kind != "host" or event.match is None:
                    rest.append(event)
                elif await self._store.match_unclaim(event.match):
                    log.info("match_queued_again", match=event.match.match, name=host)
            if rest:
                await self._store.inbox_post(host, rest)
                return
