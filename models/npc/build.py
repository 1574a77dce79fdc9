"""From a checkpoint to an artifact: set the handicap of every level and style by duels, and write the weights with the table."""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from gameedge.core.npc.policy import LOGITS
from gameedge.core.npc.style import LEVEL_MAX, STYLE_COUNT
from gameedge.inference.backends import npc_policy
from models.npc.matches import duels, network

Floats = NDArray[np.float32]

WEIGHTS: Final = Path(__file__).resolve().parent.parent / "weights"
LABELS: Final = np.linspace(0.10, 0.95, LEVEL_MAX)  # the share of duels that each level wins against the script at REFERENCE
REFERENCE: Final = 5
GRID: Final = np.array([0.0, 0.04, 0.09, 0.16, 0.26, 0.4, 0.58, 0.8], np.float32)
HANDICAP_MAX: Final = 1.0
DEGREE: Final = 3  # of the polynomial in sqrt(handicap) that the log odds follow
OWN_DEGREE: Final = 1  # and of what each style differs by
RIDGE: Final = np.array([3.0, 10.0])  # pulls a style's own coefficients to none: an offset, a slope


@dataclass
class Duels:
    """What was played: style and handicap of each duel, and its points (1 won, 0.5 drawn)."""

    styles: NDArray[np.int64]
    handicap: Floats
    points: NDArray[np.float64]

    def __add__(self, other: "Duels") -> "Duels":
        parts = ((getattr(self, k), getattr(other, k)) for k in ("styles", "handicap", "points"))
        return Duels(*(np.concatenate(both) for both in parts))


def played(weights: Sequence[Floats], table: Floats, matches: int, seed: int) -> Duels:
    """`matches` duels at each of table [STYLE_COUNT, points] against the script at REFERENCE."""
    handicap = np.repeat(table.ravel(), matches).astype(np.float32)
    styles = np.repeat(np.arange(STYLE_COUNT), table.shape[1] * matches)
    order = np.random.default_rng(seed).permutation(len(handicap))  # every batch holds every kind: none runs long alone
    points = np.zeros(len(handicap), np.float64)
    points[order] = duels(network(weights), handicap[order], styles[order].tolist(), seed=seed, level=REFERENCE)[:, 0]
    return Duels(styles, handicap, points)


def basis(styles: NDArray[np.int64], handicap: Floats) -> NDArray[np.float64]:
    """Columns of the fit: powers of sqrt(handicap) common to all, and of each style's own."""
    root = np.sqrt(np.maximum(handicap.astype(np.float64), 0.0))
    common = np.stack([root**k for k in range(DEGREE + 1)], axis=1)
    own = np.zeros((len(root), STYLE_COUNT, OWN_DEGREE + 1))
    for k in range(OWN_DEGREE + 1):
        own[np.arange(len(root)), styles, k] = root**k
    return np.concatenate([common, own.reshape(len(root), -1)], axis=1)


def fit(seen: Duels) -> NDArray[np.float64]:
    """Logistic regression of the points on `basis`, by Newton's method; ridge on what styles have of their own."""
    x = basis(seen.styles, seen.handicap)
    ridge = np.concatenate([np.full(DEGREE + 1, 1e-3), np.tile(RIDGE, STYLE_COUNT)])
    solution = np.zeros(x.shape[1])
    for _ in range(30):
        share = 1.0 / (1.0 + np.exp(-np.clip(x @ solution, -12.0, 12.0)))
        slope = x.T @ (seen.points - share) - ridge * solution
        step = np.linalg.solve((x * (share * (1.0 - share))[:, None]).T @ x + np.diag(ridge), slope)
        solution += step * min(1.0, 4.0 / max(float(np.abs(step).max()), 1e-9))
    return solution


