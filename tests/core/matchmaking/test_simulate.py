"""Arrivals replayed: a simulation ends, whatever came."""

import threading

from gameedge.core.matchmaking import widening
from gameedge.core.matchmaking.rules import ModeRules, Skill
from gameedge.core.matchmaking.simulate import Result, simulate
from gameedge.core.matchmaking.ticket import Ticket
from tests.core.matchmaking.test_propose import party, ticket


def run(tickets: list[Ticket], rules: ModeRules) -> Result:
    found: list[Result] = []
    thread = threading.Thread(target=lambda: found.append(simulate(tickets, {"m": rules})), daemon=True)
    thread.start()
    thread.join(120)
    assert found, "it does not end"
    return found[0]


def test_a_party_whose_members_came_one_after_the_other_ends_with_its_time() -> None:
    """Nothing widens, so only the end of a ticket's time is waited for: that of the party, which is as old as its last member."""
    rules = ModeRules(teams=2, team_size=5, npc_fill=False, timeout_ms=10_000, skill=Skill(window=widening.constant(4.0)))
    first, second = party("x", 0, 2, created_ms=0)
    late = ticket(1, party="x", party_size=2, created_ms=1_000)
    alone = ticket(7, created_ms=500)
    result = run([first, alone, late], rules)
    assert second.id == late.id
    assert {left.ticket.id: left.waited_ms for left in result.unmatched} == {first.id: 11_000, alone.id: 10_000, late.id: 10_000}
    assert all("10000 ms are over" in left.reason for left in result.unmatched)
    assert result.end_ms == 11_000
    assert result.looks < 20
