"""What processes and regions say of themselves, and what that adds to the felt latency of one more player."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gameedge.core.ids import EdgeId, RegionId

LOAD_MS_MAX: Final = 1_000.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Times in milliseconds, shares in 0..1."""

    jitter_weight: float = 0.25  # how much of the median's excess over the smallest sample counts
    unknown_rtt_ms: float = 200.0  # nothing was measured and no position is known
    last_mile_ms: float = 10.0  # added to what distance suggests: so a measured region beats a guessed one at equal distance
    lateness_free_ms: float = 2.0  # a tick this late at p99 is healthy
    busy_free: float = 0.6  # share of a tick, of the GPU and of memory
    busy_ms: float = 60.0  # at a share of 1
    full_free: float = 0.7  # share of player slots taken
    full_ms: float = 60.0  # with all slots taken
    spill_from: float = 0.9  # from here on neighbours take over, however far they are
    spill_ms: float = 400.0  # with all slots taken
    inference_free_ms: float = 1.0  # what a batch may cost within a tick
    inference_ms_max: float = 50.0
    queue_weight: float = 0.005  # a second in the queue is worth 5 ms of every action after it
    queue_ms_max: float = 20.0
    near_ms: float = 2.0
    near_fullness: float = 0.05  # regions whose fullness differs by less are equally full
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
    memory: float = 0.0  # share of the machine's
    gpu: float = 0.0  # utilisation
    inference_ms: float = 0.0  # p99 of a batch
    queue_wait_ms: float = 0.0  # median of those matched lately
    accelerator: bool = False
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


def edge_load_ms(edge: EdgeLoad, settings: Settings = DEFAULTS) -> float:
    """Milliseconds that this process adds for a new player, 0 to LOAD_MS_MAX: late ticks as they are; a busy tick, GPU or
    memory and taken slots by a square, since waiting grows steeply only near saturation; and beyond `spill_from` a slope that
    lets the next region, however far, take the rest before this one refuses anybody."""
    late = max(0.0, _finite(edge.lateness_ms_p99) - settings.lateness_free_ms)
    worst = max(_finite(edge.busy), _finite(edge.memory), _finite(edge.gpu))
    busy = settings.busy_ms * _over(worst, settings.busy_free) ** 2
    fullness = edge.fullness
    full = settings.full_ms * _over(fullness, settings.full_free) ** 2 + settings.spill_ms * _over(fullness, settings.spill_from)
    return min(LOAD_MS_MAX, late + busy + full)


def inference_ms(edge: EdgeLoad, settings: Settings = DEFAULTS) -> float:
    """What the mode's models add there beyond what fits a tick."""
    return min(settings.inference_ms_max, max(0.0, _finite(edge.inference_ms) - settings.inference_free_ms))


def queue_ms(edge: EdgeLoad, settings: Settings = DEFAULTS) -> float:
    """Waiting for a match once, as felt latency of every action."""
    return min(settings.queue_ms_max, max(0.0, _finite(edge.queue_wait_ms)) * settings.queue_weight)


def _finite(value: float) -> float:
    return value if math.isfinite(value) else LOAD_MS_MAX


def _over(value: float, free: float) -> float:
    """0 up to `free`, 1 at 1."""
    return min(1.0, max(0.0, (value - free) / (1.0 - free)))
