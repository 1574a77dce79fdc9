"""`python -m loadtest bench matchmaking`: what a proposal costs, what it is worth, and whether it keeps its rules.

Tickets 5v5 of one mode and region with mutual windows of 100 on ratings of mean 1,500 and deviation 350: all of a pool in one
partition, the hardest case. The baseline is this project's first proposal (`matchmaking_naive.py`), over the same tickets in the
same run. `MORE` names the modules that add rows with a real store.
"""

import gc
import importlib.util
import itertools
import math
import os
import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Final

import numpy as np

from gameedge.core.errors import ConfigError
from gameedge.core.game import ModeSpec
from gameedge.core.ids import EdgeId, PlayerId, SessionId, TicketId
from gameedge.core.matchmaking import rules as reading
from gameedge.core.matchmaking import widening
from gameedge.core.matchmaking.audit import violations
from gameedge.core.matchmaking.pool import PoolArrays
from gameedge.core.matchmaking.propose import match, propose_pool, warm
from gameedge.core.matchmaking.rules import ModeRules, Skill
from gameedge.core.matchmaking.settings import MatchSettings
from gameedge.core.matchmaking.ticket import Ticket
from loadtest.bench import matchmaking_naive as naive
from loadtest.bench.report import Row, row, say

MORE: Final = ("matchmaking_redis",)  # each has run(notes, *, quick) -> list[Row]; one that is not there is left out
MEAN, DEVIATION, WINDOW, SCALE = 1_500.0, 350.0, 100.0, 200.0
SQUADS: Final = ModeSpec("squads", teams=2, team_size=5, duration_ms=1_000)
RULES: Final = ModeRules(teams=2, team_size=5, skill=Skill(window=widening.constant(WINDOW), default=MEAN, bound=1e5, scale=SCALE))
SETTINGS: Final = MatchSettings(window_start=WINDOW, window_per_s=0.0, rating_default=MEAN, rating_bound=1e5, beta=SCALE)
NOW: Final = 30_000
VARIED: Final = """
[modes.squads]
teams = 2
team_size = 5
party_sizes = [1, 2, 3]
[modes.squads.skill]
window = { steps = [[0, 100], [5_000, 200], [15_000, 400]] }
sigma_weight = 0.5
default = 1500
bound = 10_000
scale = 200
[[modes.squads.equal]]
attribute = "platform"
relax_ms = 20_000
[[modes.squads.overlap]]
attribute = "maps"
[modes.squads.latency]
limit_ms = { curve = [[0, 60], [20_000, 150]] }
"""


def tickets(count: int, rng: np.random.Generator, *, first: int = 0, now_ms: int = NOW) -> list[Ticket]:
    """People alone who came within the last 30 s. Ratings have two decimals, as JSON would."""
    ratings, ages = np.round(rng.normal(MEAN, DEVIATION, count), 2).tolist(), rng.integers(0, 30_000, count).tolist()
    return [_ticket(first + i, ratings[i], now_ms - ages[i]) for i in range(count)]


def varied(count: int, rng: np.random.Generator, *, first: int = 0, now_ms: int = NOW) -> list[Ticket]:
    """Parties of up to three, attributes, uncertain ratings and round trips to three regions, for all rules of VARIED."""
    made: list[Ticket] = []
    while len(made) < count:
        size = min(int(rng.choice([1, 1, 1, 2, 3])), count - len(made))
        platform = "pc" if rng.random() < 0.7 else "pad"
        near, created = int(rng.integers(3)), int(now_ms - rng.integers(0, 30_000))
        party = f"party{first + len(made)}" if size > 1 else None
        for _ in range(size):
            maps: list[str] = [f"m{k}" for k in rng.choice(6, 4, False)]
            rtt = {f"r{k}": float(rng.uniform(10, 50) if k == near else rng.uniform(50, 200)) for k in range(3)}
            more = {"party": party, "party_size": size, "sigma": float(rng.uniform(10, 100)), "rtt_ms": rtt}
            words = {"platform": platform, "maps": maps}
            made.append(_ticket(first + len(made), float(rng.normal(MEAN, DEVIATION)), created, attributes=words, **more))
    return made


