"""A pool at a time, in the order that the search wants: what a proposal and an explanation both look at.

Everything that waiting changes (windows, regions in reach, relaxed rules) is computed here, for all units at once.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gameedge.core import limits
from gameedge.core.ids import EdgeId
from gameedge.core.matchmaking.dealing import EXACT_MAX
from gameedge.core.matchmaking.kernels import Shape, State, Units
from gameedge.core.matchmaking.pool import PoolArrays
from gameedge.core.matchmaking.rules import ModeRules

WAIT_MS_MAX: Final = 1e12  # a clock from nowhere
ALL: Final = np.uint64(2**64 - 1)

solid = np.ascontiguousarray  # of another layout a kernel would be compiled again
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Masks = NDArray[np.uint64]
Rows = NDArray[np.int64]


@dataclass(slots=True)
class Cycle:
    """`rows[i]` is the pool's row of unit i. `seeds`: units, the oldest first."""

    rows: Rows
    seeds: Ints
    units: Units


def waits_ms(pool: PoolArrays, rows: Rows, now_ms: int) -> Floats:
    """How long each has waited, float64; 0 for those whose clock is ahead of ours."""
    now = min(max(now_ms, -(2**62)), 2**62)
    return np.clip(np.float64(now) - pool.created[rows].astype(np.float64), 0.0, WAIT_MS_MAX)


def windows(pool: PoolArrays, rows: Rows, wait: Floats) -> tuple[Floats, Floats]:
    """Each distance rule's window by age and by uncertainty, float64 [D, N]."""
    rules = pool.rules
    base, extra = np.zeros((len(pool.value), len(rows))), np.zeros((len(pool.value), len(rows)))
    at = 0
    if rules.skill is not None:
        base[0], extra[0] = rules.skill.window.at(wait), rules.skill.sigma_weight * pool.sigma[rows]
        at = 1
    for i, rule in enumerate(rules.distance):
        base[at + i] = rule.window.at(wait)
    return base, extra


def homes(pool: PoolArrays, rows: Rows) -> Ints:
    """The region with the least round trip for each unit's worst-placed member; equal ones: the first by name."""
    by_name = np.array(sorted(range(len(pool.regions)), key=lambda i: pool.regions[i]), np.int64)
    found: Ints = by_name[np.argmin(pool.worst[by_name][:, rows], axis=0)]
    return found


def regions_in_reach(pool: PoolArrays, rows: Rows, wait: Floats) -> Masks:
    """Bits of the regions that each unit may play in now, uint64 [N]."""
    latency = pool.rules.latency
    if latency is None:
        return np.full(len(rows), ALL)
    reach = np.zeros(len(rows), np.uint64)
    limit, loss = latency.limit_ms.at(wait), latency.loss_max.at(wait)
    for i in range(len(pool.regions)):
        good = (pool.rtt[i, rows] <= limit) & (pool.loss[i, rows] <= loss)
        reach |= good.astype(np.uint64) << np.uint64(i)
    if latency.share is not None and len(pool.regions):
        home = homes(pool, rows)
        people = np.bincount(home, weights=pool.size[rows], minlength=len(pool.regions))
        shared = (wait >= latency.share.after_ms) & (people[home] < latency.share.thin)
        # Those of a busy region stay among themselves, and let in who comes from a thin one.
        reach = np.where(shared, reach, reach & (np.uint64(1) << home.astype(np.uint64)))
    return reach


def relaxed(rules: ModeRules, wait: Floats) -> NDArray[np.bool_]:
    """Which units no longer ask each relaxing equality rule, bool [Q, N]."""
    ages = [rule.relax_ms for rule in rules.equal if rule.relax_ms is not None]
    return np.array([wait >= age for age in ages], np.bool_).reshape(len(ages), len(wait))


def partitions(pool: PoolArrays, rows: Rows) -> Ints:
    """A number for each set of units that hard rules (trust pools, equality without an end) keep apart, int64 [N]."""
    hard = [pool.code[i, rows] for i, rule in enumerate(pool.rules.equal) if rule.relax_ms is None]
    found = np.unique(pool.trust[rows], return_inverse=True)[1].reshape(-1)
    for codes in hard:
        inner = np.unique(codes, return_inverse=True)[1].reshape(-1)
        found = np.unique(found * (inner.max(initial=0) + 1) + inner, return_inverse=True)[1].reshape(-1)
    return found.astype(np.int64)


