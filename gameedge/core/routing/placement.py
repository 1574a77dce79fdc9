"""Which region will feel fastest to this player, and which of its processes.

Problem. A player should play where input reaches the simulation soonest. That is the network's round trip plus what a busy
    process adds; what a client reports may be noisy, missing, absurd or forged, and what regions report is a second old.
Method. Every region gets `total = rtt + load`, both in milliseconds. `rtt` is a robust estimate of the client's own samples,
    or, where there are none, what distance suggests (`distance.py`), or a constant. `load` is what the least loaded process
    of the region adds. The smallest total wins, with two corrections: a player stays where it is unless moving gains more than
    `stay_ms`, and among totals that differ by less than `near_ms` two are drawn and the one with more room is taken, so that
    reports a second old do not send everybody to the same place (power of two choices, Mitzenmacher 2001).
Guarantee. A draining, full or vanished process is never chosen, a doubtful one (silent for a moment, or without its store)
    only where nothing better is there. The total grows with every sample and with every load figure; no input makes it NaN.
Cost. Linear in regions and processes; about a microsecond each.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

from gameedge.core.errors import Reason, RefusedError, UnavailableError
from gameedge.core.ids import EdgeId, RegionId
from gameedge.core.routing.distance import expected_rtt_ms, haversine_km

RTT_SAMPLE_MS_MAX: Final = 10_000.0  # a slower sample is a timeout: ignored
LOAD_MS_MAX: Final = 1_000.0

T = TypeVar("T")
Basis = Literal["measured", "distance", "unknown"]


@dataclass(frozen=True, slots=True)
class Settings:
    """All in milliseconds, shares in 0..1."""

    jitter_weight: float = 0.25  # how much of the upper quartile's excess over the median counts
    unknown_rtt_ms: float = 200.0  # nothing was measured and no position is known
    last_mile_ms: float = 10.0  # added to what distance suggests: so a measured region beats a guessed one at equal distance
    lateness_free_ms: float = 2.0  # a tick this late at p99 is healthy
    busy_free: float = 0.6  # share of a tick
    busy_ms: float = 60.0  # at a share of 1
    full_free: float = 0.7  # share of player slots taken
    full_ms: float = 60.0  # with all slots taken
    near_ms: float = 5.0
    stay_ms: float = 15.0
    edges_max: int = 4  # URLs that a client gets


DEFAULTS: Final = Settings()


@dataclass(frozen=True, slots=True)
class EdgeLoad:
    """What is known of one process. `doubtful` says why it may not be there or not work (empty: it is fine)."""

    edge: EdgeId
    url: str
    players: int = 0
    arriving: int = 0  # sent there lately: they count as load, but cannot make it full, or anybody could by asking often
    players_max: int = 0  # 0: not reported yet
    free_matches: int = 0
    lateness_ms_p99: float = 0.0
    busy: float = 0.0
    draining: bool = False
    doubtful: str = ""

    @property
    def full(self) -> bool:
        return self.players_max > 0 and (self.players >= self.players_max or self.free_matches <= 0)

    @property
    def fullness(self) -> float:
        return min(1.0, max(0.0, (self.players + self.arriving) / self.players_max)) if self.players_max > 0 else 0.0


@dataclass(frozen=True, slots=True)
class RegionLoad:
    region: RegionId
    latitude: float
    longitude: float
    edges: Sequence[EdgeLoad] = ()
    draining: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What the client says. Samples that are no plausible round trip are ignored, unknown regions too."""

    rtt_ms: Mapping[RegionId, Sequence[float]] = field(default_factory=dict)
    latitude: float | None = None
    longitude: float | None = None
    current: RegionId | None = None  # where it plays now


@dataclass(frozen=True, slots=True)
class Score:
    """Why a region was or was not chosen."""

    region: RegionId
    rtt_ms: float
    basis: Basis
    distance_km: float | None
    load_ms: float
    fullness: float
    excluded: str = ""  # draining, full, offline; empty: it could be chosen
    doubtful: str = ""  # only where nothing better is there

    @property
    def total_ms(self) -> float:
        return self.rtt_ms + self.load_ms


@dataclass(frozen=True, slots=True)
class Placement:
    region: RegionId
    edges: Sequence[EdgeLoad]  # best first
    why: Mapping[RegionId, Score]
    stayed: bool = False  # kept where it was although another is a little nearer


def robust_rtt_ms(samples: Iterable[float], settings: Settings = DEFAULTS) -> float | None:
    """Median plus a share of the upper quartile's excess, or None where no sample is plausible.

    One stall of the client (a garbage collection, a waking radio) must not send it to another continent, so samples are capped
    at three times the smallest plus 20 ms first. Never decreasing in any sample.
    """
    good = sorted(s for s in samples if math.isfinite(s) and 0.0 < s <= RTT_SAMPLE_MS_MAX)
    if not good:
        return None
    cap = 3.0 * good[0] + 20.0
    capped = [min(s, cap) for s in good]
    median = _quantile(capped, 0.5)
    return median + settings.jitter_weight * (_quantile(capped, 0.75) - median)


