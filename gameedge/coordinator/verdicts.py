"""Flags that regions raised: the newest, in memory, for people to look at. Nothing here bans anybody."""

from collections import OrderedDict
from collections.abc import Callable

from gameedge.bus import topics
from gameedge.bus.base import BusMessage
from gameedge.bus.payloads import Codec, Verdict
from gameedge.core import limits
from gameedge.core.ids import RegionId, is_name
from gameedge.telemetry.metrics import Registry as Metrics

_verdict = Codec(Verdict)


class Verdicts:
    """The newest `limits.VERDICTS_MAX` flags, each once. The evidence stays in the region."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._newest: OrderedDict[str, tuple[RegionId, Verdict]] = OrderedDict()
        self.heard_count = 0
        self.heard: Callable[[RegionId, Verdict], None] = lambda region, verdict: None  # of each new one

    def hear(self, message: BusMessage) -> None:
        """Take a verdict. Never raises for what was sent; what is none is dropped and counted."""
        region = topics.parse_region(message.topic)
        verdict = _verdict.decode(message.payload)
        if region is None or not is_name(region) or verdict is None:
            self._metrics.counter("coordinator_bus_dropped_total", why="bad_verdict").add()
            return
        key = f"{region}/{verdict.flag}"
        if key not in self._newest:
            self.heard_count += 1
            self.heard(region, verdict)
            self._metrics.counter("coordinator_verdicts_total", region=region, rule=verdict.rule).add()
        self._newest[key] = (region, verdict)
        if len(self._newest) > limits.VERDICTS_MAX:
            self._newest.popitem(last=False)

    def forget(self, player: str) -> None:
        """The player is erased."""
        for key in [key for key, (_, verdict) in self._newest.items() if verdict.player == player]:
            del self._newest[key]

    def newest(self, limit: int, player: str | None = None) -> list[tuple[RegionId, Verdict]]:
        """Newest first."""
        found = (entry for entry in reversed(self._newest.values()) if player is None or entry[1].player == player)
        return [entry for entry, _ in zip(found, range(limit), strict=False)]
