"""Why somebody is not matched: which rule excludes how many of the pool, and when that changes.

Counted pair by pair, on the arrays that proposals are made from. Times assume that nobody comes or goes: they are when the windows
of both sides reach each other, so that "somebody fits in 3 s" is a promise about windows, never about people. That everybody fits
the ticket does not mean that they fit each other; then the state is `next`.
"""

import math
from collections.abc import Collection
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from gameedge.core.ids import EdgeId, TicketId
from gameedge.core.matchmaking.cycle import Cycle, homes, look
from gameedge.core.matchmaking.policy import hold_ms
from gameedge.core.matchmaking.pool import PoolArrays
from gameedge.core.matchmaking.widening import Widening

Floats = NDArray[np.float64]
NEVER: Final = math.inf


class RuleView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One rule as one ticket meets it. People, not parties, are counted."""

    rule: str
    excludes: int  # people of the pool
    alone: int  # of them, those whom no other rule excludes
    next_ms: int | None = None  # in how long it admits somebody more; None: never by waiting


class Explanation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`state`: unknown (no such ticket), party (it is not complete), stuck (never as it is), alone (too few people, whatever
    widens), widening (enough, once windows have widened), gathering (a match is held for better company), next (enough accept this
    ticket: who waited longer is served first, or they do not accept each other)."""

    ticket: str
    state: str
    text: str  # for people
    waited_ms: int = 0
    others: int = 0  # people in the pool beside it
    needed: int = 0  # more people for a match
    fits: int = 0  # people whom every rule admits now
    first_ms: int | None = None  # in how long somebody fits
    enough_ms: int | None = None  # in how long as many as are needed fit
    rules: list[RuleView] = []


def explain(pool: PoolArrays, ticket_id: TicketId, now_ms: int, *, live_edges: Collection[EdgeId] | None = None) -> Explanation:
    """Pure; O(pool)."""
    ticket = pool.ticket(ticket_id)
    if ticket is None:
        return Explanation(ticket=ticket_id, state="unknown", text="no such ticket waits here")
    waited = max(0, min(now_ms - ticket.created_ms, 2**53))
    row = pool.row_of.get(ticket_id)
    if row is None:
        here = pool.waiting_party(ticket)
        text = "another ticket of the same player waits longer"
        if here is not None and here < ticket.party_size:
            text = f"{here} of {ticket.party_size} members of the party are here; the others have not queued"
        elif here is not None:
            text = f"more than {ticket.party_size} people queued for this party; the first ones are it"
        return Explanation(ticket=ticket_id, state="party", waited_ms=waited, text=text)
    unit = pool.units[row]
    assert unit is not None
    if unit.stuck:
        return Explanation(ticket=ticket_id, state="stuck", waited_ms=waited, text=unit.stuck)
    cycle = look(pool, now_ms, live_edges)
    at = np.flatnonzero(cycle.rows == row)
    if not len(at):
        return Explanation(ticket=ticket_id, state="party", waited_ms=waited, text="a member's process does not answer just now")
    return _explained(pool, cycle, int(at[0]), ticket_id, now_ms)


def _explained(pool: PoolArrays, cycle: Cycle, me: int, ticket_id: TicketId, now_ms: int) -> Explanation:
    others = np.delete(np.arange(len(cycle.rows)), me)
    sizes = cycle.units.size[others]
    when = admitted_ms(pool, cycle, me, others)
    together = np.max(np.array(list(when.values())), axis=0) if when else np.zeros(len(others))
    needed = pool.rules.players - int(cycle.units.size[me])
    fits = int(sizes[together <= 0].sum())
    order = np.argsort(together, kind="stable")
    reached = np.cumsum(sizes[order]) >= needed
    enough = float(together[order][np.argmax(reached)]) if needed > 0 and reached.any() else NEVER
    first = float(together.min(initial=NEVER))
    views = []
    for rule, at in when.items():
        out = at > 0
        rest = [other for name, other in when.items() if name != rule]
        passed = (np.max(np.array(rest), axis=0) <= 0) if rest else np.ones(len(others), np.bool_)
        if out.any():
            views.append(
                RuleView(rule=rule, excludes=int(sizes[out].sum()), alone=int(sizes[out & passed].sum()), next_ms=_ms(float(at[out].min())))
            )
    views.sort(key=lambda view: -view.excludes)
    state, text = _state(pool, fits, needed, enough, views, now_ms)
    return Explanation(
        ticket=ticket_id, state=state, text=text, waited_ms=int(min(cycle.units.wait[me], 2**53)), others=int(sizes.sum()),
        needed=needed, fits=fits, first_ms=_ms(first), enough_ms=_ms(enough), rules=views,
    )  # fmt: skip


