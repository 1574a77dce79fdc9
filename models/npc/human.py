"""Does the anti-cheat take NPCs for people? NPCs play as clients do, by commands, and the shipped watch sees every shot."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gameedge.arena.arena import Arena
from gameedge.core.anticheat.aim import AimModel
from gameedge.core.anticheat.clips import Columns, judge
from gameedge.core.anticheat.watch import AIM, Watch
from gameedge.core.game import Seat, Shots
from gameedge.core.ids import PlayerId
from gameedge.core.npc import action, policy
from gameedge.core.npc import observation as o
from gameedge.core.npc.style import STYLES
from gameedge.core.protocol import arena_v1
from gameedge.core.protocol.arena_map import RADIUS
from gameedge.inference.backends.npc_policy import NpcPolicy


def play(npc: NpcPolicy, count: int, seconds: float, seed: int, see: Callable[[Shots, int, NDArray[np.int32]], None]) -> None:
    """`count` NPCs of all levels and styles in free-for-all matches of eight, as humans to the arena. see: as of Judge."""
    arena = Arena(matches_max=count // 8, entities_max=count)
    entities = []
    for match in range(count // 8):
        seats = [Seat(i, PlayerId("npc"), 1 + (8 * match + i) % 10, STYLES[(3 * match + i) % len(STYLES)]) for i in range(8)]
        slot = arena.open_match("ffa", seed + match, seats)
        entities += [arena.entity(slot, i) for i in range(8)]
    rows = np.array(entities, np.int32)
    owner = np.full(count, -1, np.int32)
    owner[rows] = np.arange(count)
    npc.forget(rows)
    out = np.zeros((count, action.ACTION_SIZE), np.float32)
    parts: list[NDArray[np.float32]] = []
    for tick in range(1, int(seconds * 60) + 1):
        due = npc.due(rows).copy()
        if due.any():
            n = int(due.sum())
            some, some_out = np.zeros((n, o.OBSERVATION_SIZE), np.float32), np.zeros((n, action.ACTION_SIZE), np.float32)
            arena.observe(rows[due], some)
            npc.run(some, rows[due], some_out)
            out[due] = some_out
        if not due.all():
            rest = np.zeros((int((~due).sum()), action.ACTION_SIZE), np.float32)
            npc.coast(rows[~due], rest)
            out[~due] = rest
        parts.append(out.copy())
        if len(parts) == 3:
            send(arena, rows, parts, tick)
            parts.clear()
        arena.step()
        see(arena.shots(), tick, owner)
        arena.ended()


def send(arena: Arena, rows: NDArray[np.int32], parts: list[NDArray[np.float32]], tick: int) -> None:
    """Three ticks of actions as one command of each."""
    n = len(rows)
    commands = []
    for i in range(n):
        subticks = []
        for part in parts:
            x, y = (float(part[i, k]) * action.AIM_UNIT for k in (action.AIM_X, action.AIM_Y))
            reach = max(float(np.hypot(x, y)), 1e-6)
            x, y = (x, y) if reach < 59.0 else (x * 59.0 / reach, y * 59.0 / reach)
            fire = bool(part[i, action.FIRE] > 0.5)
            subticks.append(arena_v1.Subtick(x, y, float(part[i, action.MOVE_X]), float(part[i, action.MOVE_Y]), fire))
        commands.append(arena_v1.encode_command((subticks[0], subticks[1], subticks[2])))
    payloads = np.frombuffer(b"".join(commands), np.uint8).reshape(n, -1).copy()
    sequence = np.full(n, tick // 3, np.int64)
    arena.receive(rows, payloads, sequence, np.zeros(n, np.float32), np.zeros(n, np.uint8))


class Judge:
    """What the shipped aim model and watch make of a crowd's shots. A crowd is players by number; links are near and steady."""

    def __init__(self, players: int, entities: int, model: AimModel) -> None:
        self.watch, self.model = Watch(entities, model), model
        self.owner = np.full(entities, -1, np.int32)
        self.last = np.full(players, -1_000_000, np.int64)
        self.scores: list[NDArray[np.float32]] = []
        self.who: list[NDArray[np.int32]] = []

    def see(self, shots: Shots, tick: int, owner: NDArray[np.int32]) -> None:
        """Take a tick's shots; owner: who plays which entity, -1: nobody."""
        for entity in np.flatnonzero(owner != self.owner[: len(owner)]).tolist():
            self.watch.enter(entity, PlayerId(f"p{owner[entity]}"))
            self.watch.rtt_ms[entity] = self.watch.jitter_ms[entity] = 0.0
            self.owner[entity] = owner[entity]
        self.watch.shots(shots, tick)
        who = owner[shots.shooter[: shots.count]]
        since = ((tick - self.last[who]) * 1000.0 / 60.0).astype(np.float32)
        self.last[who] = tick
        meant = np.flatnonzero((shots.target[: shots.count] >= 0) & (who >= 0))
        if not len(meant):
            return
        columns = Columns(
            shots.aim_path[meant],
            shots.line_path[meant],
            since[meant],
            shots.visible_ms[meant],
            shots.on_target_ms[meant],
            shots.distance[meant],
            shots.hit[meant],
        )
        found = judge(self.model, columns, RADIUS)
        self.scores.append(found.score[found.usable])
        self.who.append(who[meant][found.usable])

    def found(self, players: int) -> dict[str, float]:
        """Flags, and the natural logarithm of the wealth against innocence (a review needs 4.6)."""
        flagged = {flag.player for flag in self.watch.flags()}
        wealth = [self.watch.evidence(PlayerId(f"p{k}")).get(AIM, 0.0) for k in range(players)]
        return {
            "played": players,
            "flagged": len(flagged),
            "shots": int(sum(len(part) for part in self.scores)),
            "log_wealth_median": round(float(np.median(wealth)), 3),
            "log_wealth_max": round(float(np.max(wealth)), 3),
        }

    def by_player(self, players: int) -> NDArray[np.float64]:
        """Mean score of each player who shot."""
        score, who = np.concatenate(self.scores), np.concatenate(self.who)
        count = np.bincount(who, minlength=players)
        return (np.bincount(who, weights=score, minlength=players) / np.maximum(count, 1))[count > 0]


def told_apart(npcs: Judge, bots: Judge, players: int) -> dict[str, float]:
    """How well the aim model's scores separate the two: 0.5 is not at all, 1 is always, below 0.5: NPCs look more human."""
    a, b = np.concatenate(npcs.scores), np.concatenate(bots.scores)
    return {
        "auc_shots": round(auc(a, b), 4),
        "auc_players": round(auc(npcs.by_player(players), bots.by_player(players)), 4),
        "npc_shots_above_the_bots_95th_percentile": round(float((a > np.quantile(b, 0.95)).mean()), 4),
        "npc_shots_above_the_bots_99th_percentile": round(float((a > np.quantile(b, 0.99)).mean()), 4),
    }


def auc(a: NDArray[Any], b: NDArray[Any]) -> float:
    """The chance that a random one of `a` is above a random one of `b`."""
    order = np.sort(b)
    below = (np.searchsorted(order, a, "left") + np.searchsorted(order, a, "right")) / 2.0
    return float(below.mean() / len(b))


assert policy.DECIDE_TICKS == 3  # a command is one decision long
