"""Shots of simulated crowds as figures and labels, made by several processes and kept for the next run."""

import hashlib
import inspect
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from multiprocessing import get_context
from pathlib import Path

import numpy as np

import loadtest.bots.brain
import loadtest.bots.cheats
import loadtest.bots.machines
import loadtest.motion
import models.anticheat.arena as simulation
from gameedge.core.anticheat import aim
from gameedge.core.anticheat import features as figures

RADIUS = 0.5
CLASS_OF = {
    "human": "human",
    "snap": "snap",
    "aimbot": "snap",
    "smooth": "smooth",
    "sticky": "smooth",
    "homing": "smooth",
    "minjerk": "minjerk",
    "wind": "wind",
    "splice": "splice",
    "trigger": "trigger",
    "triggerbot": "trigger",
}


@dataclass
class Shots:
    """Rows are usable shots in order of time for each player. `label` is an index into arena.LABELS, `kind` into aim.CLASSES."""

    figures: np.ndarray  # float32 [N, COUNT]
    label: np.ndarray
    kind: np.ndarray
    who: np.ndarray  # unique over crowds
    tick: np.ndarray
    rtt_ms: np.ndarray
    loss: np.ndarray

    def take(self, rows: np.ndarray) -> "Shots":
        return Shots(*(getattr(self, f.name)[rows] for f in fields(self)))


@dataclass(frozen=True)
class Job:
    """One crowd."""

    seed: int
    players: int = 64
    seconds: float = 100.0
    honest: float = 0.5
    duty: float = 1.0


def crowd_of(job: Job) -> Shots:
    rng = np.random.default_rng(job.seed + 1_000)
    crowd = simulation.mixed(rng, job.players, job.honest, job.duty)
    found = simulation.record(crowd, job.seconds, job.seed)
    return of(found, [who.label for who in crowd], job.seed * 10_000)


def of(found: dict[str, np.ndarray], labels: list[str], first: int = 0) -> Shots:
    """What `arena.record` found as figures; players are numbered from `first`."""
    names = ("aim_path", "line_path", "since_ms", "visible_ms", "on_target_ms", "distance", "hit")
    x = figures.features(*(found[name] for name in names), RADIUS)
    good = np.isfinite(x).all(axis=1)
    label = np.array([simulation.LABELS.index(name) for name in labels])[found["who"]]
    kinds = np.array([aim.CLASSES.index(CLASS_OF[name]) for name in simulation.LABELS])
    columns = (x, label, kinds[label], found["who"] + first, found["tick"], found["rtt_ms"], found["loss"])
    return Shots(*(column[good] for column in columns))


def join(parts: list[Shots]) -> Shots:
    return Shots(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Shots)))


def version() -> str:
    """A hash of everything that makes the data: another one, and what was kept is not used."""
    modules = (simulation, figures, loadtest.bots.brain, loadtest.bots.cheats, loadtest.bots.machines, loadtest.motion)
    return hashlib.sha256("".join(inspect.getsource(module) for module in modules).encode()).hexdigest()[:10]


def collect(jobs: list[Job], keep: Path, processes: int = 2) -> Shots:
    """All crowds, in the order of `jobs` however many processes made them. `keep`: a folder for what was made before."""
    keep.mkdir(parents=True, exist_ok=True)
    paths = {job: keep / f"{version()}-{job.seed}-{job.players}-{job.seconds:g}-{job.honest:g}-{job.duty:g}.npz" for job in jobs}
    missing = [job for job in jobs if not paths[job].exists()]
    if missing:
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            for job, shots in zip(missing, pool.map(crowd_of, missing), strict=True):
                np.savez(paths[job], **{f.name: getattr(shots, f.name) for f in fields(Shots)})
                print(f"crowd {job.seed}: {len(shots.kind)} shots", flush=True)
    parts = []
    for job in jobs:
        with np.load(paths[job]) as kept:
            parts.append(Shots(*(kept[f.name] for f in fields(Shots))))
    return join(parts)
