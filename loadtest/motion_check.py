"""Compare the aim model with recorded people: `python -m loadtest.motion_check FILE.csv.gz` (SapiMouse's columns).

Reads `user, session_min, t_ms, state, button, x, y` (pixels), takes every movement from one button event to the next press,
and puts the model before the same distances. Both are measured by the same code at 60 Hz. No part of the product needs the
recording.
"""

import argparse
import csv
import gzip
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from loadtest.motion import SAMPLE_MS, Finger, Hand, Person

PIXELS_PER_UNIT: Final = 44.0  # one target width on the recording's screen, assumed: it does not say
DISTANCE_PX_MIN: Final = 100.0
PATH_MS_MAX: Final = 3_000
SMOOTH: Final = np.array([0.061, 0.242, 0.394, 0.242, 0.061])  # a Gaussian of one sample
MEASURES: Final = ("duration_ms", "peak_speed_widths_s", "peak_over_mean", "submovements", "efficiency", "peak_at")

Path2 = NDArray[np.float64]


def measure(path: Path2) -> dict[str, float] | None:
    """Figures of one movement, positions [N, 2] in target widths at 60 Hz from rest to the click. None: nothing moved.

    The movement lies between the first and the last crossing of 5 % of the peak speed. Submovements are maxima of speed that
    stand out by a tenth of the peak. `peak_at` is where in the movement the highest speed is, 0 to 1.
    """
    if len(path) < 8:
        return None
    velocity = np.diff(path, axis=0) * (1000.0 / SAMPLE_MS)
    speed = np.hypot(*velocity.T)
    speed = np.convolve(speed, SMOOTH, mode="same")
    peak = float(speed.max())
    if peak <= 0.5:
        return None
    moving = np.flatnonzero(speed > 0.05 * peak)
    first, last = int(moving[0]), int(moving[-1]) + 1
    if last - first < 4:
        return None
    part = speed[first:last]
    straight = float(np.hypot(*(path[last] - path[first])))
    length = float(np.hypot(*np.diff(path[first : last + 1], axis=0).T).sum())
    if straight < 1.0:
        return None
    return {
        "duration_ms": (last - first) * SAMPLE_MS,
        "peak_speed_widths_s": peak,
        "peak_over_mean": peak / float(part.mean()),
        "submovements": float(_peaks(part, 0.1 * peak)),
        "efficiency": min(1.0, straight / length),
        "peak_at": float(part.argmax()) / (last - first),
    }


def _peaks(speed: NDArray[np.float64], prominence: float) -> int:
    """Maxima that rise by `prominence` above the valley before them and fall by it after."""
    count, rising, extreme = 0, True, float(speed[0])
    for value in speed[1:]:
        if rising:
            if value > extreme:
                extreme = float(value)
            elif value < extreme - prominence:
                count, rising, extreme = count + 1, False, float(value)
        elif value < extreme:
            extreme = float(value)
        elif value > extreme + prominence:
            rising, extreme = True, float(value)
    return count + int(rising)


def recorded(file: Path) -> Iterator[tuple[Path2, float]]:
    """Movements of people in target widths at 60 Hz, and their distances."""
    tracks: dict[tuple[str, str], list[tuple[int, str, int, int]]] = {}
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            key = (row["user"], row["session_min"])
            tracks.setdefault(key, []).append((int(row["t_ms"]), row["state"], int(row["x"]), int(row["y"])))
    for track in tracks.values():
        start: int | None = None
        for index, (at, state, x, y) in enumerate(track):
            if state == "Pressed" and start is not None:
                part = [track[start], *(event for event in track[start + 1 : index] if event[1] == "Move"), (at, state, x, y)]
                distance = float(np.hypot(x - part[0][2], y - part[0][3]))
                whole = len(part) == index - start + 1
                if whole and distance >= DISTANCE_PX_MIN and at - part[0][0] <= PATH_MS_MAX:
                    yield _resample(part) / PIXELS_PER_UNIT, distance / PIXELS_PER_UNIT
            if state in ("Pressed", "Released"):
                start = index


def _resample(events: Sequence[tuple[int, str, int, int]]) -> Path2:
    times = np.array([event[0] for event in events], float)
    grid = np.arange(times[0], times[-1] + SAMPLE_MS, SAMPLE_MS)
    return np.stack([np.interp(grid, times, np.array([event[axis] for event in events], float)) for axis in (2, 3)], axis=1)


def modelled(distances: Sequence[float], seed: int, per_person: int = 100) -> Iterator[Path2]:
    """The model's movements over these distances, in target widths at 60 Hz, up to the shot (or three seconds)."""
    rng = np.random.default_rng(seed)
    person = Person.draw(rng)
    for index, distance in enumerate(distances):
        if index % per_person == 0:
            person = Person.draw(rng)
        hand = Hand(person, rng)
        finger = Finger(person, hand.draws)
        turn = rng.uniform(0.0, 2.0 * np.pi)
        tx, ty = distance * float(np.cos(turn)), distance * float(np.sin(turn))
        path = []
        for step in range(int(PATH_MS_MAX / SAMPLE_MS)):
            now_ms = step * SAMPLE_MS
            hand.see("target", now_ms, tx, ty)
            x, y = hand.sample(now_ms)
            path.append((x, y))
            if finger.press(now_ms, float(np.hypot(tx - x, ty - y)), 0.5):
                break
        yield np.array(path)


def summary(movements: Iterator[Path2]) -> dict[str, list[float]]:
    """10th, 50th and 90th percentile of each measure."""
    rows = [row for row in map(measure, movements) if row is not None]
    columns = {name: [row[name] for row in rows] for name in MEASURES}
    return {name: [round(float(value), 3) for value in np.percentile(column, (10, 50, 90))] for name, column in columns.items()}


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.motion_check", description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="the recording, gzip-compressed CSV")
    parser.add_argument("--count", type=int, default=4000, help="movements to compare")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    people = list(recorded(options.file))
    chosen = np.random.default_rng(options.seed).permutation(len(people))[: options.count]
    human = summary(people[int(index)][0] for index in chosen)
    model = summary(modelled([people[int(index)][1] for index in chosen], options.seed))
    print(json.dumps({"movements": len(chosen), "percentiles": [10, 50, 90], "people": human, "model": model}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
