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
from loadtest.bots.machines import FAMILIES as MACHINES
from models.anticheat import arena, calibrate, careers, evaluate_aim, plots, train
from models.anticheat.data import Crowds, Job, Shots, collect
from models.anticheat.evaluate_aim import share
from models.anticheat.plots import Axis

HERE = Path(__file__).resolve().parent
TEST_JOBS = [Job(seed) for seed in range(301, 303)]
DUTY_JOBS = {0.3: [Job(311, duty=0.3)]}
INNOCENT_JOBS = [Job(401, honest=1.0)]
HELD_OUT = ("smooth", "splice")
TICK_HZ = 60
COMBAT_S = 60.0
RATES = (1e-1, 1e-2, 1e-3)


# -------------------------------------------------------------------------------------------------------------- the arena


def follow(found: calibrate.Found, null: np.ndarray) -> dict[int, dict[str, Any]]:
    """Every player's wealth over its blocks: label, the log after each block, and the seconds with an enemy in sight until then."""
    players: dict[int, dict[str, Any]] = {}
    p = calibrate.p_values(found, null)
    for who in np.unique(found["who"]):
        rows = np.flatnonzero(found["who"] == who)
        wealth = accumulate.Wealth()
        logs, sure = [], []
        for i in rows:
            logs.append(wealth.bet(float(p[i]), int(found["cohort"][i])))
            sure.append(wealth.strict_log)
        players[int(who)] = {
            "label": arena.LABELS[int(found["label"][rows[0]])],
            "logs": np.array(logs),
            "strict": np.array(sure),
            "s": np.cumsum(found["ticks"][rows]) / TICK_HZ,
            "cohort": int(found["cohort"][rows[0]]),
        }
    return players


def _to(player: dict[str, Any], level: float, logs: str = "logs") -> float:
    """Seconds with an enemy in sight until the level was reached; inf: never."""
    reached = np.flatnonzero(player[logs] >= level)
    return float(player["s"][reached[0]]) if len(reached) else float("inf")


def _row(some: list[dict[str, Any]]) -> dict[str, Any]:
    review = np.array([_to(player, accumulate.REVIEW) for player in some])
    ban = np.array([_to(player, accumulate.BAN, "strict") for player in some])
    middle = float(np.median(review))
    return {
        "players": len(some),
        "flagged": round(float(np.isfinite(review).mean()), 4),
        "flagged_within_60_s_of_combat": round(float((review <= COMBAT_S).mean()), 4),  # of all, however short they were watched
        "recommended": round(float(np.isfinite(ban).mean()), 4),
        "median_combat_s_to_flag": round(middle, 1) if np.isfinite(middle) else None,
        "median_combat_s_watched": round(float(np.median([player["s"][-1] for player in some])), 1),
    }


def by_label(players: dict[int, dict[str, Any]]) -> dict[str, Any]:
    labels = sorted({player["label"] for player in players.values()}, key=arena.LABELS.index)
    return {label: _row([player for player in players.values() if player["label"] == label]) for label in labels}


def highest(player: dict[str, Any], seconds: float = COMBAT_S) -> float:
    """The most wealth within so much combat."""
    return float(player["logs"][: max(1, int(np.searchsorted(player["s"], seconds, side="right")))].max())