def _state(pool: PoolArrays, fits: int, needed: int, enough: float, views: list[RuleView], now_ms: int) -> tuple[str, str]:
    most = f"; {views[0].rule} excludes most, {views[0].excludes}" if views else ""
    if fits >= needed:
        if hold_ms(pool, now_ms) > 0:
            return "gathering", f"{fits} people fit, {needed} are needed; the match waits a moment for better company"
        return "next", f"{fits} people fit, {needed} are needed; who waited longer is served first, or they do not accept each other"
    if enough < NEVER:
        return "widening", f"{fits} people fit now, {needed} are needed; enough fit in {math.ceil(enough / 1000)} s{most}"
    return "alone", f"{fits} people fit now, {needed} are needed; of those who wait, too few ever fit{most}"


def _ms(found: float) -> int | None:
    return None if not found < 1e15 else max(0, math.ceil(found))


def admitted_ms(pool: PoolArrays, cycle: Cycle, me: int, others: NDArray[np.int64]) -> dict[str, Floats]:
    """By rule, in how many ms it lets `me` and each of the others play together: 0 or less now, inf never by waiting."""
    rules, units = pool.rules, cycle.units
    wait, mine = units.wait[others], float(units.wait[me])
    found: dict[str, Floats] = {}

    def fixed(name: str, passes: NDArray[np.bool_]) -> None:
        found[name] = np.where(passes, 0.0, NEVER)

    rows, row = cycle.rows[others], int(cycle.rows[me])
    fixed("trust pool", pool.trust[rows] == pool.trust[row])
    fixed("party size", units.size[others] + units.size[me] <= max(rules.players, 1))
    at = 0
    if rules.skill is not None:
        found["skill"] = _distance(rules.skill.window, rules.skill.age == "oldest", cycle, me, others, 0)
        at = 1
    for i, rule in enumerate(rules.distance):
        found[f"distance {rule.attribute}"] = _distance(rule.window, rule.age == "oldest", cycle, me, others, at + i)
    for i, equal in enumerate(rules.equal):
        same = pool.code[i, rows] == pool.code[i, row]
        left = NEVER if equal.relax_ms is None else np.maximum(equal.relax_ms - np.minimum(wait, mine), 0.0)
        found[f"equal {equal.attribute}"] = np.where(same, 0.0, left)
    for i, overlap in enumerate(rules.overlap):
        common = np.array([int(mask).bit_count() for mask in (pool.sets[i, rows] & pool.sets[i, row]).tolist()], np.int64)
        fixed(f"overlap {overlap.attribute}", common >= overlap.least)
    if rules.latency is not None:
        found["latency"] = _network(pool, cycle, me, others)
    if len(units.block_to):
        blocked = units.block_to[units.block_from[me] : units.block_from[me + 1]]
        fixed("blocks", ~np.isin(others, blocked))
    return found


def _distance(window: Widening, oldest: bool, cycle: Cycle, me: int, others: NDArray[np.int64], rule: int) -> Floats:
    units = cycle.units
    gap = np.abs(units.value[rule, others] - units.value[rule, me])
    wait, mine = units.wait[others], float(units.wait[me])
    theirs, own = units.extra[rule, others], float(units.extra[rule, me])
    if oldest:
        left = window.age_when(np.maximum(gap - np.minimum(theirs, own), 0.0)) - np.maximum(wait, mine)
    else:
        left = np.maximum(window.age_when(np.maximum(gap - theirs, 0.0)) - wait, window.age_when(np.maximum(gap - own, 0.0)) - mine)
    found: Floats = np.maximum(left, 0.0)
    return found


def _network(pool: PoolArrays, cycle: Cycle, me: int, others: NDArray[np.int64]) -> Floats:
    """When some region is in reach of both."""
    latency = pool.rules.latency
    assert latency is not None
    rows = cycle.rows
    left = np.full((len(pool.regions), len(rows)), NEVER)
    for i in range(len(pool.regions)):
        need = np.maximum(latency.limit_ms.age_when(pool.rtt[i, rows]), latency.loss_max.age_when(pool.loss[i, rows]))
        left[i] = np.maximum(need - cycle.units.wait, 0.0)
    if latency.share is not None and len(pool.regions):
        home = homes(pool, rows)
        people = np.bincount(home, weights=pool.size[rows], minlength=len(pool.regions))
        opens = np.where(people[home] < latency.share.thin, np.maximum(latency.share.after_ms - cycle.units.wait, 0.0), NEVER)
        away = home[None, :] != np.arange(len(pool.regions))[:, None]
        left = np.where(away, np.maximum(left, opens[None, :]), left)
    found: Floats = np.maximum(left[:, others], left[:, [me]]).min(axis=0, initial=NEVER)
    return found
