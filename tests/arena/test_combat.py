"""Shots, delay compensation, telemetry, events and deaths."""

import math

import numpy as np
import pytest

from gameedge.arena import Arena
from gameedge.arena import world as at
from gameedge.arena.settings import COOLDOWN_TICKS, DAMAGE_NEAR, PATH, RADIUS, RESPAWN_TICKS
from gameedge.core.protocol.arena_v1 import HIT, KILL, RESPAWN, Subtick
from tests.arena import play

OPEN_Y = 5.0  # nothing stands along y = 5 between x 2 and x 62


def arena_of(**limits: int) -> Arena:
    return Arena(matches_max=limits.get("matches", 1), entities_max=limits.get("entities", 16), demo=False)


def fire(arena: Arena, e: int, number: int, aim: tuple[float, float], rewind_ms: float = 0.0) -> None:
    """One command that fires, and the three ticks that use it up."""
    play.send(arena, e, number, Subtick(*aim, 0.0, 0.0, True), rewind_ms=rewind_ms)
    play.steps(arena, 3)


def test_a_held_weapon_keeps_its_pace_and_kills_at_last() -> None:
    arena = arena_of()
    _, a, b = play.duel(arena, (20.0, OPEN_Y), (25.0, OPEN_Y))
    for number in range(1, 14):  # 39 ticks
        fire(arena, a, number, (5.0, 0.0))
    shots = arena.shots()
    assert shots.count == math.ceil(100 / DAMAGE_NEAR)
    assert np.diff(shots.tick[: shots.count]).tolist() == [COOLDOWN_TICKS] * (shots.count - 1)
    assert shots.hit[: shots.count].all()
    view, _ = play.look(arena, a)
    assert (view.score, view.team_scores) == (1, (1, 0))
    assert [event.kind for event in view.events] == [HIT] * 4 + [KILL]
    assert view.events[0][1:] == (0, 1, round(DAMAGE_NEAR))
    assert play.look(arena, a)[0].events == ()  # told once
    assert view.others == ()  # a dead enemy is not seen
    other, _ = play.look(arena, b)
    assert not other.alive
    assert other.health == 0
    assert 0 < other.respawn_ticks <= RESPAWN_TICKS["duel"]
    play.steps(arena, RESPAWN_TICKS["duel"])
    back, _ = play.look(arena, b)
    assert back.alive
    assert back.health == 100
    assert [event.kind for event in back.events] == [RESPAWN]
    assert play.look(arena, a)[0].events == ()  # where and when an enemy returns is its own affair


def test_damage_falls_off_with_distance_and_walls_stop_shots() -> None:
    arena = arena_of()
    _, a, b = play.duel(arena, (20.0, OPEN_Y), (55.0, OPEN_Y))
    health = []
    for distance in (6.0, 20.0, 30.0):
        arena._world.f[at.HEALTH, b] = 100.0
        arena._world.n[at.COOLDOWN, a] = 0
        play.put(arena, b, 20.0 + distance, OPEN_Y)
        arena._world.f[[at.VX, at.VY], a] = 0.0
        for _ in range(20):  # spread: try until one hits
            arena._world.n[at.COOLDOWN, a] = 0
            fire(arena, a, 1, (distance, 0.0))
            if arena._world.f[at.HEALTH, b] < 100.0:
                break
        health.append(float(arena._world.f[at.HEALTH, b]))
    assert health[0] < health[1] < health[2] < 100.0
    play.put(arena, a, 12.0, 16.0)
    play.put(arena, b, 18.0, 16.0)  # behind a wall
    arena._world.f[at.HEALTH, b] = 100.0
    arena.step()
    arena.shots()
    arena._world.n[at.COOLDOWN, a] = 0
    fire(arena, a, 9, (6.0, 0.0))
    shots = arena.shots()
    assert shots.count == 1
    assert not shots.hit[0]
    assert shots.target[0] == -1
    assert shots.distance[0] == pytest.approx(2.0, abs=0.05)  # to the wall
    assert arena._world.f[at.HEALTH, b] == 100.0


