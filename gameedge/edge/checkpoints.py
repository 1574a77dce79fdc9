"""States of the matches that run here, put into the region's store again and again: what another process goes on from (failover.py).

Method. Every CHECKPOINT_MS each match is packed (`core.game.Movable`), many to a call, whichever waited longest first. The store keeps a
    state only for the host and epoch that its match's record names: so a process that was asleep learns that a match is not its own
    any more, and lets it go. While the store is away matches go on without; then all are due at once, in portions.
A match that its game cannot pack runs on, and its last state in the store stands.
"""

import asyncio
import heapq
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final
from zlib import crc32

import msgspec

from gameedge.core.errors import RefusedError
from gameedge.core.game import Movable
from gameedge.core.ids import EdgeId, MatchId, SessionId
from gameedge.edge.host import HostedMatch
from gameedge.state.base import MatchRecord
from gameedge.telemetry import logs

if TYPE_CHECKING:
    from gameedge.edge.app import Edge

CHECKPOINT_MS: Final = 400.0
LOOK_MS: Final = 25.0
AT_ONCE: Final = 128  # checkpoints put by one call to the store
log = logs.get(__name__)


class SeatKept(msgspec.Struct, frozen=True):
    seat: int
    match_token: str
    session: SessionId | None
    joined: bool
    ticket: str = ""


class Checkpoint(msgspec.Struct, frozen=True):
    """What the store keeps of a match."""

    at_ms: int  # Unix, of the process that packed it
    opened_ms: int
    seats: list[SeatKept]
    state: bytes


_encode = msgspec.msgpack.Encoder().encode
decoder = msgspec.msgpack.Decoder(Checkpoint)


class Checkpoints:
    """Owned by `Edge`; reads its parts. Does nothing for a game that is not `Movable`."""

    def __init__(self, edge: "Edge") -> None:
        self._edge = edge
        self._name = EdgeId(edge.config.edge)
        self._game: Movable | None = edge.game if isinstance(edge.game, Movable) else None
        self._due: list[tuple[float, MatchId]] = []  # a heap: when each match of ours is packed next
        self._kept: set[MatchId] = set()  # those in it
        self._broken: set[MatchId] = set()  # those of them that the game could not pack: not tried again

    async def run(self) -> None:
        """For the life of the process. While the store is away matches go on without; then all are due at once, in portions."""
        while True:
            await asyncio.sleep(LOOK_MS / 1000)
            if self._game is None:
                continue
            try:
                while due := self._take_due(self._edge.clock.monotonic_ms()):
                    await self._put(due)
                    if len(due) < AT_ONCE:
                        break
            except RefusedError as error:
                log.debug("checkpoints_wait", detail=error.detail)
                await asyncio.sleep(0.2)

    async def first(self, match: HostedMatch) -> bool:
        """Before anybody hears of a match it can be gone on with. False: this process was asleep for so long that the match was
        given up and its tickets are queued again; nobody plays it here. Raises UnavailableError."""
        if self._game is not None and match.id not in self._kept and (state := self.pack(match)) is not None:
            [ours] = await self._edge.store.checkpoint_put(self._name, match.record.mode, [(match.record, state)])
            if not ours:
                self.let_go(match)
                return False
            self.keep(match.id)
        return True

    def keep(self, match: MatchId) -> None:
        """It is packed from now on, in its turn within the period."""
        if match not in self._kept:
            self._kept.add(match)
            turn = CHECKPOINT_MS * (crc32(match.encode()) % 1000 / 1000.0)
            heapq.heappush(self._due, (self._edge.clock.monotonic_ms() + turn, match))

    def _take_due(self, now_ms: float) -> list[HostedMatch]:
        """At most AT_ONCE matches that are to be packed now, those that wait longest first."""
        due: list[HostedMatch] = []
        while self._due and self._due[0][0] <= now_ms and len(due) < AT_ONCE:
            name = self._due[0][1]
            if (match := self._edge.host.get(name)) is None or name in self._broken:
                heapq.heappop(self._due)
                self._kept.discard(name)
                self._broken.discard(name)
            else:
                heapq.heapreplace(self._due, (now_ms + CHECKPOINT_MS, name))
                due.append(match)
        return due

    async def _put(self, matches: Iterable[HostedMatch]) -> None:
        by_mode: dict[str, list[tuple[MatchRecord, bytes]]] = {}
        for match in matches:
            if (state := self.pack(match)) is not None:
                by_mode.setdefault(match.record.mode, []).append((match.record, state))
        for mode, states in by_mode.items():
            kept = await self._edge.store.checkpoint_put(self._name, mode, states)
            self._edge.metrics.counter("checkpoints_total").add(len(states))
            self._edge.metrics.counter("checkpoint_bytes_total").add(sum(len(state) for _, state in states))
            for (record, _), still_ours in zip(states, kept, strict=True):
                if not still_ours:
                    await self._disown(record)

    def pack(self, match: HostedMatch) -> bytes | None:
        """None: the game raised, which is this match's loss alone. It runs on, and its last state in the store stands."""
        assert self._game is not None
        try:
            state = self._game.pack_match(match.slot)
        except Exception as error:
            log.fault("match_not_packed", error, match=match.id)
            self._edge.metrics.counter("errors_total", where="failover").add()
            if match.id in self._kept:
                self._broken.add(match.id)
            return None
        seats = [SeatKept(s.seat, s.match_token, s.session, s.joined, s.ticket.id) for s in match.seats if s.ticket is not None]
        return _encode(Checkpoint(self._edge.clock.unix_ms(), match.opened_unix_ms, seats, state))

    async def _disown(self, record: MatchRecord) -> None:
        """The store says that a match is not ours: it ended a moment ago, or another process went on with it."""
        match = self._edge.host.get(record.match)
        if match is None or match.record.epoch != record.epoch:
            return
        now = await self._edge.store.match_get(record.mode, record.match)
        if now is not None and (now.host, now.epoch) == (self._name, record.epoch):
            return
        log.warning("match_belongs_to_another", match=record.match, name=now.host if now is not None else "")
        self.let_go(match)

    def let_go(self, match: HostedMatch) -> None:
        """Stop running a match that goes on elsewhere; its players are told where."""
        edge = self._edge
        edge.seating.unseat(match)
        edge.host.drop(match)
        edge.lobby.places.ask_for(match)
        edge.failover.watch_soon()
