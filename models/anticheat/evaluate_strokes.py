"""Measure `core.anticheat.strokes`: how often people's strokes come again by chance, and how soon a player of recordings is found.

Recorded people (real.py) at 60 Hz in whole pixels, all of them: nothing was fitted to them but ALIKE, RATE and the few bounds of
strokes.py. What is played back is what they did before their clicks, from the last rest on, turned, mirrored and scaled by up to 1.4,
with tremor added and in whole pixels again: sample for sample as it was recorded, or at another pace (up to 1.33) and between its samples.
Part of evaluate.py; alone, with its part of results.json: `python -m models.anticheat.evaluate_strokes`.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gameedge.core.anticheat import accumulate, repeats, strokes
from gameedge.core.game import GAZE_CURSOR, GAZE_SCALE, Gaze, Shots
from gameedge.core.ids import PlayerId
from loadtest.bots.machines import Plan
from models.anticheat import arena, plots, real
from models.anticheat.plots import Axis

HZ = 60
RADIUS_PX = 25.0  # of a target that was clicked, about
RADIUS = 0.5  # of a player of the arena
PAUSE = 12  # samples of rest between what is played
NOISES = (0.0, 0.5, 1.0, 2.0)
LIBRARIES = (8, 64, 512)
PLAYS = 400
LENGTH_MAX, LENGTH_MIN = 48, 6
ARENA_S, ARENA_SEEDS, ARENA_LIBRARIES = 300.0, (511, 512), (8, 32, 128)
PEOPLE_1E3 = 0.1  # the likeness that 1 in 1,000 strokes of these people reaches: for comparison
Array = np.ndarray


def paths(held: bool = False) -> dict[int, list[Array]]:
    """Each person's recordings as complex whole pixels at HZ. held: the newest event instead of lines between events."""
    out: dict[int, list[Array]] = {}
    for user, data in real.recordings():
        t = np.maximum.accumulate(data[:, 0])
        last = np.r_[np.diff(t) > 0, True]
        t, x, y = t[last], data[last, 1], data[last, 2]
        when = np.arange(t[0], t[-1], 1000.0 / HZ)
        at = np.searchsorted(t, when + 1e-6, side="right") - 1
        z = x[at] + 1j * y[at] if held else np.interp(when, t, x) + 1j * np.interp(when, t, y)
        if len(z) > HZ:
            out.setdefault(user, []).append(_whole(z))
    return out


def recordings(user: int) -> list[Array]:
    """What this person did before clicks, from the last rest on, complex pixels at HZ: what a cheat would record."""
    out = []
    for who, data in real.recordings():
        if who != user:
            continue
        t, before = np.maximum.accumulate(data[:, 0]), -np.inf
        for at in np.flatnonzero(data[:, 3]):
            when = t[at] - np.arange(LENGTH_MAX)[::-1] * 1000.0 / HZ
            if when[0] < t[0]:
                continue
            z = np.interp(when, t[: at + 1], data[: at + 1, 1]) + 1j * np.interp(when, t[: at + 1], data[: at + 1, 2])
            moving = np.abs(np.diff(z)) > 1.0
            while len(moving) and not moving[-1]:  # the rest before the press
                moving = moving[:-1]
            still = np.flatnonzero(~moving[:-2] & ~moving[1:-1] & ~moving[2:]) if len(moving) > 3 else np.zeros(0, int)
            begin = int(still[-1]) + 2 if len(still) else 0
            part = _whole(z[begin : len(moving) + 2])
            if when[begin] <= before:  # this movement led to the click before, too
                continue
            before = t[at]
            if len(part) >= LENGTH_MIN and abs(part[-1] - part[0]) >= 2 * strokes.WAY_RADII * RADIUS_PX:
                out.append(part)
    return out


def _whole(z: Array) -> Array:
    return np.round(z.real) + 1j * np.round(z.imag)


def played(part: Array, noise: float, paced: bool, rng: np.random.Generator) -> Array:
    """A recording once more, with a pause behind it."""
    z = part
    if paced:
        at = np.arange(rng.uniform(0, 1), len(z) - 1, np.exp(rng.uniform(-np.log(4 / 3), np.log(4 / 3))))
        z = np.interp(at, np.arange(len(z)), z.real) + 1j * np.interp(at, np.arange(len(z)), z.imag)
    z = z * np.exp(rng.uniform(-np.log(1.4), np.log(1.4)) + 2j * np.pi * rng.random())
    z = z if rng.random() < 0.5 else np.conj(z)
    z = np.r_[z, np.full(PAUSE, z[-1])]
    return _whole(z + noise * (rng.standard_normal(len(z)) + 1j * rng.standard_normal(len(z))))


