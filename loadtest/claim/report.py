"""`python -m loadtest claim [--rtt FILE.csv --places FILE.csv] [--players N] [--write]`: the ten-times claim, measured.

The same players, once with regions at the edge and once with one central cloud. `--write` makes docs/ten-times.md and its
pictures; without it the table is printed.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Final

import numpy as np

from gameedge.core.errors import ConfigError
from gameedge.core.routing.distance import haversine_km
from gameedge.core.routing.estimate import misplaced
from loadtest import matrix as matrices
from loadtest.bench.report import ROOT, commit
from loadtest.claim import draw, evening
from loadtest.claim.evening import Felt
from loadtest.matrix import Matrix

PAGE: Final = ROOT / "docs" / "ten-times.md"
IMAGES: Final = ROOT / "docs" / "images"
TIMES: Final = 10.0
FILLS_MS: Final = (2_000, 1_350, 1_000, 500)  # waits for NPCs that are tried


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest claim", description=__doc__)
    parser.add_argument("--rtt", type=Path, help="a square CSV of true round trips in ms; left out: the built-in table")
    parser.add_argument("--places", type=Path, help="lat, lon, population of its rows")
    parser.add_argument("--players", type=int, default=6_000, help="who click once each")
    parser.add_argument("--per-s", type=float, default=40.0, help="clicks a second, the world over")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="make docs/ten-times.md and its pictures")
    options = parser.parse_args(argv)
    if not (10 <= options.players <= 200_000 and 0.1 <= options.per_s <= 10_000):
        parser.error("--players 10 to 200000, --per-s 0.1 to 10000")
    try:
        matrix = _sound(matrices.load(options.rtt, options.places) if options.rtt else matrices.built_in())
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    people = evening.crowd(matrix, options.players, options.per_s, options.seed)
    felt = [evening.play(matrix, people, setup, options.seed + 1) for setup in evening.setups(matrix)]
    text = page(matrix, felt, options, densities(matrix, options), fills(matrix, people, felt, options)) if options.write else ""
    if options.write:
        IMAGES.mkdir(parents=True, exist_ok=True)
        for name, picture in pictures(matrix, people, felt).items():
            (IMAGES / f"ten-times-{name}.svg").write_text(picture, "utf-8")
        PAGE.write_text(text, "utf-8")
        print(f"written: {PAGE.relative_to(ROOT)}", file=sys.stderr)
    print(json.dumps(dict(zip((f.setup.name for f in felt), map(summary, felt), strict=True)), indent=2))
    return 0


def _sound(matrix: Matrix) -> Matrix:
    """Without places that their own round trips prove to be elsewhere: they would be drawn, and placed by map, wrongly. Gaps
    count as the row's slowest round trip."""
    rtt = np.where(np.isfinite(matrix.rtt_ms), matrix.rtt_ms, np.nanmax(matrix.rtt_ms, axis=1)[:, None])
    if matrix.between is None or matrix.places is None:
        return Matrix(matrix.name, rtt, matrix.sites, matrix.km, matrix.weight, matrix.rows, matrix.places, matrix.site_places)
    pings = [[float(x) if np.isfinite(x) else None for x in row] for row in matrix.between]
    light = [[haversine_km(*a, *b) / 100.0 for b in matrix.places] for a in matrix.places]
    wrong = set(misplaced(pings, light))
    keep = [i for i in range(len(rtt)) if i not in wrong]
    weight = matrix.weight[keep]
    assert matrix.site_places is not None
    return Matrix(
        f"{matrix.name}, {len(wrong)} places left out that light proves to be elsewhere" if wrong else matrix.name,
        rtt[np.ix_(keep, keep)],
        [matrix.sites[i] for i in keep],
        None,
        weight / weight.sum(),
        [matrix.rows[i] for i in keep],
        matrix.places[keep],
        matrix.site_places[keep],
        rtt[np.ix_(keep, keep)],
    )


