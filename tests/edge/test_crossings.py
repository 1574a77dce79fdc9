"""A region's part in matches across regions: what it grants, whom it sends, whom it takes back, and what it opens for guests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import EdgeId, MatchId, PlayerId, RegionId, SessionId, TicketId
from gameedge.core.matchmaking.crossing import grant_of, rules_name
from gameedge.core.matchmaking.rules import to_json
from gameedge.core.protocol.messages import Dequeued, MatchAway, MatchFound, MatchStarted, MatchWithdrawn, Queued, QueueStatus, Refused
from gameedge.core.tokens import AskClaims
from gameedge.edge.player import Player
from gameedge.state.base import InboxEvent, MatchRecord, Ticket
from gameedge.state.crossings import Body, End, Grant, Open, Opened, Seat, Seen, Send

from .parts import ME, OTHER, REGION, Bench, FakeConnection, bench
from .test_queueing import run_lanes

AWAY = RegionId("far-1")
GUEST_HOME = EdgeId("x")
MATCH = MatchId("m_1")
RULES = """
version = 1
[modes.duel]
[modes.duel.skill]
window = 20
[modes.duel.latency]
limit_ms = 200
share = { after_ms = 0, thin = 10 }
"""


@asynccontextmanager
async def leading(tmp_path: Path, **more: object) -> AsyncIterator[Bench]:
    """A process that holds the lease of the mode, whose rules let tickets cross."""
    (tmp_path / "rules.toml").write_text(RULES)
    async with bench(**{"match_rules": str(tmp_path / "rules.toml"), "fill_ms": 0, "exchange": True, **more}) as on:
        await on.edge.reports.beat_once()
        await look(on)
        yield on


async def look(on: Bench) -> None:
    """What the matcher does when something changed, without its waiting."""
    on.edge.matcher.processes._looked_ms = -1e12
    assert await on.edge.matcher._lease("duel")
    await on.edge.matcher._look("duel")


def claims(ask: str, body: Body) -> AskClaims:
    data = msgspec.msgpack.encode(body)
    return AskClaims(iss="", aud="", sub="c", region=REGION, edge=ME, ask=ask, body=data, jti="12345678", reply="c", iat=0, exp=0)


async def ask(on: Bench, what: str, body: Body) -> Any:
    return await on.edge.asks.handlers[what](claims(what, body))


async def inbox(on: Bench) -> None:
    for event in await on.store.inbox_read(ME, 0):
        await on.edge.events.heard(event)
    await run_lanes(on)


async def queued(on: Bench, name: str, *, away: bool = True) -> tuple[FakeConnection, Player]:
    connection, link, player = on.connect(name)
    message = {"t": "queue", "n": 1, "mode": "duel", "away": away, "rtt_ms": {AWAY: 90.0, REGION: 20.0}}
    player.claims = msgspec.structs.replace(player.claims, rtt_ms={AWAY: 80.0, REGION: 10.0})
    link.on_text(msgspec.json.encode(message))
    await run_lanes(on)
    assert [type(said) for said in connection.said()] == [Queued]
    await look(on)
    return connection, player


async def granted(on: Bench, player: Player) -> TicketId:
    assert player.ticket is not None
    ticket = player.ticket
    answer = await ask(on, "crossing_grant", Grant(match=MATCH, mode="duel", region=AWAY, tickets=[ticket]))
    assert [each.id for each in answer.tickets] == [ticket]
    await inbox(on)
    assert player.away is not None
    return ticket


def seat(ticket: TicketId, region: RegionId = AWAY) -> Send:
    token = "" if region == REGION else "token"
    return Send(match=MATCH, mode="duel", region=region, urls=["ws://far"], seats={ticket: Seat(match_token="k", token=token)})


async def test_a_ticket_is_granted_sent_and_confirmed(tmp_path: Path) -> None:
    async with leading(tmp_path) as on:
        connection, player = await queued(on, "ada")
        [ticket] = await on.store.tickets("duel")
        assert (ticket.away, ticket.rtt_ms) == (True, {AWAY: 90.0, REGION: 20.0})
        await granted(on, player)
        assert await on.store.tickets("duel") == []
        assert await ask(on, "crossing_send", seat(ticket.id)) == [ticket.id]
        await inbox(on)
        [told] = connection.said()
        assert isinstance(told, MatchAway)
        assert (told.region, told.urls, told.token, told.match_token, told.ticket) == (AWAY, ["ws://far"], "token", "k", ticket.id)
        assert await ask(on, "crossing_send", seat(ticket.id)) == [], "once"
        assert await ask(on, "crossing_end", End(match=MATCH, mode="duel", tickets=[ticket.id], arrived=True)) == 1
        await inbox(on)
        [told] = connection.said()
        assert isinstance(told, Dequeued)
        assert (await on.store.matches("duel"), await on.store.tickets("duel"), len(on.edge.crossings)) == ([], [], 0)


async def test_a_grant_that_leads_nowhere_ends_and_nobody_is_told(tmp_path: Path) -> None:
    async with leading(tmp_path) as on:
        connection, player = await queued(on, "ada")
        [before] = await on.store.tickets("duel")
        await granted(on, player)
        assert await ask(on, "crossing_end", End(match=MATCH, mode="duel", tickets=[before.id], arrived=False)) == 1
        await inbox(on)
        assert await on.store.tickets("duel") == [before], "told that it is off: with its age"
        await look(on)
        await granted(on, player)
        player.away.until_ms = 0.0  # type: ignore[union-attr]
        await on.edge.crossings.look()
        assert await on.store.tickets("duel") == [before], "by itself, too"
        assert connection.said() == []
        assert await ask(on, "crossing_send", seat(before.id)) == [], "too late"


async def test_who_was_sent_and_stays_is_taken_back_only_when_its_seat_is_void(tmp_path: Path) -> None:
    async with leading(tmp_path) as on:
        connection, player = await queued(on, "ada")
        ticket = await granted(on, player)
        await ask(on, "crossing_send", seat(ticket))
        await inbox(on)
        connection.said()
        await ask(on, "crossing_end", End(match=MATCH, mode="duel", tickets=[ticket], arrived=False))
        await inbox(on)
        assert await on.store.tickets("duel") == [], "it may be on its way"
        away = player.away
        assert away is not None
        assert away.until_ms - on.edge.clock.monotonic_ms() > limits.CROSSING_JOIN_MS
        await on.edge.queueing.tell_queues(lambda mode, waited: None)
        assert connection.said() == [], "its ticket is in nobody's pool, and not given up"
        away.until_ms = 0.0
        await on.edge.crossings.look()
        [told] = connection.said()
        assert isinstance(told, MatchWithdrawn)
        assert [each.id for each in await on.store.tickets("duel")] == [ticket]
        await on.edge.queueing.tell_queues(lambda mode, waited: None)
        assert [type(said) for said in connection.said()] == [QueueStatus]


async def test_who_was_sent_and_is_gone_ends_with_a_reason(tmp_path: Path) -> None:
    async with leading(tmp_path) as on:
        _, player = await queued(on, "ada")
        ticket = await granted(on, player)
        await ask(on, "crossing_send", seat(ticket))
        await inbox(on)
        assert player.link is not None
        player.link.on_close(1000, "")
        player.away.until_ms = 0.0  # type: ignore[union-attr]
        await on.edge.crossings.look()
        assert (await on.store.tickets("duel"), await on.store.matches("duel"), player.ticket) == ([], [], None)
        [kept] = [data for data in player.session._unacked if b"dequeued" in data]
        assert b"match_lost" in kept, "it hears so where it comes back"


async def test_the_nearer_of_two_plays_at_home_as_ever(tmp_path: Path) -> None:
    async with leading(tmp_path) as on:
        connection, player = await queued(on, "ada")
        ticket = await granted(on, player)
        await ask(on, "crossing_send", seat(ticket, REGION))
        await inbox(on)
        [told] = connection.said()
        assert isinstance(told, MatchFound)
        assert (told.match, told.url, told.match_token, player.match, player.ticket) == (MATCH, "ws://far", "k", MATCH, None)
        await on.edge.players.sweep()
        assert (await on.store.matches("duel"), await on.store.tickets("duel")) == ([], [])


@pytest.mark.parametrize("heard", [False, True])
async def test_cancelling_ends_a_grant_and_nobody_is_sent(tmp_path: Path, heard: bool) -> None:
    async with leading(tmp_path) as on:
        connection, player = await queued(on, "ada")
        assert player.ticket is not None
        assert player.link is not None
        ticket = player.ticket
        if heard:
            await granted(on, player)
        else:  # the claim is made, its event still under way
            await ask(on, "crossing_grant", Grant(match=MATCH, mode="duel", region=AWAY, tickets=[ticket]))
        player.link.on_text(b'{"t":"cancel","n":2}')
        await run_lanes(on)
        await inbox(on)
        assert [type(said) for said in connection.said()] == [Dequeued]
        assert (await on.store.tickets("duel"), await on.store.matches("duel")) == ([], [])
        assert await ask(on, "crossing_send", seat(ticket)) == []


async def test_who_was_sent_cancels_when_its_seat_is_void(tmp_path: Path) -> None:
    async with leading(tmp_path) as on:
        connection, player = await queued(on, "ada")
        ticket = await granted(on, player)
        await ask(on, "crossing_send", seat(ticket))
        await inbox(on)
        connection.said()
        assert player.link is not None
        player.link.on_text(b'{"t":"cancel","n":2}')
        await run_lanes(on)
        [said] = connection.said()
        assert isinstance(said, Refused)
        assert said.reason is Reason.IN_MATCH
        player.away.until_ms = 0.0  # type: ignore[union-attr]
        await on.edge.crossings.look()
        [said] = connection.said()
        assert isinstance(said, Dequeued), "what it wished comes true when its seat is void"
        assert (said.reason, await on.store.tickets("duel"), await on.store.matches("duel")) == (None, [], [])


async def test_what_is_not_shown_is_not_granted(tmp_path: Path) -> None:
    async with leading(tmp_path) as on:
        _, ada = await queued(on, "ada", away=False)
        _, bob = await queued(on, "bob")
        assert ada.ticket is not None
        assert bob.ticket is not None
        for wrong in ([ada.ticket], [bob.ticket, ada.ticket], [bob.ticket, bob.ticket], [TicketId("t_none")], []):
            with pytest.raises(RefusedError):
                await ask(on, "crossing_grant", Grant(match=MATCH, mode="duel", region=AWAY, tickets=wrong))
        with pytest.raises(RefusedError):
            await ask(on, "crossing_grant", Grant(match=MATCH, mode="squads", region=AWAY, tickets=[bob.ticket]))
        with pytest.raises(RefusedError, match="crossing_grant"):
            await on.edge.asks.handlers["crossing_grant"](
                msgspec.structs.replace(claims("crossing_grant", Seen(match=MATCH, mode="x")), body=b"?")
            )
        on.edge.matcher._pools["duel"].fence = None
        await on.store.lease_release("matcher-duel", ME)
        assert await on.store.lease("matcher-duel", OTHER, 60_000) is not None
        with pytest.raises(RefusedError, match="another process leads"):
            await ask(on, "crossing_grant", Grant(match=MATCH, mode="duel", region=AWAY, tickets=[bob.ticket]))


async def test_a_region_that_is_switched_off_neither_shows_nor_grants(tmp_path: Path) -> None:
    async with leading(tmp_path, exchange=False) as on:
        _, player = await queued(on, "ada")
        assert player.ticket is not None
        [ticket] = await on.store.tickets("duel")
        assert (ticket.away, on.edge.exchange.version, on.edge.exchange.rules) == (False, 0, {})
        with pytest.raises(RefusedError):
            await ask(on, "crossing_grant", Grant(match=MATCH, mode="duel", region=AWAY, tickets=[player.ticket]))


# ------------------------------------------------------------------------------------------------------------------ guests


def guest(name: str, *, edge: EdgeId = GUEST_HOME, **more: object) -> Ticket:
    fields: dict[str, object] = {"rtt_ms": {str(REGION): 50.0}, "created_ms": 1_000, **more}
    return Ticket(id=TicketId(f"t_{name}"), player=PlayerId(name), session=SessionId("s"), edge=edge, mode="duel", **fields)  # type: ignore[arg-type]


def opening(on: Bench, *tickets: Ticket, match: str = "m_9", **more: object) -> Open:
    text = to_json(on.edge.exchange.rules["duel"])
    teams = [[ticket.id] for ticket in tickets]
    fields: dict[str, object] = {"rules": rules_name(text), "teams": teams, "tickets": list(tickets), "now_ms": 3_000, **more}
    return Open(match=MatchId(match), mode="duel", **fields)  # type: ignore[arg-type]


async def test_a_match_of_guests_is_opened_once_joined_and_voided(tmp_path: Path) -> None:
    async with leading(tmp_path) as on:
        opened = await ask(on, "crossing_open", opening(on, guest("ada"), guest("bob")))
        again = await ask(on, "crossing_open", opening(on, guest("ada"), guest("bob")))
        assert isinstance(opened, Opened)
        assert opened == again
        assert on.edge.host.started == 1
        connection, link, _ = on.connect("ada")
        link.on_text(msgspec.json.encode({"t": "join", "n": 1, "match": "m_9", "match_token": opened.tokens[TicketId("t_ada")]}))
        assert any(isinstance(said, MatchStarted) for said in connection.said())
        assert await ask(on, "crossing_seen", Seen(match=MatchId("m_9"), mode="duel")) == ["t_ada"]
        match = on.edge.host.get(MatchId("m_9"))
        assert match is not None
        match.opened_ms -= limits.CROSSING_JOIN_MS + 1
        connection, link, _ = on.connect("bob")
        link.on_text(msgspec.json.encode({"t": "join", "n": 1, "match": "m_9", "match_token": opened.tokens[TicketId("t_bob")]}))
        assert [said.reason for said in connection.said() if isinstance(said, Refused)] == [Reason.TOKEN_INVALID], "too late: void"
        assert match.seats[0].match_token, "who sits keeps the seat"
        assert [free[2] for free in on.edge.host.free_seats(match)] == ["t_bob"], "and somebody else may have it"
        on.edge.host.stop(match.id, on.edge.clock.unix_ms())
        assert await ask(on, "crossing_seen", Seen(match=MatchId("m_9"), mode="duel")) == ["t_ada"], "it may be over before anybody asks"
        with pytest.raises(RefusedError, match="does not run here"):
            await ask(on, "crossing_seen", Seen(match=MatchId("m_8"), mode="duel"))


async def test_a_host_checks_the_rules_itself(tmp_path: Path) -> None:
    async with leading(tmp_path) as on:
        ada, bob = guest("ada"), guest("bob")
        wrongs = [
            opening(on, ada, guest("bob", rtt_ms={str(REGION): 300.0})),  # beyond the limit
            opening(on, ada, guest("bob", rating=90.0)),
            opening(on, ada, guest("bob", blocks=[PlayerId("ada")])),
            opening(on, ada, guest("bob", trust=1)),
            opening(on, ada),
            opening(on, ada, ada),
            opening(on, ada, bob, rules="others"),
            opening(on, ada, bob, teams=[["t_ada"], ["t_none"]]),
            opening(on, ada, msgspec.structs.replace(bob, mode="squads")),
        ]
        for wrong in wrongs:
            with pytest.raises(RefusedError):
                await ask(on, "crossing_open", wrong)
        assert (on.edge.host.started, await on.store.matches("duel")) == (0, [])
        on.edge.lobby.draining = True
        with pytest.raises(RefusedError):
            await ask(on, "crossing_open", opening(on, ada, bob))


async def test_a_host_without_room_opens_nothing_and_keeps_nothing(tmp_path: Path) -> None:
    async with leading(tmp_path, matches_max=1, entities_max=2) as on:
        await ask(on, "crossing_open", opening(on, guest("ada"), guest("bob")))
        with pytest.raises(RefusedError, match="room"):
            await ask(on, "crossing_open", opening(on, guest("eve"), guest("joe"), match="m_8"))
        assert [record.match for record in await on.store.matches("duel")] == ["m_9"]
        assert await on.store.tickets("duel") == [], "guests are never queued here"


async def test_another_process_that_asks_for_a_granted_player_is_told(tmp_path: Path) -> None:
    async with leading(tmp_path) as on:
        _, player = await queued(on, "ada")
        ticket = await granted(on, player)
        grant = grant_of(MATCH, ticket)
        rejoin = InboxEvent(
            kind="rejoin", match_id=grant, mode="duel", player=player.id, session=SessionId("s_2"), ticket=ticket, edge=OTHER
        )
        await on.edge.events.heard(rejoin)
        [back] = await on.store.tickets("duel")
        assert (back.id, back.session, back.edge) == (ticket, "s_2", OTHER), "it waits on, in its new process"
    async with leading(tmp_path) as on:
        _, player = await queued(on, "ada")
        ticket = await granted(on, player)
        await ask(on, "crossing_send", seat(ticket))
        await inbox(on)
        await on.edge.events.heard(msgspec.structs.replace(rejoin, ticket=ticket, match_id=grant_of(MATCH, ticket)))
        [held] = await on.store.inbox_read(OTHER, 0)
        assert (held.kind, held.session) == ("held", "s_2")
        assert held.ms > limits.CROSSING_JOIN_MS
        player.away.until_ms = 0.0  # type: ignore[union-attr]
        await on.edge.crossings.look()
        [back] = await on.store.tickets("duel")
        assert (back.session, back.edge) == ("s_2", OTHER)


async def test_grants_of_a_dead_process_go_back_unless_they_were_sent(tmp_path: Path) -> None:
    async with leading(tmp_path) as on:
        one, two = guest("ada"), guest("bob")
        await on.store.tickets_add("duel", [one, two], 100)
        made: list[MatchRecord] = []
        for ticket in (one, two):
            made.append(
                MatchRecord(
                    match=grant_of(MATCH, ticket.id), mode="duel", host=EdgeId("x"), fence=0, teams=[[ticket.id]], tickets=[ticket],
                    created_ms=on.edge.clock.unix_ms(), seed=0, accept_ms=8_000, away=AWAY,
                )
            )  # fmt: skip
            assert await on.store.claim(made[-1], "") == []
        await on.store.inbox_read(EdgeId("x"), 0)
        assert await on.store.match_adopt(made[1], EdgeId("x")) is not None
        edges = {ME}
        now_ms = on.edge.clock.monotonic_ms()
        on.edge.matcher.reaper._missing = {EdgeId("x"): now_ms - 60_000}
        await on.edge.matcher.reaper._reap_matches(["duel"], edges, now_ms)
        assert [ticket.id for ticket in await on.store.tickets("duel")] == [one.id]
        assert await on.store.matches("duel") == []


async def test_a_grant_that_its_process_forgot_is_ended(tmp_path: Path) -> None:
    async with leading(tmp_path) as on:
        ticket = guest("ada", edge=ME)
        await on.store.ticket_add(ticket, 100)
        record = MatchRecord(
            match=grant_of(MATCH, ticket.id), mode="duel", host=ME, fence=0, teams=[[ticket.id]], tickets=[ticket],
            created_ms=on.edge.clock.unix_ms() - limits.CROSSING_STALE_MS - 1, seed=0, accept_ms=8_000, away=AWAY,
        )  # fmt: skip
        assert await on.store.claim(record, "") == []
        await on.edge.matcher.reaper._reap_matches(["duel"], {ME}, on.edge.clock.monotonic_ms())
        assert [each.id for each in await on.store.tickets("duel")] == [ticket.id]
