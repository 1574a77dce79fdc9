"""Measuring regions that do not want to be measured: probes that never return cost their time and nothing else."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.server import serve

from gameedge_client import beacons
from gameedge_client.beacons import ping_beacon, ping_regions
from loadtest.links import Link, LinkProfile


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
    assert await ping_beacon("ws://127.0.0.1:99999") == []
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
        assert len(found["good"]) >= beacons.SAMPLES
        assert all(0.0 < sample < 10_000.0 for sample in found["good"])


@contextlib.asynccontextmanager
async def far(url: str, one_way_s: float) -> AsyncIterator[str]:
    """The same beacon, with a delay each way."""
    link = Link(lambda host, port: LinkProfile(rtt_ms=2_000 * one_way_s), seed=1)
    async with link:
        host, port = await link.route("127.0.0.1", int(url.rpartition(":")[2]))
        yield f"ws://{host}:{port}"


async def test_nobody_waits_for_a_far_region_once_the_near_ones_are_known() -> None:
    """Its own round trip is 1.5 s: three of them would take six seconds. Two near ones are told apart by a second look."""
    async with answering() as near, far(near, 0.005) as neighbour, far(near, 0.75) as away:
        began = time.monotonic()
        found = await ping_regions({"away": [away], "near": [near], "neighbour": [neighbour]})
        took = time.monotonic() - began
        assert took < 4.0
        assert "away" not in found
        assert len(found["near"]) == len(found["neighbour"]) == beacons.FIRST_SAMPLES + beacons.AGAIN_SAMPLES
        assert min(found["near"]) < min(found["neighbour"])


async def test_there_is_always_one_to_fall_back_to() -> None:
    async with answering() as near, far(near, 0.3) as away:
        found = await ping_regions({"away": [away], "near": [near]})
        assert set(found) == {"near", "away"}
        assert min(found["away"]) > 500.0


async def test_one_lost_packet_puts_nobody_out() -> None:
    """The nearest region answers its first ping late, as after a retransmission; the others are done meanwhile."""
    link = Link(lambda host, port: LinkProfile(rtt_ms=4.0), seed=1)
    async with answering() as good, link, far(good, 0.03) as second:
        host, port = await link.route("127.0.0.1", int(good.rpartition(":")[2]))
        link.blackhole(0.15)
        found = await ping_regions({"late": [f"ws://{host}:{port}"], "second": [second], "third": [second]})
    assert len(found["late"]) >= beacons.FIRST_SAMPLES
    assert min(found["late"]) < min(found["second"])