def look(pool: PoolArrays, now_ms: int, live_edges: Collection[EdgeId] | None = None) -> Cycle:
    """Everybody who could be matched at `now_ms`."""
    rules = pool.rules
    rows = np.flatnonzero(pool.ready & pool.live(live_edges))
    rows = rows[np.lexsort((pool.tie[rows], pool.created[rows]))]  # the oldest first
    part = partitions(pool, rows)
    walks = rules.skill is not None
    key = pool.value[0, rows] if walks else np.zeros(len(rows))
    order = np.argsort(key, kind="stable") if walks else np.arange(len(rows))  # equal ratings: the older first
    if part.max(initial=0) > 0:
        order = order[np.argsort(part[order], kind="stable")]
    seeds = np.empty(len(rows), np.int64)
    seeds[order] = np.arange(len(rows))
    rows = rows[order]
    wait = waits_ms(pool, rows, now_ms)
    base, extra = windows(pool, rows, wait)
    soft = [i for i, rule in enumerate(rules.equal) if rule.relax_ms is not None]
    block_from, block_to = _blocks(pool, rows)
    gap_max = rules.balance.gap_max.at(wait) if rules.balance is not None else np.full(len(rows), np.inf)
    units = Units(
        part=part[order],
        size=pool.size[rows],
        key=key[order],
        wait=wait,
        value=solid(pool.value[:, rows]),
        base=base,
        extra=extra,
        code=solid(pool.code[soft][:, rows]),
        relaxed=relaxed(rules, wait),
        sets=solid(pool.sets[:, rows]),
        regions=regions_in_reach(pool, rows, wait),
        roles=solid(pool.roles[rows]),
        block_from=block_from,
        block_to=block_to,
        gap_max=gap_max,
    )
    return Cycle(rows, seeds, units)


def _blocks(pool: PoolArrays, rows: Rows) -> tuple[Ints, Ints]:
    """For each unit the units that it does not play with, whoever of the two said so: offsets [N + 1] and units."""
    if not pool.blocking:
        return np.zeros(len(rows) + 1, np.int64), np.zeros(0, np.int64)
    place = np.full(pool.capacity, -1, np.int64)
    place[rows] = np.arange(len(rows))
    pairs: set[tuple[int, int]] = set()
    for row, players in pool.blocking.items():
        a = int(place[row])
        for player in players:
            other = pool.row_of_player(player)
            b = -1 if other is None else int(place[other])
            if a >= 0 and b >= 0:
                pairs |= {(a, b), (b, a)}
    listed = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    return np.searchsorted(listed[:, 0], np.arange(len(rows) + 1)).astype(np.int64), np.ascontiguousarray(listed[:, 1])


def shape_of(rules: ModeRules, *, hold_ms: float) -> Shape:
    skill = rules.skill
    oldest = ([skill.age == "oldest"] if skill is not None else []) + [rule.age == "oldest" for rule in rules.distance]
    scale = skill.scale if skill is not None else 1.0
    good = min(max(rules.gather.good, 1e-9), 1.0)
    return Shape(
        teams=rules.teams,
        team_size=rules.team_size,
        looks=rules.looks_per_seat * rules.players,
        priority_ms=float(rules.priority_ms),
        hold_ms=float(hold_ms),
        good_gap=float(scale * np.sqrt(-2.0 * np.log(good))),
        scale=float(scale),
        walks=skill is not None,
        oldest=np.array(oldest, np.bool_),
        set_least=np.array([rule.least for rule in rules.overlap], np.int64),
        role_need=np.array(list(rules.roles.values()), np.int64),
    )


def state_of(rules: ModeRules, pool: PoolArrays) -> State:
    """Room for one group."""
    values, soft, sets = len(pool.value), sum(rule.relax_ms is not None for rule in rules.equal), len(rules.overlap)
    roles = list(rules.roles.values())
    need = [sum(n for bit, n in enumerate(roles) if subset >> bit & 1) for subset in range(1 << len(roles))]
    players, scratch = max(rules.players, 2), max(1 << EXACT_MAX, limits.SEATS_PER_MATCH_MAX)
    return State(
        low=np.zeros(values),
        high=np.zeros(values),
        floor=np.zeros(values),
        ceiling=np.zeros(values),
        base=np.zeros(values),
        extra=np.zeros(values),
        code=np.zeros(soft, np.int64),
        mixed=np.zeros(soft, np.bool_),
        strict=np.zeros(soft, np.bool_),
        sets=np.zeros(sets, np.uint64),
        regions=np.zeros(1, np.uint64),
        have=np.zeros(1 << len(roles), np.int64),
        need=np.array(need, np.int64),
        rows=np.zeros(players + 1, np.int64),
        team=np.zeros(players + 1, np.int64),
        trial=np.zeros(players + 1, np.int64),
        strength=np.zeros(scratch),
        people=np.zeros(scratch, np.int64),
    )
