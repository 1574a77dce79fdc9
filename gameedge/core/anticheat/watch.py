"""The watch: shots and refusals add up to a career, and a career that no honest player has becomes a flag for people.

Problem. One shot proves nothing, one refused command neither; somebody must keep the account, for every player, for ever, and be
able to show it.

Method. Three rules, each a test that may be looked at after every event:
  - `aim` (and `trigger`, its name where the finger is what stands out): every tick with an enemy in sight (`stream`) and the shots in
    between (`aim`), in blocks of a second, bet against innocence (`accumulate`). A game that offers no ticks is watched by shots alone.
  - `repeat`: movements of the cursor that were one of the player's own before again, as recordings are and hands are not (`repeats`).
  - `speed`: seconds in which the gate found a fast clock, refused one or refused commands above the rate, as a leaky sum.
The ladder: `observe` (nothing is said aloud; `levels` tells who), `review` and `ban` raise a flag each, once; a flag recommends,
people decide. Shots of a moment in which the player's own commands were held up by the network are not looked at; how much of a
player's combat that is, and whether its link is bad only then, is counted too (`links`). `pool` says who should meet whom: players at
`observe` or above, and those who could be hiding behind their link, are matched with each other.

Guarantee. For aim as in `accumulate`: an innocent career ever raises `review` with probability at most 1/100 and `ban` 1/10,000; `repeat`
raises `review` with at most 1/100 more and never `ban`, as far as what `strokes` says of people holds. The clip of a flag of aim or of
repeat holds what the decision was made of, bit for bit: `clips.rerun` computes it again.

Cost. One call of the streaming model and one of the strokes' kernel a tick, one of the shots' model a tick with shots, dictionaries of at
most `CAREERS_MAX` players.
"""

import math
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gameedge.core import limits
from gameedge.core.anticheat import accumulate, aim, clips, links, repeats, stream
from gameedge.core.anticheat.accumulate import Wealth
from gameedge.core.anticheat.clips import Block, Seen
from gameedge.core.anticheat.features import Floats
from gameedge.core.anticheat.gate import CADENCE, CLOCK_FAST
from gameedge.core.game import Bytes, Gaze, Int32s, Shots
from gameedge.core.ids import PlayerId

AIM: Final = "aim"
TRIGGER: Final = "trigger"
SPEED: Final = "speed"
REPEAT: Final = "repeat"
RULES: Final = (AIM, TRIGGER, SPEED, REPEAT)

TICK_HZ: Final = 60
BLOCK_MS: Final = 700.0
SPEED_AGAIN_MS: Final = 3_600_000.0
SPEED_BINS: Final = 4.0  # seconds with refusals, net of the leak, for `review`
SPEED_BINS_BAN: Final = 20.0
SPEED_LEAK_S: Final = 0.1  # bins forgotten a second
SPEED_REFUSALS_MIN: Final = 12
SPEED_FOUND_MIN: Final = 4
CAREERS_MAX: Final = 16_384
OPEN_MAX: Final = 32  # shots of a block of ticks; drop oldest
REASONS_MAX: Final = 3
FLAGS_MAX: Final = 256  # waiting to be collected; drop oldest


@dataclass(frozen=True, slots=True)
class Flag:
    """What people should look at. `clip` is msgpack, at most limits.EVIDENCE_BYTES_MAX."""

    player: PlayerId
    entity: int  # -1: the player has left meanwhile
    rule: str
    level: str  # review, or ban: recommended
    score: float  # natural logarithm of the wealth (aim, trigger, repeat); seconds with refusals (speed)
    reasons: tuple[str, ...]
    clip: bytes
    model: str


@dataclass(slots=True)
class _Career:
    player: PlayerId
    entity: int = -1
    wealth: Wealth = field(default_factory=Wealth)
    told: int = 0  # level of the last aim flag
    shots: int = 0
    last_tick: int = -1_000_000  # of the last shot
    open: list[Seen] = field(default_factory=list)  # the block that is not over
    blocks: deque[Block] = field(default_factory=deque)
    finger: NDArray[np.float64] = field(default_factory=lambda: np.array(stream.FINGER))
    kept: int = 0  # shots in `blocks`
    before: Wealth = field(default_factory=Wealth)  # the wealth that `blocks` began with
    bins: float = 0.0
    bin_at_s: float = -1.0
    refused: dict[int, int] = field(default_factory=dict)
    found: int = 0  # times that the clock was found to run fast
    speed_told: int = 0
    speed_ms: float = -math.inf
    link: links.Link = field(default_factory=links.Link)


