"""A brain: what a player does with what it sees. Pure: a view and a time in, three sub-ticks out.

`Human` moves by intention (roam, hunt, fight, retreat) over the map, and aims by `loadtest.motion`. The cheats of `cheats.py`
are humans with one thing taken over by a machine: so that what gives them away is the cheat and nothing else.
"""

import math
from collections import deque
from enum import Enum
from typing import Final, Protocol

import numpy as np

from gameedge.core.protocol.arena_map import SIZE
from gameedge.core.protocol.arena_v1 import Other, Subtick, View
from loadtest.bots import ground
from loadtest.motion import SAMPLE_MS, Finger, Hand, Person

Subticks = tuple[Subtick, Subtick, Subtick]
DT_MS: Final = (17, 17, 16)
SIGHT: Final = 46.0  # world units: a little less than a screen shows
LAG_MS_MAX: Final = 400.0  # own movement is predicted no farther
SPEED: Final = 6.0  # world units a second
SPEED_STEP: Final = 1.0  # change of speed within a sixtieth of a second
CURSOR_MAX: Final = 46.0  # the edge of the screen, from the own position


class Intent(Enum):
    ROAM = "roam"  # no enemy is known: walk somewhere
    HUNT = "hunt"  # go where the last enemy was
    FIGHT = "fight"  # an enemy is in sight: strafe and shoot
    RETREAT = "retreat"  # badly hurt: out of sight


class Brain(Protocol):
    lag_ms: float  # age of the newest own command that the view knows of, set by whoever knows; own movement is predicted by it

    def step(self, view: View, now_ms: float) -> Subticks:
        """The next command. `now_ms` grows by about 50 from call to call."""
        ...


