"""The one module that speaks to Redis (or Valkey): connections, server-side functions, errors.

Every call ends within limits.STORE_WAIT_MS_MAX, with an answer or with UnavailableError: whatever the client library, the
network or the server says, callers see that one error. Connections are made when needed and made anew after any failure, so
that a server that comes back is used by the next call. Nothing is sent twice on its own: a caller may do so, since every change
is idempotent.

Functions are Lua scripts, called by the hash of their text; a server that does not know one (it was restarted) gets the text.
RESP2 and no client-side features: any Redis from 7 and any Valkey answers alike.
"""

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from gameedge.core import limits
from gameedge.core.errors import ConfigError, UnavailableError

CONNECTIONS_MAX: Final = 16  # of one store; a call waits for one within its own time
Argument = str | bytes | int
Command = tuple[Argument, ...]

log = logging.getLogger(__name__)


class Script:
    """A server-side function."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = files("gameedge.state").joinpath("functions", f"{name}.lua").read_text("utf-8")
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: Sequence[str], *arguments: Argument) -> Command:
        """The command that runs it."""
        return ("EVALSHA", self.sha, len(keys), *keys, *arguments)


@cache
def script(name: str) -> Script:
    return Script(name)


class RedisClient:
    """A server, reached through a few connections. `blocking` ones wait for as long as a command says."""

    def __init__(self, url: str, *, wait_ms: int = limits.STORE_WAIT_MS_MAX) -> None:
        self._wait_s = wait_ms / 1000
        self._where = url.rpartition("@")[2]  # without a password
        common: dict[str, Any] = {
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
            "socket_connect_timeout": self._wait_s,
            "socket_keepalive": True,
            "decode_responses": False,
        }
        try:
            self._pool = BlockingConnectionPool.from_url(
                url, max_connections=CONNECTIONS_MAX, timeout=self._wait_s, socket_timeout=self._wait_s, **common
            )
            self._waiting_pool = ConnectionPool.from_url(url, max_connections=CONNECTIONS_MAX, socket_timeout=None, **common)
        except (ValueError, TypeError, exceptions.RedisError) as error:
            raise ConfigError(f"redis = {self._where!r}: {error}") from error
        self._redis: Any = Redis(connection_pool=self._pool)
        self._waiting: Any = Redis(connection_pool=self._waiting_pool)
        self.secure = issubclass(self._pool.connection_class, SSLConnection)

    async def call(self, command: Command) -> Any:
        """One command. Raises UnavailableError."""
        return (await self.pipe([command]))[0]

    async def pipe(self, commands: Sequence[Command]) -> list[Any]:
        """Several commands in one round trip, not atomic. Raises UnavailableError if any of them failed.

        After a function that the server did not know, that command and all after it are sent again: put only commands that may
        be repeated behind a function.
        """
        answers = await self._send(commands)
        first = next((i for i, answer in enumerate(answers) if isinstance(answer, exceptions.NoScriptError)), None)
        if first is not None:
            wanted = {command[1] for command in commands if command[0] == "EVALSHA"}
            loads: list[Command] = [("SCRIPT LOAD", item.text) for item in _known() if item.sha in wanted]
            again = await self._send([*loads, *commands[first:]])
            answers = [*answers[:first], *again[len(loads) :]]
        for answer in answers:
            if isinstance(answer, Exception):
                raise self._unavailable(answer)
        return answers

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        try:
            async with asyncio.timeout(self._wait_s):
                async with self._redis.pipeline(transaction=False) as pipeline:
                    for command in commands:
                        pipeline.execute_command(*command)
                    answers: list[Any] = await pipeline.execute(raise_on_error=False)
                    return answers
        except (exceptions.RedisError, OSError, TimeoutError) as error:
            raise self._unavailable(error) from error

    async def block(self, command: Command, block_ms: int) -> Any:
        """One command that waits on the server for up to `block_ms`, on a connection of its own. Raises UnavailableError."""
        try:
            async with asyncio.timeout(block_ms / 1000 + self._wait_s):
                return await self._waiting.execute_command(*command)
        except (exceptions.RedisError, OSError, TimeoutError) as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> UnavailableError:
        if isinstance(error, exceptions.ResponseError):
            # The server is there and says no: out of memory, read only, still loading, or a fault of ours. Worth a line.
            log.error("the store refused a command", extra={"where": self._where, "detail": str(error)})
        return UnavailableError(f"the store at {self._where} is away ({type(error).__name__}: {error}); it is tried again")

    async def close(self) -> None:
        for redis in (self._redis, self._waiting):
            await redis.aclose()
        for pool in (self._pool, self._waiting_pool):
            await pool.disconnect()


@cache
def _known() -> list[Script]:
    folder = files("gameedge.state").joinpath("functions")
    return [script(entry.name.removesuffix(".lua")) for entry in folder.iterdir() if entry.name.endswith(".lua")]
