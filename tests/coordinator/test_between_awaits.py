"""What happens while a coordinator waits for its broker or its store: it meets what is there afterwards, not what was before."""

import asyncio
from typing import Any

import pytest

from gameedge.bus import topics
from gameedge.bus.base import BusMessage
from gameedge.bus.payloads import ModelWish
from gameedge.coordinator import app, services
from gameedge.coordinator.policy import DOCUMENT, LivePolicy, Overrides, Version
from gameedge.core.errors import RefusedError, UnavailableError
from gameedge.core.ids import EdgeId, PlayerId, RegionId
from gameedge.state.memory_global import MemoryGlobalStore
from tests.coordinator.fleet import AUTH, Fleet, config, fleet, until


class Forgetting:
    """The bus of a coordinator, on which an operator clears a region's retained messages while something else is being said."""

    online = True

    def __init__(self, world: Fleet, region: RegionId) -> None:
        self._services, self._region = world.running.services, region
        self._bus = self._services.bus

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> None:
        self._services.registry.hear(BusMessage(topics.presence(self._region, EdgeId("e1")), b"", False), self._services.now_ms())
        await self._bus.publish(topic, payload, retain=retain, qos=qos)


async def test_a_region_that_is_forgotten_while_another_is_steered_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with fleet() as world:
        made, guest = world.running.services, await world.sign_up()

        async def comes(region: RegionId) -> None:
            monkeypatch.undo()
            await world.edge(region)
            await until(lambda: region in made.registry.regions)
            monkeypatch.setattr(made, "bus", Forgetting(world, region))

        await comes(RegionId("us1"))
        banned = await world.http.post(f"/v1/admin/players/{guest['player']}/ban", headers=AUTH)
        assert (banned.status_code, "eu" in banned.json()["told"]) == (200, True)
        await comes(RegionId("us2"))
        assert "eu" in await made.set_model([], "npc", lambda _: ModelWish(stable="npc-0123456789ab"), "test")
        await comes(RegionId("us3"))
        made.policy.now = Version(number=1, at_ms=1, who="x", overrides=Overrides(fill_ms=5))
        assert await made.apply_settings() == []
        assert made.registry.regions[RegionId("eu")].desired.fill_ms == 5


async def test_a_fault_in_one_look_ends_no_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "WATCH_S", 0.01)
    monkeypatch.setattr(services, "TELL_S", 0.01)
    async with fleet() as world:
        made = world.running.services
        calls = {"look": 0, "untold": 0}

        def broken(name: str) -> Any:
            def call(*_: object) -> None:
                calls[name] += 1
                raise ZeroDivisionError

            return call

        for name in calls:
            monkeypatch.setattr(made.events, name, broken(name))
        await until(lambda: min(calls.values()) >= 3)
        assert made.metrics.value("coordinator_errors_total", where="watch") >= 2
        assert made.metrics.value("coordinator_errors_total", where="tell") >= 2
        assert (await world.http.get("/readyz")).status_code == 200


async def test_a_ban_does_not_bring_back_who_is_erased_meanwhile() -> None:
    class Slow(MemoryGlobalStore):
        """An erasure by another coordinator comes between a ban's look at the account and its change."""

        async def audit_add(self, entry: str) -> None:
            if '"ban"' in entry:
                await self.account_erase(PlayerId(guest["player"]))
            await super().audit_add(entry)

    async with fleet(store=Slow()) as world:
        guest = await world.sign_up("Erin")
        answer = await world.http.post(f"/v1/admin/players/{guest['player']}/ban", headers=AUTH)
        assert answer.status_code == 404
        assert await world.store.account_get(PlayerId(guest["player"])) is None


async def test_an_erasure_that_stopped_at_the_account_goes_on_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The coordinator died, or its store went away, after it had written down what to do."""
    monkeypatch.setattr("gameedge.coordinator.people.ERASE_AGAIN_S", 0.05)

    class Away(MemoryGlobalStore):
        fails = 1

        async def account_erase(self, player: PlayerId) -> int:
            if self.fails:
                self.fails -= 1
                raise UnavailableError("away")
            return await super().account_erase(player)

    async with fleet(store=Away()) as world:
        guest = await world.sign_up("Erin")
        answer = await world.http.post(f"/v1/admin/players/{guest['player']}/erase", headers=AUTH, json={"confirm": guest["player"]})
        assert answer.status_code == 503
        async with asyncio.timeout(5):
            while await world.store.account_get(PlayerId(guest["player"])) is not None:
                await asyncio.sleep(0.01)


async def test_a_look_at_the_policy_does_not_undo_what_is_put_meanwhile() -> None:
    class Slow(MemoryGlobalStore):
        async def versions(self, name: str, limit: int) -> tuple[int, list[bytes]]:
            found = await super().versions(name, limit)
            await go_on.wait()
            return found

    go_on, policy = asyncio.Event(), LivePolicy(config(), Slow())
    go_on.set()
    await policy.put(Version(number=1, at_ms=1, who="ada", overrides=Overrides(fill_ms=1)))
    go_on.clear()
    behind = LivePolicy(policy._config, policy._store)  # a coordinator that has seen no version yet
    looking = asyncio.create_task(behind.look())
    await asyncio.sleep(0)
    behind.now = policy.now
    putting = asyncio.create_task(behind.put(Version(number=2, at_ms=2, who="bo", overrides=Overrides(fill_ms=2))))
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(looking, putting)
    assert behind.now.number == 2


async def test_a_store_that_lost_its_versions_begins_anew() -> None:
    store = MemoryGlobalStore()
    policy = LivePolicy(config(), store)
    await policy.put(Version(number=1, at_ms=1, who="ada", overrides=Overrides(fill_ms=1)))
    store._documents.pop(DOCUMENT)
    with pytest.raises(RefusedError, match="version 0 is the newest"):
        await policy.put(Version(number=2, at_ms=2, who="ada"))
    assert policy.settings() == (None, None)
    await policy.put(Version(number=1, at_ms=3, who="ada", overrides=Overrides(fill_ms=3)))
    assert await policy.history(10) == [policy.now]
