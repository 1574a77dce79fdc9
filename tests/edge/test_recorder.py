"""Evidence that is raised while the region's Redis is gone: kept, and stored once it is back. On a real server, killed for real."""

import asyncio
import contextlib
from pathlib import Path

from gameedge.bus.memory import MemoryBroker
from gameedge.core.errors import UnavailableError
from gameedge.core.ids import FlagId, RegionId
from gameedge.edge.recorder import Recorder
from gameedge.local.servers import redis_server
from gameedge.state.base import Evidence
from gameedge.state.redis_region import RedisRegionStore
from tests.contract.stores import evidence


async def test_a_flag_that_is_raised_while_redis_is_gone_is_stored_when_it_is_back(tmp_path: Path) -> None:
    async with redis_server(tmp_path / "redis", fsync="always") as server, MemoryBroker().factory("edge") as bus:
        store = RedisRegionStore(server.url, wait_ms=300)
        recorder = Recorder(store, bus, RegionId("test-1"), lambda ended: None, lambda ended: None)
        task = asyncio.create_task(recorder.run_evidence())
        try:
            recorder.flag(evidence(1))
            async with asyncio.timeout(8):
                while not await store.evidence_list(10):
                    await asyncio.sleep(0.05)
                await server.kill()
                for number in (2, 3):
                    recorder.flag(evidence(number))
                await asyncio.sleep(0.7)
                assert not task.done()
                await server.restart()
                while len(await _kept(store)) < 3:
                    await asyncio.sleep(0.05)
            assert recorder.evidence_dropped == recorder.failed == 0
            assert (await store.evidence_get(FlagId("f_3"))) is not None
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await store.close()


async def _kept(store: RedisRegionStore) -> list[Evidence]:
    with contextlib.suppress(UnavailableError):
        return await store.evidence_list(10)
    return []
