"""Measure `score-aim` on recorded people 49 to 72, whom training has not seen, and draw it. Part of evaluate.py; real people alone.

Three questions: how much of the machines pasted as training pastes them is found; how much of machines that were written and cut another
way (plain.py); how much of a family that training did not see.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gameedge.inference.artifacts import load
from models.anticheat import hands, mouse, mousenet, paste, plain, plots, real, score
from models.anticheat.plots import Axis

HZ = 30
RATES = (1e-1, 1e-2, 1e-3)
# hz, samples, whether the person was going elsewhere, whether the newest event is held
CUTS = (
    (20, 20, False, False),
    (30, 16, False, False),
    (30, 32, False, False),
    (30, 32, True, False),
    (30, 48, False, True),
    (60, 64, False, False),
)
LEFT_OUT_STEPS, LEFT_OUT_PARTS = 600, 2  # far shorter than the shipped networks'; compared with one as short that has seen all


def share(found: np.ndarray, innocents: np.ndarray, rate: float) -> float:
    """TPR at a false positive rate; ties count for the innocents."""
    return round(float((found > np.quantile(innocents, 1 - rate, method="higher")).mean()), 4)


def scored(
    nets: score.Nets, clicks: real.Clicks, hz: int, families: tuple[str, ...], seed: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Scores of these people's shots and of machines pasted onto their paths."""
    rng = np.random.default_rng(seed)
    people = score.judge(nets, hands.humans(clicks, hz, rng, change=False), hz)
    found = {}
    for name in families:
        found[name] = score.judge(nets, hands.machines(name, clicks, hz, rng, donors=clicks.path, change=False), hz)
    return people, found


def _rows(people: np.ndarray, found: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {name: {f"tpr_at_{rate:g}": share(values, people, rate) for rate in RATES} for name, values in found.items()}


def real_people(plot: Path | None) -> dict[str, Any]:
    """TPR of score-aim on people that training has not seen, at each rate."""
    clicks = real.clicks(real.VALIDATE_USERS)
    if clicks is None:
        return {"skipped": f"{real.FILE.name} is not there"}
    out: dict[str, Any] = {"people": len(np.unique(clicks.user)), "shots_by_people": len(clicks.user), "way_min_px": paste.WAY_MIN}
    nets = score.load_mouse()
    out["model"] = load(score.NAME).id
    for hz in mouse.RATES:
        people, found = scored(nets, clicks, hz, paste.FAMILIES + paste.EXTRA, 77)
        rows = _rows(people, found)
        users = np.unique(clicks.user)
        over = [float((people[clicks.user == user] > np.quantile(people, 0.99)).mean()) for user in users]
        rows["worst_person_at_1e-2"] = round(max(over), 4)
        rows["people_with_an_accused_shot_at_1e-3"] = len(np.unique(clicks.user[people > np.quantile(people, 0.999)]))
        out[f"{hz}_hz"] = rows
        if hz == HZ and plot is not None:
            note = "machines pasted onto recorded paths of people 49 to 72; 30 Hz, one shot alone"
            _draw(
                plot / "real_roc.svg",
                "Real hands: caught against falsely accused, per shot",
                people,
                {f: found[f] for f in paste.FAMILIES},
                note,
            )
    return out


def _draw(path: Path, title: str, people: np.ndarray, found: Mapping[str, np.ndarray], note: str) -> None:
    levels = np.logspace(-3.3, 0, 40)
    curves = {name: [(float(level), share(values, people, level)) for level in levels] for name, values in found.items()}
    axes = Axis("share of people's shots accused", 5e-4, 1.0, log=True), Axis("share of machines' shots caught", 0.0, 1.0)
    plots.lines(path, title, *axes, curves, note=note)


def real_plain(plot: Path | None) -> dict[str, Any]:
    """The second opinion: TPR with people's paths cut and machines made by plain.py."""
    if not real.FILE.exists():
        return {"skipped": f"{real.FILE.name} is not there"}
    out: dict[str, Any] = {}
    for hz, samples, elsewhere, held in CUTS:
        rng = np.random.default_rng(79)
        paths = plain.people(real.VALIDATE_USERS, hz, samples, held)
        people = score.score(paths, hz)
        found = {name: score.score(plain.pasted(name, paths, hz, rng, elsewhere), hz) for name in plain.FAMILIES}
        name = f"{hz} Hz, {samples} samples, {'elsewhere' if elsewhere else 'late'}{', held' if held else ''}"
        out[name] = {"shots_by_people": len(people)} | _rows(people, found)
        if (hz, samples, elsewhere, held) == (HZ, 32, False, False) and plot is not None:
            note = "another way of cutting, machines in textbook form; people 49 to 72, 30 Hz, one shot alone"
            _draw(plot / "real_plain_roc.svg", "Real hands, a second opinion", people, found, note)
    return out


def real_left_out(fit: Callable[..., mousenet.Tensors] | None = None) -> dict[str, Any]:
    """At 30 Hz, with each family left out of training, against a network that has seen all and was trained as long: with machines pasted as
    training pastes them, and with those of plain.py (32 samples, late). Needs torch."""
    clicks = real.clicks(real.VALIDATE_USERS)
    if clicks is None:
        return {"skipped": f"{real.FILE.name} is not there"}
    try:
        import torch  # noqa: F401
    except ImportError:
        return {"skipped": "torch is not installed"}
    from models.anticheat import train_mouse

    fit = fit or train_mouse.fit
    plan = train_mouse.Plan(HZ, LEFT_OUT_STEPS, parts=LEFT_OUT_PARTS)
    paths = plain.people(real.VALIDATE_USERS, HZ, 32)
    rng = np.random.default_rng(79)
    textbook = {name: plain.pasted(name, paths, HZ, rng, False) for name in plain.FAMILIES}

    def measure(families: tuple[str, ...], asked: tuple[str, ...]) -> dict[str, dict[str, float]]:
        nets: score.Nets = {HZ: [fit(plan, families=families)]}
        people, found = scored(nets, clicks, HZ, asked, 78)
        plainly = score.judge(nets, paths.astype(np.float32), HZ)
        rows: dict[str, dict[str, float]] = {}
        for name in asked:
            other = score.judge(nets, textbook[name].astype(np.float32), HZ)
            rows[name] = {f"pasted_at_{rate:g}": share(found[name], people, rate) for rate in RATES[1:]}
            rows[name] |= {f"plain_at_{rate:g}": share(other, plainly, rate) for rate in RATES[1:]}
        return rows

    every = mousenet.CLASSES[1:]
    seen, out = measure(every, paste.FAMILIES), {}
    for family in paste.FAMILIES:
        left = measure(tuple(name for name in every if name != family), (family,))[family]
        out[family] = {f"left_out_{key}": value for key, value in left.items()}
        out[family] |= {f"trained_on_{key}": value for key, value in seen[family].items()}
        out[family] |= {f"ratio_{key}": round(value / max(seen[family][key], 1e-9), 3) for key, value in left.items()}
    return out
