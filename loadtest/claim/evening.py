"""One evening, played several times by the same players: where they are placed, how long they wait for a match, what they feel.

Simulated on a virtual clock with the code that runs in production where a decision is made: `Table.decide` places,
`propose_pool` matches, looked at when production looks. The network is a matrix of measured round trips plus the stated last
mile of `loadtest/lastmile.py`.

What is asked of each player: `answer_ms`, from the click to the message that names the match, the session being open; and
`action_ms`, from a hand's movement to its effect on the own screen.
"""

import random
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gameedge.arena.settings import game_spec
from gameedge.core.ids import EdgeId, PlayerId, SessionId, TicketId
from gameedge.core.matchmaking.policy import next_look_ms
from gameedge.core.matchmaking.pool import PoolArrays
from gameedge.core.matchmaking.propose import propose_pool, rules_of
from gameedge.core.matchmaking.settings import DEFAULT
from gameedge.core.matchmaking.ticket import Ticket
from gameedge.core.routing.placement import Table
from loadtest.bench.routing import fleet, pings_between, sighting
from loadtest.lastmile import draw_access
from loadtest.matrix import Matrix, choose
from loadtest.world import Access

Floats = NDArray[np.float64]
WOKEN: Final = 0  # no interval: a ticket, or waiting that changes something, wakes the matcher, as it does at the edge
GATHER_MS: Final = 10.0  # between two looks at least (edge/matcher.py)
AGAIN_MS: Final = 500.0  # and at most
FILL_MS: Final = 2_000  # after which a match is completed with NPCs, wherever it is made
COMMAND_MS: Final = 1000 / 20
TICK_MS: Final = 1000 / 60
SNAPSHOT_MS: Final = 1000 / 20
FRAME_MS: Final = 1000 / 60
MODE: Final = "duel"


@dataclass(frozen=True)
class Crowd:
    """Players in order of arrival: row of the matrix, access, rating, when they click (ms)."""

    row: NDArray[np.int64]
    access: list[Access]
    rating: Floats
    click_ms: Floats


@dataclass(frozen=True)
class Setup:
    """`sites` of the matrix; a matcher that looks every `interval_ms` (WOKEN: when there is something to do)."""

    name: str
    sites: list[int]
    interval_ms: int


@dataclass(frozen=True)
class Felt:
    """Per player, in ms; `site` is the column of the matrix."""

    setup: Setup
    site: NDArray[np.int64]
    rtt_ms: Floats
    answer_ms: Floats
    action_ms: Floats
    with_people: float  # share of players whose match had another person in it


def crowd(matrix: Matrix, count: int, per_s: float, seed: int) -> Crowd:
    """Arrivals of a Poisson process, places by weight."""
    rng = np.random.default_rng(seed)
    return Crowd(
        row=rng.choice(len(matrix.rtt_ms), count, p=matrix.weight),
        access=[draw_access(rng) for _ in range(count)],
        rating=rng.normal(25.0, 25.0 / 3, count),
        click_ms=np.cumsum(rng.exponential(1000.0 / per_s, count)),
    )


def setups(matrix: Matrix) -> list[Setup]:
    """Three, six and twenty edge regions (as many as the matrix has), and the central ones."""
    most = min(20, len(matrix.sites))
    best = choose(matrix, most)
    central = best[:1]
    return [
        *(Setup(f"{count} edge regions", best[:count], WOKEN) for count in (3, 6, most)),
        Setup("one central region", central, WOKEN),
        Setup("central, director polling at 1 s", central, 1_000),
        Setup("central, matcher every 15 s", central, 15_000),
    ]


def play(matrix: Matrix, people: Crowd, setup: Setup, seed: int, fill_ms: int = FILL_MS) -> Felt:
    """One evening. `fill_ms`: after this wait a match is completed with NPCs."""
    rng = np.random.default_rng(seed)
    part_rtt = matrix.rtt_ms[:, setup.sites]
    where = _placed(matrix, people, setup, rng, seed)
    true = part_rtt[people.row, where] + np.array([access.rtt_ms for access in people.access])
    count = len(people.row)
    up, down = (_one_way(true, people, rng) for _ in range(2))
    answer, with_people = _matched(people, setup, where, people.click_ms + up, rng, fill_ms)
    action = (
        rng.uniform(0, COMMAND_MS, count)  # until the client sends its next command
        + _one_way(true, people, rng)
        + rng.uniform(0, TICK_MS, count)  # until the tick that takes it
        + rng.uniform(0, SNAPSHOT_MS, count)  # until the next snapshot
        + _one_way(true, people, rng)
        + rng.uniform(0, FRAME_MS, count)  # until the screen shows it
    )
    return Felt(setup, np.array(setup.sites)[where], true, answer + down - people.click_ms, action, with_people)


