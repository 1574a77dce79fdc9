"""A studio's own NPC network: a backend, its factory, an artifact, and a match that it plays. `python examples/own_network.py`.

Configured on an edge it is the same: model_kinds = ["chaser=examples.own_network:make"], npc_model = "chaser".
"""

import tempfile
from pathlib import Path

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from gameedge.arena import Arena
from gameedge.core.game import Seat
from gameedge.core.npc import action as a
from gameedge.core.npc import observation as o
from gameedge.inference import artifacts
from gameedge.inference.artifacts import Artifact
from gameedge.inference.base import Backend
from gameedge.inference.depot import BUILT_IN, Depot
from gameedge.inference.engine import Engine

Floats = NDArray[np.float32]


class Chaser:
    """One matrix from what an NPC sees to what it does. Shaped like `Backend`; it remembers nothing."""

    input_size, output_size = o.OBSERVATION_SIZE, a.ACTION_SIZE

    def __init__(self, name: str, weights: Floats) -> None:
        self.name, self._weights = name, weights

    def run(self, rows: Floats, entities: NDArray[np.int32], out: Floats) -> None:
        np.matmul(rows, self._weights, out=out)

    def forget(self, entities: NDArray[np.int32]) -> None:
        pass


def make(artifact: Artifact, entities_max: int) -> Backend:
    """What `model_kinds` names: called once the artifact is verified."""
    artifacts.expect(artifact, {"kind": "chaser"}, {"w": [o.OBSERVATION_SIZE, a.ACTION_SIZE]})
    return Chaser(artifact.id, np.asarray(artifact.tensors["w"], np.float32))


def weights() -> Floats:
    """By hand, in place of training: walk to the first enemy or to the middle, aim, fire while it is in sight."""
    w = np.zeros((o.OBSERVATION_SIZE, a.ACTION_SIZE), np.float32)
    w[o.X, a.MOVE_X], w[o.Y, a.MOVE_Y] = -1.5, -1.0
    w[o.VX, a.MOVE_Y] = 0.7  # and a little to the side, so that walls are slid along
    for to, seen in ((a.MOVE_X, o.E_DX), (a.MOVE_Y, o.E_DY)):
        w[o.ENEMIES + seen, to] = 8.0
    w[o.ENEMIES + o.E_DX, a.AIM_X] = w[o.ENEMIES + o.E_DY, a.AIM_Y] = o.DISTANCE_UNIT / a.AIM_UNIT
    w[o.ENEMIES + o.E_VISIBLE, a.FIRE] = 1.0
    return w


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = safetensors.numpy.save({"w": weights()}, {"kind": "chaser", "version": "1"})
        (folder / artifacts.file_name("chaser", data)).write_bytes(data)
        backend = Depot([folder], kinds={**BUILT_IN, "chaser": make}).build("chaser", 64)
    arena, engine = Arena(matches_max=1, entities_max=64), Engine(entities_max=64)
    engine.register("npc", backend, 64, deadline_ms=2.0)
    slot = arena.open_match("squads", 7, [Seat(team=seat // 5) for seat in range(10)])
    for _ in range(60 * 60):
        npcs = arena.npcs()
        arena.observe(npcs, engine.rows("npc", len(npcs)))
        arena.act(npcs, engine.run("npc", npcs, len(npcs)))
        arena.step()
    figures = engine.figures("npc")
    assert figures is not None
    print(f"{backend.name}: {figures.actions} actions in a minute of squads, kills {list(arena.info(slot).scores)}")


if __name__ == "__main__":
    main()