def _quantile(ordered: Sequence[float], share: float) -> float:
    position = share * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def edge_load_ms(edge: EdgeLoad, settings: Settings = DEFAULTS) -> float:
    """Milliseconds that this process adds for a new player, 0 to LOAD_MS_MAX: late ticks as they are, a busy tick and taken
    slots by a square, since waiting grows steeply only near saturation."""
    late = max(0.0, _finite(edge.lateness_ms_p99) - settings.lateness_free_ms)
    busy = settings.busy_ms * _over(_finite(edge.busy), settings.busy_free) ** 2
    full = settings.full_ms * _over(edge.fullness, settings.full_free) ** 2
    return min(LOAD_MS_MAX, late + busy + full)


def _finite(value: float) -> float:
    return value if math.isfinite(value) else LOAD_MS_MAX


def _over(value: float, free: float) -> float:
    """0 up to `free`, 1 at 1."""
    return min(1.0, max(0.0, (value - free) / (1.0 - free)))


def score_region(region: RegionLoad, seen: Seen, settings: Settings = DEFAULTS) -> Score:
    """One region as this client would feel it."""
    distance = _distance_km(region, seen)
    rtt = robust_rtt_ms(seen.rtt_ms.get(region.region, ()), settings)
    basis: Basis = "measured"
    if rtt is None and distance is not None:
        rtt, basis = expected_rtt_ms(distance) + settings.last_mile_ms, "distance"
    elif rtt is None:
        rtt, basis = settings.unknown_rtt_ms, "unknown"
    usable = _usable(region)
    best = min(usable, key=lambda edge: (bool(edge.doubtful), edge_load_ms(edge, settings)), default=None)
    return Score(
        region=region.region,
        rtt_ms=rtt,
        basis=basis,
        distance_km=distance,
        load_ms=edge_load_ms(best, settings) if best is not None else LOAD_MS_MAX,
        fullness=sum(edge.fullness for edge in usable) / len(usable) if usable else 1.0,
        excluded="" if best is not None else _why_unusable(region),
        doubtful=best.doubtful if best is not None else "",
    )


def _distance_km(region: RegionLoad, seen: Seen) -> float | None:
    if seen.latitude is None or seen.longitude is None:
        return None
    if not (math.isfinite(seen.latitude) and math.isfinite(seen.longitude)):
        return None
    return haversine_km(seen.latitude, seen.longitude, region.latitude, region.longitude)


def _usable(region: RegionLoad) -> list[EdgeLoad]:
    return [] if region.draining else [edge for edge in region.edges if not edge.draining and not edge.full]


def _why_unusable(region: RegionLoad) -> str:
    if not region.edges:
        return "offline"
    return "full" if not region.draining and any(not edge.draining for edge in region.edges) else "draining"


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


def _two(items: Sequence[T], draw: Callable[[], float]) -> Sequence[T]:
    """Two different ones at random (all, where there are no more than two)."""
    if len(items) <= 2:
        return items
    first = min(len(items) - 1, int(draw() * len(items)))
    second = min(len(items) - 2, int(draw() * (len(items) - 1)))
    return items[first], items[second + (second >= first)]


def place(regions: Iterable[RegionLoad], seen: Seen, draw: Callable[[], float], settings: Settings = DEFAULTS) -> Placement:
    """Choose a region and order its processes. `draw` gives uniform numbers in [0, 1).

    Raises RefusedError(SERVER_FULL) where every region that is not draining is full, and UnavailableError where none is there.
    """
    table = {region.region: region for region in regions}
    why = {name: score_region(region, seen, settings) for name, region in table.items()}
    open_to = [score for score in why.values() if not score.excluded]
    if not open_to:
        if any(score.excluded == "full" for score in why.values()):
            raise RefusedError(Reason.SERVER_FULL, "every region is full", retry_after_ms=5_000)
        raise UnavailableError("no region is online", retry_after_ms=2_000)
    candidates = [score for score in open_to if not score.doubtful] or open_to
    best = min(candidates, key=lambda score: (score.total_ms, score.region))
    near = sorted(
        (score for score in candidates if score.total_ms <= best.total_ms + settings.near_ms),
        key=lambda score: (score.total_ms, score.region),
    )
    chosen = min(_two(near, draw), key=lambda score: (score.fullness, score.total_ms, score.region))
    stayed = False
    if seen.current is not None and chosen.region != seen.current:
        here = next((score for score in candidates if score.region == seen.current), None)
        if here is not None and here.total_ms <= chosen.total_ms + settings.stay_ms:
            chosen, stayed = here, True
    return Placement(chosen.region, order_edges(table[chosen.region], draw, settings), why, stayed)
