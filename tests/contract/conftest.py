"""What the contract tests share: servers that start once a session, and a region's store of each kind, empty."""

from collections.abc import AsyncIterator

import pytest

from gameedge.state.base import RegionStore
from tests.contract.stores import KINDS, empty, region_store, servers

__all__ = ["servers", "store"]


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, servers: dict[str, str]) -> AsyncIterator[RegionStore]:
    url = servers[request.param]
    empty(url)
    async with region_store(url) as opened:
        yield opened
