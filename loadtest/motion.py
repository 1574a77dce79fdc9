"""How a person aims: a cursor driven by minimum-jerk submovements, sampled at the rate of a game.

Problem. An anti-cheat that never flags the innocent needs innocents that aim like people: late, curved, short of the
    target, corrected, trembling, and sometimes simply wrong.
Method. Reaction: an ex-Gaussian delay (never under `REACTION_MS_MIN`) from a target's appearance to the first movement. Then
    one primary submovement with a minimum-jerk profile to where the target was *seen* (a visual delay ago, carried on by part
    of its seen speed); short of it on average, now and then astray, its end scattered in proportion to its length (signal-
    dependent noise, more along than across), its duration by Fitts's law. While the seen error exceeds what the person cares
    about, slower corrections follow, superposed on what is under way. Moving targets add smooth pursuit: part of the seen
    velocity, late and low-passed. On top of all: an 8-12 Hz tremor with a wandering phase, and drift. The finger has its own
    delay and lapses.
Sources. Flash and Hogan 1985 (minimum jerk); Meyer et al. 1988 (optimised submovements); Harris and Wolpert 1998 (signal-
    dependent noise); Fitts 1954. Persons are drawn around such figures and were fitted by hand to recorded mouse movements
    (SapiMouse; `python -m loadtest.motion_check FILE` compares them again).
Cost. A few microseconds a sample in plain Python; random numbers come in blocks from the numpy generator given.

Units: world units (a target is `TARGET_WIDTH` wide), milliseconds. Pure: no clock, randomness from the generator given.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from gameedge.core.motion import REACTION_MS_MIN as REACTION_MS_MIN
from gameedge.core.motion import SUBMOVEMENT_MS_MIN, fitts_ms, minimum_jerk
from gameedge.core.motion import TARGET_WIDTH as TARGET_WIDTH

SAMPLE_MS: Final = 1000.0 / 60.0
SUBMOVEMENTS_MAX: Final = 4  # at one time; a further one waits
SEEN_MAX: Final = 32  # sightings that are remembered: half a second
_BLOCK: Final = 512


class Draws:
    """Random numbers in blocks: a scalar from a numpy generator costs a microsecond, one from a list a tenth."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._normals: list[float] = []
        self._uniforms: list[float] = []

    def normal(self) -> float:
        if not self._normals:
            self._normals = self._rng.standard_normal(_BLOCK).tolist()
        return self._normals.pop()

    def uniform(self) -> float:
        if not self._uniforms:
            self._uniforms = self._rng.random(_BLOCK).tolist()
        return self._uniforms.pop()

    def exponential(self, mean: float) -> float:
        return -mean * math.log(1.0 - self.uniform())


@dataclass(frozen=True, slots=True)
class Person:
    """One person's motor figures; `draw` makes a new one. Shares are of the distance, times in ms."""

    reaction_ms: float  # mode of the reaction; an exponential tail follows
    reaction_tail_ms: float
    visual_delay_ms: float  # from light to a change of movement, while already moving
    fitts_a_ms: float
    fitts_b_ms: float  # per bit of difficulty
    slow: float  # corrections take this much longer than Fitts's law for the primary submovement says
    reach: float  # what part of the distance the primary submovement covers on average
    noise_along: float
    noise_across: float
    curve: float  # sideways bow of a movement, signed
    astray: float  # share of primary submovements that set out in a wrong direction
    correct_every_ms: float  # between the plans of two submovements
    care: float  # seen error (in target widths) above which another correction is made
    pursuit: float  # part of a target's seen speed that the hand matches
    foresight: float  # part of the visual delay that is made up for by extrapolation
    tremor: float  # world units
    tremor_hz: float
    drift: float  # world units per root second
    trigger_ms: float  # from "on target" to the finger
    lapse: float  # share of shots that are let go without being on the target
    mouse_loss: float  # share of samples that a mouse repeats

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Person":
        """A person from the population."""

        def spread(mean: float, share: float, low: float, high: float) -> float:
            return float(np.clip(mean * math.exp(share * rng.standard_normal()), low, high))

        return cls(
            reaction_ms=spread(195.0, 0.10, REACTION_MS_MIN + 10.0, 280.0),
            reaction_tail_ms=spread(35.0, 0.3, 12.0, 90.0),
            visual_delay_ms=spread(105.0, 0.10, 80.0, 150.0),
            fitts_a_ms=spread(95.0, 0.25, 50.0, 170.0),
            fitts_b_ms=spread(34.0, 0.25, 18.0, 70.0),
            slow=spread(1.9, 0.15, 1.2, 2.8),
            reach=float(np.clip(rng.normal(0.86, 0.05), 0.7, 1.0)),
            noise_along=spread(0.10, 0.25, 0.04, 0.2),
            noise_across=spread(0.06, 0.25, 0.02, 0.12),
            curve=float(rng.normal(0.0, 0.07)),
            astray=float(np.clip(rng.normal(0.10, 0.04), 0.02, 0.25)),
            correct_every_ms=spread(115.0, 0.15, 85.0, 200.0),
            care=spread(0.24, 0.2, 0.15, 0.42),
            pursuit=float(np.clip(rng.normal(0.85, 0.07), 0.6, 1.0)),
            foresight=float(np.clip(rng.normal(0.6, 0.15), 0.1, 1.0)),
            tremor=spread(0.014, 0.3, 0.005, 0.04),
            tremor_hz=float(rng.uniform(8.0, 12.0)),
            drift=spread(0.05, 0.3, 0.02, 0.12),
            trigger_ms=spread(75.0, 0.2, 45.0, 140.0),
            lapse=float(np.clip(rng.normal(0.10, 0.04), 0.02, 0.25)),
            mouse_loss=float(np.clip(rng.normal(0.02, 0.01), 0.0, 0.05)),
        )


