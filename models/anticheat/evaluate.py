"""Measure the anti-cheat and draw it: `python -m models.anticheat evaluate --json`. Real and simulated are reported apart, always.

`real`: recorded people 49 to 72, whom training has not seen, and machines pasted onto their paths. `simulated`: crowds of the arena
that neither training nor the null has seen. `careers`: a simulation on top of a simulation. Writes results.json and plots/.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from gameedge.core.anticheat import accumulate, aim
from gameedge.inference.artifacts import load, load_aim
from loadtest.bots.machines import FAMILIES as MACHINES
from models.anticheat import arena, calibrate, careers, mouse, paste, plots, real, score, train, train_mouse
from models.anticheat.data import Job, Shots, collect
from models.anticheat.plots import Axis

HERE = Path(__file__).resolve().parent
TEST_JOBS = [Job(seed) for seed in range(301, 307)]
DUTY_JOBS = {0.3: [Job(seed, duty=0.3) for seed in (311, 312, 313)], 0.1: [Job(seed, duty=0.1) for seed in (321, 322)]}
INNOCENT_JOBS = [Job(seed, honest=1.0) for seed in range(401, 407)]
HELD_OUT = ("smooth", "minjerk", "wind", "splice")
BLOCK_S = 0.7
COMBAT_S = 60.0
HZ = 30
RATES = (1e-1, 1e-2, 1e-3)


# ------------------------------------------------------------------------------------------------------------ real people


def _share(found: np.ndarray, innocents: np.ndarray, rate: float) -> float:
    """TPR at a false positive rate; ties count for the innocents."""
    return round(float((found > np.quantile(innocents, 1 - rate, method="higher")).mean()), 4)


def real_people(plot: Path | None) -> dict[str, Any]:
    """TPR of score-aim on people that training has not seen."""
    clicks = real.clicks(real.VALIDATE_USERS)
    if clicks is None:
        return {"skipped": f"{real.FILE.name} is not there"}
    out: dict[str, Any] = {"people": len(np.unique(clicks.user)), "shots_by_people": len(clicks.user), "way_min_px": paste.WAY_MIN}
    nets = score.load_mouse()
    out["model"] = load(score.NAME).id
    curves: dict[str, list[tuple[float, float]]] = {}
    for hz in mouse.RATES:
        rng = np.random.default_rng(77)
        people = score.judge(nets[hz], train_mouse.humans(clicks, hz, rng, change=False))
        rows = {}
        for family in paste.FAMILIES:
            found = score.judge(nets[hz], train_mouse.machines(family, clicks, hz, rng))
            rows[family] = {f"tpr_at_{rate:g}": _share(found, people, rate) for rate in RATES}
            if hz == HZ:
                levels = np.logspace(-3.3, 0, 40)
                curves[family] = [(float(level), _share(found, people, level)) for level in levels]
        by_person = [float((people[clicks.user == user] > np.quantile(people, 0.99)).mean()) for user in np.unique(clicks.user)]
        rows["worst_person_at_1e-2"] = round(max(by_person), 4)
        out[f"{hz}_hz"] = rows
    if plot is not None:
        note = "machines pasted onto recorded paths of people 49 to 72; 30 Hz, one shot alone"
        title = "Real hands: caught against falsely accused, per shot"
        axes = Axis("share of people's shots accused", 5e-4, 1.0, log=True), Axis("share of machines' shots caught", 0.0, 1.0)
        plots.lines(plot / "real_roc.svg", title, *axes, curves, note=note)
    return out


def real_left_out() -> dict[str, Any]:
    """The same at 30 Hz, with each family left out of training."""
    seen, clicks = real.clicks(real.TRAIN_USERS), real.clicks(real.VALIDATE_USERS)
    if seen is None or clicks is None:
        return {"skipped": f"{real.FILE.name} is not there"}
    full = score.load_mouse()[HZ]
    rows = {}
    for family in paste.FAMILIES:
        net = train_mouse.fit(seen, HZ, tuple(other for other in paste.FAMILIES if other != family), epochs=10)
        values = []
        for nets in ([net], full[:1]):
            rng = np.random.default_rng(78)
            people = score.judge(nets, train_mouse.humans(clicks, HZ, rng, change=False))
            values.append(_share(score.judge(nets, train_mouse.machines(family, clicks, HZ, rng)), people, 1e-3))
        rows[family] = {"left_out": values[0], "trained_on": values[1], "ratio": round(values[0] / max(values[1], 1e-9), 3)}
    return rows


# -------------------------------------------------------------------------------------------------------------- the arena


def follow(found: dict[str, np.ndarray], null: np.ndarray) -> dict[int, dict[str, Any]]:
    """Every player's wealth over its blocks: label, and the log after each block."""
    players: dict[int, dict[str, Any]] = {}
    for who in np.unique(found["who"]):
        rows = np.flatnonzero(found["who"] == who)
        wealth = accumulate.Wealth()
        logs, sure = [], []
        for i in rows:
            p = accumulate.p_value(null, int(found["cohort"][i]), int(found["count"][i]), float(found["mean"][i]))
            logs.append(wealth.bet(p, int(found["cohort"][i])))
            sure.append(wealth.strict_log)
        players[int(who)] = {
            "label": arena.LABELS[int(found["label"][rows[0]])],
            "logs": np.array(logs),
            "strict": np.array(sure),
            "cohort": int(found["cohort"][rows[0]]),
        }
    return players


