"""What the arena's model finds in simulated crowds that neither training nor the null has seen, player by player.

A quarter of the simulated links are so unsteady that seconds of combat on them are not judged (`accumulate.safe`): whoever plays on one
is the gate's alone. So figures are given twice: of everybody, and of those of whom the network let `JUDGED_S` of combat be judged.
"""

from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from gameedge.core.anticheat import accumulate, aim
from loadtest.bots.machines import FAMILIES as MACHINES
from models.anticheat import arena, calibrate, plots, train
from models.anticheat.data import Crowds, Job, Shots, collect, each
from models.anticheat.evaluate_aim import share
from models.anticheat.plots import Axis

# 110 s of play: a little more than 60 s with an enemy in sight. Few people among the machines: innocents have crowds of their own.
TEST_JOBS = [Job(seed, seconds=110.0, honest=0.25) for seed in range(301, 309)]
DUTY_JOBS = {0.3: [Job(seed, seconds=110.0, honest=0.25, duty=0.3) for seed in range(321, 325)]}
INNOCENT_JOBS = [Job(seed, seconds=110.0, honest=1.0) for seed in range(409, 417)]
LEFT_OUT_PEOPLE = INNOCENT_JOBS
HELD_OUT = ("snap", "smooth", "minjerk", "wind", "splice", "trigger", "macro")
# Models without a family are trained on a part of the crowds and for less long than the shipped one, and compared with one that is
# trained so with all of them.
HELD_OUT_CROWDS, HELD_OUT_EPOCHS = 32, {"shots": 20, "stream": 8, "attacked": 2}
TICK_HZ = 60
COMBAT_S = 60.0
JUDGED_S = 30.0
RATES = (1e-1, 1e-2, 1e-3)
Players = dict[int, dict[str, Any]]