def _ticket(name: int, rating: float, created_ms: int, **more: object) -> Ticket:
    known = {"id": TicketId(f"t{name}"), "player": PlayerId(f"p{name}"), "session": SessionId("s"), "edge": EdgeId("e")}
    return Ticket(mode="squads", rating=rating, created_ms=created_ms, **known, **more)  # type: ignore[arg-type]


def filled(rules: ModeRules, found: list[Ticket]) -> PoolArrays:
    pool = PoolArrays(rules)
    for ticket in found:
        pool.add(ticket)
    return pool


def took_ms(work: Callable[[], object], rounds: int) -> float:
    """Median; garbage is collected before each round, not within."""
    times = []
    for _ in range(rounds):
        gc.collect()
        began = perf_counter()
        work()
        times.append((perf_counter() - began) * 1e3)
    return statistics.median(times)


def cycles(rounds: int) -> list[Row]:
    """One cycle: from the kept arrays to matches with their tickets, ready to be claimed."""
    rows = []
    for count, target in ((10_000, 25.0), (100_000, 350.0)):
        found = tickets(count, np.random.default_rng(1))
        pool = filled(RULES, found)
        before = took_ms(lambda found=found: naive.propose(found, SQUADS, NOW, settings=SETTINGS), rounds)  # type: ignore[misc]
        now = took_ms(lambda pool=pool: propose_pool(pool, NOW), rounds)  # type: ignore[misc]
        arrays = took_ms(lambda pool=pool: match(pool, NOW), rounds)  # type: ignore[misc]
        label = f"{count // 1000}k queued, 5v5"
        rows.append(row(f"proposal cycle, {label}", now, "ms", baseline=before, at_most=target))
        rows.append(row(f"proposal cycle, {label}, arrays alone", arrays, "ms"))
        made = len(match(pool, NOW))
        rows.append(
            row(f"matches of a cycle, {label}", made, "matches", baseline=len(naive.propose(found, SQUADS, NOW, settings=SETTINGS)))
        )
        fresh = tickets(2_000, np.random.default_rng(2), first=count)
        came = took_ms(lambda pool=pool, fresh=fresh: [pool.add(t) for t in fresh] and [pool.remove(t.id) for t in fresh], rounds)  # type: ignore[misc]
        rows.append(row(f"a ticket in and out of the arrays, {count // 1000}k queued", came / 2.0, "us"))
    return rows


def duels(pools: int, notes: list[str]) -> list[Row]:
    """Sum of qualities of one-against-one matches beside the best that there is (blossom), over pools of 500; and of the baseline."""
    try:
        graphs = importlib.import_module("networkx")
    except ModuleNotFoundError:
        notes.append("networkx is not installed (torch brings it): duels were not compared with blossom")
        return []
    shares: dict[str, list[float]] = {"dense": [], "sparse": [], "widening": []}
    before: list[float] = []
    for label, window in (
        ("dense", widening.constant(100.0)),
        ("sparse", widening.constant(3.0)),
        ("widening", widening.line(20.0, 5.0, 400.0)),
    ):
        for seed in range(pools):
            found = tickets(500, np.random.default_rng(seed))
            skill = Skill(window=window, default=MEAN, bound=1e5, scale=SCALE)
            made = match(filled(ModeRules(teams=2, team_size=1, skill=skill), found), NOW)
            accepts = window.at(np.array([float(NOW - ticket.created_ms) for ticket in found])).tolist()
            graph = graphs.Graph()
            for i, j in itertools.combinations(range(500), 2):
                gap = abs(found[i].rating - found[j].rating)
                if gap <= min(accepts[i], accepts[j]):
                    graph.add_edge(i, j, weight=math.exp(-0.5 * (gap / SCALE) ** 2))
            best = sum(graph[i][j]["weight"] for i, j in graphs.max_weight_matching(graph))
            shares[label].append(100.0 * float(np.exp(-0.5 * (made.gap / SCALE) ** 2).sum()) / best)
            if window.grows or label == "dense":
                continue
            settings = MatchSettings(window_start=3.0, window_per_s=0.0, rating_default=MEAN, rating_bound=1e5, beta=SCALE)
            before.append(100.0 * sum(p.quality for p in naive.propose(found, ModeSpec("d", 2, 1, 1), NOW, settings=settings)) / best)
    return [
        row(f"1v1 total quality of the best, {label} pools of 500, worst of {pools}", min(found), "%",
            baseline=min(before) if label == "sparse" else None, at_least=97.0)
        for label, found in shares.items()
    ]  # fmt: skip