def _to(logs: np.ndarray, level: float) -> float:
    """Combat seconds until the level was reached; inf: never."""
    reached = np.flatnonzero(logs >= level)
    return float((reached[0] + 1) * BLOCK_S) if len(reached) else float("inf")


def _row(some: list[dict[str, Any]]) -> dict[str, Any]:
    review = np.array([_to(player["logs"], accumulate.REVIEW) for player in some])
    ban = np.array([_to(player["strict"], accumulate.BAN) for player in some])
    seen = np.array([len(player["logs"]) * BLOCK_S for player in some])
    middle = float(np.median(review))
    return {
        "players": len(some),
        "flagged": round(float(np.isfinite(review).mean()), 4),
        "flagged_within_60_s_of_combat": round(float((review <= COMBAT_S).mean()), 4),  # of all, however short they were watched
        "recommended": round(float(np.isfinite(ban).mean()), 4),
        "median_combat_s_to_flag": round(middle, 1) if np.isfinite(middle) else None,
        "median_combat_s_watched": round(float(np.median(seen)), 1),
    }


def by_label(players: dict[int, dict[str, Any]]) -> dict[str, Any]:
    labels = sorted({player["label"] for player in players.values()}, key=arena.LABELS.index)
    return {label: _row([player for player in players.values() if player["label"] == label]) for label in labels}


def judged(model: aim.AimModel, shots: Shots) -> dict[str, np.ndarray]:
    return calibrate.blocks(shots, model.judge(shots.figures).score)


def per_shot(model: aim.AimModel, shots: Shots) -> dict[str, Any]:
    values = model.judge(shots.figures).score
    people = values[shots.kind == aim.HUMAN]
    rows = {}
    for kind, name in enumerate(aim.CLASSES):
        if kind != aim.HUMAN and (shots.kind == kind).any():
            rows[name] = {f"tpr_at_{rate:g}": _share(values[shots.kind == kind], people, rate) for rate in RATES}
    return rows


def adaptive(players: dict[int, dict[str, Any]], rng: np.random.Generator, tries: int = 8) -> dict[str, Any]:
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


