"""Is it still there? A detector for heartbeats that learns how regular they are.

Problem. A fixed timeout is too slow on a good network and cries wolf on a bad one.
Method. Phi-accrual (Hayashibara, Défago, Yared, Katayama 2004): intervals between heartbeats are taken as normally distributed,
    with mean and deviation over about the last forty; phi is minus the decimal logarithm of the probability that the next one
    is merely late by as much as it is. Suspected at PHI: one false alarm in 10^8 intervals if the assumption held. Deviations
    below DEVIATION_MS_MIN are not believed (a scheduler alone makes that much), and whatever was learned, silence of less than
    SILENCE_MS_MIN is no news and of more than SILENCE_MS_MAX always is.
Guarantee. Times are the hearer's own monotonic clock: clocks that differ do not matter. At heartbeats of 100 ms on a calm machine
    silence is noticed after about 215 ms.
Cost. Constant memory; below a microsecond a heartbeat and a look.
"""

import math
from typing import Final

BEAT_MS: Final = 100.0
PHI: Final = 8.0
DEVIATION_MS_MIN: Final = 20.0
SILENCE_MS_MIN: Final = 180.0
SILENCE_MS_MAX: Final = 2_000.0
WEIGHT: Final = 0.05  # of a new interval
INTERVAL_MS_MAX: Final = 1_000.0  # longer ones are outages, not rhythm


class Heart:
    """The heartbeats of one process."""

    __slots__ = ("deviation_ms", "heard_ms", "mean_ms")

    def __init__(self, now_ms: float) -> None:
        self.heard_ms = now_ms
        self.mean_ms = BEAT_MS
        self.deviation_ms = DEVIATION_MS_MIN

    def beat(self, now_ms: float) -> None:
        """One was heard. A clock that jumps back counts as no time."""
        interval = now_ms - self.heard_ms
        self.heard_ms = now_ms
        if 0.0 <= interval <= INTERVAL_MS_MAX:
            off = interval - self.mean_ms
            self.mean_ms += WEIGHT * off
            self.deviation_ms = math.sqrt((1 - WEIGHT) * (self.deviation_ms**2 + WEIGHT * off * off))

    def phi(self, now_ms: float) -> float:
        """How implausible the present silence is, 0 to 300."""
        silent = max(0.0, now_ms - self.heard_ms)
        late = (silent - self.mean_ms) / max(self.deviation_ms, DEVIATION_MS_MIN)
        return -math.log10(max(1e-300, 0.5 * math.erfc(late / math.sqrt(2.0))))

    def suspected(self, now_ms: float) -> bool:
        silent = now_ms - self.heard_ms
        return silent >= SILENCE_MS_MAX or (silent >= SILENCE_MS_MIN and self.phi(now_ms) >= PHI)
