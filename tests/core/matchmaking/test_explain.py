"""Who is excluded by what, until when; and when to look again."""

from gameedge.core.ids import EdgeId, PlayerId, SessionId, TicketId
from gameedge.core.matchmaking import rules as reading
from gameedge.core.matchmaking.backfill import Vacancy, backfill
from gameedge.core.matchmaking.explain import explain
from gameedge.core.matchmaking.policy import hold_ms, next_look_ms
from gameedge.core.matchmaking.pool import PoolArrays
from gameedge.core.matchmaking.propose import match, propose_pool
from gameedge.core.matchmaking.regions import choose_region, thin_regions
from gameedge.core.matchmaking.ticket import Ticket

DUEL = "[modes.m]\nteams = 2\nteam_size = 1\n"


def ticket(n: int, rating: float = 25.0, *, at: int = 0, **fields: object) -> Ticket:
    made: dict[str, object] = {
        "id": TicketId(f"t{n}"), "player": PlayerId(f"p{n}"), "session": SessionId("s"), "edge": EdgeId("e"), "mode": "m",
        "rating": rating, "created_ms": at,
    }  # fmt: skip
    return Ticket(**(made | fields))  # type: ignore[arg-type]


def pool_of(text: str, *tickets: Ticket) -> PoolArrays:
    pool = PoolArrays(reading.load(text)["m"])
    for each in tickets:
        assert pool.add(each)
    return pool


def test_a_rule_that_widens_says_when_and_then_it_is_so() -> None:
    text = DUEL + "skill = { window = { steps = [[0, 5], [4_000, 20]] } }"
    pool = pool_of(text, ticket(1, 20.0, at=0), ticket(2, 35.0, at=1_000))
    said = explain(pool, TicketId("t1"), 1_500)
    assert (said.state, said.fits, said.needed, said.others) == ("widening", 0, 1, 1)
    assert said.first_ms == said.enough_ms == 3_500  # the younger of the two accepts at 1,000 + 4,000
    assert [(rule.rule, rule.excludes, rule.alone, rule.next_ms) for rule in said.rules] == [("skill", 1, 1, 3_500)]
    assert len(match(pool, 1_500 + 3_499)) == 0
    assert len(match(pool, 1_500 + 3_500)) == 1


def test_a_rule_that_never_widens_says_never() -> None:
    text = DUEL + 'skill = { window = 5 }\n[[modes.m.equal]]\nattribute = "platform"\n'
    pc, pad = {"attributes": {"platform": "pc"}}, {"attributes": {"platform": "pad"}}
    pool = pool_of(text, ticket(1, **pc), ticket(2, **pad), ticket(3, 90.0, **pc), ticket(4, 90.0, **pad))
    said = explain(pool, TicketId("t1"), 1_000)
    assert said.state == "alone"
    assert said.enough_ms is None
    assert {(rule.rule, rule.excludes, rule.alone, rule.next_ms) for rule in said.rules} == {
        ("skill", 2, 1, None),
        ("equal platform", 2, 1, None),
    }


def test_states_that_no_rule_is_to_blame_for() -> None:
    text = "[modes.m]\nteams = 2\nteam_size = 2\nskill = { window = 5 }"
    party = {"party": "x", "party_size": 2}
    pool = pool_of(text, ticket(1, **party), ticket(2), ticket(3, party="y", party_size=3), ticket(4, party="y", party_size=3))
    pool.add(ticket(5, party="y", party_size=3))
    assert explain(pool, TicketId("t9"), 0).state == "unknown"
    assert explain(pool, TicketId("t1"), 0).text == "1 of 2 members of the party are here; the others have not queued"
    assert explain(pool, TicketId("t3"), 0).state == "stuck"
    assert explain(pool, TicketId("t2"), 0).state == "alone"
    pool.add(ticket(6, player=PlayerId("p2"), at=9))
    assert "another ticket of the same player" in explain(pool, TicketId("t6"), 10).text
    assert explain(pool, TicketId("t2"), 0, live_edges=()).text == "a member's process does not answer just now"


