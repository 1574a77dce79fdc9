"""The reference game behind the seam: bookkeeping in Python, everything that happens every tick in kernels."""

import hashlib
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gameedge.arena import combat, inputs, moving, view
from gameedge.arena import gaze as gazing
from gameedge.arena import world as at
from gameedge.arena.settings import PATH, RESPAWN_TICKS, RULE, SCORE_LIMIT, WAVES, WAVES_RULE, game_spec
from gameedge.arena.world import new_shot_log, new_world
from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.game import Bytes, Floats, GameSpec, Gaze, Int32s, Int64s, MatchInfo, Outcome, Seat, Shots
from gameedge.core.npc.style import STYLE_DEFAULT, STYLES
from gameedge.core.protocol.arena_v1 import SPECTATE_SIZE_MAX, TEAMS_MAX

_D = TypeVar("_D", bound=np.generic)


def _plain(array: NDArray[_D], dtype: type[_D]) -> NDArray[_D]:
    """The array in the one form that the kernels are compiled for (a copy only where it has another form)."""
    if array.dtype == dtype and array.flags.carray:
        return array
    return np.require(array, dtype, ["C", "A", "W"]).copy()


class Arena:
    """All arena matches of one process; see `gameedge.core.game.Game` for what each method promises.

    Deterministic: what a match does depends on its mode, seed, seats and inputs, never on its slot, on other matches, on
    the machine or on whether anybody asks for snapshots.
    """

    def __init__(self, *, matches_max: int = limits.MATCHES_MAX, entities_max: int = limits.ENTITIES_MAX, demo: bool = False) -> None:
        self._spec = game_spec(demo=demo)
        self._modes = tuple(self._spec.modes.values())
        self._world = new_world(matches_max, entities_max)
        self._free_slots = list(range(matches_max - 1, -1, -1))
        self._free_rows = list(range(entities_max - 1, -1, -1))
        self._log = new_shot_log(entities_max)
        self._shots = Shots.empty(entities_max, PATH)
        self._gaze = Gaze.empty(entities_max)
        self._gazed = np.zeros((entities_max, gazing.MEMORY), np.int32)
        self._glimpsed = np.full(self._world.since.shape, at.NEVER, np.int32)
        self._npcs = np.zeros(0, np.int32)
        self._npcs_stale = False
        self._running = 0

    @staticmethod
    def warm() -> None:
        """Compile or load every kernel; see `gameedge.edge.serve.warm_game`."""
        from gameedge.arena.warm import warm  # which plays this class

        warm()

    @property
    def spec(self) -> GameSpec:
        return self._spec

    # -- matches

    def open_match(self, mode: str, seed: int, seats: Sequence[Seat]) -> int:
        """Start a match; any integer is a seed. Seats of a wave (after the players) are on team `teams` whatever they say.

        Raises RefusedError: UNSUPPORTED for an unknown mode or seats that do not fit it, SERVER_FULL without room.
        """
        spec = self._spec.modes.get(mode)
        if spec is None:
            raise RefusedError(Reason.UNSUPPORTED, f"mode {mode!r}: the arena has {', '.join(self._spec.modes)}")
        if len(seats) != spec.seats or any(not 0 <= seat.team < spec.teams for seat in seats[: spec.players]):
            raise RefusedError(Reason.UNSUPPORTED, f"{mode} takes {spec.seats} seats, players on teams 0 to {spec.teams - 1}")
        if not self._free_slots or len(self._free_rows) < len(seats):
            raise RefusedError(Reason.SERVER_FULL, "no slot for another match")
        slot, w = self._free_slots.pop(), self._world
        rows = [self._free_rows.pop() for _ in seats]
        w.rows[slot] = -1
        w.rows[slot, : len(rows)] = rows
        w.seeds[slot] = seed & 0xFFFF_FFFF_FFFF_FFFF
        w.scores[slot] = 0
        w.events[slot] = 0
        for row, (number, seat) in zip(rows, enumerate(seats), strict=True):
            self._reset_row(row)
            w.n[at.SLOT, row], w.n[at.SEAT, row] = slot, number
            w.n[at.TEAM, row] = seat.team if number < spec.players else spec.teams
            w.n[at.HUMAN, row] = seat.player is not None
            w.n[at.LEVEL, row] = min(max(seat.npc_level, 1), 10)
            w.n[at.STYLE, row] = STYLES.index(seat.npc_style) if seat.npc_style in STYLES else STYLES.index(STYLE_DEFAULT)
            w.n[at.RESPAWN, row] = 0 if number < spec.players else -1
        m = w.m[:, slot]
        m[:] = 0
        m[at.END] = max(spec.duration_ms * self._spec.tick_hz // 1000, 1)
        m[at.MODE] = self._modes.index(spec)
        m[at.SEATS], m[at.PLAYERS] = spec.seats, spec.players
        m[at.TEAMS] = spec.teams + (1 if spec.npc_seats else 0)
        m[at.LIMIT], m[at.RULE], m[at.DELAY] = SCORE_LIMIT[mode], RULE[mode], RESPAWN_TICKS[mode]
        m[at.WAVES], m[at.WAVE_AT] = WAVES.get(mode, 0), 30
        m[at.STATE] = at.RUNNING
        combat.begin(w, slot)
        self._npcs_stale = True
        return slot

    def _reset_row(self, row: int) -> None:
        w = self._world
        w.f[:, row] = 0.0
        w.f[at.DX, row] = 1.0
        w.n[:, row] = 0
        self._gazed[row], self._glimpsed[row], self._gaze.target[row] = 0, at.NEVER, -1
        w.n[at.SLOT, row] = -1
        w.n[at.FIRED, row] = w.n[at.HURT, row] = w.n[at.SNAPPED, row] = at.NEVER
        w.history[row], w.cursor[row], w.ring[row] = 0.0, 0.0, 0.0
        w.ring_sequence[row], w.processed[row] = 0, 0
        w.since[row], w.seen[row], w.seen_at[row] = -1, at.NEVER, 0.0

    def close_match(self, slot: int) -> None:
        """Free a match. Slots that are not open are ignored. Shots that were not collected yet are dropped with it."""
        w = self._world
        if not 0 <= slot < w.m.shape[1] or w.m[at.STATE, slot] == at.FREE:
            return
        rows = w.rows[slot, : w.m[at.SEATS, slot]].tolist()
        self._drop_shots(rows)
        for row in reversed(rows):
            self._reset_row(row)
            self._free_rows.append(row)
        w.rows[slot] = -1
        w.m[at.STATE, slot] = at.FREE
        self._free_slots.append(slot)
        self._npcs_stale = True

    def _drop_shots(self, rows: list[int]) -> None:
        log, count = self._log, int(self._log.totals[0])
        keep = np.flatnonzero(~np.isin(log.shooter[:count], rows))
        if len(keep) < count:
            for column in log[1:]:
                column[: len(keep)] = column[keep]
            log.totals[0] = len(keep)

    def _open(self, slot: int) -> None:
        if not 0 <= slot < self._world.m.shape[1] or self._world.m[at.STATE, slot] == at.FREE:
            raise RefusedError(Reason.NOT_FOUND, f"no match in slot {slot}")

    def entity(self, slot: int, seat: int) -> int:
        """The entity row of a seat. Raises RefusedError(NOT_FOUND) where there is none."""
        self._open(slot)
        if not 0 <= seat < self._world.m[at.SEATS, slot]:
            raise RefusedError(Reason.NOT_FOUND, f"no seat {seat} in slot {slot}")
        return int(self._world.rows[slot, seat])

    def seat(self, slot: int, seat: int, *, human: bool) -> None:
        """Hand a seat over. Inputs of the one before are forgotten. Raises RefusedError(NOT_FOUND)."""
        row, w = self.entity(slot, seat), self._world
        w.n[at.HUMAN, row] = human
        for field in (at.COUNT, at.HEAD, at.FIRE, at.FRESH, at.STALE):
            w.n[field, row] = 0
        w.f[[at.MX, at.MY, at.REWIND, at.AGO], row] = 0.0
        w.processed[row] = 0
        self._gazed[row], self._gaze.target[row] = 0, -1
        self._npcs_stale = True

    def npcs(self) -> Int32s:
        """Entities that an NPC plays, those that wait for their wave or respawn included, in ascending order."""
        if self._npcs_stale:
            n = self._world.n
            self._npcs = np.flatnonzero((n[at.SLOT] >= 0) & (n[at.HUMAN] == 0)).astype(np.int32)
            self._npcs_stale = False
        return self._npcs

    # -- every tick

    def receive(self, entities: Int32s, payloads: Bytes, sequence: Int64s, rewind_ms: Floats, reasons: Bytes) -> None:
        """Take commands. COOLDOWN is never a reason here: fire may be held, the weapon itself keeps its pace."""
        taken = _plain(reasons, np.uint8)
        inputs.receive(
            self._world,
            _plain(entities, np.int32),
            _plain(payloads, np.uint8),
            _plain(sequence, np.int64),
            _plain(rewind_ms, np.float32),
            taken,
        )
        if taken is not reasons:
            reasons[...] = taken

    def observe(self, entities: Int32s, out: Floats) -> None:
        rows = _plain(out, np.float32)
        view.observe(self._world, _plain(entities, np.int32), rows)
        if rows is not out:
            out[...] = rows

    def act(self, entities: Int32s, actions: Floats) -> None:
        inputs.act(self._world, _plain(entities, np.int32), _plain(actions, np.float32))

    def step(self) -> None:
        combat.step(self._world, self._log)

    def snapshot(self, viewers: Int32s, out: Bytes, sizes: Int32s, processed: Int64s) -> None:
        rows, ends, commands = _plain(out, np.uint8), _plain(sizes, np.int32), _plain(processed, np.int64)
        view.snapshot(self._world, _plain(viewers, np.int32), rows, ends, commands)
        if rows is not out:
            out[...] = rows
        if ends is not sizes:
            sizes[...] = ends
        if commands is not processed:
            processed[...] = commands

    @property
    def spectate_size_max(self) -> int:
        return SPECTATE_SIZE_MAX

    def spectate(self, slot: int, cursor: tuple[int, int] | None, out: Bytes) -> tuple[int, tuple[int, int]]:
        """See `core.game.Watchable`; the cursor is the tick and the number of events."""
        w = self._world
        known = 0 <= slot < w.m.shape[1]
        now = (int(w.m[at.TICK, slot]), int(w.m[at.EVENT_COUNT, slot])) if known else (0, 0)
        since, told = cursor if cursor is not None else now
        return int(view.spectate(w, slot, since, told, _plain(out, np.uint8))), now

    def shots(self) -> Shots:
        """Shots of human-played entities since the last call, `tick` counted from the start of their match.

        A sample of `aim_path` counts as in reach while both are alive and the target, as the shooter saw it, is within the
        weapon's range; `visible_ms` says separately since when nothing stood between them. `target` of a miss is the visible
        enemy nearest to the line of fire, within settings.NEAR_LINE. More than `entities_max` shots: the newest are dropped.
        """
        log, shots = self._log, self._shots
        count = int(log.totals[0])
        shots.count = count
        if count:
            columns: tuple[NDArray[Any], ...] = (
                *(shots.shooter, shots.target, shots.hit, shots.tick),
                *(shots.distance, shots.visible_ms, shots.on_target_ms, shots.aim_path, shots.line_path),
            )
            logs: tuple[NDArray[Any], ...] = log[1:]
            for column, logged in zip(columns, logs, strict=True):
                column[:count] = logged[:count]
            log.totals[0] = 0
        return shots

    def gaze(self) -> Gaze:
        """See `core.game.Gazing`. The target is the visible enemy nearest to the cursor, in range; it changes for a much nearer one."""
        out = self._gaze
        gazing.gaze(self._world, out.target, out.fresh, out.rows, self._gazed, self._glimpsed)
        return out

    def ended(self) -> Sequence[Outcome]:
        slots = np.flatnonzero(self._world.m[at.STATE] == at.OVER)
        if not len(slots):
            return ()
        self._world.m[at.STATE, slots] = at.TOLD
        return [self._outcome(int(slot)) for slot in slots]

    def _outcome(self, slot: int) -> Outcome:
        w, m = self._world, self._world.m[:, slot]
        scores = w.scores[slot, : m[at.TEAMS]].tolist()
        if m[at.RULE] == WAVES_RULE:
            ranks, reason = ([0, 1], "survived") if m[at.WON] else ([1, 0], "overrun")
        else:
            ranks, reason = [sum(other > score for other in scores) for score in scores], "finished"
        seat_scores = w.n[at.SCORE, w.rows[slot, : m[at.SEATS]]].tolist()
        return Outcome(slot=slot, ranks=ranks, scores=scores, seat_scores=seat_scores, reason=reason)

    def info(self, slot: int) -> MatchInfo:
        """What a list of matches shows. Raises RefusedError(NOT_FOUND)."""
        self._open(slot)
        m = self._world.m[:, slot]
        return MatchInfo(
            mode=self._modes[m[at.MODE]].name,
            tick=int(m[at.TICK]),
            remaining_ms=int(max(m[at.END] - m[at.TICK], 0)) * 1000 // self._spec.tick_hz,
            scores=tuple(self._world.scores[slot, : min(int(m[at.TEAMS]), TEAMS_MAX)].tolist()),
        )

    def pack_match(self, slot: int) -> bytes:
        """See `core.game.Movable`. Raises RefusedError(NOT_FOUND)."""
        self._open(slot)
        return moving.pack(self._world, slot)

    def unpack_match(self, slot: int, data: bytes) -> None:
        """See `core.game.Movable`. Raises RefusedError(NOT_FOUND, MALFORMED)."""
        self._open(slot)
        moving.unpack(self._world, slot, data)

    def digest(self, slot: int) -> str:
        """A hash of a match's whole state, 16 hex digits, the same wherever the match lies in the arrays.

        Two servers that were given the same seed, seats and inputs agree on it: for tests and replays.
        """
        self._open(slot)
        w = self._world
        rows = w.rows[slot, : w.m[at.SEATS, slot]]
        fields = [field for field in range(at.N_ROWS) if field not in (at.SLOT, at.SNAPPED, at.SHOWN, at.STYLE)]
        state = hashlib.blake2b(digest_size=8)
        for table in (w.f[:, rows], w.n[fields][:, rows], w.m[1:, slot], w.scores[slot], w.events[slot]):
            state.update(table.tobytes())
        for table in (w.history[rows], w.cursor[rows], w.since[rows], w.seen[rows], w.seen_at[rows], w.processed[rows]):
            state.update(table.tobytes())
        return state.hexdigest()
