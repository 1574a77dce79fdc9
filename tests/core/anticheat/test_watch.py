"""The watch over hand-made shots: bad telemetry, crowds, careers that go on, flags with evidence that computes again."""

import math

import msgspec
import numpy as np
import pytest

from gameedge.core import limits
from gameedge.core.anticheat import aim, clips, features
from gameedge.core.anticheat import gate as g
from gameedge.core.anticheat.watch import AIM, SPEED, Watch
from gameedge.core.game import Shots
from gameedge.core.ids import PlayerId
from gameedge.inference.artifacts import load_aim


def shots(n: int, shooter: int = 0, seed: int = 0, snap: bool = True) -> Shots:
    """n shots of one shooter: still, then on the target within one sample; or a slow noisy approach."""
    rng = np.random.default_rng(seed)
    found = Shots.empty(max(n, 1), 32)
    found.count = n
    found.shooter[:n], found.target[:n] = shooter, 3
    found.hit[:n] = True
    found.distance[:n], found.visible_ms[:n] = 15.0, 400.0
    t = np.linspace(1, 0, 32)[None, :, None]
    away = rng.normal(0, 6, (n, 1, 2))
    path = np.where(np.arange(32)[None, :, None] < 30, away, 0.0) if snap else away * t + np.cumsum(rng.normal(0, 0.05, (n, 32, 2)), axis=1)
    found.aim_path[:n] = path
    found.line_path[:n] = path[..., 1]
    return found


@pytest.fixture(scope="module")
def model() -> aim.AimModel:
    return load_aim()


def run(watch: Watch, blocks: int, snap: bool = True, shooter: int = 0) -> None:
    watch.rtt_ms[shooter], watch.jitter_ms[shooter] = 40.0, 2.0
    for k in range(blocks):
        watch.shots(shots(1, shooter, seed=k, snap=snap), 100 * (k + 1))


def test_a_snap_is_flagged_with_reasons_and_evidence_that_computes_again(model: aim.AimModel) -> None:
    watch = Watch(8, model)
    watch.enter(0, PlayerId("p1"))
    run(watch, 40)
    flags = watch.flags()
    assert [flag.level for flag in flags] == ["review", "ban"]
    assert watch.level(PlayerId("p1")) == "ban"
    for flag in flags:
        assert flag.rule == AIM
        assert len(flag.reasons) == 3
        assert len(flag.clip) <= limits.EVIDENCE_BYTES_MAX
        again = clips.rerun(flag.clip, model)
        assert again.same, again.detail
        assert again.log == flag.score
        assert again.level == flag.level
    assert watch.flags() == []


def test_a_changed_clip_does_not_compute_again(model: aim.AimModel) -> None:
    watch = Watch(8, model)
    watch.enter(0, PlayerId("p1"))
    run(watch, 40)
    clip = clips.decode(watch.flags()[0].clip)
    path = np.frombuffer(clip.blocks[0].shots[0].path, "<f4").copy()
    path[5] += 1.0
    shot = msgspec.structs.replace(clip.blocks[0].shots[0], path=path.tobytes())
    clip.blocks[0] = msgspec.structs.replace(clip.blocks[0], shots=[shot])
    again = clips.rerun(msgspec.msgpack.encode(clip), model)
    assert not again.same
    assert "block 0" in again.detail


def test_evidence_of_a_model_that_is_gone_says_so(model: aim.AimModel) -> None:
    watch = Watch(8, model)
    watch.enter(0, PlayerId("p1"))
    run(watch, 40)
    again = clips.rerun(watch.flags()[0].clip, aim.AimModel.blank())
    assert not again.same
    assert model.id in again.detail
    assert not clips.rerun(b"\x00nonsense", model).same
    assert not clips.rerun(b"", model).same


def test_a_career_goes_on_in_the_next_match_and_others_are_not_mixed_in(model: aim.AimModel) -> None:
    watch = Watch(8, model)
    for k in range(12):  # twelve matches of one block each, other entities each time
        entity = k % 4
        watch.enter(entity, PlayerId("p1"))
        watch.enter(entity + 4, PlayerId("p2"))
        watch.shots(shots(1, entity, seed=k), 100 * (k + 1))
        watch.leave(entity)
        watch.leave(entity + 4)
        watch.leave(entity)  # harmless
    assert {flag.player for flag in watch.flags()} == {"p1"}
    assert watch.evidence(PlayerId("p2"))["blocks"] == 0.0
    assert watch.evidence(PlayerId("p3")) == {}


