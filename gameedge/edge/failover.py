"""Matches that outlive their process: adoption after a death, and handing over on purpose.

Problem. A match lives in one process. When that dies (kill -9, a crash, a machine) its players must be back in their match within
    two seconds, with a state at most a second old, and no two processes may ever both believe that it is theirs.
Method. Each match's state is in the region's store (`checkpoints.py`), and deaths are noticed (`deaths.py`). Every living process takes
    its share of the dead one's matches (rendezvous hashing over match and process), by a compare-and-set of host and epoch,
    ADOPT_AT_ONCE to a call; after ORPHAN_MS whoever has room takes what is left. Matches come before players (`arrivals.py`), and both
    are opened BUDGET_MS at a time, so that the ticks of matches that run here already stay in time.
Fencing. The epoch. A process that was only asleep finds its checkpoint or its result refused, drops the match and asks, like
    everybody else, where its players belong now: what it computed meanwhile counts for nothing.
Guarantee. Sessions are not touched: critical messages are numbered on by whoever adopts the session, so a client sees contiguous
    numbers. What is lost is the state since the checkpoint, and inputs that were on their way.
Why no input log: a replay of the last half second would save that half second only, at a write for every command batch; see
    docs/decisions.
"""

import asyncio
import contextlib
from collections.abc import Collection, Iterable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import msgspec

from gameedge.core.errors import RefusedError
from gameedge.core.game import Movable
from gameedge.core.ids import EdgeId, MatchId
from gameedge.edge import checkpoints
from gameedge.edge.deaths import Deaths
from gameedge.edge.host import HostedMatch
from gameedge.state.base import EdgeRecord, InboxEvent, MatchRecord
from gameedge.telemetry import logs

if TYPE_CHECKING:
    from gameedge.edge.app import Edge

LOOK_MS: Final = 25.0
ADOPT_AT_ONCE: Final = 128  # matches taken over by one call to the store
BUDGET_MS: Final = 4.0  # of matches opened between two looks at sockets and ticks
HAND_OVER_FAILURES_MAX: Final = 3  # in a row: the store is away, and matches stay
ORPHAN_MS: Final = 400.0
TAKE_AGAIN_MS: Final = 100.0  # between two looks at what dead processes still have
HEIRS_MS: Final = 1_000.0  # between two looks who would go on with our matches
WATCH_MS: Final = 5_000.0  # after a death: places are looked for often
ASK_MS: Final = 100.0
log = logs.get(__name__)


