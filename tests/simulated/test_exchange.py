"""Regions that exchange tickets while everything fails. What must hold, and the world that it is looked for in: `regions.py`."""

import asyncio
import random
from pathlib import Path

import pytest

from gameedge.bus.memory import Faults
from gameedge.core.matchmaking.propose import warm

from .regions import RULES, World
from .virtual import VirtualLoop, run_virtual


@pytest.fixture(scope="module", autouse=True)
def kernels() -> None:
    warm()


@pytest.fixture
def rules(tmp_path: Path) -> str:
    (tmp_path / "rules.toml").write_text(RULES)
    return str(tmp_path / "rules.toml")


def test_without_faults_thin_regions_meet_again_and_again(rules: str) -> None:
    async def story(loop: VirtualLoop) -> None:
        async with World(loop, 1, rules, players=3) as world:
            for player in world.players:
                player.rng = _Willing(1)
            await asyncio.sleep(35)
            await world.settle()
            assert sum(len(player.started) for player in world.players) >= 4
            assert world.total("arrived") >= 2
            assert world.total("lost") == 0

    run_virtual(story)


class _Willing(random.Random):
    def random(self) -> float:
        return 0.5  # goes at once, never cancels


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3002])  # where the home takes back too early, this one shows it
def test_lost_and_repeated_messages_and_clients_with_moods(seed: int, rules: str) -> None:
    async def story(loop: VirtualLoop) -> None:
        async with World(loop, seed, rules, players=3 + seed % 2, coordinators=1 + seed % 2) as world:
            world.broker.faults = Faults(random.Random(seed), duplicate=0.15, lost=0.1, lost_ack=0.1)
            world.cut_every_s, world.cancel_share = 15.0, 0.002
            await asyncio.sleep(100)
            await world.settle()
            assert sum(player.sent for player in world.players) >= 1
            assert sum(len(player.started) for player in world.players) >= 2

    run_virtual(story)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [4006])  # where a guest of its own region may sit down before its grant has ended, this one shows it
def test_anything_may_die_between_any_two_steps(seed: int, rules: str) -> None:
    async def story(loop: VirtualLoop) -> None:
        async with World(loop, seed, rules, players=3 + seed % 2, per_region=2, coordinators=2) as world:
            world.broker.faults = Faults(random.Random(seed), duplicate=0.1, lost=0.05, lost_ack=0.05)
            world.cut_every_s, world.cancel_share = 20.0, 0.002
            for _ in range(9):
                await asyncio.sleep(2 + world.rng.random() * 8)
                what = world.rng.random()
                if what < 0.5:
                    victim = world.rng.choice([edge for edge in world.edges if edge.edge is not None])
                    await victim.kill()
                    world.loop.call_later(0.2 + world.rng.random() * 6, victim.start)
                elif what < 0.75:
                    dying = world.rng.choice(world.coordinators)
                    await dying.kill()
                    dying.start()
                else:
                    store = world.rng.choice(list(world.stores.values()))
                    store.available = False
                    await asyncio.sleep(world.rng.random() * 3)
                    store.available = True
            await asyncio.sleep(8)
            await world.settle()
            assert sum(player.sent for player in world.players) >= 1

    run_virtual(story)
