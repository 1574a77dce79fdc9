"""The streaming model: the same bits alone and in a crowd, blocks that end where they should, and input that nobody's hand made."""

import numpy as np
import pytest

from gameedge.core.anticheat import aim, clips, stream
from gameedge.core.anticheat.watch import Watch
from gameedge.core.game import (
    GAZE_CURSOR,
    GAZE_FIRE,
    GAZE_LET_GO,
    GAZE_LINE,
    GAZE_SCALE,
    GAZE_SEEN,
    GAZE_SIGHT,
    GAZE_SIZE,
    GAZE_TARGET,
    Gaze,
)
from gameedge.core.ids import PlayerId
from gameedge.inference.artifacts import load_aim


@pytest.fixture(scope="module")
def model() -> aim.AimModel:
    return load_aim()


class Players:
    """`count` players who fight; `machine` ones are on the target at once, the others' cursors wander towards it."""

    def __init__(self, count: int, *, machine: bool, seed: int = 0) -> None:
        self.gaze, self.rng, self.machine = Gaze.empty(count), np.random.default_rng(seed), machine
        self.tick, self.sight = 0, 0
        self.cursor = self.rng.normal(0, 5, (count, 2))
        self.target = self.rng.normal(0, 10, (count, 2))

    def step(self, *, meet: bool = False) -> Gaze:
        """A tick; meet: everybody has a new enemy."""
        gaze, rng = self.gaze, self.rng
        if meet:
            self.target, self.sight = rng.normal(0, 10, self.target.shape), 0
        self.tick, self.sight = self.tick + 1, self.sight + 1
        self.target = self.target + rng.normal(0, 0.05, self.target.shape)
        share = 1.0 if self.machine else 0.06 * rng.random((len(self.target), 1))
        self.cursor = self.cursor + (self.target - self.cursor) * share + (0 if self.machine else rng.normal(0, 0.05, self.target.shape))
        gaze.fresh[:], gaze.target[:] = True, 3
        gaze.rows[:, GAZE_TARGET : GAZE_TARGET + 2] = np.round(np.clip(self.target, -60, 60) * GAZE_SCALE)
        gaze.rows[:, GAZE_CURSOR : GAZE_CURSOR + 2] = np.round(np.clip(self.cursor, -60, 60) * GAZE_SCALE)
        gaze.rows[:, GAZE_SEEN], gaze.rows[:, GAZE_SIGHT] = self.tick // 3 * 3, self.sight
        gaze.rows[:, GAZE_FIRE] = 1 if self.machine else rng.random(len(self.target)) < 0.1
        return gaze