class Watch:
    """Careers of the players of one process; entities are those of the game. Times are ticks of 1/60 s and monotonic ms."""

    def __init__(self, capacity: int, model: aim.AimModel | None = None, radius: float = 0.5) -> None:
        """capacity: entities. model: None watches refusals alone. radius: of targets, world units."""
        self._of: list[_Career | None] = [None] * capacity
        self._careers: OrderedDict[PlayerId, _Career] = OrderedDict()
        self._model, self._radius = model, radius
        self._waiting: deque[Flag] = deque(maxlen=FLAGS_MAX)
        self._tick_ms = 1000.0 / TICK_HZ
        self._stream = stream.Stream(capacity, model.unit, radius) if model is not None else None
        self._repeats = repeats.Players(capacity, radius)
        self._gazing = False  # the game offers ticks
        self._seconds = links.Seconds(capacity)
        self.judged_ticks, self.unjudged_ticks = 0, 0  # of combat, all players
        self.rtt_ms: Floats = np.full(capacity, np.nan, np.float32)  # of each entity's player, for whoever knows to write
        self.jitter_ms: Floats = np.full(capacity, np.nan, np.float32)  # see Gate.jitter_ms

    def enter(self, entity: int, player: PlayerId) -> None:
        """This player's inputs move this entity from now on. A player who was here before goes on with the same career."""
        self.leave(entity)
        career = self._careers.pop(player, None) or _Career(player)
        if 0 <= career.entity < len(self._of) and self._of[career.entity] is career:
            self._of[career.entity] = None
        career.entity = entity
        career.last_tick = -1_000_000
        self._careers[player] = career
        self._of[entity] = career
        self.rtt_ms[entity] = self.jitter_ms[entity] = np.nan
        self._seconds.enter(entity)
        self._repeats.enter(entity, player)
        if self._stream is not None:
            self._stream.restart(entity)
            self._stream.fingers[entity] = career.finger
        if len(self._careers) > CAREERS_MAX:
            self._forget_one()

    def leave(self, entity: int) -> None:
        """Nobody that is watched moves this entity. Leaving twice is harmless."""
        career = self._of[entity]
        if career is not None:
            self._close(career)
            if self._stream is not None:
                career.finger = self._stream.fingers[entity].copy()
            self._repeats.leave(entity)
            career.entity = -1
            self._of[entity] = None

    def gaze(self, gaze: Gaze) -> None:
        """Take a tick of everybody's aim. Call it before `shots` of the same tick."""
        if self._stream is None:
            return
        self._gazing = True
        for entity in self._stream.step(gaze, self.rtt_ms, self.jitter_ms).tolist():
            career = self._of[entity]
            if career is not None:
                self._close(career)
            self._stream.restart(entity)
        for entity, kind, bad, missed in self._seconds.step(gaze, self.rtt_ms, self.jitter_ms):
            career = self._of[entity]
            if career is None:
                continue
            if missed:
                self._fought(career, missed, judged=False)
            if kind >= 0:
                career.link.second(kind, bad, self._seconds.now)
        for entity in self._repeats.step(gaze, self.rtt_ms, self.jitter_ms):
            career = self._of[entity]
            if career is not None:
                self._repeated(career)

    def commands(self, entities: Int32s) -> None:
        """Commands came for these rows, int32 [N], a command each; -1: nobody's."""
        self._seconds.commands(entities)

    def _fought(self, career: _Career, ticks: int, *, judged: bool) -> None:
        career.link.fought(ticks, judged)
        if judged:
            self.judged_ticks += ticks
        else:
            self.unjudged_ticks += ticks

    def shots(self, shots: Shots, tick: int) -> None:
        """Take the shots of a tick. `tick` is the process's."""
        n = shots.count
        model = self._model
        if n == 0 or model is None:
            return
        shooters = shots.shooter[:n].tolist()
        rows: list[int] = []
        since: list[float] = []
        for i in range(n):
            career = self._of[shooters[i]] if 0 <= shooters[i] < len(self._of) else None
            if career is not None:
                if shots.target[i] >= 0:
                    rows.append(i)
                    since.append((tick - career.last_tick) * self._tick_ms)
                career.last_tick = tick
        if not rows:
            return
        at = np.array(rows)
        seen = clips.Columns(
            path=shots.aim_path[at],
            line=shots.line_path[at],
            since_ms=np.array(since, np.float32),
            visible_ms=shots.visible_ms[at],
            on_target_ms=shots.on_target_ms[at],
            distance=shots.distance[at],
            hit=shots.hit[at],
        )
        scores = clips.judge(model, seen, self._radius)
        for k, i in enumerate(rows):
            career = self._of[shooters[i]]
            if career is not None and scores.usable[k]:
                self._shot(career, clips.seen(seen, k, tick, int(shots.target[i]), scores), tick)

    def refusals(self, entities: Int32s, reasons: Bytes, now_ms: float) -> None:
        """Take what the gate and the game refused. entities: int32 [N], -1: nobody's; reasons: uint8 [N]."""
        for entity, reason in zip(entities.tolist(), reasons.tolist(), strict=True):
            career = self._of[entity] if 0 <= entity < len(self._of) else None
            if career is None:
                continue
            career.refused[reason] = career.refused.get(reason, 0) + 1
            if reason in (CLOCK_FAST, CADENCE):
                self._fast(career, now_ms)

    def fast(self, entities: Int32s, now_ms: float) -> None:
        """The gate found these players' clocks to run fast. entities: int32 [N], -1: nobody's."""
        for entity in entities.tolist():
            career = self._of[entity] if 0 <= entity < len(self._of) else None
            if career is not None:
                career.found += 1
                self._fast(career, now_ms)

    def flags(self) -> list[Flag]:
        """Flags since the last call, oldest first."""
        found = list(self._waiting)
        self._waiting.clear()
        return found

    def level(self, player: PlayerId) -> str:
        """Where the player stands on the ladder by aim, the highest ever: one of accumulate.LEVELS."""
        career = self._careers.get(player)
        return accumulate.LEVELS[career.wealth.peak] if career is not None else ""

    def pool(self, player: PlayerId) -> str:
        """Why a player is matched in the trust pool: `observe` (aim, now), `link` (it could be hiding behind one), empty: it is not."""
        career = self._careers.get(player)
        if career is None:
            return ""
        if career.wealth.level >= 1 or self._repeats.log(player) >= accumulate.OBSERVE:
            return "observe"
        return "link" if career.link.hiding else ""

    def link(self, player: PlayerId) -> links.Link | None:
        """How much of a player's combat was judged, and how its link is in combat and out of it. None: it was not seen here."""
        career = self._careers.get(player)
        return career.link if career is not None else None

    def evidence(self, player: PlayerId) -> dict[str, float]:
        """What is known of a player now: the log wealth of aim and of repeats, seconds of speed, shots, blocks. Empty: nothing."""
        career = self._careers.get(player)
        if career is None:
            return {}
        shots, blocks = float(career.shots), float(career.wealth.blocks)
        return {AIM: career.wealth.log, REPEAT: self._repeats.log(player), SPEED: career.bins, "shots": shots, "blocks": blocks}

    def _forget_one(self) -> None:
        """Make room: the career that was entered longest ago and is not playing now."""
        for player, career in self._careers.items():
            if career.entity < 0:
                del self._careers[player]
                return

    def _shot(self, career: _Career, seen: Seen, tick: int) -> None:
        career.shots += 1
        if self._gazing:
            if len(career.open) >= OPEN_MAX:
                career.open.pop(0)
        elif career.open and (tick - career.open[0].tick) * self._tick_ms >= BLOCK_MS:
            self._close(career)
        career.open.append(seen)

    def _ticks(self, entity: int) -> clips.Ticks | None:
        """The ticks of the block under way, None: too few to say anything."""
        s, model = self._stream, self._model
        count = int(s.counts[entity]) if s is not None and entity >= 0 else 0
        if s is None or model is None or count < stream.STREAM_TICKS_MIN:
            return None
        link, total = (float(s.rtt[entity]), float(s.jitter[entity])), s.total[entity]
        return clips.Ticks(s.kept[entity, :count].copy(), *link, model.unit.shares(total, count), model.unit.surprise(total, count))

    def _close(self, career: _Career) -> None:
        """A block is over: bet, and look."""
        shots, career.open = career.open, []
        entity, ticks = career.entity, self._ticks(career.entity)
        if self._model is None or (ticks is None and (self._gazing or not shots)):
            return  # a few ticks at the end of a match are not judged, nor are the shots in them
        if ticks is not None:
            judged = accumulate.safe(ticks.rows, ticks.rtt_ms, ticks.jitter_ms)
            self._fought(career, len(ticks.rows), judged=judged)
            if not judged:
                return  # nothing is decided on what the network garbled
            which = accumulate.cohort(ticks.rtt_ms, ticks.jitter_ms)
        else:
            which = accumulate.cohort(float(self.rtt_ms[entity]), float(self.jitter_ms[entity])) if entity >= 0 else accumulate.UNSTEADY
        block = clips.block(self._model, shots, which, career.wealth, ticks)
        career.blocks.append(block)
        career.kept += len(shots)
        while (career.kept > clips.SHOTS_MAX or len(career.blocks) > clips.BLOCKS_MAX) and len(career.blocks) > 1:
            gone = career.blocks.popleft()
            career.kept -= len(gone.shots)
            career.before.bet(gone.p, gone.cohort)
        level = career.wealth.level
        if level > max(career.told, 1):
            career.told = level
            self._accuse(career, accumulate.LEVELS[level])

    def _accuse(self, career: _Career, level: str) -> None:
        assert self._model is not None
        rule, reasons = clips.why(self._model, career.blocks, REASONS_MAX, self._radius)
        clip = clips.encode(career.before, career.blocks, career.refused, self._model.id, self._radius, _combat(career))
        log = career.wealth.log
        self._waiting.append(Flag(career.player, career.entity, rule, level, log, tuple(reasons), clip, self._model.id))

    def _repeated(self, career: _Career) -> None:
        """The account of repeats is at review."""
        found = self._repeats.evidence(career.entity)
        clip = clips.encode(Wealth(), [], career.refused, "", self._radius, _combat(career), found)
        score, reasons = found.found[-1].log, tuple(repeats.words(found)[:REASONS_MAX])
        self._waiting.append(Flag(career.player, career.entity, REPEAT, accumulate.LEVELS[2], score, reasons, clip, ""))

    def _fast(self, career: _Career, now_ms: float) -> None:
        """The clock or the count ran ahead: count seconds in which that happened, less what leaked since."""
        second = math.floor(now_ms / 1000.0)
        if second != career.bin_at_s:
            leaked = SPEED_LEAK_S * (second - career.bin_at_s) if career.bin_at_s >= 0 else 0.0
            career.bins = max(0.0, career.bins - leaked) + 1.0
            career.bin_at_s = second
        count = career.refused.get(CLOCK_FAST, 0) + career.refused.get(CADENCE, 0)
        if career.bins < SPEED_BINS or (count < SPEED_REFUSALS_MIN and career.found < SPEED_FOUND_MIN):
            return
        level = 3 if career.bins >= SPEED_BINS_BAN else 2
        if level <= career.speed_told and now_ms - career.speed_ms < SPEED_AGAIN_MS:
            return
        career.speed_told, career.speed_ms = level, now_ms
        words = []
        if career.found:
            words.append(f"the client's clock was found to run fast {career.found} times")
        if CLOCK_FAST in career.refused:
            words.append(f"the client's clock ran ahead of the server's: {career.refused[CLOCK_FAST]} commands refused")
        if CADENCE in career.refused:
            words.append(f"more than {limits.COMMANDS_PER_S} commands a second: {career.refused[CADENCE]} refused")
        words.append(f"in {career.bins:.0f} separate seconds of the last minute or so")
        clip = clips.encode(career.before, career.blocks, career.refused, "", self._radius, _combat(career))
        flag = Flag(career.player, career.entity, SPEED, accumulate.LEVELS[level], career.bins, tuple(words[:REASONS_MAX]), clip, "")
        self._waiting.append(flag)


def _combat(career: _Career) -> tuple[float, float]:
    """Seconds of combat that were judged and that were not."""
    return career.link.all_judged / TICK_HZ, career.link.all_unjudged / TICK_HZ
