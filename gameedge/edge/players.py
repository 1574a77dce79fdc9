"""Who is here: the players of this process by session, player and resume token, and their records in the store."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
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

LATER_MAX: Final = 4_096  # clean-ups that wait for the store; drop oldest (a ticket then costs one match a seat for an NPC)
RECORD_MS: Final = limits.TOKEN_LIFE_MS  # a session's record is kept this long after its last change


class Players:
    """The index of all sessions of the process, connected or waiting for a resume."""

    def __init__(self, store: RegionStore, lanes: Lanes, edge: EdgeId, clock: Clock, journeys: Journeys | None = None) -> None:
        self._store, self._lanes, self._edge, self._clock = store, lanes, edge, clock
        self.journeys = journeys or Journeys()
        self._by_session: dict[SessionId, Player] = {}
        self._by_player: dict[PlayerId, Player] = {}
        self._by_resume: dict[str, Player] = {}
        self._later: deque[Callable[[], Awaitable[object]]] = deque(maxlen=LATER_MAX)

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
        """Write the session's record, behind whatever else its lane does. Lost only if the store is away: then a resume
        elsewhere begins a new session."""
        self._lanes.submit(player.resume_hash, lambda: self.store_record(player))

    async def store_record(self, player: Player) -> None:
        if player not in self:
            return
        record = SessionRecord(
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
        )
        await self._store.session_put(record, RECORD_MS)

    def later(self, job: Callable[[], Awaitable[object]]) -> None:
        """What could not be tidied up now, or may not have been, is done once the store answers; doing it twice is harmless."""
        self._later.append(job)

    async def sweep(self) -> None:
        """About once a second. Raises RefusedError while the store is away."""
        while self._later:
            job = self._later[0]
            await job()
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
        record = await self._store.session_get(player.resume_hash)
        if record is not None and record.edge != self._edge:
            return
        if player.ticket is not None and player.mode is not None:
            await self._store.ticket_cancel(player.mode, player.ticket)
        if record is not None:
            await self._store.session_delete(player.resume_hash)
