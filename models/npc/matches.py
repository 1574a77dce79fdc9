"""Duels of the policy against the script, as the server plays them: what training tests itself with and levels are set by."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from gameedge.arena.arena import Arena
from gameedge.core.game import Seat
from gameedge.core.npc import action, hand, policy
from gameedge.core.npc import observation as o
from gameedge.core.npc.scripted import ScriptedPolicy
from gameedge.core.npc.style import STYLES

Floats = NDArray[np.float32]
Think = Callable[[Floats], Floats]  # features [N, FEATURE_SIZE] to logits [N, LOGITS]


def network(weights: Sequence[Floats]) -> Think:
    """The three layers as a function."""

    def think(x: Floats) -> Floats:
        y = np.maximum(x @ weights[0] + weights[1], 0.0)
        y = np.maximum(y @ weights[2] + weights[3], 0.0)
        return np.ascontiguousarray(y @ weights[4] + weights[5])

    return think


def duels(
    think: Think,
    handicap: Floats,
    styles: Sequence[int],
    *,
    seed: int,
    level: int = 5,
    delay_ticks: int = 0,
    loss: float = 0.0,
    at_once: int = 4_096,
) -> Floats:
    """Points of the policy in duels against the script at `level`, one a match: 1 won, 0.5 drawn, 0 lost, and its part of
    all kills; float32 [matches, 2].

    handicap: float32 [matches]; styles: their styles. Sides alternate, each match has its own seed; the script sees every tick.
    """
    points = np.zeros((len(handicap), 2), np.float32)
    for first in range(0, len(handicap), at_once):
        part = slice(first, first + at_once)
        points[part] = _play(think, handicap[part], styles[part], seed * 1_000_003 + first, level, delay_ticks, loss)
    return points


def _play(think: Think, handicap: Floats, styles: Sequence[int], seed: int, level: int, delay: int, loss: float) -> Floats:
    count = len(handicap)
    arena = Arena(matches_max=count, entities_max=2 * count)
    script = ScriptedPolicy(entities_max=2 * count)
    state = np.zeros((2 * count, policy.STATE), np.float32)
    ours, theirs, slots = np.zeros(count, np.int32), np.zeros(count, np.int32), {}
    for match in range(count):
        slot = arena.open_match(
            "duel", seed + match, [Seat(0, None, level, STYLES[styles[match]]), Seat(1, None, level, STYLES[styles[match]])]
        )
        slots[slot] = match
        ours[match], theirs[match] = arena.entity(slot, match % 2), arena.entity(slot, 1 - match % 2)
    policy.begin(ours, state, seed % 1_000_000)
    state[ours, hand.HANDICAP], state[ours, policy.DELAY], state[ours, policy.LOSS] = handicap, delay, loss
    points, running = np.zeros((count, 2), np.float32), np.ones(count, np.bool_)
    rows = np.zeros((count, o.OBSERVATION_SIZE), np.float32)
    features, chosen = np.zeros((count, policy.FEATURE_SIZE), np.float32), np.zeros((count, 3), np.int32)
    actions = np.zeros((count, action.ACTION_SIZE), np.float32)
    tick, e1, e2 = 0, ours, theirs
    while running.any():
        n = len(e1)
        if tick % policy.DECIDE_TICKS == 0:
            arena.observe(e1, rows[:n])
            policy.featurize(rows[:n], e1, state, features[:n])
            policy.choose(think(features[:n]), rows[:n], e1, state, chosen[:n], policy.DECIDE_TICKS)
        policy.act(e1, state, actions[:n])
        arena.act(e1, actions[:n])
        arena.observe(e2, rows[:n])
        script.run(rows[:n], e2, actions[:n])
        arena.act(e2, actions[:n])
        arena.step()
        tick += 1
        for outcome in arena.ended():
            match = slots[outcome.slot]
            mine, other = outcome.ranks[match % 2], outcome.ranks[1 - match % 2]
            points[match, 0] = 0.5 + 0.5 * (other > mine) - 0.5 * (mine > other)
            points[match, 1] = (outcome.scores[match % 2] + 1e-3) / (sum(outcome.scores) + 2e-3)
            running[match] = False
            arena.close_match(outcome.slot)
        if len(e1) > running.sum():
            e1, e2 = ours[running], theirs[running]
    return points


def against_script(weights: Sequence[Floats], *, matches: int, seed: int, level: int, handicap: float = 0.0) -> tuple[float, float]:
    """The share of duels won and of kills made, all styles alike."""
    styles = [match // 2 % len(STYLES) for match in range(matches)]
    found = duels(network(weights), np.full(matches, handicap, np.float32), styles, seed=seed, level=level).mean(axis=0)
    return float(found[0]), float(found[1])
