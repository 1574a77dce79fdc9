"""What the arena tells the anti-cheat of a tick: the enemy as the player's own client showed it, and the cursor."""

import numpy as np

from gameedge.arena import Arena
from gameedge.core.game import (
    GAZE_CURSOR,
    GAZE_FIRE,
    GAZE_SCALE,
    GAZE_SEEN,
    GAZE_SIGHT,
    GAZE_SPEED,
    GAZE_SPEED_SCALE,
    GAZE_TARGET,
    Gazing,
)
from gameedge.core.protocol.arena_v1 import Subtick
from tests.arena.play import duel, put, send


def command(x: float, y: float, *, fire: bool = False, move: float = 0.0) -> Subtick:
    return Subtick(x, y, move, 0.0, fire)


def test_the_target_is_where_the_client_showed_it() -> None:
    arena = Arena(matches_max=1, entities_max=4)
    assert isinstance(arena, Gazing)
    _, a, b = duel(arena, (4.0, 4.0), (12.0, 4.0))
    arena.step()
    for k in range(12):  # b walks; a sees it 100 ms late
        send(arena, b, k + 1, command(1.0, 0.0, move=1.0))
        send(arena, a, k + 1, command(5.0, 0.5, fire=k == 11), rewind_ms=100.0)
        where = []
        for _ in range(3):
            arena.step()
            gaze = arena.gaze()
            where.append(gaze.rows[a].copy())
            assert gaze.fresh[a]
            assert gaze.target[a] == b
    w = arena._world
    tick = int(w.m[1, 0])
    seen = int(where[-1][GAZE_SEEN])
    assert tick - seen in range(5, 10)
    x, y = w.history[b, seen & 63]
    assert abs(where[-1][GAZE_TARGET] / GAZE_SCALE - (x - w.f[0, a])) < 0.12
    assert abs(where[-1][GAZE_TARGET + 1] / GAZE_SCALE - (y - w.f[1, a])) < 0.01
    assert where[-1][GAZE_CURSOR : GAZE_CURSOR + 2].tolist() == [5 * 256, 128]
    assert abs(where[-1][GAZE_SPEED] / GAZE_SPEED_SCALE - 0.1) < 0.01  # 6 u/s
    assert where[-1][GAZE_SIGHT] > 30
    assert [row[GAZE_FIRE] for row in where] == [1, 1, 1]


def test_without_input_or_an_enemy_in_sight_there_is_nothing() -> None:
    arena = Arena(matches_max=1, entities_max=4)
    slot, a, b = duel(arena, (4.0, 4.0), (12.0, 4.0))
    arena.step()
    assert not arena.gaze().fresh.any()  # nobody said anything
    send(arena, a, 1, command(3.0, 0.0))
    arena.step()
    gaze = arena.gaze()
    assert gaze.fresh[a]
    assert not gaze.fresh[b]
    put(arena, b, 60.0, 60.0)
    send(arena, a, 2, command(3.0, 0.0))
    for _ in range(4):
        arena.step()
    assert not arena.gaze().fresh[a]
    assert arena.gaze().target[a] == -1
    arena.close_match(slot)
    assert not arena.gaze().fresh.any()


def test_looking_changes_nothing() -> None:
    digests = []
    for looks in (False, True):
        arena = Arena(matches_max=1, entities_max=4)
        slot, a, b = duel(arena, (4.0, 4.0), (12.0, 4.0))
        rng = np.random.default_rng(5)
        for k in range(30):
            for entity in (a, b):
                send(arena, entity, k + 1, command(*rng.normal(0, 5, 2).tolist(), fire=True))
            for _ in range(3):
                arena.step()
                if looks:
                    arena.gaze()
        digests.append(arena.digest(slot))
    assert digests[0] == digests[1]
