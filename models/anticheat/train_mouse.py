"""Train the network of `score-aim`: `python -m models.anticheat.train_mouse`. Needs the recorded people (see real.py); numpy only.

People 1 to 48 and machines pasted onto their paths; people 49 to 72 are never looked at here. Every epoch-long set has each
person's click several times, turned, mirrored, scaled and up to 67 ms earlier, so that the network learns hands and not clicks.
"""

import argparse
from pathlib import Path
from time import perf_counter

import numpy as np
import safetensors.numpy

from gameedge.inference.artifacts import file_name
from models.anticheat import mlp, mouse, paste, real, score
from models.anticheat.train import WEIGHTS

SEED = 20_261
HIDDEN = (224, 80)
EPOCHS = 24
BATCH = 512
HUMAN_TIMES, CHEAT_TIMES = 12, 4
HUMAN_PRIOR = 0.7
LATE = 8  # fine samples that a shot may be before its click


def sources(clicks: real.Clicks, rng: np.random.Generator) -> np.ndarray:
    """Each click's path once, with lines between events or without."""
    return np.where((rng.random(len(clicks.user)) < 0.6)[:, None, None], clicks.path, clicks.held)


def earlier(paths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    late = rng.integers(0, LATE, len(paths)) * (rng.random(len(paths)) < 0.5)
    index = np.maximum(np.arange(real.FINE)[None] - late[:, None], 0)
    return paths[np.arange(len(paths))[:, None], index]


def humans(clicks: real.Clicks, hz: int, rng: np.random.Generator, *, change: bool) -> np.ndarray:
    paths = sources(clicks, rng)
    if change:
        paths = paste.turned(earlier(paths, rng), rng)
    return mouse.figures(paste.shots(paths, hz, mouse.samples_of(hz), rng), hz)


def machines(family: str, clicks: real.Clicks, hz: int, rng: np.random.Generator) -> np.ndarray:
    paths, usable = paste.paste(family, paste.turned(sources(clicks, rng), rng), rng, clicks.path)
    return mouse.figures(paste.shots(paths[usable], hz, mouse.samples_of(hz), rng), hz)


def dataset(clicks: real.Clicks, hz: int, rng: np.random.Generator, families: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    x = [humans(clicks, hz, rng, change=True) for _ in range(HUMAN_TIMES)]
    y = [np.zeros(len(part), np.int64) for part in x]
    for _ in range(CHEAT_TIMES):
        for family in families:
            part = machines(family, clicks, hz, rng)
            x.append(part)
            y.append(np.full(len(part), 1 + paste.FAMILIES.index(family)))
    return np.concatenate(x), np.concatenate(y)


def fit(clicks: real.Clicks, hz: int, families: tuple[str, ...] = paste.FAMILIES, epochs: int = EPOCHS, net: int = 0) -> mlp.Tensors:
    rng = np.random.default_rng(SEED + hz + 1_000 * net)
    x, y = dataset(clicks, hz, rng, families)
    mean, scale = mlp.standard(x)
    x -= mean
    x *= scale
    np.clip(x, -6, 6, out=x)
    count = np.maximum(np.bincount(y, minlength=1 + len(paste.FAMILIES)), 1)
    prior = np.array([HUMAN_PRIOR] + [(1 - HUMAN_PRIOR) / len(families)] * len(paste.FAMILIES))
    weight = (prior / count * len(x)).astype(np.float32)
    tensors = mlp.begin(rng, (x.shape[1], *HIDDEN, len(count)))

    def batches(_: int):  # type: ignore[no-untyped-def]
        order = rng.permutation(len(x))
        for at in range(0, len(order) - BATCH + 1, BATCH):
            rows = order[at : at + BATCH]
            yield x[rows], y[rows], weight[y[rows]]

    mlp.fit(tensors, batches, epochs, rng, rate=2e-3, decay=0.05, dropout=0.25)
    tensors |= {"mean": mean, "scale": scale}
    return {name: np.round(tensor, 4).astype(np.float32) for name, tensor in tensors.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    out = parser.parse_args().out
    began = perf_counter()
    clicks = real.clicks(real.TRAIN_USERS)
    if clicks is None:
        raise SystemExit(f"{real.FILE} is not there: the network of score-aim is trained on recorded people; set GAMEEDGE_DATA")
    tensors = {}
    for hz in mouse.RATES:
        for net in range(score.NETS[hz]):
            tensors |= {f"{name}_{hz}_{net}": tensor for name, tensor in fit(clicks, hz, net=net).items()}
        print(f"{hz} Hz after {perf_counter() - began:.0f} s", flush=True)
    metadata = {"kind": score.KIND, "version": score.VERSION, "classes": ",".join(("human", *paste.FAMILIES)), "seed": str(SEED)}
    data = safetensors.numpy.save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, metadata)
    path = out / file_name(score.NAME, data)
    for old in out.glob(f"{score.NAME}-*.safetensors"):
        old.unlink()
    path.write_bytes(data)
    print(f"{path.name}: {len(data)} bytes in {perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
