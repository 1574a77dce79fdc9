"""The kinds of players, and how a crowd is made up of them."""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import numpy as np

from loadtest.bots.brain import Brain, Human
from loadtest.bots.cheats import Aimbot, HomingAimbot, Triggerbot
from loadtest.bots.machines import Machine, Plan
from loadtest.motion import REACTION_MS_MIN, Person


class Kind(StrEnum):
    HUMAN = "human"
    FLAKY = "flaky"  # a human whose connection breaks
    AIMBOT = "aimbot"
    HOMING = "homing"  # the humanised aimbot
    TRIGGERBOT = "triggerbot"
    SPEEDHACK = "speedhack"
    RECORDINGS = "recordings"  # plays a few recorded movements of one hand over and over


CHEATS: Final = (Kind.AIMBOT, Kind.HOMING, Kind.TRIGGERBOT, Kind.SPEEDHACK, Kind.RECORDINGS)
IN_TURN: Final = CHEATS[:4]  # of a crowd that does not say which cheats it has: the mix that results were measured on
RECORDED: Final = 8  # movements that a player of recordings has
_BRAINS: Final[Mapping[Kind, type[Human]]] = {
    Kind.AIMBOT: Aimbot,
    Kind.HOMING: HomingAimbot,
    Kind.TRIGGERBOT: Triggerbot,
}


def brain_for(kind: Kind, team: int, person: Person, rng: np.random.Generator, recorded: int = 0) -> Brain:
    """A brain for one match. recorded: seed of what a player of recordings has recorded; the same in all its matches."""
    if kind is Kind.RECORDINGS:
        return Machine(team, person, rng, Plan("splice", wait_ms=REACTION_MS_MIN, recordings=RECORDED, recorded=recorded))
    return _BRAINS.get(kind, Human)(team, person, rng)


def crowd(players: int, cheaters: float, flaky: float, rng: np.random.Generator, cheats: Mapping[str, float] | None = None) -> list[Kind]:
    """Kinds of `players` players in random order. Shares are rounded to whole players; the cheats of `IN_TURN` come in turn, or
    those of `cheats` by their weights. Raises ValueError where the shares are more than all, or a family is unknown."""
    if not (0 <= cheaters <= 1 and 0 <= flaky <= 1 and cheaters + flaky <= 1):
        raise ValueError(f"cheaters = {cheaters} and flaky = {flaky}: shares of all players, together at most 1")
    bad, broken = round(players * cheaters), round(players * flaky)
    if cheats:
        if not set(cheats) <= set(CHEATS):
            raise ValueError(f"cheats = {dict(cheats)}: kinds are {', '.join(CHEATS)}")
        chosen = _apportioned(bad, cheats)
    else:
        chosen = [IN_TURN[index % len(IN_TURN)] for index in range(bad)]
    kinds = chosen + [Kind.FLAKY] * min(broken, players - bad)
    kinds += [Kind.HUMAN] * (players - len(kinds))
    return [kinds[int(index)] for index in rng.permutation(players)]


def _apportioned(count: int, weights: Mapping[str, float]) -> list[Kind]:
    """So many cheats, each kind by its weight and rounded by the largest remainder: a small crowd has what was asked for, too."""
    every = sum(weights.values())
    if not 0.0 < every < math.inf:
        raise ValueError(f"cheats = {dict(weights)}: at least one weight above 0")
    exact = {Kind(name): count * weight / every for name, weight in weights.items()}
    found = {kind: int(share) for kind, share in exact.items()}
    for kind in sorted(exact, key=lambda kind: found[kind] - exact[kind])[: count - sum(found.values())]:
        found[kind] += 1
    return [kind for kind, number in found.items() for _ in range(number)]
