"""The watch: shots and refusals add up to a career, and a career that no honest player has becomes a flag for people.

Problem. One shot proves nothing: people snap, guess and get lucky, hundreds of times an hour. Watching every shot of every player
for ever means that any fixed threshold on sums is crossed by somebody honest some day.

Method. Three rules, each a test that may be looked at after every shot without growing its false alarms:
  - `aim` and `trigger`: shots are scored 0 to 1 (`rule_scores`) and averaged over blocks of `BLOCK_MS` of fighting, because shots of
    one engagement depend on each other. With `m` the mean score that no honest player exceeds (the model's `null`), the wealth of
    a bet against honesty, E <- E (1 + b (score - m)), is a supermartingale for honest players (an e-process). Bets of four sizes
    run beside each other from equal shares and the stake never falls under a floor, so that a player who starts to cheat late is
    found as fast as one who starts early (Shiryaev-Roberts rather than CUSUM).
  - `speed`: seconds in which the gate refused a fast clock or commands above the rate, as a leaky sum.

Guarantee. By Ville's inequality an honest player's wealth exceeds 1 / ALARM with probability at most ALARM in a career, whatever
the number of looks, as long as block means stay under `m` given the past. The floor makes that a rate: at most ALARM_FLOOR a block
on average is put back, so false alarms come at most once in 1 / (ALARM * ALARM_FLOOR) blocks. What the model's `null` assumes is measured
in models/aim/results.json. A player is flagged at most once an hour for each rule.

Cost. One call of the model a tick with shots (about 40 us and 10 us a shot), dictionaries of at most `CAREERS_MAX` players.

Source: betting e-processes (Waudby-Smith and Ramdas 2023), e-detectors (Shin, Ramdas and Rinaldo 2023).
"""

import math
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from gameedge.core import limits
from gameedge.core.anticheat import aim
from gameedge.core.anticheat.gate import CADENCE, CLOCK_FAST
from gameedge.core.game import Bytes, Int32s, Shots
from gameedge.core.ids import PlayerId

AIM: Final = "aim"
TRIGGER: Final = "trigger"
SPEED: Final = "speed"
RULES: Final = (AIM, TRIGGER, SPEED)

TICK_HZ: Final = 60
BLOCK_MS: Final = 700.0
BLOCK_SHOTS_MIN: Final = 1
ALARM: Final = 1e-4
ALARM_FLOOR: Final = 1e-2
SHOTS_MIN: Final = 20  # of a career, before aim or trigger may speak
BETS: Final = (0.25, 0.5, 0.75, 0.95)  # of the most that may be staked without going broke, 1 / m
FLAG_EVERY_MS: Final = 3_600_000.0
SPEED_BINS: Final = 6.0  # seconds with refusals, net of the leak
SPEED_LEAK_S: Final = 0.1  # bins forgotten a second
SPEED_REFUSALS_MIN: Final = 12
CAREERS_MAX: Final = 16_384
CLIP_SHOTS: Final = 24
REASONS_MAX: Final = 3
FLAGS_MAX: Final = 256  # waiting to be collected; drop oldest


def rule_scores(scores: aim.Scores, on_target_ms: aim.Floats, hit: NDArray[np.bool_]) -> aim.Doubles:
    """Scores of shots for the rules aim and trigger, float64 [N, 2] in 0 to 1; 0 where a shot was not usable."""
    shares = np.nan_to_num(scores.shares, nan=0.0)
    out = np.empty((len(shares), 2))
    out[:, 0] = shares[:, aim.SNAP] + shares[:, aim.HOMING]
    out[:, 1] = shares[:, aim.TRIGGER]
    return out


@dataclass(frozen=True, slots=True)
class Flag:
    """What people should look at. `clip` is msgpack, at most limits.EVIDENCE_BYTES_MAX."""

    player: PlayerId
    entity: int  # -1: the player has left meanwhile
    rule: str
    score: float  # natural logarithm of the evidence (aim, trigger); seconds with refusals (speed)
    reasons: tuple[str, ...]
    clip: bytes
    model: str


@dataclass(slots=True)
class _Seen:
    """One shot as kept for a clip."""

    tick: int
    target: int
    hit: bool
    distance: float
    visible_ms: float
    on_target_ms: float
    path: NDArray[np.float32]
    shares: NDArray[np.float64]
    features: NDArray[np.float64]


