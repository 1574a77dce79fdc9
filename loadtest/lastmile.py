"""What lies between a player and the measured part of the world: access, jitter, loss and bufferbloat, as probes see them.

Stated, not measured: the three kinds of access of `world.py`, and on top of their exponential jitter
- a path's own jitter of 2% of its round trip (at most 8 ms), exponential;
- a lost packet of either direction shows as a retransmission: `max(200 ms, 2 round trips)` later (pings run over TCP);
- bufferbloat: somebody in the house uploads. A player's first probe finds that so with the access's probability, and then
  every probe of that player waits 0 to `bloat_ms` more.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from loadtest.world import CABLE, FIBRE, MOBILE, Access

Floats = NDArray[np.float64]
PATH_JITTER: Final = 0.02
PATH_JITTER_MS_MAX: Final = 8.0
RTO_MS: Final = 200.0
ACCESSES: Final = (FIBRE, CABLE, MOBILE)
SHARES: Final = (0.4, 0.4, 0.2)


@dataclass(frozen=True, slots=True)
class Bloat:
    """How often a line is full, and what it adds at most."""

    share: float
    ms: float


BLOAT: Final = {"fibre": Bloat(0.01, 10.0), "cable": Bloat(0.05, 40.0), "mobile": Bloat(0.08, 60.0)}


def draw_access(rng: np.random.Generator) -> Access:
    """One player's access."""
    return ACCESSES[int(rng.choice(3, p=SHARES))]


def probe(rtt_ms: Floats, access: Access, samples: int, rng: np.random.Generator, bloated: bool = False) -> Floats:
    """Samples [regions, samples] in ms of pings to regions whose true round trips are `rtt_ms` [regions]; nan stays nan."""
    shape = (len(rtt_ms), samples)
    true = rtt_ms[:, None] + access.rtt_ms
    path = np.minimum(PATH_JITTER * rtt_ms, PATH_JITTER_MS_MAX)[:, None]
    found = true + rng.exponential(1.0, shape) * access.jitter_ms + rng.exponential(1.0, shape) * path
    lost = rng.random(shape) < 1.0 - (1.0 - access.loss) ** 2
    found += lost * np.maximum(RTO_MS, 2.0 * true)
    if bloated:
        found += rng.random(shape) * BLOAT[access.name].ms
    return np.asarray(found, np.float64)
