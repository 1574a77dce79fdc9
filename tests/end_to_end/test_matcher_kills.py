"""Matchers that are killed with -9 in the middle of their work, on a real server: nobody is lost and nobody is in two matches."""

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gameedge.core.ids import EdgeId, PlayerId, RegionId, SessionId, TicketId
from gameedge.local.servers import redis_server
from gameedge.state.base import EdgeRecord, MatchRecord, Ticket
from gameedge.state.redis_region import RedisRegionStore

ROOT = Path(__file__).parents[2]
PLAYERS = 2
HOME = EdgeId("home")  # whose players they are: it never dies


def ticket(number: int, mode: str) -> Ticket:
    return Ticket(
        id=TicketId(f"t_{number}"),
        player=PlayerId(f"p_{number}"),
        session=SessionId(f"s_{number}"),
        edge=HOME,
        mode=mode,
        rating=20.0 + number * 7919 % 1000 / 100.0,
        created_ms=int(time.time() * 1000),
    )


@asynccontextmanager
async def matcher(url: str, name: str, mode: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that matches; killed at the end if it lives."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.end_to_end.matcher_child", url, name, mode, "1",
        stdout=asyncio.subprocess.PIPE, cwd=ROOT, env=environment,
    )  # fmt: skip
    try:
        assert child.stdout is not None
        assert await child.stdout.readline() == b"ready\n"
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def play(folder: Path, total: int, kills: int, seed: int) -> None:
    """`total` people queue for duels; two matchers take turns, and whoever leads is killed in the middle, `kills` times."""
    rng = random.Random(seed)
    async with redis_server(folder, fsync="no") as server:
        store = RedisRegionStore(server.url, wait_ms=5_000)  # a busy machine is no reason to fail
        beating = asyncio.create_task(_beats(store))
        feeding = asyncio.create_task(_queue(store, total))
        alive: list[tuple[str, asyncio.subprocess.Process]] = []
        stack = []
        names = iter(f"matcher-{number}" for number in range(kills + 2))
        try:
            for _ in range(2):
                stack.append(entered := matcher(server.url, name := next(names), "duel"))
                alive.append((name, await entered.__aenter__()))
            gaps = []
            for _ in range(kills):
                await asyncio.sleep(rng.uniform(0.1, 0.4))
                gaps.append(await _kill_the_leader(store, alive))
                stack.append(entered := matcher(server.url, name := next(names), "duel"))
                alive.append((name, await entered.__aenter__()))
            await feeding
            matches = await _all_matched(store, total)
        finally:
            for entered in stack:
                await entered.__aexit__(None, None, None)
            beating.cancel()
        seats = Counter(t.id for record in matches for t in record.tickets)
        assert len(seats) == total, f"seed {seed}: {total - len(seats)} tickets are in no match"
        assert max(seats.values()) == 1, f"seed {seed}: {seats.most_common(3)}"
        assert len({record.match for record in matches}) == total // PLAYERS
        assert gaps
        # Every match has its event, in the inbox of its host, or it would never be opened.
        assert {record.host for record in matches} == {HOME}
        told = []
        while events := await store.inbox_read(HOME, 0):
            told += [event.match_id for event in events]
        assert sorted(map(str, told)) == sorted(record.match for record in matches)
        await store.close()


async def _beats(store: RedisRegionStore) -> None:
    """The players' own process lives, and has room for all."""
    room = {"free_matches": 10**6, "free_entities": 10**7}
    while True:
        await store.edge_beat(EdgeRecord(edge=HOME, region=RegionId("test"), url="ws://h", pid=0, started_ms=1, **room), 2_000)
        await asyncio.sleep(0.1)


async def _queue(store: RedisRegionStore, total: int) -> None:
    for first in range(0, total, 50):
        await store.tickets_add("duel", [ticket(number, "duel") for number in range(first, min(first + 50, total))], total)
        await asyncio.sleep(0.01)


async def _kill_the_leader(store: RedisRegionStore, alive: list[tuple[str, asyncio.subprocess.Process]]) -> float:
    """How long until another one led, seconds."""
    async with asyncio.timeout(8):
        while (leader := await store.lease_owner("matcher-duel")) not in {name for name, _ in alive}:
            await asyncio.sleep(0.01)
        child = next(child for name, child in alive if name == leader)
        child.send_signal(signal.SIGKILL)
        started = time.monotonic()
        alive[:] = [(name, other) for name, other in alive if name != leader]
        while await store.lease_owner("matcher-duel") in (None, leader):
            await asyncio.sleep(0.01)
        return time.monotonic() - started


async def _all_matched(store: RedisRegionStore, total: int) -> list[MatchRecord]:
    deadline = time.monotonic() + 20
    while True:
        size, _ = await store.tickets_there("duel", [])
        if size == 0 or time.monotonic() > deadline:
            return await store.matches("duel")
        await asyncio.sleep(0.05)


async def test_a_leader_that_is_killed_twice(tmp_path: Path) -> None:
    await play(tmp_path, 1_200, 2, 1)


@pytest.mark.slow
async def test_ten_thousand_matches_under_kills(tmp_path: Path) -> None:
    await play(tmp_path, 20_000, 8, 2)
