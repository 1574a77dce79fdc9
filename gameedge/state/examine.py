"""What a store's server is like, for `gameedge admin doctor`: reachable, which version, its clock, and whether it keeps what it is told."""

import time
from typing import Any, Final

import msgspec

from gameedge.core.errors import RefusedError
from gameedge.state.redis_client import RedisClient
from gameedge.state.redis_urls import parse

PINGS: Final = 3  # the best of them: we may be busy ourselves


class StoreSeen(msgspec.Struct, frozen=True, kw_only=True):
    """`ahead_ms`: of its clock, against ours. Empty texts: the server does not tell (a cluster, or access rules)."""

    where: str  # without a password
    ping_ms: float
    server: str = ""  # redis or valkey
    version: str = ""
    ahead_ms: float | None = None
    role: str = ""  # master; anything else takes no writes
    append_only: str = ""  # yes or no
    fsync: str = ""
    policy: str = ""  # what it does when its memory is full
    used_bytes: int = 0
    max_bytes: int = 0  # 0: no limit


def where_of(url: str) -> str:
    """The address without its password. Raises ConfigError."""
    return str(parse(url))


async def examine(url: str) -> StoreSeen:
    """Ask the server. Raises ConfigError, UnavailableError."""
    place = parse(url)
    client = RedisClient(url)
    try:
        await client.call(("PING",))  # connects
        ping_ms = min([await _ping(client) for _ in range(PINGS)])
        found: dict[str, Any] = {"where": str(place), "ping_ms": ping_ms}
        if place.kind != "single":
            return StoreSeen(**found)
        try:
            found |= _clock(await client.call(("TIME",))) | _info(await client.call(("INFO",)))
            for key, name in (("appendonly", "append_only"), ("appendfsync", "fsync"), ("maxmemory-policy", "policy")):
                found |= _config(await client.call(("CONFIG", "GET", key)), name)
        except RefusedError:
            pass  # access rules may keep this from us
        return StoreSeen(**found)
    finally:
        await client.close()


async def _ping(client: RedisClient) -> float:
    started = time.perf_counter()
    await client.call(("PING",))
    return (time.perf_counter() - started) * 1000


def _clock(answer: Any) -> dict[str, Any]:
    second, micros = (int(part) for part in answer)
    return {"ahead_ms": second * 1000 + micros / 1000 - time.time() * 1000}


def _info(answer: Any) -> dict[str, Any]:
    """INFO, as the client library parses it or as the server writes it."""
    if not isinstance(answer, dict):
        lines = bytes(answer).decode(errors="replace").splitlines()
        answer = dict(line.split(":", 1) for line in lines if ":" in line)
    valkey = answer.get("valkey_version")
    return {
        "server": "valkey" if valkey else "redis",
        "version": str(valkey or answer.get("redis_version", "")),
        "role": str(answer.get("role", "")),
        "used_bytes": int(answer.get("used_memory", 0)),
        "max_bytes": int(answer.get("maxmemory", 0)),
    }


def _config(answer: Any, name: str) -> dict[str, Any]:
    values = list(answer.values()) if isinstance(answer, dict) else list(answer)[1:]
    return {name: values[0].decode() if isinstance(values[0], bytes) else str(values[0])} if values else {}
