"""Sessions that come back in odd moments: twice at once, after a clean-up that had to wait, with a ticket of a mode that is not here."""

import msgspec

from gameedge.core.ids import PlayerId
from gameedge.core.protocol.messages import Dequeued, QueueStatus, Welcome
from gameedge.edge.player import Link, Player
from gameedge.state.base import SessionRecord
from gameedge.state.base_global import Account

from .parts import OTHER, REGION, SIGNER, Bench, FakeConnection, bench, ticket_of
from .test_queueing import run_lanes


async def queued(on: Bench, name: str) -> tuple[FakeConnection, Link, Player]:
    """A player with a ticket, and its record in the store."""
    connection, link, player = on.connect(name)
    player.ticket, player.mode, player.queued_ms = ticket_of(player).id, "duel", on.edge.clock.unix_ms()
    await on.store.ticket_add(ticket_of(player), 10)
    on.edge.players.remember(player)
    await on.edge.players._write_some()
    return connection, link, player


def never_seen(on: Bench) -> None:
    """As in a process that never saw a session."""
    players = on.edge.players
    for index in (players._by_resume, players._by_session, players._by_player):
        index.clear()


def come_again(on: Bench, player: Player) -> FakeConnection:
    connection = FakeConnection()
    link = on.edge.lobby.accept(connection)  # type: ignore[arg-type]
    assert link is not None
    account = Account(player=PlayerId(player.id), secret_hash="", name=player.id, created_ms=0)
    token, _ = SIGNER.session_token(account, REGION, {}, on.edge.clock.unix_ms(), 60_000)
    link.on_text(msgspec.json.encode({"t": "hello", "token": token, "resume": player.session.resume_token, "last_s": 0}))
    return connection


async def let_in(on: Bench) -> None:
    arrivals = on.edge.lobby.arrivals
    await arrivals.let_in([arrivals._waiting.popleft() for _ in range(len(arrivals))])


async def test_a_session_that_comes_twice_at_once_keeps_its_ticket_and_its_record() -> None:
    """A client that tries again before the first try was answered: after a death everybody waits in line."""
    async with bench() as on:
        _, link, ada = await queued(on, "ada")
        link.on_close(1006, "")
        never_seen(on)
        first, second = come_again(on, ada), come_again(on, ada)
        await let_in(on)
        await run_lanes(on)
        assert [message.resumed for message in second.said() if isinstance(message, Welcome)] == [True]
        assert first.closed is not None
        assert second.is_open
        assert await on.store.ticket_of_player("duel", PlayerId("ada")) == ada.ticket
        assert await on.store.session_get(ada.resume_hash) is not None
        assert len(on.edge.players) == 1


async def test_a_clean_up_that_had_to_wait_leaves_who_came_back_meanwhile_alone() -> None:
    async with bench() as on:
        _, link, ada = await queued(on, "ada")
        link.on_close(1006, "")
        on.store.available = False
        on.edge.players.forget(ada)  # nobody resumed in time, and the store is away
        await run_lanes(on)
        on.store.available = True
        again = come_again(on, ada)
        await let_in(on)
        assert [message.resumed for message in again.said() if isinstance(message, Welcome)] == [True]
        await on.edge.players.sweep()
        await run_lanes(on)
        assert await on.store.ticket_of_player("duel", PlayerId("ada")) == ada.ticket
        assert await on.store.session_get(ada.resume_hash) is not None


async def test_a_ticket_of_a_mode_that_is_not_here_is_kept_for_its_time() -> None:
    """While a region is upgraded its processes may run different modes."""
    async with bench() as on:
        connection, _, ada = on.connect("ada")
        ticket = msgspec.structs.replace(ticket_of(ada), mode="of-another-release")
        await on.store.ticket_add(ticket, 10)
        record = SessionRecord(
            session=ada.session.session,
            player=ada.id,
            edge=OTHER,
            resume_hash=ada.resume_hash,
            ticket=ticket.id,
            mode=ticket.mode,
            queued_ms=on.edge.clock.unix_ms(),
        )
        on.edge.lobby.places.take_over(ada, record, on.edge.clock.monotonic_ms())
        await run_lanes(on)
        await on.edge.queueing.tell_queues(lambda mode, waited: None)
        assert [type(message) for message in connection.said()] == [QueueStatus]
        ada.queued_ms = 1
        await on.edge.queueing.tell_queues(lambda mode, waited: None)
        assert [type(message) for message in connection.said()] == [Dequeued]
        assert await on.store.tickets(ticket.mode) == []


async def test_a_clean_up_that_fails_keeps_nobody_elses() -> None:
    async with bench() as on:
        done: list[str] = []

        async def broken() -> None:
            raise KeyError("a fault of ours")

        async def fine() -> None:
            done.append("fine")

        for job in (broken, fine):
            on.edge.players.later(job)
        await on.edge.players.sweep()
        assert done == ["fine"]
