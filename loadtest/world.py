"""Where players live and how far it is: cities, cloud regions and the last mile.

A player's delay to a region is the table's city-to-region round trip (`cities.csv`; source and derivation in its header) plus a
last mile drawn for the person: fibre, cable or mobile. Last-mile figures are this project's own assumptions, typical of what
the three kinds of access add; they are stated here and nowhere measured.
"""

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from loadtest.links import LinkProfile

_HERE: Final = Path(__file__).parent
EARTH_KM: Final = 6371.0


@dataclass(frozen=True, slots=True)
class Access:
    """What a kind of access adds: round trip and jitter in ms, loss as a share of packets, bandwidth in bytes a second."""

    name: str
    rtt_ms: float
    jitter_ms: float
    loss: float
    bytes_per_s: float


FIBRE: Final = Access("fibre", 3.0, 0.4, 0.0, 12.5e6)
CABLE: Final = Access("cable", 12.0, 1.5, 0.0005, 5e6)
MOBILE: Final = Access("mobile", 38.0, 7.0, 0.003, 2e6)
# Shares of fibre, cable and mobile by the `access` column of cities.csv.
MIXES: Final = {"fibre": (0.7, 0.2, 0.1), "mixed": (0.35, 0.5, 0.15), "mobile": (0.25, 0.25, 0.5)}


@dataclass(frozen=True, slots=True)
class Region:
    name: str
    title: str
    lat: float
    lon: float


@dataclass(frozen=True, slots=True)
class City:
    name: str
    lat: float
    lon: float
    weight: float
    access: str
    rtt_ms: dict[str, tuple[float, float]]  # region -> round trip, jitter


@dataclass(frozen=True, slots=True)
class Home:
    """Where one player lives and how it is connected."""

    city: City
    access: Access

    def profile(self, region: str) -> LinkProfile:
        """The link to a region of the table. Raises KeyError for another name: see `nearest`."""
        rtt_ms, jitter_ms = self.city.rtt_ms[region]
        return LinkProfile(
            rtt_ms=rtt_ms + self.access.rtt_ms,
            jitter_ms=math.hypot(jitter_ms, self.access.jitter_ms),
            loss=self.access.loss,
            bytes_per_s=self.access.bytes_per_s,
        )


def _rows(path: Path) -> Iterable[dict[str, str]]:
    lines = [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    return csv.DictReader(lines)


@cache
def regions() -> dict[str, Region]:
    """All cloud regions by name."""
    rows = _rows(_HERE / "regions.csv")
    return {row["region"]: Region(row["region"], row["title"], float(row["lat"]), float(row["lon"])) for row in rows}


@cache
def cities() -> tuple[City, ...]:
    """All cities of the table. Raises ValueError where the table is damaged."""
    found = []
    for row in _rows(_HERE / "cities.csv"):
        pairs = {}
        for region in regions():
            rtt, jitter = row[region].split("/")
            pairs[region] = (float(rtt), float(jitter))
        found.append(City(row["city"], float(row["lat"]), float(row["lon"]), float(row["weight"]), row["access"], pairs))
    return tuple(found)


def distance_km(lat0: float, lon0: float, lat1: float, lon1: float) -> float:
    """Great circle, haversine."""
    p0, p1 = math.radians(lat0), math.radians(lat1)
    a = math.sin((p1 - p0) / 2) ** 2 + math.cos(p0) * math.cos(p1) * math.sin(math.radians(lon1 - lon0) / 2) ** 2
    return 2 * EARTH_KM * math.asin(math.sqrt(min(1.0, a)))


def nearest(lat: float, lon: float) -> Region:
    """The region of the table that is closest: what stands for a deployment's region of another name."""
    return min(regions().values(), key=lambda region: distance_km(lat, lon, region.lat, region.lon))


def stand_in(name: str, lat: float | None = None, lon: float | None = None) -> Region:
    """The table's region for a deployment's region: by name, else by place, else `us-east`."""
    known = regions().get(name)
    if known is not None:
        return known
    return nearest(lat, lon) if lat is not None and lon is not None else regions()["us-east"]


def settle(count: int, rng: np.random.Generator) -> list[Home]:
    """Homes for `count` players: cities by weight, access by the city's mix. The same generator state gives the same homes."""
    table = cities()
    weights = np.array([city.weight for city in table])
    homes = []
    for index in rng.choice(len(table), size=count, p=weights / weights.sum()):
        city = table[int(index)]
        access = (FIBRE, CABLE, MOBILE)[int(rng.choice(3, p=MIXES[city.access]))]
        homes.append(Home(city, access))
    return homes
