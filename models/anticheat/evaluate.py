"""Measure the anti-cheat and draw it: `python -m models.anticheat evaluate --json`. Real and simulated are reported apart, always.

`real`: recorded people 49 to 72, whom training has not seen, and machines pasted onto their paths. `simulated`: crowds of the arena
that neither training nor the null has seen. `careers`: a simulation on top of a simulation. Writes results.json and plots/.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from gameedge.core.anticheat import accumulate, aim
from gameedge.inference.artifacts import load_aim
from models.anticheat import calibrate, careers, evaluate_aim, evaluate_arena, evaluate_strokes, plots, train
from models.anticheat.data import each
from models.anticheat.evaluate_arena import INNOCENT_JOBS, follow, judged
from models.anticheat.plots import Axis

HERE = Path(__file__).resolve().parent


DRAWN = {
    "measured rates x 2": "2 times that",
    "measured rates x 3": "3 times that",
    "as the null says": "as the null says",
    "rates x 1.5": "1.5 times that",
}


def draw_careers(simulated: dict[str, Any], file: Path) -> None:
    def curve(row: dict[str, Any]) -> list[tuple[float, float]]:
        return [(t, max(share, 1e-5)) for t, share in row["curve"]]

    series = {"rates as measured": curve(simulated)}
    series |= {text: curve(simulated["worse"][name]) for name, text in DRAWN.items() if name in simulated.get("worse", {})}
    series["Ville's bound"] = [(t, min(1.0, 1 / t)) for t, _ in simulated["curve"]]
    axes = Axis("wealth", 1.0, 1e4, log=True), Axis("share of careers that ever reach it", 1e-5, 1.0, log=True)
    note = f"{simulated['careers']:,} simulated careers of 1,000 h; review at 100, ban recommended at 10,000"
    plots.lines(file, "Innocent careers", *axes, series, ["Ville's bound"], note)


def innocents(model: aim.AimModel, found: calibrate.Found, seen: calibrate.Found, number: int, plot: Path | None) -> dict[str, Any]:
    """Calibration, cohorts and careers, on innocents that nothing has seen. `seen`: those of the null, who only help to say how
    often the rarest columns are reached."""
    p = calibrate.p_values(found, model.null)
    rates = {tail: float((p <= tail).mean()) for tail in aim.TAILS}
    cohorts = {
        name: {f"{tail:g}": round(float((p[found["cohort"] == c] <= tail).mean()), 5) for tail in (0.1, 0.01)}
        for c, name in enumerate(("steady, up to 150 ms", "steady, above"))  # on unsteady links nothing is decided
    }
    common = [row["0.1"] for row in cohorts.values()]  # rarer events are too few to compare
    ratio = max(common) / max(min(common), 1e-9)
    players = follow(found, model.null)
    every = np.concatenate([p, calibrate.p_values(seen, model.null)])
    # As if one block more had reached each: what was never seen is not taken for impossible.
    pooled = np.array([float(((every <= tail).sum() + 1) / (len(every) + 1)) for tail in aim.TAILS])
    # The spread between people and between stretches: the largest of the columns that are reached often enough to see it.
    who = np.concatenate([found["who"], seen["who"]])
    columns = [(every <= tail, calibrate.spread(every <= tail, who)) for tail in (0.2, 0.1, 0.05, 0.03)]
    apart = max(spread for _, spread in columns)
    stretches = max(calibrate.lingering(exceeds, who, spread) for exceeds, spread in columns)
    simulated = careers.simulate(pooled, apart, number, stretches=stretches)
    as_played = {
        "everybody": careers.replayed(every, who, max(number // 3, 1)),
        "not those who made the null": careers.replayed(p, found["who"], max(number // 3, 1)),
    }
    for row in as_played.values():
        del row["curve"]
    peak = max(float(player["logs"].max()) for player in players.values())
    if plot is not None:
        note = "at or under the line: p-values are valid; the gap is what people differ by"
        nominal = {"observed": [(tail, max(rate, 1e-5)) for tail, rate in sorted(rates.items())], "valid": [(1e-4, 1e-4), (1.0, 1.0)]}
        axes = Axis("p-value said", 1e-4, 1.0, log=True), Axis("share of innocents' blocks", 1e-5, 1.0, log=True)
        plots.lines(plot / "calibration.svg", "Innocent blocks: p-values said and observed", *axes, nominal, ["valid"], note)
        draw_careers(simulated, plot / "careers.svg")
    for row in simulated.get("worse", {}).values():
        del row["curve"]  # drawn, and too long for the report
    return {
        "people": len(players),
        "blocks": len(p),
        "hours_of_combat": round(float(found["ticks"].sum()) / 60 / 3600, 1),
        "flagged": sum(float(player["logs"].max()) >= accumulate.REVIEW for player in players.values()),
        "highest_log_wealth": round(peak, 2),
        "observed_at": {f"{tail:g}": round(rate, 5) for tail, rate in rates.items()},
        "largest_excess_over_said": round(max(rate - tail for tail, rate in rates.items()), 5),
        "cohorts": cohorts,
        "cohorts_largest_to_smallest_at_0.1": round(ratio, 2),
        "careers": simulated,
        "careers_of_sessions_as_played": as_played,
    }


# --------------------------------------------------------------------------------------------------------------- together


def known(out: Path) -> dict[str, Any]:
    """What results.json says already."""
    file = out / "results.json"
    return dict(json.loads(file.read_text("utf-8"))) if file.exists() else {}


def write(out: Path, found: dict[str, Any]) -> None:
    """Put these parts into results.json; it is read anew, since minutes may have passed and others may have written to it."""
    (out / "results.json").write_text(json.dumps(known(out) | found, indent=2) + "\n", "utf-8")


def real_only(out: Path = HERE, left_out: bool = True) -> dict[str, Any]:
    """What concerns recorded people. left_out: see `run`."""
    plot = out / "plots"
    found = {"real": evaluate_aim.real_people(plot), "real_plain": evaluate_aim.real_plain(plot), "strokes": evaluate_strokes.run(plot)}
    write(out, found)  # what follows takes minutes
    apart = evaluate_aim.real_left_out() if left_out else {"skipped": "--no-left-out"}
    if "skipped" in apart:  # the figures concern networks that were trained for them alone, so earlier ones still hold
        apart = known(out).get("real_family_left_out", apart)
    found["real_family_left_out"] = apart
    write(out, found)
    return found


def left_out_only(out: Path = HERE) -> dict[str, Any]:
    """Recorded people, with each family left out of training."""
    found = {"real_family_left_out": evaluate_aim.real_left_out()}
    write(out, found)
    return found


def arena_only(processes: int = 2, left_out: bool = True, out: Path = HERE) -> dict[str, Any]:
    """What concerns the arena's machines. left_out: see `run`."""
    model = load_aim()
    simulated = evaluate_arena.arena_part(model, out / "plots", processes, left_out=left_out)
    if not left_out:
        simulated["family_left_out"] = known(out).get("simulated", {}).get("family_left_out", {"skipped": "--no-left-out"})
    found = {"model": model.id, "simulated": simulated}
    write(out, found)
    return found