def innocents(model: aim.AimModel, shots: Shots, number: int, plot: Path | None) -> dict[str, Any]:
    """Calibration, cohorts and careers, on innocents that nothing has seen."""
    found = judged(model, shots)
    p = calibrate.p_values(found, model.null)
    rates = {tail: float((p <= tail).mean()) for tail in aim.TAILS}
    cohorts = {
        name: {f"{tail:g}": round(float((p[found["cohort"] == c] <= tail).mean()), 5) for tail in (0.1, 0.01)}
        for c, name in enumerate(("steady, up to 150 ms", "steady, above", "unsteady"))
    }
    common = [row["0.1"] for row in cohorts.values()]  # rarer events are too few to compare
    ratio = max(common) / max(min(common), 1e-9)
    players = follow(found, model.null)
    # The spread between people, as the null's inflation has it, of the rate of p <= 0.05.
    factor_spread = calibrate.spread(p <= 0.05, found["who"])
    simulated = careers.simulate(np.array([rates[tail] for tail in aim.TAILS]), factor_spread, number)
    peak = max(float(player["logs"].max()) for player in players.values())
    if plot is not None:
        note = "at or under the line: p-values are valid; the gap is what people differ by"
        nominal = {"observed": [(tail, max(rate, 1e-5)) for tail, rate in sorted(rates.items())], "valid": [(1e-4, 1e-4), (1.0, 1.0)]}
        axes = Axis("p-value said", 1e-4, 1.0, log=True), Axis("share of innocents' blocks", 1e-5, 1.0, log=True)
        plots.lines(plot / "calibration.svg", "Innocent blocks: p-values said and observed", *axes, nominal, ["valid"], note)
        curve = [(t, max(share, 1e-5)) for t, share in simulated["curve"]]  # type: ignore[attr-defined]
        bound = [(t, min(1.0, 1 / t)) for t, _ in curve]
        axes = Axis("wealth", 1.0, 1e4, log=True), Axis("share of careers that ever reach it", 1e-5, 1.0, log=True)
        note = f"{number} simulated careers of 1,000 h; review at 100, ban recommended at 10,000"
        plots.lines(plot / "careers.svg", "Innocent careers", *axes, {"simulated": curve, "Ville's bound": bound}, ["Ville's bound"], note)
    return {
        "people": len(players),
        "blocks": len(p),
        "hours_of_play": round(len(np.unique(shots.who)) * 100 / 3600, 1),
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
    shots = collect(train.TRAIN_JOBS, train.KEEP, processes)
    null = collect(train.NULL_JOBS, train.KEEP, processes)
    test = collect(TEST_JOBS, train.KEEP, processes)
    rows = {}
    for family in HELD_OUT:
        tensors = train.fit(shots, leave_out=family, epochs=25)
        model, _ = train.calibrated(tensors, null)
        labels = [arena.LABELS.index(name) for name in arena.LABELS if train.CLASS_OF[name] == family]
        some = test.take(np.flatnonzero(np.isin(test.label, labels)))
        rows[family] = _row(list(follow(judged(model, some), model.null).values()))
    return rows


def curves(players: dict[int, dict[str, Any]], plot: Path) -> None:
    series = {}
    for label in arena.LABELS:
        times = sorted(_to(player["logs"], accumulate.REVIEW) for player in players.values() if player["label"] == label)
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


def run(careers: int = 3_000, processes: int = 2, real: bool = True, out: Path = HERE) -> dict[str, Any]:
    """Everything; also writes results.json and plots/ below `out`."""
    plot = out / "plots"
    model = load_aim()
    test = collect(TEST_JOBS, train.KEEP, processes)
    players = follow(judged(model, test), model.null)
    curves(players, plot)
    found: dict[str, Any] = {"model": model.id}
    found["real"] = real_people(plot) if real else {"skipped": "--no-real"}
    if real:
        found["real_family_left_out"] = real_left_out()
    found["simulated"] = {"per_shot": per_shot(model, test), "players": by_label(players)}
    found["simulated"]["adaptive"] = adaptive(players, np.random.default_rng(9))
    for duty, jobs in DUTY_JOBS.items():
        shots = collect(jobs, train.KEEP, processes)
        some = {who: player for who, player in follow(judged(model, shots), model.null).items() if player["label"] in MACHINES}
        found["simulated"][f"on_{duty:g}_of_engagements"] = by_label(some)
    found["simulated"]["family_left_out"] = held_out(processes)
    found["innocents"] = innocents(model, collect(INNOCENT_JOBS, train.KEEP, processes), careers, plot)
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
