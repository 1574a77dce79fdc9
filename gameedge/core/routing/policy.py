"""What a studio wants beside the fastest region: allow, deny, pin, data residency, and what a region costs.

Pure values. A region that policy forbids is excluded with the reason `policy` or `residency` and never chosen, not even where
nothing else is there: a player is refused rather than sent where the data must not go.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gameedge.core.ids import RegionId

COST_MS_MAX: Final = 1_000.0


@dataclass(frozen=True, slots=True)
class Policy:
    """`cost_ms` is what a region's price is worth in felt latency: 10 means that a player goes there only where it is 10 ms
    faster than a free one. `residency` maps a label (an account's) to the regions its data may be in. `pin` sends everybody to
    one region as long as it takes players."""

    allow: frozenset[RegionId] = frozenset()  # empty: all
    deny: frozenset[RegionId] = frozenset()
    pin: RegionId | None = None
    cost_ms: Mapping[RegionId, float] = field(default_factory=dict)
    residency: Mapping[str, frozenset[RegionId]] = field(default_factory=dict)

    def forbids(self, region: RegionId, residency: str) -> str:
        """Why a region must not be used for a player with this residency label; empty: it may. An unknown label allows
        nothing: a typo must not move data."""
        if residency and region not in self.residency.get(residency, frozenset()):
            return "residency"
        if region in self.deny or (self.allow and region not in self.allow):
            return "policy"
        return ""

    def cost(self, region: RegionId) -> float:
        """0 to COST_MS_MAX; what is no number costs nothing."""
        cost = self.cost_ms.get(region, 0.0)
        return min(COST_MS_MAX, max(0.0, cost)) if math.isfinite(cost) else 0.0


NO_POLICY: Final = Policy()
