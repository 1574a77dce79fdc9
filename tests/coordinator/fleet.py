"""A coordinator on loopback with in-memory store and bus, and regions that are nothing but their messages."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec

from gameedge.bus import topics
from gameedge.bus.base import Bus
from gameedge.bus.memory import MemoryBroker
from gameedge.bus.payloads import Acks, Codec, EdgeReport, Presence, Quantiles, ResultEnvelope, encode
from gameedge.config import CoordinatorConfig, Listen
from gameedge.coordinator.app import Running, serve
from gameedge.core.ids import EdgeId, MatchId, PlayerId, RegionId
from gameedge.state.base import Result
from gameedge.state.base_global import GlobalStore
from gameedge.state.memory_global import MemoryGlobalStore

OPERATOR = "operator-secret"
AUTH = {"Authorization": f"Bearer {OPERATOR}"}


def config(**more: Any) -> CoordinatorConfig:
    more = {"operator_token": OPERATOR, "listen": Listen(port=0), **more}
    return CoordinatorConfig(redis="memory://", bus="memory://", **more)


@dataclass
class Clock:
    """Unix milliseconds that a test may move."""

    ahead_ms: int = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms


@dataclass
class Fleet:
    """What a test holds: the coordinator, an HTTP client, and a bus connection that plays the regions."""

    running: Running
    http: httpx.AsyncClient
    bus: Bus
    store: GlobalStore
    broker: MemoryBroker
    clock: Clock
    acks: list[str] = field(default_factory=list)

    async def edge(self, region: str, edge: str = "e1", *, report: bool = True, **more: Any) -> None:
        """An edge process appears and reports."""
        presence = Presence(
            online=True,
            region=region,
            region_title=more.pop("title", region.title()),
            latitude=more.pop("latitude", 0.0),
            longitude=more.pop("longitude", 0.0),
            url=more.pop("url", f"ws://127.0.0.1:9/{region}/{edge}"),
            version="0.1.0",
        )
        await self.bus.publish(topics.presence(RegionId(region), EdgeId(edge)), encode(presence), retain=True)
        if report:
            await self.report(region, edge, **more)

    async def report(self, region: str, edge: str = "e1", **more: Any) -> None:
        values: dict[str, Any] = {"at_ms": 1, "players": 1, "players_max": 100, "free_matches": 10, **more}
        if "lateness" in values:
            values["tick_lateness_ms"] = Quantiles(p99=values.pop("lateness"))
        await self.bus.publish(topics.report(RegionId(region), EdgeId(edge)), encode(EdgeReport(**values)), retain=True)

    async def result(self, result: Result, at: str = "1-0", topic_region: str | None = None) -> None:
        await self.raw_result(topic_region or result.region, at, msgspec.msgpack.encode(result))

    async def raw_result(self, region: str, at: str, data: bytes) -> None:
        await self.bus.publish(topics.results(RegionId(region)), encode(ResultEnvelope(at=at, result=data)))

    async def sign_up(self, name: str = "Ada") -> dict[str, str]:
        answer = await self.http.post("/v1/guests", json={"name": name})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def place(self, guest: dict[str, str], **more: Any) -> httpx.Response:
        return await self.http.post("/v1/placements", json={**guest, **more})


def match_result(match: str, teams: list[list[str]], ranks: list[int], **more: Any) -> Result:
    values: dict[str, Any] = {
        "match": MatchId(match),
        "region": RegionId("eu"),
        "mode": "duel",
        "rated": True,
        "started_ms": 1,
        "ended_ms": 2,
        "teams": [[PlayerId(player) for player in team] for team in teams],
        "ranks": ranks,
        "scores": [0] * len(teams),
    }
    return Result(**{**values, **more})


async def until(true: Callable[[], Any], seconds: float = 5.0) -> None:
    """Wait for a state that must come; it is an error when it does not."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def fleet(
    settings: CoordinatorConfig | None = None, store: GlobalStore | None = None, broker: MemoryBroker | None = None
) -> AsyncIterator[Fleet]:
    """A running coordinator and everything around it."""
    store, broker, clock = store or MemoryGlobalStore(), broker or MemoryBroker(), Clock()
    async with (
        serve(settings or config(), store, broker.factory, now_ms=clock) as running,
        broker.factory(f"regions-{secrets.token_hex(4)}") as bus,
        httpx.AsyncClient(base_url=running.url) as http,
        asyncio.TaskGroup() as group,
    ):
        made = Fleet(running, http, bus, store, broker, clock)
        listening = asyncio.Event()
        task = group.create_task(_listen(made, listening), name="test-acks")
        await listening.wait()
        # The coordinator has subscribed once it hears something.
        await made.edge("eu", latitude=50.1, longitude=8.7, title="Europe")
        await until(lambda: running.services.registry.regions)
        yield made
        task.cancel()


async def _listen(made: Fleet, listening: asyncio.Event) -> None:
    decode = Codec(Acks).decode
    async with made.bus.subscribe(topics.acks(RegionId("+"))) as messages:
        listening.set()
        async for message in messages:
            acks = decode(message.payload)
            assert acks is not None
            made.acks += acks.at
