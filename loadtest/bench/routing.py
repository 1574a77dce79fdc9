"""Placement: `python -m loadtest bench routing [--rtt FILE.csv] [--regions i,j,k] [--places FILE.csv] [--json]`.

Every player (a row of the matrix) probes every region (a column) as `loadtest/lastmile.py` says, a second time where the first
round cannot tell regions apart, and is placed by the very code that the coordinator runs. Regret is the true round trip of the
region chosen over that of the best one. The measured table is held out: the prior is distance alone, or nothing.
"""

import argparse
import random
from pathlib import Path
from time import perf_counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gameedge.core.errors import ConfigError
from gameedge.core.ids import EdgeId, RegionId
from gameedge.core.routing.load import EdgeLoad, RegionLoad
from gameedge.core.routing.placement import Seen, Table
from gameedge.core.routing.probing import AGAIN_SAMPLES, FIRST_SAMPLES, contenders
from loadtest import matrix as matrices
from loadtest.bench.report import Row, row
from loadtest.lastmile import BLOAT, draw_access, probe
from loadtest.matrix import Matrix

Floats = NDArray[np.float64]
SITES: Final = 20
WITHIN_MS: Final = 5.0
SEED: Final = 6


def arguments(parser: argparse.ArgumentParser) -> None:
    """This benchmark's own options."""
    parser.add_argument("--rtt", type=Path, help="routing: a CSV of true round trips in ms, rows = players, columns = sites")
    parser.add_argument("--regions", default="", help="routing: columns that are regions, such as 0,5,7; left out: 20 are chosen")
    parser.add_argument("--places", type=Path, help="routing: lat, lon, population of the rows of a square matrix")


def run(notes: list[str], *, quick: bool = False, options: argparse.Namespace | None = None) -> list[Row]:
    """Rows for the matrix asked for, and the cost of a decision."""
    path = options.rtt if options is not None else None
    table = matrices.load(path, options.places) if path is not None and options is not None else matrices.built_in()
    chosen = _asked(options.regions, len(table.sites)) if options is not None and options.regions else matrices.choose(table, SITES)
    part = table.columns(chosen)
    notes.append(f"{part.name}: {len(part.rtt_ms)} players' places, {len(chosen)} regions: {', '.join(part.sites)}")
    rows = placements(part, trials=3 if quick else 20, notes=notes)
    return rows + cost(2_000 if quick else 20_000)


def _asked(text: str, count: int) -> list[int]:
    try:
        chosen = [int(cell) for cell in text.split(",") if cell.strip()]
    except ValueError:
        raise ConfigError(f"--regions {text!r}: column numbers from 0, separated by commas") from None
    if len(chosen) < 2 or len(set(chosen)) != len(chosen) or not all(0 <= i < count for i in chosen):
        raise ConfigError(f"--regions {text!r}: at least two different columns of 0 to {count - 1}")
    return chosen


def fleet(part: Matrix) -> list[RegionLoad]:
    """Regions with room, at their places where these are known."""
    where = part.site_places
    return [
        RegionLoad(
            RegionId(f"r{i}"),
            float(where[i, 0]) if where is not None else float("nan"),
            float(where[i, 1]) if where is not None else float("nan"),
            [EdgeLoad(EdgeId("e"), "ws://e", 10, 0, 1000, 100)],
        )
        for i in range(len(part.sites))
    ]


def pings_between(part: Matrix) -> dict[tuple[RegionId, RegionId], float]:
    """What the regions would measure between themselves, where the matrix knows it."""
    if part.between is None:
        return {}
    count = len(part.sites)
    pairs = ((i, k) for i in range(count) for k in range(count) if i != k and np.isfinite(part.between[i, k]))
    return {(RegionId(f"r{i}"), RegionId(f"r{k}")): float(part.between[i, k]) for i, k in pairs}


def sighting(true_ms: Floats, place: Floats | None, rng: np.random.Generator) -> Seen:
    """What one player's client would report: two rounds of pings, a region that is not reachable left out."""
    access = draw_access(rng)
    bloated = bool(rng.random() < BLOAT[access.name].share)
    first = probe(true_ms, access, FIRST_SAMPLES, rng, bloated)
    samples = {RegionId(f"r{i}"): measured.tolist() for i, measured in enumerate(first) if np.isfinite(measured[0])}
    again = contenders(samples)
    for name in again:
        i = int(name[1:])
        samples[RegionId(name)] += probe(true_ms[i : i + 1], access, AGAIN_SAMPLES, rng, bloated)[0].tolist()
    if place is None:
        return Seen(rtt_ms=samples)
    return Seen(rtt_ms=samples, latitude=float(place[0]), longitude=float(place[1]))