def follow(
    tracks: Sequence[Array], seen: strokes.Strokes, tell: Callable[[strokes.Again, int], None] | None = None
) -> list[list[tuple[int, float]]]:
    """Each entity's strokes that were like one before: the sample at which each was over, and the account's logarithm then. tell: is told
    each, and its sample."""
    out: list[list[tuple[int, float]]] = [[] for _ in tracks]
    gaze, lengths = Gaze.empty(len(tracks)), np.array([len(track) for track in tracks])
    places = np.zeros((lengths.max(), len(tracks), 2), np.int16)
    for entity, track in enumerate(tracks):
        z = _whole(track - track[0])
        places[: len(z), entity, 0], places[: len(z), entity, 1] = np.clip(z.real, -32_000, 32_000), np.clip(z.imag, -32_000, 32_000)
    for tick in range(len(places)):
        gaze.fresh[:] = tick < lengths
        gaze.rows[:, GAZE_CURSOR : GAZE_CURSOR + 2] = places[tick]
        for again in seen.step(gaze, gaze.fresh):
            out[again.entity].append((tick, seen.log(again.entity)))
            if tell is not None:
                tell(again, tick)
    return out


def _strokes(count: int, alike: float = strokes.ALIKE) -> strokes.Strokes:
    return strokes.Strokes(count, RADIUS_PX / GAZE_SCALE, alike)  # a pixel is a unit of Gaze.rows


def _joined(parts: Sequence[Array]) -> Array:
    """One after another, with a second of rest between, so that no stroke crosses."""
    out = [parts[0] - parts[0][0]]
    for part in parts[1:]:
        out.append(np.full(HZ, out[-1][-1]))
        out.append(part - part[0] + out[-1][-1])
    return np.concatenate(out)


def innocents(held: bool, given: dict[int, list[Array]] | None = None) -> dict[str, Any]:
    """Strokes of everybody (or of these) against their own before."""
    given = paths(held) if given is None else given
    seen = _strokes(len(given))
    found = follow([_joined(parts) for parts in given.values()], seen)
    counts = np.array([seen.counts(entity) for entity in range(len(given))])
    total, alike = counts.sum(axis=0).tolist()
    return {
        "people": len(given),
        "strokes": total,
        "alike": alike,
        "rate": round(alike / total, 6),
        "rate_at_most_95": round(_at_most(alike, total), 6),
        "people_with_one": int((counts[:, 1] == 1).sum()),
        "people_with_more": int((counts[:, 1] > 1).sum()),
        "worst_rate": round(float((counts[:, 1] / np.maximum(counts[:, 0], 1)).max()), 5),
        "highest_log_wealth": max((round(log, 2) for each in found for _, log in each), default=None),  # after one that was alike
        "flagged": sum(any(log >= accumulate.REVIEW for _, log in each) for each in found),
    }


def _at_most(k: int, n: int) -> float:
    """Upper end of the one-sided 95% interval of a rate, Poisson."""
    low, high = 0.0, k + 30.0
    for _ in range(60):
        mean = (low + high) / 2
        terms = np.cumsum(np.log(np.maximum(np.arange(k + 1), 1)))
        p = float(np.exp(-mean + np.arange(k + 1) * np.log(mean) - terms).sum())
        low, high = (mean, high) if p > 0.05 else (low, mean)
    return high / n


def _replayed(noise: float, paced: bool, users: range) -> tuple[list[Array], list[Array]]:
    """A track for each of these people: what they did, and then each of it played again; where each of these begins, and where the last
    ends."""
    rng = np.random.default_rng(91)
    tracks, ends = [], []
    for user in users:
        known = recordings(user)[:120]
        if len(known) < 10:
            continue
        parts = [np.r_[part, np.full(PAUSE, part[-1])] for part in known] + [played(part, noise, paced, rng) for part in known]
        tracks.append(_bounded(parts))
        ends.append(np.cumsum([len(part) for part in parts])[len(known) - 1 :])
    return tracks, ends