def summary(felt: Felt) -> dict[str, float]:
    """What the table shows."""
    quantiles = {"p50": 0.5, "p99": 0.99}
    found = {"rtt_mean_ms": float(felt.rtt_ms.mean()), "with_people": felt.with_people}
    for what, values in (("rtt", felt.rtt_ms), ("answer", felt.answer_ms), ("action", felt.action_ms)):
        for name, share in quantiles.items():
            found[f"{what}_{name}_ms"] = float(np.quantile(values, share))
    return {name: round(value, 3) for name, value in found.items()}


def pictures(matrix: Matrix, people: evening.Crowd, felt: list[Felt]) -> dict[str, str]:
    edge = felt[2]
    found = {
        "answer": draw.cdf(
            "From the click to the match", "ms, logarithmic", [(f.setup.name, f.answer_ms) for f in felt], low=20, high=50_000
        ),
        "action": draw.cdf(
            "From the hand to the screen: the own action",
            "ms, logarithmic",
            [(f.setup.name, f.action_ms) for f in felt[:4]],
            low=20,
            high=1_000,
        ),
    }
    if matrix.places is not None and matrix.site_places is not None:
        rows = np.unique(people.row)
        sent = np.array([np.bincount(edge.site[people.row == row]).argmax() for row in rows])
        order = {site: i for i, site in enumerate(edge.setup.sites)}
        found["map"] = draw.world(
            f"{len(edge.setup.sites)} regions: where each place's players are sent",
            matrix.places[rows],
            matrix.weight[rows],
            matrix.site_places[edge.setup.sites],
            [matrix.sites[i] for i in edge.setup.sites],
            np.array([order[int(site)] for site in sent]),
            0,
        )
    return found


def _factor(value: float) -> str:
    return f"**{value:.1f}x**" if value >= TIMES else f"{value:.1f}x"


def densities(matrix: Matrix, options: argparse.Namespace) -> list[str]:
    """The answer's factors against the interval matchmaker when fewer or more play: rows of a table."""
    rows = []
    every = evening.setups(matrix)
    for times in (0.25, 1, 4, 16):
        per_s = options.per_s * times
        people = evening.crowd(matrix, int(min(options.players, 150 * per_s)), per_s, options.seed)
        edge, other = (evening.play(matrix, people, setup, options.seed + 1) for setup in (every[2], every[5]))
        factor = [float(np.quantile(other.answer_ms, q) / np.quantile(edge.answer_ms, q)) for q in (0.5, 0.99)]
        own = [float(np.quantile(edge.answer_ms, q)) for q in (0.5, 0.99)]
        rows.append(
            f"| {per_s:g} | {own[0]:,.0f} | {own[1]:,.0f} | {_factor(factor[0])} | {_factor(factor[1])} | {100 * edge.with_people:.0f}% |"
        )
    return rows


def fills(matrix: Matrix, people: evening.Crowd, felt: list[Felt], options: argparse.Namespace) -> list[str]:
    """What sooner and later NPCs do to the answer and to how many meet people: rows of a table."""
    rows = []
    for fill_ms in FILLS_MS:
        edge = evening.play(matrix, people, felt[2].setup, options.seed + 1, fill_ms)
        own = [float(np.quantile(edge.answer_ms, q)) for q in (0.5, 0.99)]
        factor = [float(np.quantile(felt[5].answer_ms, q)) / ms for q, ms in zip((0.5, 0.99), own, strict=True)]
        cells = f"{own[0]:,.0f} | {own[1]:,.0f} | {_factor(factor[0])} | {_factor(factor[1])} | {100 * edge.with_people:.0f}%"
        rows.append(f"| {fill_ms:,}{' (default)' if fill_ms == evening.FILL_MS else ''} | {cells} |")
    return rows


