"""A whole region is gone, its store with it: its players play on in another one, and nothing that they were told changes."""

from pathlib import Path

import pytest

from gameedge_client import Client, GameEdgeError

from .processes import SECOND_REGION, deployed, second_region, until

pytestmark = pytest.mark.slow


async def test_players_of_a_lost_region_are_placed_in_another(tmp_path: Path) -> None:
    async with deployed(tmp_path, edges=1, fill_ms=200) as made:
        client = await Client.guest(made.url, name="wanderer")
        placement = await client.place(mode="duel")
        async with second_region(made, fill_ms=200) as other:

            async def known() -> bool:
                return len(await client.regions()) == 2

            await until(known, "the coordinator hears of the second region, without a restart")
            async with client.connect(placement) as session:
                first = await session.play("duel")
                await made.edges[0].child.kill()
                await made.redis.kill()
                with pytest.raises(GameEdgeError):  # the running match is lost with its region
                    async for _ in first:
                        pass
                await until(lambda: session.connected and session.url == other.edge.address["url"], "placed in the other region")
                assert session.welcome.region == SECOND_REGION
                second = await session.play("duel")
                assert second.info.match != first.info.match
