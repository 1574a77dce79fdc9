"""Parametric cheats: a human whose cursor or finger a machine takes over for some engagements, family by family.

`cheats.py` has the four plain cheats of the demonstration; these are what an anti-cheat must be trained on and tested against:
every figure of a machine is drawn anew for each player (`Plan.draw`), so that no constant of one program is what is learned.

Families: `snap` (on the target at once, or only for the shot), `smooth` (a fixed part of what remains, every sample), `minjerk` (one
minimum-jerk movement after another, as long as Fitts's law says), `wind` (the WindMouse random walk), `splice` (a hand's recorded
movement, turned and stretched onto the target, each anew or a few of them over and over), `trigger` (the finger alone, with delays as
drawn: down while the line of fire is on the target), `tap` (the same, but each press lasts as long as a finger's), `sticky` (a hand that
is pulled a little towards the target: what is sold as "aim assist"), `esp` (the screen shows enemies that the server sent ahead of their
coming into sight; by hand, or with a machine that goes to meet them), `macro` (presses of the trigger recorded once and played again),
`timer` (presses at a fixed period).

Sources: Flash and Hogan 1985 (minimum jerk); the WindMouse algorithm as published by its author, B. Land (2021).
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np

from gameedge.core.motion import minimum_jerk
from gameedge.core.protocol.arena_v1 import Other, View
from loadtest.bots.brain import Human, Subticks
from loadtest.motion import SAMPLE_MS, Hand, Person

AIM_FAMILIES: Final = ("snap", "smooth", "minjerk", "wind", "splice", "sticky")
FINGER_FAMILIES: Final = ("trigger", "tap", "macro", "timer")
FAMILIES: Final = (*AIM_FAMILIES, *FINGER_FAMILIES, "esp")
RADIUS: Final = 0.5
SPLICE_SAMPLES_MAX: Final = 45
TAPE_FAR: Final = 8.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One player's machine. Times in ms, lengths in world units."""

    family: str
    duty: float = 1.0  # share of engagements in which it is on
    wait_ms: float = 0.0  # after a target came into sight
    share: float = 1.0  # snap, smooth, sticky: part of the remaining way a sample
    scatter: float = 0.0  # noise on the goal, anew every sample
    offset: float = 0.0  # how far from the centre it aims, anew every engagement
    at_shot: bool = False  # snap: the cursor is on the target for the shot alone
    slow: float = 1.0  # minjerk, splice: times the time that a person takes
    recordings: int = 0  # splice: so many movements of one hand, over and over; 0: each is new
    recorded: int = 0  # seed of these
    noise: float = 0.0  # minjerk: scatter of a movement's end, share of its length
    wind: float = 0.0
    gravity: float = 1.0
    step_max: float = 1.0  # wind: u a sample
    extrapolate: bool = True  # between snapshots
    fire_within: float = 0.4  # the machine's finger fires so near to the target
    own_finger: bool = False  # the person fires
    delay_ms: float = 0.0  # trigger: mean, from touch to shot
    delay_spread: float = 0.0
    cadence: tuple[float, ...] = ()  # macro, timer: ms down, ms up, and so on, over and over

    @classmethod
    def draw(cls, family: str, rng: np.random.Generator, duty: float = 1.0) -> "Plan":
        """A machine of this family. Raises ValueError for another family."""
        if family not in FAMILIES:
            raise ValueError(f"family = {family!r}: one of {', '.join(FAMILIES)}")
        u = rng.random
        late = float(rng.uniform(0, 250)) if u() < 0.6 else 0.0
        plan = cls(
            family,
            duty=duty,
            wait_ms=late,
            scatter=float(rng.choice([0.0, 0.03, 0.08])),
            offset=float(rng.choice([0.0, 0.1, 0.25])),
            extrapolate=bool(u() < 0.5),
            fire_within=float(rng.uniform(0.25, 0.6)),
            own_finger=bool(u() < 0.4),
        )
        if family == "snap":
            at_shot = bool(u() < 0.3)
            within = float(rng.uniform(1.0, 4.0)) if at_shot else plan.fire_within
            share = 1.0 if u() < 0.6 else float(rng.uniform(0.5, 0.9))
            return replace(plan, share=share, at_shot=at_shot, fire_within=within, own_finger=bool(u() < 0.2))
        if family == "smooth":
            return replace(plan, share=float(np.exp(rng.uniform(np.log(0.07), np.log(0.45)))))
        if family == "minjerk":
            return replace(plan, slow=float(rng.uniform(0.6, 1.4)), noise=float(rng.choice([0.0, 0.03, 0.08])))
        if family == "wind":
            step = float(rng.uniform(0.5, 2.0))
            return replace(plan, wind=float(rng.uniform(0.1, 0.5)) * step, gravity=float(rng.uniform(0.2, 0.6)) * step, step_max=step)
        if family == "splice":
            return replace(plan, slow=float(rng.uniform(0.7, 1.2)))
        if family == "sticky":
            return replace(plan, share=float(rng.uniform(0.04, 0.2)), own_finger=True)
        if family == "esp":
            return replace(plan, share=0.0 if u() < 0.5 else float(rng.uniform(0.1, 0.4)), wait_ms=0.0)
        if family == "timer":
            period, down = rng.uniform(170.0, 600.0), rng.uniform(0.1, 0.6)
            return replace(plan, cadence=(float(period * down), float(period * (1.0 - down))), fire_within=float(rng.uniform(0.6, 4.0)))
        if family == "macro":
            presses = int(rng.integers(2, 6))
            parts = [(90.0 + rng.exponential(120.0), 40.0 + rng.exponential(80.0)) for _ in range(presses)]
            return replace(plan, cadence=tuple(float(ms) for part in parts for ms in part), fire_within=float(rng.uniform(0.6, 4.0)))
        return replace(plan, delay_ms=float(rng.choice([0.0, 15.0, 40.0, 80.0])), delay_spread=float(rng.choice([0.0, 0.2, 0.5])))


