"""`gameedge up` as a person uses it: bots play, the summary says how it went, Ctrl-C loses nothing and leaves nothing behind."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gameedge.core.ids import EdgeId, MatchId, PlayerId, RegionId, SessionId, TicketId
from gameedge.local.servers import redis_server
from gameedge.state.base import MatchRecord, Result, Ticket
from gameedge.state.redis_global import RedisGlobalStore
from gameedge.state.redis_region import RedisRegionStore
from tests.local.test_deployment import children_of
from tests.local.test_servers import gone

from .processes import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")]

WAIT_S = 60.0
ADA, BOB = PlayerId("p_ada"), PlayerId("p_bob")


@contextlib.asynccontextmanager
async def up(folder: Path, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`gameedge up` with its data in `folder`; killed where a test fails."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "clients" / "python"), os.environ.get("PYTHONPATH", "")])}
    argv = [sys.executable, "-m", "gameedge", "up", "--plain", "--port", "0", "--data", str(folder), *options]
    process = await asyncio.create_subprocess_exec(*argv, stdout=subprocess.PIPE, cwd=ROOT, env=env)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def read_until(process: asyncio.subprocess.Process, words: str) -> str:
    """What it says up to a line with these words."""
    assert process.stdout is not None
    text = ""
    async with asyncio.timeout(WAIT_S):
        while line := await process.stdout.readline():
            text += line.decode()
            if words in text:
                return text
    raise AssertionError(f"{words!r} was not said:\n{text}")


async def the_end(process: asyncio.subprocess.Process) -> str:
    async with asyncio.timeout(WAIT_S):
        text = (await process.communicate())[0].decode()
    assert process.returncode == 0, text
    return text


def family(pid: int) -> list[int]:
    """Children, and theirs."""
    found = children_of(pid)
    return found + [below for child in found for below in family(child)]


async def test_bots_play_and_the_summary_says_how_it_went(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    async with up(tmp_path / "data", "--regions", "2", "--bots", "12", "--for", "10s", "--summary", str(path)) as process:
        text = await the_end(process)
    summary: dict[str, Any] = json.loads(path.read_bytes())
    assert summary["errors"] == 0, text
    assert summary["regions"] == 2
    assert summary["players_connected"] >= 12
    assert summary["matches_started"] > 0
    assert summary["npc_actions"] > 0
    assert summary["cheaters"] == 1
    assert {"matches_finished", "cheaters_flagged", "innocents_flagged"} <= set(summary)
    for spread in ("input_to_snapshot_ms", "tick_lateness_ms", "placement_ms", "queue_wait_ms"):
        assert summary[spread]["p50"] <= summary[spread]["p99"], spread
    assert "applied" in text
    logs = [file.read_text("utf-8") for file in (tmp_path / "data" / "logs").glob("*.log")]
    assert sum("game_warmed" in log for log in logs) == 2
    assert not any("kernel_late" in log for log in logs)  # after a fresh installation players would have waited for a compiler


async def test_ctrl_c_loses_nothing(tmp_path: Path) -> None:
    """What no coordinator could apply waits on disk, and is applied at the next start of the same folder, once."""
    data, path = tmp_path / "data", tmp_path / "s.json"
    async with up(data, "--regions", "1", "--bots", "6", "--summary", str(path)) as process:
        await read_until(process, "bots are coming")
        await asyncio.sleep(2.0)
        children = family(process.pid)
        assert len(children) >= 6
        process.send_signal(signal.SIGINT)
        await the_end(process)
        assert all([await gone(pid) for pid in children])
    summary = json.loads(path.read_bytes())
    assert summary["errors"] == 0
    await leave_a_result(data)
    for _ in range(2):
        async with up(data, "--regions", "1", "--bots", "0", "--for", "1s") as process:
            await the_end(process)
        assert await games(data) == [1, 1]
    assert await left(data) == 0


async def leave_a_result(data: Path) -> None:
    """As an edge process does whose coordinator is away when everything is stopped."""
    async with redis_server(data / "redis-us-east", name="redis-us-east") as server:
        store = RedisRegionStore(server.url)
        tickets = [
            Ticket(id=TicketId(f"t_{who}"), player=who, session=SessionId(f"s_{who}"), edge=EdgeId("e1"), mode="duel", created_ms=1)
            for who in (ADA, BOB)
        ]
        for ticket in tickets:
            await store.ticket_add(ticket, 100)
        match = MatchId("m_left")
        teams = [[ticket.id] for ticket in tickets]
        record = MatchRecord(match=match, mode="duel", host=EdgeId("e1"), fence=0, teams=teams, tickets=tickets, created_ms=1, seed=1)
        assert await store.claim(record, "") == []
        result = Result(
            match=match,
            region=RegionId("us-east"),
            mode="duel",
            rated=True,
            started_ms=1,
            ended_ms=2,
            teams=[[ADA], [BOB]],
            ranks=[0, 1],
            scores=[3, 1],
        )
        assert await store.match_close("duel", match, result)
        await store.close()


async def games(data: Path) -> list[int]:
    async with redis_server(data / "redis-global", name="redis-global") as server:
        store = RedisGlobalStore(server.url)
        ratings = await store.ratings_of("duel", [ADA, BOB])
        await store.close()
    return [ratings[who].games if who in ratings else 0 for who in (ADA, BOB)]


async def left(data: Path) -> int:
    async with redis_server(data / "redis-us-east", name="redis-us-east") as server:
        store = RedisRegionStore(server.url)
        size = await store.outbox_size()
        await store.close()
    return size