def innocents_only(careers: int = 30_000, processes: int = 2, out: Path = HERE) -> dict[str, Any]:
    """What concerns innocents of the arena and their careers."""
    model = load_aim()
    unseen, seen = (judged(model, each(jobs, train.KEEP, processes)) for jobs in (INNOCENT_JOBS, train.NULL_JOBS))
    found = {"innocents": innocents(model, unseen, seen, careers, out / "plots")}
    write(out, found)
    return found


def run(careers: int = 30_000, processes: int = 2, real: bool = True, left_out: bool = True, out: Path = HERE) -> dict[str, Any]:
    """Everything; also writes results.json and plots/ below `out`. left_out: train models without a family each, most of the time it takes;
    else what results.json says of that stays."""
    if real:
        real_only(out, left_out)
    elif "real" not in known(out):
        write(out, {"real": {"skipped": "--no-real"}})
    arena_only(processes, left_out, out)
    innocents_only(careers, processes, out)
    return known(out)


def text(found: dict[str, Any]) -> str:
    """The report for people: names and figures, indented."""
    out: list[str] = []

    def walk(value: Any, name: str, depth: int) -> None:
        pad = "  " * depth
        if isinstance(value, dict) and all(not isinstance(part, (dict, list)) for part in value.values()):
            out.append(f"{pad}{name}: " + ", ".join(f"{key} {part}" for key, part in value.items()))
        elif isinstance(value, dict):
            out.append(f"{pad}{name}:")
            for key, part in value.items():
                walk(part, key, depth + 1)
        elif not isinstance(value, list):
            out.append(f"{pad}{name}: {value}")

    walk(found, "anti-cheat", 0)
    return "\n".join(out)
