"""What every region store does for matches across regions: grants of tickets, and matches of guests."""

import msgspec
import pytest

from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import MatchId, RegionId, SessionId, TicketId
from gameedge.state.base import MatchRecord, RegionStore, Ticket
from tests.contract.stores import KINDS, LEASE, MAX, MODE, A, B, empty, match, region_store, result, ticket


class TestCrossing:
    """A grant is a claim of one ticket with an end; a match of guests takes nothing out of the pool and puts nothing into it."""

    async def granted(self, store: RegionStore, one: Ticket) -> MatchRecord:
        await store.ticket_add(one, MAX)
        fence = await store.lease(LEASE, A, 60_000)
        assert fence is not None
        record = msgspec.structs.replace(match("g_1", one, host=one.edge, fence=fence), accept_ms=500, away=RegionId("east"))
        assert await store.claim_many([record], LEASE) == [[]]
        assert await store.claim_many([record], LEASE) == [[]], "asking twice is asking once"
        [event] = await store.inbox_read(one.edge, 0)
        assert (event.kind, event.match) == ("host", record)
        return record

    async def test_a_grant_is_sent_or_goes_back_never_both(self, store: RegionStore) -> None:
        one = ticket(1)
        record = await self.granted(store, one)
        assert await store.tickets(MODE) == []
        sent = await store.match_adopt(record, one.edge)
        assert sent is not None
        assert (sent.away, sent.accept_ms, sent.epoch) == ("east", 0, 1)
        assert not await store.match_unclaim(record), "it was sent: whoever thinks it only granted is late"
        assert await store.match_unclaim(sent)
        assert await store.tickets(MODE) == [one], "with its age"
        assert await store.match_adopt(sent, one.edge) is None
        again = await self.granted(store, one)
        assert await store.match_unclaim(again)
        assert await store.match_adopt(again, one.edge) is None, "it went back: it is sent nowhere"

    async def test_a_grant_of_who_moved_or_left_is_none(self, store: RegionStore) -> None:
        one, two = ticket(1), ticket(2)
        await store.tickets_add(MODE, [one, two], MAX)
        await store.ticket_move(MODE, one.id, SessionId("s_9"), B)
        await store.ticket_cancel(MODE, two.id)
        for number, each in enumerate((one, two)):
            record = msgspec.structs.replace(match(f"g_{number}", each, host=A), accept_ms=500, away=RegionId("east"))
            assert await store.claim_many([record], LEASE) == [[each.id]]
        assert [each.id for each in await store.tickets(MODE)] == [one.id]

    async def test_guests_come_from_no_pool_and_go_into_none(self, store: RegionStore) -> None:
        local = ticket(1)
        await store.ticket_add(local, MAX)
        record = msgspec.structs.replace(match("m_1", ticket(1), ticket(2)), guests=True)
        assert await store.match_guests(record)
        assert await store.match_guests(record)
        assert not await store.match_guests(msgspec.structs.replace(record, host=A)), "another process has opened it"
        assert await store.match_get(MODE, MatchId("m_1")) == record
        assert await store.match_of_ticket(MODE, TicketId("t_2")) == record
        assert await store.tickets(MODE) == [local]
        assert await store.match_unclaim(record)
        assert await store.tickets(MODE) == [local]
        assert await store.match_of_ticket(MODE, TicketId("t_2")) is None
        assert await store.match_guests(record)
        assert await store.match_close(MODE, record.match, result("m_1"), by=record)
        assert [each.result.match for each in await store.outbox_read("", 9)] == ["m_1"]

    async def test_a_ticket_is_its_grants_until_that_ends_also_where_it_is_a_guest_at_home(self, store: RegionStore) -> None:
        one = ticket(1)
        grant = await self.granted(store, one)
        record = msgspec.structs.replace(match("m_1", one, ticket(2)), guests=True)
        assert await store.match_guests(record)
        assert await store.match_of_ticket(MODE, one.id) == grant, "its player, resumed elsewhere in the region, has no seat yet"
        assert await store.match_unclaim(grant)
        assert [each.id for each in await store.tickets(MODE)] == [one.id]
        assert await store.match_of_ticket(MODE, one.id) is None

    async def test_what_is_no_match_of_guests_is_refused(self, store: RegionStore) -> None:
        for wrong in ({"guests": False}, {"fence": 1}, {"accept_ms": 5}):
            record = msgspec.structs.replace(match("m_1", ticket(1)), **({"guests": True} | wrong))
            with pytest.raises(ValueError, match="guests"):
                await store.match_guests(record)

    async def test_guests_have_their_place_in_the_outbox_or_are_refused(self, servers: dict[str, str]) -> None:
        for kind in KINDS:
            empty(servers[kind])
            async with region_store(servers[kind], outbox_max=1) as store:
                assert await store.match_guests(msgspec.structs.replace(match("m_1", ticket(1)), guests=True))
                with pytest.raises(RefusedError) as refused:
                    await store.match_guests(msgspec.structs.replace(match("m_2", ticket(2)), guests=True))
                assert refused.value.reason is Reason.SERVER_FULL
