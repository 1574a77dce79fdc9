"""What every region store does with results that the coordinator has not acknowledged."""

import pytest

from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import MatchId
from gameedge.state.base import RegionStore
from tests.contract.stores import KINDS, MAX, MODE, empty, match, region_store, result, ticket


class TestOutbox:
    async def finish(self, store: RegionStore, number: int, mode: str = MODE) -> None:
        await store.ticket_add(ticket(number, mode=mode), MAX)
        await store.claim(match(f"m_{number}", ticket(number, mode=mode), mode=mode), "")
        assert await store.match_close(mode, MatchId(f"m_{number}"), result(f"m_{number}", mode=mode))

    async def test_read_from_and_ack(self, store: RegionStore) -> None:
        for number in range(6):
            await self.finish(store, number, ("duel", "squads")[number % 2])
        every = await store.outbox_read("", 100)
        assert {entry.result.match for entry in every} == {f"m_{n}" for n in range(6)}
        assert all(len(entry.at) <= 64 for entry in every)
        assert await store.outbox_read("", 2) == every[:2]
        assert await store.outbox_read(every[2].at, 100) == every[3:]
        paged, after = [], ""
        while page := await store.outbox_read(after, 2):
            paged += page
            after = page[-1].at
        assert paged == every
        await store.outbox_ack([every[0].at, every[3].at])
        await store.outbox_ack([every[0].at])
        assert await store.outbox_size() == 4
        assert await store.outbox_read("", 100) == [every[i] for i in (1, 2, 4, 5)]

    async def test_strange_acks_are_ignored(self, store: RegionStore) -> None:
        await self.finish(store, 1)
        await store.outbox_ack(["", "x", "1-1", "1-1@no-such-mode", "9" * 64, "1-1@{duel}:tickets", "-@duel", "٣-٣@duel"])
        assert await store.outbox_size() == 1

    async def test_oldest_first_within_a_mode(self, store: RegionStore) -> None:
        for number in range(20):
            await self.finish(store, number)
        assert [entry.result.match for entry in await store.outbox_read("", 100)] == [f"m_{n}" for n in range(20)]


@pytest.mark.parametrize("kind", KINDS)
async def test_open_matches_reserve_their_place_in_the_outbox(kind: str, servers: dict[str, str]) -> None:
    empty(servers[kind])
    async with region_store(servers[kind], outbox_max=2) as store:
        for number in (1, 2, 3):
            await store.ticket_add(ticket(number), MAX)
        for number in (1, 2):
            await store.claim(match(f"m_{number}", ticket(number)), "")
        assert await store.match_close(MODE, MatchId("m_1"), result("m_1"))
        with pytest.raises(RefusedError) as caught:
            await store.claim(match("m_3", ticket(3)), "")
        assert caught.value.reason is Reason.SERVER_FULL
        assert await store.match_close(MODE, MatchId("m_2"), result("m_2"))  # a result is never refused
        await store.outbox_ack([entry.at for entry in await store.outbox_read("", 1)])
        assert await store.claim(match("m_3", ticket(3)), "") == []
