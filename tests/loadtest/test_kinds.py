"""Crowds: who is in one, and that a player of recordings is found by the rule that is for them."""

from collections import Counter

import numpy as np
import pytest

from gameedge.core.errors import ConfigError
from loadtest.bots.kinds import CHEATS, IN_TURN, RECORDED, Kind, brain_for, crowd
from loadtest.bots.machines import Machine, tape
from loadtest.motion import Person
from loadtest.run import main, parser, settings


def count(players: int, cheaters: float, cheats: dict[str, float] | None = None) -> Counter[Kind]:
    return Counter(crowd(players, cheaters, 0.05, np.random.default_rng(1), cheats))


def test_a_crowd_that_says_nothing_has_the_four_plain_cheats_in_turn() -> None:
    found = count(60, 0.1)
    assert found == {Kind.HUMAN: 51, Kind.FLAKY: 3, Kind.AIMBOT: 2, Kind.HOMING: 2, Kind.TRIGGERBOT: 1, Kind.SPEEDHACK: 1}
    assert Kind.RECORDINGS in CHEATS
    assert Kind.RECORDINGS not in IN_TURN


def test_every_kind_that_was_asked_for_is_there_by_its_weight() -> None:
    assert {kind: number for kind, number in count(60, 0.1, {"homing": 2, "recordings": 1}).items() if kind in CHEATS} == {
        Kind.HOMING: 4,
        Kind.RECORDINGS: 2,
    }
    every = count(50, 0.1, dict.fromkeys(CHEATS, 1.0))
    assert all(every[kind] == 1 for kind in CHEATS)
    assert sum(number for kind, number in count(100, 0.07, {"aimbot": 1, "homing": 1, "recordings": 1}).items() if kind in CHEATS) == 7
    assert count(10, 0.2, {"aimbot": 0, "recordings": 3})[Kind.RECORDINGS] == 2


@pytest.mark.parametrize("cheats", [{"wallhack": 1.0}, {"human": 1.0}, {"aimbot": 0.0}, {"aimbot": float("nan")}])
def test_other_kinds_and_weights_are_refused(cheats: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="cheats"):
        count(10, 0.5, cheats)


def test_the_command_line_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert settings(parser().parse_args(["--cheats", "homing:2,recordings"])).cheats == {"homing": 2.0, "recordings": 1.0}
    with pytest.raises(ConfigError, match=r"kinds are aimbot, .*recordings"):
        settings(parser().parse_args(["--cheats", "wallhack"]))
    assert main(["--cheats", "homing:x"]) == 2
    assert "cheats 'homing:x': 'homing:x' is not name or name:weight" in capsys.readouterr().err


def test_a_player_of_recordings_has_the_same_few_in_all_matches_and_others_have_others() -> None:
    rng = np.random.default_rng(1)
    person = Person.draw(rng)
    plans = [
        brain.plan for recorded in (7, 7, 8) if isinstance(brain := brain_for(Kind.RECORDINGS, 0, person, rng, recorded=recorded), Machine)
    ]
    tapes = [tape(plan.recorded, plan.recordings, plan.slow) for plan in plans]
    assert [len(movements) for movements in tapes] == [RECORDED] * 3
    assert tapes[0] == tapes[1] != tapes[2]
