"""The harness's bots in the real arena without sockets: what the watch would see of them, as fast as it can be computed.

Each bot is behind a link of its own: commands and snapshots are late by half its round trip and by jitter, in whole ticks. A
lost packet holds up what follows it for a retransmission (TCP). What is simulated here is people as `loadtest.motion` draws them:
figures from it are figures of a simulation (real hands are in `real.py`).
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gameedge.arena import Arena
from gameedge.core.game import Seat
from gameedge.core.game import Shots as GameShots
from gameedge.core.ids import PlayerId
from gameedge.core.protocol import arena_v1
from loadtest.bots.brain import Brain, Human
from loadtest.bots.kinds import Kind, brain_for
from loadtest.bots.machines import FAMILIES, Machine, Plan
from loadtest.motion import Person

TICK_MS = 1000.0 / 60.0
SEATS = 8
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


def play(crowd: Sequence[Who], seconds: float, seed: int, see: Callable[[GameShots, int, np.ndarray], None]) -> np.ndarray:
    """Play free-for-all matches of eight, one after another, for `seconds`; each bot's round trip in ms and loss, [N, 2].

    see: called after each tick with the game's shots, the tick, and who plays which entity, int32 [entities] (-1: nobody).
    """
    arena = Arena(matches_max=len(crowd) // SEATS + 1, entities_max=len(crowd) + SEATS)
    rng = np.random.default_rng(seed)
    bots = [_Bot(who, i % SEATS, int(rng.integers(1 << 30))) for i, who in enumerate(crowd)]
    owner = np.full(len(crowd) + SEATS, -1, np.int32)
    first_of: dict[int, int] = {}  # slot: the first of its bots

    def begin(first: int) -> None:
        some = bots[first : first + SEATS]
        seats = [Seat(i, PlayerId(f"p{first + i}") if i < len(some) else None) for i in range(SEATS)]
        slot = arena.open_match("ffa", int(rng.integers(1 << 30)), seats)
        first_of[slot] = first
        for i, bot in enumerate(some):
            bot.sit(arena.entity(slot, i))
            owner[bot.entity] = first + i

    for first in range(0, len(crowd), SEATS):
        begin(first)
    out = np.zeros((len(bots), arena.spec.snapshot_size_max), np.uint8)
    sizes, processed = np.zeros(len(bots), np.int32), np.zeros(len(bots), np.int64)
    for tick in range(1, int(seconds * 60) + 1):
        due = _arrived(bots, tick)
        if due:
            n = len(due)
            payloads = np.frombuffer(b"".join(d[3] for d in due), np.uint8).reshape(n, -1).copy()
            rewind = np.array([min(250.0, (tick - d[2]) * TICK_MS) if d[2] else 0.0 for d in due], np.float32)
            entities = np.array([d[0].entity for d in due], np.int32)
            arena.receive(entities, payloads, np.array([d[1] for d in due], np.int64), rewind, np.zeros(n, np.uint8))
        arena.step()
        see(arena.shots(), tick, owner)
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
    return np.array([(2 * bot.delay * TICK_MS, bot.loss) for bot in bots])


def _arrived(bots: Sequence[_Bot], tick: int) -> list[tuple[_Bot, int, int, bytes]]:
    due = []
    for bot in bots:
        while bot.sent and bot.sent[0][0] <= tick:
            _, sequence, seen, payload = bot.sent.popleft()
            due.append((bot, sequence, seen, payload))
    return due


FIELDS = ("tick", "target", "hit", "distance", "visible_ms", "on_target_ms", "aim_path", "line_path")


def record(crowd: Sequence[Who], seconds: float, seed: int) -> dict[str, np.ndarray]:
    """The shots of a crowd as arrays: FIELDS as in `game.Shots` (`tick` of the process), and
    `who` (index into the crowd), `since_ms`, `rtt_ms`, `loss`."""
    kept: dict[str, list[np.ndarray]] = {name: [] for name in (*FIELDS, "who")}

    def see(shots: GameShots, tick: int, owner: np.ndarray) -> None:
        n = shots.count
        if n:
            kept["tick"].append(np.full(n, tick))
            kept["who"].append(owner[shots.shooter[:n]])
            for name in FIELDS[1:]:
                kept[name].append(getattr(shots, name)[:n].copy())

    links = play(crowd, seconds, seed, see)
    found = {name: np.concatenate(parts) for name, parts in kept.items()}
    found["since_ms"] = np.full(len(found["tick"]), np.inf, np.float32)
    for who in np.unique(found["who"]):
        at = np.flatnonzero(found["who"] == who)
        found["since_ms"][at[1:]] = np.diff(found["tick"][at]) * TICK_MS
    found["rtt_ms"], found["loss"] = links[found["who"]].T
    rows = found["target"] >= 0
    return {name: column[rows] for name, column in found.items()}


def mixed(rng: np.random.Generator, players: int, honest: float = 0.5, duty: float = 1.0) -> list[Who]:
    """A crowd: people, parametric cheats of every family in turn, and the harness's own."""
    crowd = []
    for i in range(players):
        person = int(rng.integers(1 << 30))
        if i < players * honest:
            crowd.append(Who("human", person))
        elif rng.random() < 0.25:
            crowd.append(Who(str(rng.choice(KINDS)), person))
        else:
            family = str(rng.choice(FAMILIES))
            crowd.append(Who(family, person, Plan.draw(family, rng, duty)))
    order = rng.permutation(players)
    return [crowd[int(i)] for i in order]
