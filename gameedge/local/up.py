"""`gameedge up`: start everything, show it, stop it, say what was measured."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
from rich.console import Console
from rich.live import Live

from gameedge import __version__
from gameedge.admin import found
from gameedge.coordinator.schemas.world import Status, Verdicts
from gameedge.core import limits
from gameedge.core.errors import ConfigError
from gameedge.local import summary, view
from gameedge.local.child import ChildError
from gameedge.local.deployment import Deployment, Plan, check_plan, own_folder
from gameedge.local.picture import Picture, Spread
from gameedge.local.scaler import Scaler

POLL_S: Final = 0.5
PLAIN_S: Final = 5.0  # between lines where there is no terminal
WORD_S: Final = 1.0
SETTLED_S: Final = 20.0  # the bots' first line comes within this time, or play is counted without it


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for, beside the plan."""

    plan: Plan
    for_s: float | None = None
    summary: Path | None = None
    data: Path | None = None
    plain: bool = False


async def run(options: Options) -> int:
    """Exit status: 0 when nothing went wrong, 1 when something did, 130 when it was cut short. Raises ConfigError."""
    check_plan(options.plan)
    folder = options.data or Path(tempfile.mkdtemp(prefix="gameedge-"))
    try:
        with own_folder(folder):
            session = Session(options, folder)
            status = await session.run()
    except ConfigError:
        if options.data is None:
            shutil.rmtree(folder, ignore_errors=True)  # nothing in it is of use: the error says all
        raise
    if options.data is None:
        if not session.picture.errors:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            session.console.print(f"logs and data are in {folder}", highlight=False, soft_wrap=True)
    return status


