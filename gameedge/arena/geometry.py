"""Walls, sight and the counter-based random numbers, as small functions that kernels call.

Sight between two points needs only the walls that could stand between the cells of the two points: a table over pairs of
4x4-unit cells holds them as bits of one integer. It is conservative (a segment between two boxes of one size stays within
their centres' segment widened by half a box), so the answer is the one that testing every wall gives, at about a fifth of the
cost.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gameedge.arena.settings import DT, RADIUS, SIZE, SPEED_MAX
from gameedge.core.kernel import kernel
from gameedge.core.npc.observation import RAY_UNIT
from gameedge.core.protocol import arena_map

Bits = NDArray[np.int32]

CELLS: Final = 16  # a side
CELL: Final = SIZE / CELLS
WALLS: Final[NDArray[np.float64]] = np.array(arena_map.WALLS, np.float64)
WALL_COUNT: Final = len(arena_map.WALLS)
SPAWNS: Final[NDArray[np.float64]] = np.array(arena_map.SPAWNS, np.float64)
_EDGE: Final = 1e-6  # widening of the table's boxes, against rounding


def between_cells() -> Bits:
    """Bits of the walls that may stand between two cells, int32 [CELLS ** 2, CELLS ** 2]."""
    centre = (np.arange(CELLS) + 0.5) * CELL
    cx, cy = (axis.ravel() for axis in np.meshgrid(centre, centre, indexing="ij"))
    dx, dy = cx[None, :] - cx[:, None], cy[None, :] - cy[:, None]
    bits = np.zeros((CELLS**2, CELLS**2), np.int32)
    half = CELL / 2 + _EDGE
    for wall, (x0, y0, x1, y1) in enumerate(arena_map.WALLS):
        low, high = np.zeros_like(dx), np.ones_like(dx)
        for start, step, near, far in ((cx, dx, x0 - half, x1 + half), (cy, dy, y0 - half, y1 + half)):
            moving = step != 0.0
            divisor = np.where(moving, step, 1.0)
            a, b = (near - start[:, None]) / divisor, (far - start[:, None]) / divisor
            inside = ((start >= near) & (start <= far))[:, None]
            low = np.maximum(low, np.where(moving, np.minimum(a, b), np.where(inside, 0.0, 2.0)))
            high = np.minimum(high, np.where(moving, np.maximum(a, b), np.where(inside, 1.0, -1.0)))
        bits |= np.where(low <= high + _EDGE, np.int32(1 << wall), np.int32(0))
    return bits


def _near() -> Bits:
    """Bits of the walls that a disc in a cell may touch within one tick, int32 [CELLS ** 2]."""
    low = np.arange(CELLS) * CELL
    reach = RADIUS + 2 * SPEED_MAX * DT
    bits = np.zeros((CELLS, CELLS), np.int32)
    for wall, (x0, y0, x1, y1) in enumerate(arena_map.WALLS):
        in_x = (low - reach <= x1) & (low + CELL + reach >= x0)
        in_y = (low - reach <= y1) & (low + CELL + reach >= y0)
        bits |= np.where(in_x[:, None] & in_y[None, :], np.int32(1 << wall), np.int32(0))
    return bits.ravel()


NEAR_WALLS: Final = _near()

# The eight directions of an observation's rays, unit vectors, 0 degrees = +x, then every 45 degrees counter-clockwise.
_WAYS = np.array([(1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (-1.0, 1.0), (-1.0, 0.0), (-1.0, -1.0), (0.0, -1.0), (1.0, -1.0)])
RAYS: Final[NDArray[np.float64]] = _WAYS / np.sqrt((_WAYS * _WAYS).sum(axis=1, keepdims=True))


def _in_way(reach: float) -> Bits:
    """Bits of the walls that a ray of this length from anywhere in a cell may meet, int32 [CELLS ** 2, rays].

    Conservative as `between_cells` is: a ray from a point of a box stays within the middle's ray widened by half a box.
    """
    bits = np.zeros((CELLS * CELLS, len(RAYS)), np.int32)
    half = CELL / 2 + _EDGE
    for cell in range(CELLS * CELLS):
        x, y = (cell // CELLS + 0.5) * CELL, (cell % CELLS + 0.5) * CELL
        for ray, (dx, dy) in enumerate(RAYS * reach):
            for wall, (x0, y0, x1, y1) in enumerate(arena_map.WALLS):
                low, high = 0.0, 1.0
                for start, step, near, far in ((x, dx, x0 - half, x1 + half), (y, dy, y0 - half, y1 + half)):
                    if abs(step) > 0.0:
                        a, b = (near - start) / step, (far - start) / step
                        low, high = max(low, min(a, b)), min(high, max(a, b))
                    elif not near <= start <= far:
                        low = 2.0
                if low <= high + _EDGE:
                    bits[cell, ray] |= np.int32(1 << wall)
    return bits


IN_WAY: Final = _in_way(RAY_UNIT)

CLEAR: Final = -1
OUTSIDE: Final = 127
HUGE: Final = 1e30  # instead of 1 / 0: times a distance of the map it stays finite, and 0 times it is 0
# The index of a single bit by one multiplication (Leiserson, Prokop, Randall: Using de Bruijn sequences to index a 1).
_DE_BRUIJN: Final = 0x077C_B531
_BIT_INDEX: Final = np.zeros(32, np.int64)
for _bit in range(32):
    _BIT_INDEX[((1 << _bit) * _DE_BRUIJN & 0xFFFF_FFFF) >> 27] = _bit


@kernel
def cell_of(x: float, y: float) -> int:
    """The index of a point's cell; points outside the world belong to the nearest cell."""
    i = min(max(int(x / CELL), 0), CELLS - 1)
    j = min(max(int(y / CELL), 0), CELLS - 1)
    return i * CELLS + j


