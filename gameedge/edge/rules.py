"""Matchmaking rules of this process's modes: from the file that the configuration names, and as they are within one region."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from gameedge.core.errors import ConfigError
from gameedge.core.game import GameSpec
from gameedge.core.matchmaking import rules
from gameedge.core.matchmaking.propose import rules_of
from gameedge.core.matchmaking.rules import ModeRules
from gameedge.core.matchmaking.settings import DEFAULT


def load_rules(path: str, spec: GameSpec) -> dict[str, ModeRules]:
    """Rules of every mode of the game: the file's, and rating alone for modes that it leaves out. Raises ConfigError."""
    found: dict[str, ModeRules] = {}
    if path:
        try:
            text = Path(path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"match_rules = {path!r}: {error}") from error
        found = rules.load(text, spec.modes, name=path)
        for mode, of_mode in found.items():
            for i, rule in enumerate(of_mode.overlap):
                if not rule.values:  # 64 words are known to a pool at once, and clients would think up others
                    raise ConfigError(f"{path}: modes.{mode}.overlap[{i}].values: name the words that clients may say")
    return {mode: found.get(mode) or rules_of(of, DEFAULT) for mode, of in spec.modes.items()}


def at_home(mode_rules: Mapping[str, ModeRules], region: str) -> dict[str, ModeRules]:
    """The same for matches within a region, which are played in it: a rule `latency` is about the round trip to it alone."""
    found = dict(mode_rules)
    for mode, of_mode in found.items():
        if of_mode.latency is not None:
            here = msgspec.structs.replace(of_mode.latency, regions=[region], share=None)
            found[mode] = msgspec.structs.replace(of_mode, latency=here)
    return found
