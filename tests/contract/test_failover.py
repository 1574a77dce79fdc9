"""Servers that fail over: three sentinels name another master, a cluster loses a node; real servers, killed for real."""

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis, exceptions

from gameedge.core.errors import RefusedError, UnavailableError
from gameedge.core.ids import TicketId
from gameedge.local.servers import redis_binary
from gameedge.state.redis_region import RedisRegionStore
from tests.contract.stores import MODE, A, B, free_port, match, result, start_cluster, start_server, ticket

Children = list["subprocess.Popen[bytes]"]


@pytest.fixture
def children() -> Iterator[Children]:
    started: Children = []
    yield started
    for child in started:
        child.kill()
        child.wait()


def start_sentinels(folder: Path, master_port: int, count: int = 3) -> tuple[Children, str]:
    """Sentinels that watch `main` and take it for dead after 300 ms. Skips where the server's binary cannot be one."""
    children, ports = [], []
    for number in range(count):
        port = free_port()
        settings = folder / f"sentinel{number}.conf"
        settings.write_text(
            f'port {port}\nbind 127.0.0.1\ndir "{folder}"\nlogfile "{folder / f"sentinel{number}.log"}"\n'
            f"sentinel monitor main 127.0.0.1 {master_port} 2\nsentinel down-after-milliseconds main 300\n"
            "sentinel failover-timeout main 2000\nsentinel parallel-syncs main 1\n",
            "utf-8",
        )
        children.append(subprocess.Popen([redis_binary(), str(settings), "--sentinel"], stdout=subprocess.DEVNULL))
        ports.append(port)
    until(lambda: all(_watches(port, count) for port in ports))
    return children, f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in ports)}/main"


def _watches(port: int, count: int) -> bool:
    """It knows the replica and all other sentinels."""
    try:
        with Redis(port=port, decode_responses=True) as client:
            raw = client.execute_command("SENTINEL MASTER", "main")
    except exceptions.ConnectionError:
        return False
    said = raw if isinstance(raw, dict) else dict(zip(raw[::2], raw[1::2], strict=True))
    return int(said["num-slaves"]) >= 1 and int(said["num-other-sentinels"]) == count - 1