class Machine(Human):
    """A person with a machine. The person's own hand goes on underneath and takes over where the machine is off."""

    def __init__(self, team: int, person: Person, rng: np.random.Generator, plan: Plan) -> None:
        super().__init__(team, person, rng)
        self.plan = plan
        self.on = False  # in this engagement
        self._seat: int | None = None
        self._since_ms = 0.0
        self._off = (0.0, 0.0)
        self._view: View | None = None
        self._age_ms = 0.0  # of the snapshot
        self._move: tuple[float, float, float, float, float] | None = None  # start_ms, duration_ms, dx, dy, done
        self._splice: list[tuple[float, float]] = []
        self._speed = (0.0, 0.0)
        self._gust = (0.0, 0.0)
        self._touch_ms: float | None = None
        self._delay_ms = 0.0
        self._turn = (1.0, 0.0)
        self._flicks: list[tuple[float, float]] = []
        self._begun_ms: float | None = None  # of the cadence
        self._down_ms = 0.0  # tap: until when the trigger is down

    def step(self, view: View, now_ms: float) -> Subticks:
        """See `Brain.step`. A flick is in the samples that fire alone: the cursor jumps to the target and back again."""
        self._flicks.clear()
        subticks = super().step(view, now_ms)
        if len(self._flicks) != len(subticks):
            return subticks
        first, second, third = (
            subtick._replace(aim_x=goal[0], aim_y=goal[1]) if subtick.fire else subtick
            for subtick, goal in zip(subticks, self._flicks, strict=True)
        )
        return first, second, third

    # -- the cursor

    def aim(self, target: Other | None, view: View, x: float, y: float, at_ms: float, move: tuple[float, float]) -> tuple[float, float]:
        if target is None:
            hidden = self._hidden(view, x, y) if self.plan.family == "esp" else None
            if hidden is not None:
                return self._meet(hidden, view, x, y, at_ms, move)
            self._seat = None
            return super().aim(target, view, x, y, at_ms, move)
        if target.seat != self._seat:
            self._engage(target.seat, at_ms)
        if self.plan.family not in AIM_FAMILIES or not self.on or at_ms - self._since_ms < self.plan.wait_ms:
            return super().aim(target, view, x, y, at_ms, move)
        self._age_ms = self._age_ms + SAMPLE_MS if view is self._view else 0.0
        self._view = view
        ahead_s = self._age_ms / 1000.0 if self.plan.extrapolate else 0.0
        gx = target.x - x + self._off[0] + (target.vx - view.vx) * ahead_s + self.plan.scatter * self.draws.normal()
        gy = target.y - y + self._off[1] + (target.vy - view.vy) * ahead_s + self.plan.scatter * self.draws.normal()
        natural = super().aim(target, view, x, y, at_ms, move) if self.plan.family == "sticky" or self.plan.at_shot else None
        if self.plan.at_shot and natural is not None:
            self._flicks.append((gx, gy))
            return natural
        hand = self.hand
        if natural is None:
            hand.lose()
        dx, dy = self._step(gx - hand.x, gy - hand.y, at_ms)
        hand.x += dx
        hand.y += dy
        if natural is not None:
            return natural[0] + dx, natural[1] + dy
        return hand.x, hand.y

    def _hidden(self, view: View, x: float, y: float) -> Other | None:
        """The nearest enemy that was sent and is not in sight; called where none is in sight."""
        enemies = [other for other in view.others if other.team != self.team and other.alive]
        return min(enemies, key=lambda other: math.hypot(other.x - x, other.y - y), default=None)

    def _meet(self, hidden: Other, view: View, x: float, y: float, at_ms: float, move: tuple[float, float]) -> tuple[float, float]:
        """Go to meet an enemy that is not in sight yet."""
        if hidden.seat != self._seat:
            self._engage(hidden.seat, at_ms)
        if not self.on:
            return super().aim(None, view, x, y, at_ms, move)
        if self.plan.share == 0.0:
            return super().aim(hidden, view, x, y, at_ms, move)
        self.hand.lose()
        self.hand.x += (hidden.x - x - self.hand.x) * self.plan.share
        self.hand.y += (hidden.y - y - self.hand.y) * self.plan.share
        return self.hand.x, self.hand.y

    def _engage(self, seat: int, at_ms: float) -> None:
        self._seat, self._since_ms = seat, at_ms
        self.on = self.draws.uniform() < self.plan.duty
        turn = 2.0 * math.pi * self.draws.uniform()
        self._off = self.plan.offset * math.cos(turn), self.plan.offset * math.sin(turn)
        self._move, self._splice, self._speed, self._gust = None, [], (0.0, 0.0), (0.0, 0.0)
        self._touch_ms = self._begun_ms = None

    def _step(self, ex: float, ey: float, at_ms: float) -> tuple[float, float]:
        """How far the machine moves the cursor in this sample; (ex, ey) is what remains."""
        match self.plan.family:
            case "minjerk":
                return self._minimum_jerk(ex, ey, at_ms)
            case "wind":
                return self._wind(ex, ey)
            case "splice":
                return self._spliced(ex, ey)
            case _:
                return ex * self.plan.share, ey * self.plan.share

    def _minimum_jerk(self, ex: float, ey: float, at_ms: float) -> tuple[float, float]:
        person, far = self.person, math.hypot(ex, ey)
        if self._move is None:
            if far < 0.15:
                return 0.0, 0.0
            ms = (person.fitts_a_ms + person.fitts_b_ms * math.log2(far / (2 * RADIUS) + 1.0)) * self.plan.slow
            gain = 1.0 + self.plan.noise * self.draws.normal()
            self._move = at_ms - SAMPLE_MS, max(ms, 50.0), ex * gain, ey * gain, 0.0
        start, ms, dx, dy, done = self._move
        now = minimum_jerk((at_ms - start) / ms)
        self._move = None if at_ms - start >= ms else (start, ms, dx, dy, now)
        return dx * (now - done), dy * (now - done)

    def _wind(self, ex: float, ey: float) -> tuple[float, float]:
        plan, far, draw = self.plan, math.hypot(ex, ey), self.draws.uniform
        if far < 0.05:
            return 0.0, 0.0
        gx, gy = self._gust[0] / math.sqrt(3.0), self._gust[1] / math.sqrt(3.0)
        limit = plan.step_max
        if far > 2.0:
            strength = min(plan.wind, far) / math.sqrt(5.0)
            gx, gy = gx + (2.0 * draw() - 1.0) * strength, gy + (2.0 * draw() - 1.0) * strength
        else:
            limit = max(0.15, plan.step_max * far / 2.0)
        self._gust = gx, gy
        pull = min(plan.gravity, far)
        vx, vy = self._speed[0] + gx + pull * ex / far, self._speed[1] + gy + pull * ey / far
        speed = math.hypot(vx, vy)
        if speed > limit:
            keep = limit * (0.5 + 0.5 * draw()) / speed
            vx, vy = vx * keep, vy * keep
        self._speed = vx, vy
        return (ex, ey) if math.hypot(vx, vy) > far else (vx, vy)

    def _spliced(self, ex: float, ey: float) -> tuple[float, float]:
        if not self._splice:
            far = math.hypot(ex, ey)
            if far < 0.3:
                return self._last_tremor()
            if self.plan.recordings:
                steps = tape(self.plan.recorded, self.plan.recordings, self.plan.slow)[int(self.rng.integers(self.plan.recordings))]
                self._splice = [(along * far / TAPE_FAR, across * far / TAPE_FAR) for along, across in steps]
            else:
                self._splice = recorded(self.person, self.rng, far, self.plan.slow)
            self._splice.reverse()
            self._turn = ex / far, ey / far
        along, across = self._splice.pop()
        return along * self._turn[0] - across * self._turn[1], along * self._turn[1] + across * self._turn[0]

    def _last_tremor(self) -> tuple[float, float]:
        return self.person.tremor * self.draws.normal(), self.person.tremor * self.draws.normal()

    # -- the finger

    def fire(self, target: Other | None, view: View, x: float, y: float, at_ms: float, cursor: tuple[float, float]) -> bool:
        plan = self.plan
        if target is not None and self._flicks:
            return self.finger.press(at_ms, math.hypot(target.x - x - cursor[0], target.y - y - cursor[1]), plan.fire_within)
        own = plan.family == "esp" or (plan.own_finger and plan.family in AIM_FAMILIES)
        if target is None or not self.on or at_ms - self._since_ms < plan.wait_ms or own:
            return super().fire(target, view, x, y, at_ms, cursor)
        dx, dy = target.x - x, target.y - y
        near = math.hypot(dx - cursor[0], dy - cursor[1]) < plan.fire_within
        if plan.cadence:
            return self._played(near, at_ms)
        if plan.family in AIM_FAMILIES:
            return near
        if at_ms < self._down_ms:
            return True
        length = math.hypot(*cursor)
        on = length > 0.1 and dx * cursor[0] + dy * cursor[1] > 0 and abs(dx * cursor[1] - dy * cursor[0]) / length < RADIUS
        if not on:
            self._touch_ms = None
            return False
        if self._touch_ms is None:
            self._touch_ms = at_ms
            self._delay_ms = plan.delay_ms * math.exp(plan.delay_spread * self.draws.normal())
        if at_ms - self._touch_ms < self._delay_ms:
            return False
        if plan.family == "tap":
            self._touch_ms, self._down_ms = None, at_ms + 90.0 + self.draws.exponential(120.0)
        return True

    def _played(self, near: bool, at_ms: float) -> bool:
        """The cadence, from its beginning where the cursor comes near the target, to its end."""
        if self._begun_ms is None:
            if not near:
                return False
            self._begun_ms = at_ms
        at = at_ms - self._begun_ms
        for k, ms in enumerate(self.plan.cadence):
            if at < ms:
                return k % 2 == 0
            at -= ms
        self._begun_ms = at_ms if near else None
        return near


