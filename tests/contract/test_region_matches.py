"""What every region store does with a match that runs: who joins it, who hosts it (its epoch and its states), and its end."""

import asyncio

import msgspec
import pytest

from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import EdgeId, MatchId, PlayerId, SessionId, TicketId
from gameedge.state.base import MatchRecord, RegionStore, Ticket
from tests.contract.stores import LEASE, MAX, MODE, A, B, match, result, ticket


class TestMatches:
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
        assert not await store.match_unclaim(before), "and would queue everybody again but those"
        assert await store.match_of_ticket(MODE, TicketId("t_3")) is not None
        now = await store.match_get(MODE, before.match)
        assert now is not None
        adopted = await store.match_adopt(now, A)
        assert adopted is not None
        assert await store.match_join(now, joined(now, ticket(2)), "", 0) is None, "another host by now"
        with pytest.raises(ValueError, match="m_1"):
            await store.match_join(adopted, adopted, "", 0)
        assert await store.tickets(MODE) == [msgspec.structs.replace(ticket(2), session=SessionId("s_new"), edge=B)]

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
