"""One match from the player's seat: snapshots in, commands out."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from gameedge.core.protocol import arena_v1, frames
from gameedge.core.protocol.frames import SnapshotHeader
from gameedge.core.protocol.messages import MatchEnded, MatchStarted
from gameedge_client.errors import GameEdgeError, MatchLostError

SNAPSHOTS_KEPT: Final = 3  # that wait for a slow consumer; drop oldest, counted: a snapshot is state, the next has it all
COMMANDS_TIMED: Final = 256  # commands whose answer is awaited, for the latency; drop oldest
SAMPLES_KEPT: Final = 4_096


@dataclass(frozen=True)
class Snapshot:
    """What this player may see at one tick. `payload` is the game's own; `view` reads it as the arena's."""

    header: SnapshotHeader
    payload: bytes

    @cached_property
    def view(self) -> arena_v1.View:
        """World units. Raises ValueError where the payload is another game's."""
        view = arena_v1.decode_snapshot(self.payload)
        if view is None:
            raise ValueError("not a snapshot of the arena; read `payload` with the game's own decoder")
        return view


class Match:
    """Iterate over it for snapshots, at the server's rate; the iteration ends with the match and `result` says how.

    Raises MatchLostError out of the iteration where the match ended without a result.
    """

    def __init__(self, info: MatchStarted, send: Callable[[bytes], bool], leave: Callable[[], None], sequence: int = 0) -> None:
        """`sequence`: of the session's last command so far. Commands are numbered through all matches of a session."""
        self.info = info
        self.roster = list(info.roster)  # as it is now: people may take seats of NPCs while the match runs
        self.result: MatchEnded | None = None
        self.latest: Snapshot | None = None
        self.commands_sent = 0
        self.commands_lost = 0  # there was no connection, it was too slow, or it broke before an answer came
        self.snapshots_received = 0
        self.snapshots_skipped = 0  # not iterated over in time
        self.input_to_snapshot_ms: deque[float] = deque(maxlen=SAMPLES_KEPT)  # command → the snapshot that processed it
        self._send = send
        self._leave = leave
        self._sequence = sequence
        self._sent: deque[tuple[int, float]] = deque(maxlen=COMMANDS_TIMED)
        self._waiting: deque[Snapshot] = deque()
        self._news = asyncio.Event()
        self._over = False
        self._error: GameEdgeError | None = None

    # ------------------------------------------------------------------------------------------------------------ out

    def command(self, subticks: tuple[arena_v1.Subtick, arena_v1.Subtick, arena_v1.Subtick]) -> int:
        """Send one arena command (three sub-ticks, oldest first); its sequence number. About 20 a second are taken."""
        return self.send_payload(arena_v1.encode_command(subticks))

    def send_payload(self, payload: bytes) -> int:
        """Send one command of any game. Never waits: without a connection it is lost and counted, as on a bad network."""
        self._sequence += 1
        now = time.perf_counter()
        seen = self.latest.header.tick if self.latest else self.info.tick
        if self._send(frames.encode_command(self._sequence, int(now * 1000.0), seen, payload)):
            self.commands_sent += 1
            self._sent.append((self._sequence, now))
        else:
            self.commands_lost += 1
        return self._sequence

    def leave(self) -> None:
        """Give the seat to an NPC; the iteration ends, without a result."""
        if not self._over:
            self._leave()
            self._end()

    # ------------------------------------------------------------------------------------------------------------- in

    @property
    def over(self) -> bool:
        return self._over

    async def __aiter__(self) -> AsyncIterator[Snapshot]:
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self._over:
                break
            self._news.clear()
            await self._news.wait()
        if self._error is not None:
            raise self._error

    # ------------------------------------------------------------------------------------- called by the session only

    def _frame(self, data: bytes) -> None:
        decoded = frames.decode_snapshot(data)
        if decoded is None or self._over:
            return
        header, payload = decoded
        if self.latest is not None and header.tick < self.latest.header.tick:
            return  # of an older connection
        now = time.perf_counter()
        while self._sent and self._sent[0][0] <= header.processed:
            self.input_to_snapshot_ms.append((now - self._sent.popleft()[1]) * 1000.0)
        self.latest = Snapshot(header, payload)
        self.snapshots_received += 1
        if len(self._waiting) >= SNAPSHOTS_KEPT:
            self._waiting.popleft()
            self.snapshots_skipped += 1
        self._waiting.append(self.latest)
        self._news.set()

    def _connected_anew(self) -> None:
        """What was under way when the connection broke is not known to have arrived: it is lost, not slow."""
        self.commands_lost += len(self._sent)
        self._sent.clear()

    def _end(self, result: MatchEnded | None = None, error: GameEdgeError | None = None) -> None:
        if not self._over:
            self._over = True
            self.result = result
            self._error = error
            self._news.set()

    def _lost(self, why: str) -> None:
        self._end(error=MatchLostError(why))
