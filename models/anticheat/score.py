"""Scores of mouse paths, for anybody's paths: `python -m models.anticheat score-aim IN.npz OUT.npz`.

IN has `paths` float32 [N, T, 2] (position relative to the target in pixels, the last sample at the shot) and scalar `hz` (20, 30 or
60); OUT has `score` float32 [N], higher = less human: the log odds of a machine. One network a rate, trained on recorded people
and machines pasted onto their paths (train_mouse.py); a path shorter than a second counts as standing still before.
"""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from gameedge.core.errors import ArtifactError
from gameedge.inference.artifacts import FOLDERS, expect, load
from models.anticheat import mlp, mouse

KIND: Final = "mouse-network"
NAME: Final = "mouse"
VERSION: Final = "2"
NETS: Final = {20: 2, 30: 4, 60: 2}  # of each rate; their log odds are averaged
PARTS: Final = ("mean", "scale", "w0", "b0", "w1", "b1", "w2", "b2")
BATCH: Final = 8_192
SAMPLES_MIN: Final = 4
SAMPLES_MAX: Final = 4_096
PIXELS_MAX: Final = 1e6


class InputError(ValueError):
    """What was given cannot be scored, and what to give instead."""


def load_mouse(folders: Sequence[Path] = FOLDERS) -> dict[int, list[mlp.Tensors]]:
    """Networks by rate. Raises ArtifactError."""
    artifact = load(NAME, folders)
    names = [f"{part}_{hz}_{k}" for hz in mouse.RATES for k in range(NETS[hz]) for part in PARTS]
    expect(artifact, {"kind": KIND, "version": VERSION}, {name: [None] * (2 if name[0] == "w" else 1) for name in names})
    found = {}
    for hz in mouse.RATES:
        found[hz] = [{part: artifact.tensors[f"{part}_{hz}_{k}"] for part in PARTS} for k in range(NETS[hz])]
        width = mouse.figures(np.zeros((1, SAMPLES_MIN, 2), np.float32), hz).shape[1]
        if any(net["mean"].shape != (width,) or net["w0"].shape[0] != width for net in found[hz]):
            raise ArtifactError(f"{artifact.id}: expected {width} figures at {hz} Hz, found {found[hz][0]['w0'].shape[0]}")
    return found


def judge(nets: Sequence[mlp.Tensors], figures: np.ndarray) -> np.ndarray:
    """Log odds of a machine, float32 [N], of figures as `mouse.figures` gives them: the mean over the networks."""
    total = np.zeros(len(figures))
    for net in nets:
        x = np.clip((figures - net["mean"]) * net["scale"], -6, 6).astype(np.float32)
        z = mlp.logits(net, x).astype(np.float64)
        top = z[:, 1:].max(axis=1)
        total += np.log(np.exp(z[:, 1:] - top[:, None]).sum(axis=1)) + top - z[:, 0]
    return (total / len(nets)).astype(np.float32)


def check(paths: np.ndarray, hz: object) -> tuple[np.ndarray, int]:
    """The paths as float32 and the rate. Raises InputError."""
    rate = np.asarray(hz)
    if rate.ndim != 0 or rate.dtype.kind not in "iuf" or float(rate) not in mouse.RATES:
        raise InputError(f"hz: expected one of {', '.join(map(str, mouse.RATES))}, found {rate.tolist() if rate.size < 5 else rate.shape}")
    if paths.dtype.kind not in "fiu":
        raise InputError(f"paths: expected float32, found {paths.dtype}")
    if paths.ndim != 3 or paths.shape[2] != 2:
        raise InputError(f"paths: expected shape [N, T, 2], found {list(paths.shape)}")
    if not SAMPLES_MIN <= paths.shape[1] <= SAMPLES_MAX:
        raise InputError(f"paths: expected {SAMPLES_MIN} to {SAMPLES_MAX} samples, found {paths.shape[1]}")
    paths = paths.astype(np.float32)
    bad = ~(np.abs(paths) <= PIXELS_MAX).all(axis=(1, 2))
    if bad.any():
        first = int(np.argmax(bad))
        raise InputError(f"paths: expected finite pixels up to {PIXELS_MAX:g}; {int(bad.sum())} rows have others, the first is row {first}")
    return paths, int(rate)


def score(paths: np.ndarray, hz: object) -> np.ndarray:
    """float32 [N], higher = less human. Raises InputError, ArtifactError."""
    paths, rate = check(paths, hz)
    nets = load_mouse()[rate]
    parts = [judge(nets, mouse.figures(paths[at : at + BATCH], rate)) for at in range(0, len(paths), BATCH)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def score_file(source: Path, target: Path) -> int:
    """Read, score, write; how many paths. Raises InputError, ArtifactError, OSError."""
    try:
        with np.load(source, allow_pickle=False) as given:
            if missing := {"paths", "hz"} - set(given.files):
                raise InputError(f"{source}: expected arrays paths and hz, missing {', '.join(sorted(missing))}")
            paths, hz = given["paths"], given["hz"]
    except (ValueError, zipfile.BadZipFile, EOFError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{source}: expected an .npz file of plain arrays: {error}") from error
    found = score(paths, hz)
    with target.open("wb") as out:  # a file, so that numpy adds no ending to its name
        np.savez(out, score=found)
    return len(found)
