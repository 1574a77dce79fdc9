"""The first proposal of this project, in Python over objects: the baseline of `bench matchmaking`. Same rules (rating alone), same
search, built anew each cycle."""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from gameedge.core import limits
from gameedge.core.game import ModeSpec
from gameedge.core.ids import EdgeId
from gameedge.core.matchmaking.settings import DEFAULT, MatchSettings
from gameedge.core.matchmaking.ticket import Ticket
from loadtest.bench import matchmaking_teams as splitting


@dataclass(frozen=True, slots=True)
class Proposal:
    """A match that everybody in it accepts. `empty[t]` seats of team `t` are left to NPCs (all 0: the match is full)."""

    teams: list[list[Ticket]]
    quality: float  # 1: teams of equal strength, falling to 0 with the gap of their means
    empty: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Pool:
    """Units of one trust pool in order of rating, as parallel lists, linked through those still free."""

    members: list[list[Ticket]]
    sizes: list[int]
    ratings: list[float]
    windows: list[float]
    waits_ms: list[float]
    seeds: list[int]  # oldest first
    before: list[int] = field(default_factory=list)
    after: list[int] = field(default_factory=list)
    free: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        count = len(self.members)
        self.before = [*range(-1, count - 1)]
        self.after = [*range(1, count), -1]
        self.free = [True] * count

    def take(self, unit: int) -> None:
        before, after = self.before[unit], self.after[unit]
        if before >= 0:
            self.after[before] = after
        if after >= 0:
            self.before[after] = before
        self.free[unit] = False

    def outwards(self, seed: int) -> Iterator[int]:
        """Free units, nearest rating first (equally near: the lower one), up to the seed's window."""
        ratings, own, window = self.ratings, self.ratings[seed], self.windows[seed]
        low, high = self.before[seed], self.after[seed]
        while low >= 0 or high >= 0:
            below = own - ratings[low] if low >= 0 else float("inf")
            above = ratings[high] - own if high >= 0 else float("inf")
            if min(below, above) > window:
                return
            if below <= above:
                yield low
                low = self.before[low]
            else:
                yield high
                high = self.after[high]


def propose(
    tickets: Sequence[Ticket],
    mode: ModeSpec,
    now_ms: int,
    *,
    live_edges: Collection[EdgeId] | None = None,
    fill_ms: int = 0,
    settings: MatchSettings = DEFAULT,
) -> list[Proposal]:
    """Disjoint proposals; in each trust pool full matches first, then incomplete ones, the longest wait first in both.

    Tickets of processes outside `live_edges` are left out (None: all are alive). `fill_ms` > 0 and `mode.npc_fill`: a unit that
    waited that long is proposed even if seats stay empty. A party larger than a team, incomplete, or of several trust pools
    waits.
    """
    proposals: list[Proposal] = []
    for pool in _pools(tickets, mode, now_ms, live_edges, settings):
        for full in (True, False):
            if not full and (fill_ms <= 0 or not mode.npc_fill):
                continue
            for seed in pool.seeds:
                if not pool.free[seed] or (not full and pool.waits_ms[seed] < fill_ms):
                    continue
                group = _gather(pool, seed, mode, settings)
                if full and sum(pool.sizes[unit] for unit in group) < mode.players:
                    continue
                proposals.append(_proposal(pool, group, mode, settings))
                for unit in group:
                    pool.take(unit)
    return proposals


def _gather(pool: _Pool, seed: int, mode: ModeSpec, settings: MatchSettings) -> list[int]:
    """The seed and the nearest units in mutual agreement with it and with each other, as many as seats allow."""
    ratings, windows, sizes = pool.ratings, pool.windows, pool.sizes
    group, room = [seed], mode.players - sizes[seed]
    low = high = ratings[seed]
    floor, ceiling = low - windows[seed], high + windows[seed]  # what everybody in the group accepts
    parties = sizes[seed] > 1
    looks = settings.looks_per_seat * mode.players
    if room == 0:
        return group
    for unit in pool.outwards(seed):
        looks -= 1
        if looks < 0:
            break
        rating, window, size = ratings[unit], windows[unit], sizes[unit]
        if size > room or not floor <= rating <= ceiling or rating - window > low or rating + window < high:
            continue
        if (size > 1 or parties) and not splitting.fits([*(sizes[i] for i in group), size], mode.teams, mode.team_size):
            continue
        group.append(unit)
        room -= size
        if room == 0:
            break
        parties = parties or size > 1
        low, high = min(low, rating), max(high, rating)
        floor, ceiling = max(floor, rating - window), min(ceiling, rating + window)
    return group