def test_bad_telemetry_is_not_judged(model: aim.AimModel) -> None:
    watch = Watch(8, model)
    watch.enter(0, PlayerId("p1"))
    bad = shots(8)
    bad.aim_path[0] = np.nan
    bad.aim_path[1, 20:] = np.inf
    bad.aim_path[2, :25] = np.nan  # seven samples
    bad.visible_ms[3] = np.nan
    bad.distance[4] = -np.inf
    bad.line_path[5, -1] = np.nan
    bad.target[6] = -1
    bad.aim_path[7] = 1e9
    for tick in (100, 50, 200, 150):  # time runs back
        watch.shots(bad, tick)
    assert watch.evidence(PlayerId("p1"))["shots"] == 0.0
    assert watch.flags() == []


def test_a_thousand_shoot_in_one_tick_and_one_never(model: aim.AimModel) -> None:
    watch = Watch(1_001, model)
    for entity in range(1_001):
        watch.enter(entity, PlayerId(f"p{entity}"))
    crowd = shots(1_000)
    crowd.shooter[:1_000] = np.arange(1_000)
    for tick in range(100, 400, 100):
        watch.shots(crowd, tick)
    assert watch.evidence(PlayerId("p7"))["shots"] == 3.0
    assert watch.evidence(PlayerId("p1000"))["shots"] == 0.0


def test_one_shot_scores_the_same_alone_and_in_a_crowd(model: aim.AimModel) -> None:
    many = shots(64, snap=False)
    columns = (many.aim_path, many.line_path, many.distance, many.visible_ms, many.on_target_ms, many.distance, many.hit)
    together = model.score(*columns, 0.5).score
    alone = [float(model.score(*(column[i : i + 1] for column in columns), 0.5).score[0]) for i in range(64)]
    assert together.tolist() == alone


def test_figures_do_not_depend_on_direction_or_scale() -> None:
    rng = np.random.default_rng(3)
    path = np.cumsum(rng.normal(0, 0.3, (5, 32, 2)), axis=1).astype(np.float32)
    line, one, hit = path[..., 1].copy(), np.ones(5, np.float32), np.ones(5, bool)
    plain = features.features(path, line, one, one, one, one, hit, 0.5)
    turn = np.array([[0.0, -1.0], [1.0, 0.0]], np.float32)
    turned = features.features(2 * path @ turn, 2 * line, one, one, one, 2 * one, hit, 1.0)
    assert np.isfinite(plain).all()
    assert turned == pytest.approx(plain, abs=2e-4)


def test_refusals_in_a_moment_are_forgiven_and_over_seconds_flagged() -> None:
    watch = Watch(4)
    watch.enter(1, PlayerId("p1"))
    entities, reasons = np.full(30, 1, np.int32), np.full(30, g.CLOCK_FAST, np.uint8)
    watch.refusals(entities, reasons, 5_000.0)
    assert watch.flags() == []
    for second in range(6, 10):
        watch.refusals(entities[:4], reasons[:4], 1_000.0 * second)
    (flag,) = watch.flags()
    assert (flag.rule, flag.level, flag.player) == (SPEED, "review", "p1")
    assert clips.rerun(flag.clip, None).same
    watch.refusals(np.array([-1, 99], np.int32), reasons[:2], 1e4)  # nobody's
    assert math.isnan(clips.rerun(b"x", None).log)


def test_finds_of_the_gate_are_a_speed_flag_without_any_refusal() -> None:
    watch = Watch(4)
    watch.enter(1, PlayerId("p1"))
    for second in range(5):
        watch.fast(np.array([1, -1], np.int32), 1_000.0 * second)
    (flag,) = watch.flags()
    assert flag.rule == SPEED
    assert "found to run fast 5 times" in flag.reasons[0]