def replays(noise: float, paced: bool, users: range, alike: float = strokes.ALIKE) -> dict[str, float]:
    """Share of recordings found when they are played and the same person's strokes, this recording among them, were seen before."""
    tracks, ends = _replayed(noise, paced, users)
    found = follow(tracks, _strokes(len(tracks), alike))
    hits = [len(np.unique(np.searchsorted(end, [at for at, _ in each if at >= end[0]]))) for each, end in zip(found, ends, strict=True)]
    total = sum(len(end) - 1 for end in ends)
    return {"played": total, "found": round(sum(hits) / total, 4)}


def libraries(size: int, noise: float, paced: bool, users: range, own: float) -> dict[str, Any]:
    """Movements of players until review: each plays recordings of others, drawn from `size` of them, PLAYS times, or, a share `own` of the
    time, moves by hand for as long as there is anything that this person was not seen to do before."""
    rng = np.random.default_rng(92)
    pool = [part for user in real.TRAIN_USERS for part in recordings(user)]
    tracks, ends = [], []
    for user in users:
        hand = recordings(user)
        library = [pool[k] for k in rng.choice(len(pool), size, replace=False)]
        parts = []
        mine = iter(hand)
        for _ in range(2 * len(hand) if own else PLAYS):
            part = next(mine, None) if rng.random() < own else None
            if part is not None:
                parts.append(np.r_[part, np.full(PAUSE, part[-1])])
            else:
                parts.append(played(library[int(rng.integers(size))], noise, paced, rng))
        tracks.append(_bounded(parts))
        ends.append(np.cumsum([len(part) for part in parts]))
    found = follow(tracks, _strokes(len(tracks)))
    until = []
    for each, end in zip(found, ends, strict=True):
        at = next((tick for tick, log in each if log >= accumulate.REVIEW), None)
        until.append(np.inf if at is None else int(np.searchsorted(end, at)) + 1)
    median = float(np.median(until))
    return {
        "players": len(until),
        "flagged": round(float(np.isfinite(until).mean()), 4),
        "median_movements": None if np.isinf(median) else int(median),
    }


def _bounded(parts: Sequence[Array]) -> Array:
    """One after another, turned towards the middle where they would lead too far from it."""
    out, at = [], 0j
    for part in parts:
        way = part - part[0]
        if abs(at + way[-1]) > 8_000:
            way = way * np.exp(1j * (np.angle(-at) - np.angle(way[-1])))
        out.append(_whole(at + way))
        at = out[-1][-1]
    return np.concatenate(out)


class Seer:
    """What the watch would see of a crowd's strokes (models.anticheat.arena), and when each player's account first was at review."""

    def __init__(self, players: int) -> None:
        capacity = players + arena.SEATS
        self._players = repeats.Players(capacity, RADIUS)
        self._rtt, self._jitter = np.zeros(capacity, np.float32), np.zeros(capacity, np.float32)
        self._who = np.full(capacity, -1)
        self.combat = np.zeros(players, int)  # ticks
        self.flagged = np.full(players, np.inf)  # ticks of combat until then

    def sat(self, entity: int, who: int) -> None:
        self._players.enter(entity, PlayerId(str(who)))
        self._who[self._who == who] = -1
        self._who[entity] = who

    def link(self, entity: int, rtt_ms: float, jitter_ms: float) -> None:
        self._rtt[entity], self._jitter[entity] = rtt_ms, jitter_ms

    def tick(self, gaze: Gaze, shots: Shots, tick: int) -> None:
        rows = np.flatnonzero(gaze.fresh & (self._who[: len(gaze.fresh)] >= 0))
        self.combat[self._who[rows]] += 1
        for entity in self._players.step(gaze, self._rtt, self._jitter):
            self.flagged[self._who[entity]] = self.combat[self._who[entity]]

    def counts(self, who: int) -> tuple[int, int]:
        """Strokes judged of a player, and those that were like one before."""
        return self._players.counts(PlayerId(str(who)))


