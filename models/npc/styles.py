"""How styles show: squads of one style each against the script, what each NPC did in a minute, and a classifier of it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gameedge.arena import world as at
from gameedge.arena.arena import Arena
from gameedge.core.game import Seat
from gameedge.core.kernel import kernel
from gameedge.core.npc import action, hand, policy
from gameedge.core.npc import observation as o
from gameedge.core.npc.scripted import ScriptedPolicy
from gameedge.core.npc.style import STYLE_COUNT, STYLES
from models.npc import rewards
from models.npc.matches import Think

Floats = NDArray[np.float32]
Int32s = NDArray[np.int32]

WINDOW_TICKS: Final = 3_600  # one minute, of which those who live are measured
WARM_TICKS: Final = 600  # ten seconds before it are not
SAMPLE_TICKS: Final = 6
CELLS: Final = 32  # of an occupancy map's side
RANGE_BINS: Final = 24
# What a window is summed up by: mean and deviation of each figure of the situation, where it was, shots, and the share of time
# in each of these bins. All of it can be seen by whoever watches the match.
BINS: Final = {
    rewards.ENEMY: (6.0, 12.0, 18.0, 24.0, 32.0),
    rewards.ALLY: (2.0, 4.0, 6.0, 9.0, 14.0),
    rewards.MIDDLE: (8.0, 16.0, 22.0, 28.0),
    rewards.EDGE: (16.0, 22.0, 26.0),
    rewards.SPEED: (1.0, 3.0, 5.0),
    rewards.TRAVEL: (1.0, 3.0, 5.0),
}
SUMMED: Final = 2 * rewards.SITUATION + sum(len(edges) + 1 for edges in BINS.values()) + 5  # x, y, x^2, y^2, firing
FEATURES: Final = SUMMED - 2


@dataclass
class Behaviour:
    """features [N, FEATURES] of N NPCs in one window each, five of a squad in a row, their styles [N]; maps [8, CELLS, CELLS],
    ranges [8, RANGE_BINS]; kills for each own death, by style [8]."""

    features: NDArray[np.float64]
    styles: NDArray[np.int64]
    maps: NDArray[np.float64]
    ranges: NDArray[np.float64]


@kernel
def situations(w: at.World, entities: Int32s, out: Floats) -> None:
    """Situations of those that live, [N, SITUATION]."""
    for i in range(entities.shape[0]):
        if w.n[at.ALIVE, entities[i]] == 1:
            rewards.situate(w, w.n[at.SLOT, entities[i]], entities[i], out[i])


def watch(think: Think, handicaps: Floats, *, matches: int, seed: int) -> Behaviour:
    """Play squads, team 0 of one style and the script as team 1, and measure team 0 for WINDOW_TICKS.

    handicaps: of each style, float32 [STYLE_COUNT]. `matches` is rounded up to a multiple of 8.
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
    state[e1, hand.HANDICAP] = handicaps[kinds]
    n, rows1 = len(e1), np.zeros((len(e1), o.OBSERVATION_SIZE), np.float32)
    rows2, features = np.zeros_like(rows1), np.zeros((n, policy.FEATURE_SIZE), np.float32)
    chosen, a1 = np.zeros((n, 3), np.int32), np.zeros((n, action.ACTION_SIZE), np.float32)
    tally = Tally(n, kinds)
    for tick in range(WARM_TICKS + WINDOW_TICKS):
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
        if tick >= WARM_TICKS and tick % SAMPLE_TICKS == 0:
            tally.add(world, e1, fired)
    return tally.behaviour()


class Tally:
    """Sums over a window."""

    def __init__(self, count: int, styles: NDArray[np.int64]) -> None:
        self.styles = styles
        self.sums, self.alive = np.zeros((count, SUMMED)), np.zeros(count)
        self.now: Floats = np.zeros((count, rewards.SITUATION), np.float32)
        self.maps, self.ranges = np.zeros((STYLE_COUNT, CELLS, CELLS)), np.zeros((STYLE_COUNT, RANGE_BINS))

    def add(self, world: at.World, entities: Int32s, fired: NDArray[np.bool_]) -> None:
        """One sample of everybody who is alive."""
        situations(world, entities, self.now)
        up = world.n[at.ALIVE, entities] == 1
        s, x, y = self.now[up].astype(np.float64), world.f[at.X, entities[up]], world.f[at.Y, entities[up]]
        columns = [s, s * s]
        for figure, edges in BINS.items():
            columns.append(np.eye(len(edges) + 1)[np.searchsorted(edges, s[:, figure])])
        columns.append(np.stack([fired[up], x, y, x * x, y * y], axis=1))
        self.sums[up] += np.concatenate(columns, axis=1)
        self.alive[up] += 1
        kinds = self.styles[up]
        cells = ((v / 64.0 * CELLS).astype(int).clip(0, CELLS - 1) for v in (y, x))
        np.add.at(self.maps, (kinds, *cells), 1)
        near = (s[:, rewards.ENEMY] < 48.0) & (s[:, rewards.SEES] > 0.5)
        np.add.at(self.ranges, (kinds[near], (s[near, rewards.ENEMY] / 2.0).astype(int).clip(0, RANGE_BINS - 1)), 1)

    def behaviour(self) -> Behaviour:
        mean = self.sums / np.maximum(self.alive, 1.0)[:, None]
        k = rewards.SITUATION
        mean[:, k : 2 * k] = np.sqrt(np.maximum(mean[:, k : 2 * k] - mean[:, :k] ** 2, 0.0))
        spread = np.sqrt(np.maximum(mean[:, -2:] - mean[:, -4:-2] ** 2, 0.0)).sum(axis=1)
        return Behaviour(np.concatenate([mean[:, :-4], spread[:, None]], axis=1)[:, :FEATURES], self.styles, self.maps, self.ranges)


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
        b, truth = b.reshape(-1, 5, b.shape[1]).mean(axis=1), truth[::5]
    score = b @ inverse @ centres.T - 0.5 * np.einsum("sk,kl,sl->s", centres, inverse, centres)
    named = score.argmax(axis=1)
    confusion = np.zeros((STYLE_COUNT, STYLE_COUNT))
    np.add.at(confusion, (truth, named), 1)
    return float((named == truth).mean()), confusion / confusion.sum(axis=1, keepdims=True)
