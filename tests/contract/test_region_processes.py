"""What every region store does for the region's processes: leases, inboxes, and who is alive."""

import asyncio

import pytest

from gameedge.core import limits
from gameedge.core.ids import EdgeId, SessionId
from gameedge.state.base import InboxEvent, RegionStore
from tests.contract.stores import MAX, MODE, A, B, edge_record, match, ticket


class TestLeases:
    async def test_one_holder_and_growing_fences(self, store: RegionStore) -> None:
        fence = await store.lease("matcher-duel", A, 60_000)
        assert fence == 1
        assert await store.lease("matcher-duel", B, 60_000) is None
        assert await store.lease("matcher-duel", A, 60_000) == fence  # renewed
        await store.lease_release("matcher-duel", B)  # not its holder
        assert await store.lease("matcher-duel", B, 60_000) is None
        await store.lease_release("matcher-duel", A)
        assert await store.lease("matcher-duel", B, 60_000) == 2
        assert await store.lease("relay", A, 60_000) == 1

    async def test_expires(self, store: RegionStore) -> None:
        assert await store.lease("relay", A, 20) == 1
        await asyncio.sleep(0.08)
        assert await store.lease("relay", B, 60_000) == 2
        assert await store.lease("relay", A, 60_000) is None


def event(kind: str, number: int = 0) -> InboxEvent:
    return InboxEvent(kind=kind, mode=MODE, session=SessionId(f"s_{number}"))


class TestInboxes:
    async def test_in_order_and_once(self, store: RegionStore) -> None:
        await store.inbox_post(A, [event("found", n) for n in range(5)])
        await store.inbox_post(B, [event("lost")])
        assert [e.session for e in await store.inbox_read(A, 0)] == [f"s_{n}" for n in range(5)]
        assert await store.inbox_read(A, 0) == []
        assert [e.kind for e in await store.inbox_read(B, 1_000)] == ["lost"]
        await store.inbox_post(A, [])

    async def test_reader_wakes_for_a_post(self, store: RegionStore) -> None:
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            reader = group.create_task(store.inbox_read(A, 10_000))
            await asyncio.sleep(0.05)
            await store.inbox_post(A, [event("found")])
        assert [e.kind for e in reader.result()] == ["found"]

    async def test_reader_wakes_for_a_claim_in_a_new_mode(self, store: RegionStore) -> None:
        await store.inbox_read(B, 0)
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            reader = group.create_task(store.inbox_read(B, 10_000))
            await asyncio.sleep(0.05)
            await store.ticket_add(ticket(1, mode="brand-new"), MAX)
            await store.claim(match("m_1", ticket(1, mode="brand-new"), mode="brand-new"), "")
        assert [e.kind for e in reader.result()] == ["host"]

    async def test_wait_ends(self, store: RegionStore) -> None:
        assert await store.inbox_read(A, 20) == []

    async def test_cancelled_reader_leaves_the_store_usable(self, store: RegionStore) -> None:
        reader = asyncio.create_task(store.inbox_read(A, 10_000))
        await asyncio.sleep(0.05)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await store.inbox_post(A, [event("found")])
        assert [e.kind for e in await store.inbox_read(A, 1_000)] == ["found"]

    async def test_takes_a_bounded_number(self, store: RegionStore) -> None:
        await store.inbox_post(A, [event("found", n) for n in range(limits.INBOX_READ_MAX + 10)])
        first, second = await store.inbox_read(A, 0), await store.inbox_read(A, 0)
        assert (len(first), len(second)) == (limits.INBOX_READ_MAX, 10)
        assert [e.session for e in first + second] == [f"s_{n}" for n in range(limits.INBOX_READ_MAX + 10)]

    async def test_drops_oldest_when_full(self, store: RegionStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "INBOX_EVENTS_MAX", 3)
        await store.inbox_post(EdgeId("edge-full"), [event("found", n) for n in range(5)])
        assert [e.session for e in await store.inbox_read(EdgeId("edge-full"), 0)] == ["s_2", "s_3", "s_4"]


class TestEdges:
    async def test_beat_expire_forget(self, store: RegionStore) -> None:
        await store.edge_beat(edge_record(B, players=3), 60_000)
        await store.edge_beat(edge_record(A), 60_000)
        await store.edge_beat(edge_record(B, players=4, lateness_ms_p99=1.5), 60_000)
        await store.edge_beat(edge_record(EdgeId("edge-c")), 20)
        await asyncio.sleep(0.08)
        assert await store.edges() == [edge_record(A), edge_record(B, players=4, lateness_ms_p99=1.5)]
        await store.edge_forget(A)
        await store.edge_forget(A)
        assert [record.edge for record in await store.edges()] == [B]


async def test_ages_of_beats(store: RegionStore) -> None:
    assert await store.edge_ages() == {}
    await store.edge_beat(edge_record(A), limits.EDGE_DEAD_MS)
    await asyncio.sleep(0.1)
    assert 90 <= (await store.edge_ages())[A] < 1_500


async def test_ping(store: RegionStore) -> None:
    assert await store.ping() >= 0.0
