"""`python -m gameedge.arena.warm`: compile every kernel once by playing a real match, so that no server start has to."""

import sys

import numpy as np

from gameedge.arena.arena import Arena
from gameedge.core.anticheat.aim import AimModel
from gameedge.core.anticheat.gate import Gate
from gameedge.core.anticheat.watch import Watch
from gameedge.core.game import Seat
from gameedge.core.ids import PlayerId
from gameedge.core.npc.scripted import ScriptedPolicy
from gameedge.core.protocol.arena_v1 import Subtick, encode_command


def warm() -> int:
    """Play a few ticks through every kernel; returns how many entities took part."""
    arena, policy = Arena(matches_max=1, entities_max=16, demo=True), ScriptedPolicy(entities_max=16)
    seats = [Seat(team=seat // 5, player=PlayerId("warm") if seat == 0 else None) for seat in range(10)]
    slot = arena.open_match("squads", 1, seats)
    humans, npcs = np.array([arena.entity(slot, 0)], np.int32), arena.npcs()
    subtick = Subtick(5.0, 0.0, 1.0, 0.0, True)
    payload = np.frombuffer(encode_command((subtick, subtick, subtick)), np.uint8).reshape(1, -1)
    observed = np.zeros((len(npcs), arena.spec.observation_size), np.float32)
    actions = np.zeros((len(npcs), arena.spec.action_size), np.float32)
    out = np.zeros((1, arena.spec.snapshot_size_max), np.uint8)
    for tick in range(6):
        if tick % 3 == 0:
            row = np.array([tick], np.int64), np.zeros(1, np.float32), np.zeros(1, np.uint8)
            arena.receive(humans, payload, *row)
        arena.observe(npcs, observed)
        policy.run(observed, npcs, actions)
        arena.act(npcs, actions)
        arena.step()
        arena.gaze()
        arena.spectate(slot, None, np.zeros((1, arena.spectate_size_max), np.uint8))
        arena.snapshot(humans, out, np.zeros(1, np.int32), np.zeros(1, np.int64))
    arena.shots()
    arena.close_match(slot)
    Gate(1)
    Watch(1, AimModel.blank())
    return len(humans) + len(npcs)


if __name__ == "__main__":
    sys.exit(0 if warm() else 1)
