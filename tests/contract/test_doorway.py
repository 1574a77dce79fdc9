"""A crowd at the door: a few at a time, nobody while it is held, nobody lost."""

import asyncio
import os
import resource
import socket
import subprocess
import sys

from gameedge.edge.transports.doorway import ACCEPTS_AT_ONCE, Doorway, listening

assert os.name == "posix"


async def until(happens: object, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not happens():  # type: ignore[operator]
            await asyncio.sleep(0.01)


async def test_a_few_at_a_time_and_nobody_while_it_is_held() -> None:
    taken: list[socket.socket] = []
    most = 0

    async def take(accepted: socket.socket) -> None:
        taken.append(accepted)

    sockets = await listening("127.0.0.1", 0, 512)
    door = Doorway(sockets, take)
    door.hold(True)
    port = sockets[0].getsockname()[1]
    crowd = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(100)]
    await asyncio.sleep(0.05)
    assert taken == [], "who connects waits, connected"
    door.hold(False)
    door.hold(False)
    while len(taken) < len(crowd):
        before = len(taken)
        await asyncio.sleep(0)
        most = max(most, len(taken) - before)
    assert 0 < most <= 2 * ACCEPTS_AT_ONCE
    door.close()
    door.close()
    for each in (*crowd, *taken):
        each.close()


async def test_one_that_fails_ends_alone() -> None:
    good: list[socket.socket] = []

    async def take(accepted: socket.socket) -> None:
        if not good and len(failed) == 0:
            failed.append(1)
            raise ConnectionResetError("it went away")
        good.append(accepted)

    failed: list[int] = []
    sockets = await listening("localhost", 0, 16)
    door = Doorway(sockets, take)
    address = sockets[0].getsockname()[:2]
    one, two = socket.create_connection(address, 5), socket.create_connection(address, 5)
    await until(lambda: failed and good)
    one.settimeout(5)
    two.settimeout(0.05)
    assert one.recv(1) == b"", "the first was closed"
    door.close()
    for each in (one, two, *good):
        each.close()


CODE = """
import asyncio, resource, socket, sys
from gameedge.edge.transports.doorway import Doorway, listening
async def main():
    taken = []
    async def take(accepted):
        taken.append(accepted)
    sockets = await listening("127.0.0.1", 0, 64)
    door = Doorway(sockets, take)
    port = sockets[0].getsockname()[1]
    crowd = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(20)]
    used = max(each.fileno() for each in crowd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 6, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    await asyncio.sleep(0.3)
    assert 0 < len(taken) < 20, len(taken)
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    async with asyncio.timeout(10):
        while len(taken) < 20:
            await asyncio.sleep(0.01)
    print("all are in")
asyncio.run(main())
"""


def test_without_file_descriptors_it_waits_for_some() -> None:
    ran = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60, check=False)
    assert "all are in" in ran.stdout, ran.stderr
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 0
