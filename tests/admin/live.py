"""A small real deployment in a thread of its own, and the admin command run against it as operators run it."""

import asyncio
import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from typer.testing import CliRunner, Result

from gameedge.admin.cli import app
from gameedge_client import Client, Session
from tests.end_to_end.processes import OPERATOR, REGION, ROOT, STEP, Deployed, deployed

T = TypeVar("T")
PATHS = os.pathsep.join((str(ROOT), str(ROOT / "clients" / "python")))


@dataclass
class Playing:
    """Somebody who plays one match after the other, and what became of it."""

    client: Client
    session: Session | None = None
    match: str = ""
    ended: list[Any] = field(default_factory=list)
    gone: Exception | None = None

    @property
    def player(self) -> str:
        return str(self.client.account.player)

    async def live(self, token: str, edges: list[str], mode: str) -> None:
        try:
            async with Session(token, edges, client="test") as session:
                self.session = session
                while True:
                    match = await session.join(await session.queue(mode))
                    self.match = match.info.match
                    async for _ in match:
                        match.command((STEP, STEP, STEP))
                    self.match = ""
                    self.ended.append(match.result)
        except Exception as error:
            self.gone = error


class Following:
    """A command that goes on: its lines as they come, each within a time; killed at the end of the context."""

    def __init__(self, argv: list[str], env: dict[str, str]) -> None:
        self.process = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def line(self, seconds: float = 30.0) -> Any:
        """The next line as JSON; None: it has ended."""
        line = self._lines.get(timeout=seconds)
        return None if line is None else json.loads(line)

    def rest(self, seconds: float = 30.0) -> list[Any]:
        return list(iter(lambda: self.line(seconds), None))

    def ended(self, seconds: float = 30.0) -> tuple[int, str]:
        """Exit status and what it said on stderr."""
        assert self.process.stderr is not None
        status = self.process.wait(seconds)
        return status, self.process.stderr.read()

    def __enter__(self) -> "Following":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(10)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


class LiveSystem:
    """The deployment runs in its own event loop; tests are plain functions."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self._folder, self._more = folder, more
        self.made: Deployed
        self._loop = asyncio.new_event_loop()
        self._ready: Future[None] = Future()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="live system")
        self._tasks: list[asyncio.Task[None]] = []

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        try:
            async with deployed(self._folder, **self._more) as self.made:
                self._ready.set_result(None)
                await self._stop.wait()
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)
            raise

    def __enter__(self) -> "LiveSystem":
        self._thread.start()
        self._ready.result(120)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)

    def do(self, coroutine: Coroutine[Any, Any, T], seconds: float = 30.0) -> T:
        """Run something in the system's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(seconds)

    # -- people

    def sign_up(self, name: str) -> Client:
        return self.do(Client.guest(self.made.url, name=name))

    def play(self, name: str, mode: str = "duel", region: str = REGION) -> Playing:
        """A guest who queues at once."""

        async def begin() -> Playing:
            client = await Client.guest(self.made.url, name=name)
            placement = await client.place(mode=mode)
            assert placement.region == region
            playing = Playing(client)
            self._tasks.append(asyncio.create_task(playing.live(placement.token, self.made.edge_urls(), mode), name=name))
            return playing

        return self.do(begin())

    # -- the command

    def admin(self, *words: str, token: str = OPERATOR, url: str | None = None, told: str | None = None) -> Result:
        env = {"GAMEEDGE_URL": url or self.made.url, "GAMEEDGE_TOKEN": token, "COLUMNS": "220", "TERM": "dumb"}
        env["GAMEEDGE_RUN"] = str(self._folder / "nothing-here")
        return CliRunner().invoke(app, list(words), env=env, input=told)

    def started(self, *words: str, token: str = OPERATOR, url: str | None = None) -> "Following":
        """A command that goes on, as a process of its own."""
        env = {**os.environ, "GAMEEDGE_URL": url or self.made.url, "GAMEEDGE_TOKEN": token, "PYTHONUNBUFFERED": "1", "PYTHONPATH": PATHS}
        argv = [sys.executable, "-m", "gameedge", "admin", *words]
        return Following(argv, env)

    def heard(self, following: Following) -> None:
        """Until a tail of operators' events hears what happens."""
        for number in range(60):
            self.told("tokens", "issue", f"mark{number}", "viewer")
            try:
                following.line(0.5)
            except queue.Empty:
                continue
            return
        raise AssertionError("it hears nothing")

    def told(self, *words: str, **more: Any) -> Any:
        """What `--json` says of a command that works."""
        result = self.admin(*words, "--json", **more)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@contextlib.contextmanager
def live_system(folder: Path, **more: Any) -> Iterator[LiveSystem]:
    with LiveSystem(folder, **more) as system:
        yield system
