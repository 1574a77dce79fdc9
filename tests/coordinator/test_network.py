"""What a live coordinator makes of pings between regions, of sockets, and of who lies about its network."""

from typing import Any

import msgspec

from gameedge.bus import topics
from gameedge.bus.payloads import SpotReport
from gameedge.coordinator.schemas.players import PlacementExplained
from gameedge.core.ids import EdgeId, PlayerId, RegionId
from gameedge.core.tokens import verify_token

from .fleet import Fleet, config, fleet, until

EU, US, AU = (50.0, 8.5), (39.0, -77.5), (-33.5, 151.0)
NETWORK = "8.8.4.0/24"
BERLIN = {"latitude": 52.5, "longitude": 13.4}


async def three(world: Fleet) -> None:
    """Regions that measure each other as light allows, but for `au`, which is next door to `us`."""
    measured = {"eu": {"us": 88.0, "au": 91.0}, "us": {"eu": 88.0, "au": 2.0}, "au": {"us": 2.0, "eu": 91.0}}
    for region, (latitude, longitude) in zip(measured, (EU, US, AU), strict=True):
        await world.edge(region, latitude=latitude, longitude=longitude)
    registry = world.running.services.registry
    await until(lambda: len(registry.regions) == 3)
    for region, pings in measured.items():
        await world.report(region, regions_ms=pings)
    await until(lambda: len(registry.between.matrix(registry.regions, world.clock())) == 6)


async def guest(world: Fleet) -> dict[str, str]:
    return (await world.http.post("/v1/guests", json={"name": "ada"})).json()


async def test_pings_between_regions_find_who_is_not_where_it_says() -> None:
    async with fleet() as world:
        await three(world)
        sydney = {"latitude": -33.9, "longitude": 151.2}
        why = (await world.place(await guest(world), **sydney)).json()["why"]
        assert why["au"]["distance_km"] is None, "its place is not believed"
        assert why["eu"]["distance_km"] > 10_000


async def test_round_trips_that_light_forbids_between_confirmed_regions_are_raised() -> None:
    async with fleet() as world:
        await three(world)
        lie = {"eu": [1.0, 1.0, 1.0], "us": [1.5, 1.5, 1.5]}
        why = (await world.place(await guest(world), rtt_ms=lie)).json()["why"]
        assert why["eu"]["rtt_ms"] > 50
        assert why["us"]["rtt_ms"] > 50
        honest = {"eu": [12.0, 12.0, 12.0], "us": [99.0, 99.0, 99.0]}
        why = (await world.place(await guest(world), rtt_ms=honest)).json()["why"]
        assert (why["eu"]["rtt_ms"], why["us"]["rtt_ms"]) == (12.0, 99.0)


async def test_what_sockets_of_a_network_show_bounds_what_its_players_may_claim() -> None:
    async with fleet(settings=config(trusted_proxies=["127.0.0.1"])) as world:
        await three(world)
        spot = SpotReport(spot=f"26,6|{NETWORK}", players=9, median_ms=160.0, low_ms=150.0)
        await world.report("us", regions_ms={"eu": 88.0}, spots=[spot])
        services = world.running.services
        await until(lambda: len(services.placing.map))

        async def claim(address: str, **rtt_ms: float) -> dict[str, Any]:
            headers = {"X-Forwarded-For": address}
            body = {**await guest(world), **BERLIN, "rtt_ms": {region: [ms] * 3 for region, ms in rtt_ms.items()}}
            return (await world.http.post("/v1/placements", json=body, headers=headers)).json()  # type: ignore[no-any-return]

        liar = await claim("8.8.4.77", us=40.0, eu=60.0)
        assert liar["why"]["us"]["rtt_ms"] == 75.0, "half of what the second fastest socket of its network has"
        assert liar["region"] == "eu"
        other = await claim("9.9.9.9", us=40.0, eu=60.0)
        assert other["why"]["us"]["rtt_ms"] == 40.0, "nothing is known of that network"
        newcomer = await claim("8.8.4.78")
        assert (newcomer["why"]["us"]["rtt_ms"], newcomer["why"]["us"]["basis"]) == (160.0, "learned")
        claims = verify_token(liar["token"], services.signer.keys, "eu", world.clock())
        assert (claims.spot, claims.placed_ms) == (f"26,6|{NETWORK}", 60.0), "its process compares it with the socket"
        claims = verify_token(newcomer["token"], services.signer.keys, newcomer["region"], world.clock())
        assert claims.rtt_ms == {"us": 160.0}, "matches may be played in a region that nobody measured"
        assert claims.placed_ms == 0.0, "an expectation of the own region is nothing to hold a socket against"


