"""What a crowd of bots experienced: counters and samples, and the line that is printed of them once a second."""

import math
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

SAMPLES_MAX: Final = 50_000  # of one measure; drop oldest
ERRORS_KEPT: Final = 8  # the newest, for people


def quantiles(samples: Iterable[float]) -> dict[str, float]:
    """p50 and p99 (nearest rank), in the samples' unit, and how many there were; zeros for none."""
    ordered = sorted(samples)
    if not ordered:
        return {"p50": 0.0, "p99": 0.0, "count": 0}
    picks = (ordered[max(0, math.ceil(share * len(ordered)) - 1)] for share in (0.5, 0.99))
    p50, p99 = picks
    return {"p50": round(p50, 2), "p99": round(p99, 2), "count": len(ordered)}


def _samples() -> deque[float]:
    return deque(maxlen=SAMPLES_MAX)


@dataclass
class Stats:
    """Shared by all bots of a process. Counters only grow."""

    matches_played: int = 0  # to their result
    matches_lost: int = 0  # the process that ran them died
    resumes: int = 0
    cuts: int = 0  # that the flaky bots made
    commands_sent: int = 0
    snapshots: int = 0
    errors: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    last_errors: deque[str] = field(default_factory=lambda: deque(maxlen=ERRORS_KEPT))
    input_to_snapshot_ms: deque[float] = field(default_factory=_samples)
    placement_ms: deque[float] = field(default_factory=_samples)
    queue_wait_ms: deque[float] = field(default_factory=_samples)
    rtt_ms: deque[float] = field(default_factory=_samples)

    def error(self, what: str) -> None:
        """Something that should not have happened."""
        self.errors += 1
        self.last_errors.append(what[:300])

    def as_json(self) -> dict[str, Any]:
        return {
            "matches_played": self.matches_played,
            "matches_lost": self.matches_lost,
            "resumes": self.resumes,
            "cuts": self.cuts,
            "commands_sent": self.commands_sent,
            "snapshots": self.snapshots,
            "refusals": dict(self.refusals),
            "errors": self.errors,
            "last_errors": list(self.last_errors),
            "input_to_snapshot_ms": quantiles(self.input_to_snapshot_ms),
            "placement_ms": quantiles(self.placement_ms),
            "queue_wait_ms": quantiles(self.queue_wait_ms),
            "rtt_ms": quantiles(self.rtt_ms),
        }
