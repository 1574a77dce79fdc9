"""Train the aim model: `python -m models.aim.train`. numpy only, seconds on a CPU, the same file every time.

An additive model is convex: Newton's method ends in the same place whatever the machine's rounding, and the weights are rounded
to three decimals before they are saved, so that the artifact and its hash can be reproduced.
"""

import argparse
from pathlib import Path
from time import perf_counter

import numpy as np
import safetensors.numpy

from gameedge.core.anticheat import aim
from gameedge.inference.artifacts import file_name
from models.aim.simulate import RADIUS, Shots, everyone

WEIGHTS = Path(__file__).resolve().parent.parent / "weights"
SEED = 20_260
ENGAGEMENTS = 9_000
RIDGE = 2e-3
SMOOTH = 5e-3  # on the difference of neighbouring knots: curves without kinks where data are thin
NULL_MARGIN = 0.05


def features_of(shots: Shots) -> np.ndarray:
    return aim.features(shots.path, shots.visible_ms, shots.on_target_ms, shots.distance, shots.hit, RADIUS)


def choose_knots(found: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Quantiles of people and cheats alike; strictly rising."""
    shares = np.linspace(0.01, 0.99, aim.KNOTS)
    people, cheats = found[label == aim.HUMAN], found[label != aim.HUMAN]
    knots = 0.5 * (np.quantile(people, shares, axis=0) + np.quantile(cheats, shares, axis=0)).T
    least = np.maximum(0.02, 0.05 * (knots[:, -1:] - knots[:, :1]))
    for k in range(1, aim.KNOTS):
        knots[:, k] = np.maximum(knots[:, k], knots[:, k - 1] + least[:, 0])
    return np.round(knots, 3).astype(np.float32)


def penalty() -> np.ndarray:
    """The quadratic penalty on one class's weights, [D + 1, D + 1]; the bias is free but for a trace."""
    k = aim.KNOTS
    difference = np.diff(np.eye(k), axis=0)
    block = RIDGE * np.eye(k) + SMOOTH * difference.T @ difference
    whole = np.zeros((aim.COUNT * k + 1,) * 2)
    for i in range(aim.COUNT):
        whole[i * k : (i + 1) * k, i * k : (i + 1) * k] = block
    whole[-1, -1] = 1e-6
    return whole


def fit(x: np.ndarray, label: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Softmax regression by Newton's method, the human class fixed at zero. x: [N, D + 1]; answer: [D + 1, classes]."""
    classes, d = len(aim.CLASSES), x.shape[1]
    theta = np.zeros((d, classes))
    wanted = np.eye(classes)[label]
    lasting = penalty()
    for step in range(40):
        logits = x @ theta
        logits -= logits.max(axis=1, keepdims=True)
        share = np.exp(logits)
        share /= share.sum(axis=1, keepdims=True)
        gradient = x.T @ (weight[:, None] * (share - wanted)) + lasting @ theta
        size = (classes - 1) * d
        hessian = np.zeros((size, size))
        for a in range(1, classes):
            for b in range(a, classes):
                w = weight * share[:, a] * ((a == b) - share[:, b])
                block = x.T @ (w[:, None] * x) + (lasting if a == b else 0.0)
                hessian[(a - 1) * d : a * d, (b - 1) * d : b * d] = block
                hessian[(b - 1) * d : b * d, (a - 1) * d : a * d] = block.T
        change = np.linalg.solve(hessian, gradient[:, 1:].T.reshape(-1)).reshape(classes - 1, d).T
        theta[:, 1:] -= change * min(1.0, 4.0 / np.abs(change).max())
        if np.abs(change).max() < 1e-7:
            break
    print(f"newton: {step + 1} steps, last change {np.abs(change).max():.1e}")
    return theta


def train(seed: int = SEED) -> dict[str, np.ndarray]:
    shots = everyone(seed, ENGAGEMENTS)
    found = features_of(shots)
    good = np.isfinite(found).all(axis=1)
    found, label, who = found[good], shots.label[good], shots.who[good]
    knots = choose_knots(found, label)
    x = aim.basis(found, knots).reshape(len(found), -1)
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    counts = np.bincount(label, minlength=len(aim.CLASSES))
    prior = np.array([0.7, 0.1, 0.1, 0.1])
    weight = (prior / counts)[label]
    theta = fit(x, label, weight)
    shape = (aim.COUNT, aim.KNOTS, len(aim.CLASSES))
    tensors = {
        "knots": knots,
        "curves": np.round(theta[:-1].reshape(shape), 3).astype(np.float32),
        "bias": np.round(theta[-1], 3).astype(np.float32),
        "null": np.full(2, 0.5, np.float32),
    }
    tensors["null"] = null(tensors)
    print(f"{len(found)} shots of {len(np.unique(who))} shooters, null {tensors['null']}")
    return tensors


def null(tensors: dict[str, np.ndarray]) -> np.ndarray:
    """The mean score that hardly any person exceeds: the 99.5 % quantile over people that training did not see, and a margin."""
    from gameedge.core.anticheat.watch import rule_scores

    people = everyone(SEED + 1, ENGAGEMENTS)
    people = people.take(np.flatnonzero(people.label == aim.HUMAN))
    model = aim.AimModel.from_tensors("aim-new", tensors)
    scores = model.score(people.path, people.visible_ms, people.on_target_ms, people.distance, people.hit, RADIUS)
    value = rule_scores(scores, people.on_target_ms, people.hit)
    _, index, count = np.unique(people.who, return_inverse=True, return_counts=True)
    means = np.stack([np.bincount(index, value[:, r]) / count for r in range(2)], 1)[count >= 10]
    return np.round(np.quantile(means, 0.995, axis=0) + NULL_MARGIN, 2).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder; older weights of the same name are removed")
    out = parser.parse_args().out
    began = perf_counter()
    tensors = train()
    metadata = {
        "kind": aim.KIND,
        "version": str(aim.FEATURE_VERSION),
        "features": ",".join(aim.NAMES),
        "classes": ",".join(aim.CLASSES),
        "seed": str(SEED),
    }
    # Contiguous: safetensors writes the memory as it lies.
    data = safetensors.numpy.save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, metadata)
    out.mkdir(parents=True, exist_ok=True)
    path = out / file_name("aim", data)
    for old in out.glob("aim-*.safetensors"):
        if old != path:
            old.unlink()
    path.write_bytes(data)
    print(f"{path.name}: {len(data)} bytes in {perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
