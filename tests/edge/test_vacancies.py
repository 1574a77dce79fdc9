"""People for matches that run: seats of NPCs and of those who left, given to who waits."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from gameedge.core.errors import UnavailableError
from gameedge.core.game import Outcome
from gameedge.core.ids import MatchId, TicketId
from gameedge.core.protocol.messages import MatchFound, MatchStarted, Queue, Roster
from gameedge.edge.host import HostedMatch
from gameedge.edge.matcher import VACANT_MS
from gameedge.edge.player import Player
from gameedge.edge.vacancies import Free, after_join
from gameedge.state.base import InboxEvent

from .parts import ME, OTHER, Bench, FakeConnection, bench, ticket_of
from .test_queueing import leading, run_lanes

RULES = "[modes.duel]\nskill = { window = 10 }\n[modes.duel.backfill]\nuntil_left_ms = 1_000\n"


@contextlib.asynccontextmanager
async def open_bench(tmp_path: Path, rules: str = RULES) -> AsyncIterator[Bench]:
    file = tmp_path / "rules.toml"
    file.write_text(rules)
    async with bench(match_rules=str(file), fill_ms=0) as on:
        yield on


async def playing(on: Bench, name: str) -> tuple[FakeConnection, Player, HostedMatch]:
    """Alone in a duel, against an NPC."""
    connection, link, player = on.connect(name)
    record = on.record("m_1", player)
    record = msgspec.structs.replace(record, teams=[[record.tickets[0].id], []])
    player.ticket, player.mode = record.tickets[0].id, "duel"
    await on.claim(record)
    await on.store.inbox_read(ME, 0)
    await on.edge.matches.open(record)
    (found,) = connection.said()
    assert isinstance(found, MatchFound)
    link.on_text(msgspec.json.encode({"t": "join", "n": 1, "match": found.match, "match_token": found.match_token}))
    assert isinstance(connection.said()[0], MatchStarted)
    match = on.edge.host.get(record.match)
    assert match is not None
    return connection, player, match


async def waiting(on: Bench, name: str) -> tuple[FakeConnection, Player]:
    connection, _, player = on.connect(name)
    on.edge.queueing.ask(player, Queue(n=1, mode="duel"), 0.0)
    await run_lanes(on)
    connection.said()
    return connection, player


async def rounds(on: Bench) -> None:
    """The holder of the lease looks, asks, looks at the answers, and the host hears of it."""
    matcher = on.edge.matcher
    matcher.processes._looked_ms = -1e12
    await leading(on)
    for _ in range(2):
        for event in await on.store.inbox_read(ME, 0):
            await on.edge.events.heard(event)
        matcher._pools["duel"].again = True
        await matcher._look("duel")
    for event in await on.store.inbox_read(ME, 0):
        await on.edge.events.heard(event)


async def test_who_waits_is_given_the_npcs_seat(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as on:
        of_ada, ada, match = await playing(on, "ada")
        of_bob, bob = await waiting(on, "bob")
        await rounds(on)
        (found,) = of_bob.said()
        assert isinstance(found, MatchFound)
        assert found.match == "m_1"
        assert bob.link is not None
        bob.link.on_text(msgspec.json.encode({"t": "join", "n": 1, "match": "m_1", "match_token": found.match_token}))
        (started,) = of_bob.said()
        assert isinstance(started, MatchStarted)
        assert (started.seat, started.team) == (1, 1)
        (roster,) = of_ada.said()
        assert isinstance(roster, Roster)
        assert [(seat.name, seat.npc) for seat in roster.roster] == [("guest", False), ("bob", False)]
        assert {seat.ticket.player for seat in match.people() if seat.ticket is not None} == {"ada", "bob"}
        assert await on.store.tickets("duel") == []
        stored = await on.store.match_get("duel", match.id)
        assert stored == match.record
        assert stored is not None
        assert (stored.joins, len(stored.late), stored.teams[1]) == (1, 1, stored.late)
        (ended,) = on.edge.host.ended([Outcome(match.slot, [1, 0], [0, 3], [0, 3], "finished")], 10**12)
        assert ended.result is not None
        assert ended.result.teams == [["ada"], []], "who came late is not rated"
        assert not ended.result.rated
        del ada


async def test_a_store_that_is_away_while_newcomers_are_told_loses_none(tmp_path: Path) -> None:
    """The event is heard again: who was not told is told then."""
    async with open_bench(tmp_path) as on:
        _, _, match = await playing(on, "ada")
        await waiting(on, "bob")
        (bob,) = await on.store.tickets("duel")
        far = msgspec.structs.replace(bob, edge=OTHER)  # told through the store
        assert await on.store.ticket_move("duel", bob.id, bob.session, OTHER)
        after = after_join(match.record, [Free(1, 0)], [[], [far]])
        assert after is not None
        assert await on.store.match_join(match.record, after, "", 0) == []
        (event,) = [event for event in await on.store.inbox_read(ME, 0) if event.kind == "fill"]
        on.store.available = False
        with pytest.raises(UnavailableError):
            await on.edge.events.heard(event)
        on.store.available = True
        await on.edge.events.heard(event)
        (told,) = await on.store.inbox_read(OTHER, 0)
        assert (told.kind, told.ticket) == ("found", bob.id)


async def test_who_left_for_good_makes_room_and_keeps_the_result(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as on:
        _, _, match = await playing(on, "ada")
        seat = match.seats[1]
        eve = msgspec.structs.replace(ticket_of(on.connect("eve")[2]), id=TicketId("t_eve"))
        record = msgspec.structs.replace(match.record, tickets=[*match.record.tickets, eve], teams=[match.record.teams[0], [eve.id]])
        seat.ticket, seat.match_token, seat.joined = eve, "k", True  # she plays, and loses her connection
        on.store._pool("duel").matches[record.match] = match.record = record
        assert on.edge.host.free_seats(match) == [], "who is away keeps the seat"
        seat.match_token = ""  # she leaves
        of_bob, _ = await waiting(on, "bob")
        await rounds(on)
        assert [type(message) for message in of_bob.said()] == [MatchFound]
        assert match.record.left == [(1, "eve")]
        assert "t_eve" not in {ticket.id for ticket in match.record.tickets}
        (ended,) = on.edge.host.ended([Outcome(match.slot, [0, 1], [3, 0], [3, 0], "finished")], 10**12)
        assert ended.result is not None
        assert ended.result.teams == [["ada"], ["eve"]]
        assert ended.result.rated, "leaving does not undo a defeat"


async def test_rules_hold_for_seats_of_running_matches(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as on:
        await playing(on, "ada")
        of_bob, bob = await waiting(on, "bob")
        assert bob.ticket is not None
        far = msgspec.structs.replace((await on.store.tickets("duel"))[0], rating=900.0)
        await on.store.ticket_cancel("duel", far.id)
        await on.store.ticket_add(far, 10)
        await rounds(on)
        assert of_bob.said() == []
        assert await on.store.tickets("duel") == [far]


async def test_without_the_rule_a_match_is_closed(tmp_path: Path) -> None:
    async with open_bench(tmp_path, "[modes.duel]\nskill = { window = 10 }\n") as on:
        await playing(on, "ada")
        of_bob, _ = await waiting(on, "bob")
        await rounds(on)
        assert of_bob.said() == []
        assert len(await on.store.tickets("duel")) == 1


async def test_hosts_are_not_asked_all_the_time(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as on:
        await playing(on, "ada")
        await waiting(on, "bob")
        await leading(on)
        asked = on.edge.matcher._pools["duel"].vacant_ms
        assert not await on.edge.matcher._ask_for_vacancies("duel")
        on.edge.matcher._pools["duel"].vacant_ms -= VACANT_MS
        assert await on.edge.matcher._ask_for_vacancies("duel")
        assert on.edge.matcher._pools["duel"].vacant_ms >= asked


async def test_a_match_that_ended_first_gives_the_ticket_back(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as on:
        _, _, match = await playing(on, "ada")
        await waiting(on, "bob")
        (bob,) = await on.store.tickets("duel")
        after = after_join(match.record, [Free(1, 0)], [[], [bob]])
        assert after is not None
        assert await on.store.match_join(match.record, after, "", 0) == []
        assert await on.store.match_close("duel", match.id, None)
        on.edge.host.drop(match)
        for event in await on.store.inbox_read(ME, 0):
            await on.edge.events.heard(event)
        assert await on.store.tickets("duel") == [bob], "with its age"


async def test_who_adopts_the_match_tells_those_who_were_not_told(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as on:
        _, _, match = await playing(on, "ada")
        state = on.edge.checkpoints.pack(match)
        of_bob, _ = await waiting(on, "bob")
        (bob,) = await on.store.tickets("duel")
        record = msgspec.structs.replace(match.record, host=OTHER)
        on.edge.host.drop(match)
        on.store._pool("duel").matches[record.match] = record
        after = after_join(record, [Free(1, 0)], [[], [bob]])
        assert after is not None
        assert await on.store.match_join(record, after, "", 0) == []
        on.store._pool("duel").checkpoints[record.match] = state  # from before bob
        assert await on.edge.failover.adopt(after)
        assert isinstance(of_bob.said()[-1], MatchFound)
        adopted = on.edge.host.get(MatchId("m_1"))
        assert adopted is not None
        assert [seat.joined for seat in adopted.seats] == [True, False]


def test_seats_that_do_not_fit_are_left_alone() -> None:
    from tests.contract.stores import match, ticket

    before = match("m_1", ticket(1))
    assert after_join(before, [], [[], [ticket(2)]]) is None
    assert after_join(before, [Free(1, 1)], [[], [ticket(2)]]) is None, "there is a hole before it"
    assert after_join(before, [Free(1, 0)], [[], []]) is None
    made = after_join(before, [Free(0, 0, TicketId("t_1"))], [[ticket(2)], []])
    assert made is not None
    assert (made.left, made.teams[0]) == ([], ["t_2"]), "who never took the seat is not rated"


async def test_what_cannot_be_read_names_no_seats(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as on:
        await leading(on)
        record = on.record("m_9", on.connect("ada")[2])
        on.edge.matcher.vacant(InboxEvent(kind="vacant", match=record, mode="duel", ms=10**6, detail="no JSON"))
        on.edge.matcher.vacant(InboxEvent(kind="vacant", mode="duel", detail="[]"))
        await on.edge.matcher._backfill("duel", 0)
        assert not on.edge.matcher._pools["duel"].vacant
