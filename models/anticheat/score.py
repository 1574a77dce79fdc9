"""Scores of mouse paths, for anybody's paths: `python -m models.anticheat score-aim IN.npz OUT.npz`.

IN has `paths` float32 [N, T, 2] (position relative to the target in pixels, the last sample at the shot) and scalar `hz` (20, 30 or
60); OUT has `score` float32 [N], higher = less human: the log odds of a machine. One or two networks a rate, trained on recorded people
and machines pasted onto their paths (train_mouse.py), looks at the last 1.1 s; shorter paths are told by fewer samples.
"""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from gameedge.inference.artifacts import FOLDERS, expect, load
from models.anticheat import mouse, mousenet

KIND: Final = "mouse-network"
NAME: Final = "mouse"
VERSION: Final = "4"
AVERAGED: Final = {20: 1, 30: 2}  # networks of a rate
BATCH: Final = 2_048
SAMPLES_MIN: Final = 4
SAMPLES_MAX: Final = 4_096
PIXELS_MAX: Final = 1e6


class InputError(ValueError):
    """What was given cannot be scored, and what to give instead."""


Nets = Mapping[int, Sequence[mousenet.Tensors]]


def load_mouse(folders: Sequence[Path] = FOLDERS) -> Nets:
    """Networks by rate. Raises ArtifactError."""
    artifact = load(NAME, folders)
    wanted = {
        f"{name}_{hz}_{k}": list(shape) for hz in mouse.NETS for k in range(AVERAGED[hz]) for name, shape in mousenet.shapes(hz).items()
    }
    expect(artifact, {"kind": KIND, "version": VERSION, "classes": ",".join(mousenet.CLASSES)}, wanted)
    return {
        hz: [{name: artifact.tensors[f"{name}_{hz}_{k}"] for name in mousenet.shapes(hz)} for k in range(AVERAGED[hz])] for hz in mouse.NETS
    }


def judge(nets: Nets, paths: np.ndarray, hz: int) -> np.ndarray:
    """Log odds of a machine, float32 [N], of paths that `check` has passed: the mean of the networks'. At 60 Hz each is two paths of
    30 Hz, whose log odds are averaged: what a mouse reports is seldom finer."""
    if hz == 60:
        return (judge(nets, paths[:, ::-1][:, ::2][:, ::-1], 30) + judge(nets, paths[:, -2::-1][:, ::2][:, ::-1], 30)) / 2
    found = []
    for at in range(0, len(paths), BATCH):
        views = mouse.views(paths[at : at + BATCH], hz)
        found.append(np.mean([mousenet.judge(net, views) for net in nets[hz]], axis=0, dtype=np.float32))
    return np.concatenate(found) if found else np.zeros(0, np.float32)


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
    return judge(load_mouse(), paths, rate)


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
