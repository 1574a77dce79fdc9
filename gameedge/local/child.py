"""A child process with an owner: started until ready, stopped in order, and never left behind.

Each child leads its own session, so a Ctrl-C at the terminal reaches only the parent, which stops its children in the order
that loses nothing. Where the parent is killed outright, the kernel (Linux: PR_SET_PDEATHSIG) or a guard process (elsewhere)
kills them.
"""

import asyncio
import contextlib
import ctypes
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from gameedge.core.errors import GameEdgeError

LINE_BYTES_MAX: Final = 4 * 1024 * 1024  # of a child's stdout; a longer line is dropped
TAIL_LINES: Final = 12
POLL_S: Final = 0.02
STOP_S: Final = 5.0
_PR_SET_PDEATHSIG: Final = 1
_KERNEL_DOES_IT: Final[bool] = platform.system() == "Linux"

Probe = Callable[[], Awaitable[bool]]
"""Whether a child is ready. May raise OSError: not yet."""


class ChildError(GameEdgeError):
    """A child that did not start or died; the message has its last log lines."""


class ChildProcess:
    """One child. `on_line` hears each line of its stdout; without it stdout goes to the log, as stderr always does."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        probe: Probe | None = None,
        ready_s: float = 15.0,
        on_line: Callable[[bytes], None] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.argv = list(argv)
        self.log = log
        self.starts = 0
        self._probe = probe
        self._ready_s = ready_s
        self._on_line = on_line
        self._env = dict(env) if env is not None else None
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """Of the present or last run; 0 before the first."""
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def returncode(self) -> int | None:
        return self._process.returncode if self._process else None

    async def start(self) -> None:
        """Start and wait until ready. Raises ChildError with the last log lines; nothing is left running then."""
        if self.alive:
            return
        await self._finish_reader()
        guard = _guard()
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            file = self.log.open("ab")
        except OSError as error:
            text = f"{self.name}: its log {self.log} cannot be written ({error.strerror}); make room, or use another folder"
            raise ChildError(text) from error
        with file as log:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE if self._on_line else log,
                    stderr=log,
                    env=self._env,
                    start_new_session=True,
                    preexec_fn=_die_with(os.getpid()) if guard is None else None,
                    limit=LINE_BYTES_MAX,
                )
            except OSError as error:
                raise ChildError(f"{self.name}: {self.argv[0]} cannot be started ({error.strerror})") from error
        if guard is not None:
            guard.watch(self._process.pid)
        self.starts += 1
        if self._on_line:
            self._reader = asyncio.create_task(self._read(self._process), name=f"stdout of {self.name}")
        try:
            await self._ready()
        except BaseException:
            await self.kill()
            raise

    async def _ready(self) -> None:
        deadline = time.monotonic() + self._ready_s
        while self._probe is not None:
            if not self.alive:
                raise ChildError(f"{self.name} exited with {self.returncode} while starting{self._tail_text()}")
            with contextlib.suppress(OSError, TimeoutError, EOFError):
                if await asyncio.wait_for(self._probe(), 1.0):
                    return
            if time.monotonic() > deadline:
                raise ChildError(f"{self.name} was not ready after {self._ready_s:.0f} s{self._tail_text()}")
            await asyncio.sleep(POLL_S)

    async def wait(self) -> int:
        """Until it ends; its exit status (negative: the signal)."""
        assert self._process is not None, f"{self.name} was never started"
        status = await self._process.wait()
        await self._finish_reader()
        return status

    async def stop(self, grace_s: float = STOP_S) -> int | None:
        """SIGTERM, and SIGKILL after `grace_s`. None: it was never started."""
        if self._process is None:
            return None
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), grace_s)
        return await self.kill()

    async def kill(self) -> int | None:
        """SIGKILL to it and everything that it started."""
        if self._process is None:
            return None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        status = await self.wait()
        if (guard := _guard()) is not None:
            guard.forget(self._process.pid)
        return status

    async def restart(self) -> None:
        """The same command again; a child that still runs is killed."""
        await self.kill()
        await self.start()

    def tail(self, lines: int = TAIL_LINES) -> list[str]:
        """The last lines of its log."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 16_384))
                return file.read().decode("utf-8", "replace").splitlines()[-lines:]
        except OSError:
            return []

    def _tail_text(self) -> str:
        lines = self.tail()
        return f"; last lines of {self.log}:\n  " + "\n  ".join(lines) if lines else f"; its log {self.log} is empty"

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        assert self._on_line is not None
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # over LINE_BYTES_MAX: asyncio has dropped it
                continue
            if not line:
                return
            self._on_line(line)

    async def _finish_reader(self) -> None:
        if self._reader is not None:
            reader, self._reader = self._reader, None
            with contextlib.suppress(TimeoutError):  # a grandchild may hold the pipe open
                await asyncio.wait_for(reader, 1.0)


class Guard:
    """Kills process groups once this process is gone: a small child that reads ids from a pipe until the pipe closes."""

    _CODE: Final = (
        "import os,signal,sys\n"
        "pids=set()\n"
        "for line in sys.stdin:\n"
        "    (pids.add if line[0]=='+' else pids.discard)(int(line[1:]))\n"
        "for pid in pids:\n"
        "    try: os.killpg(pid,signal.SIGKILL)\n"
        "    except OSError: pass\n"
    )

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", self._CODE], stdin=subprocess.PIPE, start_new_session=True, text=True, bufsize=1
        )

    def watch(self, pid: int) -> None:
        self._say(f"+{pid}\n")

    def forget(self, pid: int) -> None:
        self._say(f"-{pid}\n")

    def close(self) -> None:
        """What is still watched is killed."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait(STOP_S)

    def _say(self, text: str) -> None:
        assert self._child.stdin is not None
        with contextlib.suppress(OSError):  # the guard itself was killed: children are still stopped in order
            self._child.stdin.write(text)


_the_guard: Guard | None = None


def _guard() -> Guard | None:
    """One a process, where the kernel does not do it."""
    global _the_guard
    if _KERNEL_DOES_IT:
        return None
    if _the_guard is None:
        _the_guard = Guard()
    return _the_guard


def _die_with(parent: int) -> Callable[[], None]:
    """Runs in the child between fork and exec: ask the kernel for SIGKILL when the parent dies."""
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before we could ask
            os._exit(1)

    return ask


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of loopback now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
        return True
