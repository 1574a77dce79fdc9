"""Round trips of sockets by where players come from: what a region tells of its players' networks, never of one player."""

from collections.abc import Iterable

from gameedge.bus.payloads import SpotReport
from gameedge.core import limits
from gameedge.core.routing.netmap import NOWHERE, Spot, parse_spot


def spot_reports(players: Iterable[tuple[str, float]]) -> list[SpotReport]:
    """`players`: of each its token's `spot` and its socket's round trip in ms. The largest groups of at least
    limits.SPOT_PLAYERS_MIN, by cell and by cell and network; at most limits.SPOTS_REPORTED_MAX."""
    groups: dict[Spot, list[float]] = {}
    for text, rtt_ms in players:
        spot = parse_spot(text)
        if spot == NOWHERE or not 0.0 < rtt_ms <= 60_000.0:
            continue
        for key in dict.fromkeys((Spot(spot.cell), spot)):
            if key == NOWHERE:
                continue
            groups.setdefault(key, []).append(rtt_ms)
    told = sorted((key for key, found in groups.items() if len(found) >= limits.SPOT_PLAYERS_MIN), key=lambda key: -len(groups[key]))
    reports = []
    for key in told[: limits.SPOTS_REPORTED_MAX]:
        ordered = sorted(groups[key])
        median, low = ordered[len(ordered) // 2], ordered[1]
        reports.append(SpotReport(spot=key.text(), players=len(ordered), median_ms=round(median, 2), low_ms=round(low, 2)))
    return reports
