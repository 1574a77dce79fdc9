"""Matches begin and end here: what the store gave to this process is opened once, and what ends is told and recorded."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from zlib import crc32

import numpy as np

from gameedge.core.errors import Reason, RefusedError
from gameedge.core.game import Outcome
from gameedge.edge.host import Ended, HostedMatch
from gameedge.edge.reaper import UNOPENED_MS
from gameedge.edge.tick import NPC_MODEL
from gameedge.state.base import InboxEvent, MatchRecord
from gameedge.telemetry import logs

if TYPE_CHECKING:
    from gameedge.edge.app import Edge

FORMER_LIFE_MS: Final = 5_000
log = logs.get(__name__)


class Matches:
    """Owned by `Edge`; reads its parts."""

    def __init__(self, edge: "Edge") -> None:
        self._edge = edge

    async def open(self, record: MatchRecord) -> None:
        """Open what the store gave to this process, once however often it is heard: a match, the offer of one that its players must
        accept first, or the grant of a ticket to a match elsewhere. Raises RefusedError."""
        edge = self._edge
        if record.away:
            await edge.crossings.granted(record)  # no match: one ticket of a match elsewhere
            return
        if record.match in edge.recorder:
            return  # the event is heard again and the match is over
        late = edge.clock.unix_ms() - record.created_ms > UNOPENED_MS / 2
        if late and edge.host.get(record.match) is None and await edge.store.match_get(record.mode, record.match) is None:
            return  # given up meanwhile: its tickets are queued again
        if record.accept_ms and not edge.lobby.draining and not edge.recorder.full:
            await edge.offers.offer(record)
            return
        started = edge.host.started
        try:
            if edge.lobby.draining or edge.recorder.full:
                raise RefusedError(Reason.DRAINING, "this process takes no more matches")
            match = edge.host.open(record, edge.clock.monotonic_ms(), edge.clock.unix_ms())
        except RefusedError as error:
            log.warning("match_not_opened", match=record.match, reason=str(error.reason), detail=error.detail)
            if error.reason is Reason.UNSUPPORTED:  # trying again would end the same way
                await self._give_up(record, error.detail)
            else:
                await edge.store.match_unclaim(record)
            return
        except Exception as error:  # of a game that somebody else wrote: else its players would wait for ever
            log.fault("match_not_opened", error, match=record.match)
            edge.metrics.counter("errors_total", where="game").add()
            await self._give_up(record, "the game could not open the match; it was logged")
            return
        if edge.host.started > started:
            self.enter_npcs(match)
        edge.metrics.counter("matches_started_total", mode=record.mode).value += edge.host.started - started
        if not await edge.checkpoints.first(match) or record.guests:
            return  # guests are told by their own regions
        for name, events in edge.seating.offers(match).items():
            await edge.events.post(name, events)

    async def _give_up(self, record: MatchRecord, why: str) -> None:
        """It is no match, and its players are told."""
        await self._edge.store.match_close(record.mode, record.match, None)
        for ticket in () if record.guests else record.tickets:
            lost = InboxEvent(kind="lost", match_id=record.match, session=ticket.session, ticket=ticket.id, detail=why)
            await self._edge.events.post(ticket.edge, [lost])

    def enter_npcs(self, match: HostedMatch) -> None:
        """The NPCs of a match that was just opened here begin to think."""
        game = self._edge.game
        if game.spec.observation_size:
            seats = range(game.spec.modes[match.record.mode].seats)
            entities = np.array([game.entity(match.slot, seat) for seat in seats], np.int32)
            self._edge.engine.enter(NPC_MODEL, entities, (crc32(match.id.encode()) & 0xFFFF) / 65_536)

    def ended(self, outcomes: Sequence[Outcome]) -> None:
        """These ended within the tick that just ran."""
        for ended in self._edge.host.ended(outcomes, self._edge.clock.unix_ms()):
            self._over(ended)

    def end_abandoned(self) -> None:
        """Those that nobody plays any more end here."""
        edge = self._edge
        for ended in edge.host.abandoned(edge.clock.monotonic_ms(), edge.clock.unix_ms()):
            self._over(ended)

    def _over(self, ended: Ended) -> None:
        self._edge.seating.match_over(ended)
        self._edge.recorder.end(ended)

    async def bury_former_life(self) -> None:
        """Matches that a killed process of this name left in the store are lost, unless their `host` event was still unread."""
        edge = self._edge
        left: list[MatchRecord] | None = None
        while True:
            try:
                if left is None:
                    left = [m for mode in edge.game.spec.modes for m in await edge.store.matches(mode) if m.host == edge.config.edge]
                    for record in left:
                        await edge.failover.adopt(record)
                    await asyncio.sleep(FORMER_LIFE_MS / 1000)
                waiting = edge.events.unopened
                for record in left:
                    known = edge.host.get(record.match) is not None or record.match in waiting or record.match in edge.recorder
                    known = known or record.match in edge.offers or record.match in edge.crossings
                    if not known and record.accept_ms:
                        await edge.store.match_unclaim(record)  # it was only offered
                    elif not known and await edge.store.match_close(record.mode, record.match, None, by=record):
                        log.warning("match_lost_with_its_process", match=record.match, name=record.host)
                return
            except RefusedError as error:
                log.debug("former_life_waits", detail=error.detail)
                await asyncio.sleep(1.0)
