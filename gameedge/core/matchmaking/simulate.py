"""Arrivals replayed on a virtual clock through the code that matches live: the same pool, proposals and policy of when to look.

A look follows each arrival, though no sooner than `LOOK_MS` after the look before it (many who come together are looked at once),
and whenever waiting alone changes something. After the last arrival the clock runs on until it changes nothing any more. Modes do
not know of each other. Whoever was not matched is told why.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from gameedge.core.ids import TicketId
from gameedge.core.matchmaking.arrivals import Arrivals
from gameedge.core.matchmaking.audit import violations
from gameedge.core.matchmaking.explain import explain
from gameedge.core.matchmaking.policy import next_look_ms
from gameedge.core.matchmaking.pool import PoolArrays
from gameedge.core.matchmaking.propose import Proposal, propose_pool
from gameedge.core.matchmaking.regions import choose_region
from gameedge.core.matchmaking.rules import ModeRules
from gameedge.core.matchmaking.ticket import Ticket

LOOK_MS: Final = 50  # between looks at one pool


@dataclass(slots=True)
class Made:
    """One match of a simulation."""

    at_ms: int
    mode: str
    proposal: Proposal
    broken: list[str]  # rules, as somebody else sees them; always empty


@dataclass(slots=True)
class Unmatched:
    ticket: Ticket
    waited_ms: int
    reason: str


@dataclass(slots=True)
class Result:
    matches: list[Made] = field(default_factory=list)
    unmatched: list[Unmatched] = field(default_factory=list)
    looks: int = 0
    end_ms: int = 0


def simulate(tickets: Iterable[Ticket], rules: Mapping[str, ModeRules], *, look_ms: int = LOOK_MS) -> Result:
    """Tickets in order of `created_ms`, of any mode of `rules`. Deterministic."""
    by_mode: dict[str, list[Ticket]] = {mode: [] for mode in rules}
    for ticket in tickets:
        by_mode[ticket.mode].append(ticket)
    result = Result()
    for mode, arrivals in by_mode.items():
        _mode(mode, arrivals, rules[mode], max(1, look_ms), result)
    result.matches.sort(key=lambda made: (made.at_ms, made.mode))  # stable: within a look, the longest wait first
    return result


def _mode(mode: str, arrivals: list[Ticket], rules: ModeRules, look_ms: int, result: Result) -> None:
    pool = PoolArrays(rules)
    at, last, now = 0, -look_ms, arrivals[0].created_ms if arrivals else 0
    wake: float | None = None
    while at < len(arrivals) or wake is not None:
        coming = arrivals[at].created_ms if at < len(arrivals) else None
        due = [float(max(coming, last + look_ms))] if coming is not None else []
        now = int(min(due + ([wake] if wake is not None else [])))
        while at < len(arrivals) and arrivals[at].created_ms <= now:
            pool.add(arrivals[at])
            at += 1
        _expire(pool, now, result)
        for proposal in propose_pool(pool, now):
            members = [ticket for team in proposal.teams for ticket in team]
            broken = violations(proposal, rules, now, full=not any(proposal.empty))
            result.matches.append(Made(now, mode, proposal, broken))
            for ticket in members:
                pool.remove(ticket.id)
        result.looks += 1
        last = now
        more = next_look_ms(pool, now)
        oldest = pool.oldest_ms() if at == len(arrivals) and more is None else None
        wake = None if more is None else max(now + more, last + look_ms) if at < len(arrivals) else now + more
        if oldest is not None and pool.rules.timeout_ms < 600_000:
            wake = float(oldest + pool.rules.timeout_ms)
    result.end_ms = max(result.end_ms, now)
    for ticket in list(pool.tickets()):
        result.unmatched.append(Unmatched(ticket, now - ticket.created_ms, explain(pool, ticket.id, now).text))


def _expire(pool: PoolArrays, now_ms: int, result: Result) -> None:
    """Whoever waited as long as a ticket lasts is told why, and is out."""
    limit = pool.rules.timeout_ms
    gone = pool.older_than(now_ms - limit)
    for ticket in gone:
        text = explain(pool, ticket.id, now_ms).text
        result.unmatched.append(Unmatched(ticket, now_ms - ticket.created_ms, f"its {limit} ms are over: {text}"))
    for ticket in gone:
        pool.remove(ticket.id)


def lines(result: Result, arrivals: Arrivals) -> list[dict[str, Any]]:
    """Each match as a line of the output: waits are in the order of the teams' ids."""
    found = []
    for number, made in enumerate(result.matches, 1):
        teams = [[t for t in team if t.id not in arrivals.whole] for team in made.proposal.teams]
        members = [ticket for team in teams for ticket in team]
        region = made.proposal.region or choose_region([ticket.rtt_ms for ticket in members])
        line: dict[str, Any] = {
            "match": f"m{number}", "at_ms": made.at_ms, "region": region, "teams": [[ticket.id for ticket in team] for team in teams],
            "quality": round(made.proposal.quality, 6), "waits_ms": [made.at_ms - ticket.created_ms for ticket in members],
            "mode": made.mode,
        }  # fmt: skip
        if any(made.proposal.empty):
            line["npcs"] = made.proposal.empty
        found.append(line)
    return found


