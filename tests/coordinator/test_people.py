"""Bans, erasures and the live policy where something is away or somebody else is faster."""

import asyncio
import json

import httpx
import pytest

from gameedge.bus import topics
from gameedge.bus.payloads import Codec, Desired
from gameedge.coordinator import people
from gameedge.coordinator.events import Events
from gameedge.coordinator.policy import DOCUMENT
from gameedge.core import limits
from gameedge.core.ids import FlagId, MatchId, PlayerId, RegionId
from gameedge.state.base import Evidence
from gameedge.state.memory_global import MemoryGlobalStore
from tests.coordinator.fleet import AUTH, Fleet, fleet, match_result, until
from tests.end_to_end.inprocess import OPERATOR, stack


async def desired(world: Fleet, region: str) -> Desired:
    """What the broker retains for a region."""
    async with world.bus.subscribe(topics.desired(RegionId(region))) as messages:
        async for message in messages:
            found = Codec(Desired).decode(message.payload)
            assert found is not None
            return found
    raise AssertionError


async def test_a_ban_while_the_broker_is_away_is_told_when_it_is_back() -> None:
    async with fleet() as world:
        guest = await world.sign_up()
        world.broker.down()
        await until(lambda: not world.running.services.bus.online)
        answer = (await world.http.post(f"/v1/admin/players/{guest['player']}/ban", headers=AUTH)).json()
        assert (answer["banned"], answer["told"], answer["waiting"]) == (True, [], ["eu"])
        world.broker.up()
        await until(lambda: not world.running.services.registry.outdated)
        blocked = (await desired(world, "eu")).blocked
        assert set(blocked) == {guest["player"]}
        assert blocked[guest["player"]] > world.clock() + 3_000_000
        await world.http.post(f"/v1/admin/players/{guest['player']}/unban", headers=AUTH)
        assert (await desired(world, "eu")).blocked == {}


async def test_an_erasure_goes_on_where_a_region_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "ERASE_AGAIN_S", 0.3)
    async with stack() as made, httpx.AsyncClient(base_url=made.url, headers={"Authorization": f"Bearer {OPERATOR}"}) as client:
        guest = (await client.post("/v1/guests", json={"name": "Erin"})).json()
        player = PlayerId(guest["player"])
        evidence = Evidence(flag=FlagId("f1"), player=player, match=MatchId("m"), at_ms=1, rule="gate", score=1.0, reasons=[])
        await made.store.evidence_add(evidence)
        path = f"/v1/admin/players/{player}/erase"
        assert (await client.post(path, json={"confirm": "p_other"})).status_code == 400
        made.store.available = False
        receipt = (await client.post(path, json={"confirm": player})).json()
        assert (receipt["complete"], receipt["global_records"], receipt["regions"]) == (False, 1, {})
        assert [waiting["region"] for waiting in receipt["waiting"]] == ["test-1"]
        assert await made.global_store.erasing() == {player: ["test-1"]}
        made.store.available = True
        async with asyncio.timeout(10):
            while await made.global_store.erasing():
                await asyncio.sleep(0.05)
        assert await made.store.evidence_list(10) == []
        assert (await client.get(f"/v1/admin/players/{player}")).status_code == 404
        entries = [json.loads(entry) for entry in await made.global_store.audit_list(10)]
        assert {"erase", "erased"} <= {entry["action"] for entry in entries}
        assert "Erin" not in json.dumps(entries)


async def test_a_late_result_gives_an_erased_player_no_rating() -> None:
    async with fleet() as world:
        ann, bob = (await world.sign_up("Ann"))["player"], (await world.sign_up("Bob"))["player"]
        await world.store.account_erase(PlayerId(ann))
        await world.result(match_result("m1", [[ann], [bob]], [0, 1]))
        await until(lambda: world.acks)
        assert await world.store.ratings(PlayerId(ann)) == {}
        assert (await world.store.ratings(PlayerId(bob)))["duel"].games == 1


async def test_of_two_coordinators_one_change_of_the_policy_wins_and_both_converge() -> None:
    store = MemoryGlobalStore()
    async with fleet(store=store) as first, fleet(store=store, broker=first.broker) as second:
        body = {"set": {"fill_ms": 100}, "expected": 0}
        answers = await asyncio.gather(
            first.http.post("/v1/admin/config", headers=AUTH, json=body), second.http.post("/v1/admin/config", headers=AUTH, json=body)
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        assert "by operator_token" in next(answer for answer in answers if answer.status_code == 409).json()["detail"]
        change = {"set": {"pin_region": "eu", "npc_level": 7, "guests_per_minute": 1}}
        assert (await first.http.post("/v1/admin/config", headers=AUTH, json=change)).status_code == 200
        await until(lambda: second.running.services.config.pin_region == "eu")
        await until(lambda: second.running.services.registry.regions[RegionId("eu")].desired.npc_level == 7)
        assert ((await desired(first, "eu")).fill_ms, (await desired(first, "eu")).npc_level) == (100, 7)
        await second.sign_up()
        assert (await second.http.post("/v1/guests", json={"name": "Bo"})).status_code == 429
        await second.edge("us")  # a region that comes later is told, too
        await until(lambda: second.running.services.registry.regions[RegionId("us")].desired.npc_level == 7)
        assert (await second.http.post("/v1/admin/config/rollback", headers=AUTH, json={"to": 0})).status_code == 200
        await until(lambda: first.running.services.config.pin_region == "")
        await until(lambda: first.running.services.registry.regions[RegionId("eu")].desired.npc_level is None)


async def test_a_version_of_another_release_is_left_alone() -> None:
    async with fleet() as world:
        assert await world.store.version_add(DOCUMENT, b'{"number": 1, "at_ms": 1, "who": "x", "overrides": {"newer": 1}}', 0)
        answer = await world.http.get("/v1/admin/config", headers=AUTH)
        assert (answer.status_code, answer.json()["version"]["number"]) == (200, 0)
        refused = await world.http.post("/v1/admin/config", headers=AUTH, json={"set": {"fill_ms": 1}})
        assert refused.status_code == 409  # nothing that is not understood is written over


async def test_events_that_were_forgotten_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EVENTS_KEPT_MAX", 4)
    monkeypatch.setattr(limits, "EVENTS_WAITING_MAX", 0)
    events = Events(lambda: 1)
    assert events.after(0, lambda event: True, 10) == ([], 0, 0)
    for number in range(10):
        events.add("flag" if number % 2 else "match", "raised", region="eu")
    found, following, missed = events.after(0, lambda event: event.kind == "flag", 10)
    assert ([event.number for event in found], following, missed) == ([8, 10], 10, 6)
    found, following, missed = events.after(6, lambda event: True, 2)
    assert ([event.number for event in found], following, missed) == ([7, 8], 8, 0)
    assert events.after(10, lambda event: True, 2) == ([], 10, 0)
    await events.wait(9, 1.0)  # there is one already
    with pytest.raises(Exception, match="wait for events"):
        await events.wait(10, 1.0)
