"""The one place that speaks to Redis (or Valkey): server-side functions and errors; `redis_links.py` has the connections.

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

from gameedge.core import limits
from gameedge.core.errors import UnavailableError
from gameedge.state.redis_links import CONNECTIONS_MAX, Links, exceptions
from gameedge.state.redis_urls import parse

Argument = str | bytes | int
Command = tuple[Argument, ...]
_USES: Final = "-- uses: "
# What a call may end with that is not ours. The last two are the client library's, about answers that are no Redis server's.
_FAULTS: Final = (exceptions.RedisError, OSError, TimeoutError, ValueError, RecursionError)

log = logging.getLogger(__name__)


def _text(name: str) -> str:
    return files("gameedge.state").joinpath("functions", f"{name}.lua").read_text("utf-8")


class Script:
    """A server-side function."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = _text(name)
        if self.text.startswith(_USES):  # a part that several functions share stands before them
            shared, _, rest = self.text.removeprefix(_USES).partition("\n")
            self.text = f"{_text(f'_{shared}')}{rest}"
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: Sequence[str], *arguments: Argument) -> Command:
        """The command that runs it."""
        return ("EVALSHA", self.sha, len(keys), *keys, *arguments)


@cache
def script(name: str) -> Script:
    return Script(name)


class RedisClient:
    """Where the URL says, reached through a few connections (`redis_urls.py` for its forms)."""

    def __init__(self, url: str, *, wait_ms: int = limits.STORE_WAIT_MS_MAX) -> None:
        self._wait_s = wait_ms / 1000
        place = parse(url)
        self._where = str(place)  # without a password
        self._links = Links(place, self._wait_s)
        self._room = asyncio.Semaphore(CONNECTIONS_MAX)
        self.secure = place.tls

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
            texts = {item.sha: item.text for item in _known()}
            again = [("EVAL", texts[str(c[1])], *c[2:]) if c[0] == "EVALSHA" else c for c in commands[first:]]
            answers = [*answers[:first], *await self._send(again)]
        for answer in answers:
            if isinstance(answer, Exception):
                raise self._unavailable(answer)
        return answers

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        try:
            async with asyncio.timeout(self._wait_s), self._room, self._links.calls.pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                answers: list[Any] = await pipeline.execute(raise_on_error=False)
                return answers
        except _FAULTS as error:
            raise self._unavailable(error) from error

    async def block(self, command: Command, block_ms: int) -> Any:
        """One command that waits on the server for up to `block_ms`, on a connection of its own. Raises UnavailableError."""
        try:
            async with asyncio.timeout(block_ms / 1000 + self._wait_s):
                return await self._links.waits.execute_command(*command)
        except _FAULTS as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> UnavailableError:
        if isinstance(error, exceptions.ResponseError):
            # The server is there and says no: out of memory, read only, still loading, or a fault of ours. Worth a line.
            log.error("the store refused a command", extra={"where": self._where, "detail": str(error)})
        return UnavailableError(f"the store at {self._where} is away ({type(error).__name__}: {error}); it is tried again")

    async def close(self) -> None:
        await self._links.close()


@cache
def _known() -> list[Script]:
    folder = files("gameedge.state").joinpath("functions")
    return [script(entry.name.removesuffix(".lua")) for entry in folder.iterdir() if entry.name.endswith(".lua") and entry.name[0] != "_"]
