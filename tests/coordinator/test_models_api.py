"""Wishes for models through the admin API: what is published, kept and shown."""

from gameedge.bus.payloads import ModelReport, ModelWish
from gameedge.core.ids import RegionId
from tests.coordinator.fleet import AUTH, fleet, until

NEW = "npc-0123456789ab"


async def test_deploy_canary_and_rollback_become_desired_state() -> None:
    async with fleet() as world:
        await world.edge("us")
        services = world.running.services
        region = services.registry.regions[RegionId("eu")]
        answer = await world.http.post("/v1/admin/models/npc/deploy", json={"artifact": NEW}, headers=AUTH)
        assert answer.status_code == 200
        assert {wish["region"] for wish in answer.json()["wishes"]} == set(services.registry.regions)
        assert region.desired.models == {"npc": ModelWish(stable=NEW)}
        await services.set_draining("eu", None, True, "test")  # another wish for the region leaves its models alone
        assert region.desired.models == {"npc": ModelWish(stable=NEW)}

        body = {"artifact": "npc-aaaaaaaaaaaa", "share": 0.1, "regions": ["eu"]}
        await world.http.post("/v1/admin/models/npc/canary", json=body, headers=AUTH)
        assert region.desired.draining
        assert region.desired.models["npc"] == ModelWish(stable=NEW, canary="npc-aaaaaaaaaaaa", canary_share=0.1)
        assert services.registry.regions[RegionId("us")].desired.models["npc"].canary == ""
        await world.http.post("/v1/admin/models/npc/canary", json={**body, "shadow": True}, headers=AUTH)
        assert region.desired.models["npc"] == ModelWish(stable=NEW, shadow="npc-aaaaaaaaaaaa", shadow_share=0.1)
        await world.http.post("/v1/admin/models/npc/canary", json={**body, "share": 0.0}, headers=AUTH)
        assert region.desired.models["npc"] == ModelWish(stable=NEW)
        await world.http.post("/v1/admin/models/npc/rollback", headers=AUTH)
        assert region.desired.models == {}
        assert len(await world.store.audit_list(50)) == len(services.registry.regions) * 2 + 4


async def test_bad_wishes_are_refused() -> None:
    async with fleet() as world:
        for body in ({"artifact": "../etc"}, {"artifact": ""}, {"artifact": NEW, "share": 2.0}):
            answer = await world.http.post("/v1/admin/models/npc/deploy", json=body, headers=AUTH)
            assert answer.status_code == 400, body
        body = {"artifact": NEW, "regions": ["nowhere"]}
        assert (await world.http.post("/v1/admin/models/npc/deploy", json=body, headers=AUTH)).status_code == 404
        assert (await world.http.get("/v1/admin/models")).status_code == 401
        assert await world.store.audit_list(10) == []


async def test_reports_of_processes_are_shown() -> None:
    async with fleet() as world:
        report = ModelReport(model="npc", stable=NEW, state="rolled_back", why=f"{NEW} raised in 4 of 4 calls", actions=7)
        await world.edge("eu", models=[report])

        edges = world.running.services.registry.regions[RegionId("eu")].edges
        await until(lambda: any(edge.report and edge.report.models for edge in edges.values()))
        edge = (await world.http.get("/v1/admin/models", headers=AUTH)).json()["edges"][0]
        assert (edge["region"], edge["report"]["state"], edge["report"]["actions"]) == ("eu", "rolled_back", 7)
