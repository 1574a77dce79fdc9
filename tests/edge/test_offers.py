"""Matches that everybody must accept: yes, no, silence, and processes that go away while they ask."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from gameedge.core.errors import Reason, UnavailableError
from gameedge.core.ids import EdgeId, MatchId
from gameedge.core.matchmaking.propose import Proposal
from gameedge.core.protocol.messages import Dequeued, MatchFound, MatchOffered, MatchWithdrawn, Refused
from gameedge.edge.offers import GRACE_MS
from gameedge.edge.player import Player
from gameedge.edge.reaper import MISSING_MS
from gameedge.state.base import InboxEvent, MatchRecord

from .parts import ME, OTHER, Bench, FakeConnection, bench, ticket_of
from .test_matcher import reap
from .test_queueing import run_lanes


async def offered(on: Bench, *names: str, party: str | None = None) -> tuple[MatchRecord, list[tuple[FakeConnection, Player]]]:
    """A claimed duel of these players that this process was given."""
    people = []
    for name in names:
        connection, _, player = on.connect(name)
        player.ticket, player.mode = ticket_of(player).id, "duel"
        people.append((connection, player))
    record = msgspec.structs.replace(on.record("m_1", *(player for _, player in people)), accept_ms=5_000)
    if party is not None:
        tickets = [msgspec.structs.replace(ticket, party=party, party_size=len(names)) for ticket in record.tickets]
        record = msgspec.structs.replace(record, tickets=tickets)
    await on.claim(record)
    await on.edge.matches.open(record)
    await run_lanes(on)
    return record, people


def say(on: Bench, who: tuple[FakeConnection, Player], tag: str, n: int = 1, match: str = "m_1") -> None:
    assert who[1].link is not None
    who[1].link.on_text(msgspec.json.encode({"t": tag, "n": n, **({} if tag == "cancel" else {"match": match})}))


def heard(who: tuple[FakeConnection, Player]) -> list[type]:
    return [type(message) for message in who[0].said()]


async def test_all_say_yes() -> None:
    async with bench() as on:
        _, (ada, bob) = await offered(on, "ada", "bob")
        (asked,) = ada[0].said()
        assert isinstance(asked, MatchOffered)
        assert (asked.match, asked.mode, asked.people) == ("m_1", "duel", 2)
        assert 4_000 < asked.accept_ms <= 5_000
        assert heard(bob) == [MatchOffered]
        say(on, ada, "accept")
        await run_lanes(on)
        assert on.edge.host.get(MatchId("m_1")) is None, "it is no match yet"
        say(on, bob, "accept")
        await run_lanes(on)
        assert (heard(ada), heard(bob)) == ([MatchFound], [MatchFound])
        match = on.edge.host.get(MatchId("m_1"))
        assert match is not None
        assert (match.record.accept_ms, match.record.epoch) == (0, 1)
        assert (await on.store.match_get("duel", match.id)) == match.record
        assert (len(on.edge.offers), ada[1].offer) == (0, None)


@pytest.mark.parametrize("call", ["match_adopt", "checkpoint_put"])
async def test_a_match_that_all_accepted_is_opened_although_the_store_was_away(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench() as on:
        record, (ada, bob) = await offered(on, "ada", "bob")
        real, away = getattr(on.store, call), True

        async def now_and_then(*given: object, **more: object) -> object:
            if away:
                raise UnavailableError("away for a moment")
            return await real(*given, **more)

        monkeypatch.setattr(on.store, call, now_and_then)
        for who in (ada, bob):
            say(on, who, "accept")
        await run_lanes(on)
        say(on, bob, "decline", n=2)
        away = call == "match_adopt"
        await run_lanes(on)
        away = False
        await on.edge.offers.look()
        if call == "checkpoint_put":  # it is a match already: it is too late for a no
            assert (heard(ada), heard(bob)) == ([MatchOffered, MatchFound], [MatchOffered, MatchFound])
            assert on.edge.host.get(record.match) is not None
        assert len(on.edge.offers) == 0


@pytest.mark.parametrize("tag", ["decline", "cancel"])
async def test_who_says_no_is_out_and_the_others_wait_as_before(tag: str) -> None:
    async with bench() as on:
        _, (ada, bob) = await offered(on, "ada", "bob")
        say(on, ada, "accept")
        say(on, bob, tag)
        await run_lanes(on)
        assert isinstance(bob[0].said()[-1], Dequeued)
        assert bob[1].ticket is None
        assert heard(ada) == [MatchOffered, MatchWithdrawn]
        (ticket,) = await on.store.tickets("duel")
        assert (ticket.player, ticket.created_ms) == ("ada", 1), "with its age"
        assert await on.store.matches("duel") == []
        assert ada[1].ticket == ticket.id
        say(on, ada, "accept", n=2)
        (refused,) = ada[0].said()
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.NOT_FOUND


async def test_who_is_silent_is_out_and_told_so() -> None:
    async with bench() as on:
        record, (ada, bob) = await offered(on, "ada", "bob")
        say(on, ada, "accept")
        await run_lanes(on)
        await on.edge.offers.look()
        assert len(on.edge.offers) == 1, "there is time yet"
        on.edge.offers._open[record.match].until_ms -= 5_000 + GRACE_MS + 1
        await on.edge.offers.look()
        dequeued = bob[0].said()[-1]
        assert isinstance(dequeued, Dequeued)
        assert dequeued.reason is Reason.IDLE
        assert "accept" in dequeued.detail
        assert heard(ada) == [MatchOffered, MatchWithdrawn]
        assert [ticket.player for ticket in await on.store.tickets("duel")] == ["ada"]


async def test_a_party_is_out_together() -> None:
    async with bench() as on:
        _, (ada, bob) = await offered(on, "ada", "bob", party="friends")
        say(on, bob, "decline")
        await run_lanes(on)
        told = ada[0].said()[-1]
        assert isinstance(told, Dequeued)
        assert told.reason is Reason.PARTY_LEFT
        assert await on.store.tickets("duel") == []


async def test_who_does_not_wait_any_more_says_no_at_once() -> None:
    async with bench() as on:
        _, _, eve = on.connect("eve")
        record = msgspec.structs.replace(on.record("m_1", eve), accept_ms=5_000)
        await on.claim(record)
        await on.edge.matches.open(record)  # eve has no ticket here
        assert len(on.edge.offers) == 0
        assert await on.store.tickets("duel") == []


async def test_a_member_that_resumed_elsewhere_is_asked_there() -> None:
    async with bench() as on:
        record, (ada, bob) = await offered(on, "ada", "bob")
        say(on, ada, "accept")
        await run_lanes(on)
        there = InboxEvent(kind="rejoin", match_id=record.match, mode="duel", player=bob[1].id, session=bob[1].session.session,
                           ticket=bob[1].ticket, edge=OTHER)  # fmt: skip
        await on.edge.events.heard(there)
        (event,) = await on.store.inbox_read(OTHER, 0)
        assert (event.kind, event.match_id, event.edge) == ("offer", record.match, ME)
        assert 0 < event.ms <= 5_000
        say(on, ada, "decline", n=2)
        await run_lanes(on)
        (ticket,) = await on.store.tickets("duel")
        assert (ticket.player, ticket.edge) == ("bob", OTHER), "queued again where it is now"


async def test_a_host_that_dies_while_it_asks_leaves_nobody_nowhere() -> None:
    async with bench() as on:
        _, _, ada = on.connect("ada")
        record = msgspec.structs.replace(on.record("m_1", ada, host=OTHER), accept_ms=5_000)
        await on.claim(record)
        await on.store.inbox_read(OTHER, 0)  # it took the event, asked, and died
        await reap(on, on.edge.matcher, 10_000.0)
        await reap(on, on.edge.matcher, 10_000.0 + MISSING_MS + 1)
        assert [ticket.player for ticket in await on.store.tickets("duel")] == ["ada"]
        assert await on.store.matches("duel") == []


async def test_a_player_whose_host_died_hears_that_the_offer_is_off() -> None:
    async with bench() as on:
        _, (ada, _) = await offered(on, "ada", "bob")
        ada[0].said()
        assert ada[1].ticket is not None
        record = await on.store.match_get("duel", MatchId("m_1"))
        assert record is not None
        assert await on.store.match_unclaim(record)  # by the matcher
        await asyncio.sleep(0.002)
        await on.edge.queueing.tell_queues(lambda mode, waited: None)
        assert heard(ada)[0] is MatchWithdrawn
        assert ada[1].offer is None


async def test_a_drain_gives_everybody_back() -> None:
    async with bench() as on:
        _, (ada, bob) = await offered(on, "ada", "bob")
        await on.edge.offers.withdraw_all()
        assert [heard(ada), heard(bob)] == [[MatchOffered, MatchWithdrawn]] * 2
        assert {ticket.player for ticket in await on.store.tickets("duel")} == {"ada", "bob"}


async def test_the_matcher_says_which_matches_must_be_accepted(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text("[modes.duel.accept]\ndeadline_ms = 2_000\n")
    async with bench(match_rules=str(file)) as on:
        (_, _, ada), (_, _, bob) = on.connect("ada"), on.connect("bob")
        proposal = Proposal([[ticket_of(ada)], [ticket_of(bob)]], 1.0)
        assert on.edge.matcher._record("duel", proposal, EdgeId("e1"), 1, 0).accept_ms == 2_000
