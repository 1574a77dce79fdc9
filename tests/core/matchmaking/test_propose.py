"""Proposals keep every rule, for every pool."""

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gameedge.core.game import ModeSpec
from gameedge.core.ids import EdgeId, PlayerId, SessionId, TicketId
from gameedge.core.matchmaking.propose import Proposal, propose
from gameedge.core.matchmaking.settings import DEFAULT, MatchSettings
from gameedge.core.matchmaking.ticket import Ticket

NOW = 100_000
DUEL = ModeSpec("duel", teams=2, team_size=1, duration_ms=1_000)
SQUADS = ModeSpec("squads", teams=2, team_size=5, duration_ms=1_000)
FREE = ModeSpec("free-for-all", teams=8, team_size=1, duration_ms=1_000)
COOP = ModeSpec("coop", teams=1, team_size=4, duration_ms=1_000, npc_seats=8)
TRIOS = ModeSpec("trios", teams=3, team_size=3, duration_ms=1_000)
NO_FILL = ModeSpec("strict", teams=2, team_size=3, duration_ms=1_000, npc_fill=False)
MODES = (DUEL, SQUADS, FREE, COOP, TRIOS, NO_FILL)


def ticket(number: int, rating: float = 25.0, *, wait_ms: int = 0, edge: str = "a", trust: int = 0, **fields: object) -> Ticket:
    made: dict[str, object] = {
        "id": TicketId(f"t_{number:04}"), "player": PlayerId(f"p_{number}"), "session": SessionId(f"s_{number}"),
        "edge": EdgeId(edge), "mode": "m", "rating": rating, "trust": trust, "created_ms": NOW - wait_ms,
    }  # fmt: skip
    return Ticket(**(made | fields))  # type: ignore[arg-type]


def party(name: str, first: int, size: int, present: int | None = None, **fields: object) -> list[Ticket]:
    count = size if present is None else present
    return [ticket(first + i, party=name, party_size=size, **fields) for i in range(count)]  # type: ignore[arg-type]


ratings = st.one_of(
    st.floats(0, 50),
    st.floats(),  # NaN, infinities, absurd
    st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -1e308, 25.0]),
)


@st.composite
def pools(draw: st.DrawFn) -> list[Ticket]:
    tickets: list[Ticket] = []
    for group in range(draw(st.integers(0, 25))):
        size = draw(st.sampled_from([1, 1, 1, 2, 3, 5, 6]))
        present = size if draw(st.booleans()) else draw(st.integers(1, size))
        trust = draw(st.integers(0, 1))
        for _ in range(present):
            number = len(tickets)
            tickets.append(
                ticket(
                    number,
                    draw(ratings),
                    wait_ms=draw(st.one_of(st.integers(-5_000, 60_000), st.sampled_from([10**18, -(10**18)]))),
                    edge=draw(st.sampled_from(["a", "b", "dead"])),
                    trust=trust,
                    party=f"party-{group}" if size > 1 else None,
                    party_size=size,
                )
            )
    return tickets


def rating_of(unit: Sequence[Ticket], rules: MatchSettings = DEFAULT) -> float:
    """What the matcher takes a unit's rating to be."""
    each = [min(max(t.rating, -rules.rating_bound), rules.rating_bound) for t in unit if abs(t.rating) < 1e300]
    each += [rules.rating_default] * (len(unit) - len(each))
    return sum(each) / len(unit)


