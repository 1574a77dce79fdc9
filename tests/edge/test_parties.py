"""Parties in the queue: who joins, who leaves, and that the others hear of it."""

import msgspec

from gameedge.core.errors import Reason
from gameedge.core.ids import MatchId
from gameedge.core.protocol.messages import Dequeued, Party, Queue
from gameedge.edge.player import Player
from gameedge.state.base import MatchRecord, Ticket

from .parts import ME, OTHER, Bench, FakeConnection, bench
from .test_queueing import leading, run_lanes


async def queued(on: Bench, *names: str, size: int = 2) -> list[tuple[FakeConnection, Player]]:
    people = []
    for name in names:
        connection, _, player = on.connect(name)
        on.edge.queueing.ask(player, Queue(n=1, mode="squads", party=Party("friends", size)), 0.0)
        people.append((connection, player))
    await run_lanes(on)
    for connection, _ in people:
        connection.said()
    return people


async def look(on: Bench) -> None:
    assert await on.store.lease("matcher-squads", ME, 60_000)
    await on.edge.reports.beat_once()
    await on.edge.matcher._lease("squads")
    await on.edge.matcher._look("squads")


async def test_the_first_member_waits_for_the_second() -> None:
    async with bench(fill_ms=0) as on:
        await queued(on, "ada")
        await look(on)
        pool = on.edge.matcher._pools["squads"].mirror.pool
        (ticket,) = await on.store.tickets("squads")
        assert pool.waiting_party(ticket) == 1
        await queued(on, "bob")
        await look(on)
        assert pool.waiting_party(ticket) is None, "the party is whole"
        assert {member.player for member in pool.party_of(ticket)} == {"ada", "bob"}


async def test_when_one_leaves_all_leave_and_hear_why() -> None:
    async with bench(fill_ms=0) as on:
        (_, ada), (of_bob, bob) = await queued(on, "ada", "bob")
        await look(on)
        await on.edge.queueing.cancel(ada)
        await look(on)
        (told,) = of_bob.said()
        assert isinstance(told, Dequeued)
        assert told.reason is Reason.PARTY_LEFT
        assert "party" in told.detail
        assert bob.ticket is None
        assert await on.store.tickets("squads") == []


async def test_a_member_that_drops_takes_its_party_along_and_another_process_hears() -> None:
    async with bench(fill_ms=0) as on:
        (_, ada), _ = await queued(on, "ada", "bob")
        of_bob = next(ticket for ticket in await on.store.tickets("squads") if ticket.player == "bob")
        assert await on.store.ticket_move("squads", of_bob.id, of_bob.session, OTHER)
        await look(on)
        on.edge.players.forget(ada)  # nobody resumed in time
        await run_lanes(on)
        await look(on)
        (event,) = await on.store.inbox_read(OTHER, 0)
        assert (event.kind, event.ticket, event.reason) == ("dequeued", of_bob.id, "party_left")


async def test_a_party_that_is_matched_breaks_nobody_up() -> None:
    async with bench(fill_ms=0) as on:
        await queued(on, "ada", "bob")
        await look(on)
        tickets: list[Ticket] = await on.store.tickets("squads")
        record = MatchRecord(
            match=MatchId("m_1"), mode="squads", host=OTHER, fence=0, teams=[[t.id for t in tickets], []], tickets=tickets,
            created_ms=0, seed=1,
        )  # fmt: skip
        assert await on.store.claim(record, "") == []  # by the process that led before
        stray = msgspec.structs.replace(tickets[0], id="t_alone", player="eve", party=None, party_size=1)  # type: ignore[arg-type]
        await on.store.ticket_add(stray, 10)
        await look(on)
        assert await on.store.tickets("squads") == [stray]
        assert on.edge.matcher._pools["squads"].mirror.left == []


async def test_what_a_claim_did_not_find_is_asked_about_by_the_next_read() -> None:
    """A claim found a member missing: the mirror forgets the ticket, and still knows whose party it was."""
    async with bench(fill_ms=0) as on:
        (_, ada), (of_bob, _) = await queued(on, "ada", "bob")
        await look(on)
        assert ada.ticket is not None
        mirror = on.edge.matcher._pools["squads"].mirror
        assert await on.store.ticket_cancel("squads", ada.ticket)
        mirror.missing([ada.ticket])
        await look(on)
        assert [type(message) for message in of_bob.said()] == [Dequeued]
        await leading(on)
