"""What every region store does when tickets become a match, and a match tickets again: all or nothing, once, by who leads."""

import asyncio

import msgspec
import pytest

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import MatchId, PlayerId, SessionId, TicketId
from gameedge.state.base import RegionStore
from tests.contract.stores import MAX, MODE, A, B, match, ticket


class TestClaims:
    async def test_claim_takes_tickets_and_tells_the_host(self, store: RegionStore) -> None:
        for number in (1, 2, 3):
            await store.ticket_add(ticket(number), MAX)
        record = match("m_1", ticket(1), ticket(2))
        assert await store.claim(record, "") == []
        assert [t.id for t in await store.tickets(MODE)] == ["t_3"]
        assert await store.match_get(MODE, MatchId("m_1")) == record
        assert await store.matches(MODE) == [record]
        assert await store.match_of_ticket(MODE, TicketId("t_2")) == record
        assert await store.match_of_ticket(MODE, TicketId("t_3")) is None
        [told] = await store.inbox_read(B, 0)
        assert (told.kind, told.match) == ("host", record)
        await store.ticket_add(ticket(9, player=PlayerId("p_1")), MAX)  # the player may queue again

    async def test_claim_is_all_or_nothing(self, store: RegionStore) -> None:
        await store.ticket_add(ticket(1), MAX)
        assert await store.claim(match("m_1", ticket(1), ticket(2)), "") == ["t_2"]
        assert [t.id for t in await store.tickets(MODE)] == ["t_1"]
        assert await store.matches(MODE) == []
        assert await store.inbox_read(B, 0) == []

    async def test_claim_twice_is_once(self, store: RegionStore) -> None:
        await store.ticket_add(ticket(1), MAX)
        record = match("m_1", ticket(1))
        assert await store.claim(record, "") == []
        assert await store.claim(record, "") == []
        assert len(await store.inbox_read(B, 0)) == 1
        assert await store.inbox_read(B, 0) == []

    async def test_claim_misses_a_ticket_that_moved(self, store: RegionStore) -> None:
        await store.ticket_add(ticket(1), MAX)
        await store.ticket_move(MODE, TicketId("t_1"), SessionId("s_new"), B)
        assert await store.claim(match("m_1", ticket(1)), "") == ["t_1"]
        [moved] = await store.tickets(MODE)
        assert await store.claim(match("m_1", moved), "") == []

    async def test_stale_fence_claims_nothing(self, store: RegionStore) -> None:
        await store.ticket_add(ticket(1), MAX)
        old = await store.lease("matcher-duel", A, 10)
        await asyncio.sleep(0.05)
        new = await store.lease("matcher-duel", B, 60_000)
        assert old is not None
        assert new is not None
        for fence in (old, new + 1):
            with pytest.raises(RefusedError) as caught:
                await store.claim(match("m_1", ticket(1), fence=fence), "matcher-duel")
            assert caught.value.reason is Reason.OUT_OF_ORDER
        assert len(await store.tickets(MODE)) == 1
        assert await store.claim(match("m_1", ticket(1), fence=new), "matcher-duel") == []

    async def test_impossible_claims_are_faults_of_the_caller(self, store: RegionStore) -> None:
        await store.ticket_add(ticket(1), MAX)
        for record, lease in (
            (match("m_1", ticket(1), ticket(1)), ""),
            (match("m_1"), ""),
            (match("m_1", ticket(1, mode="squads")), ""),
            (match("m_1", ticket(1), fence=1), "matcher-squads"),
        ):
            with pytest.raises(ValueError, match=r"m_1|matcher-squads"):
                await store.claim(record, lease)

    async def test_unclaim_leaves_out_who_said_no(self, store: RegionStore) -> None:
        for number in (1, 2):
            await store.ticket_add(ticket(number), MAX)
        record = msgspec.structs.replace(match("m_1", ticket(1), ticket(2)), accept_ms=5_000)
        assert await store.claim(record, "") == []
        moved = msgspec.structs.replace(ticket(1), edge=A)
        now = msgspec.structs.replace(record, tickets=[moved, ticket(2)])
        assert await store.match_unclaim(now, {TicketId("t_2")})
        assert await store.tickets(MODE) == [moved]
        assert await store.match_of_ticket(MODE, TicketId("t_2")) is None
        await store.ticket_add(ticket(9, player=PlayerId("p_2")), MAX)  # the one who is out may queue again

    async def test_an_accepted_match_is_queued_again_by_nobody_who_saw_it_offered(self, store: RegionStore) -> None:
        await store.ticket_add(ticket(1), MAX)
        record = msgspec.structs.replace(match("m_1", ticket(1)), accept_ms=5_000)
        assert await store.claim(record, "") == []
        adopted = await store.match_adopt(record, record.host)
        assert adopted is not None
        assert (adopted.accept_ms, adopted.epoch, adopted.host) == (0, 1, record.host)
        assert await store.match_get(MODE, record.match) == adopted
        assert not await store.match_unclaim(record)
        assert await store.tickets(MODE) == []
        assert await store.match_unclaim(adopted)

    async def test_unclaim_queues_again_with_age(self, store: RegionStore) -> None:
        for number in (1, 2):
            await store.ticket_add(ticket(number), MAX)
        record = match("m_1", ticket(1), ticket(2))
        await store.claim(record, "")
        await store.ticket_add(ticket(3, player=PlayerId("p_2")), MAX)  # player 2 queued again
        assert await store.match_unclaim(record)
        assert not await store.match_unclaim(record)
        assert await store.tickets(MODE) == [ticket(1), ticket(3, player=PlayerId("p_2"))]
        assert await store.matches(MODE) == []
        assert await store.match_of_ticket(MODE, TicketId("t_1")) is None
        with pytest.raises(RefusedError):
            await store.ticket_add(ticket(7, player=PlayerId("p_1")), MAX)

    async def test_a_hundred_matchers_never_share_a_ticket(self, store: RegionStore) -> None:
        for number in range(60):
            await store.ticket_add(ticket(number), MAX)
        records = [match(f"m_{i}", *(ticket((i * 7 + j * 11) % 60) for j in range(4))) for i in range(100)]
        answers = await asyncio.gather(*(store.claim(record, "") for record in records))
        claimed = [record for record, missing in zip(records, answers, strict=True) if not missing]
        seats = [t.id for record in claimed for t in record.tickets]
        left = [t.id for t in await store.tickets(MODE)]
        assert claimed
        assert len(seats) == len(set(seats))
        assert sorted([*seats, *left]) == sorted(f"t_{number}" for number in range(60))
        assert {record.match for record in await store.matches(MODE)} == {record.match for record in claimed}
        told = [told.match_id for told in await store.inbox_read(B, 0)]
        assert sorted(told, key=str) == sorted((record.match for record in claimed), key=str)

    async def test_cancel_races_claim(self, store: RegionStore) -> None:
        for number in range(40):
            await store.ticket_add(ticket(number), MAX)
        claims = (store.claim(match(f"m_{number}", ticket(number)), "") for number in range(40))
        cancels = (store.ticket_cancel(MODE, TicketId(f"t_{number}")) for number in range(40))
        *answers, cancelled = await asyncio.gather(*claims, asyncio.gather(*cancels))
        for missing, gone in zip(answers, cancelled, strict=True):
            assert (missing == []) != gone


