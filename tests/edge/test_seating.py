"""News of matches: what concerns a player is told once, what is late is not."""

import pytest

from gameedge.core.game import Outcome
from gameedge.core.ids import MatchId, TicketId
from gameedge.core.protocol.messages import MatchEnded, MatchFound, MatchLost, MatchStarted, Refused
from gameedge.state.base import InboxEvent

from .parts import OTHER, bench, ticket_of


async def test_from_found_to_the_end() -> None:
    async with bench() as on:
        edge = on.edge
        (a, link_a, ada), (b, _, bob) = on.connect("ada"), on.connect("bob")
        record = on.record("m_1", ada, bob)
        await on.claim(record)
        for player in (ada, bob):
            player.ticket = ticket_of(player).id
        await edge.matches.open(record)
        await edge.matches.open(record)  # the event is heard again
        found = [message for message in a.said() if isinstance(message, MatchFound)]
        assert found
        assert {message.match_token for message in found} == {found[0].match_token}
        assert edge.metrics.value("matches_started_total") == 1
        assert (ada.match, ada.ticket) == ("m_1", None)
        link_a.on_text(b'{"t":"join","n":1,"match":"m_1","match_token":"wrong"}')
        assert [type(message) for message in a.said()] == [Refused]
        link_a.on_text(b'{"t":"join","n":2,"match":"m_1","match_token":"%s"}' % found[0].match_token.encode())
        assert isinstance(a.said()[0], MatchStarted)
        assert edge.seating.plays(ada)
        assert not edge.seating.plays(bob)
        await edge.events.heard(InboxEvent(kind="lost", match_id=MatchId("m_0"), session=ada.session.session, detail="late"))
        assert a.said() == []
        assert edge.seating.plays(ada), "news of an earlier match unseats nobody"
        assert edge.host.abandoned(edge.clock.monotonic_ms() + 1e6, 5) == [], "somebody plays"
        (ended,) = edge.host.ended([_outcome(edge.host.get(MatchId("m_1")).slot)], 5)  # type: ignore[union-attr]
        edge.seating.match_over(ended)
        edge.seating.match_stored(ended)
        assert isinstance(a.said()[0], MatchEnded)
        assert ada.match is None
        assert [m.match for m in b.said() if isinstance(m, MatchEnded)] == [MatchId("m_1")], "who never joined is told too"


def _outcome(slot: int) -> Outcome:
    return Outcome(slot, [0, 1], [3, 1], [3, 1], "finished")


async def test_a_result_that_the_region_did_not_take_is_a_lost_match() -> None:
    async with bench() as on:
        edge = on.edge
        a, link, ada = on.connect("ada")
        record = on.record("m_1", ada)
        await on.claim(record)
        ada.ticket = ticket_of(ada).id
        await edge.matches.open(record)
        (found,) = a.said()
        assert isinstance(found, MatchFound)
        link.on_text(b'{"t":"join","n":1,"match":"m_1","match_token":"%s"}' % found.match_token.encode())
        a.said()
        (ended,) = edge.host.ended([_outcome(edge.host.get(MatchId("m_1")).slot)], 5)  # type: ignore[union-attr]
        edge.seating.match_over(ended)
        edge.seating.match_disowned(ended)
        (lost,) = a.said()
        assert isinstance(lost, MatchLost)
        assert ada.match is None


async def test_a_ticket_that_was_given_up_gets_no_match() -> None:
    async with bench() as on:
        a, _, ada = on.connect("ada")
        event = InboxEvent(
            kind="found", match_id=MatchId("m_1"), mode="duel", session=ada.session.session, ticket=TicketId("t_old"), url="ws://x"
        )
        await on.edge.events.heard(event)
        assert a.said() == []
        assert ada.match is None


async def test_a_join_at_the_wrong_process_is_answered_by_where_the_match_is() -> None:
    async with bench() as on:
        a, link, ada = on.connect("ada")
        record = on.record("m_1", ada, host=OTHER)
        await on.claim(record)
        ada.ticket = ticket_of(ada).id
        event = InboxEvent(
            kind="found",
            match_id=record.match,
            mode="duel",
            session=ada.session.session,
            ticket=ada.ticket,
            url="ws://other",
            match_token="k",
        )
        await on.edge.events.heard(event)
        assert isinstance(a.said()[0], MatchFound)
        link.on_text(b'{"t":"join","n":1,"match":"m_1","match_token":"k"}')
        assert a.said() == [], "no refusal: the answer comes from the match's process"
        await on.store.match_close("duel", record.match, None)
        await on.edge.lobby.places._find_place(ada)
        assert isinstance(a.said()[0], MatchLost)


async def test_a_match_that_the_game_cannot_open_is_lost_and_its_players_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench() as on:
        a, _, ada = on.connect("ada")
        record = on.record("m_1", ada)
        await on.claim(record)
        ada.ticket = ticket_of(ada).id

        def broken(mode: str, seed: int, seats: object) -> int:
            raise ZeroDivisionError("a studio's own bug")

        monkeypatch.setattr(on.edge.game, "open_match", broken)
        await on.edge.events.heard(InboxEvent(kind="host", match=record))
        assert [type(message) for message in a.said()] == [MatchLost]
        assert ada.ticket is None
        assert await on.store.matches("duel") == []
        assert on.edge.metrics.value("errors_total", where="game") == 1