@lru_cache(256)
def tape(seed: int, count: int, slow: float) -> list[list[tuple[float, float]]]:
    """What a cheat has recorded of one person: `count` movements of TAPE_FAR, as `recorded` gives them."""
    rng = np.random.default_rng(seed)
    person = Person.draw(rng)
    return [recorded(person, rng, TAPE_FAR, slow) for _ in range(count)]


def recorded(person: Person, rng: np.random.Generator, far: float, slow: float) -> list[tuple[float, float]]:
    """The steps of a hand that moved `far` to a resting target, (along, across) a sample, the reaction cut off."""
    hand, steps, last = Hand(person, rng), [], (0.0, 0.0)
    for k in range(int(1000.0 / SAMPLE_MS)):
        at_ms = k * SAMPLE_MS / slow
        hand.see("target", at_ms, far, 0.0)
        x, y = hand.sample(at_ms)
        steps.append((x - last[0], y - last[1]))
        last = x, y
        if far - x < 0.25 and k > 12:
            break
    first = next((k for k, step in enumerate(steps) if math.hypot(*step) > 0.1), 0)
    steps = steps[first : first + SPLICE_SAMPLES_MAX]
    gain = far / max(0.3 * far, sum(step[0] for step in steps))
    return [(along * gain, across) for along, across in steps]
