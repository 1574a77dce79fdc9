"""From scores to evidence that may be looked at for ever: p-values of blocks, and wealth that no innocent is likely to reach.

Problem. One shot proves nothing: people snap, guess and get lucky, hundreds of times an hour. Any fixed threshold on sums is
crossed by somebody honest some day, and a test that is looked at after every shot is a thousand tests.

Method.
  - Blocks. Ticks and shots of one engagement depend on each other, so a second of an enemy in sight (`stream.STREAM_TICKS`) with the shots
    in it is one observation. Where a game offers no ticks, `watch.BLOCK_MS` of shooting is one.
  - p-values. `null` (of the model) holds, by round trip and number of shots, which mean score is reached with which probability
    by innocents that training did not see, made larger by how much people differ (models/anticheat/calibrate.py); p is conservative
    between its columns. p below the last column does not exist: no single block can prove more than that.
  - Wealth. A bet `k p^(k-1)` has expectation at most 1 for an innocent (a p-to-e calibrator). Several `KAPPAS` are played
    side by side, small ones for machines that are always on, large ones for those that are on a tenth of the time.
  - Changes. A player may start to cheat at any block. Wealth `M <- e (M + w_n)` mixes over all starting blocks with prior
    weights `w_n` that sum to 1, so that late cheats are found and the bound is still one for the whole career.

  - Two accounts. `review` looks at wealth as above; `ban` at an account whose p-values are `STRICT` times as large, which is right
    for people who differ from the average even more than the null allows for.

Guarantee. By Ville's inequality an innocent career, of whatever length, ever reaches wealth 1/a with probability at most a: 1/100
for `REVIEW`, 1/10,000 for `BAN`, as far as the null holds; what careers of 1,000 h do in simulation is in models/anticheat/results.json.

Source: calibrators (Vovk and Wang 2021), e-detectors (Shin, Ramdas and Rinaldo 2023), conformal p-values (Vovk et al. 2005).
"""

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gameedge.core.anticheat.aim import SHOT_COUNTS, TAILS
from gameedge.core.anticheat.features import Floats
from gameedge.core.game import GAZE_SIGHT

KAPPAS: Final = (0.1, 0.3, 0.55, 0.8)
OBSERVE: Final = math.log(10.0)  # natural logarithms of wealth
REVIEW: Final = math.log(100.0)
BAN: Final = math.log(10_000.0)
LEVELS: Final = ("", "observe", "review", "ban")
WEALTH_MAX: Final = 1e30
STRICT: Final = 2.5
FAR_MS: Final = 150.0
UNSTEADY: Final = 2
SAFE_RTT_MS: Final = 310.0
SAFE_INPUT: Final = 0.85  # share of ticks with input
UNSTEADY_MS: Final = 25.0  # the gate's mean change of delay from command to command
_PRIOR: Final = 1.0 / 2.1097428  # 1 / (the sum over n >= 0 of 1 / ((n + 2) ln(n + 2)^2))
_KAPPA: Final = np.array(KAPPAS)


def prior(n: int) -> float:
    """The weight of "it began with block n": falls so slowly that a late start is hardly harder to find, and sums to 1."""
    return _PRIOR / ((n + 2) * math.log(n + 2) ** 2)


@lru_cache(256)
def _stake(p: float) -> NDArray[np.float64]:
    """What each bet pays at this p-value, [2, len(KAPPAS)]: the ordinary account and the strict."""
    said = np.array([[p], [min(1.0, STRICT * p)]])
    paid: NDArray[np.float64] = _KAPPA * said ** (_KAPPA - 1.0)
    return paid


def cohort(rtt_ms: float, jitter_ms: float) -> int:
    """The row of `null` for a link: steady and near, steady and far, UNSTEADY (or unknown). On a link that holds commands up, honest
    cursors freeze and leap: people are compared with people on such links, and nobody is recommended for a ban there."""
    if not (0.0 <= rtt_ms < 1e4 and 0.0 <= jitter_ms <= UNSTEADY_MS):
        return UNSTEADY
    return 0 if rtt_ms <= FAR_MS else 1


def safe(rows: NDArray[np.int16], rtt_ms: float, jitter_ms: float) -> bool:
    """Whether the network let a block of ticks through well enough to decide anything by it: a steady link, no farther than targets are put
    back for, and input in nearly every tick. Else what the client showed its player is not what is compared, and honest cursors leap.

    rows: int16 [N, GAZE_SIZE]; the link as `stream.known` says it."""
    if cohort(rtt_ms, jitter_ms) == UNSTEADY or rtt_ms > SAFE_RTT_MS or len(rows) < 2:
        return False
    passed = np.diff(rows[:, GAZE_SIGHT].astype(np.int64))
    passed = passed[passed > 0]  # else another engagement began
    return len(passed) > 0 and float((passed == 1).mean()) >= SAFE_INPUT


def p_value(null: Floats, which: int, count: int, mean: float, *, streamed: bool = False) -> float:
    """How often innocents of cohort `which` reach this score in a block of `count` shots, at least TAILS[-1]. Not finite: 1.

    streamed: the block is one of ticks, in which there may be no shot at all."""
    if not math.isfinite(mean) or count < (0 if streamed else 1):
        return 1.0
    row = null[which, SHOT_COUNTS + min(count, 2) if streamed else min(count, SHOT_COUNTS) - 1]
    reached = int(np.searchsorted(row, mean, side="right"))
    return TAILS[reached - 1] if reached > 0 else 1.0


@dataclass(slots=True)
class Wealth:
    """What betting against one player's innocence has won. parts: float64 [2, len(KAPPAS)], the ordinary account and the strict."""

    parts: NDArray[np.float64] = field(default_factory=lambda: np.zeros((2, len(KAPPAS))))
    blocks: int = 0
    peak: int = 0  # the highest level ever, an index into LEVELS

    def bet(self, p: float, cohort: int = 0) -> float:
        """Take one block's p-value; the new logarithm of the ordinary wealth. UNSTEADY blocks leave the strict account as it is."""
        after = np.minimum(_stake(p) * (self.parts + prior(self.blocks)), WEALTH_MAX)
        if cohort == UNSTEADY:
            after[1] = self.parts[1]
        self.parts = after
        self.blocks += 1
        log = self.log
        if log >= OBSERVE:
            self.peak = max(self.peak, self.level)
        return log

    @property
    def log(self) -> float:
        return _log(float(self.parts[0].mean()))

    @property
    def strict_log(self) -> float:
        return _log(float(self.parts[1].mean()))

    @property
    def level(self) -> int:
        """Index into LEVELS."""
        log = self.log
        return (log >= OBSERVE) + (log >= REVIEW) + (log >= REVIEW and self.strict_log >= BAN)

    def copy(self) -> "Wealth":
        return Wealth(self.parts.copy(), self.blocks, self.peak)


def _log(value: float) -> float:
    return math.log(value) if value > 0.0 else -math.inf
