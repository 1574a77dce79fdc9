"""Training of score-aim's networks: the rate of learning as planned, a run that was cut off goes on, a shipped network trains on."""

from pathlib import Path

import numpy as np
import pytest

from models.anticheat import mouse, mousenet, real, score, train_mouse
from models.anticheat.train_mouse import Plan


def test_the_rate_falls_and_falls_again() -> None:
    plan = Plan(30, 1_000, again=(2_000, 5e-4))
    assert plan.all_steps == 3_000
    rates = [plan.rate(step) for step in range(plan.all_steps)]
    assert max(rates[:1_000]) == pytest.approx(train_mouse.RATE, rel=0.1)
    assert rates[999] < 0.02 * train_mouse.RATE
    assert 4e-4 < max(rates[1_000:]) <= 5.2e-4
    assert rates[-1] < 2e-5
    early = Plan(30, 1_000, slow=(600, 2_000))
    assert early.rate(600) == pytest.approx(Plan(30, 2_000).rate(600))
    assert early.rate(999) == pytest.approx(plan.rate(999))


def test_the_plans_are_of_the_networks_that_score_aim_expects() -> None:
    assert {hz: sum(plan.hz == hz for plan in train_mouse.PLANS) for hz in mouse.NETS} == score.AVERAGED
    assert len({train_mouse._kept(plan) for plan in train_mouse.PLANS}) == len(train_mouse.PLANS)


@pytest.mark.skipif(not real.FILE.exists(), reason="recorded people (shared/data/aim) are not beside this checkout")
def test_training_goes_on_where_it_was_cut_off_and_from_a_shipped_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    for name, value in (("EACH", 40), ("KEEP_EVERY", 4), ("BATCH", 64)):
        monkeypatch.setattr(train_mouse, name, value)
    plan, keep, people = Plan(20, 6, again=(4, 1e-3), parts=1), tmp_path / "a.pt", range(1, 3)
    first = train_mouse.Fit(plan, users=people, keep=keep)
    monkeypatch.setattr(first, "_once", _stop_at(first, 9))
    with pytest.raises(KeyboardInterrupt):
        first.run()
    second = train_mouse.Fit(plan, users=people, keep=keep)
    assert second.step == 8
    found = second.run()
    assert second.step == 10
    assert {name: tensor.shape for name, tensor in found.items()} == mousenet.shapes(20)
    assert all(np.isfinite(tensor).all() for tensor in found.values())
    assert (found["mean"] == np.round(first.standard["mean"], 5).astype(np.float32)).all()  # what inputs are scaled by stays
    shipped = score.load_mouse()[20][0]
    warm = train_mouse.Fit(plan, users=people, start=shipped)
    assert warm.step == plan.steps
    for name, tensor in warm.tensors().items():
        assert tensor == pytest.approx(shipped[name], abs=1e-5)


def _stop_at(fit: train_mouse.Fit, step: int):  # type: ignore[no-untyped-def]
    once = fit._once

    def stop() -> float:
        if fit.step == step:
            raise KeyboardInterrupt
        return once()

    return stop
