"""Recorded people, where the data set lies beside the checkout (shared/data/aim; see CARD.md): the mouse before clicks.

A click stands for a shot: nobody recorded where the targets were, so the target is the place that was clicked, and nothing that
follows may look at how far from it a path ends.
"""

import csv
import gzip
import os
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
def _events(file: Path) -> dict[tuple[int, int], np.ndarray]:
    """Rows (ms, x, y, pressed) of each user and session."""
    events: dict[tuple[int, int], list[tuple[float, float, float, bool]]] = {}
    with gzip.open(file, "rt") as lines:
        for row in csv.DictReader(lines):
            press = row["state"] == "Pressed" and row["button"] == "Left"
            key = int(row["user"]), int(row["session_min"])
            events.setdefault(key, []).append((float(row["t_ms"]), float(row["x"]), float(row["y"]), press))
    return {key: np.array(rows) for key, rows in sorted(events.items())}


def clicks(users: range, file: Path | None = None) -> Clicks | None:
    """Left clicks of these people, or None where the data are not there."""
    file = file or FILE
    if not file.exists():
        return None
    paths, held, who = [], [], []
    for (user, _), data in _events(file).items():
        if user not in users:
            continue
        t = np.maximum.accumulate(data[:, 0])
        last = -1e9
        for at in np.flatnonzero(data[:, 3]):
            now = t[at]
            when = now - np.arange(FINE)[::-1] * (1000.0 / FINE_HZ)
            if now - last > AGAIN_MS and when[0] >= t[0]:
                part = slice(max(0, np.searchsorted(t, when[0]) - 1), at + 1)
                known, xy = t[part], data[part, 1:3] - data[at, 1:3]
                since = np.searchsorted(known, when + 1e-6, side="right") - 1
                step = xy[np.maximum(since, 0)]
                after = np.minimum(since + 1, len(known) - 1)
                begin = known[np.maximum(since, 0)]
                share = np.clip((when - begin) / np.maximum(known[after] - begin, 1e-6), 0.0, 1.0)
                share = np.where(after > since, share, 0.0)
                paths.append(step + (xy[after] - step) * share[:, None])
                held.append(step)
                who.append(user)
            last = now
    return Clicks(np.array(paths, np.float32), np.array(held, np.float32), np.array(who))
