"""People for the empty seats of a match that runs: who waits longest first, where their party fits and all accept each other.

Those who play are judged as if they had just queued (their windows do not widen while they play), newcomers by their own waiting.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from gameedge.core.ids import EdgeId
from gameedge.core.matchmaking.audit import violations
from gameedge.core.matchmaking.pool import PoolArrays
from gameedge.core.matchmaking.propose import Proposal
from gameedge.core.matchmaking.ticket import Ticket

LOOKED_MAX = 200  # units, the oldest first: seats of a running match are not worth more


@dataclass(frozen=True, slots=True)
class Vacancy:
    """A running match with seats that people could take."""

    present: Sequence[Sequence[Ticket]]  # by team; people, not NPCs
    region: str | None
    left_ms: int  # until it ends


def backfill(pool: PoolArrays, vacancy: Vacancy, now_ms: int, *, live_edges: Collection[EdgeId] | None = None) -> list[list[Ticket]]:
    """Who should join each team, from the pool; empty lists where nobody should. The caller claims their seats (`match_join`)."""
    rules = pool.rules
    joined: list[list[Ticket]] = [[] for _ in vacancy.present]
    rule = rules.backfill
    if rule is None or not rule.people or vacancy.left_ms < rule.until_left_ms or len(joined) != rules.teams:
        return joined
    rows = np.flatnonzero(pool.ready & pool.live(live_edges))
    rows = rows[np.lexsort((pool.tie[rows], pool.created[rows]))][:LOOKED_MAX]
    for row in rows.tolist():
        unit = pool.units[row]
        assert unit is not None
        best: tuple[float, int] | None = None
        for team in range(rules.teams):
            if len(vacancy.present[team]) + len(joined[team]) + len(unit.members) > rules.team_size:
                continue
            teams = [[*vacancy.present[t], *joined[t], *(unit.members if t == team else ())] for t in range(rules.teams)]
            present = {ticket.id for each in vacancy.present for ticket in each}
            fresh = [[_fresh(ticket, now_ms) if ticket.id in present else ticket for ticket in each] for each in teams]
            if not violations(Proposal(fresh, 1.0, [], vacancy.region), rules, now_ms, full=False):
                gap = _gap(teams)
                if best is None or (gap, team) < best:
                    best = gap, team
        if best is not None:
            joined[best[1]].extend(unit.members)
    return joined


def _fresh(ticket: Ticket, now_ms: int) -> Ticket:
    return msgspec.structs.replace(ticket, created_ms=now_ms, party=None, party_size=1)


def _gap(teams: Sequence[Sequence[Ticket]]) -> float:
    means = [sum(ticket.rating for ticket in team) / len(team) for team in teams if team]
    return max(means) - min(means) if means else 0.0
