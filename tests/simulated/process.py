"""Processes of a simulated world, which may be killed at any moment and started again."""

import asyncio
import contextlib
from abc import ABC, abstractmethod

from gameedge.edge.app import Edge

from .wire import Wire


class SimProcess(ABC):
    """Runs `_live` as a task until it is killed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def _live(self) -> None: ...

    def start(self) -> None:
        self._task = asyncio.create_task(self._live(), name=self.name)

    async def kill(self) -> None:
        """As `kill -9`: tasks are gone, the store is left as it is."""
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(BaseException):
            await self._task


class SimEdgeProcess(SimProcess):
    """One with an `Edge`, which `_live` sets once it runs."""

    def __init__(self, name: str, url: str) -> None:
        super().__init__(name)
        self.url = url
        self.wires: list[Wire] = []
        self.edge: Edge | None = None

    @property
    def alive(self) -> bool:
        return self.edge is not None and self._task is not None and not self._task.done()

    async def kill(self) -> None:
        """As `kill -9`: sockets are reset, too."""
        self.edge = None
        for wire in self.wires:
            wire.cut()
        self.wires.clear()
        await super().kill()

    async def drain(self) -> None:
        assert self.edge is not None
        assert self._task is not None
        self.edge.stop()
        await self._task
        self.edge = None

    def connect(self, wire: Wire) -> bool:
        if self.edge is None:
            return False
        link = self.edge.lobby.accept(wire)
        if link is None:
            return False
        wire.attach(link)
        self.wires.append(wire)
        return True
