"""Players whose strokes come again: the account of each (`strokes`), what it was made of, and the same computed again from the evidence.

A stroke that was like one before is kept as both shapes, as they were compared, with how many were not since the last that was. Where the
account reaches review, the last `EVIDENCE` of these and the account before them are the clip. It recommends review and never a ban: a
device or a habit that repeats itself is for people to tell from a recording.
"""

import math
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from gameedge.core.anticheat import accumulate, strokes
from gameedge.core.anticheat.features import Floats
from gameedge.core.game import Gaze
from gameedge.core.ids import PlayerId

LEAST: Final = 4  # repeats before anything is said: so many are worth a person's time
EVIDENCE: Final = 48  # repeats of a clip: about 8 KB
AWAY_MAX: Final = 1_024  # players who are not playing, whose strokes are known: about 20 MB; drop the one away longest


class Repeat(msgspec.Struct, frozen=True, array_like=True):
    """A stroke that was like one before. passed: strokes judged since the last that was, which were not; first, again: int16 little-endian
    [2 * strokes.POINTS]; log: of the account after it; back: how many strokes before it the first was, 0: not kept; first_tick, tick: when
    each was over, in ticks of the same process: for people, nothing is decided by them."""

    passed: int
    first: bytes
    again: bytes
    likeness: float
    log: float
    back: int = 0
    first_tick: int = 0
    tick: int = 0


class Repeats(msgspec.Struct, frozen=True, kw_only=True):
    """Of a clip. parts: of the account before the first of `found`; before: strokes judged before it; total, alike: ever."""

    parts: list[float]
    before: int
    total: int
    alike: int
    found: list[Repeat]


@dataclass(slots=True)
class _Record:
    player: PlayerId
    entity: int = -1
    past: strokes.Past | None = None  # while away
    parts: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(strokes.STAKES)))
    before: int = 0
    found: deque[Repeat] = field(default_factory=deque)
    told: bool = False


class Players:
    """Who is playing, and who was not long ago."""

    def __init__(self, capacity: int, radius: float) -> None:
        """radius: of targets, world units."""
        self._strokes = strokes.Strokes(capacity, radius)
        self._of: list[_Record | None] = [None] * capacity
        self._away: OrderedDict[PlayerId, _Record] = OrderedDict()
        self._here: dict[PlayerId, _Record] = {}

    def enter(self, entity: int, player: PlayerId) -> None:
        """This player moves this entity from now on, and no other."""
        self.leave(entity)
        if player in self._here:
            self.leave(self._here[player].entity)
        record = self._away.pop(player, None) or _Record(player)
        self._strokes.put(entity, record.past)
        record.entity, record.past = entity, None
        self._of[entity] = self._here[player] = record

    def leave(self, entity: int) -> None:
        """Leaving twice is harmless."""
        record = self._of[entity]
        if record is None:
            return
        record.past, record.entity = self._strokes.take(entity), -1
        self._of[entity] = None
        del self._here[record.player]
        self._away[record.player] = record
        if len(self._away) > AWAY_MAX:
            self._away.popitem(last=False)

    def step(self, gaze: Gaze, rtt_ms: Floats, jitter_ms: Floats) -> list[int]:
        """Take a tick; entities whose account is at review for the first time. Nothing is looked at on links that are unsteady, unknown or
        farther than targets are put back for."""
        with np.errstate(invalid="ignore"):
            safe = (jitter_ms <= accumulate.UNSTEADY_MS) & (rtt_ms <= accumulate.SAFE_RTT_MS)
        reached = []
        for again in self._strokes.step(gaze, gaze.fresh & safe[: len(gaze.fresh)]):
            record = self._of[again.entity]
            if record is None:
                continue
            log = self._strokes.log(again.entity)
            first, second = again.first.astype("<i2").tobytes(), again.again.astype("<i2").tobytes()
            when = again.back, again.first_tick, again.tick
            record.found.append(Repeat(again.passed, first, second, again.likeness, log, *when))
            if len(record.found) > EVIDENCE:
                gone = record.found.popleft()
                record.before = _advance(record.parts, record.before, gone.passed)
            if log >= accumulate.REVIEW and not record.told and self._strokes.counts(again.entity)[1] >= LEAST:
                record.told = True
                reached.append(again.entity)
        return reached

    def log(self, player: PlayerId) -> float:
        """The natural logarithm of a player's account, -inf: nothing is known."""
        if player in self._here:
            return self._strokes.log(self._here[player].entity)
        record = self._away.get(player)
        return strokes.log_of(record.past.tally) if record is not None and record.past is not None else -math.inf

    def counts(self, player: PlayerId) -> tuple[int, int]:
        """Strokes of a player that were judged, and those that were like one before."""
        if player in self._here:
            return self._strokes.counts(self._here[player].entity)
        record = self._away.get(player)
        return (record.past.strokes, record.past.alike) if record is not None and record.past is not None else (0, 0)

    def evidence(self, entity: int) -> Repeats:
        """For a clip. Raises KeyError where nobody plays this entity."""
        record = self._of[entity]
        if record is None:
            raise KeyError(f"entity {entity} is nobody's")
        total, alike = self._strokes.counts(entity)
        return Repeats(parts=record.parts.tolist(), before=record.before, total=total, alike=alike, found=list(record.found))


