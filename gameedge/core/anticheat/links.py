"""Links that are bad only where it matters: who could be hiding behind the rule that nothing is decided on unsafe network evidence.

Problem. Seconds on an unsteady, far or gappy link are not judged (`accumulate.safe`). A cheater who holds packets back whenever an enemy
is in sight is never judged. Nobody may be accused for a bad link either: most bad links are bad luck.

Method. Two figures a player:
  - how much of the combat was judged and how much was not, in ticks, the older the less (half of it after `HALF_S` of combat);
  - a bet that the network does not know when an enemy is in sight. Each second of a match is combat (an enemy in sight for most of it
    and of the second before), idle (none in either) or neither, and its link was bad or good, by the same measure for both: jitter, round
    trip and the share of ticks with input. Seconds without any input are neither: nobody aims in them. A combat second and the idle
    second next to it make a pair, each second in one pair at most. Where one of the two was bad, an honest link is as likely to have been
    bad in either; the bet pays 1.8 where that was the combat and 0.2 where it was the idle time, over all pairs that it may have begun
    at (as `accumulate` does).
A player is `hiding` while the bet stands at `HIDING` or more and at least `SHARE` of at least `COMBAT_S` of combat was not judged.

Guarantee. By Ville's inequality a player whose link is bad regardless of what is in sight ever gets there with probability at most 1 in
1,000, however bad the link is. One whose machine itself falters in fights, or whose line is filled by the fight, is not told from one who
hides. So this says nothing about cheating: it is no flag, raises no review and recommends nothing. It keeps a player in the trust pool
(matched with others in it), which ends by itself once its combat can be judged: the share is of the last minutes.

Cost. Some adding per tick, and every tenth of them a look at a sixth of the rows.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gameedge.core.anticheat import accumulate
from gameedge.core.anticheat.features import Floats
from gameedge.core.game import Gaze, Int32s

LOOK_TICKS: Final = 60
PARTS: Final = 6  # of the rows, which are looked at in turn
COMBAT_TICKS: Final = 45  # of a second with an enemy in sight, to call it combat
INPUT_TICKS: Final = 3  # that a command holds
PAIR_LOOKS: Final = 30  # seconds between the two of a pair, at most
HALF_S: Final = 600.0
SHARE: Final = 0.5
COMBAT_S: Final = 60.0
HIDING: Final = math.log(1_000.0)
_KEPT: Final = 0.5 ** (1.0 / (HALF_S * 60.0))  # a tick
_PAYS: Final = (1.8, 0.2)  # bad in combat alone, bad in idle time alone
_NEITHER, IDLE, COMBAT = -1, 0, 1


@dataclass(slots=True)
class Link:
    """Of one player. judged, unjudged: ticks of combat, fading; all_judged, all_unjudged: ever."""

    judged: float = 0.0
    unjudged: float = 0.0
    all_judged: int = 0
    all_unjudged: int = 0
    wealth: float = 0.0
    pairs: int = 0  # that told anything
    kind: int = _NEITHER  # of the second that waits for its other half
    bad: bool = False
    at: int = 0

    def fought(self, ticks: int, judged: bool) -> None:
        """So many ticks of combat were looked at, or could not be."""
        kept = _KEPT**ticks
        self.judged, self.unjudged = self.judged * kept, self.unjudged * kept
        if judged:
            self.judged += ticks
            self.all_judged += ticks
        else:
            self.unjudged += ticks
            self.all_unjudged += ticks

    def second(self, kind: int, bad: bool, at: int) -> None:
        """A second of combat or of idle time, the `at`-th of the process."""
        if self.kind in (_NEITHER, kind) or at - self.at > PAIR_LOOKS:
            self.kind, self.bad, self.at = kind, bad, at
            return
        combat, idle = (bad, self.bad) if kind == COMBAT else (self.bad, bad)
        self.kind = _NEITHER
        if combat != idle:
            self.wealth = min(_PAYS[not combat] * (self.wealth + accumulate.prior(self.pairs)), accumulate.WEALTH_MAX)
            self.pairs += 1

    @property
    def log(self) -> float:
        return math.log(self.wealth) if self.wealth > 0.0 else -math.inf

    @property
    def share(self) -> float:
        """Of the combat of the last minutes, what was not judged. NaN: there was none."""
        total = self.judged + self.unjudged
        return self.unjudged / total if total > 0.0 else math.nan

    @property
    def hiding(self) -> bool:
        return self.log >= HIDING and self.judged + self.unjudged >= 60.0 * COMBAT_S and self.share >= SHARE


class Seconds:
    """What each row's last second was. Call `step` each tick, `commands` for what came in it."""

    def __init__(self, capacity: int) -> None:
        self._came = np.zeros(capacity, np.int32)
        self._sight = np.zeros(capacity, np.int32)
        self._fresh = np.zeros(capacity, np.int32)
        self._before = np.full(capacity, 1, np.int32)  # in sight in the second before
        self._tick = 0

    @property
    def now(self) -> int:
        """Seconds since the start."""
        return self._tick // LOOK_TICKS

    def enter(self, entity: int) -> None:
        self._came[entity] = self._sight[entity] = self._fresh[entity] = 0
        self._before[entity] = 1  # a first second is neither

    def commands(self, entities: Int32s) -> None:
        """Rows that commands came for, int32 [N], a command each; -1: nobody's."""
        self._came += np.bincount(entities[entities >= 0], minlength=len(self._came))

    def step(self, gaze: Gaze, rtt_ms: Floats, jitter_ms: Floats) -> list[tuple[int, int, bool, int]]:
        """A tick is over; of the rows whose second ends with it (a sixth of them each tenth tick): row, COMBAT or IDLE, whether the link
        was bad, ticks in sight without input. -1 for a second that is neither, told only where there are such ticks."""
        n = len(gaze.target)
        self._sight[:n] += gaze.target >= 0
        self._fresh[:n] += gaze.fresh
        self._tick += 1
        turn, rest = divmod(self._tick, LOOK_TICKS // PARTS)
        if rest:
            return []
        part = slice(turn % PARTS, None, PARTS)
        sight, before, came = self._sight[part], self._before[part], self._came[part]
        with np.errstate(invalid="ignore"):  # NaN: not known, and that is not bad
            bad: Any = (jitter_ms[part] > accumulate.UNSTEADY_MS) | (rtt_ms[part] > accumulate.SAFE_RTT_MS)
        bad |= came * INPUT_TICKS < accumulate.SAFE_INPUT * LOOK_TICKS
        # The second before counts for both: figures of the link lag by a second or two, and must lag alike.
        combat, idle = np.minimum(sight, before) >= COMBAT_TICKS, np.maximum(sight, before) == 0
        kind = np.where(came == 0, _NEITHER, np.where(combat, COMBAT, np.where(idle, IDLE, _NEITHER)))
        missed = np.where(sight > 0, sight - self._fresh[part], 0)
        at = np.flatnonzero((kind != _NEITHER) | (missed > 0))
        rows = part.start + PARTS * at
        found = list(zip(rows.tolist(), kind[at].tolist(), bad[at].tolist(), missed[at].tolist(), strict=True))
        before[:] = sight
        came[:] = sight[:] = self._fresh[part] = 0
        return found
