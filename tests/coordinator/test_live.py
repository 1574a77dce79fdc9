"""The live stream for dashboards: who may listen, what is told, what a bad or slow dashboard costs, 200 regions."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from gameedge.bus import topics
from gameedge.bus.payloads import Presence, Quantiles, encode
from gameedge.core import limits
from gameedge.core.ids import EdgeId, RegionId
from gameedge.telemetry import compact
from tests.coordinator.fleet import AUTH, OPERATOR, Fleet, fleet, until
from tests.coordinator.test_admin_api import verdict


@contextlib.asynccontextmanager
async def dashboard(world: Fleet, token: str | None = OPERATOR) -> AsyncIterator[ClientConnection]:
    url = world.running.url.replace("http", "ws") + "/v1/admin/live"
    async with connect(url, max_size=2**22) as socket:
        if token is not None:
            with contextlib.suppress(ConnectionClosed):  # it may have been refused already
                await socket.send(json.dumps({"type": "token", "token": token}))
        yield socket


async def told(socket: ClientConnection, kind: str = "state") -> dict[str, Any]:
    """The next message of this kind."""
    async with asyncio.timeout(5):
        while True:
            message = json.loads(await socket.recv())
            if message["type"] == kind:
                return dict(message)


async def ends(socket: ClientConnection) -> tuple[int, str]:
    """Code and reason of a connection that the coordinator closes; everything before it is read."""
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(8):
            while True:
                await socket.recv()
    received = socket.protocol.close_rcvd
    assert received is not None
    return received.code, received.reason


def row(hello: dict[str, Any], state: dict[str, Any], region: str) -> dict[str, Any]:
    return next(dict(zip(hello["columns"], cells, strict=True)) for cells in state["state"]["regions"] if cells[0] == region)


async def test_it_tells_who_you_are_and_what_the_world_is() -> None:
    async with fleet() as world, dashboard(world) as socket:
        hello = await told(socket, "hello")
        assert (hello["name"], hello["role"], hello["expires_ms"]) == ("operator_token", "owner", None)
        assert hello["bounds"]["queue_wait_ms"][-1] == 300_000
        first = await told(socket)
        assert row(hello, first, "eu")["title"] == "Europe"
        counts = [0] * (len(compact.BOUNDS["tick_ms"]) + 1)
        counts[3] = 7
        odd = {"tick_ms": counts, "rtt_ms": [1, 2], "unknown": [3]}
        waits = Quantiles(p50=120.0, p99=900.0)
        await world.report("eu", players=9, matches=2, npcs=4, queued={"duel": 3}, queue_wait_ms=waits, histograms=odd)
        await world.edge("eu", "e2", players=5, histograms={"tick_ms": counts}, queued={"duel": 3}, latitude=50.1, longitude=8.7)
        await until(lambda: world.running.services.registry.regions[RegionId("eu")].edges.get("e2"))  # type: ignore[call-overload]
        while (state := await told(socket))["state"]["players"] != 14:
            pass
        eu = row(hello, state, "eu")
        assert (eu["status"], eu["players"], eu["processes"], eu["queued"], eu["wait_ms_p99"]) == ("ok", 14, 2, 3, 900.0)
        assert state["state"]["histograms"] == {"tick_ms": [2 * count for count in counts]}  # what has other bounds is left out
        assert state["detail"] is None
        await socket.send(json.dumps({"type": "look", "region": "eu"}))
        while (detail := (await told(socket))["detail"]) is None:
            pass
        assert [edge["edge"] for edge in detail["edges"]] == ["e1", "e2"]
        assert detail["queued"] == {"duel": 3}
        await socket.send(json.dumps({"type": "look", "region": "mars"}))
        while (await told(socket))["detail"] is not None:
            pass


async def test_each_flag_is_told_once_to_each() -> None:
    async with fleet() as world:
        for number in range(3):
            await world.bus.publish(topics.verdicts(RegionId("eu")), verdict(f"f{number}"))
        services = world.running.services
        await until(lambda: services.verdicts.heard_count == 3)
        async with dashboard(world) as socket:
            first = await told(socket)
            assert [entry["verdict"]["flag"] for entry in first["verdicts"]] == ["f0", "f1", "f2"]  # the newest before it came
            for number in range(3, 5):
                await world.bus.publish(topics.verdicts(RegionId("eu")), verdict(f"f{number}"))
            found: list[str] = []
            while len(found) < 2:
                found += [entry["verdict"]["flag"] for entry in (await told(socket))["verdicts"]]
            assert found == ["f3", "f4"]
            assert not (await told(socket))["verdicts"]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('{"type":"token","token":"wrong"}', 4401),
        ('{"type":"look","region":null}', 4400),
        ("[" * 3_000, 4400),
        ('{"type":"token"}', 4400),
        ("", 4400),
    ],
)
async def test_without_a_good_token_it_closes_and_says_why(message: str, code: int) -> None:
    async with fleet() as world, dashboard(world, None) as socket:
        await socket.send(message)
        assert (await ends(socket))[0] == code
        assert world.running.services.live is not None
        assert world.running.services.live.viewers == 0


async def test_what_is_too_large_ends_that_connection_alone() -> None:
    async with fleet() as world, dashboard(world) as good, dashboard(world) as bad:
        await told(bad)
        await bad.send("x" * (limits.FRAME_BYTES_MAX + 1))
        assert (await ends(bad))[0] == 1009
        await told(good)


async def test_a_token_that_ends_ends_the_stream_and_a_new_one_goes_on() -> None:
    async with fleet() as world:
        body = {"name": "ann", "role": "viewer", "life_ms": 60_000}
        token = (await world.http.post("/v1/admin/tokens", headers=AUTH, json=body)).json()["token"]
        async with dashboard(world, token) as one, dashboard(world, token) as two:
            hello = await told(one, "hello")
            assert hello["role"] == "viewer"
            await told(two)
            later = (await world.http.post("/v1/admin/tokens", headers=AUTH, json={**body, "life_ms": 600_000})).json()["token"]
            await two.send(json.dumps({"type": "token", "token": later}))
            assert (await told(two, "hello"))["expires_ms"] > hello["expires_ms"]
            world.clock.ahead_ms = 61_000
            assert await ends(one) == (4401, "token_expired")
            await told(two)


async def test_who_talks_too_much_is_closed() -> None:
    async with fleet() as world, dashboard(world) as socket:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(40):
                await socket.send('{"type":"look","region":"eu"}')
        assert (await ends(socket))[0] == 4429


async def test_the_number_of_dashboards_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DASHBOARDS_MAX", 2)
    async with fleet() as world, dashboard(world) as one, dashboard(world) as two:
        await told(one)
        await told(two)
        async with dashboard(world) as three:
            assert await ends(three) == (4429, "server_full")
        await told(one)


async def test_a_dashboard_that_does_not_read_holds_nobody_up() -> None:
    async with fleet() as world:
        for number in range(100):
            await world.edge(f"r{number}")
        async with dashboard(world) as deaf, dashboard(world) as good:
            deaf.transport.pause_reading()
            before = (await told(good))["state"]["at_ms"]
            for _ in range(3):
                now = (await told(good))["state"]["at_ms"]
                assert now > before
                before = now


async def test_a_restart_of_the_coordinator_is_told_as_such_and_the_next_one_serves() -> None:
    async with contextlib.AsyncExitStack() as later:
        async with fleet() as world:
            store, broker = world.store, world.broker
            socket = await later.enter_async_context(dashboard(world))
            await told(socket)
        assert (await ends(socket))[0] == 1012  # "service restart": try again
    async with fleet(store=store, broker=broker) as world, dashboard(world) as socket:
        assert row(await told(socket, "hello"), await told(socket), "eu")["title"] == "Europe"


async def test_no_other_path_takes_a_websocket_and_http_is_told_so() -> None:
    async with fleet() as world:
        for path in ("/v1/admin/status", "/nowhere", "/"):
            with pytest.raises(websockets.exceptions.InvalidStatus):
                await connect(world.running.url.replace("http", "ws") + path)
        assert (await world.http.get("/v1/admin/live", headers=AUTH)).status_code in (400, 404, 405, 426)


async def test_two_hundred_regions() -> None:
    async with fleet() as world, dashboard(world) as socket:
        hello = await told(socket, "hello")
        for number in range(200):
            await world.edge(f"r{number}", players=number, latitude=(number % 140) - 70.0, longitude=number * 1.5 - 150.0)
        async with asyncio.timeout(8):
            while len((state := await told(socket))["state"]["regions"]) < 201:
                pass
        assert row(hello, state, "r150")["players"] == 150
        assert len(json.dumps(state)) < 120_000  # a second, before compression


async def test_alarms_say_what_to_do_and_go_away() -> None:
    async with fleet() as world, dashboard(world) as socket:
        await world.report("eu", lateness=80.0, outbox=500)
        async with asyncio.timeout(8):
            while len(alarms := (await told(socket))["state"]["alarms"]) < 2:
                await world.report("eu", lateness=80.0, outbox=500)
        assert {alarm["severity"] for alarm in alarms} == {"critical", "warning"}
        assert all(alarm["what"] and alarm["do"] and alarm["region"] == "eu" for alarm in alarms)
        await world.report("eu")
        async with asyncio.timeout(8):
            while (await told(socket))["state"]["alarms"]:
                await world.report("eu")


async def test_flows_show_cities_with_enough_players_and_no_positions() -> None:
    async with fleet() as world, dashboard(world) as socket:
        for _ in range(4):
            guest = await world.sign_up()
            await world.place(guest, latitude=48.137, longitude=11.575)
        lonely = await world.sign_up()
        await world.place(lonely, latitude=-36.85, longitude=174.76)
        while not (flows := (await told(socket))["state"]["flows"]):
            pass
        assert flows == [["Munich", "DE", 48.0, 11.5, "eu", 4]]


async def test_a_region_in_full_is_of_processes_that_are_there() -> None:
    async with fleet() as world:
        live, registry = world.running.services.live, world.running.services.registry
        assert live is not None
        await world.report("eu", queued={"duel": 7})
        await until(lambda: (detail := live.detail("eu")) and detail.queued == {"duel": 7})
        gone = Presence(online=False)
        await world.bus.publish(topics.presence(RegionId("eu"), EdgeId("e1")), encode(gone), retain=True)
        await until(lambda: not registry.regions[RegionId("eu")].edges[EdgeId("e1")].online)
        detail = live.detail("eu")
        assert detail is not None
        assert (detail.queued, [edge.online for edge in detail.edges]) == ({}, [False])