def balance(count: int) -> list[Row]:
    """The gap of team means beside the least gap of all 126 ways to deal ten people to two teams."""
    rng = np.random.default_rng(3)
    made = propose_pool(filled(RULES, tickets(count, rng)), NOW)
    ours, best = 0.0, 0.0
    for proposal in made[:1_000]:
        ratings = np.array([ticket.rating for team in proposal.teams for ticket in team])
        ours += abs(ratings[:5].mean() - ratings[5:].mean())
        first = np.array([ratings[[0, *rest]].sum() for rest in itertools.combinations(range(1, 10), 4)])
        best += float(np.abs(2 * first - ratings.sum()).min() / 5)
    return [row("5v5 imbalance above exhaustive splits", 100.0 * (float(ours / best) - 1.0), "%", at_most=5.0)]


def rules_kept(matches: int, seconds: float, notes: list[str]) -> list[Row]:
    """Matches in batches through the very code: each is looked at again, member by member, by code that shares nothing with it."""
    loaded = reading.load(VARIED)["squads"]
    made = wrong = seen_twice = first = batch = lost = 0
    began, plain = perf_counter(), 0
    while made < matches and perf_counter() - began < seconds:
        rng = np.random.default_rng(1_000 + batch)
        harsh = batch % 5 == 0  # every rule there is: slower to make and to check
        rules = loaded if harsh else RULES
        found = (varied if harsh else tickets)(2_000 if harsh else 20_000, rng, first=first)
        first += len(found)
        pool = filled(rules, found)
        matched: set[str] = set()
        proposals = propose_pool(pool, NOW)
        for proposal in proposals:
            members = [ticket for team in proposal.teams for ticket in team]
            seen_twice += sum(ticket.id in matched for ticket in members)
            matched.update(ticket.id for ticket in members)
            if harsh:
                wrong += bool(violations(proposal, rules, NOW))
            else:
                ratings = [ticket.rating for ticket in members]
                wrong += max(ratings) - min(ratings) > WINDOW or [len(team) for team in proposal.teams] != [5, 5]
            for ticket in members:
                pool.remove(ticket.id)
        plain += 0 if harsh else len(proposals)
        lost += len(found) - len(matched) - len(pool)
        made += len(proposals)
        batch += 1
    notes.append(f"{made} matches looked at again, {made - plain} of them by all rules; asked for {matches} within {seconds:.0f} s")
    return [
        row("matches looked at again", made, "matches", at_least=float(matches)),
        row("mutual violations in them", wrong, "matches", at_most=0.0),
        row("tickets in two of them", seen_twice, "tickets", at_most=0.0),
        row("tickets lost by the pool", lost, "tickets", at_most=0.0),
    ]


def run(notes: list[str], *, quick: bool = False) -> list[Row]:
    """Two to six minutes; `quick` about one. GAMEEDGE_BENCH_SECONDS bounds the million matches (240 by default)."""
    warm()
    say("  cycles")
    rows = cycles(3 if quick else 9)
    say("  duels beside blossom")
    rows += duels(1 if quick else 3, notes)
    rows += balance(2_000 if quick else 20_000)
    say("  rules over many matches")
    seconds = float(os.environ.get("GAMEEDGE_BENCH_SECONDS", "10" if quick else "360"))
    rows += rules_kept(20_000 if quick else 1_000_000, seconds, notes)
    for name in MORE:
        if importlib.util.find_spec(f"loadtest.bench.{name}") is None:
            continue
        say(f"  {name}")
        try:
            rows += importlib.import_module(f"loadtest.bench.{name}").run(notes, quick=quick)
        except ConfigError as error:
            notes.append(f"{name}: {error}")
    return rows
