"""An NPC that holds a player's place plays at the player's level, and rosters say how NPCs play."""

import math

import pytest

from gameedge.arena import Arena
from gameedge.core.ids import EdgeId, MatchId, PlayerId, RegionId, SessionId, TicketId
from gameedge.core.npc.style import STYLES
from gameedge.edge.host import MatchHost, level_of
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
