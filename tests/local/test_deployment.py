"""A whole deployment without bots: real processes that are killed, and a parent that is killed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from gameedge.core.errors import ConfigError
from gameedge.local.child import ChildProcess, free_port
from gameedge.local.deployment import Deployment, Plan
from tests.local.test_servers import gone, is_running

WAIT_S = 20.0


class Teller:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.faults: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def fault(self, text: str) -> None:
        self.faults.append(text)


async def until(happens: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not happens():
            await asyncio.sleep(0.02)


async def edges_online(deployment: Deployment) -> list[str]:
    headers = {"authorization": f"Bearer {deployment.operator_token}"}
    async with httpx.AsyncClient(headers=headers, trust_env=False) as client:
        try:
            answer = await client.get(f"{deployment.url}/v1/admin/status")
        except httpx.HTTPError:
            return []
        regions = json.loads(answer.content)["regions"]
    return [f"{r['region']}/{e['edge']}" for r in regions for e in r["edges"] if e["online"] and e["report"]]


async def until_online(deployment: Deployment, wanted: list[str]) -> None:
    async with asyncio.timeout(WAIT_S):
        while await edges_online(deployment) != wanted:
            await asyncio.sleep(0.1)


def child(deployment: Deployment, name: str) -> ChildProcess:
    return next(child for child in deployment.children if child.name == name)


async def test_every_child_that_is_killed_comes_back_and_is_counted(tmp_path: Path) -> None:
    teller = Teller()
    deployment = Deployment(Plan(regions=1, bots=0, port=0), tmp_path, teller, lambda _: None)
    try:
        await deployment.start()
        await until_online(deployment, ["us-east/e1"])
        pids = {child.name: child.pid for child in deployment.children}
        assert set(pids) == {"redis-global", "redis-us-east", "broker", "coordinator", "us-east-1"}
        url = deployment.url
        for name in pids:
            await child(deployment, name).kill()
        await until(lambda: all(child.alive and child.starts == 2 for child in deployment.children))
        await until(lambda: sum("is back" in said for said in teller.said) == 5)
        assert deployment.url == url
        assert sum("died (signal 9)" in fault for fault in teller.faults) == 5
        await until_online(deployment, ["us-east/e1"])
    finally:
        await deployment.stop()
    assert all(not child.alive for child in deployment.children)
    assert deployment.outbox_left == 0


async def test_a_taken_port_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", free_port())
    port = server.sockets[0].getsockname()[1]
    deployment = Deployment(Plan(regions=1, bots=0, port=port), tmp_path, Teller(), lambda _: None)
    try:
        with pytest.raises(ConfigError, match=f"--port {port}: taken"):
            await deployment.start()
    finally:
        await deployment.stop()
        server.close()
    assert deployment.children
    assert all(not child.alive for child in deployment.children)


def children_of(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(path.parent.name))
    return found


async def up(tmp_path: Path, *more: str) -> asyncio.subprocess.Process:
    """`gameedge up` with one region, once its first line of play was printed."""
    argv = [sys.executable, "-m", "gameedge", "up", "--regions", "1", "--bots", "0", "--port", "0", "--data", str(tmp_path / "d")]
    process = await asyncio.create_subprocess_exec(*argv, *more, stdout=subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(WAIT_S):
        while b"us-east-1 is up" not in await process.stdout.readline():
            assert process.returncode is None
    return process


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
async def test_no_orphans_when_up_is_killed(tmp_path: Path) -> None:
    process = await up(tmp_path)
    deadline = time.monotonic() + WAIT_S
    while len(children_of(process.pid)) < 5 and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    children = children_of(process.pid)
    assert len(children) == 5
    process.kill()
    await process.wait()
    assert all([await gone(pid) for pid in children])


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
async def test_ctrl_c_stops_everything_in_order_and_writes_the_summary(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    process = await up(tmp_path, "--summary", str(path))
    assert process.stdout is not None
    children = children_of(process.pid)
    await asyncio.sleep(1.0)
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(WAIT_S):
        text = (await process.stdout.read()).decode()
        assert await process.wait() == 0
    assert text.index("draining the edges") < text.index("stopping coordinator, broker and stores")
    assert not any(is_running(pid) for pid in children)
    summary = json.loads(path.read_bytes())
    assert summary["errors"] == 0
    assert summary["regions"] == 1
    assert summary["outbox_left"] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
async def test_ctrl_c_twice_is_fast_and_leaves_nothing_behind(tmp_path: Path) -> None:
    process = await up(tmp_path)
    children = children_of(process.pid)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        await asyncio.sleep(0.2)
    async with asyncio.timeout(WAIT_S):
        await process.communicate()
    assert all([await gone(pid) for pid in children])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
async def test_the_operators_line_finds_what_up_runs_and_doctor_is_green(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAMEEDGE_RUN", str(tmp_path / "run"))
    for name in ("GAMEEDGE_URL", "GAMEEDGE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    process = await up(tmp_path)
    assert process.stdout is not None
    try:
        said = b""
        async with asyncio.timeout(WAIT_S):
            while b"GAMEEDGE_TOKEN=" not in said:
                said = await process.stdout.readline()
        words = dict(word.split("=") for word in said.decode().split() if word.startswith("GAMEEDGE_"))
        async with asyncio.timeout(WAIT_S):
            while (answer := await admin("status", "--json"))[0] or "us-east" not in answer[1]:
                await asyncio.sleep(0.1)
        assert (await admin("status", env=words))[0] == 0  # what it prints can be pasted
        async with asyncio.timeout(WAIT_S):
            while (answer := await admin("doctor", "--json"))[0]:
                await asyncio.sleep(0.1)
        checked = {(finding["check"], finding["subject"]) for finding in json.loads(answer[1])["findings"]}
        assert {("child", "broker"), ("child", "redis-us-east"), ("store", "global store"), ("keys", "us-east/e1")} <= checked
        word = json.loads(next((tmp_path / "run").glob("up-*.json")).read_bytes())
        broker = next(part for part in word["parts"] if part["name"] == "broker")["pid"]
        os.kill(broker, signal.SIGSTOP)  # it hangs: nobody starts it again
        try:
            status, text = await admin("doctor", "--json")
        finally:
            os.kill(broker, signal.SIGCONT)
        wrong = {(finding["check"], finding["subject"]) for finding in json.loads(text)["findings"] if finding["level"] == "fault"}
        assert status == 1
        assert {("child", "broker"), ("broker", "broker")} <= wrong
    finally:
        process.send_signal(signal.SIGINT)
        await process.communicate()
    assert list((tmp_path / "run").glob("up-*.json")) == []


async def admin(*words: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Exit status and stdout of `gameedge admin`."""
    argv = [sys.executable, "-m", "gameedge", "admin", *words]
    process = await asyncio.create_subprocess_exec(*argv, stdout=subprocess.PIPE, env={**os.environ, **(env or {})})
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()
