"""What every region store does with tickets: pools, many tickets at once, and the feed of a pool's changes."""

import asyncio

import pytest

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import PlayerId, SessionId, TicketId
from gameedge.state.base import RegionStore, Ticket
from tests.contract.stores import MAX, MODE, A, B, match, ticket


class TestTickets:
    async def test_oldest_first_and_cancel_once(self, store: RegionStore) -> None:
        for number in (3, 1, 2):
            await store.ticket_add(ticket(number), MAX)
        assert [t.id for t in await store.tickets(MODE)] == ["t_1", "t_2", "t_3"]
        assert await store.ticket_cancel(MODE, TicketId("t_2"))
        assert not await store.ticket_cancel(MODE, TicketId("t_2"))
        assert [t.id for t in await store.tickets(MODE)] == ["t_1", "t_3"]
        assert await store.tickets("squads") == []

    async def test_all_fields_survive(self, store: RegionStore) -> None:
        asked = ticket(1, name="Zoë", rating=31.25, sigma=3.5, trust=2, party="x", party_size=3)
        await store.ticket_add(asked, MAX)
        assert await store.tickets(MODE) == [asked]

    async def test_one_ticket_a_player_and_idempotent(self, store: RegionStore) -> None:
        await store.ticket_add(ticket(1), MAX)
        version = await store.pool_version(MODE)
        await store.ticket_add(ticket(1), MAX)  # the answer was lost; sent again
        assert await store.pool_version(MODE) == version
        with pytest.raises(RefusedError) as caught:
            await store.ticket_add(ticket(2, player=PlayerId("p_1")), MAX)
        assert caught.value.reason is Reason.ALREADY_QUEUED
        await store.ticket_add(ticket(3, player=PlayerId("p_1"), mode="squads"), MAX)  # another pool
        assert await store.ticket_cancel(MODE, TicketId("t_1"))
        await store.ticket_add(ticket(2, player=PlayerId("p_1")), MAX)

    async def test_a_ticket_that_is_sent_again_after_its_match_was_made_stays_in_that(self, store: RegionStore) -> None:
        await store.ticket_add(ticket(1), MAX)
        record = match("m_1", ticket(1))
        assert await store.claim(record, "") == []
        version = await store.pool_version(MODE)
        await store.ticket_add(ticket(1), MAX)  # the first answer was lost
        assert await store.tickets(MODE) == []
        assert await store.pool_version(MODE) == version
        assert await store.claim(match("m_2", ticket(1)), "") == ["t_1"]
        assert await store.match_close(MODE, record.match, None)
        await store.ticket_add(ticket(1), MAX)
        assert await store.tickets(MODE) == [ticket(1)]

    async def test_a_mode_that_was_only_asked_about_is_none(self, store: RegionStore) -> None:
        await store.tickets("typo")
        await store.matches("typo")
        assert await store.ticket_of_player("typo", PlayerId("p_1")) is None
        assert await store.modes() == []
        await store.ticket_add(ticket(1), MAX)
        assert await store.ticket_cancel(MODE, TicketId("t_1"))
        assert await store.modes() == [MODE]

    async def test_pool_is_bounded(self, store: RegionStore) -> None:
        for number in range(3):
            await store.ticket_add(ticket(number), 3)
        with pytest.raises(RefusedError) as caught:
            await store.ticket_add(ticket(3), 3)
        assert caught.value.reason is Reason.POOL_FULL
        assert await store.ticket_cancel(MODE, TicketId("t_0"))
        await store.ticket_add(ticket(3), 3)

    async def test_move(self, store: RegionStore) -> None:
        await store.ticket_add(ticket(1), MAX)
        assert await store.ticket_move(MODE, TicketId("t_1"), SessionId("s_new"), B)
        [moved] = await store.tickets(MODE)
        assert (moved.session, moved.edge, moved.created_ms) == ("s_new", B, 1_001)
        assert not await store.ticket_move(MODE, TicketId("t_9"), SessionId("s_new"), B)

    async def test_version_grows_with_each_change(self, store: RegionStore) -> None:
        seen = [await store.pool_version(MODE)]

        async def changed() -> None:
            seen.append(await store.pool_version(MODE))
            assert seen[-1] > seen[-2]

        await store.ticket_add(ticket(1), MAX)
        await changed()
        await store.ticket_move(MODE, TicketId("t_1"), SessionId("s_1"), B)
        await changed()
        await store.ticket_cancel(MODE, TicketId("t_1"))
        await changed()
        await store.ticket_add(ticket(2), MAX)
        await changed()
        await store.claim(match("m_1", ticket(2)), "")
        await changed()
        await store.match_unclaim(match("m_1", ticket(2)))
        await changed()
        await store.tickets(MODE)
        await store.ticket_cancel(MODE, TicketId("t_9"))
        assert await store.pool_version(MODE) == seen[-1]

    async def test_tickets_of_edge_gone(self, store: RegionStore) -> None:
        for number, edge in ((1, A), (2, B), (3, B)):
            await store.ticket_add(ticket(number, edge=edge), MAX)
        assert await store.tickets_of_edge_gone(MODE, [A], 10_000, 5_000) == []  # B is missed from here
        assert await store.tickets_of_edge_gone(MODE, [A], 14_999, 5_000) == []
        assert await store.ticket_move(MODE, TicketId("t_3"), SessionId("s_3"), A)
        assert [t.id for t in await store.tickets_of_edge_gone(MODE, [A], 15_000, 5_000)] == ["t_2"]
        assert [t.id for t in await store.tickets(MODE)] == ["t_1", "t_3"]
        await store.ticket_add(ticket(4, player=PlayerId("p_2")), MAX)  # its player is free again

    async def test_edge_that_comes_back_starts_afresh(self, store: RegionStore) -> None:
        await store.ticket_add(ticket(1, edge=B), MAX)
        assert await store.tickets_of_edge_gone(MODE, [], 10_000, 5_000) == []
        assert await store.tickets_of_edge_gone(MODE, [B], 14_000, 5_000) == []
        assert await store.tickets_of_edge_gone(MODE, [], 16_000, 5_000) == []
        assert len(await store.tickets_of_edge_gone(MODE, [], 21_000, 5_000)) == 1


