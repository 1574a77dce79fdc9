"""Strokes that come again, and the rule `repeat` on top: recordings are found, hands and held keys are not, evidence computes again."""

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from gameedge.core import limits
from gameedge.core.anticheat import accumulate, clips, repeats, strokes
from gameedge.core.anticheat.watch import REPEAT, Watch
from gameedge.core.game import GAZE_CURSOR, GAZE_SCALE, GAZE_SIGHT, Gaze
from gameedge.core.ids import PlayerId
from gameedge.inference.artifacts import load_aim
from loadtest.motion import Hand, Person

RADIUS = 0.5
REST = 12  # ticks
Path2 = np.ndarray


def hand(seed: int, person: int = 3) -> Path2:
    """A simulated hand's way to a place that appears and moves as players do, complex world units at 60 Hz."""
    rng = np.random.default_rng(seed)
    moved, turn = Hand(Person.draw(np.random.default_rng(person)), rng), 2 * np.pi * rng.random()
    goal, way = rng.uniform(4, 10) * np.array([np.cos(turn), np.sin(turn)]), rng.normal(0, 0.06, 2)
    track = []
    for k in range(55):
        way = way + rng.normal(0, 0.012, 2)
        goal = goal + way
        moved.see("target", k * 1000 / 60, *goal, *(60 * way))
        track.append(complex(*moved.sample(k * 1000 / 60)))
    return np.array(track)


def turned(path: Path2, rng: np.random.Generator) -> Path2:
    """As a cheat plays it again: onto another way."""
    z = path * np.exp(rng.uniform(-0.3, 0.3) + 2j * np.pi * rng.random())
    return z if rng.random() < 0.5 else np.conj(z)


def joined(parts: list[Path2]) -> Path2:
    """One after another, from where the last one ended (the screen begins anew now and then)."""
    out, at = [], 0j
    for part in parts:
        at = at if abs(at) < 60 else 0j
        out.append(np.r_[np.full(REST, at), part - part[0] + at])
        at = out[-1][-1]
    return np.concatenate(out)


def rows(gaze: Gaze, z: complex, entity: int = 0) -> Gaze:
    gaze.fresh[entity], gaze.target[entity] = True, 1
    gaze.rows[entity, GAZE_CURSOR], gaze.rows[entity, GAZE_CURSOR + 1] = round(z.real * GAZE_SCALE), round(z.imag * GAZE_SCALE)
    return gaze


def follow(seen: strokes.Strokes, path: Path2) -> list[strokes.Again]:
    gaze, found = Gaze.empty(1), []
    for z in path:
        rows(gaze, z)
        found += seen.step(gaze, gaze.fresh)
    return found


def play(watch: Watch, path: Path2, entity: int = 0, jitter_ms: float = 2.0) -> None:
    gaze = Gaze.empty(len(watch.rtt_ms))
    for tick, z in enumerate(path):
        rows(gaze, z, entity).rows[entity, GAZE_SIGHT] = tick
        watch.rtt_ms[entity], watch.jitter_ms[entity] = 40.0, jitter_ms
        watch.gaze(gaze)


def recorded(plays: int, library: int, seed: int = 1) -> Path2:
    rng = np.random.default_rng(seed)
    return joined([turned(hand(int(rng.integers(library))), rng) for _ in range(plays)])


def test_what_was_recorded_is_found_when_it_is_played_again() -> None:
    seen, rng = strokes.Strokes(1, RADIUS), np.random.default_rng(0)
    assert follow(seen, joined([hand(k) for k in range(40)])) == []
    known = seen.counts(0)[0]
    assert known >= 30
    found = follow(seen, joined([turned(hand(k), rng) for k in range(40)]))
    assert len(found) >= 0.7 * (seen.counts(0)[0] - known)
    for again in found:
        assert again.likeness < strokes.ALIKE
        assert strokes.likeness(again.first, again.again) == again.likeness
        assert repeats.rest(again.first, again.again) < 0.02


def test_a_repeat_knows_which_movement_it_was_and_when_that_was_made() -> None:
    """Also where the oldest of those that are kept were overwritten, and after another match."""
    seen, gaze, rng = strokes.Strokes(1, RADIUS), Gaze.empty(1), np.random.default_rng(0)
    first = joined([hand(k) for k in range(strokes.KEPT + 80)])
    again = joined([turned(hand(k), rng) for k in range(strokes.KEPT + 20, strokes.KEPT + 60)])
    ends: list[int] = []  # the tick in which each stroke was over
    start, found = seen._tick, 0
    for tick, z in enumerate(np.concatenate([first, again]), start + 1):
        if tick == start + len(first):
            seen.put(0, seen.take(0))
        alike = seen.step(rows(gaze, z), gaze.fresh)
        if seen.counts(0)[0] > len(ends):
            ends.append(tick)
        for repeat in alike:
            assert repeat.tick == tick
            assert repeat.first_tick == ends[len(ends) - 1 - repeat.back]
            found += tick > len(first)
    assert len(ends) > strokes.KEPT
    assert found > 20


