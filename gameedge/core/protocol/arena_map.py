"""The arena's map: pure data that servers, clients and bots share. `clients/vectors/arena_map.json` is generated from it.

World units; x to the right, y up, the world is the square from 0 to `SIZE`. Walls are axis-aligned rectangles that stop
movement, shots and sight; the edge of the world stops movement. The map is symmetric under a half turn, so that no side is
better.
"""

import json
from typing import Final

Rect = tuple[float, float, float, float]  # x0, y0, x1, y1
Point = tuple[float, float]

SIZE: Final = 64.0
RADIUS: Final = 0.5  # of every entity's disc


def _turned(rect: Rect) -> Rect:
    x0, y0, x1, y1 = rect
    return (SIZE - x1, SIZE - y1, SIZE - x0, SIZE - y0)


_HALF: Final[tuple[Rect, ...]] = (
    (14.0, 10.0, 16.0, 22.0),
    (22.0, 8.0, 32.0, 10.0),
    (8.0, 28.0, 18.0, 30.0),
    (22.0, 18.0, 24.0, 26.0),
    (24.0, 38.0, 26.0, 48.0),
    (10.0, 38.0, 12.0, 50.0),
    (16.0, 52.0, 26.0, 54.0),
    (22.0, 31.0, 25.0, 33.0),
    (4.0, 14.0, 8.0, 16.0),
    (14.0, 42.0, 20.0, 44.0),
)
_LEFT: Final[tuple[Point, ...]] = (
    (3.0, 34.0),
    (3.0, 22.0),
    (3.0, 44.0),
    (6.0, 33.0),
    (6.0, 24.0),
    (3.0, 54.0),
    (3.0, 10.0),
    (6.0, 40.0),
)
_MIDDLE: Final[tuple[Point, ...]] = ((32.0, 4.0), (20.0, 14.0), (28.0, 22.0), (20.0, 36.0))

WALLS: Final[tuple[Rect, ...]] = ((30.0, 28.0, 34.0, 36.0), *_HALF, *(_turned(rect) for rect in _HALF))
# Eight for team 0, eight for team 1, eight that only free-for-all uses too.
SPAWNS: Final[tuple[Point, ...]] = (
    *_LEFT,
    *((SIZE - x, SIZE - y) for x, y in _LEFT),
    *_MIDDLE,
    *((SIZE - x, SIZE - y) for x, y in _MIDDLE),
)
SPAWNS_PER_TEAM: Final = 8


def to_json() -> str:
    """The map as the text of `clients/vectors/arena_map.json`."""
    rows = {"walls": WALLS, "spawns": SPAWNS}
    lists = ",\n".join(
        f'  "{name}": [\n' + ",\n".join(f"    {json.dumps(list(row))}" for row in table) + "\n  ]" for name, table in rows.items()
    )
    return f'{{\n  "size": {SIZE},\n  "radius": {RADIUS},\n{lists}\n}}\n'
