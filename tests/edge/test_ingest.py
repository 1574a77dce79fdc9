"""Tickets gathered for one call: everybody hears of its own, nobody waits for others longer than a call."""

import asyncio
from collections.abc import Sequence

import pytest

from gameedge.core.errors import Reason, RefusedError, UnavailableError
from gameedge.core.ids import EdgeId, PlayerId, SessionId, TicketId
from gameedge.edge import ingest
from gameedge.edge.ingest import Ingest
from gameedge.state.base import Ticket
from gameedge.state.memory import MemoryRegionStore


def ticket(number: int, player: int | None = None, mode: str = "duel") -> Ticket:
    return Ticket(
        id=TicketId(f"t_{number}"),
        player=PlayerId(f"p_{number if player is None else player}"),
        session=SessionId(f"s_{number}"),
        edge=EdgeId("e0"),
        mode=mode,
        created_ms=number,
    )


class SlowStore(MemoryRegionStore):
    """Answers when the test says so, and remembers the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[str]] = []
        self.go = asyncio.Semaphore(0)

    async def tickets_add(self, mode: str, tickets: Sequence[Ticket], pool_max: int) -> list[Reason | None]:
        self.calls.append([asked.id for asked in tickets])
        await self.go.acquire()
        return await super().tickets_add(mode, tickets, pool_max)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_comes_during_a_call_goes_with_the_next() -> None:
    store = SlowStore()
    door = Ingest(store)
    asking = [asyncio.create_task(door.add(ticket(number))) for number in range(5)]
    other = asyncio.create_task(door.add(ticket(7, mode="squads")))
    await settle()
    assert store.calls == [["t_0"], ["t_7"]], "a mode does not wait for another"
    store.go.release()
    store.go.release()
    await settle()
    assert asking[0].done()
    assert other.done()
    assert store.calls[2] == ["t_1", "t_2", "t_3", "t_4"]
    store.go.release()
    await asyncio.gather(*asking)
    late = asyncio.create_task(door.add(ticket(9)))
    await settle()
    assert store.calls[3] == ["t_9"]
    store.go.release()
    await late
    assert len(await store.tickets("duel")) == 6


async def test_each_hears_of_its_own() -> None:
    door = Ingest(MemoryRegionStore(), pool_max=3)
    said = await asyncio.gather(*(door.add(asked) for asked in (ticket(1), ticket(2, player=1), ticket(3), ticket(4), ticket(5))),
                                return_exceptions=True)  # fmt: skip
    reasons = [answer.reason if isinstance(answer, RefusedError) else None for answer in said]
    assert reasons == [None, Reason.ALREADY_QUEUED, None, None, Reason.POOL_FULL]
    full = said[-1]
    assert isinstance(full, RefusedError)
    assert full.retry_after_ms


async def test_a_store_that_is_away_is_heard_by_all_and_over_by_itself() -> None:
    store = MemoryRegionStore()
    door = Ingest(store)
    store.available = False
    said = await asyncio.gather(*(door.add(ticket(number)) for number in range(4)), return_exceptions=True)
    assert all(isinstance(answer, UnavailableError) for answer in said)
    store.available = True
    await asyncio.gather(*(door.add(ticket(number)) for number in range(4)))
    assert len(await store.tickets("duel")) == 4


async def test_who_went_away_while_waiting_is_not_queued_and_holds_nobody_up() -> None:
    store = SlowStore()
    door = Ingest(store)
    asking = [asyncio.create_task(door.add(ticket(number))) for number in range(4)]
    await settle()
    asking[1].cancel()
    await settle()
    store.go.release()
    store.go.release()
    await asyncio.gather(asking[0], asking[2], asking[3])
    assert store.calls == [["t_0"], ["t_2", "t_3"]]
    # Whoever makes the call for others is cancelled: they are told, and the next ones go on.
    store.calls.clear()
    asking = [asyncio.create_task(door.add(ticket(number))) for number in (10, 11, 12)]
    await settle()
    asking[0].cancel()
    await settle()
    store.go.release()
    await asyncio.gather(asking[1], asking[2])
    assert store.calls == [["t_10"], ["t_11", "t_12"]]


async def test_too_many_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "WAITING_MAX", 2)
    store = SlowStore()
    door = Ingest(store)
    asking = [asyncio.create_task(door.add(ticket(number))) for number in range(3)]
    await settle()
    with pytest.raises(RefusedError) as caught:
        await door.add(ticket(9))
    assert caught.value.reason is Reason.UNAVAILABLE
    for _ in asking:
        store.go.release()
    await asyncio.gather(*asking)
