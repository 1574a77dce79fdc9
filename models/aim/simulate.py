"""Shooters for training: people and three families of cheats, all at once as arrays.

A trial is one engagement of 2.5 s: a target strafes, the shooter moves too, the cursor starts somewhere else. What comes out is
what the game records of each shot (see `gameedge.core.game.Shots`), with its faults: 1/32 unit quantisation, targets that the
client sees 20 times a second, commands that come late (the cursor stands still and then catches up).

People: reaction, minimum-jerk submovements with signal-dependent noise, delayed perception, imperfect pursuit, tremor (or a mouse
at rest on a desk), a finger with its own delay, held fire, rash shots. Cheats: see the function of each.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

TICKS: Final = 150
PATH: Final = 32
DT: Final = 1.0 / 60.0
RADIUS: Final = 0.5
COOLDOWN: Final = 10
SUBMOVEMENTS: Final = 3

Array = np.ndarray


@dataclass
class Shots:
    """Rows are shots. `who` is the trial's shooter: all shots of one shooter belong together."""

    path: Array  # float32 [N, PATH, 2]
    visible_ms: Array
    on_target_ms: Array
    distance: Array
    hit: Array
    label: Array  # int, index into aim.CLASSES
    who: Array

    def take(self, rows: Array) -> "Shots":
        return Shots(*(getattr(self, f)[rows] for f in self.__dataclass_fields__))

    @staticmethod
    def join(parts: list["Shots"]) -> "Shots":
        return Shots(*(np.concatenate([getattr(p, f) for p in parts]) for f in Shots.__dataclass_fields__))


def spread(rng: np.random.Generator, n: int, middle: float, share: float, low: float, high: float) -> Array:
    return np.clip(middle * np.exp(share * rng.standard_normal(n)), low, high)


def wander(rng: np.random.Generator, n: int) -> Array:
    """Velocities of players who strafe, [n, TICKS, 2], u/s: a new wish now and then, full speed within six ticks."""
    velocity = np.zeros((n, TICKS, 2))
    wish = np.zeros((n, 2))
    now = np.zeros((n, 2))
    lazy = rng.random(n) < 0.2  # some stand still
    for t in range(TICKS):
        change = (rng.random(n) < 0.04) | (t == 0)
        angle = rng.uniform(0, 2 * np.pi, n)
        fast = np.where(lazy | (rng.random(n) < 0.25), 0.0, 6.0)
        wish = np.where(change[:, None], np.stack([np.cos(angle), np.sin(angle)], 1) * fast[:, None], wish)
        now = now + np.clip(wish - now, -1.0, 1.0)
        velocity[:, t] = now
    return velocity