def test_how_it_was_turned_and_mirrored_is_told() -> None:
    rng = np.random.default_rng(5)
    z = hand(1)[::3][: strokes.POINTS]
    for mirrored in (False, True):
        angle = rng.uniform(-170, 170)
        w = (np.conj(z) if mirrored else z) * np.exp(1j * np.radians(angle))
        first, again = (np.floor(np.r_[p.real, p.imag] * 100).astype(np.int16) for p in (z - z.mean(), w - w.mean()))
        told = repeats.turn(first, again)
        assert told[1] is mirrored
        assert told[0] == pytest.approx(angle, abs=1.0)


def test_hands_do_not_repeat_themselves() -> None:
    seen = strokes.Strokes(1, RADIUS)
    found = follow(seen, joined([hand(1_000 + k) for k in range(400)]))
    judged, alike = seen.counts(0)
    assert judged > 300
    assert alike == len(found) <= strokes.RATE * judged
    assert seen.log(0) < accumulate.OBSERVE


@pytest.mark.parametrize("kind", ["line", "arc", "stick"])
def test_devices_whose_movements_are_all_the_same_are_not_judged(kind: str) -> None:
    """A key turns the cursor at an even speed, a stick held at its stop moves it in a line."""
    seen, parts = strokes.Strokes(1, RADIUS), []
    for k in range(60):
        t = np.arange(12 + k % 30) / 60
        way = {"line": 9.0 * t, "arc": 12 * np.exp(4.2j * t), "stick": (2 + 5j) * t**2 / (t + 0.1)}[kind]
        parts.append(way.astype(complex))
    assert follow(seen, joined(parts)) == []
    assert seen.log(0) < accumulate.OBSERVE


def test_a_stroke_goes_on_over_a_tick_without_input_and_not_over_a_pause() -> None:
    for gap, least in ((strokes.GAP_TICKS, 5), (strokes.GAP_TICKS + 1, 0)):
        seen, gaze = strokes.Strokes(1, RADIUS), Gaze.empty(1)
        for k in range(8):
            for j, z in enumerate(joined([hand(k)])):
                if j > REST and j % 7 == 0:
                    gaze.fresh[0] = False
                    for _ in range(gap):
                        seen.step(gaze, gaze.fresh)
                rows(gaze, z)
                seen.step(gaze, gaze.fresh)
        assert seen.counts(0)[0] >= least
        assert (gap <= strokes.GAP_TICKS) == (seen.counts(0)[0] > 0)


def test_memory_is_bounded_and_the_oldest_strokes_go_first() -> None:
    seen = strokes.Strokes(1, RADIUS)
    follow(seen, joined([hand(k) for k in range(strokes.KEPT + 80)]))
    assert seen.counts(0)[0] > strokes.KEPT
    past = seen.take(0)
    assert past.shapes.shape == (2 * strokes.POINTS, strokes.KEPT)
    assert past.shapes.nbytes + past.abouts.nbytes <= 20_000
    before = seen.counts(0)[1]
    follow(seen, joined([hand(k) for k in range(10)]))  # forgotten
    forgotten = seen.counts(0)[1] - before
    follow(seen, joined([hand(k) for k in range(strokes.KEPT + 60, strokes.KEPT + 70)]))
    assert seen.counts(0)[1] - before - forgotten >= 5 > forgotten


def test_the_account_is_a_fair_bet_at_the_rate_that_is_said() -> None:
    """The expectation of what a stroke pays is 1 for whoever repeats as often as is said, and less for whoever repeats less."""
    for rate, most in ((strokes.RATE, 1.0), (strokes.RATE / 10, 0.999)):
        paid = []
        for alike in (True, False):
            parts = np.ones(len(strokes.STAKES))
            strokes.bet(parts, 1_000_000_000, alike)
            paid.append(parts)
        mean = rate * paid[0] + (1 - rate) * paid[1]
        assert (mean <= most + 1e-6).all()
        assert (paid[0] > 2.5).all()


