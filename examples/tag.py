"""Tag: a whole game behind the seam in one file, to start your own from. Host it with `game = "examples.tag:TagGame"`.

Four players on a grid, one of them is "it". Who is it and reaches another's cell hands it on; a breath later it may come back.
Everybody who is not it gets a point ten times a second. Seats without a person wander about by themselves.

What a game has to offer is `gameedge.core.game.Game`. Three habits carry over to a real one:

- All matches of the process are arrays, here [matches, 4]; a match is a row (its slot), an entity is `slot * 4 + seat`. Each
  method is a handful of numpy operations for everybody, whether ten people play or ten thousand.
- Randomness is a hash of the match's seed and tick, so that the same seed and commands play the same match again.
- Whatever a client sends ends as one of the reasons of `core/game.py`, never as an exception.

Command, 1 byte: where to go (0 stay, 1 east, 2 north, 3 west, 4 south); it holds until the next one.
Snapshot, 22 bytes: u8 seat, u8 who is it, u16 tenths of a second left, u8 size of the grid, u8 players (4),
4 x (u8 x, u8 y, u16 score), little-endian.
"""

import struct
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.game import (
    ACCEPTED,
    BAD_PAYLOAD,
    Bytes,
    Floats,
    GameSpec,
    Int32s,
    Int64s,
    MatchInfo,
    ModeSpec,
    Outcome,
    Seat,
    Shots,
)

SIZE: Final = 12  # cells a side
SEATS: Final = 4
TICK_HZ: Final = 60
MOVE_TICKS: Final = 6  # ten cells a second
BREATH_TICKS: Final = 45  # after a hand-over nobody can be tagged for this long
WANDER_TICKS: Final = 30
STEPS: Final = np.array([(0, 0), (1, 0), (0, 1), (-1, 0), (0, -1)], np.int32)
STARTS: Final = np.array([(1, 1), (SIZE - 2, SIZE - 2), (1, SIZE - 2), (SIZE - 2, 1)], np.int32)
SNAPSHOT: Final = struct.Struct("<BBHBB" + "BBH" * SEATS)

