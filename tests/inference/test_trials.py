"""Hot swap under load, canaries by matches, shadows, level of detail, priorities, and the way back by itself."""

import numpy as np
import pytest

from gameedge.bus.payloads import ModelWish
from gameedge.core.errors import ArtifactError
from gameedge.core.npc import hand
from gameedge.core.npc import observation as o
from gameedge.core.npc.scripted import ScriptedPolicy
from gameedge.edge.rollout import PROBATION_MS, Rollout
from gameedge.inference.backends.npc_policy import NpcPolicy
from gameedge.inference.depot import Depot
from gameedge.inference.engine import Engine
from gameedge.inference.variants import FAILURES_MAX


class Constant:
    """Answers one value; may raise, be slow or answer NaN."""

    input_size, output_size = 3, 2

    def __init__(self, name: str, value: float) -> None:
        self.name, self.value = name, value
        self.raises = False
        self.ms = 0.0
        self.clock: Ticking | None = None

    def run(self, rows: np.ndarray, entities: np.ndarray, out: np.ndarray) -> None:
        if self.clock is not None:
            self.clock.ms += self.ms
        if self.raises:
            raise RuntimeError("broken")
        out[:] = self.value

    def forget(self, entities: np.ndarray) -> None:
        pass


class Ticking:
    def __init__(self) -> None:
        self.ms = 0.0

    def __call__(self) -> float:
        return self.ms


class Coasting(Constant):
    """Decides every third call, and coasts at half of its value."""

    def due(self, entities: np.ndarray) -> np.ndarray:
        return entities % 3 == 0

    def coast(self, entities: np.ndarray, out: np.ndarray) -> None:
        out[:] = self.value / 2


def setup(clock: Ticking | None = None, **more: object) -> tuple[Engine, Constant, np.ndarray]:
    engine, stable = Engine(clock or Ticking()), Constant("stable-000000000000", 1.0)
    engine.register("npc", stable, 64, 5.0, Constant("fallback", -1.0))
    entities = np.arange(40, dtype=np.int32)
    for match in range(10):
        engine.enter("npc", entities[4 * match : 4 * match + 4], match / 10)
    return engine, stable, entities


def call(engine: Engine, entities: np.ndarray) -> np.ndarray:
    engine.begin_tick()
    engine.rows("npc", len(entities))[:] = 0.0
    return engine.run("npc", entities, len(entities))[:, 0].copy()


