"""Scale signals: how many processes each region should run, from what its processes report; for metrics and whoever scales.

Arrivals are what the player count grew by plus those who must have left meanwhile (`stay_s`), smoothed over about twenty seconds:
every coordinator computes the same from the same reports and keeps nothing that another would miss.
"""

from dataclasses import dataclass
from typing import Final

from gameedge.coordinator.registry import Registry
from gameedge.core.ids import RegionId
from gameedge.core.routing.scaling import DEFAULTS, Desire, ScaleSettings, Signals

SMOOTH_S: Final = 20.0


@dataclass
class _Seen:
    desire: Desire
    players: int = 0
    at_s: float = 0.0
    arrivals_per_s: float = 0.0


class Scale:
    """Look about once a second; `desired` is the newest answer."""

    def __init__(self, registry: Registry, settings: ScaleSettings = DEFAULTS) -> None:
        self._registry, self._settings = registry, settings
        self._seen: dict[RegionId, _Seen] = {}
        self.desired: dict[RegionId, int] = {}

    def look(self, now_ms: int) -> None:
        """Regions without a process that reports are left out: nothing is known of them."""
        found: dict[RegionId, int] = {}
        for name, region in self._registry.regions.items():
            reports = [e.report for e in region.edges.values() if e.report is not None and self._registry.doubt(e, now_ms) != "offline"]
            if not reports:
                continue
            players = sum(report.players for report in reports)
            slots = max((report.players_max for report in reports), default=0)
            if slots <= 0:
                continue
            seen = self._seen.setdefault(name, _Seen(Desire(self._settings, len(reports)), players=players, at_s=now_ms / 1000))
            elapsed = now_ms / 1000 - seen.at_s
            if elapsed < 0:  # the clock stepped back: what is timed begins anew
                seen.desire, seen.players, seen.at_s = Desire(self._settings, seen.desire.count), players, now_ms / 1000
            if elapsed > 0:
                rate = max(0.0, (players - seen.players) / elapsed + players / DEFAULTS.stay_s)
                seen.arrivals_per_s += min(1.0, elapsed / SMOOTH_S) * (rate - seen.arrivals_per_s)
                seen.players, seen.at_s = players, now_ms / 1000
            queued = max((sum(report.queued.values()) for report in reports), default=0)  # each reports its pool: not a sum
            found[name] = seen.desire.look(Signals(players, queued, seen.arrivals_per_s, slots), now_ms / 1000)
        self.desired = found
        self._seen = {name: seen for name, seen in self._seen.items() if name in found}