def units_of(proposal: Proposal) -> list[list[Ticket]]:
    units: dict[str, list[Ticket]] = {}
    for team in proposal.teams:
        for t in team:
            units.setdefault(t.party or t.id, []).append(t)
    return list(units.values())


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pool=pools(), fill_ms=st.sampled_from([0, 2_000]))
def test_every_rule_for_every_pool(mode: ModeSpec, pool: list[Ticket], fill_ms: int) -> None:
    live = frozenset({EdgeId("a"), EdgeId("b")})
    proposals = propose(pool, mode, NOW, live_edges=live, fill_ms=fill_ms)
    seen: set[str] = set()
    for proposal in proposals:
        assert len(proposal.teams) == len(proposal.empty) == mode.teams
        assert 0.0 <= proposal.quality <= 1.0
        members = [t for team in proposal.teams for t in team]
        assert members
        for team, empty in zip(proposal.teams, proposal.empty, strict=True):
            assert len(team) + empty == mode.team_size
            assert empty >= 0
        assert seen.isdisjoint(t.id for t in members)
        seen.update(t.id for t in members)
        assert len(members) == len({t.id for t in members})
        assert all(t.edge in live for t in members)
        assert len({t.trust for t in members}) == 1
        units = units_of(proposal)
        for unit in units:
            assert len(unit) == unit[0].party_size
            assert any({t.id for t in unit} <= {t.id for t in team} for team in proposal.teams)
        for one in units:
            wait_ms = NOW - max(t.created_ms for t in one)
            for other in units:
                assert abs(rating_of(one) - rating_of(other)) <= DEFAULT.window(wait_ms) + 1e-6
        if any(proposal.empty):
            assert mode.npc_fill
            assert fill_ms > 0
            assert max(NOW - max(t.created_ms for t in unit) for unit in units) >= fill_ms
    shuffled = list(pool)
    random.Random(len(pool)).shuffle(shuffled)
    again = propose(shuffled, mode, NOW, live_edges=live, fill_ms=fill_ms)
    # By id: NaN ratings are equal to nothing, not even to themselves.
    named = [[[[t.id for t in team] for team in p.teams], p.quality, p.empty] for p in proposals]
    assert named == [[[[t.id for t in team] for team in p.teams], p.quality, p.empty] for p in again]


def ids(proposals: Sequence[Proposal]) -> list[set[str]]:
    return [{t.id for team in p.teams for t in team} for p in proposals]


def test_nobody_who_could_play_is_left_waiting() -> None:
    """With everybody in everybody's window, full matches take all but a remainder."""
    for mode in (DUEL, SQUADS, FREE, TRIOS):
        pool = [ticket(n, 25.0 + n % 3, wait_ms=n) for n in range(100)]
        assert sum(len(group) for group in ids(propose(pool, mode, NOW))) == 100 - 100 % mode.players


def test_oldest_is_served_first_with_the_nearest_company() -> None:
    pool = [ticket(1, 25.0, wait_ms=3_000), ticket(2, 28.0), ticket(3, 25.5)]
    assert ids(propose(pool, DUEL, NOW)) == [{"t_0001", "t_0003"}]


def test_a_match_more_comes_before_the_nearest_company() -> None:
    """1 would have 3; with 4 there, all four can play."""
    pool = [ticket(1, 25.0, wait_ms=3_000), ticket(2, 28.0), ticket(3, 25.5), ticket(4, 22.0)]
    assert ids(propose(pool, DUEL, NOW)) == [{"t_0001", "t_0004"}, {"t_0002", "t_0003"}]


def test_windows_are_mutual() -> None:
    """An old ticket accepts far ratings, but somebody who just came does not accept it."""
    old, new = ticket(1, 25.0, wait_ms=60_000), ticket(2, 40.0, wait_ms=0)
    assert propose([old, new], DUEL, NOW) == []
    patient = ticket(2, 40.0, wait_ms=10_000)
    assert ids(propose([old, patient], DUEL, NOW)) == [{"t_0001", "t_0002"}]


def test_trust_pools_stay_apart() -> None:
    pool = [ticket(1, trust=0), ticket(2, trust=1), ticket(3, trust=1)]
    assert ids(propose(pool, DUEL, NOW)) == [{"t_0002", "t_0003"}]


def test_dead_edges_are_left_out_and_none_means_all_live() -> None:
    pool = [ticket(1, edge="a"), ticket(2, edge="gone")]
    assert propose(pool, DUEL, NOW, live_edges={EdgeId("a")}) == []
    assert propose(pool, DUEL, NOW, live_edges=()) == []
    assert len(propose(pool, DUEL, NOW)) == 1