class Failover:
    """Owned by `Edge`; reads its parts. Does little for a game that is not `Movable`."""

    def __init__(self, edge: "Edge") -> None:
        self._edge = edge
        self._name = EdgeId(edge.config.edge)
        self._game: Movable | None = edge.game if isinstance(edge.game, Movable) else None
        self._checkpoints, self._deaths = edge.checkpoints, Deaths(edge)
        self.listen = self._deaths.listen
        self._watch_until_ms = 0.0
        self._take_ms = 0.0  # not before
        self._taking: set[MatchId] = set()
        self._unsure: set[MatchId] = set()  # taken over perhaps: the store's answer was lost

    # ------------------------------------------------------------------------------------------------------- noticing

    def watch_soon(self) -> None:
        """A match of ours belongs to another process by now: its players are looked after for a while, as after a death."""
        self._watch_until_ms = self._edge.clock.monotonic_ms() + WATCH_MS

    async def watch(self) -> None:
        """Notice deaths and take over. While bus and store are fine and everybody beats, it asks nobody."""
        while True:
            await asyncio.sleep(LOOK_MS / 1000)
            now_ms = self._edge.clock.monotonic_ms()
            suspects = self._deaths.suspects(now_ms)
            watching = now_ms < self._watch_until_ms
            self._edge.lobby.places.crowded = watching or bool(suspects)
            try:
                if watching:
                    await self._edge.lobby.places.ask_together(ASK_MS, self._deaths.dead)
                if suspects and await self._deaths.judge(suspects):
                    self._take_ms = 0.0
                    self.watch_soon()
                if (self._deaths.dead or self._unsure) and now_ms >= self._take_ms:
                    await self._take_over(now_ms)
            except RefusedError as error:
                log.debug("failover_waits", detail=error.detail)
                await asyncio.sleep(0.1)
            except Exception as error:  # whatever is wrong with a match that was left, this process has its own
                log.fault("failover_failed", error)
                self._edge.metrics.counter("errors_total", where="failover").add()
                await asyncio.sleep(0.1)

    async def tell_heirs(self) -> None:
        """For the life of the process: players know before it dies who would go on with their match, so that all who lose it at once
        come to the right process at once."""
        while True:
            await asyncio.sleep(HEIRS_MS / 1000)
            if self._game is None:
                continue
            try:
                edges = await self._edge.store.edges()
            except RefusedError:
                continue
            urls = {e.edge: e.url for e in edges if e.edge != self._name and e.edge not in self._deaths.dead and not e.draining}
            began_ms = self._edge.clock.monotonic_ms()
            for match in self._edge.host:
                url = urls[heir(match.id, urls)] if urls else ""
                if url != match.fallback:
                    self._edge.seating.fall_back_to(match, url)
                if self._edge.clock.monotonic_ms() - began_ms > BUDGET_MS:
                    await asyncio.sleep(0)
                    began_ms = self._edge.clock.monotonic_ms()

    # ----------------------------------------------------------------------------------------------------- taking over

    async def _take_over(self, now_ms: float) -> None:
        """Our share of what dead processes left; later, whatever is still there."""
        if self._game is None or self._edge.lobby.draining:
            self._deaths.dead.clear()
            return
        store, modes = self._edge.store, list(self._edge.game.spec.modes)
        left: set[EdgeId] = set()
        self._edge.lobby.hold(True)
        try:
            edges, found = await asyncio.gather(store.edges(), asyncio.gather(*(store.matches(mode) for mode in modes)))
            alive = [record.edge for record in edges if record.edge not in self._deaths.dead and not record.draining]
            for mode, records in zip(modes, found, strict=True):
                ours: list[MatchRecord] = []
                for record in records:
                    if record.host in self._deaths.dead:
                        left.add(record.host)
                        late = now_ms - self._deaths.dead[record.host] > ORPHAN_MS
                        if late or not alive or heir(record.match, alive) == self._name:
                            ours.append(record)
                    elif record.match in self._unsure and record.host == self._name:
                        await self._go_on_after_all(record)
                await self._adopt_many(mode, ours)
        finally:
            self._edge.lobby.hold(False)
        self._unsure.clear()
        self._take_ms = self._edge.clock.monotonic_ms() + TAKE_AGAIN_MS
        for name, since_ms in list(self._deaths.dead.items()):
            if name not in left or now_ms - since_ms > WATCH_MS:  # what is left then is the matcher's to settle
                del self._deaths.dead[name]

    async def _adopt_many(self, mode: str, records: Sequence[MatchRecord]) -> int:
        """Go on with matches of one mode whose host is gone, as far as there is room; with how many. Those that cannot be gone on
        with, or that somebody was faster with, are left alone. The store is asked for all at once, and they are opened as it answers.
        Raises UnavailableError."""
        wanted = [r for r in records if r.match not in self._taking and self._edge.host.get(r.match) is None][: self._room(mode)]
        names = {record.match for record in wanted}
        self._taking |= names
        gone_on = 0
        try:
            async with contextlib.AsyncExitStack() as stack:
                calls: list[asyncio.Task[list[tuple[MatchRecord, bytes] | None]]] = []
                for first in range(0, len(wanted), ADOPT_AT_ONCE):
                    asked = self._edge.store.matches_adopt(mode, wanted[first : first + ADOPT_AT_ONCE], self._name)
                    calls.append(asyncio.create_task(asked, name=f"adopt-{mode}-{first}"))
                    stack.push_async_callback(_over, calls[-1])
                for call in calls:
                    gone_on += await self._go_on_all([each for each in await call if each is not None])
        except RefusedError:
            self._unsure |= names  # it may have been done all the same
            raise
        finally:
            self._taking -= names
        return gone_on

    async def _go_on_all(self, taken: Iterable[tuple[MatchRecord, bytes]]) -> int:
        """BUDGET_MS at a time; then their players that are here already are told."""
        clock, opened = self._edge.clock, set[MatchId]()
        began_ms, oldest_ms = clock.monotonic_ms(), 0.0
        for record, data in taken:
            age_ms = await self._go_on(record, data)
            if age_ms is not None:
                opened.add(record.match)
                oldest_ms = max(oldest_ms, age_ms)
            if clock.monotonic_ms() - began_ms > BUDGET_MS:
                await asyncio.sleep(0)
                began_ms = clock.monotonic_ms()
        if opened:
            log.info("matches_adopted", count=len(opened), ms=round(oldest_ms))
        self.watch_soon()
        self._edge.lobby.places.seat_all(opened)
        return len(opened)

    async def _go_on_after_all(self, record: MatchRecord) -> None:
        """It is ours since a call whose answer was lost. Raises UnavailableError."""
        if self._edge.host.get(record.match) is None and record.match not in self._edge.recorder:
            data = await self._edge.store.checkpoint_get(record.mode, record.match)
            if data is not None:
                await self._go_on_all([(record, data)])

    async def adopt(self, record: MatchRecord) -> bool:
        """Go on with a match whose host is gone. False: it cannot be (it was never opened, or there is no room here), or somebody was
        faster. Raises UnavailableError."""
        return self._game is not None and await self._adopt_many(record.mode, [record]) > 0

    async def heard(self, event: InboxEvent) -> None:
        """Another process handed a match to us. Raises UnavailableError."""
        record = event.match
        if record is None or record.host != self._name or self._edge.host.get(record.match) is not None:
            return
        data = await self._edge.store.checkpoint_get(record.mode, record.match)
        if data is not None and await self._edge.store.match_get(record.mode, record.match) == record:
            await self._go_on_all([(record, data)])

    def _room(self, mode: str) -> int:
        """For how many more matches of this mode."""
        edge = self._edge
        spec = edge.game.spec.modes.get(mode)
        if spec is None:
            return 0
        return max(0, min(edge.config.matches_max - len(edge.host), (edge.config.entities_max - edge.host.seats) // spec.seats))

    async def _go_on(self, record: MatchRecord, data: bytes) -> float | None:
        """How old its state is, ms. None: it cannot be gone on with, and is settled. Raises UnavailableError."""
        edge = self._edge
        try:
            kept = checkpoints.decoder.decode(data)
            match = edge.host.open(record, edge.clock.monotonic_ms(), kept.opened_ms, fresh=False)
        except (msgspec.DecodeError, RefusedError) as error:
            await self._settle_lost(record, str(error))
            return None
        assert self._game is not None
        try:
            self._game.unpack_match(match.slot, kept.state)
        except Exception as error:  # of a game that somebody else wrote: the other matches that were taken over go on
            if not isinstance(error, RefusedError):
                log.fault("match_not_unpacked", error, match=match.id)
                edge.metrics.counter("errors_total", where="failover").add()
            edge.host.drop(match)
            await self._settle_lost(record, error.detail if isinstance(error, RefusedError) else "the game could not go on with its state")
            return None
        untold = edge.host.restore(match, [(s.seat, s.match_token, s.session, s.joined, s.ticket) for s in kept.seats])
        edge.matches.enter_npcs(match)
        age_ms = max(0.0, edge.clock.unix_ms() - kept.at_ms)
        edge.metrics.counter("matches_adopted_total", mode=record.mode).add()
        edge.metrics.histogram("adopted_state_age_ms").observe(age_ms)
        self._checkpoints.keep(match.id)
        for seat in untold:
            if seat.ticket is not None:
                await edge.events.post(seat.ticket.edge, [edge.seating.offer(match, seat, seat.ticket.session)])
        return age_ms

    async def _settle_lost(self, record: MatchRecord, why: str) -> None:
        """It cannot go on: forgotten without a result, so nobody's rating changes."""
        log.error("match_not_adopted", match=record.match, detail=why)
        await self._edge.store.match_close(record.mode, record.match, None, by=record)

    # ---------------------------------------------------------------------------------------------------- handing over

    async def hand_over(self) -> None:
        """Move all matches to other processes of the region, as far as these have room; those that stay are played to their end.
        For a drain: nobody is dropped."""
        if self._game is None:
            return
        failures = 0
        for match in list(self._edge.host):
            try:
                await self._hand_over(match)
                failures = 0
            except RefusedError as error:
                failures += 1
                if failures == HAND_OVER_FAILURES_MAX:  # each may have waited for limits.STORE_WAIT_MS_MAX, while nobody may come in
                    log.warning("matches_stay", count=len(self._edge.host), detail=error.detail)
                    return

    async def _hand_over(self, match: HostedMatch) -> None:
        store, mode = self._edge.store, self._edge.game.spec.modes[match.record.mode]
        others = [record for record in await store.edges() if record.edge != self._name and not record.draining]
        open_to = [record for record in others if record.free_matches > 0 and record.free_entities >= mode.seats]
        if not open_to or self._edge.host.get(match.id) is not match:
            return
        if (state := self._checkpoints.pack(match)) is None:
            return  # it is played to its end here
        if not (await store.checkpoint_put(self._name, match.record.mode, [(match.record, state)]))[0]:
            return
        if await store.match_adopt(match.record, calmest(open_to), tell=True) is None:
            return
        if self._edge.host.get(match.id) is match:  # else it ended meanwhile; the store refuses that result: it goes on there
            self._checkpoints.let_go(match)
        self._edge.metrics.counter("matches_handed_over_total", mode=match.record.mode).add()


def heir(match: MatchId, alive: Collection[EdgeId]) -> EdgeId:
    """Whose a match is among the living: rendezvous hashing, so that all agree without a word and shares are even."""
    return max(alive, key=lambda name: (blake2b(f"{name}/{match}".encode(), digest_size=8).digest(), name))


async def _over(task: asyncio.Task[list[tuple[MatchRecord, bytes] | None]]) -> None:
    """Heard, whatever became of it."""
    if not task.done():
        task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()


def calmest(edges: Collection[EdgeRecord]) -> EdgeId:
    return min(edges, key=lambda record: (record.players, record.matches, record.edge)).edge