class _Submovement:
    __slots__ = ("bow", "done", "duration_ms", "dx", "dy", "start_ms")

    def __init__(self, start_ms: float, duration_ms: float, dx: float, dy: float, bow: float) -> None:
        self.start_ms, self.duration_ms, self.dx, self.dy, self.bow = start_ms, duration_ms, dx, dy, bow
        self.done = (0.0, 0.0)

    def advance(self, now_ms: float) -> tuple[float, float, bool]:
        """The step since the last call, and whether the movement has ended."""
        share = (now_ms - self.start_ms) / self.duration_ms
        along = minimum_jerk(share)
        side = self.bow * 16.0 * (along * (1.0 - along)) ** 2 if share < 1.0 else 0.0
        x, y = self.dx * along - self.dy * side, self.dy * along + self.dx * side
        step = x - self.done[0], y - self.done[1]
        self.done = x, y
        return step[0], step[1], share >= 1.0


class Hand:
    """One person's hand on the cursor. Call `see` with what the screen shows, `sample` at 60 Hz; positions are relative to
    wherever the caller's origin is, as long as it stays the same kind of origin (the arena: the own position).
    """

    def __init__(self, person: Person, rng: np.random.Generator, x: float = 0.0, y: float = 0.0) -> None:
        self.person = person
        self.draws = Draws(rng)
        self.x, self.y = x, y  # where the hand has put the cursor, without tremor
        self._moves: list[_Submovement] = []
        self._seen: list[tuple[float, float, float, float, float]] = []  # ms, x, y, vx, vy
        self._target: object = None
        self._ready_ms = 0.0  # the reaction is over then
        self._plan_ms = 0.0  # the next submovement may be planned then
        self._primary = False
        self._pursuit = (0.0, 0.0)
        self._phase = 2.0 * math.pi * self.draws.uniform()
        self._drift = (0.0, 0.0)
        self._last = (x, y)
        self._last_ms: float | None = None

    # -- the eyes

    def see(self, target: object, now_ms: float, x: float, y: float, vx: float = 0.0, vy: float = 0.0) -> None:
        """The screen shows `target` here now. Another target than before starts a new reaction."""
        if target != self._target:
            self._target = target
            self._seen.clear()
            self._primary = True
            self._ready_ms = now_ms + self.reaction_ms()
        if len(self._seen) >= SEEN_MAX:
            del self._seen[: SEEN_MAX // 2]
        self._seen.append((now_ms, x, y, vx, vy))

    def lose(self) -> None:
        """The target is gone; movements under way end as planned."""
        self._target = None
        self._seen.clear()

    def reaction_ms(self) -> float:
        """A reaction: ex-Gaussian, never under `REACTION_MS_MIN`."""
        person = self.person
        ms = person.reaction_ms + 18.0 * self.draws.normal() + self.draws.exponential(person.reaction_tail_ms)
        return max(REACTION_MS_MIN, ms)

    def perceived(self, now_ms: float) -> tuple[float, float, float, float] | None:
        """Where the target seems to be: what was seen a visual delay ago, carried on by part of its speed."""
        person = self.person
        at_ms = now_ms - person.visual_delay_ms
        best = None
        for sighting in self._seen:
            if sighting[0] > at_ms:
                break
            best = sighting
        if best is None:
            # A reaction is longer than a visual delay: only a target that was just now found has nothing older.
            if not self._seen:
                return None
            best = self._seen[0]
        ahead_s = (now_ms - best[0]) * person.foresight / 1000.0
        return best[1] + best[3] * ahead_s, best[2] + best[4] * ahead_s, best[3], best[4]

    # -- the hand

    def sample(self, now_ms: float) -> tuple[float, float]:
        """The cursor at this time (later than the last), tremor included."""
        elapsed_s = SAMPLE_MS / 1000.0 if self._last_ms is None else max(0.0, (now_ms - self._last_ms) / 1000.0)
        self._last_ms = now_ms
        self._plan(now_ms)
        for move in self._moves:
            dx, dy, _ = move.advance(now_ms)
            self.x += dx
            self.y += dy
        self._moves = [move for move in self._moves if now_ms - move.start_ms < move.duration_ms]
        self._pursue(now_ms, elapsed_s)
        if self.draws.uniform() < self.person.mouse_loss:
            return self._last
        tremor_x, tremor_y = self._tremor(elapsed_s)
        self._last = self.x + tremor_x, self.y + tremor_y
        return self._last

    def follow(self, x: float, y: float, now_ms: float) -> tuple[float, float]:
        """No target: the cursor idles towards a point of interest, slowly."""
        self.see(("idle", round(x), round(y)), now_ms, x, y)
        return self.sample(now_ms)

    def _plan(self, now_ms: float) -> None:
        if self._target is None or now_ms < self._ready_ms or now_ms < self._plan_ms or len(self._moves) >= SUBMOVEMENTS_MAX:
            return
        seen = self.perceived(now_ms)
        if seen is None:
            return
        person, draws = self.person, self.draws
        # Movements under way will still bring the cursor somewhere: correct what will be left.
        left_x = sum(move.dx - move.done[0] for move in self._moves)
        left_y = sum(move.dy - move.done[1] for move in self._moves)
        ex, ey = seen[0] - (self.x + left_x), seen[1] - (self.y + left_y)
        distance = math.hypot(ex, ey)
        if distance <= person.care * TARGET_WIDTH * (0.7 + 0.6 * draws.uniform()):
            self._primary = False
            self._plan_ms = now_ms + 0.5 * person.correct_every_ms
            return
        duration = fitts_ms(person.fitts_a_ms, person.fitts_b_ms, distance) * math.exp(0.10 * draws.normal())
        duration = max(SUBMOVEMENT_MS_MIN, duration)
        along = (person.reach if self._primary else 0.5 + 0.5 * person.reach) + person.noise_along * draws.normal()
        across = person.noise_across * draws.normal()
        if self._primary and draws.uniform() < person.astray:
            along, across = along * (0.3 + 0.6 * draws.uniform()), 0.5 * draws.normal()
        if not self._primary:
            duration *= person.slow
        bow = person.curve + 0.07 * draws.normal()
        self._moves.append(_Submovement(now_ms, duration, ex * along - ey * across, ey * along + ex * across, bow))
        overlap = (0.8 + 0.35 * draws.uniform()) * duration
        self._plan_ms = now_ms + max(person.correct_every_ms * (0.8 + 0.4 * draws.uniform()), overlap)
        self._primary = False

    def _pursue(self, now_ms: float, elapsed_s: float) -> None:
        vx = vy = 0.0
        if self._target is not None and now_ms >= self._ready_ms:
            seen = self.perceived(now_ms)
            if seen is not None:
                vx, vy = seen[2] * self.person.pursuit, seen[3] * self.person.pursuit
        blend = min(1.0, elapsed_s / 0.06)
        px, py = self._pursuit
        px, py = px + (vx - px) * blend, py + (vy - py) * blend
        self._pursuit = px, py
        self.x += px * elapsed_s
        self.y += py * elapsed_s

    def _tremor(self, elapsed_s: float) -> tuple[float, float]:
        person, draws = self.person, self.draws
        self._phase += 2.0 * math.pi * person.tremor_hz * elapsed_s + 0.25 * draws.normal()
        keep = math.exp(-elapsed_s / 0.8)
        step = person.drift * math.sqrt(elapsed_s)
        dx, dy = self._drift
        dx, dy = dx * keep + step * draws.normal(), dy * keep + step * draws.normal()
        self._drift = dx, dy
        return person.tremor * math.sin(self._phase) + dx, person.tremor * math.cos(0.93 * self._phase) + dy


class Finger:
    """When a person presses the trigger: some time after the cursor seems on the target, now and then too early."""

    def __init__(self, person: Person, draws: Draws) -> None:
        self._person, self._draws = person, draws
        self._press_ms: float | None = None
        self._release_ms = 0.0

    def press(self, now_ms: float, error: float, tolerance: float) -> bool:
        """`error` is the seen distance from the target and `tolerance` what this person takes for a hit (world units)."""
        if now_ms < self._release_ms:
            return True  # a finger that went down stays down for a while
        if self._press_ms is None:
            good = error < tolerance
            rash = error < 4.0 * tolerance and self._draws.uniform() < self._person.lapse * 0.15
            if good or rash:
                self._press_ms = now_ms + self._person.trigger_ms * math.exp(0.25 * self._draws.normal())
            return False
        if now_ms < self._press_ms:
            return False
        self._press_ms = None
        self._release_ms = now_ms + 90.0 + self._draws.exponential(120.0)
        return True

    def relax(self) -> None:
        """There is nothing to shoot at."""
        self._press_ms = None
        self._release_ms = 0.0
