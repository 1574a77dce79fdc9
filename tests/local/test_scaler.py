"""Processes that come and go with the load: the wishes alone, and a real region that grows and shrinks under its players."""

import asyncio
import contextlib
from pathlib import Path

import httpx
import pytest

from gameedge.core.errors import ConfigError
from gameedge.core.ids import RegionId
from gameedge.local import scaler as module
from gameedge.local.deployment import Deployment, Plan, check_plan
from gameedge.local.scaler import Scaler
from gameedge_client import Client, Session
from tests.local.test_deployment import Teller, edges_online, until, until_online


class Recorded:
    """What a scaler asked for; a region takes as long as the test wants."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.gate = asyncio.Event()

    async def scale(self, region: RegionId, processes: int) -> None:
        self.asked.append((region, processes))
        await self.gate.wait()


async def test_wishes_are_bounded_and_the_newest_waits_for_a_region_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 0.01)
    there = Recorded()
    scaler = Scaler(there, least=2, most=5)
    running = asyncio.create_task(scaler.run())
    scaler.hear({"a": 1, "b": 99, "c": 0})
    await until(lambda: len(there.asked) == 2)
    assert sorted(there.asked) == [("a", 2), ("b", 5)], "nothing is known of c"
    for wish in (3, 4):
        scaler.hear({"a": wish})
        await asyncio.sleep(0.05)
    assert len(there.asked) == 2, "one change at a time"
    there.gate.set()
    await until(lambda: ("a", 4) in there.asked)
    assert ("a", 3) not in there.asked
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_plans_that_cannot_be() -> None:
    for plan in (Plan(edges_per_region=3, processes_max=2), Plan(processes_max=17), Plan(slots=1), Plan(slots=10**6)):
        with pytest.raises(ConfigError, match=r"--processes-max|--slots"):
            check_plan(plan)


@pytest.mark.slow
async def test_a_region_grows_with_its_players_and_shrinks_without_dropping_one(tmp_path: Path) -> None:
    teller = Teller()
    deployment = Deployment(Plan(regions=1, bots=0, port=0, slots=10, processes_max=2), tmp_path, teller, lambda _: None)
    scaler = Scaler(deployment, least=1, most=2)
    async with contextlib.AsyncExitStack() as opened:
        opened.push_async_callback(deployment.stop)
        await deployment.start()
        await until_online(deployment, ["us-east/e1"])
        running = asyncio.create_task(scaler.run())
        opened.callback(running.cancel)
        sessions = [await _session(opened, deployment) for _ in range(6)]
        async with asyncio.timeout(90):
            while await edges_online(deployment) != ["us-east/e1", "us-east/e2"]:
                scaler.hear(await _desired(deployment))
                await asyncio.sleep(0.2)
        sessions += [await _session(opened, deployment) for _ in range(4)]
        matches = [await session.play("duel") for session in sessions]
        playing = [asyncio.create_task(_watch(match)) for match in matches]
        scaler.hear({"us-east": 1})
        async with asyncio.timeout(40):
            while len(deployment.edges_of("us-east")) > 1:
                await asyncio.sleep(0.1)
        assert [node.name for node in deployment.edges_of("us-east")] == ["us-east-1"]
        assert all(await asyncio.gather(*playing)), "every match is played to its end"
        assert {session.url for session in sessions} == {deployment.edges_of("us-east")[0].address["url"]}
        assert teller.faults == []


async def _session(opened: contextlib.AsyncExitStack, deployment: Deployment) -> Session:
    client = await Client.guest(deployment.url, name="guest")
    return await opened.enter_async_context(client.connect(await client.place(mode="duel")))


async def _desired(deployment: Deployment) -> dict[str, int]:
    headers = {"authorization": f"Bearer {deployment.operator_token}"}
    async with httpx.AsyncClient(headers=headers, trust_env=False) as client:
        status = (await client.get(f"{deployment.url}/v1/admin/status")).json()
    return {region["region"]: region["processes_desired"] for region in status["regions"]}


async def _watch(match) -> bool:  # type: ignore[no-untyped-def]
    async for _ in match:
        pass
    return match.result is not None