async def test_a_move_makes_the_next_one_harder() -> None:
    async with fleet() as world:
        await world.edge("eu", latitude=EU[0], longitude=EU[1])
        await world.edge("us", latitude=US[0], longitude=US[1])
        await until(lambda: len(world.running.services.registry.regions) == 2)
        who = await guest(world)

        async def place(current: str | None, eu: float, us: float) -> str:
            more = {} if current is None else {"current": current}
            return str((await world.place(who, rtt_ms={"eu": [eu] * 3, "us": [us] * 3}, **more)).json()["region"])

        assert await place(None, 60, 90) == "eu"
        assert await place("eu", 120, 100) == "us", "worth it"
        assert await place("us", 80, 100) == "us", "20 ms would have been worth a first move"
        assert await place("us", 60, 100) == "eu"
        world.clock.ahead_ms = 3_600_000
        for region in ("eu", "us"):
            await world.report(region)
        await until(lambda: len(world.running.services.registry.online(world.clock())) == 2)
        assert await place("eu", 100, 80) == "us", "forgotten after half an hour"


async def test_a_changed_route_is_noticed() -> None:
    async with fleet() as world:
        await world.edge("eu", latitude=EU[0], longitude=EU[1])
        await until(lambda: world.running.services.registry.regions)
        who = await guest(world)
        metrics = world.running.services.metrics
        for eu, changes in ((30.0, 0), (150.0, 1)):
            for _ in range(12):
                await world.place(who, rtt_ms={"eu": [eu, eu + 1, eu + 2]}, **BERLIN)
            assert metrics.value("coordinator_route_changes_total") == changes


async def test_explanations_of_other_releases_are_read() -> None:
    """An old coordinator beside a new one: what the one stored the other explains, and places on."""
    async with fleet() as world:
        await world.edge("eu", latitude=EU[0], longitude=EU[1])
        await until(lambda: world.running.services.registry.regions)
        who = await guest(world)
        old = {"player": who["player"], "at_ms": 5, "region": "eu", "stayed": False, "party": 1, "why": {}}
        store = world.running.services.store
        for kept in (old, {**old, "sunspots": 3}, {"player": 7}, []):
            await store.explain_put(PlayerId(who["player"]), msgspec.msgpack.encode(kept), 60_000)
            assert (await world.place(who, rtt_ms={"eu": [10.0]}, current="eu")).status_code == 200
        await store.explain_put(PlayerId(who["player"]), msgspec.msgpack.encode({**old, "sunspots": 3}), 60_000)
        explained: PlacementExplained = await world.running.services.explained(who["player"])
        assert (explained.region, explained.moves) == ("eu", 0)


async def test_spots_that_are_none_are_left_out() -> None:
    async with fleet() as world:
        await world.edge("eu", latitude=EU[0], longitude=EU[1])
        services = world.running.services
        bad = [
            SpotReport(spot=text, players=5, median_ms=9.0, low_ms=8.0) for text in ("", "x", "1", "99,99|", "|127.0.0.1", "3,4|garbage")
        ]
        await world.report("eu", spots=bad, players=3)
        alone = b'{"at_ms":1,"spots":[{"spot":"3,4","players":1,"median_ms":9,"low_ms":8}]}'
        await world.bus.publish(topics.report(RegionId("eu"), EdgeId("e1")), alone)
        await until(lambda: services.registry.dropped.get("bad_report"))
        assert len(services.placing.map) == 0
