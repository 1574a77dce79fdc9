"""Round trips between regions, as their processes measure them: they confirm where a region says it is (`core/routing/estimate.py`)."""

from collections.abc import Mapping
from typing import Final

from gameedge.core.ids import RegionId

LIFE_MS: Final = 600_000  # each process measures every region about once a minute or two
KEEP_MS: Final = 120_000  # a slower figure replaces a faster one only after this


class Between:
    """Bounded by the regions that are known: pairs of others are left out. Times are the coordinator's clock."""

    def __init__(self) -> None:
        self._pings: dict[tuple[RegionId, RegionId], tuple[float, int]] = {}
        self._matrix: dict[tuple[RegionId, RegionId], float] = {}
        self._stale = False
        self._looked_ms = 0

    def hear(self, region: RegionId, measured: Mapping[str, float], known: Mapping[RegionId, object], now_ms: int) -> None:
        """What one process of `region` measured. The smallest of its processes' figures counts: the rest is their own queueing."""
        for name, rtt_ms in measured.items():
            other = RegionId(name)
            if other == region or other not in known:
                continue
            before = self._pings.get((region, other))
            if before is None or rtt_ms <= before[0] or not 0 <= now_ms - before[1] < KEEP_MS:
                self._pings[region, other] = (rtt_ms, now_ms)
                self._stale = self._stale or before is None or before[0] != rtt_ms

    def matrix(self, known: Mapping[RegionId, object], now_ms: int) -> Mapping[tuple[RegionId, RegionId], float]:
        """(from, to) -> ms. The same object until something changes."""
        if self._stale or not 0 <= now_ms - self._looked_ms < KEEP_MS:
            self._pings = {
                pair: (rtt_ms, at_ms)
                for pair, (rtt_ms, at_ms) in self._pings.items()
                if pair[0] in known and pair[1] in known and abs(now_ms - at_ms) < LIFE_MS
            }
            self._matrix = {pair: rtt_ms for pair, (rtt_ms, _) in self._pings.items()}
            self._stale, self._looked_ms = False, now_ms
        return self._matrix
