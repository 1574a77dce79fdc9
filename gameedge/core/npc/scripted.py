"""A scripted NPC: seeks, strafes, keeps its distance, retreats when weak, and aims like a person of its level.

It knows its observation and the public map's size, nothing else. What it remembers of an entity from tick to tick: where its
cursor is, the error of its aim, whom it reacts to and since when, where it wanders. Levels 1 to 10 (in the observation) set the
reaction time, how fast the cursor closes in, how far it is off and how long it hesitates to fire.

Shaped like `gameedge.inference.base.Backend`. One kernel, about 0.2 us a row; deterministic: random numbers are a hash of a
counter kept with each entity.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gameedge.core.kernel import kernel
from gameedge.core.limits import ENTITIES_MAX
from gameedge.core.npc import action as a
from gameedge.core.npc import observation as o

Floats = NDArray[np.float32]

KEEP_NEAR: Final = 7.0  # u: closer than this it steps back
KEEP_FAR: Final = 14.0  # u: farther than this it closes in
WEAK: Final = 0.35  # part of health, below it retreats
ELBOW_ROOM: Final = 2.5  # u from allies
SWEEP_TICKS: Final = 45  # a strafe direction lasts one to two times this
WANDER_TICKS: Final = 180

# Columns of what is remembered, float32 [entities, MEMORY].
_TICKS, _AIM_X, _AIM_Y, _ERROR_X, _ERROR_Y, _REACT, _SIDE, _SIDE_LEFT, _GOAL_X, _GOAL_Y, _GOAL_LEFT, _STUCK = range(12)
MEMORY: Final = 12

_RAYS = np.array([(1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (-1.0, 1.0), (-1.0, 0.0), (-1.0, -1.0), (0.0, -1.0), (1.0, -1.0)], np.float64)
_RAYS /= np.sqrt((_RAYS * _RAYS).sum(axis=1, keepdims=True))


@kernel
def scramble(entity: int, tick: int, salt: int) -> np.uint64:
    """64 random bits from a counter (Steele, Lea and Flood 2014)."""
    z = np.uint64(entity) * np.uint64(0xD1B54A32D192ED03) + np.uint64(tick) * np.uint64(0x9E3779B97F4A7C15)
    z += np.uint64(salt) * np.uint64(0x8CB92BA72F3D8DD7)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@kernel
def chance(entity: int, tick: int, salt: int) -> float:
    """A number in [-1, 1) from a counter."""
    return float(scramble(entity, tick, salt) >> np.uint64(40)) / 8_388_608.0 - 1.0


@kernel
def wander(row: Floats, memory: Floats, entity: int, tick: int) -> tuple[float, float]:
    """The way to a random place, another one when it is reached, too old or not getting nearer."""
    x, y = row[o.X] * o.POSITION_UNIT, row[o.Y] * o.POSITION_UNIT
    dx, dy = memory[_GOAL_X] - x, memory[_GOAL_Y] - y
    speed = row[o.VX] * row[o.VX] + row[o.VY] * row[o.VY]
    memory[_STUCK] = memory[_STUCK] + 1.0 if speed < 0.04 else 0.0
    memory[_GOAL_LEFT] -= 1.0
    if memory[_GOAL_LEFT] <= 0.0 or memory[_STUCK] > 20.0 or dx * dx + dy * dy < 9.0:
        memory[_GOAL_X] = 28.0 * chance(entity, tick, 1)
        memory[_GOAL_Y] = 28.0 * chance(entity, tick, 2)
        memory[_GOAL_LEFT] = WANDER_TICKS * (1.5 + 0.5 * chance(entity, tick, 3))
        memory[_STUCK] = 0.0
    return memory[_GOAL_X] - x, memory[_GOAL_Y] - y


@kernel
def steer(row: Floats, dx: float, dy: float) -> tuple[float, float]:
    """The wanted direction, or where a wall is in its way the free direction that is nearest to it; a unit vector or zero."""
    length = np.sqrt(dx * dx + dy * dy)
    if length < 1e-6:
        return 0.0, 0.0
    dx, dy = dx / length, dy / length
    best, best_worth = -1, -1e9
    for ray in range(o.RAY_COUNT):
        free = row[o.RAYS + ray] * o.RAY_UNIT
        worth = _RAYS[ray, 0] * dx + _RAYS[ray, 1] * dy
        worth += 0.15 * (_RAYS[ray, 0] * row[o.VX] + _RAYS[ray, 1] * row[o.VY])  # go on rather than turn about
        if free < 1.6:
            worth -= 2.0 * (1.6 - free)
        if worth > best_worth:
            best, best_worth = ray, worth
    if _RAYS[best, 0] * dx + _RAYS[best, 1] * dy > 0.9:
        return dx, dy
    return _RAYS[best, 0], _RAYS[best, 1]


@kernel
def apart(row: Floats, dx: float, dy: float) -> tuple[float, float]:
    """Add a push away from allies that are too near."""
    for slot in range(o.ALLY_SLOTS):
        at = o.ALLIES + slot * o.ALLY_SIZE
        if row[at + o.A_PRESENT] < 0.5:
            break
        ax, ay = row[at + o.A_DX] * o.DISTANCE_UNIT, row[at + o.A_DY] * o.DISTANCE_UNIT
        distance = np.sqrt(ax * ax + ay * ay)
        if 1e-6 < distance < ELBOW_ROOM:
            push = 0.6 * (ELBOW_ROOM - distance) / ELBOW_ROOM / distance
            dx, dy = dx - ax * push, dy - ay * push
    return dx, dy


@kernel
def engage(row: Floats, memory: Floats, entity: int, tick: int, ex: float, ey: float, distance: float) -> tuple[float, float]:
    """The wanted way while an enemy is in sight: keep the distance, strafe, back away when weak."""
    memory[_SIDE_LEFT] -= 1.0
    if memory[_SIDE_LEFT] <= 0.0:
        memory[_SIDE] = 1.0 if chance(entity, tick, 4) > 0.0 else -1.0
        memory[_SIDE_LEFT] = SWEEP_TICKS * (1.5 + 0.5 * chance(entity, tick, 5))
    ux, uy = ex / distance, ey / distance
    towards = 0.0
    if distance > KEEP_FAR:
        towards = 1.0
    elif distance < KEEP_NEAR:
        towards = -0.8
    if row[o.HEALTH] < WEAK and row[o.HURT] < 1.0:
        towards = -1.2
    return ux * towards - uy * memory[_SIDE], uy * towards + ux * memory[_SIDE]


@kernel
def aim(memory: Floats, entity: int, tick: int, level: float, ex: float, ey: float, distance: float) -> bool:
    """Move the cursor towards an enemy as a person would; whether it is close enough to fire."""
    memory[_REACT] += 1.0
    if memory[_REACT] < 27.0 - 1.8 * level:  # 420 ms at level 1, 150 ms at level 10
        return False
    wrong = (0.30 + 0.055 * distance) * (1.15 - 0.1 * level)  # u, the size of the error
    if tick % 6 == 0:  # the error drifts: a person corrects ten times a second
        memory[_ERROR_X] += 0.5 * (wrong * chance(entity, tick, 6) - memory[_ERROR_X])
        memory[_ERROR_Y] += 0.5 * (wrong * chance(entity, tick, 7) - memory[_ERROR_Y])
    pull = 0.06 + 0.016 * level  # part of the way that is closed in a tick
    memory[_AIM_X] += pull * (ex + memory[_ERROR_X] - memory[_AIM_X])
    memory[_AIM_Y] += pull * (ey + memory[_ERROR_Y] - memory[_AIM_Y])
    dx, dy = memory[_AIM_X] - ex, memory[_AIM_Y] - ey
    return bool(dx * dx + dy * dy < 1.0 + 0.004 * distance * distance)


@kernel
def decide(rows: Floats, entities: NDArray[np.int32], state: Floats, out: Floats) -> None:
    """One decision for each row; see core/npc/observation.py and action.py for the columns."""
    for i in range(rows.shape[0]):
        row, e = rows[i], entities[i]
        out[i, :] = 0.0
        if e < 0 or e >= state.shape[0]:
            continue
        memory = state[e]
        memory[_TICKS] = (memory[_TICKS] + 1.0) % 1_000_000.0
        tick = int(memory[_TICKS])
        if row[o.ALIVE] < 0.5:
            memory[_REACT] = 0.0
            continue
        first = o.ENEMIES
        ex, ey = row[first + o.E_DX] * o.DISTANCE_UNIT, row[first + o.E_DY] * o.DISTANCE_UNIT
        distance = max(np.sqrt(ex * ex + ey * ey), 1e-3)
        if row[first + o.E_PRESENT] > 0.5 and row[first + o.E_VISIBLE] > 0.5:
            dx, dy = engage(row, memory, e, tick, ex, ey, distance)
            if aim(memory, e, tick, row[o.LEVEL] * 10.0, ex, ey, distance):
                out[i, a.FIRE] = 1.0
        else:
            memory[_REACT] = 0.0
            if row[first + o.E_PRESENT] > 0.5 and row[o.HEALTH] >= WEAK and distance > 1.5:
                dx, dy = ex, ey  # where an enemy was last seen
            else:
                dx, dy = wander(row, memory, e, tick)
            length = max(np.sqrt(dx * dx + dy * dy), 1e-3)
            memory[_AIM_X] += 0.1 * (dx / length * 8.0 - memory[_AIM_X])  # look where it goes
            memory[_AIM_Y] += 0.1 * (dy / length * 8.0 - memory[_AIM_Y])
        dx, dy = steer(row, dx, dy)
        dx, dy = apart(row, dx, dy)
        out[i, a.MOVE_X], out[i, a.MOVE_Y] = min(max(dx, -1.0), 1.0), min(max(dy, -1.0), 1.0)
        out[i, a.AIM_X], out[i, a.AIM_Y] = memory[_AIM_X] / a.AIM_UNIT, memory[_AIM_Y] / a.AIM_UNIT


class ScriptedPolicy:
    """The scripted NPC for any number of entities of one process."""

    name = "scripted"
    input_size = o.OBSERVATION_SIZE
    output_size = a.ACTION_SIZE

    def __init__(self, *, entities_max: int = ENTITIES_MAX) -> None:
        self._state: Floats = np.zeros((entities_max, MEMORY), np.float32)

    def run(self, rows: Floats, entities: NDArray[np.int32], out: Floats) -> None:
        """rows: float32 [N, OBSERVATION_SIZE], entities: int32 [N], out: float32 [N, ACTION_SIZE].

        Only the first `len(entities)` rows count. Entities beyond `entities_max` stand still.
        Raises ValueError where the shapes do not fit.
        """
        count = len(entities)
        if rows.shape[1:] != (self.input_size,) or out.shape[1:] != (self.output_size,) or min(len(rows), len(out)) < count:
            raise ValueError(f"rows {rows.shape}, entities {entities.shape} and out {out.shape} do not fit each other")
        taken = np.require(rows[:count], np.float32, ["C", "A", "W"])
        written = np.require(out[:count], np.float32, ["C", "A", "W"])
        decide(taken, np.require(entities, np.int32, ["C", "A", "W"]), self._state, written)
        if not np.shares_memory(written, out):
            out[:count] = written

    def forget(self, entities: NDArray[np.int32]) -> None:
        """Drop what is remembered of these entities; unknown ones are ignored."""
        known = entities[(entities >= 0) & (entities < len(self._state))]
        self._state[known] = 0.0