def until(ready: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def answered(call: Callable[[], Awaitable[object]], seconds: float = 9) -> None:
    """Until a call is answered again; until then nothing but UnavailableError is heard."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            await call()
        except UnavailableError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        else:
            return


async def test_a_sentinel_failover_loses_nothing_that_was_replicated(tmp_path: Path, children: Children) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    master, port = start_server(tmp_path / "a", "--appendonly", "yes", "--repl-diskless-sync-delay", "0")
    children.append(master)
    replica, replica_port = start_server(tmp_path / "b", "--replicaof", f"127.0.0.1 {port}")
    children.append(replica)
    with Redis(port=replica_port) as client:
        until(lambda: client.info("replication")["master_link_status"] == "up")  # type: ignore[index]
    sentinels, url = start_sentinels(tmp_path, port)
    children += sentinels
    store = RedisRegionStore(url, wait_ms=500)
    fence = await store.lease("matcher-duel", A, 60_000)
    assert fence
    await store.tickets_add(MODE, [ticket(number) for number in range(40)], 1_000)
    read = await store.pool_read(MODE, "")
    assert await store.claim_many([match("m_1", ticket(0), ticket(1), fence=fence)], "matcher-duel") == [[]]
    with Redis(port=port) as client:
        assert client.wait(1, 2_000) == 1, "the replica has it"
    waiting = asyncio.create_task(store.pool_wait(MODE, (await store.pool_read(MODE, read.at)).at, 5_000))
    await asyncio.sleep(0.1)
    master.kill()
    with pytest.raises(UnavailableError):
        await waiting
    await answered(lambda: store.ticket_add(ticket(100), 1_000))
    # The same fence still claims, a claim that was made before is known, and nobody is in two matches.
    said = await store.claim_many(
        [match("m_1", ticket(0), ticket(1), fence=fence), match("m_2", ticket(1), ticket(2), fence=fence)], "matcher-duel"
    )
    assert said == [[], ["t_1"]]
    there = {t.id for t in await store.tickets(MODE)}
    assert there == {TicketId(f"t_{number}") for number in range(2, 40)} | {"t_100"}
    mirror = {t.id for t in read.tickets}
    after = await store.pool_read(MODE, read.at)
    assert ({t.id for t in after.tickets} if after.whole else mirror - set(after.gone) | {t.id for t in after.tickets}) == there
    assert [event.match_id for event in await store.inbox_read(B, 0)] == ["m_1"]
    with Redis(port=replica_port) as client:
        assert client.role()[0] == b"master"  # type: ignore[index]
    await store.close()


async def test_a_master_that_lost_its_last_writes_is_read_anew(tmp_path: Path, children: Children) -> None:
    """A failover can lose what was not replicated: the version steps back, and a mirror must not go on as if nothing happened."""
    child, port = start_server(tmp_path)
    children.append(child)
    store = RedisRegionStore(f"redis://127.0.0.1:{port}")
    for number in range(3):
        await store.ticket_add(ticket(number), 1_000)
    with Redis(port=port) as client:
        kept = {key: client.dump(key) for key in client.keys("*")}
        await store.ticket_add(ticket(3), 1_000)
        mirror = await store.pool_read(MODE, "")
        client.flushall()
        for key, value in kept.items():
            client.restore(key, 0, value)
    for number in (4, 5):  # the version is ahead of the mirror's again
        await store.ticket_add(ticket(number), 1_000)
    read = await store.pool_read(MODE, mirror.at)
    assert read.whole
    assert {t.id for t in read.tickets} == {"t_0", "t_1", "t_2", "t_4", "t_5"}
    await store.close()


async def test_a_change_by_a_process_of_an_earlier_release_is_not_missed(tmp_path: Path, children: Children) -> None:
    """It counts the version and writes no entry: while a region is upgraded process by process both change the same pools."""
    child, port = start_server(tmp_path)
    children.append(child)
    store = RedisRegionStore(f"redis://127.0.0.1:{port}")
    await store.tickets_add(MODE, [ticket(number) for number in range(3)], 1_000)
    mirror = await store.pool_read(MODE, "")

    def cancel_as_of_old(name: str) -> None:
        with Redis(port=port) as client:
            for part in ("tickets", "owners"):
                client.hdel(f"ge:{{{MODE}}}:{part}", name)
            client.incr(f"ge:{{{MODE}}}:version")

    cancel_as_of_old("t_0")
    read = await store.pool_read(MODE, mirror.at)
    assert read.whole
    assert {t.id for t in read.tickets} == {"t_1", "t_2"}
    await store.ticket_add(ticket(7), 1_000)  # the end of the feed is the version again; what is missing lies before it
    read = await store.pool_read(MODE, mirror.at)
    assert read.whole
    assert not (await store.pool_read(MODE, read.at)).whole
    await store.close()


async def test_a_cluster_node_that_dies_and_comes_back(tmp_path: Path, children: Children) -> None:
    """Pools of other nodes go on; the node's own are away, and there again with what was acknowledged."""
    nodes, url = start_cluster(tmp_path)
    children += nodes
    store = RedisRegionStore(url, wait_ms=500)
    modes = [f"mode-{number}" for number in range(12)]
    for mode in modes:
        await store.ticket_add(ticket(1, mode=mode), 100)
        assert await store.claim(match(f"m_{mode}", ticket(1, mode=mode), mode=mode), "") == []
        assert await store.match_close(mode, match(f"m_{mode}", ticket(1, mode=mode), mode=mode).match, result(f"m_{mode}", mode=mode))
        await store.ticket_add(ticket(2, mode=mode), 100)
    assert await store.outbox_size() == len(modes)
    nodes[0].kill()
    nodes[0].wait()

    async def reached() -> set[str]:
        said = set()
        for mode in modes:
            try:
                await store.tickets(mode)
            except RefusedError:
                continue
            said.add(mode)
        return said

    alive = await reached()
    assert len(alive) < len(modes)
    port = int(url.partition("://")[2].split(",")[0].rpartition(":")[2])
    children.append(subprocess.Popen(nodes[0].args))  # noqa: ASYNC220 - it returns at once
    until(lambda: _pings(port))
    for mode in modes:
        await answered(lambda mode=mode: store.tickets(mode))  # type: ignore[misc]
        assert [t.id for t in await store.tickets(mode)] == ["t_2"]
    assert await store.outbox_size() == len(modes)
    await store.close()


def _pings(port: int) -> bool:
    try:
        with Redis(port=port) as client:
            return bool(client.ping())
    except exceptions.ConnectionError:
        return False
