"""A whole region is gone, its store with it: its players play on in another one, and nothing that they were told changes."""

import os
from pathlib import Path

import pytest

from gameedge.config import EdgeConfig, Listen
from gameedge.local import toml
from gameedge.local.child import free_port
from gameedge.local.node import Node
from gameedge.local.servers import redis_server
from gameedge_client import Client, GameEdgeError

from .processes import ROOT, deployed, until

pytestmark = pytest.mark.slow


async def test_players_of_a_lost_region_are_placed_in_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = (str(ROOT), str(ROOT / "clients" / "python"), os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    async with deployed(tmp_path, edges=1, fill_ms=200) as made:
        client = await Client.guest(made.url, name="wanderer")
        placement = await client.place(mode="duel")
        redis = redis_server(tmp_path / "redis-2", name="redis-2")
        await redis.start()
        config = EdgeConfig(
            region="test-2",
            edge="f0",
            redis=redis.url,
            bus=made.broker.url,
            players=Listen(port=free_port()),
            ops=Listen(port=free_port()),
            token_keys=[made.signer.public_text],
            game="tests.end_to_end.quick:QuickArena",
            matches_max=32,
            entities_max=128,
            fill_ms=200,
        )
        path = tmp_path / "f0.toml"
        path.write_text(toml.dumps(config), "utf-8")
        other = Node("f0", ["edge", "--config", str(path)], tmp_path / "logs" / "f0.log")
        try:
            await other.start()

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
                await until(lambda: session.connected and session.url == other.address["url"], "placed in the other region")
                assert session.welcome.region == "test-2"
                second = await session.play("duel")
                assert second.info.match != first.info.match
        finally:
            await other.child.kill()
            await redis.stop()
