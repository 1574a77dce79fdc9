"""`python -m models.ratings.evaluate GAMES.csv`: how well ratings predict who wins, in time order; writes results.json beside this.

GAMES.csv has the columns end_time (month/day/year hour:minute:second), player1, player2, score1 and score2. Every game is predicted
before it is learned from. What each system leaves open is chosen on the first half of the games by log-loss; the second half is
scored. Log-loss in nats (0.693: a coin); calibration error: the mean distance of predicted and seen shares over ten equal groups.
"""

import csv
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from models.ratings.systems import Coin, Elo, Glicko2, Ours, System, TrueSkill

HERE: Final = Path(__file__).parent
SYSTEMS: Final[dict[str, list[tuple[str, Callable[[], System]]]]] = {
    "coin": [("", Coin)],
    "Elo": [(f"k {k}", lambda k=k: Elo(k)) for k in (16, 32, 64, 128)],  # type: ignore[misc]
    "Glicko-2": [(f"deviation {d}", lambda d=d: Glicko2(d)) for d in (150, 250, 350)],  # type: ignore[misc]
    "TrueSkill": [(f"beta {b:.2f}", lambda b=b: TrueSkill(b)) for b in (25 / 12, 25 / 6, 25 / 3)],  # type: ignore[misc]
    "ours (openskill), as it is": [("", Ours)],
    "ours (openskill), sharpened": [(f"sharp {s}", lambda s=s: Ours(s)) for s in (1.0, 1.4, 1.7, 2.0, 2.5)],  # type: ignore[misc]
}
GROUPS: Final = 10


@dataclass(frozen=True, slots=True)
class Game:
    at: datetime
    players: tuple[str, str]
    score: float  # of the first


def read(path: Path) -> list[Game]:
    """In time order. Raises ValueError for a file of another form."""
    games = []
    with path.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            try:
                one, other = int(line["score1"]), int(line["score2"])
                at = datetime.strptime(line["end_time"], "%m/%d/%Y %H:%M:%S")  # noqa: DTZ007 - the file names no zone
                players = line["player1"], line["player2"]
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path.name}: {line}: {error}") from error
            games.append(Game(at, players, 0.5 if one == other else float(one > other)))
    return sorted(games, key=lambda game: game.at)


def predictions(system: System, games: Sequence[Game]) -> list[float]:
    said = []
    for game in games:
        said.append(system.predict(*game.players))
        system.update(*game.players, game.score)
    return said


def log_loss(said: Sequence[float], games: Sequence[Game]) -> float:
    def one(p: float, score: float) -> float:
        p = min(max(p, 1e-9), 1 - 1e-9)
        return -(score * math.log(p) + (1 - score) * math.log(1 - p))

    return sum(one(p, game.score) for p, game in zip(said, games, strict=True)) / len(games)


def calibration(said: Sequence[float], games: Sequence[Game]) -> float:
    """Each game from both sides: the same whoever is named first."""
    sides = [side for p, game in zip(said, games, strict=True) for side in ((p, game.score), (1 - p, 1 - game.score))]
    pairs = sorted(sides, key=lambda side: side[0])
    groups = [pairs[i * len(pairs) // GROUPS : (i + 1) * len(pairs) // GROUPS] for i in range(GROUPS)]
    return sum(abs(sum(p for p, _ in group) - sum(won for _, won in group)) for group in groups) / len(pairs)


def _right(said: float, score: float) -> float:
    """Half a point where nobody was favoured or nobody won."""
    return 0.5 if 0.5 in (said, score) else float((said > 0.5) == (score > 0.5))


def evaluate(games: Sequence[Game]) -> dict[str, dict[str, float | str]]:
    half = len(games) // 2
    played: dict[str, int] = {}
    known = []  # both have played five games before
    for game in games:
        known.append(all(played.get(name, 0) >= 5 for name in game.players))
        for name in game.players:
            played[name] = played.get(name, 0) + 1
    table: dict[str, dict[str, float | str]] = {}
    for name, choices in SYSTEMS.items():
        tried = [(predictions(make(), games), label) for label, make in choices]
        said, label = min(tried, key=lambda found: log_loss(found[0][:half], games[:half]))
        late, rest = said[half:], games[half:]
        among = [(p, game) for p, game, both in zip(late, rest, known[half:], strict=True) if both]
        table[name] = {
            "chosen": label,
            "log_loss": round(log_loss(late, rest), 4),
            "log_loss_known": round(log_loss([p for p, _ in among], [game for _, game in among]), 4),
            "calibration_error": round(calibration(late, rest), 4),
            "right": round(sum(_right(p, game.score) for p, game in zip(late, rest, strict=True)) / len(rest), 4),
        }
    return table


def main(argv: Sequence[str]) -> int:
    if len(argv) != 1:
        sys.stderr.write("usage: python -m models.ratings.evaluate GAMES.csv\n")
        return 2
    games = read(Path(argv[0]))
    half = len(games) // 2
    players = {player for game in games for player in game.players}
    table = evaluate(games)
    found = {"games": len(games), "scored": len(games) - half, "players": len(players), "systems": table}
    (HERE / "results.json").write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    for name, row in table.items():
        print(f"{name:28} {row}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