def judged(model: aim.AimModel, crowds: Iterable[Crowds]) -> calibrate.Found:
    """The blocks that the watch would bet on: those that the network let through."""
    parts = []
    for crowd in crowds:
        found = calibrate.ticks(crowd, model)
        parts.append({name: column[found["safe"]] for name, column in found.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def follow(found: calibrate.Found, null: np.ndarray) -> Players:
    """Every player's wealth over its blocks: label, the log after each block, and the seconds with an enemy in sight until then."""
    players: Players = {}
    p = calibrate.p_values(found, null)
    order = np.argsort(found["who"], kind="stable")
    who, first = np.unique(found["who"][order], return_index=True)
    for player, rows in zip(who.tolist(), np.split(order, first[1:]), strict=True):
        wealth = accumulate.Wealth()
        logs, sure = [], []
        for i in rows:
            logs.append(wealth.bet(float(p[i]), int(found["cohort"][i])))
            sure.append(wealth.strict_log)
        players[player] = {
            "label": arena.LABELS[int(found["label"][rows[0]])],
            "logs": np.array(logs),
            "strict": np.array(sure),
            "s": np.cumsum(found["ticks"][rows]) / TICK_HZ,
            "cohort": int(found["cohort"][rows[0]]),
            "blocks": [(float(p[i]), int(found["cohort"][i])) for i in rows],
        }
    return players


def people_of(players: Players) -> Players:
    return {who: player for who, player in players.items() if player["label"] == "human"}


def judged_enough(players: Players) -> Players:
    """Those of whom so much combat was judged that 60 s of it may say something: nearly all are under 10 s or above 45 s."""
    return {who: player for who, player in players.items() if player["s"][-1] >= JUDGED_S}


def to_level(player: dict[str, Any], level: float, logs: str = "logs") -> float:
    """Seconds with an enemy in sight until the level was reached; inf: never."""
    reached = np.flatnonzero(player[logs] >= level)
    return float(player["s"][reached[0]]) if len(reached) else float("inf")


def row(some: list[dict[str, Any]]) -> dict[str, Any]:
    review = np.array([to_level(player, accumulate.REVIEW) for player in some])
    ban = np.array([to_level(player, accumulate.BAN, "strict") for player in some])
    middle = float(np.median(review))
    return {
        "players": len(some),
        "flagged": round(float(np.isfinite(review).mean()), 4),
        "flagged_within_60_s_of_combat": round(float((review <= COMBAT_S).mean()), 4),  # of all, however short they were watched
        "recommended": round(float(np.isfinite(ban).mean()), 4),
        "median_combat_s_to_flag": round(middle, 1) if np.isfinite(middle) else None,
        "median_combat_s_watched": round(float(np.median([player["s"][-1] for player in some])), 1),
    }


def by_label(players: Players) -> dict[str, Any]:
    labels = sorted({player["label"] for player in players.values()}, key=arena.LABELS.index)
    return {label: row([player for player in players.values() if player["label"] == label]) for label in labels}


def highest(player: dict[str, Any], seconds: float = COMBAT_S) -> float:
    """The most wealth within so much combat, as a logarithm."""
    return float(player["logs"][: max(1, int(np.searchsorted(player["s"], seconds, side="right")))].max())


def after_60_s(players: Players, people: Players, rates: Iterable[float] = (1e-2, 1e-3, 1e-4)) -> dict[str, Any]:
    """TPR of machines by the most wealth within 60 s of combat, at the threshold that so many of these innocents reach at most, and at
    the wealth that no more than so many may reach by Ville's inequality (the rule that the watch goes by). Where there are fewer
    innocents than a rate needs, the threshold is above them all."""
    levels = np.sort([highest(player) for player in people.values()])
    machines = [player for player in players.values() if player["label"] != "human"]
    label = np.array([player["label"] for player in machines])
    top = np.array([highest(player) for player in machines])
    names = sorted(set(label.tolist()), key=arena.LABELS.index)

    def shares(at: float) -> dict[str, float]:
        found = top > at
        but = label != "esp"
        every = {"all": round(float(found.mean()), 4), "all_but_esp": round(float(found[but].mean()), 4)}
        return every | {name: round(float(found[label == name].mean()), 4) for name in names}

    rows: dict[str, Any] = {"innocents": len(levels), "players": {name: int((label == name).sum()) for name in names}}
    for rate in rates:
        allowed = int(rate * len(levels))
        at = float(levels[len(levels) - 1 - allowed])
        rows[f"tpr_at_{rate:g}"] = shares(at)
        rows[f"log_wealth_at_{rate:g}"] = round(at, 2)
        rows[f"innocents_above_at_{rate:g}"] = int((levels > at).sum())
    for wealth in (100.0, 1e3, 1e4):
        rows[f"tpr_at_wealth_{wealth:g}"] = shares(float(np.log(wealth)))
        rows[f"innocents_at_wealth_{wealth:g}"] = int((levels >= np.log(wealth)).sum())
    return rows


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


def adaptive(players: Players, rng: np.random.Generator, tries: int = train.TRIES) -> dict[str, Any]:
    """An attacker who may query: tries some machines of a family for the first half, keeps the one with the least wealth, and plays on
    with it as a new player. What is reported is the second half."""
    rows = {}
    for family in MACHINES:
        some = [player for player in players.values() if player["label"] == family and len(player["logs"]) >= 20]
        if len(some) < 4:
            continue
        first = np.array([player["logs"][len(player["logs"]) // 2] for player in some])
        flagged = np.array([_flagged(player["blocks"][len(player["logs"]) // 2 + 1 :]) for player in some])
        picks = rng.integers(0, len(some), (200, tries))
        chosen = picks[np.arange(200), np.argmin(first[picks], axis=1)]
        rows[family] = {"flagged_in_second_half": round(float(flagged[chosen].mean()), 4), "machines": len(some)}
    return rows


def _flagged(blocks: list[tuple[float, int]]) -> bool:
    wealth = accumulate.Wealth()
    return max((wealth.bet(p, cohort) for p, cohort in blocks), default=0.0) >= accumulate.REVIEW


def held_out(processes: int) -> dict[str, Any]:
    """How much of a family is found within 60 s of combat by models that were trained without it, beside what a model that was trained as
    long with all families finds of it."""
    jobs = [*train.TRAIN_JOBS[:HELD_OUT_CROWDS], *train.FUSE_JOBS, *train.ODDS_JOBS, *train.NULL_JOBS, *TEST_JOBS, *LEFT_OUT_PEOPLE]
    for _ in each(jobs, train.KEEP, processes):
        pass  # they are made here, not by each process that follows
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        seen, *without = pool.map(_without, (None, *HELD_OUT))
    rows: dict[str, Any] = {}
    for family, found in zip(HELD_OUT, without, strict=True):
        rows[family] = {}
        for name, (players, people) in (("left_out", found), ("seen", seen)):
            some = {who: player for who, player in players.items() if train.CLASS_OF[player["label"]] == family}
            rows[family][name] = after_60_s(judged_enough(some), judged_enough(people), (1e-2, 1e-3))
            rows[family][f"{name}_everybody"] = after_60_s(some, people, (1e-2, 1e-3))
        print(f"left out: {family}", flush=True)
    return rows


def _without(family: str | None) -> tuple[Players, Players]:
    """The machines and the people of the test crowds as a model sees them that was trained without a family (None: with all)."""
    crowds, epochs = collect(train.TRAIN_JOBS[:HELD_OUT_CROWDS], train.KEEP, 1), HELD_OUT_EPOCHS
    tensors = train.fit(crowds.shots, leave_out=family, epochs=epochs["shots"])
    tensors |= train.fit_stream(crowds, leave_out=family, epochs=epochs["stream"], attacked=epochs["attacked"])
    del crowds
    tensors["fuse"] = train.fuse(tensors, collect(train.FUSE_JOBS, train.KEEP, 1), family)
    tensors["odds"] = train.odds(tensors, collect(train.ODDS_JOBS, train.KEEP, 1))
    model, _ = train.calibrated(tensors, collect(train.NULL_JOBS, train.KEEP, 1))
    players = follow(judged(model, each(TEST_JOBS, train.KEEP, 1)), model.null)
    people = follow(judged(model, each(LEFT_OUT_PEOPLE, train.KEEP, 1)), model.null) | people_of(players)
    return {who: player for who, player in players.items() if player["label"] != "human"}, people


def curves(players: Players, plot: Path) -> None:
    """How soon each family is flagged, and the share of each that is found at which share of innocents would be told by the same wealth."""
    series = {}
    for label in arena.LABELS:
        times = sorted(to_level(player, accumulate.REVIEW) for player in players.values() if player["label"] == label)
        if times:
            points = [(0.5, 0.0)]
            for k, at in enumerate(times):
                if np.isfinite(at):
                    points += [(at, k / len(times)), (at, (k + 1) / len(times))]
            series[label] = [*points, (70.0, points[-1][1])]
    note = "simulated crowds that nothing was trained on; seconds in which the player fought, on links that let it be judged"
    axes = Axis("combat time, s", 0.5, 70.0, log=True), Axis("share of players flagged for review", 0.0, 1.0)
    plots.lines(plot / "time_to_flag.svg", "How soon machines are flagged", *axes, series, note=note)


def roc(players: Players, people: Players, plot: Path) -> None:
    levels = np.sort([highest(player) for player in people.values()])
    low = 1.0 / len(levels)
    series = {}
    for label in arena.LABELS[1:]:
        top = np.array([highest(player) for player in players.values() if player["label"] == label])
        if len(top):
            at = np.unique(np.round(np.geomspace(1, len(levels), 60)).astype(int))  # innocents above
            thresholds = [levels[len(levels) - k] for k in at]
            series[label] = [(k * low, float((top >= threshold).mean())) for k, threshold in zip(at, thresholds, strict=True)]
    note = f"{len(levels):,} innocents; the most wealth within 60 s of combat, on links that let it be judged"
    axes = Axis("share of innocents above", low, 1.0, log=True), Axis("share of machines found", 0.0, 1.0)
    plots.lines(plot / "arena_roc.svg", "Machines found in 60 s of combat", *axes, series, note=note)


def arena_part(model: aim.AimModel, plot: Path, processes: int, *, left_out: bool = True) -> dict[str, Any]:
    """All of it. left_out: train models without a family each, most of the time it takes."""
    test = collect(TEST_JOBS, train.KEEP, processes)
    blocks = judged(model, [test])
    shots = per_shot(model, test.shots)
    del test
    unseen = judged(model, each(INNOCENT_JOBS, train.KEEP, processes))
    seen = judged(model, each(train.NULL_JOBS, train.KEEP, processes))
    players = follow(blocks, model.null)
    people = follow(unseen, model.null) | people_of(players)
    every = people | follow(seen, model.null)  # those of the null too: 1 in 1,000 needs many
    enough, innocent = judged_enough(players), judged_enough(every)
    curves(enough, plot)
    roc(enough, innocent, plot)
    found: dict[str, Any] = {"per_shot": shots, "per_block": per_block(blocks)}
    found |= {
        "judged_s_min": JUDGED_S,
        "players": by_label(judged_enough(players | people)),
        "players_everybody": by_label(players | people),
    }
    for name, some, others in (("", enough, innocent), ("_everybody", players, every)):
        made = {"innocents_that_made_the_null": len(others) - len(set(others) & set(people))}
        found[f"after_60_s_of_combat{name}"] = after_60_s(some, others) | made
    found["calibration_error"] = round(calibration(blocks), 4)
    found["adaptive"] = adaptive(players, np.random.default_rng(9))
    for duty, jobs in DUTY_JOBS.items():
        rows = follow(judged(model, each(jobs, train.KEEP, processes)), model.null)
        some = {who: player for who, player in rows.items() if player["label"] in MACHINES}
        found[f"on_{duty:g}_of_engagements"] = by_label(judged_enough(some))
        found[f"on_{duty:g}_of_engagements_everybody"] = by_label(some)
    if left_out:
        found["family_left_out"] = held_out(processes)
    return found
