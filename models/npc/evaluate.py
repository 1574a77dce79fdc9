"""Measure the shipped NPC: `python -m models.npc evaluate [--json]`. Writes results.json and the pictures beside this file.

Everything is played with the artifact's own weights and levels, in numpy, on seeds that neither training nor calibration used.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

from gameedge.core.anticheat.watch import Watch
from gameedge.core.npc.style import LEVEL_MAX, STYLE_COUNT, STYLES
from gameedge.inference.artifacts import load, load_aim
from gameedge.inference.backends.npc_policy import NpcPolicy
from loadtest.bots.kinds import Kind
from models.aim.arena import play as play_bots
from models.npc import human, pictures, styles
from models.npc.build import LABELS, REFERENCE
from models.npc.matches import duels, network

HERE: Final = Path(__file__).resolve().parent
SEED: Final = 900_001
ELO: Final = 400.0


def elo(share: float) -> float:
    """The rating difference that gives this share of points."""
    return float(ELO * np.log10(max(share, 1e-3) / max(1.0 - share, 1e-3)))


def by_level(weights: list[Any], table: Any, matches: int) -> tuple[dict[str, Any], Any]:
    """Each level on fresh duels, all styles alike; and the share by style and level, [STYLE_COUNT, LEVEL_MAX]."""
    style = np.tile(np.arange(STYLE_COUNT).repeat(2), -(-matches // (2 * STYLE_COUNT)))[:matches]
    handicap = np.concatenate([table[style, level] for level in range(LEVEL_MAX)])
    kinds = np.tile(style, LEVEL_MAX)
    level = np.repeat(np.arange(LEVEL_MAX), matches)
    order = np.random.default_rng(SEED).permutation(len(handicap))
    points = np.zeros(len(handicap))
    points[order] = duels(network(weights), handicap[order], kinds[order].tolist(), seed=SEED, level=REFERENCE)[:, 0]
    won = np.array([points[level == k].mean() for k in range(LEVEL_MAX)])
    each = np.array([[points[(level == k) & (kinds == s)].mean() for k in range(LEVEL_MAX)] for s in range(STYLE_COUNT)])
    found = {
        "matches_each": matches,
        "label": LABELS.round(4).tolist(),
        "won": won.round(4).tolist(),
        "off_label_max_points": float(np.abs(won - LABELS).max() * 100),
        "monotone": bool((np.diff(won) > 0).all()),
    }
    return found, each


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
    n2 = max(n // 2, 1)
    every = np.tile(np.arange(STYLE_COUNT).repeat(2), -(-n2 // (2 * STYLE_COUNT)))[:n2].tolist()
    best = np.zeros(n2, np.float32)
    found: dict[str, Any] = {"artifact": artifact.id}
    say("best play against the script")
    found["best"] = {f"wins_level_{k}": float(duels(think, best, every, seed=SEED + k, level=k)[:, 0].mean()) for k in (5, 10)}
    say("levels")
    found["levels"], each = by_level(weights, table, n)
    say("delay and loss")
    base = table[every, 9]
    shares = {f"{d}_ticks_{loss:.2f}_loss": float(duels(think, base, every, seed=SEED + 20, delay_ticks=d, loss=loss)[:, 0].mean())
              for d, loss in ((0, 0.0), (1, 0.05), (3, 0.05), (6, 0.05))}  # fmt: skip
    found["delay"] = shares | {"points_lost_one_tick": 100 * (shares["0_ticks_0.00_loss"] - shares["1_ticks_0.05_loss"])}
    say("styles")
    first, second = (styles.watch(think, float(table[:, 6].mean()), matches=160, seed=SEED + s) for s in (30, 31))
    alone, _ = styles.classify(first, second, team=False)
    squad, confusion = styles.classify(first, second, team=True)
    middle = [elo(float(share)) for share in each[:, 4:7].mean(axis=1)]
    found["styles"] = {
        "named_rightly_squad": squad,
        "named_rightly_one_npc": alone,
        "confusion_squad": confusion.round(3).tolist(),
        "elo_from_mean_levels_5_to_7": {s: round(e - float(np.mean(middle)), 1) for s, e in zip(STYLES, middle, strict=True)},
        "elo_spread": round(max(middle) - min(middle), 1),
    }
    say("anti-cheat")
    seen = human.judged(64, lambda see: human.play(npc, 64, 120.0, SEED, see), Watch(64, load_aim()))
    bots = human.judged(64, lambda see: play_bots([Kind.HUMAN] * 64, 120.0, SEED, see), Watch(128, load_aim()))
    found["human"] = {"npcs": seen, "human_like_bots": bots, "minutes_each": 2.0}
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
