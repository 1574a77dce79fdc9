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
from gameedge.inference.artifacts import load, load_aim
from gameedge.inference.backends.npc_policy import NpcPolicy
from models.anticheat.arena import Who
from models.anticheat.arena import play as play_bots
from models.npc import coop, human, pictures, styles
from models.npc.build import LABELS, REFERENCE
from models.npc.matches import duels, network

HERE: Final = Path(__file__).resolve().parent
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
    npcs, bots = human.Judge(players, players, model), human.Judge(players, players + 8, model)
    human.play(npc, players, seconds, SEED, npcs.see)
    play_bots([Who("human", SEED + k, rtt_ticks=0, loss=0.0) for k in range(players)], seconds, SEED, bots.see)
    return {
        "aim_model": model.id,
        "seconds_each": seconds,
        "npcs": npcs.found(players),
        "human_like_bots": bots.found(players),
        **human.told_apart(npcs, bots, players),
    }


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.npc evaluate", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the results as one JSON object")
    parser.add_argument("--matches", type=int, default=2_048, help="duels of each level and condition")
    parser.add_argument("--artifact", default="npc")
    options = parser.parse_args(arguments)
    artifact = load(options.artifact)
    weights = [artifact.tensors[name] for name in ("w0", "b0", "w1", "b1", "w2", "b2")]
    npc = NpcPolicy.from_artifact(artifact)
    table, think, n = npc.levels, network(weights), options.matches
    every = np.tile(np.arange(STYLE_COUNT).repeat(2), -(-n // (2 * STYLE_COUNT)))[:n].tolist()
    half = every[: max(n // 2, 1)]
    found: dict[str, Any] = {"artifact": artifact.id, "training": json.loads(artifact.metadata.get("counters", "{}"))}
    say("best play against the script")
    found["best"] = {
        f"wins_level_{k}": round(float(duels(think, np.zeros(len(who), np.float32), who, seed=SEED + k, level=k)[:, 0].mean()), 4)
        for k, who in ((5, every), (10, half))
    }
    say("levels")
    found["levels"], strong = by_level(weights, table, n)
    say("delay and loss")
    shares = {f"{d}_ticks_{loss:.2f}_loss": float(duels(think, table[half, 9], half, seed=SEED + 20, delay_ticks=d, loss=loss)[:, 0].mean())
              for d, loss in ((0, 0.0), (1, 0.05), (3, 0.05), (6, 0.05))}  # fmt: skip
    found["delay"] = shares | {"points_lost_one_tick": round(100 * (shares["0_ticks_0.00_loss"] - shares["1_ticks_0.05_loss"]), 2)}
    say("styles")
    first, second = (styles.watch(think, table[:, 6], matches=160, seed=SEED + s) for s in (30, 31))
    alone, confusion_alone = styles.classify(first, second, team=False)
    squad, confusion = styles.classify(first, second, team=True)
    found["styles"] = {
        "seconds_watched": styles.WINDOW_TICKS / 60,
        "named_rightly_squad": round(squad, 4),
        "named_rightly_one_npc": round(alone, 4),
        "confusion_squad": confusion.round(3).tolist(),
        "confusion_one_npc": confusion_alone.round(3).tolist(),
        **strong,
    }
    say("anti-cheat")
    found["human"] = judged(npc, 64, 90.0)
    say("co-op")
    found["coop"] = {f"level_{k}": coop.play(npc, k, matches=32, seed=SEED + 40) for k in (2, 5, 9)}
    draw(found, first, artifact.metadata)
    (HERE / "results.json").write_text(json.dumps(found, indent=1) + "\n")
    if options.json:
        sys.stdout.write(json.dumps(found) + "\n")
    return 0


def draw(found: dict[str, Any], behaviour: styles.Behaviour, metadata: Any) -> None:
    """All pictures."""
    folder = HERE / "pictures"
    folder.mkdir(exist_ok=True)
    pictures.levels(folder / "levels.svg", found["levels"]["label"], found["levels"]["won"])
    pictures.occupancy(folder / "occupancy.svg", behaviour.maps)
    pictures.ranges(folder / "ranges.svg", behaviour.ranges)
    if "curve" in metadata:
        pictures.learning(folder / "learning.svg", json.loads(metadata["curve"]))


def say(text: str) -> None:
    sys.stderr.write(f"npc evaluate: {text}\n")