def _advance(parts: NDArray[np.float64], before: int, passed: int) -> int:
    """The account after `passed` strokes that were like none and one that was; strokes judged then."""
    for k in range(passed):
        strokes.bet(parts, before + k, False)
    strokes.bet(parts, before + passed, True)
    return before + passed + 1


def words(repeats: Repeats) -> list[str]:
    """Reasons, the weightiest first."""
    rests = [rest(shape_of(part.first), shape_of(part.again)) for part in repeats.found]
    one_in, half = round(1 / strokes.RATE), 100 * float(np.median(rests))
    return [
        f"{repeats.alike} of {repeats.total} movements of the cursor were one of the last {strokes.KEPT} again; people's: 1 in {one_in}",
        f"turned, mirrored and scaled onto each other, half of these differ by less than {half:.1f} % of their size",
        f"the likest two differ by {100 * min(rests):.2f} %",
    ]


def shape_of(data: bytes) -> strokes.Shape:
    """Raises ValueError for another length."""
    shape = np.frombuffer(data, "<i2").astype(np.int16)
    if len(shape) != 2 * strokes.POINTS:
        raise ValueError(f"a shape of {len(shape)} numbers, expected {2 * strokes.POINTS}")
    return shape


def onto(first: strokes.Shape, again: strokes.Shape) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Both as complex [POINTS], of spread 1, the first turned (and mirrored) onto the second as well as can be."""
    a, b = _plane(first), _plane(again)
    z = np.conj(a) if _mirrored(a, b) else a
    return z * np.vdot(z, b) / max(abs(np.vdot(z, b)), 1e-9), b


def turn(first: strokes.Shape, again: strokes.Shape) -> tuple[float, bool]:
    """By how many degrees `onto` turned the first, against the clock, and whether it mirrored it (at the x axis) before."""
    a, b = _plane(first), _plane(again)
    mirrored = _mirrored(a, b)
    return float(np.degrees(np.angle(np.vdot(np.conj(a) if mirrored else a, b)))), mirrored


def _plane(shape: strokes.Shape) -> NDArray[np.complex128]:
    """complex [POINTS], of spread 1."""
    z = shape[: strokes.POINTS] + 1j * shape[strokes.POINTS :].astype(float)
    return z / max(float(np.sqrt((np.abs(z) ** 2).mean())), 1e-9)


def _mirrored(a: NDArray[np.complex128], b: NDArray[np.complex128]) -> bool:
    return bool(abs(np.vdot(np.conj(a), b)) > abs(np.vdot(a, b)))


def rest(first: strokes.Shape, again: strokes.Shape) -> float:
    """The distance that is left, as a part of their size."""
    a, b = onto(first, again)
    return float(np.sqrt((np.abs(a - b) ** 2).mean()))


def rerun(repeats: Repeats) -> tuple[float, str]:
    """The account again from the evidence: its logarithm, and what is not the same (empty: nothing). Raises ValueError where it is no
    evidence."""
    if len(repeats.parts) != len(strokes.STAKES) or not 0 <= repeats.before < 1 << 40:
        raise ValueError("parts of the account are missing")
    parts, before, log = np.array(repeats.parts, float), repeats.before, -math.inf
    for number, part in enumerate(repeats.found):
        if not 0 <= part.passed < 1 << 24:
            raise ValueError(f"repeat {number}: {part.passed} strokes before it")
        found = strokes.likeness(shape_of(part.first), shape_of(part.again))
        before = _advance(parts, before, part.passed)
        log = strokes.log_of(parts)
        fresh: Sequence[tuple[str, Any, Any]] = (("likeness", found, part.likeness), ("log", log, part.log))
        for name, value, said in fresh:
            if value != said:
                return log, f"repeat {number}: {name} is {value!r}, the clip says {said!r}"
        if not found < strokes.ALIKE:
            return log, f"repeat {number}: {found!r} is not alike"
    return log, ""