class People:
    """The hands of n people, one step at a time. `k` gives every person's figures, drawn once for each of `persons`."""

    def __init__(self, rng: np.random.Generator, n: int, persons: int) -> None:
        self.rng, self.n = rng, n
        self.who = rng.integers(0, persons, n)

        def person(middle: float, share: float, low: float, high: float) -> Array:
            return spread(rng, persons, middle, share, low, high)[self.who]

        self.reaction = np.maximum(person(190, 0.15, 140, 300) + rng.exponential(40, n), 130) / 1000
        self.delay = np.round(person(100, 0.15, 60, 160) / 1000 / DT).astype(int)
        self.fitts_a, self.fitts_b = person(0.09, 0.25, 0.04, 0.18), person(0.07, 0.25, 0.03, 0.13)
        self.reach = np.clip(rng.normal(0.93, 0.05, persons), 0.75, 1.05)[self.who]
        self.along, self.across = person(0.07, 0.35, 0.02, 0.18), person(0.03, 0.35, 0.008, 0.09)
        self.bow = rng.normal(0, 0.05, persons)[self.who]
        self.every, self.care = person(0.12, 0.25, 0.06, 0.25), person(0.3, 0.35, 0.08, 0.6)
        self.pursuit = np.clip(rng.normal(0.8, 0.15, persons), 0.3, 1.05)[self.who]
        self.foresight = np.clip(rng.normal(0.6, 0.3, persons), 0.0, 1.2)[self.who]
        self.tremor = person(0.012, 0.6, 0.001, 0.05) * (rng.random(n) < 0.75)
        self.drift = person(0.05, 0.5, 0.005, 0.15)
        self.hertz, self.phase = rng.uniform(7, 12.5, n), rng.uniform(0, 2 * np.pi, n)
        self.trigger = person(80, 0.35, 25, 220) / 1000
        self.tolerance = person(0.42, 0.3, 0.15, 0.9)
        self.lapse = np.clip(rng.normal(0.02, 0.015, persons), 0.0, 0.08)[self.who]
        self.spray = rng.random(n) < 0.1  # fire held down throughout
        self.start = np.full((n, SUBMOVEMENTS), -9.0)
        self.length = np.full((n, SUBMOVEMENTS), 0.1)
        self.move = np.zeros((n, SUBMOVEMENTS, 2))
        self.curve = np.zeros((n, SUBMOVEMENTS))
        self.plan = self.reaction.copy()
        self.primary = np.ones(n, bool)
        self.smooth = np.zeros((n, 2))
        self.wobble = np.zeros((n, 2))
        self.press = np.full(n, np.inf)
        self.release = np.zeros(n)

    def _at(self, time: float) -> Array:
        """How far each submovement has come, [n, SUBMOVEMENTS, 2]."""
        s = np.clip((time - self.start) / self.length, 0, 1)
        done = s**3 * (10 + s * (6 * s - 15))
        side = self.curve * 16 * (done * (1 - done)) ** 2
        across = np.stack([-self.move[..., 1], self.move[..., 0]], -1)
        return self.move * done[..., None] + across * side[..., None]

    def step(self, t: int, cursor: Array, target: Array, relative: Array, visible: Array) -> Array:
        """The hand's step in tick t. cursor, target: positions so far [n, TICKS, 2]; relative: seen velocity [n, TICKS, 2]."""
        rng, rows, now = self.rng, np.arange(self.n), t * DT
        past = np.maximum(t - self.delay, 0)
        seen = target[rows, past] + relative[rows, past] * (self.foresight * self.delay * DT)[:, None]
        left = (self.move - self._at(now - DT)).sum(axis=1)
        wrong = seen - cursor[:, max(t - 1, 0)] - left
        size = np.hypot(*wrong.T)
        due = (now >= self.plan) & (now >= self.reaction) & visible
        go = due & (size > self.care * rng.uniform(0.7, 1.3, self.n))
        oldest = np.argmin(self.start + self.length, axis=1)
        go &= (self.start + self.length)[rows, oldest] <= now
        length = (self.fitts_a + self.fitts_b * np.log2(size + 1)) * np.exp(0.12 * rng.standard_normal(self.n))
        length = np.maximum(length, 0.06)
        reach = np.where(self.primary, self.reach, 0.5 + 0.5 * self.reach) + self.along * rng.standard_normal(self.n)
        side = self.across * rng.standard_normal(self.n)
        aim = np.stack([wrong[:, 0] * reach - wrong[:, 1] * side, wrong[:, 1] * reach + wrong[:, 0] * side], 1)
        g, o = np.flatnonzero(go), oldest[go]
        self.start[g, o], self.length[g, o], self.move[g, o] = now, length[g], aim[g]
        self.curve[g, o] = self.bow[g] + 0.03 * rng.standard_normal(len(g))
        self.plan = np.where(go, now + np.maximum(self.every, 0.75 * length), np.where(due, now + 0.5 * self.every, self.plan))
        self.primary &= ~due
        hand = (self._at(now) - self._at(now - DT)).sum(axis=1)
        wanted = np.where((visible & (now >= self.reaction))[:, None], relative[rows, past] * self.pursuit[:, None], 0.0)
        self.smooth += (wanted - self.smooth) * min(1.0, DT / 0.06)
        before = np.stack([np.sin(self.phase), np.cos(0.93 * self.phase)], 1) * self.tremor[:, None] + self.wobble
        self.phase += 2 * np.pi * self.hertz * DT + 0.25 * rng.standard_normal(self.n)
        moving = (self.tremor > 0)[:, None]
        self.wobble = self.wobble * 0.98 + np.where(moving, self.drift[:, None] * np.sqrt(DT) * rng.standard_normal((self.n, 2)), 0)
        after = np.stack([np.sin(self.phase), np.cos(0.93 * self.phase)], 1) * self.tremor[:, None] + self.wobble
        return hand + self.smooth * DT + after - before

    def fire(self, t: int, error: Array, visible: Array) -> Array:
        """Whether each finger is down; `error` is the distance as seen a moment ago."""
        now, rng = t * DT, self.rng
        held = now < self.release
        idle = ~held & np.isinf(self.press)
        good = (error < self.tolerance) | ((error < 2.0) & (rng.random(self.n) < self.lapse))
        start = idle & good & visible & (now >= self.reaction)
        self.press = np.where(start, now + self.trigger * np.exp(0.3 * rng.standard_normal(self.n)), self.press)
        down = ~held & (now >= self.press)
        self.release = np.where(down, now + 0.08 + rng.exponential(0.15, self.n), self.release)
        self.press = np.where(down, np.inf, self.press)
        return (held | down | (self.spray & (now > self.reaction))) & visible


