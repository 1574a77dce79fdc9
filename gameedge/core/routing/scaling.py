"""How many processes a region should run: from its load, from who is coming, and slowly down.

Problem. Starting a process takes seconds, players of an evening come for hours, and a count that follows every ripple drains
    matches for nothing.
Method. Wanted slots are players, those who queue, and arrivals expected within `horizon_s`: the recent rate times what the day
    curve says the next hour is to this one. Divided by `fill` of a process's slots that is the desired count. Up at once; down
    only when `hold_s` long even `fill_down` would have done with fewer, by one process a `cool_s`.
Guarantee. Between `least` and `most`; for a load that stays the same the count changes at most once; never NaN.
Cost. Constant.
"""

import math
from dataclasses import dataclass
from typing import Final, Protocol

from gameedge.core.ids import RegionId


@dataclass(frozen=True, slots=True)
class ScaleSettings:
    """Shares in 0..1, times in seconds."""

    least: int = 1
    most: int = 64
    fill: float = 0.7  # of a process's slots, at the forecast
    fill_down: float = 0.5  # fewer processes only where these would be no fuller than this
    horizon_s: float = 60.0  # what is started now must last until the next ones are there
    stay_s: float = 600.0  # how long a player stays, for the share of those who leave meanwhile
    hold_s: float = 300.0
    cool_s: float = 60.0


DEFAULTS: Final = ScaleSettings()
RATE_MAX: Final = 1e6  # arrivals a second; more is a mistake of whoever says so


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of a region now. `day_ratio`: arrivals of the next hour over those of this one, of earlier days."""

    players: int
    queued: int
    arrivals_per_s: float
    slots: int  # of one process
    day_ratio: float = 1.0


class Scaling(Protocol):
    """What starts and stops processes: a local one, Kubernetes, Agones. Stopping means draining."""

    async def scale(self, region: RegionId, processes: int) -> None: ...


class Desire:
    """One region's desired count. Times are the caller's monotonic clock. `count`: what runs already, so that whoever begins to look
    (a coordinator that just started) drains nothing at once."""

    def __init__(self, settings: ScaleSettings = DEFAULTS, count: int = 0) -> None:
        self._settings = settings
        self._low_since_s: float | None = None
        self._changed_s = -1e12
        self.count = _bounded(count, settings)

    def look(self, signals: Signals, now_s: float) -> int:
        """The count from now on."""
        settings = self._settings
        wanted = forecast(signals, settings)
        slots = max(1, signals.slots)
        up = _bounded(math.ceil(wanted / (slots * settings.fill)), settings)
        down = _bounded(math.ceil(wanted / (slots * settings.fill_down)), settings)
        if up > self.count:
            self.count, self._changed_s, self._low_since_s = up, now_s, None
        elif down >= self.count:
            self._low_since_s = None
        elif self._low_since_s is None:
            self._low_since_s = now_s
        elif now_s - self._low_since_s >= settings.hold_s and now_s - self._changed_s >= settings.cool_s:
            self.count, self._changed_s = self.count - 1, now_s
        return self.count


def forecast(signals: Signals, settings: ScaleSettings = DEFAULTS) -> float:
    """Slots wanted `horizon_s` from now: those who stay, those who queue, those who come."""
    ratio = signals.day_ratio if math.isfinite(signals.day_ratio) else 1.0
    rate = signals.arrivals_per_s if math.isfinite(signals.arrivals_per_s) else 0.0
    staying = max(0, signals.players) * math.exp(-settings.horizon_s / settings.stay_s)
    coming = min(RATE_MAX, max(0.0, rate)) * min(4.0, max(0.25, ratio)) * settings.horizon_s
    return max(float(max(0, signals.players)), staying + coming) + max(0, signals.queued)


def _bounded(count: int, settings: ScaleSettings) -> int:
    return min(settings.most, max(settings.least, count))
