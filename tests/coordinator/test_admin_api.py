"""The operators' API: who may, what it says, and what it leaves in the audit log."""

import json

import pytest

from gameedge.bus import topics
from gameedge.bus.memory import MemoryBroker
from gameedge.bus.payloads import Codec, Desired, EdgeReport, Verdict, encode
from gameedge.core import limits
from gameedge.core.ids import RegionId
from gameedge.state.memory_global import MemoryGlobalStore
from tests.coordinator.fleet import AUTH, Fleet, config, fleet, match_result, until

READING = ("/v1/admin/status", "/v1/admin/verdicts", "/v1/admin/audit", "/v1/admin/players/p_x")
CHANGING = (
    "/v1/admin/players/p_x/ban",
    "/v1/admin/players/p_x/unban",
    "/v1/admin/regions/eu/drain",
    "/v1/admin/regions/eu/resume",
    "/v1/admin/regions/eu/edges/e1/drain",
    "/v1/admin/regions/eu/edges/e1/resume",
)


def verdict(flag: str, player: str = "p_x", **more: object) -> bytes:
    values = {"flag": flag, "player": player, "match": "m1", "at_ms": 1, "rule": "cadence", "score": 0.9, "reasons": ["too even"]}
    return encode(Verdict(**{**values, **more}))  # type: ignore[arg-type]


async def verdicts(world: Fleet, *payloads: bytes) -> None:
    for payload in payloads:
        await world.bus.publish(topics.verdicts(RegionId("eu")), payload)


@pytest.mark.parametrize(
    "header", [None, "Bearer wrong", "Bearer", "Basic b3BlcmF0b3Itc2VjcmV0", "operator-secret", "Bearer operator-secretx"]
)
async def test_nothing_without_the_token(header: str | None) -> None:
    async with fleet() as world:
        headers = {"Authorization": header} if header is not None else {}
        for method, paths in (("GET", READING), ("POST", CHANGING)):
            for path in paths:
                answer = await world.http.request(method, path, headers=headers)
                assert (answer.status_code, answer.json()["reason"]) == (401, "token_invalid"), path
                assert answer.headers["www-authenticate"] == "Bearer"
        assert await world.store.audit_list(10) == []
        assert not world.running.services.registry.regions[RegionId("eu")].desired.draining


async def test_guessing_is_slowed_down_and_the_right_token_is_not() -> None:
    async with fleet(config(operator_failures_per_minute=5)) as world:
        wrong = {"Authorization": "Bearer guess"}
        statuses = [(await world.http.get("/v1/admin/status", headers=wrong)).status_code for _ in range(7)]
        assert statuses == [401] * 5 + [429] * 2
        assert (await world.http.get("/v1/admin/status", headers=AUTH)).status_code == 200


async def test_without_a_configured_token_the_admin_api_is_off() -> None:
    async with fleet(config(operator_token="")) as world:
        for token in ("Bearer", "Bearer x"):
            answer = await world.http.get("/v1/admin/status", headers={"Authorization": token})
            assert (answer.status_code, answer.json()["reason"]) == (403, "forbidden")


async def test_status_shows_everything() -> None:
    async with fleet() as world:
        await world.report("eu", players=7, matches=2, lateness=3.5)
        await world.edge("us", "e1", report=False)
        guest = await world.sign_up()
        await world.result(match_result("m1", [[guest["player"]], ["p_b"]], [0, 1]))
        await verdicts(world, verdict("f1"))
        await until(lambda: world.acks)
        services = world.running.services
        await until(lambda: services.verdicts.heard_count and len(services.registry.regions) == 2)
        status = (await world.http.get("/v1/admin/status", headers=AUTH)).json()
        assert {key: status[key] for key in ("players", "matches", "results_applied", "verdicts")} == {
            "players": 7,
            "matches": 2,
            "results_applied": 1,
            "verdicts": 1,
        }
        eu, us = status["regions"]
        assert (eu["region"], eu["title"], eu["latitude"]) == ("eu", "Europe", 50.1)
        edge = eu["edges"][0]
        assert (edge["edge"], edge["online"], edge["doubt"], edge["url"]) == ("e1", True, "", "ws://127.0.0.1:9/eu/e1")
        assert edge["report"]["tick_lateness_ms"] == {"p99": 3.5}
        assert 0 <= edge["age_ms"] < 60_000
        assert (us["edges"][0]["report"], us["edges"][0]["age_ms"]) == (None, None)
        assert status["coordinator"]["bus_online"] is True
        assert status["coordinator"]["accounts"] == 1


