"""Scale signals: up in time for a surge, down slowly, never a flutter."""

import itertools
import math
import random

from hypothesis import given
from hypothesis import strategies as st

from gameedge.core.routing.scaling import DEFAULTS, Desire, Signals


def evening(rates: list[float], *, start_s: float = 10.0, slots: int = 100) -> tuple[list[int], float, int]:
    """Players come at `rates` (a second, one entry a second) and stay 600 s on average; processes need `start_s` to start.
    The count over time, the fullest moment, and how many found no slot."""
    rng, desire = random.Random(4), Desire()
    players, running, pending, recent, refused, fullest = 0, 1, [], 0.0, 0, 0.0
    counts = []
    for now, rate in enumerate(rates):
        come = sum(rng.random() < rate / 20 for _ in range(20))
        players -= sum(rng.random() < 1 / DEFAULTS.stay_s for _ in range(players))
        recent += 0.1 * (come - recent)
        room = running * slots - players
        refused += max(0, come - room)
        players += min(come, room)
        wanted = desire.look(Signals(players, 0, recent, slots), float(now))
        while wanted > running + len(pending):
            pending.append(now + start_s)
        running += sum(at <= now for at in pending)
        pending = [at for at in pending if at > now]
        if wanted < running:
            running = max(wanted, math.ceil(players / slots))
        fullest = max(fullest, players / (running * slots))
        counts.append(wanted)
    return counts, fullest, refused


def test_a_surge_of_five_times_finds_room() -> None:
    counts, fullest, refused = evening([0.4] * 900 + [2.0] * 900)
    assert refused == 0
    assert fullest < 1.0
    assert counts[-1] > 3 * counts[800]


def test_afterwards_it_goes_down_one_by_one() -> None:
    counts, _, refused = evening([2.0] * 1_200 + [0.1] * 3_000)
    steps = [b - a for a, b in itertools.pairwise(counts)]
    assert refused == 0
    assert min(steps) == -1
    assert counts[-1] < max(counts) / 2
    falls = [i for i, step in enumerate(steps) if step < 0]
    assert all(b - a >= DEFAULTS.cool_s for a, b in itertools.pairwise(falls))


def test_ripples_do_not_flutter() -> None:
    desire = Desire()
    rng = random.Random(5)
    counts = [desire.look(Signals(int(600 + rng.gauss(0, 25)), 0, 1.0, 100), float(at)) for at in range(3_600)]
    assert len(set(counts[60:])) <= 2


def test_the_day_curve_starts_processes_before_the_evening() -> None:
    flat, rising = (Desire().look(Signals(500, 0, 3.0, 100, day_ratio=ratio), 0.0) for ratio in (1.0, 3.0))
    assert rising > flat


numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(st.tuples(st.integers(-5, 10**9), st.integers(-5, 10**6), numbers, st.integers(-1, 10**4), numbers), max_size=30))
def test_whatever_is_said_the_count_is_bounded(looks: list[tuple[int, int, float, int, float]]) -> None:
    desire = Desire()
    for at, (players, queued, rate, slots, ratio) in enumerate(looks):
        assert DEFAULTS.least <= desire.look(Signals(players, queued, rate, slots, ratio), at * 100.0) <= DEFAULTS.most