def test_a_player_of_recordings_is_sent_to_review_once_with_evidence_that_computes_again() -> None:
    watch, player = Watch(2, load_aim()), PlayerId("p1")
    watch.enter(0, player)
    play(watch, recorded(25, 8))
    assert watch.pool(player) == "observe"
    watch.leave(0)
    watch.enter(1, player)  # another match, another row: the same account
    play(watch, recorded(40, 8, seed=2), entity=1)
    flags = [flag for flag in watch.flags() if flag.rule == REPEAT]
    assert [flag.level for flag in flags] == ["review"]
    flag = flags[0]
    assert len(flag.reasons) == 3
    assert len(flag.clip) <= limits.EVIDENCE_BYTES_MAX
    assert flag.score >= accumulate.REVIEW
    again = clips.rerun(flag.clip, None)  # needs no model
    assert (again.same, again.level, again.log) == (True, "review", flag.score), again.detail
    clip = clips.decode(flag.clip)
    assert clip.repeated is not None
    assert clip.repeated.alike >= len(clip.repeated.found) >= repeats.LEAST


def test_changed_evidence_does_not_compute_again() -> None:
    watch = Watch(1, load_aim())
    watch.enter(0, PlayerId("p1"))
    play(watch, recorded(60, 8))
    clip = clips.decode(next(flag for flag in watch.flags() if flag.rule == REPEAT).clip)
    found = clip.repeated
    assert found is not None
    last = found.found[-1]
    other = np.frombuffer(last.first, "<i2").copy()
    other[3] += 40
    for part in (
        msgspec.structs.replace(last, first=other.tobytes()),
        msgspec.structs.replace(last, passed=last.passed + 1),
        msgspec.structs.replace(last, log=last.log + 1.0),
        msgspec.structs.replace(last, again=b"12"),
        msgspec.structs.replace(last, passed=-1),
    ):
        changed = msgspec.structs.replace(found, found=[*found.found[:-1], part])
        again = clips.rerun(msgspec.msgpack.encode(msgspec.structs.replace(clip, repeated=changed)), None)
        assert not again.same
        assert again.detail
    empty = msgspec.structs.replace(found, parts=[])
    assert not clips.rerun(msgspec.msgpack.encode(msgspec.structs.replace(clip, repeated=empty)), None).same


def test_evidence_keeps_the_last_repeats_and_the_account_before_them() -> None:
    players = repeats.Players(1, RADIUS)
    players.enter(0, PlayerId("p1"))
    gaze, steady = Gaze.empty(1), np.full(1, 3.0, np.float32)
    reached = 0
    for z in recorded(140, 5):
        reached += len(players.step(rows(gaze, z), steady, steady))
    assert reached == 1
    found = players.evidence(0)
    assert found.alike > len(found.found) == repeats.EVIDENCE
    assert repeats.rerun(found) == (found.found[-1].log, "")
    players.leave(0)
    assert players.log(PlayerId("p1")) >= found.found[-1].log - 1.0
    with pytest.raises(KeyError):
        players.evidence(0)


def test_nothing_is_looked_at_on_an_unsteady_link() -> None:
    watch, player = Watch(1, load_aim()), PlayerId("p1")
    watch.enter(0, player)
    play(watch, recorded(40, 8), jitter_ms=60.0)
    assert watch.evidence(player)[REPEAT] == -math.inf
    assert [flag for flag in watch.flags() if flag.rule == REPEAT] == []


def test_those_who_were_away_longest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "AWAY_MAX", 3)
    players, gaze, steady = repeats.Players(1, RADIUS), Gaze.empty(1), np.full(1, 3.0, np.float32)
    for k in range(5):
        players.enter(0, PlayerId(f"p{k}"))
        for z in joined([hand(j) for j in range(2)]):
            players.step(rows(gaze, z), steady, steady)
        players.leave(0)
        players.leave(0)
    assert [math.isfinite(players.log(PlayerId(f"p{k}"))) for k in range(5)] == [False, False, True, True, True]


def test_recorded_people_repeat_less_often_than_is_said() -> None:
    from models.anticheat import evaluate_strokes, real

    if not Path(real.FILE).exists():
        pytest.skip(f"{real.FILE.name} is not there")
    given = {user: parts for user, parts in evaluate_strokes.paths().items() if user in range(49, 55)}
    found = evaluate_strokes.innocents(False, given)
    assert found["strokes"] > 1_000
    assert found["rate"] <= strokes.RATE
    assert found["flagged"] == 0
    assert evaluate_strokes.replays(0.0, False, range(49, 52))["found"] >= 0.6