@dataclass(slots=True)
class _Career:
    player: PlayerId
    entity: int = -1
    wealth: NDArray[np.float64] = field(default_factory=lambda: np.full((2, len(BETS)), 1.0 / len(BETS)))
    shots: int = 0
    block_from: int = -1
    block_sum: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    block_count: int = 0
    clip: deque[_Seen] = field(default_factory=lambda: deque(maxlen=CLIP_SHOTS))
    bins: float = 0.0
    bin_at_s: float = -1.0
    refused: dict[int, int] = field(default_factory=dict)
    flagged_ms: dict[str, float] = field(default_factory=dict)


class Watch:
    """Careers of the players of one process; entities are those of the game. Times are ticks of 1/60 s and monotonic ms."""

    def __init__(self, capacity: int, model: aim.AimModel | None = None, radius: float = 0.5) -> None:
        """capacity: entities. model: None watches refusals alone. radius: of targets, world units."""
        self._of: list[_Career | None] = [None] * capacity
        self._careers: OrderedDict[PlayerId, _Career] = OrderedDict()
        self._model, self._radius = model, radius
        self._waiting: deque[Flag] = deque(maxlen=FLAGS_MAX)
        self._null = model.null.astype(np.float64) if model else np.ones(2)
        self._stakes = np.array(BETS)[None, :] / self._null[:, None]
        self._tick_ms = 1000.0 / TICK_HZ

    def enter(self, entity: int, player: PlayerId) -> None:
        """This player's inputs move this entity from now on. A player who was here before goes on with the same career."""
        self.leave(entity)
        career = self._careers.pop(player, None) or _Career(player)
        if 0 <= career.entity < len(self._of) and self._of[career.entity] is career:
            self._of[career.entity] = None
        career.entity = entity
        career.block_from, career.block_count = -1, 0
        self._careers[player] = career
        self._of[entity] = career
        if len(self._careers) > CAREERS_MAX:
            self._forget_one()

    def leave(self, entity: int) -> None:
        """Nobody that is watched moves this entity. Leaving twice is harmless."""
        career = self._of[entity]
        if career is not None:
            career.entity = -1
            self._of[entity] = None

    def shots(self, shots: Shots, tick: int) -> None:
        """Take the shots of a tick. `tick` is the process's, and what hour-long periods are counted in."""
        n = shots.count
        model = self._model
        if n == 0 or model is None:
            return
        shooters = shots.shooter[:n].tolist()
        rows = [i for i in range(n) if self._of[shooters[i]] is not None and shots.target[i] >= 0]
        if not rows:
            return
        at = np.array(rows)
        path, hit, on_target = shots.aim_path[at], shots.hit[at], shots.on_target_ms[at]
        visible, distance = shots.visible_ms[at], shots.distance[at]
        scores = model.score(path, visible, on_target, distance, hit, self._radius)
        values = rule_scores(scores, on_target, hit)
        for k, i in enumerate(rows):
            career = self._of[shooters[i]]
            if career is None or not scores.usable[k]:
                continue
            seen = _Seen(
                int(shots.tick[i]), int(shots.target[i]), bool(hit[k]), float(distance[k]), float(visible[k]),
                float(on_target[k]), path[k], scores.shares[k], scores.features[k],
            )  # fmt: skip
            self._shot(career, seen, values[k], tick)

    def refusals(self, entities: Int32s, reasons: Bytes, now_ms: float) -> None:
        """Take what the gate and the game refused. entities: int32 [N], -1: nobody's; reasons: uint8 [N]."""
        for entity, reason in zip(entities.tolist(), reasons.tolist(), strict=True):
            career = self._of[entity] if 0 <= entity < len(self._of) else None
            if career is None:
                continue
            career.refused[reason] = career.refused.get(reason, 0) + 1
            if reason in (CLOCK_FAST, CADENCE):
                self._fast(career, now_ms)

    def flags(self) -> list[Flag]:
        """Flags since the last call, oldest first."""
        found = list(self._waiting)
        self._waiting.clear()
        return found

    def evidence(self, player: PlayerId) -> dict[str, float]:
        """What is known of a player now: the log evidence of aim and trigger, seconds of speed, shots. Empty: nothing."""
        career = self._careers.get(player)
        if career is None:
            return {}
        aim_log, trigger_log = np.log(career.wealth.sum(axis=1)).tolist()
        return {AIM: aim_log, TRIGGER: trigger_log, SPEED: career.bins, "shots": float(career.shots)}

    def _forget_one(self) -> None:
        """Make room: the career that was entered longest ago and is not playing now."""
        for player, career in self._careers.items():
            if career.entity < 0:
                del self._careers[player]
                return

    def _shot(self, career: _Career, seen: _Seen, values: aim.Doubles, tick: int) -> None:
        career.shots += 1
        career.clip.append(seen)
        if career.block_from >= 0 and (tick - career.block_from) * self._tick_ms >= BLOCK_MS:
            self._close(career, tick)
        if career.block_count == 0:
            career.block_from = tick
            career.block_sum[:] = 0.0
        career.block_sum += values
        career.block_count += 1

    def _close(self, career: _Career, tick: int) -> None:
        """A block is over: bet, and look."""
        mean = career.block_sum / career.block_count
        career.block_count = 0
        career.wealth *= 1.0 + self._stakes * (mean - self._null)[:, None]
        np.maximum(career.wealth, ALARM_FLOOR / len(BETS), out=career.wealth)
        np.minimum(career.wealth, 1e12, out=career.wealth)
        if career.shots < SHOTS_MIN:
            return
        for r, rule in enumerate((AIM, TRIGGER)):
            total = float(career.wealth[r].sum())
            if total >= 1.0 / ALARM and self._may(career, rule, tick * self._tick_ms):
                kinds = (aim.SNAP, aim.HOMING) if rule == AIM else (aim.TRIGGER,)
                career.wealth[r] = 1.0 / len(BETS)
                self._raise(career, rule, math.log(total), self._why(career, rule, kinds))

    def _fast(self, career: _Career, now_ms: float) -> None:
        """The clock or the count ran ahead: count seconds in which that happened, less what leaked since."""
        second = math.floor(now_ms / 1000.0)
        if second != career.bin_at_s:
            leaked = SPEED_LEAK_S * (second - career.bin_at_s) if career.bin_at_s >= 0 else 0.0
            career.bins = max(0.0, career.bins - leaked) + 1.0
            career.bin_at_s = second
        count = career.refused.get(CLOCK_FAST, 0) + career.refused.get(CADENCE, 0)
        if career.bins >= SPEED_BINS and count >= SPEED_REFUSALS_MIN and self._may(career, SPEED, now_ms):
            words = []
            if CLOCK_FAST in career.refused:
                words.append(f"the client's clock ran ahead of the server's: {career.refused[CLOCK_FAST]} commands refused")
            if CADENCE in career.refused:
                words.append(f"more than {limits.COMMANDS_PER_S} commands a second: {career.refused[CADENCE]} refused")
            words.append(f"in {career.bins:.0f} separate seconds of the last minute or so")
            self._raise(career, SPEED, career.bins, words)

    @staticmethod
    def _may(career: _Career, rule: str, now_ms: float) -> bool:
        """Whether this rule may speak again, and notes that it does."""
        last = career.flagged_ms.get(rule)
        if last is not None and now_ms - last < FLAG_EVERY_MS:
            return False
        career.flagged_ms[rule] = now_ms
        return True

    def _why(self, career: _Career, rule: str, kinds: Sequence[int]) -> list[str]:
        if self._model is None:
            return []
        worst = sorted(career.clip, key=lambda seen: -float(seen.shares[list(kinds)].sum()))[: CLIP_SHOTS // 2]
        return self._model.reasons(np.array([seen.features for seen in worst]), kinds, REASONS_MAX)

    def _raise(self, career: _Career, rule: str, score: float, reasons: Sequence[str]) -> None:
        model = self._model.id if self._model and rule != SPEED else ""
        clip = _clip(career)
        self._waiting.append(Flag(career.player, career.entity, rule, score, tuple(reasons[:REASONS_MAX]), clip, model))


def _clip(career: _Career) -> bytes:
    """The last shots with paths and scores as msgpack, the oldest left out until it fits."""
    shots: list[dict[str, Any]] = [
        {
            "tick": seen.tick,
            "target": seen.target,
            "hit": seen.hit,
            "distance": round(seen.distance, 2),
            "visible_ms": round(seen.visible_ms, 1),
            "on_target_ms": round(seen.on_target_ms, 1),
            "path": [[None if math.isnan(v) else round(v, 3) for v in point] for point in seen.path.tolist()],
            "scores": {name: round(float(share), 4) for name, share in zip(aim.CLASSES, seen.shares, strict=True)},
        }
        for seen in career.clip
    ]
    refused = {str(reason): count for reason, count in career.refused.items()}
    while True:
        data = msgspec.msgpack.encode({"version": 1, "shots": shots, "refused": refused})
        if len(data) <= limits.EVIDENCE_BYTES_MAX or not shots:
            return data
        del shots[: max(1, len(shots) // 4)]
