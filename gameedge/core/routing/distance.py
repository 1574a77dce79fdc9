"""Great-circle distance, and the round trip that one expects over it before anything was measured."""

import math
from typing import Final

EARTH_RADIUS_KM: Final = 6371.0
# Least absolute deviation over 57,327 measured pairs of 241 cities (WonderNetwork pings of 2018): 15 ms and 58 km of distance
# a millisecond of round trip, median error 22 ms. Light in fibre would make 100 km a millisecond: cables do not run straight.
PRIOR_OFFSET_MS: Final = 15.0
PRIOR_KM_PER_MS: Final = 58.0


def haversine_km(latitude_a: float, longitude_a: float, latitude_b: float, longitude_b: float) -> float:
    """Distance in km between two points in degrees; 0 to about 20,015."""
    phi_a, phi_b = math.radians(latitude_a), math.radians(latitude_b)
    half_phi = (phi_b - phi_a) / 2
    half_lambda = math.radians(longitude_b - longitude_a) / 2
    a = math.sin(half_phi) ** 2 + math.cos(phi_a) * math.cos(phi_b) * math.sin(half_lambda) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, max(0.0, a))))


def expected_rtt_ms(distance_km: float) -> float:
    """The round trip one expects over a distance, last mile not included."""
    return PRIOR_OFFSET_MS + distance_km / PRIOR_KM_PER_MS