def test_party_waits_until_complete_and_plays_on_one_team() -> None:
    others = [ticket(n) for n in range(10, 17)]
    assert propose([*party("x", 0, 3, present=2), *others], SQUADS, NOW) == []
    [proposal] = propose([*party("x", 0, 3), *others], SQUADS, NOW)
    assert any({"t_0000", "t_0001", "t_0002"} <= {t.id for t in team} for team in proposal.teams)


def test_parties_that_do_not_pack_wait_for_company_that_does() -> None:
    """3 + 3 + 3 cannot be dealt to two teams of five; with people alone, two of them can."""
    trios = [*party("x", 0, 3), *party("y", 3, 3), *party("z", 6, 3)]
    assert propose([*trios, ticket(20)], SQUADS, NOW) == []
    [proposal] = propose([*trios, *(ticket(n) for n in range(20, 24))], SQUADS, NOW)
    assert [len(team) for team in proposal.teams] == [5, 5]


def test_party_that_no_team_holds_and_mixed_parties_wait() -> None:
    pool = [*party("big", 0, 6), *party("duo", 10, 2), *(ticket(n) for n in range(20, 24))]
    assert all("t_0000" not in group and "t_0010" not in group for group in ids(propose(pool, DUEL, NOW)))
    mixed = [ticket(1, party="x", party_size=2, trust=0), ticket(2, party="x", party_size=2, trust=1)]
    assert propose([*mixed, *(ticket(n) for n in range(20, 28))], SQUADS, NOW) == []


def test_stranger_who_guesses_a_party_waits() -> None:
    pool = [*party("x", 0, 2), ticket(2, wait_ms=-5, party="x", party_size=2), *(ticket(n) for n in range(10, 18))]
    [group] = ids(propose(pool, SQUADS, NOW))
    assert {"t_0000", "t_0001"} <= group
    assert "t_0002" not in group


def test_one_player_with_two_tickets_plays_once() -> None:
    pool = [ticket(1), ticket(2, player=PlayerId("p_1"))]
    assert propose(pool, DUEL, NOW) == []


def test_fill_after_a_wait_only() -> None:
    alone = [ticket(1, wait_ms=2_000)]
    [proposal] = propose(alone, DUEL, NOW, fill_ms=2_000)
    assert (proposal.teams, proposal.empty) == ([[alone[0]], []], [0, 1])
    assert propose([ticket(1, wait_ms=1_999)], DUEL, NOW, fill_ms=2_000) == []
    assert propose(alone, DUEL, NOW) == []
    assert propose(alone, NO_FILL, NOW, fill_ms=2_000) == []
    [wave] = propose(alone, COOP, NOW, fill_ms=2_000)
    assert wave.empty == [3]


def test_fill_takes_newer_company_and_spreads_empty_seats() -> None:
    [proposal] = propose([ticket(1, wait_ms=2_500), *(ticket(n) for n in range(2, 8))], SQUADS, NOW, fill_ms=2_000)
    assert sorted(proposal.empty) == [1, 2]


def test_full_matches_come_before_incomplete_ones() -> None:
    """The oldest, alone at the edge of the ladder, does not take company that makes a full match without it."""
    pool = [ticket(1, 35.95, wait_ms=5_000), *(ticket(n, 25.0 + n * 0.1, wait_ms=3_000) for n in range(2, 12))]
    proposals = propose(pool, SQUADS, NOW, fill_ms=2_000)
    assert proposals[0].empty == [0, 0]
    assert ids(proposals)[1] == {"t_0001"}


def test_teams_are_balanced() -> None:
    draw = random.Random(3)
    for _ in range(30):
        pool = [ticket(n, draw.gauss(25, 1.5), wait_ms=3_000) for n in range(10)]
        [proposal] = propose(pool, SQUADS, NOW)
        means = [sum(t.rating for t in team) / 5 for team in proposal.teams]
        assert abs(means[0] - means[1]) < 0.25
        assert proposal.quality > 0.99


def test_empty_pool() -> None:
    assert propose([], SQUADS, NOW, fill_ms=1) == []
