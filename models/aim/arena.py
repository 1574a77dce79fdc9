"""The harness's bots in the real arena without sockets: what the watch would see of them, as fast as it can be computed.

Each bot is behind a link of its own: commands and snapshots are late by half its round trip and by jitter, in whole ticks.
"""

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from gameedge.arena import Arena
from gameedge.core.game import Seat
from gameedge.core.game import Shots as GameShots
from gameedge.core.ids import PlayerId
from gameedge.core.protocol import arena_v1
from loadtest.bots.kinds import Kind, brain_for
from loadtest.motion import Person

TICK_MS = 1000.0 / 60.0


class _Bot:
    """One player: its brain and its link."""

    def __init__(self, kind: Kind, team: int, entity: int, person: Person, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.brain = brain_for(kind, team, person, self.rng)
        self.entity, self.sequence = entity, 0
        self.delay = int(self.rng.integers(0, 8))  # ticks each way
        self.jitter = float(self.rng.uniform(0, 0.15))  # share of commands that are late by up to a command and a half
        self.brain.lag_ms = (2 * self.delay + 2) * TICK_MS
        self.phase = int(self.rng.integers(0, 3))
        self.views: deque[tuple[int, int, bytes]] = deque()
        self.view: arena_v1.View | None = None
        self.seen = 0
        self.sent: deque[tuple[int, int, int, bytes]] = deque()

    def think(self, tick: int) -> None:
        while self.views and self.views[0][0] <= tick:
            _, self.seen, data = self.views.popleft()
            self.view = arena_v1.decode_snapshot(data)
        if tick % 3 == self.phase and self.view is not None:
            self.sequence += 1
            payload = arena_v1.encode_command(self.brain.step(self.view, tick * TICK_MS))
            late = int(self.rng.integers(1, 6)) if self.rng.random() < self.jitter else 0
            at = max(tick + self.delay + late, self.sent[-1][0] if self.sent else 0)
            self.sent.append((at, self.sequence, self.seen, payload))


def play(
    kinds: Sequence[Kind],
    seconds: float,
    seed: int,
    see: Callable[[GameShots, int], None],
    persons: Sequence[int] | None = None,
) -> list[int]:
    """Play free-for-all matches of eight until every bot has played `seconds`; answers each bot's entity.

    see: called after each tick with the game's shots and the tick; persons: the seed of each bot's person.
    """
    arena = Arena(matches_max=len(kinds) // 8 + 1, entities_max=len(kinds) + 8)
    rng = np.random.default_rng(seed)
    bots: list[_Bot] = []
    matches: list[tuple[int, list[_Bot]]] = []
    for at in range(0, len(kinds), 8):
        some = kinds[at : at + 8]
        seats = [Seat(i, PlayerId(f"p{at + i}") if i < len(some) else None) for i in range(8)]
        slot = arena.open_match("ffa", seed + at, seats)
        for i, kind in enumerate(some):
            person = Person.draw(np.random.default_rng(persons[at + i] if persons else rng.integers(1 << 30)))
            bots.append(_Bot(kind, i, arena.entity(slot, i), person, int(rng.integers(1 << 30))))
        matches.append((slot, bots[at : at + 8]))
    viewers = np.array([bot.entity for bot in bots], np.int32)
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
        see(arena.shots(), tick)
        arena.ended()
        if tick % 3 == 0:
            arena.snapshot(viewers, out, sizes, processed)
            for bot, row, size in zip(bots, out, sizes.tolist(), strict=True):
                bot.views.append((tick + bot.delay, tick, row[:size].tobytes()))
        for bot in bots:
            bot.think(tick)
    return [bot.entity for bot in bots]


def _arrived(bots: Sequence[_Bot], tick: int) -> list[tuple[_Bot, int, int, bytes]]:
    due = []
    for bot in bots:
        while bot.sent and bot.sent[0][0] <= tick:
            _, sequence, seen, payload = bot.sent.popleft()
            due.append((bot, sequence, seen, payload))
    return due
