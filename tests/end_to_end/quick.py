"""The arena with short matches: what a killed process does to a match does not depend on the match's length."""

from dataclasses import replace

from gameedge.arena import Arena
from gameedge.core import limits

MATCH_MS = 3_000


class QuickArena(Arena):
    def __init__(self, *, matches_max: int = limits.MATCHES_MAX, entities_max: int = limits.ENTITIES_MAX, demo: bool = False) -> None:
        super().__init__(matches_max=matches_max, entities_max=entities_max, demo=demo)
        modes = {name: replace(mode, duration_ms=MATCH_MS) for name, mode in self._spec.modes.items()}
        self._spec = replace(self._spec, modes=modes)
        self._modes = tuple(modes.values())
