"""Where a match is played: the region whose worst-placed member has the least round trip, among those that all accept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gameedge.core.matchmaking.cycle import homes
from gameedge.core.matchmaking.pool import PoolArrays

if TYPE_CHECKING:
    from gameedge.core.matchmaking.propose import Matches


def choose_region(rtt_ms: Sequence[Mapping[str, float]], within: Mapping[str, float] | float = float("inf")) -> str | None:
    """The region that all members measured, within the limit (one for all, or by region) for each of them, where the worst member's
    round trip is least; equal ones: the least mean, then the first by name. None: there is none.
    """
    if not rtt_ms:
        return None
    common = set.intersection(*(set(member) for member in rtt_ms))
    best: tuple[float, float, str] | None = None
    for region in sorted(common):
        each = [member[region] for member in rtt_ms]
        limit = within.get(region, -1.0) if isinstance(within, Mapping) else within
        if not all(0 <= rtt <= limit for rtt in each):
            continue
        found = (max(each), sum(each) / len(each), region)
        best = found if best is None else min(best, found)
    return best[2] if best is not None else None


def best_region(pool: PoolArrays, found: Matches) -> list[str | None]:
    """`choose_region` for all matches at once, on the pool's arrays."""
    if pool.rules.latency is None or not len(found):
        return [None] * len(found)
    rows = found.cycle.rows[found.units]  # [M, players]
    valid = np.arange(rows.shape[1]) < found.count[:, None]
    names = sorted(range(len(pool.regions)), key=lambda i: pool.regions[i])
    worst = np.full((len(names), len(found)), np.inf)
    total = np.zeros_like(worst)
    for at, region in enumerate(names):
        each = np.where(valid, pool.worst[region][rows], 0.0)
        good = (found.reach >> np.uint64(region)) & np.uint64(1) != 0
        worst[at] = np.where(good, each.max(axis=1), np.inf)
        total[at] = np.where(valid, pool.rtt[region][rows] * pool.size[rows], 0.0).sum(axis=1)
    least = worst == worst.min(axis=0)
    chosen = np.argmin(np.where(least, total, np.inf), axis=0)  # the first of equal ones: regions are in order of name
    return [pool.regions[names[i]] for i in chosen.tolist()]


def thin_regions(pool: PoolArrays) -> dict[str, int]:
    """People who wait, by their nearest region: what a coordinator compares with `share.thin`."""
    rows = np.flatnonzero(pool.ready)
    if pool.rules.latency is None or not len(pool.regions):
        return {}
    people = np.bincount(homes(pool, rows), weights=pool.size[rows], minlength=len(pool.regions))
    return {pool.regions[i]: int(count) for i, count in enumerate(people.tolist()) if count}