async def test_drain_and_resume_steer_region_and_placement() -> None:
    async with fleet() as world:
        await world.edge("us")
        await until(lambda: len(world.running.services.registry.online(world.clock())) == 2)
        guest = await world.sign_up()
        rtt = {"eu": [10.0], "us": [100.0]}
        assert (await world.place(guest, rtt_ms=rtt)).json()["region"] == "eu"
        first = (await world.http.post("/v1/admin/regions/eu/drain", headers=AUTH)).json()
        assert (first["draining"], first["draining_edges"]) == (True, [])
        retained = Codec(Desired).decode(world.broker.retained[topics.desired(RegionId("eu"))])
        assert retained is not None
        assert (retained.draining, retained.revision) == (True, first["revision"])
        answer = (await world.place(guest, rtt_ms=rtt)).json()
        assert (answer["region"], answer["why"]["eu"]["excluded"]) == ("us", "draining")
        assert [r["region"] for r in (await world.http.get("/v1/regions")).json()["regions"]] == ["us"]
        second = (await world.http.post("/v1/admin/regions/eu/resume", headers=AUTH)).json()
        assert second["revision"] > first["revision"]
        assert (await world.place(guest, rtt_ms=rtt)).json()["region"] == "eu"
        edge = (await world.http.post("/v1/admin/regions/eu/edges/e1/drain", headers=AUTH)).json()
        assert (edge["draining"], edge["draining_edges"]) == (False, ["e1"])
        assert (await world.place(guest, rtt_ms=rtt)).json()["region"] == "us"
        await world.http.post("/v1/admin/regions/eu/edges/e1/resume", headers=AUTH)
        assert (await world.place(guest, rtt_ms=rtt)).json()["region"] == "eu"
        actions = [json.loads(entry)["action"] for entry in await world.store.audit_list(10)]
        assert actions == ["resume", "drain", "resume", "drain"]
        for path in ("regions/mars/drain", "regions/eu/edges/e9/drain", "regions/%2B/drain"):
            assert (await world.http.post(f"/v1/admin/{path}", headers=AUTH)).status_code == 404


async def test_steering_while_the_broker_is_away_says_so() -> None:
    async with fleet() as world:
        world.broker.down()
        answer = await world.http.post("/v1/admin/regions/eu/drain", headers=AUTH)
        assert (answer.status_code, answer.json()["reason"]) == (503, "unavailable")


async def test_a_broker_that_forgot_is_told_again() -> None:
    async with fleet() as world:
        await world.http.post("/v1/admin/regions/eu/drain", headers=AUTH)
        topic = topics.desired(RegionId("eu"))
        world.broker.down()
        await until(lambda: not world.running.services.registry._bus_online)
        assert topic not in world.broker.retained
        world.broker.up()
        await until(lambda: topic in world.broker.retained)


async def test_two_coordinators_agree_on_the_newest_desired_state() -> None:
    store, broker = MemoryGlobalStore(), MemoryBroker()
    async with fleet(store=store, broker=broker) as one, fleet(store=store, broker=broker) as two:
        drained = (await one.http.post("/v1/admin/regions/eu/drain", headers=AUTH)).json()
        region = two.running.services.registry.regions[RegionId("eu")]
        await until(lambda: region.desired.revision == drained["revision"])
        resumed = (await two.http.post("/v1/admin/regions/eu/resume", headers=AUTH)).json()
        assert resumed["revision"] > drained["revision"]
        topic = topics.desired(RegionId("eu"))
        # Somebody who was away says what was true before: the newest comes back.
        await one.bus.publish(topic, encode(Desired(revision=drained["revision"], draining=True)), retain=True)

        def newest() -> bool:
            retained = Codec(Desired).decode(broker.retained[topic])
            return retained is not None and retained.revision == resumed["revision"]

        await until(newest)
        assert not one.running.services.registry.regions[RegionId("eu")].desired.draining


