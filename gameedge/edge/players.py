"""Who is here: the players of this process by session, player and resume token, and their records in the store.

Records are written many to a call: while one call is on its way, whoever changes is noted, and goes with the next, as it stands then.
After a death a thousand sessions come at once and each changes three times within a second.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice
from typing import Final

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError, UnavailableError
from gameedge.core.ids import EdgeId, PlayerId, SessionId
from gameedge.core.protocol.messages import Accept, Cancel, Decline, Explain, Queue, tag_of
from gameedge.edge.clock import Clock
from gameedge.edge.journeys import Journeys
from gameedge.edge.lanes import Lanes
from gameedge.edge.player import Player
from gameedge.state.base import RegionStore, SessionRecord
from gameedge.telemetry import logs

LATER_MAX: Final = 4_096  # clean-ups that wait for the store; drop oldest (a ticket then costs one match a seat for an NPC)
RECORD_MS: Final = limits.TOKEN_LIFE_MS  # a session's record is kept this long after its last change
AGAIN_MS: Final = 200.0  # after a store that did not take records
FINISH_MS: Final = 500.0  # for the last records before the process ends
log = logs.get(__name__)


class Players:
    """The index of all sessions of the process, connected or waiting for a resume."""

    def __init__(self, store: RegionStore, lanes: Lanes, edge: EdgeId, clock: Clock, journeys: Journeys | None = None) -> None:
        self._store, self._lanes, self._edge, self._clock = store, lanes, edge, clock
        self.journeys = journeys or Journeys()
        self._by_session: dict[SessionId, Player] = {}
        self._by_player: dict[PlayerId, Player] = {}
        self._by_resume: dict[str, Player] = {}
        self._later: deque[Callable[[], Awaitable[object]]] = deque(maxlen=LATER_MAX)
        self._changed: dict[SessionId, Player] = {}  # whose records are to be written, in the order of their first change
        self._some_changed = asyncio.Event()
        self._writing: asyncio.Future[None] | None = None  # done when the call that is on its way is over

    def __len__(self) -> int:
        return len(self._by_session)

    def __iter__(self) -> Iterator[Player]:
        return iter(list(self._by_session.values()))

    def __contains__(self, player: Player) -> bool:
        return self._by_session.get(player.session.session) is player

    def get(self, session: SessionId | None) -> Player | None:
        return self._by_session.get(session) if session is not None else None

    def named(self, player: PlayerId) -> Player | None:
        return self._by_player.get(player)

    def resuming(self, resume_hash: str) -> Player | None:
        return self._by_resume.get(resume_hash)

    def add(self, player: Player) -> None:
        self._by_session[player.session.session] = player
        self._by_player[player.id] = player
        self._by_resume[player.resume_hash] = player

    def forget(self, player: Player) -> None:
        """The session is over in this process; where it moved to another, that one keeps its record and ticket."""
        if self._by_session.pop(player.session.session, None) is None:
            return
        self.journeys.ended(player, "gone")
        if self._by_player.get(player.id) is player:
            del self._by_player[player.id]
        self._by_resume.pop(player.resume_hash, None)
        if player.link is not None:
            player.link.player = None
        if not self._lanes.submit(player.resume_hash, lambda: self._clean_up(player)):
            self.later(lambda: self._clean_up(player, again=True))

    def submit(self, player: Player, message: Queue | Cancel | Explain | Accept | Decline, job: Callable[[], Awaitable[None]]) -> None:
        """Work for the store that a client asked for: refused to it where it cannot be done."""

        async def guarded() -> None:
            try:
                await job()
            except RefusedError as error:
                player.session.refuse(
                    tag_of(message),
                    error.reason,
                    self._clock.monotonic_ms(),
                    detail=error.detail,
                    n=message.n,
                    retry_after_ms=error.retry_after_ms,
                )
                player.flush()

        if not self._lanes.submit(player.resume_hash, guarded):
            now_ms = self._clock.monotonic_ms()
            player.session.refuse(tag_of(message), Reason.UNAVAILABLE, now_ms, detail="too much to do", n=message.n)

    def remember(self, player: Player) -> None:
        """Write the session's record soon. While the store is away it waits; who resumes elsewhere meanwhile begins a new session."""
        self._changed[player.session.session] = player
        self._some_changed.set()

    async def run(self) -> None:
        """For the life of the process: write what changed."""
        while True:
            await self._some_changed.wait()
            self._some_changed.clear()
            while self._changed:
                if not await self._write_some():
                    await asyncio.sleep(AGAIN_MS / 1000)

    async def _write_some(self) -> bool:
        """One call. False: the store did not take it, and they are still to be written."""
        some = [self._changed.pop(session) for session in list(islice(self._changed, limits.SESSIONS_AT_ONCE))]
        self._writing = asyncio.get_running_loop().create_future()
        try:
            await self._store.sessions_put([self._record(player) for player in some if player in self], RECORD_MS)
        except RefusedError as error:
            log.debug("records_wait", detail=error.detail)
            for player in some:
                self._changed.setdefault(player.session.session, player)
            return False
        finally:
            self._writing.set_result(None)
            self._writing = None
        return True

    async def finish(self) -> None:
        """Before the process ends: what was to be written is, if the store takes it."""
        deadline = self._clock.monotonic_ms() + FINISH_MS
        while (self._changed or self._writing is not None) and self._clock.monotonic_ms() < deadline:
            await asyncio.sleep(0.01)

    def _record(self, player: Player) -> SessionRecord:
        return SessionRecord(
            session=player.session.session,
            player=player.id,
            edge=self._edge,
            resume_hash=player.resume_hash,
            ticket=player.ticket,
            mode=player.mode,
            match=player.match,
            sent_s=player.session.sent_s,
            received_n=player.session.received_n,
            queued_ms=player.queued_ms if player.ticket is not None else 0,
            token_hash=player.token_hash,
        )

    def later(self, job: Callable[[], Awaitable[object]]) -> None:
        """What could not be tidied up now, or may not have been, is done once the store answers; doing it twice is harmless."""
        self._later.append(job)

    async def sweep(self) -> None:
        """About once a second. Raises RefusedError while the store is away."""
        while self._later:
            job = self._later[0]
            try:
                await job()
            except RefusedError:
                raise
            except Exception as error:  # one that breaks us must not keep the others for ever
                log.fault("clean_up_failed", error)
            if self._later and self._later[0] is job:
                self._later.popleft()

    async def _clean_up(self, player: Player, *, again: bool = False) -> None:
        try:
            await self._clean(player)
        except UnavailableError:
            if again:
                raise
            self.later(lambda: self._clean_up(player, again=True))

    async def _clean(self, player: Player) -> None:
        if self._writing is not None:
            await asyncio.wait([self._writing])  # its record may be under way: it would outlive what follows
        record = await self._store.session_get(player.resume_hash)
        if player.resume_hash in self._by_resume or (record is not None and record.edge != self._edge):
            return  # the session goes on, here again or elsewhere
        if player.ticket is not None and player.mode is not None:
            await self._store.ticket_cancel(player.mode, player.ticket)
        if record is not None:
            await self._store.session_delete(player.resume_hash)
