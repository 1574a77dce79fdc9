"""A region dies, its store with it, after a ticket was granted and its player was told where to go, and before it has arrived."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gameedge.core.protocol.messages import MatchAway
from gameedge.state.redis_region import RedisRegionStore
from gameedge_client import Client
from gameedge_client.match import Match
from gameedge_client.session import Session
from loadtest.links import Link, LinkProfile

from .processes import Deployed, SecondRegion, deployed, second_region, until
from .test_exchange import RULES

pytestmark = pytest.mark.slow


@dataclass
class Regions:
    """`west` lives in test-1, `east` in test-2, where both would meet."""

    made: Deployed
    far: SecondRegion
    far_store: RedisRegionStore
    west: Client
    east: Client

    async def kill_far(self) -> None:
        await self.far.kill()

    async def kill_near(self) -> None:
        await self.made.edges[0].child.kill()
        await self.made.redis.kill()


@contextlib.asynccontextmanager
async def regions(folder: Path) -> AsyncIterator[Regions]:
    rules = folder / "rules.toml"
    rules.write_text(RULES)
    async with deployed(folder, edges=1, match_rules=str(rules)) as made, contextlib.AsyncExitStack() as opened:
        far = await opened.enter_async_context(second_region(made, match_rules=str(rules)))
        store = RedisRegionStore(far.redis.url)
        opened.push_async_callback(store.close)
        ports = {int(made.edge_urls()[0].rsplit(":", 1)[1]): "test-1", int(far.edge.address["url"].rsplit(":", 1)[1]): "test-2"}

        async def client(name: str, near_ms: dict[str, float]) -> Client:
            def profile(host: str, port: int) -> LinkProfile:
                return LinkProfile(near_ms[ports[port]] if port in ports else 1.0)

            link = await opened.enter_async_context(Link(profile, seed=1))
            return await Client.guest(made.url, name=name, dial=link.route)

        west = await client("west", {"test-1": 8.0, "test-2": 100.0})

        async def known() -> bool:
            return len(await west.regions()) == 2

        await until(known, "the coordinator hears of the second region")
        yield Regions(made, far, store, west, await client("east", {"test-1": 700.0, "test-2": 8.0}))


def before_travelling(session: Session, act: Callable[[], Awaitable[None]]) -> "asyncio.Future[MatchAway]":
    """`act` runs when the session was told to go, before it goes; then it does."""
    told: asyncio.Future[MatchAway] = asyncio.get_running_loop().create_future()
    travel = session._travel

    def first(message: MatchAway) -> None:
        if told.done():
            travel(message)
            return

        async def then() -> None:
            await act()
            travel(message)
            told.set_result(message)

        session.acting = asyncio.create_task(then())  # type: ignore[attr-defined]

    session._travel = first  # type: ignore[method-assign]
    return told


async def whole(match: Match) -> None:
    async for _ in match:
        pass


async def test_the_host_region_dies_and_the_ticket_waits_on_at_home(tmp_path: Path) -> None:
    async with regions(tmp_path) as here:
        at_west, at_east = await here.west.place(mode="duel"), await here.east.place(mode="duel")
        assert (at_west.region, at_east.region) == ("test-1", "test-2")
        async with contextlib.AsyncExitStack() as opened:
            one = await opened.enter_async_context(here.west.connect(at_west))
            two = here.east.connect(at_east)
            await two.__aenter__()
            told = before_travelling(one, here.kill_far)
            waiting, gone = asyncio.create_task(one.queue("duel")), asyncio.create_task(two.queue("duel"))
            async with asyncio.timeout(40):
                message = await told
            assert message.region == "test-2"
            assert await here.made.store.tickets("duel") == [], "it is granted, and in nobody's pool"

            async def back() -> bool:
                return [ticket.id for ticket in await here.made.store.tickets("duel")] == [message.ticket]

            await until(back, "the ticket is in its own pool again", said=here.made.edges[0].address)
            assert await here.made.store.matches("duel") == []
            assert not waiting.done(), "its player never left the queue"
            assert (one.welcome.region, one.resumes >= 1, one.journeys) == ("test-1", True, 0)
            assert await one.cancel()
            with pytest.raises(Exception, match=r"left the queue|not_found"):
                await waiting
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            await two.__aexit__(None, None, None)


async def test_the_home_region_dies_and_the_match_is_played(tmp_path: Path) -> None:
    async with regions(tmp_path) as here:
        at_west, at_east = await here.west.place(mode="duel"), await here.east.place(mode="duel")
        async with here.west.connect(at_west) as one, here.east.connect(at_east) as two, asyncio.timeout(50):
            told = before_travelling(one, here.kill_near)
            first, second = await asyncio.gather(one.play("duel"), two.play("duel"))
            assert (await told).match == first.info.match == second.info.match
            await asyncio.gather(whole(first), whole(second))
            assert first.result is not None
            assert second.result is not None
            assert first.result.ranks == second.result.ranks
            store = here.made.global_store
            await until(lambda: store.result_applied(first.info.match), "its result counts")