FREE, RUNNING, OVER, TOLD = range(4)


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """splitmix64's finaliser: neighbouring numbers come out unrelated."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


class TagGame:
    """All tag matches of one process; implements `gameedge.core.game.Game`."""

    def __init__(self, *, matches_max: int = limits.MATCHES_MAX, entities_max: int = limits.ENTITIES_MAX, demo: bool = False) -> None:
        matches = min(matches_max, entities_max // SEATS)
        self._spec = GameSpec(
            name="tag",
            modes={"tag": ModeSpec("tag", SEATS, 1, 6_000 if demo else 60_000, title="Tag")},
            command_size=1,
            snapshot_size_max=SNAPSHOT.size,
            observation_size=0,  # NPCs need no model: `step` moves them
            action_size=0,
            tick_hz=TICK_HZ,
        )
        self._state = np.full(matches, FREE, np.int32)
        self._seed = np.zeros(matches, np.uint64)
        self._tick = np.zeros(matches, np.int32)
        self._it = np.zeros(matches, np.int32)  # seat
        self._breath = np.zeros(matches, np.int32)  # ticks
        self._cell = np.zeros((matches, SEATS, 2), np.int32)
        self._wish = np.zeros((matches, SEATS), np.int32)  # row of STEPS
        self._score = np.zeros((matches, SEATS), np.int32)
        self._human = np.zeros((matches, SEATS), np.bool_)
        self._taken = np.zeros((matches, SEATS), np.int64)  # the last command received
        self._used = np.zeros((matches, SEATS), np.int64)  # the last command that moved, or did not move, its player
        self._shots = Shots.empty(1, 1)
        self._end = self._spec.modes["tag"].duration_ms * TICK_HZ // 1000

    @property
    def spec(self) -> GameSpec:
        return self._spec

    # -- matches

    def open_match(self, mode: str, seed: int, seats: Sequence[Seat]) -> int:
        if mode not in self._spec.modes or [seat.team for seat in seats] != list(range(SEATS)):
            raise RefusedError(Reason.UNSUPPORTED, f"the only mode is tag, with {SEATS} seats on teams of one")
        free = np.flatnonzero(self._state == FREE)
        if not len(free):
            raise RefusedError(Reason.SERVER_FULL, "no slot for another match")
        slot = int(free[0])
        self._state[slot], self._tick[slot], self._breath[slot] = RUNNING, 0, BREATH_TICKS
        self._seed[slot] = seed & 0xFFFF_FFFF_FFFF_FFFF
        self._it[slot] = int(_mix(self._seed[slot : slot + 1])[0]) % SEATS
        self._cell[slot] = STARTS
        self._wish[slot], self._score[slot], self._taken[slot], self._used[slot] = 0, 0, 0, 0
        self._human[slot] = [seat.player is not None for seat in seats]
        return slot

    def close_match(self, slot: int) -> None:
        if 0 <= slot < len(self._state):
            self._state[slot] = FREE
            self._human[slot] = False

    def _check(self, slot: int, seat: int = 0) -> None:
        if not (0 <= slot < len(self._state) and 0 <= seat < SEATS and self._state[slot] != FREE):
            raise RefusedError(Reason.NOT_FOUND, f"no seat {seat} in slot {slot}")

    def entity(self, slot: int, seat: int) -> int:
        self._check(slot, seat)
        return slot * SEATS + seat

    def seat(self, slot: int, seat: int, *, human: bool) -> None:
        self._check(slot, seat)
        self._human[slot, seat] = human
        self._wish[slot, seat], self._taken[slot, seat], self._used[slot, seat] = 0, 0, 0

    def npcs(self) -> Int32s:
        return np.flatnonzero((self._state != FREE)[:, None] & ~self._human).astype(np.int32)

    # -- every tick

    def receive(self, entities: Int32s, payloads: Bytes, sequence: Int64s, rewind_ms: Floats, reasons: Bytes) -> None:
        known = (entities >= 0) & (entities < self._wish.size) & (payloads[:, 0] < len(STEPS))
        reasons[(reasons == ACCEPTED) & ~known] = BAD_PAYLOAD
        rows = np.flatnonzero(reasons == ACCEPTED)
        rows = rows[self._human.flat[entities[rows]]]  # a seat that was just handed over takes nothing
        # Of several commands of one player the last one counts: numpy assigns repeated indices in order.
        self._wish.flat[entities[rows]] = payloads[rows, 0]
        self._taken.flat[entities[rows]] = sequence[rows]

    def observe(self, entities: Int32s, out: Floats) -> None:
        """Nothing: NPCs see no observations here."""

    def act(self, entities: Int32s, actions: Floats) -> None:
        """Nothing: NPCs move by themselves."""

    def step(self) -> None:
        on = np.flatnonzero(self._state == RUNNING)
        self._tick[on] += 1
        self._breath[on] = np.maximum(self._breath[on] - 1, 0)
        moving = on[self._tick[on] % MOVE_TICKS == 0]
        self._move(moving)
        self._hand_over(on[self._breath[on] == 0])
        self._score[moving] += np.arange(SEATS) != self._it[moving][:, None]
        self._state[on[self._tick[on] >= self._end]] = OVER

    def _move(self, slots: NDArray[np.intp]) -> None:
        turn = (self._tick[slots] // WANDER_TICKS).astype(np.uint64)[:, None] * np.uint64(SEATS) + np.arange(SEATS, dtype=np.uint64)
        wander = (_mix(self._seed[slots][:, None] + turn * np.uint64(0x9E3779B97F4A7C15)) % np.uint64(len(STEPS))).astype(np.int32)
        wish = np.where(self._human[slots], self._wish[slots], wander)
        self._cell[slots] = np.clip(self._cell[slots] + STEPS[wish], 0, SIZE - 1)
        self._used[slots] = self._taken[slots]

    def _hand_over(self, slots: NDArray[np.intp]) -> None:
        it = self._it[slots]
        where = self._cell[slots, it]
        reached = (self._cell[slots] == where[:, None]).all(axis=2)
        reached[np.arange(len(slots)), it] = False
        caught = reached.any(axis=1)
        self._it[slots[caught]] = reached[caught].argmax(axis=1)
        self._breath[slots[caught]] = BREATH_TICKS

    def snapshot(self, viewers: Int32s, out: Bytes, sizes: Int32s, processed: Int64s) -> None:
        count = len(viewers)
        slots, seats = viewers // SEATS, viewers % SEATS
        left = np.maximum(self._end - self._tick[slots], 0) * 10 // TICK_HZ
        rows = out[:count]
        rows[:, 0], rows[:, 1] = seats, self._it[slots]
        rows[:, 2], rows[:, 3] = left & 255, left >> 8
        rows[:, 4], rows[:, 5] = SIZE, SEATS
        players = rows[:, 6 : SNAPSHOT.size].reshape(count, SEATS, 4)
        players[:, :, :2] = self._cell[slots]
        players[:, :, 2], players[:, :, 3] = self._score[slots] & 255, self._score[slots] >> 8
        rows[:, 6 : SNAPSHOT.size] = players.reshape(count, SEATS * 4)  # where `out` is no simple array, `players` was a copy
        sizes[:count] = np.where(self._state[slots] == FREE, 0, SNAPSHOT.size)
        processed[:count] = self._used[slots, seats]

    def shots(self) -> Shots:
        return self._shots  # nothing is aimed, so there is nothing to watch

    def ended(self) -> Sequence[Outcome]:
        slots = np.flatnonzero(self._state == OVER)
        self._state[slots] = TOLD
        outcomes = []
        for slot in slots.tolist():
            scores = self._score[slot].tolist()
            ranks = [sum(other > score for other in scores) for score in scores]
            outcomes.append(Outcome(slot=slot, ranks=ranks, scores=scores, seat_scores=scores))
        return outcomes

    def info(self, slot: int) -> MatchInfo:
        self._check(slot)
        left = max(self._end - int(self._tick[slot]), 0)
        return MatchInfo("tag", int(self._tick[slot]), left * 1000 // TICK_HZ, tuple(self._score[slot].tolist()))
