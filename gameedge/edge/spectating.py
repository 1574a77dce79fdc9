"""Spectators: who watches a match without playing it.

A spectator sees everybody, so what it sees is old: frames are held back by a stated delay, longer than an engagement lasts, and a
player with a second window gains nothing. A frame is made once for all who watch the same match, and only while somebody does:
a match that nobody watches costs nothing, one that is watched about 15 us every third tick.

Bounds: spectators of the process and of a match (refuse with SERVER_FULL), one match a player (the newest one counts), frames held
back (the delay times the rate). A spectator whose socket is full misses frames, and is closed where it stays so.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from gameedge.bus.payloads import WatchableMatch
from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.game import Game, Watchable
from gameedge.core.ids import MatchId, PlayerId
from gameedge.core.protocol.close import NORMAL, Close
from gameedge.core.protocol.frames import UINT32, SnapshotHeader, encode_snapshot
from gameedge.core.protocol.messages import Watching
from gameedge.edge.host import HostedMatch, MatchHost

if TYPE_CHECKING:
    from gameedge.edge.player import Link

HELD_MAX: Final = 1_200  # frames of one match that wait for their time; drop oldest


@dataclass(slots=True)
class _Broadcast:
    match: HostedMatch
    links: "dict[Link, PlayerId]" = field(default_factory=dict)
    held: deque[tuple[float, bytes]] = field(default_factory=lambda: deque(maxlen=HELD_MAX))  # when it may be seen, the frame
    cursor: tuple[int, int] | None = None


class Spectators:
    """`spectators_max` 0: nobody may watch. Owned by the edge's event loop; `ticked` is called after each tick."""

    def __init__(self, game: Game, host: MatchHost, tick: Callable[[], int], *, spectators_max: int, delay_ms: int) -> None:
        self._game: Watchable | None = game if isinstance(game, Watchable) else None
        self._spec, self._host, self._tick = game.spec, host, tick
        self._max = spectators_max if self._game is not None else 0
        self._delay_ms = delay_ms
        self._broadcasts: dict[MatchId, _Broadcast] = {}
        self._watched: dict[Link, MatchId] = {}
        if self._game is not None:
            self._frame = np.zeros((1, self._game.spectate_size_max), np.uint8)
            self._game.spectate(-1, None, self._frame)  # loads what it needs before a tick has to wait for it

    def __len__(self) -> int:
        return len(self._watched)

    @property
    def on(self) -> bool:
        return self._max > 0

    def watch(self, link: "Link", player: PlayerId, match_id: str, now_ms: float) -> Watching:
        """Let a connection watch. Raises RefusedError(NOT_FOUND, SERVER_FULL, UNSUPPORTED)."""
        if not self.on:
            raise RefusedError(Reason.UNSUPPORTED, "this process has no spectators")
        match = self._host.get(MatchId(match_id))
        if match is None:
            raise RefusedError(Reason.NOT_FOUND, "no such match here; ask GET /v1/matches for those of now")
        for other, watched in list(self._watched.items()):
            if self._broadcasts[watched].links[other] == player:
                other.close(Reason.REPLACED, "you watch elsewhere now")
                self.leave(other)
        if len(self._watched) >= self._max:
            raise RefusedError(Reason.SERVER_FULL, f"at most {self._max} spectators a process; try later")
        broadcast = self._broadcasts.setdefault(match.id, _Broadcast(match))
        if len(broadcast.links) >= limits.SPECTATORS_PER_MATCH_MAX:
            raise RefusedError(Reason.SERVER_FULL, f"at most {limits.SPECTATORS_PER_MATCH_MAX} spectators a match; watch another")
        broadcast.links[link] = player
        self._watched[link] = match.id
        return Watching(
            match=match.id,
            mode=match.record.mode,
            delay_ms=self._delay_ms,
            tick=self._tick(),
            tick_hz=self._spec.tick_hz,
            snapshot_hz=self._spec.tick_hz // self._spec.snapshot_every,
            duration_ms=self._spec.modes[match.record.mode].duration_ms,
            roster=match.roster,
        )

    def listed(self) -> list[WatchableMatch]:
        """The newest matches with people in them, for the public list; none where nobody may watch."""
        if not self.on:
            return []
        found = []
        for match in reversed(list(self._host)):
            if people := sum(1 for _ in match.people()):
                info, broadcast = self._host.game.info(match.slot), self._broadcasts.get(match.id)
                found.append(
                    WatchableMatch(
                        match=match.id,
                        mode=match.record.mode,
                        remaining_ms=info.remaining_ms,
                        people=people,
                        seats=len(match.seats),
                        spectators=len(broadcast.links) if broadcast is not None else 0,
                        scores=list(info.scores),
                    )
                )
            if len(found) >= limits.WATCHABLE_MAX:
                break
        return found

    def watching(self, match_id: MatchId) -> int:
        """How many watch this match."""
        broadcast = self._broadcasts.get(match_id)
        return len(broadcast.links) if broadcast is not None else 0

    def expel(self, player: PlayerId, detail: str) -> bool:
        """Whether this player watched something; not any more."""
        found = [link for link, watched in self._watched.items() if self._broadcasts[watched].links[link] == player]
        for link in found:
            link.close(Reason.FORBIDDEN, detail)
            self.leave(link)
        return bool(found)

    def leave(self, link: "Link") -> None:
        """The connection is gone, or is closed."""
        match_id = self._watched.pop(link, None)
        if match_id is None:
            return
        broadcast = self._broadcasts[match_id]
        del broadcast.links[link]
        if not broadcast.links:
            del self._broadcasts[match_id]

    def ticked(self, tick: int, now_ms: float) -> None:
        """Take a frame of what is watched, and show what is old enough."""
        if not self._broadcasts:
            return
        if tick % self._spec.snapshot_every == 0:
            for broadcast in self._broadcasts.values():
                self._record(broadcast, tick, now_ms)
        for broadcast in list(self._broadcasts.values()):
            self._show(broadcast, now_ms)

    def _record(self, broadcast: _Broadcast, tick: int, now_ms: float) -> None:
        if self._game is None or self._host.get(broadcast.match.id) is not broadcast.match:
            return  # over, or moved to another process
        size, broadcast.cursor = self._game.spectate(broadcast.match.slot, broadcast.cursor, self._frame)
        header = SnapshotHeader(flags=0, tick=tick % UINT32, processed=0, server_ms=int(now_ms) % UINT32)
        broadcast.held.append((now_ms + self._delay_ms, encode_snapshot(header, self._frame[0, :size].tobytes())))

    def _show(self, broadcast: _Broadcast, now_ms: float) -> None:
        held = broadcast.held
        while held and held[0][0] <= now_ms:
            frame = held.popleft()[1]
            for link in list(broadcast.links):
                waiting = link.connection.buffered()
                if waiting > limits.WRITE_BUFFER_BYTES_MAX:
                    link.close(Reason.SLOW, "the connection is too slow")
                    self.leave(link)
                elif waiting <= limits.WRITE_BUFFER_BYTES_SKIP:
                    link.connection.send_binary(frame)
        if not held and self._host.get(broadcast.match.id) is not broadcast.match:
            for link in list(broadcast.links):
                link.session.close(Close(NORMAL, None))
                link.flush()
                self.leave(link)