class Session:
    """One run."""

    def __init__(self, options: Options, folder: Path) -> None:
        self.options = options
        self.console = Console(highlight=False)
        self.picture = Picture()
        self.deployment = Deployment(options.plan, folder, self, self.picture.hear_bots)
        plan = options.plan
        self._scaler = Scaler(self.deployment, least=plan.edges_per_region, most=plan.processes_max) if plan.processes_max else None
        self._live = not options.plain and self.console.is_terminal
        self._began_s = time.monotonic()
        self._began_unix_ms = time.time_ns() // 1_000_000
        self._play_s: float | None = None
        self._played_until_s: float | None = None
        self._lateness = Spread()
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._showing: Live | None = None

    # -- Teller

    def say(self, text: str) -> None:
        """A step: printed, or shown in the view while that is on."""
        if self._showing is not None:
            self.picture.note(text)
        else:
            self.console.print(f"{time.monotonic() - self._began_s:6.1f} s  {text}", soft_wrap=True, markup=False)

    def fault(self, text: str) -> None:
        self.picture.fault(text)
        if self._showing is None:
            self.console.print(f"{time.monotonic() - self._began_s:6.1f} s  error: {text}", soft_wrap=True, markup=False)

    # -- the run

    async def run(self) -> int:
        with self._signals():
            started_s = 0.0
            try:
                if not await self._unless_stopped(self._start()):
                    return 130
                started_s = time.monotonic() - self._began_s
                await self._play()
            except ChildError as error:
                self.fault(str(error))
            finally:
                await self._end()
        played_s = self._played_s()
        built = summary.build(
            self.picture,
            self.options.plan,
            started_s=started_s,
            played_s=played_s,
            outbox_left=self.deployment.outbox_left,
            lateness=self._lateness,
        )
        if self.options.summary is not None:
            summary.write(self.options.summary, built)
        self._say_summary(built)
        return 1 if self.picture.errors else 0

    async def _start(self) -> None:
        plan = self.options.plan
        self.say(f"starting {plan.regions} regions, {plan.regions * plan.edges_per_region} edges, {plan.bots} bots")
        await self.deployment.start()
        self.say(f"play and watch in a browser: {self.deployment.url}/")
        self.say(f"dashboard: {self.deployment.url}/dashboard  operator token: {self.deployment.operator_token}")
        self.say("in another terminal: gameedge admin status, gameedge admin tail, gameedge admin doctor (they find this deployment)")
        self.say(f"from elsewhere: export GAMEEDGE_URL={self.deployment.url} GAMEEDGE_TOKEN={self.deployment.operator_token}")
        if plan.bots:
            await self.deployment.start_bots()
            self.say(f"{plan.bots} bots are coming")

    async def _play(self) -> None:
        with found.left_word(self._word()) as say:
            await self._play_on(say)

    def _word(self) -> found.Running:
        """Where everything is, for `gameedge admin` on this machine."""
        made = self.deployment
        return found.Running(
            pid=os.getpid(),
            started_ms=self._began_unix_ms,
            folder=str(made.folder),
            url=made.url,
            token=made.operator_token,
            version=__version__,
            parts=made.parts(),
        )

    async def _keep_word(self, say: Callable[[found.Running], None]) -> None:
        """Said anew where a child was started again."""
        said = None
        while True:
            word = self._word()
            if word != said:
                say(word)
                said = word
            await asyncio.sleep(WORD_S)

    async def _play_on(self, say: Callable[[found.Running], None]) -> None:
        async with self._client() as client, asyncio.TaskGroup() as group:
            jobs = [
                group.create_task(self._keep_word(say), name="word"),
                group.create_task(self._poll(client), name="poll"),
                group.create_task(self._show(), name="show"),
                group.create_task(self._count(), name="count"),
            ]
            if self._scaler is not None:
                jobs.append(group.create_task(self._scaler.run(), name="scaler"))
            await self._stop.wait()
            await self._ask(client)  # the last look before anything is taken down
            self._lateness = Spread(*self.picture.lateness())
            self._played_until_s = time.monotonic()
            for job in jobs:
                job.cancel()

    async def _end(self) -> None:
        """In order; at once where Ctrl-C came twice. What edges say while they drain is still heard."""
        stop = asyncio.create_task(self.deployment.stop(), name="stop")
        hurry = asyncio.create_task(self._hurry.wait(), name="hurry")
        async with self._client() as client:
            poll = asyncio.create_task(self._poll(client), name="poll")
            await asyncio.wait([stop, hurry], return_when=asyncio.FIRST_COMPLETED)
            ending = [poll, hurry]
            if not stop.done():
                ending.append(stop)
                await self.deployment.kill()
            for task in ending:
                task.cancel()
            await asyncio.gather(poll, hurry, stop, return_exceptions=True)

    async def _count(self) -> None:
        """Play is counted from the bots' first line, and lasts `for_s`."""
        deadline = time.monotonic() + SETTLED_S
        while self.options.plan.bots and self.picture.bots is None and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        self._play_s = time.monotonic()
        if self.options.for_s is not None:
            await asyncio.sleep(self.options.for_s)
            self._stop.set()

    def _played_s(self) -> float:
        if self._play_s is None:
            return 0.0
        return (self._played_until_s or time.monotonic()) - self._play_s

    # -- what is known

    @contextlib.asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        headers = {"authorization": f"Bearer {self.deployment.operator_token}"}
        # trust_env off: a proxy of the environment has no business between us and loopback
        async with httpx.AsyncClient(headers=headers, timeout=5.0, trust_env=False) as client:
            yield client

    async def _poll(self, client: httpx.AsyncClient) -> None:
        while True:
            await self._ask(client)
            await asyncio.sleep(POLL_S)

    async def _ask(self, client: httpx.AsyncClient) -> None:
        url = self.deployment.url
        if not url:
            return
        try:
            status = await client.get(f"{url}/v1/admin/status")
            status.raise_for_status()
            heard = msgspec.json.decode(status.content, type=Status)
            self.picture.hear_status(heard, time.monotonic())
            if self._scaler is not None:
                self._scaler.hear({region.region: region.processes_desired for region in heard.regions})
            verdicts = await client.get(f"{url}/v1/admin/verdicts", params={"limit": limits.VERDICTS_MAX})
            verdicts.raise_for_status()
            self.picture.hear_verdicts(msgspec.json.decode(verdicts.content, type=Verdicts).verdicts)
        except (httpx.HTTPError, msgspec.DecodeError) as error:  # it may be restarting: its watcher counts that
            self.picture.api_error = f"coordinator: {type(error).__name__} {error}"

    # -- what is shown

    async def _show(self) -> None:
        urls = {"players and API": self.deployment.url}
        urls |= {"dashboard": f"{self.deployment.url}/dashboard", "operator token": self.deployment.operator_token}
        if not self._live:
            while True:
                await asyncio.sleep(PLAIN_S)
                self.console.print(view.line(self.picture, self._played_s()), soft_wrap=True, markup=False)
        with Live(console=self.console, auto_refresh=False, transient=True) as live:
            self._showing = live
            try:
                while True:
                    live.update(view.screen(self.picture, urls, self._played_s()), refresh=True)
                    await asyncio.sleep(POLL_S)
            finally:
                self._showing = None

    def _say_summary(self, built: dict[str, Any]) -> None:
        for detail in built["error_details"][:5]:
            self.console.print(f"  {detail}", soft_wrap=True, markup=False)
        for line in view.closing(built):
            self.console.print(line, soft_wrap=True, markup=False)
        if self.options.summary is not None:
            self.console.print(f"wrote {self.options.summary}", soft_wrap=True, markup=False)

    # -- signals

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """First: stop in order. Second: at once."""
        loop = asyncio.get_running_loop()

        def heard() -> None:
            if self._stop.is_set():
                self._hurry.set()
            self._stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, heard)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def _unless_stopped(self, job: Coroutine[Any, Any, None]) -> bool:
        """Run it; False where it was cut short."""
        task = asyncio.ensure_future(job)
        stopped = asyncio.create_task(self._stop.wait(), name="stopped")
        await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if task.done():
            task.result()
            return True
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return False


def main(options: Options) -> int:
    """Exit status."""
    if sys.platform == "win32":
        sys.exit("gameedge up needs a POSIX system (Linux or macOS); on Windows use WSL")
    return asyncio.run(run(options))