def after_60_s(players: dict[int, dict[str, Any]], people: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """TPR of machines by the most wealth within 60 s of combat, at the threshold that so many of these innocents reach."""
    levels = np.array([highest(player) for player in people.values()])
    rows: dict[str, Any] = {"innocents": len(levels)}
    machines = {who: player for who, player in players.items() if player["label"] != "human"}
    for rate in (1e-2, 1e-3):
        at = float(np.quantile(levels, 1 - rate, method="higher"))
        found = {label: [] for label in sorted({player["label"] for player in machines.values()}, key=arena.LABELS.index)}
        for player in machines.values():
            found[player["label"]].append(highest(player) > at)
        every = np.concatenate(list(found.values()))
        rows[f"tpr_at_{rate:g}"] = {"all": round(float(every.mean()), 4)} | {
            label: round(float(np.mean(hits)), 4) for label, hits in found.items()
        }
        rows[f"log_wealth_at_{rate:g}"] = round(at, 2)
    return rows


def judged(model: aim.AimModel, crowds: Crowds) -> calibrate.Found:
    """The blocks that the watch would bet on: those that the network let through."""
    found = calibrate.ticks(crowds, model)
    return {name: column[found["safe"]] for name, column in found.items()}


def calibration(found: calibrate.Found) -> float:
    """Expected calibration error of a block's odds as a probability, people and machines weighing the same, 15 bins of as many."""
    y = found["label"] > 0
    p = 1.0 / (1.0 + np.exp(-np.clip(found["mean"].astype(np.float64), -30, 30)))
    w = np.where(y, 0.5 / max(int(y.sum()), 1), 0.5 / max(int((~y).sum()), 1))
    order = np.argsort(p)
    return float(sum(abs((w[part] * (p[part] - y[part])).sum()) for part in np.array_split(order, 15)))


def per_block(found: calibrate.Found) -> dict[str, Any]:
    """TPR of a block alone, a second of an enemy in sight."""
    people = found["mean"][found["label"] == 0]
    labels = [label for label in range(1, len(arena.LABELS)) if (found["label"] == label).any()]
    return {
        arena.LABELS[k]: {f"tpr_at_{rate:g}": share(found["mean"][found["label"] == k], people, rate) for rate in RATES} for k in labels
    }


def per_shot(model: aim.AimModel, shots: Shots) -> dict[str, Any]:
    values = model.judge(shots.figures).score
    people = values[shots.kind == aim.HUMAN]
    rows = {}
    for kind, name in enumerate(aim.CLASSES):
        if kind != aim.HUMAN and (shots.kind == kind).any():
            rows[name] = {f"tpr_at_{rate:g}": share(values[shots.kind == kind], people, rate) for rate in RATES}
    return rows


def adaptive(players: dict[int, dict[str, Any]], rng: np.random.Generator, tries: int = train.TRIES) -> dict[str, Any]:
    """An attacker who may query: tries some machines of a family for the first half, keeps the one with the least wealth, and plays on
    with it as a new player. What is reported is the second half."""
    rows = {}
    for family in MACHINES:
        some = [player["logs"] for player in players.values() if player["label"] == family and len(player["logs"]) >= 20]
        if len(some) < 4:
            continue
        chosen = []
        for _ in range(200):
            picks = [some[int(k)] for k in rng.integers(0, len(some), tries)]
            chosen.append(min(picks, key=lambda logs: float(logs[len(logs) // 2])))
        left = np.array([logs[-1] - logs[len(logs) // 2] for logs in chosen])
        rows[family] = {"flagged_in_second_half": round(float((left >= accumulate.REVIEW).mean()), 4), "machines": len(some)}
    return rows


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
    # The spread between people: the largest of the columns that are reached often enough to see it.
    who = np.concatenate([found["who"], seen["who"]])
    factor_spread = max(calibrate.spread(every <= tail, who) for tail in (0.2, 0.1, 0.05, 0.03))
    simulated = careers.simulate(pooled, factor_spread, number)
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
        "hours_of_play": round(len(players) * 100 / 3600, 1),
        "flagged": sum(float(player["logs"].max()) >= accumulate.REVIEW for player in players.values()),
        "highest_log_wealth": round(peak, 2),
        "observed_at": {f"{tail:g}": round(rate, 5) for tail, rate in rates.items()},
        "largest_excess_over_said": round(max(rate - tail for tail, rate in rates.items()), 5),
        "cohorts": cohorts,
        "cohorts_largest_to_smallest_at_0.1": round(ratio, 2),
        "careers": simulated,
    }


def held_out(processes: int) -> dict[str, Any]:
    """The arena's model trained without a family, and how much of that family it still flags within 60 s of combat."""
    crowds = collect(train.TRAIN_JOBS, train.KEEP, processes)
    fuse = collect(train.FUSE_JOBS, train.KEEP, processes)
    null = collect(train.NULL_JOBS, train.KEEP, processes)
    test = collect(TEST_JOBS, train.KEEP, processes)
    people = collect(INNOCENT_JOBS, train.KEEP, processes)
    rows = {}
    for family in HELD_OUT:
        tensors = train.fit(crowds.shots, leave_out=family, epochs=15) | train.fit_stream(crowds, leave_out=family, epochs=5)
        tensors["fuse"] = train.fuse(tensors, fuse, family)
        model, _ = train.calibrated(tensors, null)
        players = follow(judged(model, test), model.null)
        labels = {name for name in arena.LABELS if train.CLASS_OF[name] == family}
        some = {who: player for who, player in players.items() if player["label"] in labels}
        innocent = follow(judged(model, people), model.null) | {who: one for who, one in players.items() if one["label"] == "human"}
        rows[family] = _row(list(some.values())) | {"after_60_s": after_60_s(some, innocent)}
    return rows


def curves(players: dict[int, dict[str, Any]], plot: Path) -> None:
    series = {}
    for label in arena.LABELS:
        times = sorted(_to(player, accumulate.REVIEW) for player in players.values() if player["label"] == label)
        if times:
            points = [(0.5, 0.0)]
            for k, at in enumerate(times):
                if np.isfinite(at):
                    points += [(at, k / len(times)), (at, (k + 1) / len(times))]
            series[label] = [*points, (70.0, points[-1][1])]
    note = "simulated crowds that nothing was trained on; seconds in which the player fought"
    axes = Axis("combat time, s", 0.5, 70.0, log=True), Axis("share of players flagged for review", 0.0, 1.0)
    plots.lines(plot / "time_to_flag.svg", "How soon machines are flagged", *axes, series, note=note)


# --------------------------------------------------------------------------------------------------------------- together


def real_only(out: Path = HERE) -> dict[str, Any]:
    """What concerns recorded people; in results.json below `out` only these parts are replaced."""
    plot, file = out / "plots", out / "results.json"
    known = json.loads(file.read_text("utf-8")) if file.exists() else {}
    found = {"real": evaluate_aim.real_people(plot), "real_plain": evaluate_aim.real_plain(plot)}
    file.write_text(json.dumps(known | found, indent=2) + "\n", "utf-8")  # what follows takes minutes
    left_out = evaluate_aim.real_left_out()
    if "skipped" in left_out:  # no torch: the figures concern networks that were trained for them alone, so earlier ones still hold
        left_out = known.get("real_family_left_out", left_out)
    found["real_family_left_out"] = left_out
    file.write_text(json.dumps(known | found, indent=2) + "\n", "utf-8")
    return found


def innocents_only(careers: int = 30_000, processes: int = 2, out: Path = HERE) -> dict[str, Any]:
    """What concerns innocents of the arena and their careers; in results.json below `out` only this part is replaced."""
    model, file = load_aim(), out / "results.json"
    unseen, seen = collect(INNOCENT_JOBS, train.KEEP, processes), collect(train.NULL_JOBS, train.KEEP, processes)
    found = {"innocents": innocents(model, judged(model, unseen), judged(model, seen), careers, out / "plots")}
    known = json.loads(file.read_text("utf-8")) if file.exists() else {}
    file.write_text(json.dumps(known | found, indent=2) + "\n", "utf-8")
    return found


def real_before(out: Path) -> dict[str, Any]:
    """What results.json says of recorded people already."""
    file = out / "results.json"
    known = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return {part: known[part] for part in ("real", "real_plain", "real_family_left_out") if part in known} or {
        "real": {"skipped": "--no-real"}
    }


def run(careers: int = 30_000, processes: int = 2, real: bool = True, out: Path = HERE) -> dict[str, Any]:
    """Everything; also writes results.json and plots/ below `out`."""
    plot = out / "plots"
    model = load_aim()
    test = collect(TEST_JOBS, train.KEEP, processes)
    unseen, seen = collect(INNOCENT_JOBS, train.KEEP, processes), collect(train.NULL_JOBS, train.KEEP, processes)
    blocks = judged(model, test)
    players = follow(blocks, model.null)
    found_unseen, found_seen = judged(model, unseen), judged(model, seen)
    people = follow(found_unseen, model.null) | {who: player for who, player in players.items() if player["label"] == "human"}
    curves(players, plot)
    found: dict[str, Any] = {"model": model.id}
    found |= real_only(out) if real else real_before(out)
    found["simulated"] = {"per_shot": per_shot(model, test.shots), "per_block": per_block(blocks), "players": by_label(players)}
    every = people | follow(found_seen, model.null)  # those of the null too: 1 in 1,000 needs many
    found["simulated"]["after_60_s_of_combat"] = after_60_s(players, every) | {"innocents_that_made_the_null": len(every) - len(people)}
    found["simulated"]["calibration_error"] = round(calibration(blocks), 4)
    found["simulated"]["adaptive"] = adaptive(players, np.random.default_rng(9))
    for duty, jobs in DUTY_JOBS.items():
        rows = follow(judged(model, collect(jobs, train.KEEP, processes)), model.null)
        some = {who: player for who, player in rows.items() if player["label"] in MACHINES}
        found["simulated"][f"on_{duty:g}_of_engagements"] = by_label(some)
    found["simulated"]["family_left_out"] = held_out(processes)
    found["innocents"] = innocents(model, found_unseen, found_seen, careers, plot)
    (out / "results.json").write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    return found


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
