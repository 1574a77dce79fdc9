"""A route that changes while a player is there: it plays its match to the end, then goes where it is faster, once."""

import asyncio

import pytest

from gameedge_client import Client
from loadtest.links import Link, LinkProfile

from .inprocess import another_region, stack

pytestmark = pytest.mark.slow
QUICK = "tests.end_to_end.quick:QuickArena"


async def test_a_player_moves_between_two_matches_when_its_route_becomes_a_detour() -> None:
    async with (
        stack(game=QUICK, fill_ms=100) as made,
        another_region(made, "test-2", latitude=52.0, longitude=0.0, game=QUICK, fill_ms=100) as other,
    ):
        far_ms = {made.edge.seating.url: 8.0, other.seating.url: 500.0}  # late ticks of a busy machine do not decide
        by_port = {int(url.rsplit(":", 1)[1]): url for url in far_ms}

        def profile(host: str, port: int) -> LinkProfile:
            return LinkProfile(far_ms[by_port[port]] if port in by_port else 1.0)

        async with Link(profile, seed=1) as link:
            client = await Client.guest(made.url, name="traveller", dial=link.route)
            placement = await client.place(mode="duel")
            assert placement.region == "test-1"
            far_ms.update({made.edge.seating.url: 250.0, other.seating.url: 30.0})  # a cable breaks before it connects, another is mended
            played = 0
            async with client.connect(placement) as session:
                while session.welcome.region == "test-1":
                    match = await session.play("duel")
                    async for _ in match:
                        pass
                    played += 1
                    assert match.result is not None, "no match is cut short for it"
                    assert played < 8, "nobody told the player that its way is a detour"
                    await asyncio.sleep(0)
                    if session.reroute is not None:
                        match = await session.play("duel")
                assert (session.welcome.region, session.moves) == ("test-2", 1)
                async for _ in match:
                    pass
                assert session.reroute is None
            assert made.edge.metrics.value("reroutes_total") == 1
            assert other.metrics.value("reroutes_total") == 0
        services = made.coordinator.services
        async with asyncio.timeout(15):  # every tenth second a report tells what was measured between regions
            while not services.registry.between.matrix(services.registry.regions, services.now_ms()):
                await asyncio.sleep(0.1)
