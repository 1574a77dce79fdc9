"""What players measured, by place: the prior of those who come after them.

Problem. Distance is a poor guess of a round trip (59% of measured cities within 5 ms of their best region by it). Neighbours
    who measured know better; a few of them may lie, and nobody's own measurements should be kept.
Method. The earth in cells of CELL_DEGREES; for each cell and region one running median, moved by each measurement up or down by at
    most STEP of itself (frugal streaming, Ma, Muthukrishnan and Sandler 2013), so that a liar moves it by a step as an honest
    player does. It is believed after LEAST measurements. A route that changed moves it within about ten measurements, since
    steps on the same side grow.
Guarantee. Bounded: CELLS_MAX cells, the one that nobody asked about longest is forgotten. No player, no address, no single
    measurement can be read from it.
Cost. A dictionary look-up and a comparison a region.
"""

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gameedge.core.ids import RegionId

CELL_DEGREES: Final = 2.0
CELLS_MAX: Final = 4_096
LEAST: Final = 5
STEP: Final = 0.02
STEP_MAX: Final = 0.2
RTT_MS_MAX: Final = 2_000.0

Cell = tuple[int, int]


@dataclass(slots=True)
class _Median:
    ms: float
    count: int = 1
    run: int = 0  # measurements in a row on the same side: positive above, negative below

    def learn(self, rtt_ms: float) -> None:
        self.count += 1
        side = (rtt_ms > self.ms) - (rtt_ms < self.ms)
        self.run = self.run + side if side * self.run >= 0 else side
        step = self.ms * min(STEP_MAX, STEP * max(1, abs(self.run)))
        self.ms += side * min(step, abs(rtt_ms - self.ms))


def cell_of(latitude: float | None, longitude: float | None) -> Cell | None:
    """None for what is no place."""
    if latitude is None or longitude is None or not (math.isfinite(latitude) and math.isfinite(longitude)):
        return None
    return math.floor(latitude / CELL_DEGREES), math.floor(longitude / CELL_DEGREES)


class NetworkMap:
    """Not thread-safe; one loop owns it."""

    def __init__(self) -> None:
        self._cells: OrderedDict[Cell, dict[RegionId, _Median]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._cells)

    def learn(self, cell: Cell, rtt_ms: Mapping[RegionId, float]) -> None:
        """One player's estimates; those that are no round trips are left out."""
        known = self._cells.setdefault(cell, {})
        self._cells.move_to_end(cell)
        for region, rtt in rtt_ms.items():
            if not 0.0 < rtt <= RTT_MS_MAX:
                continue
            median = known.get(region)
            if median is None:
                known[region] = _Median(rtt)
            else:
                median.learn(rtt)
        while len(self._cells) > CELLS_MAX:
            self._cells.popitem(last=False)

    def prior(self, cell: Cell) -> dict[RegionId, float]:
        """What a newcomer in this cell may expect."""
        known = self._cells.get(cell)
        if known is None:
            return {}
        self._cells.move_to_end(cell)
        return {region: median.ms for region, median in known.items() if median.count >= LEAST}

    def forget(self, regions: set[RegionId]) -> None:
        """Keep only these regions: others are gone for good."""
        for known in self._cells.values():
            for region in [region for region in known if region not in regions]:
                del known[region]
