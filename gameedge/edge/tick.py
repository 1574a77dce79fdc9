"""The tick: drain inputs → gate → receive → step → observe → infer → act → watch → encode → write.

One loop, one thread, no task and no object a message. Everything alive in the process goes through each stage in one call, so
a stage costs per entity, not per player object. Stages are timed with two clock reads each (about 0.1 us).

What may be late: nothing waits for a model past its deadline (the engine answers with a fallback), snapshots are skipped for a
socket that is full, and a process that falls behind by more than `CATCH_UP_TICKS` drops those ticks and counts them: a game
that runs slow for a moment is better than one that spirals.
"""

import math
from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import Final, cast

import numpy as np

from gameedge.core import limits
from gameedge.core.anticheat.gate import Gate
from gameedge.core.anticheat.watch import Watch
from gameedge.core.game import Game, Gazing, Int32s, Outcome
from gameedge.core.protocol.frames import HEADER_SIZE, UINT32
from gameedge.edge.express import Expressable
from gameedge.edge.express_kernels import FRAME_HEAD_MAX, send_frames, write_frames
from gameedge.edge.inbox import Inbox
from gameedge.edge.table import ConnectionTable
from gameedge.inference.engine import Engine

CATCH_UP_TICKS: Final = 6
STILL_MS: Final = 1_000.0  # between two ticks: the process stood still
FORGET_AFTER_MS: Final = 1_000.0  # what had waited in sockets has been looked at by then
NPC_MODEL: Final = "npc"
STAGES: Final = ("receive", "step", "think", "watch", "encode", "write")
NOT_SEATED: Final = 255  # a command from a connection that has no seat


class TickFigures:
    """Running sums since the process started; whoever reports takes differences."""

    def __init__(self) -> None:
        self.ticks = 0
        self.ticks_dropped = 0
        self.stage_ns = dict.fromkeys(STAGES, 0)
        self.refused = np.zeros(256, np.int64)
        self.commands = 0
        self.snapshots = 0
        self.snapshots_skipped = 0
        self.bytes_out = 0
        self.npc_actions = 0


