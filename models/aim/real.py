"""Recorded people, where the data set lies beside the checkout (shared/data/aim; see CARD.md): paths of the mouse before clicks.

A click stands for a shot: the path of the last half second, resampled to 60 Hz, relative to a target around the place that was
clicked (nobody recorded where the targets were, so the centre is drawn within the target). 50 pixels count as one world unit.
"""

import csv
import gzip
from pathlib import Path

import numpy as np

from models.aim.simulate import PATH, RADIUS, Shots

FILE = Path(__file__).resolve().parents[3] / "shared" / "data" / "aim" / "human_mouse_users_001_072.csv.gz"
PIXELS_PER_UNIT = 50.0
TRAIN_USERS = range(1, 49)
VALIDATE_USERS = range(49, 73)


def clicks(users: range, seed: int = 7) -> Shots | None:
    """Left clicks of these people as shots, or None where the data are not there. `who` is the user."""
    if not FILE.exists():
        return None
    events: dict[tuple[int, int], list[tuple[float, float, float, bool]]] = {}
    with gzip.open(FILE, "rt") as lines:
        for row in csv.DictReader(lines):
            user = int(row["user"])
            if user in users:
                press = row["state"] == "Pressed" and row["button"] == "Left"
                events.setdefault((user, int(row["session_min"])), []).append((float(row["t_ms"]), float(row["x"]), float(row["y"]), press))
    rng = np.random.default_rng(seed)
    paths, who, since = [], [], []
    for (user, _), rows in sorted(events.items()):
        data = np.array(rows)
        t = np.maximum.accumulate(data[:, 0])
        last = -1e9
        for at in np.flatnonzero(data[:, 3]):
            now = t[at]
            when = now - np.arange(PATH)[::-1] * (1000.0 / 60.0)
            if now - last > 200 and when[0] >= t[0]:
                # A mouse sends nothing while it rests: the newest position holds.
                index = np.searchsorted(t, when + 8.0, side="right") - 1
                path = data[np.maximum(index, 0), 1:3] / PIXELS_PER_UNIT
                angle, off = rng.uniform(0, 2 * np.pi), RADIUS * 0.8 * np.sqrt(rng.random())
                paths.append(path - path[-1] + off * np.array([np.cos(angle), np.sin(angle)]))
                who.append(user)
                since.append(min(now - last, 1500.0))
            last = now
    path = np.array(paths, np.float32)
    on = np.logical_and.accumulate((np.hypot(path[..., 0], path[..., 1]) <= RADIUS)[:, ::-1], axis=1).sum(axis=1)
    n = len(path)
    return Shots(
        path,
        np.array(since, np.float32),
        ((on - 1) / 60 * 1000).astype(np.float32),
        np.full(n, 15.0, np.float32),
        np.ones(n, bool),
        np.zeros(n, int),
        np.array(who),
    )
