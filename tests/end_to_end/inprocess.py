"""A coordinator and one edge process in this event loop: real sockets and HTTP, stores and bus in memory.

For tests that are about what clients see. What only separate processes can show (kill -9, real Redis and broker) is in
`test_processes.py`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from gameedge.bus.memory import MemoryBroker
from gameedge.config import CoordinatorConfig, EdgeConfig, Listen
from gameedge.coordinator.app import Running
from gameedge.coordinator.app import serve as serve_coordinator
from gameedge.core import limits
from gameedge.edge.app import Edge
from gameedge.edge.pings import ping
from gameedge.edge.reports import Reports
from gameedge.edge.serve import load_game, warm_game
from gameedge.edge.transports.base import TransportSettings
from gameedge.edge.transports.select import open_transport
from gameedge.inference.artifacts import load_aim
from gameedge.state.memory import MemoryRegionStore
from gameedge.state.memory_global import MemoryGlobalStore

OPERATOR = "operator-token-of-the-tests"


@dataclass
class Stack:
    """What a test may look at."""

    url: str
    coordinator: Running
    edge: Edge
    store: MemoryRegionStore
    global_store: MemoryGlobalStore
    broker: MemoryBroker


@contextlib.asynccontextmanager
async def another_region(
    made: Stack, name: str, *, latitude: float, longitude: float, game: str, fill_ms: int = 300, match_rules: str = ""
) -> AsyncIterator[Edge]:
    """A second region with a store of its own, at the same broker; it measures the others."""
    config = EdgeConfig(
        region=name,
        edge="edge-0",
        latitude=latitude,
        longitude=longitude,
        redis="memory://",
        bus="memory://",
        token_keys=[made.coordinator.services.signer.public_text],
        game=game,
        fill_ms=fill_ms,
        match_rules=match_rules,
        exchange=bool(match_rules),
        drain_ms=1_000,
        connections_max=256,
        matches_max=64,
        entities_max=512,
    )
    async with contextlib.AsyncExitStack() as opened:
        bus = await opened.enter_async_context(Reports.connect(made.broker.factory, config))
        edge = Edge(config, MemoryRegionStore(), bus, load_game(config), aim_model=load_aim(), ping=ping)
        server = await open_transport("auto").serve(edge.lobby.accept, TransportSettings("127.0.0.1", 0, limits.FRAME_BYTES_MAX))
        opened.push_async_callback(server.close)
        edge.seating.url = f"ws://127.0.0.1:{server.port}"
        edge.reports.addresses(edge.seating.url, "", "auto")
        running = asyncio.create_task(edge.run(), name=f"edge of {name}")
        services = made.coordinator.services
        try:
            async with asyncio.timeout(10):
                while name not in {region.region for region, _ in services.registry.online(services.now_ms())}:
                    await asyncio.sleep(0.02)
            yield edge
        finally:
            edge.stop()
            await running


@contextlib.asynccontextmanager
async def stack(
    *,
    game: str = "gameedge.arena:Arena",
    transport: str = "auto",
    fill_ms: int = 500,
    port: int = 0,
    demo: bool = True,
    spectators_max: int = 64,
    spectate_delay_ms: int = 3_000,
    match_rules: str = "",
) -> AsyncIterator[Stack]:
    """Everything up and ready; everything down at the end."""
    broker, store, global_store = MemoryBroker(), MemoryRegionStore(), MemoryGlobalStore()
    gateway = CoordinatorConfig(redis="memory://", bus="memory://", listen=Listen(port=port), operator_token=OPERATOR)
    async with contextlib.AsyncExitStack() as opened:
        coordinator = await opened.enter_async_context(serve_coordinator(gateway, global_store, broker.factory))
        config = EdgeConfig(
            region="test-1",
            edge="edge-0",
            region_title="Testland",
            latitude=50.0,
            longitude=8.0,
            redis="memory://",
            bus="memory://",
            token_keys=[coordinator.services.signer.public_text],
            game=game,
            transport=transport,
            demo=demo,
            spectators_max=spectators_max,
            spectate_delay_ms=spectate_delay_ms,
            fill_ms=fill_ms,
            match_rules=match_rules,
            exchange=bool(match_rules),
            drain_ms=1_000,
            connections_max=256,
            matches_max=64,
            entities_max=512,
        )
        bus = await opened.enter_async_context(Reports.connect(broker.factory, config))
        game = load_game(config)
        warm_game(game)
        edge = Edge(config, store, bus, game, aim_model=load_aim())
        settings = TransportSettings("127.0.0.1", 0, limits.FRAME_BYTES_MAX)
        server = await open_transport(transport).serve(edge.lobby.accept, settings)
        opened.push_async_callback(server.close)
        edge.seating.url = f"ws://127.0.0.1:{server.port}"
        edge.reports.addresses(edge.seating.url, "", transport)
        running = asyncio.create_task(edge.run(), name="edge")
        try:
            async with asyncio.timeout(10):
                while not coordinator.services.registry.online(coordinator.services.now_ms()):
                    await asyncio.sleep(0.02)
            yield Stack(coordinator.url, coordinator, edge, store, global_store, broker)
        finally:
            edge.stop()
            await running
