"""What players measured, by city and network: the prior of those who come after them, and what their sockets say of claims.

Problem. Distance is a poor guess of a round trip (59% of measured cities within 5 ms of their best region by it). Neighbours
    who measured know better; a few of them may lie, and nobody's own measurements should be kept.
Method. A spot is a cell of CELL_DEGREES, or such a cell together with a network (/24 of IPv4, /48 of IPv6). For each spot and region
    one running median of what players claim, moved by each by at most STEP of itself (frugal streaming, Ma, Muthukrishnan and
    Sandler 2013), so that a liar moves it by a step as an honest player does. It is believed after LEAST claims. A route that
    changed moves it within about ten, since steps on the same side grow; a run of SHIFT_RUN on one side that has moved the median by
    SHIFT_MS and SHIFT_SHARE is told as a shift.
    Edges tell the median and the second smallest round trip of the sockets of at least five players of a spot. A socket cannot be
    faster than it is: for SEEN_LIFE_MS that median is the prior instead of the claims, and a claim of that network's players below
    FLOOR_SHARE of the second smallest is raised to it.
Guarantee. Bounded: CELLS_MAX cells and NETWORKS_MAX networks, those that nobody asked about longest are forgotten. No player, no
    whole address, no single measurement can be read from it. A clock that jumps only ages what sockets said.
Cost. A dictionary look-up and a comparison a region.
"""

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from gameedge.core.ids import RegionId

CELL_DEGREES: Final = 2.0
CELLS_MAX: Final = 4_096
NETWORKS_MAX: Final = 8_192
LEAST: Final = 5
STEP: Final = 0.02
STEP_MAX: Final = 0.2
RTT_MS_MAX: Final = 2_000.0
SHIFT_RUN: Final = 5
SHIFT_MS: Final = 15.0
SHIFT_SHARE: Final = 0.2
SEEN_LIFE_MS: Final = 1_800_000
FLOOR_SHARE: Final = 0.5  # of the second fastest socket of five or more: access of one network differs by less
IPV4_BITS: Final = 24
IPV6_BITS: Final = 48

Cell = tuple[int, int]


class Spot(NamedTuple):
    """Where players come from. `network` is a prefix such as `198.51.100.0/24`, empty: any."""

    cell: Cell | None = None
    network: str = ""

    def text(self) -> str:
        """`latitude,longitude|network` in numbers of cells; empty where nothing is known."""
        cell = f"{self.cell[0]},{self.cell[1]}" if self.cell is not None else ""
        return f"{cell}|{self.network}" if self.network else cell


NOWHERE: Final = Spot()


def parse_spot(text: str) -> Spot:
    """What `Spot.text` says; NOWHERE for anything else."""
    cell_text, _, network = text.partition("|")
    try:
        cell = None
        if cell_text:
            latitude, longitude = map(int, cell_text.split(","))
            if not (-90 <= latitude * CELL_DEGREES <= 90 and -180 <= longitude * CELL_DEGREES <= 180):
                return NOWHERE
            cell = latitude, longitude
        if network and str(ipaddress.ip_network(network)) != network:
            return NOWHERE
    except ValueError:
        return NOWHERE
    return Spot(cell, network)


def cell_of(latitude: float | None, longitude: float | None) -> Cell | None:
    """None for what is no place."""
    if latitude is None or longitude is None or not (math.isfinite(latitude) and math.isfinite(longitude)):
        return None
    if abs(latitude) > 90 or abs(longitude) > 180:
        return None
    return math.floor(latitude / CELL_DEGREES), math.floor(longitude / CELL_DEGREES)


