"""Does the anti-cheat take NPCs for people? NPCs play as clients do, by commands, and the shipped watch sees every shot."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gameedge.arena.arena import Arena
from gameedge.core.anticheat.aim import AimModel
from gameedge.core.anticheat.clips import Columns, judge
from gameedge.core.anticheat.watch import AIM, Watch
from gameedge.core.game import Gaze, Seat, Shots
from gameedge.core.ids import PlayerId
from gameedge.core.npc import action, policy
from gameedge.core.npc import observation as o
from gameedge.core.npc.style import STYLES
from gameedge.core.protocol import arena_v1
from gameedge.core.protocol.arena_map import RADIUS
from gameedge.inference.backends.npc_policy import NpcPolicy
from models.anticheat.arena import Seer


def play(npc: NpcPolicy, count: int, seconds: float, seed: int, seer: Seer) -> None:
    """`count` NPCs of all levels and styles in free-for-all matches of eight, as humans to the arena."""
    arena = Arena(matches_max=count // 8, entities_max=count)
    entities = []
    for match in range(count // 8):
        seats = [Seat(i, PlayerId("npc"), 1 + (8 * match + i) % 10, STYLES[(3 * match + i) % len(STYLES)]) for i in range(8)]
        slot = arena.open_match("ffa", seed + match, seats)
        entities += [arena.entity(slot, i) for i in range(8)]
    rows = np.array(entities, np.int32)
    for player, entity in enumerate(entities):
        seer.sat(entity, player)
        seer.link(entity, 0.0, 0.0)
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
        seer.tick(arena.gaze(), arena.shots(), tick)
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
    """What the shipped aim model and watch make of a crowd: a Seer of models/anticheat/arena.py. Players are numbers."""

    def __init__(self, entities: int, model: AimModel) -> None:
        self.watch, self.model = Watch(entities, model), model
        self.owner = np.full(entities, -1, np.int32)
        self.last = np.full(entities, -1_000_000, np.int64)
        self.scores: list[NDArray[np.float32]] = []

    def sat(self, entity: int, player: int) -> None:
        """A player sits down."""
        self.watch.enter(entity, PlayerId(f"p{player}"))
        self.owner[entity] = player

    def link(self, entity: int, rtt_ms: float, jitter_ms: float) -> None:
        """What the gate would know of a player's link."""
        self.watch.rtt_ms[entity], self.watch.jitter_ms[entity] = rtt_ms, jitter_ms

    def tick(self, gaze: Gaze, shots: Shots, tick: int) -> None:
        """A tick of everybody's aim and the shots in it."""
        self.watch.gaze(gaze)
        self.watch.shots(shots, tick)
        who = shots.shooter[: shots.count]
        since = ((tick - self.last[who]) * 1000.0 / 60.0).astype(np.float32)
        self.last[who] = tick
        meant = np.flatnonzero(shots.target[: shots.count] >= 0)
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

    def blocks(self) -> NDArray[np.float64]:
        """What the whole model made of each block of play that the watch still keeps; higher: less human."""
        return np.array([block.mean for career in self.watch._careers.values() for block in career.blocks])

    def found(self, players: int) -> dict[str, float]:
        """Flags, and the natural logarithm of the wealth against innocence (a review needs 4.6)."""
        flagged = {flag.player for flag in self.watch.flags()}
        known = [self.watch.evidence(PlayerId(f"p{k}")) for k in range(players)]
        wealth = [one.get(AIM, 0.0) for one in known]
        return {
            "played": players,
            "flagged": len(flagged),
            "shots": int(sum(len(part) for part in self.scores)),
            "blocks": int(sum(one.get("blocks", 0.0) for one in known)),
            "log_wealth_median": round(float(np.median(wealth)), 3),
            "log_wealth_max": round(float(np.max(wealth)), 3),
        }


def told_apart(npcs: Judge, bots: Judge) -> dict[str, float]:
    """How well the aim model separates the two, as areas under the curve: 0.5 is not at all, 1 always; below 0.5: NPCs look more
    human. And how many of the NPCs' blocks are above what one in a hundred and one in twenty of the bots' is."""
    a, b = npcs.blocks(), bots.blocks()
    return {
        "auc_blocks": round(auc(a, b), 4),
        "auc_shots": round(auc(np.concatenate(npcs.scores), np.concatenate(bots.scores)), 4),
        "npc_blocks_above_95_of_100_bot_blocks": round(float((a > np.quantile(b, 0.95)).mean()), 4),
        "npc_blocks_above_99_of_100_bot_blocks": round(float((a > np.quantile(b, 0.99)).mean()), 4),
    }


def auc(a: NDArray[Any], b: NDArray[Any]) -> float:
    """The chance that a random one of `a` is above a random one of `b`."""
    order = np.sort(b)
    below = (np.searchsorted(order, a, "left") + np.searchsorted(order, a, "right")) / 2.0
    return float(below.mean() / len(b))


assert policy.DECIDE_TICKS == 3  # a command is one decision long