def in_the_arena(seconds: float, seeds: Sequence[int], players: int = 64) -> dict[str, Any]:
    """Crowds of the arena: bots made like people, and a quarter that plays recordings of one hand over and over. Every link is steady."""
    rows: dict[str, list[tuple[int, int, float, float]]] = {}
    for seed in seeds:
        rng, crowd, labels = np.random.default_rng(seed), [], []
        for k in range(players):
            size = ARENA_LIBRARIES[k // 4 % len(ARENA_LIBRARIES)]
            plan = replace(Plan.draw("splice", rng), recordings=size, recorded=int(rng.integers(1 << 30))) if k % 4 == 3 else None
            label = f"plays {size} recordings" if plan else "people"
            crowd.append(arena.Who("splice" if plan else "human", int(rng.integers(1 << 30)), plan, loss=0.0))
            labels.append(label)
        order = rng.permutation(players)
        seen = Seer(players)
        arena.play([crowd[k] for k in order], seconds, seed, seen)
        for who, k in enumerate(order.tolist()):
            rows.setdefault(labels[k], []).append((*seen.counts(who), float(seen.combat[who]) / HZ, float(seen.flagged[who]) / HZ))
    out: dict[str, Any] = {}
    for label, found in sorted(rows.items()):
        table = np.array(found)
        until = table[:, 3]
        median = float(np.median(until))
        out[label] = {
            "players": len(table),
            "combat_s": round(float(table[:, 2].mean()), 1),
            "strokes": int(table[:, 0].sum()),
            "alike": int(table[:, 1].sum()),
            "flagged": int(np.isfinite(until).sum()),
            "median_combat_s": round(median, 1) if np.isfinite(median) else None,
        }
    return out


MODES = {"sample for sample": False, "another pace": True}


def run(plot: Path | None = None) -> dict[str, Any]:
    """The report; draws strokes.svg into `plot`."""
    found: dict[str, Any] = {"alike_below": strokes.ALIKE, "rate_said": strokes.RATE, "arena": in_the_arena(ARENA_S, ARENA_SEEDS)}
    if not real.FILE.exists():
        return found | {"skipped": f"{real.FILE.name} is not there"}
    users = real.VALIDATE_USERS
    found["people_60_hz"] = {"lines between events": innocents(False), "newest event held": innocents(True)}
    found["played_again"] = {
        name: {
            f"{noise:g}_px": replays(noise, paced, users) | {"found_at_1e-3": replays(noise, paced, users, PEOPLE_1E3)["found"]}
            for noise in NOISES
        }
        for name, paced in MODES.items()
    }
    found["until_review"] = {
        name: {
            f"{size} recordings, {noise:g} px{', half by hand' if own else ''}": libraries(size, noise, paced, users, own)
            for size in LIBRARIES
            for noise, own in ((0.0, 0.0), (1.0, 0.0), (1.0, 0.5))
        }
        for name, paced in MODES.items()
    }
    if plot is not None:
        _draw(plot / "strokes.svg", users)
    return found


def _draw(path: Path, users: range) -> None:
    """How alike the likest earlier stroke is: of people's strokes, and of what is played again."""
    given = paths()
    series = {"people": _likenesses([_joined(parts) for parts in given.values()])}
    for paced, noise in ((False, 0.0), (False, 0.5), (False, 1.0), (True, 0.5)):
        tracks, ends = _replayed(noise, paced, users)
        series[f"again, {noise:g} px{', paced' if paced else ''}"] = _likenesses(tracks, [int(end[0]) for end in ends])
    levels = np.exp(np.linspace(np.log(0.01), np.log(0.3), 60))
    curves = {name: [(float(level), max(float((values < level).mean()), 1e-5)) for level in levels] for name, values in series.items()}
    axes = (
        Axis("likeness to the likest of the 256 strokes before", 0.01, 0.3, log=True),
        Axis("share of strokes below", 1e-5, 1.0, log=True),
    )
    note = f"recorded people, 60 Hz, whole pixels; a stroke counts as one that came again below {strokes.ALIKE:g}"
    plots.lines(path, "Strokes that come again", *axes, curves, note=note)


def _likenesses(tracks: Sequence[Array], since: Sequence[int] | None = None) -> Array:
    """Of all strokes of these tracks that could be compared, from sample `since` of each on."""
    out: list[float] = []

    def tell(again: strokes.Again, tick: int) -> None:
        if since is None or tick >= since[again.entity]:
            out.append(again.likeness)

    follow(tracks, _strokes(len(tracks), np.inf), tell)
    return np.array(out)


def main() -> None:
    here = Path(__file__).resolve().parent
    found, file = {"strokes": run(here / "plots")}, here / "results.json"
    known = json.loads(file.read_text("utf-8")) if file.exists() else {}
    file.write_text(json.dumps(known | found, indent=2) + "\n", "utf-8")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
