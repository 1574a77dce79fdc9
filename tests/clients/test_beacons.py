"""Measuring regions that do not want to be measured: probes that never return cost their time and nothing else."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.server import serve

from gameedge_client import beacons
from gameedge_client.beacons import ping_beacon, ping_regions


@contextlib.asynccontextmanager
async def black_hole() -> AsyncIterator[str]:
    """Takes connections and says nothing, ever."""
    held: list[asyncio.StreamWriter] = []

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        await reader.read()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        for writer in held:
            writer.transport.abort()
        server.close()


@contextlib.asynccontextmanager
async def answering() -> AsyncIterator[str]:
    async with serve(lambda socket: socket.wait_closed(), "127.0.0.1", 0, subprotocols=["gameedge.v1"]) as server:  # type: ignore[list-item]
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_probe_that_never_returns_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beacons, "TIMEOUT_S", 0.4)
    async with black_hole() as silent:
        began = time.monotonic()
        assert await ping_beacon(silent) == []
        assert time.monotonic() - began < 5.0


async def test_other_regions_are_measured_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beacons, "TIMEOUT_S", 1.0)
    async with black_hole() as silent, answering() as good:
        found = await ping_regions(
            {"dead": [silent, silent], "gone": ["ws://127.0.0.1:1"], "none": [], "odd": ["http://x"], "good": [silent, good]}
        )
        assert list(found) == ["good"]
        assert len(found["good"]) == beacons.SAMPLES
        assert all(0.0 < sample < 10_000.0 for sample in found["good"])
