"""An NPC that holds a player's place plays at the player's level, and rosters say how NPCs play."""

import math

import numpy as np
import pytest

from gameedge.arena import Arena
from gameedge.arena import world as at
from gameedge.core.ids import EdgeId, MatchId, PlayerId, RegionId, SessionId, TicketId
from gameedge.core.npc import action, hand
from gameedge.core.npc import observation as o
from gameedge.core.npc.style import STYLES
from gameedge.edge.host import MatchHost, level_of
from gameedge.inference.backends.npc_policy import NpcPolicy
from gameedge.inference.depot import Depot
from gameedge.state.base import MatchRecord, Ticket


@pytest.mark.parametrize(("rating", "level"), [(-1e9, 1), (0.0, 1), (25.0, 5), (33.4, 7), (46.0, 10), (1e9, 10), (math.nan, 5)])
def test_the_level_fits_the_rating(rating: float, level: int) -> None:
    assert level_of(rating) == level


def test_seats_styles_and_names() -> None:
    ticket = Ticket(
        id=TicketId("t1"), player=PlayerId("p1"), session=SessionId("s1"), edge=EdgeId("e1"), mode="duel", name="Ada", rating=40.0
    )
    made = {"host": EdgeId("e1"), "fence": 1, "created_ms": 0, "seed": 5}
    record = MatchRecord(match=MatchId("m1"), mode="duel", teams=[[ticket.id], []], tickets=[ticket], **made)  # type: ignore[arg-type]
    host = MatchHost(Arena(matches_max=2, entities_max=8), RegionId("r"), npc_level=3, token=lambda: "k")
    match = host.open(record, 0.0, 0)
    assert [seat.npc_level for seat in match.seats] == [8, 3]
    assert all(seat.npc_style in STYLES for seat in match.seats)
    assert match.roster[0].name == "Ada"
    assert match.roster[1].name == f"npc-1 {match.seats[1].npc_style} L3"
    assert [seat.seat for seat in host.npcs()] == [0, 1]  # until Ada joins
    host.join(match.id, PlayerId("p1"), "k", SessionId("s1"), 0)
    assert [seat.seat for seat in host.npcs()] == [1]
    host.vacate(match.id, 0, 1.0)
    assert [seat.seat for seat in host.npcs()] == [0, 1]


def test_an_npc_holds_the_place_at_the_players_level_and_hands_it_over() -> None:
    """The learned policy plays a missing player's seat in the real arena; the player comes, goes and finds the fight as it is."""
    ticket = Ticket(
        id=TicketId("t1"), player=PlayerId("p1"), session=SessionId("s1"), edge=EdgeId("e1"), mode="duel", name="Ada", rating=40.0
    )
    made = {"host": EdgeId("e1"), "fence": 1, "created_ms": 0, "seed": 5}
    record = MatchRecord(match=MatchId("m1"), mode="duel", teams=[[ticket.id], []], tickets=[ticket], **made)  # type: ignore[arg-type]
    arena = Arena(matches_max=1, entities_max=2)
    host = MatchHost(arena, RegionId("r"), npc_level=3, token=lambda: "k")
    match = host.open(record, 0.0, 0)
    npc = Depot().build("npc", 2)
    assert isinstance(npc, NpcPolicy)
    ours, theirs = (arena.entity(match.slot, seat) for seat in (0, 1))

    def play(ticks: int) -> None:
        for _ in range(ticks):
            entities = arena.npcs()
            rows, out = (np.zeros((len(entities), size), np.float32) for size in (o.OBSERVATION_SIZE, action.ACTION_SIZE))
            arena.observe(entities, rows)
            npc.run(rows, entities, out)
            arena.act(entities, out)
            arena.step()

    def place() -> tuple[float, float]:
        return float(arena._world.f[at.X, ours]), float(arena._world.f[at.Y, ours])

    start = place()
    play(90)
    styles = [STYLES.index(seat.npc_style) for seat in match.seats]
    assert npc.state[ours, hand.HANDICAP] == npc.levels[styles[0], 7]  # as good as Ada
    assert npc.state[theirs, hand.HANDICAP] == npc.levels[styles[1], 2]
    held = place()
    assert np.hypot(held[0] - start[0], held[1] - start[1]) > 1.0
    host.join(match.id, PlayerId("p1"), "k", SessionId("s1"), 0)
    assert arena.npcs().tolist() == [theirs]
    assert place() == held  # nothing begins anew
    play(60)
    there = place()
    assert np.hypot(there[0] - held[0], there[1] - held[1]) < 1.5  # nobody moves it but its player; it ran out what it was doing
    host.vacate(match.id, 0, 1.0)
    assert sorted(arena.npcs().tolist()) == sorted([ours, theirs])
    play(90)
    back = place()
    assert np.hypot(back[0] - there[0], back[1] - there[1]) > 1.0
