"""Every proposal keeps every rule, told by code that shares nothing with the search; nobody starves; order does not matter."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gameedge.core.ids import EdgeId, PlayerId, SessionId, TicketId
from gameedge.core.matchmaking import rules as reading
from gameedge.core.matchmaking.audit import violations
from gameedge.core.matchmaking.pool import PoolArrays
from gameedge.core.matchmaking.propose import Proposal, match, propose_pool
from gameedge.core.matchmaking.rules import ModeRules
from gameedge.core.matchmaking.ticket import Ticket

NOW = 100_000
TWO_THREES = "[modes.m]\nteams = 2\nteam_size = 3\n"
RULES = {
    "everything": TWO_THREES
    + """
party_sizes = [1, 2]
skill = { window = { steps = [[0, 5], [10_000, 20]] }, sigma_weight = 0.5, party = "max" }
balance = { gap_max = { curve = [[0, 3], [30_000, 30]] } }
latency = { limit_ms = { curve = [[0, 50], [20_000, 150]] }, loss_max = 0.1, party = "mean" }
[[modes.m.distance]]
attribute = "level"
window = { steps = [[0, 10], [20_000, 30]] }
age = "oldest"
missing = 10
[[modes.m.equal]]
attribute = "platform"
relax_ms = 20_000
[[modes.m.overlap]]
attribute = "maps"
""",
    "roles": TWO_THREES + 'roles = { tank = 1, healer = 1, damage = 1 }\nskill = { window = 50, age = "oldest" }',
    "roles of many": "[modes.m]\nteams = 3\nteam_size = 2\nroles = { tank = 1, healer = 1 }\nskill = { window = 50 }",
    "duels": """
