"""Measure the shipped NPC: `python -m models.npc evaluate [--json]`. Writes results.json and the pictures beside this file.

Everything is played with the artifact's own weights and levels, in numpy, on seeds that neither training nor calibration used.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

from gameedge.core.npc.style import LEVEL_MAX, STYLE_COUNT, STYLES
from gameedge.inference.artifacts import Artifact, load, load_aim
from gameedge.inference.backends.npc_policy import NpcPolicy
from models.anticheat.arena import Who
from models.anticheat.arena import play as play_bots
from models.npc import coop, human, pictures, styles
from models.npc.build import LABELS, REFERENCE
from models.npc.matches import duels, network

HERE: Final = Path(__file__).resolve().parent
PICTURES: Final = HERE / "pictures"
RESULTS: Final = HERE / "results.json"
PARTS: Final = ("best", "levels", "delay", "styles", "coop", "human")
SEED: Final = 900_001
ELO: Final = 400.0


def by_level(weights: list[Any], table: Any, matches: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Each level on fresh duels, all styles alike; and the strength of the styles on the same duels."""
    style = np.tile(np.arange(STYLE_COUNT).repeat(2), -(-matches // (2 * STYLE_COUNT)))[:matches]
    handicap = np.concatenate([table[style, level] for level in range(LEVEL_MAX)])
    kinds = np.tile(style, LEVEL_MAX)
    level = np.repeat(np.arange(LEVEL_MAX), matches)
    order = np.random.default_rng(SEED).permutation(len(handicap))
    points = np.zeros(len(handicap))
    points[order] = duels(network(weights), handicap[order], kinds[order].tolist(), seed=SEED, level=REFERENCE)[:, 0]
    won = np.array([points[level == k].mean() for k in range(LEVEL_MAX)])
    found = {
        "matches_each": matches,
        "label": LABELS.round(4).tolist(),
        "won": won.round(4).tolist(),
        "half_width_95": (1.96 * np.sqrt(won * (1 - won) / matches)).round(4).tolist(),
        "off_label_max_points": round(float(np.abs(won - LABELS).max() * 100), 2),
        "off_label_mean_points": round(float(np.abs(won - LABELS).mean() * 100), 2),
        "monotone": bool((np.diff(won) > 0).all()),
    }
    return found, strength(points, won[level], kinds)


def strength(points: Any, expected: Any, kinds: Any) -> dict[str, Any]:
    """Each style's rating above the mean at the same level, over all levels: the offset in log odds that explains its points."""
    expected = np.clip(expected, 0.005, 0.995)
    base = np.log(expected / (1.0 - expected))
    ratings, errors = [], []
    for style in range(STYLE_COUNT):
        own, offset = kinds == style, 0.0
        for _ in range(20):
            share = 1.0 / (1.0 + np.exp(-(base[own] + offset)))
            offset += float((points[own] - share).sum() / (share * (1.0 - share)).sum())
        ratings.append(offset * ELO / np.log(10.0))
        errors.append(ELO / np.log(10.0) / np.sqrt(float((share * (1.0 - share)).sum())))
    middle = float(np.mean(ratings))
    return {
        "elo_from_mean": {name: round(r - middle, 1) for name, r in zip(STYLES, ratings, strict=True)},
        "elo_standard_error": round(float(np.mean(errors)), 1),
        "elo_spread": round(max(ratings) - min(ratings), 1),
    }


def judged(npc: NpcPolicy, players: int, seconds: float) -> dict[str, Any]:
    """NPCs and human-like bots, in free for all, through the anti-cheat."""
    model = load_aim()
    npcs, bots = human.Judge(players, model), human.Judge(players + 8, model)
    human.play(npc, players, seconds, SEED, npcs)
    play_bots([Who("human", SEED + k, rtt_ticks=0, loss=0.0) for k in range(players)], seconds, SEED, bots)
    return {
        "aim_model": model.id,
        "seconds_each": seconds,
        "npcs": npcs.found(players),
        "human_like_bots": bots.found(players),
        **human.told_apart(npcs, bots),
    }


class Evaluation:
    """The parts of an evaluation, each a method that returns what it found. `each`: duels of a level or condition."""

    def __init__(self, artifact: Artifact, each: int) -> None:
        self.artifact, self.npc = artifact, NpcPolicy.from_artifact(artifact)
        self.weights = [artifact.tensors[name] for name in ("w0", "b0", "w1", "b1", "w2", "b2")]
        self.table, self.think, self.each = self.npc.levels, network(self.weights), each
        self.every = np.tile(np.arange(STYLE_COUNT).repeat(2), -(-each // (2 * STYLE_COUNT)))[:each].tolist()
        self.half = self.every[: max(each // 2, 1)]

    def best(self) -> dict[str, Any]:
        """Without any handicap, against the script at levels 5 and 10, all styles alike."""
        who = ((5, self.every), (10, self.half))
        won = {k: duels(self.think, np.zeros(len(kinds), np.float32), kinds, seed=SEED + k, level=k)[:, 0].mean() for k, kinds in who}
        return {f"wins_level_{k}": round(float(share), 4) for k, share in won.items()}

    def levels(self) -> dict[str, Any]:
        found, strong = by_level(self.weights, self.table, self.each)
        return found | {"styles": strong}

    def delay(self) -> dict[str, Any]:
        """Level 10 with decisions that come later, and with lost ones."""
        found, handicap = {}, self.table[self.half, 9]
        for ticks, loss in ((0, 0.0), (1, 0.05), (3, 0.05), (6, 0.05)):
            points = duels(self.think, handicap, self.half, seed=SEED + 20, delay_ticks=ticks, loss=loss)[:, 0]
            found[f"{ticks}_ticks_{loss:.2f}_loss"] = round(float(points.mean()), 4)
        return found | {"points_lost_one_tick": round(100 * (found["0_ticks_0.00_loss"] - found["1_ticks_0.05_loss"]), 2)}

    def styles(self) -> dict[str, Any]:
        """Squads of one style at level 7: told apart by a classifier. Draws the maps and ranges."""
        first, second = (styles.watch(self.think, self.table[:, 6], matches=160, seed=SEED + s) for s in (30, 31))
        alone, confusion_alone = styles.classify(first, second, team=False)
        squad, confusion = styles.classify(first, second, team=True)
        pictures.occupancy(PICTURES / "occupancy.svg", first.maps)
        pictures.ranges(PICTURES / "ranges.svg", first.ranges)
        return {
            "seconds_watched": styles.WINDOW_TICKS / 60,
            "named_rightly_squad": round(squad, 4),
            "named_rightly_one_npc": round(alone, 4),
            "confusion_squad": confusion.round(3).tolist(),
            "confusion_one_npc": confusion_alone.round(3).tolist(),
        }

    def human(self) -> dict[str, Any]:
        return judged(self.npc, 32, 60.0)

    def coop(self) -> dict[str, Any]:
        return {f"level_{k}": coop.play(self.npc, k, matches=24, seed=SEED + 40) for k in (2, 5, 9)}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.npc evaluate", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the results as one JSON object")
    parser.add_argument("--matches", type=int, default=2_048, help="duels of each level and condition")
    parser.add_argument("--artifact", default="npc")
    parser.add_argument("--parts", nargs="*", default=PARTS, choices=PARTS, help="what to measure anew; the rest stays as it was written")
    options = parser.parse_args(arguments)
    artifact = load(options.artifact)
    evaluation = Evaluation(artifact, options.matches)
    PICTURES.mkdir(exist_ok=True)
    found: dict[str, Any] = {"artifact": artifact.id, "training": json.loads(artifact.metadata.get("counters", "{}"))}
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if before.get("artifact") == artifact.id:
        found = before
    for part in options.parts:
        sys.stderr.write(f"npc evaluate: {part}\n")
        found[part] = getattr(evaluation, part)()
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    if "levels" in found:
        pictures.levels(PICTURES / "levels.svg", found["levels"]["label"], found["levels"]["won"])
    if "curve" in artifact.metadata:
        pictures.learning(PICTURES / "learning.svg", json.loads(artifact.metadata["curve"]))
    if options.json:
        sys.stdout.write(json.dumps(found) + "\n")
    return 0
