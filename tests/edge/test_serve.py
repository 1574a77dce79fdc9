"""A game that somebody else wrote is looked at before players come: what is wrong with it is said, not met in the middle of a match."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from gameedge.arena import Arena
from gameedge.config import EdgeConfig
from gameedge.core import limits
from gameedge.core.errors import ConfigError
from gameedge.core.game import ModeSpec
from gameedge.edge.serve import load_game, problem_of


def config(game: str) -> EdgeConfig:
    return EdgeConfig(region="r", edge="e", redis="", bus="", token_keys=[], game=game, matches_max=4, entities_max=16)


def test_games_of_this_house_can_be_hosted() -> None:
    for game in ("gameedge.arena:Arena", "examples.tag:TagGame"):
        assert problem_of(load_game(config(game))) is None


@pytest.mark.parametrize(
    ("game", "said"),
    [
        ("gameedge.arena", "use module:attribute"),
        ("gameedge.arena:Arenas", "use module:attribute"),
        ("no.such.module:Game", "use module:attribute"),
        ("os:getcwd", "cannot be made with matches_max, entities_max and demo"),
        ("types:SimpleNamespace", "is no Game, it has no spec, open_match"),
    ],
)
def test_what_is_no_game_is_refused(game: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_game(config(game))


DUEL = ModeSpec("duel", 2, 1, 60_000)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"modes": {}}, "no modes"),
        ({"modes": {"duel": replace(DUEL, name="1v1")}}, "the same"),
        ({"modes": {"a/b": replace(DUEL, name="a/b")}}, "1 to 32 of a-z"),
        ({"modes": {"duel": replace(DUEL, team_size=limits.SEATS_PER_MATCH_MAX)}}, "64 people, 1 to 32"),
        ({"modes": {"duel": replace(DUEL, teams=0)}}, "0 people"),
        ({"modes": {"duel": replace(DUEL, duration_ms=0)}}, "duration_ms"),
        ({"snapshot_every": 0}, "snapshot_every"),
        ({"tick_hz": 0}, "tick_hz"),
        ({"command_size": limits.FRAME_BYTES_MAX}, "command_size"),
        ({"snapshot_size_max": (1 << 16) - 16}, "snapshot_size_max"),
    ],
)
def test_figures_that_cannot_work_are_named(changed: dict[str, Any], said: str) -> None:
    arena = load_game(config("gameedge.arena:Arena"))
    assert isinstance(arena, Arena)
    parts = {name: getattr(arena, name) for name in dir(arena) if not name.startswith("_")}
    problem = problem_of(SimpleNamespace(**(parts | {"spec": replace(arena.spec, **changed)})))
    assert problem is not None
    assert said in problem
