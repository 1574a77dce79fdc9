"""What every region store does, whatever it is made of."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import EdgeId, FlagId, MatchId, PlayerId, RegionId, SessionId, TicketId
from gameedge.state.base import InboxEvent, MatchRecord, RegionStore, Ticket
from tests.contract.stores import (
    KINDS,
    MODE,
    A,
    B,
    edge_record,
    empty,
    evidence,
    match,
    region_store,
    result,
    servers,  # noqa: F401
    session,
    ticket,
)

MAX = 1_000
LEASE = f"matcher-{MODE}"


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, servers: dict[str, str]) -> AsyncIterator[RegionStore]:  # noqa: F811
    url = servers[request.param]
    empty(url)
    async with region_store(url) as opened:
        yield opened


def event(kind: str, number: int = 0) -> InboxEvent:
    return InboxEvent(kind=kind, mode=MODE, session=SessionId(f"s_{number}"))


class TestSessions:
    async def test_many_at_once(self, store: RegionStore) -> None:
        await store.sessions_put([session(i) for i in range(200)], 60_000)
        asked = [session(i).resume_hash for i in (7, 300, 0, 7)]
        assert await store.sessions_get(asked) == [session(7), None, session(0), session(7)]
        await store.sessions_put([], 60_000)
        assert await store.sessions_get([]) == []
        assert await store.sessions_of(session(3).player) == [session(3)]

    async def test_put_get_replace_delete(self, store: RegionStore) -> None:
        first, second = session(1), session(1, edge=B)
        assert await store.session_get(first.resume_hash) is None
        await store.session_put(first, 60_000)
        assert await store.session_get(first.resume_hash) == first
        await store.session_put(second, 60_000)
        assert await store.session_get(first.resume_hash) == second
        await store.session_delete(first.resume_hash)
        assert await store.session_get(first.resume_hash) is None

    async def test_expires(self, store: RegionStore) -> None:
        await store.session_put(session(1), 30)
        await store.session_put(session(2), 60_000)
        await asyncio.sleep(0.1)
        assert await store.session_get(session(1).resume_hash) is None
        assert await store.session_get(session(2).resume_hash) == session(2)


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


class TestMatches:
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

    async def test_people_join_a_match_that_runs(self, store: RegionStore) -> None:
        for number in (1, 2, 3):
            await store.ticket_add(ticket(number), MAX)
        fence = await store.lease(LEASE, A, 60_000)
        assert fence is not None
        before = match("m_1", ticket(1), ticket(2), fence=fence)
        assert await store.claim(before, LEASE) == []
        await store.inbox_read(B, 0)
        teams = [[TicketId("t_1")], [TicketId("t_3")]]
        after = msgspec.structs.replace(before, tickets=[ticket(1), ticket(3)], teams=teams, late=[TicketId("t_3")], joins=1)
        with pytest.raises(RefusedError) as stale:
            await store.match_join(before, after, LEASE, fence + 1)
        assert stale.value.reason is Reason.OUT_OF_ORDER
        assert await store.match_join(before, after, LEASE, fence) == []
        assert await store.tickets(MODE) == []
        assert await store.match_get(MODE, before.match) == after
        assert await store.match_of_ticket(MODE, TicketId("t_3")) == after
        assert await store.match_of_ticket(MODE, TicketId("t_2")) is None, "the one whose seat it was"
        (event,) = await store.inbox_read(B, 0)
        assert (event.kind, event.match) == ("fill", after)
        await store.ticket_add(ticket(4, player=PlayerId("p_3")), MAX)  # free to queue once the match is over; the store does not mind
        assert await store.match_close(MODE, before.match, None)
        assert await store.match_of_ticket(MODE, TicketId("t_3")) is None

    async def test_nobody_joins_a_match_that_is_not_as_it_was(self, store: RegionStore) -> None:
        for number in (1, 2, 3):
            await store.ticket_add(ticket(number), MAX)
        before = match("m_1", ticket(1))
        await store.claim(before, "")

        def joined(record: MatchRecord, *new: Ticket) -> MatchRecord:
            return msgspec.structs.replace(record, tickets=[*record.tickets, *new], joins=record.joins + 1)

        assert await store.match_join(before, joined(before, ticket(9)), "", 0) == ["t_9"], "nobody of that name waits"
        assert await store.ticket_move(MODE, TicketId("t_2"), SessionId("s_new"), B)
        assert await store.match_join(before, joined(before, ticket(2)), "", 0) == ["t_2"], "it has moved since"
        assert await store.match_join(before, joined(before, ticket(3)), "", 0) == []
        assert await store.match_join(before, joined(before, ticket(2)), "", 0) is None, "somebody else joined meanwhile"
        assert await store.match_adopt(before, A) is None, "that record forgets who joined"
        now = await store.match_get(MODE, before.match)
        assert now is not None
        adopted = await store.match_adopt(now, A)
        assert adopted is not None
        assert await store.match_join(now, joined(now, ticket(2)), "", 0) is None, "another host by now"
        with pytest.raises(ValueError, match="m_1"):
            await store.match_join(adopted, adopted, "", 0)
        assert await store.tickets(MODE) == [msgspec.structs.replace(ticket(2), session=SessionId("s_new"), edge=B)]

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

    async def test_close_once_with_its_result(self, store: RegionStore) -> None:
        await store.ticket_add(ticket(1), MAX)
        await store.claim(match("m_1", ticket(1)), "")
        assert await store.match_close(MODE, MatchId("m_1"), result("m_1"))
        assert not await store.match_close(MODE, MatchId("m_1"), result("m_1"))
        assert await store.outbox_size() == 1
        assert [entry.result for entry in await store.outbox_read("", 10)] == [result("m_1")]
        assert await store.match_get(MODE, MatchId("m_1")) is None
        assert await store.match_of_ticket(MODE, TicketId("t_1")) is None
        with pytest.raises(ValueError, match="m_2"):
            await store.match_close(MODE, MatchId("m_1"), result("m_2"))

    async def test_close_without_result(self, store: RegionStore) -> None:
        await store.ticket_add(ticket(1), MAX)
        await store.claim(match("m_1", ticket(1)), "")
        assert await store.match_close(MODE, MatchId("m_1"), None)
        assert await store.outbox_size() == 0

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

    async def test_guests_have_their_place_in_the_outbox_or_are_refused(self, servers: dict[str, str]) -> None:  # noqa: F811
        for kind in KINDS:
            empty(servers[kind])
            async with region_store(servers[kind], outbox_max=1) as store:
                assert await store.match_guests(msgspec.structs.replace(match("m_1", ticket(1)), guests=True))
                with pytest.raises(RefusedError) as refused:
                    await store.match_guests(msgspec.structs.replace(match("m_2", ticket(2)), guests=True))
                assert refused.value.reason is Reason.SERVER_FULL


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
async def test_open_matches_reserve_their_place_in_the_outbox(kind: str, servers: dict[str, str]) -> None:  # noqa: F811
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


class TestEvidence:
    async def test_add_get_list_state(self, store: RegionStore) -> None:
        for number in range(3):
            await store.evidence_add(evidence(number, player=f"p_{number}"))
        await store.evidence_add(evidence(0, player="p_0", clip=b"other"))  # once a flag
        assert await store.evidence_get(FlagId("f_0")) == evidence(0, player="p_0")
        assert await store.evidence_get(FlagId("f_9")) is None
        assert await store.evidence_list(2) == [evidence(n, player=f"p_{n}", clip=b"") for n in (2, 1)]
        assert await store.evidence_list(0) == []
        assert await store.evidence_set_state(FlagId("f_1"), "upheld")
        assert not await store.evidence_set_state(FlagId("f_9"), "upheld")
        found = await store.evidence_get(FlagId("f_1"))
        assert found is not None
        assert (found.state, found.clip) == ("upheld", b"clip")
        assert [e.state for e in await store.evidence_list(9)] == ["open", "upheld", "open"]

    async def test_of_two_who_decide_one_is_told(self, store: RegionStore) -> None:
        await store.evidence_add(evidence(1))
        await store.evidence_add(msgspec.structs.replace(evidence(2), state="recommended"))
        answers = await asyncio.gather(*(store.evidence_decide(FlagId("f_1"), "upheld", "open") for _ in range(5)))
        assert sorted(str(answer) for answer in answers) == ["open", *["upheld"] * 4]
        assert await store.evidence_decide(FlagId("f_2"), "cleared", "open") == "recommended"  # looked at an older state
        assert await store.evidence_decide(FlagId("f_2"), "cleared", "recommended") == "recommended"
        assert await store.evidence_decide(FlagId("f_2"), "upheld", "cleared") == "cleared"  # on appeal
        assert await store.evidence_decide(FlagId("f_9"), "upheld", "open") is None
        assert [e.state for e in await store.evidence_list(9)] == ["upheld", "upheld"]

    async def test_bounded_a_player(self, store: RegionStore) -> None:
        await store.evidence_add(evidence(1_000, player="p_2"))
        await store.evidence_add(evidence(1_001, player="p_11"))  # a name that begins with another's
        for number in range(limits.EVIDENCE_PER_PLAYER_MAX + 2):
            await store.evidence_add(evidence(number, player="p_1"))
        kept = [e.flag for e in await store.evidence_list(1_000)]
        assert len(kept) == limits.EVIDENCE_PER_PLAYER_MAX + 2
        assert {"f_1000", "f_1001"} < set(kept)
        assert "f_1" not in kept
        assert await store.evidence_get(FlagId("f_0")) is None

    async def test_bounded_in_all(self, store: RegionStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "EVIDENCE_TOTAL_MAX", 3)
        for number in range(5):
            await store.evidence_add(evidence(number, player=f"p_{number}"))
        assert [e.flag for e in await store.evidence_list(10)] == ["f_4", "f_3", "f_2"]

    async def test_expires(self, store: RegionStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "EVIDENCE_LIFE_MS", 20)
        await store.evidence_add(evidence(1))
        await asyncio.sleep(0.08)
        assert await store.evidence_list(10) == []
        await store.evidence_add(evidence(2))
        assert [e.flag for e in await store.evidence_list(10)] == ["f_2"]

    async def test_too_large_a_clip(self, store: RegionStore) -> None:
        with pytest.raises(RefusedError) as caught:
            await store.evidence_add(evidence(1, clip=bytes(limits.EVIDENCE_BYTES_MAX + 1)))
        assert caught.value.reason is Reason.TOO_LARGE

    async def test_sessions_of_a_player(self, store: RegionStore) -> None:
        first, second, other = session(1, player="p_1"), session(2, player="p_1"), session(3, player="p_2")
        for record in (second, first, other):
            await store.session_put(record, 60_000)
        assert await store.sessions_of(PlayerId("p_1")) == [first, second]
        await store.session_delete(first.resume_hash)
        assert await store.sessions_of(PlayerId("p_1")) == [second]
        assert await store.sessions_of(PlayerId("p_9")) == []

    async def test_erase_player(self, store: RegionStore) -> None:
        for number in range(3):
            await store.evidence_add(evidence(number, player="p_1"))
        await store.evidence_add(evidence(9, player="p_12"))
        await store.session_put(session(1), 60_000)
        await store.session_put(session(2, player="p_1"), 60_000)
        await store.session_put(session(3), 60_000)
        assert await store.erase_player(PlayerId("p_1")) == 5
        assert await store.erase_player(PlayerId("p_1")) == 0
        assert [e.flag for e in await store.evidence_list(10)] == ["f_9"]
        assert await store.session_get(session(1).resume_hash) is None
        assert await store.session_get(session(3).resume_hash) == session(3)


async def test_ping(store: RegionStore) -> None:
    assert await store.ping() >= 0.0


async def test_a_match_has_one_host_and_an_epoch(store: RegionStore) -> None:
    await store.ticket_add(ticket(1), MAX)
    record = match("m_1", ticket(1))
    assert await store.claim(record, "") == []
    assert await store.checkpoint_get(MODE, record.match) is None
    assert await store.checkpoint_put(record.host, MODE, [(record, b"\x00one")]) == [True]
    other = B if record.host == A else A
    assert await store.checkpoint_put(other, MODE, [(record, b"no")]) == [False]
    adopted = await store.match_adopt(record, other, tell=True)
    assert adopted is not None
    assert (adopted.host, adopted.epoch) == (other, 1)
    assert await store.match_adopt(record, record.host) is None, "somebody was faster"
    assert await store.match_get(MODE, record.match) == adopted
    events = await store.inbox_read(other, 1_000)
    assert [(event.kind, event.match) for event in events] == [("adopt", adopted)]
    assert await store.checkpoint_put(record.host, MODE, [(record, b"late")]) == [False]
    assert await store.checkpoint_get(MODE, record.match) == b"\x00one"
    assert not await store.match_close(MODE, record.match, result("m_1"), by=record), "the sleeper's result counts for nothing"
    assert await store.outbox_size() == 0
    assert await store.match_close(MODE, record.match, result("m_1"), by=adopted)
    assert await store.checkpoint_get(MODE, record.match) is None
    assert await store.checkpoint_put(other, MODE, [(adopted, b"after")]) == [False]
    assert await store.match_adopt(adopted, record.host) is None


async def test_many_matches_are_adopted_with_their_states(store: RegionStore) -> None:
    records = [match(f"m_{i}", ticket(i)) for i in range(5)]
    for i, record in enumerate(records):
        await store.ticket_add(ticket(i), MAX)
        assert await store.claim(record, "") == []
    other = B if records[0].host == A else A
    assert await store.checkpoint_put(records[0].host, MODE, [(records[i], b"\x00%d" % i) for i in (0, 1, 2)]) == [True] * 3
    assert await store.match_adopt(records[1], other) is not None
    assert await store.match_close(MODE, records[2].match, None)
    strange = msgspec.structs.replace(records[3], match=MatchId("m_never"))
    taken = await store.matches_adopt(MODE, [*records, strange], other)
    assert [each is not None for each in taken] == [True, False, False, False, False, False], "taken, over, without a state, unknown"
    assert taken[0] is not None
    adopted, state = taken[0]
    assert (adopted.host, adopted.epoch, state) == (other, 1, b"\x000")
    found = await store.matches_get(MODE, [record.match for record in records])
    assert [record and (record.host, record.epoch) for record in found] == [
        (other, 1), (other, 1), None, (records[3].host, 0), (records[4].host, 0)
    ]  # fmt: skip
    assert found[0] == adopted
    assert await store.matches_adopt(MODE, [records[0]], records[0].host) == [None], "somebody was faster"
    assert await store.matches_adopt(MODE, [], other) == await store.matches_get(MODE, []) == []


async def test_of_many_who_adopt_one_does(store: RegionStore) -> None:
    await store.ticket_add(ticket(1), MAX)
    record = match("m_1", ticket(1))
    await store.claim(record, "")
    names = [EdgeId(f"e{i}") for i in range(8)]
    won = [each for each in await asyncio.gather(*(store.match_adopt(record, name) for name in names)) if each is not None]
    assert len(won) == 1
    assert await store.match_get(MODE, record.match) == won[0]


async def test_ages_of_beats(store: RegionStore) -> None:
    assert await store.edge_ages() == {}
    await store.edge_beat(edge_record(A), limits.EDGE_DEAD_MS)
    await asyncio.sleep(0.1)
    assert 90 <= (await store.edge_ages())[A] < 1_500