def summary(result: Result, arrivals: Arrivals) -> dict[str, Any]:
    """The last object of the output."""
    unmatched = [
        {"id": left.ticket.id, "mode": left.ticket.mode, "waited_ms": left.waited_ms, "reason": left.reason}
        for left in result.unmatched
        if left.ticket.id not in arrivals.whole
    ]
    modes = sorted({made.mode for made in result.matches} | {left.ticket.mode for left in result.unmatched})
    return {
        "tickets": len(arrivals.tickets) - len(arrivals.whole),
        "people": len(arrivals.tickets),
        "matches": len(result.matches),
        "matched": sum(len(team) for made in result.matches for team in made.proposal.teams),
        "unmatched": unmatched,
        "looks": result.looks,
        "end_ms": result.end_ms,
        "violations": sum(bool(made.broken) for made in result.matches),
        "modes": {mode: figures([made for made in result.matches if made.mode == mode]) for mode in modes},
        "homes": by_home(result),
        "errors": arrivals.errors,
        "warnings": arrivals.warnings,
        "ignored_keys": dict(arrivals.ignored),
    }


def figures(matches: list[Made]) -> dict[str, Any]:
    """How long people waited, and for what."""
    waits = np.array([made.at_ms - ticket.created_ms for made in matches for team in made.proposal.teams for ticket in team], np.float64)
    quality = np.array([made.proposal.quality for made in matches])
    return {
        "matches": len(matches),
        "people": len(waits),
        "wait_ms": _spread(waits),
        "quality": {"mean": _short(quality.mean()), "p10": _short(np.percentile(quality, 10))} if len(quality) else {},
    }


def by_home(result: Result) -> dict[str, Any]:
    """By the region that is nearest to each: who waited how long, and how far they played from what they could have had."""
    waits: dict[str, list[float]] = {}
    more: dict[str, list[float]] = {}
    for made in result.matches:
        members = [ticket for team in made.proposal.teams for ticket in team]
        region = made.proposal.region or choose_region([ticket.rtt_ms for ticket in members])
        for ticket in members:
            if region is None or region not in ticket.rtt_ms:
                continue
            home = min(ticket.rtt_ms, key=lambda name: (ticket.rtt_ms[name], name))
            waits.setdefault(home, []).append(made.at_ms - ticket.created_ms)
            more.setdefault(home, []).append(ticket.rtt_ms[region] - ticket.rtt_ms[home])
    return {
        home: {"people": len(each), "wait_ms": _spread(np.array(each)), "rtt_over_best_ms": _spread(np.array(more[home]))}
        for home, each in sorted(waits.items())
    }


def compare(live: Result, other: Result) -> dict[str, Any]:
    """A shadow run beside the live one, over the same arrivals: neither acted."""

    def companies(result: Result) -> set[frozenset[TicketId]]:
        return {frozenset(ticket.id for team in made.proposal.teams for ticket in team) for made in result.matches}

    here, there = companies(live), companies(other)
    return {
        "same_matches": len(here & there),
        "only_live": len(here - there),
        "only_shadow": len(there - here),
        "matched_more": sum(map(len, there)) - sum(map(len, here)),
    }


def _spread(values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float]:
    if not len(values):
        return {}
    p50, p90, p99 = np.percentile(values, (50, 90, 99))
    return {"p50": _short(p50), "p90": _short(p90), "p99": _short(p99), "max": _short(values.max())}


def _short(value: Any) -> float:
    return round(float(value), 4)
