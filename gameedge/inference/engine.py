"""The engine: every model of a process, one batch each a tick, inside deadlines.

Problem. Hundreds of NPCs must decide each tick on the core that also serves players. A model that is slow for a moment (a
cold cache, a crowd) must cost NPC quality for that moment, never the tick; and a new model must be tried without risk.

Method. Rows are written in place into one preallocated buffer a model (`rows`), then `run` answers all of them:
  - the cost of a row is learned per batch size (costs.py); a model may use its own deadline or what is left of the tick's
    budget, less what models before it in rank still need, whichever is less;
  - as many rows as fit are run, those that waited longest first, weighted by importance where the backend knows it; the rest
    is shed: it coasts, or keeps its last action, for a quarter of a second, then gets the fallback's answer;
  - a model that raises, whatever it was asked, or answers with what is not finite is answered for by the fallback, and counted.
A run cannot be interrupted: a deadline is kept by not starting what would not fit. A run that took longer all the same is
counted as late, and the table learns from it.
A model has variants (variants.py): the stable backend, and while one is tried a canary that answers for a share of the matches
or a shadow that answers for none. They are exchanged between two calls, so at a tick boundary, and no decision is dropped.

Guarantee. Every entity gets finite values each call, and each is counted once as action, held or fallback. With n rows of which
k fit and weights up to w, each is run at least once in w * ceil(n / k) calls.

Cost. Two clock reads, one histogram entry and one kernel over the answers a call beyond the backend itself.
"""

from collections.abc import Callable
from time import monotonic_ns
from typing import Final

import numpy as np

from gameedge.core import limits
from gameedge.inference import kernels
from gameedge.inference.base import Backend, Bools, Floats, Int32s, Paced, Ranked
from gameedge.inference.costs import CostTable
from gameedge.inference.model import HOLD_CALLS, Model
from gameedge.inference.variants import Figures, Trial, Variant

_INFINITE: Final = float("inf")
ROWS_MIN: Final = 1  # rows that run whatever the table says: nobody is starved for ever
PRIORITY_NPC: Final = 0  # lower ones are kept time for


def _monotonic_ms() -> float:
    return monotonic_ns() / 1e6


