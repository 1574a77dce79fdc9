"""What `doctor` makes of addresses that are none, of a check that fails by itself, and `review list` of a region that is silent."""

import asyncio
import json

import httpx
import pytest
from typer.testing import CliRunner

from gameedge.admin import checks, checks_local, doctor
from gameedge.admin.checks import Finding
from gameedge.admin.cli import app
from gameedge.bus import topics
from gameedge.bus.payloads import EdgeReport, Presence, encode
from gameedge.coordinator import api_admin, asking
from gameedge.core.ids import EdgeId, FlagId, MatchId, PlayerId, RegionId
from gameedge.state.base import Evidence
from tests.coordinator.fleet import OPERATOR as OWNER
from tests.coordinator.fleet import fleet
from tests.end_to_end.inprocess import OPERATOR, stack


async def test_an_address_that_is_none_is_a_finding() -> None:
    (found,) = await checks.broker("broker", "mqtt://host:99999")
    assert (found.level, "no address" in found.found) == ("fault", True)
    async with httpx.AsyncClient() as client:
        (found,) = await checks.doors(
            client, {"regions": [{"region": "eu", "edges": [{"edge": "e1", "online": True, "url": "ws://h:99999"}]}]}
        )
    assert (found.subject, found.level) == ("eu/e1", "fault")


async def test_a_check_that_fails_is_a_finding_and_the_others_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    async def good() -> list[Finding]:
        return [checks.ok("store", "s", "there")]

    async def bad() -> list[Finding]:
        raise ZeroDivisionError("of ours")

    found = await checks.together(bad(), good())
    assert [(one.check, one.level) for one in found] == [("doctor", "fault"), ("store", "ok")]

    def broken(*_: object) -> list[Finding]:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr(checks_local, "rules", broken)
    here = doctor._here(doctor.Known())
    assert {"doctor", "python", "models"} <= {one.check for one in here}


async def test_a_coordinator_that_says_no_status_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr(api_admin, "status_view", broken)
    async with fleet() as world:
        found, status = await checks.admin_api(world.http, world.running.url, OWNER)
    assert status is None
    assert [(one.check, one.level) for one in found] == [("coordinator", "fault")]


async def test_a_silent_region_does_not_hide_the_flags_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "WAIT_S", 0.2)
    async with stack() as made, made.broker.factory("ghost") as bus:
        flag = Evidence(flag=FlagId("f1"), player=PlayerId("p_1"), match=MatchId("m"), at_ms=1, rule="aim", score=1.0, reasons=[])
        await made.store.evidence_add(flag)
        region, edge = RegionId("silent"), EdgeId("e1")
        await bus.publish(topics.presence(region, edge), encode(Presence(online=True, region=region, url="ws://127.0.0.1:9")), retain=True)
        await bus.publish(topics.report(region, edge), encode(EdgeReport(at_ms=1)))
        async with asyncio.timeout(5):
            while region not in made.coordinator.services.registry.regions:
                await asyncio.sleep(0.01)
        words = ["--url", made.url, "--token", OPERATOR, "review", "list", "--json"]
        result = await asyncio.to_thread(CliRunner().invoke, app, words)
        assert (result.exit_code, [one["flag"] for one in json.loads(result.stdout)]) == (0, ["f1"])
        assert "not complete: silent did not answer" in result.stderr
        result = await asyncio.to_thread(CliRunner().invoke, app, [*words, "--region", "silent"])
        assert result.exit_code == 3
