"""The world's worse days, on a virtual clock with the production placement: `python -m loadtest bench scenarios`.

Cities, regions and round trips are the built-in table, the last mile is `loadtest/lastmile.py`; regions report twice a second
and a table lives 100 ms, as in the coordinator. Where real processes are needed (broker, coordinator, a killed process) the
scenarios are tests: tests/end_to_end/test_kills.py and test_failover.py, and `bench failover`.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gameedge.core.errors import RefusedError
from gameedge.core.ids import EdgeId, RegionId
from gameedge.core.routing.load import EdgeLoad, RegionLoad
from gameedge.core.routing.placement import Seen, Table
from loadtest import matrix as matrices
from loadtest.bench.report import Row, row
from loadtest.bench.routing import sighting
from loadtest.matrix import Matrix

Floats = NDArray[np.float64]
SEED: Final = 11
BOUNDARIES: Final = 12  # matches after the cut at which a player is placed again
CUT_MS: Final = 120.0
SLOTS: Final = 600  # of a region
STAY_S: Final = 120.0
TICK_S: Final = 0.1
REPORT_S: Final = 0.5
SURGE: Final = 5.0
EUROPE: Final = ("eu-west", "eu-central", "eu-north")


def run(notes: list[str], *, quick: bool = False) -> list[Row]:
    """Rows of each scenario."""
    world = matrices.built_in()
    people = 200 if quick else 1_500
    return [*evening(world, people), *cable_cut(world, people, notes), *region_lost(world, people), *surge(world, notes, quick=quick)]


def _regions(world: Matrix, players: Floats | None = None, without: str = "") -> list[RegionLoad]:
    assert world.site_places is not None
    return [
        RegionLoad(
            RegionId(f"r{i}"),
            float(place[0]),
            float(place[1]),
            [EdgeLoad(EdgeId("e"), "ws://e", int(players[i]) if players is not None else 10, 0, SLOTS, 9)] if name != without else [],
        )
        for i, (name, place) in enumerate(zip(world.sites, world.site_places, strict=True))
    ]


def _homes(world: Matrix, count: int) -> NDArray[np.int64]:
    return np.random.default_rng(SEED).choice(len(world.rtt_ms), count, p=world.weight)


def evening(world: Matrix, people: int) -> list[Row]:
    """An ordinary evening: everybody is placed once."""
    rng, draw, table = np.random.default_rng(SEED), random.Random(SEED).random, Table(_regions(world))
    regret = []
    for home in _homes(world, people):
        rtt = world.rtt_ms[home]
        regret.append(rtt[table.decide(sighting(rtt, None, rng), draw)[0]] - rtt.min())
    share = 100 * float(np.mean(np.array(regret) <= 5.0))
    return [row("evening: players within 5 ms of their best region", share, "%", at_least=99.0)]


def cable_cut(world: Matrix, people: int, notes: list[str]) -> list[Row]:
    """Cables from Europe to Africa, the Gulf and India break: those paths take 120 ms more, and shake. Everybody is placed again
    at each match boundary."""
    rng, draw, table = np.random.default_rng(SEED), random.Random(SEED).random, Table(_regions(world))
    assert world.places is not None
    south = (world.places[:, 1] > -20) & (world.places[:, 1] < 90) & (world.places[:, 0] < 34)
    moves, hurt, before, after, kept = [], [], [], [], []
    for home in _homes(world, people):
        rtt = world.rtt_ms[home]
        current = table.decide(sighting(rtt, None, rng), draw)[0]
        longer = rtt + CUT_MS * _cut(world, int(home), bool(south[home]))
        changed = bool((longer != rtt).any())
        stayed_there, count = current, 0
        for _ in range(BOUNDARIES):
            shaken = longer + (longer > rtt) * rng.uniform(0, 20, len(rtt))
            seen = sighting(shaken, None, rng)
            chosen = table.decide(Seen(seen.rtt_ms, current=table.names[current], moves=count), draw)[0]
            count += chosen != current
            current = chosen
        moves.append(count)
        if changed and longer[stayed_there] > rtt[stayed_there]:
            hurt.append(home)
            before.append(longer[stayed_there])
            after.append(longer[current])
        kept.append(longer[current] - longer.min())
    notes.append(f"cable cut: {len(hurt)} of {people} players were on a path that broke, {BOUNDARIES} placements each after it")
    return [
        row("cable cut: most moves of one player", float(max(moves)), "moves", at_most=1.0),
        row("cable cut: players who moved more than once", 100 * float(np.mean(np.array(moves) > 1)), "%", at_most=0.0),
        row("cable cut: RTT of those it hit, median", float(np.median(after)), "ms", baseline=float(np.median(before))),
        row("cable cut: p99 of what the best region would save", float(np.quantile(kept, 0.99)), "ms"),
    ]


def _cut(world: Matrix, home: int, south: bool) -> NDArray[np.bool_]:
    """Which regions are behind the broken cables for a player who lives there."""
    if south:
        return np.array([name in EUROPE for name in world.sites])
    return _south_sites(world) if _in_europe(world, home) else np.zeros(len(world.sites), np.bool_)


def _south_sites(world: Matrix) -> NDArray[np.bool_]:
    return np.array([name in ("me-central", "af-south", "ap-south") for name in world.sites])


def _in_europe(world: Matrix, home: int) -> bool:
    assert world.places is not None
    latitude, longitude = world.places[home]
    return bool(latitude > 34 and -25 < longitude < 45)


def region_lost(world: Matrix, people: int) -> list[Row]:
    """The busiest region is gone: its players are placed again among the others, with room for all."""
    rng, draw, table = np.random.default_rng(SEED), random.Random(SEED).random, Table(_regions(world))
    where = [(int(home), table.decide(sighting(world.rtt_ms[home], None, rng), draw)[0]) for home in _homes(world, people)]
    lost = int(np.bincount([site for _, site in where]).argmax())
    rest = Table(_regions(world, without=world.sites[lost]))
    regret, refused = [], 0
    for home, site in where:
        if site != lost:
            continue
        rtt = np.where(np.arange(len(world.sites)) == lost, np.inf, world.rtt_ms[home])
        seen = sighting(np.where(np.isfinite(rtt), rtt, np.nan), None, rng)
        try:
            regret.append(rtt[rest.decide(seen, draw)[0]] - rtt.min())
        except RefusedError:
            refused += 1
    return [
        row("region lost: its players refused", float(refused), "players", at_most=0.0),
        row("region lost: within 5 ms of the best that is left", 100 * float(np.mean(np.array(regret) <= 5.0)), "%", at_least=99.0),
    ]


@dataclass
class _Counted:
    refused: int = 0
    refused_with_room: int = 0
    spilled_s: float | None = None
    tight_s: float | None = None
    fullest: float = 0.0
    spilled: int = 0
    placed: int = 0
    extra_ms: list[float] = field(default_factory=list)


def surge(world: Matrix, notes: list[str], *, quick: bool) -> list[Row]:
    """The largest region's cities come five times as often for two minutes; every region began about half full."""
    rng, draw = np.random.default_rng(SEED), random.Random(SEED).random
    home_site = np.argmin(world.rtt_ms, axis=1)
    share = np.bincount(home_site, world.weight, len(world.sites))
    hot = int(np.argmax(share))
    players = np.full(len(world.sites), SLOTS * 0.5)
    rate = np.where(share > 0, 0.5 * SLOTS / STAY_S, 0.0)  # arrivals that keep it half full
    reported, counted = players.copy(), _Counted()
    cities = [np.flatnonzero(home_site == site) for site in range(len(world.sites))]
    for step in range(int((30 if quick else 120) / TICK_S)):
        now = step * TICK_S
        if step % int(REPORT_S / TICK_S) == 0:
            reported = players.copy()
        table = Table(_regions(world, reported))
        for site in np.flatnonzero(rate > 0):
            for _ in range(rng.poisson(rate[site] * TICK_S * (SURGE if site == hot else 1.0))):
                city = rng.choice(cities[site], p=world.weight[cities[site]] / world.weight[cities[site]].sum())
                _arrive(table, sighting(world.rtt_ms[city], None, rng), draw, players, int(site) == hot, hot, now, counted)
        players -= rng.binomial(players.astype(np.int64), 1 - np.exp(-TICK_S / STAY_S))
        counted.fullest = max(counted.fullest, float((players / SLOTS).max()))
        if counted.tight_s is None and players[hot] > 0.9 * SLOTS:
            counted.tight_s = now
    notes.append(f"surge: {counted.placed} players placed, {counted.spilled} of {world.sites[hot]} elsewhere")
    late = max(0.0, (counted.spilled_s or 0.0) - (counted.tight_s or 0.0))
    return [
        row("surge: players refused while others have room", float(counted.refused_with_room), "players", at_most=0.0),
        row("surge: from 90% full to the first player spilled", late, "s", at_most=2.0),
        row("surge: fullest region", 100 * counted.fullest, "% of slots", at_most=100.0),
    ]


def _arrive(
    table: Table, seen: Seen, draw: Callable[[], float], players: Floats, hot_home: bool, hot: int, now: float, counted: _Counted
) -> None:
    try:
        chosen = table.decide(seen, draw)[0]
    except RefusedError:
        counted.refused += 1
        counted.refused_with_room += int((players < SLOTS).any())
        return
    if players[chosen] >= SLOTS:  # the process itself refuses: the client asks again
        counted.refused_with_room += int((players < SLOTS).any())
        return
    table.placed(table.names[chosen])
    players[chosen] += 1
    counted.placed += 1
    if hot_home and chosen != hot:
        counted.spilled += 1
        if counted.spilled_s is None and counted.tight_s is not None:
            counted.spilled_s = now
