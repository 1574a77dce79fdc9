"""Which regions are worth a second look: three pings tell continents apart, not neighbours.

The first round pings every region a few times. Regions whose smallest sample is close to the best one are measured again, a
few of them, so that jitter of the last mile does not decide between neighbours. The rest would only cost the player time.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

R = TypeVar("R", bound=str)
FIRST_SAMPLES: Final = 3
AGAIN_SAMPLES: Final = 6
AGAIN_MAX: Final = 4  # regions
WITHIN_MS: Final = 15.0  # of the best; and within this share of it:
WITHIN_SHARE: Final = 0.3


def contenders(samples: Mapping[R, Sequence[float]]) -> list[R]:
    """Regions to measure again, best first; none where one is clearly the nearest."""
    fastest = sorted((min(measured), region) for region, measured in samples.items() if measured)
    if len(fastest) < 2:
        return []
    limit = near_ms(fastest[0][0])
    near = [region for rtt, region in fastest[:AGAIN_MAX] if rtt <= limit]
    return near if len(near) > 1 else []


def near_ms(best_ms: float) -> float:
    """Up to this round trip a region is not told from one at `best_ms` by a few samples."""
    return best_ms + max(WITHIN_MS, WITHIN_SHARE * best_ms)