[modes.m]
teams = 2
team_size = 1
skill = { window = { start = 2, per_s = 1, max = 30 } }
[[modes.m.equal]]
attribute = "platform"
[[modes.m.overlap]]
attribute = "maps"
least = 2
""",
    "no skill": "[modes.m]\nteams = 4\nteam_size = 1\nlatency = { limit_ms = 90, share = { after_ms = 5_000, thin = 4 } }",
    "filled": TWO_THREES + "fill_ms = 15_000\nskill = { window = 10 }\nroles = { tank = 1, healer = 1, damage = 1 }",
}
LOADED = {name: reading.load(text)["m"] for name, text in RULES.items()}


@st.composite
def pools(draw: st.DrawFn) -> list[Ticket]:
    rng = random.Random(draw(st.integers(0, 10**9)))
    made: list[Ticket] = []
    count = draw(st.integers(0, 60))
    while len(made) < count:
        size = rng.choice([1, 1, 1, 2, 2, 3, 4])
        party, trust, platform = f"party{len(made)}", rng.choice([0, 0, 0, 1]), rng.choice(["pc", "pc", "pad"])
        for _ in range(size if rng.random() < 0.9 else size - 1):
            n = len(made)
            attributes: dict[str, object] = {}
            if rng.random() < 0.9:
                attributes["level"] = rng.choice([float(rng.randrange(60)), float(rng.randrange(60)), float("nan")])
            if rng.random() < 0.9:
                attributes["platform"] = platform
            if rng.random() < 0.9:
                attributes["maps"] = rng.sample(["a", "b", "c", "d"], rng.randrange(1, 4))
            made.append(
                Ticket(
                    id=TicketId(f"t{n}"),
                    player=PlayerId(f"p{n if rng.random() < 0.97 else 0}"),
                    session=SessionId("s"),
                    edge=EdgeId("e"),
                    mode="m",
                    rating=rng.choice([rng.gauss(25, 8), rng.gauss(25, 8), float("nan"), 1e308]),
                    sigma=rng.choice([1.0, 8.0, -3.0]),
                    trust=trust,
                    party=party if size > 1 else None,
                    party_size=size,
                    created_ms=NOW - rng.choice([rng.randrange(60_000), -50]),
                    attributes=attributes,
                    roles=rng.sample(["tank", "healer", "damage"], rng.randrange(0, 3)),
                    rtt_ms={r: rng.uniform(5, 180) for r in ("eu", "us", "ap") if rng.random() < 0.9},
                    loss={"eu": rng.choice([0.0, 0.2])},
                    blocks=[PlayerId(f"p{rng.randrange(60)}")] if rng.random() < 0.1 else [],
                )
            )
    return made


def filled(rules: ModeRules, tickets: Sequence[Ticket]) -> PoolArrays:
    pool = PoolArrays(rules)
    for ticket in tickets:
        pool.add(ticket)
    return pool


def named(found: Sequence[Proposal]) -> list[object]:
    return [([[t.id for t in team] for team in p.teams], p.quality, p.empty, p.region) for p in found]


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(tickets=pools(), data=st.data())
def test_every_rule_for_every_pool(name: str, tickets: list[Ticket], data: st.DataObject) -> None:
    rules = LOADED[name]
    pool = filled(rules, tickets)
    found = propose_pool(pool, NOW)
    seen: set[str] = set()
    for proposal in found:
        full = not any(proposal.empty)
        assert violations(proposal, rules, NOW, full=full) == []
        members = {ticket.id for team in proposal.teams for ticket in team}
        assert seen.isdisjoint(members)
        seen |= members
        if not full:
            assert rules.fill_ms
            assert max(NOW - t.created_ms for team in proposal.teams for t in team) >= rules.fill_ms
    assert named(propose_pool(pool, NOW)) == named(found), "a look changes nothing"
    # Other tickets that came and went, and another order, leave no trace.
    shuffled = list(tickets)
    random.Random(len(tickets)).shuffle(shuffled)
    again = PoolArrays(rules)
    passing = Ticket(id=TicketId("x"), player=PlayerId("x"), session=SessionId("s"), edge=EdgeId("e"), mode="m", rtt_ms={"zz": 5.0})
    again.add(passing)
    for ticket in shuffled:
        again.add(ticket)
    assert again.remove(TicketId("x")) is passing
    gone = data.draw(st.lists(st.sampled_from(tickets), unique_by=lambda t: t.id)) if tickets else []
    for ticket in gone:
        again.remove(ticket.id)
    for ticket in gone:
        again.add(ticket)
    assert named(propose_pool(again, NOW)) == named(found)
    for ticket in tickets:
        again.remove(ticket.id)
    assert len(again) == 0
    assert not again.used.any()
    assert not again.row_of


@pytest.mark.parametrize("name", ["everything", "roles", "duels"])
def test_nobody_who_could_play_with_anybody_starves(name: str) -> None:
    """Arrivals for two minutes, each look takes its matches: nobody whose rules everybody of their kind meets waits for good."""
    rng = random.Random(7)
    rules, now, waits = LOADED[name], 0, []
    pool = PoolArrays(rules)
    for step in range(240):
        now = step * 500
        for k in range(4):
            ticket = Ticket(
                id=TicketId(f"t{step}-{k}"), player=PlayerId(f"p{step}-{k}"), session=SessionId("s"), edge=EdgeId("e"), mode="m",
                rating=min(max(rng.gauss(25, 4), 18), 32), created_ms=now, attributes={"level": 20.0, "platform": "pc", "maps": ["a", "b"]},
                rtt_ms={"eu": rng.uniform(10, 49)},
            )  # fmt: skip
            pool.add(ticket)
        for proposal in propose_pool(pool, now):
            for team in proposal.teams:
                for ticket in team:
                    waits.append(now - ticket.created_ms)
                    pool.remove(ticket.id)
    waits += [now - ticket.created_ms for ticket in pool.tickets()]
    assert max(waits) < 60_000
    assert sorted(waits)[len(waits) // 2] < 15_000


def test_members_of_the_pool_that_can_never_match_are_kept_apart_with_the_reason() -> None:
    rules = LOADED["everything"]
    base = {"session": SessionId("s"), "edge": EdgeId("e"), "mode": "m"}
    cases: dict[str, dict[str, object]] = {
        "larger than a team": {"party": "p", "party_size": 4},
        "may not queue here": {"party": "p", "party_size": 3},
        "different trust": {"party": "p", "party_size": 2},
        "no region": {"attributes": {"level": 3.0}},
        "ms away": {"attributes": {"level": 3.0}, "rtt_ms": {"eu": 400.0}},
    }
    for says, fields in cases.items():
        pool = PoolArrays(rules)
        for i in range(int(fields.get("party_size", 1))):  # type: ignore[call-overload]
            trust = i if says == "different trust" else 0
            pool.add(Ticket(id=TicketId(f"t{i}"), player=PlayerId(f"p{i}"), trust=trust, **(base | fields)))  # type: ignore[arg-type]
        stuck = [unit.stuck for unit in pool.units if unit is not None]
        if says == "different trust":
            assert stuck == []  # the name of a party belongs to one trust pool: neither is complete
        else:
            assert says in stuck[0]
        assert len(match(pool, NOW)) == 0


def test_a_set_rule_knows_64_words_at_once_and_forgets_them() -> None:
    rules = LOADED["duels"]
    pool = PoolArrays(rules)

    def wish(n: int, words: list[str]) -> Ticket:
        return Ticket(
            id=TicketId(f"t{n}"), player=PlayerId(f"p{n}"), session=SessionId("s"), edge=EdgeId("e"), mode="m", attributes={"maps": words}
        )

    for n in range(40):
        pool.add(wish(n, [f"{n}a", f"{n}b"]))
    assert sum(unit is not None and "different 'maps'" in unit.stuck for unit in pool.units) == 8
    for n in range(40):
        pool.remove(TicketId(f"t{n}"))
    for n in range(32):
        pool.add(wish(100 + n, [f"{n}x", f"{n}y"]))
    assert all(unit is None or not unit.stuck for unit in pool.units)


def test_region_is_the_one_whose_worst_member_is_nearest() -> None:
    rules = reading.load("[modes.m]\nteams = 2\nteam_size = 1\nlatency = { limit_ms = 100 }")["m"]
    rtts = [{"eu": 10.0, "us": 70.0, "ap": 99.0}, {"eu": 95.0, "us": 60.0}]
    pool = PoolArrays(rules)
    for i, rtt in enumerate(rtts):
        pool.add(Ticket(id=TicketId(f"t{i}"), player=PlayerId(f"p{i}"), session=SessionId("s"), edge=EdgeId("e"), mode="m", rtt_ms=rtt))
    [proposal] = propose_pool(pool, NOW)
    assert proposal.region == "us"