def _proposal(pool: _Pool, group: list[int], mode: ModeSpec, settings: MatchSettings) -> Proposal:
    # One order for one combination of sizes: the listed splits of `matchmaking_teams.py` are found again.
    group.sort(key=lambda unit: (-pool.sizes[unit], unit))
    sizes = [pool.sizes[unit] for unit in group]
    ratings = [pool.ratings[unit] for unit in group]
    split = splitting.split(sizes, ratings, mode.teams, mode.team_size)
    gap = splitting.gap(split, sizes, ratings)
    teams = [[ticket for i in units for ticket in pool.members[group[i]]] for units in split]
    quality = math.exp(-0.5 * (gap / settings.beta) ** 2)
    return Proposal(teams, quality, [mode.team_size - len(team) for team in teams])


def _pools(
    tickets: Sequence[Ticket], mode: ModeSpec, now_ms: int, live_edges: Collection[EdgeId] | None, settings: MatchSettings
) -> list[_Pool]:
    """The pool's units by trust pool, the lowest first."""
    live = None if live_edges is None else frozenset(live_edges)
    units: dict[int, list[list[Ticket]]] = {}
    parties: dict[str, list[Ticket]] = {}
    players: set[str] = set()
    for ticket in sorted(tickets, key=lambda ticket: (ticket.created_ms, ticket.id)):
        if (live is not None and ticket.edge not in live) or ticket.player in players:
            continue
        players.add(ticket.player)
        if ticket.party is None or ticket.party_size == 1:
            units.setdefault(ticket.trust, []).append([ticket])
        elif 1 < ticket.party_size <= min(mode.team_size, limits.PARTY_MAX):
            waiting = parties.setdefault(f"{ticket.party_size}:{ticket.trust}:{ticket.party}", [])
            waiting.append(ticket)
            if len(waiting) == ticket.party_size:
                units.setdefault(ticket.trust, []).append(waiting.copy())
                waiting.clear()
    return [_pool(units[trust], now_ms, settings) for trust in sorted(units)]


def _pool(units: list[list[Ticket]], now_ms: int, settings: MatchSettings) -> _Pool:
    """`units` in order of age: a party is as old as its last member, since before that it could not be matched."""
    sizes = np.array([len(unit) for unit in units])
    firsts = np.cumsum(sizes) - sizes
    each = np.array([_finite(ticket.rating, settings) for unit in units for ticket in unit], np.float64)
    ratings = np.add.reduceat(np.clip(each, -settings.rating_bound, settings.rating_bound), firsts) / sizes
    # Python integers have no bound: clip before they become float64, so that a clock from nowhere cannot raise.
    waits = np.array([float(min(max(now_ms - unit[-1].created_ms, 0), 10**12)) for unit in units])
    windows = np.minimum(settings.window_start + settings.window_per_s * waits / 1000.0, settings.window_max)
    order = np.argsort(ratings, kind="stable")  # equal ratings: the older first
    place = np.empty(len(units), np.int64)
    place[order] = np.arange(len(units))
    return _Pool(
        members=[units[i] for i in order.tolist()],
        sizes=sizes[order].tolist(),
        ratings=ratings[order].tolist(),
        windows=windows[order].tolist(),
        waits_ms=waits[order].tolist(),
        seeds=place.tolist(),
    )


def _finite(rating: float, settings: MatchSettings) -> float:
    return rating if -1e300 < rating < 1e300 else settings.rating_default