class TestManyAtOnce:
    async def test_each_ticket_has_its_own_answer(self, store: RegionStore) -> None:
        await store.ticket_add(ticket(1), MAX)
        asked = [
            ticket(1),  # sent again
            ticket(2, player=PlayerId("p_1")),  # another of the same player
            ticket(3),
            ticket(4, player=PlayerId("p_3")),  # the same player within one call
            ticket(3),
            ticket(5),
            ticket(6),
        ]
        said = await store.tickets_add(MODE, asked, 3)
        queued, full = Reason.ALREADY_QUEUED, Reason.POOL_FULL
        assert said == [None, queued, None, queued, None, None, full]
        assert [t.id for t in await store.tickets(MODE)] == ["t_1", "t_3", "t_5"]
        assert await store.tickets_add(MODE, [], 3) == []

    async def test_more_than_one_call_takes(self, store: RegionStore) -> None:
        many = [ticket(number) for number in range(2 * limits.TICKETS_AT_ONCE + 7)]
        said = await store.tickets_add(MODE, many, len(many) - 2)
        assert said == [None] * (len(many) - 2) + [Reason.POOL_FULL] * 2
        assert await store.tickets(MODE) == many[:-2]

    async def test_of_another_pool(self, store: RegionStore) -> None:
        with pytest.raises(ValueError, match="squads"):
            await store.tickets_add(MODE, [ticket(1), ticket(2, mode="squads")], MAX)
        assert await store.tickets(MODE) == []

    async def test_which_are_there(self, store: RegionStore) -> None:
        await store.tickets_add(MODE, [ticket(1), ticket(2), ticket(3)], MAX)
        assert await store.ticket_of_player(MODE, PlayerId("p_2")) == "t_2"
        await store.ticket_cancel(MODE, TicketId("t_2"))
        asked = [TicketId(f"t_{number}") for number in (1, 2, 9)]
        assert await store.tickets_there(MODE, asked) == (2, {"t_1"})
        assert await store.tickets_there(MODE, []) == (2, set())
        assert await store.ticket_of_player(MODE, PlayerId("p_2")) is None