def inverted(solution: NDArray[np.float64], shift: NDArray[np.float64]) -> Floats:
    """The handicap at which the fitted share falls to each label, [STYLE_COUNT, LEVEL_MAX]; shift: added to the log odds."""
    fine = np.linspace(0.0, HANDICAP_MAX, 4_001, dtype=np.float32)
    target = np.log(LABELS / (1 - LABELS)) - shift
    table = np.zeros((STYLE_COUNT, LEVEL_MAX), np.float32)
    for style in range(STYLE_COUNT):
        curve = np.minimum.accumulate(basis(np.full(len(fine), style), fine) @ solution)  # falls with the handicap
        table[style] = fine[[int(np.argmax(curve <= t)) if (curve <= t).any() else len(fine) - 1 for t in target]]
    return table


def levels(weights: Sequence[Floats], *, matches: int, seed: int) -> tuple[Floats, NDArray[np.float64]]:
    """Handicaps [STYLE_COUNT, LEVEL_MAX], and what each level's duels were won by in the last round [LEVEL_MAX].

    Two rounds: a coarse grid, a quarter of `matches` a point, then `matches` at each style's guess of each level. The fit of both
    together is inverted, and what it misses of each level over all styles is put right.
    """
    coarse = played(weights, np.tile(GRID, (STYLE_COUNT, 1)), max(matches // 4, 1), seed)
    table = inverted(fit(coarse), np.zeros(LEVEL_MAX))
    near = played(weights, table, matches, seed + 1)
    solution = fit(coarse + near)
    fitted = 1.0 / (1.0 + np.exp(-(basis(near.styles, near.handicap) @ solution)))
    won = near.points.reshape(STYLE_COUNT, LEVEL_MAX, matches).mean(axis=(0, 2))
    share = fitted.reshape(STYLE_COUNT, LEVEL_MAX, matches).mean(axis=(0, 2))
    return inverted(solution, logit(won) - logit(share)), won


def logit(share: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.clip(share, 1e-3, 1 - 1e-3)
    return np.log(inside / (1 - inside))


def artifact(weights: Sequence[NDArray[np.float32]], table: NDArray[np.float32], facts: dict[str, str]) -> bytes:
    """The file's bytes."""
    tensors = {name: np.ascontiguousarray(w, np.float32) for name, w in zip(("w0", "b0", "w1", "b1", "w2", "b2"), weights, strict=True)}
    text = json.dumps([[round(float(h), 4) for h in row] for row in table])
    return safetensors.numpy.save(tensors, npc_policy.metadata() | {"levels": text} | facts)


def write(data: bytes, folder: Path = WEIGHTS) -> Path:
    """Put an artifact into the folder in place of the NPC artifact before it."""
    path = folder / f"npc-{hashlib.sha256(data).hexdigest()[:12]}.safetensors"
    for old in folder.glob("npc-*.safetensors"):
        old.unlink()
    path.write_bytes(data)
    return path


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.npc build", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=Path(__file__).resolve().parent / "checkpoints" / "npc.safetensors")
    parser.add_argument("--matches", type=int, default=120, help="duels of each style and level")
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args(arguments)
    tensors = safetensors.numpy.load_file(options.checkpoint)
    with safetensors.safe_open(options.checkpoint, "np") as file:
        metadata = file.metadata()
    weights = served(tensors)
    table, won = levels(weights, matches=options.matches, seed=options.seed)
    facts = {"curve": metadata["curve"], "settings": metadata["settings"], "counters": metadata["counters"]}
    path = write(artifact(weights, table, facts))
    sys.stderr.write(f"handicaps:\n{table.round(3)}\nwon by level before the last correction: {won.round(3)}\nwrote {path.name}\n")
    return 0


def served(tensors: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """A checkpoint's weights as serving wants them: [in, out], without the value."""
    weights: list[Floats] = []
    for layer in ("w0", "w1", "w2"):
        weights += [tensors[f"net.{layer}.weight"].T, tensors[f"net.{layer}.bias"]]
    weights[4], weights[5] = weights[4][:, :LOGITS], weights[5][:LOGITS]
    return [np.ascontiguousarray(w) for w in weights]
