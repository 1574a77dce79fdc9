"""The kinds of players, and how a crowd is made up of them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import numpy as np

from loadtest.bots.brain import Brain, Human
from loadtest.bots.cheats import Aimbot, HomingAimbot, Triggerbot
from loadtest.motion import Person


class Kind(StrEnum):
    HUMAN = "human"
    FLAKY = "flaky"  # a human whose connection breaks
    AIMBOT = "aimbot"
    HOMING = "homing"  # the humanised aimbot
    TRIGGERBOT = "triggerbot"
    SPEEDHACK = "speedhack"


CHEATS: Final = (Kind.AIMBOT, Kind.HOMING, Kind.TRIGGERBOT, Kind.SPEEDHACK)
_BRAINS: Final[Mapping[Kind, type[Human]]] = {
    Kind.AIMBOT: Aimbot,
    Kind.HOMING: HomingAimbot,
    Kind.TRIGGERBOT: Triggerbot,
}


def brain_for(kind: Kind, team: int, person: Person, rng: np.random.Generator) -> Brain:
    """A brain for one match."""
    return _BRAINS.get(kind, Human)(team, person, rng)


def crowd(players: int, cheaters: float, flaky: float, rng: np.random.Generator, cheats: Mapping[str, float] | None = None) -> list[Kind]:
    """Kinds of `players` players in random order. Shares are rounded to whole players; every cheat family comes in turn, or by
    the weights of `cheats`. Raises ValueError where the shares are more than all, or a family is unknown."""
    if not (0 <= cheaters <= 1 and 0 <= flaky <= 1 and cheaters + flaky <= 1):
        raise ValueError(f"cheaters = {cheaters} and flaky = {flaky}: shares of all players, together at most 1")
    bad, broken = round(players * cheaters), round(players * flaky)
    if cheats:
        families = [Kind(name) for name in cheats]
        if not set(families) <= set(CHEATS):
            raise ValueError(f"cheats = {dict(cheats)}: families are {', '.join(CHEATS)}")
        weights = np.array([cheats[name] for name in cheats], float)
        chosen = [families[int(index)] for index in rng.choice(len(families), size=bad, p=weights / weights.sum())]
    else:
        chosen = [CHEATS[index % len(CHEATS)] for index in range(bad)]
    kinds = chosen + [Kind.FLAKY] * min(broken, players - bad)
    kinds += [Kind.HUMAN] * (players - len(kinds))
    return [kinds[int(index)] for index in rng.permutation(players)]
