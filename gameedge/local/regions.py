"""The regions that `gameedge up` brings up, in this order: the first three are far apart. Places are public cloud locations."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class LocalRegion:
    """`lat` and `lon` in degrees: the bots' lines get their delay from them."""

    name: str
    title: str
    lat: float
    lon: float


REGIONS: Final = (
    LocalRegion("us-east", "Virginia", 38.9, -77.04),
    LocalRegion("eu-central", "Frankfurt", 50.12, 8.68),
    LocalRegion("ap-northeast", "Tokyo", 35.69, 139.69),
    LocalRegion("sa-east", "Sao Paulo", -23.55, -46.64),
    LocalRegion("ap-southeast", "Singapore", 1.29, 103.85),
    LocalRegion("us-west", "California", 37.55, -121.99),
    LocalRegion("ap-south", "Bangalore", 12.97, 77.59),
    LocalRegion("ap-oceania", "Sydney", -33.87, 151.21),
    LocalRegion("eu-west", "London", 51.51, -0.13),
    LocalRegion("af-south", "Johannesburg", -26.2, 28.04),
    LocalRegion("me-central", "Dubai", 25.07, 55.17),
    LocalRegion("us-central", "Texas", 32.78, -96.81),
)
