"""The engine on a clock of its own: deadlines, shedding, fallbacks, fairness."""

import numpy as np
import pytest

from gameedge.inference.engine import Engine
from gameedge.inference.model import HOLD_CALLS


class Ticking:
    def __init__(self) -> None:
        self.ms = 0.0

    def __call__(self) -> float:
        return self.ms


class Doubler:
    """Answers twice the first value; takes `row_ms` a row on the test's clock."""

    name, input_size, output_size = "doubler", 3, 2

    def __init__(self, clock: Ticking, row_ms: float = 0.0) -> None:
        self.clock, self.row_ms = clock, row_ms
        self.ran: list[list[int]] = []
        self.forgotten: list[int] = []
        self.broken = False

    def run(self, rows: np.ndarray, entities: np.ndarray, out: np.ndarray) -> None:
        self.clock.ms += self.row_ms * len(rows)
        if self.broken:
            raise RuntimeError("a model of somebody else")
        self.ran.append(entities.tolist())
        out[:, 0] = rows[:, 0] * 2
        out[:, 1] = entities

    def forget(self, entities: np.ndarray) -> None:
        self.forgotten += entities.tolist()


class Minus:
    name, input_size, output_size = "minus", 3, 2

    def run(self, rows: np.ndarray, entities: np.ndarray, out: np.ndarray) -> None:
        out[:] = -1.0

    def forget(self, entities: np.ndarray) -> None:
        pass


def call(engine: Engine, entities: np.ndarray) -> np.ndarray:
    engine.rows("npc", len(entities))[:, 0] = entities
    return engine.run("npc", entities, len(entities)).copy()


def test_everything_within_the_deadline_runs_in_one_batch() -> None:
    clock = Ticking()
    engine, backend = Engine(clock), Doubler(clock, 0.01)
    engine.register("npc", backend, 100, 2.0, Minus())
    entities = np.array([7, 3, 50], np.int32)
    for _ in range(5):
        assert call(engine, entities).tolist() == [[14, 7], [6, 3], [100, 50]]
    figures = engine.figures("npc")
    assert figures is not None
    assert (figures.calls, figures.actions, figures.fallbacks, figures.late, figures.batch) == (5, 15, 0, 0, 3)
    assert figures.batches[2] == 5
    assert figures.took_ms.count(clock.ms) == 5
    assert call(engine, np.zeros(0, np.int32)).shape == (0, 2)


def test_what_does_not_fit_is_shed_in_turn_and_nobody_starves() -> None:
    clock = Ticking()
    engine, backend = Engine(clock), Doubler(clock, 0.1)
    engine.register("npc", backend, 64, 2.0, Minus())  # 20 rows fit
    entities = np.arange(100, 160, dtype=np.int32)
    for _ in range(12):
        call(engine, entities)
        clock.ms += 10
    recent = [set(ran) for ran in backend.ran[-3:]]
    assert all(15 <= len(ran) <= 20 for ran in recent)
    assert len(set.union(*[set(ran) for ran in backend.ran[-4:]])) == 60
    figures = engine.figures("npc")
    assert figures is not None
    assert figures.held > 0
    assert figures.late <= 3  # while it learned
    assert figures.actions + figures.held + figures.fallbacks == 12 * 60
    out = call(engine, entities)
    assert (out[:, 0] == entities * 2).all()  # a held action is the entity's own


class Slow(Minus):
    """A fallback that costs as much as the model it stands in for."""

    def __init__(self, clock: Ticking, row_ms: float) -> None:
        self.clock, self.row_ms = clock, row_ms

    def run(self, rows: np.ndarray, entities: np.ndarray, out: np.ndarray) -> None:
        self.clock.ms += self.row_ms * len(rows)
        super().run(rows, entities, out)


class Hands(Doubler):
    """A model whose entities coast for a fifth of what a run costs."""

    def due(self, entities: np.ndarray) -> np.ndarray:
        return np.ones(len(entities), np.bool_)

    def coast(self, entities: np.ndarray, out: np.ndarray) -> None:
        self.clock.ms += 0.2 * self.row_ms * len(entities)
        out[:] = 7.0


def test_a_dear_fallback_does_not_keep_overload_up() -> None:
    """Twice too much work, after a time in which the model did not run at all: the model answers what it can and the rest coasts."""
    clock = Ticking()
    engine, backend = Engine(clock), Hands(clock, 0.01)
    engine.register("npc", backend, 512, 2.5, Slow(clock, 0.01))
    entities = np.arange(500, dtype=np.int32)
    figures = engine.figures("npc")
    assert figures is not None
    backend.broken = True
    for _ in range(HOLD_CALLS + 40):
        call(engine, entities)
    backend.broken = False
    for _ in range(200):
        call(engine, entities)
        clock.ms += 10
    before = (figures.actions, figures.held, figures.fallbacks, figures.late)
    for _ in range(100):
        call(engine, entities)
        clock.ms += 10
    actions, held, fallbacks, late = (now - then for now, then in zip(figures_of(engine), before, strict=True))
    assert (actions + held, fallbacks) == (100 * 500, 0)
    assert 0.3 <= actions / (100 * 500) <= 0.4  # 2.5 ms = 0.01 k + 0.002 (500 - k): k = 187
    assert late <= 10  # sizes that seem too large are tried now and then


