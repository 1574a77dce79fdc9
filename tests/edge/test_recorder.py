"""Evidence that is raised while the region's Redis is gone: kept, and stored once it is back, on a real server, killed for real. And
while the broker is gone: stored all the same."""

import asyncio
import contextlib
from pathlib import Path

from gameedge.bus import topics
from gameedge.bus.memory import MemoryBroker
from gameedge.bus.payloads import Codec, Verdict
from gameedge.core.errors import UnavailableError
from gameedge.core.ids import FlagId, PlayerId, RegionId
from gameedge.edge.recorder import Recorder
from gameedge.local.servers import redis_server
from gameedge.state.base import Evidence
from gameedge.state.memory import MemoryRegionStore
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


async def test_a_flag_is_stored_while_the_broker_is_gone_and_told_when_it_is_back() -> None:
    broker, store, region = MemoryBroker(), MemoryRegionStore(), RegionId("test-1")
    async with broker.factory("edge") as bus, broker.factory("coordinator") as other, other.subscribe(topics.ALL_VERDICTS) as told:
        recorder = Recorder(store, bus, region, lambda ended: None, lambda ended: None)
        tasks = [asyncio.create_task(work()) for work in (recorder.run_evidence, recorder.run_verdicts)]
        try:
            broker.down()
            for number in (1, 2, 3):
                recorder.flag(evidence(number, player=f"p_{number}"))
            async with asyncio.timeout(20):
                while len(await store.evidence_list(10)) < 3:
                    await asyncio.sleep(0.01)
                recorder.forget(PlayerId("p_2"))
                broker.up()
                heard = [Codec(Verdict).decode((await anext(told)).payload) for _ in range(2)]
            assert [verdict.flag for verdict in heard if verdict is not None] == ["f_1", "f_3"], "who is erased is not spoken of"
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _kept(store: RedisRegionStore) -> list[Evidence]:
    with contextlib.suppress(UnavailableError):
        return await store.evidence_list(10)
    return []
