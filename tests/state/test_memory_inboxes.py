"""Inboxes of the twin in memory are forgotten, as those of a server are: nothing adds up in a process that runs for months."""

import asyncio

from gameedge.core import limits
from gameedge.core.ids import EdgeId
from gameedge.state.base import InboxEvent
from gameedge.state.memory import MemoryRegionStore


async def test_names_that_are_used_once_are_not_kept() -> None:
    store = MemoryRegionStore()
    for number in range(20):  # as whoever asks a process something names an inbox for the answer
        name = EdgeId(f"ask-{number}")
        reader = asyncio.create_task(store.inbox_read(name, 10_000))
        await asyncio.sleep(0)
        await store.inbox_post(name, [InboxEvent(kind="explained")])
        assert [event.kind for event in await asyncio.wait_for(reader, 5)] == ["explained"]
        assert await store.inbox_read(name, 1) == []
    assert len(store._inboxes) == 0


async def test_what_nobody_reads_goes_with_its_time() -> None:
    now_ms = 0.0
    store = MemoryRegionStore(clock_ms=lambda: now_ms)
    for number in range(20):
        await store.inbox_post(EdgeId(f"gone-{number}"), [InboxEvent(kind="found")])
    now_ms = limits.INBOX_LIFE_MS + 1.0
    await store.inbox_post(EdgeId("lives"), [InboxEvent(kind="found")])
    assert list(store._inboxes) == ["lives"]


async def test_a_second_look_takes_nobodys_bell_away() -> None:
    store = MemoryRegionStore()
    name = EdgeId("edge-a")
    reader = asyncio.create_task(store.inbox_read(name, 10_000))
    await asyncio.sleep(0)
    assert await store.inbox_read(name, 0) == []  # as whoever takes a process for dead looks into its inbox
    await store.inbox_post(name, [InboxEvent(kind="found")])
    assert [event.kind for event in await asyncio.wait_for(reader, 5)] == ["found"]