@kernel
def crosses(wall: int, x: float, y: float, per_dx: float, per_dy: float) -> bool:
    """Whether a segment from (x, y) enters a wall's inside; 1 / its extent in x and y (huge where it has none)."""
    a, b = (WALLS[wall, 0] - x) * per_dx, (WALLS[wall, 2] - x) * per_dx
    c, d = (WALLS[wall, 1] - y) * per_dy, (WALLS[wall, 3] - y) * per_dy
    # Conditional expressions, not min and max: those treat NaN in ways that cost a third of the time of this function.
    low_x, high_x = (a, b) if a < b else (b, a)
    low_y, high_y = (c, d) if c < d else (d, c)
    low = low_x if low_x > low_y else low_y
    high = high_x if high_x < high_y else high_y
    return (low if low > 0.0 else 0.0) < (high if high < 1.0 else 1.0)


@kernel
def blocker(between: Bits, x: float, y: float, to_x: float, to_y: float, hint: int) -> int:
    """A wall that stands between two points, or CLEAR. `hint` (tried first, any number) is best the last answer for this pair.

    Points outside the world see nothing: the answer is OUTSIDE.
    """
    if x < 0.0 or y < 0.0 or to_x < 0.0 or to_y < 0.0 or x > SIZE or y > SIZE or to_x > SIZE or to_y > SIZE:
        return OUTSIDE
    per_dx = 1.0 / (to_x - x) if to_x != x else HUGE
    per_dy = 1.0 / (to_y - y) if to_y != y else HUGE
    if 0 <= hint < WALL_COUNT and crosses(hint, x, y, per_dx, per_dy):
        return hint
    bits = int(between[cell_of(x, y), cell_of(to_x, to_y)])
    while bits != 0:
        lowest = bits & -bits
        wall = int(_BIT_INDEX[((lowest * _DE_BRUIJN) & 0xFFFF_FFFF) >> 27])
        if crosses(wall, x, y, per_dx, per_dy):
            return wall
        bits ^= lowest
    return CLEAR


@kernel
def to_edge(x: float, y: float, dx: float, dy: float, reach: float) -> float:
    """How far one comes in the direction (dx, dy), a unit vector, before the edge of the world, at most `reach`."""
    best = reach
    if dx > 0.0:
        best = min(best, (SIZE - x) / dx)
    elif dx < 0.0:
        best = min(best, -x / dx)
    if dy > 0.0:
        best = min(best, (SIZE - y) / dy)
    elif dy < 0.0:
        best = min(best, -y / dy)
    return best


@kernel
def to_wall(wall: int, x: float, y: float, dx: float, dy: float, best: float) -> float:
    """How far one comes before this wall, at most `best`."""
    low, high = 0.0, best
    if dx != 0.0:
        a, b = (WALLS[wall, 0] - x) / dx, (WALLS[wall, 2] - x) / dx
        low, high = max(low, min(a, b)), min(high, max(a, b))
    elif x <= WALLS[wall, 0] or x >= WALLS[wall, 2]:
        return best
    if low >= high:
        return best
    if dy != 0.0:
        a, b = (WALLS[wall, 1] - y) / dy, (WALLS[wall, 3] - y) / dy
        low, high = max(low, min(a, b)), min(high, max(a, b))
    elif y <= WALLS[wall, 1] or y >= WALLS[wall, 3]:
        return best
    return low if low < high else best


@kernel
def free_way(x: float, y: float, dx: float, dy: float, reach: float) -> float:
    """How far one comes from (x, y) in the direction (dx, dy), a unit vector, before a wall or the edge of the world."""
    best = to_edge(x, y, dx, dy, reach)
    for wall in range(WALL_COUNT):
        best = to_wall(wall, x, y, dx, dy, best)
    return best


@kernel
def free_ray(x: float, y: float, ray: int) -> float:
    """`free_way` along one of RAYS up to RAY_UNIT, to the bit, testing only the walls that may be in its way."""
    dx, dy = RAYS[ray, 0], RAYS[ray, 1]
    best = to_edge(x, y, dx, dy, RAY_UNIT)
    bits = int(IN_WAY[cell_of(x, y), ray])
    while bits != 0:
        lowest = bits & -bits
        best = to_wall(int(_BIT_INDEX[((lowest * _DE_BRUIJN) & 0xFFFF_FFFF) >> 27]), x, y, dx, dy, best)
        bits ^= lowest
    return best


@kernel
def uniform(seed: np.uint64, tick: int, seat: int, salt: int) -> float:
    """A number in [0, 1) that depends on its arguments alone (splitmix64's mixing of a counter)."""
    z = seed
    z += np.uint64(tick) * np.uint64(0x9E3779B97F4A7C15)
    z += np.uint64(seat) * np.uint64(0xD1B54A32D192ED03)
    z += np.uint64(salt) * np.uint64(0x8CB92BA72F3D8DD7)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return float(z >> np.uint64(40)) / 16_777_216.0


@kernel
def turn_of(x: float, y: float) -> float:
    """The direction of a vector in turns, 0 to 1, counter-clockwise from +x; within 2e-5 of a turn, without libm."""
    big, small = max(abs(x), abs(y)), min(abs(x), abs(y))
    if big == 0.0:
        return 0.0
    q = small / big
    s = q * q
    # A minimax polynomial of atan(q) on 0 to 1, in radians.
    angle = q * (0.99997726 + s * (-0.33262347 + s * (0.19354346 + s * (-0.11643287 + s * (0.05265332 - s * 0.01172120)))))
    turn = angle / 6.283185307179586
    if abs(y) > abs(x):
        turn = 0.25 - turn
    if x < 0.0:
        turn = 0.5 - turn
    return 1.0 - turn if y < 0.0 and turn > 0.0 else turn
