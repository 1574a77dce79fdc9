"""The embedded servers and the children that they are, with the real binaries."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gameedge.local.child import ChildError, ChildProcess, Guard, free_port
from gameedge.local.servers import Server, broker_answers, broker_server, redis_answers, redis_server


async def redis(port: int, *words: str) -> bytes:
    """One command, one short reply."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"*{len(words)}\r\n".encode() + b"".join(f"${len(w)}\r\n{w}\r\n".encode() for w in words))
    reply = await reader.readline()
    if reply.startswith(b"$") and not reply.startswith(b"$-1"):
        reply = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return reply.strip()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def listening_on(port: int) -> list[str]:
    """Addresses in the kernel's hex form; none where there is no /proc."""
    try:
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    except OSError:
        return []
    return [row[1].split(":")[0] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")]


async def gone(pid: int) -> bool:
    deadline = time.monotonic() + 8
    while is_running(pid) and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    return not is_running(pid)


async def test_redis_keeps_what_it_acknowledged_over_kill_9(tmp_path: Path) -> None:
    async with redis_server(tmp_path / "redis") as server:
        assert await redis(server.port, "SET", "k", "v") == b"+OK"
        port = server.port
        await server.kill()
        with pytest.raises(OSError):
            await redis_answers(port)
        await server.restart()
        assert server.port == port
        assert await redis(port, "GET", "k") == b"v"
        assert server.url == f"redis://127.0.0.1:{port}"
    with pytest.raises(OSError):
        await redis_answers(port)


async def test_broker_starts_restarts_and_listens_on_loopback_only(tmp_path: Path) -> None:
    async with broker_server(tmp_path) as server:
        assert await broker_answers(server.port)
        await server.kill()
        await server.restart()
        assert await broker_answers(server.port)
        assert set(listening_on(server.port)) <= {"0100007F"}  # 127.0.0.1


async def test_a_busy_port_is_reported_though_a_stranger_answers_there(tmp_path: Path) -> None:
    async with redis_server(tmp_path / "a") as first:
        second = redis_server(tmp_path / "b", port=first.port)
        with pytest.raises(ChildError, match=f"port {first.port} is taken"):
            await second.start()
        assert await redis_answers(first.port)


async def test_a_server_that_cannot_bind_is_reported_with_its_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gameedge.local.servers.is_free", lambda _: True)  # taken between our look and its bind
    expected = pytest.raises(ChildError, match=r"(?s)exited with 1 .*[Aa]ddress already in use")
    with socket.create_server(("127.0.0.1", 0)) as silent, expected:
        await redis_server(tmp_path, port=silent.getsockname()[1]).start()


async def test_a_port_lost_to_another_process_is_exchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with redis_server(tmp_path / "a") as first:
        ports = iter([first.port, free_port()])
        monkeypatch.setattr("gameedge.local.servers.free_port", lambda: next(ports))
        async with redis_server(tmp_path / "b") as second:
            assert second.port != first.port
            assert await redis_answers(second.port)


def script(name: str, code: str, tmp_path: Path, **options: object) -> ChildProcess:
    return ChildProcess(name, [sys.executable, "-S", "-c", code], log=tmp_path / f"{name}.log", **options)  # type: ignore[arg-type]


async def never() -> bool:
    return False


async def test_death_while_starting_shows_the_last_log_lines(tmp_path: Path) -> None:
    child = script("dies", "import sys; print('the reason', file=sys.stderr); sys.exit(3)", tmp_path, probe=never)
    with pytest.raises(ChildError, match=r"(?s)dies exited with 3 while starting.*the reason"):
        await child.start()
    assert not child.alive


async def test_a_child_that_is_never_ready_is_killed(tmp_path: Path) -> None:
    child = script("slow", "import time; time.sleep(600)", tmp_path, probe=never, ready_s=0.2)
    with pytest.raises(ChildError, match="was not ready"):
        await child.start()
    assert await gone(child.pid)


async def test_missing_program_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ChildError, match="/nowhere/x cannot be started"):
        await ChildProcess("x", ["/nowhere/x"], log=tmp_path / "x.log").start()


async def test_stop_is_gentle_first_and_firm_after(tmp_path: Path) -> None:
    gentle = "import signal,sys,time; signal.signal(15, lambda *_: sys.exit(7)); print('up', flush=True); time.sleep(600)"
    firm = "import signal,time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    for code, expected in ((gentle, 7), (firm, -signal.SIGKILL)):
        lines: list[bytes] = []
        child = script("s", code, tmp_path, on_line=lines.append)
        await child.start()
        while not lines:
            await asyncio.sleep(0.01)
        assert await child.stop(grace_s=1.0 if expected < 0 else 8.0) == expected
        assert lines == [b"up\n"]


async def test_lines_arrive_whole_and_overlong_ones_do_not_stop_the_rest(tmp_path: Path) -> None:
    lines: list[bytes] = []
    child = script("talks", "print('a'); print('x' * 9_000_000); print('b')", tmp_path, on_line=lines.append)
    await child.start()
    assert await child.wait() == 0
    assert lines[0] == b"a\n"
    assert lines[-1] == b"b\n"
    assert max(map(len, lines)) < 9_000_000


async def test_kill_takes_grandchildren_too(tmp_path: Path) -> None:
    lines: list[bytes] = []
    code = "import subprocess,time; p=subprocess.Popen(['sleep','600']); print(p.pid, flush=True); time.sleep(600)"
    child = script("family", code, tmp_path, on_line=lines.append)
    await child.start()
    while not lines:
        await asyncio.sleep(0.01)
    await child.kill()
    assert await gone(int(lines[0]))


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's; elsewhere the guard does it (next test)")
async def test_children_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = f"""
import asyncio, pathlib
from gameedge.local.servers import redis_server
async def main():
    server = redis_server(pathlib.Path({str(tmp_path / "r")!r}))
    await server.start()
    print(server.child.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert is_running(pid)
    parent.kill()
    await parent.wait()
    assert await gone(pid)


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "600"], start_new_session=True)


async def test_the_guard_kills_what_is_left_when_its_pipe_closes() -> None:
    watched, forgotten = sleeper(), sleeper()
    try:
        guard = Guard()
        guard.watch(watched.pid)
        guard.watch(forgotten.pid)
        guard.forget(forgotten.pid)
        guard.close()
        assert await asyncio.to_thread(watched.wait, 5) == -signal.SIGKILL
        assert forgotten.poll() is None
    finally:
        os.killpg(forgotten.pid, signal.SIGKILL)
        forgotten.wait()


async def test_server_needs_start_before_url_is_useful(tmp_path: Path) -> None:
    server: Server = redis_server(tmp_path)
    await server.stop()  # nothing to stop: no error
    assert server.port == 0
