"""The detector: what it promises for regular, irregular and absurd heartbeats."""

import random

from hypothesis import given
from hypothesis import strategies as st

from gameedge.core.routing.health import BEAT_MS, SILENCE_MS_MAX, SILENCE_MS_MIN, Heart


def learned(intervals: list[float]) -> tuple[Heart, float]:
    now = 1_000.0
    heart = Heart(now)
    for interval in intervals:
        now += interval
        heart.beat(now)
    return heart, now


def silence_ms(heart: Heart, now: float) -> float:
    return next(ms for ms in range(0, 3_000, 5) if heart.suspected(now + ms))


def test_a_death_is_noticed_within_300_ms_on_a_calm_network() -> None:
    rng = random.Random(1)
    heart, now = learned([BEAT_MS + rng.gauss(0, 8) for _ in range(200)])
    assert silence_ms(heart, now) <= 250


def test_a_nervous_network_is_given_more_time_and_not_too_much() -> None:
    rng = random.Random(2)
    calm, now = learned([BEAT_MS] * 100)
    rough, later = learned([max(1.0, rng.gauss(BEAT_MS, 80)) for _ in range(300)])
    assert silence_ms(calm, now) < silence_ms(rough, later) <= SILENCE_MS_MAX


def test_no_false_alarm_among_many_ordinary_intervals() -> None:
    rng = random.Random(3)
    heart, now = learned([BEAT_MS] * 50)
    for _ in range(20_000):
        interval = BEAT_MS + abs(rng.gauss(0, 10))
        assert not heart.suspected(now + interval)
        now += interval
        heart.beat(now)


@given(st.lists(st.floats(-1e6, 1e6), max_size=50), st.floats(-1e6, 1e6))
def test_whatever_clocks_do_it_stays_bounded(intervals: list[float], ahead: float) -> None:
    heart, now = learned(intervals)
    assert 0.0 <= heart.phi(now + ahead) <= 300.0
    assert not heart.suspected(now + SILENCE_MS_MIN / 2)
    assert heart.suspected(heart.heard_ms + SILENCE_MS_MAX)
