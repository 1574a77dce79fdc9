"""Measuring regions: WebSocket pings to their beacons, on connections that say no hello."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from gameedge.core.protocol import SUBPROTOCOL
from gameedge.core.routing.probing import AGAIN_SAMPLES, FIRST_SAMPLES, contenders
from gameedge_client.dial import Dial, dialled

SAMPLES: Final = FIRST_SAMPLES
TIMEOUT_S: Final = 3.0  # of one beacon, connecting included
AT_ONCE: Final = 16  # beacons measured at the same time: more would measure each other


async def open_socket(url: str, dial: Dial | None, *, timeout_s: float, size_max: int = 65_536) -> ClientConnection:
    """A WebSocket with the settings that all connections of this SDK have. Raises OSError, TimeoutError, WebSocketException."""
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise OSError(f"{url!r} is not a ws:// or wss:// URL")
    host, port = await dialled(dial, parts.hostname, parts.port or (443 if parts.scheme == "wss" else 80))
    return await connect(
        url,
        host=host,
        port=port,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        compression=None,
        proxy=None,
        ping_interval=None,  # the session has its own heartbeat
        open_timeout=timeout_s,
        close_timeout=2,
        max_size=size_max,
    )


async def ping_beacon(url: str, *, dial: Dial | None = None, samples: int = SAMPLES) -> list[float]:
    """Round trips in ms; fewer than `samples`, or none, where the beacon did not answer in time."""
    measured: list[float] = []
    try:
        async with asyncio.timeout(TIMEOUT_S):
            socket = await open_socket(url, dial, timeout_s=TIMEOUT_S)
            try:
                for _ in range(samples):
                    started = time.perf_counter()
                    await (await socket.ping())
                    measured.append((time.perf_counter() - started) * 1000.0)
            finally:
                await socket.close()
    except (OSError, TimeoutError, WebSocketException):
        pass  # a region that cannot be reached is a region without samples
    return measured


async def ping_regions(regions: Mapping[str, Sequence[str]], *, dial: Dial | None = None) -> dict[str, list[float]]:
    """Region → samples in ms, of the first of its beacons that answers. Regions that did not answer are left out; those that
    the first round cannot tell apart are measured again (`gameedge.core.routing.probing`)."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(name: str, beacons: Iterable[str], samples: int) -> tuple[str, list[float]]:
        async with gate:
            for beacon in list(beacons)[:2]:
                if measured := await ping_beacon(beacon, dial=dial, samples=samples):
                    return name, measured
        return name, []

    async def some(names: Iterable[str], samples: int) -> dict[str, list[float]]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(name, regions[name], samples), name=f"beacon {name}") for name in names]
        return {name: measured for name, measured in (task.result() for task in tasks) if measured}

    found = await some(regions, SAMPLES)
    for name, more in (await some(contenders(found), AGAIN_SAMPLES)).items():
        found[name] += more
    return found