def network_of(address: str) -> str:
    """The network that an address belongs to; empty for what is none on the open Internet: everybody in a house or behind a proxy
    would be one network."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if not ip.is_global:
        return ""
    return str(ipaddress.ip_network((ip, IPV4_BITS if ip.version == 4 else IPV6_BITS), strict=False))


@dataclass(frozen=True, slots=True)
class Shift:
    """A route changed: what players of a spot measure to a region is no longer what it was."""

    spot: Spot
    region: RegionId
    before_ms: float
    after_ms: float


@dataclass(slots=True)
class _Median:
    ms: float
    count: int = 1
    run: int = 0  # claims in a row on the same side: positive above, negative below
    before_ms: float = 0.0  # where the run began
    told: bool = False  # this run is known as a shift
    seen_ms: float = 0.0  # of sockets; 0: never
    low_ms: float = 0.0
    seen_at_ms: int = 0

    def learn(self, rtt_ms: float) -> bool:
        """True where this claim shows that the route has changed: once a change."""
        self.count += 1
        side = (rtt_ms > self.ms) - (rtt_ms < self.ms)
        if side * self.run <= 0:
            self.run, self.before_ms, self.told = 0, self.ms, False
        self.run += side
        step = self.ms * min(STEP_MAX, STEP * max(1, abs(self.run)))
        self.ms += side * min(step, abs(rtt_ms - self.ms))
        moved = abs(self.ms - self.before_ms)
        if self.told or self.count <= LEAST or abs(self.run) < SHIFT_RUN or moved < max(SHIFT_MS, SHIFT_SHARE * self.before_ms):
            return False
        self.told = True
        return True

    def fresh(self, now_ms: int) -> bool:
        return self.seen_ms > 0 and abs(now_ms - self.seen_at_ms) <= SEEN_LIFE_MS


_Table = OrderedDict[Spot, dict[RegionId, _Median]]


class NetworkMap:
    """Not thread-safe; one loop owns it. Times are the owner's clock in ms."""

    def __init__(self) -> None:
        self._cells: _Table = OrderedDict()
        self._networks: _Table = OrderedDict()

    def __len__(self) -> int:
        return len(self._cells) + len(self._networks)

    def learn(self, spot: Spot, rtt_ms: Mapping[RegionId, float]) -> list[Shift]:
        """One player's estimates; those that are no round trips are left out. The shifts that they make certain."""
        shifts = []
        for table, key, most in self._levels(spot):
            known = self._known(table, key, most)
            for region, rtt in rtt_ms.items():
                if not 0.0 < rtt <= RTT_MS_MAX:
                    continue
                median = known.get(region)
                if median is None:
                    known[region] = _Median(rtt, before_ms=rtt)
                elif median.learn(rtt):
                    shifts.append(Shift(key, region, median.before_ms, median.ms))
        return shifts

    def observe(self, spot: Spot, region: RegionId, median_ms: float, low_ms: float, now_ms: int) -> None:
        """What the sockets of at least five players of a spot say. What is no round trip is left out."""
        if not (0.0 < low_ms <= median_ms <= RTT_MS_MAX):
            return
        for table, key, most in self._levels(spot):
            if key != spot:
                continue  # edges tell cells and networks each by themselves
            known = self._known(table, key, most)
            median = known.setdefault(region, _Median(median_ms, 0, before_ms=median_ms))
            median.seen_ms, median.low_ms, median.seen_at_ms = median_ms, low_ms, now_ms

    def prior(self, spot: Spot, now_ms: int = 0) -> dict[RegionId, float]:
        """What a newcomer of this spot may expect: of its network there, else of all who are there."""
        found: dict[RegionId, float] = {}
        for table, key, _ in self._levels(spot):
            known = table.get(key)
            if known is None:
                continue
            table.move_to_end(key)
            for region, median in known.items():
                if median.fresh(now_ms):
                    found[region] = median.seen_ms
                elif median.count >= LEAST:
                    found[region] = median.ms
        return found

    def floors(self, spot: Spot, now_ms: int) -> dict[RegionId, float]:
        """Below these no player of this network is believed. Empty where its sockets were not seen lately."""
        known = self._networks.get(spot) if spot.network else None
        if known is None:
            return {}
        return {region: FLOOR_SHARE * median.low_ms for region, median in known.items() if median.fresh(now_ms)}

    def forget(self, regions: set[RegionId]) -> None:
        """Keep only these regions: others are gone for good."""
        for table in (self._cells, self._networks):
            for known in table.values():
                for region in [region for region in known if region not in regions]:
                    del known[region]

    def _levels(self, spot: Spot) -> list[tuple[_Table, Spot, int]]:
        """From coarse to fine."""
        levels: list[tuple[_Table, Spot, int]] = []
        if spot.cell is not None:
            levels.append((self._cells, Spot(spot.cell), CELLS_MAX))
        if spot.network:
            levels.append((self._networks, spot, NETWORKS_MAX))
        return levels

    @staticmethod
    def _known(table: _Table, key: Spot, most: int) -> dict[RegionId, _Median]:
        known = table.setdefault(key, {})
        table.move_to_end(key)
        while len(table) > most:
            table.popitem(last=False)
        return known