def test_a_swap_drops_no_decision() -> None:
    engine, stable, entities = setup()
    backends = [stable, Constant("next-000000000000", 2.0)]
    for tick in range(200):
        if tick % 10 == 5:
            engine.swap("npc", backends[tick // 10 % 2])
        assert set(call(engine, entities)) <= {1.0, 2.0}
    figures = engine.figures("npc")
    assert figures is not None
    assert (figures.actions, figures.held, figures.fallbacks) == (200 * 40, 0, 0)
    wrong = Constant("wrong", 0.0)
    wrong.output_size = 9
    with pytest.raises(ValueError, match="maps 3 to 9 values"):
        engine.swap("npc", wrong)


def test_a_canary_answers_for_whole_matches() -> None:
    engine, _, entities = setup()
    engine.try_out("npc", Constant("canary", 2.0), 0.3)
    answers = call(engine, entities).reshape(10, 4)
    assert (answers[:3] == 2.0).all()
    assert (answers[3:] == 1.0).all()
    figures, trial = engine.figures("npc"), engine.model("npc").trial
    assert figures is not None
    assert trial is not None
    assert (figures.actions, trial.variant.actions) == (40, 12)
    engine.end_trial("npc")
    assert (call(engine, entities) == 1.0).all()


def test_a_shadow_is_compared_and_never_acts() -> None:
    engine, _, entities = setup()
    engine.try_out("npc", Constant("shadow", 1.25), 0.5, shadow=True)
    for _ in range(20):
        assert (call(engine, entities) == 1.0).all()
    trial = engine.model("npc").trial
    assert trial is not None
    assert (trial.rows, trial.difference) == (400, pytest.approx(0.25))


def test_those_that_are_not_due_coast() -> None:
    engine, entities = Engine(Ticking()), np.arange(9, dtype=np.int32)
    engine.register("npc", Coasting("paced", 4.0), 16, 5.0)
    due, rest = engine.split("npc", entities)
    assert due.tolist() == [0, 3, 6]
    assert (engine.coast("npc", rest) == 2.0).all()


class Fragile(Coasting):
    """A studio's own: `faults` names the methods that raise."""

    faults = frozenset[str]()

    def _may(self, method: str) -> None:
        if method in self.faults:
            raise IndexError(f"{method} is broken")

    def due(self, entities: np.ndarray) -> np.ndarray:
        self._may("due")
        return super().due(entities)

    def coast(self, entities: np.ndarray, out: np.ndarray) -> None:
        self._may("coast")
        super().coast(entities, out)

    def forget(self, entities: np.ndarray) -> None:
        self._may("forget")

    def importance(self, rows: np.ndarray, out: np.ndarray) -> None:
        self._may("importance")


@pytest.mark.parametrize("method", ["due", "coast", "forget"])
def test_a_model_that_raises_in_any_of_its_methods_is_answered_for_and_goes(method: str) -> None:
    """The tick goes on, and a release that is on probation is rolled back: of that, too, a model is judged."""
    engine, stable, entities = setup()
    rollout = Rollout(engine, nobody)
    fragile = Fragile("fragile-00000000000", 4.0)
    fragile.faults = frozenset({method})
    engine.swap("npc", fragile)
    run = rollout._runs["npc"]
    run.previous, run.until_ms = stable, 1e9
    for _ in range(FAILURES_MAX + 1):
        engine.enter("npc", entities[:4], 0.5)
        engine.begin_tick()
        due, rest = engine.split("npc", entities)
        assert np.isfinite(engine.run("npc", due, len(due))).all()
        assert np.isfinite(engine.coast("npc", rest)).all()
        assert len(due) + len(rest) == len(entities)
    (said,) = rollout.watch(0.0)
    assert "raised" in said
    assert engine.model("npc").stable.backend is stable


async def nobody(name: str) -> Constant:
    raise AssertionError(name)


def test_what_is_not_finite_between_runs_is_the_last_answer() -> None:
    engine, entities = Engine(Ticking()), np.arange(9, dtype=np.int32)
    paced = Coasting("paced", 4.0)
    engine.register("npc", paced, 16, 5.0)
    engine.rows("npc", 9)[:] = 0.0
    assert (engine.run("npc", entities, 9) == 4.0).all()
    paced.value = float("nan")
    assert (engine.coast("npc", entities) == 4.0).all()
    figures = engine.figures("npc")
    assert figures is not None
    assert figures.not_finite == engine.model("npc").stable.not_finite == 9


def test_what_comes_first_is_kept_time_for() -> None:
    clock = Ticking()
    engine = Engine(clock, budget_ms=4.0)
    slow, other = Constant("npc", 1.0), Constant("watch", 2.0)
    for backend in (slow, other):
        backend.clock, backend.ms = clock, 3.0
    engine.register("npc", slow, 8, 10.0, priority=0)
    engine.register("watch", other, 8, 10.0, priority=1)
    entities = np.arange(8, dtype=np.int32)
    for _ in range(4):
        for name in ("npc", "watch"):
            engine.rows(name, 8)[:] = 0.0
            engine.begin_tick()
            engine.run(name, entities, 8)
    engine.begin_tick()
    engine.run("watch", entities, 8)  # before the NPCs: 4 ms less 3 for them leave 1 of the 3 that it takes
    figures = engine.figures("watch")
    assert figures is not None
    assert figures.held > 0


@pytest.mark.asyncio
async def test_desired_state_deploys_tries_and_goes_back() -> None:
    clock = Ticking()
    engine, stable, entities = setup(clock)
    made = {name: Constant(name, 2.0) for name in ("good-000000000000", "bad-000000000000")}
    made["bad-000000000000"].raises = True

    async def build(name: str) -> Constant:
        if name not in made:
            raise ArtifactError(f"{name}: expected a file, found none")
        return made[name]

    rollout = Rollout(engine, build)
    await rollout.want({"npc": ModelWish(stable="good-000000000000"), "unknown": ModelWish(stable="x")}, clock.ms)
    assert (call(engine, entities) == 2.0).all()
    await rollout.want({"npc": ModelWish(stable="missing-000000000000")}, clock.ms)
    report = rollout.reports()[0]
    assert (report.state, report.stable) == ("refused", "good-000000000000")
    assert "found none" in report.why

    await rollout.want({"npc": ModelWish(stable="good-000000000000", canary="bad-000000000000", canary_share=0.5)}, clock.ms)
    for _ in range(10):
        assert set(call(engine, entities)) <= {2.0, 1.0, -1.0}
    assert "bad-000000000000 raised in" in rollout.watch(clock.ms)[0]
    assert engine.model("npc").trial is None
    assert rollout.reports()[0].state == "rolled_back"

    await rollout.want({"npc": ModelWish(stable="bad-000000000000")}, clock.ms)
    for _ in range(10):
        call(engine, entities)
    assert "raised in 10 of 10 calls" in rollout.watch(clock.ms)[0]
    assert engine.model("npc").stable.backend.name == "good-000000000000"

    await rollout.want({}, clock.ms)  # nothing is wished: what the configuration names
    assert engine.model("npc").stable.backend is stable
    assert rollout.watch(clock.ms + PROBATION_MS + 1) == []
    assert (rollout.rollbacks, rollout.reports()[0].state) == (2, "running")


async def test_whatever_is_wrong_with_a_model_what_runs_goes_on() -> None:
    engine, stable, entities = setup()

    async def build(name: str) -> Constant:
        raise KeyError("BF16")  # of a library that nobody thought of

    rollout = Rollout(engine, build)
    await rollout.want({"npc": ModelWish(stable="half-000000000000")}, 0.0)
    (report,) = rollout.reports()
    assert (report.state, report.stable, report.why) == ("refused", stable.name, "KeyError: 'BF16'")
    assert (call(engine, entities) == 1.0).all()


def test_a_canary_that_is_late_is_ended() -> None:
    clock = Ticking()
    engine, _, entities = setup(clock)
    slow = Constant("slow", 2.0)
    slow.clock, slow.ms = clock, 50.0
    engine.try_out("npc", slow, 1.0)
    for _ in range(80):
        call(engine, entities)
    trial = engine.model("npc").trial
    assert trial is not None
    assert "missed the deadline" in str(trial.verdict(engine.model("npc").stable))


def test_learned_policies_change_places_under_load() -> None:
    """Real policies, twice too much work, another one every fifth tick: every NPC is answered and its hand goes on."""
    engine, entities = Engine(), np.arange(200, dtype=np.int32)
    policies = [Depot().build("npc", 256), Depot().build("npc", 256)]
    assert isinstance(policies[0], NpcPolicy)
    engine.register("npc", policies[0], 256, 1e6, ScriptedPolicy(entities_max=256))
    rows = np.zeros((200, policies[0].input_size), np.float32)
    rows[:, [o.ALIVE, o.HEALTH, o.HURT, o.LEVEL]] = 1.0
    model = engine.model("npc")
    for tick in range(60):
        if tick % 5 == 4:
            assert engine.swap("npc", policies[tick // 5 % 2])  # it goes on with the state
            model.stable.costs.row_ms[:] = [model.deadline_ms / 100.0] * model.buckets  # half of the rows fit
        engine.begin_tick()
        engine.rows("npc", 200)[:] = rows
        assert np.isfinite(engine.run("npc", entities, 200)).all()
    figures = model.figures
    assert figures.actions + figures.held + figures.fallbacks == 60 * 200
    assert figures.held > 0
    assert (policies[0].state[:200, hand.TICK] >= 59).all()  # one tick of the hand a tick, whoever decided
    assert policies[1].state is policies[0].state  # type: ignore[attr-defined]
