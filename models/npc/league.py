"""Many matches at once on the very arena that the servers run, with seats played by the learner, its past or the script."""

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
from models.npc import rewards

Floats = NDArray[np.float32]
Int32s = NDArray[np.int32]

LEARNER, PAST, SCRIPT = 0, 1, 2
HANDICAP_MAX: Final = 1.0


@dataclass(frozen=True, slots=True)
class Mix:
    """How many matches of each mode, and the shares of them that meet the script and the past (the rest: itself)."""

    duels: int = 112
    squads: int = 52
    ffa: int = 12
    coop: int = 12
    script: float = 0.35
    past: float = 0.15


class League:
    """All matches of a training run. `entities` of each controller are fixed; people, styles and handicaps change each match."""

    def __init__(self, mix: Mix, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        plan = ["duel"] * mix.duels + ["squads"] * mix.squads + ["ffa"] * mix.ffa + ["coop"] * mix.coop
        seats = {name: spec.seats for name, spec in Arena(matches_max=1, entities_max=1).spec.modes.items()}
        total = sum(seats[mode] for mode in plan)
        self.arena = Arena(matches_max=len(plan), entities_max=total)
        self.world = self.arena._world  # training looks behind the seam; nothing else does
        self.script = ScriptedPolicy(entities_max=total)
        self.state: Floats = np.zeros((total, policy.STATE), np.float32)
        self.styles: Int32s = np.zeros(total, np.int32)
        self.plan: list[tuple[str, list[int]]] = []
        self.people = 0
        self._told = np.zeros(len(plan), np.int32)
        self._rewards, self._done = np.zeros(total, np.float32), np.zeros(total, np.float32)
        self.situations: Floats = np.zeros((total, rewards.SITUATION), np.float32)
        control = np.zeros(total, np.int32)
        for match, mode in enumerate(plan):
            draw, side = self.rng.random(), match % 2
            other = SCRIPT if draw < mix.script else PAST if draw < mix.script + mix.past else LEARNER
            half = {"duel": 1, "squads": 5, "ffa": 4, "coop": 4}[mode]
            self.plan.append((mode, [other if (seat >= half) != bool(side) else LEARNER for seat in range(seats[mode])]))
            slot = self._open(match)
            control[self.world.rows[slot, : seats[mode]]] = self.plan[-1][1]
            self.world.m[at.END, slot] = int(self.world.m[at.END, slot] * self.rng.uniform(0.3, 1.0))
        self.by = [np.flatnonzero(control == who).astype(np.int32) for who in (LEARNER, PAST, SCRIPT)]
        self._actions = [np.zeros((len(rows), action.ACTION_SIZE), np.float32) for rows in self.by]
        self.rows = [np.zeros((len(rows), o.OBSERVATION_SIZE), np.float32) for rows in self.by]
        self.features = [np.zeros((len(rows), policy.FEATURE_SIZE), np.float32) for rows in self.by]
        self.chosen = [np.zeros((len(rows), 3), np.int32) for rows in self.by]

    def _open(self, match: int) -> int:
        """Begin a match; where one ended, its slot and rows come back (the arena's free lists are stacks)."""
        rng, (mode, control) = self.rng, self.plan[match]
        teams = {"duel": 1, "squads": 5, "ffa": 1, "coop": 4}[mode]
        style = int(rng.integers(STYLE_COUNT))  # half of the teams play one style, the rest are mixed
        mixed = rng.random() < 0.5
        lineup, styles = [], []
        for seat in range(len(control)):
            styles.append(int(rng.integers(STYLE_COUNT)) if mixed or control[seat] != LEARNER else style)
            lineup.append(Seat(seat // teams if mode != "coop" else 0, None, int(rng.integers(3, 11)), STYLES[styles[-1]]))
        slot = self.arena.open_match(mode, int(rng.integers(1 << 40)), lineup)
        rows = self.world.rows[slot, : len(control)]
        policy.begin(rows, self.state, self.people)
        self.people += len(rows)
        self.script.forget(rows)
        self.styles[rows] = styles
        worse = HANDICAP_MAX * rng.random() if rng.random() < 0.6 else 0.0
        self.state[rows, hand.HANDICAP] = np.clip(worse + rng.normal(0, 0.1, len(rows)), 0.0, HANDICAP_MAX)
        self.state[rows, policy.DELAY] = rng.integers(1, 8) if rng.random() < 0.5 else 0
        self.state[rows, policy.LOSS] = 0.2 * rng.random() if rng.random() < 0.5 else 0.0
        self._told[slot] = 0
        return slot

    def observe(self, who: int) -> Floats:
        """Features of a controller's entities, float32 [N, FEATURE_SIZE]; a buffer that the next call overwrites."""
        self.arena.observe(self.by[who], self.rows[who])
        policy.featurize(self.rows[who], self.by[who], self.state, self.features[who])
        return self.features[who]

    def choose(self, who: int, logits: Floats) -> Int32s:
        policy.choose(logits, self.rows[who], self.by[who], self.state, self.chosen[who], policy.DECIDE_TICKS)
        return self.chosen[who]

    def step(self, shape: float) -> tuple[Floats, Floats, Floats, Int32s]:
        """DECIDE_TICKS ticks; the learner's rewards and ends of lives, float32 [N] each, situations [N, SITUATION] and styles [N].

        The script sees what was observed at the first of the ticks (evaluation shows it every tick).
        """
        self.arena.observe(self.by[SCRIPT], self.rows[SCRIPT])
        for _ in range(policy.DECIDE_TICKS):
            for who in (LEARNER, PAST):
                policy.act(self.by[who], self.state, self._actions[who])
                self.arena.act(self.by[who], self._actions[who])
            self.script.run(self.rows[SCRIPT], self.by[SCRIPT], self._actions[SCRIPT])
            self.arena.act(self.by[SCRIPT], self._actions[SCRIPT])
            self.arena.step()
        rewards.collect(self.world, self._told, self.styles, self._rewards, self._done, self.situations, shape)
        learners = self.by[LEARNER]
        reward, done, situations, styles = (a[learners] for a in (self._rewards, self._done, self.situations, self.styles))
        for outcome in self.arena.ended():
            ended = self.world.rows[outcome.slot, : len(self.plan[outcome.slot][1])]
            done[np.isin(learners, ended)] = 1.0
            self.arena.close_match(outcome.slot)
            self._open(outcome.slot)
        return reward, done, situations, styles

    def alive(self) -> NDArray[np.bool_]:
        """Of the learner's entities."""
        return self.world.n[at.ALIVE, self.by[LEARNER]] == 1
