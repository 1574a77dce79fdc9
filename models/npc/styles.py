"""How styles show: squads of one style each against the script, what each NPC did in half a minute, and a classifier of it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gameedge.arena import world as at
from gameedge.arena.arena import Arena
from gameedge.core.game import Seat
from gameedge.core.npc import action, hand, policy
from gameedge.core.npc import observation as o
from gameedge.core.npc.scripted import ScriptedPolicy
from gameedge.core.npc.style import STYLE_COUNT, STYLES
from models.npc.matches import Think

WINDOW_TICKS: Final = 1_800  # 30 s
CELLS: Final = 32  # of an occupancy map's side
RANGE_BINS: Final = 24
FEATURES: Final = ("enemy", "enemy_sd", "ally", "ally_near", "middle", "edge", "speed", "still", "travel", "in_sight", "fire", "spread")


@dataclass
class Behaviour:
    """features [N, len(FEATURES)] of N NPCs in one window each, their styles [N]; maps [8, CELLS, CELLS], ranges [8, RANGE_BINS]."""

    features: NDArray[np.float64]
    styles: NDArray[np.int64]
    maps: NDArray[np.float64]
    ranges: NDArray[np.float64]


def watch(think: Think, handicap: float, *, matches: int, seed: int) -> Behaviour:
    """Play squads, team 0 of one style and the script as team 1, and measure team 0 in windows of 30 s.

    handicap: of all. `matches` is rounded up to a multiple of 8; the first ten seconds are not measured.
    """
    matches = -(-matches // STYLE_COUNT) * STYLE_COUNT
    arena = Arena(matches_max=matches, entities_max=10 * matches)
    script, world = ScriptedPolicy(entities_max=10 * matches), arena._world
    state = np.zeros((10 * matches, policy.STATE), np.float32)
    ours, theirs, styles = [], [], []
    for match in range(matches):
        style = match % STYLE_COUNT
        slot = arena.open_match("squads", seed * 7_919 + match, [Seat(seat // 5, None, 5, STYLES[style]) for seat in range(10)])
        rows = world.rows[slot, :10].tolist()
        ours += rows[:5]
        theirs += rows[5:]
        styles += [style] * 5
        world.m[at.LIMIT, slot] = 0
    e1, e2, kinds = np.array(ours, np.int32), np.array(theirs, np.int32), np.array(styles)
    policy.begin(e1, state, seed)
    state[e1, hand.HANDICAP] = handicap
    n, rows1 = len(e1), np.zeros((len(e1), o.OBSERVATION_SIZE), np.float32)
    rows2, features = np.zeros_like(rows1), np.zeros((n, policy.FEATURE_SIZE), np.float32)
    chosen, a1 = np.zeros((n, 3), np.int32), np.zeros((n, action.ACTION_SIZE), np.float32)
    sums, alive_ticks = np.zeros((n, 12)), np.zeros(n)
    squares = np.zeros((n, 3))
    maps, ranges = np.zeros((STYLE_COUNT, CELLS, CELLS)), np.zeros((STYLE_COUNT, RANGE_BINS))
    for tick in range(600 + WINDOW_TICKS):
        if tick % policy.DECIDE_TICKS == 0:
            arena.observe(e1, rows1)
            policy.featurize(rows1, e1, state, features)
            policy.choose(think(features), rows1, e1, state, chosen, policy.DECIDE_TICKS)
            arena.observe(e2, rows2)
        policy.act(e1, state, a1)
        arena.act(e1, a1)
        fired = a1[:, action.FIRE] > 0.5
        script.run(rows2, e2, a1)
        arena.act(e2, a1)
        arena.step()
        if tick < 600 or tick % 6:
            continue
        _measure(world, e1, e2, fired, kinds, sums, squares, alive_ticks, maps, ranges)
    count = np.maximum(alive_ticks, 1.0)[:, None]
    means = sums / count
    means[:, 1] = np.sqrt(np.maximum(squares[:, 0] / count[:, 0] - means[:, 0] ** 2, 0.0))
    means[:, 11] = np.sqrt(np.maximum((squares[:, 1:] / count - means[:, 9:11] ** 2).sum(axis=1), 0.0))
    means[:, 9], means[:, 10] = sums[:, 8] / count[:, 0], sums[:, 1] / count[:, 0]
    means[:, 8] = sums[:, 11] / count[:, 0]
    good = alive_ticks > 60
    return Behaviour(means[good], kinds[good], maps, ranges)


def _measure(world, e1, e2, fired, kinds, sums, squares, alive_ticks, maps, ranges) -> None:  # type: ignore[no-untyped-def]
    """Add one sample of everybody who is alive."""
    f, n = world.f, world.n
    x1, y1 = f[at.X, e1].reshape(-1, 5), f[at.Y, e1].reshape(-1, 5)
    x2, y2 = f[at.X, e2].reshape(-1, 5), f[at.Y, e2].reshape(-1, 5)
    up1, up2 = (n[at.ALIVE, e].reshape(-1, 5) == 1 for e in (e1, e2))
    enemy = np.hypot(x1[:, :, None] - x2[:, None, :], y1[:, :, None] - y2[:, None, :])
    enemy = np.where(up2[:, None, :], enemy, 60.0).min(axis=2).ravel()
    ally = np.hypot(x1[:, :, None] - x1[:, None, :], y1[:, :, None] - y1[:, None, :])
    ally = np.where(up1[:, None, :] & ~np.eye(5, dtype=bool)[None], ally, 40.0).min(axis=2).ravel()
    up, x, y = up1.ravel(), x1.ravel(), y1.ravel()
    speed = np.hypot(f[at.VX, e1], f[at.VY, e1])
    past = (world.m[at.TICK, n[at.SLOT, e1]] - 60) & 63
    travel = np.minimum(np.hypot(x - world.history[e1, past, 0], y - world.history[e1, past, 1]), 7.0)
    seen = (world.since[e1, 5:10] >= 0).any(axis=1) | (world.since[e1, :5] >= 0).any(axis=1)
    columns = (
        *(enemy, fired, ally, ally < 4.0, np.hypot(x - 32, y - 32), np.maximum(abs(x - 32), abs(y - 32)) > 22.0),
        *(speed, speed < 1.0, seen, x, y, travel),
    )
    for k, values in enumerate(columns):
        sums[up, k] += values[up]
    squares[up, 0] += enemy[up] ** 2
    squares[up, 1] += x[up] ** 2
    squares[up, 2] += y[up] ** 2
    alive_ticks[up] += 1
    np.add.at(
        maps, (kinds[up], (y[up] / 64 * CELLS).astype(int).clip(0, CELLS - 1), (x[up] / 64 * CELLS).astype(int).clip(0, CELLS - 1)), 1
    )
    near = up & (enemy < 48.0) & seen
    np.add.at(ranges, (kinds[near], (enemy[near] / 2.0).astype(int).clip(0, RANGE_BINS - 1)), 1)


def classify(train: Behaviour, test: Behaviour, *, team: bool) -> tuple[float, NDArray[np.float64]]:
    """Share of styles named rightly by discriminant analysis (a common covariance) and the confusion [8, 8], rows true.

    team: one answer for the five NPCs of a squad together (their mean), else one for each NPC.
    """
    mean, spread = train.features.mean(axis=0), train.features.std(axis=0) + 1e-9
    a = (train.features - mean) / spread
    centres = np.stack([a[train.styles == s].mean(axis=0) for s in range(STYLE_COUNT)])
    rest = a - centres[train.styles]
    inverse = np.linalg.inv(rest.T @ rest / len(a) + 0.02 * np.eye(a.shape[1]))
    b, truth = (test.features - mean) / spread, test.styles
    if team:
        groups = np.concatenate([[0], np.cumsum(np.diff(truth) != 0)])
        b = np.stack([b[groups == g].mean(axis=0) for g in range(groups[-1] + 1)])
        truth = np.array([truth[groups == g][0] for g in range(groups[-1] + 1)])
    score = b @ inverse @ centres.T - 0.5 * np.einsum("sk,kl,sl->s", centres, inverse, centres)
    named = score.argmax(axis=1)
    confusion = np.zeros((STYLE_COUNT, STYLE_COUNT))
    np.add.at(confusion, (truth, named), 1)
    return float((named == truth).mean()), confusion / confusion.sum(axis=1, keepdims=True)
