"""What must reach the store although the tick cannot wait: ends of matches and evidence.

Ends of matches are kept in order and tried until the store has them (at most limits.MATCHES_MAX wait: new matches are refused
before one is lost); players hear of their result after that. Evidence is kept as long as there is room, then the oldest goes
and is counted. Coordinators are told of it once it is stored: a broker that is away keeps nothing from the store.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from gameedge.bus import topics
from gameedge.bus.base import Bus
from gameedge.bus.payloads import Verdict, encode
from gameedge.core import limits
from gameedge.core.errors import RefusedError, UnavailableError
from gameedge.core.ids import MatchId, PlayerId, RegionId
from gameedge.edge.host import Ended
from gameedge.state.base import Evidence, RegionStore
from gameedge.telemetry import logs

EVIDENCE_WAITING_MAX: Final = 256
VERDICTS_WAITING_MAX: Final = 1_024  # for the broker; drop oldest: the evidence itself is in the store
AGAIN_MS: Final = 500
log = logs.get(__name__)


class Recorder:
    """Three tasks, three queues. `stored` hears of each end that is in the store, `disowned` of those that the region did not take:
    it had given the match up before."""

    def __init__(
        self, store: RegionStore, bus: Bus, region: RegionId, stored: Callable[[Ended], None], disowned: Callable[[Ended], None]
    ) -> None:
        self._store, self._bus, self._region = store, bus, region
        self._stored, self._disowned = stored, disowned
        self._ends: deque[Ended] = deque()
        self._evidence: deque[Evidence] = deque(maxlen=EVIDENCE_WAITING_MAX)
        self._verdicts: deque[Verdict] = deque(maxlen=VERDICTS_WAITING_MAX)
        self._more_ends, self._more_evidence, self._more_verdicts = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.evidence_dropped = 0
        self.failed = 0

    @property
    def waiting(self) -> int:
        return len(self._ends)

    def __contains__(self, match: MatchId) -> bool:
        """Whether this end still waits for the store."""
        return any(ended.match.id == match for ended in self._ends)

    @property
    def full(self) -> bool:
        """New matches must be refused."""
        return len(self._ends) >= limits.MATCHES_MAX

    def end(self, ended: Ended) -> None:
        self._ends.append(ended)
        self._more_ends.set()

    def flag(self, evidence: Evidence) -> None:
        if len(self._evidence) == EVIDENCE_WAITING_MAX:
            self.evidence_dropped += 1
        self._evidence.append(evidence)
        self._more_evidence.set()

    def forget(self, player: PlayerId) -> None:
        """Evidence of a player that still waits is dropped: the player is being erased."""
        self._evidence = deque((e for e in self._evidence if e.player != player), maxlen=EVIDENCE_WAITING_MAX)
        self._verdicts = deque((v for v in self._verdicts if v.player != player), maxlen=VERDICTS_WAITING_MAX)

    async def run_ends(self) -> None:
        while True:
            await self._more_ends.wait()
            self._more_ends.clear()
            again = False
            while self._ends:
                ended = self._ends[0]
                record = ended.match.record
                try:
                    closed = await self._store.match_close(record.mode, record.match, ended.result, by=record)
                except RefusedError as error:
                    log.warning("a_result_waits_for_the_store", match=record.match, detail=error.detail)
                    again = True  # that answer may have been lost after the match was closed
                    await asyncio.sleep(AGAIN_MS / 1000)
                    continue
                self._ends.popleft()
                if closed or again or ended.result is None:
                    self._stored(ended)
                else:
                    log.error("a_result_was_not_taken", match=record.match)
                    self._disowned(ended)
                again = False

    async def run_evidence(self) -> None:
        while True:
            await self._more_evidence.wait()
            self._more_evidence.clear()
            while self._evidence:
                evidence = self._evidence[0]
                try:
                    await self._store.evidence_add(evidence)
                except UnavailableError:
                    await asyncio.sleep(AGAIN_MS / 1000)
                    continue
                except RefusedError as error:
                    log.warning("evidence_was_refused", detail=error.detail)
                    self.failed += 1
                else:
                    self._verdicts.append(_verdict(evidence))
                    self._more_verdicts.set()
                if self._evidence and self._evidence[0] is evidence:  # else: it was dropped for newer ones meanwhile
                    self._evidence.popleft()

    async def run_verdicts(self) -> None:
        while True:
            await self._more_verdicts.wait()
            self._more_verdicts.clear()
            while self._verdicts:
                verdict = self._verdicts[0]
                try:
                    await self._bus.publish(topics.verdicts(self._region), encode(verdict))
                except UnavailableError:
                    await asyncio.sleep(AGAIN_MS / 1000)
                    continue
                except RefusedError as error:
                    log.warning("verdict_was_refused", flag=verdict.flag, detail=error.detail)
                if self._verdicts and self._verdicts[0] is verdict:
                    self._verdicts.popleft()

    async def finish(self, timeout_s: float) -> bool:
        """Wait until every end is stored. False: time ran out."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._ends:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            return False
        return True


def _verdict(evidence: Evidence) -> Verdict:
    return Verdict(
        flag=evidence.flag,
        player=evidence.player,
        match=evidence.match,
        at_ms=evidence.at_ms,
        rule=evidence.rule,
        score=evidence.score,
        reasons=evidence.reasons[:8],
    )
