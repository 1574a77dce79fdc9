"""Which region will feel fastest to this player (or party), and which of its processes.

Problem. A player should play where input reaches the simulation soonest. That is the network's round trip plus what queues,
    models and a busy process add; what a client reports may be noisy, missing, absurd or forged, and what regions report is
    old by a heartbeat.
Method. Every region gets `total = rtt + load + inference + queue + cost`, in milliseconds. `rtt` is the estimate of
    `estimate.py` from the client's own samples, never below what light allows; where a region was not measured, what the
    learned map of the client's network and city says, else what distance suggests (`distance.py`), shifted by how far off the
    same prior was for the regions that were measured; else a constant. The smallest total wins, with three corrections: a
    player stays where it is unless moving gains more than `stay_ms`, and that again for each move of late;
    among totals that differ by less than `near_ms` two are
    drawn and the one with clearly more room is taken (power of two choices, Mitzenmacher 2001), so that old reports do not
    send everybody to the same place; and slots that are nearly gone add so much that neighbours take over before saturation.
    A party goes where the worst of its members' totals is smallest.
Guarantee. A draining, full, forbidden or vanished process is never chosen, a doubtful one (silent for a moment, or without its
    store) only where nothing better is there. The total grows with every sample and with every load figure; no input makes it
    NaN. Lying about round trips chooses a region among those that take players, and nothing else: it opens no full one.
Cost. Regions are compiled once a report (`Table`), a decision is linear in regions: see `python -m loadtest bench routing`.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final, Literal, TypeVar, cast

from gameedge.core.errors import Reason, RefusedError, UnavailableError
from gameedge.core.ids import RegionId
from gameedge.core.routing.distance import EARTH_RADIUS_KM, expected_rtt_ms, haversine_km
from gameedge.core.routing.estimate import LIGHT_KM_PER_MS, POSITION_SLACK_KM, light_floors_ms, misplaced, robust_rtt_ms, robust_rtts_ms
from gameedge.core.routing.load import DEFAULTS, LOAD_MS_MAX, EdgeLoad, RegionLoad, Settings, edge_load_ms, inference_ms, queue_ms
from gameedge.core.routing.policy import NO_POLICY, Policy

T = TypeVar("T")
Basis = Literal["measured", "learned", "distance", "unknown"]
Unit = tuple[float, float, float]
NO_PINGS: Final[Mapping[tuple[RegionId, RegionId], float]] = {}
PRIOR_SHIFT_MS_MAX: Final = 200.0
MOVES_MAX: Final = 3  # that count


@dataclass(frozen=True, slots=True)
class Seen:
    """What the client says. Samples that are no plausible round trip are ignored, unknown regions too. `learned_ms` is the
    coordinator's own knowledge of the client's network and city."""

    rtt_ms: Mapping[RegionId, Sequence[float]] = field(default_factory=dict)
    latitude: float | None = None
    longitude: float | None = None
    current: RegionId | None = None  # where it plays now
    residency: str = ""
    learned_ms: Mapping[RegionId, float] = field(default_factory=dict)
    floor_ms: Mapping[RegionId, float] = field(default_factory=dict)  # what sockets of its network make implausible is raised to this
    moves: int = 0  # how often it was sent elsewhere lately: each makes the next one harder

    @property
    def placed(self) -> bool:
        """Whether it says where it is."""
        return self.latitude is not None and self.longitude is not None and math.isfinite(self.latitude) and math.isfinite(self.longitude)


@dataclass(frozen=True, slots=True)
class Score:
    """Why a region was or was not chosen."""

    region: RegionId
    rtt_ms: float
    basis: Basis
    distance_km: float | None
    load_ms: float
    fullness: float
    inference_ms: float = 0.0
    queue_ms: float = 0.0
    cost_ms: float = 0.0
    excluded: str = ""  # draining, full, offline, policy, residency, accelerator; empty: it could be chosen
    doubtful: str = ""  # only where nothing better is there

    @property
    def total_ms(self) -> float:
        return self.rtt_ms + (self.load_ms + self.inference_ms + self.queue_ms + self.cost_ms)


@dataclass(frozen=True, slots=True)
class Placement:
    region: RegionId
    edges: Sequence[EdgeLoad]  # best first
    why: Mapping[RegionId, Score]
    stayed: bool = False  # kept where it was although another is a little nearer


class Table:
    """Regions compiled for many decisions. Immutable but for `placed`, which counts arrivals until the next reports."""

    def __init__(
        self,
        regions: Iterable[RegionLoad],
        settings: Settings = DEFAULTS,
        policy: Policy = NO_POLICY,
        *,
        accelerator: bool = False,
        between_ms: Mapping[tuple[RegionId, RegionId], float] = NO_PINGS,
    ) -> None:
        """`accelerator`: the mode's models need one. `between_ms`: what regions measured between themselves. Clients'
        measurements are held against the places of regions that these pings confirm, never against a mere claim."""
        self.settings, self.policy = settings, policy
        self.regions = list({region.region: region for region in regions}.values())
        self.names = [region.region for region in self.regions]
        self.index = {name: i for i, name in enumerate(self.names)}
        blank = [self._blank(region, accelerator) for region in self.regions]
        self.blank = blank  # scores without their network term
        self.added = [score.total_ms for score in blank]
        self.fullness = [score.fullness for score in blank]
        self.sound = [i for i, score in enumerate(blank) if not score.excluded and not score.doubtful]
        self.open = [i for i, score in enumerate(blank) if not score.excluded]
        self._units = [_unit(region.latitude, region.longitude) if _on_earth(region) else None for region in self.regions]
        wrong, confirmed = _held_against(between_ms, tuple(self.names), tuple(self._units))
        for i in wrong:
            self._units[i] = None
        held = tuple(unit if i in confirmed else None for i, unit in enumerate(self._units))
        self._slots = [max(1, sum(edge.players_max for edge in _usable(region))) for region in self.regions]
        self.apart_ms = _apart_ms(held)  # what measurements are held against

    def _blank(self, region: RegionLoad, accelerator: bool) -> Score:
        settings = self.settings
        usable = _usable(region)
        if accelerator and any(edge.accelerator for edge in usable):
            usable = [edge for edge in usable if edge.accelerator]
        elif accelerator and usable:
            return _excluded(region, "accelerator")
        best = min(usable, key=lambda edge: (bool(edge.doubtful), edge_load_ms(edge, settings)), default=None)
        if best is None:
            return _excluded(region, _why_unusable(region))
        return Score(
            region=region.region,
            rtt_ms=0.0,
            basis="unknown",
            distance_km=None,
            load_ms=edge_load_ms(best, settings),
            fullness=sum(edge.fullness for edge in usable) / len(usable),
            inference_ms=inference_ms(best, settings),
            queue_ms=queue_ms(best, settings),
            cost_ms=self.policy.cost(region.region),
            doubtful=best.doubtful,
        )

    # -- the network term

    def rtts(self, seen: Seen) -> list[float]:
        """Expected round trips in ms, one a region in the order of `names`."""
        known = robust_rtts_ms(map(seen.rtt_ms.get, self.names), self.settings.jitter_weight)
        for i, floor in light_floors_ms(known, self.apart_ms).items():
            known[i] = max(known[i] or 0.0, floor)
        for name, floor in seen.floor_ms.items():
            if (at := self.index.get(name)) is not None and (claimed := known[at]) is not None:
                known[at] = max(claimed, floor)
        if None not in known:
            return cast(list[float], known)
        if seen.placed and not self._possible(known, seen):
            seen = replace(seen, latitude=None, longitude=None)
        shift = self._shift_ms(known, seen)
        return [rtt if rtt is not None else self._guess_ms(i, seen, shift) for i, rtt in enumerate(known)]

    def _possible(self, known: Sequence[float | None], seen: Seen) -> bool:
        """Whether the client can be where it says: nothing is faster than light from there. Where it cannot, the position is
        what is wrong (a carrier's exit, a proxy, a forged one): it is less than a measurement, and guesses nothing then."""
        x, y, z = _unit(seen.latitude or 0.0, seen.longitude or 0.0)
        for rtt, at in zip(known, self._units, strict=True):
            if rtt is not None and at is not None:
                reach = (rtt * LIGHT_KM_PER_MS + POSITION_SLACK_KM) / EARTH_RADIUS_KM
                if reach < math.pi and x * at[0] + y * at[1] + z * at[2] < math.cos(reach) - 1e-12:
                    return False
        return True

    def distance_km(self, i: int, seen: Seen) -> float | None:
        if not seen.placed or seen.latitude is None or seen.longitude is None or self._units[i] is None:
            return None
        region = self.regions[i]
        return haversine_km(seen.latitude, seen.longitude, region.latitude, region.longitude)

    def prior_ms(self, i: int, seen: Seen) -> float | None:
        """What is expected before measuring; None: nothing is known."""
        learned = seen.learned_ms.get(self.names[i])
        if learned is not None and 0.0 < learned <= 10_000.0:
            return learned
        distance = self.distance_km(i, seen)
        return expected_rtt_ms(distance) + self.settings.last_mile_ms if distance is not None else None

    def _shift_ms(self, known: Sequence[float | None], seen: Seen) -> float:
        """How far off the prior is for this client where it was measured (its last mile, mostly): a median."""
        off = sorted(rtt - prior for i, rtt in enumerate(known) if rtt is not None and (prior := self.prior_ms(i, seen)) is not None)
        return min(PRIOR_SHIFT_MS_MAX, max(0.0, off[len(off) // 2])) if off else 0.0

    def _guess_ms(self, i: int, seen: Seen, shift_ms: float) -> float:
        prior = self.prior_ms(i, seen)
        return self.settings.unknown_rtt_ms if prior is None else prior + shift_ms

    # -- the decision

    def candidates(self, seen: Seen) -> list[int]:
        """Regions that this client may be sent to: sound ones, else doubtful ones. Raises what `place` raises."""
        policy = self.policy
        found = self.sound
        if policy is not NO_POLICY or seen.residency:
            allowed = [i for i in self.open if not policy.forbids(self.names[i], seen.residency)]
            if not allowed and self.open:
                raise RefusedError(Reason.FORBIDDEN, "no region that this account may be placed in takes players")
            if policy.pin is not None and self.index.get(policy.pin) in allowed:
                allowed = [self.index[policy.pin]]
            found = [i for i in allowed if not self.blank[i].doubtful] or allowed
        found = found or self.open
        if not found:
            if any(score.excluded == "full" for score in self.blank):
                raise RefusedError(Reason.SERVER_FULL, "every region is full", retry_after_ms=5_000)
            raise UnavailableError("no region is online", retry_after_ms=2_000)
        return found

    def decide(self, seen: Seen, draw: Callable[[], float], rtts: Sequence[float] | None = None) -> tuple[int, bool]:
        """The region's index, and whether the client stays there by hysteresis. The hot path of `place`."""
        found = self.candidates(seen)
        return self._choose(found, self.rtts(seen) if rtts is None else rtts, seen, draw)

    def _choose(self, found: Sequence[int], rtts: Sequence[float], seen: Seen, draw: Callable[[], float]) -> tuple[int, bool]:
        settings, added, names = self.settings, self.added, self.names
        totals = [rtts[i] + added[i] for i in found]
        best = min(totals)
        limit = best + settings.near_ms
        near = [i for i, total in zip(found, totals, strict=True) if total <= limit]
        chosen = near[0]
        if len(near) > 1:
            near.sort(key=lambda i: (rtts[i] + added[i], names[i]))
            chosen, other = near[0], near[1]
            if len(near) > 2:
                chosen, other = sorted(_two(near, draw), key=lambda i: (rtts[i] + added[i], names[i]))
            if self.fullness[other] < self.fullness[chosen] - settings.near_fullness:
                chosen = other
        if seen.current is not None and names[chosen] != seen.current:
            here = self.index.get(seen.current)
            stay_ms = settings.stay_ms * (1 + min(MOVES_MAX, max(0, seen.moves)))
            if here is not None and here in found and rtts[here] + added[here] <= rtts[chosen] + added[chosen] + stay_ms:
                return here, True
        return chosen, False

    def place(self, seen: Seen, draw: Callable[[], float]) -> Placement:
        """Choose a region and order its processes. `draw` gives uniform numbers in [0, 1).

        Raises RefusedError(SERVER_FULL) where every region that is not draining is full, RefusedError(FORBIDDEN) where policy
        allows none of those that take players, and UnavailableError where none is there.
        """
        rtts = self.rtts(seen)
        chosen, stayed = self.decide(seen, draw, rtts)
        return self._placement(chosen, stayed, rtts, seen, draw)

    def place_party(self, members: Sequence[Seen], draw: Callable[[], float]) -> Placement:
        """One region for all: the smallest worst round trip. Raises what `place` raises; ValueError without members.
        Scores are those of the member that decides in each region."""
        if not members:
            raise ValueError("a party has at least one member")
        each = [self.rtts(seen) for seen in members]
        found = sorted(set.intersection(*(set(self.candidates(seen)) for seen in members)))
        if not found:
            raise RefusedError(Reason.FORBIDDEN, "no region takes every member of this party")
        worst = [max(column) for column in zip(*each, strict=True)]
        chosen, stayed = self._choose(found, worst, members[0], draw)
        return self._placement(chosen, stayed, worst, members[0], draw)

    def _placement(self, chosen: int, stayed: bool, rtts: Sequence[float], seen: Seen, draw: Callable[[], float]) -> Placement:
        why = {name: self.score(i, seen, rtts[i]) for i, name in enumerate(self.names)}
        return Placement(self.names[chosen], order_edges(self.regions[chosen], draw, self.settings), why, stayed)

    def score(self, i: int, seen: Seen, rtt_ms: float) -> Score:
        """One region as this client would feel it."""
        blank, name = self.blank[i], self.names[i]
        basis: Basis = "unknown"
        if robust_rtt_ms(seen.rtt_ms.get(name, ()), self.settings.jitter_weight) is not None:
            basis = "measured"
        elif name in seen.learned_ms:
            basis = "learned"
        elif self.distance_km(i, seen) is not None:
            basis = "distance"
        forbidden = "" if blank.excluded else self.policy.forbids(name, seen.residency)
        return Score(
            region=name,
            rtt_ms=rtt_ms,
            basis=basis,
            distance_km=self.distance_km(i, seen),
            load_ms=blank.load_ms,
            fullness=self.fullness[i],
            inference_ms=blank.inference_ms,
            queue_ms=blank.queue_ms,
            cost_ms=blank.cost_ms,
            excluded=blank.excluded or forbidden,
            doubtful=blank.doubtful,
        )

    def placed(self, region: RegionId) -> None:
        """A player was sent there: until the next reports it counts as room taken."""
        i = self.index[region]
        self.fullness[i] = min(1.0, self.fullness[i] + 1.0 / self._slots[i])


def place(
    regions: Iterable[RegionLoad],
    seen: Seen,
    draw: Callable[[], float],
    settings: Settings = DEFAULTS,
    policy: Policy = NO_POLICY,
) -> Placement:
    """One decision on a table of its own: see `Table.place`."""
    return Table(regions, settings, policy).place(seen, draw)


def score_region(region: RegionLoad, seen: Seen, settings: Settings = DEFAULTS) -> Score:
    """One region alone."""
    table = Table([region], settings)
    return table.score(0, seen, table.rtts(seen)[0])


def order_edges(region: RegionLoad, draw: Callable[[], float], settings: Settings = DEFAULTS) -> list[EdgeLoad]:
    """The region's usable processes, best first: sound before doubtful, then by load, then by room. Of the leaders that differ
    by less than `near_ms` two are drawn and the emptier comes first."""
    edges = sorted(_usable(region), key=lambda e: (bool(e.doubtful), edge_load_ms(e, settings), e.fullness, e.edge))
    if len(edges) > 1:
        limit = edge_load_ms(edges[0], settings) + settings.near_ms
        near = [e for e in edges if bool(e.doubtful) == bool(edges[0].doubtful) and edge_load_ms(e, settings) <= limit]
        first = min(_two(near, draw), key=lambda e: (e.fullness, e.players + e.arriving))
        edges = [first, *(e for e in edges if e is not first)]
    return edges[: settings.edges_max]


def _excluded(region: RegionLoad, why: str) -> Score:
    return Score(region.region, 0.0, "unknown", None, LOAD_MS_MAX, 1.0, excluded=why)


def _unit(latitude: float, longitude: float) -> Unit:
    """The point on the unit sphere of a position in degrees."""
    phi, lam = math.radians(latitude), math.radians(longitude)
    return math.cos(phi) * math.cos(lam), math.cos(phi) * math.sin(lam), math.sin(phi)


@lru_cache(maxsize=4)
def _apart_ms(units: tuple[Unit | None, ...]) -> list[list[float]]:
    """Light's round trip between regions, 0 for those nowhere on earth. Kept: regions move seldom, tables are many."""
    per_radian = EARTH_RADIUS_KM / LIGHT_KM_PER_MS
    found = [[0.0] * len(units) for _ in units]
    for i, a in enumerate(units):
        for k, b in enumerate(units):
            if a is not None and b is not None:
                found[i][k] = math.acos(min(1.0, max(-1.0, a[0] * b[0] + a[1] * b[1] + a[2] * b[2]))) * per_radian
    return found


_Held = tuple[frozenset[int], frozenset[int]]
_held: list[tuple[Mapping[tuple[RegionId, RegionId], float], tuple[RegionId, ...], tuple[Unit | None, ...], _Held]] = []


def _held_against(
    between_ms: Mapping[tuple[RegionId, RegionId], float], names: tuple[RegionId, ...], units: tuple[Unit | None, ...]
) -> _Held:
    """Regions that are not where they say, and those whose place some ping confirms. The last answer is kept: pings change seldom,
    tables are made ten times a second, and with 256 regions this takes longer than the rest of a table."""
    if not between_ms:
        return frozenset(), frozenset()
    for pings_before, names_before, units_before, found in _held:
        if pings_before is between_ms and names_before == names and units_before == units:
            return found
    pings = [[between_ms.get((a, b)) for b in names] for a in names]
    wrong = frozenset(misplaced(pings, _apart_ms(units)))
    confirmed = frozenset(i for i, row in enumerate(pings) for k, ping in enumerate(row) if ping or pings[k][i])
    _held[:] = [(between_ms, names, units, (wrong, confirmed))]
    return wrong, confirmed


def _on_earth(*regions: RegionLoad) -> bool:
    return all(math.isfinite(region.latitude) and math.isfinite(region.longitude) for region in regions)


def _usable(region: RegionLoad) -> list[EdgeLoad]:
    return [] if region.draining else [edge for edge in region.edges if not edge.draining and not edge.full]


def _why_unusable(region: RegionLoad) -> str:
    if not region.edges:
        return "offline"
    return "full" if not region.draining and any(not edge.draining for edge in region.edges) else "draining"


def _two(items: Sequence[T], draw: Callable[[], float]) -> Sequence[T]:
    """Two different ones at random (all, where there are no more than two)."""
    if len(items) <= 2:
        return items
    first = min(len(items) - 1, int(draw() * len(items)))
    second = min(len(items) - 2, int(draw() * (len(items) - 1)))
    return items[first], items[second + (second >= first)]
