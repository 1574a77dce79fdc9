"""The operator's port: four routes, whatever else is asked, and answers that do not wait."""

import asyncio
import os
import random
import socket
import sys

import httpx
import pytest

from gameedge.config import Listen
from gameedge.edge.ops import OpsApp, serve_ops
from gameedge.telemetry.metrics import edge_registry


class Process:
    """What the port shows of a process."""

    def __init__(self) -> None:
        self.why_not: str | None = None
        self.drained = 0
        self.refreshed = 0
        self.app = OpsApp(edge_registry(), self.refresh, lambda: self.why_not, lambda: {"edge": "e0"}, self.drain)

    def refresh(self) -> None:
        self.refreshed += 1

    def drain(self) -> None:
        self.drained += 1


async def test_health_readiness_metrics_and_drain() -> None:
    process = Process()
    async with serve_ops(process.app, Listen()) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        assert (await client.get("/healthz")).json() == {"edge": "e0"}
        assert (await client.get("/readyz")).json() == {"ready": True, "why": None}
        process.why_not = "draining"
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()) == (503, {"ready": False, "why": "draining"})
        assert "gameedge_players" in (await client.get("/metrics")).text
        assert process.refreshed == 1
        for method, path in (("GET", "/drain"), ("POST", "/healthz"), ("GET", "/"), ("DELETE", "/metrics"), ("GET", "/%00/../etc")):
            answer = await client.request(method, path)
            assert (answer.status_code, answer.json()["reason"]) == (404, "not_found")
        assert process.drained == 0
        assert (await client.post("/drain")).status_code == 202
        assert process.drained == 1


async def test_probes_that_ask_for_the_head_alone_are_answered() -> None:
    """As `wget --spider` and many load balancers do."""
    process = Process()
    async with serve_ops(process.app, Listen()) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        for path in ("/healthz", "/readyz", "/metrics"):
            answer = await client.head(path)
            assert (answer.status_code, answer.content) == (200, b"")
        process.why_not = "draining"
        assert (await client.head("/readyz")).status_code == 503
        assert (await client.head("/")).status_code == 404


@pytest.mark.parametrize("header", [{"Origin": "https://example.org"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}])
async def test_a_web_page_drains_nothing(header: dict[str, str]) -> None:
    process = Process()
    async with serve_ops(process.app, Listen()) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        assert (await client.post("/drain", headers=header)).status_code == 403
        assert process.drained == 0
        assert (await client.get("/healthz", headers=header)).status_code == 200


async def test_garbage_costs_its_connection_alone() -> None:
    rng, process = random.Random(3), Process()
    async with serve_ops(process.app, Listen()) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        port = httpx.URL(url).port
        for number in range(150):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            start = b"GET /healthz HTTP/1.1\r\nHost: x\r\n" if number % 2 else b""
            writer.write(start + rng.randbytes(rng.randint(1, 400)) + b"\r\n\r\n")
            writer.write_eof()
            await asyncio.wait_for(reader.read(1 << 16), 10)
            writer.transport.abort()
        assert (await client.get("/healthz")).status_code == 200


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
async def test_answers_leave_at_once() -> None:
    """An answer goes out in two writes: without TCP_NODELAY the second waits for the client's acknowledgement."""
    accepted: list[int] = []
    process = Process()
    app = process.app

    async def looking(scope: dict[str, object], receive: object, send: object) -> None:
        accepted.extend(_no_delay_of_sockets_on(port))
        await app(scope, receive, send)  # type: ignore[arg-type]

    async with serve_ops(looking, Listen()) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:  # type: ignore[arg-type]
        port = httpx.URL(url).port or 0
        await client.get("/healthz")
    assert accepted
    assert all(accepted)


def _no_delay_of_sockets_on(port: int) -> list[int]:
    """TCP_NODELAY of this process's sockets that were accepted on the port."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(name))) as copy:
                if copy.family == socket.AF_INET and copy.getsockname()[1] == port and copy.getpeername():
                    found.append(copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        except OSError:
            continue
    return found
