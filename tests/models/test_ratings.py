"""Ratings against known truth, and, where the recorded games are at hand, against what other systems make of them."""

import json
import math
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gameedge.core.ids import PlayerId
from models.ratings import evaluate
from models.ratings.systems import Coin, Elo, Glicko2, Ours, System, TrueSkill

GAMES = Path(os.environ.get("GAMEEDGE_DATA", Path(__file__).parents[3] / "shared" / "data")) / "ratings" / "head_to_head_games.csv"


def season(players: int = 60, games: int = 3_000, seed: int = 7) -> list[evaluate.Game]:
    """Games of players whose strength is known: logistic, deviation 1."""
    rng = random.Random(seed)
    strength = [rng.gauss(0, 1) for _ in range(players)]
    made, start = [], datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(games):
        a, b = rng.sample(range(players), 2)
        won = rng.random() < 1 / (1 + math.exp(strength[b] - strength[a]))
        made.append(evaluate.Game(start + timedelta(minutes=number), (f"p{a}", f"p{b}"), float(won)))
    return made


@pytest.mark.parametrize("system", [Ours(), Elo(), Glicko2(), TrueSkill()], ids=lambda system: type(system).__name__)
def test_each_learns_who_is_stronger(system: System) -> None:
    games = season()
    said = evaluate.predictions(system, games)
    assert evaluate.log_loss(said[1_500:], games[1_500:]) < 0.66
    assert evaluate.calibration(said[1_500:], games[1_500:]) < 0.08


def test_a_coin_knows_nothing_and_says_so() -> None:
    games = season(games=200)
    said = evaluate.predictions(Coin(), games)
    assert evaluate.log_loss(said, games) == pytest.approx(math.log(2))
    assert evaluate.calibration(said, games) < 1e-9


def test_nobody_is_learned_from_before_they_are_predicted() -> None:
    """The first game of two newcomers is even, whatever they do later."""
    for system in (Ours(), Elo(), Glicko2(), TrueSkill()):
        assert evaluate.predictions(system, season(games=1)) == [0.5]


def test_a_newcomer_is_placed_by_few_games_and_uncertainty_moves_ratings() -> None:
    ours, new = Ours(), PlayerId("new")
    steps, before = [], 25.0
    for number in range(6):
        ours.update(new, f"old{number}", 1.0)
        steps.append(ours.ratings[new].mu - before)
        before = ours.ratings[new].mu
    assert ours.ratings[new].sigma < 0.9 * 25 / 3
    assert steps == sorted(steps, reverse=True), "who is known better, and expected to win, moves less"
    assert steps[0] > 2 * steps[-1]


def test_files_of_another_form_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "games.csv"
    file.write_text("end_time,player1,player2,score1,score2\nyesterday,a,b,1,2\n")
    with pytest.raises(ValueError, match="yesterday"):
        evaluate.read(file)
    file.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="games"):
        evaluate.read(file)


@pytest.mark.skipif(not GAMES.is_file(), reason="the recorded games are not at hand (set GAMEEDGE_DATA to the folder that has them)")
def test_the_table_is_what_the_command_writes_and_ours_is_close_to_the_best() -> None:
    table = evaluate.evaluate(evaluate.read(GAMES))
    kept = json.loads((Path(evaluate.__file__).parent / "results.json").read_text())["systems"]
    for name, row in table.items():
        assert row["log_loss"] == pytest.approx(kept[name]["log_loss"], abs=2e-3), name
    ours = float(table["ours (openskill), as it is"]["log_loss"])
    assert ours < float(table["Elo"]["log_loss"])
    assert ours < 1.02 * min(float(row["log_loss"]) for row in table.values())
