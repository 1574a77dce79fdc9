"""What a bot knows of the map: who could see whom, and the way from here to there.

Ways are found on a grid of points with breadth-first search from the goal; one table of next steps a goal, kept. Cheap enough
to ask each command: a lookup of the nearest point and of its next step.
"""

import math
from collections import deque
from functools import cache
from typing import Any, Final

import numpy as np

from gameedge.core.kernel import kernel
from gameedge.core.protocol.arena_map import RADIUS, SIZE, WALLS, Point

STEP: Final = 2.0  # world units between the grid's points
CELLS: Final = int(SIZE / STEP)
MARGIN: Final = RADIUS + 0.15  # from walls


_BOXES: Final = np.array(WALLS, np.float64)


@kernel
def _clear(boxes: Any, x0: Any, y0: Any, x1: Any, y1: Any, margin: Any) -> Any:
    dx, dy = x1 - x0, y1 - y0
    for i in range(boxes.shape[0]):
        enter, leave, hit = 0.0, 1.0, True
        for axis in range(2):
            start, way = (x0, dx) if axis == 0 else (y0, dy)
            least, most = boxes[i, axis] - margin, boxes[i, 2 + axis] + margin
            if abs(way) < 1e-9:
                if not least < start < most:
                    hit = False
                    break
                continue
            near, far = (least - start) / way, (most - start) / way
            if near > far:
                near, far = far, near
            enter, leave = max(enter, near), min(leave, far)
            if enter >= leave:
                hit = False
                break
        if hit:
            return False
    return True


def sees(x0: float, y0: float, x1: float, y1: float, margin: float = 0.0) -> bool:
    """Whether nothing stands between two points. `margin` widens the walls: a disc of that radius could go there."""
    return bool(_clear(_BOXES, x0, y0, x1, y1, margin))


def free(x: float, y: float) -> bool:
    """Whether a player fits there."""
    if not (MARGIN < x < SIZE - MARGIN and MARGIN < y < SIZE - MARGIN):
        return False
    return not any(x0 - MARGIN < x < x1 + MARGIN and y0 - MARGIN < y < y1 + MARGIN for x0, y0, x1, y1 in WALLS)


def _point(cell: int) -> Point:
    return (cell % CELLS + 0.5) * STEP, (cell // CELLS + 0.5) * STEP


@cache
def _neighbours() -> tuple[tuple[int, ...], ...]:
    """For each cell the cells that can be walked to in a straight line."""
    cells = CELLS * CELLS
    free_cells = [free(*_point(cell)) for cell in range(cells)]
    table = []
    for cell in range(cells):
        around = []
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)):
            column, row = cell % CELLS + dx, cell // CELLS + dy
            other = row * CELLS + column
            if not (0 <= column < CELLS and 0 <= row < CELLS and free_cells[cell] and free_cells[other]):
                continue
            if sees(*_point(cell), *_point(other), margin=MARGIN):
                around.append(other)
        table.append(tuple(around))
    return tuple(table)


@cache
def points() -> tuple[Point, ...]:
    """All grid points that players can get to."""
    return tuple(_point(cell) for cell, around in enumerate(_neighbours()) if around)


def _cell(x: float, y: float) -> int:
    """The walkable cell nearest to a place."""
    column = min(CELLS - 1, max(0, int(x / STEP)))
    row = min(CELLS - 1, max(0, int(y / STEP)))
    table = _neighbours()
    for reach in range(CELLS):
        best, best_d = -1, math.inf
        for r in range(max(0, row - reach), min(CELLS, row + reach + 1)):
            for c in range(max(0, column - reach), min(CELLS, column + reach + 1)):
                cell = r * CELLS + c
                if table[cell]:
                    px, py = _point(cell)
                    distance = (px - x) ** 2 + (py - y) ** 2
                    if distance < best_d:
                        best, best_d = cell, distance
        if best >= 0:
            return best
    raise ValueError("the map has no free cell")


@cache
def _towards(goal: int) -> tuple[int, ...]:
    """For each cell the next one on the way to `goal`; -1 where there is none."""
    table = _neighbours()
    following = [-1] * len(table)
    following[goal] = goal
    waiting = deque([goal])
    while waiting:
        cell = waiting.popleft()
        for other in table[cell]:
            if following[other] < 0:
                following[other] = cell
                waiting.append(other)
    return tuple(following)


def way(x: float, y: float, goal_x: float, goal_y: float) -> Point:
    """The direction (length at most 1) to walk from a place towards another, around walls."""
    if math.hypot(goal_x - x, goal_y - y) < STEP:
        aim_x, aim_y = goal_x, goal_y
    else:
        here = _cell(x, y)
        following = _towards(_cell(goal_x, goal_y))
        aim = here
        for _ in range(3):  # look a little ahead, so that the walk is not along the grid
            further = following[aim]
            if further < 0 or not sees(x, y, *_point(further), margin=MARGIN - 0.1):
                break
            aim = further
        aim_x, aim_y = _point(aim)
    dx, dy = aim_x - x, aim_y - y
    length = math.hypot(dx, dy)
    return (dx / length, dy / length) if length > 0.3 else (0.0, 0.0)
