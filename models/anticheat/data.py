"""Shots of simulated crowds as figures and labels, made by several processes and kept for the next run."""

import hashlib
import inspect
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

import gameedge.arena
import gameedge.core.motion
import gameedge.core.protocol.arena_v1
import loadtest.bots.brain
import loadtest.bots.cheats
import loadtest.bots.kinds
import loadtest.bots.machines
import loadtest.motion
import models.anticheat.arena as simulation
from gameedge.core.anticheat import aim, stream
from gameedge.core.anticheat import features as figures
from gameedge.core.game import GAZE_LET_GO, GAZE_PRESSED, GAZE_SIZE

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
    "tap": "trigger",
    "macro": "macro",
    "timer": "macro",
    "esp": "esp",
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
    jitter_ms: np.ndarray
    block: np.ndarray  # the number of the block that the shot fell into, unique over crowds

    def take(self, rows: np.ndarray) -> "Shots":
        return Shots(*(getattr(self, f.name)[rows] for f in fields(self)))


@dataclass
class Blocks:
    """Blocks of ticks with an enemy in sight, in order of time for each player."""

    rows: np.ndarray  # int16 [N, STREAM_TICKS, GAZE_SIZE]
    ticks: np.ndarray  # of each that count
    block: np.ndarray
    label: np.ndarray
    kind: np.ndarray
    who: np.ndarray
    tick: np.ndarray  # the last
    rtt_ms: np.ndarray
    jitter_ms: np.ndarray

    def take(self, rows: np.ndarray) -> "Blocks":
        return Blocks(*(getattr(self, f.name)[rows] for f in fields(self)))


@dataclass
class Crowds:
    shots: Shots
    blocks: Blocks


@dataclass(frozen=True)
class Job:
    """One crowd."""

    seed: int
    players: int = 64
    seconds: float = 60.0
    honest: float = 0.5
    duty: float = 1.0


def crowd_of(job: Job) -> Crowds:
    rng = np.random.default_rng(job.seed + 1_000)
    crowd = simulation.mixed(rng, job.players, job.honest, job.duty)
    return of(simulation.record(crowd, job.seconds, job.seed), [who.label for who in crowd], job.seed)


def of(found: simulation.Recorder, labels: list[str], seed: int = 0) -> Crowds:
    """What `arena.record` found as figures and rows; players and blocks are numbered from the seed's."""
    label = np.array([simulation.LABELS.index(name) for name in labels])
    kinds = np.array([aim.CLASSES.index(CLASS_OF[name]) for name in simulation.LABELS])
    first, first_block = seed * 10_000, seed * 10_000_000
    s = {name: np.concatenate(parts) for name, parts in found.shots.items()}
    names = ("aim_path", "line_path", "since_ms", "visible_ms", "on_target_ms", "distance", "hit")
    x = figures.features(*(s[name] for name in names), RADIUS)
    good = np.isfinite(x).all(axis=1) & (s["target"] >= 0)
    of_shot = label[s["who"]]
    columns = x, of_shot, kinds[of_shot], s["who"] + first, s["tick"], s["rtt_ms"], s["jitter_ms"], s["block"] + first_block
    shots = Shots(*(column[good] for column in columns))
    number, who, ticks, tick, rtt, jitter = np.array(found.blocks).T
    who = who.astype(np.int64)
    of_block = label[who]
    whole = (column.astype(np.int64) for column in (ticks, number + first_block, of_block, kinds[of_block], who + first, tick))
    return Crowds(shots, Blocks(np.array(found.rows), *whole, rtt, jitter))


def join(parts: list[Crowds]) -> Crowds:
    def together(kind: type, name: str) -> Any:
        return kind(*(np.concatenate([getattr(getattr(part, name), f.name) for part in parts]) for f in fields(kind)))

    return Crowds(together(Shots, "shots"), together(Blocks, "blocks"))


def version() -> str:
    """A hash of everything that makes the data: another one, and what was kept is not used."""
    bots = (simulation, figures, loadtest.bots.brain, loadtest.bots.cheats, loadtest.bots.kinds, loadtest.bots.machines, loadtest.motion)
    sources = [inspect.getsource(module) for module in (*bots, gameedge.core.motion, gameedge.core.protocol.arena_v1)]
    sources += [file.read_text("utf-8") for file in sorted(Path(gameedge.arena.__file__).parent.glob("*.py"))]
    sources.append(f"blocks of {stream.STREAM_TICKS_MIN} to {stream.STREAM_TICKS} ticks")
    return hashlib.sha256("".join(sources).encode()).hexdigest()[:10]


def _save(path: Path, crowd: Crowds) -> None:
    parts = {
        f"{name}_{f.name}": getattr(getattr(crowd, name), f.name) for name in ("shots", "blocks") for f in fields(getattr(crowd, name))
    }
    half = path.with_suffix(".half.npz")  # whoever looks meanwhile finds all of it or nothing
    np.savez(half, **parts)
    half.replace(path)


def _load(path: Path) -> Crowds:
    with np.load(path) as kept:
        found = (kind(*(kept[f"{name}_{f.name}"] for f in fields(kind))) for name, kind in (("shots", Shots), ("blocks", Blocks)))
        shots, blocks = found
    blocks.rows = fingers(blocks)
    return Crowds(shots, blocks)


def fingers(blocks: Blocks) -> np.ndarray:
    """The blocks' rows with what the watch would have written of each player's finger, which it takes from match to match."""
    rows = np.zeros((*blocks.rows.shape[:2], GAZE_SIZE), np.int16)
    rows[..., :GAZE_PRESSED] = blocks.rows[..., :GAZE_PRESSED]
    memory, last = np.array(stream.FINGER), -1
    for i in np.lexsort((blocks.tick, blocks.who)).tolist():
        if blocks.who[i] != last:
            memory, last = np.array(stream.FINGER), blocks.who[i]
        n = int(blocks.ticks[i])
        rows[i, :n, GAZE_PRESSED], rows[i, :n, GAZE_LET_GO] = int(memory[0] * 1000.0), int(memory[1] * 1000.0)
        stream.finger(rows[i], n, RADIUS, memory)
    return rows


def each(jobs: list[Job], keep: Path, processes: int = 2) -> Iterator[Crowds]:
    """Crowd after crowd, in the order of `jobs` however many processes made them. `keep`: a folder for what was made before."""
    keep.mkdir(parents=True, exist_ok=True)
    paths = {job: keep / f"{version()}-{job.seed}-{job.players}-{job.seconds:g}-{job.honest:g}-{job.duty:g}.npz" for job in jobs}
    missing = [job for job in jobs if not paths[job].exists()]
    if missing:
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            for job, crowd in zip(missing, pool.map(crowd_of, missing), strict=True):
                _save(paths[job], crowd)
                print(f"crowd {job.seed}: {len(crowd.shots.kind)} shots, {len(crowd.blocks.kind)} blocks", flush=True)
    for job in jobs:
        yield _load(paths[job])


def collect(jobs: list[Job], keep: Path, processes: int = 2) -> Crowds:
    """All crowds as one."""
    return join(list(each(jobs, keep, processes)))
