"""What the contract tests share: servers that start once a session, a region's store of each kind, empty, and a house
of each transport."""

from collections.abc import AsyncIterator

import pytest

from gameedge.state.base import RegionStore
from tests.contract.sockets import NAMES, House
from tests.contract.stores import KINDS, empty, region_store, servers

__all__ = ["house", "servers", "store"]


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, servers: dict[str, str]) -> AsyncIterator[RegionStore]:
    url = servers[request.param]
    empty(url)
    async with region_store(url) as opened:
        yield opened


@pytest.fixture(params=NAMES)
async def house(request: pytest.FixtureRequest) -> AsyncIterator[House]:
    house = await House(request.param).open()
    yield house
    await house.server.close()
