"""What a run is made of: options of the command line and the files in `scenarios/`, which say the same things."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from gameedge.core.errors import ConfigError
from gameedge.core.ids import is_name

SCENARIOS: Final = Path(__file__).parent / "scenarios"
PLAYERS_MAX: Final = 2_000  # of one process; a core runs out earlier
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}

Share = Annotated[float, Meta(ge=0, le=1)]
Weight = Annotated[float, Meta(ge=0, le=1e6)]


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run of bots. Field names are the keys of scenario files."""

    players: Annotated[int, Meta(ge=1, le=PLAYERS_MAX, description="how many bots")] = 60
    cheaters: Annotated[Share, Meta(description="share that cheats")] = 0.1
    flaky: Annotated[Share, Meta(description="share whose connections break")] = 0.05
    modes: Annotated[dict[str, Weight], Meta(description="mode = weight; each match is drawn anew")] = msgspec.field(
        default_factory=lambda: {"duel": 1.0, "squads": 1.0, "ffa": 1.0, "coop": 1.0}
    )
    cheats: Annotated[dict[str, Weight], Meta(description="kind of cheat = weight; empty: the four plain ones in turn")] = {}
    duration: Annotated[str, Meta(description="such as 30s or 5m; empty: until stopped")] = ""
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1, description="the same seed makes the same crowd")] = 1
    wan: Annotated[bool, Meta(description="emulate the players' distances")] = True
    coordinator_region: Annotated[str, Meta(description="where the coordinator stands")] = "us-east"
    arrivals_per_s: Annotated[float, Meta(gt=0, le=1e4, description="bots that join a second")] = 25.0


def seconds(text: str) -> float | None:
    """A duration such as `30s`, `5m` or `250ms`; None for an empty one. Raises ConfigError."""
    if not text:
        return None
    match = _DURATION.fullmatch(text.strip())
    if match is None or float(match[1]) <= 0:
        raise ConfigError(f"duration {text!r}: a number and a unit, such as 30s, 5m or 250ms")
    return float(match[1]) * _UNITS[match[2]]


def weights(key: str, text: str) -> dict[str, float]:
    """`duel:3,ffa` as weights (1 where none is given). Raises ConfigError that names the key."""
    found: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        name, _, weight = part.strip().partition(":")
        try:
            found[name] = float(weight or 1)
        except ValueError:
            raise ConfigError(f"{key} {text!r}: {part.strip()!r} is not name or name:weight") from None
    return found


def check(scenario: Scenario) -> Scenario:
    """The same scenario where its values fit together. Raises ConfigError with the key."""
    from loadtest import world
    from loadtest.bots.kinds import CHEATS

    seconds(scenario.duration)
    if scenario.cheaters + scenario.flaky > 1:
        raise ConfigError(f"cheaters = {scenario.cheaters} and flaky = {scenario.flaky}: together at most 1")
    if not all(is_name(name) for name in scenario.modes) or not sum(scenario.modes.values()) > 0:
        raise ConfigError(f"modes = {scenario.modes}: names of modes with weights, at least one above 0")
    unknown = set(scenario.cheats) - set(CHEATS)
    if unknown or (scenario.cheats and not sum(scenario.cheats.values()) > 0):
        raise ConfigError(f"cheats = {scenario.cheats}: kinds are {', '.join(CHEATS)}, at least one weight above 0")
    if scenario.coordinator_region not in world.regions():
        raise ConfigError(f"coordinator_region = {scenario.coordinator_region!r}: one of {', '.join(world.regions())}")
    return scenario


def load(name: str) -> Scenario:
    """A scenario by name (a file in `scenarios/`) or by path. Raises ConfigError that names the file and the key."""
    path = Path(name) if name.endswith(".toml") else SCENARIOS / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in SCENARIOS.glob("*.toml")))
        raise ConfigError(f"scenario {name!r}: there is no {path.name}; known are {known}, or give a path ending in .toml")
    try:
        return check(msgspec.convert(tomllib.loads(path.read_text("utf-8")), Scenario))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError, ConfigError) as error:
        raise ConfigError(f"{path.name}: {error}") from error
