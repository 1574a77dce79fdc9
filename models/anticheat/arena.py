"""The harness's bots in the real arena without sockets: what the watch would see of them, as fast as it can be computed.

Each bot is behind a link of its own: commands and snapshots are late by half its round trip and by jitter, in whole ticks. A
lost packet holds up what follows it for a retransmission (TCP). What is simulated here is people as `loadtest.motion` draws them:
figures from it are figures of a simulation (real hands are in `real.py`).
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gameedge.arena import Arena
from gameedge.core.anticheat import stream
from gameedge.core.anticheat.aim import AimModel
from gameedge.core.game import Gaze, Seat
from gameedge.core.game import Shots as GameShots
from gameedge.core.ids import PlayerId
from gameedge.core.protocol import arena_v1
from loadtest.bots.brain import Brain, Human
from loadtest.bots.kinds import Kind, brain_for
from loadtest.bots.machines import FAMILIES, Machine, Plan
from loadtest.motion import Person

TICK_MS = 1000.0 / 60.0
SEATS = 8
JITTER_MS_MAX = 40.0
RESEND_TICKS = 12  # a retransmission timeout of 200 ms
KINDS = (Kind.AIMBOT, Kind.HOMING, Kind.TRIGGERBOT)
LABELS = ("human", *FAMILIES, "aimbot", "homing", "triggerbot")


@dataclass(frozen=True)
class Who:
    """A player of the simulation. label: one of LABELS; person: the seed of the hand; plan: of parametric cheats."""

    label: str
    person: int
    plan: Plan | None = None
    rtt_ticks: int | None = None  # each way; None: drawn
    loss: float | None = None

    def brain(self, team: int, rng: np.random.Generator) -> Brain:
        person = Person.draw(np.random.default_rng(self.person))
        if self.plan is not None:
            return Machine(team, person, rng, self.plan)
        return Human(team, person, rng) if self.label == "human" else brain_for(Kind(self.label), team, person, rng)


class _Bot:
    """One player: its brain and its link."""

    def __init__(self, who: Who, team: int, seed: int) -> None:
        self.who, self.team = who, team
        self.rng = np.random.default_rng(seed)
        self.delay = int(self.rng.integers(0, 10)) if who.rtt_ticks is None else who.rtt_ticks  # ticks each way: 0 to 300 ms
        self.jitter = float(self.rng.uniform(0, 0.15))  # share of commands that are late by up to a command and a half
        self.loss = float(self.rng.choice([0.0, 0.0, 0.02, 0.15])) if who.loss is None else who.loss
        self.phase = int(self.rng.integers(0, 3))
        self.took, self.jitter_ms = 0.0, 0.0  # the last command's delay, and how much delays change, as the gate has it

    def sit(self, entity: int) -> None:
        """A new match."""
        self.entity, self.sequence = entity, 0
        self.brain = self.who.brain(self.team, self.rng)
        self.known_at = 0  # when the newest command was sent that the view knows of
        self.views: deque[tuple[int, int, int, bytes]] = deque()
        self.sent_at: dict[int, int] = {}  # sequence: tick
        self.view: arena_v1.View | None = None
        self.seen = 0
        self.sent: deque[tuple[int, int, int, bytes]] = deque()

    def show(self, tick: int, processed: int, data: bytes) -> None:
        late = RESEND_TICKS if self.loss and self.rng.random() < self.loss else 0
        at = max(tick + self.delay + late, self.views[-1][0] if self.views else 0)
        self.views.append((at, tick, processed, data))

    def think(self, tick: int) -> None:
        while self.views and self.views[0][0] <= tick:
            _, self.seen, processed, data = self.views.popleft()
            self.known_at = self.sent_at.get(processed, tick - 2 * self.delay - 2)
            self.sent_at = {n: at for n, at in self.sent_at.items() if n >= processed}
            self.view = arena_v1.decode_snapshot(data)
        if tick % 3 == self.phase and self.view is not None:
            self.sequence += 1
            self.brain.lag_ms = (tick - self.known_at) * TICK_MS
            payload = arena_v1.encode_command(self.brain.step(self.view, tick * TICK_MS))
            late = int(self.rng.integers(1, 6)) if self.rng.random() < self.jitter else 0
            late += RESEND_TICKS if self.loss and self.rng.random() < self.loss else 0
            at = max(tick + self.delay + late, self.sent[-1][0] if self.sent else 0)
            self.sent_at[self.sequence] = tick
            self.sent.append((at, self.sequence, self.seen, payload))


class Seer(Protocol):
    """What is told of a crowd that plays."""

    def sat(self, entity: int, who: int) -> None:
        """Player `who` plays this entity from now on; what the entity did before is over."""
        ...

    def link(self, entity: int, rtt_ms: float, jitter_ms: float) -> None: ...

    def tick(self, gaze: Gaze, shots: GameShots, tick: int) -> None: ...


def play(crowd: Sequence[Who], seconds: float, seed: int, seer: Seer) -> None:
    """Play free-for-all matches of eight, one after another, for `seconds`."""
    arena = Arena(matches_max=len(crowd) // SEATS + 1, entities_max=len(crowd) + SEATS)
    rng = np.random.default_rng(seed)
    bots = [_Bot(who, i % SEATS, int(rng.integers(1 << 30))) for i, who in enumerate(crowd)]
    first_of: dict[int, int] = {}  # slot: the first of its bots

    def begin(first: int) -> None:
        some = bots[first : first + SEATS]
        seats = [Seat(i, PlayerId(f"p{first + i}") if i < len(some) else None) for i in range(SEATS)]
        slot = arena.open_match("ffa", int(rng.integers(1 << 30)), seats)
        first_of[slot] = first
        for i, bot in enumerate(some):
            bot.sit(arena.entity(slot, i))
            seer.sat(bot.entity, first + i)
            seer.link(bot.entity, 2 * bot.delay * TICK_MS, bot.jitter_ms)

    for first in range(0, len(crowd), SEATS):
        begin(first)
    out = np.zeros((len(bots), arena.spec.snapshot_size_max), np.uint8)
    sizes, processed = np.zeros(len(bots), np.int32), np.zeros(len(bots), np.int64)
    for tick in range(1, int(seconds * 60) + 1):
        due = _arrived(bots, tick)
        if due:
            n = len(due)
            payloads = np.frombuffer(b"".join(d[3] for d in due), np.uint8).reshape(n, -1).copy()
            rewind = np.array([min(400.0, (tick - d[2]) * TICK_MS) if d[2] else 0.0 for d in due], np.float32)
            entities = np.array([d[0].entity for d in due], np.int32)
            arena.receive(entities, payloads, np.array([d[1] for d in due], np.int64), rewind, np.zeros(n, np.uint8))
            for bot, *_ in due:
                seer.link(bot.entity, 2 * bot.delay * TICK_MS, bot.jitter_ms)
        arena.step()
        seer.tick(arena.gaze(), arena.shots(), tick)
        for outcome in arena.ended():
            arena.close_match(outcome.slot)
            begin(first_of.pop(outcome.slot))
        if tick % 3 == 0:
            viewers = np.array([bot.entity for bot in bots], np.int32)
            arena.snapshot(viewers, out, sizes, processed)
            for bot, row, size, done in zip(bots, out, sizes.tolist(), processed.tolist(), strict=True):
                bot.show(tick, done, row[:size].tobytes())
        for bot in bots:
            bot.think(tick)


def _arrived(bots: Sequence[_Bot], tick: int) -> list[tuple[_Bot, int, int, bytes]]:
    due = []
    for bot in bots:
        while bot.sent and bot.sent[0][0] <= tick:
            _, sequence, seen, payload = bot.sent.popleft()
            took = (tick - bot.sent_at.get(sequence, tick - bot.delay)) * TICK_MS
            bot.jitter_ms = min(JITTER_MS_MAX, bot.jitter_ms + (abs(took - bot.took) - bot.jitter_ms) / 32.0)
            bot.took = took
            due.append((bot, sequence, seen, payload))
    return due


FIELDS = ("tick", "target", "hit", "distance", "visible_ms", "on_target_ms", "aim_path", "line_path")


class Recorder:
    """A crowd's blocks, grouped as `watch.Watch` groups them, and the shots in them."""

    def __init__(self, players: int) -> None:
        capacity = players + SEATS
        self._stream = stream.Stream(capacity, AimModel.blank().unit, 0.5)
        self._owner = np.full(capacity, -1, np.int32)
        self._rtt, self._jitter = np.zeros(capacity, np.float32), np.zeros(capacity, np.float32)
        self._block = np.full(capacity, -1, np.int64)  # the number of the block under way
        self._last = np.full(players, -np.inf)  # tick of each player's last shot
        self._next = 0
        self.shots: dict[str, list[np.ndarray]] = {name: [] for name in (*FIELDS, "who", "block", "since_ms", "rtt_ms", "jitter_ms")}
        self.blocks: list[tuple[int, int, int, int, float, float]] = []  # number, who, ticks, last tick, rtt, jitter
        self.rows: list[np.ndarray] = []
        self._now = 0

    def sat(self, entity: int, who: int) -> None:
        if self._owner[entity] >= 0:
            self._over(entity)
        before = np.flatnonzero(self._owner == who)
        for other in before.tolist():
            self._over(other)
            self._owner[other] = -1
        self._owner[entity] = who
        self._begin(entity)

    def link(self, entity: int, rtt_ms: float, jitter_ms: float) -> None:
        self._rtt[entity], self._jitter[entity] = rtt_ms, jitter_ms

    def tick(self, gaze: Gaze, shots: GameShots, tick: int) -> None:
        self._now = tick
        for entity in self._stream.step(gaze, self._rtt, self._jitter).tolist():
            self._over(entity)
        n = shots.count
        if n == 0:
            return
        who = self._owner[shots.shooter[:n]]
        columns = {name: getattr(shots, name)[:n].copy() for name in FIELDS[1:]}
        columns |= {"tick": np.full(n, tick), "who": who, "block": self._block[shots.shooter[:n]]}
        columns["since_ms"] = ((tick - self._last[who]) * TICK_MS).astype(np.float32)
        columns |= {"rtt_ms": self._rtt[shots.shooter[:n]], "jitter_ms": self._jitter[shots.shooter[:n]]}
        self._last[who] = tick
        for name, column in columns.items():
            self.shots[name].append(column)

    def _begin(self, entity: int) -> None:
        self._block[entity] = self._next
        self._next += 1
        self._stream.restart(entity)

    def _over(self, entity: int) -> None:
        s, n = self._stream, int(self._stream.counts[entity])
        if n >= stream.STREAM_TICKS_MIN and self._owner[entity] >= 0:
            link = float(s.rtt[entity]), float(s.jitter[entity])
            self.blocks.append((int(self._block[entity]), int(self._owner[entity]), n, self._now, *link))
            self.rows.append(s.kept[entity].copy())
        self._begin(entity)


def record(crowd: Sequence[Who], seconds: float, seed: int) -> Recorder:
    """What a crowd did."""
    found = Recorder(len(crowd))
    play(crowd, seconds, seed, found)
    return found


def mixed(rng: np.random.Generator, players: int, honest: float = 0.5, duty: float = 1.0) -> list[Who]:
    """A crowd: people, and parametric cheats of every family and the harness's own in turn."""
    crowd, turn = [], rng.permutation(len(LABELS) - 1)
    for i in range(players):
        person = int(rng.integers(1 << 30))
        label = LABELS[1 + int(turn[i % len(turn)])]
        if i < round(players * honest):
            crowd.append(Who("human", person))
        elif label in FAMILIES:
            crowd.append(Who(label, person, Plan.draw(label, rng, duty)))
        else:
            crowd.append(Who(label, person))
    order = rng.permutation(players)
    return [crowd[int(i)] for i in order]
