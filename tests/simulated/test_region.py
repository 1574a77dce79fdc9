"""A region on a virtual clock: minutes of play, lost connections, dead processes. A failure prints its seed."""

import asyncio

import pytest

from .region import World
from .virtual import VirtualLoop, run_virtual
from .wire import LinkQuality

BAD = LinkQuality(delay_ms=80.0, jitter_ms=60.0, stall_share=0.05, stall_ms=400.0)


def test_players_are_matched_play_and_are_rated() -> None:
    async def story(loop: VirtualLoop) -> None:
        async with World(loop, 1, edges=2, players=6) as world:
            await asyncio.sleep(40)
            await world.settle()
            await world.check()
            assert world.total("ended") >= 12
            assert world.total("lost") == 0
            assert sum(world.applied.values()) >= 6
            assert all(player.told.snapshots > 100 for player in world.players)

    run_virtual(story)


@pytest.mark.parametrize("seed", range(4))
def test_lost_connections_lose_nothing(seed: int) -> None:
    async def story(loop: VirtualLoop) -> None:
        async with World(loop, seed, edges=2, players=8, quality=BAD, cut_every_s=4.0) as world:
            await asyncio.sleep(60)
            await world.settle()
            await world.check()
            assert sum(player.told.resumed for player in world.players) > 20
            assert world.total("ended") >= 8

    run_virtual(story)


@pytest.mark.parametrize("seed", range(10, 13))
def test_a_killed_process_takes_only_its_matches(seed: int) -> None:
    async def story(loop: VirtualLoop) -> None:
        modes = ("duel", "squads", "ffa", "coop")
        async with World(loop, seed, edges=3, players=9, modes=modes, cut_every_s=20.0) as world:
            await asyncio.sleep(15)
            victim = world.edges[seed % 3]
            await victim.kill()
            await asyncio.sleep(30)
            ended = world.total("ended")
            await asyncio.sleep(30)
            assert world.total("ended") > ended, f"seed {seed}: the region stands still"
            await world.settle()
            await world.check()

    run_virtual(story)


@pytest.mark.parametrize("seed", [20, 21])
def test_a_drained_process_finishes_its_matches(seed: int) -> None:
    async def story(loop: VirtualLoop) -> None:
        async with World(loop, seed, edges=2, players=8) as world:
            await asyncio.sleep(15)
            await world.edges[0].drain()
            assert world.total("lost") == 0
            await asyncio.sleep(20)
            assert world.edges[1].edge is not None
            assert world.edges[1].edge.metrics.value("processes_dead_total") == 0, "who leaves on purpose is no death"
            await world.settle()
            await world.check()
            assert world.total("lost") == 0

    run_virtual(story)


def test_a_store_that_is_away_stops_new_matches_not_running_ones() -> None:
    async def story(loop: VirtualLoop) -> None:
        async with World(loop, 30, edges=2, players=8) as world:
            await asyncio.sleep(15)
            world.store.available = False
            snapshots = world.total_snapshots()
            await asyncio.sleep(3)
            assert world.total_snapshots() > snapshots + 50, "running matches stood still"
            await asyncio.sleep(12)
            started = world.total("started")
            await asyncio.sleep(5)
            assert world.total("started") == started
            world.store.available = True
            await asyncio.sleep(30)
            assert world.total("started") > started
            await world.settle()
            await world.check()

    run_virtual(story)


def test_a_broker_that_is_away_delays_results() -> None:
    async def story(loop: VirtualLoop) -> None:
        async with World(loop, 40, edges=2, players=6) as world:
            await asyncio.sleep(10)
            world.broker.down()
            await asyncio.sleep(25)
            ended, applied = world.total("ended"), sum(world.applied.values())
            assert ended > 0, "play does not need the control plane"
            world.broker.up()
            await world.settle()
            assert sum(world.applied.values()) > applied
            await world.check()

    run_virtual(story)


def test_the_same_seed_is_the_same_run() -> None:
    async def story(loop: VirtualLoop) -> list[object]:
        async with World(loop, 50, edges=2, players=4, cut_every_s=5.0) as world:
            await asyncio.sleep(20)
            return [(p.told.tickets, p.told.found, p.told.ended, p.told.snapshots) for p in world.players]

    assert run_virtual(story) == run_virtual(story)


@pytest.mark.parametrize("seed", range(60, 64))
def test_a_process_that_comes_back_with_its_name_forgets_its_former_life(seed: int) -> None:
    """Before anybody noticed that it was gone: nobody is left waiting, and its matches do not stay in the store."""

    async def story(loop: VirtualLoop) -> None:
        async with World(loop, seed, edges=2, players=8, cut_every_s=15.0) as world:
            for wait_s in (9.3, 6.1, 4.7):
                await asyncio.sleep(wait_s)
                await world.edges[0].kill()
                await asyncio.sleep(0.3)
                world.edges[0].start()
            ended = world.total("ended")
            await asyncio.sleep(30)
            assert world.total("ended") > ended, f"seed {seed}: the region stands still"
            await world.settle()
            await world.check()
            for mode in world.modes:
                assert await world.store.matches(mode) == [], f"seed {seed}: matches of a former life are left"

    run_virtual(story)


@pytest.mark.parametrize("seed", range(70, 73))
def test_an_outage_of_the_store_is_nobodys_death(seed: int) -> None:
    """Everybody's beat has expired when the store is back; the matches that went on meanwhile still count."""

    async def story(loop: VirtualLoop) -> None:
        async with World(loop, seed, edges=3, players=9) as world:
            await asyncio.sleep(10)
            for _ in range(3):
                world.store.available = False
                await asyncio.sleep(5)
                world.store.available = True
                await asyncio.sleep(7)
            await world.settle()
            await world.check()
            assert world.total("lost") == 0, f"seed {seed}"
            assert sum(world.applied.values()) > 6

    run_virtual(story)
