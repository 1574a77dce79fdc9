"""The arrays that hold every match of a process, preallocated to the limits, and the names of their rows.

`f` and `n` are struct-of-arrays tables: one row a field, one column an entity (`f[X, e]`). `m` is the same for matches. Kernels
take the whole `World` and pick what they need. Functions that run for each pair or each entity take single arrays instead: a
tuple of arrays is passed field by field, which costs more than what they do.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gameedge.arena.geometry import between_cells
from gameedge.arena.settings import EVENTS, HISTORY, PATH
from gameedge.core.limits import INPUT_BUFFER_SUBTICKS, SEATS_PER_MATCH_MAX
from gameedge.core.protocol.arena_v1 import TEAMS_MAX

# -- f: float64 rows
X: Final = 0  # world units
Y: Final = 1
VX: Final = 2  # u/s
VY: Final = 3
AX: Final = 4  # cursor relative to the own position, u
AY: Final = 5
MX: Final = 6  # wanted direction, length up to 1
MY: Final = 7
HEALTH: Final = 8
REWIND: Final = 9  # ticks, of the input in use
DX: Final = 10  # facing, unit vector
DY: Final = 11
AGO: Final = 12  # ticks, as REWIND, but bounded by SEEN_TICKS_MAX: for telemetry alone
F_ROWS: Final = 13

# -- n: int32 rows
SLOT: Final = 0  # -1: free
SEAT: Final = 1
TEAM: Final = 2
ALIVE: Final = 3
DYING: Final = 4  # lost its last health in this tick
HUMAN: Final = 5
FIRE: Final = 6
FRESH: Final = 7  # an NPC's action came since the last tick
STALE: Final = 8  # ticks since there was input
COOLDOWN: Final = 9  # ticks
RESPAWN: Final = 10  # ticks; -1: not in this wave
SCORE: Final = 11
LEVEL: Final = 12
SPAWNED: Final = 13  # match tick
FIRED: Final = 14  # match tick of the last shot
HURT: Final = 15  # match tick of the last damage
HEAD: Final = 16  # of the input ring
COUNT: Final = 17
SNAPPED: Final = 18  # match tick of the last snapshot
SHOWN: Final = 19  # events of the match that were considered for this viewer
STYLE: Final = 20  # how an NPC was asked to play (core/npc/style.py): only told, no part of what happens
N_ROWS: Final = 21

# -- m: int32 rows
STATE: Final = 0
TICK: Final = 1
END: Final = 2  # tick
MODE: Final = 3  # index
SEATS: Final = 4
PLAYERS: Final = 5  # seats that are not part of a wave
TEAMS: Final = 6
LIMIT: Final = 7  # team score that ends the match; 0: none
RULE: Final = 8
DELAY: Final = 9  # ticks from death to respawn
WAVE: Final = 10  # 1 is the first
WAVE_AT: Final = 11  # tick at which the next wave comes; -1: one is running
WAVES: Final = 12
EVENT_COUNT: Final = 13
WON: Final = 14  # waves: the players won
M_ROWS: Final = 15

FREE: Final = 0
RUNNING: Final = 1
OVER: Final = 2  # not yet told by `ended`
TOLD: Final = 3

# -- ring columns
R_AX: Final = 0
R_AY: Final = 1
R_MX: Final = 2
R_MY: Final = 3
R_SEEN: Final = 4  # the tick of the match that the client saw others at
R_FIRE: Final = 5
R_SIZE: Final = 6

NEVER: Final = -1_000_000  # a tick before every tick


class World(NamedTuple):
    """N entities, M matches, S seats a match."""

    f: NDArray[np.float64]  # [F_ROWS, N]
    n: NDArray[np.int32]  # [N_ROWS, N]
    m: NDArray[np.int32]  # [M_ROWS, M]
    seeds: NDArray[np.uint64]  # [M]
    rows: NDArray[np.int32]  # [M, S] entity of a seat
    scores: NDArray[np.int32]  # [M, TEAMS_MAX]
    events: NDArray[np.uint8]  # [M, EVENTS, 4] ring: kind, by, of, value
    history: NDArray[np.float32]  # [N, HISTORY, 2] ring: position at the end of a tick
    cursor: NDArray[np.float32]  # [N, HISTORY, 2] ring: the cursor's world position
    ring: NDArray[np.float32]  # [N, INPUT_BUFFER_SUBTICKS, R_SIZE]
    ring_sequence: NDArray[np.int64]  # [N, INPUT_BUFFER_SUBTICKS] command number on its last sub-tick, 0 on others
    processed: NDArray[np.int64]  # [N]
    since: NDArray[np.int32]  # [N, S] tick since when this seat is seen without a break; -1: not seen
    seen: NDArray[np.int32]  # [N, S] tick at which it was last seen
    seen_at: NDArray[np.float32]  # [N, S, 2] and where
    hidden_by: NDArray[np.int8]  # [N, S] the wall that last hid this seat: what to try first, no part of the state
    between: NDArray[np.int32]  # [cells, cells] walls that may stand between two cells (geometry.py)


class ShotLog(NamedTuple):
    """Shots since they were last collected; `totals[0]` rows are valid, further ones are dropped and counted in `totals[1]`."""

    totals: NDArray[np.int64]  # [2]
    shooter: NDArray[np.int32]
    target: NDArray[np.int32]
    hit: NDArray[np.bool_]
    tick: NDArray[np.int64]
    distance: NDArray[np.float32]
    visible_ms: NDArray[np.float32]
    on_target_ms: NDArray[np.float32]
    path: NDArray[np.float32]  # [C, PATH, 2]
    line: NDArray[np.float32]  # [C, PATH]


def new_world(matches: int, entities: int) -> World:
    """All arrays, empty."""
    n = np.zeros((N_ROWS, entities), np.int32)
    n[SLOT] = -1
    seats = SEATS_PER_MATCH_MAX
    return World(
        f=np.zeros((F_ROWS, entities), np.float64),
        n=n,
        m=np.zeros((M_ROWS, matches), np.int32),
        seeds=np.zeros(matches, np.uint64),
        rows=np.full((matches, seats), -1, np.int32),
        scores=np.zeros((matches, TEAMS_MAX), np.int32),
        events=np.zeros((matches, EVENTS, 4), np.uint8),
        history=np.zeros((entities, HISTORY, 2), np.float32),
        cursor=np.zeros((entities, HISTORY, 2), np.float32),
        ring=np.zeros((entities, INPUT_BUFFER_SUBTICKS, R_SIZE), np.float32),
        ring_sequence=np.zeros((entities, INPUT_BUFFER_SUBTICKS), np.int64),
        processed=np.zeros(entities, np.int64),
        since=np.full((entities, seats), -1, np.int32),
        seen=np.full((entities, seats), NEVER, np.int32),
        seen_at=np.zeros((entities, seats, 2), np.float32),
        hidden_by=np.full((entities, seats), -1, np.int8),
        between=between_cells(),
    )


def new_shot_log(capacity: int) -> ShotLog:
    """An empty log of `capacity` shots."""
    return ShotLog(
        totals=np.zeros(2, np.int64),
        shooter=np.zeros(capacity, np.int32),
        target=np.zeros(capacity, np.int32),
        hit=np.zeros(capacity, np.bool_),
        tick=np.zeros(capacity, np.int64),
        distance=np.zeros(capacity, np.float32),
        visible_ms=np.zeros(capacity, np.float32),
        on_target_ms=np.zeros(capacity, np.float32),
        path=np.zeros((capacity, PATH, 2), np.float32),
        line=np.zeros((capacity, PATH), np.float32),
    )
