"""The parametric cheats: each does what its family says, on a target that stands before it."""

from itertools import pairwise

import numpy as np
import pytest

from gameedge.core.protocol.arena_v1 import Other, View
from loadtest.bots import ground
from loadtest.bots.machines import FAMILIES, Machine, Plan
from loadtest.motion import Person


def view(x: float, y: float, *, me: tuple[float, float] = (8.0, 20.0)) -> View:
    other = Other(seat=1, team=1, alive=True, npc=False, fired=False, x=x, y=y, vx=0.0, vy=0.0, aim=0.0, health=100)
    return View(0, True, 100, 0, *me, 0.0, 0.0, 60_000, 0, 0, (0, 0), (other,), ())


def machine(plan: Plan, seed: int = 1) -> Machine:
    return Machine(0, Person.draw(np.random.default_rng(seed)), np.random.default_rng(seed), plan)


def fires(bot: Machine, commands: int) -> list[bool]:
    return [subtick.fire for k in range(commands) for subtick in bot.step(view(16.0, 25.0), 50.0 * k)]


def lengths(fire: list[bool], wanted: bool) -> list[int]:
    """The lengths of runs, the first and the last left out."""
    edges = [0, *(k for k in range(1, len(fire)) if fire[k] != fire[k - 1]), len(fire)]
    runs = [(fire[a], b - a) for a, b in pairwise(edges)][1:-1]
    return [n for value, n in runs if value is wanted]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_plays(family: str) -> None:
    rng = np.random.default_rng(3)
    for seed in range(4):
        bot = machine(Plan.draw(family, rng), seed)
        subticks = [subtick for k in range(40) for subtick in bot.step(view(16.0, 25.0), 50.0 * k)]
        assert np.isfinite([(subtick.aim_x, subtick.aim_y) for subtick in subticks]).all()


def test_a_timer_s_presses_are_alike_and_a_macro_s_repeat() -> None:
    timer = fires(machine(Plan("timer", cadence=(100.0, 200.0), fire_within=40.0)), 80)
    assert max(lengths(timer, True)) - min(lengths(timer, True)) <= 1
    assert max(lengths(timer, False)) - min(lengths(timer, False)) <= 2
    macro = lengths(fires(machine(Plan("macro", cadence=(50.0, 100.0, 150.0, 50.0), fire_within=40.0)), 80), True)
    assert set(macro[::2]) != set(macro[1::2])
    assert max(macro[::2]) - min(macro[::2]) <= 1


def test_who_is_shown_hidden_enemies_goes_to_meet_them() -> None:
    assert not ground.sees(8.0, 20.0, 18.0, 15.0)
    way = {}
    for family, share in (("esp", 0.3), ("trigger", 0.0)):
        bot = machine(Plan(family, share=share))
        for k in range(20):
            point = bot.step(view(18.0, 15.0), 50.0 * k)[-1]
        way[family] = np.hypot(point.aim_x - 10.0, point.aim_y + 5.0)
    assert way["esp"] < 0.5
    assert way["trigger"] > 2.0
