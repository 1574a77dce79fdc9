"""Models as desired state: what an edge should run, what it runs, and the way back when a new one is bad.

Problem. A model that is broken, slow or simply wrong must not need an operator's hand to stop, and never a restart to start.
Method. `want` takes a wish a model (stable, canary with a share of the matches, shadow with a share of the calls). What it names is
    verified, built and tuned away from the tick (`build` may block), then exchanged between two ticks. `watch`, once a second,
    judges trials and, for PROBATION_MS after a change, the stable one: on errors, answers that are not finite or missed
    deadlines it goes back to what ran before and remembers why. A wish that failed is not tried again until the wish changes.
Guarantee. What cannot be loaded leaves what runs untouched. After any number of wishes the engine runs the last one that could be
    honoured.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from gameedge.bus.payloads import ModelReport, ModelWish
from gameedge.core.errors import ArtifactError
from gameedge.inference.base import Backend
from gameedge.inference.depot import tuned_in
from gameedge.inference.engine import Engine
from gameedge.inference.variants import FAILURES_MAX, LATE_SHARE_MAX, NOT_FINITE_SHARE_MAX, TRIAL_CALLS_MIN, Variant
from gameedge.telemetry import logs

PROBATION_MS: Final = 30_000
log = logs.get(__name__)

Build = Callable[[str], Awaitable[Backend]]


@dataclass
class _Run:
    """One model's state here."""

    first: str  # what runs where nothing is wished
    wish: ModelWish = field(default_factory=ModelWish)
    previous: Backend | None = None
    until_ms: float = 0.0  # end of the probation
    usual_late: float = 0.0  # share before the change
    state: str = "running"
    why: str = ""


class Rollout:
    """Of one process. `build` makes a backend by name and raises ArtifactError; names of models are the engine's."""

    def __init__(self, engine: Engine, build: Build) -> None:
        self._engine, self._build = engine, build
        self._runs = {name: _Run(engine.model(name).stable.backend.name) for name in engine.names()}
        self._first = {name: engine.model(name).stable.backend for name in engine.names()}
        self.rollbacks = 0

    async def want(self, wishes: dict[str, ModelWish], now_ms: float) -> None:
        """Converge. Wishes for models that are not here are ignored; a model without a wish runs what the configuration names."""
        for name, run in self._runs.items():
            wish = wishes.get(name, ModelWish())
            if wish == run.wish:
                continue
            run.wish, run.state, run.why = wish, "running", ""
            try:
                await self._stable(name, run, wish.stable, now_ms)
                await self._trial(name, wish)
                log.info("model_wish_met", model=name, detail=str(self._engine.model(name).stable.backend.name))
            except Exception as error:  # whatever is wrong with it: what runs goes on
                known = isinstance(error, ArtifactError | ValueError)
                run.state, run.why = "refused", (str(error) if known else f"{type(error).__name__}: {error}")[:256]
                if known:
                    log.error("model_refused", model=name, detail=str(error))
                else:
                    log.fault("model_refused", error, model=name)

    async def _stable(self, name: str, run: _Run, wanted: str, now_ms: float) -> None:
        now = self._engine.model(name).stable.backend
        target = wanted or run.first
        if now.name == target:
            return
        fresh = self._first[name] if target == run.first else await self._build(target)
        if fresh.name == now.name:
            return
        run.previous, run.until_ms = now, now_ms + PROBATION_MS
        before = self._engine.model(name).stable
        run.usual_late = before.late / max(before.calls, 1)
        self._engine.swap(name, fresh)

    async def _trial(self, name: str, wish: ModelWish) -> None:
        model = self._engine.model(name)
        wanted, share = (wish.canary, wish.canary_share) if wish.canary else (wish.shadow, wish.shadow_share)
        if not wanted or share <= 0.0:
            self._engine.end_trial(name)
            return
        trial = model.trial
        if trial is not None and trial.variant.backend.name == wanted and trial.shadow == (not wish.canary):
            trial.share = share
            return
        self._engine.try_out(name, await self._build(wanted), share, shadow=not wish.canary)

    def watch(self, now_ms: float) -> list[str]:
        """Judge what is on trial or on probation; sentences about what was rolled back."""
        said = []
        for name, run in self._runs.items():
            model = self._engine.model(name)
            if model.trial is not None and (why := model.trial.verdict(model.stable)) is not None:
                what = model.trial.variant.backend.name
                self._engine.end_trial(name)
                said.append(self._rolled_back(name, run, what, why))
            if run.previous is None:
                continue
            if (bad := self._bad(model.stable, run)) is not None:
                what = model.stable.backend.name
                self._engine.swap(name, run.previous)
                run.previous = None
                said.append(self._rolled_back(name, run, what, bad))
            elif now_ms >= run.until_ms:
                run.previous = None
        return said

    def _rolled_back(self, name: str, run: _Run, what: str, why: str) -> str:
        self.rollbacks += 1
        run.state, run.why = "rolled_back", f"{what} {why}"[:256]
        log.error("model_rolled_back", model=name, detail=run.why)
        return f"{name}: {run.why}"

    @staticmethod
    def _bad(stable: Variant, run: _Run) -> str | None:
        """Why a stable variant on probation must go; what a canary beside it did is not its fault."""
        if stable.failures > FAILURES_MAX:
            return f"raised in {stable.failures} of {stable.calls} calls"
        total = stable.actions + stable.not_finite
        if stable.not_finite > max(FAILURES_MAX, NOT_FINITE_SHARE_MAX * total):
            return f"{stable.not_finite} of {total} answers were not finite"
        share = stable.late / max(stable.calls, 1)
        if stable.calls >= TRIAL_CALLS_MIN and share > run.usual_late + LATE_SHARE_MAX:
            return f"missed the deadline in {share:.0%} of its calls, the one before in {run.usual_late:.0%}"
        return None

    def reports(self) -> list[ModelReport]:
        """What runs here, for the bus."""
        return [self._report(name, run) for name, run in self._runs.items()]

    def _report(self, name: str, run: _Run) -> ModelReport:
        model = self._engine.model(name)
        figures, trial = model.figures, model.trial
        canary = trial.variant.backend.name if trial is not None and not trial.shadow else ""
        shadow = trial.variant.backend.name if trial is not None and trial.shadow else ""
        return ModelReport(
            model=name,
            stable=model.stable.backend.name,
            canary=canary,
            shadow=shadow,
            share=trial.share if trial is not None else 0.0,
            state=run.state,
            why=run.why,
            actions=figures.actions,
            canary_actions=trial.variant.actions if trial is not None else 0,
            held=figures.held,
            fallbacks=figures.fallbacks,
            late=figures.late,
            failures=figures.failures,
            difference=trial.difference if trial is not None else 0.0,
            backends=tuned.describe()[:256] if (tuned := tuned_in(model.stable.backend)) is not None else "",
        )
