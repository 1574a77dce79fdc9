"""Stores under contract: the memory twin, a real server, and a real cluster of three masters (which refuses any script whose keys
lie in two slots). Servers are started once a session and emptied before each test."""

import re
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis import Redis, exceptions

from gameedge.core.ids import EdgeId, FlagId, MatchId, PlayerId, RegionId, SessionId, TicketId
from gameedge.local.servers import redis_binary
from gameedge.state.base import EdgeRecord, Evidence, MatchRecord, RegionStore, Result, SessionRecord, Ticket
from gameedge.state.base_global import GlobalStore
from gameedge.state.memory import MemoryRegionStore
from gameedge.state.memory_global import MemoryGlobalStore
from gameedge.state.redis_global import RedisGlobalStore
from gameedge.state.redis_region import RedisRegionStore

KINDS = ("memory", "redis", "cluster")
MODE = "duel"
MAX = 1_000  # tickets of a pool
LEASE = f"matcher-{MODE}"
A, B = EdgeId("edge-a"), EdgeId("edge-b")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_server(data: Path, *options: str) -> tuple["subprocess.Popen[bytes]", int]:
    """A server child on a free loopback port; returns once it answers."""
    port = free_port()
    fixed = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(data), "--save", "", "--logfile", str(data / "log"))
    child = subprocess.Popen([redis_binary(), *fixed, *options])
    client = Redis(port=port)
    deadline = time.monotonic() + 15
    while True:
        try:
            client.ping()
        except exceptions.ConnectionError:
            assert time.monotonic() < deadline, (data / "log").read_text()
            time.sleep(0.02)
        else:
            client.close()
            return child, port


def start_cluster(folder: Path, masters: int = 3) -> tuple[list["subprocess.Popen[bytes]"], str]:
    """A cluster on loopback, its slots shared evenly; returns once every node serves."""
    children, ports, buses = [], [], []
    for number in range(masters):
        data = folder / f"node{number}"
        data.mkdir(parents=True)
        bus = free_port()
        options = ("--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-node-timeout", "2000")
        child, port = start_server(data, "--appendonly", "yes", "--appendfsync", "no", *options)
        children.append(child)
        ports.append(port)
        buses.append(bus)
    clients = [Redis(port=port) for port in ports]
    for number, client in enumerate(clients):
        client.execute_command("CLUSTER ADDSLOTSRANGE", 16384 * number // masters, 16384 * (number + 1) // masters - 1)
        client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
    for port, bus in zip(ports[1:], buses[1:], strict=True):
        clients[0].execute_command("CLUSTER MEET", "127.0.0.1", port, bus)
    deadline = time.monotonic() + 30
    while not all(_cluster_ok(client, masters) for client in clients):
        assert time.monotonic() < deadline, clients[0].execute_command("CLUSTER NODES")
        time.sleep(0.02)
    for client in clients:
        client.close()
    return children, f"redis+cluster://{','.join(f'127.0.0.1:{port}' for port in ports)}"


def _cluster_ok(client: Redis, masters: int) -> bool:
    said = str(client.execute_command("CLUSTER INFO"))
    size = re.search(r"cluster_size\W+(\d+)", said)
    return re.search(r"cluster_state\W+ok", said) is not None and size is not None and int(size[1]) == masters


@pytest.fixture(scope="session")
def servers() -> Iterator[dict[str, str]]:
    """URLs by kind."""
    children, urls = [], {"memory": "memory://"}
    with tempfile.TemporaryDirectory(prefix="gameedge-test-") as folder:
        try:
            data = Path(folder) / "redis"
            data.mkdir()
            child, port = start_server(data, "--appendonly", "yes", "--appendfsync", "no")
            children.append(child)
            urls["redis"] = f"redis://127.0.0.1:{port}"
            nodes, urls["cluster"] = start_cluster(Path(folder) / "cluster")
            children += nodes
            yield urls
        finally:
            for child in children:
                child.kill()
                child.wait()


def empty(url: str) -> None:
    scheme, _, hosts = url.partition("://")
    if scheme == "memory":
        return
    for host in hosts.split(","):
        with Redis.from_url(f"redis://{host}") as client:
            client.flushall()


@asynccontextmanager
async def region_store(url: str, **settings: int) -> AsyncIterator[RegionStore]:
    store: RegionStore = RedisRegionStore(url, **settings) if url.startswith("redis") else MemoryRegionStore(**settings)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def global_store(url: str) -> AsyncIterator[GlobalStore]:
    store: GlobalStore = RedisGlobalStore(url) if url.startswith("redis") else MemoryGlobalStore()
    try:
        yield store
    finally:
        await store.close()


def ticket(number: int, *, mode: str = MODE, edge: EdgeId = A, **fields: object) -> Ticket:
    made: dict[str, object] = {
        "id": TicketId(f"t_{number}"), "player": PlayerId(f"p_{number}"), "session": SessionId(f"s_{number}"),
        "edge": edge, "mode": mode, "created_ms": 1_000 + number,
    }  # fmt: skip
    return Ticket(**(made | fields))  # type: ignore[arg-type]


def match(name: str, *tickets: Ticket, mode: str = MODE, host: EdgeId = B, fence: int = 0) -> MatchRecord:
    half = (len(tickets) + 1) // 2
    return MatchRecord(
        match=MatchId(name), mode=mode, host=host, fence=fence, tickets=list(tickets), created_ms=5_000, seed=7,
        teams=[[t.id for t in tickets[:half]], [t.id for t in tickets[half:]]],
    )  # fmt: skip


def result(name: str, *, mode: str = MODE) -> Result:
    return Result(
        match=MatchId(name), region=RegionId("west"), mode=mode, rated=True, started_ms=1, ended_ms=2,
        teams=[[PlayerId("p_1")], [PlayerId("p_2")]], ranks=[0, 1], scores=[10, 3],
    )  # fmt: skip


def session(number: int, *, edge: EdgeId = A, player: str | None = None) -> SessionRecord:
    return SessionRecord(
        session=SessionId(f"s_{number}"), player=PlayerId(player or f"p_{number}"), edge=edge, resume_hash=f"{number:064x}"
    )


def evidence(number: int, *, player: str = "p_1", clip: bytes = b"clip") -> Evidence:
    return Evidence(
        flag=FlagId(f"f_{number}"), player=PlayerId(player), match=MatchId("m_1"), at_ms=number, rule="aim", score=0.5,
        reasons=["too steady"], clip=clip,
    )  # fmt: skip


def edge_record(edge: EdgeId, **fields: object) -> EdgeRecord:
    made: dict[str, object] = {"edge": edge, "region": RegionId("west"), "url": "ws://127.0.0.1:1", "pid": 1, "started_ms": 1}
    return EdgeRecord(**(made | fields))  # type: ignore[arg-type]