def test_mates_are_neither_hit_nor_in_the_way() -> None:
    arena = arena_of()
    slot = arena.open_match("squads", 1, play.seats_of(arena, "squads"))
    shooter, mate, enemy = (arena.entity(slot, seat) for seat in (0, 1, 5))
    play.put(arena, shooter, 20.0, OPEN_Y)
    play.put(arena, mate, 23.0, OPEN_Y)
    play.put(arena, enemy, 26.0, OPEN_Y)
    fire(arena, shooter, 1, (6.0, 0.0))
    assert arena._world.f[at.HEALTH, mate] == 100.0
    assert arena._world.f[at.HEALTH, enemy] < 100.0


def run_past(rewind_ms: float) -> bool:
    """A target runs past; the shooter aims at where it was 100 ms before. Whether that hits."""
    arena = arena_of()
    _, a, b = play.duel(arena, (20.0, OPEN_Y), (30.0, 2.0))
    positions = []
    for tick in range(42):
        if tick % 3 == 0:
            play.send(arena, b, tick + 1, Subtick(-5.0, 0.0, 0.0, 1.0, False))
        arena.step()
        positions.append(arena._world.f[[at.X, at.Y], b].tolist())
    x, y = positions[-6]  # the next step is one more: six ticks ago
    aim = (x - 20.0, y - OPEN_Y)
    play.send(arena, a, 1, Subtick(*aim, 0.0, 0.0, True), rewind_ms=rewind_ms)
    play.send(arena, b, 99, Subtick(-5.0, 0.0, 0.0, 1.0, False))
    arena.step()
    shots = arena.shots()
    assert shots.count == 1
    return bool(shots.hit[0])


def test_targets_are_put_back_by_the_shooters_delay() -> None:
    assert run_past(100.0)
    assert not run_past(0.0)


def test_rewind_is_bounded() -> None:
    arena = arena_of()
    _, a, b = play.duel(arena, (20.0, OPEN_Y), (30.0, OPEN_Y))
    arena.step()
    for back in range(64):
        arena._world.history[b, (1 - back) & 63] = (30.0, OPEN_Y) if back > 20 else (30.0, 40.0)
    arena._world.n[at.SPAWNED, b] = -60
    fire(arena, a, 1, (10.0, 0.0), rewind_ms=10_000.0)
    assert arena._world.f[at.HEALTH, b] == 100.0


def test_who_came_back_is_not_hit_where_it_was_before() -> None:
    arena = arena_of()
    _, a, b = play.duel(arena, (20.0, OPEN_Y), (25.0, OPEN_Y))
    arena._world.f[at.HEALTH, b] = 1.0
    fire(arena, a, 1, (5.0, 0.0))
    assert arena._world.n[at.ALIVE, b] == 0
    arena._world.n[at.RESPAWN, b] = 8
    play.steps(arena, 8)
    assert arena._world.n[at.ALIVE, b] == 1
    fire(arena, a, 2, (5.0, 0.0), rewind_ms=250.0)
    assert arena._world.f[at.HEALTH, b] == 100.0


def test_shots_are_simultaneous() -> None:
    arena = arena_of()
    _, a, b = play.duel(arena, (20.0, OPEN_Y), (23.0, OPEN_Y))
    arena._world.f[at.HEALTH, [a, b]] = 1.0
    play.send(arena, a, 1, Subtick(3.0, 0.0, 0.0, 0.0, True))
    play.send(arena, b, 1, Subtick(-3.0, 0.0, 0.0, 0.0, True))
    arena.step()
    assert arena._world.n[at.ALIVE, [a, b]].tolist() == [0, 0]
    assert play.look(arena, a)[0].team_scores == (1, 1)


