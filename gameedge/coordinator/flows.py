"""Where players come from and where they are sent: counts by city and region over the last minutes, never a person.

A position is turned into its nearest city as it is heard, and forgotten. Flows of fewer than FEW players are not shown.
"""

from collections import Counter, deque
from typing import Final

from gameedge.coordinator.places import PLACES, Place, nearest
from gameedge.core.ids import RegionId

SLICE_MS: Final = 60_000
SLICES: Final = 15
FEW: Final = 3
SHOWN_MAX: Final = 400  # the largest


class Flows:
    """A ring of one-minute counters. At most cities times regions entries each."""

    def __init__(self) -> None:
        self._slices: deque[Counter[tuple[int, RegionId]]] = deque([Counter()], maxlen=SLICES)
        self._began_ms: int | None = None

    def note(self, latitude: float | None, longitude: float | None, region: RegionId, now_ms: int) -> None:
        """A player was placed; without a position it is not counted."""
        if latitude is None or longitude is None:
            return
        self._turn(now_ms)
        self._slices[-1][nearest(latitude, longitude), region] += 1

    def _turn(self, now_ms: int) -> None:
        if self._began_ms is None or now_ms < self._began_ms:  # the first one, or the clock stepped back
            self._began_ms = now_ms
        passed = min(SLICES, (now_ms - self._began_ms) // SLICE_MS)
        if passed > 0:
            self._began_ms += (now_ms - self._began_ms) // SLICE_MS * SLICE_MS
            self._slices.extend(Counter() for _ in range(passed))

    def largest(self, now_ms: int) -> list[tuple[Place, RegionId, int]]:
        """City, region and how many were placed in the last SLICES minutes; the largest first."""
        self._turn(now_ms)
        total: Counter[tuple[int, RegionId]] = Counter()
        for counts in self._slices:
            total.update(counts)
        return [(PLACES[place], region, count) for (place, region), count in total.most_common(SHOWN_MAX) if count >= FEW]
