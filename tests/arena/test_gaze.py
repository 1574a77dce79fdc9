"""What the arena tells the anti-cheat of a tick: the enemy as the player's own client showed it, and the cursor."""

import numpy as np

from gameedge.arena import Arena
from gameedge.core.game import (
    GAZE_BEFORE,
    GAZE_CURSOR,
    GAZE_FIRE,
    GAZE_LINE,
    GAZE_REPEAT,
    GAZE_SCALE,
    GAZE_SEEN,
    GAZE_SIGHT,
    GAZE_SPEED,
    GAZE_SPEED_SCALE,
    GAZE_TARGET,
    Gazing,
)
from gameedge.core.protocol.arena_v1 import Subtick
from tests.arena.play import duel, put, sees, send


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


def test_whoever_takes_a_seat_looks_at_nobody_yet() -> None:
    """Else the enemy of the player before, or of another match in the same rows, counts as in sight until the first command comes."""
    arena = Arena(matches_max=1, entities_max=2)
    slot, a, b = duel(arena, (4.0, 4.0), (12.0, 4.0))
    for k in range(3):
        send(arena, a, k + 1, command(3.0, 0.0))
        arena.step()
        assert arena.gaze().target[a] == b or k == 0
    put(arena, b, 60.0, 60.0)
    arena.seat(slot, 0, human=False)
    arena.seat(slot, 0, human=True)
    arena.step()
    assert arena.gaze().target[a] == -1
    put(arena, b, 12.0, 4.0)
    for k in range(3):
        send(arena, a, k + 1, command(3.0, 0.0))
        arena.step()
    assert arena.gaze().target[a] == b
    arena.close_match(slot)
    _, a, b = duel(arena, (4.0, 4.0), (60.0, 60.0))
    arena.step()
    assert arena.gaze().target.tolist() == [-1, -1]


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


def presses(arena: Arena, entity: int, other: int, cadence: list[tuple[int, int]]) -> list[int]:
    """Press the trigger for so many sub-ticks and let go for so many, over and over; GAZE_REPEAT after each tick."""
    fires = [fire for down, up in cadence for fire in [True] * down + [False] * up]
    fires += [False] * (-len(fires) % 3)
    said = []
    for k in range(len(fires) // 3):
        send(arena, other, k + 1, command(1.0, 0.0))
        send(arena, entity, k + 1, *(command(5.0, 4.0, fire=fire) for fire in fires[3 * k : 3 * k + 3]))
        for _ in range(3):
            arena.step()
            said.append(int(arena.gaze().rows[entity, GAZE_REPEAT]))
    return said


def test_presses_that_repeat_are_counted_and_a_finger_s_are_not() -> None:
    rng = np.random.default_rng(2)
    finger = [(int(5 + rng.exponential(8)), int(3 + rng.exponential(8))) for _ in range(40)]
    macro = [(7, 5), (4, 9), (11, 3)] * 14
    highest = {}
    for name, cadence in (("finger", finger), ("macro", macro), ("timer", [(4, 8)] * 40)):
        arena = Arena(matches_max=1, entities_max=4)
        _, a, b = duel(arena, (4.0, 4.0), (12.0, 4.0))
        arena.step()
        highest[name] = max(presses(arena, a, b, cadence))
    assert highest["finger"] < 3 * 16
    assert highest["macro"] > 4 * 16
    assert highest["timer"] > 12 * 16


def test_the_line_of_fire_is_measured_to_whoever_is_nearest_to_it() -> None:
    arena = Arena(matches_max=1, entities_max=4)
    _, a, b = duel(arena, (4.0, 4.0), (12.0, 4.0))
    arena.step()
    for k, (x, y, off) in enumerate(((8.0, 0.0, 0.0), (30.0, 0.0, 0.0), (8.0, 8.0, 32.0**0.5), (-8.0, 0.0, 8.0))):
        send(arena, b, k + 1, command(1.0, 0.0))
        send(arena, a, k + 1, command(x, y))
        for _ in range(3):
            arena.step()
            row = arena.gaze().rows[a]
        assert abs(row[GAZE_LINE] / GAZE_SCALE - off) < 0.05


def test_a_way_towards_somebody_hidden_is_told_once_in_sight() -> None:
    told = {}
    assert sees(8.0, 20.0, 18.0, 25.0)
    assert not sees(8.0, 20.0, 18.0, 15.0)
    for name, step in (("towards", 0.4), ("away", -0.4), ("still", 0.0)):
        arena = Arena(matches_max=1, entities_max=4)
        _, a, b = duel(arena, (8.0, 20.0), (18.0, 15.0))
        for k in range(40):
            x = 2.0 + step * 3 * max(k - 36, 0)  # in the last 12 ticks the cursor sets out for where the enemy will be seen, or from it
            send(arena, b, k + 1, command(1.0, 0.0))
            way = [x + (step * i if k >= 36 else 0.0) for i in range(3)]
            send(arena, a, k + 1, *(command(along, along / 2.0) for along in way))
            for _ in range(3):
                arena.step()
                assert not arena.gaze().fresh[a]
        put(arena, b, 18.0, 25.0)
        send(arena, b, 41, command(1.0, 0.0))
        send(arena, a, 41, command(x, x / 2.0))
        for _ in range(3):
            arena.step()
            row = arena.gaze().rows[a]
            told.setdefault(name, int(row[GAZE_BEFORE]))
            assert row[GAZE_BEFORE] == told[name]  # for as long as the enemy is in sight
    assert told["towards"] > 300
    assert told["away"] < -300
    assert told["still"] == 0