class Tick:
    """One step of the whole process. `ended` hears of each match that ended, within the tick that ended it."""

    def __init__(
        self,
        game: Game,
        table: ConnectionTable,
        inbox: Inbox,
        gate: Gate,
        engine: Engine,
        watch: Watch,
        ended: Callable[[Sequence[Outcome]], None],
    ) -> None:
        self.game, self.table, self.inbox = game, table, inbox
        self.gate, self.engine, self.watch = gate, engine, watch
        self.figures = TickFigures()
        self.tick = 0
        self._ended = ended
        self._gazing = game if isinstance(game, Gazing) else None
        self._tick_ms = 1000.0 / game.spec.tick_hz
        self._last_ms = self._still_since_ms = self._forget_ms = math.inf
        self._reasons = np.zeros(inbox.capacity, np.uint8)
        self._rewind_ms = np.zeros(inbox.capacity, np.float32)
        capacity = table.capacity // game.spec.snapshot_every + 1
        self._payloads = np.zeros((capacity, game.spec.snapshot_size_max), np.uint8)
        self._frames = np.zeros(capacity * (FRAME_HEAD_MAX + HEADER_SIZE + game.spec.snapshot_size_max), np.uint8)
        self._starts = np.zeros(capacity + 1, np.int32)
        self._sent = np.zeros(capacity, np.int32)
        self._sizes = np.zeros(capacity, np.int32)
        self._processed = np.zeros(capacity, np.int64)
        # Compile (or load) the kernels before anybody waits for them.
        write_frames(self._payloads, self._sizes, self._processed, 0, 0, 0, self._frames, self._starts)
        send_frames(table.descriptors, table.skip, table.entity[:0], self._frames, self._starts, self._sent)

    def run(self, now_ms: float) -> None:
        """Advance by one tick. `now_ms` is the monotonic clock."""
        figures, stage_ns = self.figures, self.figures.stage_ns
        t0 = perf_counter_ns()
        self._stood_still(now_ms)
        self._receive(now_ms)
        t1 = perf_counter_ns()
        self.game.step()
        self.tick += 1
        t2 = perf_counter_ns()
        self._think()
        t3 = perf_counter_ns()
        if self._gazing is not None:
            self.watch.gaze(self._gazing.gaze())
        self.watch.shots(self.game.shots(), self.tick)
        outcomes = self.game.ended()
        t4 = perf_counter_ns()
        slots, count = self._encode(now_ms)
        t5 = perf_counter_ns()
        self._write(slots, count)
        if outcomes:
            self._ended(outcomes)  # after the write: the last snapshot shows the end
        t6 = perf_counter_ns()
        figures.ticks += 1
        for name, took in zip(STAGES, (t1 - t0, t2 - t1, t3 - t2, t4 - t3, t5 - t4, t6 - t5), strict=True):
            stage_ns[name] += took

    def _stood_still(self, now_ms: float) -> None:
        """A second after this process stood still the gate forgets who began meanwhile."""
        if now_ms - self._last_ms > STILL_MS:
            self._still_since_ms, self._forget_ms = min(self._still_since_ms, self._last_ms), now_ms + FORGET_AFTER_MS
        elif now_ms >= self._forget_ms:
            self.gate.forget_since(self._still_since_ms)
            self._still_since_ms = self._forget_ms = math.inf
        self._last_ms = now_ms

    def _receive(self, now_ms: float) -> None:
        inbox = self.inbox
        count = inbox.count
        if not count:
            return
        slots, headers = inbox.slots, inbox.headers
        reasons, rewind_ms = self._reasons[:count], self._rewind_ms[:count]
        entities = self.table.entity[slots]
        np.copyto(reasons, np.where(entities >= 0, 0, NOT_SEATED).astype(np.uint8))
        rtt_ms, now = self.table.rtt_ms, self.tick
        fast = self.gate.check(slots, headers, inbox.arrived_ms, rtt_ms, reasons, rewind_ms, tick=now, tick_ms=self._tick_ms)
        if len(fast):
            self.watch.fast(self.table.entity[fast], now_ms)
        sequence = headers["sequence"].astype(np.int64)
        self.game.receive(entities, inbox.payloads, sequence, rewind_ms, reasons)
        self.figures.commands += count
        refused = np.flatnonzero(reasons)
        if len(refused):
            self.figures.refused += np.bincount(reasons[refused], minlength=256)
            self.watch.refusals(entities[refused], reasons[refused], now_ms)
        self.watch.commands(entities)
        seated = entities >= 0
        self.watch.rtt_ms[entities[seated]] = self.table.rtt_ms[slots[seated]]
        self.watch.jitter_ms[entities[seated]] = self.gate.jitter_ms(slots[seated])
        inbox.clear()

    def _think(self) -> None:
        game = self.game
        if not game.spec.observation_size:
            return
        npcs = game.npcs()
        count = len(npcs)
        if not count:
            return
        engine = self.engine
        engine.begin_tick()
        due, rest = engine.split(NPC_MODEL, npcs)
        if len(due):
            game.observe(due, engine.rows(NPC_MODEL, len(due)))
            game.act(due, engine.run(NPC_MODEL, due, len(due)))
        if len(rest):
            game.act(rest, engine.coast(NPC_MODEL, rest))
        self.figures.npc_actions += count

    def _encode(self, now_ms: float) -> tuple[Int32s, int]:
        slots, entities = self.table.viewers(self.tick)
        count = len(slots)
        if count:
            self.game.snapshot(entities, self._payloads, self._sizes, self._processed)
            tick, server_ms = self.tick % UINT32, int(now_ms) % UINT32
            write_frames(self._payloads, self._sizes, self._processed, count, tick, server_ms, self._frames, self._starts)
        return slots, count

    def _write(self, slots: Int32s, count: int) -> None:
        """One frame to each viewer: those in the express lane in one call, the rest through their connections."""
        if not count:
            return
        table, figures, starts = self.table, self.figures, self._starts
        undone = send_frames(table.descriptors, table.skip, slots, self._frames, starts, self._sent)
        skipped = self._write_undone(slots, count) if undone else 0
        figures.snapshots += count - skipped
        figures.snapshots_skipped += skipped
        figures.bytes_out += int(starts[count])

    def _write_undone(self, slots: Int32s, count: int) -> int:
        """What the lane could not send, or not whole; returns how many were skipped."""
        frames, sent, starts = self._frames, self._sent[:count], self._starts
        skipped = 0
        for i in np.flatnonzero(sent != np.diff(starts[: count + 1])).tolist():
            slot = int(slots[i])
            connection = self.table.connections[slot]
            if connection is None:
                continue
            if self.table.skip[slot]:
                skipped += 1
            elif sent[i] > 0:
                cast(Expressable, connection).send_rest(frames[starts[i] + sent[i] : starts[i + 1]].tobytes())
            else:
                begin = int(starts[i]) + (2 if frames[starts[i] + 1] < 126 else 4)
                connection.send_binary(frames[begin : starts[i + 1]].data)
        return skipped

    def look_at_sockets(self, part: int = 0, parts: int = 1) -> list[int]:
        """Each part once or twice a second: mark sockets that are full; rows that must be closed because they stay so."""
        hopeless = []
        table = self.table
        for slot in range(part, table.capacity, parts):
            connection = table.connections[slot]
            if connection is not None:
                waiting = connection.buffered()
                table.skip[slot] = waiting > limits.WRITE_BUFFER_BYTES_SKIP
                if waiting > limits.WRITE_BUFFER_BYTES_MAX:
                    hopeless.append(slot)
                elif table.express is not None and not waiting:
                    table.express.return_writing(slot)
        return hopeless
