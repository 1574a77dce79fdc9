"""The tick's own clock: what it does after the process stood still."""

import numpy as np

from gameedge.arena import Arena
from gameedge.core.anticheat.aim import AimModel
from gameedge.core.anticheat.gate import Gate
from gameedge.core.anticheat.watch import Watch
from gameedge.core.npc.scripted import ScriptedPolicy
from gameedge.edge.inbox import Inbox
from gameedge.edge.table import ConnectionTable
from gameedge.edge.tick import FORGET_AFTER_MS, STILL_MS, Tick
from gameedge.inference.engine import Engine

TICK_MS = 1000.0 / 60.0


class Told(Gate):
    def __init__(self) -> None:
        super().__init__(4)
        self.told: list[float] = []

    def forget_since(self, since_ms: float) -> None:
        self.told.append(since_ms)
        super().forget_since(since_ms)


def test_a_second_after_the_process_stood_still_the_gate_forgets_who_began_meanwhile() -> None:
    game, gate = Arena(matches_max=1, entities_max=16), Told()
    engine = Engine(entities_max=16)
    script = ScriptedPolicy(entities_max=16)
    engine.register("npc", script, 16, 1.0, script)
    table = ConnectionTable(4, 16, game.spec.snapshot_every)
    tick = Tick(game, table, Inbox(16, game.spec.command_size), gate, engine, Watch(16, AimModel.blank()), lambda outcomes: None)
    now_ms = 50_000.0
    for _ in range(120):
        tick.run(now_ms := now_ms + TICK_MS)
    assert gate.told == []
    still_from, now_ms = now_ms, now_ms + STILL_MS + 1_500.0
    for moment in np.arange(now_ms, now_ms + FORGET_AFTER_MS - TICK_MS, TICK_MS):
        tick.run(float(moment))
    assert gate.told == []  # what had waited in sockets is still to be looked at
    for moment in np.arange(now_ms + FORGET_AFTER_MS, now_ms + 10_000.0, TICK_MS):
        tick.run(float(moment))
    assert gate.told == [still_from]