def figures_of(engine: Engine) -> tuple[int, int, int, int]:
    figures = engine.figures("npc")
    assert figures is not None
    return figures.actions, figures.held, figures.fallbacks, figures.late


def test_entities_get_the_fallback_when_the_last_action_is_too_old() -> None:
    clock = Ticking()
    engine, backend = Engine(clock), Doubler(clock)
    engine.register("npc", backend, 8, 1.0, Minus())
    entities = np.arange(4, dtype=np.int32)
    call(engine, entities)
    backend.broken = True
    for _ in range(HOLD_CALLS):
        assert (call(engine, entities)[:, 0] == entities * 2).all()
    assert (call(engine, entities) == -1.0).all()
    figures = engine.figures("npc")
    assert figures is not None
    assert (figures.failures, figures.fallbacks, figures.held) == (HOLD_CALLS + 1, 4, 4 * HOLD_CALLS)
    backend.broken = False
    assert (call(engine, entities)[:, 0] == entities * 2).all()


def test_not_finite_answers_are_replaced_row_by_row() -> None:
    clock = Ticking()
    engine = Engine(clock)
    engine.register("npc", Doubler(clock), 8, 1.0, Minus())
    rows = engine.rows("npc", 3)
    rows[:] = 1.0
    rows[1, 0] = np.nan
    out = engine.run("npc", np.arange(3, dtype=np.int32), 3)
    assert out.tolist() == [[2, 0], [-1, -1], [2, 2]]
    figures = engine.figures("npc")
    assert figures is not None
    assert (figures.not_finite, figures.fallbacks) == (1, 1)


def test_one_slow_run_is_not_held_against_a_size_for_ever() -> None:
    clock = Ticking()
    engine, backend = Engine(clock), Doubler(clock, 0.001)
    engine.register("npc", backend, 64, 2.0, Minus())
    entities = np.arange(64, dtype=np.int32)
    call(engine, entities)
    backend.row_ms = 10.0  # the machine is away
    for _ in range(3):
        call(engine, entities)
    assert len(backend.ran[-1]) < 64
    backend.row_ms = 0.001
    for _ in range(5_000):
        call(engine, entities)
    assert len(backend.ran[-1]) == 64


def test_forgotten_entities_have_no_last_action() -> None:
    clock = Ticking()
    engine, backend = Engine(clock), Doubler(clock)
    engine.register("npc", backend, 8, 1.0)
    entities = np.arange(2, dtype=np.int32)
    call(engine, entities)
    engine.forget("npc", np.array([1], np.int32))
    backend.broken = True
    assert call(engine, entities).tolist() == [[0, 0], [0, 0]]  # entity 1: no fallback, so zeros
    assert backend.forgotten == [1]


def test_sizes_must_agree() -> None:
    clock = Ticking()
    wrong = Minus()
    wrong.output_size = 5
    with pytest.raises(ValueError, match="must agree"):
        Engine(clock).register("npc", Doubler(clock), 8, 1.0, wrong)
    assert Engine(clock).figures("npc") is None


def test_twice_too_much_work_leaves_nobody_without_an_answer() -> None:
    """Three models share a tick's budget that is half of what they need: the first in rank are shed least, and all is counted."""
    clock, entities = Ticking(), np.arange(60, dtype=np.int32)
    engine = Engine(clock, budget_ms=9.0)
    names = ("npc", "watch", "rest")
    for rank, name in enumerate(names):  # 60 rows of 0.1 ms each: 18 ms a tick
        engine.register(name, Doubler(clock, 0.1), 64, 100.0, Minus(), priority=rank)
    calls = 120
    for _ in range(calls):
        engine.begin_tick()
        for name in names:
            engine.rows(name, 60)[:, 0] = entities
            out = engine.run(name, entities, 60)
            assert np.isfinite(out).all()
            answered = (out[:, 0] == entities * 2) | (out[:, 0] == -1.0)  # the model's, now or before, or the fallback's
            assert answered.all()
        clock.ms += 5.0
    figures = [engine.figures(name) for name in names]
    assert all(f is not None and f.actions + f.held + f.fallbacks == calls * 60 for f in figures)
    first, second, third = (f.actions / (calls * 60) for f in figures if f is not None)
    assert first > 0.9
    assert first > second > third > 0.0  # and the last is not starved for ever
