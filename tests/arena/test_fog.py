"""Fog of war: what is in snapshots against the rule, computed from scratch in plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gameedge.arena import Arena, geometry
from gameedge.arena import world as at
from gameedge.core.npc.observation import RAY_UNIT
from gameedge.core.protocol.arena_map import SIZE
from gameedge.core.protocol.arena_v1 import Subtick
from tests.arena import play

BETWEEN = geometry.between_cells()


@pytest.mark.parametrize("mode", ["squads", "ffa", "coop"])
def test_snapshots_hold_exactly_who_the_rule_allows(mode: str) -> None:
    arena = Arena(matches_max=2, entities_max=32, demo=False)
    slot = arena.open_match(mode, 5, play.seats_of(arena, mode, humans=0))
    npcs, n = play.Npcs(arena), arena._world.n
    entities = [arena.entity(slot, seat) for seat in range(arena.spec.modes[mode].seats)]
    shown = hidden = 0
    for tick in range(900):
        npcs.play()
        arena.step()
        if tick % 15:
            continue
        for e in entities:
            view, _ = play.look(arena, e)
            present = {other.seat for other in view.others}
            for o in entities:
                if o == e:
                    continue
                seat = int(n[at.SEAT, o])
                if n[at.TEAM, o] == n[at.TEAM, e]:
                    assert seat in present
                    continue
                allowed = bool(n[at.ALIVE, e] and n[at.ALIVE, o]) and play.may_see(arena, e, o)
                assert (seat in present) == allowed, (tick, e, o)
                shown += allowed
                hidden += not allowed
    assert shown > 100
    assert hidden > 100


@settings(max_examples=300, deadline=None)
@given(*[st.floats(-1.0, 65.0) for _ in range(4)], st.integers(-1, 127))
def test_sight_with_the_table_is_sight_with_every_wall(x: float, y: float, to_x: float, to_y: float, hint: int) -> None:
    found = geometry.blocker(BETWEEN, x, y, to_x, to_y, hint)
    if (found == geometry.CLEAR) != play.clear(x, y, to_x, to_y):
        # Only where the line touches a corner may rounding decide: a hair beside it both agree.
        ends = [(x + d, y + e, to_x + d, to_y + e) for d in (-1e-6, 1e-6) for e in (-1e-6, 1e-6)]
        assert {play.clear(*end) for end in ends} == {True, False}


def test_sight_over_many_random_lines() -> None:
    rng = np.random.default_rng(3)
    lines = rng.uniform(0.0, 64.0, (4000, 4))
    for x, y, to_x, to_y in lines.tolist():
        assert (geometry.blocker(BETWEEN, x, y, to_x, to_y, -1) == geometry.CLEAR) == play.clear(x, y, to_x, to_y)


def test_an_enemy_behind_a_wall_is_unknown_until_it_is_about_to_step_out() -> None:
    arena = Arena(matches_max=1, entities_max=8, demo=False)
    _, a, b = play.duel(arena, (8.0, 20.0), (18.0, 16.0))  # the wall from x 14 to 16, y 10 to 22 stands between
    arena.step()
    assert play.look(arena, a)[0].others == ()
    ahead = None
    for tick in range(120):
        if tick % 3 == 0:
            play.send(arena, b, tick + 1, Subtick(-5.0, 0.0, 0.0, 1.0, False))
            play.send(arena, a, tick + 1, Subtick(5.0, 0.0, 0.0, 0.0, False))
        arena.step()
        view, _ = play.look(arena, a)
        y = float(arena._world.f[at.Y, b])
        if view.others and ahead is None:
            ahead = y
        if play.sees(8.0, 20.0, 18.0, y):
            assert view.others
    assert ahead is not None
    assert not play.sees(8.0, 20.0, 18.0, ahead)  # shown early, within the look-ahead
    assert play.sees(8.0, 20.0, 18.0, ahead + 6.0 * 0.15)


def test_the_dead_see_their_own_team_only() -> None:
    arena = Arena(matches_max=1, entities_max=16, demo=False)
    slot = arena.open_match("squads", 1, play.seats_of(arena, "squads"))
    viewer, ally, enemy = (arena.entity(slot, seat) for seat in (0, 1, 5))
    play.put(arena, viewer, 20.0, 5.0)
    play.put(arena, ally, 22.0, 5.0)
    play.put(arena, enemy, 26.0, 5.0)
    arena.step()
    assert {other.seat for other in play.look(arena, viewer)[0].others} >= {1, 2, 3, 4, 5}
    arena._world.n[at.ALIVE, viewer] = 0
    view, _ = play.look(arena, viewer)
    assert not view.alive
    assert {other.seat for other in view.others} == {1, 2, 3, 4}
    assert {other.seat for other in play.look(arena, ally)[0].others} >= {0, 2, 3, 4, 5}
    assert [other.alive for other in play.look(arena, ally)[0].others if other.seat == 0] == [False]


def test_rays_test_only_walls_in_their_way_and_answer_the_same() -> None:
    for x, y in np.random.default_rng(0).uniform(0, SIZE, (300, 2)):
        for ray, (dx, dy) in enumerate(geometry.RAYS):
            assert geometry.free_ray(x, y, ray) == geometry.free_way(x, y, dx, dy, RAY_UNIT)
