"""The baseline of `bench tick`: one step of the same crowd as somebody would first write it in numpy, whole arrays at a time.

Acceleration, movement, the world's edge, and for every pair of one match whether a wall stands between them. Left out, which
favours the baseline: collision with walls, shots, respawns, inputs, lag compensation.
"""

from typing import Final

import numpy as np

from gameedge.arena.geometry import WALLS
from gameedge.arena.settings import ACCELERATION, DT, RADIUS, SIZE, SPEED_MAX
from loadtest.bench.timing import us_each

SEATS: Final = 10


def numpy_step_us(entities: int) -> float:
    """Microseconds of one step of `entities` in matches of ten."""
    matches = max(1, entities // SEATS)
    rng = np.random.default_rng(1)
    place = rng.uniform(RADIUS, SIZE - RADIUS, (matches, SEATS, 2))
    speed = np.zeros_like(place)
    wanted = rng.uniform(-1.0, 1.0, place.shape)

    def step() -> None:
        change = wanted * SPEED_MAX - speed
        length = np.linalg.norm(change, axis=2, keepdims=True)
        speed[...] += change * np.minimum(1.0, ACCELERATION * DT / np.maximum(length, 1e-9))
        place[...] = np.clip(place + speed * DT, RADIUS, SIZE - RADIUS)
        clear_lines(place)

    return us_each(step, seconds=0.3)


def clear_lines(place: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Whether each sees each: place float64 [M, S, 2] to bool [M, S, S]. Segments against boxes by the slab method."""
    start = place[:, :, None, None, :]
    way = place[:, None, :, None, :] - start
    with np.errstate(divide="ignore", invalid="ignore"):
        a = (WALLS[:, :2] - start) / way
        b = (WALLS[:, 2:] - start) / way
    low = np.fmax.reduce(np.minimum(a, b), axis=-1)
    high = np.fmin.reduce(np.maximum(a, b), axis=-1)
    clear: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = ~(np.maximum(low, 0.0) < np.minimum(high, 1.0)).any(axis=-1)
    return clear
