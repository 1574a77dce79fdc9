"""Matches across regions: who is shown, what is proposed, and that a host checks it by another way."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gameedge.core import limits
from gameedge.core.errors import ConfigError
from gameedge.core.ids import EdgeId, MatchId, PlayerId, RegionId, SessionId, TicketId
from gameedge.core.matchmaking import rules as reading
from gameedge.core.matchmaking.crossing import (
    Shown,
    check,
    crosses,
    grant_of,
    hashed,
    propose_across,
    read_rules,
    rules_name,
    show,
)
from gameedge.core.matchmaking.pool import PoolArrays
from gameedge.core.matchmaking.rules import ModeRules, from_json, to_json
from gameedge.core.matchmaking.ticket import Ticket

EU, US, AP = RegionId("eu"), RegionId("us"), RegionId("ap")
NOW = 1_800_000_000_000
HERE = EdgeId("e0")
TEXT = """
version = 1
[modes.duel]
teams = 2
team_size = 1
[modes.duel.skill]
window = { steps = [[0, 4], [2_000, 100], [9_000, inf]] }
[modes.duel.latency]
limit_ms = { curve = [[0, 80], [10_000, 200]] }
share = { after_ms = 1_000, thin = 3 }
"""
DUEL = reading.load(TEXT)["duel"]
PAIRS = msgspec.structs.replace(DUEL, team_size=2)


def ticket(tid: str, rtt_ms: dict[str, float], *, age_ms: int = 5_000, away: bool = True, **more: object) -> Ticket:
    fields: dict[str, object] = {"player": PlayerId(f"p_{tid}"), **more}
    return Ticket(
        id=TicketId(tid), session=SessionId("s"), edge=HERE, mode="duel", created_ms=NOW - age_ms, rtt_ms=rtt_ms, away=away, **fields
    )  # type: ignore[arg-type]


def shown(rules: ModeRules, home: str, *tickets: Ticket) -> list[Shown]:
    latency = msgspec.structs.replace(rules.latency, regions=[home], share=None)  # as a region matches live
    pool = PoolArrays(msgspec.structs.replace(rules, latency=latency))
    for each in tickets:
        pool.add(each)
    return show(pool, rules, home, NOW, {HERE})


def test_rules_are_read_as_they_were_written() -> None:
    assert from_json(to_json(DUEL)) == DUEL
    assert rules_name(to_json(from_json(to_json(DUEL)))) == rules_name(to_json(DUEL)) != rules_name(to_json(PAIRS))
    assert read_rules(to_json(DUEL)) == DUEL
    with pytest.raises(ConfigError):
        from_json(b'{"teams": 2, "team_size": 0}')


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[1]", b"\xff", b'{"teams":2,"team_size":1}', b'{"teams":2,"team_size":1,"latency":{"limit_ms":"x"}}']
)
def test_what_are_no_rules_of_crossing_matches_is_none(text: bytes) -> None:
    assert read_rules(text) is None


def test_only_a_thin_region_shows_more_than_the_way_to_itself() -> None:
    far = {"eu": 20.0, "us": 90.0}
    [one] = shown(DUEL, "eu", ticket("a", far))
    assert (one.rtt_ms, one.age_ms, one.who) == (far, 5_000, hashed("p_a"))
    assert [each.rtt_ms for each in shown(DUEL, "eu", *(ticket(n, far) for n in "abc"))] == [{"eu": 20.0}] * 3  # three are not thin
    assert [each.rtt_ms for each in shown(DUEL, "eu", ticket("a", far, age_ms=999))] == [{"eu": 20.0}]
    assert shown(DUEL, "eu", ticket("a", far, away=False)) == []  # its client cannot travel
    assert shown(DUEL, "eu", ticket("a", far, rating=float("nan"))) == []
    assert not crosses(msgspec.structs.replace(DUEL, accept=reading.Accept()))


def test_nothing_of_a_player_is_shown_but_what_rules_look_at() -> None:
    [one] = shown(DUEL, "eu", ticket("a", {"eu": 1.0}, name="Ada", party="family", party_size=2, blocks=[PlayerId("p_b")]))
    text = msgspec.json.encode(one).decode()
    assert not any(word in text for word in ("Ada", "family", "p_a", "p_b"))


def test_a_region_shows_no_more_than_the_bound_the_oldest_first() -> None:
    many = [ticket(f"t{n}", {"eu": 5.0}, age_ms=n) for n in range(limits.CROSSING_SHOWN_MAX + 20)]
    found = shown(DUEL, "eu", *many)
    assert len(found) == limits.CROSSING_SHOWN_MAX
    assert [each.age_ms for each in found] == sorted((each.age_ms for each in found), reverse=True)


def test_two_meet_where_the_worse_of_them_is_nearest() -> None:
    seen = {
        EU: shown(DUEL, "eu", ticket("a", {"eu": 10.0, "us": 95.0, "ap": 70.0})),
        US: shown(DUEL, "us", ticket("b", {"us": 12.0, "eu": 90.0, "ap": 75.0})),
    }
    [plan] = propose_across(DUEL, seen, [EU, US], NOW)
    assert (plan.region, plan.worst_ms, plan.homes()) == (EU, 90.0, {EU: ["a"], US: ["b"]})
    [plan] = propose_across(DUEL, seen, [EU, US, AP], NOW)
    assert (plan.region, plan.worst_ms) == (AP, 75.0), "a third region is between them"
    assert propose_across(DUEL, seen, [], NOW) == []
    assert propose_across(DUEL, seen, [RegionId("mars")], NOW) == []


def test_nobody_plays_beyond_their_limit() -> None:
    seen = {EU: shown(DUEL, "eu", ticket("a", {"eu": 10.0, "us": 199.0})), US: shown(DUEL, "us", ticket("b", {"us": 10.0, "eu": 199.0}))}
    assert propose_across(DUEL, seen, [EU, US], NOW) == []  # 140 ms at five seconds
    assert len(propose_across(DUEL, seen, [EU, US], NOW + 5_000)) == 0, "their age is what they were shown with"


def test_the_many_let_in_the_few_and_do_not_travel() -> None:
    near = [ticket(f"m{n}", {"eu": 10.0, "us": 60.0}, trust=n) for n in range(4)]  # trust pools: they cannot play each other
    seen = {EU: shown(DUEL, "eu", *near), US: shown(DUEL, "us", ticket("b", {"us": 10.0, "eu": 80.0}, trust=2))}
    [plan] = propose_across(DUEL, seen, [EU, US], NOW)
    assert (plan.region, plan.homes()) == (EU, {EU: ["m2"], US: ["b"]})


def test_the_same_player_in_two_regions_does_not_meet_itself_nor_whom_it_blocks() -> None:
    both = {"eu": 10.0, "us": 10.0}
    twice = {EU: shown(DUEL, "eu", ticket("a", both)), US: shown(DUEL, "us", ticket("b", both, player=PlayerId("p_a")))}
    assert propose_across(DUEL, twice, [EU, US], NOW) == []
    blocked = {EU: shown(DUEL, "eu", ticket("a", both, blocks=[PlayerId("p_b")])), US: shown(DUEL, "us", ticket("b", both))}
    assert propose_across(DUEL, blocked, [EU, US], NOW) == []


def test_a_grant_has_one_name() -> None:
    one = grant_of(MatchId("m_1"), TicketId("a"))
    assert one == grant_of(MatchId("m_1"), TicketId("a"))
    assert len({one, grant_of(MatchId("m_1"), TicketId("b")), grant_of(MatchId("m_2"), TicketId("a"))}) == 3


rtts = st.dictionaries(st.sampled_from(["eu", "us", "ap"]), st.floats(0, 250), min_size=1)


@st.composite
def worlds(draw: st.DrawFn) -> dict[RegionId, list[Ticket]]:
    made: dict[RegionId, list[Ticket]] = {}
    for region in (EU, US, AP):
        made[region] = [
            ticket(
                f"{region}-{n}",
                draw(rtts),
                age_ms=draw(st.integers(0, 20_000)),
                rating=draw(st.floats(-60, 60)),
                trust=draw(st.integers(0, 1)),
                **(draw(st.sampled_from([{}, {}, {"party": f"{region}", "party_size": 2}]))),
                blocks=draw(st.lists(st.sampled_from([PlayerId("p_eu-0"), PlayerId("p_us-1")]), max_size=1)),
            )
            for n in range(draw(st.integers(0, 5)))
        ]
    return made


@settings(max_examples=60, deadline=None)
@given(worlds(), st.sampled_from([DUEL, PAIRS]))
def test_every_match_keeps_every_rule_whatever_is_shown(world: dict[RegionId, list[Ticket]], rules: ModeRules) -> None:
    seen = {region: shown(rules, region, *tickets) for region, tickets in world.items()}
    plans = propose_across(rules, seen, [EU, US, AP], NOW)
    whole = {each.id: each for tickets in world.values() for each in tickets}
    used = [name for plan in plans for team in plan.teams for _, name in team]
    assert len(used) == len(set(used)), "a ticket is in two of them"
    for plan in plans:
        assert len(plan.homes()) > 1
        teams = [[whole[name] for _, name in team] for team in plan.teams]
        assert check(teams, rules, plan.region, NOW) == []
        for home, names in plan.homes().items():
            if len(world[home]) >= DUEL.latency.share.thin:  # type: ignore[union-attr]
                assert plan.region == home, "people of a busy region travelled"
            assert {whole[name].player for name in names} <= {each.player for each in world[home]}
    assert plans == propose_across(rules, dict(reversed(seen.items())), [AP, US, EU], NOW)
