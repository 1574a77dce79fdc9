"""From a checkpoint to an artifact: set the handicap of every level and style by duels, and write the weights with the table."""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
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

WEIGHTS: Final = Path(__file__).resolve().parent.parent / "weights"
LABELS: Final = np.linspace(0.10, 0.95, LEVEL_MAX)  # the share of duels that each level wins against the script at REFERENCE
REFERENCE: Final = 5
GRID: Final = np.array([0.0, 0.04, 0.08, 0.13, 0.18, 0.24, 0.31, 0.39, 0.48, 0.6, 0.75], np.float32)
DEGREE: Final = 4  # of the polynomial in sqrt(handicap) that the log odds follow


def levels(weights: Sequence[NDArray[np.float32]], *, matches: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Handicaps [STYLE_COUNT, LEVEL_MAX], and the measured points [STYLE_COUNT, len(GRID)], `matches` each.

    Log odds of winning are fitted by weighted least squares with a polynomial common to all styles and, of each style, an
    offset and a slope; then inverted where it falls.
    """
    handicap = np.repeat(np.tile(GRID, STYLE_COUNT), matches)
    styles = np.repeat(np.arange(STYLE_COUNT), len(GRID) * matches)
    order = np.random.default_rng(seed).permutation(len(handicap))  # every batch holds every kind: none runs long alone
    points = np.zeros(len(handicap), np.float64)
    points[order] = duels(network(weights), handicap[order], styles[order].tolist(), seed=seed, level=REFERENCE)[:, 0]
    measured = points.reshape(STYLE_COUNT, len(GRID), matches).mean(axis=2)
    share = (measured * matches + 0.5) / (matches + 1.0)
    odds, weight = np.log(share / (1 - share)), np.sqrt(share * (1 - share))
    basis = np.stack([np.sqrt(GRID) ** k for k in range(DEGREE + 1)], axis=1)
    rows, wanted = [], []
    for style in range(STYLE_COUNT):
        own = np.zeros((len(GRID), 2 * STYLE_COUNT))
        own[:, 2 * style], own[:, 2 * style + 1] = 0.05, 0.05 * np.sqrt(GRID)  # small columns: ridge keeps them modest
        rows.append(np.concatenate([basis, own], axis=1) * weight[style][:, None])
        wanted.append(odds[style] * weight[style])
    a, b = np.concatenate(rows), np.concatenate(wanted)
    ridge = 1e-4 * np.eye(a.shape[1])
    solution = np.linalg.solve(a.T @ a + ridge, a.T @ b)
    fine = np.linspace(0.0, float(GRID[-1]), 2_001)
    common = np.stack([np.sqrt(fine) ** k for k in range(DEGREE + 1)], axis=1) @ solution[: DEGREE + 1]
    table = np.zeros((STYLE_COUNT, LEVEL_MAX), np.float32)
    target = np.log(LABELS / (1 - LABELS))
    for style in range(STYLE_COUNT):
        offset, slope = solution[DEGREE + 1 + 2 * style : DEGREE + 3 + 2 * style]
        curve = np.minimum.accumulate(common + 0.05 * offset + 0.05 * slope * np.sqrt(fine))  # falls with the handicap
        table[style] = fine[[int(np.argmax(curve <= t)) if (curve <= t).any() else len(fine) - 1 for t in target]]
    return table, measured


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
    parser.add_argument("--matches", type=int, default=320, help=f"duels of each of {STYLE_COUNT * len(GRID)} points")
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args(arguments)
    tensors = safetensors.numpy.load_file(options.checkpoint)
    with safetensors.safe_open(options.checkpoint, "np") as file:
        metadata = file.metadata()
    weights = served(tensors)
    table, measured = levels(weights, matches=options.matches, seed=options.seed)
    facts = {"curve": metadata["curve"], "settings": metadata["settings"], "counters": metadata["counters"]}
    path = write(artifact(weights, table, facts))
    sys.stderr.write(f"share won by style and handicap:\n{measured.round(3)}\nwrote {path.name}\n")
    return 0


def served(tensors: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """A checkpoint's weights as serving wants them: [in, out], without the value."""
    weights: list[NDArray[np.float32]] = []
    for layer in ("w0", "w1", "w2"):
        weights += [tensors[f"net.{layer}.weight"].T, tensors[f"net.{layer}.bias"]]
    weights[4], weights[5] = weights[4][:, :LOGITS], weights[5][:LOGITS]
    return [np.ascontiguousarray(w) for w in weights]