def trials(rng: np.random.Generator, kind: str, n: int, persons: int) -> Shots:
    """Shots of n engagements by shooters of one kind: human, snap, homing or trigger."""
    people = People(rng, n, persons)
    distance = rng.uniform(4, 32, n)
    bearing = rng.uniform(0, 2 * np.pi, n)
    ray = np.stack([np.cos(bearing), np.sin(bearing)], 1)
    theirs, own = wander(rng, n), wander(rng, n)
    relative = theirs - own  # the cursor is kept relative to the own position
    target = ray[:, None] * distance[:, None, None] + np.cumsum(relative, axis=1) * DT
    away = rng.exponential(6.0, n) + 0.3
    angle = rng.uniform(0, 2 * np.pi, n)
    cursor = np.zeros((n, TICKS, 2))
    cursor[:, 0] = target[:, 0] + np.stack([np.cos(angle), np.sin(angle)], 1) * away[:, None]
    hand = cursor[:, 0].copy()
    shown = target[:, (np.arange(TICKS) // 3) * 3] if kind != "human" else target  # a cheat reads snapshots, 20 a second
    latch = rng.random(n) < 0.5  # half of the cheats interpolate as the client does
    shown = np.where(latch[:, None, None], target, shown)
    cheat = Cheat(rng, kind, n, people.who)
    visible_from = rng.integers(0, 40, n) * (rng.random(n) < 0.3)
    out: list[Shots] = []
    ready = np.zeros(n, int)
    fired = np.zeros((n, TICKS), bool)
    for t in range(TICKS):
        visible = t >= visible_from
        if t:
            cursor_now = people.step(t, cursor, target, relative, visible) + hand
            hand, cursor[:, t] = cheat.steer(t, cursor_now, shown[:, t], visible)
        error = np.hypot(*(cursor[:, t] - target[:, t]).T)
        human_finger = people.fire(t, np.hypot(*(cursor[:, max(t - 3, 0)] - target[:, max(t - 3, 0)]).T), visible)
        wish = cheat.fire(t, error, np.hypot(*(cursor[:, t] - shown[:, t]).T), human_finger, visible)
        shot = wish & (t >= ready)
        ready = np.where(shot, t + COOLDOWN, ready)
        fired[:, t] = shot
    cursor = np.round(cursor * 32) / 32
    for t in range(12, TICKS):
        rows = np.flatnonzero(fired[:, t])
        if len(rows):
            out.append(record(rng, rows, t, cursor, target, visible_from, people.who, kind))
    shots = Shots.join(out)
    keep = rng.random(len(shots.hit)) < 0.6
    return shots.take(np.flatnonzero(keep))


class Cheat:
    """What a cheat does to the hand and the finger; kind human does nothing."""

    def __init__(self, rng: np.random.Generator, kind: str, n: int, who: Array) -> None:
        self.rng, self.kind, self.n = rng, kind, n
        m = int(who.max()) + 1
        self.wait = (rng.uniform(0, 15, m)[who] + rng.uniform(0, 4, n)).astype(int)  # ticks from sight to help
        self.style = rng.integers(0, 3, m)[who]  # snap: 0 locks on, 1 flicks at the shot, 2 locks within a few ticks
        self.pull = np.where(self.style == 2, rng.uniform(0.35, 0.8, m)[who], 1.0)
        self.gain = np.exp(rng.uniform(np.log(0.08), np.log(0.4), m))[who]
        self.scatter = np.array([0.0, 0.05, 0.12])[rng.integers(0, 3, m)[who]]
        self.offset = rng.normal(0, 0.12, (n, 2)) * (rng.random(m)[who] < 0.4)[:, None]
        self.delay = rng.integers(0, 2, m)[who]  # ticks from touch to shot
        self.touch = np.zeros(n, int)
        self.since = np.zeros(n, int)
        self.flick = np.zeros(n, bool)

    def steer(self, t: int, free: Array, shown: Array, visible: Array) -> tuple[Array, Array]:
        """(where the hand goes on from, where the cursor is)."""
        if self.kind in ("human", "trigger"):
            return free, free
        self.since = np.where(visible, self.since + 1, 0)
        on = (self.since > self.wait)[:, None]
        goal = shown + self.offset + self.scatter[:, None] * self.rng.standard_normal((self.n, 2))
        if self.kind == "homing":
            cursor = np.where(on, free + (goal - free) * self.gain[:, None], free)
            return cursor, cursor
        locked = np.where(on, free + (goal - free) * self.pull[:, None], free)
        self.flick = (self.since > self.wait + 12) & ((self.since % 20) < 2)
        flicked = np.where(self.flick[:, None], goal, free)
        flicks = (self.style == 1)[:, None]
        return np.where(flicks, free, locked), np.where(flicks, flicked, locked)

    def fire(self, t: int, error: Array, believed: Array, human: Array, visible: Array) -> Array:
        if self.kind == "human":
            return human
        if self.kind == "trigger":
            self.touch = np.where(error < RADIUS * 0.95, self.touch + 1, 0)
            return (self.touch > self.delay) & visible
        if self.kind == "snap":
            return np.where(self.style == 1, self.flick, (believed < 0.6) & (self.since > self.wait)) & visible
        return (believed < 0.6) & (self.since > self.wait) & visible


def record(
    rng: np.random.Generator, rows: Array, t: int, cursor: Array, target: Array, visible_from: Array, who: Array, kind: str
) -> Shots:
    """What the game writes down of the shots of tick t."""
    n = len(rows)
    ticks = np.arange(t - PATH + 1, t + 1)
    known = ticks >= 0
    at = np.broadcast_to(np.maximum(ticks, 0), (n, PATH)).copy()
    # Late commands: the cursor stands still for one or two commands, then catches up at double speed.
    late = rng.random(n) < 0.3
    begin, wait = rng.integers(2, PATH - 2, n), 3 * rng.integers(1, 3, n)
    column = np.arange(PATH)[None]
    lag = np.clip(np.minimum(column - begin[:, None], 2 * wait[:, None] - (column - begin[:, None])), 0, wait[:, None])
    at = np.maximum(at - np.where(late[:, None], lag, 0), 0)
    path = cursor[rows[:, None], at] - target[rows[:, None], np.broadcast_to(np.maximum(ticks, 0), (n, PATH))]
    path[:, ~known] = np.nan
    fresh = rng.random(n) < 0.1  # the target was out of reach before
    cut = rng.integers(0, PATH - 12, n)
    path[fresh[:, None] & (column < cut[:, None])] = np.nan
    error = np.hypot(path[..., 0], path[..., 1])
    on = np.logical_and.accumulate((error <= RADIUS)[:, ::-1], axis=1).sum(axis=1)
    ray = target[rows, t]
    distance = np.hypot(*ray.T)
    off = np.abs(ray[:, 0] * path[:, -1, 1] - ray[:, 1] * path[:, -1, 0]) / (distance + 1e-6)
    hit = off + np.abs(rng.normal(0, 0.02, n)) * distance * 0.3 < RADIUS
    return Shots(
        path.astype(np.float32),
        ((t - visible_from[rows]) / 60 * 1000).astype(np.float32),
        (np.maximum(on - 1, 0) / 60 * 1000).astype(np.float32),
        distance.astype(np.float32),
        hit,
        np.full(n, ("human", "snap", "homing", "trigger").index(kind)),
        who[rows],
    )


def everyone(seed: int, engagements: int, persons: int = 400) -> Shots:
    """Shots of all kinds, half of them people. `who` is unique over kinds."""
    rng = np.random.default_rng(seed)
    parts = []
    for kind, share in (("human", 0.6), ("snap", 0.15), ("homing", 0.15), ("trigger", 0.1)):
        shots = trials(rng, kind, int(engagements * share), max(8, int(persons * share)))
        shots.who = shots.who + 100_000 * len(parts)
        parts.append(shots)
    return Shots.join(parts)
