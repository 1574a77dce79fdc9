"""Links: what TCP promises holds whatever the delay, and cuts, holds and full buffers do what they say."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from loadtest.links import BUFFER_BYTES_MAX, RTO_MS_MIN, DelayLine, Link, LinkProfile

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def linked(handler: Handler, profile: LinkProfile) -> AsyncIterator[tuple[Link, tuple[str, int]]]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Link(lambda host, port: profile, seed=7) as link:
        yield link, await link.route("127.0.0.1", port)


def arrivals(profile: LinkProfile, seed: int, sizes: list[int], every_ms: float = 5.0) -> list[float]:
    line = DelayLine(profile, random.Random(seed))
    return [line.arrival_ms(size, index * every_ms) for index, size in enumerate(sizes)]


def test_half_a_round_trip_passes_each_way() -> None:
    line = DelayLine(LinkProfile(80.0, bytes_per_s=1e9), random.Random(1))
    assert line.arrival_ms(100, 1000.0) == pytest.approx(1040.0, abs=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_arrivals_keep_their_order_and_their_seed(seed: int) -> None:
    profile = LinkProfile(60.0, jitter_ms=25.0, loss=0.05)
    got = arrivals(profile, seed, [64] * 2000)
    assert got == sorted(got)
    assert got == arrivals(profile, seed, [64] * 2000)
    assert got != arrivals(profile, seed + 100, [64] * 2000)
    assert all(at >= index * 5.0 + 30.0 for index, at in enumerate(got))


def test_a_lost_packet_comes_a_retransmission_later() -> None:
    delays = [at - index * 1000.0 for index, at in enumerate(arrivals(LinkProfile(40.0, loss=0.2), 3, [64] * 500, 1000.0))]
    late = [delay for delay in delays if delay >= 20.0 + RTO_MS_MIN]
    assert 50 < len(late) < 150
    assert all(delay < 21.0 for delay in delays if delay not in late)


def test_bandwidth_spreads_a_burst() -> None:
    line = DelayLine(LinkProfile(0.0, bytes_per_s=1_000_000.0), random.Random(1))
    assert [line.arrival_ms(1000, 0.0) for _ in range(5)] == pytest.approx([1.0, 2.0, 3.0, 4.0, 5.0])


@pytest.mark.parametrize("bad", [{"rtt_ms": -1.0}, {"rtt_ms": 1.0, "loss": 1.0}, {"rtt_ms": 1.0, "bytes_per_s": 0.0}])
def test_impossible_links_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="not a link"):
        LinkProfile(**bad)


async def test_every_byte_arrives_once_and_in_order() -> None:
    rng = random.Random(5)
    chunks = [rng.randbytes(rng.randint(1, 3000)) for _ in range(120)]
    async with linked(echo, LinkProfile(6.0, jitter_ms=4.0, loss=0.005)) as (_, address):
        reader, writer = await asyncio.open_connection(*address)
        for chunk in chunks:
            writer.write(chunk)
            await asyncio.sleep(0.0005)
        sent = b"".join(chunks)
        assert await asyncio.wait_for(reader.readexactly(len(sent)), 8) == sent
        writer.close()


async def test_the_end_of_a_stream_follows_its_bytes() -> None:
    async def farewell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * 50_000)
        writer.close()

    async with linked(farewell, LinkProfile(10.0, jitter_ms=3.0)) as (link, address):
        reader, writer = await asyncio.open_connection(*address)
        assert await asyncio.wait_for(reader.read(-1), 5) == b"x" * 50_000
        writer.close()
        while link.connections:
            await asyncio.sleep(0.01)


async def test_a_cut_resets_both_ends_and_a_new_connection_works() -> None:
    server_saw: asyncio.Queue[str] = asyncio.Queue()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(100):
                writer.write(data)
            await server_saw.put("end")
        except ConnectionResetError:
            await server_saw.put("reset")
        writer.close()

    async with linked(handler, LinkProfile(2.0)) as (link, address):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"a")
        assert await asyncio.wait_for(reader.readexactly(1), 5) == b"a"
        assert link.cut() == 1
        assert link.connections == 0
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 5)
        assert await asyncio.wait_for(server_saw.get(), 5) == "reset"
        writer.close()
        again, writer = await asyncio.open_connection(*address)
        writer.write(b"b")
        assert await asyncio.wait_for(again.readexactly(1), 5) == b"b"
        writer.close()


async def test_a_blackhole_delays_and_loses_nothing() -> None:
    async with linked(echo, LinkProfile(2.0)) as (link, address):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"1")
        assert await asyncio.wait_for(reader.readexactly(1), 5) == b"1"
        loop = asyncio.get_running_loop()
        dark_until = loop.time() + 0.3
        assert link.blackhole(0.3) == 1
        writer.write(b"2345")
        assert await asyncio.wait_for(reader.readexactly(4), 5) == b"2345"
        assert loop.time() >= dark_until - 0.002
        writer.close()


async def test_a_reader_that_stops_stops_the_writer() -> None:
    """Back-pressure crosses the link: it holds a bounded number of bytes, the rest stays with the sender."""
    sent = 0
    total = 64 * 1024 * 1024

    async def firehose(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        block = b"z" * 65_536
        try:
            while sent < total:
                writer.write(block)
                sent += len(block)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with linked(firehose, LinkProfile(1.0, bytes_per_s=1e9)) as (link, address):
        _, writer = await asyncio.open_connection(*address, limit=1024)
        before = -1
        while sent != before:  # until it stands still
            before = sent
            await asyncio.sleep(0.3)
        # Kernel buffers on three sockets hold some megabytes; the link itself adds at most its bound.
        assert sent < total / 2
        assert sent > BUFFER_BYTES_MAX
        link.cut()
        writer.close()


async def test_links_lead_to_this_machine_only() -> None:
    async with Link(lambda host, port: LinkProfile(1.0), seed=1) as link:
        with pytest.raises(ValueError, match="this machine only"):
            await link.route("192.0.2.7", 80)


async def test_a_target_that_refuses_resets_the_client() -> None:
    async with linked(echo, LinkProfile(1.0)) as (link, _):
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        reader, writer = await asyncio.open_connection(*await link.route("127.0.0.1", port))
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 5)
        writer.close()