class Engine:
    """All models of a process by name. Not thread-safe: the tick owns it. `clock` gives monotonic milliseconds."""

    def __init__(
        self,
        clock: Callable[[], float] = _monotonic_ms,
        entities_max: int = limits.ENTITIES_MAX,
        budget_ms: float = _INFINITE,
    ) -> None:
        self._clock, self._entities_max = clock, entities_max
        self._models: dict[str, Model] = {}
        self.budget_ms = budget_ms  # of all models in one tick
        self._left_ms = budget_ms

    def register(
        self,
        name: str,
        backend: Backend,
        capacity: int,
        deadline_ms: float,
        fallback: Backend | None = None,
        priority: int = PRIORITY_NPC,
    ) -> None:
        """Run `backend` under this name; a name that is taken begins anew (`swap` exchanges the backend alone).

        capacity: rows at most; deadline_ms: what one call may take; fallback: a cheap backend of the same sizes that answers
        for what the model does not (None: zeros); priority: lower ones are kept time for. ValueError where the sizes differ.
        """
        self._models[name] = Model(backend, capacity, deadline_ms, fallback, self._entities_max, priority)

    def names(self) -> list[str]:
        return list(self._models)

    def figures(self, name: str) -> Figures | None:
        """What was counted, or None where no such model is registered."""
        model = self._models.get(name)
        return model.figures if model else None

    def model(self, name: str) -> Model:
        """Raises KeyError."""
        return self._models[name]

    def warm(self, name: str) -> None:
        """Run everything once, so that no first tick waits for a compiler or for pages. Entity 0 begins anew after it."""
        model = self._models[name]
        entities = np.zeros(1, np.int32)
        self.split(name, entities)
        self.rows(name, 1)[:] = 0.0
        self.run(name, entities, 1)
        self.coast(name, entities)
        kernels.mend(model.coasted[:1], entities, model.last)
        weight, chosen = np.ones(1, np.float32), np.zeros(1, np.int64)
        kernels.most_urgent(model.age, entities, weight, 1, 0, chosen)
        kernels.accept_some(model.output[:1], entities, chosen, model.last, model.age, model.fresh)
        kernels.divide(model.age, entities, model.fresh, HOLD_CALLS, model.held, model.rest)
        kernels.put(model.output[:1], chosen, entities, model.last, model.output)
        if isinstance(model.stable.backend, Ranked):
            model.stable.backend.importance(model.input[:1], weight)
        if model.fallback is not None:
            model.fallback.run(model.input[:1], entities, model.some_out[:1])
        self.forget(name, entities)
        model.figures = Figures(model.buckets)

    # -- variants, exchanged between two calls

    def swap(self, name: str, backend: Backend) -> bool:
        """From the next call on another backend answers. Whether it goes on with the state of the one before.

        Raises ValueError where the sizes differ.
        """
        model = self._models[name]
        self._fits(model, backend)
        carried = Variant.hand_over(model.stable.backend, backend)
        model.stable = Variant(backend, model.buckets)
        return carried

    def try_out(self, name: str, backend: Backend, share: float, *, shadow: bool = False) -> None:
        """A canary for this share of the matches, or a shadow (share of the calls). Replaces a trial that runs."""
        model = self._models[name]
        self._fits(model, backend)
        if not shadow:
            Variant.hand_over(model.stable.backend, backend)
        model.trial = Trial(Variant(backend, model.buckets), share, shadow)

    def end_trial(self, name: str) -> None:
        """The stable backend answers for everybody from the next call on."""
        self._models[name].trial = None

    @staticmethod
    def _fits(model: Model, backend: Backend) -> None:
        found, wanted = (backend.input_size, backend.output_size), (model.input_size, model.output_size)
        if found != wanted:
            raise ValueError(f"{backend.name} maps {found[0]} to {found[1]} values, this model maps {wanted[0]} to {wanted[1]}")

    # -- every tick

    def begin_tick(self) -> None:
        """The tick's budget is whole again."""
        self._left_ms = self.budget_ms
        for model in self._models.values():
            model.ran = False

    def split(self, name: str, entities: Int32s) -> tuple[Int32s, Int32s]:
        """Those to observe and run now, and those that coast (none for a backend that wants to see everybody)."""
        model = self._models[name]
        backend = model.stable.backend
        if not model.stable.paced or not isinstance(backend, Paced):
            return entities, entities[:0]
        try:
            due: Bools = backend.due(entities)
            return entities[due], entities[~due]
        except Exception:
            model.failed(model.stable)
            return entities, entities[:0]

    def rows(self, name: str, n: int) -> Floats:
        """The batch to write into, float32 [n, input_size]; a view that is valid until the next `run`."""
        return self._models[name].input[:n]

    def enter(self, name: str, entities: Int32s, match_draw: float) -> None:
        """These entities begin a match; `match_draw`, 0 to 1, is the match's own and decides whether it meets a canary."""
        self._models[name].match_draw[entities] = match_draw
        self.forget(name, entities)

    def forget(self, name: str, entities: Int32s) -> None:
        """These entities begin anew: no last action, no hidden state."""
        model = self._models[name]
        model.age[entities] = HOLD_CALLS + 1
        variants = [model.stable]
        if model.trial is not None and not (model.trial.variant.heir and not model.trial.shadow):  # an heir shares the state
            variants.append(model.trial.variant)
        for variant in variants:
            try:
                variant.backend.forget(entities)
            except Exception:
                model.failed(variant)
        if model.fallback is not None:
            model.fallback.forget(entities)

    def coast(self, name: str, entities: Int32s) -> Floats:
        """Answers between runs, float32 [n, output_size], for a backend that is paced; a view until the next `coast`."""
        model = self._models[name]
        out = model.coasted[: len(entities)]
        if not self._coast(model, entities, out):
            np.take(model.last, entities, axis=0, out=out)
        elif bad := kernels.mend(out, entities, model.last):
            model.figures.not_finite += bad
            model.stable.not_finite += bad
        return out

    @staticmethod
    def _coast(model: Model, entities: Int32s, out: Floats) -> bool:
        backend = model.stable.backend
        if not model.stable.paced or not isinstance(backend, Paced):
            return False
        try:
            backend.coast(entities, out)
        except Exception:
            model.failed(model.stable)
            return False
        return True

    def run(self, name: str, entities: Int32s, n: int) -> Floats:
        """Answers to the first n rows, float32 [n, output_size]; a view that is valid until the next `run`.

        entities: int32 [n], distinct, below entities_max.
        """
        model = self._models[name]
        figures, out = model.figures, model.output[:n]
        figures.batch = n
        model.ran = True
        if n == 0:
            return out
        figures.calls += 1
        bucket = (n - 1).bit_length()
        figures.batches[bucket] += 1
        began = self._clock()
        if model.trial is not None:
            self._run_both(model, entities, n)
        elif 0.0 < model.stable.costs.row_ms[bucket] * n <= model.deadline_ms and self._left_ms == _INFINITE:
            self._run_whole(model, model.stable, entities, n, began, out)
        else:
            self._run_variant(model, model.stable, entities, n, began)
        now = self._clock()
        took_ms = now - began
        self._left_ms -= took_ms
        figures.took_ms.add(took_ms, now)
        figures.rows.add(n, now)
        figures.last_ms = took_ms
        late = took_ms > model.deadline_ms
        figures.late += late
        if model.trial is None or model.trial.shadow:
            model.stable.calls += 1
            model.stable.late += late
        return out

    def _allowance(self, model: Model) -> float:
        """ms that this model may use now."""
        if self._left_ms == _INFINITE:
            return model.deadline_ms
        reserved = 0.0
        for other in self._models.values():
            if other.priority < model.priority and not other.ran and other.figures.batch:
                reserved += min(other.stable.costs.expected(other.figures.batch), other.deadline_ms)
        return min(model.deadline_ms, self._left_ms - reserved)

    def _run_variant(self, model: Model, variant: Variant, entities: Int32s, n: int, began: float) -> None:
        """One backend answers the first n rows of the buffers."""
        out = model.output[:n]
        count = variant.costs.fits(n, self._allowance(model), ROWS_MIN, HOLD_CALLS)
        if count < n:
            self._run_some(model, variant, entities, n, count, began)
        else:
            self._run_whole(model, variant, entities, n, began, out)

    def _run_whole(self, model: Model, variant: Variant, entities: Int32s, n: int, began: float, out: Floats) -> None:
        answered = self._answer(model, variant, model.input[:n], entities, out)
        variant.costs.learn(n, self._clock() - began, shed=False)
        if not answered:
            model.age[entities] += 1
            model.fresh[:n] = False
            self._stand_in(model, entities, n)
            return
        bad = kernels.accept(out, entities, model.last, model.age)
        if bad:
            model.figures.not_finite += bad
            variant.not_finite += bad
            model.fresh[:n] = model.age[entities] == 0
            self._stand_in(model, entities, n)
        else:
            model.figures.actions += n
            variant.actions += n

    def _run_some(self, model: Model, variant: Variant, entities: Int32s, n: int, count: int, began: float) -> None:
        """Only `count` of n rows fit: the most urgent ones."""
        weight, backend, costs = model.weight[:n], variant.backend, variant.costs
        weight[:] = 1.0
        if isinstance(backend, Ranked):
            try:
                backend.importance(model.input[:n], weight)
            except Exception:
                model.failed(variant)
                weight[:] = 1.0
        chosen = model.chosen[:count]
        kernels.most_urgent(model.age, entities, weight, count, model.start, chosen)
        model.start = (model.start + count) % n
        rows, answers = model.some_in[:count], model.some_out[:count]
        np.take(model.input, chosen, axis=0, out=rows)
        before = self._clock()
        answered = self._answer(model, variant, rows, entities[chosen], answers)
        after = self._clock()
        costs.learn(count, after - before, shed=True)
        out = model.output[:n]
        out[chosen] = answers
        bad = kernels.accept_some(out, entities, chosen if answered else chosen[:0], model.last, model.age, model.fresh)
        model.figures.not_finite += bad
        variant.not_finite += bad
        variant.actions += count - bad if answered else 0
        costs.choose.learn(n, before - began + self._clock() - after)
        self._stand_in(model, entities, n, costs)

    def _run_both(self, model: Model, entities: Int32s, n: int) -> None:
        """While a trial runs: a canary answers for its matches' rows, a shadow answers nobody."""
        trial = model.trial
        assert trial is not None
        if trial.shadow:
            rows = model.input[:n].copy()
            self._run_variant(model, model.stable, entities, n, self._clock())
            if trial.turn() and self._left_ms > trial.variant.costs.expected(n):
                trial.compare(rows, entities, model.output[:n], self._clock)
            return
        mine = model.match_draw[entities] < trial.share
        sides = ((model.stable, np.flatnonzero(~mine)), (trial.variant, np.flatnonzero(mine)))
        rows, answers = model.input[:n].copy(), np.zeros((n, model.output_size), np.float32)
        for variant, index in sides:
            if len(index):
                model.input[: len(index)] = rows[index]
                before = self._clock()
                self._run_variant(model, variant, entities[index], len(index), before)
                variant.calls += 1
                variant.late += self._clock() - before > model.deadline_ms
                answers[index] = model.output[: len(index)]
        model.output[:n] = answers

    @staticmethod
    def _answer(model: Model, variant: Variant, rows: Floats, entities: Int32s, out: Floats) -> bool:
        """Run the backend; False where it raised. A model is data from elsewhere: none of its errors may end the tick."""
        try:
            variant.backend.run(rows, entities, out)
        except Exception:
            model.failed(variant)
            return False
        return True

    def _stand_in(self, model: Model, entities: Int32s, n: int, costs: CostTable | None = None) -> None:
        """Answer for the rows that are not `fresh`: coast or hold for a while, then fall back. `costs` learns what that takes."""
        figures, out, began = model.figures, model.output[:n], self._clock()
        h, r = kernels.divide(model.age, entities, model.fresh, HOLD_CALLS, model.held, model.rest)
        held, rest = model.held[:h], model.rest[:r]
        if h:
            answers = model.some_out[:h]
            if self._coast(model, entities[held], answers):
                kernels.put(answers, held, entities, model.last, out)
            else:
                out[held] = model.last[entities[held]]
        between = self._clock()
        if r:
            answers = model.some_out[:r]
            answers[:] = 0.0
            if model.fallback is not None:
                model.fallback.run(model.input[rest], entities[rest], answers)
                np.nan_to_num(answers, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
            out[rest] = answers
        figures.actions += n - h - r
        figures.held += h
        figures.fallbacks += r
        if costs is not None:
            costs.hold.learn(h, between - began)
            costs.fall_back.learn(r, self._clock() - between)