def page(matrix: Matrix, felt: list[Felt], options: argparse.Namespace, busier: list[str], sooner: list[str]) -> str:
    """docs/ten-times.md."""
    figures = [summary(f) for f in felt]
    edge, central, polled, interval = figures[2], figures[3], figures[4], figures[5]
    most = len(felt[2].setup.sites)
    table = [
        "| setup | RTT p50 | RTT p99 | answer p50 | answer p99 | action p50 | action p99 | met people |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for f, found in zip(felt, figures, strict=True):
        cells = [f"{found[f'{what}_{q}_ms']:,.0f}" for what in ("rtt", "answer", "action") for q in ("p50", "p99")]
        table.append(f"| {f.setup.name} | " + " | ".join(cells) + f" | {100 * found['with_people']:.0f}% |")
    factors = [
        f"| {most} edge regions, times faster than | answer p50 | answer p99 | action p50 | action p99 |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, other in (
        ("central, matcher every 15 s", interval),
        ("central, director polling at 1 s", polled),
        ("one central region", central),
    ):
        keys = ("answer_p50_ms", "answer_p99_ms", "action_p50_ms", "action_p99_ms")
        factors.append(f"| {name} | " + " | ".join(_factor(other[key] / edge[key]) for key in keys) + " |")
    ask = "python -m loadtest claim" + (" --rtt FILE.csv --places FILE.csv" if options.rtt else "") + " --write"
    lower = 100 * (1 - edge["rtt_mean_ms"] / central["rtt_mean_ms"])
    return "\n".join(
        [
            "# Ten times faster?",
            "",
            f"Made by `{ask}`, never by hand (commit {commit()}).",
            f"{options.players:,} players click once each, {options.per_s:g} a second the world over, for a duel; the same players at the",
            f"same moments in every setup. Network: {matrix.name}; {len(matrix.rows)} places;",
            "its last mile is the stated model of `loadtest/lastmile.py`. Times in ms. Bold: ten times or more.",
            "",
            *factors,
            "",
            *table,
            "",
            "**Answer**: from the click to the message that names the match. The factor against an interval matchmaker is the",
            "interval's: a player waits half of it on average, while here a ticket wakes the matcher; what distance",
            "adds is small beside both. One central region with this matcher answers sooner than twenty: its pool is the whole world. The",
            "p99 is neither distance nor the matcher but scarcity: who finds nobody of its strength in a region of few players waits",
            f"`fill_ms` ({evening.FILL_MS:,} ms by default, in every setup alike), then NPCs complete the match. A studio chooses:",
            f"sooner NPCs make ten times of the p99 too, and cost company. {most} edge regions against the matcher every 15 s:",
            "",
            "| NPCs after, ms | answer p50 | answer p99 | p50 faster | p99 faster | met people |",
            "|---:|---:|---:|---:|---:|---:|",
            *sooner,
            "",
            f"How many play decides how long a pool of one region needs. {most} edge regions against the matcher every 15 s:",
            "",
            "| clicks a second | answer p50 | answer p99 | p50 faster | p99 faster | met people |",
            "|---:|---:|---:|---:|---:|---:|",
            *busier,
            "",
            "**Action**: from the hand to the own screen. Its fixed part is the same everywhere (20 commands and 20 snapshots a second, a",
            "tick of 17 ms, a screen of 60 Hz: 67 ms on average), so regions nearby cannot make it ten times shorter.",
            f"The round trip within it is {lower:.0f}% lower on average than with one central region.",
            "",
            "The last column is the price: pools of regions are smaller, so more matches are completed with NPCs than in one",
            "world-wide pool.",
            "",
            "![Map](images/ten-times-map.svg)",
            "",
            "![From the click to the match](images/ten-times-answer.svg)",
            "",
            "![From the hand to the screen](images/ten-times-action.svg)",
            "",
            "Method: a simulation on a virtual clock. Placement and matching are the production code (`Table.decide` from noisy pings,",
            "`propose` in each region's pool); sockets, stores and processing add a few milliseconds to every setup alike and are left out",
            "(docs/benchmarks.md has them). The central region is the best single one for these players, which favours the baseline.",
            "",
        ]
    )