def links(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full(count, 40.0, np.float32), np.full(count, 2.0, np.float32)


def test_a_block_has_the_same_bits_alone_and_in_a_crowd(model: aim.AimModel) -> None:
    players, s = Players(40, machine=False), stream.Stream(40, model.unit, 0.5)
    for tick in range(stream.STREAM_TICKS):
        over = s.step(players.step(), *links(40))
        assert len(over) == (40 if tick == stream.STREAM_TICKS - 1 else 0)
    for entity in (0, 17, 39):
        total, figures = model.unit.replay(s.kept[entity], 0.5, 40.0, 2.0)
        assert total.tobytes() == s.total[entity].tobytes()
        assert np.isfinite(figures).all()
    shares = model.unit.shares(s.total[17], stream.STREAM_TICKS)
    assert shares.sum() == pytest.approx(1.0)
    assert stream.score(shares) == pytest.approx(float(model.unit.weigh(figures[None], np.array([60], np.int32))[0]), abs=40.0)


def test_another_engagement_ends_a_block_and_a_short_one_goes_on(model: aim.AimModel) -> None:
    players, s = Players(1, machine=False), stream.Stream(1, model.unit, 0.5)
    for _ in range(10):
        assert not len(s.step(players.step(), *links(1)))
    assert not len(s.step(players.step(meet=True), *links(1)))  # ten ticks say nothing: the block goes on
    for _ in range(20):
        assert not len(s.step(players.step(), *links(1)))
    assert s.step(players.step(meet=True), *links(1)).tolist() == [0]
    assert s.counts[0] == 31


def test_machines_are_flagged_with_evidence_that_computes_again_and_no_shot_was_needed(model: aim.AimModel) -> None:
    watch, players = Watch(2, model), Players(2, machine=True)
    for entity in range(2):
        watch.enter(entity, PlayerId(f"p{entity}"))
        watch.rtt_ms[entity], watch.jitter_ms[entity] = 40.0, 2.0
    for tick in range(60 * 60):
        watch.gaze(players.step(meet=tick % 45 == 0))
    flags = watch.flags()
    assert {flag.player for flag in flags} == {"p0", "p1"}
    for flag in flags:
        again = clips.rerun(flag.clip, model)
        assert again.same, again.detail
        assert again.level == flag.level
        assert len(flag.reasons) == 3
        assert clips.decode(flag.clip).blocks[0].rows


def test_changed_ticks_do_not_compute_again(model: aim.AimModel) -> None:
    watch, players = Watch(1, model), Players(1, machine=True)
    watch.enter(0, PlayerId("p0"))
    watch.rtt_ms[0], watch.jitter_ms[0] = 40.0, 2.0
    for tick in range(60 * 60):
        watch.gaze(players.step(meet=tick % 45 == 0))
    clip = clips.decode(watch.flags()[0].clip)
    part = clip.blocks[-1]
    for rows in (part.rows[:-2], part.rows[:24] * 200, bytes(len(part.rows))):
        changed = clips.Block(part.cohort, part.mean, part.p, part.log, part.shots, rows, *link(part))
        clip.blocks[-1] = changed
        again = clips.rerun(clips.msgspec.msgpack.encode(clip), model)
        assert not again.same
        assert f"block {len(clip.blocks) - 1}" in again.detail


def link(part: clips.Block) -> tuple[float, float, list[float], float]:
    return part.rtt_ms, part.jitter_ms, part.shares, part.surprise


def test_gaps_time_that_runs_back_and_absurd_sensitivity_are_finite_and_nobody_is_flagged_for_nothing(model: aim.AimModel) -> None:
    rng = np.random.default_rng(3)
    watch = Watch(4, model)
    for entity in range(3):
        watch.enter(entity, PlayerId(f"p{entity}"))
    watch.rtt_ms[:], watch.jitter_ms[:] = (np.nan, np.inf, -5.0, 1e30), (np.nan, -1.0, np.inf, 3.0)
    gaze = Gaze.empty(4)
    for _ in range(600):
        gaze.fresh[:] = rng.random(4) < 0.6  # gaps
        gaze.target[:] = rng.integers(-1, 4, 4)
        gaze.rows[:] = rng.integers(-32_768, 32_768, gaze.rows.shape)  # cursors leap over the world, seen and sight run back
        watch.gaze(gaze)
    for entity in range(3):
        assert watch.evidence(PlayerId(f"p{entity}"))["blocks"] == 0.0  # nothing is decided on unsafe network evidence
    assert not watch.flags()
    still = Gaze.empty(4)
    for _ in range(600):
        still.fresh[:], still.target[:] = True, 1
        watch.gaze(still)  # everything is 0: target, cursor and player in one place
    total, figures = model.unit.replay(np.zeros((60, GAZE_SIZE), np.int16), 0.5, np.nan, np.nan)
    assert np.isfinite(total).all()
    assert np.isfinite(figures).all()


@pytest.mark.parametrize(
    ("rtt", "jitter", "every"), [(np.nan, 2.0, 1), (40.0, np.nan, 1), (450.0, 2.0, 1), (40.0, 33.0, 1), (40.0, 2.0, 3)]
)
def test_nothing_is_decided_on_what_the_network_garbled(model: aim.AimModel, rtt: float, jitter: float, every: int) -> None:
    """An unknown link, one that is too far or unsteady, one on which every third input is missing: not even a machine is accused."""
    watch, players = Watch(1, model), Players(1, machine=True)
    watch.enter(0, PlayerId("p0"))
    watch.rtt_ms[0], watch.jitter_ms[0] = rtt, jitter
    for tick in range(60 * 20):
        gaze = players.step(meet=tick % 45 == 0)
        gaze.fresh[0] = every == 1 or tick % every > 0
        watch.gaze(gaze)
    assert watch.evidence(PlayerId("p0"))["blocks"] == 0.0
    assert not watch.flags()


def test_who_leaves_soon_is_not_judged_and_who_never_meets_anybody_has_no_block(model: aim.AimModel) -> None:
    watch, players = Watch(2, model), Players(2, machine=True)
    watch.enter(0, PlayerId("p0"))
    watch.enter(1, PlayerId("p1"))
    for _ in range(stream.STREAM_TICKS_MIN - 1):
        gaze = players.step()
        gaze.fresh[1] = False
        watch.gaze(gaze)
    watch.leave(0)
    watch.leave(1)
    assert watch.evidence(PlayerId("p0"))["blocks"] == 0.0
    assert watch.evidence(PlayerId("p1"))["blocks"] == 0.0


def test_a_thousand_blocks_that_end_in_one_tick(model: aim.AimModel) -> None:
    watch, players = Watch(1_000, model), Players(1_000, machine=False)
    for entity in range(1_000):
        watch.enter(entity, PlayerId(f"p{entity}"))
    watch.rtt_ms[:], watch.jitter_ms[:] = 40.0, 2.0
    for _ in range(2 * stream.STREAM_TICKS):
        watch.gaze(players.step())
    assert {watch.evidence(PlayerId(f"p{entity}"))["blocks"] for entity in range(1_000)} == {2.0}


@pytest.mark.parametrize(("count", "size"), [(32, 24), (29, 13), (7, 3), (40, 33)])
def test_the_compiled_unit_is_the_plain_one(count: int, size: int) -> None:
    """Sixty steps against float64 numpy, whatever the sizes: cells within 1e-5, which is what float32 sums of 100 terms lose."""
    rng = np.random.default_rng(count)

    def tensor(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.3, shape).astype(np.float32)

    mean, scale, wx, wh, b = tensor(count), tensor(count), tensor(count, 3 * size), tensor(size, 3 * size), tensor(3 * size)
    room = [np.empty(n, np.float32) for n in (3 * size, size, max(count, size))]
    h, plain = np.zeros(size, np.float32), np.zeros(size)

    def squashed(a: np.ndarray) -> np.ndarray:
        return np.asarray(a / (1.0 + np.abs(a)))

    for x in rng.normal(0, 4, (60, count)).astype(np.float32):
        stream._cell(x, h, mean, scale, wx, wh, b, *room)
        given = np.clip((x.astype(float) - mean) * scale, -stream.STREAM_CLIP, stream.STREAM_CLIP) @ wx.astype(float) + b
        gates = 0.5 + 0.5 * squashed(given[: 2 * size] + plain @ wh[:, : 2 * size].astype(float))
        proposed = squashed(given[2 * size :] + (gates[size:] * plain) @ wh[:, 2 * size :].astype(float))
        plain = plain + gates[:size] * (proposed - plain)
        assert np.abs(h - plain).max() < 1e-5


def shooting(lines: list[bool], fires: list[bool]) -> np.ndarray:
    rows = np.zeros((len(lines), GAZE_SIZE), np.int16)
    rows[:, GAZE_LINE] = [0 if on else 900 for on in lines]
    rows[:, GAZE_FIRE] = fires
    return rows


def test_a_finger_that_goes_with_the_line_of_fire_is_told_from_one_that_does_not() -> None:
    rng = np.random.default_rng(4)
    told = {}
    for name in ("machine", "person"):
        memory = np.array(stream.FINGER)
        for _ in range(20):
            line = np.repeat(rng.random(12) < 0.5, 5).tolist()
            fire = line if name == "machine" else np.repeat(rng.random(12) < 0.5, 5).tolist()
            stream.finger(shooting(line, np.roll(fire, 0 if name == "machine" else 2).tolist()), 60, 0.5, memory)
        told[name] = memory[:2]
    assert (told["machine"] > 0.85).all()
    assert told["person"][0] < 0.8
    assert told["person"][1] < 0.6
    empty = np.array(stream.FINGER)
    stream.finger(shooting([True] * 60, [True] * 60), 60, 0.5, empty)  # no press begins or ends
    assert (empty == stream.FINGER).all()


def test_what_is_known_of_a_finger_goes_with_the_player_and_is_in_the_evidence(model: aim.AimModel) -> None:
    watch, gaze, rng = Watch(2, model), Gaze.empty(2), np.random.default_rng(5)

    def fight(entity: int) -> int:
        for _ in range(120):
            on = bool(rng.random() < 0.5)
            gaze.fresh[:], gaze.target[:] = False, 1 - np.arange(2)
            gaze.fresh[entity] = True
            gaze.rows[entity] = shooting([on], [on])[0]
            watch.gaze(gaze)
        assert watch._stream is not None
        return int(watch._stream.kept[entity, 0, GAZE_LET_GO])

    watch.enter(0, PlayerId("p0"))
    first = fight(0)
    assert first > 300
    watch.leave(0)
    watch.enter(1, PlayerId("p0"))
    assert watch._stream is not None
    assert watch._stream.fingers[1, 1] >= first / 1000.0
    watch.enter(0, PlayerId("p1"))
    assert tuple(watch._stream.fingers[0]) == stream.FINGER
