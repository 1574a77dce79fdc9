"""Does a snapshot tell anything of an enemy who is out of sight? `python -m loadtest.bench.leak_trial --decoys 500 --json`.

A decoy is an enemy put where nobody can see it, not even a look-ahead later: whatever way the viewer and the decoy run. The same match is
then told to the viewer with the decoy in another such place. If a single bit of the two snapshots differs, the place leaked; a
client can cheat with nothing else. Whether a place is hidden is decided by rays of the harness (`loadtest.bots.ground`), not by the
arena's own code. For comparison, decoys in plain sight: all of them must make a difference, or the trial would prove nothing.
"""

import argparse
import json
import math
from typing import Any, Final

import numpy as np

from gameedge.arena import Arena
from gameedge.arena import world as at
from gameedge.arena.settings import LOOKAHEAD_S, RADIUS, SIGHT, SIZE, SPEED_MAX
from gameedge.core.game import Seat
from gameedge.core.ids import PlayerId
from loadtest.bots import ground

RUN: Final = SPEED_MAX * LOOKAHEAD_S + 0.1  # u that either goes within a look-ahead, and a margin
WAYS: Final = 8


def _sees(x: float, y: float, to_x: float, to_y: float) -> bool:
    """The middle or an edge of a disc."""
    far = math.hypot(to_x - x, to_y - y)
    if far > SIGHT + 2 * RUN:
        return False
    ex, ey = -(to_y - y) / max(far, 1e-9) * RADIUS, (to_x - x) / max(far, 1e-9) * RADIUS
    return any(ground.sees(x, y, to_x + k * ex, to_y + k * ey) for k in (0.0, 1.0, -1.0))


def hidden(x: float, y: float, to_x: float, to_y: float) -> bool:
    """Whether neither can come into the other's sight within a look-ahead, whatever way they run."""
    turns = [(0.0, 0.0)] + [
        (part * RUN * math.cos(k * math.tau / WAYS), part * RUN * math.sin(k * math.tau / WAYS)) for k in range(WAYS) for part in (0.5, 1.0)
    ]
    return not any(_sees(x + ax, y + ay, to_x + bx, to_y + by) for ax, ay in turns for bx, by in turns)


def _snapshot(arena: Arena, slot: int, places: list[tuple[float, float]], runs: tuple[float, float]) -> bytes:
    """What the first seat is told with both seats at these places, the viewer standing and the other running."""
    w = arena._world
    viewer = arena.entity(slot, 0)
    for seat, (x, y) in enumerate(places):
        entity = arena.entity(slot, seat)
        w.f[[at.X, at.Y, at.VX, at.VY], entity] = x, y, seat * runs[0], seat * runs[1]
        w.history[entity] = x, y
        w.hidden_by[entity] = -1
    w.n[at.SNAPPED, viewer], w.n[at.SHOWN, viewer] = at.NEVER, 0
    out = np.zeros((1, arena.spec.snapshot_size_max), np.uint8)
    sizes, processed = np.zeros(1, np.int32), np.zeros(1, np.int64)
    arena.snapshot(np.array([viewer], np.int32), out, sizes, processed)
    return out[0, : sizes[0]].tobytes()


def run(decoys: int, seed: int = 1) -> dict[str, Any]:
    """Place `decoys` pairs out of sight, and as many tenths in sight."""
    arena, rng, places = Arena(matches_max=1, entities_max=4), np.random.default_rng(seed), ground.points()
    slot = arena.open_match("duel", seed, [Seat(team=team, player=PlayerId(f"p{team}")) for team in range(2)])
    arena.step()
    found = {"decoys": 0, "enemies_sent_beyond_the_look_ahead": 0, "in_sight": 0, "in_sight_and_told": 0}

    def place() -> tuple[float, float]:
        x, y = places[int(rng.integers(len(places)))]
        return min(max(x, RADIUS), SIZE - RADIUS), min(max(y, RADIUS), SIZE - RADIUS)

    while found["decoys"] < decoys:
        viewer, one, other = place(), place(), place()
        if hidden(*viewer, *one) and hidden(*viewer, *other):
            found["decoys"] += 1
            turn = rng.uniform(0.0, math.tau, 2)
            runs = [(SPEED_MAX * math.cos(a), SPEED_MAX * math.sin(a)) for a in turn]
            told = [_snapshot(arena, slot, [viewer, where], run) for where, run in zip((one, other), runs, strict=True)]
            found["enemies_sent_beyond_the_look_ahead"] += told[0] != told[1]
        elif found["in_sight"] < decoys // 10 and ground.sees(*viewer, *one) and math.hypot(one[0] - viewer[0], one[1] - viewer[1]) < SIGHT:
            moved = one[0] + 0.25, one[1]
            if ground.sees(*viewer, *moved):
                found["in_sight"] += 1
                told = [_snapshot(arena, slot, [viewer, where], (0.0, 0.0)) for where in (one, moved)]
                found["in_sight_and_told"] += told[0] != told[1]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decoys", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = run(options.decoys)
    print(json.dumps(found, indent=2) if options.json else "\n".join(f"{name}: {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