class Human:
    """A person playing one match. `team` is the own one. The same seed and views give the same commands."""

    def __init__(self, team: int, person: Person, rng: np.random.Generator) -> None:
        self.team = team
        self.person = person
        self.rng = rng
        self.lag_ms = 0.0
        self.hand = Hand(person, rng, 3.0, 0.0)
        self.draws = self.hand.draws
        self.finger = Finger(person, self.draws)
        self.intent = Intent.ROAM
        self.boldness = 20.0 + 25.0 * self.draws.uniform()  # health below which retreating is considered
        self.range = 7.0 + 8.0 * self.draws.uniform()  # distance that this player likes to fight at
        self._target: int | None = None
        self._goal: tuple[float, float] = (SIZE / 2, SIZE / 2)
        self._goal_ms = 0.0
        self._last_seen: tuple[float, float] | None = None
        self._strafe = 1.0
        self._strafe_ms = 0.0
        self._stuck_ms = 0.0
        self._was_alive = True
        self._moves: deque[tuple[float, float, float]] = deque(maxlen=int(LAG_MS_MAX // 50) + 1)  # ms, and the direction

    # -- one command

    def step(self, view: View, now_ms: float) -> Subticks:
        """See `Brain.step`."""
        if not view.alive:
            return self._dead(view, now_ms)
        self._was_alive = True
        x, y = self.predicted(view, now_ms)
        target = self.choose(view, x, y)
        move_x, move_y = self.walk(view, x, y, target, now_ms)
        self._moves.append((now_ms, move_x, move_y))
        times = (now_ms - 2 * SAMPLE_MS, now_ms - SAMPLE_MS, now_ms)
        cursor = [self.aim(target, view, x, y, at, (move_x, move_y)) for at in times]
        if target is None:
            self.finger.relax()
        fires = [self.fire(target, view, x, y, at, point) for at, point in zip(times, cursor, strict=True)]
        first, second, third = (
            Subtick(*_on_screen(*point), move_x, move_y, fire, dt) for point, fire, dt in zip(cursor, fires, DT_MS, strict=True)
        )
        return first, second, third

    def predicted(self, view: View, now_ms: float) -> tuple[float, float]:
        """The own position now: what was seen, carried on by the moves that the snapshot does not know of yet (walls left out)."""
        x, y, vx, vy = view.x, view.y, view.vx, view.vy
        since = now_ms - min(self.lag_ms, LAG_MS_MAX)
        for at_ms, move_x, move_y in self._moves:
            if at_ms <= since:
                continue
            for _ in range(3):
                dvx, dvy = move_x * SPEED - vx, move_y * SPEED - vy
                change = math.hypot(dvx, dvy)
                share = 1.0 if change <= SPEED_STEP else SPEED_STEP / change
                vx, vy = vx + dvx * share, vy + dvy * share
                x, y = x + vx * SAMPLE_MS / 1000.0, y + vy * SAMPLE_MS / 1000.0
        return x, y

    def _dead(self, view: View, now_ms: float) -> Subticks:
        """Waiting for the respawn: hands off the keys, the cursor goes on as it was."""
        if self._was_alive:
            self._was_alive = False
            self._moves.clear()
            self._target, self._last_seen, self.intent = None, None, Intent.ROAM
            self._goal_ms = 0.0
            self.finger.relax()
            self.hand.lose()
        cursor = [self.hand.sample(now_ms - back * SAMPLE_MS) for back in (2, 1, 0)]
        first, second, third = (Subtick(*_on_screen(*point), 0.0, 0.0, False, dt) for point, dt in zip(cursor, DT_MS, strict=True))
        return first, second, third

    # -- whom

    def choose(self, view: View, x: float, y: float) -> Other | None:
        """The enemy to fight: the last one while it is in sight, else the nearest."""
        best, best_score = None, math.inf
        for other in view.others:
            if other.team == self.team or not other.alive:
                continue
            distance = math.hypot(other.x - x, other.y - y)
            if distance > SIGHT:
                continue
            score = distance * (0.6 if other.seat == self._target else 1.0)
            if score < best_score and ground.sees(x, y, other.x, other.y):
                best, best_score = other, score
        self._target = best.seat if best is not None else None
        if best is not None:
            self._last_seen = best.x, best.y
        return best

    # -- where to

    def walk(self, view: View, x: float, y: float, target: Other | None, now_ms: float) -> tuple[float, float]:
        """The wanted direction."""
        self._intend(view, target, now_ms)
        if self.intent is Intent.FIGHT and target is not None:
            return self._fight(x, y, target, now_ms)
        reached = math.hypot(self._goal[0] - x, self._goal[1] - y) < 1.5
        slow = math.hypot(view.vx, view.vy) < 0.5
        self._stuck_ms = self._stuck_ms + 50.0 if slow else 0.0
        if reached or now_ms > self._goal_ms or self._stuck_ms > 600.0:
            self._stuck_ms = 0.0
            self._set_out(view, x, y, now_ms)
        return ground.way(x, y, *self._goal)

    def _intend(self, view: View, target: Other | None, now_ms: float) -> None:
        before = self.intent
        if target is not None:
            hurt = view.health < self.boldness
            if not hurt:
                self.intent = Intent.FIGHT
            elif before is not Intent.RETREAT:
                self.intent = Intent.RETREAT if self.draws.uniform() < 0.5 else Intent.FIGHT
                self.boldness *= 0.5 if self.intent is Intent.FIGHT else 1.0
        elif before is Intent.FIGHT:
            self.intent = Intent.HUNT
        if self.intent is not before:
            self._goal_ms = 0.0

    def _set_out(self, view: View, x: float, y: float, now_ms: float) -> None:
        """Choose where to go next."""
        places = ground.points()
        if self.intent is Intent.HUNT and self._last_seen is not None:
            self._goal, self._last_seen = self._last_seen, None
        elif self.intent is Intent.RETREAT and self._last_seen is not None:
            ex, ey = self._last_seen
            nearby = [places[int(self.draws.uniform() * len(places))] for _ in range(12)]
            hidden = [place for place in nearby if not ground.sees(ex, ey, *place)] or nearby
            self._goal = min(hidden, key=lambda place: math.hypot(place[0] - x, place[1] - y))
            if not any(other.alive and other.team != self.team for other in view.others):
                self.intent = Intent.ROAM
        else:
            self.intent = Intent.ROAM
            # People are drawn to the middle, where the others are.
            options = [places[int(self.draws.uniform() * len(places))] for _ in range(3)]
            middle = SIZE / 2
            self._goal = min(options, key=lambda place: math.hypot(place[0] - middle, place[1] - middle))
        self._goal_ms = now_ms + 4_000.0 + self.draws.exponential(3_000.0)

    def _fight(self, x: float, y: float, target: Other, now_ms: float) -> tuple[float, float]:
        dx, dy = target.x - x, target.y - y
        distance = max(0.1, math.hypot(dx, dy))
        ux, uy = dx / distance, dy / distance
        if now_ms >= self._strafe_ms:
            self._strafe = (1.0, -1.0, 0.0)[min(2, int(self.draws.uniform() * 2.4))]
            self._strafe_ms = now_ms + 250.0 + self.draws.exponential(450.0)
        closer = max(-1.0, min(1.0, (distance - self.range) / 5.0))
        move_x, move_y = ux * closer - uy * self._strafe, uy * closer + ux * self._strafe
        if not ground.free(x + move_x, y + move_y):
            self._strafe = -self._strafe
        length = math.hypot(move_x, move_y)
        # Some stand still to shoot straight.
        return (move_x / length, move_y / length) if length > 0.35 else (0.0, 0.0)

    # -- aim and fire: what a cheat takes over

    def aim(self, target: Other | None, view: View, x: float, y: float, at_ms: float, move: tuple[float, float]) -> tuple[float, float]:
        """The cursor at this time, relative to the own position."""
        if target is None:
            return self.hand.follow(move[0] * 9.0 + 0.5, move[1] * 9.0, at_ms)
        self.hand.see(target.seat, at_ms, target.x - x, target.y - y, target.vx - view.vx, target.vy - view.vy)
        return self.hand.sample(at_ms)

    def fire(self, target: Other | None, view: View, x: float, y: float, at_ms: float, cursor: tuple[float, float]) -> bool:
        """Whether the trigger is held at this time."""
        if target is None:
            return False
        seen = self.hand.perceived(at_ms)
        if seen is None:
            return False
        return self.finger.press(at_ms, math.hypot(seen[0] - cursor[0], seen[1] - cursor[1]), 0.5)


def _on_screen(x: float, y: float) -> tuple[float, float]:
    distance = math.hypot(x, y)
    return (x, y) if distance <= CURSOR_MAX else (x * CURSOR_MAX / distance, y * CURSOR_MAX / distance)