def placements(part: Matrix, *, trials: int, notes: list[str]) -> list[Row]:
    """Regret and its baselines."""
    rng, draw = np.random.default_rng(SEED), random.Random(SEED).random
    table = Table(fleet(part), between_ms=pings_between(part))
    rtt, best = part.rtt_ms, np.nanmin(part.rtt_ms, axis=1)
    regret, pings = np.zeros((len(rtt), trials)), 0
    for r in range(len(rtt)):
        for t in range(trials):
            seen = sighting(rtt[r], part.places[r] if part.places is not None else None, rng)
            pings += sum(map(len, seen.rtt_ms.values()))
            regret[r, t] = rtt[r, table.decide(seen, draw)[0]] - best[r]
    within = regret <= WITHIN_MS
    got = best + regret.mean(axis=1)
    central = int(np.nanargmin(_filled(rtt).T @ part.weight))
    far = _filled(rtt)[:, central]
    weigh = part.weight
    plain = np.full(len(rtt), 1 / len(rtt))
    rows: list[Row] = []
    near = None
    if part.km is not None:
        near = _filled(rtt)[np.arange(len(rtt)), np.argmin(np.where(np.isfinite(rtt), part.km, np.inf), axis=1)]
    for label, w in (("places", plain), ("places by population", weigh)):
        share = 100 * float(w @ within.mean(axis=1))
        by_map = None if near is None else 100 * float(w @ (near - best <= WITHIN_MS))
        rows.append(row(f"{label} within 5 ms of the best region", share, "%", baseline=by_map, at_least=99.0))
    for label, w in (("all places alike", plain), ("by population", weigh)):
        if near is not None:
            lower = 100 * (1 - float(w @ got) / float(w @ near))
            limit = 100 * (1 - float(w @ best) / float(w @ near))
            rows.append(row(f"mean RTT lower than nearest by map, {label}", lower, "%", at_least=28.0))
            notes.append(f"{label}: at most {limit:.1f}% lower than nearest by map is possible with these regions")
        lower = 100 * (1 - float(w @ got) / float(w @ far))
        limit = 100 * (1 - float(w @ best) / float(w @ far))
        rows.append(row(f"mean RTT lower than one central region, {label}", lower, "%", at_least=65.0))
        notes.append(f"{label}: at most {limit:.1f}% lower than {part.sites[central]}, the best single region, is possible")
    rows.append(row("mean regret", float(regret.mean()), "ms", baseline=None if near is None else float((near - best).mean())))
    rows.append(row("p99 regret", float(np.percentile(regret, 99)), "ms"))
    rows.append(row("worst regret", float(regret.max()), "ms"))
    rows.append(row("mean RTT", float(plain @ got), "ms", baseline=float(plain @ far)))
    rows.append(row("pings a placement", pings / regret.size, "pings"))
    return rows


def _filled(rtt: Floats) -> Floats:
    """An unknown round trip counts as the row's slowest one: a baseline must not profit from gaps."""
    return np.where(np.isfinite(rtt), rtt, np.nanmax(rtt, axis=1)[:, None])


def cost(count: int) -> list[Row]:
    """A decision among 20 regions of four processes, samples and positions given: what one core does a second."""
    rng = random.Random(SEED)
    regions = [
        RegionLoad(
            RegionId(f"r{i}"),
            rng.uniform(-60, 60),
            rng.uniform(-180, 180),
            [EdgeLoad(EdgeId(f"e{k}"), "ws://e", rng.randrange(60), 0, 100, 9) for k in range(4)],
        )
        for i in range(SITES)
    ]
    table = Table(regions)
    players = [Seen(_samples(rng), rng.uniform(-60, 60), rng.uniform(-180, 180)) for _ in range(200)]
    bare = [Seen(seen.rtt_ms) for seen in players]
    rows = []
    for label, crowd in (("", bare), (", position given", players)):
        took = sorted(_took_us(table, crowd, rng, count // 20) for _ in range(20))
        rows.append(row(f"a decision, 20 regions{label}", took[len(took) // 2], "us", at_most=20.0))
        rows.append(row(f"decisions a second, one core{label}", 1e6 / took[len(took) // 2], "1/s", at_least=50_000.0))
    began = perf_counter()
    for _ in range(20):
        Table(regions)
    rows.append(row("compiling a table of 20 regions", (perf_counter() - began) / 20 * 1e6, "us"))
    return rows


def _samples(rng: random.Random) -> dict[RegionId, list[float]]:
    return {RegionId(f"r{i}"): [rng.uniform(100, 250) for _ in range(3)] for i in range(SITES)}


def _took_us(table: Table, crowd: list[Seen], rng: random.Random, count: int) -> float:
    draw, size = rng.random, len(crowd)
    began = perf_counter()
    for i in range(count):
        table.decide(crowd[i % size], draw)
    return (perf_counter() - began) / count * 1e6
