"""Whether a match keeps every rule, told by another way than the one that made it: pairs of members, in plain Python.

For tests, simulations and benchmarks; slow and simple on purpose.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from gameedge.core.matchmaking.propose import Proposal
from gameedge.core.matchmaking.rules import Latency, ModeRules
from gameedge.core.matchmaking.ticket import RATING_DEVIATION, Ticket
from gameedge.core.matchmaking.widening import Widening

SLACK = 1e-6  # sums of floats in another order


def violations(proposal: Proposal, rules: ModeRules, now_ms: int, *, full: bool = True) -> list[str]:
    """Sentences; empty: all is as it must be. `full`: no seat may be empty."""
    found: list[str] = []
    members = [ticket for team in proposal.teams for ticket in team]
    units = _units(members)
    if len({ticket.id for ticket in members}) < len(members) or len({ticket.player for ticket in members}) < len(members):
        found.append("somebody is in it twice")
    sizes = [len(team) for team in proposal.teams]
    if len(sizes) != rules.teams or max(sizes) > rules.team_size or (full and min(sizes) < rules.team_size):
        found.append(f"teams of {sizes}")
    for unit in units:
        if unit[0].party_size > 1 and len(unit) != unit[0].party_size:
            found.append(f"party {unit[0].party} is not whole")
        if not any({ticket.id for ticket in unit} <= {ticket.id for ticket in team} for team in proposal.teams):
            found.append(f"party {unit[0].party} is on several teams")
    if len({ticket.trust for ticket in members}) > 1:
        found.append("several trust pools")
    players = {ticket.player for ticket in members}
    found += [f"{ticket.player} blocks somebody in it" for ticket in members if players & set(ticket.blocks)]
    found += _pairs(units, rules, now_ms)
    for rule in rules.overlap:
        sets = [set(words) for ticket in members if (words := _listed(ticket.attributes.get(rule.attribute)))]
        if sets and len(set.intersection(*sets)) < rule.least:
            found.append(f"nothing in common in {rule.attribute}")
    if rules.roles:
        found += [f"team {t} cannot play its roles" for t, team in enumerate(proposal.teams) if not _roles(team, rules.roles)]
    if rules.latency is not None:
        found += _region(proposal.region, units, rules.latency, now_ms)
    return found


def _pairs(units: Sequence[Sequence[Ticket]], rules: ModeRules, now_ms: int) -> Iterable[str]:
    oldest = max(_wait(unit, now_ms) for unit in units)
    values = []
    if rules.skill is not None:
        skill = rules.skill
        values.append(
            ("rating", skill.window, skill.age, [_rating(unit, rules) for unit in units], [_extra(unit, rules) for unit in units])
        )
    for rule in rules.distance:
        numbers = [[_number(ticket.attributes.get(rule.attribute), rule.missing) for ticket in unit] for unit in units]
        each = [{"mean": sum(n) / len(n), "max": max(n), "min": min(n)}[rule.party] for n in numbers]
        values.append((rule.attribute, rule.window, rule.age, each, [0.0] * len(units)))
    for name, window, age, each, extra in values:
        accepts = [at(window, oldest if age == "oldest" else _wait(units[k], now_ms)) + extra[k] for k in range(len(units))]
        for i, j in combinations(range(len(units)), 2):
            for k in (i, j):
                if not abs(each[i] - each[j]) <= accepts[k] + SLACK:
                    yield f"{units[k][0].id} accepts {name} within {accepts[k]:g}, not {each[i]:g} beside {each[j]:g}"
    for equal in rules.equal:
        for one, other in combinations(units, 2):
            differ = one[0].attributes.get(equal.attribute) != other[0].attributes.get(equal.attribute)
            since = equal.relax_ms
            if differ and (since is None or min(_wait(one, now_ms), _wait(other, now_ms)) < since):
                yield f"{one[0].id} and {other[0].id} differ in {equal.attribute}"


def _region(region: str | None, units: Sequence[Sequence[Ticket]], rule: Latency, now_ms: int) -> Iterable[str]:
    if region is None:
        yield "no region"
        return
    for unit in units:
        rtt = [ticket.rtt_ms.get(region, float("inf")) for ticket in unit]
        loss = [ticket.loss.get(region, 0.0) for ticket in unit]
        wait = _wait(unit, now_ms)
        of = (lambda x: sum(x) / len(x)) if rule.party == "mean" else max
        if of(rtt) > at(rule.limit_ms, wait) + SLACK or of(loss) > at(rule.loss_max, wait) + SLACK:
            yield f"{unit[0].id} is too far from {region}"


def at(window: Widening, age_ms: float) -> float:
    return float(window.at(np.array([age_ms]))[0])


def _units(members: Iterable[Ticket]) -> list[list[Ticket]]:
    units: dict[tuple[str, int], list[Ticket]] = {}
    for ticket in members:
        alone = ticket.party is None or ticket.party_size <= 1
        units.setdefault((ticket.id if alone else f"party {ticket.party}", ticket.party_size), []).append(ticket)
    return list(units.values())


def _wait(unit: Sequence[Ticket], now_ms: int) -> float:
    return float(max(0, now_ms - max(ticket.created_ms for ticket in unit)))


def _rating(unit: Sequence[Ticket], rules: ModeRules) -> float:
    assert rules.skill is not None
    each = [ticket.rating if abs(ticket.rating) < 1e300 else rules.skill.default for ticket in unit]
    each = [min(max(rating, -rules.skill.bound), rules.skill.bound) for rating in each]
    return max(each) if rules.skill.party == "max" else sum(each) / len(each)


def _extra(unit: Sequence[Ticket], rules: ModeRules) -> float:
    assert rules.skill is not None
    return rules.skill.sigma_weight * sum(t.sigma if 0 <= t.sigma <= 1_000 else RATING_DEVIATION for t in unit) / len(unit)


def _number(found: object, missing: float | None) -> float:
    """NaN where there is none: it is within no window."""
    if isinstance(found, int | float) and abs(found) < 1e300:
        return float(found)
    return float("nan") if missing is None else missing


def _listed(found: object) -> list[str]:
    return [found] if isinstance(found, str) else list(found) if isinstance(found, list) else []


def _roles(team: Sequence[Ticket], need: dict[str, int]) -> bool:
    """Whether everybody finds a seat: augmenting paths from player to role."""
    seats = [role for role, count in need.items() for _ in range(count)]
    taken: dict[int, int] = {}

    def seat(player: int, tried: set[int]) -> bool:
        for i, role in enumerate(seats):
            if i not in tried and (not team[player].roles or role in team[player].roles):
                tried.add(i)
                if i not in taken or seat(taken[i], tried):
                    taken[i] = player
                    return True
        return False

    return all(seat(player, set()) for player in range(len(team)))