def test_the_aim_path_is_the_cursor_relative_to_the_target_as_it_was_seen() -> None:
    arena = arena_of()
    _, a, b = play.duel(arena, (20.0, OPEN_Y), (30.0, OPEN_Y))
    offsets = []
    for command in range(12):
        off = [4.0 - 0.1 * (3 * command + k) for k in range(3)]  # the cursor comes in from above
        last = command == 11
        subticks = [Subtick(10.0, y, 0.0, 0.0, last and k == 2) for k, y in enumerate(off)]
        play.send(arena, a, command + 1, *subticks, rewind_ms=50.0)
        play.steps(arena, 3)
        offsets += off
    shots = arena.shots()
    assert shots.count == 1
    assert shots.shooter[0] == a
    assert shots.target[0] == b
    path = shots.aim_path[0]
    assert path.shape == (PATH, 2)
    assert path[:, 0] == pytest.approx(np.zeros(PATH), abs=1e-5)
    assert path[:, 1] == pytest.approx(np.array(offsets[-PATH:]), abs=1 / 32)
    # The line of fire passes the target at the height of the cursor, made smaller by the slant.
    assert np.abs(shots.line_path[0]) == pytest.approx([10 * y / np.hypot(10, y) for y in offsets[-PATH:]], abs=1 / 16)
    on = sum(abs(round(y * 32) / 32) <= RADIUS for y in offsets) - 1
    assert shots.on_target_ms[0] == pytest.approx(on * 1000 / 60, abs=0.1)
    assert shots.visible_ms[0] == pytest.approx(35 * 1000 / 60, abs=0.1)
    assert arena.shots().count == 0


def test_samples_from_before_the_target_was_there_are_nan() -> None:
    arena = arena_of()
    _, a, b = play.duel(arena, (20.0, OPEN_Y), (25.0, OPEN_Y))
    for number in range(1, 11):
        play.send(arena, a, number, Subtick(5.0, 0.0, 0.0, 0.0, False))
        play.steps(arena, 3)
    arena._world.n[at.SPAWNED, b] = arena.info(0).tick - 4
    play.send(arena, a, 11, Subtick(5.0, 0.0, 0.0, 0.0, True))
    arena.step()
    shots = arena.shots()
    assert shots.count == 1
    assert np.isnan(shots.aim_path[0, :-6]).all()
    assert np.isfinite(shots.aim_path[0, -6:]).all()
    assert np.isnan(shots.line_path[0, :-6]).all()
    assert shots.line_path[0, -6:] == pytest.approx(np.zeros(6), abs=1e-5)


def test_npc_shots_are_not_in_the_telemetry() -> None:
    arena = arena_of()
    slot = arena.open_match("duel", 1, play.seats_of(arena, "duel", humans=0))
    a, b = arena.entity(slot, 0), arena.entity(slot, 1)
    play.put(arena, a, 20.0, OPEN_Y)
    play.put(arena, b, 25.0, OPEN_Y)
    arena.act(np.array([a], np.int32), np.array([[0.0, 0.0, 0.125, 0.0, 1.0]], np.float32))
    arena.step()
    assert arena._world.f[at.HEALTH, b] < 100.0
    assert arena.shots().count == 0


def test_a_full_log_drops_the_newest() -> None:
    arena = arena_of(entities=2)
    _, a, _ = play.duel(arena, (20.0, OPEN_Y), (20.0, 60.0))
    for number in range(1, 20):
        fire(arena, a, number, (5.0, 0.0))
    shots = arena.shots()
    assert shots.count == 2
    assert shots.tick[:2].tolist() == [1, 1 + COOLDOWN_TICKS]
    assert arena._world.n[at.FIRED, a] > 20


def test_shooting_into_nothing_has_no_target() -> None:
    arena = arena_of()
    _, a, _ = play.duel(arena, (20.0, OPEN_Y), (20.0, 60.0))
    fire(arena, a, 1, (5.0, 0.0))
    shots = arena.shots()
    assert (shots.count, shots.target[0], bool(shots.hit[0])) == (1, -1, False)
    assert np.isnan(shots.aim_path[0]).all()
    assert shots.visible_ms[0] == 0.0
