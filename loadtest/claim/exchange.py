"""Thin regions with and without matches across them: how long people wait, and what far players pay.

The same evening as `evening.py`, all regions on one virtual clock. Pools, proposals, what regions show and which matches cross are the
production's code; what is stated instead of run: a region shows its tickets twice a second (each at its own time), the coordinator looks
four times a second, bringing a match about costs three round trips between the coordinator and the farthest home, and who travels opens
a connection of three round trips before the answer counts. `python -m loadtest.claim.exchange --rtt FILE.csv --places FILE.csv`.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from gameedge.arena.settings import game_spec
from gameedge.core import limits
from gameedge.core.ids import EdgeId, RegionId, TicketId
from gameedge.core.matchmaking.crossing import Plan, Shown, propose_across, show
from gameedge.core.matchmaking.pool import PoolArrays
from gameedge.core.matchmaking.propose import propose_pool, rules_of
from gameedge.core.matchmaking.rules import Latency, ModeRules, Share
from gameedge.core.matchmaking.settings import DEFAULT
from gameedge.core.matchmaking.ticket import Ticket
from gameedge.core.matchmaking.widening import constant
from loadtest import matrix as matrices
from loadtest.claim import evening
from loadtest.claim.report import _sound
from loadtest.matrix import Matrix, choose

SHOW_MS: Final = 500.0
LOOK_MS: Final = 250.0
BUS_RTT_MS: Final = 120.0  # between the coordinator and a far region
STEPS: Final = 3.0  # grant, open, send: one after the other
CONNECT_RTTS: Final = 3.0  # TCP, WebSocket, hello
END_MS: Final = 600_000.0  # of waiting, where no NPCs fill up
EDGE: Final = EdgeId("e")


@dataclass(slots=True)
class Region:
    """One pool; `mine`: players still to come, the next one last."""

    name: RegionId
    pool: PoolArrays
    mine: list[int]
    looked_ms: float
    shown_ms: float  # when it shows next
    shown: list[Shown]
    at_ms: float = 0.0  # when that was


@dataclass(slots=True)
class Evening:
    """What came of it, per player."""

    made_ms: evening.Floats
    rtt_ms: evening.Floats
    people: np.ndarray
    far: np.ndarray


def rules_for(limit_ms: float, after_ms: int, thin: int) -> ModeRules:
    base = rules_of(game_spec(demo=False).modes[evening.MODE], DEFAULT)
    return msgspec.structs.replace(base, latency=Latency(limit_ms=constant(limit_ms), share=Share(after_ms=after_ms, thin=thin)))


def play(matrix: Matrix, people: evening.Crowd, sites: list[int], seed: int, *, fill_ms: int, rules: ModeRules | None) -> Evening:
    """`rules` None: tickets stay at home."""
    rng = np.random.default_rng(seed)
    setup = evening.Setup("", sites, evening.WOKEN)
    where = evening._placed(matrix, people, setup, rng, seed)
    access = np.array([each.rtt_ms for each in people.access])
    rtt = matrix.rtt_ms[:, sites][people.row] + access[:, None]
    home_ms = rtt[np.arange(len(where)), where]
    up, down = (evening._one_way(home_ms, people, rng) for _ in range(2))
    asked = people.click_ms + up
    names = [RegionId(f"r{n}") for n in range(len(sites))]
    home_rules = rules_of(game_spec(demo=False).modes[evening.MODE], DEFAULT)
    regions = []
    for n, name in enumerate(names):
        mine = np.flatnonzero(where == n)
        order = mine[np.argsort(-asked[mine], kind="stable")].tolist()
        regions.append(Region(name, PoolArrays(home_rules), order, -1e9, float(rng.uniform(0, SHOW_MS)), []))
    found = Evening(np.full(len(asked), np.nan), home_ms.copy(), np.zeros(len(asked), bool), np.zeros(len(asked), bool))

    def ticket(index: int) -> Ticket:
        nearest = sorted(range(len(names)), key=lambda n: (n != where[index], rtt[index, n]))[: limits.TOKEN_REGIONS_MAX]
        by_region = {str(names[n]): float(rtt[index, n]) for n in nearest}
        return msgspec.structs.replace(evening._ticket(index, people, asked), rtt_ms=by_region, away=True, edge=EDGE)

    def matched(index: int, at_ms: float, others: int) -> None:
        found.made_ms[index], found.people[index] = at_ms + down[index], others > 1

    def across(plan: Plan, now: float) -> None:
        region = names.index(plan.region)
        members = [(home, int(name[2:])) for team in plan.teams for home, name in team]
        pools = {each.name: each.pool for each in regions}
        if any(TicketId(f"t_{index}") not in pools[home] for home, index in members):
            return  # not granted: somebody was matched meanwhile
        for home, index in members:
            pools[home].remove(TicketId(f"t_{index}"))
            travels = home != plan.region
            done = now + STEPS * BUS_RTT_MS + travels * CONNECT_RTTS * rtt[index, region]
            matched(index, done, len(members))
            found.rtt_ms[index], found.far[index] = rtt[index, region], travels

    _run(setup, regions, asked, ticket, matched, across, fill_ms, rules)
    found.made_ms = np.where(np.isnan(found.made_ms), people.click_ms + END_MS, found.made_ms) - people.click_ms
    return found


def _run(
    setup: evening.Setup,
    regions: list[Region],
    asked: evening.Floats,
    ticket: Callable[[int], Ticket],
    matched: Callable[[int, float, int], None],
    across: Callable[[Plan, float], None],
    fill_ms: int,
    rules: ModeRules | None,
) -> None:
    """All regions and the coordinator, in order of time, until all have come and have waited END_MS at most."""
    look_ms, end = 0.0, float(asked.max()) + (END_MS if fill_ms <= 0 else 4.0 * fill_ms)
    now = 0.0
    while now < end and any(each.mine or len(each.pool) for each in regions):
        due = []
        for each in regions:
            coming = float(asked[each.mine[-1]]) if each.mine else np.inf
            due.append(evening._next_look(setup, each.pool, coming, each.looked_ms, fill_ms) if each.mine or len(each.pool) else np.inf)
        now = min(*due, look_ms if rules is not None else np.inf)
        if rules is not None and now >= look_ms:
            _exchange(regions, now, across, rules)
            look_ms = now + LOOK_MS
            continue
        each = regions[int(np.argmin(due))]
        while each.mine and asked[each.mine[-1]] <= now:
            each.pool.add(ticket(each.mine.pop()))
        for proposal in propose_pool(each.pool, int(now), fill_ms=fill_ms):
            members = [one for team in proposal.teams for one in team]
            for one in members:
                matched(int(one.id[2:]), now, len(members))
                each.pool.remove(one.id)
        each.looked_ms = now


def _exchange(regions: list[Region], now: float, across: Callable[[Plan, float], None], rules: ModeRules) -> None:
    for each in regions:
        if now >= each.shown_ms:
            each.shown, each.at_ms = show(each.pool, rules, each.name, int(now), {EDGE}), now
            each.shown_ms = now + SHOW_MS
    aged = {
        each.name: [msgspec.structs.replace(one, age_ms=one.age_ms + int(now - each.at_ms)) for one in each.shown]
        for each in regions
        if each.shown
    }
    for plan in propose_across(rules, aged, [each.name for each in regions], int(now)):
        across(plan, now)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rtt", type=Path)
    parser.add_argument("--places", type=Path)
    parser.add_argument("--players", type=int, default=1_500)
    parser.add_argument("--per-s", type=float, nargs="*", default=[1.0, 5.0, 20.0, 40.0])
    parser.add_argument("--fill-ms", type=int, nargs="*", default=[0, 2_000])
    parser.add_argument("--limit-ms", type=float, default=150.0)
    parser.add_argument("--after-ms", type=int, default=250)
    parser.add_argument("--thin", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    matrix = _sound(matrices.load(options.rtt, options.places) if options.rtt else matrices.built_in())
    sites = choose(matrix, min(20, len(matrix.sites)))
    rows = []
    for per_s in options.per_s:
        people = evening.crowd(matrix, options.players, per_s, options.seed)
        for fill_ms in options.fill_ms:
            for rules in (None, rules_for(options.limit_ms, options.after_ms, options.thin)):
                one = play(matrix, people, sites, options.seed + 1, fill_ms=fill_ms, rules=rules)
                far = one.rtt_ms[one.far]
                row = {
                    "per_s": per_s, "fill_ms": fill_ms, "exchange": rules is not None, "answer_p50_ms": np.quantile(one.made_ms, 0.5),
                    "answer_p90_ms": np.quantile(one.made_ms, 0.9), "answer_p99_ms": np.quantile(one.made_ms, 0.99),
                    "met_people": one.people.mean(), "travelled": one.far.mean(), "rtt_p50_ms": np.quantile(one.rtt_ms, 0.5),
                    "rtt_p99_ms": np.quantile(one.rtt_ms, 0.99), "far_rtt_p50_ms": np.quantile(far, 0.5) if len(far) else None,
                    "far_rtt_worst_ms": far.max() if len(far) else None,
                }  # fmt: skip
                rows.append({key: round(float(v), 3) if isinstance(v, np.floating) else v for key, v in row.items()})
                print(json.dumps(rows[-1]), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