def test_a_match_is_made_at_once_unless_many_come() -> None:
    text = DUEL + "skill = { window = 50 }\ngather = { window_ms = 1_000, good = 0.99, arrivals_min = 10 }"
    quiet = pool_of(text, ticket(1, 20.0), ticket(2, 40.0))
    assert hold_ms(quiet, 0) == 0
    assert len(match(quiet, 0)) == 1
    crowd = [ticket(100 + i, 1_000.0, at=-i, trust=1 + i) for i in range(100)]  # they match nobody: they only come
    busy = pool_of(text, ticket(1, 20.0), ticket(2, 40.0), *crowd)
    assert hold_ms(busy, 0) == 1_000
    held = match(busy, 500)
    assert (len(held), held.held) == (0, 2)
    assert explain(busy, TicketId("t1"), 500).state == "gathering"
    assert next_look_ms(busy, 500) is not None
    assert next_look_ms(busy, 500) <= 500  # type: ignore[operator]
    assert len(match(busy, 1_000)) == 1, "no longer than the window"
    busy.add(ticket(3, 20.5, at=600))
    assert len(match(busy, 600)) == 1, "good company is taken at once"


def test_looks_are_asked_for_when_waiting_changes_something() -> None:
    steps = pool_of(DUEL + "skill = { window = { steps = [[0, 1], [4_000, 9]] } }", ticket(1, at=1_000))
    assert next_look_ms(steps, 2_000) == 3_000
    assert next_look_ms(steps, 5_000) is None
    assert next_look_ms(pool_of(DUEL + "skill = { window = 3 }", ticket(1)), 0) is None
    assert next_look_ms(pool_of(DUEL + "fill_ms = 700\nskill = { window = 3 }", ticket(1)), 200) == 500
    assert next_look_ms(pool_of(DUEL + "skill = { window = { start = 1, per_s = 1, max = 9 } }", ticket(1)), 200) == 100
    assert next_look_ms(pool_of(DUEL, *[]), 0) is None


def test_clocks_that_step_back_wait_nothing() -> None:
    text = DUEL + "skill = { window = { start = 1, per_s = 1, max = 900 } }"
    pool = pool_of(text, ticket(1, 1.0, at=10**17), ticket(2, 9.0, at=-(10**17)))
    assert len(match(pool, 1_000)) == 0
    assert len(match(pool, 10**18)) == 1


def test_regions_thin_pools_and_ties() -> None:
    assert choose_region([]) is None
    assert choose_region([{"a": 5.0}, {"b": 5.0}]) is None
    assert choose_region([{"a": 50.0, "b": 20.0}, {"a": 10.0, "b": 40.0}]) == "b"
    assert choose_region([{"b": 50.0, "a": 50.0}]) == "a"
    assert choose_region([{"a": 90.0}], within=80.0) is None
    assert choose_region([{"a": 90.0, "b": 95.0}], within={"b": 99.0}) == "b"
    assert choose_region([{"a": float("nan")}]) is None
    text = DUEL + "latency = { limit_ms = 100, share = { after_ms = 2_000, thin = 2 } }"
    pool = pool_of(text, ticket(1, rtt_ms={"eu": 10.0, "us": 90.0}), ticket(2, rtt_ms={"eu": 95.0, "us": 20.0}))
    assert thin_regions(pool) == {"eu": 1, "us": 1}
    assert explain(pool, TicketId("t1"), 500).enough_ms == 1_500
    assert propose_pool(pool, 1_999) == []
    [proposal] = propose_pool(pool, 2_000)
    assert proposal.region == "us"
    pool.add(ticket(3, rtt_ms={"eu": 10.0}, trust=1))
    [proposal] = propose_pool(pool, 5_000)
    assert proposal.region == "eu", "those of a busy region stay at home, and let in who comes from a thin one"


def test_people_take_seats_of_a_match_that_runs() -> None:
    text = "[modes.m]\nteams = 2\nteam_size = 2\nskill = { window = 5 }\nbackfill = {}"
    party = {"party": "x", "party_size": 2}
    pool = pool_of(text, ticket(1, 26.0, at=5), ticket(2, 90.0), ticket(3, 24.0, at=9), ticket(4, at=1, **party), ticket(5, at=1, **party))
    there = (ticket(90, 24.0), ticket(91, 27.0))
    found = backfill(pool, Vacancy(present=[[there[0]], [there[1]]], region=None, left_ms=90_000), 10)
    assert [[t.id for t in team] for team in found] == [["t1"], ["t3"]], "the oldest who fits evens the teams out; no party is split"
    assert backfill(pool, Vacancy(present=[[there[0]], [there[1]]], region=None, left_ms=10_000), 10) == [[], []]
    closed = pool_of(text.replace("backfill = {}", ""), ticket(1, 26.0, at=5))
    assert backfill(closed, Vacancy(present=[[there[0]], [there[1]]], region=None, left_ms=90_000), 10) == [[], []]
