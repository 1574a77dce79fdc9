"""Work that must wait for the store, off the tick: a fixed number of lanes, each in order, each bounded.

Everything about one session goes to the same lane, so its messages are handled in the order they came. A full lane refuses
(the caller tells the client to try later): nothing grows without bound, nothing is fire and forget.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final
from zlib import crc32

from gameedge.core.errors import RefusedError
from gameedge.telemetry import logs

LANES: Final = 8
WAITING_MAX: Final = 1_024  # jobs of one lane; refuse

Job = Callable[[], Awaitable[None]]
log = logs.get(__name__)


class Lanes:
    """Run with `async with asyncio.TaskGroup() as group: lanes.start(group)`; `finish` gives what is queued some time."""

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._queues: list[asyncio.Queue[Job | None]] = [asyncio.Queue(WAITING_MAX) for _ in range(LANES)]
        self._tasks: list[asyncio.Task[None]] = []
        self._failed = failed

    def start(self, group: asyncio.TaskGroup) -> None:
        self._tasks = [group.create_task(self._work(q), name=f"lane-{i}") for i, q in enumerate(self._queues)]

    def submit(self, key: str, job: Job) -> bool:
        """Queue a job behind the earlier ones of `key`. False: the lane is full."""
        try:
            self._queues[crc32(key.encode()) % LANES].put_nowait(job)
        except asyncio.QueueFull:
            return False
        return True

    async def finish(self, timeout_s: float) -> None:
        """Let the lanes do what is queued, then end them; where that takes longer (a store that does not answer) the rest is left."""
        try:
            async with asyncio.timeout(timeout_s):
                for queue in self._queues:
                    await queue.put(None)
                await asyncio.wait(self._tasks)
        except TimeoutError:
            log.warning("jobs_left", count=sum(queue.qsize() for queue in self._queues))
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)

    async def _work(self, queue: asyncio.Queue[Job | None]) -> None:
        while (job := await queue.get()) is not None:
            try:
                await job()
            except RefusedError as error:
                log.debug("job_refused", reason=str(error.reason), detail=error.detail)
            except Exception as error:  # one bad job must not end the lane
                log.fault("job_failed", error)
                self._failed(error)
