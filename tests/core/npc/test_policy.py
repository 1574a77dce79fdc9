"""Choosing, queueing and the hand: what holds whatever a network answers."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gameedge.core import motion
from gameedge.core.npc import action, hand, policy
from gameedge.core.npc import observation as o

N = 32
ENTITIES = np.arange(N, dtype=np.int32)


def fresh() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    state = np.zeros((N, policy.STATE), np.float32)
    policy.begin(ENTITIES, state, 5)
    rows = np.zeros((N, o.OBSERVATION_SIZE), np.float32)
    rows[:, [o.ALIVE, o.HEALTH, o.HURT]] = 1.0
    return state, rows, np.zeros((N, 3), np.int32)


def enemy(rows: np.ndarray, x: float, y: float) -> None:
    first = o.ENEMIES
    rows[:, [first + o.E_PRESENT, first + o.E_VISIBLE, first + o.E_HEALTH]] = 1.0
    rows[:, first + o.E_DX], rows[:, first + o.E_DY] = x / o.DISTANCE_UNIT, y / o.DISTANCE_UNIT


def test_features_and_logits_have_names() -> None:
    assert len(policy.FEATURES) == policy.FEATURE_SIZE == len(set(policy.FEATURES))
    assert len(policy.LOGIT_NAMES) == policy.LOGITS


def test_choices_follow_the_logits() -> None:
    state, rows, chosen = fresh()
    logits = np.zeros((N, policy.LOGITS), np.float32)
    logits[:, 3], logits[:, policy.L_SHOOT + 1] = 2.0, 1.0
    counts, shots = np.zeros(policy.WALKS), 0
    for tick in range(600):
        state[:, hand.TICK] = tick
        policy.choose(logits, rows, ENTITIES, state, chosen, 3)
        counts += np.bincount(chosen[:, 0], minlength=policy.WALKS)
        shots += int(chosen[:, 2].sum())
    share = counts / counts.sum()
    assert abs(share[3] - np.e**2 / (np.e**2 + 8)) < 0.02
    assert np.abs(np.delete(share, 3) - 1 / (np.e**2 + 8)).max() < 0.01
    assert abs(shots / (600 * N) - 1 / (1 + 1 / np.e)) < 0.02


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.0, 4.0), st.floats(-30, 30), st.floats(-30, 30))
def test_whatever_the_network_says_the_hand_is_human(seed: int, handicap: float, x: float, y: float) -> None:
    rng = np.random.default_rng(seed)
    state, rows, chosen = fresh()
    state[:, hand.HANDICAP] = handicap
    out = np.zeros((N, action.ACTION_SIZE), np.float32)
    appears = 30
    for tick in range(90):
        if tick == appears:
            enemy(rows, x, y)
        if tick % 3 == 0:
            logits = rng.normal(0, 5, (N, policy.LOGITS)).astype(np.float32)
            policy.choose(logits, rows, ENTITIES, state, chosen, 3)
        policy.act(ENTITIES, state, out)
        assert np.isfinite(out).all()
        assert (np.hypot(out[:, 0], out[:, 1]) <= 1.0001).all()
        early = (tick - appears) * hand.TICK_MS < motion.REACTION_MS_MIN
        if early:
            assert not (out[:, action.FIRE] > 0.5).any()
        moves = state[:, hand.MOVE : hand.TRAITS].reshape(N, hand.MOVES, 7)
        going = moves[:, :, 1] > 0
        assert (moves[:, :, 1][going] * hand.TICK_MS >= motion.SUBMOVEMENT_MS_MIN).all()


def test_a_better_level_is_sooner_on_target() -> None:
    reached = []
    for handicap in (0.0, 0.5, 1.5):
        state, rows, chosen = fresh()
        state[:, hand.HANDICAP] = handicap
        out, logits = np.zeros((N, action.ACTION_SIZE), np.float32), np.zeros((N, policy.LOGITS), np.float32)
        logits[:, policy.L_SHOOT + 1] = 50.0
        logits[:, policy.L_SLOT] = 50.0
        enemy(rows, 12.0, 9.0)
        first = np.full(N, 300.0)
        for tick in range(300):
            if tick % 3 == 0:
                policy.choose(logits, rows, ENTITIES, state, chosen, 3)
            policy.act(ENTITIES, state, out)
            first = np.where(out[:, action.FIRE] > 0.5, np.minimum(first, tick), first)
        reached.append(float(np.median(first)))
    assert reached[0] < reached[1] < reached[2]
    assert reached[0] * hand.TICK_MS > motion.REACTION_MS_MIN


def test_decisions_that_are_late_take_effect_late_and_lost_ones_never() -> None:
    state, rows, chosen = fresh()
    state[:, policy.DELAY] = 4.0
    out, logits = np.zeros((N, action.ACTION_SIZE), np.float32), np.zeros((N, policy.LOGITS), np.float32)
    logits[:, 1] = 80.0  # walk along +x
    policy.choose(logits, rows, ENTITIES, state, chosen, 3)
    walked = []
    for _ in range(6):
        policy.act(ENTITIES, state, out)
        walked.append(float(out[:, action.MOVE_X].mean()))
    assert walked == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    state[:, policy.LOSS] = 1.0
    logits[:] = 0.0
    logits[:, 5] = 80.0
    policy.choose(logits, rows, ENTITIES, state, chosen, 3)
    for _ in range(12):
        policy.act(ENTITIES, state, out)
    assert (out[:, action.MOVE_X] == 1.0).all()


def test_nobody_reacts_faster_than_their_level_allows() -> None:
    """Reactions to whom a decision points at, by handicap: the person's mode is the floor, and it rises with the handicap."""
    medians = []
    for handicap in (0.0, 0.1, 0.3, 0.6, 1.0):
        found = []
        for appears in range(40):
            state, rows, chosen = fresh()
            state[:, hand.HANDICAP] = handicap
            state[:, hand.TICK] = 50 + 7 * appears
            enemy(rows, 10.0, -6.0)
            policy.choose(np.zeros((N, policy.LOGITS), np.float32), rows, ENTITIES, state, chosen, 3)
            found.append(state[:, hand.READY] - state[:, hand.TICK])
        ms = np.concatenate(found) * hand.TICK_MS
        assert ms.min() >= motion.REACTION_MS_MIN
        assert np.median(ms) >= 162.0 + 350.0 * handicap
        medians.append(float(np.median(ms)))
    assert medians == sorted(medians)
    assert medians[-1] > 2.0 * medians[0]
