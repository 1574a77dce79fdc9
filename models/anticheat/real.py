"""Recorded people, where the data set lies beside the checkout (shared/data/aim; see CARD.md): the mouse before clicks.

A click stands for a shot: nobody recorded where the targets were, so the target is the place that was clicked, and nothing that
follows may look at how far from it a path ends.
"""

import csv
import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

# The folder `shared/data` beside the checkout, or what GAMEEDGE_DATA says.
DATA = Path(os.environ.get("GAMEEDGE_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
FILE = DATA / "aim" / "human_mouse_users_001_072.csv.gz"
TRAIN_USERS = range(1, 49)
VALIDATE_USERS = range(49, 73)
FINE_HZ = 120
FINE = 192  # samples before a click: 1.6 s
AGAIN_MS = 200.0  # a click sooner after the last one is a double click
BACK_MS = 1_000.0
STOP_MS = 120.0


@dataclass
class Clicks:
    """path: float32 [N, FINE, 2], pixels relative to the click, `FINE_HZ`, the last sample at the click, lines between events; held: the
    same with the newest event; user: int [N]."""

    path: np.ndarray
    held: np.ndarray
    user: np.ndarray

    def take(self, rows: np.ndarray) -> "Clicks":
        return Clicks(self.path[rows], self.held[rows], self.user[rows])


@cache
def _events(file: Path) -> list[tuple[int, np.ndarray]]:
    """User and rows (ms, x, y, left pressed) of each recording; where time runs back, another recording begins."""
    events: dict[tuple[int, int], list[tuple[float, float, float, bool]]] = {}
    with gzip.open(file, "rt") as lines:
        for row in csv.DictReader(lines):
            press = row["state"] == "Pressed" and row["button"] == "Left"
            key = int(row["user"]), int(row["session_min"])
            events.setdefault(key, []).append((float(row["t_ms"]), float(row["x"]), float(row["y"]), press))
    out = []
    for (user, _), rows in sorted(events.items()):
        data = np.array(rows)
        back = np.flatnonzero(np.diff(data[:, 0]) < -BACK_MS) + 1
        out += [(user, part) for part in np.split(data, back)]
    return out


def recordings(file: Path | None = None) -> list[tuple[int, np.ndarray]]:
    """User and rows (ms, x, y, whether the left button was pressed) of each recording, in order of time."""
    return _events(file or FILE)


def _paths(data: np.ndarray, ends: np.ndarray, history: int = FINE) -> tuple[list[np.ndarray], list[np.ndarray], list[bool]]:
    """Paths that end at these events: with lines, held, and whether the recording has `history` samples before them."""
    t = np.maximum.accumulate(data[:, 0])
    lines, held, usable = [], [], []
    for at in ends:
        when = t[at] - np.arange(FINE)[::-1] * (1000.0 / FINE_HZ)
        part = slice(max(0, np.searchsorted(t, when[0]) - 1), at + 1)
        known, xy = t[part], data[part, 1:3] - data[at, 1:3]
        since = np.searchsorted(known, when + 1e-6, side="right") - 1
        step = xy[np.maximum(since, 0)]
        after = np.minimum(since + 1, len(known) - 1)
        begin = known[np.maximum(since, 0)]
        share = np.clip((when - begin) / np.maximum(known[after] - begin, 1e-6), 0.0, 1.0)
        share = np.where(after > since, share, 0.0)
        lines.append(step + (xy[after] - step) * share[:, None])
        held.append(step)
        usable.append(bool(when[-history] >= t[0]))
    return lines, held, usable


def _gather(users: range, file: Path | None, ends: Callable[[np.ndarray], np.ndarray], history: int) -> Clicks | None:
    file = file or FILE
    if not file.exists():
        return None
    paths, helds, who = [], [], []
    for user, data in _events(file):
        if user in users:
            lines, held, usable = _paths(data, ends(data), history)
            paths += [path for path, use in zip(lines, usable, strict=True) if use]
            helds += [path for path, use in zip(held, usable, strict=True) if use]
            who += [user] * sum(usable)
    return Clicks(np.array(paths, np.float32), np.array(helds, np.float32), np.array(who))


def clicks(users: range, file: Path | None = None) -> Clicks | None:
    """Left clicks of these people but the second of double clicks, or None where the data are not there."""

    def ends(data: np.ndarray) -> np.ndarray:
        at = np.flatnonzero(data[:, 3])
        return at[np.diff(np.maximum.accumulate(data[:, 0])[at], prepend=-1e9) > AGAIN_MS]

    return _gather(users, file, ends, FINE)


def stops(users: range, file: Path | None = None) -> Clicks | None:
    """Other ends of movements that a shot could have been at: the second of double clicks, and where the cursor then rests for a moment.
    For training: people move in more ways than they click."""

    def ends(data: np.ndarray) -> np.ndarray:
        t = np.maximum.accumulate(data[:, 0])
        press = data[:, 3] > 0
        again = np.zeros(len(t), bool)
        at = np.flatnonzero(press)
        again[at] = np.diff(t[at], prepend=-1e9) <= AGAIN_MS
        return np.flatnonzero(again | (~press & (np.diff(t, append=t[-1]) > STOP_MS)))

    return _gather(users, file, ends, FINE // 2)