class TestManyAtOnce:
    async def test_claims_are_each_all_or_nothing(self, store: RegionStore) -> None:
        await store.tickets_add(MODE, [ticket(number) for number in range(8)], MAX)
        moved = ticket(6)
        await store.ticket_move(MODE, moved.id, SessionId("s_new"), B)
        said = await store.claim_many(
            [
                match("m_1", ticket(0), ticket(1)),
                match("m_2", ticket(1), ticket(2)),  # one of them is in the first
                match("m_3", ticket(2), ticket(3), host=A),
                match("m_4", ticket(4), ticket(99)),
                match("m_5", ticket(5), moved),  # read before it moved
                match("m_1", ticket(0), ticket(1)),  # sent again
            ],
            "",
        )
        assert said == [[], ["t_1"], [], ["t_99"], ["t_6"], []]
        assert [record.match for record in await store.matches(MODE)] == ["m_1", "m_3"]
        assert [t.id for t in await store.tickets(MODE)] == ["t_4", "t_5", "t_6", "t_7"]
        assert [event.match for event in await store.inbox_read(B, 0)] == [match("m_1", ticket(0), ticket(1))]
        assert [event.match_id for event in await store.inbox_read(A, 0)] == ["m_3"]
        await store.ticket_add(ticket(10, player=PlayerId("p_0")), MAX)  # who plays may queue again

    async def test_more_claims_than_one_call_takes(self, store: RegionStore) -> None:
        count = limits.CLAIMS_AT_ONCE + 3
        await store.tickets_add(MODE, [ticket(number) for number in range(2 * count)], MAX)
        records = [match(f"m_{number}", ticket(2 * number), ticket(2 * number + 1)) for number in range(count)]
        assert await store.claim_many(records, "") == [[]] * count
        assert await store.tickets(MODE) == []
        assert await store.claim_many([], "") == []

    async def test_a_stale_fence_claims_nothing(self, store: RegionStore) -> None:
        await store.tickets_add(MODE, [ticket(1), ticket(2)], MAX)
        old = await store.lease("matcher-duel", A, 60_000)
        await store.lease_release("matcher-duel", A)
        new = await store.lease("matcher-duel", B, 60_000)
        assert old
        assert new
        said = await store.claim_many([match("m_1", ticket(1), fence=old), match("m_2", ticket(2), fence=old)], "matcher-duel")
        assert [said_of.reason for said_of in said if isinstance(said_of, RefusedError)] == [Reason.OUT_OF_ORDER] * 2
        assert len(await store.tickets(MODE)) == 2
        with pytest.raises(ValueError, match="one fence"):
            await store.claim_many([match("m_1", ticket(1), fence=old), match("m_2", ticket(2), fence=new)], "matcher-duel")
