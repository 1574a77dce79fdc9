"""A crowd of bots in one process: who they are, where they live, how their links run, and what they report."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np

from gameedge_client import RegionInfo
from loadtest import world
from loadtest.bots.kinds import CHEATS, crowd
from loadtest.bots.player import Player
from loadtest.links import LOOPBACK, Link, LinkProfile
from loadtest.scenario import Scenario
from loadtest.stats import Stats

ADDRESSES_MAX: Final = 4_096  # of servers whose place is remembered; drop oldest


class Atlas:
    """Which region each server address belongs to, learned from what coordinator and servers say."""

    def __init__(self, coordinator: str, coordinator_region: str) -> None:
        self._places: dict[int, str] = {_port(coordinator): coordinator_region}
        self._regions: dict[str, str] = {}  # the deployment's region → the table's
        self._default = coordinator_region

    def learn(self, regions: list[RegionInfo]) -> None:
        """Regions of the deployment and where they are."""
        for region in regions:
            if region.region not in self._regions and len(self._regions) < ADDRESSES_MAX:
                placed = bool(region.latitude or region.longitude)
                stand_in = world.stand_in(region.region, region.latitude if placed else None, region.longitude if placed else None)
                self._regions[region.region] = stand_in.name
            self.learn_edges(region.region, tuple(region.beacons))

    def learn_edges(self, region: str, urls: tuple[str, ...]) -> None:
        """Processes of a region. Ports tell them apart: links lead to loopback only."""
        for url in urls:
            port = _port(url)
            if port not in self._places and len(self._places) >= ADDRESSES_MAX:
                self._places.pop(next(iter(self._places)))
            self._places[port] = self._regions.get(region) or world.stand_in(region).name

    def region_of(self, port: int) -> str:
        """The table's region of a server; unknown ones are near the coordinator."""
        return self._places.get(port, self._default)


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme in ("https", "wss") else 80)


class Fleet:
    """All bots of one run."""

    def __init__(self, coordinator: str, scenario: Scenario) -> None:
        """Raises ValueError where links were asked for and the coordinator is not on this machine."""
        host = urlsplit(coordinator).hostname or ""
        if scenario.wan and host not in LOOPBACK:
            raise ValueError(f"{coordinator}: emulated links lead to this machine only; use --no-wan for other servers")
        self.scenario = scenario
        self.stats = Stats()
        self.atlas = Atlas(coordinator, scenario.coordinator_region)
        rng = np.random.default_rng([scenario.seed, 0])
        homes = world.settle(scenario.players, rng)
        kinds = crowd(scenario.players, scenario.cheaters, scenario.flaky, rng, scenario.cheats)
        self.homes = homes
        self.players = [
            Player(
                index=index,
                kind=kind,
                coordinator=coordinator,
                modes=dict(scenario.modes),
                stats=self.stats,
                geography=self.atlas,
                rng=np.random.default_rng([scenario.seed, 1 + index]),
                where=(home.city.lat, home.city.lon),
            )
            for index, (kind, home) in enumerate(zip(kinds, homes, strict=True))
        ]

    async def run(self) -> None:
        """Let all play until cancelled; on the way out they say goodbye."""
        async with AsyncExitStack() as links:
            if self.scenario.wan:
                for player, home in zip(self.players, self.homes, strict=True):
                    player.link = await links.enter_async_context(Link(self._profiles(home), self.scenario.seed + player.index))
            async with asyncio.TaskGroup() as group:
                for player in self.players:
                    group.create_task(player.run(), name=f"bot {player.index} {player.kind}")
                    await asyncio.sleep(1.0 / self.scenario.arrivals_per_s)

    def _profiles(self, home: world.Home) -> "_Profiles":
        return _Profiles(home, self.atlas)

    def report(self, kind: str) -> dict[str, Any]:
        """The line of JSON about now (`t` = `kind`)."""
        states = Counter(player.state for player in self.players)
        cheats = [player for player in self.players if player.kind in CHEATS and player.player_id]
        return {
            "t": kind,
            "players": len(self.players),
            "connected": sum(player.connected for player in self.players),
            "in_match": states["in_match"],
            "queued": states["queued"],
            **self.stats.as_json(),
            "banned": sum(player.banned for player in self.players),
            "cheaters": {player.player_id: str(player.kind) for player in cheats},
            "by_region": dict(sorted(Counter(player.region for player in self.players if player.region).items())),
        }


class _Profiles:
    """How far one home is from the server at an address."""

    def __init__(self, home: world.Home, atlas: Atlas) -> None:
        self._home = home
        self._atlas = atlas

    def __call__(self, host: str, port: int) -> LinkProfile:
        return self._home.profile(self._atlas.region_of(port))
