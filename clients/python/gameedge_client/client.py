"""A player's account and where to play: sign up, measure, be placed, connect."""

import time
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gameedge.core import limits
from gameedge_client.beacons import ping_regions
from gameedge_client.dial import Dial
from gameedge_client.http import Line, call
from gameedge_client.session import Session


class GuestAccount(msgspec.Struct, frozen=True):
    """Who a player is. The secret is the only proof: keep it between runs, show it to nobody."""

    player: str
    secret: str


class RegionInfo(msgspec.Struct, frozen=True):
    region: str
    title: str = ""
    latitude: float = 0.0
    longitude: float = 0.0
    beacons: list[str] = []


class _Regions(msgspec.Struct):
    regions: list[RegionInfo]


class _Placed(msgspec.Struct):
    region: str
    edges: list[str]
    token: str
    expires_ms: int = 0
    why: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Placement:
    """Where to play. `edges` are WebSocket URLs in the order to try; `token` is good until `expires_ms` (Unix time)."""

    region: str
    edges: tuple[str, ...]
    token: str
    expires_ms: int
    why: dict[str, Any] = field(default_factory=dict)  # the coordinator's reasons, for people
    rtt_ms: dict[str, list[float]] = field(default_factory=dict)  # what was measured


class Client:
    """One player at one coordinator. Not thread-safe; use it within one event loop."""

    def __init__(self, coordinator: str, account: GuestAccount, *, name: str = "", dial: Dial | None = None) -> None:
        """`coordinator`: its URL, such as `https://play.example.com`. `name`: what is connecting, for operators' logs."""
        self.coordinator = coordinator.rstrip("/")
        self.account = account
        self.name = name
        self.dial = dial
        self.placement: Placement | None = None  # the last one
        self.placement_ms: float | None = None  # how long it took, beacons included

    @classmethod
    async def guest(cls, coordinator: str, *, name: str, dial: Dial | None = None) -> "Client":
        """Sign up. `name`: what other players see, at most limits.NAME_CHARS_MAX characters. Raises RefusedError."""
        url = f"{coordinator.rstrip('/')}/v1/guests"
        account = await call("POST", url, GuestAccount, body={"name": name}, dial=dial)
        return cls(coordinator, account, name=name, dial=dial)

    async def regions(self) -> list[RegionInfo]:
        """All regions that take players. Raises RefusedError."""
        async with Line(self.coordinator, self.dial) as line:
            return await self._regions(line)

    async def _regions(self, line: Line) -> list[RegionInfo]:
        answer = await line.call("GET", f"{self.coordinator}/v1/regions", _Regions)
        return answer.regions[: limits.REGIONS_MAX]

    async def place(self, *, mode: str | None = None, where: tuple[float, float] | None = None, current: str | None = None) -> Placement:
        """Measure the regions and ask where to play. `mode` lets the coordinator weigh how long its queues are; `where`,
        latitude and longitude, helps where beacons do not answer; the `current` region is kept unless moving is worth it.

        Raises RefusedError: TOKEN_INVALID for a wrong secret, SERVER_FULL or UNAVAILABLE where no region takes players.
        """
        started = time.perf_counter()
        async with Line(self.coordinator, self.dial) as line:
            regions = await self._regions(line)
            rtt_ms = await ping_regions({region.region: region.beacons for region in regions}, dial=self.dial)
            placed = await line.call("POST", f"{self.coordinator}/v1/placements", _Placed, body=self._wish(rtt_ms, mode, where, current))
        self.placement = Placement(placed.region, tuple(placed.edges), placed.token, placed.expires_ms, placed.why, rtt_ms)
        self.placement_ms = (time.perf_counter() - started) * 1000.0
        return self.placement

    def _wish(
        self, rtt_ms: dict[str, list[float]], mode: str | None, where: tuple[float, float] | None, current: str | None
    ) -> dict[str, Any]:
        """The body of a placement."""
        body: dict[str, Any] = {
            "player": self.account.player,
            "secret": self.account.secret,
            "rtt_ms": {region: [round(sample, 3) for sample in samples] for region, samples in rtt_ms.items()},
        }
        if where is not None:
            body["latitude"], body["longitude"] = where
        for key, value in (("mode", mode), ("current", current)):
            if value is not None:
                body[key] = value
        return body

    def connect(self, placement: Placement) -> Session:
        """A session in the placed region: use it as `async with client.connect(placement) as session:`."""

        async def again() -> tuple[str, tuple[str, ...]]:
            placed = await self.place(current=(self.placement or placement).region)
            return placed.token, placed.edges

        return Session(placement.token, placement.edges, client=self.name, dial=self.dial, place=again)