async def test_a_ban_stops_placements_and_is_undone() -> None:
    async with fleet() as world:
        guest = await world.sign_up("Eve [bold]")
        path = f"/v1/admin/players/{guest['player']}"
        await verdicts(world, verdict("f1", guest["player"]))
        await until(lambda: world.running.services.verdicts.heard_count)
        shown = (await world.http.get(path, headers=AUTH)).json()
        assert (shown["name"], shown["banned"], len(shown["verdicts"])) == ("Eve [bold]", False, 1)
        assert "secret" not in json.dumps(shown)
        assert (await world.place(guest)).status_code == 200  # a flag alone bans nobody
        assert (await world.http.post(f"{path}/ban", headers=AUTH, json={"reason": "aim"})).json()["banned"] is True
        refused = await world.place(guest)
        assert (refused.status_code, refused.json()["reason"]) == (403, "forbidden")
        assert (await world.http.post(f"{path}/unban", headers=AUTH)).json()["banned"] is False
        assert (await world.place(guest)).status_code == 200
        entries = [json.loads(entry) for entry in (await world.http.get("/v1/admin/audit", headers=AUTH)).json()["entries"]]
        assert [(entry["action"], entry["reason"]) for entry in entries] == [("unban", ""), ("ban", "aim")]
        assert (await world.http.post("/v1/admin/players/p_nobody/ban", headers=AUTH)).status_code == 404


async def test_verdicts_are_bounded_newest_first_and_each_once() -> None:
    async with fleet() as world:
        held = world.running.services.verdicts
        await verdicts(world, *(verdict(f"f{index}") for index in range(limits.VERDICTS_MAX + 20)))
        await until(lambda: held.heard_count == limits.VERDICTS_MAX + 20)
        last = f"f{limits.VERDICTS_MAX + 19}"
        await verdicts(world, verdict(last), b"{}", b"\xff", verdict("odd", reasons=["<b>"]))
        await until(lambda: held.heard_count == limits.VERDICTS_MAX + 21)
        answer = (await world.http.get("/v1/admin/verdicts", params={"limit": 3}, headers=AUTH)).json()["verdicts"]
        assert [entry["verdict"]["flag"] for entry in answer] == ["odd", last, f"f{limits.VERDICTS_MAX + 18}"]
        assert answer[0]["region"] == "eu"
        everything = await world.http.get("/v1/admin/verdicts", params={"limit": limits.VERDICTS_MAX}, headers=AUTH)
        assert len(everything.json()["verdicts"]) == limits.VERDICTS_MAX
        for limit in ("0", "-1", "1e9", "x", str(limits.VERDICTS_MAX + 1)):
            bad = await world.http.get("/v1/admin/verdicts", params={"limit": limit}, headers=AUTH)
            assert (bad.status_code, bad.json()["reason"]) == (400, "malformed")


async def test_reports_of_dead_processes_do_not_count() -> None:
    async with fleet() as world:
        await world.report("eu", players=9)
        await until(lambda: _report(world).players == 9)
        world.clock.ahead_ms += 60_000
        status = (await world.http.get("/v1/admin/status", headers=AUTH)).json()
        assert status["players"] == 0
        assert status["regions"][0]["edges"][0]["online"] is False


def _report(world: Fleet) -> EdgeReport:
    edge = next(iter(world.running.services.registry.regions[RegionId("eu")].edges.values()))
    return edge.report or EdgeReport(at_ms=0)


@pytest.mark.parametrize("path", ["matches", "matches/m_1", "queues", "queues/shadows", "queues/explain?ticket=p_1"])
async def test_a_region_that_nobody_knows_is_no_region_that_does_not_answer(path: str) -> None:
    async with fleet() as world:
        answer = await world.http.get(f"/v1/admin/{path}{'&' if '?' in path else '?'}region=nowhere", headers=AUTH)
        assert (answer.status_code, "no such region" in answer.json()["detail"]) == (404, True)