def _one_way(true: Floats, people: Crowd, rng: np.random.Generator) -> Floats:
    jitter = np.array([access.jitter_ms for access in people.access])
    return np.asarray(true / 2 + rng.exponential(1.0, len(true)) * jitter / 2, np.float64)


def _placed(matrix: Matrix, people: Crowd, setup: Setup, rng: np.random.Generator, seed: int) -> NDArray[np.int64]:
    """The region of each player (an index into `setup.sites`), by the production code from noisy pings."""
    if len(setup.sites) == 1:
        return np.zeros(len(people.row), np.int64)
    part = Matrix(
        matrix.name,
        matrix.rtt_ms[:, setup.sites],
        [matrix.sites[i] for i in setup.sites],
        None,
        matrix.weight,
        matrix.rows,
        matrix.places,
        None if matrix.site_places is None else matrix.site_places[setup.sites],
        None if matrix.between is None else matrix.between[np.ix_(setup.sites, setup.sites)],
    )
    table, draw = Table(fleet(part), between_ms=pings_between(part)), random.Random(seed).random
    places = part.places
    return np.array(
        [table.decide(sighting(part.rtt_ms[row], None if places is None else places[row], rng), draw)[0] for row in people.row], np.int64
    )


def _matched(
    people: Crowd, setup: Setup, where: NDArray[np.int64], asked_ms: Floats, rng: np.random.Generator, fill_ms: int
) -> tuple[Floats, float]:
    """When each player's match was made, on the server's side, by the production's matcher; and the share that met people."""
    rules = rules_of(game_spec(demo=False).modes[MODE], DEFAULT)
    made = np.zeros(len(asked_ms))
    met = 0
    for region in range(len(setup.sites)):
        mine = np.flatnonzero(where == region)
        order = mine[np.argsort(asked_ms[mine], kind="stable")].tolist()
        pool, at, looked = PoolArrays(rules), 0, -float(rng.uniform(0, max(1, setup.interval_ms)))  # its first look may be at any time
        while at < len(order) or len(pool):
            coming = float(asked_ms[order[at]]) if at < len(order) else np.inf
            now = _next_look(setup, pool, coming, looked, fill_ms)
            while at < len(order) and asked_ms[order[at]] <= now:
                pool.add(_ticket(order[at], people, asked_ms))
                at += 1
            # An interval is a gathering window by itself: only who is woken may hold a match back for better company.
            for proposal in propose_pool(pool, int(now), fill_ms=fill_ms, gather=setup.interval_ms == WOKEN):
                members = [ticket for team in proposal.teams for ticket in team]
                met += len(members) if len(members) > 1 else 0
                for ticket in members:
                    made[int(ticket.id[2:])] = now
                    pool.remove(ticket.id)
            looked = now
    return made, met / len(asked_ms)


def _next_look(setup: Setup, pool: PoolArrays, coming_ms: float, looked_ms: float, fill_ms: int) -> float:
    """When the matcher looks again after `looked_ms`."""
    if setup.interval_ms == WOKEN:
        again = next_look_ms(pool, int(looked_ms), fill_ms=fill_ms) if len(pool) else None
        wait = np.inf if not len(pool) else AGAIN_MS if again is None else min(again, AGAIN_MS)
        return float(max(looked_ms + GATHER_MS, min(coming_ms, looked_ms + wait)))
    rounds = 1.0 if len(pool) else max(1.0, np.ceil((coming_ms - looked_ms) / setup.interval_ms))
    return float(looked_ms + rounds * setup.interval_ms)


def _ticket(index: int, people: Crowd, asked_ms: Floats) -> Ticket:
    return Ticket(
        id=TicketId(f"t_{index}"),
        player=PlayerId(f"p_{index}"),
        session=SessionId(f"s_{index}"),
        edge=EdgeId("e"),
        mode=MODE,
        rating=float(people.rating[index]),
        created_ms=int(asked_ms[index]),
    )
