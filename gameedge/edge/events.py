"""What the region's processes tell each other: each has an inbox in the store, read in order, and each event has one part here.

Guarantee. An event is taken off the queue only when its part is done with it: one that needs the store waits for it, and the others
    behind it. One that breaks its part is counted and let go, so that no event can deafen a process.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from gameedge.core.errors import RefusedError
from gameedge.core.ids import EdgeId, MatchId
from gameedge.edge.explaining import compared, explained
from gameedge.state.base import InboxEvent
from gameedge.telemetry import logs

if TYPE_CHECKING:
    from gameedge.edge.app import Edge

INBOX_BLOCK_MS: Final = 1_000
log = logs.get(__name__)


class Events:
    """Owned by `Edge`; reads its parts."""

    def __init__(self, edge: "Edge") -> None:
        self._edge = edge
        self._name = EdgeId(edge.config.edge)
        self._waiting: deque[InboxEvent] = deque()  # taken from the inbox, not handled yet

    @property
    def unopened(self) -> set[MatchId]:
        """Matches that events speak of which are taken from the inbox and not handled yet."""
        return {event.match.match for event in self._waiting if event.match is not None}

    async def post(self, edge: EdgeId, events: Sequence[InboxEvent]) -> None:
        """Tell another process, or this one, in this order. Raises RefusedError."""
        if edge == self._name:  # the short way
            for event in events:
                await self.heard(event)
        else:
            await self._edge.store.inbox_post(edge, events)

    async def run(self) -> None:
        """For the life of the process: events in order. One that needs the store waits for it, and the others behind it."""
        waiting = self._waiting
        while True:
            try:
                if not waiting:
                    waiting.extend(await self._edge.store.inbox_read(self._name, INBOX_BLOCK_MS))
                while waiting:
                    for _ in range(await self._answer_together() or await self._heard_one(waiting[0])):
                        waiting.popleft()
            except RefusedError as error:
                log.debug("inbox_waits", detail=error.detail)
                await asyncio.sleep(0.2)
            except Exception as error:  # one event that breaks us must not deafen the process
                log.fault("event_failed", error)
                if waiting:
                    waiting.popleft()
                else:
                    await asyncio.sleep(0.2)
                self._edge.metrics.counter("errors_total", where="inbox").add()

    async def _heard_one(self, event: InboxEvent) -> int:
        await self.heard(event)
        return 1

    async def _answer_together(self) -> int:
        """How many of the first events ask for seats here, all answered with one call to the store for each process that asked:
        after a death a thousand players ask at once."""
        asked: dict[EdgeId, list[InboxEvent]] = {}
        count = 0
        for event in self._waiting:
            if event.kind != "rejoin" or event.edge is None or event.match_id is None or self._edge.host.get(event.match_id) is None:
                break
            asked.setdefault(event.edge, []).append(event)
            count += 1
        for edge, events in asked.items():
            await self.post(edge, [self._edge.seating.rejoin(event) for event in events])
        return count

    async def heard(self, event: InboxEvent) -> None:
        """Give one event to the part that it is for. Raises RefusedError."""
        edge = self._edge
        match event.kind:
            case "host" if event.match is not None:
                await edge.matches.open(event.match)
            case "found":
                edge.seating.found(event)
            case "lost":
                edge.seating.lost(event)
            case "vacancies" if not edge.lobby.draining:
                await edge.vacancies.tell(event)
            case "vacant":
                edge.matcher.vacant(event)
            case "fill" if event.match is not None:
                await edge.vacancies.filled(event.match)
            case "offer":
                await edge.queueing.offered(event)
            case "accept" | "decline":
                await edge.offers.heard(event)
            case "withdrawn":
                edge.queueing.withdrawn(event)
            case "dequeued":
                edge.queueing.ended(event)
            case "cross":
                await edge.crossings.cross(event)
            case "crossed":
                await edge.crossings.crossed(event)
            case "held":
                edge.crossings.held(event)
            case "rejoin" if event.match_id is not None and event.match_id in edge.crossings:
                await edge.crossings.moved(event)
            case "rejoin" if event.match_id is not None and event.match_id in edge.offers:
                await edge.offers.moved(event)
            case "rejoin" if event.edge is not None:
                if await self._expects(event):
                    return  # its `adopt` is on the way: whoever asks will ask again
                await self.post(event.edge, [edge.seating.rejoin(event)])
            case "explain" if event.edge is not None and event.ticket is not None:
                await self.post(event.edge, [explained(event, edge.matcher)])
            case "compare" if event.edge is not None:
                await self.post(event.edge, [compared(event, edge.matcher)])
            case "explained":
                edge.queueing.explaining.heard(event, edge.reports.eta_ms)
            case "adopt":
                await edge.failover.heard(event)

    async def _expects(self, event: InboxEvent) -> bool:
        """Whether a match that is not here was given to us by the store, or has moved on."""
        edge = self._edge
        if event.match_id is None or not event.mode or edge.host.get(event.match_id) is not None or event.match_id in edge.recorder:
            return False
        return await edge.store.match_get(event.mode, event.match_id) is not None