class Mirror:
    """A pool as somebody knows it who reads only changes."""

    def __init__(self, store: RegionStore) -> None:
        self.store, self.at = store, ""
        self.tickets: dict[TicketId, Ticket] = {}
        self.wholes = 0

    async def read(self) -> None:
        more = True
        while more:
            read = await self.store.pool_read(MODE, self.at)
            if read.whole:
                self.wholes += 1
                self.tickets.clear()
            self.tickets.update((t.id, t) for t in read.tickets)
            for gone in read.gone:
                self.tickets.pop(gone, None)
            self.at, more = read.at, read.more

    async def is_the_pool(self) -> bool:
        await self.read()
        there = {t.id: t for t in await self.store.tickets(MODE)}
        return there == self.tickets


class TestFeed:
    async def test_a_mirror_is_the_pool_whatever_happens(self, store: RegionStore) -> None:
        mirror = Mirror(store)
        assert await mirror.is_the_pool()
        await store.tickets_add(MODE, [ticket(number) for number in range(6)], MAX)
        assert await mirror.is_the_pool()
        await store.ticket_cancel(MODE, TicketId("t_0"))
        await store.ticket_move(MODE, TicketId("t_1"), SessionId("s_new"), B)
        await store.ticket_add(ticket(7), MAX)
        before = mirror.wholes
        assert await mirror.is_the_pool()
        await store.claim_many([match("m_1", ticket(2), ticket(3)), match("m_2", ticket(4), ticket(99))], "")
        assert await mirror.is_the_pool()
        await store.match_unclaim(match("m_1", ticket(2), ticket(3)))
        assert await mirror.is_the_pool()
        assert await store.tickets_of_edge_gone(MODE, [B], 10_000, 0) != []
        assert await mirror.is_the_pool()
        assert [t.id for t in mirror.tickets.values()] == ["t_1"]
        assert mirror.wholes == before, "changes alone were enough"
        at = mirror.at
        await mirror.read()
        assert mirror.at == at

    async def test_added_and_gone_between_two_looks(self, store: RegionStore) -> None:
        mirror = Mirror(store)
        await store.ticket_add(ticket(1), MAX)
        await mirror.read()
        await store.ticket_add(ticket(2), MAX)
        await store.ticket_cancel(MODE, TicketId("t_2"))
        read = await store.pool_read(MODE, mirror.at)
        assert (read.tickets, read.gone, read.whole) == ([], ["t_2"], False)

    async def test_whoever_was_away_for_too_long_reads_everything(self, store: RegionStore) -> None:
        mirror = Mirror(store)
        await store.ticket_add(ticket(0), MAX)
        await mirror.read()
        wholes = mirror.wholes
        for _ in range(limits.FEED_ENTRIES_MAX // 2 + 1):
            await store.ticket_cancel(MODE, TicketId("t_0"))
            await store.ticket_add(ticket(0), MAX)
        assert await mirror.is_the_pool()
        assert mirror.wholes == wholes + 1

    async def test_a_position_of_another_life(self, store: RegionStore) -> None:
        await store.ticket_add(ticket(1), MAX)
        for after in ("1-1", "999999-5", "999999"):
            read = await store.pool_read(MODE, after)
            assert read.whole
            assert [t.id for t in read.tickets] == ["t_1"]

    async def test_waiting_ends_with_a_change(self, store: RegionStore) -> None:
        mirror = Mirror(store)
        await store.ticket_add(ticket(1), MAX)
        await store.pool_wait(MODE, mirror.at, 10_000)  # there is something to read already
        await mirror.read()
        waiting = asyncio.create_task(store.pool_wait(MODE, mirror.at, 10_000))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await store.ticket_add(ticket(2), MAX)
        await asyncio.wait_for(waiting, 5)
        await mirror.read()
        await asyncio.wait_for(store.pool_wait(MODE, mirror.at, 30), 5)  # nothing happened: it ends by itself
