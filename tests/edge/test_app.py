"""One process as a whole: a fault in one of its parts, and a store that does not answer, are not the end of the others."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from gameedge.core.ids import TicketId
from gameedge.edge import app

from .parts import Bench, FakeConnection, bench, ticket_of


class Pinged(FakeConnection):
    pings = 0

    def send_ping(self, payload: bytes) -> None:
        self.pings += 1


@contextlib.asynccontextmanager
async def running(on: Bench) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(on.edge.run())
    try:
        yield task
    finally:
        on.edge.stop()
        await asyncio.wait_for(task, 60)


async def until(happens: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not happens():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("part", ["report", "matcher", "checkpoints"])
async def test_a_part_that_fails_begins_anew_and_the_others_go_on(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "PART_AGAIN_S", 0.01)
    async with bench() as on:
        edge, lives = on.edge, 0

        async def breaks_once() -> None:
            nonlocal lives
            lives += 1
            if lives == 1:
                raise RuntimeError("broken")
            await asyncio.Event().wait()

        owner, method = {
            "report": (edge.reports, "report"), "matcher": (edge.matcher, "run"), "checkpoints": (edge.checkpoints, "run"),
        }[part]  # fmt: skip
        monkeypatch.setattr(owner, method, breaks_once)
        async with running(on) as process:
            await until(lambda: lives == 2)
            ticks = edge.tick.tick
            await until(lambda: edge.tick.tick > ticks + 5)
            assert not process.done()
            assert edge.metrics.value("errors_total", where=part) == 1


async def test_a_store_that_does_not_answer_delays_nobodys_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench() as on:
        connection, _, ada = on.connect("ada", Pinged())
        assert isinstance(connection, Pinged)
        ada.ticket, ada.mode = ticket_of(ada).id, "duel"

        async def never(mode: str, tickets: Sequence[TicketId]) -> tuple[int, set[TicketId]]:
            await asyncio.Event().wait()
            raise AssertionError

        monkeypatch.setattr(on.store, "tickets_there", never)
        async with running(on):
            await until(lambda: connection.pings >= 3)
