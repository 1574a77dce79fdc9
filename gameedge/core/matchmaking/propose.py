"""Which tickets of a pool should play together: a function of the pool, its rules and the time.

Problem: form matches from a pool so that whoever waits longest is served first and gets company of its own strength, while
everybody in a match accepts everybody else in it by every rule (windows that widen with waiting are mutual, not the seed's alone),
parties stay together, trust pools stay apart, and no ticket is proposed twice.

Method: units (people alone, complete parties) lie in arrays in order of rating, linked through those still free. Seeds are taken
oldest first; a seed walks outwards from its own place, nearest rating first, and takes each unit that fits the seats and is in
mutual agreement with all taken before. Agreement with the whole group costs two comparisons a rule: the group keeps its lowest and
highest value, the intersection of its members' windows, of their sets and of the regions in their reach. A full group is dealt to
teams (two teams: the best of all ways). Duels then exchange opponents while that raises the sum of qualities. A last pass offers
incomplete groups to those who waited `fill_ms`, NPCs in the empty seats.

Guarantee: every rule for every proposal; the same pool and time give the same proposals, in whatever order the tickets came;
hostile ratings (NaN, infinite, absurd) are replaced or clipped, never raise. A seed looks at so many candidates, more the longer it
waited and after `priority_ms` at all there are, so that nobody is overlooked for good. Greedy, so not the best set of matches
possible: docs/decisions/0014 has the figures.
Cost: O(n log n) for sorting and O(looks) a seed, compiled; figures in loadtest/bench.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gameedge.core.game import ModeSpec
from gameedge.core.ids import EdgeId
from gameedge.core.matchmaking import widening
from gameedge.core.matchmaking.cycle import Cycle, look, shape_of, state_of
from gameedge.core.matchmaking.duels import polish
from gameedge.core.matchmaking.kernels import Shape, State
from gameedge.core.matchmaking.policy import hold_ms
from gameedge.core.matchmaking.pool import PoolArrays
from gameedge.core.matchmaking.regions import best_region
from gameedge.core.matchmaking.rules import ModeRules, Skill
from gameedge.core.matchmaking.search import linked, search
from gameedge.core.matchmaking.settings import DEFAULT, MatchSettings
from gameedge.core.matchmaking.ticket import Ticket


@dataclass(frozen=True, slots=True)
class Proposal:
    """A match that everybody in it accepts. `empty[t]` seats of team `t` are left to NPCs (all 0: the match is full)."""

    teams: list[list[Ticket]]
    quality: float  # 1: teams of equal strength, falling to 0 with the gap of their means
    empty: list[int] = field(default_factory=list)
    region: str | None = None  # where everybody's round trip is within limits and the worst is least; None: no rule says


@dataclass(slots=True)
class Matches:
    """Proposals as arrays, M of them; what `proposals` makes objects of."""

    cycle: Cycle
    units: NDArray[np.int64]  # [M, players] the cycle's units, `count` of them valid
    teams: NDArray[np.int64]  # [M, players] the team of each
    count: NDArray[np.int64]  # [M]
    gap: NDArray[np.float64]  # [M] of team means
    reach: NDArray[np.uint64]  # [M] regions that all accept
    full: int  # the first so many have no empty seat
    held: int  # full groups that wait for better company

    def __len__(self) -> int:
        return len(self.count)


def match(
    pool: PoolArrays, now_ms: int, *, live_edges: Collection[EdgeId] | None = None, fill_ms: int | None = None, gather: bool = True
) -> Matches:
    """Disjoint matches; full ones first, then incomplete ones, the longest wait first in both.

    Units with a member in a process outside `live_edges` are left out (None: all are alive). `fill_ms` None: the rules'; where it is
    over 0 and the mode is filled with NPCs, a unit that waited that long is proposed even if seats stay empty. `gather` False: the
    gathering window is not waited for.
    """
    rules = pool.rules
    cycle = look(pool, now_ms, live_edges)
    shape = shape_of(rules, hold_ms=hold_ms(pool, now_ms) if gather else 0.0)
    state = state_of(rules, pool)
    fill = rules.fill_ms if fill_ms is None else fill_ms
    return _search(cycle, rules, shape, state, fill if rules.npc_fill else 0)


def _search(cycle: Cycle, rules: ModeRules, shape: Shape, state: State, fill_ms: int) -> Matches:
    count = len(cycle.rows)
    most = count // max(rules.players // _largest(cycle), 1) + 1 if fill_ms <= 0 else count
    rows = np.zeros((most, rules.players), np.int64)
    teams, counts = np.zeros_like(rows), np.zeros(most, np.int64)
    gaps, reach = np.zeros(most), np.zeros(most, np.uint64)
    free = np.ones(count, np.bool_)
    before, after = linked(free)
    common = (before, after, free, cycle.units, shape, state)
    full, held = search(cycle.seeds, True, 0.0, *common, 0, rows, teams, counts, gaps, reach)
    if rules.teams == 2 and rules.team_size == 1:
        full = polish(cycle.seeds, free, cycle.units, shape, state, full, rows, gaps, reach)
        counts[:full], teams[:full, 1] = 2, 1
        before, after = linked(free)
        common = (before, after, free, cycle.units, shape, state)
    made = full
    if fill_ms > 0:
        made, _ = search(cycle.seeds, False, float(fill_ms), *common, full, rows, teams, counts, gaps, reach)
    return Matches(cycle, rows[:made], teams[:made], counts[:made], gaps[:made], reach[:made], full, held)


def _largest(cycle: Cycle) -> int:
    return int(cycle.units.size.max(initial=1))


def proposals(pool: PoolArrays, found: Matches) -> list[Proposal]:
    """The tickets of each match, with quality and region."""
    rules = pool.rules
    scale = rules.skill.scale if rules.skill is not None else 1.0
    regions = best_region(pool, found)
    members = [unit.members for row in found.cycle.rows.tolist() if (unit := pool.units[row]) is not None]
    qualities = np.exp(-0.5 * (found.gap / scale) ** 2).tolist()
    people_alone = found.count == rules.players  # full, without parties: seats are cut from one row
    order = np.argsort(np.where(people_alone[:, None], found.teams, 0), axis=1, kind="stable")
    units = np.take_along_axis(found.units, order, axis=1).tolist()
    size, teams = rules.team_size, range(rules.teams)
    made = []
    for m, (row, quality, region, simple) in enumerate(zip(units, qualities, regions, people_alone.tolist(), strict=True)):
        if simple:
            seats = [members[u][0] for u in row]
            made.append(Proposal([seats[t * size : (t + 1) * size] for t in teams], quality, [0] * len(teams), region))
            continue
        split: list[list[Ticket]] = [[] for _ in teams]
        for u, team in zip(row[: int(found.count[m])], found.teams[m].tolist(), strict=False):
            split[team] += members[u]
        made.append(Proposal(split, quality, [size - len(team) for team in split], region))
    return made


def propose_pool(
    pool: PoolArrays, now_ms: int, *, live_edges: Collection[EdgeId] | None = None, fill_ms: int | None = None, gather: bool = True
) -> list[Proposal]:
    """`match`, as objects."""
    return proposals(pool, match(pool, now_ms, live_edges=live_edges, fill_ms=fill_ms, gather=gather))


def propose(
    tickets: Sequence[Ticket],
    mode: ModeSpec,
    now_ms: int,
    *,
    live_edges: Collection[EdgeId] | None = None,
    fill_ms: int = 0,
    settings: MatchSettings = DEFAULT,
) -> list[Proposal]:
    """One look at a list of tickets, by rating alone. A caller that looks again and again keeps a `PoolArrays`."""
    pool = PoolArrays(rules_of(mode, settings))
    for ticket in tickets:
        pool.add(ticket)
    return propose_pool(pool, now_ms, live_edges=live_edges, fill_ms=fill_ms)


def rules_of(mode: ModeSpec, settings: MatchSettings) -> ModeRules:
    """Settings as rules."""
    window = widening.line(settings.window_start, settings.window_per_s, settings.window_max)
    skill = Skill(window=window, default=settings.rating_default, bound=settings.rating_bound, scale=settings.beta)
    return ModeRules(
        teams=mode.teams, team_size=mode.team_size, npc_fill=mode.npc_fill, looks_per_seat=settings.looks_per_seat, skill=skill
    )


WARM: Final = 6  # tickets of the match that `warm` plays


def warm() -> int:
    """Compile, or load, every kernel of the matchmaker; returns the matches that were made."""
    base: dict[str, object] = {"session": "s", "edge": "e", "mode": "m"}
    rules = ModeRules(teams=2, team_size=1, skill=Skill(window=widening.constant(10.0)))
    made = 0
    for chosen in (rules, ModeRules(teams=3, team_size=2, skill=rules.skill)):
        pool = PoolArrays(chosen)
        for i in range(WARM):
            party = {"party": f"{i // 2}", "party_size": 2} if chosen.team_size > 1 else {}
            pool.add(Ticket(id=f"t{i}", player=f"p{i}", **base, **party))  # type: ignore[arg-type]
        made += len(propose_pool(pool, 0, fill_ms=1))
    return made


__all__ = ["Matches", "Proposal", "match", "proposals", "propose", "propose_pool", "rules_of", "warm"]
