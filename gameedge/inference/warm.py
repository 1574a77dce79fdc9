"""`python -m gameedge.inference.warm`: compile every kernel once (arena, matchmaking, models), so that no server start has to."""

import sys

from gameedge.arena.warm import warm as warm_arena
from gameedge.core.errors import ArtifactError
from gameedge.core.matchmaking.propose import warm as warm_matchmaking
from gameedge.core.npc.scripted import ScriptedPolicy
from gameedge.inference.base import Backend
from gameedge.inference.depot import Depot
from gameedge.inference.engine import Engine


def warm() -> int:
    """How many models were run."""
    warm_arena()
    warm_matchmaking()
    engine, script = Engine(entities_max=16), ScriptedPolicy(entities_max=16)
    backends: list[Backend] = [script]
    try:
        backends.append(Depot().build("npc", 16))
    except ArtifactError as error:  # a checkout whose weights were removed still works, with the script
        sys.stderr.write(f"gameedge: {error}\n")
    for backend in backends:
        engine.register("npc", backend, 16, 1.0, script)
        engine.warm("npc")
    return len(backends)


if __name__ == "__main__":
    sys.exit(0 if warm() else 1)
